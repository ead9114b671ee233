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
#include "breakwater/http/outcome.h"

struct bw_store;
struct bw_reader;

/* So many variants has a key at most, and as many ways to them by language (security.md 7). */
enum { BW_STORE_VARIANTS = 32 };

struct bw_store_options {
    const struct bw_cache_conf *conf;
    struct bw_budget *budget;    /* index memory and dirty pages are charged here */
    struct bw_pins *const *pins; /* one for each worker */
    size_t pins_n;
};

/*
 * Opens or creates.  A store of another format version, or a damaged one, is renamed aside with a
 * warning and a new one begun (docs/decisions/0008).  Starts the writer thread, which inspects the
 * rest of the file and loads the index; waits for that 300 ms at most, then it goes on in the
 * background, and what is to be stored waits in the queue.
 * NULL: `why` (at least 256 bytes) holds one line with the reason and the cure.
 */
struct bw_store *bw_store_open(const struct bw_store_options *o, char *why, size_t why_len);
/* Commits what is queued, stops the writer, closes.  All readers have been freed before. */
void bw_store_close(struct bw_store *s);
/* Somebody waits for what is queued: commit it now, not when a group is full.  Any thread. */
void bw_store_hurry(struct bw_store *s);
/* Blocks until everything queued so far is committed and answered; not for an event loop. */
void bw_store_flush(struct bw_store *s);

struct bw_index *bw_store_index(struct bw_store *s);
const struct bw_hash_secret *bw_store_secret(const struct bw_store *s); /* made at birth */
bool bw_store_loaded(const struct bw_store *s); /* is the whole index in memory? */
uint64_t
bw_store_new_objid(struct bw_store *s); /* any thread; never used twice, also over restarts */

struct bw_store_figures {
    uint64_t objects, bytes, size, file_bytes, index_bytes;
    uint64_t stored, evicted, refused, deleted, lost, corrupt, commits, queue_bytes, queue_full;
};
void bw_store_figures(const struct bw_store *s, struct bw_store_figures *out);

/* ---- reading: on the thread that made the reader ---- */

struct bw_reader *bw_reader_new(struct bw_store *s);
void bw_reader_free(struct bw_reader *r);

/*
 * Copies the record of `key` into memory from `alloc` and decodes it there.  BW_ERR_NOT_FOUND:
 * none. BW_ERR_CORRUPT: damaged (the caller drops it through bw_writer_drop()).  `verify`: check
 * the checksum.  BW_ERR_BUSY: not known to be in memory (only before bw_store_loaded()); bring it
 * in with bw_store_warm() and ask again.  BW_ERR_MEMORY: `alloc` said no.  What a purge has named
 * is not found, or stale (soft), from the return of bw_store_purge() on.
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
 * The same without the copy, for bytes that were verified: views of the map from `offset`, chunk by
 * chunk, at most `most` bytes in at most `max` pieces.  They are valid until bw_reader_release(),
 * which must follow in the same callback: an open transaction makes the file grow.  BW_ERR_BUSY:
 * the first page is not in memory.  Pieces end before the first that is not.
 */
enum bw_err bw_reader_view(struct bw_reader *r, uint64_t objid, uint64_t offset, uint64_t most,
                           struct bw_slice *pieces, size_t max, size_t *n);
void bw_reader_release(struct bw_reader *r);

/*
 * Cold pages: an io thread touches what `key` or (objid, offset, n) needs and then calls `done` on
 * that io thread; the caller's `done` posts a message home.  The item is the caller's and must live
 * until then.  Bounded queue; false: full (the caller reads in place: its next read of the same
 * thing does not answer BW_ERR_BUSY; before bw_store_loaded() it finds nothing).
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
 * Who is storing an object.  The calls come on the writer thread, without a lock of the store.
 * Every chunk that was taken is answered once: by a committed() that counts it or by a lost() of
 * its own; every record by one stored().  After the last answer the writer does not know the
 * client.
 */
struct bw_writer_client {
    /* Chunks 0 .. chunks-1 are committed: readable by every reader from now on. */
    void (*committed)(struct bw_writer_client *c, uint32_t chunks);
    /* The record is committed and published in the index (BW_OK), or not stored; why says so. */
    void (*stored)(struct bw_writer_client *c, enum bw_err err, enum bw_reason why);
    /*
     * A chunk was not written, nor will any later one or the record be.  BW_ERR_BUSY: the object is
     * not worth what it would push out (BW_REASON_NOT_ADMITTED); else the disk could not take it.
     * Chunks that were committed before stay until bw_writer_drop_body().
     */
    void (*lost)(struct bw_writer_client *c, enum bw_err err);
};

/* Is there room for `n` more bytes in the queue? */
bool bw_writer_room(const struct bw_store *s, size_t n);

/*
 * One chunk: takes a reference to each block.  All are full but in the last chunk; chunks of an
 * object come in order, from 0.  Whether the object may be stored at all is asked at the first one
 * (eviction.md, 4), with the size that is expected.
 * BW_ERR_FULL: the queue is full, BW_ERR_MEMORY (nothing was taken).
 */
struct bw_writer_chunk {
    struct bw_hash key; /* that the record will have */
    uint64_t objid;
    uint64_t expected; /* length of the whole body, 0: not known */
    uint32_t index;
    uint32_t fetch_ms; /* origin time so far */
    struct bw_block *const *blocks;
    size_t n;    /* 1 .. BW_CHUNK_BLOCKS */
    bool urgent; /* a reader waits for the commit: do not gather longer */
};
enum bw_err bw_writer_chunk(struct bw_store *s, struct bw_writer_client *c,
                            const struct bw_writer_chunk *chunk);

/*
 * The record, behind its chunks.  `encoded` is copied.  `born`: the purge sequence at the birth of
 * the fill; a purge of that primary key since then refuses the record (fill.md, 28; soft: it is
 * stored as stale).  `replaces`: 0, or only if the record of the key still has that objid (304,
 * refresh), else stored(BW_ERR_NOT_FOUND).  `keep_body`: the new record has the objid it replaces,
 * whose chunks stay.  Any other record of the same key is replaced and its chunks deleted.  The
 * records beside it are left alone where equal ones (names, vary_id) are stored already.  A variant
 * above BW_STORE_VARIANTS takes the place of the oldest.
 */
enum bw_beside {
    BW_BESIDE_BASE,     /* the base record of a variant: in, whatever it costs */
    BW_BESIDE_LANGUAGE, /* the way to it by its language: if there is room */
    BW_BESIDE_COUNT,
};
struct bw_writer_beside {
    struct bw_hash key;
    struct bw_slice encoded; /* or empty: none */
};
struct bw_writer_record {
    struct bw_hash key;
    struct bw_hash primary;
    uint64_t objid;
    uint64_t replaces;
    uint64_t born;
    uint64_t bytes; /* body bytes, for admission */
    size_t held;    /* bytes of the client's memory that wait with it: the queue is limited */
    uint32_t expiry_s;
    uint32_t fetch_ms;
    bool keep_body;
    struct bw_slice encoded;
    struct bw_writer_beside beside[BW_BESIDE_COUNT]; /* to be stored with it */
};
enum bw_err bw_writer_record(struct bw_store *s, struct bw_writer_client *c,
                             const struct bw_writer_record *rec);

/*
 * The object will not be stored: delete its committed chunks as soon as nobody has it pinned.  To
 * be called for every object that had a chunk committed and no stored(BW_OK); else it may be.
 */
void bw_writer_drop_body(struct bw_store *s, uint64_t objid, uint32_t chunks);
/* Delete the record of `key` if it still has that objid (damaged, gone at the origin): out of sight
 * at once. */
void bw_writer_drop(struct bw_store *s, const struct bw_hash *key, uint64_t objid);

/*
 * Purge everything stored under a primary key: takes the entries out of the index at once, notes
 * the sequence, and queues the deletes.  `soft`: mark stale instead.  Returns the new purge
 * sequence.  bw_store_purge_seq() is what a fill takes as `born`; bw_store_purged_since() asks
 * whether that primary key was purged after `born`.
 */
uint64_t bw_store_purge(struct bw_store *s, const struct bw_hash *primary, bool soft);
uint64_t bw_store_purge_seq(const struct bw_store *s);
/* Are the deletes of that purge on disk?  (Before that a crash could bring them back.) */
bool bw_store_purge_committed(const struct bw_store *s, uint64_t seq);
bool bw_store_purged_since(const struct bw_store *s, const struct bw_hash *primary, uint64_t born);
