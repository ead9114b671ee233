/*
 * index.h - what is stored, in memory: found without a lock, changed by the writer alone.
 *
 * bw_index_find() and bw_index_touch() are the hit path: any thread, no lock, no allocation, no
 * system call.  A lookup that meets a change of its chain is repeated (sequence count), so it never
 * misses an entry that was there all the time.  Everything else is the writer thread's, except
 * bw_index_clear(), which a purge may call from any thread.
 *
 * 32 bytes an entry, 4..8 of hash table, 16 of heap, 8..16 of ghosts: at most 64 an object
 * (eviction.md, 3).
 */
#pragma once

#include "breakwater/base/hash.h"
#include "breakwater/cache/settings.h"

struct bw_index;

struct bw_index_hit {
    uint64_t objid;
    uint32_t entry;    /* for bw_index_touch() and bw_index_verified() */
    uint32_t expiry_s; /* Unix seconds */
    bool verified;     /* its bytes were written or checked since the start */
};

/* `size`: the store's budget in bytes, which bounds the number of entries. Aborts without memory. */
struct bw_index *bw_index_new(uint64_t size, enum bw_protect protect);
void bw_index_free(struct bw_index *ix);

bool bw_index_find(const struct bw_index *ix, const struct bw_hash *key, struct bw_index_hit *hit);
/* Counts a hit that spared the origin what is protected; one relaxed byte (eviction.md, 4.5). */
void bw_index_touch(struct bw_index *ix, const struct bw_index_hit *hit);
/* The object has been read whole and its checksums were right. */
void bw_index_verified(struct bw_index *ix, const struct bw_index_hit *hit);
/* Take the entry out of sight at once if it still names that objid; the writer deletes it later. */
bool bw_index_clear(struct bw_index *ix, const struct bw_hash *key, uint64_t objid);

uint64_t bw_index_count(const struct bw_index *ix); /* any thread */
uint64_t bw_index_used(const struct bw_index *ix);  /* bytes charged on disk; any thread */
uint64_t bw_index_memory(const struct bw_index *ix); /* bytes of memory; any thread */

/* ---- the writer's part (eviction.md, 4) ---- */

struct bw_index_item {
    struct bw_hash key;
    uint64_t objid;
    uint64_t bytes; /* charged on disk, rounded up to pages, >= 4096 */
    uint32_t expiry_s;
    uint32_t fetch_ms;
    uint8_t frequency_log2; /* at a restart */
};

struct bw_index_victim {
    uint64_t key_prefix; /* the first 8 bytes of its key; with objid enough to find the record */
    uint64_t objid;
    uint64_t bytes;
};

typedef bool (*bw_index_pinned_fn)(void *ctx, uint64_t objid);
typedef void (*bw_index_victim_fn)(void *ctx, const struct bw_index_victim *v);

/*
 * Would an object of that many bytes be admitted?  If so, evicts what it displaces: each victim is
 * out of sight already when `victim` is called, and was not pinned.  False: serve it, do not store.
 */
bool bw_index_admit(struct bw_index *ix, const struct bw_hash *key, uint64_t bytes,
                    uint32_t fetch_ms, bw_index_pinned_fn pinned, bw_index_victim_fn victim,
                    void *ctx);
/* Publish after the commit; replaces an entry of the same key, whose objid is returned (0: none). */
uint64_t bw_index_publish(struct bw_index *ix, const struct bw_index_item *item);
/* A head was replaced in place by a 304: new expiry. */
void bw_index_refresh(struct bw_index *ix, const struct bw_hash *key, uint64_t objid,
                      uint32_t expiry_s);
/* Remove; false: no such entry with that objid. */
bool bw_index_remove(struct bw_index *ix, const struct bw_hash *key, uint64_t objid);
/* At a restart: add without ranking, then rank all at once in O(n). */
void bw_index_load(struct bw_index *ix, const struct bw_index_item *item);
void bw_index_load_done(struct bw_index *ix);
void bw_index_set_protect(struct bw_index *ix, enum bw_protect protect);
