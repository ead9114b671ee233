/*
 * heap.c - exact order, for the policies that need it.
 */
#include "heap.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include <stdlib.h>

void bw_sim_heap_open(struct bw_sim_heap *h, uint32_t objects)
{
    size_t n = (size_t)objects + 1;

    *h = (struct bw_sim_heap){
        .key = bw_zalloc(n * sizeof(*h->key)),
        .at = bw_zalloc(n * sizeof(*h->at)),
        .heap = bw_alloc(n * sizeof(*h->heap)),
    };
}

void bw_sim_heap_close(struct bw_sim_heap *h)
{
    free(h->key);
    free(h->at);
    free(h->heap);
}

bool bw_sim_heap_has(const struct bw_sim_heap *h, uint32_t object)
{
    return h->at[object] != 0;
}

static void place(struct bw_sim_heap *h, uint32_t i, uint32_t object)
{
    h->heap[i] = object;
    h->at[object] = i + 1;
}

static uint32_t rise(struct bw_sim_heap *h, uint32_t i, double key)
{
    for (; i > 0 && h->key[h->heap[(i - 1) / 2]] > key; i = (i - 1) / 2)
        place(h, i, h->heap[(i - 1) / 2]);
    return i;
}

static uint32_t sink(struct bw_sim_heap *h, uint32_t i, double key)
{
    for (;;) {
        uint64_t child = 2 * (uint64_t)i + 1;
        if (child + 1 < h->n && h->key[h->heap[child + 1]] < h->key[h->heap[child]])
            child++;
        if (child >= h->n || h->key[h->heap[child]] >= key)
            return i;
        place(h, i, h->heap[child]);
        i = (uint32_t)child;
    }
}

void bw_sim_heap_set(struct bw_sim_heap *h, uint32_t object, double key)
{
    uint32_t i = bw_sim_heap_has(h, object) ? h->at[object] - 1 : h->n++;

    h->key[object] = key;
    place(h, sink(h, rise(h, i, key), key), object);
}

void bw_sim_heap_remove(struct bw_sim_heap *h, uint32_t object)
{
    uint32_t i = h->at[object] - 1, last = h->heap[--h->n];

    h->at[object] = 0;
    if (last != object)
        place(h, sink(h, rise(h, i, h->key[last]), h->key[last]), last);
}

uint32_t bw_sim_heap_top(const struct bw_sim_heap *h)
{
    BW_ASSERT(h->n > 0);
    return h->heap[0];
}
