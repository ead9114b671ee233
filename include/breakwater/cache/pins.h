/*
 * pins.h - objects that are being sent, so that eviction leaves them alone.
 *
 * A counting filter for each worker: pin() adds one at hash(objid), the writer asks all filters.
 * Two objects may share a counter: then one is kept a little longer, nothing else.
 *
 * The order makes it safe without a lock: a reader pins and then looks again whether the index
 * still has the entry; the writer takes the entry out of sight and then looks for pins.  Both with
 * sequential consistency, so at least one of them sees the other.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BW_PINS_SLOTS = 4096 };

struct bw_pins {
    _Atomic uint32_t slot[BW_PINS_SLOTS];
};

void bw_pin(struct bw_pins *p, uint64_t objid);   /* any thread, normally the owner of `p` */
void bw_unpin(struct bw_pins *p, uint64_t objid); /* any thread */
bool bw_pinned(const struct bw_pins *p, uint64_t objid);
