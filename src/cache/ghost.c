/*
 * ghost.c - a table of frequencies that forgets by itself.
 *
 * The bucket follows from the tag alone, so that a larger table is filled from a smaller one
 * without keys: the slots of a bucket go to two.  A full bucket gives up what is least frequent,
 * halved for every 16 eras of age, of equals the oldest.
 */
#include "breakwater/cache/ghost.h"

#include "breakwater/base/mem.h"

#include <stdbool.h>
#include <stdlib.h>

enum { BUCKET = 4, FIRST_SLOTS = 64 };

/* Never 0. */
static uint32_t tag_of(uint64_t key_prefix)
{
    return (uint32_t)(key_prefix >> 32) | 1;
}

/* 0: empty */
static uint32_t tag_in(const struct bw_ghost *s)
{
    return (uint32_t)s->tag[0] << 16 | s->tag[1];
}

static uint8_t encode(uint32_t f)
{
    if (f < 32)
        return (uint8_t)f;
    f = f < UINT16_MAX ? f : UINT16_MAX;
    uint32_t octave = 31U - (uint32_t)__builtin_clz(f);
    return (uint8_t)(32 + (octave - 5) * 16 + (f >> (octave - 4)) % 16);
}

static uint32_t decode(uint8_t code)
{
    if (code < 32)
        return code;
    return (uint32_t)(16 + code % 16) << (code / 16 - 1);
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
    struct bw_ghost *b = bucket_of(g, tag_in(old));

    for (unsigned i = 0; i < BUCKET; i++) {
        if (tag_in(&b[i]) == 0) {
            b[i] = *old;
            return;
        }
    }
}

static uint32_t slots_for(uint32_t residents)
{
    uint64_t n = FIRST_SLOTS;

    while (n < residents)
        n *= 2;
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
        if (tag_in(&old.slots[i]) != 0)
            put_again(g, &old.slots[i]);
    free(old.slots);
}

/*
 * How much would be lost with it: smaller goes first.  After 240 eras nothing is left of any
 * frequency, and it is the first to go, so the count of eras may begin again after 256.
 */
static uint64_t worth(const struct bw_ghost *s, uint16_t era)
{
    uint32_t age = (uint8_t)(era - s->era);

    return tag_in(s) == 0 ? 0 : (((uint64_t)decode(s->f) >> age / 16) + 1) * 65536 - age;
}

void bw_ghost_put(struct bw_ghosts *g, uint64_t key_prefix, uint32_t f, uint16_t era)
{
    uint32_t tag = tag_of(key_prefix);
    uint64_t least = UINT64_MAX;
    struct bw_ghost *b = bucket_of(g, tag), *place = b;

    for (unsigned i = 0; i < BUCKET; i++) {
        uint64_t w = worth(&b[i], era);
        if (tag_in(&b[i]) == tag) {
            place = &b[i];
            break;
        }
        if (w < least) {
            least = w;
            place = &b[i];
        }
    }
    *place = (struct bw_ghost){
        .tag = {(uint16_t)(tag >> 16), (uint16_t)tag}, .f = encode(f), .era = (uint8_t)era};
}

uint32_t bw_ghost_take(struct bw_ghosts *g, uint64_t key_prefix)
{
    uint32_t tag = tag_of(key_prefix);
    struct bw_ghost *b = bucket_of(g, tag);

    for (unsigned i = 0; i < BUCKET; i++) {
        if (tag_in(&b[i]) == tag) {
            uint32_t f = decode(b[i].f);
            b[i] = (struct bw_ghost){0};
            return f;
        }
    }
    return 0;
}
