/*
 * http2_tunnel.c - a WebSocket in a stream: extended CONNECT  (RFC 8441).
 *
 * Above the wire an upgrade ends with a socket that is the client's (wire.h, upgrade()).  A stream
 * has none, so it is given one: a pair of sockets, one end for the tunnel, the other pumped to and
 * from the stream here.  Each direction reads only when what it read before is gone, so the
 * stream's window and the tunnel's own pace hold each other back.
 */
#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include "http2_priv.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <stdlib.h>
#include <sys/socket.h>

enum { KEY_BYTES = 16, KEY_TEXT = 25 };

struct bw_h2_tunnel {
    struct bw_h2_stream *stream;
    h2o_socket_t *socket;  /* our end of the pair */
    size_t sending;        /* bytes of socket->input that are the stream's pieces */
    h2o_buffer_t *writing; /* bytes of the client's on their way into the socket, or NULL */
    bool closed;           /* the other end says no more */
    bool deaf;             /* nor does it listen */
    h2o_socket_t *other;   /* until the turn that gives it away */
    bw_upgraded_fn upgraded;
    void *ctx;
};

/* ---- the fields, and the place ---- */

/* What an HTTP/1.1 origin wants to see (RFC 6455, 4.1); the key proves nothing to anybody here. */
bool bw_h2_tunnel_fields(struct bw_h2_stream *st)
{
    struct bw_fields *fields = &st->x.head.fields;
    h2o_mem_pool_t *pool = &st->x.req.pool;
    struct bw_field *v = h2o_mem_alloc_pool(pool, (fields->n + 3) * sizeof(*v));
    unsigned char key[KEY_BYTES];
    char *text = h2o_mem_alloc_pool(pool, KEY_TEXT);

    if (RAND_bytes(key, sizeof(key)) != 1)
        return false;
    EVP_EncodeBlock((unsigned char *)text, key, sizeof(key));
    if (fields->n > 0)
        memcpy(v, fields->v, fields->n * sizeof(*v));
    v[fields->n++] = (struct bw_field){BW_S("connection"), BW_S("upgrade"), BW_F_CONNECTION};
    v[fields->n++] = (struct bw_field){BW_S("upgrade"), BW_S("websocket"), BW_F_UPGRADE};
    v[fields->n++] =
        (struct bw_field){BW_S("sec-websocket-key"), bw_slice(text, KEY_TEXT - 1), BW_F_OTHER};
    fields->v = v;
    return true;
}

static bool enter(struct bw_h2_stream *st, struct bw_accept_limits *limits)
{
    const struct bw_limits_conf *conf = bw_h2_limits(st->conn);

    if (!bw_limits_enter(limits, conf->connections))
        return false;
    if (!bw_conn_is_local(&st->conn->conn) &&
        !bw_limits_enter_address(limits, st->conn->conn.address, conf->connections_per_address)) {
        bw_limits_leave(limits);
        return false;
    }
    return true;
}

bool bw_h2_tunnel_enter(struct bw_h2_stream *st)
{
    struct bw_accept_limits *limits = bw_limits_of(st->conn->conn.worker);

    st->counts = limits != NULL && enter(st, limits);
    if (limits != NULL && !st->counts)
        bw_count(st->conn->conn.worker->counters, BW_C_CONNECTIONS_REFUSED, 1);
    return limits == NULL || st->counts;
}

void bw_h2_tunnel_leave(struct bw_h2_stream *st)
{
    struct bw_accept_limits *limits = bw_limits_of(st->conn->conn.worker);

    if (!st->counts)
        return;
    st->counts = false;
    bw_limits_leave(limits);
    if (!bw_conn_is_local(&st->conn->conn))
        bw_limits_leave_address(limits, st->conn->conn.address);
}

/* ---- from the tunnel to the stream ---- */

static void on_read(h2o_socket_t *socket, const char *err)
{
    struct bw_h2_tunnel *t = socket->data;
    struct bw_h2_stream *st = t->stream;
    h2o_iovec_t v = h2o_iovec_init(socket->input->bytes, socket->input->size);

    if (v.len == 0 && err == NULL)
        return;
    h2o_socket_read_stop(socket);
    t->closed = err != NULL;
    t->sending = v.len;
    bw_h2_send_pieces(st, &v, 1, t->closed);
}

void bw_h2_tunnel_drained(struct bw_h2_stream *st)
{
    struct bw_h2_tunnel *t = st->tunnel;

    h2o_buffer_consume(&t->socket->input, t->sending);
    t->sending = 0;
    if (t->closed)
        bw_h2_send_pieces(st, NULL, 0, true);
    else
        h2o_socket_read_start(t->socket, on_read);
}

/* ---- from the stream to the tunnel ---- */

static void on_written(h2o_socket_t *socket, const char *err)
{
    struct bw_h2_tunnel *t = socket->data;
    struct bw_h2_stream *st = t->stream;
    size_t n = t->writing->size;

    h2o_buffer_dispose(&t->writing);
    bw_h2_consume(st, n);
    t->deaf = t->deaf || err != NULL; /* what it said before may be on its way still */
    bw_h2_tunnel_data(st);
}

/* The exchange ends here, the stream goes on. */
static void give_away(struct bw_h2_stream *st)
{
    struct bw_h2_tunnel *t = st->tunnel;
    h2o_socket_t *other = t->other;
    void (*done)(struct bw_exchange *, bool) = st->x.done;

    t->other = NULL;
    st->started = false; /* others may have its place: it can stay for hours */
    st->conn->running--;
    st->x.done = NULL;
    st->x.req._generator = NULL;
    done(&st->x, true);
    t->upgraded(t->ctx, other);
    h2o_socket_read_start(t->socket, on_read);
}

void bw_h2_tunnel_data(struct bw_h2_stream *st)
{
    struct bw_h2_tunnel *t = st->tunnel;
    h2o_iovec_t v;

    if (t->other != NULL)
        give_away(st);
    if (t->writing != NULL)
        return;
    if (st->body.waiting == NULL || st->body.waiting->size == 0) {
        if (st->ends)
            shutdown(h2o_socket_get_fd(t->socket), SHUT_WR);
        return;
    }
    if (t->deaf) {
        bw_h2_drop_waiting(st);
        return;
    }
    t->writing = st->body.waiting; /* what comes meanwhile may not move it */
    st->body.waiting = NULL;
    v = h2o_iovec_init(t->writing->bytes, t->writing->size);
    h2o_socket_write(t->socket, &v, 1, on_written);
}

/* ---- the life of it ---- */

void bw_h2_tunnel_free(struct bw_h2_stream *st)
{
    struct bw_h2_tunnel *t = st->tunnel;

    st->tunnel = NULL;
    if (t->other != NULL)
        h2o_socket_close(t->other);
    h2o_socket_close(t->socket);
    if (t->writing != NULL)
        h2o_buffer_dispose(&t->writing);
    free(t);
}

static struct bw_h2_tunnel *new_tunnel(struct bw_h2_stream *st)
{
    h2o_loop_t *loop = st->conn->conn.super.ctx->loop;
    struct bw_h2_tunnel *t;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return NULL;
    t = bw_zalloc(sizeof(*t));
    t->stream = st;
    t->socket = h2o_evloop_socket_create(loop, pair[0], 0);
    t->socket->data = t;
    t->other = h2o_evloop_socket_create(loop, pair[1], 0);
    return t;
}

/* The reply's are of the exchange, which ends before they are packed. */
static struct bw_fields copy_fields(struct bw_h2_stream *st, const struct bw_fields *fields)
{
    struct bw_fields copy = *fields;

    copy.v = h2o_mem_alloc_pool(&st->x.req.pool, (fields->n + 1) * sizeof(*copy.v));
    for (size_t i = 0; i < fields->n; i++) {
        copy.v[i] = fields->v[i];
        copy.v[i].name = bw_h2_kept(st, fields->v[i].name);
        copy.v[i].value = bw_h2_kept(st, fields->v[i].value);
    }
    return copy;
}

/* 200 is to a WebSocket here what 101 is in HTTP/1.1 (RFC 8441, 5); the rest is for the turn,
 * outside of the steps' call. */
void bw_h2_upgrade(struct bw_exchange *x, bw_upgraded_fn upgraded, void *ctx)
{
    struct bw_h2_stream *st = bw_h2_of(x);
    struct bw_reply reply = *x->reply;

    if (st->responding == H2_GONE || st->stage != H2_RUNS)
        return;
    st->tunnel = new_tunnel(st);
    if (st->tunnel == NULL) {
        bw_h2_reset(st, NGHTTP2_REFUSED_STREAM);
        return;
    }
    st->tunnel->upgraded = upgraded;
    st->tunnel->ctx = ctx;
    reply.status = 200;
    reply.length = BW_LENGTH_UNKNOWN;
    reply.fields = copy_fields(st, &x->reply->fields);
    bw_h2_submit_head(st, &reply, true);
    st->responding = H2_STREAMING;
    st->out.left = BW_LENGTH_UNKNOWN;
    bw_h2_put(&st->conn->fed, &st->fed);
    bw_h2_turn_soon(st->conn);
}
