/*
 * test_freshness.c - lifetime and age, at whatever second the test likes.
 */
#include "breakwater/http/freshness.h"

#include "fields.h"

/* Thu, 01 Jan 2026 12:00:00 GMT */
#define NOON INT64_C(1767268800)
#define DATE "date: Thu, 01 Jan 2026 12:00:00 GMT\n"

enum { NONE = -1 };

static const struct {
    const char *lines;
    int64_t lifetime_s;
} lifetimes[] = {
    {DATE, NONE},
    {DATE "cache-control: public", NONE},
    {DATE "cache-control: max-age=60", 60},
    {DATE "cache-control: max-age=60, s-maxage=5", 5},
    {DATE "cache-control: max-age=0, s-maxage=60\nexpires: 0", 60},
    {DATE "cache-control: max-age=60\nexpires: Thu, 01 Jan 2026 10:00:00 GMT", 60},
    {DATE "cache-control: max-age=0\nexpires: Thu, 01 Jan 2026 13:00:00 GMT", 0},
    {DATE "expires: Thu, 01 Jan 2026 13:00:00 GMT", 3600},
    {DATE "expires: Thu, 01 Jan 2026 12:00:00 GMT", 0},
    {DATE "expires: Thu, 01 Jan 2026 10:00:00 GMT", 0},
    {DATE "expires: 0", 0},
    {DATE "expires: Thu 01 Jan 2026 13:00:00 GMT", 0},
    {DATE "expires:", 0},
    {DATE "expires: Fri, 31 Dec 9999 23:59:59 GMT", BW_DELTA_MAX},
    {DATE "expires: Thu, 01 Jan 2026 13:00:00 GMT\nexpires: Thu, 01 Jan 2026 12:30:00 GMT", 1800},
    {DATE "expires: Thu, 01 Jan 2026 13:00:00 GMT\nexpires: soon", 0},
    /* Date, not our clock, is what Expires is measured from; without one, our clock */
    {"date: Thu, 01 Jan 2026 12:06:40 GMT\nexpires: Thu, 01 Jan 2026 12:05:00 GMT", 0},
    {"date: Thu, 01 Jan 2026 12:00:10 GMT\nexpires: Thu, 01 Jan 2026 12:00:20 GMT", 10},
    {"date: foo\nexpires: Thu, 01 Jan 2026 12:00:10 GMT", 10},
    {"expires: Thu, 01 Jan 2026 12:00:10 GMT", 10},
    /* beside a targeted field Expires is not looked at (RFC 9213, 2.2) */
    {DATE "cdn-cache-control: none\nexpires: Thu, 01 Jan 2026 13:00:00 GMT", NONE},
    {DATE "cdn-cache-control: max-age=9\nexpires: 0", 9},
};

TEST(the_stated_lifetime_is_found_where_it_is_stated)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(lifetimes); ++i) {
        struct test_fields t;
        const struct bw_fields *f = fields(&t, lifetimes[i].lines);
        struct bw_cache_control cc;
        int64_t lifetime_s = NONE;

        bw_cache_control_response(f, &cc);
        (void)bw_freshness_stated(&cc, f, bw_freshness_date(f, NOON), NOON, &lifetime_s);
        if (lifetime_s != lifetimes[i].lifetime_s)
            fail_msg("%s: %lld", lifetimes[i].lines, (long long)lifetime_s);
    }
}

static const struct {
    const char *lines;
    int64_t age_s;
} ages[] = {
    {"", 0},
    {"age: 0", 0},
    {"age: 7200", 7200},
    {"age: 7200, 0", 7200}, /* of a list the first counts (5.1) */
    {"age: 0, 7200", 0},
    {"age: 7200\nage: 0", 7200},
    {"age: 0\nage: 7200", 0},
    {"age: abc", 0}, /* invalid: ignored */
    {"age: -7200", 0},
    {"age: 7200.0", 0},
    {"age: abc, 7200", 0},
    {"age: 7200;foo=bar", 7200}, /* no Age has parameters, but old is old */
    {"age: 7200 ; foo=111", 7200},
    {"age: 2147483647", 2147483647},
    {"age: 2147483649", 2147483648},
    {"age: 99999999999999999999", 2147483648},
};

TEST(the_first_age_counts_and_an_invalid_one_is_ignored)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(ages); ++i) {
        struct test_fields t;
        int64_t age_s = bw_freshness_age_field(fields(&t, ages[i].lines));

        if (age_s != ages[i].age_s)
            fail_msg("%s: %lld", ages[i].lines, (long long)age_s);
    }
}

static const struct {
    const char *lines;
    int64_t lifetime_s;
} guesses[] = {
    {DATE, 0},
    {DATE "last-modified: Thu, 01 Jan 2026 11:58:20 GMT", 10},
    {DATE "last-modified: Wed, 31 Dec 2025 12:00:00 GMT", 8640},
    {DATE "last-modified: Sat, 01 Jan 2005 12:00:00 GMT", 86400},
    {DATE "last-modified: Thu, 01 Jan 2026 12:00:01 GMT", 0}, /* a clock that runs ahead */
    {DATE "last-modified: yesterday", 0},
};

TEST(a_lifetime_is_guessed_from_last_modified)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(guesses); ++i) {
        struct test_fields t;
        const struct bw_fields *f = fields(&t, guesses[i].lines);

        assert_int_equal(bw_freshness_heuristic(f, bw_freshness_date(f, NOON), NOON),
                         guesses[i].lifetime_s);
    }
}

/* Asked and answered, Date and Age against noon, and the age a minute after the answer. */
static const struct {
    int64_t asked_ms, answered_ms, date_s, age_s;
    int64_t age_ms;
} clocks[] = {
    {0, 0, 0, 0, 60000},
    {0, 0, 0, 100, 160000},
    {-3000, 0, 0, 100, 163000}, /* the way here counts, since Age may be from its beginning */
    {0, 0, -7200, 0, 7200000 - 999 + 60000},
    {0, 0, -7200, 9000, 9060000},
    {0, 0, 3600, 0, 60000}, /* an origin clock that runs ahead */
    {0, 900, 0, 0, 60900},  /* Date may mean 12:00:00.9 */
    {0, 900, -1, 0, 60901},
};

TEST(age_is_the_larger_of_what_date_and_age_say)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(clocks); ++i) {
        struct bw_freshness_origin o = {
            .asked_ms = NOON * 1000 + clocks[i].asked_ms,
            .answered_ms = NOON * 1000 + clocks[i].answered_ms,
            .date_s = NOON + clocks[i].date_s,
            .age_s = clocks[i].age_s,
        };

        assert_int_equal(bw_freshness_age_ms(&o, o.answered_ms + 60000), clocks[i].age_ms);
    }
}

TEST(a_clock_that_was_set_back_makes_nothing_younger_than_it_came)
{
    struct bw_freshness_origin o = {
        .asked_ms = NOON * 1000, .answered_ms = NOON * 1000 - 5, .date_s = NOON, .age_s = 7};

    assert_int_equal(bw_freshness_age_ms(&o, NOON * 1000 - 3600000), 7000);
}

TEST(only_some_statuses_invite_a_guess)
{
    assert_true(bw_freshness_heuristic_status(200));
    assert_true(bw_freshness_heuristic_status(501));
    assert_false(bw_freshness_heuristic_status(201));
    assert_false(bw_freshness_heuristic_status(206));
    assert_false(bw_freshness_heuristic_status(302));
    assert_false(bw_freshness_heuristic_status(503));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_stated_lifetime_is_found_where_it_is_stated),
        RUN(the_first_age_counts_and_an_invalid_one_is_ignored),
        RUN(a_lifetime_is_guessed_from_last_modified),
        RUN(age_is_the_larger_of_what_date_and_age_say),
        RUN(a_clock_that_was_set_back_makes_nothing_younger_than_it_came),
        RUN(only_some_statuses_invite_a_guess),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
