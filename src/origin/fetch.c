/*
 * fetch.c - the life of one fetch, from the choice of a server to its last callback.
 *
 *     start -+-> waiting ----+-> opening -> talking -+-> end, upgraded
 *            |   (queue)     |      ^          |     |
 *            +---------------+      +-- again -+     `-> fail
 *
 * Again: on a fresh connection to the same server when a kept one turns out to be dead, once and
 * without asking the budget; on another server when none could be reached, as often as the pool
 * allows and its retry budget holds.  What decides is whether the server can have seen the request:
 * a connection that was never made (or was refused by TLS) has seen nothing, so any method may go
 * elsewhere; a request that went out and got no byte back is repeated only if that is harmless
 * (RFC 9110, 9.2.2; RFC 9112, 9.3.1).
 */
#include "breakwater/origin/fetch.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include "fetch_priv.h"

#include <stdlib.h>

static void assign(struct bw_fetch *f);

static void release_connection(struct bw_fetch *f)
{
    struct bw_connection *c = f->connection;

    f->connection = NULL;
    if (c != NULL)
        bw_server_drop(c);
}

static void destroy(struct bw_fetch *f)
{
    struct bw_origin *o = f->pool->origin;

    bw_timer_stop(&f->timer);
    bw_next_cancel(&f->next);
    bw_pool_leave(f->pool, &f->waiter);
    release_connection(f);
    bw_buf_free(&f->out.pending);
    bw_buf_free(&f->out.flight);
    h2o_mem_clear_pool(&f->memory);
    free(f);
    bw_origin_fetch_gone(o);
}

void bw_fetch_enter(struct bw_fetch *f)
{
    ++f->entered;
}

void bw_fetch_leave(struct bw_fetch *f)
{
    if (--f->entered == 0 && f->state == BW_FETCH_OVER)
        destroy(f);
}

static void timer_fired(struct bw_timer *t)
{
    struct bw_fetch *f = BW_CONTAINER_OF(t, struct bw_fetch, timer);

    bw_fetch_enter(f);
    bw_fetch_fail(f, f->timer_why);
    bw_fetch_leave(f);
}

void bw_fetch_timer(struct bw_fetch *f, int64_t ms, enum bw_reason why)
{
    f->timer_why = why;
    if (ms > 0)
        bw_timer_start(f->pool->origin->loop, &f->timer, ms, timer_fired);
    else
        bw_timer_stop(&f->timer);
}

void bw_fetch_fail(struct bw_fetch *f, enum bw_reason why)
{
    ++f->pool->origin->failures;
    f->state = BW_FETCH_OVER;
    bw_timer_stop(&f->timer);
    bw_pool_leave(f->pool, &f->waiter);
    release_connection(f);
    f->ops->fail(f->ctx, why);
}

static void fail_now(struct bw_next *n)
{
    struct bw_fetch *f = BW_CONTAINER_OF(n, struct bw_fetch, next);

    bw_fetch_enter(f);
    bw_fetch_fail(f, f->why);
    bw_fetch_leave(f);
}

void bw_fetch_fail_later(struct bw_fetch *f, enum bw_reason why)
{
    f->state = BW_FETCH_FAILING;
    f->why = why;
    bw_timer_stop(&f->timer);
    bw_loop_next(f->pool->origin->loop, &f->next, fail_now);
}

void bw_fetch_complete(struct bw_fetch *f, bool reusable)
{
    struct bw_connection *c = f->connection;

    f->state = BW_FETCH_OVER;
    f->connection = NULL;
    bw_timer_stop(&f->timer);
    if (reusable)
        bw_server_keep(c);
    else
        bw_server_drop(c);
    f->ops->end(f->ctx, &f->in.trailers);
}

void bw_fetch_upgraded(struct bw_fetch *f)
{
    h2o_socket_t *socket = bw_connection_give(f->connection);

    f->state = BW_FETCH_OVER;
    bw_timer_stop(&f->timer);
    release_connection(f);
    f->ops->upgraded(f->ctx, &f->in.head, socket);
}

/* RFC 9110, 9.2.2 */
static bool is_idempotent(const struct bw_fetch *f)
{
    struct bw_slice m = f->out.method;

    return bw_slice_eq(m, BW_S("GET")) || bw_slice_eq(m, BW_S("HEAD")) ||
           bw_slice_eq(m, BW_S("OPTIONS")) || bw_slice_eq(m, BW_S("PUT")) ||
           bw_slice_eq(m, BW_S("DELETE"));
}

static bool is_safe(const struct bw_fetch *f)
{
    struct bw_slice m = f->out.method;

    return bw_slice_eq(m, BW_S("GET")) || bw_slice_eq(m, BW_S("HEAD")) ||
           bw_slice_eq(m, BW_S("OPTIONS"));
}

/* Failures before the server was there: it has seen nothing of the request. */
static bool was_unreachable(enum bw_reason why)
{
    return why == BW_REASON_RESOLVE || why == BW_REASON_CONNECT ||
           why == BW_REASON_CONNECT_TIMEOUT || why == BW_REASON_TLS ||
           why == BW_REASON_TLS_TIMEOUT || why == BW_REASON_CERTIFICATE;
}

static bool may_reconnect(const struct bw_fetch *f)
{
    const struct bw_connection *c = f->connection;

    return c != NULL && c->used && c->phase == BW_CONNECTION_OPEN && !f->reconnected &&
           !f->in.begun && !f->out.body_begun && is_idempotent(f);
}

static bool may_fail_over(const struct bw_fetch *f, enum bw_reason why, bool opened)
{
    bool unseen = !opened && was_unreachable(why);
    bool harmless = opened && !f->in.begun && f->out.framing == BW_FRAMING_NONE && is_safe(f);

    return (unseen || harmless) && !f->out.body_begun && f->server != NULL &&
           f->tried.n < f->pool->conf->retry_times && f->tried.n < BW_TRIED_MAX;
}

static void opened(void *owner)
{
    struct bw_fetch *f = owner;

    bw_fetch_enter(f);
    bw_exchange_start(f);
    bw_fetch_leave(f);
}

static void not_opened(void *owner, enum bw_reason why)
{
    struct bw_fetch *f = owner;

    bw_fetch_enter(f);
    bw_server_avoid(f->server);
    bw_fetch_broken(f, why);
    bw_fetch_leave(f);
}

static void readable(void *owner)
{
    struct bw_fetch *f = owner;

    bw_fetch_enter(f);
    bw_exchange_readable(f);
    bw_fetch_leave(f);
}

static void written(void *owner, bool ok)
{
    struct bw_fetch *f = owner;

    bw_fetch_enter(f);
    bw_exchange_written(f, ok);
    bw_fetch_leave(f);
}

static const struct bw_connection_ops connection_ops = {
    .opened = opened,
    .failed = not_opened,
    .readable = readable,
    .written = written,
};

static void open_new(struct bw_fetch *f)
{
    f->state = BW_FETCH_OPENING;
    f->out.sending = BW_SENDING_HEAD;
    f->connection = bw_server_open(f->server, &connection_ops, f);
    if (f->paused)
        bw_connection_hold(f->connection);
}

static void use_server(struct bw_fetch *f, struct bw_server *s)
{
    bw_timer_stop(&f->timer);
    f->server = s;
    f->connection = bw_server_idle(s, &connection_ops, f);
    if (f->connection == NULL) {
        open_new(f);
        return;
    }
    if (f->paused)
        bw_connection_hold(f->connection);
    bw_exchange_start(f);
}

static void served(struct bw_pool_waiter *w, struct bw_server *s)
{
    use_server(BW_CONTAINER_OF(w, struct bw_fetch, waiter), s);
}

/* To a server with room, else into the queue, else it fails in the next round. */
static void assign(struct bw_fetch *f)
{
    struct bw_server *s = bw_pool_choose(f->pool, &f->tried);

    f->server = NULL;
    if (s != NULL) {
        use_server(f, s);
        return;
    }
    if (!bw_pool_wait(f->pool, &f->waiter)) {
        bw_fetch_fail_later(f, BW_REASON_QUEUE_FULL);
        return;
    }
    f->state = BW_FETCH_WAITING;
    bw_fetch_timer(f, f->pool->conf->queue_for_ms, BW_REASON_QUEUE_FULL);
}

/* The dead one is dropped after the new one is counted, so that its place is not given away. */
static void reconnect(struct bw_fetch *f)
{
    struct bw_connection *dead = f->connection;

    bw_timer_stop(&f->timer);
    f->reconnected = true;
    open_new(f);
    bw_server_drop(dead);
}

static void fail_over(struct bw_fetch *f)
{
    ++f->pool->origin->retries;
    bw_timer_stop(&f->timer);
    f->tried.v[f->tried.n++] = f->server;
    release_connection(f);
    assign(f);
}

/* A server that was tried may not be tried again, so there has to be another one. */
static bool has_other(const struct bw_fetch *f)
{
    struct bw_tried tried = f->tried;

    tried.v[tried.n++] = f->server;
    return bw_pool_has_other(f->pool, &tried);
}

void bw_fetch_broken(struct bw_fetch *f, enum bw_reason why)
{
    bool was_open = f->connection != NULL && f->connection->phase == BW_CONNECTION_OPEN;

    if (may_reconnect(f)) {
        ++f->pool->origin->retries;
        reconnect(f);
        return;
    }
    if (may_fail_over(f, why, was_open) && has_other(f) && bw_pool_may_retry(f->pool)) {
        fail_over(f);
        return;
    }
    bw_fetch_fail(f, why);
}

struct bw_fetch *bw_fetch_start(struct bw_origin *o, uint32_t pool,
                                const struct bw_fetch_request *rq, const struct bw_fetch_ops *ops,
                                void *ctx)
{
    struct bw_fetch *f = bw_zalloc(sizeof(*f));

    BW_ASSERT(pool < o->pools_n);
    f->pool = &o->pools[pool];
    f->ops = ops;
    f->ctx = ctx;
    f->waiter.tried = &f->tried;
    f->waiter.served = served;
    h2o_mem_init_pool(&f->memory);
    ++o->fetches;
    bw_pool_count_request(f->pool);
    bw_exchange_prepare(f, rq);
    assign(f);
    return f;
}

void bw_fetch_pause(struct bw_fetch *f)
{
    if (f->paused || f->state == BW_FETCH_OVER)
        return;
    f->paused = true;
    if (f->connection != NULL)
        bw_connection_hold(f->connection);
    if (f->state == BW_FETCH_TALKING)
        bw_exchange_arm(f);
}

void bw_fetch_resume(struct bw_fetch *f)
{
    if (!f->paused || f->state == BW_FETCH_OVER)
        return;
    f->paused = false;
    if (f->state != BW_FETCH_TALKING) {
        if (f->connection != NULL)
            f->connection->held = false;
        return;
    }
    bw_connection_unhold(f->connection, bw_exchange_is_whole(f));
    bw_exchange_arm(f);
}

void bw_fetch_cancel(struct bw_fetch *f)
{
    f->state = BW_FETCH_OVER;
    if (f->entered == 0)
        destroy(f);
}

void bw_fetch_body(struct bw_fetch *f, struct bw_slice bytes, bool last)
{
    if (f->state == BW_FETCH_OVER || f->state == BW_FETCH_FAILING)
        return;
    bw_exchange_body(f, bytes, last);
}

int bw_fetch_server(const struct bw_fetch *f)
{
    return f->server != NULL ? (int)(f->server - f->pool->servers) : -1;
}
