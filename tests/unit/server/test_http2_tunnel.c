/* WebSockets over HTTP/2: a stream with a socket behind it  (RFC 8441). */
#include "http2_client.h"

static struct h2_stream *ask_for_websocket(void)
{
    nghttp2_nv nv[] = {NV(":method", "CONNECT"), NV(":protocol", "websocket"),
                       NV(":scheme", "http"),    NV(":authority", "a"),
                       NV(":path", "/upgrade"),  NV("sec-websocket-version", "13")};
    struct h2_stream *s;

    upgraded_socket = NULL;
    s = begin_request(nv, 6, true);
    s->upload_stays_open = true;
    WAIT_FOR(s->status != 0);
    return s;
}

static struct h2_stream *open_websocket(void)
{
    struct h2_stream *s;

    open_client();
    s = ask_for_websocket();
    WAIT_FOR(upgraded_socket != NULL);
    return s;
}

static char tunnelled[1 << 20];
static size_t tunnelled_n;

static void takes_all(h2o_socket_t *socket, const char *err)
{
    if (err != NULL)
        return;
    assert_true(tunnelled_n + socket->input->size <= sizeof(tunnelled));
    memcpy(tunnelled + tunnelled_n, socket->input->bytes, socket->input->size);
    tunnelled_n += socket->input->size;
    h2o_buffer_consume(&socket->input, socket->input->size);
}

static void begin_taking(void)
{
    tunnelled_n = 0;
    h2o_socket_read_start(upgraded_socket, takes_all);
}

static void ignore_written(h2o_socket_t *socket, const char *err)
{
    (void)socket, (void)err;
}

TEST(a_websocket_is_a_stream_with_a_socket_behind_it)
{
    h2o_iovec_t hi = h2o_iovec_init("hi there", 8);
    struct h2_stream *s = open_websocket();

    assert_int_equal(s->status, 200);
    assert_null(strstr(s->fields, "upgrade"));
    assert_null(strstr(s->fields, "content-length"));
    assert_int_equal(seen.complete, 1);
    send_more(s, 300);
    begin_taking();
    WAIT_FOR(tunnelled_n == 300);
    h2o_socket_write(upgraded_socket, &hi, 1, ignore_written);
    WAIT_FOR(s->body_n == 8);
    assert_string_equal(s->body, "hi there");
    h2o_socket_close(upgraded_socket);
    WAIT_FOR(s->ended);
    still_serves();
}

TEST(the_end_of_a_websockets_stream_is_the_end_of_its_socket)
{
    struct h2_stream *s = open_websocket();
    char byte;

    end_upload(s);
    client_turns(10);
    assert_int_equal(read(h2o_socket_get_fd(upgraded_socket), &byte, 1), 0);
    h2o_socket_close(upgraded_socket);
    is_answered(s, 200, "");
}

TEST(a_websocket_whose_stream_is_reset_is_closed)
{
    struct h2_stream *s = open_websocket();
    char byte;

    reset(s);
    client_turns(10);
    assert_int_equal(read(h2o_socket_get_fd(upgraded_socket), &byte, 1), 0);
    h2o_socket_close(upgraded_socket);
    assert_int_equal(seen.done, 1);
    still_serves();
}

TEST(what_goes_into_a_websocket_that_is_not_read_stays_whole)
{
    enum { ALL = 900000 };
    struct h2_stream *s = open_websocket();

    for (size_t sent = 0; sent < ALL; sent += 20000) { /* many frames behind a write that waits */
        send_more(s, 20000);
        client_turns(2);
    }
    assert_true(s->upload_left > 0); /* held back by the window */
    begin_taking();
    WAIT_FOR(tunnelled_n == ALL);
    for (size_t i = 0; i < ALL; i++)
        assert_int_equal(tunnelled[i], 'a');
    h2o_socket_close(upgraded_socket);
}

TEST(an_upgrade_whose_client_left_in_the_same_breath_ends_once)
{
    struct h2_stream *s = open_websocket();

    reset(s);
    client_says();
    close(stand->fd);
    stand->fd = -1;
    wait_for(&seen.done, 1);
    turn(5);
    assert_int_equal(seen.done, 1);
    h2o_socket_close(upgraded_socket);
}

TEST(a_websocket_counts_as_a_connection_of_its_client)
{
    h2o_socket_t *first_socket;
    struct h2_stream *first;

    stand->w.accept_limits = bw_accept_limits_new();
    stand->conf.limits.connections = 1;
    first = open_websocket();
    first_socket = upgraded_socket;
    assert_int_equal(ask_for_websocket()->status, 503);
    assert_null(upgraded_socket);
    assert_int_equal(counted(BW_C_CONNECTIONS_REFUSED), 1);
    reset(first);
    h2o_socket_close(first_socket);
    client_turns(5);
    assert_int_equal(ask_for_websocket()->status, 200);
    h2o_socket_close(upgraded_socket);
    bw_conns_cut(&stand->w);
    bw_accept_limits_free(stand->w.accept_limits);
}

TEST(one_client_may_not_have_more_websockets_than_connections)
{
    h2o_socket_t *first_socket;

    stand->w.accept_limits = bw_accept_limits_new();
    stand->conf.limits.connections_per_address = 1;
    stand->address[15] = 1;
    (void)open_websocket();
    first_socket = upgraded_socket;
    assert_int_equal(ask_for_websocket()->status, 503);
    assert_int_equal(counted(BW_C_CONNECTIONS_REFUSED), 1);
    h2o_socket_close(first_socket);
    bw_conns_cut(&stand->w);
    bw_accept_limits_free(stand->w.accept_limits); /* which sees that all places were given back */
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, h2_stand_up, h2_stand_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(a_websocket_is_a_stream_with_a_socket_behind_it),
        RUN_HERE(the_end_of_a_websockets_stream_is_the_end_of_its_socket),
        RUN_HERE(a_websocket_whose_stream_is_reset_is_closed),
        RUN_HERE(what_goes_into_a_websocket_that_is_not_read_stays_whole),
        RUN_HERE(an_upgrade_whose_client_left_in_the_same_breath_ends_once),
        RUN_HERE(a_websocket_counts_as_a_connection_of_its_client),
        RUN_HERE(one_client_may_not_have_more_websockets_than_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
