/*
 * ghost.h - what is remembered of objects that are not stored: their frequency, for a while
 * (eviction.md, 3 and 4).
 *
 * 8 bytes a slot, four slots a bucket, as many slots as residents up to half as many again.  A slot
 * knows 32 bits of the key: a rare mistake costs one wrong guess of worth.  The writer thread only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bw_ghost {
    uint32_t tag; /* 0: empty */
    uint16_t f;
    uint16_t era; /* when it was put */
};

struct bw_ghosts {
    struct bw_ghost *slots;
    uint32_t n;
};

void bw_ghosts_free(struct bw_ghosts *g);
/* At least as many slots as residents, in steps of a half; what full buckets hold is kept. */
void bw_ghosts_fit(struct bw_ghosts *g, uint32_t residents);
void bw_ghost_put(struct bw_ghosts *g, uint64_t key_prefix, uint32_t f, uint16_t era);
/* The frequency remembered, which is then forgotten; 0: none. */
uint32_t bw_ghost_take(struct bw_ghosts *g, uint64_t key_prefix);
