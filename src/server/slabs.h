/*
 * slabs.h - the memory of requests under way: one slab each, used again at once by the next.
 *
 * A slab holds the request and, behind it, what its steps allocate (key, record, fields of the
 * reply).  The free list is a stack, so a hit runs in memory that is still in the processor's cache
 * and calls neither malloc() nor free().  What does not fit goes to the exchange's pool.  One list
 * for each worker, on its thread.
 */
#pragma once

#include <stddef.h>

enum { SLAB_SIZE = 6144, SLABS_KEPT = 256 };

struct slab {
    struct slab *next;
    size_t used; /* of bytes */
    _Alignas(16) char bytes[SLAB_SIZE];
};

struct bw_slabs {
    struct slab *free;
    unsigned kept;
};

struct slab *bw_slab_take(struct bw_slabs *s);
void bw_slab_put(struct bw_slabs *s, struct slab *slab);
/* Room in the slab, aligned for any type; NULL: it does not fit. */
void *bw_slab_alloc(struct slab *slab, size_t n);
void bw_slabs_dispose(struct bw_slabs *s);
