/*
 * store_priv.h - the inside of the store, for the files that share it:
 *
 *   store.c        opens, closes, counts     store_folder.c   the folder, its lock, old files
 *   inspect.c      the file before LMDB      load.c           the index after a start
 *   reader.c       records and bodies        warm.c           io threads for cold pages
 *   writer.c       queue, thread             batch.c          one commit, and the answers
 *   apply.c        what an item does in it   dooms.c          what has to be deleted
 *   bodies.c       objects being written     purges.c         purges not long ago
 *
 * Unless a member says otherwise it belongs to the writer thread.
 */
#pragma once

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/cache/page.h"
#include "breakwater/cache/store.h"

#include <lmdb.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    BW_STORE_PAGE = 4096,
    BW_STORE_GROUP = 8 << 20,       /* bytes that one commit writes, at most */
    BW_STORE_GROUP_US = 100 * 1000, /* and how long little is gathered */
    BW_STORE_PURGES = 1024,         /* purges that are remembered */
    BW_STORE_WARMED = 4096,
    BW_CHUNK_SUM = 8, /* bytes of checksum behind those of the body */
    BW_CHUNKS_MAX = BW_ENTRY_CHUNKS_MAX,
};

/* ---- deletes ---- */

enum bw_doom_kind {
    BW_DOOM_RECORD, /* the record with that key prefix and objid, or a damaged one */
    BW_DOOM_BODY,   /* all chunks of that objid, once nobody has it pinned */
};

struct bw_doom {
    enum bw_doom_kind kind;
    bool done;          /* in the transaction under way */
    struct bw_hash key; /* its first 8 bytes count */
    uint64_t objid;
    uint64_t bytes;
};

struct bw_dooms {
    struct bw_doom *v;
    size_t n, cap;
    size_t pinned;    /* bodies that have to wait, as of the last run */
    uint64_t waiting; /* their bytes */
};

void bw_doom_add(struct bw_store *s, enum bw_doom_kind kind, const struct bw_hash *key,
                 uint64_t objid, uint64_t bytes);
/* Record and body of that key prefix: a victim, a purge. */
void bw_doom_object(struct bw_store *s, const struct bw_hash *key, uint64_t objid, uint64_t bytes);
/* A record with the same objid is written again: it is not to be deleted in this transaction. */
void bw_doom_spare_record(struct bw_store *s, const struct bw_hash *key, uint64_t objid);
/* Deletes in this transaction what can be deleted; settled by one of the two below. LMDB's error.
 */
int bw_dooms_run(struct bw_store *s, MDB_txn *txn);
void bw_dooms_committed(struct bw_store *s);
void bw_dooms_aborted(struct bw_store *s);
/* Is there something that need not wait for a pin? */
bool bw_dooms_ready(const struct bw_store *s);

/* ---- objects that are being written ---- */

struct bw_body {
    struct bw_body *next;
    uint64_t objid;
    uint32_t chunks;  /* committed */
    uint32_t applied; /* with those of the transaction under way */
    enum bw_err lost; /* BW_OK, or why nothing more of it is written */
    bool over;        /* its record has been answered, or it was dropped */
    struct bw_index_grant grant;
};

enum { BW_BODIES_BUCKETS = 1024 };

struct bw_bodies {
    struct bw_body *bucket[BW_BODIES_BUCKETS];
    uint64_t n;
};

struct bw_body *bw_body_find(struct bw_bodies *t, uint64_t objid);
struct bw_body *bw_body_add(struct bw_bodies *t, uint64_t objid);
void bw_body_free(struct bw_store *s, struct bw_body *b); /* its grant is given back */
void bw_bodies_free(struct bw_store *s);                  /* all; what they committed is doomed */

/* ---- the queue ---- */

enum bw_item_kind { BW_ITEM_CHUNK, BW_ITEM_RECORD, BW_ITEM_DROP_BODY, BW_ITEM_DROP, BW_ITEM_PURGE };

struct bw_item_chunk {
    struct bw_hash key;
    uint64_t expected;
    uint32_t index, fetch_ms;
    struct bw_block *blocks[BW_CHUNK_BLOCKS];
    size_t n;
};

struct bw_item_record {
    struct bw_writer_record rec; /* its slices lie behind the item */
    struct bw_index_grant grant; /* of a record without chunks */
    uint64_t old_objid;          /* what was stored under the key */
    struct bw_item_beside {
        struct bw_index_grant grant;
        uint64_t objid; /* 0: it stays as it is */
    } beside[BW_BESIDE_COUNT];
};

struct bw_item {
    struct bw_item *next;
    enum bw_item_kind kind;
    struct bw_writer_client *client;
    uint64_t objid;
    struct bw_hash key; /* of a drop; primary key of a purge */
    size_t charge;      /* bytes to be written */
    size_t held;        /* other memory that waits with it */
    bool urgent;
    bool soft;          /* a purge */
    uint64_t seq, mark; /* of a purge: objects from `mark` on are newer */
    /* how it went, while its batch is worked on */
    enum bw_err err;
    enum bw_reason why;
    union {
        struct bw_item_chunk chunk;
        struct bw_item_record record;
    };
};

struct bw_writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    struct bw_item *first, **last; /* under the lock */
    unsigned urgent;               /* under the lock */
    unsigned flushing;             /* who waits for `idle`; under the lock */
    bool stop, working, hurry;     /* under the lock */
    int64_t committed_us;          /* when the last batch was over; under the lock */
    size_t queued;                 /* bytes to be written; under the lock */
    size_t group_most;             /* of these, that one commit takes */
    size_t limit;                  /* of `bytes` */
    atomic_size_t bytes;           /* of memory that waits for a commit, or is in one */
};

/* Starts and ends the thread; 0, or an errno.  stop() commits what is queued. */
int bw_writer_start(struct bw_store *s, size_t limit);
void bw_writer_stop(struct bw_store *s);
void bw_writer_push(struct bw_store *s, struct bw_item *it); /* what may not be refused */
/*
 * A list of what failed and may not be forgotten: it comes first, but not at once, and in its
 * order, since `purges.committed` speaks for all purges before it.  After stop() it is not tried
 * again.
 */
void bw_writer_put_back(struct bw_store *s, struct bw_item *items);
void bw_item_put_blocks(struct bw_item *it); /* the references that a chunk holds */
void bw_item_free(struct bw_item *it);

/*
 * What an item does to the store, in a transaction; LMDB's error.  How it went is in the item:
 * `err`, `why`.  May be repeated in a second transaction, if the first one was aborted.
 */
int bw_apply(struct bw_store *s, MDB_txn *txn, struct bw_item *it);
/* Who is evicted is doomed. */
struct bw_index_evictor bw_store_evictor(struct bw_store *s);
/* Applies, commits, publishes and answers the items, and frees them; NULL: only deletes. */
void bw_batch_run(struct bw_store *s, struct bw_item *items);
/* At the end, when nobody reads any more. */
void bw_batch_finish(struct bw_store *s);

/* ---- purges ---- */

struct bw_purge {
    struct bw_hash primary;
    uint64_t seq, mark;
    bool soft;
    bool committed;
};

struct bw_purges {
    pthread_mutex_t lock;
    struct bw_purge ring[BW_STORE_PURGES]; /* under the lock; that of `seq` at seq % size */
    _Atomic uint64_t seq;
    _Atomic uint64_t committed; /* all up to this one are on disk */
};

enum bw_purged { BW_PURGED_NOT, BW_PURGED_SOFT, BW_PURGED_HARD };

/* Was that primary key purged after `born`?  The second one: with the lock held. */
enum bw_purged bw_purged_since(const struct bw_store *s, const struct bw_hash *primary,
                               uint64_t born);
enum bw_purged bw_purged_since_locked(const struct bw_store *s, const struct bw_hash *primary,
                                      uint64_t born);
/* Is a stored record of that objid named by a purge whose deletes are not on disk yet? */
enum bw_purged bw_purge_covers(const struct bw_store *s, const struct bw_hash *primary,
                               uint64_t objid);
enum bw_purged bw_purge_covers_locked(const struct bw_store *s, const struct bw_hash *primary,
                                      uint64_t objid);
void bw_purge_committed(struct bw_store *s, uint64_t seq);

/* ---- variants ---- */

/* The keys of what hangs on a URL: variants, ways to them, what rules tell apart; free() `*keys`.
 */
int bw_variants_list(struct bw_store *s, MDB_txn *txn, const struct bw_hash *primary,
                     struct bw_hash **keys, size_t *n);
/* A new record is in: where it is one variant too many the oldest is doomed.  LMDB's error. */
int bw_variants_bound(struct bw_store *s, MDB_txn *txn, const struct bw_writer_record *rec);

/* ---- the file before LMDB touches it ---- */

struct bw_inspection {
    int fd; /* -1: there was no file */
    struct bw_budget *budget;
    const atomic_bool *stop;
    bool stopped;
    uint64_t pages; /* numbers of pages are below this one */
    uint64_t *seen; /* a bit for each page; NULL: no memory for that */
    size_t seen_bytes;
    struct bw_tree free, main, meta, body, primary, state;
};

enum bw_inspected { BW_INSPECTED_SOUND, BW_INSPECTED_DAMAGED, BW_INSPECTED_STOPPED };

/* One entry of a tree, in the order of the keys; false: it is no entry of ours. */
typedef bool (*bw_inspect_fn)(void *ctx, struct bw_inspection *in, const struct bw_node *node);

/*
 * Opens the file and looks at the pages in front, the free pages and the tree `state`, which is
 * soon done; then the roots of the large trees are known.  Ended by bw_inspect_end() in any case.
 */
enum bw_meta_found bw_inspect_begin(struct bw_inspection *in, const char *path);
/* The whole of one large tree, which takes as long as the disk needs. */
enum bw_inspected bw_inspect_tree(struct bw_inspection *in, const struct bw_tree *tree,
                                  bw_inspect_fn each, void *ctx);
/* `n` bytes of a value, from `at`; false: not to be read. */
bool bw_inspect_value(const struct bw_inspection *in, const struct bw_node *node, uint64_t at,
                      void *out, size_t n);
/* May LMDB go from the root to the leaf of that key?  Any thread, while nothing is written. */
bool bw_inspect_path(const struct bw_inspection *in, const struct bw_tree *tree,
                     struct bw_slice key);
void bw_inspect_forget(struct bw_inspection *in); /* the memory that whole trees needed */
void bw_inspect_end(struct bw_inspection *in);
/*
 * Before a value is deleted or replaced: LMDB gives back as many pages as the head of the first one
 * says, and that may have been damaged since.  False: it cannot be mended; the value must stay.
 */
bool bw_inspect_mend(struct bw_store *s, MDB_val v);

/* ---- loading ---- */

struct bw_load {
    bool sweep;       /* the last stop was not clean: look for chunks without a record */
    uint64_t records; /* so far */
    uint64_t *objids; /* that have chunks */
    size_t objids_n, objids_cap;
    uint64_t swept;        /* the last objid among the chunks */
    uint64_t *frequencies; /* key prefix with 4 bits of log2(f) at its end, in order */
    size_t frequencies_n, frequencies_at;
    struct bw_buf record; /* one that lies on pages of its own */
};

/* In the first transaction: what a clean stop has left. */
int bw_load_begin(struct bw_store *s, MDB_txn *txn);
/*
 * The writer's first work: inspects the large trees and fills the index from them.  Nothing is
 * written before that is over.
 */
enum bw_inspected bw_load_run(struct bw_store *s);
void bw_load_free(struct bw_store *s);
/* A clean stop: frequencies, and that nothing has to be swept. */
int bw_load_save(struct bw_store *s, MDB_txn *txn);

/* ---- io threads ---- */

enum { BW_WARM_THREADS = 2, BW_WARM_QUEUE = 1024 };

struct bw_warmer {
    pthread_t threads[BW_WARM_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    struct bw_warm *first, **last; /* under the lock */
    unsigned n;                    /* under the lock */
    bool stop;                     /* under the lock */
    unsigned running;              /* of the threads */
    _Atomic uint64_t warmed[BW_STORE_WARMED];
};

int bw_warmer_start(struct bw_store *s); /* 0, or an errno */
void bw_warmer_stop(struct bw_store *s);
/* What is to be read without asking again whether it is in memory, once. */
enum bw_warmed { BW_WARMED_NOT, BW_WARMED, BW_WARMED_UNREADABLE /* the disk, or a damaged tree */ };
uint64_t bw_warm_record_mark(const struct bw_hash *key);
uint64_t bw_warm_chunk_mark(uint64_t body_key);
enum bw_warmed bw_warm_consume(struct bw_store *s, uint64_t mark);

/* ---- the store ---- */

struct bw_store_counters {
    _Atomic uint64_t stored, evicted, refused, deleted, lost, corrupt, commits, queue_full;
};

struct bw_store {
    char *directory;
    int folder_lock; /* fd */
    atomic_int data_fd;
    bool relaxed;
    uint64_t size;
    MDB_env *env; /* NULL: the file was damaged and no new one could be begun */
    MDB_dbi meta, body, primary, state;
    const char *map; /* where LMDB has the file */
    uint64_t map_size;
    struct bw_inspection inspection;
    struct bw_index *index;
    struct bw_budget *budget;
    size_t charged; /* to the budget, for the index */
    struct bw_pins *const *pins;
    size_t pins_n;
    bool born; /* `secret` is known */
    struct bw_hash_secret secret;
    _Atomic uint64_t next_objid; /* any thread */
    uint64_t reserved_objid;     /* on disk: none above it has been given out */
    uint64_t last_body_key;
    uint64_t squeezed;              /* bytes of the budget that the disk did not have */
    int64_t squeezed_us, synced_us; /* monotonic: when it changed */
    bool unsynced;
    bool forsaken;       /* a delete could not be written before the end */
    atomic_bool loaded;  /* the index is whole; `env` does not change any more */
    atomic_bool closed;  /* before that: nobody may begin to read */
    atomic_bool closing; /* before that: stop loading */
    atomic_uint early;   /* before that: who is reading */
    struct bw_writer writer;
    struct bw_warmer warmer;
    struct bw_purges purges;
    struct bw_bodies bodies;
    struct bw_dooms dooms;
    struct bw_load load;
    struct bw_store_counters counters;
};

static inline void bw_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* LMDB, munmap() and locks want pointers without `const`, whatever they do with them. */
static inline void *bw_unconst(const void *p)
{
    void *q;

    memcpy(&q, &p, sizeof(q));
    return q;
}

static inline MDB_val bw_val(const void *p, size_t n)
{
    return (MDB_val){.mv_size = n, .mv_data = bw_unconst(p)};
}

/* The page of the map that a byte lies in. */
static inline char *bw_page_of(const void *p)
{
    return (char *)bw_unconst(p) - (uintptr_t)p % BW_STORE_PAGE;
}

static inline struct bw_slice bw_val_slice(MDB_val v)
{
    return bw_slice(v.mv_data, v.mv_size);
}

static inline struct bw_hash bw_val_hash(MDB_val v)
{
    struct bw_hash h = {{0}};

    memcpy(h.bytes, v.mv_data, v.mv_size < sizeof(h.bytes) ? v.mv_size : sizeof(h.bytes));
    return h;
}

static inline uint64_t bw_body_key(uint64_t objid, uint32_t chunk)
{
    return objid << 16 | chunk;
}

/* Bytes on disk, in whole pages, of a record and of a body in chunks. */
uint64_t bw_record_room(size_t record);
uint64_t bw_body_room(uint64_t body_len);

bool bw_store_pinned(void *store, uint64_t objid);
/* Bytes on disk that the index does not know, told to it. */
void bw_store_hold(struct bw_store *s);
/* Objids on disk are kept ahead of those given out; in every transaction that stores. */
int bw_store_reserve_objids(struct bw_store *s, MDB_txn *txn);
/* Memory for what the index may grow by in one batch, and as many entries as were got. */
void bw_store_charge_index(struct bw_store *s);
/*
 * Before the index is whole the writer may find that the file is damaged and take another one.  Who
 * reads until then says so; false: not now.  Afterwards always true, and at no cost.
 */
bool bw_store_enter_early(struct bw_store *s);
void bw_store_leave_early(struct bw_store *s);
/* The file is damaged: sets it aside and begins a new one, with the same secret. */
void bw_store_begin_anew(struct bw_store *s);
/* Waits until the index is whole, but no longer than `us`. */
void bw_writer_wait_loaded(struct bw_store *s, int64_t us);
/* Decodes without a checksum; the fields are thrown away. */
bool bw_store_peek(struct bw_slice record, struct bw_entry *out);
/* Bytes on disk of a stored object. */
uint64_t bw_object_room(size_t record, uint64_t body_len);

/* ---- the folder ---- */

/* False: `why` has a line with the cure. */
bool bw_folder_open(struct bw_store *s, char *why, size_t why_len);
void bw_folder_close(struct bw_store *s);
char *bw_folder_path(const struct bw_store *s, const char *name); /* free() it */
/* After a power cut a relaxed store cannot be trusted: it is deleted. */
void bw_folder_check_boot(struct bw_store *s);
void bw_folder_mark_boot(struct bw_store *s);
void bw_folder_unmark_boot(struct bw_store *s);
/* It keeps what was answered as deleted: the next start begins a new one. */
void bw_folder_discard(struct bw_store *s);
/* The data file steps aside, so that a new one can begin. */
void bw_folder_set_aside(struct bw_store *s, const char *what);
/* Is it the disk that has no room, where LMDB says EIO? */
bool bw_folder_is_full(const struct bw_store *s);
bool bw_folder_has_room(struct bw_store *s, char *why, size_t why_len);
