/*
 * replay.c - a trace through a policy: the cache is empty at first, and everything counts.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include "sim.h"

#include <stdlib.h>

static uint32_t expiry_of(const struct bw_sim_trace *t, uint32_t object, uint32_t now)
{
    uint32_t ttl = t->ttl != NULL ? t->ttl[object] : 0;

    return ttl == 0 || ttl >= BW_SIM_NEVER - now ? BW_SIM_NEVER : now + ttl;
}

/* A copy that will have expired is of no use to the next request: the bounds must know. */
static uint32_t useful_next(const struct bw_sim_trace *t, uint32_t i, uint32_t expires)
{
    uint32_t next = t->next[i];

    return next != BW_SIM_NEVER && bw_sim_second(t, next) < expires ? next : BW_SIM_NEVER;
}

struct bw_sim_result bw_sim_replay(const struct bw_sim_trace *t, const struct bw_sim_policy *p,
                                   uint64_t room)
{
    void *cache = p->open(t, room, p->bytes);
    uint32_t *expires = bw_zalloc(((size_t)t->objects + 1) * sizeof(*expires));
    struct bw_sim_result result = {0};

    for (uint32_t i = 0; i < t->requests; i++) {
        uint32_t o = t->object[i], now = bw_sim_second(t, i);
        bool fresh = p->holds(cache, o) && now < expires[o];
        if (!fresh)
            expires[o] = expiry_of(t, o, now);
        struct bw_sim_request r = {.index = i,
                                   .object = o,
                                   .next = useful_next(t, i, expires[o]),
                                   .second = now,
                                   .expires = expires[o],
                                   .size = t->size[o]};
        result.hits += fresh;
        result.hit_bytes += fresh ? (double)r.size : 0;
        if (fresh)
            p->use(cache, &r);
        else
            p->fetch(cache, &r);
        BW_ASSERT(p->used(cache) <= room);
    }
    p->close(cache);
    free(expires);
    result.requests = t->requests > 0 ? 100 * (double)result.hits / t->requests : 0;
    result.bytes = t->bytes > 0 ? 100 * result.hit_bytes / t->bytes : 0;
    return result;
}
