/*
 * step_pass.c - a request that is streamed through: uploads, unsafe methods, bypass, upgrades,
 * ranges of their own.  Nobody shares it, and nothing of it is stored but what deposit.c collects.
 *
 * Both directions have backpressure: the client's body is read only as fast as the origin takes it,
 * and the origin's only as fast as the client does.  At most two buffers of response bytes exist,
 * one being sent and one being filled, and reading stops when the second is full.
 */
#include "breakwater/base/buf.h"

#include "request_priv.h"

enum {
    PENDING_MOST = 65536,                      /* then the origin has to wait */
    CHARGE = 2 * (PENDING_MOST + PENDING_MOST) /* both buffers, with what one read may add */
};

enum flow { FLOW_OPEN, FLOW_ENDED, FLOW_FAILED };

struct passing {
    struct bw_request *rq;
    struct bw_fetch *fetch; /* NULL: over */
    struct bw_body_sink sink;
    struct bw_buf pending, sending;
    enum flow flow;     /* of the response */
    enum bw_reason why; /* FLOW_FAILED */
    bool uploading;     /* the body was begun */
    bool in_flight;     /* h2o_send() without proceed() yet */
    bool paused;
    bool final_sent;
    uint64_t received; /* bytes of the response body */
    struct bw_fields trailers;
    struct tunnel *tunnel;
    struct deposit *deposit; /* what is also to be stored, or NULL */
};

/* ---- what a success of an unsafe method makes wrong (RFC 9111, 4.4) ---- */

static void purge_url(struct bw_request *rq, struct bw_slice target)
{
    struct bw_settings settings;
    struct bw_target t;
    struct bw_key key;
    struct bw_hash primary;

    if (bw_target_normalise(target, bw_request_alloc(rq, target.len + 1), &t) != BW_TARGET_OK)
        return;
    bw_request_as_get(rq, &t, &settings, &key);
    primary = bw_key_primary(&key, bw_store_secret(rq->w->lookup.store));
    bw_fills_purge(rq->w->fills, &primary, false);
    bw_count(rq->w->counters, BW_C_INVALIDATIONS, 1);
}

/* A path, or an absolute URI of the same origin. */
struct bw_slice bw_own_reference(const struct bw_request *rq, struct bw_slice reference)
{
    struct bw_slice prefix = rq->x->conn->tls ? BW_S("https://") : BW_S("http://");
    struct bw_slice fragment, v = bw_slice_cut(reference, '#', &fragment);

    if (bw_slice_starts(v, prefix)) {
        v = bw_slice(v.base + prefix.len, v.len - prefix.len);
        if (!bw_slice_starts(v, rq->authority) || v.len == rq->authority.len)
            return BW_S("");
        v = bw_slice(v.base + rq->authority.len, v.len - rq->authority.len);
    }
    return v.len != 0 && v.base[0] == '/' && !bw_slice_starts(v, BW_S("//")) ? v : BW_S("");
}

/* What is of another origin is not ours to invalidate. */
static void purge_reference(struct bw_request *rq, const struct bw_field *f)
{
    struct bw_slice own = f != NULL ? bw_own_reference(rq, f->value) : BW_S("");

    if (own.len != 0)
        purge_url(rq, own);
}

static void invalidate(struct bw_request *rq, const struct bw_response_head *head)
{
    if (!bw_policy_invalidates(rq->x->head.method, head->status))
        return;
    purge_url(rq, rq->target.whole);
    purge_reference(rq, bw_fields_find(&head->fields, BW_F_LOCATION));
    purge_reference(rq, bw_fields_find(&head->fields, BW_F_CONTENT_LOCATION));
}

/* ---- the response ---- */

static bool all_here(const struct passing *p)
{
    return p->flow == FLOW_ENDED ||
           (p->rq->reply.length != BW_LENGTH_UNKNOWN && p->received == p->rq->reply.length);
}

static void send_final(struct passing *p)
{
    struct bw_request *rq = p->rq;

    p->final_sent = true;
    if (p->trailers.n != 0)
        rq->x->ops->trailers(rq->x, &p->trailers);
}

/* Whatever is there goes out; nothing may be in flight. */
static void push(struct passing *p)
{
    struct bw_request *rq = p->rq;
    struct bw_buf empty = p->sending;
    bool final = all_here(p);
    h2o_iovec_t v;

    bw_next_cancel(&rq->head_later);
    if (!rq->responding)
        bw_respond(rq);
    bw_buf_clear(&empty);
    p->sending = p->pending;
    p->pending = empty;
    p->in_flight = true;
    if (final)
        send_final(p);
    v = h2o_iovec_init(p->sending.base, p->sending.len);
    h2o_send(&rq->x->req, &v, v.len != 0 ? 1 : 0,
             final ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void push_later(struct bw_next *n)
{
    push(BW_CONTAINER_OF(n, struct bw_request, head_later)->passing);
}

static void proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct bw_request *rq = H2O_STRUCT_FROM_MEMBER(struct bw_request, generator, generator);
    struct passing *p = rq->passing;

    (void)req;
    p->in_flight = false;
    if (p->flow == FLOW_FAILED) {
        bw_send_broken(rq);
        return;
    }
    if (p->pending.len != 0 || all_here(p))
        push(p);
    if (p->paused && p->fetch != NULL) {
        p->paused = false;
        bw_fetch_resume(p->fetch);
    }
}

static void on_informational(void *ctx, const struct bw_response_head *head)
{
    struct passing *p = ctx;
    struct bw_fields out;

    out.v = bw_request_alloc(p->rq, (head->fields.n + 1) * sizeof(struct bw_field));
    if (bw_headers_from_origin(&head->fields, false, &out))
        p->rq->x->ops->informational(p->rq->x, head->status, &out);
}

static bool make_reply(struct passing *p, const struct bw_response_head *head, bool upgrade)
{
    struct bw_request *rq = p->rq;
    struct bw_fields out, copy;

    out.v = bw_request_alloc(rq, (head->fields.n + 2) * sizeof(struct bw_field));
    if (!bw_headers_from_origin(&head->fields, upgrade, &out))
        return false;
    copy = bw_request_copy_fields(rq, &out);
    rq->fwd_status = head->status;
    bw_reply_from(rq, head->status, bw_request_copy(rq, head->reason), &copy, -1);
    rq->reply.length = BW_LENGTH_UNKNOWN;
    if (head->framing == BW_FRAMING_LENGTH)
        rq->reply.length = head->content_length;
    return true;
}

static void fail(struct passing *p, enum bw_reason why)
{
    struct bw_request *rq = p->rq;

    p->fetch = NULL;
    p->flow = FLOW_FAILED;
    p->why = why;
    if (p->final_sent)
        return;
    if (!rq->responding) {
        bw_next_cancel(&rq->head_later);
        rq->outcome = BW_OUTCOME_ERROR;
        bw_resume(rq, bw_answer(rq, bw_reason_status(why), BW_OUTCOME_ERROR, why));
    } else if (!p->in_flight) {
        bw_send_broken(rq);
    }
}

static void on_head(void *ctx, const struct bw_response_head *head)
{
    struct passing *p = ctx;
    struct bw_request *rq = p->rq;

    /* to an extended CONNECT a 2xx says that the tunnel is there (RFC 8441, 5); it is not */
    bool is_lie = rq->x->head.connect && head->status >= 200 && head->status < 300;

    if (is_lie || !make_reply(p, head, false)) {
        bw_fetch_cancel(p->fetch);
        fail(p, BW_REASON_BAD_RESPONSE);
        return;
    }
    rq->server = bw_fetch_server(p->fetch);
    bw_waited_for_origin(rq);
    rq->generator = (h2o_generator_t){proceed, NULL};
    invalidate(rq, head);
    bw_freshen(rq, head);
    p->deposit = bw_deposit_new(rq, head);
    bw_loop_next(rq->w->loop, &rq->head_later, push_later);
}

static void on_data(void *ctx, struct bw_slice bytes)
{
    struct passing *p = ctx;

    p->received += bytes.len;
    p->rq->bytes_from_origin += bytes.len;
    if (p->deposit != NULL)
        bw_deposit_add(p->deposit, bytes);
    bw_buf_slice(&p->pending, bytes);
    if (!p->in_flight)
        push(p);
    else if (p->pending.len >= PENDING_MOST && !p->paused && p->flow == FLOW_OPEN) {
        p->paused = true;
        bw_fetch_pause(p->fetch);
    }
}

static void on_end(void *ctx, const struct bw_fields *trailers)
{
    struct passing *p = ctx;

    p->fetch = NULL;
    p->flow = FLOW_ENDED;
    if (p->deposit != NULL)
        bw_deposit_store(p->deposit);
    if (trailers->n != 0)
        p->trailers = bw_request_copy_fields(p->rq, trailers);
    if (!p->in_flight && !p->final_sent)
        push(p);
}

static void on_fail(void *ctx, enum bw_reason why)
{
    fail(ctx, why);
}

static void on_upgraded(void *ctx, const struct bw_response_head *head, h2o_socket_t *socket)
{
    struct passing *p = ctx;
    struct bw_request *rq = p->rq;

    p->fetch = NULL;
    p->tunnel = bw_tunnel_new(rq->w, socket, rq->snapshot->conf->limits.tunnel_timeout_ms);
    if (!make_reply(p, head, true)) {
        bw_tunnel_discard(p->tunnel);
        p->tunnel = NULL;
        fail(p, BW_REASON_BAD_RESPONSE);
        return;
    }
    rq->outcome = BW_OUTCOME_TUNNEL;
    rq->responding = true;
    rq->x->reply = &rq->reply;
    rq->x->ops->upgrade(rq->x, bw_tunnel_start, p->tunnel);
}

/* ---- the request's body ---- */

static void on_body(struct bw_body_sink *sink, struct bw_slice bytes)
{
    struct passing *p = BW_CONTAINER_OF(sink, struct passing, sink);

    if (p->fetch != NULL)
        bw_fetch_body(p->fetch, bytes, false);
    else /* the answer is complete: the rest is read and dropped */
        p->rq->x->ops->body_consumed(p->rq->x, bytes.len);
}

static int body_status(enum bw_reason why)
{
    if (why == BW_REASON_BODY_TOO_LARGE)
        return 413;
    return why == BW_REASON_TIMEOUT ? 408 : 400;
}

/* The client did not finish its body: the origin must not take what came for the whole. */
static void on_body_end(struct bw_body_sink *sink, enum bw_reason why)
{
    struct passing *p = BW_CONTAINER_OF(sink, struct passing, sink);
    struct bw_request *rq = p->rq;

    if (p->fetch == NULL)
        return;
    if (why == BW_REASON_NONE) {
        bw_fetch_body(p->fetch, bw_slice(NULL, 0), true);
        return;
    }
    bw_fetch_cancel(p->fetch);
    p->fetch = NULL;
    if (why == BW_REASON_CLOSED)
        return; /* the client left: `done` is next */
    if (rq->responding) {
        fail(p, why);
        return;
    }
    bw_next_cancel(&rq->head_later);
    p->flow = FLOW_FAILED;
    rq->reply.close = true;
    bw_resume(rq, bw_answer(rq, body_status(why), BW_OUTCOME_REFUSED, why));
}

/* The first credit of the fetch is the window, the later ones give back what it has written. */
static void on_want(void *ctx, size_t n)
{
    struct passing *p = ctx;
    struct bw_exchange *x = p->rq->x;

    if (p->uploading) {
        x->ops->body_consumed(x, n);
        return;
    }
    p->uploading = true;
    p->sink = (struct bw_body_sink){.data = on_body, .end = on_body_end, .window = n};
    x->ops->body_start(x, &p->sink);
}

/* ---- beginning and end ---- */

static const struct bw_fetch_ops fetch_ops = {.informational = on_informational,
                                              .head = on_head,
                                              .data = on_data,
                                              .end = on_end,
                                              .fail = on_fail,
                                              .want = on_want,
                                              .upgraded = on_upgraded};

/* A GET or HEAD with a body goes on without it ("fat GET"); everything else with it. */
static enum bw_framing body_framing(const struct bw_request *rq)
{
    const struct bw_request_head *h = &rq->x->head;

    if (rq->reason == BW_REASON_BODY)
        return BW_FRAMING_NONE;
    return h->framing;
}

/* What a key leaves out of a pass is of no account: the client's own bytes go to the origin. */
enum step bw_step_pass(struct bw_request *rq)
{
    const struct bw_request_head *h = &rq->x->head;
    struct bw_fields fields = bw_origin_fields(rq, false, &h->fields, NULL);
    struct bw_fetch_request r = {.method = h->method,
                                 .target = rq->origin_target,
                                 .authority = rq->authority,
                                 .fields = &fields,
                                 .body = body_framing(rq),
                                 .content_length = h->content_length,
                                 .upgrade = h->upgrade};
    struct passing *p;

    if (!bw_budget_take(rq->w->budget, CHARGE))
        return bw_answer(rq, 503, BW_OUTCOME_ERROR, BW_REASON_SHED);
    p = bw_request_alloc(rq, sizeof(*p));
    memset(p, 0, sizeof(*p));
    p->rq = rq;
    rq->asked_us = bw_clock_mono_us();
    rq->passing = p;
    rq->fetches++;
    rq->stored = rq->has_ttl = rq->collapsed = false; /* that was said of what is not sent */
    p->fetch = bw_fetch_start(rq->snapshot->origin, rq->settings.pool, &r, &fetch_ops, p);
    return STEP_WAIT;
}

void bw_pass_abandon(struct bw_request *rq)
{
    struct passing *p = rq->passing;

    if (p == NULL)
        return;
    rq->passing = NULL;
    bw_next_cancel(&rq->head_later);
    if (p->fetch != NULL)
        bw_fetch_cancel(p->fetch);
    if (p->deposit != NULL)
        bw_deposit_free(p->deposit);
    if (p->tunnel != NULL && !rq->complete)
        bw_tunnel_discard(p->tunnel);
    bw_buf_free(&p->pending);
    bw_buf_free(&p->sending);
    bw_budget_give(rq->w->budget, CHARGE);
}
