/*
 * gdsf.c - GDSF (Cherkasova, HP Labs 1998) with an exact heap: L + uses x worth / size.
 *
 * For requests an object is worth 1, for bytes its size, which makes it LFU with dynamic ageing.
 * What leaves is forgotten.
 */
#include "breakwater/base/mem.h"

#include "heap.h"
#include "policies.h"

#include <stdlib.h>

struct gdsf {
    struct bw_sim_heap heap;
    const uint64_t *size;
    uint32_t *uses;
    uint64_t room, used;
    double level; /* L */
    bool bytes;
};

static void *open_gdsf(const struct bw_sim_trace *t, uint64_t room, bool bytes)
{
    struct gdsf *g = bw_zalloc(sizeof(*g));

    bw_sim_heap_open(&g->heap, t->objects);
    g->size = t->size;
    g->uses = bw_zalloc(((size_t)t->objects + 1) * sizeof(*g->uses));
    g->room = room;
    g->bytes = bytes;
    return g;
}

static void close_gdsf(void *cache)
{
    struct gdsf *g = cache;

    bw_sim_heap_close(&g->heap);
    free(g->uses);
    free(g);
}

static bool holds(const void *cache, uint32_t object)
{
    const struct gdsf *g = cache;

    return bw_sim_heap_has(&g->heap, object);
}

static uint64_t used(const void *cache)
{
    const struct gdsf *g = cache;

    return g->used;
}

static void use(void *cache, const struct bw_sim_request *r)
{
    struct gdsf *g = cache;
    double worth = g->bytes ? 1 : 1 / (double)r->size;

    g->uses[r->object]++;
    bw_sim_heap_set(&g->heap, r->object, g->level + g->uses[r->object] * worth);
}

/* The newcomer may be the first to leave: there is no admission. */
static void fetch(void *cache, const struct bw_sim_request *r)
{
    struct gdsf *g = cache;

    if (r->size > g->room)
        return;
    if (!holds(g, r->object)) {
        g->uses[r->object] = 0;
        g->used += r->size;
    }
    use(g, r);
    while (g->used > g->room) {
        uint32_t victim = bw_sim_heap_top(&g->heap);
        g->level = g->heap.key[victim];
        g->used -= g->size[victim];
        bw_sim_heap_remove(&g->heap, victim);
    }
}

const struct bw_sim_policy bw_sim_gdsf = {
    .name = "gdsf",
    .open = open_gdsf,
    .holds = holds,
    .use = use,
    .fetch = fetch,
    .used = used,
    .close = close_gdsf,
};
const struct bw_sim_policy bw_sim_lfuda = {
    .name = "lfu-da",
    .open = open_gdsf,
    .holds = holds,
    .use = use,
    .fetch = fetch,
    .used = used,
    .close = close_gdsf,
    .bytes = true,
};
