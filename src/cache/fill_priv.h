/*
 * fill_priv.h - what the files of the fill share:
 *
 *   fills.c        the table: slots, notes, purge
 *   fill_join.c    join, lead, refresh
 *   fill.c         the owner: birth, body, end
 *   fill_head.c    the owner: the head
 *   fill_read.c    readers: woken, looking, taking bytes, leaving
 *   fill_window.c  blocks in memory, and who stands where
 *   fill_store.c   what the writer gets and answers; references
 *   fill_language.c  the way to a variant by its language
 *
 * Rule numbers: docs/fill.md.  Lock order: shard, then fill; never two shards, never two fills;
 * nothing is called back under a lock.  A hit takes none of them.
 */
#pragma once

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/gate.h"
#include "breakwater/base/mem.h"
#include "breakwater/cache/fill.h"
#include "breakwater/http/vary.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    SHARDS = 64,
    SHARD_BUCKETS = 512,
    NOTES_MAX = 512, /* for each shard; the oldest goes */
    PASS_NOTE_MS = 60000,
    RETRY_NOTE_MS = 5000,
    VARY_NOTE_MS = 600000,   /* longer than nearly every fetch: until the base record is there */
    TRIES_MAX = 2,           /* rule 15 */
    WALK_MAX = 256,          /* wakes of one seat in a round */
    STORED_BLOCKS_MAX = 512, /* 8 MiB of window where the writer takes it */
    SHARED_BLOCKS_MAX = 64,  /* 1 MiB where only readers do */
    NEARLY_DONE = 1048576,   /* bytes (rule 29) */
    PIECES_MAX = 16,
    WRITER_MS = 1000, /* rule 22 */
    LAG_MS = 5000,    /* rule 23 */
};

/* ---- the table ---- */

enum note { NOTE_NONE, NOTE_PASS, NOTE_RETRY, NOTE_VARY };

struct slot {
    struct slot *chain;
    struct slot *older, *newer; /* among the shard's notes */
    struct bw_hash key;
    struct bw_hash primary;
    struct bw_fill *fill; /* one reference, or NULL */
    enum note note;
    int64_t until_ms;
    struct bw_fill *mark; /* NOTE_PASS: who stores without a slot; compared, never followed */
    uint64_t vary_id;     /* NOTE_VARY */
    uint64_t vary_born;   /* NOTE_VARY: the purge sequence when its fill was born */
    char *vary_names;     /* NOTE_VARY */
    size_t vary_names_len;
};

struct shard {
    pthread_mutex_t lock;
    struct slot *bucket[SHARD_BUCKETS];
    struct slot *oldest, *newest;
    unsigned notes, slots;
};

struct bw_fills {
    struct bw_fills_options o;
    atomic_uint waiters_max;
    _Atomic uint64_t max_object;
    struct bw_vary_codings codings;
    struct shard shard[SHARDS];
    _Atomic uint64_t events[BW_FILL_EVENT_COUNT];
    atomic_uint live, waiting, refreshes;
    struct busy {
        _Alignas(64) atomic_uint n; /* fills owned, readers seated, messages expected (rule 35) */
        struct bw_fill *owned;      /* the fills that this worker owns; its thread only */
    } * busy;                       /* by worker */
};

struct shard *bw_shard_of(struct bw_fills *fs, const struct bw_hash *key);
/* Under the shard's lock.  find: NULL where there is none; need: makes one. */
struct slot *bw_slot_find(struct shard *sh, const struct bw_hash *key);
struct slot *bw_slot_need(struct shard *sh, const struct bw_hash *key,
                          const struct bw_hash *primary);
/* Frees the slot if it holds neither a fill nor a note. */
void bw_slot_tidy(struct shard *sh, struct slot *s);
/* The note that is in force at `now`, an expired one is cleared. */
enum note bw_slot_note(struct shard *sh, struct slot *s, int64_t now_ms);
struct bw_slice bw_slot_vary_names(const struct slot *s);
/* Replaces the note that is there; NOTE_NONE clears it. */
void bw_note_set(struct shard *sh, struct slot *s, enum note note, int64_t until_ms);
/* NOTE_VARY, with what the head of `f` said. */
void bw_note_set_vary(struct shard *sh, struct slot *s, const struct bw_fill *f);
/* Rules 6 and 12: enter a free slot; under the shard's lock.  Takes a reference, makes joinable. */
bool bw_slot_enter(struct shard *sh, struct bw_fill *f, const struct bw_hash *key);
/* Leave the slot of `key` if it is ours; takes the shard's lock. */
void bw_slot_leave(struct bw_fill *f, const struct bw_hash *key);
/* Who stored without a slot lets go of the mark; takes the shard's lock. */
void bw_slot_unmark(struct bw_fill *f);
void bw_fills_event(struct bw_fills *fs, enum bw_fill_event e);

/* ---- the fill ---- */

/* How a variant is found by its language. */
struct language {
    struct bw_key key;
    uint64_t objid; /* of the record that leads there */
    char bytes[];   /* of the key */
};

enum fill_state { FILL_STARTING, FILL_BODY, FILL_DONE, FILL_COMMITTED, FILL_FAILED };
enum fill_store { FILL_STORE_OFF, FILL_STORE_ON, FILL_STORE_LOST };
enum fill_verdict { VERDICT_NONE, VERDICT_SHARE, VERDICT_PRIVATE, VERDICT_FAILED };

struct window_block {
    struct bw_block *block;
    unsigned readers; /* how many stand in it */
};

struct seat {
    struct bw_message wake; /* "look again": carries nothing */
    struct bw_next more;    /* the rest of a walk */
    struct bw_fill *fill;
    unsigned worker;
    bool told;                   /* a message is under way; fill lock */
    bool parked;                 /* somebody waits in `idle`; fill lock */
    h2o_linklist_t idle, waking; /* of waiters; that worker only */
};

struct bw_fill {
    /* never changes after birth */
    struct bw_fills *fs;
    unsigned owner;
    bool background;
    bool second; /* begun by one whom a sick answer sent back (rule 16) */
    bool has_base;
    uint64_t born;
    uint64_t dangling, found; /* what the lookup knew: not stored meanwhile */
    struct bw_key key;        /* of the request; bytes in `memory` */
    struct bw_hash primary;
    struct bw_hash birth_slot; /* the slot it was begun in, or for */
    struct bw_fields request;
    struct bw_settings settings; /* what it points to lives as long as the source */
    struct bw_policy_request policy;
    struct bw_entry base;
    struct bw_hash base_hash; /* key of the base's record */
    uint64_t base_vary_id;    /* of the base record in the store, 0: none */
    struct bw_vary base_vary;
    char *memory;

    atomic_uint refs;
    pthread_mutex_t lock;

    /* under the lock */
    enum fill_state state;
    enum fill_store store;
    enum fill_verdict verdict;
    bool joinable;
    bool stopped;                /* the source is paused: no room */
    bool keep;                   /* a reader wants it finished and stored, although it leaves */
    bool poked;                  /* a message to the owner is under way */
    bool released;               /* the owner's reference is dropped: it gets no message any more */
    bool record_handed;          /* the writer has it */
    enum bw_reason why;          /* FAILED: the cause */
    uint64_t have;               /* bytes that have come; the owner alone changes it */
    uint64_t readable;           /* bytes that the store has committed */
    struct window_block *window; /* ring */
    unsigned window_cap, window_at, window_n;
    uint64_t first_block; /* number of the oldest block in the window */
    unsigned behind;      /* readers below the window */
    unsigned ahead;       /* readers who have passed all blocks that there are */
    unsigned readers;
    uint64_t cut_below; /* rule 23: who stands below is broken */
    uint32_t handed;    /* chunks given to the writer; the owner alone changes it */
    uint32_t committed; /* of them */
    uint32_t answered;  /* committed or lost */
    bool lent;          /* the reserve covers what is handed and not answered, too */
    bool head_out;
    struct bw_fill_head head; /* immutable once published */
    uint64_t stored_objid;    /* where the bytes lie that are readable; immutable with the head */

    struct bw_writer_client client;

    /* the owner's */
    const struct bw_source_ops *source_ops;
    void *source;
    bool source_over; /* it has ended, failed or been cancelled */
    bool finished;    /* the body is whole, or the fill has failed */
    bool spare;       /* one block is taken from the account already */
    struct bw_message poke;
    struct bw_timer poke_later; /* a test holds the gate */
    struct bw_timer patience;   /* rules 22 and 23 */
    bool patience_stored;       /* which of them */
    uint64_t patience_mark;
    struct bw_fill *owned_next, **owned_at;
    size_t charged; /* bytes of the budget, without blocks */
    char *head_memory;
    char *trailer_memory;
    struct bw_fields trailers; /* immutable from DONE on */
    bool varies;               /* this and the next are immutable with the head */
    struct bw_key variant;     /* where the head varies; bytes in head_memory */
    struct bw_vary vary;
    struct bw_slice vary_values;
    uint64_t vary_id;
    struct language *language; /* how else it is found, or NULL; immutable with the head, too */
    struct bw_hash store_hash; /* key of the record to be written */
    struct bw_slice store_key;
    bool in_slot; /* it entered that of store_hash */
    bool marked;  /* stores without a slot: `no-cache` */

    struct bw_account account;
    struct seat seats[];
};

/* fill_store.c: references */
void bw_fill_take(struct bw_fill *f);
/* From a pointer that is no reference but cannot be freed now; false: it is being freed. */
bool bw_fill_try_take(struct bw_fill *f);
void bw_fill_put(struct bw_fill *f); /* the last one frees: blocks, pins, committed chunks */

/* fill.c */
/*
 * Rule 7: NULL if there is no memory for one block.  The caller gets the owner's reference, and
 * holds the lock of the shard that it is to be entered in, for the sake of `born`.
 */
struct bw_fill *bw_fill_new(struct bw_fills *fs, const struct bw_join *asked, bool background);
/* Give up: FAILED, readers broken, slots left.  The owner's thread, no lock held. */
void bw_fill_fail(struct bw_fill *f, enum bw_reason why);
void bw_fill_leave_slots(struct bw_fill *f);
/* A refresh failed: not again at once (rule 33). */
void bw_fill_note_retry(struct bw_fill *f);
/* Something that the owner may wait for has happened; fill lock held. */
void bw_fill_poke(struct bw_fill *f);

/* fill_head.c: copies of fields into memory that the caller sized with bw_fill_fields_size(). */
size_t bw_fill_fields_size(const struct bw_fields *in);
char *bw_fill_fields_copy(const struct bw_fields *in, char *memory, struct bw_fields *out);
char *bw_fill_put_slice(char *at, struct bw_slice in, struct bw_slice *out);

/* fill_read.c: section 3.  Tell the seats to look again; fill lock held.  True: the owner's own
 * seat wants a walk, after the lock is dropped. */
bool bw_seats_wake(struct bw_fill *f);
void bw_seats_walk_own(struct bw_fill *f);
/* The same from any thread, the owner's seat included: by message. */
void bw_seats_tell(struct bw_fill *f);
/* Both: the owner's thread, no lock held, and not inside the call of a waiter. */
void bw_fill_wake(struct bw_fill *f);
/* The waiter waits in its seat; fill lock held. */
void bw_seat_park(struct bw_waiter *w);

/* fill_window.c: all of it with the fill lock held. */
/* The block of that number, which is in the window. */
struct window_block *bw_window_at(struct bw_fill *f, uint64_t number);
/* One more block at the end, which is charged already. */
void bw_window_push(struct bw_fill *f, struct bw_block *b);
/* Blocks below `bytes`: committed, or nobody's any more. */
void bw_window_drop_below(struct bw_fill *f, uint64_t bytes);
/* Blocks that every reader has passed, where nothing is stored. */
void bw_window_drop_passed(struct bw_fill *f);
/* A window without blocks that begins at `number`: what is before is in the store (rule 18). */
void bw_window_begin_at(struct bw_fill *f, uint64_t number);
/* The reader stands in the block of its position from now on; or nowhere any more. */
void bw_window_count_in(struct bw_fill *f, struct bw_waiter *w);
void bw_window_uncount(struct bw_fill *f, struct bw_waiter *w);
/* Rule 23: the slowest reader is broken, if it holds up others. */
void bw_window_cut_slowest(struct bw_fill *f);

/* fill_store.c */
void bw_fill_store_begin(struct bw_fill *f); /* client callbacks */
/* Hand whole chunks to the writer; the owner's thread, no lock held. */
void bw_fill_hand_chunks(struct bw_fill *f);
/* The body is complete: the last chunk and the record; the owner's thread, no lock held. */
void bw_fill_hand_record(struct bw_fill *f);
void bw_fill_lose_store(struct bw_fill *f); /* fill lock held */
bool bw_fill_store_on(struct bw_fill *f);   /* no lock held */

/* fill_language.c */
struct language_ask {
    const struct bw_key *key; /* of the request */
    uint64_t vary_id;
    struct bw_slice names;
    const struct bw_fields *request;
    struct bw_slice language;
};
/* The key by which a variant in that language is found; NULL: it does not vary so.  free() it. */
struct language *bw_language_new(struct bw_fills *fs, const struct language_ask *ask);
/* The head is that of a variant for all: if it says its language, its slot is entered, too. */
void bw_fill_language_enter(struct bw_fill *f);
void bw_fill_language_leave(struct bw_fill *f); /* may be called always */
void bw_fill_language_encode(const struct bw_fill *f, struct bw_buf *out);
/* Is it in the language that this request wants most, and do the other values fit? */
bool bw_fill_language_fits(const struct bw_fill *f, const struct bw_fields *request);

static inline uint64_t block_number(uint64_t position)
{
    return position / BW_BLOCK_SIZE;
}
