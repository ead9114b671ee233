/*
 * scene.h - a stage for tests of the origin side: a loop, servers that follow a script, a
 * spectator.
 *
 * All of it runs in one thread on loopback sockets: play() turns the loop and the servers in turn
 * until a condition holds or five seconds are over.  Nothing sleeps.
 */
#pragma once

#include "breakwater/base/buf.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/mem.h"
#include "breakwater/origin/fetch.h"

#include "unit.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a server that follows a script ---- */

enum after {
    KEEP,  /* the connection stays open */
    CLOSE, /* an orderly end: close_notify, FIN */
    CUT,   /* FIN without a close_notify */
    RESET, /* RST */
};

struct line {
    const char *when;  /* said when the client has said this; NULL: a whole head */
    const char *bytes; /* NULL: nothing */
    size_t repeat;     /* and so many bytes of filler after them */
    enum after after;
};

struct guest {
    int fd; /* -1: gone */
    SSL *ssl;
    bool greeted;
    struct bw_buf in, out;
    size_t answered; /* bytes of `in` that were answered */
    size_t filler;
    enum after after;
    bool answering;
};

enum { GUESTS = 64, LINES = 128 };

struct server {
    int listener;
    uint16_t port;
    SSL_CTX *tls;
    const char *greeting; /* said before anything was asked */
    bool deaf;            /* accepts, and neither reads nor writes */
    struct line script[LINES];
    size_t lines, said;
    struct guest guests[GUESTS];
    size_t guests_n;
    size_t sent;
    unsigned resumed;
};

static inline void server_open(struct server *s)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);

    memset(s, 0, sizeof(*s));
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    BW_ASSERT(s->listener >= 0);
    BW_ASSERT(bind(s->listener, (struct sockaddr *)(void *)&sin, sizeof(sin)) == 0);
    BW_ASSERT(listen(s->listener, 64) == 0);
    BW_ASSERT(getsockname(s->listener, (struct sockaddr *)(void *)&sin, &len) == 0);
    s->port = ntohs(sin.sin_port);
}

static inline void guest_close(struct guest *g, enum after how)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    if (g->fd < 0)
        return;
    if (how == RESET)
        (void)setsockopt(g->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    if (how == CLOSE && g->ssl != NULL)
        (void)SSL_shutdown(g->ssl);
    if (g->ssl != NULL)
        SSL_free(g->ssl);
    g->ssl = NULL;
    close(g->fd);
    g->fd = -1;
}

static inline void server_close(struct server *s)
{
    for (size_t i = 0; i < s->guests_n; ++i) {
        guest_close(&s->guests[i], CUT);
        bw_buf_free(&s->guests[i].in);
        bw_buf_free(&s->guests[i].out);
    }
    if (s->listener >= 0)
        close(s->listener);
    SSL_CTX_free(s->tls);
}

static inline void say(struct server *s, struct line line)
{
    BW_ASSERT(s->lines < LINES);
    s->script[s->lines++] = line;
}

static inline void says(struct server *s, const char *bytes)
{
    say(s, (struct line){.bytes = bytes});
}

static inline ssize_t guest_read(struct guest *g, char *to, size_t n)
{
    ssize_t got = g->ssl != NULL ? SSL_read(g->ssl, to, (int)n) : read(g->fd, to, n);

    if (got == 0 && g->ssl == NULL)
        return 0;
    if (got <= 0 && g->ssl != NULL) {
        int err = SSL_get_error(g->ssl, (int)got);

        return err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE ? -1 : 0;
    }
    return got < 0 && errno != EAGAIN ? 0 : got;
}

static inline ssize_t guest_write(struct guest *g, const char *from, size_t n)
{
    return g->ssl != NULL ? SSL_write(g->ssl, from, (int)n) : write(g->fd, from, n);
}

static inline void guest_listen(struct guest *g)
{
    char bytes[65536];
    ssize_t got;

    while ((got = guest_read(g, bytes, sizeof(bytes))) > 0)
        bw_buf_append(&g->in, bytes, (size_t)got);
    if (got == 0)
        guest_close(g, CUT);
}

static inline bool heard(struct guest *g, const char *when, size_t *end)
{
    const char *from = g->in.base + g->answered, *found;

    if (g->in.len == g->answered)
        return false;
    found = memmem(from, g->in.len - g->answered, when, strlen(when));
    if (found == NULL)
        return false;
    *end = (size_t)(found - g->in.base) + strlen(when);
    return true;
}

static inline void guest_think(struct server *s, struct guest *g)
{
    const struct line *line = &s->script[s->said];
    size_t end;

    if (g->answering || s->said == s->lines ||
        !heard(g, line->when != NULL ? line->when : "\r\n\r\n", &end))
        return;
    ++s->said;
    g->answered = end;
    g->answering = true;
    if (line->bytes != NULL)
        bw_buf_str(&g->out, line->bytes);
    g->filler = line->repeat;
    g->after = line->after;
}

static inline void guest_talk(struct server *s, struct guest *g)
{
    static const char filler[16384] = "filler";
    ssize_t n;

    while (g->out.len > 0 && (n = guest_write(g, g->out.base, g->out.len)) > 0) {
        memmove(g->out.base, g->out.base + n, g->out.len - (size_t)n);
        g->out.len -= (size_t)n;
    }
    while (g->out.len == 0 && g->filler > 0) {
        n = guest_write(g, filler, g->filler < sizeof(filler) ? g->filler : sizeof(filler));
        if (n <= 0)
            return;
        g->filler -= (size_t)n;
        s->sent += (size_t)n;
    }
    if (g->out.len > 0 || !g->answering)
        return;
    g->answering = false;
    if (g->after != KEEP)
        guest_close(g, g->after);
}

static inline void server_accept(struct server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct guest *g;

    if (fd < 0)
        return;
    BW_ASSERT(s->guests_n < GUESTS);
    g = &s->guests[s->guests_n++];
    memset(g, 0, sizeof(*g));
    g->fd = fd;
    if (s->tls == NULL)
        return;
    g->ssl = SSL_new(s->tls);
    SSL_set_mode(g->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_set_fd(g->ssl, fd);
    SSL_set_accept_state(g->ssl);
}

static inline bool guest_greet(struct server *s, struct guest *g)
{
    if (g->greeted)
        return true;
    if (g->ssl != NULL) {
        int ret = SSL_do_handshake(g->ssl);

        if (ret <= 0 && SSL_get_error(g->ssl, ret) != SSL_ERROR_WANT_READ)
            guest_close(g, CUT);
        if (ret <= 0)
            return false;
        s->resumed += SSL_session_reused(g->ssl) ? 1 : 0;
    }
    g->greeted = true;
    if (s->greeting != NULL)
        (void)guest_write(g, s->greeting, strlen(s->greeting));
    return true;
}

static inline void server_step(struct server *s)
{
    server_accept(s);
    for (size_t i = 0; i < s->guests_n && !s->deaf; ++i) {
        struct guest *g = &s->guests[i];

        if (g->fd < 0 || !guest_greet(s, g))
            continue;
        guest_think(s, g); /* what was said earlier, before an end is noticed */
        guest_talk(s, g);
        if (g->fd >= 0)
            guest_listen(g);
        if (g->fd >= 0)
            guest_think(s, g);
        if (g->fd >= 0)
            guest_talk(s, g);
        ERR_clear_error();
    }
}

static inline size_t server_open_guests(const struct server *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->guests_n; ++i)
        n += s->guests[i].fd >= 0 ? 1 : 0;
    return n;
}

/* What the server was told on all its connections, NUL-terminated. */
static inline const char *server_heard(struct server *s, size_t guest)
{
    bw_buf_char(&s->guests[guest].in, '\0');
    --s->guests[guest].in.len;
    return s->guests[guest].in.base;
}

/* ---- a spectator: what a fetch called back ---- */

enum moment { NEVER, AT_INFORMATIONAL, AT_HEAD, AT_DATA, AT_WANT };

struct spectator {
    struct bw_fetch *fetch; /* NULL when it is gone */
    int status;
    struct bw_buf body;
    size_t largest; /* span of data */
    bool ended;
    enum bw_reason failed;
    unsigned informational, last_informational, ends;
    char trailers[512];
    size_t wanted;
    h2o_socket_t *socket;
    enum moment cancel, pause;
    bool discard; /* counts the body only */
    size_t bytes;
};

static inline bool acted(struct spectator *v, enum moment now)
{
    if (v->pause == now)
        bw_fetch_pause(v->fetch);
    if (v->cancel != now)
        return false;
    bw_fetch_cancel(v->fetch);
    v->fetch = NULL;
    return true;
}

static inline void saw_informational(void *ctx, const struct bw_response_head *head)
{
    struct spectator *v = ctx;

    assert_int_equal(v->status, 0);
    ++v->informational;
    v->last_informational = (unsigned)head->status;
    (void)acted(v, AT_INFORMATIONAL);
}

static inline void saw_head(void *ctx, const struct bw_response_head *head)
{
    struct spectator *v = ctx;

    assert_int_equal(v->status, 0);
    v->status = head->status;
    (void)acted(v, AT_HEAD);
}

static inline void saw_data(void *ctx, struct bw_slice bytes)
{
    struct spectator *v = ctx;
    bool gone = acted(v, AT_DATA);

    assert_int_not_equal(v->status, 0);
    assert_true(bytes.len > 0);
    v->bytes += bytes.len;
    v->largest = bytes.len > v->largest ? bytes.len : v->largest;
    if (!v->discard || gone) /* the bytes are good until the callback returns, even so */
        bw_buf_slice(&v->body, bytes);
}

static inline void saw_end(void *ctx, const struct bw_fields *trailers)
{
    struct spectator *v = ctx;
    size_t used = 0;

    v->ended = true;
    ++v->ends;
    v->fetch = NULL;
    for (size_t i = 0; i < trailers->n; ++i)
        used += (size_t)snprintf(v->trailers + used, sizeof(v->trailers) - used, "%.*s=%.*s;",
                                 (int)trailers->v[i].name.len, trailers->v[i].name.base,
                                 (int)trailers->v[i].value.len, trailers->v[i].value.base);
}

static inline void saw_fail(void *ctx, enum bw_reason why)
{
    struct spectator *v = ctx;

    v->failed = why;
    ++v->ends;
    v->fetch = NULL;
}

static inline void saw_want(void *ctx, size_t n)
{
    struct spectator *v = ctx;

    v->wanted += n;
    (void)acted(v, AT_WANT);
}

static inline void saw_upgraded(void *ctx, const struct bw_response_head *head, h2o_socket_t *s)
{
    struct spectator *v = ctx;

    v->status = head->status;
    v->socket = s;
    v->fetch = NULL;
    ++v->ends;
}

static const struct bw_fetch_ops spectator_ops = {
    .informational = saw_informational,
    .head = saw_head,
    .data = saw_data,
    .end = saw_end,
    .fail = saw_fail,
    .want = saw_want,
    .upgraded = saw_upgraded,
};

static inline const char *body_of(struct spectator *v)
{
    bw_buf_char(&v->body, '\0');
    --v->body.len;
    return v->body.base;
}

/* ---- the stage ---- */

enum { SERVERS = 3 };

struct scene {
    struct bw_loop *loop;
    struct server servers[SERVERS];
    struct bw_server_conf server_conf[SERVERS];
    char urls[SERVERS][64];
    struct bw_pool_conf conf;
    struct bw_origin *origin;
    bool freed;
};

/* Settings that a test changes before it calls scene_begin(). */
static inline void scene_open(struct scene *s, size_t servers)
{
    (void)signal(SIGPIPE, SIG_IGN);
    memset(s, 0, sizeof(*s));
    s->loop = bw_loop_new();
    for (size_t i = 0; i < servers; ++i) {
        server_open(&s->servers[i]);
        (void)snprintf(s->urls[i], sizeof(s->urls[i]), "http://127.0.0.1:%u",
                       (unsigned)s->servers[i].port);
        s->server_conf[i] = (struct bw_server_conf){
            .url = s->urls[i], .host = "127.0.0.1", .port = s->servers[i].port, .weight = 1};
    }
    s->conf = (struct bw_pool_conf){.name = "origin",
                                    .servers = s->server_conf,
                                    .servers_n = servers,
                                    .balance = BW_BALANCE_ROUND_ROBIN,
                                    .host = BW_ORIGIN_HOST_CLIENT,
                                    .resolve_ms = 3000,
                                    .connect_ms = 3000,
                                    .tls_ms = 3000,
                                    .first_byte_ms = 3000,
                                    .between_bytes_ms = 3000,
                                    .per_server = 16,
                                    .idle = 16,
                                    .idle_for_ms = 10000,
                                    .queue = 16,
                                    .queue_for_ms = 3000,
                                    .retry_times = 1,
                                    .retry_budget_percent = 20};
}

static inline void scene_begin(struct scene *s)
{
    char why[256] = "";

    if (bw_origin_new(s->loop, &s->conf, 1, 1, why, sizeof(why), &s->origin) != BW_OK)
        fail_msg("%s", why);
}

static inline void turn(struct scene *s)
{
    bw_loop_run(s->loop, 1);
    for (size_t i = 0; i < SERVERS; ++i)
        if (s->servers[i].port != 0)
            server_step(&s->servers[i]);
}

/* Until `cond` holds; false: it did not within five seconds. */
#define PLAY(s, cond)                                                                              \
    do {                                                                                           \
        int64_t play_until = bw_clock_mono_us() + 5000000;                                         \
        while (!(cond) && bw_clock_mono_us() < play_until)                                         \
            turn(s);                                                                               \
        assert_true(cond);                                                                         \
    } while (0)

static inline void play_turns(struct scene *s, unsigned n)
{
    while (n-- > 0)
        turn(s);
}

static inline void noted(void *ctx)
{
    *(bool *)ctx = true;
}

static inline void scene_end(struct scene *s)
{
    if (s->origin != NULL) {
        bw_origin_free(s->origin, noted, &s->freed);
        PLAY(s, s->freed);
    }
    for (size_t i = 0; i < SERVERS; ++i)
        if (s->servers[i].port != 0)
            server_close(&s->servers[i]);
    bw_loop_run(s->loop, 0);
    bw_loop_free(s->loop);
}

static inline struct bw_origin_figures figures(const struct scene *s)
{
    struct bw_origin_figures f;

    bw_origin_figures(s->origin, &f);
    return f;
}

/* ---- requests ---- */

static struct bw_fields no_fields;

static inline struct bw_fetch_request request(const char *method, const char *target)
{
    return (struct bw_fetch_request){.method = bw_slice_str(method),
                                     .target = bw_slice_str(target),
                                     .authority = BW_S("www.example.org"),
                                     .fields = &no_fields};
}

static inline void begin(struct scene *s, struct spectator *v, const struct bw_fetch_request *rq)
{
    v->fetch = bw_fetch_start(s->origin, 0, rq, &spectator_ops, v);
    assert_int_equal(v->ends, 0);
}

static inline void begin_method(struct scene *s, struct spectator *v, const char *method)
{
    struct bw_fetch_request rq = request(method, "/");

    begin(s, v, &rq);
}

static inline void get(struct scene *s, struct spectator *v)
{
    begin_method(s, v, "GET");
    PLAY(s, v->ends == 1);
}

static inline void begin_upload(struct scene *s, struct spectator *v, enum bw_framing body,
                                uint64_t n)
{
    struct bw_fetch_request rq = request("PUT", "/up");

    rq.body = body;
    rq.content_length = n;
    begin(s, v, &rq);
}

static inline void spectator_close(struct spectator *v)
{
    assert_true(v->ends <= 1);
    bw_buf_free(&v->body);
}
