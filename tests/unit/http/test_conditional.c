/*
 * test_conditional.c - who gets a 304, who gets a range, what the origin is asked.
 */
#include "breakwater/http/conditional.h"

#include "fields.h"

#define T0 "Sun, 06 Nov 1994 08:49:37 GMT"
#define T1 "Sun, 06 Nov 1994 08:49:38 GMT"
#define T2 "Sun, 06 Nov 1994 08:49:39 GMT"

enum { NOW_S = 1700000000 };

static const struct {
    const char *request;
    int status;
    const char *stored;
    enum bw_conditional expected;
} evaluated[] = {
    {"accept: x", 200, "etag: \"a\"", BW_COND_FULL},
    {"if-none-match: \"a\"", 200, "etag: \"a\"", BW_COND_NOT_MODIFIED},
    {"if-none-match: W/\"a\"", 200, "etag: \"a\"", BW_COND_NOT_MODIFIED},
    {"if-none-match: \"b\"", 200, "etag: \"a\"", BW_COND_FULL},
    {"if-none-match: *", 200, "date: " T0, BW_COND_NOT_MODIFIED},
    {"if-none-match: \"a\"", 200, "last-modified: " T0, BW_COND_FULL},
    {"if-none-match: \"a\"", 203, "etag: \"a\"", BW_COND_NOT_MODIFIED},
    /* preconditions are for responses that would be 2xx (13.2.1) */
    {"if-none-match: \"a\"", 404, "etag: \"a\"", BW_COND_FULL},
    {"if-none-match: *", 301, "etag: \"a\"", BW_COND_FULL},
    /* If-None-Match decides alone (13.1.3) */
    {"if-modified-since: " T2 "\nif-none-match: \"b\"", 200, "etag: \"a\"\nlast-modified: " T0,
     BW_COND_FULL},
    {"if-modified-since: " T0 "\nif-none-match: \"a\"", 200, "etag: \"a\"\nlast-modified: " T2,
     BW_COND_NOT_MODIFIED},
    {"if-none-match:\nif-modified-since: " T2, 200, "last-modified: " T0, BW_COND_FULL},
    {"if-modified-since: " T0, 200, "last-modified: " T0, BW_COND_NOT_MODIFIED},
    {"if-modified-since: " T1, 200, "last-modified: " T0, BW_COND_NOT_MODIFIED},
    {"if-modified-since: " T0, 200, "last-modified: " T1, BW_COND_FULL},
    {"if-modified-since: Sunday, 06-Nov-94 08:49:37 GMT", 200, "last-modified: " T0,
     BW_COND_NOT_MODIFIED},
    {"if-modified-since: Sun Nov  6 08:49:37 1994", 200, "last-modified: " T0,
     BW_COND_NOT_MODIFIED},
    {"if-modified-since: yesterday", 200, "last-modified: " T0, BW_COND_FULL},
    {"if-modified-since: " T0 "\nif-modified-since: " T0, 200, "last-modified: " T0, BW_COND_FULL},
    /* Date stands in for Last-Modified (RFC 9111, 4.3.2) */
    {"if-modified-since: " T1, 200, "date: " T1, BW_COND_NOT_MODIFIED},
    {"if-modified-since: " T0, 200, "date: " T1, BW_COND_FULL},
    {"if-modified-since: " T0, 200, "server: x", BW_COND_FULL},
    {"if-modified-since: " T1, 404, "last-modified: " T0, BW_COND_FULL},
    /* the origin's conditions are not ours to refuse by */
    {"if-match: \"b\"", 200, "etag: \"a\"", BW_COND_FULL},
    {"if-unmodified-since: " T0, 200, "last-modified: " T1, BW_COND_FULL},
};

TEST(a_client_gets_a_304_only_when_it_has_what_is_stored)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(evaluated); i++) {
        struct test_fields rq, st;

        if (bw_conditional_evaluate(fields(&rq, evaluated[i].request), evaluated[i].status,
                                    fields(&st, evaluated[i].stored),
                                    NOW_S) != evaluated[i].expected)
            fail_msg("%s against %d %s", evaluated[i].request, evaluated[i].status,
                     evaluated[i].stored);
    }
}

static const struct {
    const char *request, *stored;
    bool allowed;
} ranges[] = {
    {"range: bytes=0-1", "etag: \"a\"", true},
    {"if-range: \"a\"", "etag: \"a\"", true},
    {"if-range: \"b\"", "etag: \"a\"", false},
    {"if-range: W/\"a\"", "etag: W/\"a\"", false}, /* strong only */
    {"if-range: \"a\"", "etag: W/\"a\"", false},
    {"if-range: a", "etag: a", false},
    {"if-range:", "etag: \"a\"", false},
    {"if-range: \"a\"\nif-range: \"a\"", "etag: \"a\"", false},
    {"if-range: \"a\"", "date: " T0, false},
    {"if-range: " T0, "last-modified: " T0 "\ndate: " T1, true},
    {"if-range: " T0, "last-modified: " T0 "\ndate: " T0, false}, /* may have changed since */
    {"if-range: " T0, "last-modified: " T0, false},
    {"if-range: " T1, "last-modified: " T0 "\ndate: " T2, false}, /* exact, not later */
    {"if-match: \"a\"", "etag: \"a\"", true},
    {"if-match: \"b\"", "etag: \"a\"", false},
    {"if-match: *", "date: " T0, true},
    {"if-unmodified-since: " T1, "last-modified: " T0, true},
    {"if-unmodified-since: " T0, "last-modified: " T1, false},
    {"if-match: \"a\"\nif-unmodified-since: " T0, "etag: \"a\"\nlast-modified: " T1, true},
};

TEST(a_range_is_cut_only_from_what_the_client_means)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(ranges); i++) {
        struct test_fields rq, st;

        if (bw_conditional_range_allowed(fields(&rq, ranges[i].request),
                                         fields(&st, ranges[i].stored), NOW_S) != ranges[i].allowed)
            fail_msg("%s against %s", ranges[i].request, ranges[i].stored);
    }
}

TEST(a_304_carries_what_directs_caches)
{
    assert_true(bw_conditional_in_304(BW_F_ETAG, true));
    assert_true(bw_conditional_in_304(BW_F_CACHE_CONTROL, true));
    assert_true(bw_conditional_in_304(BW_F_VARY, true));
    assert_true(bw_conditional_in_304(BW_F_DATE, true));
    assert_true(bw_conditional_in_304(BW_F_LAST_MODIFIED, false));
    assert_false(bw_conditional_in_304(BW_F_LAST_MODIFIED, true));
    assert_false(bw_conditional_in_304(BW_F_CONTENT_TYPE, false));
    assert_false(bw_conditional_in_304(BW_F_CONTENT_LENGTH, false));
    assert_false(bw_conditional_in_304(BW_F_OTHER, false));
}

static const struct {
    const char *stored, *asked;
} validators[] = {
    {"etag: W/\"a\"\nlast-modified: " T0, "if-none-match: W/\"a\"\nif-modified-since: " T0},
    {"last-modified: " T0, "if-modified-since: " T0},
    {"etag: abc", "if-none-match: abc"}, /* as the origin spells it */
    {"etag: \"a\"\netag: \"b\"", ""},
    {"etag:\ndate: " T0, ""},
};

TEST(the_origin_is_asked_with_all_validators)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(validators); i++) {
        struct test_fields st;
        struct bw_field v[BW_CONDITIONAL_VALIDATORS];
        struct bw_fields out = {v, bw_conditional_validators(fields(&st, validators[i].stored), v)};

        assert_fields(&out, validators[i].asked);
    }
}

static const struct {
    const char *stored;
    uint64_t stored_len;
    const char *answer;
    uint64_t length;
    enum bw_described expected;
} described[] = {
    {"etag: \"a\"", 5, "etag: \"a\"", UINT64_MAX, BW_DESCRIBED_SAME},
    {"etag: \"a\"", 5, "etag: \"a\"", 5, BW_DESCRIBED_SAME},
    {"etag: \"a\"", 5, "etag: W/\"a\"", 5, BW_DESCRIBED_SAME},
    {"last-modified: " T0, 5, "last-modified: " T0, 5, BW_DESCRIBED_SAME},
    {"etag: \"a\"\nlast-modified: " T0, 5, "etag: \"a\"\nlast-modified: " T0, 5, BW_DESCRIBED_SAME},
    {"etag: \"a\"\nlast-modified: " T0, 5, "last-modified: " T0, 5, BW_DESCRIBED_SAME},
    {"etag: \"a\"\ncontent-encoding: gzip", 5, "content-encoding: GZIP\netag: \"a\"", 5,
     BW_DESCRIBED_SAME},
    /* one that disagrees is enough */
    {"etag: \"a\"", 5, "etag: \"b\"", 5, BW_DESCRIBED_OTHER},
    {"etag: \"a\"", 5, "etag: \"a\"", 6, BW_DESCRIBED_OTHER},
    {"etag: \"a\"", 5, "server: x", 6, BW_DESCRIBED_OTHER},
    {"server: x", 5, "server: x", 0, BW_DESCRIBED_OTHER},
    {"last-modified: " T0, 5, "last-modified: " T1, 5, BW_DESCRIBED_OTHER},
    {"etag: \"a\"\nlast-modified: " T0, 5, "etag: \"a\"\nlast-modified: " T1, 5,
     BW_DESCRIBED_OTHER},
    {"etag: \"a\"\nlast-modified: " T0, 5, "etag: \"b\"\nlast-modified: " T0, 5,
     BW_DESCRIBED_OTHER},
    /* nothing to compare, or not with each other */
    {"server: x", 5, "server: x", UINT64_MAX, BW_DESCRIBED_UNKNOWN},
    {"server: x", 5, "server: x", 5, BW_DESCRIBED_UNKNOWN},
    {"etag: \"a\"", 5, "server: x", 5, BW_DESCRIBED_UNKNOWN},
    {"server: x", 5, "etag: \"a\"", 5, BW_DESCRIBED_UNKNOWN},
    {"last-modified: " T0, 5, "etag: \"a\"\nlast-modified: " T0, 5, BW_DESCRIBED_UNKNOWN},
    {"etag: \"a\"", 5, "etag: \"a\"\netag: \"b\"", 5, BW_DESCRIBED_UNKNOWN},
    {"etag: W/\"a\"\ncontent-encoding: gzip", 5, "etag: \"a\"", 9, BW_DESCRIBED_UNKNOWN},
    {"etag: \"a\"", 5, "etag: \"b\"\ncontent-encoding: br", 3, BW_DESCRIBED_UNKNOWN},
};

TEST(the_head_of_an_answer_is_compared_with_what_is_stored)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(described); i++) {
        struct test_fields st, an;

        if (bw_conditional_describes(fields(&st, described[i].stored), described[i].stored_len,
                                     fields(&an, described[i].answer),
                                     described[i].length) != described[i].expected)
            fail_msg("row %zu: %s / %s", i, described[i].stored, described[i].answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_client_gets_a_304_only_when_it_has_what_is_stored),
        RUN(a_range_is_cut_only_from_what_the_client_means),
        RUN(a_304_carries_what_directs_caches),
        RUN(the_origin_is_asked_with_all_validators),
        RUN(the_head_of_an_answer_is_compared_with_what_is_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
