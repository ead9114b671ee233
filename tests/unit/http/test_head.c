/*
 * test_head.c - the heads of messages: what is accepted, and all that must be refused.
 *
 * The refused rows are the cases in which at least one well-known server is lax (security.md 4).
 */
#include "breakwater/http/head.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIELDS_MAX = 100 };

static struct bw_field fields[FIELDS_MAX];
static char *head_bytes; /* of the last parse; exactly as long as the head, for the sanitizer */

static char *copy_of(struct bw_slice head)
{
    free(head_bytes);
    head_bytes = malloc(head.len > 0 ? head.len : 1);
    memcpy(head_bytes, head.base, head.len);
    return head_bytes;
}

static enum bw_head_verdict parse(struct bw_slice head, struct bw_request_head *out)
{
    return bw_head_parse_request(copy_of(head), head.len, fields, FIELDS_MAX, out);
}

static bool parse_response(struct bw_slice head, struct bw_response_head *out)
{
    return bw_head_parse_response(copy_of(head), head.len, fields, FIELDS_MAX, out);
}

static int free_bytes(void **state)
{
    (void)state;
    free(head_bytes);
    return 0;
}

#define ASSERT_SLICE(s, text) assert_true(bw_slice_eq((s), BW_S(text)))

TEST(a_request_is_read_into_its_parts)
{
    struct bw_request_head head;

    assert_int_equal(parse(BW_S("POST /a?b HTTP/1.1\r\n"
                                "HOST: Example.org:8080\r\n"
                                "X-One:\t one  two \t\r\n"
                                "accept:\r\n"
                                "Content-Length: 12\r\n"
                                "X-One: \xC3\xA4\r\n"
                                "\r\n"),
                           &head),
                     BW_HEAD_OK);
    ASSERT_SLICE(head.method, "POST");
    ASSERT_SLICE(head.target, "/a?b");
    ASSERT_SLICE(head.authority, "Example.org:8080");
    assert_int_equal(head.framing, BW_FRAMING_LENGTH);
    assert_int_equal(head.content_length, 12);
    assert_int_equal(head.minor, 1);
    assert_true(head.keep_alive);
    assert_false(head.expect_continue || head.upgrade);
    assert_int_equal(head.fields.n, 3);
    ASSERT_SLICE(head.fields.v[0].name, "x-one");
    ASSERT_SLICE(head.fields.v[0].value, "one  two");
    assert_int_equal(head.fields.v[0].id, BW_F_OTHER);
    assert_int_equal(head.fields.v[1].id, BW_F_ACCEPT);
    assert_int_equal(head.fields.v[1].value.len, 0);
    ASSERT_SLICE(head.fields.v[2].value, "\xC3\xA4");
}

TEST(what_requests_say_of_body_and_connection_is_understood)
{
    static const struct {
        struct bw_slice head;
        enum bw_framing framing;
        uint64_t length;
        bool keep_alive, expects, upgrades;
    } rows[] = {
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), BW_FRAMING_NONE, 0, true, false, false},
        {BW_S("GET / HTTP/1.0\r\n\r\n"), BW_FRAMING_NONE, 0, false, false, false},
        {BW_S("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), BW_FRAMING_NONE, 0, true, false,
         false},
        {BW_S("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), BW_FRAMING_NONE, 0, false,
         false, false},
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\nConnection: ,x, Close ,\r\n\r\n"), BW_FRAMING_NONE, 0,
         false, false, false},
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n"),
         BW_FRAMING_NONE, 0, false, false, false},
        {BW_S("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), BW_FRAMING_LENGTH, 0, true,
         false, false},
        {BW_S("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n"),
         BW_FRAMING_LENGTH, UINT64_C(999999999999999999), true, false, false},
        {BW_S("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"),
         BW_FRAMING_CHUNKED, 0, true, false, false},
        {BW_S("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n"),
         BW_FRAMING_LENGTH, 3, true, true, false},
        {BW_S("PUT / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"),
         BW_FRAMING_LENGTH, 3, false, false, false},
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
         BW_FRAMING_NONE, 0, true, false, true},
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n"), BW_FRAMING_NONE, 0, true,
         false, false},
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"), BW_FRAMING_NONE, 0, true,
         false, false},
        {BW_S("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), BW_FRAMING_NONE, 0,
         false, false, false},
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, HTTP2-Settings, Keep-Alive\r\n\r\n"),
         BW_FRAMING_NONE, 0, true, false, false},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        struct bw_request_head head;
        assert_int_equal(parse(rows[i].head, &head), BW_HEAD_OK);
        assert_int_equal(head.framing, rows[i].framing);
        assert_true(head.content_length == rows[i].length);
        assert_int_equal(head.keep_alive, rows[i].keep_alive);
        assert_int_equal(head.expect_continue, rows[i].expects);
        assert_int_equal(head.upgrade, rows[i].upgrades);
    }
}

/* A request line or fields, put into a request that is good but for them. */
static enum bw_head_verdict parse_line(const char *line)
{
    char head[600];
    struct bw_request_head out;
    int n = snprintf(head, sizeof(head), "%s\r\nHost: a\r\n\r\n", line);

    return parse(bw_slice(head, (size_t)n), &out);
}

static enum bw_head_verdict parse_fields(struct bw_slice lines)
{
    char head[600] = "POST / HTTP/1.1\r\n";
    struct bw_request_head out;
    size_t n = strlen(head);

    memcpy(head + n, lines.base, lines.len);
    memcpy(head + n + lines.len, "\r\n", 2);
    return parse(bw_slice(head, n + lines.len + 2), &out);
}

TEST(a_request_line_has_one_form)
{
    static const struct {
        const char *line;
        int status;
    } rows[] = {
        {"GET / HTTP/1.1", 200},
        {"get / HTTP/1.1", 200}, /* another token; which are allowed is decided above */
        {"M-SEARCH / HTTP/1.1", 200},
        {"ABCDEFGHIJKLMNOPQRSTUVWX / HTTP/1.1", 200},
        {"OPTIONS * HTTP/1.1", 200},
        {"ABCDEFGHIJKLMNOPQRSTUVWXY / HTTP/1.1", 400},
        {"G(T / HTTP/1.1", 400},
        {" GET / HTTP/1.1", 400},
        {"\r\nGET / HTTP/1.1", 400},
        {"GET  / HTTP/1.1", 400},
        {"GET\t/ HTTP/1.1", 400},
        {"GET / \tHTTP/1.1", 400},
        {"GET /  HTTP/1.1", 400},
        {"GET / HTTP/1.1 ", 400},
        {"GET /", 400}, /* HTTP/0.9 */
        {"GET", 400},
        {"", 400},
        {"GET / http/1.1", 400},
        {"GET / HTTP/1", 400},
        {"GET / HTTP/1.1x", 400},
        {"GET / HTTP/11.1", 400},
        {"GET / HTTP/x.1", 400},
        {"GET / HTTP/1.x", 400},
        {"GET / HTTP/1.2", 505},
        {"GET / HTTP/1.9", 505},
        {"GET / HTTP/2.0", 505},
        {"GET / HTTP/0.9", 505},
        {"GET * HTTP/1.1", 400},
        {"GET a HTTP/1.1", 400},
        {"GET ?a HTTP/1.1", 400},
        {"GET /a b HTTP/1.1", 400},
        {"GET /a\\b HTTP/1.1", 400},
        {"GET /a#b HTTP/1.1", 400},
        {"GET /<\"> HTTP/1.1", 400},
        {"GET /\xFF HTTP/1.1", 400},
        {"GET /\x7F HTTP/1.1", 400},
        {"GET /\x01 HTTP/1.1", 400},
        {"CONNECT a:443 HTTP/1.1", 501},
        {"CONNECT / HTTP/1.1", 501},
        {"GET a:443 HTTP/1.1", 400},
        {"GET http://a/b HTTP/1.1", 200},
        {"GET HTTPS://A/b HTTP/1.1", 200},
        {"GET http://a HTTP/1.1", 200},
        {"GET http://b/ HTTP/1.1", 400}, /* not what Host says */
        {"GET http://a:80/ HTTP/1.1", 400},
        {"GET http://u@a/ HTTP/1.1", 400},
        {"GET http://a@a/ HTTP/1.1", 400},
        {"GET http:///b HTTP/1.1", 400},
        {"GET http:// HTTP/1.1", 400},
        {"GET http:/a HTTP/1.1", 400},
        {"GET http://a?q HTTP/1.1", 400},
        {"GET ftp://a/ HTTP/1.1", 400},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i)
        assert_int_equal(bw_head_verdict_status(parse_line(rows[i].line)), rows[i].status);
}

TEST(fields_that_parsers_disagree_about_are_refused)
{
    static const struct {
        struct bw_slice lines;
        int status;
    } rows[] = {
        {BW_S("Host: a\r\n"), 200},
        {BW_S("Host: a\r\nX_Y: kept\r\n"), 200},
        {BW_S("Host: a\r\nX: \xFF\x80\r\n"), 200},
        /* how long is the body? */
        {BW_S("Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400},
        {BW_S("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: 3\r\ncontent-length: 3\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: 3, 3\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: 3,\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: 18446744073709551615\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: 18446744073709551617\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: 1000000000000000000\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: +3\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: -3\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: 0x3\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length: 3 3\r\n"), 400},
        {BW_S("Host: a\r\nContent-Length:\r\n"), 400},
        {BW_S("Host: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"), 501},
        {BW_S("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400},
        {BW_S("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
        {BW_S("Host: a\r\nTransfer-Encoding: chunked,\r\n"), 501},
        {BW_S("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"), 501},
        {BW_S("Host: a\r\nTransfer-Encoding: chunked, gzip\r\n"), 501},
        {BW_S("Host: a\r\nTransfer-Encoding: xchunked\r\n"), 501},
        {BW_S("Host: a\r\nTransfer-Encoding: \"chunked\"\r\n"), 501},
        {BW_S("Host: a\r\nTransfer-Encoding: \x0B"
              "chunked\r\n"),
         400},
        {BW_S("Host: a\r\nTransfer-Encoding:\r\n chunked\r\n"), 400},
        {BW_S("Host: a\r\nTransfer-Encoding : chunked\r\n"), 400},
        {BW_S("Host: a\r\nTransfer_Encoding: chunked\r\n"), 400},
        {BW_S("Host: a\r\nContent_Length: 3\r\n"), 400},
        /* where does a line end, where a name? */
        {BW_S("Host: a\nX: y\r\n"), 400},
        {BW_S("Host: a\r\nX: y\n"), 400},
        {BW_S("Host: a\r\nX: y\rZ: w\r\n"), 400},
        {BW_S("Host: a\r\nX: y\r\r\n"), 400},
        {BW_S("Host: a\r\n folded\r\n"), 400},
        {BW_S("Host: a\r\n\tfolded\r\n"), 400},
        {BW_S(" Host: a\r\n"), 400},
        {BW_S("Host : a\r\n"), 400},
        {BW_S("Host: a\r\nno colon\r\n"), 400},
        {BW_S("Host: a\r\n: no name\r\n"), 400},
        {BW_S("Host: a\r\nX(Y): z\r\n"), 400},
        {BW_S("Host: a\r\nX\xC3\xA4: z\r\n"), 400},
        {BW_S("Host: a\r\nX\0: z\r\n"), 400},
        {BW_S("Host: a\r\nX: a\0b\r\n"), 400},
        {BW_S("Host: a\r\nX: a\x01"
              "b\r\n"),
         400},
        {BW_S("Host: a\r\nX: a\x7F\r\n"), 400},
        {BW_S("Host: a\r\n\r\nX: y\r\n"), 400}, /* two empty lines */
        /* whom is it for? */
        {BW_S(""), 400},
        {BW_S("Host: a\r\nHost: a\r\n"), 400},
        {BW_S("Host: a\r\nHost: b\r\n"), 400},
        {BW_S("Host:\r\n"), 400},
        {BW_S("Host: a, b\r\n"), 400},
        {BW_S("Host: a b\r\n"), 400},
        {BW_S("Host: a/b\r\n"), 400},
        {BW_S("Host: u@a\r\n"), 400},
        {BW_S("Host: a:99999\r\n"), 400},
        {BW_S("Host: a:x\r\n"), 400},
        {BW_S("Host: \xFF\r\n"), 400},
        {BW_S("Host: <b>\r\n"), 400},
        /* what may be dropped on the way? */
        {BW_S("Host: a\r\nConnection: Host\r\n"), 400},
        {BW_S("Host: a\r\nConnection: close, Content-Length\r\n"), 400},
        {BW_S("Host: a\r\nConnection: transfer-encoding\r\n"), 400},
        {BW_S("Host: a\r\nConnection: authorization\r\n"), 400},
        {BW_S("Host: a\r\nConnection: cookie\r\n"), 400},
        {BW_S("Host: a\r\nConnection: Cache-Control\r\n"), 400},
        {BW_S("Host: a\r\nConnection: x-forwarded-for\r\n"), 400},
        {BW_S("Host: a\r\nConnection: close;\r\n"), 400},
        {BW_S("Host: a\r\nConnection: \"close\"\r\n"), 400},
        {BW_S("Host: a\r\nConnection: close keep-alive\r\n"), 400},
        {BW_S("Host: a\r\nConnection: X-Auth\r\nX-Auth: 1\r\n"), 200},
        {BW_S("Host: a\r\nConnection: a-long-option-that-nobody-knows-nor-ever-will\r\n"), 200},
        {BW_S("Host: a\r\nExpect: foo\r\n"), 417},
        {BW_S("Host: a\r\nExpect:\r\n"), 417},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i)
        assert_int_equal(bw_head_verdict_status(parse_fields(rows[i].lines)), rows[i].status);
}

TEST(a_transfer_coding_has_no_place_in_http_1_0)
{
    struct bw_request_head head;

    assert_int_equal(
        parse(BW_S("PUT / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), &head),
        BW_HEAD_BAD_REQUEST);
}

TEST(the_absolute_form_is_brought_down_to_a_path)
{
    static const struct {
        struct bw_slice head;
        struct bw_slice target, authority;
    } rows[] = {
        {BW_S("GET http://A:8/b?c HTTP/1.1\r\nHost: a:8\r\n\r\n"), BW_S("/b?c"), BW_S("A:8")},
        {BW_S("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"), BW_S("/"), BW_S("a")},
        {BW_S("GET https://[::1]//x HTTP/1.1\r\nHost: [::1]\r\n\r\n"), BW_S("//x"), BW_S("[::1]")},
        {BW_S("GET http://a/ HTTP/1.0\r\n\r\n"), BW_S("/"), BW_S("a")},
        {BW_S("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"), BW_S("*"), BW_S("a")},
        {BW_S("OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), BW_S("/"), BW_S("a")},
        {BW_S("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), BW_S("*"), BW_S("a")},
        {BW_S("GET / HTTP/1.0\r\n\r\n"), BW_S("/"), BW_S("")},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        struct bw_request_head head;
        assert_int_equal(parse(rows[i].head, &head), BW_HEAD_OK);
        assert_true(bw_slice_eq(head.target, rows[i].target));
        assert_true(bw_slice_eq(head.authority, rows[i].authority));
    }
}

/* A request of fields "X: y", with a target and a name of that length. */
static enum bw_head_verdict parse_sized(size_t target, size_t name, size_t count)
{
    static char head[20000];
    struct bw_request_head out;
    int n = snprintf(head, sizeof(head), "GET /%0*d HTTP/1.1\r\nHost: a\r\nX%0*d: y\r\n",
                     (int)target - 1, 0, (int)name - 1, 0);

    for (size_t i = 1; i < count; ++i)
        n += snprintf(head + n, sizeof(head) - (size_t)n, "X: y\r\n");
    n += snprintf(head + n, sizeof(head) - (size_t)n, "\r\n");
    return parse(bw_slice(head, (size_t)n), &out);
}

TEST(limits_are_met_exactly)
{
    assert_int_equal(parse_sized(BW_HEAD_TARGET_MAX, 2, 1), BW_HEAD_OK);
    assert_int_equal(parse_sized(BW_HEAD_TARGET_MAX + 1, 2, 1), BW_HEAD_TARGET_TOO_LONG);
    assert_int_equal(parse_sized(2, BW_HEAD_NAME_MAX, 1), BW_HEAD_OK);
    assert_int_equal(parse_sized(2, BW_HEAD_NAME_MAX + 1, 1), BW_HEAD_BAD_REQUEST);
    assert_int_equal(parse_sized(2, 2, FIELDS_MAX), BW_HEAD_OK);
    assert_int_equal(parse_sized(2, 2, FIELDS_MAX + 1), BW_HEAD_TOO_MANY_FIELDS);
}

TEST(every_head_that_is_cut_short_is_refused)
{
    struct bw_slice request = BW_S("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
    struct bw_slice response = BW_S("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    struct bw_request_head rq;
    struct bw_response_head rs;

    for (size_t len = 0; len < request.len; ++len)
        assert_int_equal(parse(bw_slice(request.base, len), &rq), BW_HEAD_BAD_REQUEST);
    for (size_t len = 0; len < response.len; ++len)
        assert_false(parse_response(bw_slice(response.base, len), &rs));
    assert_int_equal(parse(BW_S("\r\n\r\n"), &rq), BW_HEAD_BAD_REQUEST);
    assert_false(parse_response(BW_S("\r\n\r\n"), &rs));
}

TEST(a_refused_request_still_shows_what_had_been_read)
{
    struct bw_request_head head;

    parse(BW_S("GET /a HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"), &head);
    ASSERT_SLICE(head.method, "GET");
    ASSERT_SLICE(head.target, "/a");
    ASSERT_SLICE(head.authority, "a");
    parse(BW_S("(\r\n\r\n"), &head);
    assert_int_equal(head.method.len + head.target.len + head.authority.len, 0);
}

TEST(a_response_is_read_into_its_parts)
{
    struct bw_response_head head;

    assert_true(parse_response(BW_S("HTTP/1.1 404 Not  Found \xE4\r\n"
                                    "Content-Length: 7\r\n"
                                    "Set-Cookie: a=1\r\n"
                                    "SET-COOKIE: b=2\r\n"
                                    "\r\n"),
                               &head));
    assert_int_equal(head.status, 404);
    ASSERT_SLICE(head.reason, "Not  Found \xE4");
    assert_int_equal(head.content_length, 7);
    assert_int_equal(head.framing, BW_FRAMING_LENGTH);
    assert_int_equal(head.minor, 1);
    assert_true(head.keep_alive);
    assert_int_equal(head.fields.n, 2);
    assert_int_equal(head.fields.v[1].id, BW_F_SET_COOKIE);
}

TEST(the_end_of_a_response_body_is_found_as_the_rfc_says)
{
    static const struct {
        struct bw_slice head;
        enum bw_framing get, head_framing;
        bool keep_alive;
    } rows[] = {
        {BW_S("HTTP/1.1 200 OK\r\n\r\n"), BW_FRAMING_CLOSE, BW_FRAMING_NONE, true},
        {BW_S("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), BW_FRAMING_LENGTH, BW_FRAMING_NONE,
         true},
        {BW_S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), BW_FRAMING_CHUNKED,
         BW_FRAMING_NONE, true},
        {BW_S("HTTP/1.1 204 No Content\r\n\r\n"), BW_FRAMING_NONE, BW_FRAMING_NONE, true},
        {BW_S("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), BW_FRAMING_NONE,
         BW_FRAMING_NONE, true},
        {BW_S("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), BW_FRAMING_NONE, BW_FRAMING_NONE,
         true},
        {BW_S("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
         BW_FRAMING_NONE, BW_FRAMING_NONE, true},
        {BW_S("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n"), BW_FRAMING_LENGTH, BW_FRAMING_NONE,
         false},
        {BW_S("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n"),
         BW_FRAMING_LENGTH, BW_FRAMING_NONE, true},
        {BW_S("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"),
         BW_FRAMING_LENGTH, BW_FRAMING_NONE, false},
        {BW_S("HTTP/1.1 200 OK\r\nConnection: Transfer-Encoding\r\n"
              "Transfer-Encoding: chunked\r\n\r\n"),
         BW_FRAMING_CHUNKED, BW_FRAMING_NONE, true},
        {BW_S("HTTP/1.1 200\r\n\r\n"), BW_FRAMING_CLOSE, BW_FRAMING_NONE, true},
        {BW_S("HTTP/1.1 200 \r\n\r\n"), BW_FRAMING_CLOSE, BW_FRAMING_NONE, true},
        {BW_S("HTTP/1.1 999 \r\n\r\n"), BW_FRAMING_CLOSE, BW_FRAMING_NONE, true},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        struct bw_response_head head;
        assert_true(parse_response(rows[i].head, &head));
        assert_int_equal(bw_head_response_framing(&head, BW_S("GET")), rows[i].get);
        assert_int_equal(bw_head_response_framing(&head, BW_S("HEAD")), rows[i].head_framing);
        assert_int_equal(head.keep_alive, rows[i].keep_alive);
    }
}

TEST(responses_that_could_be_read_in_two_ways_are_refused)
{
    static const struct bw_slice rows[] = {
        BW_S("HTTP/1.1 099 x\r\n\r\n"),
        BW_S("HTTP/1.1 20 x\r\n\r\n"),
        BW_S("HTTP/1.1 2000 x\r\n\r\n"),
        BW_S("HTTP/1.1 20x x\r\n\r\n"),
        BW_S("HTTP/1.1  200 x\r\n\r\n"),
        BW_S("HTTP/1.1 200\tx\r\n\r\n"),
        BW_S("HTTP/1.1 200x\r\n\r\n"),
        BW_S("HTTP/1.2 200 x\r\n\r\n"),
        BW_S("HTTP/2.0 200 x\r\n\r\n"),
        BW_S("http/1.1 200 x\r\n\r\n"),
        BW_S("ICY 200 x\r\n\r\n"),
        BW_S(" HTTP/1.1 200 x\r\n\r\n"),
        BW_S("HTTP/1.1 200 a\rb\r\n\r\n"),
        BW_S("HTTP/1.1 200 a\0b\r\n\r\n"),
        BW_S("HTTP/1.1 200 a\nX: y\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        BW_S("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nTransfer_Encoding: chunked\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nX : y\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nX: y\n\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\nX: y\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nX: a\x01\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
        BW_S("HTTP/1.1 200 OK\r\nConnection: Cache-Control\r\n\r\n"),
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        struct bw_response_head head;
        assert_false(parse_response(rows[i], &head));
    }
}

TEST(the_end_of_a_head_is_found_whatever_the_pieces)
{
    static const struct {
        struct bw_slice bytes;
        size_t end;
    } rows[] = {
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\n"), 27},
        {BW_S("\r\n\r\n"), 4},
        {BW_S("GET / HTTP/1.1\nHost: a\n\nbody"), 24}, /* found, to be refused */
        {BW_S("GET / HTTP/1.1\nHost: a\n\r\n"), 25},
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\n\n"), 26},
        {BW_S("GET / HTTP/1.1\r\nHost: a\r\n\r"), 0},
        {BW_S("a\r\r\n\rb\r\n"), 0},
        {BW_S(""), 0},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        for (size_t step = 1; step <= rows[i].bytes.len + 1; ++step) {
            size_t scanned = 0, end = 0, len = 0;
            while (end == 0 && len < rows[i].bytes.len) {
                len = len + step < rows[i].bytes.len ? len + step : rows[i].bytes.len;
                end = bw_head_find_end(rows[i].bytes.base, len, &scanned);
            }
            assert_int_equal(end, rows[i].end);
        }
    }
}

TEST(an_authority_is_a_name_or_an_address_and_perhaps_a_port)
{
    static const struct {
        struct bw_slice authority;
        bool valid;
    } rows[] = {
        {BW_S("a"), true},
        {BW_S("Example.org."), true},
        {BW_S("a_b-c.example:1"), true},
        {BW_S("192.0.2.1:65535"), true},
        {BW_S("[::1]"), true},
        {BW_S("[2001:DB8::192.0.2.1]:8443"), true},
        {BW_S(""), false},
        {BW_S("."), false},
        {BW_S(".a"), false},
        {BW_S("a..b"), false},
        {BW_S(":80"), false},
        {BW_S("a:"), false},
        {BW_S("a:0"), false},
        {BW_S("a:080"), false},
        {BW_S("a:65536"), false},
        {BW_S("a:100000"), false},
        {BW_S("a:8x"), false},
        {BW_S("a:80:80"), false},
        {BW_S("a b"), false},
        {BW_S("a\0b"), false},
        {BW_S("a%20b"), false},
        {BW_S("u:p@a"), false},
        {BW_S("[::1"), false},
        {BW_S("[]"), false},
        {BW_S("[::1]x"), false},
        {BW_S("[::1]:"), false},
        {BW_S("[::1]:x"), false},
        {BW_S("[fe80::1%25eth0]"), false},
        {BW_S("[v1.a]"), false},
        {BW_S("[::1\0]"), false},
        {BW_S("[1:2:3:4:5:6:7:8:9]"), false},
        {BW_S("::1"), false},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i)
        assert_int_equal(bw_head_authority_valid(rows[i].authority), rows[i].valid);
}

TEST(every_byte_is_where_it_may_be_and_nowhere_else)
{
    for (int c = 0; c < 256; ++c) {
        char text[2] = {'/', (char)c};
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_token = alnum || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        bool is_value = c == '\t' || (c >= 0x20 && c != 0x7F);
        bool is_target = c > 0x20 && c < 0x7F && strchr("\"#<>\\^`{|}", c) == NULL;

        assert_int_equal(bw_head_token_valid(bw_slice(text + 1, 1)), is_token);
        assert_int_equal(bw_head_method_valid(bw_slice(text + 1, 1)), is_token);
        assert_int_equal(bw_head_value_valid(bw_slice(text + 1, 1)), is_value);
        assert_int_equal(bw_head_target_valid(bw_slice(text, 2)), is_target);
    }
    assert_false(bw_head_token_valid(BW_S("")));
    assert_true(bw_head_value_valid(BW_S("")));
    assert_false(bw_head_target_valid(BW_S("")));
    assert_false(bw_head_method_valid(BW_S("ABCDEFGHIJKLMNOPQRSTUVWXY")));
}

TEST(names_are_lowered_and_nothing_else_is_touched)
{
    struct bw_request_head head;

    assert_int_equal(parse(BW_S("GET /ABC HTTP/1.1\r\nHOST: ABC\r\n"
                                "AZ!#$%&'*+-.^_`|~09az: ABC\r\nConnection: ABC\r\n\r\n"),
                           &head),
                     BW_HEAD_OK);
    ASSERT_SLICE(head.target, "/ABC");
    ASSERT_SLICE(head.authority, "ABC");
    ASSERT_SLICE(head.fields.v[0].name, "az!#$%&'*+-.^_`|~09az");
    ASSERT_SLICE(head.fields.v[0].value, "ABC");
    ASSERT_SLICE(head.fields.v[1].value, "ABC");
}

TEST(each_verdict_has_a_status_and_a_reason)
{
    static const int statuses[] = {200, 400, 414, 417, 431, 501, 505};

    for (size_t v = 0; v < BW_ARRAY_LEN(statuses); ++v) {
        assert_int_equal(bw_head_verdict_status((enum bw_head_verdict)v), statuses[v]);
        assert_true(strlen(bw_head_verdict_reason((enum bw_head_verdict)v)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_request_is_read_into_its_parts),
        RUN(what_requests_say_of_body_and_connection_is_understood),
        RUN(a_request_line_has_one_form),
        RUN(fields_that_parsers_disagree_about_are_refused),
        RUN(a_transfer_coding_has_no_place_in_http_1_0),
        RUN(the_absolute_form_is_brought_down_to_a_path),
        RUN(limits_are_met_exactly),
        RUN(every_head_that_is_cut_short_is_refused),
        RUN(a_refused_request_still_shows_what_had_been_read),
        RUN(a_response_is_read_into_its_parts),
        RUN(the_end_of_a_response_body_is_found_as_the_rfc_says),
        RUN(responses_that_could_be_read_in_two_ways_are_refused),
        RUN(the_end_of_a_head_is_found_whatever_the_pieces),
        RUN(an_authority_is_a_name_or_an_address_and_perhaps_a_port),
        RUN(every_byte_is_where_it_may_be_and_nowhere_else),
        RUN(names_are_lowered_and_nothing_else_is_touched),
        RUN(each_verdict_has_a_status_and_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, free_bytes);
}
