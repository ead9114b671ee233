/*
 * breakwater.c - the product's own index and eviction, as a policy.
 *
 * What the store's writer does with the index when an object has been fetched, without a store:
 * admit, evict, publish.  Sizes are not rounded up to pages, so that all policies have one measure.
 */
#include "breakwater/base/mem.h"
#include "breakwater/cache/evict.h"

#include "policies.h"

#include <stdlib.h>

enum { SEED = 42, SPARE_ENTRIES = 1024 };

struct breakwater {
    struct bw_index *index;
    uint64_t objid;
};

/* A page of the index: one byte, or more where an object has more bytes than it counts pages. */
static uint32_t granule_of(const struct bw_sim_trace *t)
{
    uint32_t granule = 1;

    while (t->largest / granule >= UINT32_MAX)
        granule *= 2;
    return granule;
}

static void *open_index(const struct bw_sim_trace *t, uint64_t room, bool bytes)
{
    struct breakwater *b = bw_zalloc(sizeof(*b));

    b->index = bw_index_new_with(&(struct bw_index_conf){
        .size = room,
        .granule = granule_of(t),
        .entries = t->used + SPARE_ENTRIES,
        .protect = bytes ? BW_PROTECT_BYTES : BW_PROTECT_REQUESTS,
    });
    bw_rand_seed(&b->index->evict.rand, SEED);
    return b;
}

static void close_index(void *cache)
{
    struct breakwater *b = cache;

    bw_index_free(b->index);
    free(b);
}

static struct bw_hash key_of(uint32_t object)
{
    static const struct bw_hash_secret secret = {.bytes = {1}};

    return bw_hash_128(bw_slice((const char *)&object, sizeof(object)), &secret);
}

static bool holds(const void *cache, uint32_t object)
{
    const struct breakwater *b = cache;
    struct bw_hash key = key_of(object);
    struct bw_index_hit hit;

    return bw_index_find(b->index, &key, &hit);
}

static uint64_t used(const void *cache)
{
    const struct breakwater *b = cache;

    return bw_index_used(b->index);
}

static void use(void *cache, const struct bw_sim_request *r)
{
    struct breakwater *b = cache;
    struct bw_hash key = key_of(r->object);
    struct bw_index_hit hit;

    if (bw_index_find(b->index, &key, &hit))
        bw_index_touch(b->index, &hit);
}

static bool never_pinned(void *ctx, uint64_t objid)
{
    (void)ctx;
    (void)objid;
    return false;
}

static void no_delete(void *ctx, const struct bw_index_victim *v)
{
    (void)ctx;
    (void)v;
}

static void fetch(void *cache, const struct bw_sim_request *r)
{
    static const struct bw_index_evictor evictor = {never_pinned, no_delete, NULL};
    struct breakwater *b = cache;
    struct bw_index_ask ask = {.key = key_of(r->object), .bytes = r->size, .now_s = r->second};
    struct bw_index_item item = {
        .key = ask.key, .objid = ++b->objid, .bytes = r->size, .expiry_s = r->expires};
    struct bw_index_grant grant;
    struct bw_index_victim old;

    if (bw_index_admit(b->index, &ask, &evictor, &grant))
        bw_index_publish(b->index, &item, &grant, &old);
}

const struct bw_sim_policy bw_sim_breakwater_requests = {
    .name = "breakwater:requests",
    .open = open_index,
    .holds = holds,
    .use = use,
    .fetch = fetch,
    .used = used,
    .close = close_index,
};
const struct bw_sim_policy bw_sim_breakwater_bytes = {
    .name = "breakwater:bytes",
    .open = open_index,
    .holds = holds,
    .use = use,
    .fetch = fetch,
    .used = used,
    .close = close_index,
    .bytes = true,
};
