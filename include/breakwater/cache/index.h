/*
 * index.h - what is stored, in memory: found without a lock, changed by the writer alone.
 *
 * bw_index_find() and bw_index_touch() are the hit path: any thread, no lock, no allocation, no
 * system call.  A lookup that meets a change of its chain is repeated (sequence count), so it never
 * misses an entry that was there all the time.  Everything else is the writer thread's, except
 * bw_index_clear(), which a purge may call from any thread.
 *
 * An entry knows the first 8 bytes of its key, the record in the store proves the rest: of two keys
 * that share them the one stored last is kept.
 *
 * 32 bytes an entry, 4 of hash table, 16 of heap, 6..12 of ghosts: 58 to 64 an object.
 */
#pragma once

#include "breakwater/base/hash.h"
#include "breakwater/cache/settings.h"

struct bw_index;

enum { BW_INDEX_ENTRY = 64 }; /* bytes of memory that an entry is paid for with */

struct bw_index_hit {
    uint64_t objid;
    uint32_t entry;    /* for bw_index_touch() and bw_index_verified() */
    uint32_t expiry_s; /* Unix seconds */
    bool verified;     /* its bytes were written or checked since the start */
};

/* `size`: the store's budget in bytes, which bounds the number of entries. Aborts without memory.
 */
struct bw_index *bw_index_new(uint64_t size, enum bw_protect protect);
void bw_index_free(struct bw_index *ix);

bool bw_index_find(const struct bw_index *ix, const struct bw_hash *key, struct bw_index_hit *hit);
/* Counts a hit that spared the origin what is protected; one relaxed byte (eviction.md, 4.5). */
void bw_index_touch(struct bw_index *ix, const struct bw_index_hit *hit);
/* The object has been read whole and its checksums were right. */
void bw_index_verified(struct bw_index *ix, const struct bw_index_hit *hit);
/* Take the entry out of sight at once if it still names that objid; the writer deletes it later. */
bool bw_index_clear(struct bw_index *ix, const struct bw_hash *key, uint64_t objid);

uint64_t bw_index_count(const struct bw_index *ix);  /* any thread */
uint64_t bw_index_used(const struct bw_index *ix);   /* bytes charged on disk; any thread */
uint64_t bw_index_memory(const struct bw_index *ix); /* bytes of memory; any thread */
/*
 * Bytes of memory to be paid for what is there and so many entries more; each is paid for with
 * BW_INDEX_ENTRY, whether it takes that or less, so that a limit of paid / BW_INDEX_ENTRY lets them
 * in.
 */
uint64_t bw_index_charge(const struct bw_index *ix, uint64_t more);

/* ---- the writer's part (eviction.md, 4) ---- */

struct bw_index_item {
    struct bw_hash key;
    uint64_t objid;
    uint64_t bytes; /* charged on disk, >= 1; rounded up to pages */
    uint32_t expiry_s;
    uint32_t fetch_ms;
    uint8_t frequency_log2; /* at a restart */
};

struct bw_index_victim {
    uint64_t key_prefix; /* the first 8 bytes of its key; with objid enough to find the record */
    uint64_t objid;      /* 0: none */
    uint64_t bytes;
};

/* Who knows the pins and who deletes.  Both are called in the middle of a change: never back. */
struct bw_index_evictor {
    bool (*pinned)(void *ctx, uint64_t objid);
    void (*victim)(void *ctx, const struct bw_index_victim *v);
    void *ctx;
};

struct bw_index_ask {
    struct bw_hash key;
    uint64_t bytes; /* charged on disk */
    uint32_t fetch_ms;
    uint32_t now_s;
    bool force; /* whatever it costs: a base record, a refreshed head */
};

/* Room that was made for a newcomer, and what the ghosts remembered of it. */
struct bw_index_grant {
    uint64_t pages; /* 0: no grant */
    uint32_t f;
    bool returned;
};

/*
 * May an object of that many bytes be stored?  If so, room is made and kept for it: each victim is
 * out of sight already when `victim` is called, and was not pinned.  An object whose key is in the
 * index is a refresh and always admitted.  False: serve it, do not store.
 */
bool bw_index_admit(struct bw_index *ix, const struct bw_index_ask *ask,
                    const struct bw_index_evictor *ev, struct bw_index_grant *grant);
/* The object has become larger than the grant; false: refused, the grant stays as it was. */
bool bw_index_extend(struct bw_index *ix, const struct bw_index_ask *ask,
                     const struct bw_index_evictor *ev, struct bw_index_grant *grant);
void bw_index_release(struct bw_index *ix, struct bw_index_grant *grant); /* not stored after all */
/* Publish after the commit, which uses up the grant; `old` is the entry of the key that went. */
void bw_index_publish(struct bw_index *ix, const struct bw_index_item *item,
                      struct bw_index_grant *grant, struct bw_index_victim *old);
/* A head was replaced in place: new expiry. */
void bw_index_refresh(struct bw_index *ix, const struct bw_hash *key, uint64_t objid,
                      uint32_t expiry_s);
/* Remove; false: no such entry with that objid. */
bool bw_index_remove(struct bw_index *ix, const struct bw_hash *key, uint64_t objid);
/* At a restart, in the order of the store; false: the key is there already, or there is no room. */
bool bw_index_load(struct bw_index *ix, const struct bw_index_item *item);
void bw_index_forget(struct bw_index *ix); /* everything: the store was damaged */
/* Bytes on disk that no entry stands for: deleted, but still being sent. */
void bw_index_hold(struct bw_index *ix, uint64_t bytes);
/* Evict until what is there fits the budget. */
void bw_index_shrink(struct bw_index *ix, uint32_t now_s, const struct bw_index_evictor *ev);
/* No more entries than this, whatever the budget on disk: the memory budget said so. */
void bw_index_limit(struct bw_index *ix, uint64_t entries);
void bw_index_set_protect(struct bw_index *ix, enum bw_protect protect);
/* For a clean stop: the frequency of every entry (eviction.md, 4.7). */
typedef void (*bw_index_walk_fn)(void *ctx, uint64_t key_prefix, uint8_t frequency_log2);
void bw_index_walk(const struct bw_index *ix, bw_index_walk_fn each, void *ctx);
