/*
 * ghost.h - what is remembered of objects that are not stored: their frequency, for a while
 * (eviction.md, 3 and 4).
 *
 * 6 bytes a slot, four slots a bucket, one slot to two for each resident.  A slot knows 32 bits of
 * the key: a rare mistake costs one wrong guess of worth.  The writer thread only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bw_ghost {
    uint16_t tag[2]; /* of a key, most significant half first; both 0: empty */
    uint8_t f;       /* exact below 32, then sixteen steps an octave */
    uint8_t era;     /* when it was put, modulo 256 */
};
_Static_assert(sizeof(struct bw_ghost) == 6, "64 bytes an object (decisions/0016)");

struct bw_ghosts {
    struct bw_ghost *slots;
    uint32_t n;
};

void bw_ghosts_free(struct bw_ghosts *g);
/* At least as many slots as residents, by doubling; what is remembered is kept. */
void bw_ghosts_fit(struct bw_ghosts *g, uint32_t residents);
void bw_ghost_put(struct bw_ghosts *g, uint64_t key_prefix, uint32_t f, uint16_t era);
/* The frequency remembered, up to a sixteenth too low, which is then forgotten; 0: none. */
uint32_t bw_ghost_take(struct bw_ghosts *g, uint64_t key_prefix);
