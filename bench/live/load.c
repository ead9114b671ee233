/*
 * load.c - the client: a trace over a few connections, in order but for what runs at once.
 */
#include "breakwater/base/mem.h"

#include "live.h"
#include "sim.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 1 << 18, TIMEOUT_S = 30, HEAD_MAX = 16384 };

struct load {
    struct bw_sim_trace trace;
    uint16_t port;
    bool held;
    bool *seen;
    pthread_mutex_t lock; /* for `seen` */
    atomic_uint next;
    atomic_ullong answered, bytes; /* with 200 and the right bytes */
    atomic_ullong refused, failed; /* another status; no or a wrong response */
};

struct client {
    struct load *load;
    int fd;
    char *in;       /* ROOM bytes */
    size_t at, len; /* those from `at` on, `len` of them, have not been read yet */
};

struct response {
    unsigned status;
    uint64_t length;
    bool closes;
};

static int reach(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void hang_up(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->len = 0;
}

static bool receive(struct client *c)
{
    if (c->len == 0 || c->at + c->len == ROOM) {
        memmove(c->in, c->in + c->at, c->len);
        c->at = 0;
    }
    ssize_t n = recv(c->fd, c->in + c->at + c->len, ROOM - c->at - c->len, 0);
    if (n > 0)
        c->len += (size_t)n;
    return n > 0;
}

static void consume(struct client *c, size_t n)
{
    c->at += n;
    c->len -= n;
}

static const char *find_field(const char *head, const char *end, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = head; at < end; at = memchr(at, '\n', (size_t)(end - at)) + 1)
        if (strncasecmp(at, name, n) == 0)
            return at + n;
    return NULL;
}

/* Fields up to the empty line; false: none came, or none that tells the length. */
static bool read_head(struct client *c, struct response *r)
{
    char *end;

    while ((end = memmem(c->in + c->at, c->len, "\r\n\r\n", 4)) == NULL)
        if (c->len > HEAD_MAX || !receive(c))
            return false;
    end += 4;
    const char *head = c->in + c->at, *length = find_field(head, end, "content-length:");
    const char *connection = find_field(head, end, "connection:");
    if (end - head < 16 || strncmp(head, "HTTP/1.", 7) != 0 || length == NULL)
        return false;
    r->status = (unsigned)strtoul(head + 9, NULL, 10);
    r->length = strtoull(length, NULL, 10);
    r->closes = connection != NULL && strncasecmp(connection, " close", 6) == 0;
    consume(c, (size_t)(end - head));
    return true;
}

/* `object` is BW_SIM_NEVER for a body that nobody looks at. */
static bool read_body(struct client *c, uint32_t object, uint64_t length)
{
    bool same = true;

    for (uint64_t at = 0; at < length;) {
        if (c->len == 0 && !receive(c))
            return false;
        size_t n = c->len < BW_LIVE_SPAN ? c->len : BW_LIVE_SPAN;
        n = n < length - at ? n : length - at;
        if (object != BW_SIM_NEVER)
            same &= memcmp(c->in + c->at, bw_live_pattern(object, at), n) == 0;
        consume(c, n);
        at += n;
    }
    return same;
}

static bool ask(struct client *c, uint32_t object, uint64_t size, struct response *r)
{
    char text[256];
    int n = snprintf(text, sizeof(text),
                     "GET /o/%u/%llu HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n", object,
                     (unsigned long long)size);

    if (c->fd < 0)
        c->fd = reach(c->load->port);
    return c->fd >= 0 && bw_live_send(c->fd, text, (size_t)n) && read_head(c, r);
}

static void request(struct client *c, uint32_t object)
{
    struct load *l = c->load;
    uint64_t size = l->trace.size[object];
    struct response r = {0};
    bool good = ask(c, object, size, &r);

    if (!good) { /* the server may just have closed an idle connection */
        hang_up(c);
        good = ask(c, object, size, &r);
    }
    bool whole = good && r.status == 200;
    good = good && read_body(c, whole ? object : BW_SIM_NEVER, r.length);
    if (good && whole && r.length == size) {
        atomic_fetch_add(&l->answered, 1);
        atomic_fetch_add(&l->bytes, size);
    } else {
        atomic_fetch_add(good && !whole ? &l->refused : &l->failed, 1);
    }
    if (!good || r.closes)
        hang_up(c);
}

/* Has somebody asked for it already, where once is enough? */
static bool is_known(struct load *l, uint32_t object)
{
    pthread_mutex_lock(&l->lock);
    bool known = l->held && l->seen[object];
    l->seen[object] = true;
    pthread_mutex_unlock(&l->lock);
    return known;
}

static void *run_client(void *arg)
{
    struct client c = {.load = arg, .fd = -1, .in = bw_alloc(ROOM)};

    for (uint32_t i; (i = atomic_fetch_add(&c.load->next, 1)) < c.load->trace.requests;)
        if (!is_known(c.load, c.load->trace.object[i]))
            request(&c, c.load->trace.object[i]);
    hang_up(&c);
    free(c.in);
    return NULL;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int bw_live_load(uint16_t port, unsigned connections, const char *trace, bool held)
{
    struct load l = {.port = port, .held = held, .lock = PTHREAD_MUTEX_INITIALIZER};

    if (!bw_sim_csv_read(trace, &l.trace))
        return 1;
    l.seen = bw_zalloc(l.trace.objects * sizeof(*l.seen));
    pthread_t *threads = bw_zalloc(connections * sizeof(*threads));
    bw_live_pattern_init();
    double began = seconds();
    unsigned running = 0;
    while (running < connections && pthread_create(&threads[running], NULL, run_client, &l) == 0)
        running++;
    for (unsigned i = 0; i < running; i++)
        pthread_join(threads[i], NULL);
    printf("{\"answered\": %llu, \"bytes\": %llu, \"refused\": %llu, \"failed\": %llu, "
           "\"seconds\": %.2f}\n",
           atomic_load(&l.answered), atomic_load(&l.bytes), atomic_load(&l.refused),
           atomic_load(&l.failed), seconds() - began);
    free(threads);
    free(l.seen);
    bw_sim_trace_free(&l.trace);
    return running == connections ? 0 : 1;
}
