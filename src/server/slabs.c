/*
 * slabs.c - a stack of slabs.
 */
#include "slabs.h"

#include "breakwater/base/mem.h"

#include <stdlib.h>

struct slab *bw_slab_take(struct bw_slabs *s)
{
    struct slab *slab = s->free;

    if (slab == NULL)
        slab = bw_alloc(sizeof(*slab));
    else {
        s->free = slab->next;
        s->kept--;
    }
    slab->used = 0;
    return slab;
}

void bw_slab_put(struct bw_slabs *s, struct slab *slab)
{
    if (s->kept == SLABS_KEPT) {
        free(slab);
        return;
    }
    slab->next = s->free;
    s->free = slab;
    s->kept++;
}

void *bw_slab_alloc(struct slab *slab, size_t n)
{
    size_t rounded = (n + 15) & ~(size_t)15;
    void *p = slab->bytes + slab->used;

    if (rounded < n || rounded > SLAB_SIZE - slab->used)
        return NULL;
    slab->used += rounded;
    return p;
}

void bw_slabs_dispose(struct bw_slabs *s)
{
    while (s->free != NULL)
        free(bw_slab_take(s));
}
