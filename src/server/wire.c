/*
 * wire.c - what all wire protocols share: libh2o's context, the Date of the second, the drain.
 *
 * Of libh2o's request core only the plumbing between a generator and our final ostream is used.
 * Its one host has one catch-all path whose handler hands the exchange to the steps of a request.
 * The built-in chunked filter is taken out: framing is decided by the protocols (http1_write.c),
 * for every status and with trailers.
 */
#include "breakwater/server/wire.h"

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/mem.h"

#include "wire_priv.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void set_up_process(void)
{
    /* a peer that left answers our write with EPIPE; the signal would end the process */
    signal(SIGPIPE, SIG_IGN);
    /* large inputs must not become temporary files; how much is read is limited by read_stop */
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
}

static int on_req(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    bw_request_start(bw_exchange_of(req));
    return 0;
}

/* libh2o registers its chunked filter on every path; filters are malloc'd and have no dispose. */
static void drop_filters(h2o_pathconf_t *path)
{
    for (size_t i = 0; i < path->filters.size; i++)
        free(path->filters.entries[i]);
    path->filters.size = 0;
}

void bw_wire_context_init(struct bw_worker *w)
{
    struct bw_wire *wire = bw_zalloc(sizeof(*wire));
    h2o_hostconf_t *host;
    h2o_pathconf_t *path;

    pthread_once(&once, set_up_process);
    h2o_config_init(&w->globalconf);
    w->globalconf.server_name = h2o_iovec_init(NULL, 0);
    w->globalconf.http1.upgrade_to_http2 = 0;
    host = h2o_config_register_host(&w->globalconf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    path = h2o_config_register_path(host, "/", 0);
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_req;
    drop_filters(path);
    drop_filters(&host->fallback_path);
    w->hosts[0] = host;
    w->hosts[1] = NULL;
    h2o_context_init(&w->ctx, bw_loop_h2o(w->loop), &w->globalconf);

    h2o_linklist_init_anchor(&w->conns);
    h2o_linklist_init_anchor(&wire->pending);
    wire->gather = bw_alloc(BW_GATHER_MAX);
    wire->worker = w;
    wire->probation = bw_probation_new();
    wire->h2_memory = bw_h2_memory_new();
    w->wire = wire;
}

void bw_wire_context_dispose(struct bw_worker *w)
{
    struct bw_wire *wire = w->wire;
    void *queue = w->ctx.queue;

    BW_ASSERT(h2o_linklist_is_empty(&w->conns) && h2o_linklist_is_empty(&wire->pending));
    BW_ASSERT(wire->open == NULL);
    bw_timer_stop(&wire->resume_timer);
    bw_next_cancel(&wire->resume_next);
    bw_timer_stop(&wire->drain_timer);
    bw_next_cancel(&wire->drain_next);
    h2o_context_dispose(&w->ctx);
    free(queue); /* which libh2o 2.2.5 destroys and does not free */
    h2o_config_dispose(&w->globalconf);
    bw_probation_free(wire->probation);
    bw_h2_memory_free(wire->h2_memory);
    free(wire->fields);
    free(wire->gather);
    free(wire->out);
    free(wire);
    w->wire = NULL;
}

struct bw_field *bw_wire_fields(struct bw_wire *wire, size_t max)
{
    if (max > wire->fields_max) {
        wire->fields = bw_realloc(wire->fields, max * sizeof(*wire->fields));
        wire->fields_max = max;
    }
    return wire->fields;
}

char *bw_wire_out(struct bw_wire *wire)
{
    if (wire->out == NULL)
        wire->out = bw_alloc(BW_WIRE_OUT_MAX);
    return wire->out;
}

const char *bw_wire_date(struct bw_wire *wire)
{
    uint64_t now = h2o_now(wire->worker->ctx.loop);

    if (now != wire->date_at) {
        int64_t s = bw_clock_s();

        wire->date_at = now;
        if (s != wire->date_s)
            bw_date_format(s, wire->date);
        wire->date_s = s;
    }
    return wire->date;
}

void bw_exchange_respond(struct bw_exchange *x, const struct bw_reply *reply,
                         h2o_generator_t *generator)
{
    x->reply = reply;
    x->req.res.status = reply->status;
    h2o_start_response(&x->req, generator);
}

void bw_exchange_begin(struct bw_exchange *x, struct bw_conn *c, const struct bw_wire_ops *ops,
                       h2o_ostream_t *final, int64_t began_us)
{
    memset(x, 0, offsetof(struct bw_exchange, req));
    x->ops = ops;
    x->conn = c;
    x->began_us = began_us;
    h2o_init_request(&x->req, &c->super, NULL);
    x->req._ostr_top = final; /* libh2o follows it even in dispose */
}

static h2o_iovec_t iovec_of(struct bw_slice s)
{
    return h2o_iovec_init(s.base, s.len);
}

/* What libh2o's core wants to see; nothing of it is used, so nothing of the client's goes there. */
static void fill_core_request(struct bw_exchange *x)
{
    h2o_req_t *req = &x->req;

    req->input.scheme = x->conn->tls ? &H2O_URL_SCHEME_HTTPS : &H2O_URL_SCHEME_HTTP;
    req->input.method =
        x->head.method.len > 0 ? iovec_of(x->head.method) : h2o_iovec_init(H2O_STRLIT("GET"));
    req->input.path = h2o_iovec_init(H2O_STRLIT("/"));
    req->input.authority = iovec_of(x->head.authority);
    req->version = 0x100 | x->head.minor;
}

void bw_exchange_run(struct bw_exchange *x)
{
    fill_core_request(x);
    h2o_process_request(&x->req);
}

enum bw_reason bw_exchange_reason(const struct bw_exchange *x, enum bw_head_verdict verdict)
{
    switch (verdict) {
    case BW_HEAD_TARGET_TOO_LONG:
        return BW_REASON_BAD_TARGET;
    case BW_HEAD_NOT_IMPLEMENTED:
        if (bw_slice_eq(x->head.method, BW_S("CONNECT")))
            return BW_REASON_METHOD_NOT_ALLOWED;
        return BW_REASON_BAD_HEAD;
    case BW_HEAD_OK:
    case BW_HEAD_BAD_REQUEST:
    case BW_HEAD_EXPECTATION_FAILED:
    case BW_HEAD_TOO_MANY_FIELDS:
    case BW_HEAD_VERSION:
        return BW_REASON_BAD_HEAD;
    }
    BW_UNREACHABLE();
}

void bw_exchange_refuse(struct bw_exchange *x, int status, enum bw_reason why)
{
    h2o_hostconf_t *host = x->conn->worker->hosts[0];

    fill_core_request(x);
    h2o_req_bind_conf(&x->req, host, &host->paths.entries[0]);
    bw_request_refuse(x, status, why);
}

void bw_exchange_end(struct bw_exchange *x, bool complete)
{
    x->req._generator = NULL; /* `done` is the one notice, stop() would come behind it */
    if (x->done != NULL)
        x->done(x, complete);
    h2o_dispose_request(&x->req);
}

/* ---- listening and draining ---- */

void bw_worker_listen(struct bw_worker *w, struct bw_listen_set *s)
{
    struct bw_listen_set *before = w->listening;

    bw_accept_close(w);
    w->listening = s != NULL ? bw_listen_set_take(s) : NULL;
    if (s != NULL)
        bw_accept_open(w, s);
    if (before != NULL)
        bw_listen_set_put(before);
}

static void tell_drained(struct bw_next *n)
{
    struct bw_wire *wire = BW_CONTAINER_OF(n, struct bw_wire, drain_next);
    void (*drained)(struct bw_worker * w) = wire->drained;

    bw_timer_stop(&wire->drain_timer);
    wire->drained = NULL;
    drained(wire->worker);
}

void bw_wire_one_gone(struct bw_worker *w)
{
    struct bw_wire *wire = w->wire;

    if (wire->drained == NULL || bw_next_queued(&wire->drain_next))
        return;
    if (h2o_linklist_is_empty(&w->conns) && h2o_linklist_is_empty(&wire->pending))
        bw_loop_next(w->loop, &wire->drain_next, tell_drained);
}

static void cut_rest(struct bw_timer *t)
{
    struct bw_wire *wire = BW_CONTAINER_OF(t, struct bw_wire, drain_timer);

    bw_conns_cut(wire->worker);
}

/* Runs from the loop, because closing a TLS connection writes. */
static void drain(struct bw_next *n)
{
    struct bw_wire *wire = BW_CONTAINER_OF(n, struct bw_wire, drain_next);
    struct bw_worker *w = wire->worker;

    bw_worker_listen(w, NULL);
    bw_accept_drop_pending(w);
    bw_conns_drain(w);
    bw_timer_start(w->loop, &wire->drain_timer, wire->drain_ms, cut_rest);
    bw_wire_one_gone(w);
}

void bw_worker_drain(struct bw_worker *w, int64_t deadline_ms, void (*done)(struct bw_worker *w))
{
    struct bw_wire *wire = w->wire;

    BW_ASSERT(!w->draining);
    w->draining = true;
    wire->drained = done;
    wire->drain_ms = deadline_ms;
    bw_loop_next(w->loop, &wire->drain_next, drain);
}
