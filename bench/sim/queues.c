/*
 * queues.c - the policies that keep order in lists: LRU, FIFO, S3-FIFO.
 *
 * S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi, SOSP 2023), by bytes: a small queue with a tenth of the
 * room takes newcomers; what was used twice in it moves to the main queue, the rest leaves a ghost;
 * who comes back while its ghost is there goes to the main queue at once.
 */
#include "breakwater/base/mem.h"

#include "policies.h"

#include <stdlib.h>

enum { SMALL_SHARE = 10, FREQUENCY_MAX = 3 };
enum place { NOWHERE, SMALL, MAIN, GHOST, PLACES };

#define NOBODY UINT32_MAX

struct list {
    uint32_t head, tail; /* newest, oldest */
    uint64_t bytes;
};

struct link {
    uint32_t newer, older;
    uint8_t place, used;
};

struct queues {
    const uint64_t *size;
    uint64_t room;
    struct link *link;
    struct list list[PLACES];
};

static void *open_queues(const struct bw_sim_trace *t, uint64_t room, bool bytes)
{
    struct queues *q = bw_zalloc(sizeof(*q));

    (void)bytes;
    q->size = t->size;
    q->room = room;
    q->link = bw_zalloc(((size_t)t->objects + 1) * sizeof(*q->link));
    for (unsigned i = 0; i < PLACES; i++)
        q->list[i] = (struct list){NOBODY, NOBODY, 0};
    return q;
}

static void close_queues(void *cache)
{
    struct queues *q = cache;

    free(q->link);
    free(q);
}

static bool holds(const void *cache, uint32_t object)
{
    const struct queues *q = cache;

    return q->link[object].place == SMALL || q->link[object].place == MAIN;
}

static uint64_t used(const void *cache)
{
    const struct queues *q = cache;

    return q->list[SMALL].bytes + q->list[MAIN].bytes;
}

static void take(struct queues *q, uint32_t object)
{
    struct link *l = &q->link[object];
    struct list *list = &q->list[l->place];

    *(l->newer != NOBODY ? &q->link[l->newer].older : &list->head) = l->older;
    *(l->older != NOBODY ? &q->link[l->older].newer : &list->tail) = l->newer;
    list->bytes -= q->size[object];
    l->place = NOWHERE;
}

static void put(struct queues *q, enum place place, uint32_t object)
{
    struct link *l = &q->link[object];
    struct list *list = &q->list[place];

    l->older = list->head;
    l->newer = NOBODY;
    *(list->head != NOBODY ? &q->link[list->head].newer : &list->tail) = object;
    list->head = object;
    list->bytes += q->size[object];
    l->place = (uint8_t)place;
}

/* ---- LRU and FIFO ---- */

static void fifo_use(void *cache, const struct bw_sim_request *r)
{
    (void)cache;
    (void)r;
}

static void lru_use(void *cache, const struct bw_sim_request *r)
{
    take(cache, r->object);
    put(cache, MAIN, r->object);
}

/* What has expired is stored anew, as the newest. */
static void plain_fetch(void *cache, const struct bw_sim_request *r)
{
    struct queues *q = cache;

    if (holds(q, r->object))
        take(q, r->object);
    if (r->size > q->room)
        return;
    while (used(q) + r->size > q->room)
        take(q, q->list[MAIN].tail);
    put(q, MAIN, r->object);
}

/* ---- S3-FIFO ---- */

static void s3_use(void *cache, const struct bw_sim_request *r)
{
    struct queues *q = cache;
    struct link *l = &q->link[r->object];

    if (l->used < FREQUENCY_MAX)
        l->used++;
}

static void leave_ghost(struct queues *q, uint32_t object)
{
    put(q, GHOST, object);
    while (q->list[GHOST].bytes > q->room / SMALL_SHARE * (SMALL_SHARE - 1))
        take(q, q->list[GHOST].tail);
}

static void shrink_small(struct queues *q)
{
    uint32_t oldest = q->list[SMALL].tail;

    take(q, oldest);
    if (q->link[oldest].used > 1) {
        q->link[oldest].used = 0;
        put(q, MAIN, oldest);
    } else {
        leave_ghost(q, oldest);
    }
}

static void shrink_main(struct queues *q)
{
    uint32_t oldest = q->list[MAIN].tail;

    take(q, oldest);
    if (q->link[oldest].used > 0) {
        q->link[oldest].used--;
        put(q, MAIN, oldest);
    }
}

static void s3_fetch(void *cache, const struct bw_sim_request *r)
{
    struct queues *q = cache;

    if (r->size > q->room)
        return;
    if (holds(q, r->object)) {
        s3_use(q, r);
        return;
    }
    while (used(q) + r->size > q->room) {
        if (q->list[SMALL].bytes >= q->room / SMALL_SHARE || q->list[MAIN].tail == NOBODY)
            shrink_small(q);
        else
            shrink_main(q);
    }
    bool returned = q->link[r->object].place == GHOST;
    if (returned)
        take(q, r->object);
    q->link[r->object].used = 0;
    put(q, returned ? MAIN : SMALL, r->object);
}

const struct bw_sim_policy bw_sim_lru = {
    .name = "lru",
    .open = open_queues,
    .holds = holds,
    .use = lru_use,
    .fetch = plain_fetch,
    .used = used,
    .close = close_queues,
};
const struct bw_sim_policy bw_sim_fifo = {
    .name = "fifo",
    .open = open_queues,
    .holds = holds,
    .use = fifo_use,
    .fetch = plain_fetch,
    .used = used,
    .close = close_queues,
};
const struct bw_sim_policy bw_sim_s3fifo = {
    .name = "s3-fifo",
    .open = open_queues,
    .holds = holds,
    .use = s3_use,
    .fetch = s3_fetch,
    .used = used,
    .close = close_queues,
};
