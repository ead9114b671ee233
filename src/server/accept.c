/*
 * accept.c - from a listening socket to a connection: limits, the PROXY line, the handshake.
 *
 *     accept -> [PROXY line] -> [TLS handshake | preface] -> bw_http1_start() or bw_http2_start()
 *
 * A socket carries its ticket from accept to close, whoever owns it meanwhile: the ticket holds its
 * place in the limits and keeps the listener and its certificates alive.
 *
 * At the limit, and when the process is out of descriptors, the listeners are not read until a
 * connection closes: what comes waits in the kernel's queue instead of spinning here.
 */
#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/base/log.h"
#include "breakwater/base/mem.h"
#include "breakwater/server/http1.h"
#include "breakwater/server/http2.h"
#include "breakwater/server/proxy_line.h"
#include "breakwater/server/tls_front.h"

#include "wire_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    ACCEPTS_MAX = 64,      /* of one listener in one round */
    HANDSHAKES_MAX = 1024, /* of one worker; each may hold tens of kilobytes */
    RESUME_MS = 100,       /* while paused: another worker's connection may have closed */
};

struct bw_open_listener {
    struct bw_worker *worker;
    const struct bw_listener *listener;
    h2o_socket_t *socket;
    size_t index; /* in the set */
};

struct ticket {
    struct bw_worker *worker;
    struct bw_listen_set *set;
    struct bw_accept_limits *limits; /* or NULL */
    uint8_t address[16];
    bool holds_address;
};

/* A socket on its way to a connection. */
struct pending {
    struct bw_tls_hello hello; /* first: socket->data during the handshake */
    h2o_linklist_t link;
    struct bw_worker *worker;
    struct ticket *ticket;
    h2o_socket_t *socket;
    struct bw_timer timer;
    struct bw_accepted who;
    enum { READS_PROXY_LINE, SHAKES_HANDS, READS_PREFACE } stage;
};

static void pause_accepting(struct bw_worker *w);
static void resume_later(struct bw_worker *w);

static const struct bw_limits_conf *limits_of(const struct bw_worker *w)
{
    return &w->snapshot->conf->limits;
}

/* ---- tickets ---- */

static void ticket_closed(void *data)
{
    struct ticket *t = data;
    struct bw_worker *w = t->worker;

    if (t->limits != NULL) {
        if (t->holds_address)
            bw_limits_leave_address(t->limits, t->address);
        bw_limits_leave(t->limits);
    }
    atomic_fetch_sub_explicit(&w->connections, 1, memory_order_relaxed);
    bw_listen_set_put(t->set);
    free(t);
    resume_later(w);
}

static struct ticket *ticket_new(struct bw_worker *w, h2o_socket_t *socket)
{
    struct ticket *t = bw_zalloc(sizeof(*t));

    t->worker = w;
    t->set = bw_listen_set_take(w->listening);
    t->limits = bw_limits_of(w);
    atomic_fetch_add_explicit(&w->connections, 1, memory_order_relaxed);
    bw_count(w->counters, BW_C_CONNECTIONS, 1);
    socket->on_close.cb = ticket_closed;
    socket->on_close.data = t;
    return t;
}

/* The client is known: has it too many connections?  Unix sockets have no clients to tell apart. */
static bool enter_address(struct ticket *t, const struct bw_accepted *who)
{
    if (t->limits == NULL || who->is_unix)
        return true;
    memcpy(t->address, who->address, sizeof(t->address));
    t->holds_address = bw_limits_enter_address(t->limits, t->address,
                                               limits_of(t->worker)->connections_per_address);
    if (!t->holds_address)
        bw_count(t->worker->counters, BW_C_CONNECTIONS_REFUSED, 1);
    return t->holds_address;
}

/* ---- pending ---- */

static void cut(h2o_socket_t *socket)
{
    /* else the close_notify may wait for a peer that does not read */
    shutdown(h2o_socket_get_fd(socket), SHUT_RDWR);
    socket->data = NULL;
    h2o_socket_close(socket);
}

/* Its socket is closed by the caller, or goes on. */
static void pending_free(struct pending *p)
{
    struct bw_worker *w = p->worker;

    if (p->stage == SHAKES_HANDS)
        w->wire->handshakes--;
    bw_timer_stop(&p->timer);
    h2o_linklist_unlink(&p->link);
    free(p);
    bw_wire_one_gone(w);
}

static void pending_cut(struct pending *p)
{
    h2o_socket_t *socket = p->socket;

    pending_free(p);
    cut(socket);
}

static void too_slow(struct bw_timer *t)
{
    struct pending *p = BW_CONTAINER_OF(t, struct pending, timer);

    bw_count(p->worker->counters, p->stage == SHAKES_HANDS ? BW_C_TLS_FAILED : BW_C_HEAD_TIMEOUT,
             1);
    pending_cut(p);
}

static struct pending *pending_new(struct bw_worker *w, struct ticket *t, h2o_socket_t *socket,
                                   const struct bw_accepted *who)
{
    struct pending *p = bw_zalloc(sizeof(*p));

    p->worker = w;
    p->ticket = t;
    p->socket = socket;
    p->who = *who;
    socket->data = p;
    h2o_linklist_insert(&w->wire->pending, &p->link);
    bw_timer_start(w->loop, &p->timer, limits_of(w)->head_timeout_ms, too_slow);
    return p;
}

/* ---- the protocol ---- */

/* Prior knowledge (RFC 9113, 3.3 and 3.4): these bytes begin no request of HTTP/1.1. */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void on_first_bytes(h2o_socket_t *socket, const char *err)
{
    struct pending *p = socket->data;
    struct bw_worker *w = p->worker;
    struct bw_accepted who = p->who;
    size_t n =
        socket->input->size < sizeof(preface) - 1 ? socket->input->size : sizeof(preface) - 1;
    bool agrees = memcmp(socket->input->bytes, preface, n) == 0;

    if (err != NULL) {
        pending_cut(p);
        return;
    }
    if (agrees && n < sizeof(preface) - 1)
        return;
    h2o_socket_read_stop(socket);
    pending_free(p);
    if (agrees)
        bw_http2_start(w, socket, &who);
    else
        bw_http1_start(w, socket, &who);
}

/* `p` or, when it was not needed so far, NULL. */
static void start_clear_text(struct bw_worker *w, struct ticket *t, struct pending *p,
                             h2o_socket_t *socket, const struct bw_accepted *who)
{
    if (!who->listener->conf->http2) {
        if (p != NULL)
            pending_free(p);
        bw_http1_start(w, socket, who);
        return;
    }
    if (p == NULL)
        p = pending_new(w, t, socket, who);
    p->stage = READS_PREFACE;
    h2o_socket_read_start(socket, on_first_bytes);
    if (socket->input->size > 0)
        on_first_bytes(socket, NULL);
}

static void start_tls(struct bw_worker *w, h2o_socket_t *socket, const struct bw_accepted *who)
{
    h2o_iovec_t chosen = h2o_socket_ssl_get_selected_protocol(socket);

    if (bw_slice_eq(bw_slice(chosen.base, chosen.len), BW_S("h2")))
        bw_http2_start(w, socket, who);
    else
        bw_http1_start(w, socket, who);
}

/* ---- TLS ---- */

static void on_handshake(h2o_socket_t *socket, const char *err)
{
    struct pending *p = socket->data;
    struct bw_worker *w = p->worker;
    struct bw_accepted who = p->who;
    char name[sizeof(p->hello.server_name)];

    memcpy(name, p->hello.server_name, sizeof(name));
    who.session = p->hello.session;
    who.server_name = name[0] != '\0' ? name : NULL;
    pending_free(p);
    if (err == NULL) {
        start_tls(w, socket, &who);
        return;
    }
    bw_count(w->counters, BW_C_TLS_FAILED, 1);
    cut(socket);
}

/* The first that is in its handshake: it has had the most time. */
static void drop_oldest_handshake(struct bw_worker *w)
{
    h2o_linklist_t *anchor = &w->wire->pending;

    for (h2o_linklist_t *at = anchor->next; at != anchor; at = at->next) {
        struct pending *p = BW_CONTAINER_OF(at, struct pending, link);

        if (p->stage == SHAKES_HANDS) {
            bw_count(w->counters, BW_C_TLS_FAILED, 1);
            pending_cut(p);
            return;
        }
    }
}

static void shake_hands(struct pending *p)
{
    struct bw_worker *w = p->worker;

    p->stage = SHAKES_HANDS;
    w->wire->handshakes++;
    p->socket->data = &p->hello;
    h2o_socket_ssl_handshake(p->socket, bw_tls_front_context(p->who.listener->tls), NULL,
                             on_handshake); /* may end in its callback at once: `p` is gone then */
    if (w->wire->handshakes > HANDSHAKES_MAX)
        drop_oldest_handshake(w);
}

/* ---- the PROXY line ---- */

static void line_read(struct pending *p)
{
    struct bw_worker *w = p->worker;
    h2o_socket_t *socket = p->socket;
    struct bw_accepted who = p->who;

    h2o_socket_read_stop(socket);
    if (!enter_address(p->ticket, &who)) {
        pending_cut(p);
    } else if (who.listener->tls != NULL) {
        shake_hands(p);
    } else {
        start_clear_text(w, p->ticket, p, socket, &who);
    }
}

static void on_line(h2o_socket_t *socket, const char *err)
{
    struct pending *p = socket->data;
    struct bw_proxy_line line = {0};
    enum bw_proxy_verdict verdict = BW_PROXY_BAD;

    if (err == NULL)
        verdict = bw_proxy_line_parse(socket->input->bytes, socket->input->size, &line);
    switch (verdict) {
    case BW_PROXY_MORE:
        return;
    case BW_PROXY_BAD:
        if (err == NULL)
            bw_log_limited(BW_LOG_WARN, "proxy line", "",
                           "a sender that must speak the PROXY protocol did not; see "
                           "listen.proxy_protocol");
        pending_cut(p);
        return;
    case BW_PROXY_OTHER:
        memcpy(p->who.address, line.address, sizeof(p->who.address));
        p->who.port = line.port;
        p->who.is_unix = false;
        break;
    case BW_PROXY_PEER:
        break;
    }
    h2o_buffer_consume(&socket->input, line.len);
    line_read(p);
}

/* ---- accepting ---- */

static void read_address(const struct sockaddr_storage *sa, struct bw_accepted *who)
{
    switch (sa->ss_family) {
    case AF_INET: {
        const struct sockaddr_in *v4 = (const void *)sa;

        who->address[10] = who->address[11] = 0xff;
        memcpy(who->address + 12, &v4->sin_addr, 4);
        who->port = ntohs(v4->sin_port);
        return;
    }
    case AF_INET6: {
        const struct sockaddr_in6 *v6 = (const void *)sa;

        memcpy(who->address, &v6->sin6_addr, 16);
        who->port = ntohs(v6->sin6_port);
        return;
    }
    default:
        who->is_unix = true;
    }
}

static void admit(struct bw_worker *w, const struct bw_listener *listener, int fd,
                  const struct sockaddr_storage *sa)
{
    const struct bw_listen_conf *conf = listener->conf;
    struct bw_accepted who = {.listener = listener};
    h2o_socket_t *socket =
        h2o_evloop_socket_create(w->ctx.loop, fd, H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    struct ticket *t = ticket_new(w, socket);

    read_address(sa, &who);
    if (bw_networks_contain(conf->proxy_protocol, conf->proxy_protocol_n, who.address)) {
        pending_new(w, t, socket, &who); /* the address that counts is the one in the line */
        h2o_socket_read_start(socket, on_line);
    } else if (!enter_address(t, &who)) {
        cut(socket);
    } else if (listener->tls != NULL) {
        shake_hands(pending_new(w, t, socket, &who));
    } else {
        start_clear_text(w, t, NULL, socket, &who);
    }
}

static bool enter_total(struct bw_worker *w)
{
    struct bw_accept_limits *shared = bw_limits_of(w);

    return shared == NULL || bw_limits_enter(shared, limits_of(w)->connections);
}

static void leave_total(struct bw_worker *w)
{
    struct bw_accept_limits *shared = bw_limits_of(w);

    if (shared != NULL)
        bw_limits_leave(shared);
}

static bool out_of_descriptors(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Take one; false: there is none now, or none may be taken. */
static bool accept_one(struct bw_open_listener *l)
{
    struct bw_worker *w = l->worker;
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    int fd;

    if (!enter_total(w)) {
        pause_accepting(w);
        return false;
    }
    fd = accept4(h2o_socket_get_fd(l->socket), (struct sockaddr *)&sa, &len,
                 SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        admit(w, l->listener, fd, &sa);
        return true;
    }
    leave_total(w);
    if (out_of_descriptors(errno)) {
        bw_log_limited(BW_LOG_WARN, "accept", "",
                       "no connection can be accepted: %s; raise the "
                       "limit of open files or lower limits.connections",
                       strerror(errno));
        pause_accepting(w);
        return false;
    }
    return errno == ECONNABORTED || errno == EINTR;
}

static void on_acceptable(h2o_socket_t *socket, const char *err)
{
    struct bw_open_listener *l = socket->data;

    (void)err;
    for (int i = 0; i < ACCEPTS_MAX && accept_one(l); i++)
        ;
}

/* ---- pausing ---- */

static void resume(struct bw_worker *w)
{
    bw_timer_stop(&w->wire->resume_timer);
    bw_next_cancel(&w->wire->resume_next);
    for (size_t i = 0; i < w->wire->open_n; i++)
        h2o_socket_read_start(w->wire->open[i].socket, on_acceptable);
}

static void resume_by_timer(struct bw_timer *t)
{
    resume(BW_CONTAINER_OF(t, struct bw_wire, resume_timer)->worker);
}

static void resume_by_close(struct bw_next *n)
{
    resume(BW_CONTAINER_OF(n, struct bw_wire, resume_next)->worker);
}

static void pause_accepting(struct bw_worker *w)
{
    for (size_t i = 0; i < w->wire->open_n; i++)
        h2o_socket_read_stop(w->wire->open[i].socket);
    bw_timer_start(w->loop, &w->wire->resume_timer, RESUME_MS, resume_by_timer);
}

static void resume_later(struct bw_worker *w)
{
    if (w->wire != NULL && bw_timer_running(&w->wire->resume_timer))
        bw_loop_next(w->loop, &w->wire->resume_next, resume_by_close);
}

/* ---- the worker's listeners ---- */

void bw_accept_open(struct bw_worker *w, struct bw_listen_set *s)
{
    struct bw_wire *wire = w->wire;
    size_t n = bw_listen_set_sockets(s);

    BW_ASSERT(wire->open == NULL);
    wire->open = bw_zalloc((n + 1) * sizeof(*wire->open));
    for (size_t i = 0; i < n; i++) {
        int fd = bw_listen_set_open(s, i, w->index);
        struct bw_open_listener *l = &wire->open[wire->open_n];

        if (fd < 0) /* more workers than the set was made for */
            continue;
        wire->open_n++;
        l->worker = w;
        l->listener = bw_listen_set_listener(s, i);
        l->index = i;
        l->socket = h2o_evloop_socket_create(w->ctx.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
        l->socket->data = l;
        h2o_socket_read_start(l->socket, on_acceptable);
    }
}

void bw_accept_close(struct bw_worker *w)
{
    struct bw_wire *wire = w->wire;

    bw_timer_stop(&wire->resume_timer);
    bw_next_cancel(&wire->resume_next);
    for (size_t i = 0; i < wire->open_n; i++) {
        bw_listen_set_closed(w->listening, wire->open[i].index, w->index);
        h2o_socket_close(wire->open[i].socket);
    }
    free(wire->open);
    wire->open = NULL;
    wire->open_n = 0;
}

void bw_accept_drop_pending(struct bw_worker *w)
{
    h2o_linklist_t *at = w->wire->pending.next;

    while (at != &w->wire->pending) {
        struct pending *p = BW_CONTAINER_OF(at, struct pending, link);

        at = at->next;
        pending_cut(p);
    }
}
