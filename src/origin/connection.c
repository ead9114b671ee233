/*
 * connection.c - one connection to a server: resolve, connect, TLS, then bytes in and out.
 *
 * We read by ourselves (H2O_SOCKET_FLAG_DONT_READ): libh2o would read until the kernel has no more,
 * however much that is, and two hundred paused downloads would each hold what a fast origin sent
 * meanwhile.  Here a read event takes at most BW_INPUT_MAX bytes and the rest waits in the kernel,
 * where TCP holds the sender back.
 */
#include "breakwater/origin/connection.h"

#include "breakwater/base/check.h"
#include "breakwater/base/log.h"
#include "breakwater/base/mem.h"
#include "breakwater/base/socket.h"
#include "breakwater/origin/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    ADDRESSES_TRIED_MAX = 3, /* by one connection; each has the whole connect timeout */
    READ_MIN = 4096,
    BULK_FROM = 8192, /* a read of so much at once: the next buffer is a large one */
};

static void dial(struct bw_connection *c);
static void pump(struct bw_connection *c);

static const struct bw_pool_conf *conf_of(const struct bw_connection *c)
{
    return c->server->pool->conf;
}

static struct bw_loop *loop_of(const struct bw_connection *c)
{
    return c->server->pool->origin->loop;
}

static void close_socket(struct bw_connection *c)
{
    h2o_socket_t *socket = c->socket;

    c->socket = NULL;
    c->ssl = NULL;
    if (socket != NULL)
        h2o_socket_close(socket);
}

static void report_failure(struct bw_next *n)
{
    struct bw_connection *c = BW_CONTAINER_OF(n, struct bw_connection, next);

    c->ops->failed(c->owner, c->why);
}

static void fail(struct bw_connection *c, enum bw_reason why, const char *detail)
{
    const char *url = c->server->conf->url;

    bw_log_limited(BW_LOG_WARN, "origin-connect", url, "origin: %s: %s%s%s", url,
                   bw_reason_name(why), detail != NULL ? ": " : "", detail != NULL ? detail : "");
    bw_timer_stop(&c->timer);
    close_socket(c);
    c->phase = BW_CONNECTION_CLOSED;
    c->why = why;
    bw_loop_next(loop_of(c), &c->next, report_failure);
}

static void open_now(struct bw_connection *c)
{
    bw_timer_stop(&c->timer);
    c->phase = BW_CONNECTION_OPEN;
    h2o_socket_dont_read(c->socket, 1);
    if (c->ssl != NULL && !bw_peer_tls_begin(c->ssl, h2o_socket_get_fd(c->socket))) {
        fail(c, BW_REASON_TLS, "it spoke before it was asked");
        return;
    }
    if (!bw_connection_quiet(c)) {
        fail(c, BW_REASON_CLOSED, "closed, or spoke before it was asked");
        return;
    }
    bw_connection_own(c, c->ops, c->owner);
    c->ops->opened(c->owner);
}

static void handshake_done(h2o_socket_t *socket, const char *err)
{
    struct bw_connection *c = socket->data;
    const char *detail;

    h2o_socket_read_stop(socket);
    switch (bw_peer_tls_judge(c->server->tls, c->ssl, err, &detail)) {
    case BW_PEER_GOOD:
        open_now(c);
        return;
    case BW_PEER_UNTRUSTED:
        fail(c, BW_REASON_CERTIFICATE, detail);
        return;
    case BW_PEER_FAILED:
        fail(c, BW_REASON_TLS, detail);
        return;
    }
    BW_UNREACHABLE();
}

static void tls_timed_out(struct bw_timer *t)
{
    fail(BW_CONTAINER_OF(t, struct bw_connection, timer), BW_REASON_TLS_TIMEOUT, NULL);
}

static void start_timer(struct bw_connection *c, int64_t ms, bw_timer_fn fire)
{
    bw_timer_stop(&c->timer);
    if (ms > 0)
        bw_timer_start(loop_of(c), &c->timer, ms, fire);
}

static void connected(h2o_socket_t *socket, const char *err)
{
    struct bw_connection *c = socket->data;

    if (err != NULL) {
        c->why = BW_REASON_CONNECT;
        close_socket(c);
        bw_name_failed(c->server->name, &c->cursor);
        dial(c);
        return;
    }
    if (c->server->tls == NULL) {
        open_now(c);
        return;
    }
    c->phase = BW_CONNECTION_TLS;
    start_timer(c, conf_of(c)->tls_ms, tls_timed_out);
    bw_peer_tls_handshake(c->server->tls, socket, &c->ssl, handshake_done);
}

static void connect_timed_out(struct bw_timer *t)
{
    struct bw_connection *c = BW_CONTAINER_OF(t, struct bw_connection, timer);

    c->why = BW_REASON_CONNECT_TIMEOUT;
    close_socket(c);
    bw_name_failed(c->server->name, &c->cursor);
    dial(c);
}

/* The next of the server's addresses; a connect that fails at once leads to the one after it. */
static void dial(struct bw_connection *c)
{
    const struct bw_address *a;

    c->phase = BW_CONNECTION_CONNECTING;
    while (c->cursor.count < ADDRESSES_TRIED_MAX &&
           (a = bw_name_pick(c->server->name, &c->cursor)) != NULL) {
        struct sockaddr_storage sa = a->sa; /* libh2o takes it without const */

        c->socket = h2o_socket_connect(bw_loop_h2o(loop_of(c)), (struct sockaddr *)(void *)&sa,
                                       a->len, connected);
        if (c->socket != NULL) {
            c->socket->data = c;
            start_timer(c, conf_of(c)->connect_ms, connect_timed_out);
            return;
        }
        c->why = BW_REASON_CONNECT;
        bw_name_failed(c->server->name, &c->cursor);
    }
    fail(c, c->why, NULL);
}

static void resolve_timed_out(struct bw_timer *t)
{
    struct bw_connection *c = BW_CONTAINER_OF(t, struct bw_connection, timer);

    bw_name_leave(&c->waiter);
    fail(c, BW_REASON_RESOLVE, "timeout");
}

static void resolved(struct bw_name_waiter *w, bool found)
{
    struct bw_connection *c = BW_CONTAINER_OF(w, struct bw_connection, waiter);

    bw_timer_stop(&c->timer);
    if (found)
        dial(c);
    else
        fail(c, BW_REASON_RESOLVE, NULL);
}

struct bw_connection *bw_connection_new(struct bw_server *server,
                                        const struct bw_connection_ops *ops, void *owner)
{
    struct bw_connection *c = bw_zalloc(sizeof(*c));

    c->server = server;
    c->ops = ops;
    c->owner = owner;
    c->why = BW_REASON_CONNECT;
    c->waiter.answered = resolved;
    switch (bw_name_lookup(server->name, &c->waiter)) {
    case BW_NAME_READY:
        dial(c);
        return c;
    case BW_NAME_WAIT:
        start_timer(c, conf_of(c)->resolve_ms, resolve_timed_out);
        return c;
    case BW_NAME_FAILED:
        fail(c, BW_REASON_RESOLVE, NULL);
        return c;
    }
    BW_UNREACHABLE();
}

static void bury(struct bw_next *n)
{
    struct bw_connection *c = BW_CONTAINER_OF(n, struct bw_connection, next);
    struct bw_origin *o = c->server->pool->origin;

    free(c);
    bw_origin_connection_gone(o);
}

void bw_connection_close(struct bw_connection *c)
{
    bw_timer_stop(&c->timer);
    bw_name_leave(&c->waiter);
    bw_next_cancel(&c->next);
    close_socket(c);
    c->phase = BW_CONNECTION_CLOSED;
    bw_loop_next(loop_of(c), &c->next, bury);
}

/* Up to `n` bytes of clear text; 0: none now, or `c->end` has come. */
static size_t read_some(struct bw_connection *c, char *to, size_t n)
{
    ssize_t got;

    if (c->ssl != NULL)
        return bw_peer_tls_read(c->ssl, to, n, &c->end);
    do
        got = recv(h2o_socket_get_fd(c->socket), to, n, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return (size_t)got;
    if (got == 0)
        c->end = BW_PEER_CLOSED;
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        c->end = BW_PEER_BROKEN;
    return 0;
}

/* After that read, is another one worth its system call? */
static bool may_have_more(const struct bw_connection *c, size_t got, size_t asked)
{
    return c->ssl != NULL ? bw_peer_tls_more(c->ssl) : got == asked;
}

static void fill_input(struct bw_connection *c)
{
    size_t before = c->socket->input->size, got, asked;

    c->more = false;
    do {
        size_t room = BW_INPUT_MAX - c->socket->input->size;
        h2o_iovec_t buf;

        if (room == 0) {
            c->more = c->ssl != NULL && bw_peer_tls_more(c->ssl);
            break;
        }
        buf = h2o_buffer_reserve(&c->socket->input, c->bulk || room < READ_MIN ? room : READ_MIN);
        asked = buf.len < room ? buf.len : room;
        got = read_some(c, buf.base, asked);
        c->socket->input->size += got;
    } while (got > 0 && may_have_more(c, got, asked));
    before = c->socket->input->size - before;
    c->bulk = before >= BULK_FROM;
    c->server->pool->origin->bytes_in += before;
}

static void pump_later(struct bw_next *n)
{
    pump(BW_CONTAINER_OF(n, struct bw_connection, next));
}

static void pump(struct bw_connection *c)
{
    if (c->held) {
        h2o_socket_read_stop(c->socket);
        c->stopped = true;
        return;
    }
    if (c->end == BW_PEER_OPEN)
        fill_input(c);
    c->ops->readable(c->owner);
    if (c->socket != NULL && c->owner != NULL && c->more && !c->held)
        bw_loop_next(loop_of(c), &c->next, pump_later);
}

static void became_readable(h2o_socket_t *socket, const char *err)
{
    struct bw_connection *c = socket->data;

    if (err != NULL)
        c->end = BW_PEER_BROKEN;
    if (c->owner != NULL)
        pump(c);
    else if (!bw_connection_quiet(c)) /* closed, or a response nobody asked for */
        bw_server_drop(c);
}

static void write_done(h2o_socket_t *socket, const char *err)
{
    struct bw_connection *c = socket->data;

    c->ops->written(c->owner, err == NULL);
}

void bw_connection_write(struct bw_connection *c, struct bw_slice bytes)
{
    h2o_iovec_t iov = {.len = bytes.len};

    BW_ASSERT(bytes.len > 0);
    memcpy(&iov.base, &bytes.base, sizeof(iov.base)); /* libh2o knows no const */
    c->server->pool->origin->bytes_out += bytes.len;
    bw_socket_send(c->socket, &iov);
    h2o_socket_write(c->socket, &iov, iov.len != 0 ? 1 : 0, write_done);
}

bool bw_connection_writing(const struct bw_connection *c)
{
    return h2o_socket_is_writing(c->socket);
}

void bw_connection_consume(struct bw_connection *c, size_t n)
{
    h2o_buffer_consume(&c->socket->input, n);
}

/* The loop goes on watching until bytes come: a pause that ends before that costs nothing. */
void bw_connection_hold(struct bw_connection *c)
{
    c->held = true;
}

void bw_connection_unhold(struct bw_connection *c, bool due)
{
    c->held = false;
    if (c->stopped)
        h2o_socket_read_start(c->socket, became_readable);
    c->stopped = false;
    if (due || c->socket->input->size > 0 || c->more || c->end != BW_PEER_OPEN)
        bw_loop_next(loop_of(c), &c->next, pump_later);
}

bool bw_connection_quiet(struct bw_connection *c)
{
    char byte;

    if (c->end != BW_PEER_OPEN || c->socket->input->size > 0)
        return false;
    if (c->ssl != NULL)
        return bw_peer_tls_quiet(c->ssl);
    return recv(h2o_socket_get_fd(c->socket), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

static void idle_too_long(struct bw_timer *t)
{
    bw_server_drop(BW_CONTAINER_OF(t, struct bw_connection, timer));
}

void bw_connection_idle(struct bw_connection *c, int64_t ms)
{
    bw_next_cancel(&c->next);
    c->owner = NULL;
    c->used = true;
    c->bulk = c->more = c->held = false;
    if (c->stopped)
        h2o_socket_read_start(c->socket, became_readable);
    c->stopped = false;
    start_timer(c, ms, idle_too_long);
}

void bw_connection_own(struct bw_connection *c, const struct bw_connection_ops *ops, void *owner)
{
    bw_timer_stop(&c->timer);
    c->ops = ops;
    c->owner = owner;
    if (!h2o_socket_is_reading(c->socket))
        h2o_socket_read_start(c->socket, became_readable);
}

h2o_socket_t *bw_connection_give(struct bw_connection *c)
{
    h2o_socket_t *socket = c->socket;

    BW_ASSERT(!h2o_socket_is_writing(socket));
    h2o_socket_read_stop(socket);
    h2o_socket_dont_read(socket, 0);
    if (c->ssl != NULL)
        bw_peer_tls_end(c->ssl, socket);
    socket->data = NULL;
    c->socket = NULL;
    c->ssl = NULL;
    return socket;
}
