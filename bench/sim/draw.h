/*
 * draw.h - numbers at random, the same ones every time.
 *
 * The generator and the order of draws are those of the simulation by which the policy was chosen
 * (docs/decisions), so the traces are the same request by request and figures can be compared.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bw_sim_draw {
    uint64_t state[2];
};

/* Weights of numbers, cumulated. */
struct bw_sim_dist {
    double *value, *sum;
    size_t n;
};

void bw_sim_draw_seed(struct bw_sim_draw *d, uint64_t seed);
uint64_t bw_sim_draw_next(struct bw_sim_draw *d);
double bw_sim_draw_uniform(struct bw_sim_draw *d); /* 0 <= x < 1 */
uint32_t bw_sim_draw_below(struct bw_sim_draw *d, uint32_t n);
double bw_sim_draw_normal(struct bw_sim_draw *d);
void bw_sim_draw_shuffle(struct bw_sim_draw *d, uint32_t *v, size_t n);

void bw_sim_dist_add(struct bw_sim_dist *d, double value, double weight);
size_t bw_sim_dist_pick(const struct bw_sim_dist *d, struct bw_sim_draw *draw); /* n > 0 */
void bw_sim_dist_free(struct bw_sim_dist *d);
