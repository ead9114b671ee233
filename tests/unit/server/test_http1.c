/* HTTP/1.1 to clients: heads, framing, order, bodies. */
#include "wire_handler.h"

/* ---- heads ---- */

TEST(a_request_is_answered_and_the_connection_kept)
{
    connect_client();
    say(GET("/"));
    hear(HELLO);
    say(GET("/"));
    hear(HELLO);
    assert_int_equal(seen.done, 2);
    assert_int_equal(seen.complete, 2);
    stays_open();
}

TEST(a_head_may_come_byte_by_byte)
{
    const char *text = GET("/");

    connect_client();
    for (size_t i = 0; text[i] != '\0'; i++) {
        assert_int_equal(seen.started, 0);
        say_bytes(text + i, 1);
        turn(2);
    }
    hear(HELLO);
}

TEST(two_empty_lines_before_a_request_are_forgiven_and_three_are_not)
{
    connect_client();
    say("\r\n\r\n" GET("/"));
    hear(HELLO);
    say("\r\n\r\n\r\n" GET("/"));
    refused_with(400);
}

TEST(a_bad_head_is_answered_with_400_and_closed)
{
    connect_client();
    say("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" GET("/"));
    refused_with(400);
    assert_int_equal(seen.started, 0);
    assert_int_equal(seen.done, 1);
}

TEST(a_bad_head_behind_a_good_one_is_answered_second)
{
    connect_client();
    say(GET("/") "nonsense\r\n\r\n");
    hear(HELLO "HTTP/1.1 400 R\r\ndate: D\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
}

TEST(a_head_above_the_limit_is_answered_with_431)
{
    connect_client();
    stand->conf.limits.head = 200;
    memset(filler, 'a', sizeof(filler));
    say("GET / HTTP/1.1\r\nX: ");
    say_bytes(filler, 300);
    refused_with(431);
}

TEST(a_request_line_above_the_limit_is_answered_with_414)
{
    connect_client();
    stand->conf.limits.head = 200;
    say("GET /");
    say_bytes(filler, 300);
    refused_with(414);
    assert_int_equal(seen.refused_why, BW_REASON_BAD_TARGET);
}

TEST(too_many_fields_are_answered_with_431)
{
    connect_client();
    stand->conf.limits.headers = 3;
    say("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n");
    refused_with(431);
}

TEST(a_declared_body_above_the_limit_is_answered_with_413_before_it_starts)
{
    connect_client();
    say("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n");
    refused_with(413);
    assert_int_equal(seen.started, 0);
    assert_int_equal(seen.refused_why, BW_REASON_BODY_TOO_LARGE);
}

TEST(the_asterisk_of_options_reaches_the_handler)
{
    connect_client();
    say("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(HELLO);
}

/* ---- framing of responses ---- */

TEST(framing_follows_the_response_and_the_client)
{
    static const struct {
        const char *request, *response;
        bool closes;
    } table[] = {
        {GET("/chunked"),
         "HTTP/1.1 200 R\r\ndate: D\r\ntransfer-encoding: chunked\r\n\r\n"
         "4\r\naaaa\r\n4\r\naaaa\r\n4\r\naaaa\r\n0\r\n\r\n",
         false},
        {GET("/chunked-404"),
         "HTTP/1.1 404 R\r\ndate: D\r\ntransfer-encoding: chunked\r\n\r\n"
         "4\r\naaaa\r\n4\r\naaaa\r\n0\r\n\r\n",
         false},
        {GET("/trailers"),
         "HTTP/1.1 200 R\r\ndate: D\r\ntransfer-encoding: chunked\r\n\r\n"
         "4\r\naaaa\r\n4\r\naaaa\r\n0\r\nlink: </a>\r\n\r\n",
         false},
        {"GET /trailers HTTP/1.0\r\n\r\n",
         "HTTP/1.1 200 R\r\ndate: D\r\nconnection: close\r\n\r\naaaaaaaa", true},
        {"GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 R\r\ndate: D\r\nconnection: close\r\n\r\naaaaaaaaaaaa", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello",
         false},
        {"GET / HTTP/1.0\r\n\r\n",
         "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
         "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", true},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
         "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\n\r\n", false},
        {"HEAD /chunked HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 R\r\ndate: D\r\n\r\n", false},
        {"HEAD /exact HTTP/1.1\r\nHost: a\r\n\r\n",
         "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 8\r\n\r\n", false},
        {GET("/204"), "HTTP/1.1 204 R\r\ndate: D\r\n\r\n", false},
        {GET("/304"), "HTTP/1.1 304 R\r\ndate: D\r\n\r\n", false},
        {GET("/exact"), "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 8\r\n\r\naaaaaaaa", false},
        {GET("/over"), "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 6\r\n\r\naaaaaa", true},
        {GET("/short"), "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 9\r\n\r\naaaaaaaa", true},
        {GET("/gives-up"),
         "HTTP/1.1 200 R\r\ndate: D\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
         "3\r\nabc",
         true},
        {GET("/close"),
         "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbye", true},
        {GET("/head-first"),
         "HTTP/1.1 200 R\r\ndate: D\r\ntransfer-encoding: chunked\r\n\r\n4\r\naaaa\r\n0\r\n\r\n",
         false},
    };

    memset(filler, 'a', sizeof(filler));
    for (size_t i = 0; i < BW_ARRAY_LEN(table); i++) {
        int done = seen.done;

        connect_client();
        stand->closed = false;
        say(table[i].request);
        hear(table[i].response);
        assert_int_equal(seen.done, done + 1);
        if (table[i].closes)
            hear_close();
        else
            stays_open();
        close(stand->fd);
        turn(2);
    }
    stand->fd = -1;
}

TEST(a_response_without_a_date_gets_the_present_one)
{
    connect_client();
    say(GET("/late"));
    wait_for(&seen.started, 1);
    ((struct handling *)seen.x->request)->reply.fields.n = 0;
    answer(seen.x, 200, "x");
    hear_bytes(80);
    assert_non_null(strstr(stand->heard, "\r\ndate: "));
    assert_non_null(strstr(stand->heard, " GMT\r\n"));
}

TEST(a_large_response_arrives_whole)
{
    size_t head = strlen("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 4194304\r\n\r\n");
    size_t got = 0;

    connect_client();
    say(GET("/big"));
    while (got < head + 64 * sizeof(filler) && !stand->closed) {
        hear_bytes(1);
        got += stand->heard_n;
        forget();
    }
    assert_int_equal(got, head + 64 * sizeof(filler));
    assert_int_equal(seen.complete, 1);
    stays_open();
}

/* ---- order ---- */

TEST(pipelined_requests_are_answered_in_order)
{
    connect_client();
    say(GET("/") "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" GET("/exact") GET("/"));
    memset(filler, 'a', sizeof(filler));
    hear(HELLO "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\n\r\n"
               "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 8\r\n\r\naaaaaaaa" HELLO);
    assert_int_equal(seen.complete, 4);
}

TEST(a_pipelined_request_waits_for_the_answer_before_it)
{
    connect_client();
    say(GET("/late") GET("/"));
    wait_for(&seen.started, 1);
    turn(5);
    assert_int_equal(seen.started, 1);
    answer(seen.x, 200, "late!");
    hear("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\n\r\nlate!" HELLO);
}

TEST(a_hundred_pipelined_requests_need_few_rounds)
{
    uint64_t before;
    size_t all = 100 * strlen(HELLO);

    connect_client();
    for (int i = 0; i < 100; i++)
        say(GET("/"));
    before = bw_loop_round(stand->loop);
    hear_bytes(all);
    assert_int_equal(stand->heard_n, all);
    assert_true(bw_loop_round(stand->loop) - before < 10);
}

TEST(interim_responses_come_before_the_final_one_and_never_to_http_1_0)
{
    connect_client();
    say(GET("/early"));
    hear("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
         "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\n\r\nearly");
    say("GET /early HTTP/1.0\r\n\r\n");
    hear("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\nconnection: close\r\n\r\nearly");
}

/* ---- bodies ---- */

TEST(a_body_of_known_length_reaches_the_sink)
{
    connect_client();
    say("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    turn(5);
    say("lo" GET("/"));
    hear(OK HELLO);
    assert_string_equal(seen.body, "hello");
    assert_int_equal(seen.ends, 1);
}

TEST(a_chunked_body_reaches_the_sink_decoded)
{
    const char *text = "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nx-trailer: 1\r\n\r\n";

    connect_client();
    for (size_t i = 0; text[i] != '\0'; i++) {
        say_bytes(text + i, 1);
        turn(2);
    }
    hear(OK);
    assert_string_equal(seen.body, "hello");
    say(GET("/"));
    hear(HELLO);
}

TEST(a_request_without_a_body_has_an_empty_one)
{
    connect_client();
    say("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" GET("/sink") GET("/"));
    hear(OK OK HELLO);
    assert_int_equal(seen.ends, 2);
    assert_int_equal(seen.body_bytes, 0);
}

TEST(a_bad_chunk_ends_the_body_and_the_connection)
{
    connect_client();
    say("POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0x3\r\n");
    hear("HTTP/1.1 400 R\r\ndate: D\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbad");
    assert_int_equal(seen.end_why, BW_REASON_BAD_BODY);
    assert_int_equal(seen.ends, 1);
}

TEST(a_chunked_body_above_the_limit_is_ended)
{
    connect_client();
    stand->conf.limits.body = 10;
    say("POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n"
        "8\r\n12345678\r\n0\r\n\r\n");
    hear("HTTP/1.1 400 R\r\ndate: D\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbad");
    assert_int_equal(seen.end_why, BW_REASON_BODY_TOO_LARGE);
}

TEST(a_sink_never_gets_more_than_its_window_and_holds_the_client_back)
{
    connect_client();
    say("POST /slow-sink HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    wait_for(&seen.started, 1);
    for (int i = 0; i < 100; i++) { /* as much as the sockets take, and no more */
        (void)!write(stand->fd, filler, sizeof(filler));
        turn(1);
    }
    assert_int_equal(seen.body_bytes, 1000);
    assert_true(seen.x->conn->socket->input->size < 64 * 1024);
    for (uint64_t had = 1000; had < 100000; had = seen.body_bytes) {
        seen.x->ops->body_consumed(seen.x, 1000);
        turn(2);
        assert_true(seen.body_bytes > had && seen.body_bytes - had <= 1000);
    }
}

TEST(a_body_as_large_as_the_window_ends_without_more_credit)
{
    connect_client();
    say("POST /slow-sink HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    say_bytes(filler, 1000);
    hear(OK);
}

TEST(a_chunked_body_beyond_the_window_goes_on_with_credit)
{
    connect_client();
    say("POST /slow-sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n");
    say_bytes(filler, 2000);
    say("\r\n0\r\n\r\n");
    turn(5);
    assert_int_equal(seen.body_bytes, 1000);
    seen.x->ops->body_consumed(seen.x, 600);
    turn(5);
    assert_int_equal(seen.body_bytes, 1600);
    seen.x->ops->body_consumed(seen.x, 1000);
    hear(OK);
    assert_int_equal(seen.body_bytes, 2000);
}

TEST(continue_is_sent_when_the_body_is_asked_for)
{
    connect_client();
    say("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    hear("HTTP/1.1 100 Continue\r\n\r\n");
    say("hello");
    hear(OK);
}

TEST(continue_is_not_sent_when_the_body_is_there_already)
{
    connect_client();
    say("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    hear(OK);
}

TEST(a_refusal_instead_of_continue_closes)
{
    connect_client();
    say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    hear("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    hear_close();
}

TEST(a_short_body_that_nobody_wanted_is_dropped)
{
    connect_client();
    say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    hear(HELLO);
    say("67890" GET("/") "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n0\r\n\r\n" GET("/"));
    hear(HELLO HELLO HELLO);
}

TEST(a_long_body_that_nobody_wanted_closes_and_the_response_arrives)
{
    connect_client();
    say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 8; i++)
        say_bytes(filler, sizeof(filler) / 8);
    hear("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    hear_close();
}

TEST(a_response_may_overtake_the_body)
{
    connect_client();
    say("POST /duplex HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    turn(5);
    assert_int_equal(seen.body_bytes, 5);
    answer(seen.x, 200, "soon!");
    hear("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\n\r\nsoon!");
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.ends, 1);
    say("67890" GET("/"));
    hear(HELLO);
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, stand_up, stand_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(a_request_is_answered_and_the_connection_kept),
        RUN_HERE(a_head_may_come_byte_by_byte),
        RUN_HERE(two_empty_lines_before_a_request_are_forgiven_and_three_are_not),
        RUN_HERE(a_bad_head_is_answered_with_400_and_closed),
        RUN_HERE(a_bad_head_behind_a_good_one_is_answered_second),
        RUN_HERE(a_head_above_the_limit_is_answered_with_431),
        RUN_HERE(a_request_line_above_the_limit_is_answered_with_414),
        RUN_HERE(too_many_fields_are_answered_with_431),
        RUN_HERE(a_declared_body_above_the_limit_is_answered_with_413_before_it_starts),
        RUN_HERE(the_asterisk_of_options_reaches_the_handler),
        RUN_HERE(framing_follows_the_response_and_the_client),
        RUN_HERE(a_response_without_a_date_gets_the_present_one),
        RUN_HERE(a_large_response_arrives_whole),
        RUN_HERE(pipelined_requests_are_answered_in_order),
        RUN_HERE(a_pipelined_request_waits_for_the_answer_before_it),
        RUN_HERE(a_hundred_pipelined_requests_need_few_rounds),
        RUN_HERE(interim_responses_come_before_the_final_one_and_never_to_http_1_0),
        RUN_HERE(a_body_of_known_length_reaches_the_sink),
        RUN_HERE(a_chunked_body_reaches_the_sink_decoded),
        RUN_HERE(a_request_without_a_body_has_an_empty_one),
        RUN_HERE(a_bad_chunk_ends_the_body_and_the_connection),
        RUN_HERE(a_chunked_body_above_the_limit_is_ended),
        RUN_HERE(a_sink_never_gets_more_than_its_window_and_holds_the_client_back),
        RUN_HERE(a_body_as_large_as_the_window_ends_without_more_credit),
        RUN_HERE(a_chunked_body_beyond_the_window_goes_on_with_credit),
        RUN_HERE(continue_is_sent_when_the_body_is_asked_for),
        RUN_HERE(continue_is_not_sent_when_the_body_is_there_already),
        RUN_HERE(a_refusal_instead_of_continue_closes),
        RUN_HERE(a_short_body_that_nobody_wanted_is_dropped),
        RUN_HERE(a_long_body_that_nobody_wanted_closes_and_the_response_arrives),
        RUN_HERE(a_response_may_overtake_the_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
