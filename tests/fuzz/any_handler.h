/*
 * any_handler.h - above the wire: a handler that does everything the border allows.
 *
 * How a request is answered is chosen by bytes of its target.  Each exchange has to end exactly
 * once, each body has to end exactly once, and no body is larger than its sink's credit.
 */
#pragma once

#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/server/listen_set.h"
#include "breakwater/server/worker.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SENDS_MAX = 6, GIVEN_MAX = 8 };

struct handling {
    h2o_generator_t generator; /* first */
    struct bw_exchange *x;
    struct bw_reply reply;
    struct bw_field fields[1];
    struct bw_body_sink sink;
    struct bw_body_source source;
    struct bw_timer timer;
    unsigned choice; /* what else is done, bit by bit */
    int sends;
    size_t unconsumed, unread;
    bool has_sink, has_ended, has_begun;
};

static struct bw_worker worker;
static struct bw_conf conf;
static struct bw_snapshot snapshot;
static struct bw_counters counters;
static struct bw_listener listener;
static int alive; /* exchanges */
static h2o_socket_t *given[GIVEN_MAX];
static char bytes[40000];

/* ---- responses ---- */

/* Now and then it has nothing at hand. */
static size_t read_source(struct bw_body_source *source, char *to, size_t n)
{
    struct handling *h = BW_CONTAINER_OF(source, struct handling, source);

    if (++h->sends % 3 == 2)
        return 0;
    n = n > 1 + h->choice * 7 ? 1 + h->choice * 7 : n;
    BW_ASSERT(n <= h->unread);
    memset(to, 's', n);
    h->unread -= n;
    return n;
}

static void proceed(h2o_generator_t *g, h2o_req_t *req)
{
    struct handling *h = (struct handling *)g;
    h2o_iovec_t v[3] = {{bytes, h->choice % 7}, {bytes, 0}, {bytes, h->choice * 37 % 40000}};
    h2o_send_state_t state = H2O_SEND_STATE_IN_PROGRESS;

    if (h->unread > 0) {
        h->x->ops->send_from(h->x, &h->source, h->unread);
        return;
    }
    if (++h->sends >= SENDS_MAX || h->sends > (int)(h->choice & 3))
        state = (h->choice & 12) == 12 ? H2O_SEND_STATE_ERROR : H2O_SEND_STATE_FINAL;
    h2o_send(req, v, (h->choice & 16) != 0 ? 0 : 3, state);
}

static bool has_source(const struct handling *h)
{
    return h->x->ops->send_from != NULL && h->reply.status == 200 && (h->choice & 260) == 260 &&
           bw_slice_eq(h->x->head.method, BW_S("GET"));
}

static void answer(struct handling *h, int status)
{
    if (h->has_begun)
        return;
    h->has_begun = true;
    h->reply.status = status;
    if ((h->choice & 32) != 0)
        h->x->ops->informational(h->x, 103, &h->reply.fields);
    if ((h->choice & 64) != 0)
        h->x->ops->trailers(h->x, &h->reply.fields);
    if (has_source(h))
        h->reply.length = h->unread = h->choice * 97;
    bw_exchange_respond(h->x, &h->reply, &h->generator);
    proceed(&h->generator, &h->x->req);
}

static void answer_later(struct bw_timer *t)
{
    answer(BW_CONTAINER_OF(t, struct handling, timer), 200);
}

/* ---- bodies ---- */

static void give_credit(struct bw_timer *t)
{
    struct handling *h = BW_CONTAINER_OF(t, struct handling, timer);
    size_t n = h->unconsumed;

    h->unconsumed = 0;
    h->x->ops->body_consumed(h->x, n);
}

static void sink_data(struct bw_body_sink *sink, struct bw_slice got)
{
    struct handling *h = BW_CONTAINER_OF(sink, struct handling, sink);

    BW_ASSERT(got.len > 0 && h->unconsumed + got.len <= sink->window && !h->has_ended);
    h->unconsumed += got.len;
    if ((h->choice & 1) != 0)
        give_credit(&h->timer);
    else if (!bw_timer_running(&h->timer))
        bw_timer_start(worker.loop, &h->timer, 0, give_credit);
    if ((h->choice & 128) != 0)
        answer(h, 200);
}

static void sink_end(struct bw_body_sink *sink, enum bw_reason why)
{
    struct handling *h = BW_CONTAINER_OF(sink, struct handling, sink);

    BW_ASSERT(!h->has_ended);
    h->has_ended = true;
    answer(h, why == BW_REASON_NONE ? 200 : 400);
}

/* ---- upgrades: an echo ---- */

static h2o_socket_t **slot_of(const h2o_socket_t *socket)
{
    for (size_t i = 0; i < GIVEN_MAX; i++)
        if (given[i] == socket)
            return &given[i];
    return NULL;
}

static void hear(h2o_socket_t *socket, const char *err);

static void on_echoed(h2o_socket_t *socket, const char *err)
{
    h2o_buffer_consume(&socket->input, socket->input->size);
    if (err == NULL)
        h2o_socket_read_start(socket, hear);
}

static void hear(h2o_socket_t *socket, const char *err)
{
    h2o_iovec_t v = h2o_iovec_init(socket->input->bytes, socket->input->size);

    h2o_socket_read_stop(socket);
    if (err == NULL && v.len > 0) {
        h2o_socket_write(socket, &v, 1, on_echoed);
        return;
    }
    *slot_of(socket) = NULL;
    h2o_socket_close(socket);
}

static void on_upgraded(void *ctx, h2o_socket_t *socket)
{
    h2o_socket_t **slot = slot_of(NULL);

    (void)ctx;
    if (slot == NULL) {
        h2o_socket_close(socket);
        return;
    }
    *slot = socket;
    h2o_socket_read_start(socket, hear);
}

static void close_given(void)
{
    for (size_t i = 0; i < GIVEN_MAX; i++) {
        if (given[i] != NULL)
            h2o_socket_close(given[i]);
        given[i] = NULL;
    }
}

/* ---- requests ---- */

static void on_done(struct bw_exchange *x, bool complete)
{
    struct handling *h = x->request;

    (void)complete;
    BW_ASSERT(!h->has_sink || h->has_ended);
    bw_timer_stop(&h->timer);
    alive--;
}

static struct handling *handle(struct bw_exchange *x)
{
    struct handling *h = h2o_mem_alloc_pool(&x->req.pool, sizeof(*h));
    struct bw_slice target = x->head.target;

    memset(h, 0, sizeof(*h));
    h->x = x;
    h->choice =
        target.len > 1 ? (uint8_t)target.base[1] * 2u + (uint8_t)target.base[target.len - 1] : 0;
    h->generator.proceed = proceed;
    h->fields[0] = (struct bw_field){BW_S("a"), BW_S("b"), BW_F_OTHER};
    h->reply.fields = (struct bw_fields){h->fields, 1};
    h->reply.length = (h->choice & 256) != 0 ? h->choice : BW_LENGTH_UNKNOWN;
    h->sink = (struct bw_body_sink){sink_data, sink_end, 1 + h->choice * 11};
    h->source.read = read_source;
    x->request = h;
    x->done = on_done;
    alive++;
    return h;
}

void bw_request_start(struct bw_exchange *x)
{
    struct handling *h = handle(x);

    BW_ASSERT(x->head.content_length <= conf.limits.body);
    if (x->head.upgrade && x->head.framing == BW_FRAMING_NONE) {
        h->reply.status = 101;
        x->reply = &h->reply;
        x->ops->upgrade(x, on_upgraded, NULL);
    } else if ((h->choice & 3) == 2) {
        bw_timer_start(worker.loop, &h->timer, 0, answer_later);
    } else if (x->head.framing != BW_FRAMING_NONE && (h->choice & 3) != 3) {
        h->has_sink = true;
        x->ops->body_start(x, &h->sink);
    } else {
        answer(h, (h->choice & 48) == 48 ? 304 : 200);
    }
}

void bw_request_refuse(struct bw_exchange *x, int status, enum bw_reason why)
{
    BW_ASSERT(status >= 400 && why != BW_REASON_NONE);
    answer(handle(x), status);
}

static void set_up(void)
{
    static const struct bw_listen_conf listen;

    if (worker.loop != NULL)
        return;
    conf.limits = (struct bw_limits_conf){
        .head = 4096,
        .headers = 20,
        .body = 100000,
        .head_timeout_ms = 60000,
        .idle_timeout_ms = 60000,
        .send_timeout_ms = 60000,
        .body_timeout_ms = 60000,
        .requests_per_connection = 50,
        .http2 = {.streams = 20, .requests = 6, .resets = 60, .control_frames = 1000},
    };
    snapshot.conf = &conf;
    listener.conf = &listen;
    worker.snapshot = &snapshot;
    worker.counters = &counters;
    worker.loop = bw_loop_new();
    bw_wire_context_init(&worker);
}

/* ---- a connection ---- */

/* The client's end of a pair whose other end `start` has. */
static int open_connection(void (*start)(struct bw_worker *, h2o_socket_t *,
                                         const struct bw_accepted *))
{
    struct bw_accepted who = {.listener = &listener, .is_unix = true};
    int pair[2];

    set_up();
    BW_ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    start(
        &worker,
        h2o_evloop_socket_create(worker.ctx.loop, pair[1], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION),
        &who);
    return pair[0];
}

/* The client leaves; what lingers, or does not read because of its sink, is cut. */
static void close_connection(int fd)
{
    close(fd);
    for (int i = 0; i < 8; i++)
        bw_loop_run(worker.loop, 0);
    bw_conns_cut(&worker);
    close_given();
    bw_loop_run(worker.loop, 0);
    BW_ASSERT(alive == 0 && h2o_linklist_is_empty(&worker.conns));
}
