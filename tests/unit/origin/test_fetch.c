/*
 * test_fetch.c - the life of a fetch: reuse, second attempts, backpressure, clocks, cancel.
 */
#include "scene.h"

static const char ok[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/* ---- connections that are used again ---- */

TEST(ten_requests_need_one_connection)
{
    struct scene s;

    scene_open(&s, 1);
    scene_begin(&s);
    for (int i = 0; i < 10; ++i) {
        struct spectator v = {0};

        says(&s.servers[0], ok);
        get(&s, &v);
        assert_true(v.ended);
        spectator_close(&v);
    }
    assert_int_equal(s.servers[0].guests_n, 1);
    assert_int_equal(figures(&s).requests, 10);
    assert_int_equal(figures(&s).connects, 1);
    assert_int_equal(figures(&s).reused, 9);
    assert_int_equal(figures(&s).idle, 1);
    scene_end(&s);
}

TEST(an_idle_connection_that_says_something_is_closed)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(figures(&s).idle, 1);
    assert_int_equal(write(s.servers[0].guests[0].fd, ok, sizeof(ok) - 1), sizeof(ok) - 1);
    PLAY(&s, figures(&s).open == 0);
    spectator_close(&v);
    scene_end(&s);
}

/* Before the loop has noticed: the check at the moment of use. */
TEST(what_was_said_before_the_request_never_answers_it)
{
    static const char poison[] = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    struct scene s;
    struct spectator first = {0}, second = {0};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &first);
    assert_int_equal(write(s.servers[0].guests[0].fd, poison, sizeof(poison) - 1),
                     sizeof(poison) - 1);
    get(&s, &second);
    assert_string_equal(body_of(&second), "ok");
    assert_int_equal(s.servers[0].guests_n, 2);
    spectator_close(&first);
    spectator_close(&second);
    scene_end(&s);
}

TEST(a_new_connection_that_speaks_first_is_not_used)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    s.servers[0].greeting = ok;
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    while (s.servers[0].guests_n == 0) /* it has spoken before we look */
        server_step(&s.servers[0]);
    PLAY(&s, v.ends == 1);
    assert_int_equal(v.failed, BW_REASON_CLOSED);
    spectator_close(&v);
    scene_end(&s);
}

/* One good request, then the server closes as soon as it has read the second. */
static void dead_reused(const char *method, enum after after, bool again)
{
    struct scene s;
    struct spectator first = {0}, second = {0};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    say(&s.servers[0], (struct line){.after = after});
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &first);
    begin_method(&s, &second, method);
    PLAY(&s, second.ends == 1);
    if (again)
        assert_string_equal(body_of(&second), strcmp(method, "HEAD") == 0 ? "" : "ok");
    else
        assert_int_equal(second.failed, BW_REASON_CLOSED);
    assert_int_equal(s.servers[0].guests_n, again ? 2 : 1);
    spectator_close(&first);
    spectator_close(&second);
    scene_end(&s);
}

TEST(a_kept_connection_that_dies_is_replaced_once_for_methods_that_may_be_repeated)
{
    dead_reused("GET", CLOSE, true);
    dead_reused("GET", RESET, true);
    dead_reused("HEAD", CLOSE, true);
    dead_reused("OPTIONS", CLOSE, true);
    dead_reused("DELETE", CLOSE, true);
    dead_reused("POST", CLOSE, false);
    dead_reused("PATCH", CLOSE, false);
}

TEST(a_second_dead_connection_is_the_end)
{
    struct scene s;
    struct spectator first = {0}, second = {0};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    say(&s.servers[0], (struct line){.after = CLOSE});
    say(&s.servers[0], (struct line){.after = CLOSE});
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &first);
    get(&s, &second);
    assert_int_equal(second.failed, BW_REASON_CLOSED);
    assert_int_equal(s.servers[0].guests_n, 2);
    spectator_close(&first);
    spectator_close(&second);
    scene_end(&s);
}

TEST(a_fresh_connection_that_dies_is_not_replaced)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    say(&s.servers[0], (struct line){.after = CLOSE});
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_CLOSED);
    spectator_close(&v);
    scene_end(&s);
}

TEST(an_answer_that_has_begun_is_never_asked_for_again)
{
    struct scene s;
    struct spectator first = {0}, second = {0};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    say(&s.servers[0], (struct line){.bytes = "HTTP/1.1", .after = CLOSE});
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &first);
    get(&s, &second);
    assert_int_equal(second.failed, BW_REASON_CLOSED);
    assert_int_equal(s.servers[0].guests_n, 1);
    spectator_close(&first);
    spectator_close(&second);
    scene_end(&s);
}

/* A server that closes when idle: seen at the moment of use, so that even a POST is safe. */
TEST(a_connection_that_was_closed_while_idle_costs_a_post_nothing)
{
    struct scene s;
    struct spectator first = {0}, second = {0};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &first);
    guest_close(&s.servers[0].guests[0], CLOSE);
    begin_method(&s, &second, "POST");
    PLAY(&s, second.ends == 1);
    assert_true(second.ended);
    spectator_close(&first);
    spectator_close(&second);
    scene_end(&s);
}

/* ---- backpressure ---- */

TEST(a_paused_fetch_holds_a_fast_server_back_in_bounded_memory)
{
    enum { TOTAL = 64 * 1024 * 1024 };
    struct scene s;
    struct spectator v = {.discard = true, .pause = AT_DATA};
    size_t last;

    scene_open(&s, 1);
    say(&s.servers[0], (struct line){.bytes = "HTTP/1.1 200 OK\r\ncontent-length: 67108864\r\n\r\n",
                                     .repeat = TOTAL});
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    PLAY(&s, v.bytes > 0);
    for (int i = 0; i < 20; ++i) {
        last = v.bytes;
        play_turns(&s, 20); /* the server sends what the kernel takes */
        assert_int_equal(v.bytes, last);
        assert_true(figures(&s).bytes_in <= v.bytes + 65536 + 256);
        bw_fetch_resume(v.fetch);
        assert_int_equal(v.bytes, last);
        PLAY(&s, v.bytes > last);
    }
    v.pause = NEVER;
    bw_fetch_resume(v.fetch);
    PLAY(&s, v.ends == 1);
    assert_true(v.ended);
    assert_int_equal(v.bytes, TOTAL);
    assert_true(v.largest <= 65536);
    spectator_close(&v);
    scene_end(&s);
}

TEST(one_round_reads_no_more_than_64_kilobytes_of_a_connection)
{
    struct scene s;
    struct spectator v = {.discard = true};

    scene_open(&s, 1);
    say(&s.servers[0],
        (struct line){.bytes = "HTTP/1.1 200 OK\r\n\r\n", .repeat = 4000000, .after = CLOSE});
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    while (v.ends == 0) {
        uint64_t before = figures(&s).bytes_in;

        turn(&s);
        assert_true(figures(&s).bytes_in - before <= 65536);
    }
    assert_true(v.ended);
    assert_int_equal(v.bytes, 4000000);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_pause_between_two_chunks_keeps_the_rest_for_later)
{
    struct scene s;
    struct spectator v = {.pause = AT_DATA};

    scene_open(&s, 1);
    say(&s.servers[0],
        (struct line){.bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                               "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
                      .after = CLOSE});
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    for (size_t n = 1; n <= 3; ++n) {
        PLAY(&s, v.bytes == n);
        play_turns(&s, 3);
        assert_int_equal(v.bytes, n);
        bw_fetch_resume(v.fetch);
    }
    PLAY(&s, v.ends == 1);
    assert_true(v.ended);
    assert_string_equal(body_of(&v), "abc");
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_pause_at_the_head_holds_back_the_end)
{
    struct scene s;
    struct spectator v = {.pause = AT_HEAD};

    scene_open(&s, 1);
    says(&s.servers[0], "HTTP/1.1 204 No Content\r\n\r\n");
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    PLAY(&s, v.status == 204);
    play_turns(&s, 3);
    assert_int_equal(v.ends, 0);
    bw_fetch_resume(v.fetch);
    assert_int_equal(v.ends, 0);
    PLAY(&s, v.ended);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_pause_before_the_connection_is_made_holds_everything_back)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    bw_fetch_pause(v.fetch);
    PLAY(&s, s.servers[0].said == 1);
    play_turns(&s, 10);
    assert_int_equal(v.status, 0);
    bw_fetch_resume(v.fetch);
    PLAY(&s, v.ended);
    spectator_close(&v);
    scene_end(&s);
}

/* ---- clocks ---- */

TEST(a_server_that_does_not_answer_is_given_up)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    s.conf.first_byte_ms = 30;
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_FIRST_BYTE_TIMEOUT);
    spectator_close(&v);
    scene_end(&s);
}

/* The clock runs until the head is complete: one byte at a time does not help. */
TEST(a_head_that_trickles_is_given_up_all_the_same)
{
    struct scene s;
    struct spectator v = {0};
    int64_t begun, until;

    scene_open(&s, 1);
    s.conf.first_byte_ms = 60;
    s.servers[0].deaf = true;
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    PLAY(&s, s.servers[0].guests_n == 1);
    assert_int_equal(write(s.servers[0].guests[0].fd, "HTTP/1.1 200 OK\r\nx: ", 20), 20);
    begun = bw_clock_mono_us();
    until = begun + 5000000;
    while (v.ends == 0 && bw_clock_mono_us() < until) {
        turn(&s);
        (void)write(s.servers[0].guests[0].fd, "y", 1);
    }
    assert_int_equal(v.failed, BW_REASON_FIRST_BYTE_TIMEOUT);
    assert_true(bw_clock_mono_us() - begun < 1000000);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_body_that_stalls_is_given_up)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    s.conf.between_bytes_ms = 30;
    says(&s.servers[0], "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel");
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_BETWEEN_BYTES_TIMEOUT);
    assert_string_equal(body_of(&v), "hel");
    spectator_close(&v);
    scene_end(&s);
}

TEST(the_clock_between_bytes_stands_still_while_paused)
{
    struct scene s;
    struct spectator v = {.pause = AT_DATA};
    int64_t until;

    scene_open(&s, 1);
    s.conf.between_bytes_ms = 20;
    says(&s.servers[0], "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel");
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    PLAY(&s, v.bytes == 3);
    until = bw_clock_mono_us() + 80000;
    PLAY(&s, bw_clock_mono_us() > until);
    assert_int_equal(v.ends, 0);
    bw_fetch_resume(v.fetch);
    PLAY(&s, v.ends == 1);
    assert_int_equal(v.failed, BW_REASON_BETWEEN_BYTES_TIMEOUT);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_server_that_stops_reading_the_request_is_given_up)
{
    static char bytes[65536];
    struct scene s;
    struct spectator v = {0};
    size_t given = 0;

    scene_open(&s, 1);
    s.conf.between_bytes_ms = 30;
    s.servers[0].deaf = true;
    scene_begin(&s);
    begin_upload(&s, &v, BW_FRAMING_CHUNKED, 0);
    for (int i = 0; i < 100000 && v.ends == 0; ++i) {
        if (v.wanted > given)
            bw_fetch_body(v.fetch, bw_slice(bytes, v.wanted - given), false);
        given = v.wanted;
        turn(&s);
    }
    assert_int_equal(v.failed, BW_REASON_SEND);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_client_that_is_slow_to_send_its_body_is_not_the_servers_fault)
{
    struct scene s;
    struct spectator v = {0};
    int64_t until;

    scene_open(&s, 1);
    s.conf.between_bytes_ms = s.conf.first_byte_ms = 20;
    say(&s.servers[0], (struct line){.when = "0\r\n\r\n", .bytes = ok});
    scene_begin(&s);
    begin_upload(&s, &v, BW_FRAMING_CHUNKED, 0);
    PLAY(&s, v.wanted > 0);
    until = bw_clock_mono_us() + 80000;
    PLAY(&s, bw_clock_mono_us() > until);
    assert_int_equal(v.ends, 0);
    bw_fetch_body(v.fetch, BW_S("x"), true);
    PLAY(&s, v.ended);
    spectator_close(&v);
    scene_end(&s);
}

/* ---- cancel ---- */

static void cancel_inside(enum moment moment, const char *bytes)
{
    struct scene s;
    struct spectator v = {.cancel = moment};

    scene_open(&s, 1);
    says(&s.servers[0], bytes);
    scene_begin(&s);
    if (moment == AT_WANT)
        begin_upload(&s, &v, BW_FRAMING_CHUNKED, 0);
    else
        begin_method(&s, &v, "GET");
    PLAY(&s, v.fetch == NULL);
    PLAY(&s, figures(&s).open == 0);
    assert_int_equal(v.ends, 0);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_fetch_may_be_cancelled_in_any_of_its_callbacks)
{
    cancel_inside(AT_WANT, ok);
    cancel_inside(AT_INFORMATIONAL, "HTTP/1.1 103 Early Hints\r\n\r\n");
    cancel_inside(AT_HEAD, ok);
    cancel_inside(AT_DATA, ok);
    cancel_inside(AT_DATA, "HTTP/1.1 200 OK\r\n\r\nbytes");
    cancel_inside(AT_DATA, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
}

static void cancel_after(unsigned turns, bool deaf, bool paused)
{
    struct scene s;
    struct spectator v = {.pause = paused ? AT_DATA : NEVER, .discard = true};

    scene_open(&s, 1);
    s.servers[0].deaf = deaf;
    say(&s.servers[0], (struct line){.bytes = "HTTP/1.1 200 OK\r\n\r\n", .repeat = 1 << 24});
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    play_turns(&s, turns);
    assert_int_equal(v.ends, 0);
    bw_fetch_cancel(v.fetch);
    PLAY(&s, figures(&s).open == 0);
    assert_int_equal(v.ends, 0);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_fetch_may_be_cancelled_at_any_moment_between_them)
{
    for (unsigned i = 0; i < 8; ++i) {
        cancel_after(i, true, false);
        cancel_after(i, false, false);
        cancel_after(i, false, true);
    }
}

TEST(a_cancelled_upload_may_have_a_write_under_way)
{
    static char bytes[65536];
    struct scene s;
    struct spectator v = {0};
    size_t given = 0;

    scene_open(&s, 1);
    s.servers[0].deaf = true;
    scene_begin(&s);
    begin_upload(&s, &v, BW_FRAMING_CHUNKED, 0);
    PLAY(&s, v.wanted > 0);
    for (int stuck = 0; stuck < 10; ++stuck) {
        if (v.wanted > given) {
            bw_fetch_body(v.fetch, bw_slice(bytes, v.wanted - given), false);
            stuck = 0;
        }
        given = v.wanted;
        turn(&s);
    }
    bw_fetch_cancel(v.fetch);
    PLAY(&s, figures(&s).open == 0);
    assert_int_equal(v.ends, 0);
    spectator_close(&v);
    scene_end(&s);
}

TEST(nothing_calls_back_from_within_a_call)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    close(s.servers[0].listener); /* refused at once */
    s.servers[0].listener = -1;
    scene_begin(&s);
    begin_method(&s, &v, "GET"); /* asserts that nothing came */
    bw_fetch_cancel(v.fetch);
    play_turns(&s, 5);
    assert_int_equal(v.ends, 0);
    spectator_close(&v);
    scene_end(&s);
}

TEST(the_origin_waits_for_its_fetches_before_it_is_freed)
{
    struct scene s;
    struct spectator v = {.pause = AT_DATA};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    PLAY(&s, v.bytes == 2);
    bw_origin_free(s.origin, noted, &s.freed);
    play_turns(&s, 5);
    assert_false(s.freed);
    bw_fetch_resume(v.fetch);
    PLAY(&s, v.ended);
    PLAY(&s, s.freed);
    s.origin = NULL;
    spectator_close(&v);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(ten_requests_need_one_connection),
        RUN(an_idle_connection_that_says_something_is_closed),
        RUN(what_was_said_before_the_request_never_answers_it),
        RUN(a_new_connection_that_speaks_first_is_not_used),
        RUN(a_kept_connection_that_dies_is_replaced_once_for_methods_that_may_be_repeated),
        RUN(a_second_dead_connection_is_the_end),
        RUN(a_fresh_connection_that_dies_is_not_replaced),
        RUN(an_answer_that_has_begun_is_never_asked_for_again),
        RUN(a_connection_that_was_closed_while_idle_costs_a_post_nothing),
        RUN(a_paused_fetch_holds_a_fast_server_back_in_bounded_memory),
        RUN(one_round_reads_no_more_than_64_kilobytes_of_a_connection),
        RUN(a_pause_between_two_chunks_keeps_the_rest_for_later),
        RUN(a_pause_at_the_head_holds_back_the_end),
        RUN(a_pause_before_the_connection_is_made_holds_everything_back),
        RUN(a_server_that_does_not_answer_is_given_up),
        RUN(a_head_that_trickles_is_given_up_all_the_same),
        RUN(a_body_that_stalls_is_given_up),
        RUN(the_clock_between_bytes_stands_still_while_paused),
        RUN(a_server_that_stops_reading_the_request_is_given_up),
        RUN(a_client_that_is_slow_to_send_its_body_is_not_the_servers_fault),
        RUN(a_fetch_may_be_cancelled_in_any_of_its_callbacks),
        RUN(a_fetch_may_be_cancelled_at_any_moment_between_them),
        RUN(a_cancelled_upload_may_have_a_write_under_way),
        RUN(nothing_calls_back_from_within_a_call),
        RUN(the_origin_waits_for_its_fetches_before_it_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
