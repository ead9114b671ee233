/*
 * http1_read.c - what the client sends: heads, read strictly and once, and bodies, by credit.
 *
 * A head is copied once, into the request's memory, and its bytes leave the input at once: the
 * input then begins with the body or with the next request.  A body is handed to its sink right
 * from the input, never more than the sink has credit for; a chunked one is decoded first, so that
 * only bytes of the body count (`run` is how many of them lie in front).  When the sink is slow and
 * 16 KiB wait, the socket is not read, and TCP holds the client back.
 */
#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"

#include "http1_priv.h"

#include <string.h>

enum { BLANK_LINES_MAX = 2 };

static size_t smaller(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

/* ---- bodies ---- */

static void consume(struct bw_http1 *c, size_t n)
{
    h2o_buffer_consume(&c->conn.socket->input, n);
}

static void tell_end(struct bw_http1 *c, enum bw_reason why)
{
    struct bw_body_sink *sink = c->body.sink;

    c->body.sink = NULL;
    bw_h1_wait(c, H1_WAIT_NOTHING, 0);
    if (sink != NULL)
        sink->end(sink, why);
}

void bw_h1_body_fail(struct bw_http1 *c, enum bw_reason why)
{
    c->reading = H1_BODY_FAILED;
    c->ending = H1_CLOSE;
    h2o_socket_read_stop(c->conn.socket);
    tell_end(c, why);
}

static void body_whole(struct bw_http1 *c)
{
    c->reading = H1_WHOLE;
    tell_end(c, BW_REASON_NONE);
}

/* The body is over, broken or too large; nothing may follow from it but its end. */
static bool decode(struct bw_http1 *c)
{
    h2o_buffer_t *input = c->conn.socket->input;
    enum bw_chunked_event event = BW_CHUNKED_TRAILER;

    while (event == BW_CHUNKED_TRAILER) { /* checked by the decoder, and dropped */
        struct bw_slice data;
        size_t used;

        event = bw_chunked_feed(&c->body.chunked, input->bytes, input->size, &used, &data);
        c->body.run = event == BW_CHUNKED_DATA ? data.len : 0;
        consume(c, used - c->body.run);
        input = c->conn.socket->input;
    }
    if (event == BW_CHUNKED_END)
        body_whole(c);
    else if (event == BW_CHUNKED_BAD)
        bw_h1_body_fail(c, BW_REASON_BAD_BODY);
    return event == BW_CHUNKED_DATA;
}

/* Find bytes of the body in front of the input; false: none, or the body is over. */
static bool find_run(struct bw_http1 *c)
{
    size_t size = c->conn.socket->input->size;

    if (c->body.run > 0)
        return true;
    if (c->x.head.framing == BW_FRAMING_CHUNKED) {
        if (size == 0 || !decode(c))
            return false;
    } else if (c->body.left == 0) {
        body_whole(c);
        return false;
    } else {
        c->body.run = smaller(c->body.left, size);
        c->body.left -= c->body.run;
    }
    c->body.received += c->body.run;
    c->window_bytes += c->body.run;
    return c->body.run > 0;
}

static void feed_sink(struct bw_http1 *c)
{
    c->body.is_feeding = true;
    while (c->reading == H1_BODY && find_run(c)) {
        struct bw_body_sink *sink = c->body.sink;
        size_t n = smaller(sink->window - c->body.outstanding, c->body.run);

        if (c->body.received > bw_h1_limits(c)->body) {
            bw_h1_body_fail(c, BW_REASON_BODY_TOO_LARGE);
            break;
        }
        if (n == 0)
            break;
        c->body.outstanding += n;
        sink->data(sink, bw_slice(c->conn.socket->input->bytes, n));
        c->body.run -= n;
        consume(c, n);
    }
    c->body.is_feeding = false;
}

/* The client's clock runs only while we wait for the client. */
static void pace_body(struct bw_http1 *c)
{
    h2o_socket_t *socket = c->conn.socket;

    if (c->reading != H1_BODY)
        return;
    if (c->body.outstanding >= c->body.sink->window) {
        if (socket->input->size >= BW_H1_UNREAD_MAX)
            h2o_socket_read_stop(socket);
        if (c->wait == H1_WAIT_BODY)
            bw_h1_wait(c, H1_WAIT_NOTHING, 0);
        return;
    }
    bw_h1_read_on(c);
    if (c->wait != H1_WAIT_BODY)
        bw_h1_wait(c, H1_WAIT_BODY, bw_h1_limits(c)->body_timeout_ms);
}

static void feed(struct bw_http1 *c)
{
    if (c->reading != H1_BODY || c->body.is_feeding)
        return;
    feed_sink(c);
    pace_body(c);
}

static void feed_later(struct bw_next *n)
{
    feed(BW_CONTAINER_OF(n, struct bw_http1, feed));
}

/* Behind a response that came before the body was read: at most BW_H1_DROP_MAX are worth it. */
static void drop(struct bw_http1 *c)
{
    while (c->reading == H1_BODY_DROP && find_run(c)) {
        consume(c, c->body.run);
        c->body.run = 0;
        if (c->body.received > BW_H1_DROP_MAX)
            c->reading = H1_BODY_FAILED;
    }
    if (c->reading == H1_WHOLE)
        bw_h1_next_request(c);
    else if (c->reading == H1_BODY_FAILED)
        bw_h1_finish(c);
}

void bw_h1_body_start(struct bw_exchange *x, struct bw_body_sink *sink)
{
    struct bw_http1 *c = bw_h1_of(x);

    BW_ASSERT(c->body.sink == NULL && sink->window > 0);
    c->body.sink = sink;
    bw_loop_next(c->conn.worker->loop, &c->feed, feed_later);
    if (c->reading == H1_WHOLE) {
        c->reading = H1_BODY; /* an empty one: its end is told in the next round */
        return;
    }
    if (c->reading != H1_BODY_HELD)
        return;
    c->reading = H1_BODY;
    bw_h1_read_on(c);
    bw_h1_wait(c, H1_WAIT_BODY, bw_h1_limits(c)->body_timeout_ms);
    if (c->body.wants_continue && c->conn.socket->input->size == 0)
        bw_h1_send_continue(c);
    c->body.wants_continue = false;
}

void bw_h1_body_consumed(struct bw_exchange *x, size_t n)
{
    struct bw_http1 *c = bw_h1_of(x);

    BW_ASSERT(n <= c->body.outstanding);
    c->body.outstanding -= n;
    if (c->reading == H1_BODY && !c->body.is_feeding)
        bw_loop_next(c->conn.worker->loop, &c->feed, feed_later);
}

/* ---- heads ---- */

static void refuse_begun(struct bw_http1 *c, int status, enum bw_reason why)
{
    c->reading = H1_BODY_FAILED;
    c->ending = H1_CLOSE;
    h2o_socket_read_stop(c->conn.socket);
    bw_exchange_refuse(&c->x, status, why);
}

void bw_h1_refuse(struct bw_http1 *c, int status, enum bw_reason why)
{
    bw_h1_begin(c);
    refuse_begun(c, status, why);
}

/* The head begins to live in the request's memory, exactly sized. */
static enum bw_head_verdict parse(struct bw_http1 *c, size_t len)
{
    struct bw_request_head *head = &c->x.head;
    h2o_mem_pool_t *pool = &c->x.req.pool;
    size_t max = bw_h1_limits(c)->headers;
    struct bw_field *fields = bw_wire_fields(c->conn.worker->wire, max);
    char *bytes = h2o_mem_alloc_pool(pool, len);
    enum bw_head_verdict verdict;

    memcpy(bytes, c->conn.socket->input->bytes, len);
    consume(c, len);
    verdict = bw_head_parse_request(bytes, len, fields, max, head);
    fields = head->fields.v;
    head->fields.v = NULL;
    if (head->fields.n > 0) {
        size_t size = head->fields.n * sizeof(*fields);

        head->fields.v = memcpy(h2o_mem_alloc_pool(pool, size), fields, size);
    }
    return verdict;
}

/* May another request follow on this connection?  (RFC 9112, 9.3) */
static enum h1_ending ending_for(const struct bw_http1 *c)
{
    uint32_t max = bw_h1_limits(c)->requests_per_connection;
    bool is_last = max != 0 && c->requests >= max;

    return c->x.head.keep_alive && !is_last && !c->conn.worker->draining ? H1_KEEP : H1_CLOSE;
}

static void run_request(struct bw_http1 *c)
{
    const struct bw_request_head *head = &c->x.head;

    c->ending = ending_for(c);
    c->body.left = head->framing == BW_FRAMING_LENGTH ? head->content_length : 0;
    c->body.wants_continue = head->expect_continue;
    if (head->framing == BW_FRAMING_CHUNKED || c->body.left > 0)
        c->reading = H1_BODY_HELD;
    else
        c->reading = H1_WHOLE;
    if (c->body.left > bw_h1_limits(c)->body) {
        refuse_begun(c, 413, BW_REASON_BODY_TOO_LARGE);
        return;
    }
    bw_exchange_run(&c->x);
}

static void read_whole_head(struct bw_http1 *c, size_t len)
{
    enum bw_head_verdict verdict;

    bw_h1_begin(c);
    verdict = parse(c, len);
    if (verdict == BW_HEAD_OK)
        run_request(c);
    else
        refuse_begun(c, bw_head_verdict_status(verdict), bw_exchange_reason(&c->x, verdict));
}

/* A line is missing still, and already it is too much: 414 if it is the first one. */
static void refuse_large(struct bw_http1 *c)
{
    const h2o_buffer_t *input = c->conn.socket->input;

    if (memchr(input->bytes, '\n', smaller(BW_HEAD_TARGET_MAX, input->size)) == NULL)
        bw_h1_refuse(c, 414, BW_REASON_BAD_TARGET);
    else
        bw_h1_refuse(c, 431, BW_REASON_BAD_HEAD);
}

/* An empty line or two before a request are forgiven (RFC 9112, 2.2). */
static void skip_blank_lines(struct bw_http1 *c)
{
    h2o_socket_t *socket = c->conn.socket;

    while (c->blank_lines < BLANK_LINES_MAX && socket->input->size >= 2 &&
           memcmp(socket->input->bytes, "\r\n", 2) == 0) {
        consume(c, 2);
        c->scanned = 0;
        c->blank_lines++;
    }
}

static void read_head(struct bw_http1 *c)
{
    const struct bw_limits_conf *limits = bw_h1_limits(c);
    h2o_socket_t *socket = c->conn.socket;
    bool is_first = c->requests == 0; /* its clock runs since the connection began */
    size_t len;

    if (c->reading == H1_IDLE)
        skip_blank_lines(c);
    if (socket->input->size == 0)
        return;
    if (c->reading == H1_IDLE)
        c->began_us = bw_clock_mono_us();
    len = bw_head_find_end(socket->input->bytes, socket->input->size, &c->scanned);
    if ((len > 0 ? len : socket->input->size) > limits->head) {
        refuse_large(c);
    } else if (len > 0) {
        read_whole_head(c, len);
    } else if (c->reading == H1_IDLE && socket->input->bytes[0] != '\r') {
        c->reading = H1_HEAD;
        if (!is_first) /* from its first byte, and not restarted */
            bw_h1_wait(c, H1_WAIT_HEAD, limits->head_timeout_ms);
    }
}

/* ---- the input ---- */

void bw_h1_advance(struct bw_http1 *c)
{
    switch (c->reading) {
    case H1_IDLE:
    case H1_HEAD:
        read_head(c);
        return;
    case H1_BODY:
        feed(c);
        return;
    case H1_BODY_DROP:
        drop(c);
        return;
    case H1_BODY_HELD:
        if (c->conn.socket->input->size >= BW_H1_UNREAD_MAX)
            h2o_socket_read_stop(c->conn.socket);
        return;
    case H1_WHOLE: /* we read on to notice the end; the bytes are the next request's */
        if (c->conn.socket->input->size >= BW_H1_AHEAD_MAX)
            h2o_socket_read_stop(c->conn.socket);
        return;
    case H1_BODY_FAILED:
    case H1_LINGER:
        return;
    }
}

/*
 * FIN or RST.  A client that only half-closes counts as gone, too, unless all that is left of the
 * response is in flight already; to a client that is gone no protocol is changed.
 */
void bw_h1_on_read(h2o_socket_t *socket, const char *err)
{
    struct bw_http1 *c = socket->data;
    bool is_last_request = socket->input->size > 0 && c->responding == H1_NO_REQUEST;

    if (err == NULL && (is_last_request || !bw_conn_client_is_done(&c->conn))) {
        bw_h1_advance(c);
    } else if (c->responding == H1_LAST && c->ending != H1_UPGRADE) {
        c->ending = H1_CLOSE;
        h2o_socket_read_stop(socket);
    } else {
        bw_h1_free(c, BW_CLOSE_SOCKET);
    }
}
