/*
 * test_http2_head.c - the heads of HTTP/2 requests: what is accepted, and all that must be refused.
 *
 * The refused rows are the HTTP/2 cases in which at least one well-known server is lax
 * (security.md 4).
 */
#include "breakwater/http/http2_head.h"

#include "fields.h"

#include <stdlib.h>

/* One head, noted line by line: ":method: GET\n:path: /..."; true: nothing of it was malformed. */
static struct test_fields kept;
static struct bw_http2_head head;

/* The name of a line; a colon may be its first byte. */
static struct bw_slice cut_name(struct bw_slice line, struct bw_slice *value)
{
    size_t at = 1;

    while (at < line.len && line.base[at] != ':')
        at++;
    BW_ASSERT(at + 1 < line.len && line.base[at + 1] == ' ');
    *value = bw_slice(line.base + at + 2, line.len - at - 2);
    return bw_slice(line.base, at);
}

static void note(struct bw_slice name, struct bw_slice value)
{
    enum bw_field_id id = bw_field_lookup(name);

    if (!bw_http2_head_note(&head, name, value, id))
        return;
    BW_ASSERT(kept.list.n < TEST_FIELDS_MAX);
    kept.store[kept.list.n++] = (struct bw_field){name, value, id};
}

static void note_lines(const char *text)
{
    struct bw_slice rest = bw_slice_str(text), value;

    head = (struct bw_http2_head){.malformed = false};
    kept.list = (struct bw_fields){kept.store, 0};
    while (rest.len > 0) {
        struct bw_slice name = cut_name(bw_slice_cut(rest, '\n', &rest), &value);

        note(name, value);
    }
}

static enum bw_head_verdict settle(const char *text, bool ends, struct bw_request_head *out)
{
    memset(out, 0, sizeof(*out));
    note_lines(text);
    return bw_http2_head_settle(&head, ends, out);
}

static enum bw_head_verdict verdict_of(const char *text)
{
    struct bw_request_head out;

    return settle(text, true, &out);
}

#define GET        ":method: GET\n:scheme: https\n:authority: a\n:path: /\n"
#define POST       ":method: POST\n:scheme: https\n:authority: a\n:path: /\n"
#define TO(path)   ":method: GET\n:scheme: https\n:authority: a\n:path: " path "\n"
#define HOST(name) ":method: GET\n:scheme: https\n:authority: " name "\n:path: /\n"
#define BY(method) ":method: " method "\n:scheme: https\n:authority: a\n:path: /\n"
#define WEBSOCKET                                                                                  \
    ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: a\n:path: /chat\n"

/* ---- what is taken ---- */

TEST(a_request_is_read_into_its_parts)
{
    struct bw_request_head out;

    assert_int_equal(settle(":method: POST\n:scheme: https\n:authority: Example.org:8080\n"
                            ":path: /a?b\naccept: */*\ncontent-length: 12\nx-one: \xC3\xA4\n",
                            false, &out),
                     BW_HEAD_OK);
    assert_text(out.method, "POST");
    assert_text(out.target, "/a?b");
    assert_text(out.authority, "Example.org:8080");
    assert_int_equal(out.framing, BW_FRAMING_LENGTH);
    assert_int_equal(out.content_length, 12);
    assert_int_equal(out.minor, 1);
    assert_true(out.keep_alive);
    assert_false(out.expect_continue || out.upgrade);
    assert_fields(&kept.list, "accept: */*\nx-one: \xC3\xA4\n");
}

TEST(host_and_length_and_pseudo_fields_are_not_among_the_fields)
{
    struct bw_request_head out;

    assert_int_equal(settle(GET "host: a\ncontent-length: 0\nvia: x\n", true, &out), BW_HEAD_OK);
    assert_fields(&kept.list, "via: x\n");
}

TEST(host_stands_in_for_a_missing_authority)
{
    struct bw_request_head out;

    assert_int_equal(settle(":method: GET\n:scheme: http\n:path: /\nhost: b.org\n", true, &out),
                     BW_HEAD_OK);
    assert_text(out.authority, "b.org");
}

TEST(host_and_authority_may_differ_in_case_alone)
{
    struct bw_request_head out;

    assert_int_equal(settle(HOST("B.org") "host: b.ORG\n", true, &out), BW_HEAD_OK);
    assert_text(out.authority, "B.org");
    assert_int_equal(verdict_of(HOST("b.org") "host: c.org\n"), BW_HEAD_BAD_REQUEST);
    assert_int_equal(verdict_of(HOST("b.org") "host: b.org:80\n"), BW_HEAD_BAD_REQUEST);
}

TEST(what_requests_say_of_their_body_is_understood)
{
    static const struct {
        const char *head;
        bool ends;
        enum bw_framing framing;
        uint64_t length;
        bool expects;
    } table[] = {
        {GET, true, BW_FRAMING_NONE, 0, false},
        {POST, false, BW_FRAMING_CHUNKED, 0, false},
        {POST "content-length: 5\n", false, BW_FRAMING_LENGTH, 5, false},
        {POST "content-length: 0\n", true, BW_FRAMING_LENGTH, 0, false},
        {POST "content-length: 0\n", false, BW_FRAMING_LENGTH, 0, false},
        {POST "content-length: 999999999999999999\n", false, BW_FRAMING_LENGTH, 999999999999999999,
         false},
        {POST "expect: 100-continue\ncontent-length: 5\n", false, BW_FRAMING_LENGTH, 5, true},
        {POST "expect: 100-Continue\n", false, BW_FRAMING_CHUNKED, 0, true},
        {POST "te: trailers\n", false, BW_FRAMING_CHUNKED, 0, false},
        {POST "te: Trailers\n", false, BW_FRAMING_CHUNKED, 0, false},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct bw_request_head out;

        assert_int_equal(settle(table[i].head, table[i].ends, &out), BW_HEAD_OK);
        assert_int_equal(out.framing, table[i].framing);
        assert_int_equal(out.content_length, table[i].length);
        assert_int_equal(out.expect_continue, table[i].expects);
    }
}

TEST(a_length_without_a_body_is_refused)
{
    struct bw_request_head out;

    assert_int_equal(settle(POST "content-length: 5\n", true, &out), BW_HEAD_BAD_REQUEST);
    assert_int_equal(settle(POST "content-length: 5\n", false, &out), BW_HEAD_OK);
}

TEST(the_asterisk_is_for_options_alone)
{
    static const char options[] = ":method: OPTIONS\n:scheme: https\n:authority: a\n:path: *\n";
    struct bw_request_head out;

    assert_int_equal(settle(options, true, &out), BW_HEAD_OK);
    assert_text(out.target, "*");
    assert_int_equal(verdict_of(TO("*")), BW_HEAD_BAD_REQUEST);
}

TEST(the_scheme_is_one_of_http)
{
    assert_int_equal(verdict_of(":method: GET\n:scheme: http\n:authority: a\n:path: /\n"),
                     BW_HEAD_OK);
    assert_int_equal(verdict_of(":method: GET\n:scheme: HTTPS\n:authority: a\n:path: /\n"),
                     BW_HEAD_OK);
    assert_int_equal(verdict_of(":method: GET\n:scheme: ftp\n:authority: a\n:path: /\n"),
                     BW_HEAD_BAD_REQUEST);
    assert_int_equal(verdict_of(":method: GET\n:scheme: https:\n:authority: a\n:path: /\n"),
                     BW_HEAD_BAD_REQUEST);
}

TEST(a_value_may_be_empty)
{
    assert_int_equal(verdict_of(GET "accept: \nx-none: \n"), BW_HEAD_OK);
    assert_fields(&kept.list, "accept: \nx-none: \n");
}

/* ---- what is refused ---- */

TEST(what_is_ambiguous_is_refused)
{
    static const char *const table[] = {
        /* pseudo-fields: missing, twice, late, unknown (RFC 9113, 8.3) */
        ":scheme: https\n:authority: a\n:path: /\n",
        ":method: GET\n:authority: a\n:path: /\n",
        ":method: GET\n:scheme: https\n:path: /\n",
        ":method: GET\n:scheme: https\n:authority: a\n",
        GET ":method: GET\n",
        GET ":path: /\n",
        GET ":scheme: https\n",
        GET ":authority: a\n",
        ":method: GET\n:scheme: https\n:authority: a\naccept: */*\n:path: /\n",
        ":method: GET\n:scheme: https\n:path: /\nhost: a\n:authority: a\n",
        GET ":status: 200\n",
        GET ":: x\n",
        GET ":Path: /\n",
        GET ":protocol: websocket\n",
        /* names and values (8.2.1) */
        GET "Accept: */*\n",
        GET "accepT: */*\n",
        GET "x y: 1\n",
        GET "x\t: 1\n",
        GET "x(y): 1\n",
        GET "x\x80: 1\n",
        GET "x\x7f: 1\n",
        GET "x\r: 1\n",
        GET "x:  1\n",
        GET "x: 1 \n",
        GET "x: \t1\n",
        GET "x: 1\t\n",
        GET "x: a\x01"
            "b\n",
        GET "x: a\rb\n",
        GET "x: a\x7f"
            "b\n",
        /* fields of a connection (8.2.2), and what could be taken for one */
        GET "connection: close\n",
        GET "connection: \n",
        GET "proxy-connection: keep-alive\n",
        GET "keep-alive: 5\n",
        GET "upgrade: websocket\n",
        GET "transfer-encoding: chunked\n",
        GET "transfer-encoding: \n",
        GET "te: gzip\n",
        GET "te: trailers, gzip\n",
        GET "te: \n",
        GET "transfer_encoding: chunked\n",
        GET "content_length: 3\n",
        /* lengths (8.1.1) */
        POST "content-length: 1\ncontent-length: 1\n",
        POST "content-length: 0\ncontent-length: 0\n",
        POST "content-length: +1\n",
        POST "content-length: -1\n",
        POST "content-length: 0x1\n",
        POST "content-length: 1, 1\n",
        POST "content-length: \n",
        POST "content-length: 1000000000000000000\n",
        POST "content-length: 18446744073709551617\n",
        /* methods */
        BY(""),
        BY("G(T"),
        BY("GET /x HTTP/1.1"),
        BY("GET "),
        BY("AVERYLONGMETHODTHATNOBODYW"),
        /* targets */
        TO(""),
        TO("a"),
        TO("*"),
        TO("http://a/"),
        TO("/c HTTP/1.1"),
        TO("/a b"),
        TO("/a\tb"),
        TO("/a\rb"),
        TO("/a#b"),
        TO("/\xff"),
        TO("/\x7f"),
        TO("/\x01"),
        TO("/a\\b"),
        TO("/<b>"),
        TO("/\""),
        /* authorities */
        HOST(""),
        HOST("a b"),
        HOST("a@b"),
        HOST("a/b"),
        HOST("a,b"),
        HOST("a:0"),
        HOST("a:99999"),
        HOST("a:x"),
        HOST("a..b"),
        HOST("\xff"),
        HOST("<b>"),
        GET "host: b\n",
        GET "host: a\nhost: a\n",
        GET "host: \n",
        ":method: GET\n:scheme: https\n:path: /\nhost: a@b\n",
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (verdict_of(table[i]) != BW_HEAD_BAD_REQUEST)
            fail_msg("row %zu is not refused: %s", i, table[i]);
}

TEST(bytes_that_end_lines_or_strings_are_refused_everywhere)
{
    static const struct bw_slice bad[] = {BW_S("a\nb"), BW_S("a\0b"), BW_S("a\r\nb: c")};
    struct bw_request_head out;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        note_lines(GET);
        note(BW_S("x"), bad[i]);
        assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_BAD_REQUEST);
        note_lines(GET);
        note(bad[i], BW_S("x"));
        assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_BAD_REQUEST);
        note_lines(":method: GET\n:scheme: https\n:authority: a\n");
        note(BW_S(":path"), bad[i]);
        assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_BAD_REQUEST);
        note_lines(":scheme: https\n:authority: a\n:path: /\n");
        note(BW_S(":method"), bad[i]);
        assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_BAD_REQUEST);
        note_lines(":method: GET\n:scheme: https\n:path: /\n");
        note(BW_S(":authority"), bad[i]);
        assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_BAD_REQUEST);
    }
}

TEST(a_field_without_a_name_is_refused)
{
    struct bw_request_head out;

    note_lines(GET);
    note(BW_S(""), BW_S("x"));
    assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_BAD_REQUEST);
}

TEST(a_name_is_not_longer_than_in_http1)
{
    static char name[BW_HEAD_NAME_MAX + 1];
    struct bw_request_head out;

    memset(name, 'x', sizeof(name));
    note_lines(GET);
    note(bw_slice(name, BW_HEAD_NAME_MAX), BW_S("x"));
    assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_OK);
    note_lines(GET);
    note(bw_slice(name, BW_HEAD_NAME_MAX + 1), BW_S("x"));
    assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_BAD_REQUEST);
}

TEST(a_target_that_is_too_long_is_refused_as_such)
{
    static char path[BW_HEAD_TARGET_MAX + 1];
    struct bw_request_head out;

    memset(path, 'x', sizeof(path));
    path[0] = '/';
    note_lines(":method: GET\n:scheme: https\n:authority: a\n");
    note(BW_S(":path"), bw_slice(path, BW_HEAD_TARGET_MAX));
    assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_OK);
    note_lines(":method: GET\n:scheme: https\n:authority: a\n");
    note(BW_S(":path"), bw_slice(path, BW_HEAD_TARGET_MAX + 1));
    assert_int_equal(bw_http2_head_settle(&head, true, &out), BW_HEAD_TARGET_TOO_LONG);
}

TEST(an_expectation_that_nobody_can_meet_is_refused_as_such)
{
    assert_int_equal(verdict_of(POST "expect: foo\n"), BW_HEAD_EXPECTATION_FAILED);
    assert_int_equal(verdict_of(POST "expect: 100-continue\nexpect: foo\n"),
                     BW_HEAD_EXPECTATION_FAILED);
    assert_int_equal(verdict_of(POST "expect: foo\nexpect: 100-continue\n"),
                     BW_HEAD_EXPECTATION_FAILED);
}

TEST(a_refused_head_still_says_what_it_asked_for)
{
    struct bw_request_head out;

    assert_int_equal(settle(TO("/a b"), true, &out), BW_HEAD_BAD_REQUEST);
    assert_text(out.method, "GET");
    assert_text(out.target, "/a b");
}

/* ---- CONNECT ---- */

TEST(an_extended_connect_for_a_websocket_is_an_upgrade)
{
    struct bw_request_head out;

    assert_int_equal(settle(WEBSOCKET "sec-websocket-version: 13\n", false, &out), BW_HEAD_OK);
    assert_text(out.method, "GET");
    assert_text(out.target, "/chat");
    assert_text(out.authority, "a");
    assert_true(out.upgrade);
    assert_int_equal(out.framing, BW_FRAMING_NONE);
    assert_fields(&kept.list, "sec-websocket-version: 13\n");
}

TEST(an_extended_connect_that_cannot_be_a_websocket_is_refused)
{
    struct bw_request_head out;

    assert_int_equal(settle(WEBSOCKET, true, &out), BW_HEAD_BAD_REQUEST);
    assert_int_equal(settle(WEBSOCKET "content-length: 3\n", false, &out), BW_HEAD_BAD_REQUEST);
    assert_int_equal(settle(WEBSOCKET "content-length: 0\n", false, &out), BW_HEAD_BAD_REQUEST);
    assert_int_equal(settle(WEBSOCKET "upgrade: websocket\n", false, &out), BW_HEAD_BAD_REQUEST);
    assert_int_equal(settle(":method: CONNECT\n:protocol: websocket\n:scheme: https\n"
                            ":authority: a\n:path: chat\n",
                            false, &out),
                     BW_HEAD_BAD_REQUEST);
    assert_int_equal(settle(":method: CONNECT\n:protocol: connect-udp\n:scheme: https\n"
                            ":authority: a\n:path: /\n",
                            false, &out),
                     BW_HEAD_NOT_IMPLEMENTED);
}

TEST(a_plain_connect_is_not_implemented)
{
    struct bw_request_head out;

    assert_int_equal(settle(":method: CONNECT\n:authority: a:443\n", false, &out),
                     BW_HEAD_NOT_IMPLEMENTED);
    assert_int_equal(settle(BY("CONNECT"), false, &out), BW_HEAD_NOT_IMPLEMENTED);
}

/* ---- cookies ---- */

/* Join the cookies of `text` in memory of just the size that was asked for. */
static char *joined(struct test_fields *list, const char *text)
{
    size_t size;
    char *memory;

    fields(list, text);
    size = bw_http2_cookies_size(&list->list);
    memory = malloc(size > 0 ? size : 1);
    if (size > 0)
        bw_http2_cookies_join(&list->list, memory);
    return memory;
}

TEST(cookies_become_one_field_where_the_first_one_stood)
{
    struct test_fields list;
    char *memory = joined(&list, "a: 1\ncookie: x=1\nb: 2\ncookie: y=2\ncookie: z\nc: 3\n");

    assert_fields(&list.list, "a: 1\ncookie: x=1; y=2; z\nb: 2\nc: 3\n");
    free(memory);
}

TEST(fewer_than_two_cookies_need_no_joining)
{
    struct test_fields list;

    assert_int_equal(bw_http2_cookies_size(fields(&list, "")), 0);
    assert_int_equal(bw_http2_cookies_size(fields(&list, "a: 1\ncookie: x\nb: 2\n")), 0);
    assert_int_not_equal(bw_http2_cookies_size(fields(&list, "cookie: x\ncookie: y\n")), 0);
}

TEST(empty_cookies_are_joined_like_others)
{
    struct test_fields list;
    char *memory = joined(&list, "cookie: \ncookie: \n");

    assert_int_equal(list.list.n, 1);
    assert_text(list.list.v[0].value, "; ");
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_request_is_read_into_its_parts),
        RUN(host_and_length_and_pseudo_fields_are_not_among_the_fields),
        RUN(host_stands_in_for_a_missing_authority),
        RUN(host_and_authority_may_differ_in_case_alone),
        RUN(what_requests_say_of_their_body_is_understood),
        RUN(a_length_without_a_body_is_refused),
        RUN(the_asterisk_is_for_options_alone),
        RUN(the_scheme_is_one_of_http),
        RUN(a_value_may_be_empty),
        RUN(what_is_ambiguous_is_refused),
        RUN(bytes_that_end_lines_or_strings_are_refused_everywhere),
        RUN(a_field_without_a_name_is_refused),
        RUN(a_name_is_not_longer_than_in_http1),
        RUN(a_target_that_is_too_long_is_refused_as_such),
        RUN(an_expectation_that_nobody_can_meet_is_refused_as_such),
        RUN(a_refused_head_still_says_what_it_asked_for),
        RUN(an_extended_connect_for_a_websocket_is_an_upgrade),
        RUN(an_extended_connect_that_cannot_be_a_websocket_is_refused),
        RUN(a_plain_connect_is_not_implemented),
        RUN(cookies_become_one_field_where_the_first_one_stood),
        RUN(fewer_than_two_cookies_need_no_joining),
        RUN(empty_cookies_are_joined_like_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
