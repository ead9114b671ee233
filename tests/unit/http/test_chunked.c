/*
 * test_chunked.c - the chunked coding, whole and cut at every byte.
 */
#include "breakwater/http/chunked.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

/* What came out of a message. */
struct result {
    enum bw_chunked_event end; /* MORE: the bytes ended before the message */
    char body[8192];
    char trailers[8192]; /* each line with '|' behind */
    size_t body_len;
    size_t left; /* bytes that were not consumed */
};

static void take(struct result *r, enum bw_chunked_event event, struct bw_slice data)
{
    if (event == BW_CHUNKED_DATA) {
        memcpy(r->body + r->body_len, data.base, data.len);
        r->body_len += data.len;
    } else if (event == BW_CHUNKED_TRAILER) {
        strncat(r->trailers, data.base, data.len);
        strcat(r->trailers, "|");
    }
}

/* Feeds all that is there until the machine wants more; the number of bytes consumed. */
static size_t feed(struct bw_chunked *d, struct bw_slice input, struct result *r)
{
    size_t at = 0;

    for (;;) {
        size_t used = 0;
        struct bw_slice data;
        r->end = bw_chunked_feed(d, input.base + at, input.len - at, &used, &data);
        assert_true(used <= input.len - at);
        at += used;
        take(r, r->end, data);
        if (r->end != BW_CHUNKED_DATA && r->end != BW_CHUNKED_TRAILER)
            return at;
    }
}

/* The message arrives `step` bytes at a time; unread bytes are given again, from fresh memory. */
static struct result decode(struct bw_slice input, size_t step)
{
    struct bw_chunked d = {0};
    struct result r = {0};
    size_t from = 0, to = 0;

    do {
        to = to + step < input.len ? to + step : input.len;
        char *piece = malloc(to - from + 1); /* so that a sanitizer sees a byte too many */
        memcpy(piece, input.base + from, to - from);
        from += feed(&d, bw_slice(piece, to - from), &r);
        free(piece);
    } while (r.end == BW_CHUNKED_MORE && to < input.len);
    r.left = input.len - from;
    return r;
}

TEST(a_message_is_decoded_whatever_the_pieces)
{
    static const struct {
        struct bw_slice message;
        const char *body;
        const char *trailers;
        size_t left;
    } rows[] = {
        {BW_S("0\r\n\r\n"), "", "", 0},
        {BW_S("5\r\nhello\r\n0\r\n\r\n"), "hello", "", 0},
        {BW_S("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), "hello world", "", 0},
        {BW_S("00A\r\n0123456789\r\n000\r\n\r\n"), "0123456789", "", 0},
        {BW_S("a\r\n0123456789\r\n0\r\n\r\n"), "0123456789", "", 0},
        {BW_S("000000000000001\r\nx\r\n0\r\n\r\n"), "x", "", 0}, /* 15 digits */
        {BW_S("2\r\n\r\n\r\n0\r\n\r\n"), "\r\n", "", 0},
        {BW_S("1;a=b;c=\"d e\"\r\nx\r\n0;z\r\n\r\n"), "x", "", 0},
        {BW_S("1;\r\nx\r\n0\r\n\r\n"), "x", "", 0},
        {BW_S("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n"), "x", "A: b|C:|", 0},
        {BW_S("0\r\n\r\nGET / HTTP/1.1\r\n"), "", "", 16}, /* the next request */
        {BW_S("0\r\nA: \xC3\xA4\r\n\r\n"), "", "A: \xC3\xA4|", 0},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        for (size_t step = 1; step <= rows[i].message.len; ++step) {
            struct result r = decode(rows[i].message, step);
            assert_int_equal(r.end, BW_CHUNKED_END);
            assert_string_equal(r.body, rows[i].body);
            assert_string_equal(r.trailers, rows[i].trailers);
            assert_int_equal(r.left, rows[i].left);
        }
    }
}

TEST(what_others_forgive_is_refused_whatever_the_pieces)
{
    static const struct bw_slice rows[] = {
        BW_S("\r\n"),
        BW_S(" 3\r\nabc\r\n0\r\n\r\n"),
        BW_S("3 \r\nabc\r\n0\r\n\r\n"),
        BW_S("3\t\r\nabc\r\n0\r\n\r\n"),
        BW_S("0x3\r\nabc\r\n0\r\n\r\n"),
        BW_S("+3\r\nabc\r\n0\r\n\r\n"),
        BW_S("-3\r\nabc\r\n0\r\n\r\n"),
        BW_S("g\r\n"),
        BW_S(";a\r\n\r\n"),
        BW_S("3\nabc\r\n0\r\n\r\n"), /* LF alone */
        BW_S("3\r\nabc\n0\r\n\r\n"),
        BW_S("0\n\n"),
        BW_S("0\r\n\n"),
        BW_S("3\rabc\r\n0\r\n\r\n"), /* CR alone */
        BW_S("3\r\r\nabc\r\n0\r\n\r\n"),
        BW_S("3;a\rb\r\nabc\r\n0\r\n\r\n"),
        BW_S("3;a\nb\r\nabc\r\n0\r\n\r\n"),
        BW_S("3;a\0b\r\nabc\r\n0\r\n\r\n"),
        BW_S("3\r\nabcd\r\n0\r\n\r\n"),             /* longer than it says */
        BW_S("3\r\nab\r\n0\r\n\r\n"),               /* shorter than it says */
        BW_S("0000000000000001\r\nx\r\n0\r\n\r\n"), /* 16 digits */
        BW_S("ffffffffffffffff\r\nx"),
        BW_S("0\r\nno colon\r\n\r\n"),
        BW_S("0\r\n: no name\r\n\r\n"),
        BW_S("0\r\nA : b\r\n\r\n"),
        BW_S("0\r\nA: b\r\n folded\r\n\r\n"),
        BW_S("0\r\nA: b\0\r\n\r\n"),
        BW_S("0\r\nA: b\rc\r\n\r\n"),
        BW_S("0\r\nA: b\n\r\n"),
        BW_S("0\r\n \r\n"),
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i)
        for (size_t step = 1; step <= rows[i].len; ++step)
            assert_int_equal(decode(rows[i], step).end, BW_CHUNKED_BAD);
}

TEST(a_message_that_is_not_whole_wants_more)
{
    struct bw_slice message = BW_S("5;x\r\nhello\r\n0\r\nA: b\r\n\r\n");

    for (size_t len = 0; len < message.len; ++len)
        assert_int_equal(decode(bw_slice(message.base, len), 3).end, BW_CHUNKED_MORE);
}

TEST(the_greatest_size_does_not_overflow)
{
    struct bw_chunked d = {0};
    struct bw_slice data;
    size_t used;

    assert_int_equal(bw_chunked_feed(&d, "fffffffffffffff\r\nx", 18, &used, &data),
                     BW_CHUNKED_DATA);
    assert_int_equal(used, 18);
    assert_int_equal(data.len, 1);
    assert_true(d.left == UINT64_C(0xFFFFFFFFFFFFFFF) - 1);
}

/* A message whose chunks carry `n` bytes of extension in all, in two chunks. */
static enum bw_chunked_event decode_extension(size_t n, size_t step)
{
    char message[512];
    int len = snprintf(message, sizeof(message), "1;%0*d\r\nx\r\n0;%0*d\r\n\r\n", (int)(n / 2), 0,
                       (int)(n - n / 2), 0);

    return decode(bw_slice(message, (size_t)len), step).end;
}

TEST(extensions_are_counted_over_the_whole_message)
{
    for (size_t step = 1; step < 300; step += 7) {
        assert_int_equal(decode_extension(BW_CHUNKED_EXT_MAX, step), BW_CHUNKED_END);
        assert_int_equal(decode_extension(BW_CHUNKED_EXT_MAX + 1, step), BW_CHUNKED_BAD);
    }
}

/* A message with trailers of `n` bytes, the last empty line included. */
static enum bw_chunked_event decode_trailers(size_t n, size_t step)
{
    static char message[BW_CHUNKED_TRAILER_MAX + 64];
    int len = snprintf(message, sizeof(message), "0\r\nA: b\r\nC:%0*d\r\n\r\n", (int)(n - 12), 0);

    return decode(bw_slice(message, (size_t)len), step).end;
}

TEST(trailers_are_limited_with_or_without_an_end)
{
    static char endless[BW_CHUNKED_TRAILER_MAX + 64];

    for (size_t step = 1; step < 5000; step = step * 3 + 1) {
        assert_int_equal(decode_trailers(BW_CHUNKED_TRAILER_MAX, step), BW_CHUNKED_END);
        assert_int_equal(decode_trailers(BW_CHUNKED_TRAILER_MAX + 1, step), BW_CHUNKED_BAD);
        memset(endless, 'a', sizeof(endless));
        memcpy(endless, "0\r\n", 3);
        assert_int_equal(decode(bw_slice(endless, sizeof(endless)), step).end, BW_CHUNKED_BAD);
    }
}

TEST(the_end_and_a_fault_are_final)
{
    struct bw_chunked good = {0}, bad = {0};
    struct bw_slice data;
    size_t used;

    assert_int_equal(bw_chunked_feed(&good, "0\r\n\r\nx", 6, &used, &data), BW_CHUNKED_END);
    assert_int_equal(used, 5);
    assert_int_equal(bw_chunked_feed(&good, "x", 1, &used, &data), BW_CHUNKED_END);
    assert_int_equal(used, 0);
    assert_int_equal(bw_chunked_feed(&bad, "x", 1, &used, &data), BW_CHUNKED_BAD);
    assert_int_equal(bw_chunked_feed(&bad, "0\r\n\r\n", 5, &used, &data), BW_CHUNKED_BAD);
    assert_int_equal(used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_message_is_decoded_whatever_the_pieces),
        RUN(what_others_forgive_is_refused_whatever_the_pieces),
        RUN(a_message_that_is_not_whole_wants_more),
        RUN(the_greatest_size_does_not_overflow),
        RUN(extensions_are_counted_over_the_whole_message),
        RUN(trailers_are_limited_with_or_without_an_end),
        RUN(the_end_and_a_fault_are_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
