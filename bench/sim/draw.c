/*
 * draw.c - xorshift128+, and what is drawn by it.
 */
#include "draw.h"

#include "breakwater/base/mem.h"

#include <math.h>
#include <stdlib.h>

void bw_sim_draw_seed(struct bw_sim_draw *d, uint64_t seed)
{
    d->state[0] = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    d->state[1] = seed ^ UINT64_C(0xD1B54A32D192ED03);
}

uint64_t bw_sim_draw_next(struct bw_sim_draw *d)
{
    uint64_t a = d->state[0], b = d->state[1];

    d->state[0] = b;
    a ^= a << 23;
    d->state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return d->state[1] + b;
}

double bw_sim_draw_uniform(struct bw_sim_draw *d)
{
    return (double)(bw_sim_draw_next(d) >> 11) / 9007199254740992.0;
}

uint32_t bw_sim_draw_below(struct bw_sim_draw *d, uint32_t n)
{
    return (uint32_t)(((bw_sim_draw_next(d) >> 32) * n) >> 32);
}

double bw_sim_draw_normal(struct bw_sim_draw *d)
{
    double radius = sqrt(-2 * log(bw_sim_draw_uniform(d) + 1e-300));

    return radius * cos(6.283185307179586 * bw_sim_draw_uniform(d));
}

void bw_sim_draw_shuffle(struct bw_sim_draw *d, uint32_t *v, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = bw_sim_draw_next(d) % i;
        uint32_t x = v[i - 1];
        v[i - 1] = v[j];
        v[j] = x;
    }
}

void bw_sim_dist_add(struct bw_sim_dist *d, double value, double weight)
{
    if ((d->n & (d->n - 1)) == 0) {
        size_t room = d->n > 0 ? 2 * d->n : 1;
        d->value = bw_realloc(d->value, room * sizeof(*d->value));
        d->sum = bw_realloc(d->sum, room * sizeof(*d->sum));
    }
    d->value[d->n] = value;
    d->sum[d->n] = weight + (d->n > 0 ? d->sum[d->n - 1] : 0);
    d->n++;
}

size_t bw_sim_dist_pick(const struct bw_sim_dist *d, struct bw_sim_draw *draw)
{
    double x = bw_sim_draw_uniform(draw) * d->sum[d->n - 1];
    size_t lo = 0, hi = d->n - 1;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (d->sum[mid] > x)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

void bw_sim_dist_free(struct bw_sim_dist *d)
{
    free(d->value);
    free(d->sum);
    *d = (struct bw_sim_dist){0};
}
