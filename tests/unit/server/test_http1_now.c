/*
 * test_http1_now.c - bodies written straight from memory that is valid for one call only.
 *
 * The handler fills one scratch buffer, offers it to the connection and scribbles over it at once,
 * so a byte that is looked at later is a wrong byte at the client.
 */
#include "wire_stand.h"

enum { SCRATCH = 100000, LONG_FIELD = 30000 };

struct now {
    struct handling h; /* first: its generator is */
    size_t at, length;
};

static char scratch[SCRATCH];
static char long_field[LONG_FIELD];
static size_t length_asked;
static int refusals;

static char byte_at(size_t i)
{
    return (char)('a' + (i * 7 + i / 256) % 23);
}

static void offer(struct now *n)
{
    size_t left = n->length - n->at, accepted;
    h2o_iovec_t v[2];
    bool taken;

    left = left < SCRATCH ? left : SCRATCH;
    for (size_t i = 0; i < left; i++)
        scratch[i] = byte_at(n->at + i);
    v[0] = h2o_iovec_init(scratch, left / 3);
    v[1] = h2o_iovec_init(scratch + left / 3, left - left / 3);
    taken = n->h.x->ops->write_now(n->h.x, v, 2, &accepted);
    memset(scratch, '!', sizeof(scratch));
    refusals += !taken;
    n->at += accepted;
    if (taken && n->at == n->length)
        h2o_send(&n->h.x->req, NULL, 0, H2O_SEND_STATE_FINAL);
}

static void offer_more(h2o_generator_t *g, h2o_req_t *req)
{
    (void)req;
    seen.proceeds++;
    offer((struct now *)(void *)g);
}

static void answer_now(struct bw_exchange *x)
{
    struct now *n = h2o_mem_alloc_pool(&x->req.pool, sizeof(*n));

    memset(n, 0, sizeof(*n));
    n->h = *handle(x, 200, length_asked);
    n->h.reply.fields.v = n->h.fields;
    n->h.x = x;
    n->h.generator.proceed = offer_more;
    n->length = length_asked;
    memset(long_field, 'f', sizeof(long_field));
    if (target_is(x, "/long-head"))
        n->h.fields[0].value = bw_slice(long_field, sizeof(long_field));
    bw_exchange_respond(x, &n->h.reply, &n->h.generator);
    offer(n);
}

void bw_request_start(struct bw_exchange *x)
{
    seen.started++;
    if (target_is(x, "/"))
        answer(x, 200, "hello");
    else
        answer_now(x);
}

void bw_request_refuse(struct bw_exchange *x, int status, enum bw_reason why)
{
    (void)why;
    answer(x, status, "no");
}

static int begin(void **state)
{
    refusals = 0;
    return stand_up(state);
}

/* Hears a head with the field, then the whole body. */
static void hear_now(const char *field, size_t field_n)
{
    char head[200];
    const char *body;
    int n;

    n = snprintf(head, sizeof(head), "\r\ncontent-length: %zu\r\n\r\n", length_asked);
    hear_bytes(strlen("HTTP/1.1 200 R\r\ndate: ") + field_n + (size_t)n + length_asked);
    body = strstr(stand->heard, head);
    assert_non_null(body);
    assert_memory_equal(body - field_n, field, field_n);
    body += n;
    assert_int_equal(stand->heard_n - (size_t)(body - stand->heard), length_asked);
    for (size_t i = 0; i < length_asked; i++)
        if (body[i] != byte_at(i))
            fail_msg("byte %zu is %d", i, body[i]);
    forget();
}

TEST(a_small_body_goes_out_with_its_head)
{
    length_asked = 10;
    connect_client();
    say("GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    hear_now("D", 1);
    wait_for(&seen.done, 1);
    assert_int_equal(seen.complete, 1);
    assert_int_equal(seen.proceeds, 0);
    assert_int_equal(refusals, 0);
}

TEST(what_the_socket_does_not_take_is_asked_for_again)
{
    length_asked = 1000000;
    connect_client();
    say("GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    hear_now("D", 1);
    assert_true(seen.proceeds > 2);
    assert_int_equal(refusals, 0);
}

TEST(a_head_that_does_not_fit_comes_before_the_body)
{
    int pair[2], small = 1;

    length_asked = 50000;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    connect_socket(pair[0], pair[1]);
    say("GET /long-head HTTP/1.1\r\nHost: a\r\n\r\n");
    hear_now(long_field, sizeof(long_field));
    assert_int_equal(refusals, 0);
}

TEST(the_next_request_of_the_connection_is_answered_behind_it)
{
    length_asked = 300000;
    connect_client();
    say("GET /now HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    hear_bytes(length_asked +
               strlen("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 300000\r\n\r\n") +
               strlen("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\n\r\nhello"));
    assert_int_equal(seen.started, 2);
    assert_string_equal(stand->heard + stand->heard_n - 9, "\r\n\r\nhello");
}

TEST(a_client_that_leaves_in_the_middle_ends_it)
{
    length_asked = 1000000;
    connect_client();
    say("GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&seen.started, 1);
    close(stand->fd);
    stand->fd = -1;
    wait_for(&seen.done, 1);
    assert_int_equal(seen.complete, 0);
}

TEST(a_response_without_a_body_takes_no_bytes)
{
    h2o_iovec_t v = h2o_iovec_init(scratch, 5);
    size_t accepted = 1;

    length_asked = 5;
    connect_client();
    say("HEAD /now HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&seen.started, 1);
    assert_int_equal(refusals, 1);
    assert_false(seen.x->ops->write_now(seen.x, &v, 1, &accepted));
    assert_int_equal(accepted, 0);
    turn(3);
    listen_once();
    assert_int_equal(stand->heard_n, 0);
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, begin, stand_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(a_small_body_goes_out_with_its_head),
        RUN_HERE(what_the_socket_does_not_take_is_asked_for_again),
        RUN_HERE(a_head_that_does_not_fit_comes_before_the_body),
        RUN_HERE(the_next_request_of_the_connection_is_answered_behind_it),
        RUN_HERE(a_client_that_leaves_in_the_middle_ends_it),
        RUN_HERE(a_response_without_a_body_takes_no_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
