/* What ends an HTTP/1.1 connection: clients that leave, clocks, drain, an upgrade. */
#include "wire_handler.h"

/* ---- clients that leave, and clocks ---- */

TEST(a_client_that_leaves_while_it_waits_is_noticed)
{
    connect_client();
    say(GET("/late"));
    wait_for(&seen.started, 1);
    close(stand->fd);
    stand->fd = -1;
    wait_for(&seen.done, 1);
    assert_int_equal(seen.complete, 0);
}

TEST(a_client_that_half_closes_while_it_waits_is_gone)
{
    connect_client();
    say(GET("/late"));
    wait_for(&seen.started, 1);
    shutdown(stand->fd, SHUT_WR);
    wait_for(&seen.done, 1);
    assert_int_equal(seen.complete, 0);
}

TEST(a_client_that_leaves_in_its_body_ends_it)
{
    connect_client();
    say("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    turn(5);
    close(stand->fd);
    stand->fd = -1;
    wait_for(&seen.done, 1);
    assert_int_equal(seen.ends, 1);
    assert_int_equal(seen.end_why, BW_REASON_CLOSED);
}

TEST(a_client_that_leaves_in_a_response_is_noticed)
{
    connect_client();
    say(GET("/big"));
    wait_for(&seen.started, 1);
    close(stand->fd);
    stand->fd = -1;
    wait_for(&seen.done, 1);
    assert_int_equal(seen.complete, 0);
}

TEST(a_connection_without_a_request_is_closed)
{
    stand->conf.limits.head_timeout_ms = 20;
    connect_client();
    hear_close();
    assert_int_equal(counted(BW_C_HEAD_TIMEOUT), 1);
    assert_int_equal(stand->heard_n, 0);
}

TEST(a_head_that_does_not_come_whole_is_answered_with_408)
{
    stand->conf.limits.head_timeout_ms = 20;
    connect_client();
    say("GET / HTTP/1.1\r\n");
    refused_with(408);
    assert_int_equal(counted(BW_C_HEAD_TIMEOUT), 1);
}

TEST(the_clock_of_a_head_is_not_restarted_by_its_bytes)
{
    int64_t began = bw_clock_mono_us();

    stand->conf.limits.head_timeout_ms = 50;
    connect_client();
    say(GET("/"));
    hear(HELLO);
    while (seen.refused == 0 && bw_clock_mono_us() - began < 2000000) {
        (void)!write(stand->fd, "a", 1);
        bw_loop_run(stand->loop, 1);
    }
    assert_int_equal(seen.refused_status, 408);
    assert_true(bw_clock_mono_us() - began < 1000000);
}

TEST(an_idle_connection_is_closed)
{
    stand->conf.limits.idle_timeout_ms = 20;
    connect_client();
    say(GET("/"));
    hear(HELLO);
    hear_close();
    assert_int_equal(counted(BW_C_IDLE_TIMEOUT), 1);
}

TEST(a_body_that_is_too_slow_is_ended)
{
    stand->conf.limits.body_timeout_ms = 20;
    stand->conf.limits.body_rate = 100000;
    connect_client();
    say("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nx");
    hear("HTTP/1.1 400 R\r\ndate: D\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbad");
    assert_int_equal(seen.end_why, BW_REASON_TIMEOUT);
    assert_int_equal(counted(BW_C_BODY_TIMEOUT), 1);
}

TEST(a_slow_sink_is_not_the_clients_fault)
{
    stand->conf.limits.body_timeout_ms = 20;
    stand->conf.limits.body_rate = 100000;
    connect_client();
    say("POST /slow-sink HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n");
    say_bytes(filler, 2000);
    for (int64_t end = bw_clock_mono_us() + 80000; bw_clock_mono_us() < end;)
        bw_loop_run(stand->loop, 5);
    assert_int_equal(seen.ends, 0);
    seen.x->ops->body_consumed(seen.x, 1000);
    hear(OK);
}

TEST(a_client_that_does_not_read_is_cut)
{
    int64_t began;

    stand->conf.limits.send_timeout_ms = 60;
    connect_client();
    say(GET("/big"));
    began = bw_clock_mono_us();
    wait_for(&seen.done, 1);
    assert_int_equal(seen.complete, 0);
    assert_int_equal(counted(BW_C_SEND_TIMEOUT), 1);
    assert_in_range(bw_clock_mono_us() - began, 50000, 1000000);
}

TEST(a_client_that_reads_slowly_is_served_on)
{
    char some[65536];

    stand->conf.limits.send_timeout_ms = 60;
    connect_client();
    say(GET("/big"));
    for (int i = 0; i < 20; i++) {
        int64_t end = bw_clock_mono_us() + 15000;

        while (bw_clock_mono_us() < end)
            bw_loop_run(stand->loop, 5);
        assert_true(read(stand->fd, some, sizeof(some)) > 0);
    }
    assert_int_equal(seen.done, 0);
    assert_int_equal(counted(BW_C_SEND_TIMEOUT), 0);
}

TEST(one_connection_does_not_keep_the_loop_to_itself)
{
    connect_client();
    say(GET("/big"));
    for (int i = 0; i < 30; i++) {
        int before = seen.proceeds;

        listen_once();
        forget();
        turn(1);
        listen_once();
        forget();
        assert_true(seen.proceeds - before <= 3);
    }
}

TEST(the_last_of_the_allowed_requests_closes)
{
    stand->conf.limits.requests_per_connection = 2;
    connect_client();
    say(GET("/") GET("/") GET("/"));
    hear(HELLO "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    hear_close();
    assert_int_equal(seen.started, 2);
}

/* ---- drain, upgrade ---- */

static int drained;

static void on_drained(struct bw_worker *w)
{
    (void)w;
    drained++;
}

TEST(draining_closes_idle_connections_at_once)
{
    drained = 0;
    connect_client();
    say(GET("/"));
    hear(HELLO);
    bw_worker_drain(&stand->w, 10000, on_drained);
    hear_close();
    wait_for(&drained, 1);
}

TEST(draining_lets_a_request_finish_and_closes_behind_it)
{
    drained = 0;
    connect_client();
    say(GET("/late"));
    wait_for(&seen.started, 1);
    bw_worker_drain(&stand->w, 10000, on_drained);
    turn(5);
    assert_int_equal(drained, 0);
    answer(seen.x, 200, "late!");
    hear("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\nconnection: close\r\n\r\nlate!");
    hear_close();
    wait_for(&drained, 1);
    assert_int_equal(seen.complete, 1);
}

TEST(draining_cuts_what_is_left_at_the_deadline)
{
    drained = 0;
    connect_client();
    say(GET("/late"));
    wait_for(&seen.started, 1);
    bw_worker_drain(&stand->w, 20, on_drained);
    hear_close();
    wait_for(&drained, 1);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.complete, 0);
}

TEST(an_upgrade_gives_the_socket_away_with_what_came_early)
{
    upgraded_socket = NULL;
    connect_client();
    say("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    say("early");
    hear("HTTP/1.1 101 R\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
    assert_int_equal(seen.complete, 1);
    assert_non_null(upgraded_socket);
    assert_true(h2o_linklist_is_empty(&stand->w.conns));
    assert_int_equal(upgraded_socket->input->size, 5);
    h2o_socket_close(upgraded_socket);
}

TEST(a_client_that_leaves_as_the_101_goes_out_has_no_upgrade)
{
    upgraded_socket = NULL;
    connect_client();
    say("GET /late HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    wait_for(&seen.started, 1);
    shutdown(stand->fd, SHUT_WR);
    switch_protocols(seen.x); /* the write is done, and the end is there to be read, in one round */
    wait_for(&seen.done, 1);
    assert_int_equal(seen.complete, upgraded_socket != NULL);
    if (upgraded_socket != NULL)
        h2o_socket_close(upgraded_socket);
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, stand_up, stand_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(a_client_that_leaves_while_it_waits_is_noticed),
        RUN_HERE(a_client_that_half_closes_while_it_waits_is_gone),
        RUN_HERE(a_client_that_leaves_in_its_body_ends_it),
        RUN_HERE(a_client_that_leaves_in_a_response_is_noticed),
        RUN_HERE(a_connection_without_a_request_is_closed),
        RUN_HERE(a_head_that_does_not_come_whole_is_answered_with_408),
        RUN_HERE(the_clock_of_a_head_is_not_restarted_by_its_bytes),
        RUN_HERE(an_idle_connection_is_closed),
        RUN_HERE(a_body_that_is_too_slow_is_ended),
        RUN_HERE(a_slow_sink_is_not_the_clients_fault),
        RUN_HERE(a_client_that_does_not_read_is_cut),
        RUN_HERE(a_client_that_reads_slowly_is_served_on),
        RUN_HERE(one_connection_does_not_keep_the_loop_to_itself),
        RUN_HERE(the_last_of_the_allowed_requests_closes),
        RUN_HERE(draining_closes_idle_connections_at_once),
        RUN_HERE(draining_lets_a_request_finish_and_closes_behind_it),
        RUN_HERE(draining_cuts_what_is_left_at_the_deadline),
        RUN_HERE(an_upgrade_gives_the_socket_away_with_what_came_early),
        RUN_HERE(a_client_that_leaves_as_the_101_goes_out_has_no_upgrade),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
