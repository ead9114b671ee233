/*
 * fuzz_http1.c - one whole HTTP/1.1 connection over a socketpair, and a handler that does
 * everything the border allows.
 *
 * The first byte chooses how the client behaves (pieces, leaving early), the rest is what it says.
 * How a request is answered is chosen by a byte of its target.  Nothing may crash, each exchange
 * ends exactly once, each body ends exactly once, and with the client gone nothing is left.
 */
#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/server/http1.h"
#include "breakwater/server/listen_set.h"
#include "breakwater/server/worker.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SENDS_MAX = 6, IN_VAIN_MAX = 50 };

struct handling {
    h2o_generator_t generator; /* first */
    struct bw_exchange *x;
    struct bw_reply reply;
    struct bw_field fields[1];
    struct bw_body_sink sink;
    struct bw_timer timer;
    unsigned choice; /* what else is done, bit by bit */
    int sends;
    size_t unconsumed;
    bool has_sink, has_ended, has_begun;
};

static struct bw_worker worker;
static struct bw_conf conf;
static struct bw_snapshot snapshot;
static struct bw_counters counters;
static struct bw_listener listener;
static int alive; /* exchanges */
static h2o_socket_t *given;

static void proceed(h2o_generator_t *g, h2o_req_t *req)
{
    static char bytes[40000];
    struct handling *h = (struct handling *)g;
    h2o_iovec_t v[3] = {{bytes, h->choice % 7}, {bytes, 0}, {bytes, h->choice * 37 % 40000}};
    h2o_send_state_t state = H2O_SEND_STATE_IN_PROGRESS;

    if (++h->sends >= SENDS_MAX || h->sends > (int)(h->choice & 3))
        state = (h->choice & 12) == 12 ? H2O_SEND_STATE_ERROR : H2O_SEND_STATE_FINAL;
    h2o_send(req, v, (h->choice & 16) != 0 ? 0 : 3, state);
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
    bw_exchange_respond(h->x, &h->reply, &h->generator);
    proceed(&h->generator, &h->x->req);
}

static void answer_later(struct bw_timer *t)
{
    answer(BW_CONTAINER_OF(t, struct handling, timer), 200);
}

static void give_credit(struct bw_timer *t)
{
    struct handling *h = BW_CONTAINER_OF(t, struct handling, timer);
    size_t n = h->unconsumed;

    h->unconsumed = 0;
    h->x->ops->body_consumed(h->x, n);
}

static void sink_data(struct bw_body_sink *sink, struct bw_slice bytes)
{
    struct handling *h = BW_CONTAINER_OF(sink, struct handling, sink);

    BW_ASSERT(bytes.len > 0 && h->unconsumed + bytes.len <= sink->window && !h->has_ended);
    h->unconsumed += bytes.len;
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
    x->request = h;
    x->done = on_done;
    alive++;
    return h;
}

static void on_upgraded(void *ctx, h2o_socket_t *socket)
{
    (void)ctx;
    given = socket;
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
    conf.limits = (struct bw_limits_conf){.head = 4096,
                                          .headers = 20,
                                          .body = 100000,
                                          .head_timeout_ms = 60000,
                                          .idle_timeout_ms = 60000,
                                          .send_timeout_ms = 60000,
                                          .body_timeout_ms = 60000,
                                          .requests_per_connection = 50};
    snapshot.conf = &conf;
    listener.conf = &listen;
    worker.snapshot = &snapshot;
    worker.counters = &counters;
    worker.loop = bw_loop_new();
    bw_wire_context_init(&worker);
}

/* The client reads what is there; false: the connection is closed. */
static bool turn(int fd)
{
    static char heard[1 << 16];
    ssize_t n;

    bw_loop_run(worker.loop, 0);
    while ((n = read(fd, heard, sizeof(heard))) > 0)
        ;
    return n != 0;
}

/* A client that is not listened to any more gives up. */
static void talk(int fd, const uint8_t *data, size_t size, size_t piece)
{
    int in_vain = 0;

    while (size > 0 && in_vain < IN_VAIN_MAX) {
        size_t n = size < piece ? size : piece;
        ssize_t did = write(fd, data, n);

        if (did > 0) {
            data += did;
            size -= (size_t)did;
        }
        in_vain = did > 0 ? 0 : in_vain + 1;
        if (!turn(fd))
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bw_accepted who = {.listener = &listener, .is_unix = true};
    int pair[2];
    unsigned how;

    if (size == 0)
        return 0;
    set_up();
    how = data[0];
    BW_ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    bw_http1_start(
        &worker,
        h2o_evloop_socket_create(worker.ctx.loop, pair[1], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION),
        &who);
    talk(pair[0], data + 1, size - 1, (how & 15) == 15 ? 1 : 1 + (size_t)(how & 15) * 97);
    for (int i = 0; i < (int)(how >> 4) && turn(pair[0]); i++)
        ;
    close(pair[0]);
    for (int i = 0; i < 8; i++)
        bw_loop_run(worker.loop, 0);
    bw_conns_cut(&worker); /* lingering, or not reading because of its sink */
    if (given != NULL)
        h2o_socket_close(given);
    given = NULL;
    bw_loop_run(worker.loop, 0);
    BW_ASSERT(alive == 0);
    return 0;
}
