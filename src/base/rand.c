/*
 * rand.c - xoroshiro128++ for choices (jitter, sampling, two choices), getrandom(2) for secrets.
 *
 * The generator is small and good, and anyone who sees its output can predict it: nothing that a
 * client must not guess comes from it.
 */
#include "breakwater/base/rand.h"

#include "breakwater/base/check.h"

#include <errno.h>
#include <sys/random.h>

static uint64_t rotate(uint64_t x, unsigned k)
{
    return (x << k) | (x >> (64 - k));
}

/* SplitMix64 spreads a seed, even a small one, over the whole state. */
static uint64_t spread(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void bw_rand_seed(struct bw_rand *r, uint64_t seed)
{
    r->state[0] = spread(&seed);
    r->state[1] = spread(&seed);
}

void bw_rand_init(struct bw_rand *r)
{
    uint64_t seed;

    bw_rand_secret(&seed, sizeof(seed));
    bw_rand_seed(r, seed);
}

uint64_t bw_rand_next(struct bw_rand *r)
{
    uint64_t a = r->state[0], b = r->state[1];

    r->state[0] = rotate(a, 49) ^ (a ^ b) ^ ((a ^ b) << 21);
    r->state[1] = rotate(a ^ b, 28);
    return rotate(a + b, 17) + a;
}

uint64_t bw_rand_below(struct bw_rand *r, uint64_t n)
{
    BW_ASSERT(n > 0);
    /* the last, incomplete round of n is thrown away, so that no number is preferred */
    uint64_t incomplete = (UINT64_MAX % n + 1) % n;
    uint64_t x;

    do {
        x = bw_rand_next(r);
    } while (x > UINT64_MAX - incomplete);
    return x % n;
}

void bw_rand_secret(void *out, size_t n)
{
    unsigned char *p = out;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0) {
            BW_ASSERT(errno == EINTR);
            continue;
        }
        p += got;
        n -= (size_t)got;
    }
}
