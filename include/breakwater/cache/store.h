/*
 * store.h - the cache on disk: LMDB, one writer thread, many readers  (design.md, 4).
 *
 * Readers (one struct bw_reader for each thread) copy what they need and never keep a transaction
 * beyond one call.  Everything that changes the store goes through the writer's bounded queue and
 * is committed in groups.
 *
 * Order of a hit: bw_index_find(), then bw_store_get(); a record with another objid than the index
 * named is judged as found; none at all is a miss (fill.md, rule 3).
 */
#pragma once

#include "breakwater/base/budget.h"
#include "breakwater/base/err.h"
#include "breakwater/cache/block.h"
#include "breakwater/cache/entry.h"
#include "breakwater/cache/index.h"
#include "breakwater/cache/pins.h"

struct bw_store;
struct bw_reader;

struct bw_store_options {
    const struct bw_cache_conf *conf;
    struct bw_budget *budget;  /* index memory and dirty pages are charged here */
    struct bw_pins *const *pins; /* one for each worker */
    size_t pins_n;
};

/*
 * Opens or creates.  A store of another format version, or a damaged one, is renamed aside with a
 * warning and a new one begun.  Starts the writer thread and loads the index in the background.
 * NULL: `why` (at least 256 bytes) holds one line with the reason and the cure.
 */
struct bw_store *bw_store_open(const struct bw_store_options *o, char *why, size_t why_len);
/* Commits what is queued, stops the writer, closes.  All readers have been freed before. */
void bw_store_close(struct bw_store *s);

struct bw_index *bw_store_index(struct bw_store *s);
const struct bw_hash_secret *bw_store_secret(const struct bw_store *s); /* made at birth */
bool bw_store_loaded(const struct bw_store *s);     /* is the whole index in memory? */
uint64_t bw_store_new_objid(struct bw_store *s);    /* any thread; never used twice, also over restarts */

struct bw_store_figures {
    uint64_t objects, bytes, size, file_bytes, index_bytes;
    uint64_t stored, evicted, refused, deleted, lost, corrupt, commits, queue_bytes, queue_full;
};
void bw_store_figures(const struct bw_store *s, struct bw_store_figures *out);

/* ---- reading: on the thread that made the reader ---- */

struct bw_reader *bw_reader_new(struct bw_store *s);
void bw_reader_free(struct bw_reader *r);

/*
 * Copies the record of `key` into memory from `alloc` and decodes it there.  BW_ERR_NOT_FOUND: none.
 * BW_ERR_CORRUPT: damaged (the caller drops it through bw_writer_drop()).  `verify`: check the
 * checksum.  BW_ERR_BUSY: the page is not in memory; bring it in with bw_store_warm_record() and
 * ask again.
 */
typedef void *(*bw_alloc_fn)(void *ctx, size_t n);
enum bw_err bw_reader_get(struct bw_reader *r, const struct bw_hash *key, bool verify,
                          bw_alloc_fn alloc, void *ctx, struct bw_entry *out);

/*
 * Copies up to `n` bytes of the body from `offset` to `out`, at most to the end of the chunk;
 * `*got` says how many.  Errors as above; BW_ERR_NOT_FOUND: the chunk is missing.
 * With `verify` the checksum of the chunk is computed (then it is read whole).
 */
enum bw_err bw_reader_body(struct bw_reader *r, uint64_t objid, uint64_t offset, size_t n,
                           bool verify, char *out, size_t *got);

/*
 * Cold pages: an io thread touches what `key` or (objid, offset, n) needs and then calls `done` on
 * that io thread; the caller's `done` posts a message home.  The item is the caller's and must live
 * until then.  Bounded queue; false: full (the caller reads in place).
 */
struct bw_warm {
    struct bw_warm *next;
    void (*done)(struct bw_warm *w);
    struct bw_hash key;
    uint64_t objid; /* 0: the record of `key` */
    uint64_t offset;
    size_t n;
};
bool bw_store_warm(struct bw_store *s, struct bw_warm *w);

/* ---- writing: any thread; nothing here waits ---- */

/*
 * Who is storing an object.  The calls come on the writer thread, in this order, and never after
 * stored() or lost().
 */
struct bw_writer_client {
    /* Chunks 0 .. chunks-1 are committed: readable by every reader from now on. */
    void (*committed)(struct bw_writer_client *c, uint32_t chunks);
    /* The record is committed and published in the index (BW_OK), or not stored; why says so. */
    void (*stored)(struct bw_writer_client *c, enum bw_err err, enum bw_reason why);
    /* A chunk could not be written: nothing of this object will be stored. */
    void (*lost)(struct bw_writer_client *c, enum bw_err err);
};

/* Is there room for `n` more bytes in the queue? */
bool bw_writer_room(const struct bw_store *s, size_t n);

/*
 * One chunk: takes a reference to each of the `n` blocks.  All are full but in the last chunk.
 * `urgent`: a reader waits for the commit, do not gather longer.
 * BW_ERR_FULL: the queue is full (nothing was taken).
 */
enum bw_err bw_writer_chunk(struct bw_store *s, struct bw_writer_client *c, uint64_t objid,
                            uint32_t index, struct bw_block *const *blocks, size_t n, bool urgent);

/*
 * The record, behind its chunks.  `encoded` is copied.  `born`: the purge sequence at the birth of
 * the fill; a purge of that primary key since then refuses the record (fill.md, 28).  `replaces`:
 * 0, or only if the record of the key still has that objid (304, refresh): then its chunks are kept
 * (`keep_body`) or deleted.  A record of the same key is replaced and its chunks deleted.
 */
struct bw_writer_record {
    struct bw_hash key;
    struct bw_hash primary;
    uint64_t objid;
    uint64_t replaces;
    uint64_t born;
    uint64_t bytes; /* body bytes, for admission */
    uint32_t expiry_s;
    uint32_t fetch_ms;
    bool keep_body;
    struct bw_slice encoded;
    struct bw_slice vary_encoded; /* the base record to be stored with it, or empty */
    struct bw_hash vary_key;
};
enum bw_err bw_writer_record(struct bw_store *s, struct bw_writer_client *c,
                             const struct bw_writer_record *rec);

/* Delete committed chunks of an object that will not be stored. */
void bw_writer_drop_body(struct bw_store *s, uint64_t objid, uint32_t chunks);
/* Delete the record of `key` if it still has that objid (damaged, replaced, gone at the origin). */
void bw_writer_drop(struct bw_store *s, const struct bw_hash *key, uint64_t objid);

/*
 * Purge everything stored under a primary key: takes the entries out of the index at once, notes
 * the sequence, and queues the deletes.  `soft`: mark stale instead.  Returns the new purge
 * sequence.  bw_store_purge_seq() is what a fill takes as `born`; bw_store_purged_since() asks
 * whether that primary key was purged after `born`.
 */
uint64_t bw_store_purge(struct bw_store *s, const struct bw_hash *primary, bool soft);
uint64_t bw_store_purge_seq(const struct bw_store *s);
bool bw_store_purged_since(const struct bw_store *s, const struct bw_hash *primary, uint64_t born);
