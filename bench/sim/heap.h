/*
 * heap.h - a heap of objects that knows where each of them is: the smallest key is on top.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bw_sim_heap {
    double *key;    /* of each object */
    uint32_t *at;   /* of each object: its place and one, 0: not in the heap */
    uint32_t *heap; /* objects */
    uint32_t n;
};

void bw_sim_heap_open(struct bw_sim_heap *h, uint32_t objects);
void bw_sim_heap_close(struct bw_sim_heap *h);
bool bw_sim_heap_has(const struct bw_sim_heap *h, uint32_t object);
void bw_sim_heap_set(struct bw_sim_heap *h, uint32_t object, double key); /* in, or moved */
void bw_sim_heap_remove(struct bw_sim_heap *h, uint32_t object);
uint32_t bw_sim_heap_top(const struct bw_sim_heap *h); /* it is not empty */
