/*
 * cold.c - waiting for pages that are not in memory, so that no event loop waits for a disk.
 *
 * An io thread touches the pages and posts a message home.  The request may be gone by then, so the
 * item is on the heap and knows its request only as long as that lives.
 */
#include "breakwater/base/mem.h"

#include "request_priv.h"

#include <stdlib.h>

struct cold {
    struct bw_warm warm;
    struct bw_message message;
    struct bw_worker *w;
    struct bw_request *rq; /* NULL: it went away */
    enum step next;
};

enum { COLD_BYTES = 2 * BW_CHUNK_SIZE };

static void home(struct bw_message *m)
{
    struct cold *c = BW_CONTAINER_OF(m, struct cold, message);
    struct bw_request *rq = c->rq;
    enum step next = c->next;

    c->w->cold--;
    free(c);
    if (rq == NULL)
        return;
    rq->cold = NULL;
    bw_resume(rq, next);
}

static void warmed(struct bw_warm *w)
{
    struct cold *c = BW_CONTAINER_OF(w, struct cold, warm);

    bw_loop_post(c->w->loop, &c->message, home);
}

enum step bw_wait_for_pages(struct bw_request *rq, const struct bw_hash *key, uint64_t objid,
                            uint64_t offset, enum step next)
{
    struct cold *c = bw_zalloc(sizeof(*c));

    c->warm = (struct bw_warm){
        .done = warmed, .key = *key, .objid = objid, .offset = offset, .n = COLD_BYTES};
    c->w = rq->w;
    c->w->cold++; /* the worker does not end before its messages have come */
    c->rq = rq;
    c->next = next;
    rq->cold = c;
    if (!bw_store_warm(rq->w->lookup.store, &c->warm)) /* the queue is full: come back at once */
        bw_loop_post(c->w->loop, &c->message, home);
    return STEP_WAIT;
}

void bw_cold_abandon(struct bw_request *rq)
{
    if (rq->cold != NULL)
        rq->cold->rq = NULL;
    rq->cold = NULL;
}
