/*
 * resolve.c - names to addresses by c-ares, kept for their TTL.
 *
 * c-ares owns its sockets and tells by a callback what it wants to know of each; we watch a
 * duplicate of every descriptor, because libh2o closes what it watches.  c-ares keeps its time by
 * being called now and then: one tick for all queries, since each odd duration would cost the loop
 * a timer list of its own.
 */
#include "breakwater/origin/resolve.h"

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/log.h"
#include "breakwater/base/mem.h"

#include <ares.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    TTL_MIN_MS = 5 * 1000,
    TTL_MAX_MS = 300 * 1000,
    EXPIRED_USE_MS = 60 * 1000, /* so long after its TTL an answer is used without waiting */
    FAILED_FOR_MS = 1000,
    BAD_FOR_MS = 10 * 1000,
    TICK_MS = 200,
    TRY_MS = 1000,
    TRIES = 3,
};

struct watched {
    h2o_linklist_t link;
    struct bw_resolver *resolver;
    h2o_socket_t *socket; /* around a duplicate of `fd` */
    ares_socket_t fd;
    bool want_write;
};

struct bw_resolver {
    struct bw_loop *loop;
    char *servers;
    ares_channel channel; /* made at the first question */
    h2o_linklist_t watched;
    struct bw_timer tick;
    size_t asking;
};

struct bw_name {
    struct bw_resolver *resolver;
    char *host;
    uint16_t port;
    bool fixed;  /* an address or a path: never asked for */
    bool asking; /* one question at a time */
    struct bw_address addresses[BW_NAME_ADDRESSES_MAX];
    size_t n;
    size_t first_family; /* the run of addresses at the front that are of one family */
    size_t turn;
    int64_t expires;  /* Unix ms, as all times here */
    int64_t retry_at; /* after a failure: not asked again before */
    h2o_linklist_t waiters;
};

/* A clock that was set back must not make an answer, or a failure, last longer. */
static bool is_within(int64_t now, int64_t until, int64_t longest)
{
    return now < until && until - now <= longest;
}

static struct watched *find_watched(struct bw_resolver *r, ares_socket_t fd)
{
    for (h2o_linklist_t *l = r->watched.next; l != &r->watched; l = l->next) {
        struct watched *w = BW_CONTAINER_OF(l, struct watched, link);

        if (w->fd == fd)
            return w;
    }
    return NULL;
}

static struct watched *watch(struct bw_resolver *r, ares_socket_t fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    struct watched *w;

    if (copy < 0)
        return NULL; /* no descriptor left: the question runs into its timeout */
    w = bw_zalloc(sizeof(*w));
    w->resolver = r;
    w->fd = fd;
    w->socket = h2o_evloop_socket_create(bw_loop_h2o(r->loop), copy, H2O_SOCKET_FLAG_DONT_READ);
    w->socket->data = w;
    h2o_linklist_insert(&r->watched, &w->link);
    return w;
}

static void unwatch(struct watched *w)
{
    h2o_linklist_unlink(&w->link);
    h2o_socket_close(w->socket);
    free(w);
}

/* After either call the socket may be gone: c-ares closes what it no longer needs. */
static void became_readable(h2o_socket_t *socket, const char *err)
{
    struct watched *w = socket->data;

    (void)err;
    ares_process_fd(w->resolver->channel, w->fd, ARES_SOCKET_BAD);
}

static void became_writable(h2o_socket_t *socket, const char *err)
{
    struct watched *w = socket->data;
    struct bw_resolver *r = w->resolver;
    ares_socket_t fd = w->fd;

    (void)err;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, fd);
    w = find_watched(r, fd);
    if (w != NULL && w->want_write && !h2o_socket_is_writing(w->socket))
        h2o_socket_notify_write(w->socket, became_writable);
}

static void interest_changed(void *data, ares_socket_t fd, int readable, int writable)
{
    struct bw_resolver *r = data;
    struct watched *w = find_watched(r, fd);

    if (!readable && !writable) {
        if (w != NULL)
            unwatch(w);
        return;
    }
    if (w == NULL && (w = watch(r, fd)) == NULL)
        return;
    if (readable)
        h2o_socket_read_start(w->socket, became_readable);
    else if (h2o_socket_is_reading(w->socket))
        h2o_socket_read_stop(w->socket);
    w->want_write = writable != 0;
    if (w->want_write && !h2o_socket_is_writing(w->socket))
        h2o_socket_notify_write(w->socket, became_writable);
}

static void ticked(struct bw_timer *t)
{
    struct bw_resolver *r = BW_CONTAINER_OF(t, struct bw_resolver, tick);

    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    if (r->asking > 0)
        bw_timer_start(r->loop, t, TICK_MS, ticked);
}

static void library_init(void)
{
    (void)ares_library_init(ARES_LIB_INIT_ALL);
}

static bool open_channel(struct bw_resolver *r)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ares_options options = {.timeout = TRY_MS, .tries = TRIES};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;

    if (r->channel != NULL)
        return true;
    pthread_once(&once, library_init);
    options.sock_state_cb = interest_changed;
    options.sock_state_cb_data = r;
    if (ares_init_options(&r->channel, &options, mask) != ARES_SUCCESS) {
        r->channel = NULL;
        return false;
    }
    if (r->servers != NULL && ares_set_servers_ports_csv(r->channel, r->servers) != ARES_SUCCESS)
        bw_log_limited(BW_LOG_WARN, "resolver-servers", r->servers,
                       "DNS servers '%s' are not addresses; asking those of the system",
                       r->servers);
    return true;
}

struct bw_resolver *bw_resolver_new(struct bw_loop *loop, const char *servers)
{
    struct bw_resolver *r = bw_zalloc(sizeof(*r));

    r->loop = loop;
    r->servers = servers != NULL ? bw_strdup(servers) : NULL;
    h2o_linklist_init_anchor(&r->watched);
    return r;
}

void bw_resolver_free(struct bw_resolver *r)
{
    bw_timer_stop(&r->tick);
    if (r->channel != NULL)
        ares_destroy(r->channel);
    BW_ASSERT(h2o_linklist_is_empty(&r->watched));
    free(r->servers);
    free(r);
}

static void set_port(struct bw_address *a, uint16_t port)
{
    if (a->sa.ss_family == AF_INET)
        ((struct sockaddr_in *)(void *)&a->sa)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)(void *)&a->sa)->sin6_port = htons(port);
}

static bool parse_literal(const char *host, struct bw_address *a)
{
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&a->sa;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&a->sa;

    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        a->sa.ss_family = AF_INET;
        a->len = sizeof(*four);
        return true;
    }
    if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        a->sa.ss_family = AF_INET6;
        a->len = sizeof(*six);
        return true;
    }
    return false;
}

static struct bw_name *new_name(struct bw_resolver *r)
{
    struct bw_name *n = bw_zalloc(sizeof(*n));

    n->resolver = r;
    h2o_linklist_init_anchor(&n->waiters);
    return n;
}

struct bw_name *bw_name_new(struct bw_resolver *r, const char *host, uint16_t port)
{
    struct bw_name *n = new_name(r);

    n->host = bw_strdup(host);
    n->port = port;
    if (parse_literal(host, &n->addresses[0])) {
        set_port(&n->addresses[0], port);
        n->n = n->first_family = 1;
        n->fixed = true;
    }
    return n;
}

struct bw_name *bw_name_new_unix(struct bw_resolver *r, const char *path)
{
    struct bw_name *n;
    struct sockaddr_un *un;

    if (strlen(path) >= sizeof(un->sun_path))
        return NULL;
    n = new_name(r);
    un = (struct sockaddr_un *)(void *)&n->addresses[0].sa;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path) + 1);
    n->addresses[0].len = sizeof(*un);
    n->n = n->first_family = 1;
    n->fixed = true;
    return n;
}

void bw_name_free(struct bw_name *n)
{
    BW_ASSERT(h2o_linklist_is_empty(&n->waiters));
    if (n->asking) {
        n->resolver = NULL; /* the answer under way frees it */
        return;
    }
    free(n->host);
    free(n);
}

/* Takes over the addresses and returns the smallest TTL in seconds, or -1 when there is none. */
static int store_addresses(struct bw_name *n, const struct ares_addrinfo *info)
{
    size_t count = 0;
    int ttl = -1;

    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
        struct bw_address *a = &n->addresses[count];

        if (count == BW_NAME_ADDRESSES_MAX)
            break;
        if (node->ai_family != AF_INET && node->ai_family != AF_INET6)
            continue;
        *a = (struct bw_address){.len = (socklen_t)node->ai_addrlen};
        memcpy(&a->sa, node->ai_addr, (size_t)node->ai_addrlen);
        set_port(a, n->port);
        if (ttl < 0 || node->ai_ttl < ttl)
            ttl = node->ai_ttl;
        ++count;
    }
    if (count == 0)
        return -1;
    n->n = count;
    for (n->first_family = 1; n->first_family < count; ++n->first_family)
        if (n->addresses[n->first_family].sa.ss_family != n->addresses[0].sa.ss_family)
            break;
    return ttl;
}

static void wake(struct bw_name *n)
{
    h2o_linklist_t now;

    h2o_linklist_init_anchor(&now);
    h2o_linklist_insert_list(&now, &n->waiters);
    while (!h2o_linklist_is_empty(&now)) {
        struct bw_name_waiter *w = BW_CONTAINER_OF(now.next, struct bw_name_waiter, link);

        h2o_linklist_unlink(&w->link);
        w->answered(w, n->n > 0);
    }
}

static void note_failure(struct bw_name *n, int status)
{
    n->retry_at = bw_clock_ms() + FAILED_FOR_MS;
    bw_log_limited(BW_LOG_WARN, "resolve", n->host, "origin: cannot resolve %s: %s%s", n->host,
                   ares_strerror(status), n->n > 0 ? "; using the addresses known before" : "");
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct bw_name *n = arg;
    int ttl = -1;

    (void)timeouts;
    n->asking = false;
    if (n->resolver == NULL || status == ARES_EDESTRUCTION) {
        ares_freeaddrinfo(info);
        if (n->resolver == NULL)
            bw_name_free(n);
        return;
    }
    --n->resolver->asking;
    if (status == ARES_SUCCESS && info != NULL)
        ttl = store_addresses(n, info);
    ares_freeaddrinfo(info);
    if (ttl >= 0) {
        int64_t ms = (int64_t)ttl * 1000;

        n->expires = bw_clock_ms() + (ms < TTL_MIN_MS   ? TTL_MIN_MS
                                      : ms > TTL_MAX_MS ? TTL_MAX_MS
                                                        : ms);
    } else {
        note_failure(n, status == ARES_SUCCESS ? ARES_ENODATA : status);
    }
    wake(n);
}

/* The answer may come within the call: from the hosts file, or when nobody can be asked. */
static void ask(struct bw_name *n)
{
    struct bw_resolver *r = n->resolver;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    if (!open_channel(r)) {
        note_failure(n, ARES_ENOMEM);
        return;
    }
    n->asking = true;
    ++r->asking;
    ares_getaddrinfo(r->channel, n->host, NULL, &hints, answered, n);
    if (r->asking > 0 && !bw_timer_running(&r->tick))
        bw_timer_start(r->loop, &r->tick, TICK_MS, ticked);
}

static enum bw_name_answer known(const struct bw_name *n)
{
    return n->n > 0 ? BW_NAME_READY : BW_NAME_FAILED;
}

enum bw_name_answer bw_name_lookup(struct bw_name *n, struct bw_name_waiter *w)
{
    int64_t now;

    if (n->fixed)
        return BW_NAME_READY;
    now = bw_clock_ms();
    if (n->n > 0 && is_within(now, n->expires, TTL_MAX_MS))
        return BW_NAME_READY;
    if (!n->asking) {
        if (is_within(now, n->retry_at, FAILED_FOR_MS))
            return known(n);
        ask(n);
        if (!n->asking)
            return known(n);
    }
    if (n->n > 0 && is_within(now, n->expires + EXPIRED_USE_MS, TTL_MAX_MS + EXPIRED_USE_MS))
        return BW_NAME_READY;
    h2o_linklist_insert(&n->waiters, &w->link);
    return BW_NAME_WAIT;
}

void bw_name_leave(struct bw_name_waiter *w)
{
    if (h2o_linklist_is_linked(&w->link))
        h2o_linklist_unlink(&w->link);
}

/*
 * Each attempt begins at another address of the family that the system prefers; the other family
 * is what is left when all of those fail.
 */
const struct bw_address *bw_name_pick(struct bw_name *n, struct bw_name_cursor *c)
{
    int64_t now = bw_clock_ms();
    size_t start = n->first_family > 1 ? n->turn++ % n->first_family : 0;
    size_t best = n->n;

    for (size_t i = 0; i < n->n; ++i) {
        size_t at = i < n->first_family ? (start + i) % n->first_family : i;

        if ((c->tried & (UINT32_C(1) << at)) != 0)
            continue;
        if (best == n->n)
            best = at;
        if (!is_within(now, n->addresses[at].bad_until, BAD_FOR_MS)) {
            best = at;
            break;
        }
    }
    if (best == n->n)
        return NULL;
    c->tried |= UINT32_C(1) << best;
    c->last = (uint8_t)best;
    ++c->count;
    return &n->addresses[best];
}

void bw_name_failed(struct bw_name *n, const struct bw_name_cursor *c)
{
    if (c->count > 0 && c->last < n->n)
        n->addresses[c->last].bad_until = bw_clock_ms() + BAD_FOR_MS;
}
