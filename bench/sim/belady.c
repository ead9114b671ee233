/*
 * belady.c - two bounds that know the future.  With sizes neither is the optimum (that is NP-hard);
 * they are what no policy without an oracle has come near.
 *
 * belady: who is asked for again last leaves first; for bytes.  belady-size: the longest way to the
 * next request times the size leaves first; for requests.  That order changes with every request,
 * so beyond SAMPLES objects it looks at as many of them drawn at random, and at the newcomer.
 */
#include "breakwater/base/mem.h"
#include "breakwater/base/rand.h"

#include "heap.h"
#include "policies.h"

#include <stdlib.h>

enum { SAMPLES = 128, SEED = 42 };

struct oracle {
    struct bw_sim_heap heap; /* by minus the next request; belady-size uses it as a set */
    const uint64_t *size;
    uint64_t room, used;
    struct bw_rand rand;
};

static void *open_oracle(const struct bw_sim_trace *t, uint64_t room, bool bytes)
{
    struct oracle *b = bw_zalloc(sizeof(*b));

    (void)bytes;
    bw_sim_heap_open(&b->heap, t->objects);
    bw_rand_seed(&b->rand, SEED);
    b->size = t->size;
    b->room = room;
    return b;
}

static void close_oracle(void *cache)
{
    struct oracle *b = cache;

    bw_sim_heap_close(&b->heap);
    free(b);
}

static bool holds(const void *cache, uint32_t object)
{
    const struct oracle *b = cache;

    return bw_sim_heap_has(&b->heap, object);
}

static uint64_t used(const void *cache)
{
    const struct oracle *b = cache;

    return b->used;
}

static void drop(struct oracle *b, uint32_t object)
{
    b->used -= b->size[object];
    bw_sim_heap_remove(&b->heap, object);
}

/* What is not asked for again leaves at once. */
static void use(void *cache, const struct bw_sim_request *r)
{
    struct oracle *b = cache;

    if (r->next == BW_SIM_NEVER)
        drop(b, r->object);
    else
        bw_sim_heap_set(&b->heap, r->object, -(double)r->next);
}

static uint32_t farthest(struct oracle *b, const struct bw_sim_request *r)
{
    (void)r;
    return bw_sim_heap_top(&b->heap);
}

static uint32_t farthest_by_size(struct oracle *b, const struct bw_sim_request *r)
{
    uint32_t victim = r->object, n = b->heap.n, looks = n < SAMPLES ? n : SAMPLES;
    double most = (double)(r->next - r->index) * (double)r->size;

    for (uint32_t i = 0; i < looks; i++) {
        uint64_t at = n <= SAMPLES ? i : bw_rand_below(&b->rand, n);
        uint32_t o = b->heap.heap[at];
        double cost = (-b->heap.key[o] - r->index) * (double)b->size[o];
        if (cost > most) {
            most = cost;
            victim = o;
        }
    }
    return victim;
}

static void fetch(struct oracle *b, const struct bw_sim_request *r,
                  uint32_t (*choose)(struct oracle *, const struct bw_sim_request *))
{
    if (holds(b, r->object))
        drop(b, r->object);
    if (r->size > b->room || r->next == BW_SIM_NEVER)
        return;
    b->used += r->size;
    bw_sim_heap_set(&b->heap, r->object, -(double)r->next);
    while (b->used > b->room)
        drop(b, choose(b, r));
}

static void fetch_belady(void *cache, const struct bw_sim_request *r)
{
    fetch(cache, r, farthest);
}

static void fetch_belady_size(void *cache, const struct bw_sim_request *r)
{
    fetch(cache, r, farthest_by_size);
}

const struct bw_sim_policy bw_sim_belady = {
    .name = "belady",
    .open = open_oracle,
    .holds = holds,
    .use = use,
    .fetch = fetch_belady,
    .used = used,
    .close = close_oracle,
    .bytes = true,
};
const struct bw_sim_policy bw_sim_belady_size = {
    .name = "belady-size",
    .open = open_oracle,
    .holds = holds,
    .use = use,
    .fetch = fetch_belady_size,
    .used = used,
    .close = close_oracle,
};
