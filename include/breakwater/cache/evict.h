/*
 * evict.h - the inside of the index: its entries, and who has to leave  (eviction.md, 3 and 4).
 *
 * For index.c, evict.c and their tests.  index.c keeps the table that every thread reads; evict.c
 * keeps the heap of ranks that only the writer knows.  A rank in the heap is a lower bound: hits
 * raise it, and are counted in when the entry comes to the top.
 */
#pragma once

#include "breakwater/base/rand.h"
#include "breakwater/cache/ghost.h"
#include "breakwater/cache/index.h"

#include <stdatomic.h>

enum {
    BW_EVICT_CLASSES = 32, /* of frequency; the upper half: objects that have returned */
    BW_INDEX_SHARDS = 64,  /* of sequence counts; a power of two */
};

enum bw_index_flag {
    BW_INDEX_VERIFIED = 1 << 0, /* its bytes were written or checked since the start */
    BW_INDEX_RETURNED = 1 << 1, /* a ghost remembered it when it was stored */
    BW_INDEX_HIDDEN = 1 << 2,   /* purged: out of sight, not deleted yet */
    BW_INDEX_DEAD = 1 << 3,     /* deleted; its element is still in the heap */
};

/*
 * Readers look at what is atomic, under the sequence count of the shard; the rest is the writer's.
 * `ident` is objid << 16 | flags << 8 | hits: flags change by compare-and-swap together with the
 * objid they are meant for, hits by plain stores of the lowest byte.
 */
struct bw_index_entry {
    _Atomic uint64_t prefix;
    _Atomic uint64_t ident;
    uint32_t pages;
    _Atomic uint32_t expiry_s;
    uint16_t f;     /* hits of this stay, folded so far, and what the ghosts knew */
    uint16_t fetch; /* origin time in 1/16 octaves of ms */
    _Atomic uint32_t next;
};
_Static_assert(sizeof(struct bw_index_entry) == 32, "half a cache line");

struct bw_evict_elem {
    uint64_t rank;
    uint32_t entry;
    uint32_t span; /* hits it is expected to get before it comes to the top, in sixteenths */
};

struct bw_evict {
    struct bw_evict_elem *heap;
    uint32_t n; /* elements, dead ones included */
    uint32_t dead;
    uint64_t level; /* L: the rank that the last visited entry had */
    uint64_t hit[BW_EVICT_CLASSES], span[BW_EVICT_CLASSES];
    uint32_t weight[BW_EVICT_CLASSES]; /* 256 is 1 */
    uint32_t first;                    /* hits for each span of first-timers, 256 is 1 */
    uint32_t folds;
    uint64_t stores, era_at;
    uint16_t era;
    struct bw_ghosts ghosts;
    struct bw_rand rand;
    enum bw_protect protect;
    uint64_t visits, evictions;
};

struct bw_index {
    /* read by all threads */
    struct bw_index_entry *entries; /* number 0 is nobody */
    _Atomic uint32_t *buckets;
    _Atomic uint32_t buckets_n;
    _Alignas(64) _Atomic uint32_t seq[BW_INDEX_SHARDS];

    /* the writer's; the atomic ones are figures */
    _Alignas(64) struct bw_evict evict;
    _Atomic uint64_t count;
    _Atomic uint64_t used; /* pages */
    _Atomic uint64_t memory;
    uint64_t reserved, held, budget; /* pages */
    uint32_t grants;                 /* that have not been published */
    uint32_t high, free;             /* highest entry used; list of free ones */
    uint32_t limit, capacity;        /* entries */
    uint32_t granule;                /* bytes of a page */
};

/* What a test or a simulation may want otherwise than bw_index_new(). */
struct bw_index_conf {
    uint64_t size; /* bytes */
    uint32_t granule;
    uint32_t entries;
    enum bw_protect protect;
};
struct bw_index *bw_index_new_with(const struct bw_index_conf *conf);

/* ---- index.c for evict.c ---- */

static inline uint64_t bw_index_objid(uint64_t ident)
{
    return ident >> 16;
}

static inline unsigned bw_index_flags(uint64_t ident)
{
    return (unsigned)(ident >> 8) & 0xff;
}

static inline uint8_t *bw_index_hits(struct bw_index_entry *e)
{
    return (uint8_t *)(void *)e + offsetof(struct bw_index_entry, ident);
}

/* Between the two, readers of that shard wait: a few stores, no more. */
void bw_index_begin(struct bw_index *ix, uint64_t prefix);
void bw_index_end(struct bw_index *ix, uint64_t prefix);
/* Takes an entry out of its chain, between begin and end. */
void bw_index_unlink(struct bw_index *ix, uint32_t entry);
/* The entry's number can be used again. */
void bw_index_free_entry(struct bw_index *ix, uint32_t entry);

/* ---- evict.c for index.c ---- */

void bw_evict_open(struct bw_index *ix, enum bw_protect protect);
void bw_evict_close(struct bw_index *ix);
/* A new entry: it gets its rank. */
void bw_evict_add(struct bw_index *ix, uint32_t entry);
/* The entry has been unlinked: its element leaves when it comes to the top. */
void bw_evict_bury(struct bw_index *ix, uint32_t entry);
uint16_t bw_evict_fetch_code(uint32_t ms);
uint32_t bw_evict_fetch_ms(uint16_t code); /* the smallest with that code */
