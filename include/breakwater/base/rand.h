/*
 * rand.h - randomness: a fast per-caller generator for choices, and the kernel's for secrets.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bw_rand {
    uint64_t state[2];
};

void bw_rand_seed(struct bw_rand *r, uint64_t seed); /* repeatable */
void bw_rand_init(struct bw_rand *r);                /* from the kernel */
uint64_t bw_rand_next(struct bw_rand *r);
uint64_t bw_rand_below(struct bw_rand *r, uint64_t n); /* 0 .. n-1, n > 0 */
void bw_rand_secret(void *out, size_t n); /* getrandom(2); aborts if the kernel cannot */
