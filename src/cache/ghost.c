/*
 * ghost.c - a table of frequencies that forgets by itself.
 *
 * The bucket follows from the tag alone, so that a larger table is filled from a smaller one
 * without keys; a new bucket takes from two old ones, and what it has no room for is forgotten.  A
 * full bucket gives up what is least frequent, halved for every 16 eras of age, of equals the
 * oldest.
 */
#include "breakwater/cache/ghost.h"

#include "breakwater/base/mem.h"

#include <stdbool.h>
#include <stdlib.h>

enum { BUCKET = 4, FIRST_SLOTS = 64 };

static uint32_t tag_of(uint64_t key_prefix)
{
    return (uint32_t)(key_prefix >> 32) | 1;
}

static struct bw_ghost *bucket_of(const struct bw_ghosts *g, uint32_t tag)
{
    return g->slots + ((uint64_t)tag * (g->n / BUCKET) >> 32) * BUCKET;
}

void bw_ghosts_free(struct bw_ghosts *g)
{
    free(g->slots);
    *g = (struct bw_ghosts){0};
}

static void put_again(struct bw_ghosts *g, const struct bw_ghost *old)
{
    struct bw_ghost *b = bucket_of(g, old->tag);

    for (unsigned i = 0; i < BUCKET; i++) {
        if (b[i].tag == 0) {
            b[i] = *old;
            return;
        }
    }
}

/* Steps of a half: doubled, the index could take 68 bytes an object, not 64 (index.h). */
static uint32_t slots_for(uint32_t residents)
{
    uint64_t n = FIRST_SLOTS;

    while (n < residents)
        n = (n * 3 / 2 + BUCKET - 1) / BUCKET * BUCKET;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX / BUCKET * BUCKET;
}

void bw_ghosts_fit(struct bw_ghosts *g, uint32_t residents)
{
    if (g->n != 0 && g->n >= residents)
        return;
    struct bw_ghosts old = *g;
    g->n = slots_for(residents);
    g->slots = bw_zalloc(g->n * sizeof(*g->slots));
    for (uint32_t i = 0; i < old.n; i++)
        if (old.slots[i].tag != 0)
            put_again(g, &old.slots[i]);
    free(old.slots);
}

/* How much would be lost with it: smaller goes first. */
static uint64_t worth(const struct bw_ghost *s, uint16_t era)
{
    uint32_t age = (uint16_t)(era - s->era);
    uint32_t halvings = age / 16 < 15 ? age / 16 : 15;

    return s->tag == 0 ? 0 : (((uint64_t)s->f >> halvings) + 1) * 65536 - age;
}

void bw_ghost_put(struct bw_ghosts *g, uint64_t key_prefix, uint32_t f, uint16_t era)
{
    uint32_t tag = tag_of(key_prefix);
    uint64_t least = UINT64_MAX;
    struct bw_ghost *b = bucket_of(g, tag), *place = b;

    for (unsigned i = 0; i < BUCKET; i++) {
        uint64_t w = worth(&b[i], era);
        if (b[i].tag == tag) {
            place = &b[i];
            break;
        }
        if (w < least) {
            least = w;
            place = &b[i];
        }
    }
    *place = (struct bw_ghost){tag, (uint16_t)(f < UINT16_MAX ? f : UINT16_MAX), era};
}

uint32_t bw_ghost_take(struct bw_ghosts *g, uint64_t key_prefix)
{
    uint32_t tag = tag_of(key_prefix);
    struct bw_ghost *b = bucket_of(g, tag);

    for (unsigned i = 0; i < BUCKET; i++) {
        if (b[i].tag == tag) {
            b[i].tag = 0;
            return b[i].f;
        }
    }
    return 0;
}
