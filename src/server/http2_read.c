/*
 * http2_read.c - what an HTTP/2 client sends: heads, counted before they are kept, and bodies.
 *
 * A request is started when all that was read with it is taken: what a client resets in the same
 * breath never reaches the steps or an origin (CVE-2023-44487).  What was read is taken in bites,
 * so that a client who sends much does not hold up the others.
 *
 * A body waits in a buffer of its stream, which the stream's window limits, until its sink has
 * credit; what the sink has consumed opens the windows again.  So a slow origin holds back its own
 * client, and one connection can make us keep no more than its window of bodies.
 */
#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"

#include "http2_priv.h"

#include <stdlib.h>

enum {
    FIELDS_FIRST = 16,
    BITE = 16 * 1024, /* of the input, before others have their turn: HPACK can make it long */
};

static const struct bw_wire_ops http2_ops = {
    .protocol = "HTTP/2",
    .body_start = bw_h2_body_start,
    .body_consumed = bw_h2_body_consumed,
    .informational = bw_h2_informational,
    .trailers = bw_h2_trailers,
    .send_from = bw_h2_send_from,
    .upgrade = bw_h2_upgrade,
};

struct bw_h2_stream *bw_h2_stream(struct bw_http2 *c, int32_t id)
{
    return nghttp2_session_get_stream_user_data(c->session, id);
}

/* ---- heads ---- */

static struct bw_h2_stream *new_stream(struct bw_http2 *c, int32_t id)
{
    struct bw_h2_stream *st = bw_h2_memory_take(c->conn.worker->wire->h2_memory, sizeof(*st));

    BW_ASSERT(st != NULL);
    memset(st, 0, offsetof(struct bw_h2_stream, x));
    st->conn = c;
    st->id = id;
    st->out.v = st->out.few;
    st->out.left = BW_LENGTH_UNKNOWN;
    st->final.do_send = bw_h2_do_send;
    bw_exchange_begin(&st->x, &c->conn, &http2_ops, &st->final, c->read_us);
    h2o_linklist_insert(&c->streams, &st->link);
    c->streams_n++;
    c->requests++;
    bw_h2_pay_request(c);
    nghttp2_session_set_stream_user_data(c->session, id, st);
    bw_h2_tick_on(c);
    return st;
}

static bool is_request(const nghttp2_frame *f)
{
    return f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
    struct bw_http2 *c = user;

    (void)session;
    c->head_at = bw_h2_now(c); /* also trailers have to end */
    c->head_stream = f->hd.stream_id;
    c->head = is_request(f) ? new_stream(c, c->head_stream) : bw_h2_stream(c, c->head_stream);
    return 0;
}

static void head_is_over(struct bw_http2 *c)
{
    c->head_at = 0;
    c->head = NULL;
}

/* Counted first, kept later: a bomb of references into HPACK's table stores nothing. */
static bool fits(struct bw_h2_stream *st, size_t bytes)
{
    const struct bw_limits_conf *limits = bw_h2_limits(st->conn);

    st->fields_n++;
    st->head_bytes += bytes + 32; /* as RFC 9113, 6.5.2 counts */
    st->too_large |= st->fields_n > limits->headers + 5 || st->head_bytes > limits->head;
    return !st->too_large;
}

static void keep(struct bw_h2_stream *st, struct bw_slice name, struct bw_slice value,
                 enum bw_field_id id)
{
    struct bw_fields *fields = &st->x.head.fields;

    if (fields->n == st->fields_cap) {
        size_t cap = st->fields_cap > 0 ? 2 * st->fields_cap : FIELDS_FIRST;
        struct bw_field *v = h2o_mem_alloc_pool(&st->x.req.pool, cap * sizeof(*v));

        if (fields->n > 0)
            memcpy(v, fields->v, fields->n * sizeof(*v));
        fields->v = v;
        st->fields_cap = cap;
    }
    fields->v[fields->n++] = (struct bw_field){.name = name, .value = value, .id = id};
}

// NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's
static int on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct bw_http2 *c = user;
    struct bw_h2_stream *st = c->head;
    struct bw_slice known = bw_slice((const char *)name, name_n);
    struct bw_slice kept = bw_slice((const char *)value, value_n);
    bool is_pseudo = name_n > 0 && name[0] == ':'; /* its name is not kept */
    enum bw_field_id id;

    (void)session, (void)flags;
    if (st == NULL)
        return 0;
    if (!fits(st, name_n + value_n))
        return bw_h2_allows_head(c, st->fields_n, st->head_bytes) ? 0
                                                                  : NGHTTP2_ERR_CALLBACK_FAILURE;
    if (!is_request(f)) /* trailers are counted and dropped: nobody asks for them */
        return 0;
    id = is_pseudo ? BW_F_OTHER : bw_field_lookup(known);
    if (id != BW_F_OTHER)
        known = bw_field_name(id);
    else if (!is_pseudo)
        known = bw_h2_kept(st, known);
    kept = bw_h2_kept(st, kept);
    if (bw_http2_head_note(&st->head, known, kept, id))
        keep(st, known, kept, id);
    return 0;
}

/* What nghttp2 found wrong with a field: it would be left out, and the request mean another. */
// NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
                             size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
                             void *user)
{
    struct bw_h2_stream *st = bw_h2_stream(user, f->hd.stream_id);

    (void)session, (void)name, (void)name_n, (void)value, (void)value_n, (void)flags;
    if (st != NULL)
        st->head.malformed = true;
    return 0;
}

static void join_cookies(struct bw_h2_stream *st)
{
    struct bw_fields *fields = &st->x.head.fields;
    size_t size = bw_http2_cookies_size(fields);

    if (size > 0)
        bw_http2_cookies_join(fields, h2o_mem_alloc_pool(&st->x.req.pool, size));
}

static void head_is_whole(struct bw_h2_stream *st)
{
    struct bw_http2 *c = st->conn;

    if (c->said_goaway && st->id > c->goaway_last) { /* we said that it would not be begun */
        bw_h2_reset(st, NGHTTP2_REFUSED_STREAM);
        return;
    }
    bw_h2_prioritise(st);
    st->read_at = bw_h2_now(c);
    st->stage = H2_READY;
    bw_h2_put(&st->conn->ready, &st->turn);
}

/* ---- frames ---- */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    struct bw_http2 *c = user;

    (void)session;
    return bw_h2_allows_frame(c, hd) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* nghttp2 answers it with a reset, or a GOAWAY: provoked resets are the client's
 * (CVE-2025-8671). */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *f, int why, void *user)
{
    struct bw_http2 *c = user;
    struct bw_h2_stream *st = bw_h2_stream(c, f->hd.stream_id);

    (void)session, (void)why;
    if (f->hd.type == NGHTTP2_HEADERS && f->hd.stream_id == c->head_stream)
        head_is_over(c);
    if (st != NULL) {
        st->was_reset = true; /* as good as */
        if (st->stage == H2_READY)
            bw_h2_take_off(&st->turn);
    }
    return bw_h2_allows_reset(c) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void widen_window(struct bw_h2_stream *st)
{
    if (!st->ends && st->stage == H2_RUNS && st->body.sink != NULL &&
        st->body.sink->window > BW_H2_STREAM_WINDOW)
        nghttp2_session_set_local_window_size(st->conn->session, NGHTTP2_FLAG_NONE, st->id,
                                              BW_H2_STREAM_WINDOW_MAX);
}

/*
 * A client that asks before it has heard of our settings begins with the window of RFC 9113, 6.9.2,
 * and takes the difference off when it has: so much less is left of what a sink had opened.
 */
static void settings_hold(struct bw_http2 *c)
{
    for (h2o_linklist_t *at = c->streams.next; at != &c->streams; at = at->next)
        widen_window(BW_CONTAINER_OF(at, struct bw_h2_stream, link));
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
    struct bw_http2 *c = user;
    struct bw_h2_stream *st;

    (void)session;
    if (f->hd.type == NGHTTP2_RST_STREAM && !bw_h2_allows_reset(c))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (f->hd.type == NGHTTP2_SETTINGS && (f->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        settings_hold(c);
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
        return 0;
    st = f->hd.type == NGHTTP2_HEADERS ? c->head : bw_h2_stream(c, f->hd.stream_id);
    if (f->hd.type == NGHTTP2_HEADERS)
        head_is_over(c);
    if (st == NULL)
        return 0;
    if ((f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        st->ends = true;
        bw_h2_put(&c->fed, &st->fed);
    }
    if (is_request(f))
        head_is_whole(st);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t n, void *user)
{
    struct bw_http2 *c = user;
    struct bw_h2_stream *st = bw_h2_stream(c, id);
    h2o_iovec_t room;

    (void)flags;
    nghttp2_session_consume_connection(session, n);
    if (st == NULL)
        return 0;
    st->body.received += n;
    st->body.window_bytes += n;
    st->body.unconsumed += n;
    if (st->body.dropped) {
        bw_h2_consume(st, n);
        return 0;
    }
    if (st->body.waiting == NULL)
        h2o_buffer_init(&st->body.waiting, &h2o_socket_buffer_prototype);
    room = h2o_buffer_reserve(&st->body.waiting, n);
    memcpy(room.base, bytes, n);
    st->body.waiting->size += n;
    bw_h2_put(&c->fed, &st->fed);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct bw_http2 *c = user;
    struct bw_h2_stream *st = bw_h2_stream(c, id);

    if (id == c->head_stream)
        head_is_over(c);
    if (st == NULL)
        return 0;
    if (st->all_sent && code == NGHTTP2_NO_ERROR)
        bw_h2_ended_well(c);
    nghttp2_session_set_stream_user_data(session, id, NULL);
    st->stage = H2_CLOSED;
    bw_h2_put(&c->closed, &st->turn);
    return 0;
}

void bw_h2_reading(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

/* ---- the turn: requests ---- */

static void refuse(struct bw_h2_stream *st, int status, enum bw_reason why)
{
    st->body.dropped = true;
    bw_exchange_refuse(&st->x, status, why);
}

static void start(struct bw_h2_stream *st)
{
    struct bw_exchange *x = &st->x;
    enum bw_head_verdict verdict;
    uint32_t last = bw_h2_limits(st->conn)->requests_per_connection;
    if (last != 0 && st->conn->requests >= last)
        bw_h2_want_goaway(st->conn);
    st->stage = H2_RUNS;
    st->started = true;
    st->conn->running++;
    join_cookies(st);
    /* the body may have come with the head, to its end */
    verdict = bw_http2_head_settle(&st->head, st->ends && st->body.received == 0, &x->head);
    if (st->too_large)
        verdict = BW_HEAD_TOO_MANY_FIELDS;
    if (verdict == BW_HEAD_OK && x->head.fields.n > bw_h2_limits(st->conn)->headers)
        verdict = BW_HEAD_TOO_MANY_FIELDS;
    if (verdict != BW_HEAD_OK)
        refuse(st, bw_head_verdict_status(verdict), bw_exchange_reason(x, verdict));
    else if (x->head.content_length > bw_h2_limits(st->conn)->body)
        refuse(st, 413, BW_REASON_BODY_TOO_LARGE);
    else if (x->head.upgrade && !bw_h2_tunnel_fields(st))
        refuse(st, 500, BW_REASON_BAD_HEAD);
    else if (x->head.upgrade && !bw_h2_tunnel_enter(st))
        refuse(st, 503, BW_REASON_SHED);
    else
        bw_exchange_run(x);
}

void bw_h2_start_ready(struct bw_http2 *c)
{
    uint32_t max = bw_h2_limits(c)->http2.requests;

    if (c->ending || bw_h2_has_input(c))
        return;
    while (!h2o_linklist_is_empty(&c->ready) && c->running < max) {
        struct bw_h2_stream *st = BW_CONTAINER_OF(c->ready.next, struct bw_h2_stream, turn);

        h2o_linklist_unlink(&st->turn);
        start(st);
    }
}

/* ---- the turn: bodies ---- */

void bw_h2_consume(struct bw_h2_stream *st, size_t n)
{
    nghttp2_session *session = st->conn->session;

    BW_ASSERT(n <= st->body.unconsumed);
    st->body.unconsumed -= n;
    if (st->stage == H2_CLOSED || n == 0)
        return;
    nghttp2_session_consume_stream(session, st->id, n);
    bw_h2_turn_soon(st->conn);
}

void bw_h2_body_end(struct bw_h2_stream *st, enum bw_reason why)
{
    struct bw_body_sink *sink = st->body.sink;

    st->body.sink = NULL;
    st->body.dropped = true;
    if (sink != NULL)
        sink->end(sink, why);
}

void bw_h2_drop_waiting(struct bw_h2_stream *st)
{
    size_t n = st->body.waiting != NULL ? st->body.waiting->size : 0;

    if (n == 0)
        return;
    h2o_buffer_consume(&st->body.waiting, n);
    bw_h2_consume(st, n);
}

static size_t credit_of(const struct bw_h2_stream *st)
{
    size_t credit = st->body.sink->window - st->body.outstanding;
    size_t waiting = st->body.waiting != NULL ? st->body.waiting->size : 0;

    return credit < waiting ? credit : waiting;
}

static void feed_sink(struct bw_h2_stream *st)
{
    size_t n;

    st->body.feeding = true;
    while (st->body.sink != NULL && (n = credit_of(st)) > 0) {
        st->body.outstanding += n;
        st->body.sink->data(st->body.sink, bw_slice(st->body.waiting->bytes, n));
        h2o_buffer_consume(&st->body.waiting, n);
    }
    st->body.feeding = false;
}

static void feed(struct bw_h2_stream *st)
{
    if (st->body.received > bw_h2_limits(st->conn)->body)
        st->body.failed = BW_REASON_BODY_TOO_LARGE;
    if (st->body.failed != BW_REASON_NONE)
        bw_h2_body_end(st, st->body.failed);
    feed_sink(st);
    if (st->body.dropped) {
        bw_h2_drop_waiting(st);
        return;
    }
    if (st->body.sink != NULL && st->ends &&
        (st->body.waiting == NULL || st->body.waiting->size == 0))
        bw_h2_body_end(st, BW_REASON_NONE);
}

void bw_h2_feed_bodies(struct bw_http2 *c)
{
    h2o_linklist_t now;

    h2o_linklist_init_anchor(&now);
    h2o_linklist_insert_list(&now, &c->fed);
    while (!h2o_linklist_is_empty(&now)) {
        struct bw_h2_stream *st = BW_CONTAINER_OF(now.next, struct bw_h2_stream, fed);

        h2o_linklist_unlink(&st->fed);
        if (st->tunnel != NULL)
            bw_h2_tunnel_data(st);
        else if (st->stage == H2_RUNS)
            feed(st);
    }
}

void bw_h2_body_start(struct bw_exchange *x, struct bw_body_sink *sink)
{
    struct bw_h2_stream *st = bw_h2_of(x);
    struct bw_http2 *c = st->conn;

    BW_ASSERT(st->body.sink == NULL && sink->window > 0);
    if (st->responding == H2_GONE)
        return;
    st->body.sink = sink;
    if (x->head.expect_continue && st->body.received == 0 && !st->ends) {
        struct bw_fields none = {NULL, 0};

        bw_h2_informational(x, 100, &none);
    }
    widen_window(st);
    bw_h2_put(&c->fed, &st->fed);
    bw_h2_turn_soon(c);
}

void bw_h2_body_consumed(struct bw_exchange *x, size_t n)
{
    struct bw_h2_stream *st = bw_h2_of(x);

    BW_ASSERT(n <= st->body.outstanding);
    st->body.outstanding -= n;
    bw_h2_consume(st, n);
    if (st->responding == H2_GONE || st->body.feeding)
        return;
    bw_h2_put(&st->conn->fed, &st->fed);
    bw_h2_turn_soon(st->conn);
}

/* ---- the input ---- */

/* May we read on, and is there room for it? */
static void read_or_wait(struct bw_http2 *c)
{
    h2o_socket_t *socket = c->conn.socket;
    bool has_rest = socket->input->size > 0;

    if (c->ending || has_rest == !h2o_socket_is_reading(socket))
        return;
    if (has_rest)
        h2o_socket_read_stop(socket);
    else
        h2o_socket_read_start(socket, bw_h2_on_read);
}

void bw_h2_take_input(struct bw_http2 *c)
{
    h2o_socket_t *socket = c->conn.socket;
    size_t size = socket->input->size < BITE ? socket->input->size : BITE;
    ssize_t n;

    if (!bw_h2_has_input(c))
        return;
    c->read_us = bw_clock_mono_us();
    n = nghttp2_session_mem_recv(c->session, (const uint8_t *)socket->input->bytes, size);
    h2o_buffer_consume(&socket->input, size);
    if (n < 0)
        bw_h2_end(c, n == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
    read_or_wait(c);
}

void bw_h2_on_read(h2o_socket_t *socket, const char *err)
{
    struct bw_http2 *c = socket->data;

    if (err != NULL || bw_conn_client_is_done(&c->conn))
        bw_h2_free(c, BW_CLOSE_CUT);
    else
        bw_h2_turn(c);
}
