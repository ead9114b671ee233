/*
 * trace.c - what follows from a trace as it was read or drawn.
 */
#include "breakwater/base/mem.h"

#include "sim.h"

#include <stdlib.h>
#include <string.h>

enum { REQUESTS_A_SECOND = 1000 }; /* where the trace does not say */

uint32_t bw_sim_second(const struct bw_sim_trace *t, uint32_t request)
{
    return t->second != NULL ? t->second[request] : request / REQUESTS_A_SECOND;
}

/* From the end: the last one seen is the next one. */
void bw_sim_trace_finish(struct bw_sim_trace *t)
{
    uint32_t *seen = bw_alloc(((size_t)t->objects + 1) * sizeof(*seen));

    memset(seen, 0xff, ((size_t)t->objects + 1) * sizeof(*seen));
    t->next = bw_alloc(((size_t)t->requests + 1) * sizeof(*t->next));
    t->used = 0;
    t->footprint = t->largest = 0;
    t->bytes = 0;
    for (uint32_t i = t->requests; i-- > 0;) {
        uint32_t o = t->object[i];
        t->next[i] = seen[o];
        if (seen[o] == BW_SIM_NEVER) {
            t->used++;
            t->footprint += t->size[o];
            t->largest = t->size[o] > t->largest ? t->size[o] : t->largest;
        }
        seen[o] = i;
        t->bytes += (double)t->size[o];
    }
    free(seen);
}

void bw_sim_trace_reduce(struct bw_sim_trace *t, uint32_t requests, uint32_t shrink)
{
    if (requests > 0 && requests < t->requests)
        t->requests = requests;
    for (uint32_t o = 0; shrink > 1 && o < t->objects; o++)
        t->size[o] = t->size[o] / shrink + 1;
    free(t->next);
    bw_sim_trace_finish(t);
}

void bw_sim_trace_free(struct bw_sim_trace *t)
{
    free(t->object);
    free(t->second);
    free(t->next);
    free(t->size);
    free(t->ttl);
    *t = (struct bw_sim_trace){0};
}
