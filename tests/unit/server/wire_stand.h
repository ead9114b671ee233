/*
 * wire_stand.h - a worker without anything above the wire: a loop, a client's end of a socketpair,
 * and a handler that answers by the target of the request.
 *
 * What the handler saw is noted in `seen`, which each test starts empty.  Nothing sleeps: hear()
 * turns the loop until the bytes are there, the connection is closed, or two seconds have passed.
 */
#pragma once

#include "breakwater/admin/figures.h"
#include "breakwater/base/clock.h"
#include "breakwater/server/http1.h"
#include "breakwater/server/listen_set.h"
#include "breakwater/server/worker.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEARD_MAX = 1 << 20, PATIENCE_MS = 2000 };

struct seen {
    int started, done, complete, refused, refused_status;
    enum bw_reason refused_why;
    int ends; /* of bodies */
    enum bw_reason end_why;
    uint64_t body_bytes;
    char body[4096];
    int proceeds;
    struct bw_exchange *x; /* the last one that started and is not done */
};

struct stand {
    struct bw_loop *loop;
    struct bw_worker w;
    struct bw_conf conf;
    struct bw_snapshot snapshot;
    struct bw_listen_conf listen;
    struct bw_listener listener;
    void (*start)(struct bw_worker *w, h2o_socket_t *socket, const struct bw_accepted *who);
    int fd;              /* the client's end */
    uint8_t address[16]; /* the client's, all zero: it comes by a unix socket */
    char heard[HEARD_MAX + 1];
    size_t heard_n;
    bool closed;
};

static struct stand *stand;
static struct seen seen;

static inline struct bw_counters *stand_counters(void)
{
    static struct bw_counters counters;

    return &counters;
}

static inline uint64_t counted(enum bw_counter which)
{
    return atomic_load(&stand_counters()->counter[which]);
}

static inline void stand_worker(struct bw_worker *w)
{
    w->loop = stand->loop;
    w->snapshot = &stand->snapshot;
    w->counters = stand_counters();
    bw_wire_context_init(w);
}

static inline int stand_up(void **state)
{
    (void)state;
    stand = calloc(1, sizeof(*stand));
    memset(&seen, 0, sizeof(seen));
    memset(stand_counters(), 0, sizeof(struct bw_counters));
    stand->loop = bw_loop_new();
    stand->snapshot.conf = &stand->conf;
    stand->conf.limits = (struct bw_limits_conf){
        .connections = 100,
        .connections_per_address = 100,
        .head = 65536,
        .headers = 100,
        .body = 1 << 20,
        .head_timeout_ms = 10000,
        .idle_timeout_ms = 10000,
        .send_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .body_rate = 1024,
        .http2 = {.streams = 100, .requests = 32, .resets = 200, .control_frames = 1000},
    };
    stand->start = bw_http1_start;
    stand->listener.conf = &stand->listen;
    stand_worker(&stand->w);
    stand->fd = -1;
    return 0;
}

/* Turn the loop until nothing is left that belongs to a connection. */
static inline int stand_down(void **state)
{
    (void)state;
    if (stand->fd >= 0)
        close(stand->fd);
    bw_conns_cut(&stand->w);
    for (int i = 0; i < 3; i++)
        bw_loop_run(stand->loop, 0);
    bw_wire_context_dispose(&stand->w);
    bw_loop_free(stand->loop);
    free(stand);
    return 0;
}

/* A client has connected; its socket is a pair, or as given. */
static inline void connect_socket(int client, int server)
{
    static const uint8_t nobody[16];
    struct bw_accepted who = {.listener = &stand->listener,
                              .is_unix = memcmp(stand->address, nobody, sizeof(nobody)) == 0};
    h2o_socket_t *socket =
        h2o_evloop_socket_create(stand->w.ctx.loop, server, H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);

    memcpy(who.address, stand->address, sizeof(who.address));
    stand->fd = client;
    (void)fcntl(client, F_SETFL, O_NONBLOCK);
    stand->start(&stand->w, socket, &who);
}

static inline void connect_client(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    connect_socket(pair[0], pair[1]);
}

static inline void say_bytes(const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t did = write(stand->fd, bytes, n);

        if (did > 0) {
            bytes += did;
            n -= (size_t)did;
            continue;
        }
        assert_true(did < 0 && errno == EAGAIN);
        bw_loop_run(stand->loop, 1);
    }
}

static inline void say(const char *text)
{
    say_bytes(text, strlen(text));
}

static inline void turn(int rounds)
{
    for (int i = 0; i < rounds; i++)
        bw_loop_run(stand->loop, 0);
}

/* Take what is there. */
static inline void listen_once(void)
{
    ssize_t n = 0;

    while (stand->heard_n < HEARD_MAX &&
           (n = read(stand->fd, stand->heard + stand->heard_n, HEARD_MAX - stand->heard_n)) > 0)
        stand->heard_n += (size_t)n;
    stand->heard[stand->heard_n] = '\0';
    if (stand->heard_n < HEARD_MAX && (n == 0 || (n < 0 && errno != EAGAIN)))
        stand->closed = true;
}

static inline int64_t patience_end(void)
{
    return bw_clock_mono_us() / 1000 + PATIENCE_MS;
}

/* Turn the loop until `n` bytes were heard in all, or the connection is closed. */
static inline void hear_bytes(size_t n)
{
    int64_t end = patience_end();

    while (stand->heard_n < n && !stand->closed && bw_clock_mono_us() / 1000 < end) {
        bw_loop_run(stand->loop, 1);
        listen_once();
    }
}

static inline void forget(void)
{
    stand->heard_n = 0;
    stand->heard[0] = '\0';
}

/* Exactly these bytes come, and nothing else in the next rounds. */
static inline void hear(const char *text)
{
    hear_bytes(strlen(text));
    for (int i = 0; i < 3; i++) {
        bw_loop_run(stand->loop, 0);
        listen_once();
    }
    assert_string_equal(stand->heard, text);
    forget();
}

static inline void hear_close(void)
{
    int64_t end = patience_end();

    while (!stand->closed && bw_clock_mono_us() / 1000 < end) {
        bw_loop_run(stand->loop, 1);
        listen_once();
    }
    assert_true(stand->closed);
}

static inline void stays_open(void)
{
    for (int i = 0; i < 3; i++) {
        bw_loop_run(stand->loop, 0);
        listen_once();
    }
    assert_false(stand->closed);
}

/* Turn the loop until `*what` is at least `n`. */
static inline void wait_for(const int *what, int n)
{
    int64_t end = patience_end();

    while (*what < n && bw_clock_mono_us() / 1000 < end)
        bw_loop_run(stand->loop, 1);
    assert_true(*what >= n);
}

/* ---- the handler ---- */

struct handling {
    h2o_generator_t generator; /* first */
    struct bw_reply reply;
    struct bw_field fields[2];
    struct bw_body_sink sink;
    struct bw_exchange *x;
    int left; /* sends to come */
    size_t each;
    bool consumes;
};

static char filler[1 << 16];

static inline void on_done(struct bw_exchange *x, bool complete)
{
    seen.done++;
    seen.complete += complete;
    if (seen.x == x)
        seen.x = NULL;
}

static inline struct handling *handle(struct bw_exchange *x, int status, uint64_t length)
{
    struct handling *h = h2o_mem_alloc_pool(&x->req.pool, sizeof(*h));

    memset(h, 0, sizeof(*h));
    h->x = x;
    h->fields[0] = (struct bw_field){BW_S("date"), BW_S("D"), BW_F_DATE};
    h->reply = (struct bw_reply){
        .status = status, .reason = BW_S("R"), .fields = {h->fields, 1}, .length = length};
    x->request = h;
    x->done = on_done;
    seen.x = x;
    return h;
}

static inline void send_text(struct bw_exchange *x, const char *text, h2o_send_state_t state)
{
    h2o_iovec_t v = h2o_iovec_init(text, strlen(text));

    h2o_send(&x->req, &v, v.len > 0, state);
}

/* A whole answer at once. */
static inline void answer(struct bw_exchange *x, int status, const char *text)
{
    struct handling *h = x->request != NULL ? x->request : handle(x, status, 0);

    h->reply.status = status;
    h->reply.length = strlen(text);
    bw_exchange_respond(x, &h->reply, &h->generator);
    send_text(x, text, H2O_SEND_STATE_FINAL);
}

static inline void proceed(h2o_generator_t *g, h2o_req_t *req)
{
    struct handling *h = (struct handling *)g;
    h2o_iovec_t v = h2o_iovec_init(filler, h->each);

    seen.proceeds++;
    h->left--;
    h2o_send(req, &v, 1, h->left > 0 ? H2O_SEND_STATE_IN_PROGRESS : H2O_SEND_STATE_FINAL);
}

/* `sends` of `each` filler bytes. */
static inline void stream(struct handling *h, int sends, size_t each)
{
    h->generator.proceed = proceed;
    h->left = sends;
    h->each = each;
    bw_exchange_respond(h->x, &h->reply, &h->generator);
    proceed(&h->generator, &h->x->req);
    seen.proceeds--;
}

static inline void sink_data(struct bw_body_sink *sink, struct bw_slice bytes)
{
    struct handling *h = BW_CONTAINER_OF(sink, struct handling, sink);
    size_t room = sizeof(seen.body) - 1 - strlen(seen.body);

    seen.body_bytes += bytes.len;
    memcpy(seen.body + strlen(seen.body), bytes.base, bytes.len < room ? bytes.len : room);
    if (h->consumes)
        h->x->ops->body_consumed(h->x, bytes.len);
}

static inline void sink_end(struct bw_body_sink *sink, enum bw_reason why)
{
    struct handling *h = BW_CONTAINER_OF(sink, struct handling, sink);

    seen.ends++;
    seen.end_why = why;
    if (h->left == 0)
        answer(h->x, why == BW_REASON_NONE ? 200 : 400, why == BW_REASON_NONE ? "ok" : "bad");
}

static inline struct handling *take_body(struct bw_exchange *x, size_t window, bool consumes)
{
    struct handling *h = handle(x, 200, 0);

    h->sink = (struct bw_body_sink){.data = sink_data, .end = sink_end, .window = window};
    h->consumes = consumes;
    x->ops->body_start(x, &h->sink);
    return h;
}

static inline bool target_is(const struct bw_exchange *x, const char *target)
{
    return bw_slice_eq(x->head.target, bw_slice_str(target));
}
