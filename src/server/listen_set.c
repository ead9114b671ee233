/*
 * listen_set.c - the listening sockets and TLS contexts of one configuration.
 *
 * TCP addresses are bound once for each worker with SO_REUSEPORT, so that the kernel spreads the
 * connections and no worker wakes in vain.  Because SO_REUSEPORT would also let a second process
 * in, the address is first bound without it: that finds out whether somebody else has it.  A unix
 * socket is bound once and its descriptor duplicated.
 *
 * A descriptor belongs to the set until its worker opens it and to the worker from then on.  The
 * next set takes over by dup(): the kernel's socket, with whoever waits in its queue, never closes.
 * A listening socket must not outlive its worker's interest, since the kernel would go on sending
 * connections to it; that is why the worker owns it, and not the set, which lives as long as the
 * last connection that came by it.
 */
#include "breakwater/server/listen_set.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/server/tls_front.h"

#include "wire_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

/* The file of a unix socket, removed with the last set that listens on it. */
struct socket_file {
    atomic_uint refs;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/* One bound address; for each worker a descriptor of it, -1 once the worker closed it. */
struct bound {
    size_t listener;
    struct sockaddr_storage address;
    socklen_t address_len;
    struct socket_file *file; /* or NULL */
    atomic_int *fds;
    atomic_bool *owned; /* by the set */
};

struct bw_listen_set {
    atomic_uint refs;
    struct bw_conf *conf;
    uint32_t workers;
    struct bw_listener *listeners;
    size_t listeners_n;
    struct bound *bound;
    size_t bound_n;
    struct bw_tls_tickets *tickets;
};

/* What all steps of making a set need. */
struct making {
    struct bw_listen_set *set;
    const struct bw_listen_set *previous;
    struct bw_diag *d;
    const char *key; /* for messages */
};

static const struct bw_place nowhere;

static bool fail(struct making *m, const char *address, const char *what, const char *cure)
{
    bw_diag_error(m->d, nowhere, m->key, "%s: %s; %s", address, what, cure);
    return false;
}

static bool fail_errno(struct making *m, const char *address, int error)
{
    const char *cure = "check the address";

    if (error == EADDRINUSE)
        cure = "stop what listens there, or choose another address";
    else if (error == EACCES)
        cure = "choose a port above 1023, or grant CAP_NET_BIND_SERVICE";
    else if (error == EADDRNOTAVAIL)
        cure = "choose an address of this machine";
    return fail(m, address, strerror(error), cure);
}

/* ---- sockets ---- */

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static int open_socket(const struct bound *b)
{
    int family = b->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (family != AF_UNIX)
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (family == AF_INET6) { /* "any" speaks IPv4, too */
        const struct sockaddr_in6 *v6 = (const void *)&b->address;

        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr));
    }
    return fd;
}

static int bind_socket(const struct bound *b, bool reuse_port)
{
    int fd = open_socket(b);

    if (fd < 0)
        return -1;
    if (reuse_port)
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (bind(fd, (const struct sockaddr *)&b->address, b->address_len) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Accepted sockets inherit what is set here. */
static int start_listening(const struct making *m, int fd)
{
    int64_t user_timeout = m->set->conf->limits.send_timeout_ms;

    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
               user_timeout > 0 && user_timeout < INT32_MAX ? (int)user_timeout : 0);
    return listen(fd, BACKLOG);
}

/* Port 0: all sockets of the listener get the port that the first one got. */
static void learn_port(struct bound *b, int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (b->address.ss_family != AF_UNIX && getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
        memcpy(&b->address, &sa, len);
}

/* Is the address free?  SO_REUSEPORT would not tell. */
static bool try_address(struct making *m, struct bound *b)
{
    int fd = bind_socket(b, false);

    if (fd < 0 || listen(fd, 1) != 0) {
        int error = errno;

        if (fd >= 0)
            close(fd);
        return fail_errno(m, m->set->listeners[b->listener].conf->address, error);
    }
    learn_port(b, fd);
    close(fd);
    return true;
}

static bool bind_for_worker(struct making *m, struct bound *b, uint32_t worker)
{
    int fd = bind_socket(b, true);

    if (fd < 0 || start_listening(m, fd) != 0) {
        int error = errno;

        if (fd >= 0)
            close(fd);
        return fail_errno(m, m->set->listeners[b->listener].conf->address, error);
    }
    atomic_store(&b->fds[worker], fd);
    return true;
}

static bool bind_tcp(struct making *m, struct bound *b, uint32_t from_worker)
{
    if (from_worker == 0 && !try_address(m, b))
        return false;
    for (uint32_t i = from_worker; i < m->set->workers; i++) {
        if (!bind_for_worker(m, b, i))
            return false;
    }
    return true;
}

/* A socket file that nobody listens on was left behind by a process that ended badly. */
static bool clear_path(struct making *m, const struct bound *b, const char *path)
{
    struct stat st;
    int fd;

    if (lstat(path, &st) != 0)
        return true;
    if (!S_ISSOCK(st.st_mode))
        return fail(m, path, "there is a file that is no socket", "remove it, or choose another");
    fd = open_socket(b);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&b->address, b->address_len) == 0) {
        close(fd);
        return fail_errno(m, path, EADDRINUSE);
    }
    if (fd >= 0)
        close(fd);
    return unlink(path) == 0 || fail_errno(m, path, errno);
}

static void put_file(struct socket_file *file)
{
    if (file == NULL || atomic_fetch_sub(&file->refs, 1) != 1)
        return;
    (void)unlink(file->path);
    free(file);
}

static bool bind_unix(struct making *m, struct bound *b)
{
    const char *path = m->set->listeners[b->listener].conf->unix_path;
    int fd;

    BW_ASSERT(path != NULL); /* the family says so */
    if (!clear_path(m, b, path))
        return false;
    fd = bind_socket(b, false);
    if (fd < 0 || start_listening(m, fd) != 0) {
        int error = errno;

        if (fd >= 0)
            close(fd);
        return fail_errno(m, path, error);
    }
    b->file = bw_zalloc(sizeof(*b->file));
    atomic_store(&b->file->refs, 1);
    memcpy(b->file->path, path, strlen(path));
    atomic_store(&b->fds[0], fd);
    for (uint32_t i = 1; i < m->set->workers; i++)
        atomic_store(&b->fds[i], fcntl(fd, F_DUPFD_CLOEXEC, 0));
    return true;
}

/* ---- taking over ---- */

static bool is_same_address(const struct bound *a, const struct bound *b)
{
    if (a->address.ss_family != b->address.ss_family)
        return false;
    return a->address_len == b->address_len &&
           memcmp(&a->address, &b->address, a->address_len) == 0;
}

/* "Port 0" written again means the port it was given before. */
static bool is_same_listener(const struct making *m, const struct bound *new,
                             const struct bound *old)
{
    const struct bw_listen_conf *a = m->set->listeners[new->listener].conf;
    const struct bw_listen_conf *b = m->previous->listeners[old->listener].conf;

    if (is_same_address(new, old))
        return true;
    return a->unix_path == NULL && b->unix_path == NULL && a->port == 0 && b->port == 0 &&
           new->address.ss_family == old->address.ss_family &&strcmp(a->address, b->address) == 0;
}

static struct bound *find_previous(const struct making *m, const struct bound *b)
{
    if (m->previous == NULL)
        return NULL;
    for (size_t i = 0; i < m->previous->bound_n; i++) {
        if (is_same_listener(m, b, &m->previous->bound[i]))
            return &m->previous->bound[i];
    }
    return NULL;
}

/* How many workers' sockets could be had. */
static uint32_t take_over(const struct making *m, struct bound *b, struct bound *old)
{
    uint32_t n = m->set->workers;

    BW_ASSERT(m->previous != NULL);
    if (n > m->previous->workers)
        n = m->previous->workers;
    memcpy(&b->address, &old->address, old->address_len);
    for (uint32_t i = 0; i < n; i++) {
        int fd = fcntl(atomic_load(&old->fds[i]), F_DUPFD_CLOEXEC, 0);

        if (fd < 0)
            return i;
        atomic_store(&b->fds[i], fd);
        (void)start_listening(m, fd); /* limits.send_timeout may be another now */
    }
    return n;
}

static bool bind_or_take_over(struct making *m, struct bound *b)
{
    struct bound *old = find_previous(m, b);
    uint32_t have = old != NULL ? take_over(m, b, old) : 0;

    if (b->address.ss_family != AF_UNIX)
        return bind_tcp(m, b, have);
    if (have == 0)
        return bind_unix(m, b);
    b->file = old->file;
    atomic_fetch_add(&b->file->refs, 1);
    for (uint32_t i = have; i < m->set->workers; i++)
        atomic_store(&b->fds[i], fcntl(atomic_load(&b->fds[0]), F_DUPFD_CLOEXEC, 0));
    return true;
}

/* ---- building ---- */

static struct bound *add_bound(struct bw_listen_set *s, size_t listener)
{
    struct bound *b;

    s->bound = bw_realloc(s->bound, (s->bound_n + 1) * sizeof(*s->bound));
    b = &s->bound[s->bound_n++];
    memset(b, 0, sizeof(*b));
    b->listener = listener;
    b->fds = bw_alloc(s->workers * sizeof(*b->fds));
    b->owned = bw_alloc(s->workers * sizeof(*b->owned));
    for (uint32_t i = 0; i < s->workers; i++) {
        atomic_init(&b->fds[i], -1);
        atomic_init(&b->owned[i], true);
    }
    return b;
}

static bool add_unix(struct making *m, size_t listener)
{
    const char *path = m->set->listeners[listener].conf->unix_path;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct bound *b;

    if (strlen(path) >= sizeof(sa.sun_path))
        return fail(m, path, "the path is too long", "choose one below 108 bytes");
    memcpy(sa.sun_path, path, strlen(path) + 1);
    b = add_bound(m->set, listener);
    b->address_len = sizeof(sa);
    memcpy(&b->address, &sa, sizeof(sa));
    return bind_or_take_over(m, b);
}

static bool machine_has_ip6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* All addresses of a name, so that "localhost" is what clients take it for. */
static bool add_tcp(struct making *m, size_t listener)
{
    const struct bw_listen_conf *conf = m->set->listeners[listener].conf;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *all = NULL;
    char port[8];
    bool good = true;
    int error;

    if (conf->host == NULL)
        hints.ai_family = machine_has_ip6() ? AF_INET6 : AF_INET;
    snprintf(port, sizeof(port), "%u", (unsigned)conf->port);
    error = getaddrinfo(conf->host, port, &hints, &all);
    if (error != 0)
        return fail(m, conf->address, gai_strerror(error), "check the address");
    for (struct addrinfo *at = all; at != NULL && good; at = at->ai_next) {
        struct bound *b = add_bound(m->set, listener);

        memcpy(&b->address, at->ai_addr, at->ai_addrlen);
        b->address_len = at->ai_addrlen;
        good = bind_or_take_over(m, b);
    }
    freeaddrinfo(all);
    return good;
}

static bool add_listener(struct making *m, const struct bw_listen_conf *conf, bool admin)
{
    struct bw_listen_set *s = m->set;
    struct bw_listener *l = &s->listeners[s->listeners_n++];
    bool good = true;

    l->conf = conf;
    l->admin = admin;
    if (conf->tls) {
        l->tls = bw_tls_front_new(conf, s->tickets, m->d);
        good = l->tls != NULL;
    }
    if (conf->unix_path != NULL)
        return add_unix(m, s->listeners_n - 1) && good;
    return add_tcp(m, s->listeners_n - 1) && good;
}

static struct bw_listen_set *set_new(struct bw_conf *conf, uint32_t workers, size_t listeners,
                                     const struct bw_listen_set *previous)
{
    struct bw_listen_set *s = bw_zalloc(sizeof(*s));

    atomic_store(&s->refs, 1);
    s->conf = bw_conf_take(conf);
    s->workers = workers;
    s->listeners = bw_zalloc((listeners + 1) * sizeof(*s->listeners));
    s->tickets = previous != NULL ? bw_tls_tickets_take(previous->tickets) : bw_tls_tickets_new();
    return s;
}

struct bw_listen_set *bw_listen_set_new(struct bw_conf *conf, uint32_t workers,
                                        const struct bw_listen_set *previous, struct bw_diag *d)
{
    struct making m = {set_new(conf, workers, conf->listen_n, previous), previous, d, "listen"};
    bool good = true;

    for (size_t i = 0; i < conf->listen_n; i++)
        good = add_listener(&m, &conf->listen[i], false) && good;
    if (good)
        return m.set;
    bw_listen_set_put(m.set);
    return NULL;
}

struct bw_listen_set *bw_listen_set_new_admin(struct bw_conf *conf, struct bw_diag *d)
{
    struct making m = {set_new(conf, 1, 1, NULL), NULL, d, "admin.listen"};

    if (add_listener(&m, &conf->admin, true))
        return m.set;
    bw_listen_set_put(m.set);
    return NULL;
}

struct bw_listen_set *bw_listen_set_take(struct bw_listen_set *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

static void free_bound(struct bw_listen_set *s, struct bound *b)
{
    for (uint32_t i = 0; i < s->workers; i++) {
        int fd = atomic_load(&b->fds[i]);

        if (fd >= 0 && atomic_load(&b->owned[i]))
            close(fd);
    }
    put_file(b->file);
    free(b->fds);
    free(b->owned);
}

void bw_listen_set_put(struct bw_listen_set *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (size_t i = 0; i < s->bound_n; i++)
        free_bound(s, &s->bound[i]);
    for (size_t i = 0; i < s->listeners_n; i++)
        bw_tls_front_free(s->listeners[i].tls);
    bw_tls_tickets_put(s->tickets);
    bw_conf_put(s->conf);
    free(s->listeners);
    free(s->bound);
    free(s);
}

uint16_t bw_listen_set_port(const struct bw_listen_set *s, size_t i)
{
    for (size_t k = 0; k < s->bound_n; k++) {
        const struct bound *b = &s->bound[k];

        if (b->listener == i && b->address.ss_family == AF_INET)
            return ntohs(((const struct sockaddr_in *)&b->address)->sin_port);
        if (b->listener == i && b->address.ss_family == AF_INET6)
            return ntohs(((const struct sockaddr_in6 *)&b->address)->sin6_port);
    }
    return 0;
}

/* ---- for accept.c ---- */

size_t bw_listen_set_sockets(const struct bw_listen_set *s)
{
    return s->bound_n;
}

const struct bw_listener *bw_listen_set_listener(const struct bw_listen_set *s, size_t socket)
{
    return &s->listeners[s->bound[socket].listener];
}

int bw_listen_set_open(struct bw_listen_set *s, size_t socket, uint32_t worker)
{
    if (worker >= s->workers)
        return -1;
    atomic_store(&s->bound[socket].owned[worker], false);
    return atomic_load(&s->bound[socket].fds[worker]);
}

void bw_listen_set_closed(struct bw_listen_set *s, size_t socket, uint32_t worker)
{
    atomic_store(&s->bound[socket].fds[worker], -1);
}
