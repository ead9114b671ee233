/*
 * http2.c - the life of an HTTP/2 connection: its start, its turns, its clocks, its end.
 *
 * While streams are open or bytes wait to be taken, a tick of a second looks whether everything
 * moves: the socket, each response that has bytes, each body that is owed.  Without streams one
 * timer waits for the idle time; what a client sends between two requests does not restart it
 * (security.md 3: a PING a second held connections of others for ever).
 */
#include "breakwater/server/http2.h"

#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/server/acked.h"

#include "http2_priv.h"

#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { UNSENT_MAX = 256 * 1024, UNREAD_MAX = 64 * 1024, DROP_MAX = 64 * 1024 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;

static void count(struct bw_http2 *c, enum bw_counter which)
{
    bw_count(c->conn.worker->counters, which, 1);
}

/* ---- streams ---- */

void bw_h2_put(h2o_linklist_t *list, h2o_linklist_t *link)
{
    if (h2o_linklist_is_linked(link))
        h2o_linklist_unlink(link);
    h2o_linklist_insert(list, link);
}

void bw_h2_take_off(h2o_linklist_t *link)
{
    if (h2o_linklist_is_linked(link))
        h2o_linklist_unlink(link);
}

/* The one place where a stream ends: the sink and the steps are told, then its memory goes. */
static void free_stream(struct bw_h2_stream *st)
{
    struct bw_http2 *c = st->conn;
    bool was_running = st->started;

    st->stage = H2_CLOSED;
    st->responding = H2_GONE;
    bw_h2_take_off(&st->turn);
    h2o_linklist_unlink(&st->link);
    if (st->tunnel != NULL)
        bw_h2_tunnel_free(st);
    bw_h2_tunnel_leave(st);
    bw_h2_body_end(st, BW_REASON_CLOSED);
    bw_exchange_end(&st->x, st->all_sent);
    bw_h2_take_off(&st->fed); /* `done` may have given credit back */
    if (st->body.waiting != NULL)
        h2o_buffer_dispose(&st->body.waiting);
    if (c->head == st)
        c->head = NULL;
    bw_h2_memory_put(c->conn.worker->wire->h2_memory, st);
    c->running -= was_running;
    if (--c->streams_n == 0)
        c->idle_at = bw_h2_now(c);
}

static void free_streams(struct bw_http2 *c)
{
    while (!h2o_linklist_is_empty(&c->streams)) {
        h2o_linklist_t *first = c->streams.next;

        free_stream(BW_CONTAINER_OF(first, struct bw_h2_stream, link));
        BW_ASSERT(c->streams.next != first);
    }
}

/* One that was answered whole is done when the kernel has its last bytes (wire.h, 2). */
static void end_closed(struct bw_http2 *c)
{
    h2o_linklist_t *at = c->closed.next;
    int64_t now = 0; /* one look at the clock for all */

    while (at != &c->closed) {
        struct bw_h2_stream *st = BW_CONTAINER_OF(at, struct bw_h2_stream, turn);

        at = at->next;
        if (c->writing && st->all_sent)
            continue;
        now = now != 0 ? now : bw_clock_mono_us();
        st->x.ended_us = now;
        free_stream(st);
    }
}

/* ---- turns ---- */

static void fire(struct bw_timer *t);

/*
 * The last request that will be answered is named when nothing is on its way out, so that the name
 * is right when the frame is packed; a client may repeat all above it (RFC 9113, 6.8).
 */
static void say_goaway(struct bw_http2 *c)
{
    if (!c->wants_goaway || c->said_goaway || c->ending)
        return;
    c->said_goaway = true;
    c->goaway_last = nghttp2_session_get_last_proc_stream_id(c->session);
    nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, c->goaway_last, NGHTTP2_NO_ERROR, NULL, 0);
}

void bw_h2_want_goaway(struct bw_http2 *c)
{
    c->wants_goaway = true;
    bw_h2_turn_soon(c);
}

static void read_and_drop(h2o_socket_t *socket, const char *err)
{
    struct bw_http2 *c = socket->data;
    size_t most = c->is_to_blame ? DROP_MAX : 2 * BW_H2_CONNECTION_WINDOW;

    c->dropped += socket->input->size;
    h2o_buffer_consume(&socket->input, socket->input->size);
    if (err != NULL || bw_conn_client_is_done(&c->conn))
        bw_h2_free(c, BW_CLOSE_SOCKET);
    else if (c->dropped > most)
        bw_h2_free(c, BW_CLOSE_RESET);
}

/*
 * The kernel may have bytes for the client still, and what the client sends now, be it a window for
 * them, would be answered with RST if the socket were closed: the bytes would be lost.  So we read
 * on until the client closes, or nothing has moved for a while, or it sends more than it can have
 * sent before it heard of the end.
 */
static void linger(struct bw_http2 *c)
{
    if (c->lingering)
        return;
    c->lingering = true;
    c->ending = true;
    free_streams(c);
    bw_next_cancel(&c->go_on);
    if (!c->conn.tls)
        shutdown(h2o_socket_get_fd(c->conn.socket), SHUT_WR);
    c->written_at = bw_h2_now(c);
    bw_timer_start(c->conn.worker->loop, &c->timer, BW_H2_TICK_MS, fire);
    h2o_socket_read_start(c->conn.socket, read_and_drop);
}

static void go_on(struct bw_next *n)
{
    bw_h2_turn(BW_CONTAINER_OF(n, struct bw_http2, go_on));
}

void bw_h2_turn_soon(struct bw_http2 *c)
{
    c->wants_flush = true;
    if (!c->turning && !c->lingering)
        bw_loop_next(c->conn.worker->loop, &c->go_on, go_on);
}

void bw_h2_give_way(struct bw_http2 *c)
{
    bw_loop_spare(c->conn.worker->loop, &c->go_on, go_on);
}

/* Is everything said?  With an open write there is more to come, and so with a sink that is fed. */
static bool is_over(const struct bw_http2 *c)
{
    if (c->writing || nghttp2_session_want_write(c->session))
        return false;
    return c->ending || !nghttp2_session_want_read(c->session) ||
           (c->said_goaway && c->streams_n == 0);
}

/* Is there work that no callback of the socket would come for? */
static bool has_work(struct bw_http2 *c)
{
    if (!h2o_linklist_is_empty(&c->fed) || bw_h2_has_input(c))
        return true;
    if (!c->ending && !h2o_linklist_is_empty(&c->ready) &&
        c->running < bw_h2_limits(c)->http2.requests)
        return true;
    return !c->writing && (c->wants_flush || !h2o_linklist_is_empty(&c->drained) ||
                           !h2o_linklist_is_empty(&c->closed));
}

void bw_h2_turn(struct bw_http2 *c)
{
    c->turning = true;
    bw_h2_take_input(c);
    if (c->is_cut) { /* it was told the last time */
        bw_h2_free(c, BW_CLOSE_RESET);
        return;
    }
    end_closed(c);
    bw_h2_start_ready(c);
    bw_h2_feed_bodies(c);
    if (!c->writing) {
        bw_h2_proceed_drained(c);
        say_goaway(c);
        bw_h2_flush(c);
    }
    c->turning = false;
    if (is_over(c))
        linger(c);
    else if (has_work(c))
        bw_h2_turn_soon(c);
}

/* ---- clocks ---- */

void bw_h2_tick_on(struct bw_http2 *c)
{
    if (c->ticking)
        return;
    c->ticking = true;
    bw_timer_start(c->conn.worker->loop, &c->timer, BW_H2_TICK_MS, fire);
}

static bool socket_moved_within(struct bw_http2 *c, uint64_t now, uint64_t ms)
{
    uint64_t acked = bw_acked(h2o_socket_get_fd(c->conn.socket));

    if (acked != c->acked)
        c->written_at = now;
    c->acked = acked;
    return now - c->written_at < ms;
}

static bool socket_moves(struct bw_http2 *c, uint64_t now)
{
    if (c->writing)
        return socket_moved_within(c, now, (uint64_t)bw_h2_limits(c)->send_timeout_ms);
    c->written_at = now;
    return true;
}

/* With a window, a stream that does not move waits for others to be sent before it (RFC 9218, 10);
 * is it the connection's window that is shut, then nothing at all may have moved. */
static uint64_t what_moves(const struct bw_h2_stream *st)
{
    nghttp2_session *session = st->conn->session;
    bool is_shut = nghttp2_session_get_stream_remote_window_size(session, st->id) <= 0;

    return is_shut ? st->x.bytes_sent : st->conn->bytes_sent;
}

/* A client that opens no window for what it asked for (security.md 3: GET with window 0). */
static bool response_moves(struct bw_h2_stream *st, uint64_t now)
{
    bool waits = st->out.bytes > 0 || st->out.source != NULL;
    uint64_t moved = what_moves(st);

    if (!waits || st->out.seen != moved || st->out.stalled_at == 0) {
        st->out.seen = moved;
        st->out.stalled_at = now;
    }
    return now - st->out.stalled_at < (uint64_t)bw_h2_limits(st->conn)->send_timeout_ms;
}

/* Does the body come as fast as it has to?  The clock runs only while we wait for the client. */
static bool body_moves(struct bw_h2_stream *st, uint64_t now)
{
    const struct bw_limits_conf *limits = bw_h2_limits(st->conn);
    bool waits = st->body.sink != NULL && !st->ends && st->tunnel == NULL &&
                 st->body.outstanding < st->body.sink->window;

    if (!waits || st->body.window_at == 0) {
        st->body.window_at = now;
        st->body.window_bytes = 0;
        return true;
    }
    if (now - st->body.window_at < (uint64_t)limits->body_timeout_ms)
        return true;
    if (st->body.window_bytes < bw_conn_body_least(limits))
        return false;
    st->body.window_at = now;
    st->body.window_bytes = 0;
    return true;
}

/* No place becomes free: the client may ask elsewhere (RFC 9113, 8.7). */
static bool waits_too_long(const struct bw_h2_stream *st, uint64_t now)
{
    return now - st->read_at >= (uint64_t)bw_h2_limits(st->conn)->send_timeout_ms;
}

static void look_at_streams(struct bw_http2 *c, uint64_t now)
{
    for (h2o_linklist_t *at = c->streams.next; at != &c->streams; at = at->next) {
        struct bw_h2_stream *st = BW_CONTAINER_OF(at, struct bw_h2_stream, link);

        if (st->stage == H2_READY && waits_too_long(st, now))
            bw_h2_reset(st, NGHTTP2_REFUSED_STREAM);
        if (st->stage != H2_RUNS || st->was_reset)
            continue;
        if (!response_moves(st, now)) {
            count(c, BW_C_SEND_TIMEOUT);
            bw_h2_reset(st, NGHTTP2_CANCEL);
        }
        if (!body_moves(st, now)) {
            count(c, BW_C_BODY_TIMEOUT);
            st->body.failed = BW_REASON_TIMEOUT;
            bw_h2_put(&c->fed, &st->fed);
        }
    }
}

/* A head that does not end, or none at all since the connection began. */
static bool head_comes(const struct bw_http2 *c, uint64_t now)
{
    return c->head_at == 0 || now - c->head_at < (uint64_t)bw_h2_limits(c)->head_timeout_ms;
}

static void wait_idle(struct bw_http2 *c, uint64_t now)
{
    uint64_t wait = (uint64_t)(c->requests == 0 ? bw_h2_limits(c)->head_timeout_ms
                                                : bw_h2_limits(c)->idle_timeout_ms);
    uint64_t since = now - c->idle_at;

    c->ticking = false;
    if (since < wait) {
        bw_timer_start(c->conn.worker->loop, &c->timer, bw_conn_round_down(wait - since), fire);
        return;
    }
    count(c, c->requests == 0 ? BW_C_HEAD_TIMEOUT : BW_C_IDLE_TIMEOUT);
    bw_h2_end(c, NGHTTP2_NO_ERROR);
    bw_h2_tick_on(c); /* until the goodbye is taken */
}

static void linger_on(struct bw_http2 *c, uint64_t now)
{
    if (socket_moved_within(c, now, BW_LINGER_MS))
        bw_timer_start(c->conn.worker->loop, &c->timer, BW_H2_TICK_MS, fire);
    else
        bw_h2_free(c, BW_CLOSE_CUT);
}

static void fire(struct bw_timer *t)
{
    struct bw_http2 *c = BW_CONTAINER_OF(t, struct bw_http2, timer);
    uint64_t now = bw_h2_now(c);

    if (c->lingering) {
        linger_on(c, now);
        return;
    }
    if (!socket_moves(c, now)) {
        count(c, BW_C_SEND_TIMEOUT);
        bw_h2_free(c, BW_CLOSE_CUT);
        return;
    }
    if (!head_comes(c, now)) {
        count(c, BW_C_HEAD_TIMEOUT);
        bw_h2_free(c, BW_CLOSE_CUT);
        return;
    }
    if (c->draining) /* the notice had a second to arrive (RFC 9113, 6.8) */
        bw_h2_want_goaway(c);
    if (c->streams_n == 0 && !c->writing && c->head_at == 0 && !c->ending) {
        wait_idle(c, now);
    } else {
        look_at_streams(c, now);
        c->ticking = false;
        bw_h2_tick_on(c);
    }
    bw_h2_turn(c);
}

/* ---- the end ---- */

void bw_h2_end(struct bw_http2 *c, uint32_t code)
{
    if (c->ending)
        return;
    c->ending = true;
    h2o_socket_read_stop(c->conn.socket);
    nghttp2_session_terminate_session(c->session, code);
    bw_h2_turn_soon(c);
}

void bw_h2_free(struct bw_http2 *c, enum bw_close how)
{
    bw_timer_stop(&c->timer);
    c->ending = true;
    c->turning = true; /* what the steps say to us now starts nothing */
    free_streams(c);
    bw_next_cancel(&c->go_on);
    nghttp2_session_del(c->session);
    free(c->inflight);
    bw_conn_free(&c->conn, how);
}

/* Idle ones end now; others hear that no new request is welcome, and a second later which the last
 * one was: what was on its way meanwhile is answered, too. */
static void drain(struct bw_conn *conn)
{
    struct bw_http2 *c = BW_CONTAINER_OF(conn, struct bw_http2, conn);

    c->draining = true;
    if (c->lingering)
        return;
    if (c->streams_n == 0 && !bw_h2_has_input(c))
        bw_h2_end(c, NGHTTP2_NO_ERROR);
    else
        nghttp2_submit_shutdown_notice(c->session);
    bw_h2_tick_on(c);
    bw_h2_turn_soon(c);
}

static void cut(struct bw_conn *conn)
{
    bw_h2_free(BW_CONTAINER_OF(conn, struct bw_http2, conn), BW_CLOSE_CUT);
}

static const struct bw_conn_life life = {drain, cut};

/* ---- the start ---- */

static void set_up_process(void)
{
    BW_ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&options) == 0);
    bw_h2_reading(callbacks);
    bw_h2_prioritising(callbacks);
    bw_h2_writing(callbacks);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    /* beside our own counts (http2_limits.c): what would pile up inside nghttp2 */
    nghttp2_option_set_max_outbound_ack(options, 100);
    nghttp2_option_set_max_settings(options, 16);
    nghttp2_option_set_stream_reset_rate_limit(options, 1000, 100);
    nghttp2_option_set_max_continuations(options, 8);
    /* of responses, as nghttp2 estimates them; origins may not send more than 64 KiB */
    nghttp2_option_set_max_send_header_block_length(options, BW_H2_HEAD_OUT_MAX);
    /* else frames of unknown types would not be counted */
    for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
        nghttp2_option_set_user_recv_extension_type(options, (uint8_t)type);
}

static void say_settings(struct bw_http2 *c)
{
    const struct bw_limits_conf *limits = bw_h2_limits(c);
    const nghttp2_settings_entry ours[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->http2.streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, BW_H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->head},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}, /* RFC 9218, 2.1 */
    };

    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, ours, BW_ARRAY_LEN(ours));
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                          BW_H2_CONNECTION_WINDOW);
}

/*
 * What the kernel holds back cannot be overtaken by a response that is wanted sooner, so it gets no
 * more than it needs to keep the line busy between two of our writes.
 */
static void keep_queue_short(h2o_socket_t *socket)
{
    int most = UNSENT_MAX, unread = UNREAD_MAX;

    /* libh2o reads until nothing is left, which a flood on a fast line can make long */
    (void)setsockopt(h2o_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUF, &unread, sizeof(unread));
    (void)setsockopt(h2o_socket_get_fd(socket), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most,
                     sizeof(most));
}

void bw_http2_start(struct bw_worker *w, h2o_socket_t *socket, const struct bw_accepted *a)
{
    struct bw_http2 *c =
        BW_CONTAINER_OF(bw_conn_new(sizeof(*c), w, socket, a, &life), struct bw_http2, conn);

    pthread_once(&once, set_up_process);
    h2o_linklist_init_anchor(&c->streams);
    h2o_linklist_init_anchor(&c->ready);
    h2o_linklist_init_anchor(&c->drained);
    h2o_linklist_init_anchor(&c->closed);
    h2o_linklist_init_anchor(&c->fed);
    bw_records_init(&c->records, bw_h2_now(c));
    c->idle_at = c->written_at = bw_h2_now(c);
    bw_h2_limits_init(c);
    BW_ASSERT(nghttp2_session_server_new3(&c->session, callbacks, c, options,
                                          bw_h2_memory_calls(w->wire->h2_memory)) == 0);
    keep_queue_short(socket);
    say_settings(c);
    bw_h2_tick_on(c);
    h2o_socket_read_start(socket, bw_h2_on_read);
    bw_h2_turn(c);
}
