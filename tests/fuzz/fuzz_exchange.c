/*
 * fuzz_exchange.c - any bytes as an origin's answer: exactly one ending, and never a wrong length.
 *
 * The first byte of the input chooses the method and how the answer is cut into two pieces; the
 * server then closes.  A real fetch talks to it over a unix socket, in the same thread.
 */
#include "breakwater/base/check.h"
#include "breakwater/origin/fetch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    unsigned heads, ends;
    uint64_t bytes, length;
    enum bw_framing framing;
    bool has_body;
};

static struct bw_loop *loop;
static struct bw_origin *origin;
static int listener;
static char path[64];

static void saw_informational(void *ctx, const struct bw_response_head *head)
{
    const struct seen *s = ctx;

    BW_ASSERT(s->heads == 0 && head->status >= 100 && head->status < 200);
}

static void saw_head(void *ctx, const struct bw_response_head *head)
{
    struct seen *s = ctx;

    BW_ASSERT(s->heads++ == 0 && head->status >= 200 && head->fields.n <= 100);
    s->framing = bw_head_response_framing(head, BW_S("GET"));
    s->length = head->content_length;
}

static void saw_data(void *ctx, struct bw_slice bytes)
{
    struct seen *s = ctx;

    BW_ASSERT(s->heads == 1 && s->ends == 0 && bytes.len > 0);
    s->bytes += bytes.len;
}

static void saw_end(void *ctx, const struct bw_fields *trailers)
{
    struct seen *s = ctx;

    BW_ASSERT(s->heads == 1 && s->ends++ == 0 && trailers->n <= 32);
    if (s->has_body && s->framing == BW_FRAMING_LENGTH)
        BW_ASSERT(s->bytes == s->length);
    if (!s->has_body)
        BW_ASSERT(s->bytes == 0);
}

static void saw_fail(void *ctx, enum bw_reason why)
{
    struct seen *s = ctx;

    BW_ASSERT(s->ends++ == 0 && why != BW_REASON_NONE);
}

static void saw_want(void *ctx, size_t n)
{
    (void)ctx, (void)n;
}

static const struct bw_fetch_ops ops = {
    .informational = saw_informational,
    .head = saw_head,
    .data = saw_data,
    .end = saw_end,
    .fail = saw_fail,
    .want = saw_want,
};

static void remove_path(void)
{
    (void)unlink(path);
}

static void begin_once(void)
{
    static struct bw_server_conf server = {.url = "unix", .unix_path = path, .weight = 1};
    static struct bw_pool_conf pool = {.name = "fuzz",
                                       .servers = &server,
                                       .servers_n = 1,
                                       .connect_ms = 5000,
                                       .first_byte_ms = 5000,
                                       .between_bytes_ms = 5000,
                                       .per_server = 4,
                                       .idle = 0};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char why[128];

    if (loop != NULL)
        return;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(path, sizeof(path), "bw-fuzz-%d.sock", (int)getpid());
    memcpy(un.sun_path, path, strlen(path) + 1);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    BW_ASSERT(bind(listener, (struct sockaddr *)(void *)&un, sizeof(un)) == 0);
    BW_ASSERT(listen(listener, 8) == 0);
    (void)atexit(remove_path);
    loop = bw_loop_new();
    BW_ASSERT(bw_origin_new(loop, &pool, 1, 1, why, sizeof(why), &origin) == BW_OK);
}

static void answer(int fd, const uint8_t *data, size_t size, size_t cut)
{
    ssize_t n = write(fd, data, cut);

    for (int i = 0; i < 2; ++i)
        bw_loop_run(loop, 0);
    if (n >= 0 && size > cut)
        n = write(fd, data + cut, size - cut);
    (void)n;
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bw_fields none = {0};
    struct bw_fetch_request rq = {.target = BW_S("/"), .authority = BW_S("fuzz"), .fields = &none};
    struct seen s = {0};
    int fd;

    if (size < 1 || size > 60000)
        return 0;
    begin_once();
    rq.method = (data[0] & 1) != 0 ? BW_S("HEAD") : BW_S("GET");
    s.has_body = (data[0] & 1) == 0;
    (void)bw_fetch_start(origin, 0, &rq, &ops, &s);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    BW_ASSERT(fd >= 0);
    answer(fd, data + 1, size - 1, (size - 1) * (data[0] >> 1) / 127);
    for (int i = 0; i < 1000 && s.ends == 0; ++i)
        bw_loop_run(loop, 100);
    BW_ASSERT(s.ends == 1);
    return 0;
}
