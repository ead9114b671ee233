/*
 * test_date.c - dates as origins write them, and as they should have.
 */
#include "breakwater/http/date.h"

#include "unit.h"

#define NEW_YEAR_2026 INT64_C(1767225600)

static const struct {
    const char *text;
    int64_t time_s;
} valid[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Sun Nov 16 08:49:37 1994", 784975777},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
    {"Mon, 01 Jan 0001 00:00:00 GMT", -62135596800},
    {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
    {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},  /* divisible by 400 */
    {"Tue, 19 Jan 2038 14:14:08 GMT", 2147523248}, /* more than 31 bits */
    {"Sun, 21 Nov 2286 04:46:39 GMT", 10000039599},
    {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, /* a leap second is the next second */
    {"THU, 18 aug 2050 02:01:18 gmt", 2544400878}, /* the case of names says nothing */
    {"Mon, 18 Aug 2050 02:01:18 GMT", 2544400878}, /* it is a Thursday: the date counts */
    {"Thursday, 18-Aug-50 02:01:18 GMT", 2544400878},
    {"Saturday, 01-Jan-77 00:00:00 GMT", 220924800},   /* 2077 would be 51 years ahead */
    {"Wednesday, 01-Jan-76 00:00:00 GMT", 3345062400}, /* exactly 50 years ahead */
    {"Wednesday, 15-Jan-76 00:00:00 GMT", 190512000},  /* two weeks more than 50 years */
};

TEST(all_three_formats_are_read)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(valid); ++i) {
        int64_t t = 42;

        if (!bw_date_parse(bw_slice_str(valid[i].text), NEW_YEAR_2026, &t))
            fail_msg("refused: %s", valid[i].text);
        if (t != valid[i].time_s)
            fail_msg("%s is %lld", valid[i].text, (long long)t);
    }
}

static const char *const invalid[] = {
    "",
    "0",
    "-1",
    "foo",
    "Thu",
    "1767268800",
    "Thu, 18 Aug 2050 02:01:18",
    "Thu, 18 Aug 2050 02:01:18 UTC",
    "Thu, 18 Aug 2050 02:01:18 AEST",
    "Thu, 18 Aug 2050 02:01:18 +0000",
    "Thu, 18 Aug 2050 02:01:18 GMT ",
    "Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT",
    "Thu, 18 Aug 50 02:01:18 GMT",
    "Thu 18 Aug 2050 02:01:18 GMT",
    "Thu,18 Aug 2050 02:01:18 GMT",
    "Thu, 18  Aug  2050 02:01:18 GMT",
    "Thu, 18-Aug-2050 02:01:18 GMT",
    "Thu, 18 Aug 2050 02.01.18 GMT",
    "Thu, 18 Aug 2050 2:01:18 GMT",
    "Thu, 8 Aug 2050 02:01:18 GMT",
    "Thu, 00 Aug 2050 02:01:18 GMT",
    "Thu, 32 Aug 2050 02:01:18 GMT",
    "Thu, 31 Apr 2050 02:01:18 GMT",
    "Thu, 29 Feb 2023 02:01:18 GMT",
    "Thu, 29 Feb 1900 02:01:18 GMT", /* divisible by 100, not by 400 */
    "Thu, 18 Aug 0000 02:01:18 GMT",
    "Thu, 18 Aug 2050 24:00:00 GMT",
    "Thu, 18 Aug 2050 23:60:00 GMT",
    "Thu, 18 Aug 2050 23:59:61 GMT",
    "Thu, 18 Okt 2050 02:01:18 GMT",
    "Don, 18 Aug 2050 02:01:18 GMT",
    "Thu, 1\xb9 Aug 2050 02:01:18 GMT",
    "Donnerstag, 18-Aug-50 02:01:18 GMT",
    "Thursday, 18-Aug-2050 02:01:18 GMT",
    "Thursday, 18 Aug 50 02:01:18 GMT",
    "Sun Nov 6 08:49:37 1994",
    "Sun Nov  6 08:49:37 94",
    "Sun Nov  6 08:49:37 1994 GMT",
    "Sun Nov 06 08:49:37",
};

TEST(what_only_looks_like_a_date_is_none)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(invalid); ++i) {
        int64_t t = 42;

        if (bw_date_parse(bw_slice_str(invalid[i]), NEW_YEAR_2026, &t))
            fail_msg("accepted: %s", invalid[i]);
        assert_int_equal(t, 42);
    }
}

static const struct {
    int64_t time_s;
    const char *text;
} written[] = {
    {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},  {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
    {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},         {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
    {1704067199, "Sun, 31 Dec 2023 23:59:59 GMT"}, {INT64_MIN, "Mon, 01 Jan 0001 00:00:00 GMT"},
    {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
};

TEST(a_time_is_written_as_imf_fixdate)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(written); ++i) {
        char out[BW_DATE_LEN + 1] = {0};

        bw_date_format(written[i].time_s, out);
        assert_string_equal(out, written[i].text);
    }
}

TEST(what_is_written_is_read_as_the_same_time)
{
    for (int64_t t = -62135596800; t <= 253402300799; t += INT64_C(123456789)) {
        char out[BW_DATE_LEN];
        int64_t back = 0;

        bw_date_format(t, out);
        assert_true(bw_date_parse(bw_slice(out, sizeof(out)), NEW_YEAR_2026, &back));
        assert_true(back == t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(all_three_formats_are_read),
        RUN(what_only_looks_like_a_date_is_none),
        RUN(a_time_is_written_as_imf_fixdate),
        RUN(what_is_written_is_read_as_the_same_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
