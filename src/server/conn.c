/*
 * conn.c - what connections of all protocols share: who the client is, how the socket ends, the
 * drain, how much is written at once.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include "wire_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    SMALL_BYTES = 16 * 1024,
    RECORD_SMALL = 1400 - 29, /* one packet; for the first bytes after a pause */
    RECORD_FULL = 16384,
    PAUSE_MS = 1000,
};

static socklen_t get_sockname(h2o_conn_t *conn, struct sockaddr *sa)
{
    return h2o_socket_getsockname(((struct bw_conn *)conn)->socket, sa);
}

static socklen_t get_peername(h2o_conn_t *conn, struct sockaddr *sa)
{
    return h2o_socket_getpeername(((struct bw_conn *)conn)->socket, sa);
}

static h2o_socket_t *get_socket(h2o_conn_t *conn)
{
    return ((struct bw_conn *)conn)->socket;
}

static const h2o_conn_callbacks_t callbacks = {
    .get_sockname = get_sockname,
    .get_peername = get_peername,
    .get_socket = get_socket,
};

static void set_address(struct bw_conn *conn, const struct bw_accepted *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const struct bw_conf *conf = conn->worker->snapshot->conf;
    bool is_v4 = memcmp(a->address, mapped, sizeof(mapped)) == 0;

    memcpy(conn->address, a->address, sizeof(conn->address));
    conn->port = a->port;
    if (a->is_unix)
        memcpy(conn->address_text, "unix", sizeof("unix"));
    else if (is_v4)
        (void)inet_ntop(AF_INET, a->address + 12, conn->address_text, sizeof(conn->address_text));
    else
        (void)inet_ntop(AF_INET6, a->address, conn->address_text, sizeof(conn->address_text));
    conn->peer_trusted =
        bw_networks_contain(conf->trusted_proxies, conf->trusted_proxies_n, a->address);
}

struct bw_conn *bw_conn_new(size_t size, struct bw_worker *w, h2o_socket_t *socket,
                            const struct bw_accepted *a, const struct bw_conn_life *life)
{
    struct timeval now = *h2o_get_timestamp(&w->ctx, NULL, NULL);
    struct bw_conn *c = BW_CONTAINER_OF(
        h2o_create_connection(size, &w->ctx, w->hosts, now, &callbacks), struct bw_conn, super);

    memset((char *)c + sizeof(c->super), 0, size - sizeof(c->super));
    c->life = life;
    c->worker = w;
    c->listener = a->listener;
    c->socket = socket;
    c->session = a->session;
    c->tls = a->session != NULL;
    c->server_name = a->server_name != NULL ? bw_strdup(a->server_name) : NULL;
    set_address(c, a);
    socket->data = c;
    h2o_linklist_insert(&w->conns, &c->link);
    return c;
}

static void close_socket(h2o_socket_t *socket, enum bw_close how)
{
    struct linger reset = {1, 0};
    int fd = h2o_socket_get_fd(socket);

    socket->data = NULL;
    switch (how) {
    case BW_CLOSE_GIVE:
        h2o_socket_read_stop(socket);
        return;
    case BW_CLOSE_RESET:
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        if (socket->ssl != NULL)
            shutdown(fd, SHUT_RDWR);
        break;
    case BW_CLOSE_CUT:
        shutdown(fd, SHUT_RDWR);
        break;
    case BW_CLOSE_SOCKET:
        break;
    }
    h2o_socket_close(socket);
}

void bw_conn_free(struct bw_conn *c, enum bw_close how)
{
    struct bw_worker *w = c->worker;

    h2o_linklist_unlink(&c->link);
    close_socket(c->socket, how);
    free(c->server_name);
    free(c);
    bw_wire_one_gone(w);
}

/* libh2o does not tell a close_notify that comes without FIN; it is a client that leaves, too. */
bool bw_conn_client_is_done(const struct bw_conn *c)
{
    return c->session != NULL && (SSL_get_shutdown(c->session) & SSL_RECEIVED_SHUTDOWN) != 0;
}

bool bw_conn_is_local(const struct bw_conn *c)
{
    static const uint8_t nobody[16];

    return memcmp(c->address, nobody, sizeof(nobody)) == 0;
}

/* Each may be freed by it. */
static void each_conn(struct bw_worker *w, void (*what)(struct bw_conn *c))
{
    h2o_linklist_t *at = w->conns.next;

    while (at != &w->conns) {
        struct bw_conn *c = BW_CONTAINER_OF(at, struct bw_conn, link);

        at = at->next;
        what(c);
    }
}

static void drain(struct bw_conn *c)
{
    c->life->drain(c);
}

static void cut(struct bw_conn *c)
{
    c->life->cut(c);
}

void bw_conns_drain(struct bw_worker *w)
{
    each_conn(w, drain);
}

void bw_conns_cut(struct bw_worker *w)
{
    each_conn(w, cut);
}

int64_t bw_conn_round_down(uint64_t left)
{
    int64_t step = 1;

    while ((uint64_t)step * 10 <= left && step < 10000)
        step *= 10;
    if ((uint64_t)step * 5 <= left)
        return step * 5;
    return (uint64_t)step * 2 <= left ? step * 2 : step;
}

uint64_t bw_conn_body_least(const struct bw_limits_conf *limits)
{
    uint64_t least = (uint64_t)limits->body_timeout_ms * limits->body_rate / 1000;

    return least > 0 ? least : 1;
}

/* ---- writing ---- */

size_t bw_burst_left(struct bw_burst *b, const struct bw_loop *loop)
{
    uint64_t round = bw_loop_round(loop);

    if (b->round != round)
        *b = (struct bw_burst){.round = round};
    return b->bytes < BW_BURST_MAX ? BW_BURST_MAX - b->bytes : 0;
}

size_t bw_pieces_trim(h2o_iovec_t *v, size_t n, size_t over)
{
    while (over > 0) {
        h2o_iovec_t *last = &v[n - 1];
        size_t cut_off = over < last->len ? over : last->len;

        last->len -= cut_off;
        over -= cut_off;
        n -= last->len == 0;
    }
    return n;
}

/* ---- TLS records ---- */

void bw_records_init(struct bw_records *r, uint64_t now)
{
    r->small_left = SMALL_BYTES;
    r->written_at = now;
}

/*
 * Small records until the congestion window has opened, so that the first bytes can be used when
 * the first packet is there; then full ones, which cost a third.
 */
size_t bw_records_share(struct bw_records *r, h2o_socket_t *socket, uint64_t now, size_t wanted)
{
    if (now - r->written_at >= PAUSE_MS)
        r->small_left = SMALL_BYTES;
    r->written_at = now;
    socket->_latency_optimization.state = H2O_SOCKET_LATENCY_OPTIMIZATION_STATE_NEEDS_UPDATE;
    socket->_latency_optimization.suggested_tls_payload_size =
        r->small_left > 0 ? RECORD_SMALL : RECORD_FULL;
    return r->small_left > 0 && wanted > SMALL_BYTES ? SMALL_BYTES : wanted;
}

void bw_records_written(struct bw_records *r, size_t n)
{
    r->small_left -= n < r->small_left ? n : r->small_left;
}
