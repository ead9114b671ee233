/* HTTP/2 to clients: requests, responses, bodies, what is refused. */
#include "http2_client.h"

/* ---- responses ---- */

TEST(a_request_is_answered_and_the_connection_kept)
{
    struct h2_stream *s;

    open_client();
    s = get("/");
    is_answered(s, 200, "hello");
    assert_string_equal(s->fields, "date: D\ncontent-length: 5\n");
    still_serves();
    assert_int_equal(seen.done, 2);
    assert_int_equal(seen.complete, 2);
}

TEST(two_streams_are_served_at_once)
{
    struct bw_exchange *late;
    struct h2_stream *first, *second;

    open_client();
    first = get("/late");
    WAIT_FOR(seen.started == 1);
    late = seen.x;
    second = get("/");
    is_answered(second, 200, "hello");
    assert_false(first->closed);
    answer(late, 200, "late");
    is_answered(first, 200, "late");
    assert_int_equal(seen.complete, 2);
}

TEST(a_response_to_head_has_the_length_and_no_body)
{
    struct h2_stream *s;

    open_client();
    s = ask("HEAD", "/");
    is_answered(s, 200, "");
    assert_string_equal(s->fields, "date: D\ncontent-length: 5\n");
    is_answered(ask("HEAD", "/chunked"), 200, "");
    is_answered(ask("HEAD", "/big"), 200, "");
    assert_int_equal(seen.complete, 3);
}

TEST(what_has_no_body_has_no_length_either)
{
    static const char *const targets[] = {"/304", "/204"};

    open_client();
    for (size_t i = 0; i < 2; i++) {
        struct h2_stream *s = get(targets[i]);

        is_answered(s, i == 0 ? 304 : 204, "");
        assert_string_equal(s->fields, "date: D\n");
    }
    assert_int_equal(seen.complete, 2);
}

TEST(a_body_of_unknown_length_ends_with_its_stream)
{
    struct h2_stream *s;

    open_client();
    s = get("/chunked");
    is_answered(s, 200, "aaaaaaaaaaaa");
    assert_string_equal(s->fields, "date: D\n");
    is_answered(get("/chunked-404"), 404, "aaaaaaaa");
}

TEST(a_head_may_go_out_before_its_body)
{
    open_client();
    is_answered(get("/head-first"), 200, "aaaa");
    assert_int_equal(seen.complete, 1);
}

TEST(trailers_come_behind_the_body)
{
    struct h2_stream *s;

    open_client();
    s = get("/trailers");
    is_answered(s, 200, "aaaaaaaa");
    assert_string_equal(s->trailers, "link: </a>\n");
    assert_string_equal(s->fields, "date: D\n");
}

TEST(early_hints_come_before_the_response_and_not_behind)
{
    struct h2_stream *s;

    open_client();
    s = get("/early");
    is_answered(s, 200, "early");
    assert_int_equal(s->early_n, 2);
    assert_int_equal(s->early[0], 103);
    assert_int_equal(s->early[1], 102);
    assert_string_equal(s->early_fields, "link: </a>\n");
}

TEST(a_large_body_comes_whole)
{
    struct h2_stream *s;

    open_client();
    s = get("/big");
    WAIT_FOR(s->closed);
    assert_int_equal(s->body_n, 64 * sizeof(filler));
    assert_true(s->ended);
    assert_int_equal(seen.complete, 1);
    assert_int_equal(seen.proceeds, 63);
}

TEST(a_large_body_comes_whole_through_a_large_window)
{
    struct h2_stream *s;

    open_session(1 << 30);
    nghttp2_session_set_local_window_size(client.session, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    s = get("/big");
    WAIT_FOR(s->closed);
    assert_int_equal(s->body_n, 64 * sizeof(filler));
    assert_int_equal(seen.complete, 1);
}

TEST(a_large_body_does_not_hold_up_a_small_one)
{
    struct h2_stream *large, *small;

    open_client();
    large = get("/big");
    WAIT_FOR(large->body_n > 0);
    small = get("/");
    is_answered(small, 200, "hello");
    assert_false(large->closed);
    WAIT_FOR(large->closed);
    assert_int_equal(large->body_n, 64 * sizeof(filler));
}

TEST(a_response_that_falls_short_is_reset)
{
    struct h2_stream *s;

    open_client();
    s = get("/short");
    is_reset(s, NGHTTP2_INTERNAL_ERROR);
    still_serves();
    assert_int_equal(seen.done, 2);
    assert_int_equal(seen.complete, 1);
}

TEST(a_response_that_gives_up_is_reset)
{
    open_client();
    is_reset(get("/gives-up"), NGHTTP2_INTERNAL_ERROR);
    still_serves();
    assert_int_equal(seen.done, 2);
    assert_int_equal(seen.complete, 1);
}

TEST(a_response_is_never_longer_than_was_promised)
{
    open_client();
    is_answered(get("/over"), 200, "aaaaaa");
    is_answered(get("/exact"), 200, "aaaaaaaa");
    assert_int_equal(seen.complete, 2);
}

TEST(a_head_above_64_KiB_comes_whole)
{
    struct h2_stream *s;

    open_client();
    s = get("/large-head");
    is_answered(s, 200, "small");
    assert_int_equal(strncmp(s->fields, "date: D\nx: aaa", 14), 0);
}

TEST(a_head_that_is_too_large_for_a_frame_resets_its_stream)
{
    open_client();
    is_reset(get("/huge-head"), NGHTTP2_INTERNAL_ERROR);
    still_serves();
    assert_int_equal(seen.done, 2);
    assert_int_equal(seen.complete, 1);
}

/* ---- bodies that are read from a source ---- */

static struct bw_body_source body_source;
static size_t source_at, stuck_at;

/* Filler, which is not at hand once, at `stuck_at`. */
static size_t read_some(struct bw_body_source *from, char *to, size_t n)
{
    size_t until_stuck = stuck_at > source_at ? stuck_at - source_at : n;

    assert_ptr_equal(from, &body_source);
    if (source_at == stuck_at) {
        stuck_at = 0;
        return 0;
    }
    if (n > until_stuck)
        n = until_stuck;
    memset(to, 'b', n);
    source_at += n;
    return n;
}

static void send_rest(h2o_generator_t *g, h2o_req_t *req)
{
    struct handling *h = (struct handling *)g;

    (void)req;
    seen.proceeds++;
    h->x->ops->send_from(h->x, &body_source, h->reply.length - source_at);
}

/* The request that waits is answered from the source. */
static void answer_from_source(size_t length, size_t stuck)
{
    struct handling *h;

    WAIT_FOR(seen.x != NULL);
    h = seen.x->request;
    body_source.read = read_some;
    source_at = 0;
    stuck_at = stuck;
    h->generator.proceed = send_rest;
    h->reply.length = length;
    bw_exchange_respond(h->x, &h->reply, &h->generator);
    h->x->ops->send_from(h->x, &body_source, length);
}

TEST(a_body_from_a_source_comes_whole)
{
    struct h2_stream *s;

    open_client();
    s = get("/late");
    answer_from_source(300000, 1000000);
    WAIT_FOR(s->closed);
    assert_true(s->ended);
    assert_int_equal(s->body_n, 300000);
    assert_int_equal(seen.proceeds, 0);
    assert_int_equal(seen.complete, 1);
}

TEST(a_source_that_has_nothing_at_hand_is_asked_again)
{
    static const size_t stuck[] = {1, 16384, 200000, 299999};

    open_client();
    for (size_t i = 0; i < 4; i++) {
        struct h2_stream *s = get("/late");

        answer_from_source(300000, stuck[i]);
        WAIT_FOR(s->closed);
        assert_true(s->ended);
        assert_int_equal(s->body_n, 300000);
        assert_int_equal(seen.proceeds, i + 1);
    }
}

TEST(a_source_is_not_read_for_a_client_that_left)
{
    struct h2_stream *s;
    size_t read;

    client.takes = false;
    open_client();
    s = get("/late");
    answer_from_source(300000, 1000000);
    WAIT_FOR(s->body_n == 65535);
    reset(s);
    WAIT_FOR(seen.done == 1);
    read = source_at;
    client_turns(10);
    assert_int_equal(source_at, read);
    assert_in_range(read, 65535, 65535 + 16384);
}

/* ---- request bodies ---- */

TEST(a_body_with_a_length_reaches_its_sink)
{
    open_client();
    is_answered(upload_with("/sink", 5, "content-length", "5"), 200, "ok");
    assert_string_equal(seen.body, "aaaaa");
    assert_int_equal(seen.end_why, BW_REASON_NONE);
    assert_int_equal(seen.ends, 1);
    assert_int_equal(seen.complete, 1);
}

TEST(a_body_without_a_length_reaches_its_sink)
{
    open_client();
    is_answered(upload("/sink", 300), 200, "ok");
    assert_int_equal(seen.body_bytes, 300);
}

TEST(an_empty_body_ends_at_once)
{
    open_client();
    is_answered(upload("/sink", 0), 200, "ok");
    assert_int_equal(seen.ends, 1);
    is_answered(get("/sink"), 200, "ok");
    assert_int_equal(seen.ends, 2);
    assert_int_equal(seen.body_bytes, 0);
}

TEST(windows_are_opened_for_what_was_consumed)
{
    open_client();
    is_answered(upload("/sink", 1000000), 200, "ok");
    assert_int_equal(seen.body_bytes, 1000000);
    is_answered(upload("/sink", 1000000), 200, "ok");
    assert_int_equal(seen.body_bytes, 2000000);
}

TEST(a_slow_sink_gets_no_more_than_its_credit)
{
    struct h2_stream *s;

    open_client();
    s = upload("/slow-sink", 200000);
    WAIT_FOR(seen.body_bytes == 1000);
    client_turns(20);
    assert_int_equal(seen.body_bytes, 1000);
    assert_in_range(s->upload_left, 200000 - 65535, 199000); /* the window holds it back */
    while (seen.ends == 0) {
        uint64_t before = seen.body_bytes;

        seen.x->ops->body_consumed(seen.x, before % 1000 == 0 ? 1000 : (size_t)(before % 1000));
        WAIT_FOR(seen.body_bytes > before || seen.ends > 0);
        assert_true(seen.body_bytes <= before + 1000);
    }
    is_answered(s, 200, "ok");
    assert_int_equal(seen.body_bytes, 200000);
}

TEST(a_slow_sink_does_not_hold_up_other_bodies)
{
    struct h2_stream *slow, *quick;

    open_client();
    slow = upload("/slow-sink", 100000);
    WAIT_FOR(seen.body_bytes == 1000);
    quick = upload("/sink", 300000);
    is_answered(quick, 200, "ok");
    assert_false(slow->closed);
}

TEST(a_response_may_overtake_its_request)
{
    struct h2_stream *s;

    open_client();
    s = open_upload("/", 1000);
    is_answered(s, 200, "hello");
    assert_int_equal(s->code, NGHTTP2_NO_ERROR); /* RFC 9113, 8.1: and the rest is not wanted */
    still_serves();
    assert_int_equal(seen.complete, 2);
}

TEST(bytes_that_nobody_wanted_do_not_use_up_the_window)
{
    open_client();
    for (int i = 0; i < 30; i++)
        is_answered(open_upload("/", 60000), 200, "hello");
    is_answered(upload("/sink", 300000), 200, "ok");
}

TEST(a_body_that_is_cut_off_gives_its_window_back)
{
    open_client();
    for (int i = 0; i < 80; i++) {
        struct h2_stream *s = open_upload("/slow-sink", 16000);

        WAIT_FOR(s->upload_left == 0 && seen.started == i + 1);
        reset(s);
        WAIT_FOR(seen.done == i + 1);
    }
    is_answered(upload("/sink", 300000), 200, "ok");
}

TEST(whoever_expects_it_is_told_to_continue)
{
    struct h2_stream *s;

    open_client();
    s = upload_with("/sink", 0, "expect", "100-continue");
    s->upload_stays_open = true;
    WAIT_FOR(s->early_n == 1);
    assert_int_equal(s->early[0], 100);
    send_more(s, 5);
    end_upload(s);
    is_answered(s, 200, "ok");
    assert_int_equal(seen.body_bytes, 5);
}

TEST(a_declared_body_above_the_limit_is_answered_with_413_before_it_starts)
{
    struct h2_stream *s;

    open_client();
    s = upload_with("/sink", 10, "content-length", "1048577");
    s->upload_stays_open = true;
    is_answered(s, 413, "no");
    assert_int_equal(seen.started, 0);
    assert_int_equal(seen.refused_why, BW_REASON_BODY_TOO_LARGE);
    still_serves();
}

TEST(a_body_that_grows_above_the_limit_is_ended)
{
    stand->conf.limits.body = 100000;
    open_client();
    is_answered(open_upload("/sink", 100001), 400, "bad");
    assert_int_equal(seen.end_why, BW_REASON_BODY_TOO_LARGE);
    assert_int_equal(seen.ends, 1);
    still_serves();
}

TEST(a_body_of_another_length_than_was_declared_is_reset)
{
    static const char *const lengths[] = {"4", "6"};

    open_client();
    for (int i = 0; i < 2; i++) {
        struct h2_stream *s = upload_with("/sink", 5, "content-length", lengths[i]);

        is_reset(s, NGHTTP2_PROTOCOL_ERROR);
    }
    assert_int_equal(seen.complete, 0);
    assert_int_equal(seen.done, seen.started);
    still_serves();
}

static ssize_t gives_trailers(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                              uint32_t *flags, nghttp2_data_source *source, void *user)
{
    nghttp2_nv nv[] = {NV("authorization", "me"), NV("content-length", "7")};

    (void)room, (void)source, (void)user;
    memcpy(buf, "abc", 3);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(session, id, nv, 1);
    return 3;
}

TEST(trailers_of_a_request_end_its_body_and_mean_nothing)
{
    nghttp2_nv nv[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":authority", "a"),
                       NV(":path", "/slow-sink")};
    nghttp2_data_provider body = {{0}, gives_trailers};
    struct h2_stream *s = &client.stream[client.n++];

    open_client();
    s->id = nghttp2_submit_request(client.session, NULL, nv, 4, &body, NULL);
    is_answered(s, 200, "ok");
    assert_string_equal(seen.body, "abc");
}

/* ---- what is refused ---- */

static struct h2_stream *ask_with(const char *name, const char *value)
{
    nghttp2_nv nv[] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":authority", "a"),
                       NV(":path", "/"), NV(name, value)};

    return begin_request(nv, 5, false);
}

TEST(heads_that_are_refused_have_a_status_each)
{
    static char long_path[9000];
    const struct {
        nghttp2_nv method, path, field;
        int status;
        enum bw_reason why;
    } table[] = {
        {NV(":method", "GET"), NV(":path", "/a#b"), NV("x", "y"), 400, BW_REASON_BAD_HEAD},
        {NV(":method", "GET"), NV(":path", "/\xff"), NV("x", "y"), 400, BW_REASON_BAD_HEAD},
        {NV(":method", "GET"), NV(":path", "/"), NV("host", "b"), 400, BW_REASON_BAD_HEAD},
        {NV(":method", "GET"), NV(":path", "/"), NV("content_length", "3"), 400,
         BW_REASON_BAD_HEAD},
        {NV(":method", "GET"), NV(":path", "/"), NV("expect", "x"), 417, BW_REASON_BAD_HEAD},
        {NV(":method", "GET"), NV(":path", long_path), NV("x", "y"), 414, BW_REASON_BAD_TARGET},
        {NV(":method", "CONNECT"), NV(":protocol", "connect-udp"), NV(":path", "/"), 501,
         BW_REASON_METHOD_NOT_ALLOWED},
    };

    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[0] = '/';
    open_client();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        nghttp2_nv nv[] = {table[i].method, NV(":scheme", "http"), NV(":authority", "a"),
                           table[i].path, table[i].field};

        if (i == 5) /* filled at run time, when its length was taken */
            nv[3] = NV(":path", long_path);
        is_answered(begin_request(nv, 5, false), table[i].status, "no");
        assert_int_equal(seen.refused_why, table[i].why);
    }
    assert_int_equal(seen.started, 0);
    still_serves();
}

TEST(what_nghttp2_finds_malformed_is_reset_or_refused_but_never_started)
{
    static const char *const table[][2] = {
        {"connection", "close"},
        {"transfer-encoding", "chunked"},
        {"te", "gzip"},
        {"upgrade", "x"},
        {"keep-alive", "1"},
        {"proxy-connection", "x"},
        {"x(", "1"},
        {"x y", "1"},
        {"x", "a\x01z"},
        {":path", "/"},
        {":status", "200"},
        {"host", "a b"},
    };

    open_client();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct h2_stream *s = ask_with(table[i][0], table[i][1]);

        WAIT_FOR(s->closed);
        if (s->status != 400 && s->code != NGHTTP2_PROTOCOL_ERROR)
            fail_msg("%s: %s ends with status %d and code %u", table[i][0], table[i][1], s->status,
                     s->code);
    }
    assert_int_equal(seen.started, 0);
    still_serves();
}

TEST(too_many_fields_are_answered_with_431)
{
    nghttp2_nv nv[20] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":authority", "a"),
                         NV(":path", "/")};

    stand->conf.limits.headers = 3;
    for (size_t i = 4; i < 20; i++)
        nv[i] = NV("x", "y");
    open_client();
    is_answered(begin_request(nv, 7, false), 200, "hello");
    is_answered(begin_request(nv, 8, false), 431, "no");
    is_answered(begin_request(nv, 20, false), 431, "no");
    assert_int_equal(seen.started, 1);
    assert_false(client.gone);
}

TEST(too_large_a_head_is_answered_with_431)
{
    char value[301];

    memset(value, 'x', 300);
    value[300] = '\0';
    stand->conf.limits.head = 400;
    open_client();
    is_answered(ask_with("x", value), 431, "no");
    is_answered(ask_with("x", "short"), 200, "hello");
    assert_int_equal(seen.started, 1);
}

TEST(cookies_in_pieces_reach_the_steps_as_one)
{
    nghttp2_nv nv[] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":authority", "a"),
                       NV(":path", "/late"), NV("cookie", "a=1"),   NV("x", "y"),
                       NV("cookie", "b=2")};
    const struct bw_field *cookie;

    open_client();
    (void)begin_request(nv, 7, false);
    WAIT_FOR(seen.started == 1);
    cookie = bw_fields_find(&seen.x->head.fields, BW_F_COOKIE);
    assert_int_equal(seen.x->head.fields.n, 2);
    assert_true(bw_slice_eq(cookie->value, BW_S("a=1; b=2")));
}

TEST(more_streams_than_are_allowed_are_refused)
{
    struct h2_stream *s[3];

    stand->conf.limits.http2.streams = 2;
    open_client();
    for (int i = 0; i < 3; i++)
        s[i] = get("/late"); /* before our settings could be known */
    is_reset(s[2], NGHTTP2_REFUSED_STREAM);
    assert_int_equal(seen.started, 2);
    assert_false(client.gone || s[0]->closed || s[1]->closed);
}

TEST(no_more_requests_run_than_may_and_the_others_wait)
{
    struct bw_exchange *x;

    stand->conf.limits.http2.requests = 2;
    open_client();
    get("/late");
    get("/late");
    get("/");
    get("/");
    WAIT_FOR(seen.started == 2);
    client_turns(20);
    assert_int_equal(seen.started, 2);
    x = seen.x;
    answer(x, 200, "late");
    is_answered(&client.stream[3], 200, "hello");
    is_answered(&client.stream[2], 200, "hello");
    assert_int_equal(seen.started, 4);
    assert_false(client.stream[0].closed);
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, h2_stand_up, h2_stand_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(a_request_is_answered_and_the_connection_kept),
        RUN_HERE(two_streams_are_served_at_once),
        RUN_HERE(a_response_to_head_has_the_length_and_no_body),
        RUN_HERE(what_has_no_body_has_no_length_either),
        RUN_HERE(a_body_of_unknown_length_ends_with_its_stream),
        RUN_HERE(a_head_may_go_out_before_its_body),
        RUN_HERE(trailers_come_behind_the_body),
        RUN_HERE(early_hints_come_before_the_response_and_not_behind),
        RUN_HERE(a_large_body_comes_whole),
        RUN_HERE(a_large_body_comes_whole_through_a_large_window),
        RUN_HERE(a_large_body_does_not_hold_up_a_small_one),
        RUN_HERE(a_response_that_falls_short_is_reset),
        RUN_HERE(a_response_that_gives_up_is_reset),
        RUN_HERE(a_response_is_never_longer_than_was_promised),
        RUN_HERE(a_head_above_64_KiB_comes_whole),
        RUN_HERE(a_head_that_is_too_large_for_a_frame_resets_its_stream),
        RUN_HERE(a_body_from_a_source_comes_whole),
        RUN_HERE(a_source_that_has_nothing_at_hand_is_asked_again),
        RUN_HERE(a_source_is_not_read_for_a_client_that_left),
        RUN_HERE(a_body_with_a_length_reaches_its_sink),
        RUN_HERE(a_body_without_a_length_reaches_its_sink),
        RUN_HERE(an_empty_body_ends_at_once),
        RUN_HERE(windows_are_opened_for_what_was_consumed),
        RUN_HERE(a_slow_sink_gets_no_more_than_its_credit),
        RUN_HERE(a_slow_sink_does_not_hold_up_other_bodies),
        RUN_HERE(a_response_may_overtake_its_request),
        RUN_HERE(bytes_that_nobody_wanted_do_not_use_up_the_window),
        RUN_HERE(a_body_that_is_cut_off_gives_its_window_back),
        RUN_HERE(whoever_expects_it_is_told_to_continue),
        RUN_HERE(a_declared_body_above_the_limit_is_answered_with_413_before_it_starts),
        RUN_HERE(a_body_that_grows_above_the_limit_is_ended),
        RUN_HERE(a_body_of_another_length_than_was_declared_is_reset),
        RUN_HERE(trailers_of_a_request_end_its_body_and_mean_nothing),
        RUN_HERE(heads_that_are_refused_have_a_status_each),
        RUN_HERE(what_nghttp2_finds_malformed_is_reset_or_refused_but_never_started),
        RUN_HERE(too_many_fields_are_answered_with_431),
        RUN_HERE(too_large_a_head_is_answered_with_431),
        RUN_HERE(cookies_in_pieces_reach_the_steps_as_one),
        RUN_HERE(more_streams_than_are_allowed_are_refused),
        RUN_HERE(no_more_requests_run_than_may_and_the_others_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
