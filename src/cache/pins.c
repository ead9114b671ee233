/*
 * pins.c - a counting filter with one hash function.
 *
 * Everything is sequentially consistent: the argument of pins.h needs a store that no later load of
 * the same thread can pass.
 */
#include "breakwater/cache/pins.h"

#include "breakwater/base/check.h"

/* Numbers of objects follow each other, so a multiplication spreads them well enough. */
static unsigned slot_of(uint64_t objid)
{
    return (unsigned)((objid * UINT64_C(0x9E3779B97F4A7C15)) >> 52);
}

_Static_assert(BW_PINS_SLOTS == 1 << (64 - 52), "slot_of() gives 12 bits");

void bw_pin(struct bw_pins *p, uint64_t objid)
{
    atomic_fetch_add(&p->slot[slot_of(objid)], 1);
}

void bw_unpin(struct bw_pins *p, uint64_t objid)
{
    uint32_t before = atomic_fetch_sub(&p->slot[slot_of(objid)], 1);

    BW_ASSERT(before > 0);
}

bool bw_pinned(const struct bw_pins *p, uint64_t objid)
{
    return atomic_load(&p->slot[slot_of(objid)]) > 0;
}
