/*
 * test_exchange.c - one request and its response on the wire: what is written, what is believed.
 */
#include "scene.h"

static const char ok[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/* ---- what is written ---- */

/* Sends `rq` and returns what the server heard; valid until scene_end(). */
static const char *sent(struct scene *s, struct bw_fetch_request *rq)
{
    struct spectator v = {0};

    scene_open(s, 1);
    says(&s->servers[0], "HTTP/1.1 204 No Content\r\n\r\n");
    scene_begin(s);
    begin(s, &v, rq);
    PLAY(s, v.ends == 1);
    assert_int_equal(v.status, 204);
    spectator_close(&v);
    return server_heard(&s->servers[0], 0);
}

TEST(a_request_is_one_line_a_host_and_the_fields_that_were_given)
{
    struct bw_field v[] = {{BW_S("accept"), BW_S("text/html"), BW_F_ACCEPT},
                           {BW_S("x-a"), BW_S(""), BW_F_OTHER}};
    struct bw_fields fields = {v, 2};
    struct bw_fetch_request rq = request("GET", "/a?b=c");
    struct scene s;

    rq.fields = &fields;
    assert_string_equal(sent(&s, &rq), "GET /a?b=c HTTP/1.1\r\nhost: www.example.org\r\n"
                                       "accept: text/html\r\nx-a: \r\n\r\n");
    scene_end(&s);
}

TEST(host_framing_and_connection_are_ours_whatever_the_fields_say)
{
    struct bw_field v[] = {{BW_S("host"), BW_S("evil"), BW_F_HOST},
                           {BW_S("content-length"), BW_S("5"), BW_F_CONTENT_LENGTH},
                           {BW_S("transfer-encoding"), BW_S("chunked"), BW_F_TRANSFER_ENCODING},
                           {BW_S("connection"), BW_S("close"), BW_F_CONNECTION}};
    struct bw_fields fields = {v, 4};
    struct bw_fetch_request rq = request("GET", "/");
    struct scene s;

    rq.fields = &fields;
    assert_string_equal(sent(&s, &rq), "GET / HTTP/1.1\r\nhost: www.example.org\r\n\r\n");
    scene_end(&s);
}

TEST(a_post_without_a_body_says_so)
{
    struct bw_fetch_request rq = request("POST", "/");
    struct scene s;

    assert_string_equal(sent(&s, &rq), "POST / HTTP/1.1\r\nhost: www.example.org\r\n"
                                       "content-length: 0\r\n\r\n");
    scene_end(&s);
}

TEST(an_announced_empty_body_is_over_with_the_head)
{
    struct bw_fetch_request rq = request("PUT", "/");
    struct scene s;

    rq.body = BW_FRAMING_LENGTH;
    assert_string_equal(sent(&s, &rq), "PUT / HTTP/1.1\r\nhost: www.example.org\r\n"
                                       "content-length: 0\r\n\r\n");
    scene_end(&s);
}

static void expect_host(enum bw_origin_host host, const char *name, const char *wanted)
{
    struct scene s;
    struct spectator v = {0};
    char line[128];

    scene_open(&s, 1);
    s.conf.host = host;
    s.conf.host_name = name;
    says(&s.servers[0], "HTTP/1.1 204 No Content\r\n\r\n");
    scene_begin(&s);
    get(&s, &v);
    if (wanted == NULL)
        (void)snprintf(line, sizeof(line), "\r\nhost: 127.0.0.1:%u\r\n", s.servers[0].port);
    else
        (void)snprintf(line, sizeof(line), "\r\nhost: %s\r\n", wanted);
    assert_non_null(strstr(server_heard(&s.servers[0], 0), line));
    spectator_close(&v);
    scene_end(&s);
}

TEST(the_host_is_the_clients_the_servers_or_a_fixed_one)
{
    expect_host(BW_ORIGIN_HOST_CLIENT, NULL, "www.example.org");
    expect_host(BW_ORIGIN_HOST_SERVER, NULL, NULL);
    expect_host(BW_ORIGIN_HOST_NAME, "app.internal", "app.internal");
}

/* ---- what is believed ---- */

struct response {
    const char *bytes;
    enum after after;
    const char *method;
    const char *body; /* NULL: it fails with `why` */
    enum bw_reason why;
    bool kept; /* and the connection is used again */
};

static const struct response responses[] = {
    /* whole */
    {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", KEEP, "GET", "hello", 0, true},
    {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", KEEP, "GET", "", 0, true},
    {"HTTP/1.1 204 No Content\r\n\r\n", KEEP, "GET", "", 0, true},
    {"HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n", KEEP, "GET", "", 0, true},
    {"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", KEEP, "HEAD", "", 0, true},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", KEEP,
     "GET", "abcde", 0, true},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", KEEP, "GET", "", 0, true},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", CLOSE, "GET", "until the end", 0, false},
    {"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", KEEP, "GET", "ok", 0,
     false},
    {"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", KEEP, "GET", "ok", 0, false},
    {"HTTP/1.0 200 OK\r\n\r\nold", CLOSE, "GET", "old", 0, false},
    {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", CLOSE, "GET", "hello", 0, false},
    /* whole, and more: never a connection to use again */
    {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n", KEEP, "GET",
     "hello", 0, false},
    {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", KEEP, "HEAD", "", 0, false},
    {"HTTP/1.1 304 Not Modified\r\n\r\nx", KEEP, "GET", "", 0, false},
    {"HTTP/1.1 204 No Content\r\n\r\nx", KEEP, "GET", "", 0, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nx", KEEP, "GET", "", 0, false},
    /* cut short */
    {"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello", CLOSE, "GET", NULL, BW_REASON_TRUNCATED,
     false},
    {"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello", RESET, "GET", NULL, BW_REASON_TRUNCATED,
     false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", CLOSE, "GET", NULL,
     BW_REASON_TRUNCATED, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab", CLOSE, "GET", NULL,
     BW_REASON_TRUNCATED, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", CLOSE, "GET", NULL,
     BW_REASON_TRUNCATED, false},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the", RESET, "GET", NULL, BW_REASON_TRUNCATED, false},
    {"HTTP/1.1 200 OK\r\nx: y\r\n", CLOSE, "GET", NULL, BW_REASON_CLOSED, false},
    {NULL, CLOSE, "GET", NULL, BW_REASON_CLOSED, false},
    {NULL, RESET, "GET", NULL, BW_REASON_CLOSED, false},
    {"HTTP/1.1 100 Continue\r\n\r\n", CLOSE, "GET", NULL, BW_REASON_CLOSED, false},
    /* an answer to another question */
    {"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-4/9\r\ncontent-length: 5\r\n\r\nhello",
     KEEP, "GET", NULL, BW_REASON_UNASKED_PART, false},
    {"HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\n\r\n", KEEP, "HEAD", NULL,
     BW_REASON_UNASKED_PART, false},
    /* ambiguous or not HTTP */
    {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", KEEP,
     "GET", NULL, BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", KEEP, "GET", NULL,
     BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\ncontent-length: 12abc\r\n\r\n", KEEP, "GET", NULL, BW_REASON_BAD_RESPONSE,
     false},
    {"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", KEEP, "GET", NULL, BW_REASON_BAD_RESPONSE,
     false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", KEEP, "GET", NULL,
     BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", KEEP, "GET", NULL,
     BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", KEEP, "GET", NULL,
     BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", KEEP, "GET",
     NULL, BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", KEEP, "GET",
     NULL, BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n", KEEP, "GET", NULL,
     BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", KEEP, "GET",
     NULL, BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx : y\r\n\r\n", KEEP, "GET", NULL,
     BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\nx : y\r\n\r\n", KEEP, "GET", NULL, BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 200 OK\r\nx: y\r\n folded\r\n\r\n", KEEP, "GET", NULL, BW_REASON_BAD_RESPONSE,
     false},
    {"HTTP/1.1 200 OK\nx: y\n\nhello\r\n\r\n", KEEP, "GET", NULL, BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 20 OK\r\n\r\n", KEEP, "GET", NULL, BW_REASON_BAD_RESPONSE, false},
    {"HTTP/2.0 200 OK\r\n\r\n", KEEP, "GET", NULL, BW_REASON_BAD_RESPONSE, false},
    {"SSH-2.0-OpenSSH\r\n", KEEP, "GET", NULL, BW_REASON_BAD_RESPONSE, false},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", KEEP, "GET", NULL, BW_REASON_BAD_RESPONSE, false},
    {"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", KEEP,
     "GET", NULL, BW_REASON_BAD_RESPONSE, false},
};

static void check_response(const struct response *r)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    say(&s.servers[0], (struct line){.bytes = r->bytes, .after = r->after});
    scene_begin(&s);
    begin_method(&s, &v, r->method);
    PLAY(&s, v.ends == 1);
    assert_int_equal(v.failed, r->why);
    assert_int_equal(v.ended, r->body != NULL);
    if (r->body != NULL)
        assert_string_equal(body_of(&v), r->body);
    if (r->kept)
        assert_int_equal(figures(&s).idle, 1);
    else
        PLAY(&s, figures(&s).open == 0);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_response_is_whole_and_unambiguous_or_it_fails)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(responses); ++i)
        check_response(&responses[i]);
}

/* The same, byte by byte, must not differ. */
TEST(it_does_not_matter_how_a_response_is_cut_into_pieces)
{
    static const char bytes[] = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
                                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                                "3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n";
    struct scene s;
    struct spectator v = {0};
    size_t said = 0;

    scene_open(&s, 1);
    s.servers[0].deaf = true;
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    PLAY(&s, s.servers[0].guests_n == 1);
    while (v.ends == 0 && said < sizeof(bytes) - 1) {
        assert_int_equal(write(s.servers[0].guests[0].fd, bytes + said, 1), 1);
        ++said;
        turn(&s);
    }
    PLAY(&s, v.ended);
    assert_int_equal(v.informational, 1);
    assert_string_equal(body_of(&v), "abc");
    assert_string_equal(v.trailers, "x-sum=1;");
    spectator_close(&v);
    scene_end(&s);
}

static void expect_failure(const char *bytes, enum bw_reason why)
{
    struct response r = {bytes, KEEP, "GET", NULL, why, false};

    check_response(&r);
}

static char *many_fields(const char *start, unsigned n)
{
    struct bw_buf b = {0};

    bw_buf_str(&b, start);
    for (unsigned i = 0; i < n; ++i)
        bw_buf_printf(&b, "x-%u: y\r\n", i);
    bw_buf_str(&b, "\r\n");
    bw_buf_char(&b, '\0');
    return b.base;
}

TEST(a_head_has_at_most_a_hundred_fields)
{
    char *hundred = many_fields("HTTP/1.1 204 No Content\r\n", 100);
    char *more = many_fields("HTTP/1.1 204 No Content\r\n", 101);
    struct response r = {hundred, KEEP, "GET", "", 0, true};

    check_response(&r);
    expect_failure(more, BW_REASON_BAD_RESPONSE);
    free(hundred);
    free(more);
}

TEST(a_head_has_at_most_64_kilobytes)
{
    struct bw_buf b = {0};

    bw_buf_str(&b, "HTTP/1.1 200 OK\r\nx: ");
    while (b.len < 70000)
        bw_buf_char(&b, 'y');
    bw_buf_str(&b, "\r\n\r\n");
    bw_buf_char(&b, '\0');
    expect_failure(b.base, BW_REASON_BAD_RESPONSE);
    bw_buf_free(&b);
}

TEST(trailers_have_at_most_4_kilobytes)
{
    char *many = many_fields("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", 1000);

    expect_failure(many, BW_REASON_BAD_RESPONSE);
    free(many);
}

TEST(trailers_are_passed_on_but_for_those_that_would_change_the_message)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    says(&s.servers[0], "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
                        "X-Sum: 5 \r\ncontent-length: 9\r\nset-cookie: a=b\r\netag: \"e\"\r\n\r\n");
    scene_begin(&s);
    get(&s, &v);
    assert_true(v.ended);
    assert_string_equal(v.trailers, "x-sum=5;etag=\"e\";");
    spectator_close(&v);
    scene_end(&s);
}

TEST(interim_responses_are_passed_on_but_for_100)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    says(&s.servers[0], "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
                        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    scene_begin(&s);
    get(&s, &v);
    assert_true(v.ended);
    assert_int_equal(v.informational, 2);
    assert_int_equal(v.last_informational, 102);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_flood_of_interim_responses_ends_at_the_seventeenth)
{
    struct bw_buf b = {0};

    for (int i = 0; i < 17; ++i)
        bw_buf_str(&b, "HTTP/1.1 103 Early Hints\r\n\r\n");
    bw_buf_str(&b, "HTTP/1.1 204 No Content\r\n\r\n");
    bw_buf_char(&b, '\0');
    expect_failure(b.base, BW_REASON_BAD_RESPONSE);
    bw_buf_free(&b);
}

/* ---- request bodies ---- */

TEST(a_body_of_known_length_is_sent_as_it_is)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    say(&s.servers[0], (struct line){.when = "world", .bytes = ok});
    scene_begin(&s);
    begin_upload(&s, &v, BW_FRAMING_LENGTH, 10);
    PLAY(&s, v.wanted > 0);
    assert_int_equal(v.wanted, 65536);
    bw_fetch_body(v.fetch, BW_S("hello"), false);
    bw_fetch_body(v.fetch, BW_S("world"), true);
    PLAY(&s, v.ends == 1);
    assert_true(v.ended);
    assert_int_equal(figures(&s).idle, 1);
    assert_string_equal(server_heard(&s.servers[0], 0),
                        "PUT /up HTTP/1.1\r\nhost: www.example.org\r\ncontent-length: 10\r\n\r\n"
                        "helloworld");
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_body_of_unknown_length_is_sent_in_chunks_of_ours)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    say(&s.servers[0], (struct line){.when = "0\r\n\r\n", .bytes = ok});
    scene_begin(&s);
    begin_upload(&s, &v, BW_FRAMING_CHUNKED, 0);
    PLAY(&s, v.wanted > 0);
    bw_fetch_body(v.fetch, BW_S("hello world, hello"), false);
    bw_fetch_body(v.fetch, BW_S(""), false); /* no empty chunk in the middle */
    bw_fetch_body(v.fetch, BW_S(""), true);
    PLAY(&s, v.ends == 1);
    assert_true(v.ended);
    assert_string_equal(server_heard(&s.servers[0], 0),
                        "PUT /up HTTP/1.1\r\nhost: www.example.org\r\n"
                        "transfer-encoding: chunked\r\n\r\n12\r\nhello world, hello\r\n0\r\n\r\n");
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_large_body_is_taken_as_fast_as_the_server_reads_and_no_faster)
{
    enum { TOTAL = 8 * 1024 * 1024 };
    static char bytes[65536];
    struct scene s;
    struct spectator v = {0};
    size_t given = 0;
    int64_t until = bw_clock_mono_us() + 5000000;

    scene_open(&s, 1);
    s.servers[0].deaf = true;
    scene_begin(&s);
    begin_upload(&s, &v, BW_FRAMING_LENGTH, TOTAL);
    PLAY(&s, s.servers[0].guests_n == 1);
    while (given < TOTAL && bw_clock_mono_us() < until) {
        size_t n = v.wanted - given;

        assert_true(n <= sizeof(bytes));
        if (n > 0)
            bw_fetch_body(v.fetch, bw_slice(bytes, n), given + n == TOTAL);
        given += n;
        turn(&s);
        if (n == 0) /* the kernel's buffers are full and so is our window */
            s.servers[0].deaf = false;
    }
    assert_int_equal(given, TOTAL);
    says(&s.servers[0], ok);
    PLAY(&s, v.ends == 1);
    assert_true(v.ended);
    PLAY(&s, s.servers[0].guests[0].in.len > TOTAL);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_body_that_is_not_as_long_as_announced_ends_the_fetch)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    scene_begin(&s);
    begin_upload(&s, &v, BW_FRAMING_LENGTH, 10);
    PLAY(&s, v.wanted > 0);
    bw_fetch_body(v.fetch, BW_S("short"), true);
    assert_int_equal(v.ends, 0);
    PLAY(&s, v.ends == 1);
    assert_int_equal(v.failed, BW_REASON_SEND);
    spectator_close(&v);
    scene_end(&s);
}

TEST(an_early_answer_is_delivered_and_its_connection_not_used_again)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    says(&s.servers[0], "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nno!");
    scene_begin(&s);
    begin_upload(&s, &v, BW_FRAMING_LENGTH, 1000000);
    PLAY(&s, v.ends == 1);
    assert_int_equal(v.status, 413);
    assert_string_equal(body_of(&v), "no!");
    PLAY(&s, figures(&s).open == 0);
    spectator_close(&v);
    scene_end(&s);
}

TEST(an_early_answer_before_a_reset_is_not_lost)
{
    static char bytes[65536];
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    say(&s.servers[0],
        (struct line){.bytes = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
                      .after = CLOSE});
    scene_begin(&s);
    begin_upload(&s, &v, BW_FRAMING_CHUNKED, 0);
    PLAY(&s, v.wanted > 0);
    bw_fetch_body(v.fetch, bw_slice(bytes, sizeof(bytes)), false);
    PLAY(&s, v.ends == 1);
    assert_int_equal(v.status, 403);
    assert_true(v.ended);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_body_that_has_begun_is_not_sent_twice)
{
    struct scene s;
    struct spectator first = {0}, second = {0};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    say(&s.servers[0], (struct line){.when = "bytes", .after = CLOSE});
    scene_begin(&s);
    get(&s, &first);
    begin_upload(&s, &second, BW_FRAMING_CHUNKED, 0);
    PLAY(&s, second.wanted > 0);
    bw_fetch_body(second.fetch, BW_S("bytes"), false);
    PLAY(&s, second.ends == 1);
    assert_int_equal(second.failed, BW_REASON_CLOSED);
    assert_int_equal(s.servers[0].guests_n, 1);
    spectator_close(&first);
    spectator_close(&second);
    scene_end(&s);
}

TEST(a_body_that_has_not_begun_survives_a_dead_connection)
{
    struct scene s;
    struct spectator first = {0}, second = {0};

    scene_open(&s, 1);
    says(&s.servers[0], ok);
    say(&s.servers[0], (struct line){.after = CLOSE});
    say(&s.servers[0], (struct line){.when = "0\r\n\r\n", .bytes = ok});
    scene_begin(&s);
    get(&s, &first);
    begin_upload(&s, &second, BW_FRAMING_CHUNKED, 0);
    PLAY(&s, second.wanted > 0);
    PLAY(&s, s.servers[0].guests_n == 2 && s.servers[0].guests[1].in.len > 0);
    play_turns(&s, 5);
    assert_int_equal(second.wanted, 65536); /* what was granted is not granted twice */
    bw_fetch_body(second.fetch, BW_S("bytes"), true);
    PLAY(&s, second.ends == 1);
    assert_true(second.ended);
    spectator_close(&first);
    spectator_close(&second);
    scene_end(&s);
}

/* ---- upgrades ---- */

static void begin_upgrade(struct scene *s, struct spectator *v)
{
    static struct bw_field fields[] = {{BW_S("upgrade"), BW_S("websocket, h2c"), BW_F_UPGRADE}};
    static struct bw_fields list = {fields, 1};
    struct bw_fetch_request rq = request("GET", "/");

    rq.fields = &list;
    rq.upgrade = true;
    begin(s, v, &rq);
    PLAY(s, v->ends == 1);
}

TEST(an_upgrade_that_was_asked_for_hands_over_the_socket_and_what_it_said_already)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    says(&s.servers[0], "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
                        "upgrade: WebSocket\r\n\r\nframe");
    scene_begin(&s);
    begin_upgrade(&s, &v);
    assert_non_null(strstr(server_heard(&s.servers[0], 0),
                           "upgrade: websocket, h2c\r\nconnection: upgrade\r\n"));
    assert_int_equal(v.status, 101);
    assert_non_null(v.socket);
    assert_int_equal(v.socket->input->size, 5);
    assert_memory_equal(v.socket->input->bytes, "frame", 5);
    assert_false(h2o_socket_is_reading(v.socket));
    h2o_socket_close(v.socket);
    PLAY(&s, figures(&s).open == 0);
    spectator_close(&v);
    scene_end(&s);
}

TEST(an_upgrade_to_something_else_is_refused)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    says(&s.servers[0], "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
                        "upgrade: gopher\r\n\r\n");
    scene_begin(&s);
    begin_upgrade(&s, &v);
    assert_int_equal(v.failed, BW_REASON_BAD_RESPONSE);
    spectator_close(&v);
    scene_end(&s);
}

TEST(an_upgrade_may_be_declined_with_an_ordinary_response)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    says(&s.servers[0], "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno");
    scene_begin(&s);
    begin_upgrade(&s, &v);
    assert_true(v.ended);
    assert_string_equal(body_of(&v), "no");
    spectator_close(&v);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_request_is_one_line_a_host_and_the_fields_that_were_given),
        RUN(host_framing_and_connection_are_ours_whatever_the_fields_say),
        RUN(a_post_without_a_body_says_so),
        RUN(an_announced_empty_body_is_over_with_the_head),
        RUN(the_host_is_the_clients_the_servers_or_a_fixed_one),
        RUN(a_response_is_whole_and_unambiguous_or_it_fails),
        RUN(it_does_not_matter_how_a_response_is_cut_into_pieces),
        RUN(a_head_has_at_most_a_hundred_fields),
        RUN(a_head_has_at_most_64_kilobytes),
        RUN(trailers_have_at_most_4_kilobytes),
        RUN(trailers_are_passed_on_but_for_those_that_would_change_the_message),
        RUN(interim_responses_are_passed_on_but_for_100),
        RUN(a_flood_of_interim_responses_ends_at_the_seventeenth),
        RUN(a_body_of_known_length_is_sent_as_it_is),
        RUN(a_body_of_unknown_length_is_sent_in_chunks_of_ours),
        RUN(a_large_body_is_taken_as_fast_as_the_server_reads_and_no_faster),
        RUN(a_body_that_is_not_as_long_as_announced_ends_the_fetch),
        RUN(an_early_answer_is_delivered_and_its_connection_not_used_again),
        RUN(an_early_answer_before_a_reset_is_not_lost),
        RUN(a_body_that_has_begun_is_not_sent_twice),
        RUN(a_body_that_has_not_begun_survives_a_dead_connection),
        RUN(an_upgrade_that_was_asked_for_hands_over_the_socket_and_what_it_said_already),
        RUN(an_upgrade_to_something_else_is_refused),
        RUN(an_upgrade_may_be_declined_with_an_ordinary_response),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
