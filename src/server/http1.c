/*
 * http1.c - the life of an HTTP/1.1 connection: its start, its clocks, its end.
 *
 *     IDLE -> HEAD -> BODY_HELD -> BODY -> WHOLE     what the client sends
 *             NO_REQUEST -> WAITING -> STREAMING -> LAST     what we answer
 *
 * When both are through, the next request begins or the connection ends.  We keep reading while
 * the handler works: a client that leaves is then noticed at once, and it costs nothing, because a
 * connection that is always read needs no epoll_ctl.
 *
 * There are two clocks, one for what the client owes (a head, a body, its next request) and one for
 * what it must take.  Both share one timer, which is relinked only when it would fire too late: a
 * request that is answered at once moves two numbers and no list.
 */
#include "breakwater/server/http1.h"

#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/mem.h"
#include "breakwater/server/acked.h"

#include "http1_priv.h"

#include <stdlib.h>
#include <sys/socket.h>

/* ticks of one send_timeout: it strikes after 3 without progress, 1 to 1 1/3 of it after the last
 */
enum { SEND_TICKS = 3 };

static void count(struct bw_http1 *c, enum bw_counter which)
{
    bw_count(c->conn.worker->counters, which, 1);
}

/* ---- clocks ---- */

static void fire(struct bw_timer *t);

static uint64_t now_ms(const struct bw_http1 *c)
{
    return h2o_now(c->conn.super.ctx->loop);
}

/* See that the timer fires at the next deadline, or before. */
static void watch(struct bw_http1 *c)
{
    uint64_t due = c->read_deadline, now = now_ms(c);
    int64_t ms;

    if (due == 0 || (c->send_deadline != 0 && c->send_deadline < due))
        due = c->send_deadline;
    if (due == 0 || (c->fires_at != 0 && c->fires_at <= due))
        return;
    ms = bw_conn_round_down(due > now ? due - now : 1);
    c->fires_at = now + (uint64_t)ms;
    bw_timer_start(c->conn.worker->loop, &c->timer, ms, fire);
}

void bw_h1_wait(struct bw_http1 *c, enum h1_wait wait, int64_t ms)
{
    c->wait = wait;
    c->window_bytes = 0;
    c->read_deadline = wait == H1_WAIT_NOTHING ? 0 : now_ms(c) + (uint64_t)ms;
    watch(c);
}

static uint64_t send_tick(const struct bw_http1 *c)
{
    return now_ms(c) + (uint64_t)bw_h1_limits(c)->send_timeout_ms / SEND_TICKS + 1;
}

void bw_h1_send_clock_start(struct bw_http1 *c)
{
    if (c->send_deadline != 0)
        return;
    c->acked = UINT64_MAX;
    c->stalled = 0;
    c->send_deadline = send_tick(c);
    watch(c);
}

void bw_h1_send_clock_stop(struct bw_http1 *c)
{
    c->send_deadline = 0;
}

/* The client has sent too little of its body for too long?  (security.md 5: lowest body rate) */
static bool body_is_too_slow(const struct bw_http1 *c)
{
    return c->window_bytes < bw_conn_body_least(bw_h1_limits(c));
}

static bool body_overdue(struct bw_http1 *c)
{
    if (!body_is_too_slow(c)) {
        bw_h1_wait(c, H1_WAIT_BODY, bw_h1_limits(c)->body_timeout_ms);
        return true;
    }
    count(c, BW_C_BODY_TIMEOUT);
    if (c->reading != H1_BODY) {
        bw_h1_free(c, BW_CLOSE_CUT);
        return false;
    }
    bw_h1_body_fail(c, BW_REASON_TIMEOUT);
    return true;
}

/* What the client owed did not come.  Is the connection still there? */
static bool read_overdue(struct bw_http1 *c)
{
    switch (c->wait) {
    case H1_WAIT_NOTHING:
        return true;
    case H1_WAIT_HEAD:
        count(c, BW_C_HEAD_TIMEOUT);
        if (c->reading == H1_HEAD) {
            bw_h1_refuse(c, 408, BW_REASON_TIMEOUT);
            return true;
        }
        break;
    case H1_WAIT_IDLE:
        count(c, BW_C_IDLE_TIMEOUT);
        break;
    case H1_WAIT_BODY:
        return body_overdue(c);
    case H1_WAIT_LINGER:
        bw_h1_free(c, BW_CLOSE_CUT);
        return false;
    }
    bw_h1_free(c, BW_CLOSE_SOCKET);
    return false;
}

/* A write is under way.  Progress is what the peer has acknowledged, not what the kernel took. */
static bool send_overdue(struct bw_http1 *c)
{
    uint64_t acked = bw_acked(h2o_socket_get_fd(c->conn.socket));

    c->stalled = acked == c->acked ? c->stalled + 1 : 0;
    c->acked = acked;
    if (c->stalled >= SEND_TICKS) {
        count(c, BW_C_SEND_TIMEOUT);
        bw_h1_free(c, BW_CLOSE_CUT);
        return false;
    }
    c->send_deadline = send_tick(c);
    return true;
}

static void fire(struct bw_timer *t)
{
    struct bw_http1 *c = BW_CONTAINER_OF(t, struct bw_http1, timer);
    uint64_t now = now_ms(c);

    c->fires_at = 0;
    if (c->read_deadline != 0 && c->read_deadline <= now) {
        c->read_deadline = 0;
        if (!read_overdue(c))
            return;
    }
    if (c->send_deadline != 0 && c->send_deadline <= now && !send_overdue(c))
        return;
    watch(c);
}

/* ---- fairness ---- */

bool bw_h1_burst_is_used_up(struct bw_http1 *c)
{
    return bw_burst_left(&c->burst, c->conn.worker->loop) == 0;
}

static void go_on(struct bw_next *n)
{
    struct bw_http1 *c = BW_CONTAINER_OF(n, struct bw_http1, go_on);

    if (c->responding == H1_NO_REQUEST)
        bw_h1_advance(c);
    else if (c->writing == H1_QUIET)
        bw_h1_write_on(c);
}

void bw_h1_put_off(struct bw_http1 *c)
{
    bw_loop_next(c->conn.worker->loop, &c->go_on, go_on);
}

void bw_h1_give_way(struct bw_http1 *c)
{
    bw_loop_spare(c->conn.worker->loop, &c->go_on, go_on);
}

/* ---- exchanges ---- */

static const struct bw_wire_ops http1_ops = {
    .protocol = "HTTP/1.1",
    .body_start = bw_h1_body_start,
    .body_consumed = bw_h1_body_consumed,
    .informational = bw_h1_informational,
    .trailers = bw_h1_trailers,
    .write_now = bw_h1_write_now,
    .upgrade = bw_h1_upgrade,
};

void bw_h1_begin(struct bw_http1 *c)
{
    struct bw_exchange *x = &c->x;
    struct h1_pieces rest = c->out.rest;
    size_t rest_cap = c->out.rest_cap;

    bw_next_cancel(&c->go_on);
    bw_exchange_begin(x, &c->conn, &http1_ops, &c->final, c->began_us);
    memset(&c->body, 0, sizeof(c->body));
    memset(&c->out, 0, sizeof(c->out));
    c->out.rest.v = rest.v;
    c->out.rest_cap = rest_cap;
    c->responding = H1_WAITING;
    c->ending = H1_KEEP;
    c->requests++;
    bw_h1_wait(c, H1_WAIT_NOTHING, 0);
}

/* The one place where an exchange ends: the sink and the steps are told, then its memory goes. */
static void end_exchange(struct bw_http1 *c, bool complete)
{
    struct bw_exchange *x = &c->x;
    struct bw_body_sink *sink = c->body.sink;

    c->responding = H1_GONE;
    c->body.sink = NULL;
    if (sink != NULL)
        sink->end(sink, BW_REASON_CLOSED);
    for (size_t i = c->out.rest_from; i < c->out.rest.n; i++)
        x->bytes_sent -= c->out.rest.v[i].len;
    bw_exchange_end(x, complete);
    bw_next_cancel(&c->feed);
    bw_next_cancel(&c->go_on);
    c->out.rest.n = c->out.rest_from = 0;
    c->responding = H1_NO_REQUEST;
}

/* ---- the end ---- */

void bw_h1_free(struct bw_http1 *c, enum bw_close how)
{
    bw_timer_stop(&c->timer);
    if (c->responding != H1_NO_REQUEST)
        end_exchange(c, how == BW_CLOSE_GIVE);
    bw_next_cancel(&c->feed);
    bw_next_cancel(&c->go_on);
    free(c->out.rest.v);
    bw_conn_free(&c->conn, how);
}

static void read_and_drop(h2o_socket_t *socket, const char *err)
{
    struct bw_http1 *c = socket->data;

    h2o_buffer_consume(&socket->input, socket->input->size);
    if (err != NULL)
        bw_h1_free(c, BW_CLOSE_SOCKET);
}

/*
 * Nothing is left to say.  To close over unread bytes would send RST, which can take the response
 * from under the client's eyes, so the rest is read for a while (RFC 9112, 9.6).  Over TLS there
 * is no way to half-close: close_notify comes with the close.
 */
void bw_h1_finish(struct bw_http1 *c)
{
    h2o_socket_t *socket = c->conn.socket;

    if (c->reading == H1_WHOLE && socket->input->size == 0) {
        bw_h1_free(c, BW_CLOSE_SOCKET);
        return;
    }
    c->reading = H1_LINGER;
    if (!c->conn.tls)
        shutdown(h2o_socket_get_fd(socket), SHUT_WR);
    h2o_buffer_consume(&socket->input, socket->input->size);
    bw_h1_wait(c, H1_WAIT_LINGER, BW_LINGER_MS);
    h2o_socket_read_start(socket, read_and_drop);
}

void bw_h1_read_on(struct bw_http1 *c)
{
    if (!h2o_socket_is_reading(c->conn.socket))
        h2o_socket_read_start(c->conn.socket, bw_h1_on_read);
}

void bw_h1_next_request(struct bw_http1 *c)
{
    c->reading = H1_IDLE;
    c->scanned = 0;
    c->blank_lines = 0;
    bw_h1_wait(c, H1_WAIT_IDLE, bw_h1_limits(c)->idle_timeout_ms);
    bw_h1_read_on(c);
    if (c->conn.socket->input->size == 0) {
        if (bw_conn_client_is_done(&c->conn))
            bw_h1_free(c, BW_CLOSE_SOCKET);
        return;
    }
    if (bw_h1_burst_is_used_up(c))
        bw_h1_give_way(c);
    else
        bw_h1_advance(c);
}

/* Is what the client still sends short enough to be read for the sake of the connection? */
static bool rest_can_be_dropped(const struct bw_http1 *c)
{
    if (c->reading != H1_BODY_HELD && c->reading != H1_BODY)
        return false;
    return c->x.head.framing == BW_FRAMING_CHUNKED || c->body.left <= BW_H1_DROP_MAX;
}

static void drop_rest_of_body(struct bw_http1 *c)
{
    c->reading = H1_BODY_DROP;
    c->body.received = 0;
    bw_h1_wait(c, H1_WAIT_BODY, bw_h1_limits(c)->body_timeout_ms);
    bw_h1_read_on(c);
    bw_h1_advance(c);
}

void bw_h1_response_out(struct bw_http1 *c)
{
    bool keeps;

    bw_h1_send_clock_stop(c);
    if (c->responding == H1_BROKEN) {
        bw_h1_free(c, c->framing == H1_UNTIL_CLOSE ? BW_CLOSE_RESET : BW_CLOSE_CUT);
        return;
    }
    end_exchange(c, true);
    keeps = c->ending == H1_KEEP && !c->conn.worker->draining;
    if (keeps && c->reading == H1_WHOLE)
        bw_h1_next_request(c);
    else if (keeps && rest_can_be_dropped(c))
        drop_rest_of_body(c);
    else
        bw_h1_finish(c);
}

/* ---- the start ---- */

static void drain(struct bw_conn *conn)
{
    struct bw_http1 *c = BW_CONTAINER_OF(conn, struct bw_http1, conn);

    if (c->responding == H1_NO_REQUEST && c->reading == H1_IDLE && conn->socket->input->size == 0)
        bw_h1_free(c, BW_CLOSE_SOCKET);
}

static void cut(struct bw_conn *conn)
{
    bw_h1_free(BW_CONTAINER_OF(conn, struct bw_http1, conn), BW_CLOSE_CUT);
}

static const struct bw_conn_life life = {drain, cut};

void bw_http1_start(struct bw_worker *w, h2o_socket_t *socket, const struct bw_accepted *a)
{
    struct bw_http1 *c =
        BW_CONTAINER_OF(bw_conn_new(sizeof(*c), w, socket, a, &life), struct bw_http1, conn);

    c->final.do_send = bw_h1_do_send;
    bw_records_init(&c->records, now_ms(c));
    bw_h1_wait(c, H1_WAIT_HEAD, bw_h1_limits(c)->head_timeout_ms);
    bw_h1_read_on(c);
    if (socket->input->size != 0)
        bw_h1_advance(c);
}
