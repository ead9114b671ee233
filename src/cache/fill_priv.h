/*
 * fill_priv.h - what the four files of the fill share: table (fills.c), owner (fill.c), readers
 * (fill_read.c), store (fill_store.c).  Rule numbers: docs/fill.md.
 *
 * Lock order: shard, then fill; never two shards, never two fills; nothing is called back under a
 * lock.  A hit takes none of them.
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
    NOTES_MAX = 1024, /* for each shard; the oldest goes */
    PASS_NOTE_MS = 60000,
    RETRY_NOTE_MS = 5000,
    VARY_NOTE_MS = 60000,
    TRIES_MAX = 2,           /* rule 15 */
    WALK_MAX = 32,           /* wakes of one seat in a round */
    STORED_BLOCKS_MAX = 512, /* 8 MiB of window where the writer takes it */
    SHARED_BLOCKS_MAX = 64,  /* 1 MiB where only readers do */
    NEARLY_DONE = 1048576,   /* bytes (rule 29) */
    PIECES_MAX = 16,
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
    struct bw_vary vary;  /* NOTE_VARY */
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
    /* by worker: fills owned, readers seated, messages expected (rule 35) */
    struct busy {
        _Alignas(64) atomic_uint n;
        struct bw_fill *owned; /* list of fills that this worker owns; its thread only */
    } * busy;
};

struct shard *shard_of(struct bw_fills *fs, const struct bw_hash *key);
/* Under the shard's lock.  find: NULL where there is none; need: makes one. */
struct slot *slot_find(struct shard *sh, const struct bw_hash *key);
struct slot *slot_need(struct shard *sh, const struct bw_hash *key, const struct bw_hash *primary);
/* Frees the slot if it holds neither a fill nor a note. */
void slot_tidy(struct shard *sh, struct slot *s);
/* The note that is in force at `now`, expired ones cleared. */
enum note slot_note(struct shard *sh, struct slot *s, int64_t now_ms);
void note_set(struct shard *sh, struct slot *s, enum note note, int64_t until_ms);
/* Rules 6 and 12: enter a free slot; under the shard's lock.  Takes a reference. */
bool slot_enter(struct shard *sh, struct bw_fill *f, const struct bw_hash *key);
/* Leave the slot of `key` if it is ours; takes the shard's lock. */
void slot_leave(struct bw_fill *f, const struct bw_hash *key);
void count_event(struct bw_fills *fs, enum bw_fill_event e);

/* ---- the fill ---- */

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
    bool told;   /* a message is under way; fill lock */
    bool parked; /* somebody waits; fill lock */
    /* lists of waiters, circular with the anchor; that worker only */
    struct bw_waiter idle, waking, active;
};

struct bw_fill {
    /* never changes after birth */
    struct bw_fills *fs;
    unsigned owner;
    bool background;
    bool has_base;
    uint64_t born;
    struct bw_key key; /* of the request; bytes in `memory` */
    struct bw_hash primary;
    struct bw_hash birth_slot; /* the slot it was begun in */
    struct bw_fields request;
    struct bw_settings settings;
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
    enum bw_reason why;          /* FAILED: the cause */
    uint64_t have;               /* bytes that have come */
    uint64_t readable;           /* bytes that the store has committed */
    struct window_block *window; /* ring */
    unsigned window_cap, window_at, window_n;
    uint64_t first_block; /* number of the oldest block in the window */
    unsigned behind;      /* readers below the window */
    unsigned ahead;       /* readers, while the window is empty */
    unsigned readers;
    uint64_t cut_below; /* rule 23: who stands below is broken */
    bool head_out;
    struct bw_fill_head head; /* immutable once published */
    uint64_t stored_objid;    /* where the bytes lie that are readable */

    /* the writer's side */
    struct bw_writer_client client;
    uint32_t handed, committed; /* chunks; handed: owner, committed: fill lock */
    bool record_handed;         /* fill lock */

    /* the owner's */
    const struct bw_source_ops *source_ops;
    void *source;
    bool over;     /* the source has ended, failed or been cancelled */
    bool released; /* the owner's reference is dropped */
    bool spare;    /* one block is taken from the account already */
    struct bw_message poke;
    struct bw_timer patience; /* rules 22 and 23 */
    uint64_t patience_mark;
    struct bw_fill *owned_next, **owned_at;
    char *head_memory;
    char *trailer_memory;
    struct bw_fields trailers; /* immutable from DONE on */
    struct bw_key variant;     /* where the head varies; bytes in head_memory */
    struct bw_vary vary;
    struct bw_slice vary_values;
    uint64_t vary_id;
    bool varies;
    struct bw_hash store_hash; /* key of the record to be written */
    struct bw_slice store_key;
    bool in_slot; /* of store_hash, when the head was published */
    bool marked;  /* stores without a slot: `no-cache` */

    struct bw_account account;
    struct seat seats[];
};

void fill_take(struct bw_fill *f);
void fill_put(struct bw_fill *f); /* the last one frees: blocks, pins, committed chunks */

/* Rule 7: NULL if there is no memory for one block.  The caller gets the owner's reference. */
struct bw_fill *fill_new(struct bw_fills *fs, const struct bw_join *j);
/* Rule 3.3: tell the seats to look again; fill lock held.  True: the owner's own seat wants a walk.
 */
bool wake_seats(struct bw_fill *f);
/* The owner's own seat, after its lock is dropped. */
void walk_own_seat(struct bw_fill *f);
/* Something that a stopped owner waits for has happened; fill lock held. */
void poke_owner(struct bw_fill *f);
/* Blocks that every reader has passed, where nothing is stored; fill lock held. */
void window_drop_passed(struct bw_fill *f);
/* Blocks below `bytes`, committed or passed; fill lock held. */
void window_drop_below(struct bw_fill *f, uint64_t bytes);
struct window_block *window_slot(struct bw_fill *f, uint64_t number);
/* One more block at the end, whose bytes were taken from the account. */
void window_push(struct bw_fill *f, struct bw_block *b);
/* Give up: FAILED, readers broken, slots left.  The owner's thread, no lock held. */
void fill_fail(struct bw_fill *f, enum bw_reason why);
/* Hand whole chunks to the writer; the owner's thread, no lock held. */
void fill_hand_over(struct bw_fill *f);
/* The body is complete: the last chunk and the record; the owner's thread, no lock held. */
void fill_hand_record(struct bw_fill *f);
void fill_store_begin(struct bw_fill *f); /* client callbacks */
void fill_lose_store(struct bw_fill *f);  /* fill lock held */

/* Copies of fields into memory that the caller sized with fields_size(). */
size_t fields_size(const struct bw_fields *in);
char *fields_copy(const struct bw_fields *in, char *memory, struct bw_fields *out);

static inline uint64_t block_number(uint64_t position)
{
    return position / BW_BLOCK_SIZE;
}
