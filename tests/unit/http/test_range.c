/*
 * test_range.c - which Range means what against a length, and Content-Range both ways.
 */
#include "breakwater/http/range.h"

#include "fields.h"

#include <stdio.h>

static const struct {
    const char *range;
    uint64_t length;
    enum bw_range_verdict verdict;
    const char *parts; /* "first-last " for each */
} evaluated[] = {
    {"bytes=0-1", 10, BW_RANGE_PARTIAL, "0-1 "},
    {"bytes=1-", 10, BW_RANGE_PARTIAL, "1-9 "},
    {"bytes=-1", 10, BW_RANGE_PARTIAL, "9-9 "},
    {"bytes=-99", 10, BW_RANGE_PARTIAL, "0-9 "},
    {"bytes=0-99", 10, BW_RANGE_PARTIAL, "0-9 "},
    {"bytes=9-9", 10, BW_RANGE_PARTIAL, "9-9 "},
    {"BYTES=0-1", 10, BW_RANGE_PARTIAL, "0-1 "},
    {"bytes= 0-1 ,\t3-4", 10, BW_RANGE_PARTIAL, "0-1 3-4 "},
    {"bytes=,0-1,,3-4,", 10, BW_RANGE_PARTIAL, "0-1 3-4 "},
    {"bytes=0-1,-2", 10, BW_RANGE_PARTIAL, "0-1 8-9 "},
    {"bytes=0-1,50-60", 10, BW_RANGE_PARTIAL, "0-1 "}, /* what is outside is left out */
    {"bytes=0-18446744073709551616", 10, BW_RANGE_PARTIAL, "0-9 "},
    {"bytes=-99999999999999999999999", 10, BW_RANGE_PARTIAL, "0-9 "},
    {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", 99, BW_RANGE_PARTIAL,
     "0-0 2-2 4-4 6-6 8-8 10-10 12-12 14-14 "},

    {"bytes=10-", 10, BW_RANGE_UNSATISFIABLE, ""},
    {"bytes=10-20,30-40", 10, BW_RANGE_UNSATISFIABLE, ""},
    {"bytes=-0", 10, BW_RANGE_UNSATISFIABLE, ""},
    {"bytes=99999999999999999999999-", 10, BW_RANGE_UNSATISFIABLE, ""},
    {"bytes=0-", 0, BW_RANGE_WHOLE, ""},
    {"bytes=-5", 0, BW_RANGE_WHOLE, ""},

    {"bytes=0-1,1-2", 10, BW_RANGE_WHOLE, ""}, /* overlap */
    {"bytes=3-4,0-1", 10, BW_RANGE_WHOLE, ""}, /* descending */
    {"bytes=0-,0-", 10, BW_RANGE_WHOLE, ""},
    {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", 99, BW_RANGE_WHOLE, ""},
    {"bytes=2-1", 10, BW_RANGE_WHOLE, ""},
    {"bytes=0-1,x", 10, BW_RANGE_WHOLE, ""},
    {"bytes=", 10, BW_RANGE_WHOLE, ""},
    {"bytes=,", 10, BW_RANGE_WHOLE, ""},
    {"bytes", 10, BW_RANGE_WHOLE, ""},
    {"bytes=-", 10, BW_RANGE_WHOLE, ""},
    {"bytes=5", 10, BW_RANGE_WHOLE, ""},
    {"bytes=--5", 10, BW_RANGE_WHOLE, ""},
    {"bytes=1--5", 10, BW_RANGE_WHOLE, ""},
    {"bytes=+1-5", 10, BW_RANGE_WHOLE, ""},
    {"bytes=0x1-5", 10, BW_RANGE_WHOLE, ""},
    {"bytes=1 - 5", 10, BW_RANGE_WHOLE, ""},
    {"bytes =1-5", 10, BW_RANGE_WHOLE, ""},
    {"items=0-1", 10, BW_RANGE_WHOLE, ""},
    {"0-1", 10, BW_RANGE_WHOLE, ""},
};

TEST(a_range_is_partial_whole_or_unsatisfiable)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(evaluated); i++) {
        struct bw_field v[] = {{BW_S("range"), bw_slice_str(evaluated[i].range), BW_F_RANGE}};
        struct bw_fields rq = {v, 1};
        struct bw_ranges out = {.n = 0};
        enum bw_range_verdict verdict = bw_range_evaluate(&rq, evaluated[i].length, &out);
        char text[256] = "";
        size_t n = 0;

        for (size_t r = 0; verdict == BW_RANGE_PARTIAL && r < out.n; r++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%lu-%lu ", out.v[r].first,
                                  out.v[r].last);
        if (verdict != evaluated[i].verdict || strcmp(text, evaluated[i].parts) != 0)
            fail_msg("%s of %lu: verdict %d, parts %s", evaluated[i].range, evaluated[i].length,
                     verdict, text);
    }
}

TEST(no_range_or_two_of_them_are_answered_whole)
{
    struct test_fields f;
    struct bw_ranges out;

    assert_int_equal(bw_range_evaluate(fields(&f, "accept: x"), 10, &out), BW_RANGE_WHOLE);
    assert_int_equal(bw_range_evaluate(fields(&f, "range: bytes=0-1\nrange: bytes=3-4"), 10, &out),
                     BW_RANGE_WHOLE);
}

TEST(content_range_is_written)
{
    char out[BW_RANGE_TEXT_MAX];
    struct bw_range r = {0, 4}, wide = {UINT64_MAX - 1, UINT64_MAX - 1};

    assert_text(bw_slice(out, bw_range_text(&r, 10, out)), "bytes 0-4/10");
    assert_text(bw_slice(out, bw_range_text(&wide, UINT64_MAX, out)),
                "bytes 18446744073709551614-18446744073709551614/18446744073709551615");
    assert_text(bw_slice(out, bw_range_unsatisfied_text(10, out)), "bytes */10");
}

static const struct {
    const char *value;
    bool ok;
    struct bw_content_range expected;
} read_back[] = {
    {"bytes 0-4/10", true, {{0, 4}, 10, true, true}},
    {"Bytes 9-9/10", true, {{9, 9}, 10, true, true}},
    {"bytes 0-4/*", true, {{0, 4}, 0, true, false}},
    {"bytes */10", true, {{0, 0}, 10, false, true}},
    {"bytes */*", false, {{0, 0}, 0, false, false}},
    {"bytes 4-0/10", false, {{0, 0}, 0, false, false}},
    {"bytes 0-10/10", false, {{0, 0}, 0, false, false}},
    {"bytes 0-4", false, {{0, 0}, 0, false, false}},
    {"bytes 0-/10", false, {{0, 0}, 0, false, false}},
    {"bytes -4/10", false, {{0, 0}, 0, false, false}},
    {"bytes=0-4/10", false, {{0, 0}, 0, false, false}},
    {"bytes  0-4/10", false, {{0, 0}, 0, false, false}},
    {"bytes 0-4/99999999999999999999999", false, {{0, 0}, 0, false, false}},
    {"items 0-4/10", false, {{0, 0}, 0, false, false}},
    {"", false, {{0, 0}, 0, false, false}},
};

TEST(content_range_is_read)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(read_back); i++) {
        const struct bw_content_range *e = &read_back[i].expected;
        struct bw_content_range cr;

        if (bw_range_parse_content(bw_slice_str(read_back[i].value), &cr) != read_back[i].ok)
            fail_msg("%s", read_back[i].value);
        if (!read_back[i].ok)
            continue;
        assert_int_equal(cr.has_range, e->has_range);
        assert_int_equal(cr.has_length, e->has_length);
        assert_true(!cr.has_range ||
                    (cr.range.first == e->range.first && cr.range.last == e->range.last));
        assert_true(!cr.has_length || cr.length == e->length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_range_is_partial_whole_or_unsatisfiable),
        RUN(no_range_or_two_of_them_are_answered_whole),
        RUN(content_range_is_written),
        RUN(content_range_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
