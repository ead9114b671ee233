/*
 * index.c - the table of what is stored.
 *
 * Chained hashing that grows by one bucket at a time (linear hashing): no pause, and memory is
 * touched only as it is needed.  All arrays are reserved at their largest size; the kernel gives
 * pages when they are first written.  A bucket and the one it is split into have the same low bits,
 * so both are under the sequence count of one shard.
 *
 * Reading (bw_index_find): sequence count, walk, sequence count again; a difference or an odd count
 * means a change, and the walk is repeated.  What it reads is atomic, with acquire against the
 * writer's release, so a value from within a change cannot be taken for one from outside.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/cache/evict.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 4096, SPINS_BEFORE_YIELD = 512, STEPS_BEFORE_CHECK = 64 };

static void *reserve(size_t n)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    /* cppcheck-suppress invalidFunctionArg ; memory without a file has no descriptor */
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, -1, 0);

    BW_ASSERT(p != MAP_FAILED);
    return p;
}

static size_t entries_size(const struct bw_index *ix)
{
    return ((size_t)ix->capacity + 1) * sizeof(*ix->entries);
}

static size_t buckets_size(const struct bw_index *ix)
{
    return ((size_t)ix->capacity + BW_INDEX_SHARDS) * sizeof(*ix->buckets);
}

static size_t heap_size(const struct bw_index *ix)
{
    return ((size_t)ix->capacity + 1) * sizeof(*ix->evict.heap);
}

struct bw_index *bw_index_new_with(const struct bw_index_conf *conf)
{
    struct bw_index *ix = aligned_alloc(64, sizeof(*ix));

    BW_ASSERT(ix != NULL);
    memset(ix, 0, sizeof(*ix));
    ix->granule = conf->granule;
    ix->budget = conf->size / conf->granule;
    ix->capacity = ix->limit = conf->entries;
    ix->entries = reserve(entries_size(ix));
    ix->buckets = reserve(buckets_size(ix));
    atomic_store(&ix->buckets_n, BW_INDEX_SHARDS);
    ix->evict.heap = reserve(heap_size(ix));
    bw_evict_open(ix, conf->protect);
    return ix;
}

struct bw_index *bw_index_new(uint64_t size, enum bw_protect protect)
{
    uint64_t entries = size / PAGE + 1024;

    return bw_index_new_with(&(struct bw_index_conf){
        .size = size,
        .granule = PAGE,
        .entries = entries < INT32_MAX ? (uint32_t)entries : INT32_MAX,
        .protect = protect,
    });
}

void bw_index_free(struct bw_index *ix)
{
    struct bw_evict_elem *heap = ix->evict.heap;
    void *buckets;

    memcpy(&buckets, &ix->buckets, sizeof(buckets)); /* without the `_Atomic` of what is there */
    bw_evict_close(ix);
    munmap(heap, heap_size(ix));
    munmap(buckets, buckets_size(ix));
    munmap(ix->entries, entries_size(ix));
    free(ix);
}

/* ---- any thread ---- */

static uint32_t bucket_of(uint64_t prefix, uint32_t buckets_n)
{
    uint32_t mask = UINT32_MAX >> __builtin_clz(buckets_n - 1);
    uint32_t b = (uint32_t)prefix & mask;

    return b < buckets_n ? b : b & (mask >> 1);
}

static const _Atomic uint32_t *seq_of(const struct bw_index *ix, uint64_t prefix)
{
    return &ix->seq[prefix & (BW_INDEX_SHARDS - 1)];
}

/*
 * The entry of that prefix, 0: none; hidden ones count only if asked for.  A walk that is led
 * astray by a change may run in a circle: it looks at the sequence count from time to time.
 */
static uint32_t walk(const struct bw_index *ix, uint64_t prefix, uint32_t seq, uint64_t *ident)
{
    uint32_t n = atomic_load_explicit(&ix->buckets_n, memory_order_acquire);
    uint32_t i = atomic_load_explicit(&ix->buckets[bucket_of(prefix, n)], memory_order_acquire);

    for (unsigned steps = 1; i != 0; steps++) {
        const struct bw_index_entry *e = &ix->entries[i];
        if (atomic_load_explicit(&e->prefix, memory_order_acquire) == prefix) {
            *ident = atomic_load(&e->ident);
            return i;
        }
        i = atomic_load_explicit(&e->next, memory_order_acquire);
        if (steps % STEPS_BEFORE_CHECK == 0 && atomic_load(seq_of(ix, prefix)) != seq)
            return 0;
    }
    return 0;
}

static void pause_reader(unsigned spins)
{
    if (spins % SPINS_BEFORE_YIELD == SPINS_BEFORE_YIELD - 1)
        sched_yield(); /* the writer has lost its core in the middle of a change */
    else
        __builtin_ia32_pause();
}

/*
 * The second look of a reader that has pinned (pins.h) is a sequentially consistent load of the
 * count, as is the writer's change of it before it asks for pins.
 */
bool bw_index_find(const struct bw_index *ix, const struct bw_hash *key, struct bw_index_hit *hit)
{
    uint64_t prefix = bw_hash_prefix(key);
    const _Atomic uint32_t *seq = seq_of(ix, prefix);

    for (unsigned spins = 0;; spins++) {
        uint32_t before = atomic_load(seq), expiry = 0;
        uint64_t ident = 0;
        if (BW_UNLIKELY(before & 1)) {
            pause_reader(spins);
            continue;
        }
        uint32_t i = walk(ix, prefix, before, &ident);
        if (i != 0)
            expiry = atomic_load_explicit(&ix->entries[i].expiry_s, memory_order_acquire);
        if (BW_UNLIKELY(atomic_load(seq) != before))
            continue;
        if (i == 0 || bw_index_flags(ident) & BW_INDEX_HIDDEN)
            return false;
        *hit = (struct bw_index_hit){
            .objid = bw_index_objid(ident),
            .entry = i,
            .expiry_s = expiry,
            .verified = bw_index_flags(ident) & BW_INDEX_VERIFIED,
        };
        return true;
    }
}

void bw_index_touch(struct bw_index *ix, const struct bw_index_hit *hit)
{
    struct bw_index_entry *e = &ix->entries[hit->entry];

    /* the entry may have changed hands between the two lines: that one hit too many does no harm */
    if (bw_index_objid(atomic_load_explicit(&e->ident, memory_order_relaxed)) != hit->objid)
        return;
    uint8_t hits = __atomic_load_n(bw_index_hits(e), __ATOMIC_RELAXED);
    if (hits < UINT8_MAX)
        __atomic_store_n(bw_index_hits(e), (uint8_t)(hits + 1), __ATOMIC_RELAXED);
}

/* A flag for that object and no other, whoever has the entry by now. */
static bool set_flag(struct bw_index_entry *e, uint64_t objid, enum bw_index_flag flag)
{
    uint64_t ident = atomic_load(&e->ident);

    do {
        if (bw_index_objid(ident) != objid || bw_index_flags(ident) & BW_INDEX_DEAD)
            return false;
    } while (!atomic_compare_exchange_weak(&e->ident, &ident, ident | (uint64_t)flag << 8));
    return true;
}

void bw_index_verified(struct bw_index *ix, const struct bw_index_hit *hit)
{
    set_flag(&ix->entries[hit->entry], hit->objid, BW_INDEX_VERIFIED);
}

bool bw_index_clear(struct bw_index *ix, const struct bw_hash *key, uint64_t objid)
{
    struct bw_index_hit hit;

    return bw_index_find(ix, key, &hit) && hit.objid == objid &&
           set_flag(&ix->entries[hit.entry], objid, BW_INDEX_HIDDEN);
}

uint64_t bw_index_count(const struct bw_index *ix)
{
    return atomic_load_explicit(&ix->count, memory_order_relaxed);
}

uint64_t bw_index_used(const struct bw_index *ix)
{
    return atomic_load_explicit(&ix->used, memory_order_relaxed) * ix->granule;
}

uint64_t bw_index_memory(const struct bw_index *ix)
{
    return atomic_load_explicit(&ix->memory, memory_order_relaxed);
}

uint64_t bw_index_charge(const struct bw_index *ix, uint64_t more)
{
    uint64_t taken = bw_index_memory(ix), entries = bw_index_count(ix) * BW_INDEX_ENTRY;

    return (taken > entries ? taken : entries) + more * BW_INDEX_ENTRY;
}

/* ---- the writer ---- */

void bw_index_begin(struct bw_index *ix, uint64_t prefix)
{
    atomic_fetch_add(&ix->seq[prefix & (BW_INDEX_SHARDS - 1)], 1);
}

void bw_index_end(struct bw_index *ix, uint64_t prefix)
{
    atomic_fetch_add(&ix->seq[prefix & (BW_INDEX_SHARDS - 1)], 1);
}

static void set_u32(_Atomic uint32_t *at, uint32_t value)
{
    atomic_store_explicit(at, value, memory_order_release);
}

/* Plain additions: only the writer changes these figures. */
static void add(_Atomic uint64_t *figure, uint64_t n)
{
    atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static void note_memory(struct bw_index *ix)
{
    uint64_t n = (uint64_t)ix->high * (sizeof(*ix->entries) + sizeof(*ix->evict.heap)) +
                 (uint64_t)ix->buckets_n * sizeof(*ix->buckets) +
                 (uint64_t)ix->evict.ghosts.n * sizeof(struct bw_ghost);

    atomic_store_explicit(&ix->memory, n, memory_order_relaxed);
}

/* Where the number of the entry stands: in its bucket or in the entry before it. */
static _Atomic uint32_t *link_to(struct bw_index *ix, uint32_t entry)
{
    uint64_t prefix = ix->entries[entry].prefix;
    _Atomic uint32_t *at = &ix->buckets[bucket_of(prefix, ix->buckets_n)];

    while (*at != entry) {
        BW_ASSERT(*at != 0);
        at = &ix->entries[*at].next;
    }
    return at;
}

void bw_index_unlink(struct bw_index *ix, uint32_t entry)
{
    set_u32(link_to(ix, entry), ix->entries[entry].next);
    add(&ix->count, UINT64_MAX);
    add(&ix->used, 0 - (uint64_t)ix->entries[entry].pages);
}

void bw_index_free_entry(struct bw_index *ix, uint32_t entry)
{
    struct bw_index_entry *e = &ix->entries[entry];

    atomic_store(&e->ident, (uint64_t)BW_INDEX_DEAD << 8);
    set_u32(&e->next, ix->free);
    ix->free = entry;
}

/* One more bucket: the next in turn is split in two. */
static void split(struct bw_index *ix)
{
    uint32_t n = ix->buckets_n, half = (UINT32_MAX >> __builtin_clz(n)) / 2 + 1, from = n - half;
    uint32_t keep = 0, move = 0, next;

    bw_index_begin(ix, from);
    for (uint32_t i = ix->buckets[from]; i != 0; i = next) {
        struct bw_index_entry *e = &ix->entries[i];
        uint32_t *list = bucket_of(e->prefix, n + 1) == n ? &move : &keep;
        next = e->next;
        set_u32(&e->next, *list);
        *list = i;
    }
    set_u32(&ix->buckets[from], keep);
    set_u32(&ix->buckets[n], move);
    set_u32(&ix->buckets_n, n + 1);
    bw_index_end(ix, from);
}

/* The writer's own look, which nothing can disturb; hidden entries too. */
static uint32_t find_entry(struct bw_index *ix, const struct bw_hash *key)
{
    uint64_t ident;

    return walk(ix, bw_hash_prefix(key), *seq_of(ix, bw_hash_prefix(key)), &ident);
}

static uint32_t take_entry(struct bw_index *ix)
{
    uint32_t i = ix->free;

    if (i == 0) {
        BW_ASSERT(ix->high < ix->capacity);
        return ++ix->high;
    }
    ix->free = ix->entries[i].next;
    return i;
}

static uint64_t pages_of(const struct bw_index *ix, uint64_t bytes)
{
    uint64_t pages = (bytes + ix->granule - 1) / ix->granule;

    BW_ASSERT(pages > 0 && pages <= UINT32_MAX);
    return pages;
}

static void insert(struct bw_index *ix, const struct bw_index_item *item, uint32_t f,
                   unsigned flags)
{
    uint64_t prefix = bw_hash_prefix(&item->key);
    uint32_t i = take_entry(ix);
    struct bw_index_entry *e = &ix->entries[i];
    _Atomic uint32_t *bucket = &ix->buckets[bucket_of(prefix, ix->buckets_n)];

    e->pages = (uint32_t)pages_of(ix, item->bytes);
    e->f = (uint16_t)(f < UINT16_MAX ? f : UINT16_MAX);
    e->fetch = bw_evict_fetch_code(item->fetch_ms);
    bw_index_begin(ix, prefix);
    atomic_store_explicit(&e->prefix, prefix, memory_order_release);
    atomic_store(&e->ident, item->objid << 16 | (uint64_t)flags << 8);
    set_u32(&e->expiry_s, item->expiry_s);
    set_u32(&e->next, *bucket);
    set_u32(bucket, i);
    bw_index_end(ix, prefix);
    add(&ix->count, 1);
    add(&ix->used, e->pages);
    bw_evict_add(ix, i);
    if (bw_index_count(ix) > ix->buckets_n && ix->buckets_n < ix->capacity)
        split(ix);
    note_memory(ix);
}

static void delete (struct bw_index *ix, uint32_t i)
{
    struct bw_index_entry *e = &ix->entries[i];
    uint64_t prefix = e->prefix;

    bw_index_begin(ix, prefix);
    bw_index_unlink(ix, i);
    atomic_store(&e->ident, (uint64_t)BW_INDEX_DEAD << 8);
    bw_index_end(ix, prefix);
    bw_evict_bury(ix, i);
}

/*
 * The key was in the index before: body and expiry change, frequency and rank stay
 * (eviction.md, 4.5); the time of a fetch is averaged, three quarters old.
 */
static void replace(struct bw_index *ix, uint32_t i, const struct bw_index_item *item)
{
    struct bw_index_entry *e = &ix->entries[i];
    uint64_t kept = e->ident & ((uint64_t)BW_INDEX_RETURNED << 8 | 0xff);
    uint64_t pages = pages_of(ix, item->bytes);

    e->fetch = bw_evict_fetch_code(
        (uint32_t)((3 * (uint64_t)bw_evict_fetch_ms(e->fetch) + item->fetch_ms) / 4));
    add(&ix->used, pages - e->pages);
    e->pages = (uint32_t)pages;
    bw_index_begin(ix, e->prefix);
    atomic_store(&e->ident, item->objid << 16 | (uint64_t)BW_INDEX_VERIFIED << 8 | kept);
    set_u32(&e->expiry_s, item->expiry_s);
    bw_index_end(ix, e->prefix);
}

void bw_index_publish(struct bw_index *ix, const struct bw_index_item *item,
                      struct bw_index_grant *grant, struct bw_index_victim *old)
{
    uint32_t i = find_entry(ix, &item->key);
    unsigned flags = BW_INDEX_VERIFIED | (grant->returned ? BW_INDEX_RETURNED : 0);

    *old = (struct bw_index_victim){.key_prefix = bw_hash_prefix(&item->key)};
    if (i != 0) {
        old->objid = bw_index_objid(ix->entries[i].ident);
        old->bytes = (uint64_t)ix->entries[i].pages * ix->granule;
    }
    if (i != 0 && bw_index_flags(ix->entries[i].ident) & BW_INDEX_HIDDEN) {
        delete (ix, i);
        i = 0;
    }
    if (i != 0)
        replace(ix, i, item);
    else
        insert(ix, item, grant->f, flags);
    bw_index_release(ix, grant);
}

void bw_index_refresh(struct bw_index *ix, const struct bw_hash *key, uint64_t objid,
                      uint32_t expiry_s)
{
    uint32_t i = find_entry(ix, key);

    if (i != 0 && bw_index_objid(ix->entries[i].ident) == objid)
        set_u32(&ix->entries[i].expiry_s, expiry_s);
}

bool bw_index_remove(struct bw_index *ix, const struct bw_hash *key, uint64_t objid)
{
    uint32_t i = find_entry(ix, key);

    if (i == 0 || bw_index_objid(ix->entries[i].ident) != objid)
        return false;
    delete (ix, i);
    return true;
}

/* The middle of what has that logarithm: 1.5 * 2^k. */
static uint32_t frequency_of(uint8_t log2)
{
    if (log2 == 0)
        return 1;
    return 3U << ((log2 < 15 ? log2 : 15) - 1);
}

bool bw_index_load(struct bw_index *ix, const struct bw_index_item *item)
{
    if (find_entry(ix, &item->key) != 0 || ix->evict.n + ix->grants >= ix->limit)
        return false;
    insert(ix, item, frequency_of(item->frequency_log2), 0);
    return true;
}

void bw_index_forget(struct bw_index *ix)
{
    for (uint32_t i = 1; i <= ix->high; i++)
        if (!(bw_index_flags(ix->entries[i].ident) & BW_INDEX_DEAD))
            delete (ix, i);
}

void bw_index_hold(struct bw_index *ix, uint64_t bytes)
{
    ix->held = (bytes + ix->granule - 1) / ix->granule;
}

void bw_index_limit(struct bw_index *ix, uint64_t entries)
{
    ix->limit = entries < ix->capacity ? (uint32_t)entries : ix->capacity;
}

void bw_index_walk(const struct bw_index *ix, bw_index_walk_fn each, void *ctx)
{
    for (uint32_t i = 1; i <= ix->high; i++) {
        struct bw_index_entry *e = &ix->entries[i];
        uint32_t f = (uint32_t)e->f + *bw_index_hits(e);
        if (!(bw_index_flags(e->ident) & BW_INDEX_DEAD))
            each(ctx, e->prefix, (uint8_t)(31 - __builtin_clz(f | 1)));
    }
}
