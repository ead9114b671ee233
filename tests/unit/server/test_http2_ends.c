/* What ends an HTTP/2 stream or connection: clients that leave, clocks, drain. */
#include "http2_client.h"

/* ---- clients that leave ---- */

TEST(what_is_reset_in_the_breath_that_asked_for_it_is_never_started)
{
    struct h2_stream *s[20];

    open_client();
    still_serves();
    for (int i = 0; i < 20; i++) {
        s[i] = get("/late");
        client_says();
        reset(s[i]);
    }
    client_says();
    WAIT_FOR(s[19]->closed);
    still_serves();
    assert_int_equal(seen.started, 2);
    assert_int_equal(seen.done, 2);
}

TEST(a_reset_while_the_client_waits_ends_its_request_once)
{
    struct h2_stream *s;

    open_client();
    s = get("/late");
    WAIT_FOR(seen.started == 1);
    reset(s);
    WAIT_FOR(seen.done == 1);
    assert_int_equal(seen.complete, 0);
    still_serves();
    assert_int_equal(seen.done, 2);
}

TEST(a_reset_in_a_response_ends_it_once)
{
    struct h2_stream *s;

    open_client();
    s = get("/big");
    WAIT_FOR(s->body_n > 100000);
    reset(s);
    WAIT_FOR(seen.done == 1);
    assert_int_equal(seen.complete, 0);
    still_serves();
    assert_int_equal(seen.done, 2);
}

TEST(a_reset_in_a_body_tells_its_sink)
{
    struct h2_stream *s;

    open_client();
    s = open_upload("/sink", 1000);
    WAIT_FOR(seen.body_bytes == 1000);
    reset(s);
    WAIT_FOR(seen.done == 1);
    assert_int_equal(seen.ends, 1);
    assert_int_equal(seen.end_why, BW_REASON_CLOSED);
    assert_int_equal(seen.complete, 0);
    still_serves();
}

TEST(a_request_that_waits_for_its_place_may_be_reset)
{
    struct h2_stream *waiting;

    stand->conf.limits.http2.requests = 1;
    open_client();
    (void)get("/late");
    waiting = get("/late");
    WAIT_FOR(seen.started == 1);
    reset(waiting);
    client_turns(5);
    answer(seen.x, 200, "late");
    is_answered(&client.stream[0], 200, "late");
    still_serves();
    assert_int_equal(seen.started, 2);
    assert_int_equal(seen.done, 2);
}

TEST(a_client_that_leaves_ends_all_its_requests)
{
    open_client();
    (void)get("/late");
    (void)get("/big");
    (void)open_upload("/sink", 1000);
    WAIT_FOR(seen.started == 3 && seen.body_bytes == 1000);
    close(stand->fd);
    stand->fd = -1;
    wait_for(&seen.done, 3);
    assert_int_equal(seen.complete, 0);
    assert_int_equal(seen.ends, 1);
    assert_int_equal(seen.end_why, BW_REASON_CLOSED);
    assert_true(h2o_linklist_is_empty(&stand->w.conns));
}

TEST(a_client_that_says_goodbye_gets_what_it_asked_for)
{
    struct h2_stream *s;

    open_client();
    s = get("/late");
    WAIT_FOR(seen.started == 1);
    nghttp2_submit_goaway(client.session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    client_turns(5);
    answer(seen.x, 200, "late");
    is_answered(s, 200, "late");
    WAIT_FOR(stand->closed);
}

/* ---- clocks ---- */

TEST(a_connection_without_a_request_is_closed)
{
    stand->conf.limits.head_timeout_ms = 20;
    open_client();
    is_told_off(NGHTTP2_NO_ERROR);
    assert_int_equal(counted(BW_C_HEAD_TIMEOUT), 1);
}

TEST(pings_do_not_stand_in_for_a_request)
{
    int64_t end = bw_clock_mono_us() + 5000000;

    stand->conf.limits.head_timeout_ms = 1500;
    stand->conf.limits.http2.control_frames = 1000000000;
    open_client();
    while (!stand->closed && bw_clock_mono_us() < end) {
        nghttp2_submit_ping(client.session, NGHTTP2_FLAG_NONE, NULL);
        client_turn();
    }
    assert_true(client.pongs > 10);
    assert_true(stand->closed);
    assert_int_equal(counted(BW_C_HEAD_TIMEOUT), 1);
}

TEST(an_idle_connection_is_closed)
{
    stand->conf.limits.idle_timeout_ms = 20;
    open_client();
    still_serves();
    is_told_off(NGHTTP2_NO_ERROR);
    assert_int_equal(counted(BW_C_IDLE_TIMEOUT), 1);
}

TEST(a_head_that_does_not_end_cuts_the_connection)
{
    stand->conf.limits.head_timeout_ms = 20;
    open_client();
    still_serves();
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, "\x82", 1);
    WAIT_FOR(stand->closed);
    assert_int_equal(counted(BW_C_HEAD_TIMEOUT), 1);
    assert_int_equal(seen.started, 1);
}

TEST(a_connection_is_not_idle_while_a_request_waits)
{
    struct h2_stream *s;
    int64_t end;

    stand->conf.limits.idle_timeout_ms = 20;
    stand->conf.limits.head_timeout_ms = 20;
    stand->conf.limits.send_timeout_ms = 20;
    open_client();
    s = get("/late");
    end = bw_clock_mono_us() + 2200000;
    while (bw_clock_mono_us() < end)
        client_turn();
    answer(seen.x, 200, "late");
    is_answered(s, 200, "late");
}

TEST(a_client_that_opens_no_window_loses_its_stream)
{
    struct h2_stream *s;

    stand->conf.limits.send_timeout_ms = 500;
    open_session(0);
    s = get("/");
    is_reset(s, NGHTTP2_CANCEL);
    assert_int_equal(s->status, 200);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.complete, 0);
    assert_int_equal(counted(BW_C_SEND_TIMEOUT), 1);
    is_answered(ask("HEAD", "/"), 200, "");
}

TEST(a_client_that_stops_taking_loses_its_streams)
{
    struct h2_stream *a, *b;

    stand->conf.limits.send_timeout_ms = 500;
    client.takes = false;
    open_client();
    a = get("/big");
    b = get("/big");
    is_reset(a, NGHTTP2_CANCEL);
    is_reset(b, NGHTTP2_CANCEL);
    assert_int_equal(seen.done, 2);
    is_answered(ask("HEAD", "/"), 200, "");
}

/* Takes some of the stream, and of the connection, now and then. */
static void sip(struct h2_stream *s, size_t n)
{
    int64_t end = bw_clock_mono_us() + 100000;

    nghttp2_session_consume(client.session, s->id, n);
    while (bw_clock_mono_us() < end)
        client_turn();
}

static size_t read_filler(struct bw_body_source *source, char *to, size_t n)
{
    (void)source;
    memset(to, 'c', n);
    return n;
}

/* The request that started last is answered from a source that always has more. */
static void answer_from_source(size_t length)
{
    static struct bw_body_source source = {.read = read_filler};
    struct handling *h = seen.x->request;

    h->reply.length = length;
    bw_exchange_respond(h->x, &h->reply, &h->generator);
    h->x->ops->send_from(h->x, &source, length);
}

TEST(a_stream_that_waits_for_its_turn_is_not_the_clients_fault)
{
    struct h2_stream *s[2];

    stand->conf.limits.send_timeout_ms = 1100;
    client.takes = false;
    open_client();
    for (int i = 0; i < 2; i++) {
        s[i] = get("/late");
        WAIT_FOR(seen.started == i + 1);
        answer_from_source(4000000);
    }
    for (int i = 0; i < 35; i++) /* slowly, and one after the other (RFC 9218, 10) */
        sip(s[0], 33000);
    assert_true(s[0]->body_n > 1000000);
    assert_int_equal(s[1]->body_n, 0);
    assert_false(s[0]->closed || s[1]->closed);
    assert_int_equal(counted(BW_C_SEND_TIMEOUT), 0);
}

/* Takes nothing, and lets the loop turn for so long. */
static void sleeps(int ms)
{
    int64_t end = bw_clock_mono_us() + INT64_C(1000) * ms;

    client_says();
    while (bw_clock_mono_us() < end)
        bw_loop_run(stand->loop, 5);
}

TEST(a_request_that_was_refused_a_place_is_not_begun_when_there_is_one)
{
    struct h2_stream *first, *waiting;

    stand->conf.limits.http2.requests = 1;
    stand->conf.limits.send_timeout_ms = 1500;
    open_session(1 << 30);
    nghttp2_session_set_local_window_size(client.session, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    first = get("/late");
    waiting = get("/late");
    WAIT_FOR(seen.started == 1);
    sleeps(1300);
    answer_from_source(40000000); /* behind which the refusal waits */
    sleeps(900);
    reset(first);
    sleeps(20);
    is_reset(waiting, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(seen.started, 1);
}

TEST(a_client_that_does_not_read_is_cut)
{
    stand->conf.limits.send_timeout_ms = 500;
    open_session(1 << 30);
    nghttp2_session_set_local_window_size(client.session, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    (void)get("/big");
    client_says();
    for (int64_t end = bw_clock_mono_us() + 5000000; seen.done == 0 && bw_clock_mono_us() < end;)
        bw_loop_run(stand->loop, 5);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.complete, 0);
    assert_int_equal(counted(BW_C_SEND_TIMEOUT), 1);
    assert_true(h2o_linklist_is_empty(&stand->w.conns));
}

TEST(a_body_that_is_too_slow_is_ended)
{
    struct h2_stream *s;

    stand->conf.limits.body_timeout_ms = 500;
    stand->conf.limits.body_rate = 100000;
    open_client();
    s = open_upload("/sink", 10);
    is_answered(s, 400, "bad");
    assert_int_equal(seen.ends, 1);
    assert_int_equal(seen.end_why, BW_REASON_TIMEOUT);
    assert_int_equal(counted(BW_C_BODY_TIMEOUT), 1);
    still_serves();
}

TEST(a_slow_sink_is_not_the_clients_fault)
{
    struct h2_stream *s;
    int64_t end = bw_clock_mono_us() + 3200000;

    stand->conf.limits.body_timeout_ms = 500;
    stand->conf.limits.body_rate = 100000;
    open_client();
    s = upload("/slow-sink", 2000);
    while (bw_clock_mono_us() < end)
        client_turn();
    assert_int_equal(seen.ends, 0);
    seen.x->ops->body_consumed(seen.x, 1000);
    is_answered(s, 200, "ok");
}

/* ---- the last of it ---- */

TEST(the_last_of_the_allowed_requests_is_answered_whole_and_closes)
{
    struct h2_stream *s[3];

    stand->conf.limits.requests_per_connection = 2;
    open_client();
    for (int i = 0; i < 3; i++)
        s[i] = get("/big");
    WAIT_FOR(s[0]->closed && s[1]->closed);
    assert_int_equal(s[0]->body_n, 64 * sizeof(filler));
    assert_int_equal(s[1]->body_n, 64 * sizeof(filler));
    hangs_up();
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    assert_true(client.goaway_last >= s[1]->id);
    assert_int_equal(seen.done, seen.started);
}

TEST(a_client_that_goes_on_behind_the_end_is_not_listened_to_and_cut)
{
    int64_t end;

    open_client();
    still_serves();
    for (int n = 0; n < 40 && !client.gone; n++) {
        say_settings(1000);
        client_turn();
    }
    WAIT_FOR(stand->closed);
    end = patience_end() + CLIENT_PATIENCE_MS;
    while (!h2o_linklist_is_empty(&stand->w.conns) && bw_clock_mono_us() / 1000 < end) {
        (void)!send(stand->fd, "nonsense", 8, MSG_NOSIGNAL);
        bw_loop_run(stand->loop, 5);
    }
    assert_true(h2o_linklist_is_empty(&stand->w.conns));
    assert_int_equal(seen.started, 1);
}

/* ---- drain ---- */

static int drained;

static void on_drained(struct bw_worker *w)
{
    (void)w;
    drained++;
}

static void begin_drain(int64_t deadline_ms)
{
    drained = 0;
    bw_worker_drain(&stand->w, deadline_ms, on_drained);
}

TEST(draining_closes_idle_connections_at_once)
{
    open_client();
    still_serves();
    begin_drain(10000);
    is_told_off(NGHTTP2_NO_ERROR);
    wait_for(&drained, 1);
}

TEST(draining_lets_requests_finish_and_takes_those_that_were_on_their_way)
{
    struct h2_stream *late, *crossing;
    struct bw_exchange *x;

    open_client();
    late = get("/late");
    WAIT_FOR(seen.started == 1);
    x = seen.x;
    begin_drain(10000);
    turn(3);
    crossing = get("/"); /* before the client has heard of it */
    client_says();
    WAIT_FOR(client.gone);
    assert_int_equal(client.goaway_last, INT32_MAX); /* a notice: RFC 9113, 6.8 */
    is_answered(crossing, 200, "hello");
    WAIT_FOR(client.goaways == 2);
    assert_int_equal(client.goaway_last, 3);
    assert_int_equal(drained, 0);
    answer(x, 200, "late");
    is_answered(late, 200, "late");
    hangs_up();
    wait_for(&drained, 1);
    assert_int_equal(seen.complete, 2);
}

TEST(draining_cuts_what_is_left_at_the_deadline)
{
    open_client();
    (void)get("/late");
    WAIT_FOR(seen.started == 1);
    begin_drain(20);
    WAIT_FOR(stand->closed);
    wait_for(&drained, 1);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.complete, 0);
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, h2_stand_up, h2_stand_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(what_is_reset_in_the_breath_that_asked_for_it_is_never_started),
        RUN_HERE(a_reset_while_the_client_waits_ends_its_request_once),
        RUN_HERE(a_reset_in_a_response_ends_it_once),
        RUN_HERE(a_reset_in_a_body_tells_its_sink),
        RUN_HERE(a_request_that_waits_for_its_place_may_be_reset),
        RUN_HERE(a_client_that_leaves_ends_all_its_requests),
        RUN_HERE(a_client_that_says_goodbye_gets_what_it_asked_for),
        RUN_HERE(a_connection_without_a_request_is_closed),
        RUN_HERE(pings_do_not_stand_in_for_a_request),
        RUN_HERE(an_idle_connection_is_closed),
        RUN_HERE(a_head_that_does_not_end_cuts_the_connection),
        RUN_HERE(a_connection_is_not_idle_while_a_request_waits),
        RUN_HERE(a_client_that_opens_no_window_loses_its_stream),
        RUN_HERE(a_client_that_stops_taking_loses_its_streams),
        RUN_HERE(a_stream_that_waits_for_its_turn_is_not_the_clients_fault),
        RUN_HERE(a_request_that_was_refused_a_place_is_not_begun_when_there_is_one),
        RUN_HERE(a_client_that_does_not_read_is_cut),
        RUN_HERE(a_body_that_is_too_slow_is_ended),
        RUN_HERE(a_slow_sink_is_not_the_clients_fault),
        RUN_HERE(the_last_of_the_allowed_requests_is_answered_whole_and_closes),
        RUN_HERE(a_client_that_goes_on_behind_the_end_is_not_listened_to_and_cut),
        RUN_HERE(draining_closes_idle_connections_at_once),
        RUN_HERE(draining_lets_requests_finish_and_takes_those_that_were_on_their_way),
        RUN_HERE(draining_cuts_what_is_left_at_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
