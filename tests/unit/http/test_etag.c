/*
 * test_etag.c - tags as they are and as they are met.
 */
#include "breakwater/http/etag.h"

#include "fields.h"

static const struct {
    const char *value, *text;
    bool weak;
} parsed[] = {
    {"\"abc\"", "\"abc\"", false},
    {"W/\"abc\"", "\"abc\"", true},
    {"\"\"", "\"\"", false},
    {"\"a,b\"", "\"a,b\"", false},
    {"\"a\\\"", "\"a\\\"", false}, /* a backslash escapes nothing in a tag */
    {"\"\xC3\xBC\"", "\"\xC3\xBC\"", false},
    {"abc", "abc", true},
    {"w/\"abc\"", "w/\"abc\"", true}, /* case matters: 8.8.3 */
    {"W\"abc\"", "W\"abc\"", true},
    {"W/abc", "W/abc", true},
    {"\"abc", "\"abc", true},
    {"\"a\"b", "\"a\"b", true},
    {"\"a\", \"b\"", "\"a\", \"b\"", true}, /* no list: not a tag */
    {"a,b", "a,b", true},
    {"*", "*", true},
};

TEST(a_tag_is_read_with_its_weakness)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(parsed); i++) {
        struct bw_etag tag;

        assert_true(bw_etag_parse(bw_slice_str(parsed[i].value), &tag));
        assert_text(tag.text, parsed[i].text);
        assert_int_equal(tag.weak, parsed[i].weak);
    }
}

TEST(an_empty_value_is_no_tag)
{
    struct bw_etag tag;

    assert_false(bw_etag_parse(BW_S(""), &tag));
    assert_false(bw_etag_parse(BW_S("  "), &tag));
}

TEST(a_response_with_two_tags_has_none)
{
    struct test_fields f;
    struct bw_etag tag;

    assert_true(bw_etag_of(fields(&f, "etag: \"a\""), &tag));
    assert_false(bw_etag_of(fields(&f, "etag: \"a\"\netag: \"b\""), &tag));
    assert_false(bw_etag_of(fields(&f, "date: x"), &tag));
}

/* The table of RFC 9110, 8.8.3.2, and tags outside the grammar. */
static const struct {
    const char *a, *b;
    bool strong, weak;
} compared[] = {
    {"W/\"1\"", "W/\"1\"", false, true}, {"W/\"1\"", "W/\"2\"", false, false},
    {"W/\"1\"", "\"1\"", false, true},   {"\"1\"", "\"1\"", true, true},
    {"\"1\"", "1", false, false},        {"1", "1", false, true},
};

TEST(tags_compare_in_two_ways)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(compared); i++) {
        struct bw_etag a, b;

        assert_true(bw_etag_parse(bw_slice_str(compared[i].a), &a));
        assert_true(bw_etag_parse(bw_slice_str(compared[i].b), &b));
        assert_int_equal(bw_etag_equal(&a, &b, BW_ETAG_STRONG), compared[i].strong);
        assert_int_equal(bw_etag_equal(&a, &b, BW_ETAG_WEAK), compared[i].weak);
        assert_int_equal(bw_etag_equal(&b, &a, BW_ETAG_WEAK), compared[i].weak);
    }
}

static const struct {
    const char *request, *tag;
    bool weak, strong;
} listed[] = {
    {"if-none-match: \"a\", \"b\"", "\"b\"", true, true},
    {"if-none-match: \"a\",\"b\" , W/\"c\"", "\"c\"", true, false},
    {"if-none-match: ,, \"a\"", "\"a\"", true, true},
    {"if-none-match: \"a\\\", \"b\"", "\"b\"", true, true},
    {"if-none-match: \"x, \"b\"", "\"b\"", true, true}, /* an open quote costs itself alone */
    {"if-none-match: \"a\"\nif-none-match: \"b\"", "\"b\"", true, true},
    {"if-none-match: *", "\"b\"", true, true},
    {"if-none-match: *", NULL, true, true},
    {"if-none-match: \"a\", *", "\"b\"", false, false}, /* a star stands alone */
    {"if-none-match: \"a\"", NULL, false, false},
    {"if-none-match:", "\"a\"", false, false},
    {"date: x", "\"a\"", false, false},
    {"if-none-match: abc", "abc", true, false},
    {"if-none-match: \"a,b\"", "\"a\"", false, false},
};

TEST(a_list_names_its_tags_and_no_others)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(listed); i++) {
        struct test_fields f;
        struct bw_etag tag, *t = NULL;
        const struct bw_fields *rq = fields(&f, listed[i].request);

        if (listed[i].tag != NULL) {
            assert_true(bw_etag_parse(bw_slice_str(listed[i].tag), &tag));
            t = &tag;
        }
        if (bw_etag_listed(rq, BW_F_IF_NONE_MATCH, t, BW_ETAG_WEAK) != listed[i].weak ||
            bw_etag_listed(rq, BW_F_IF_NONE_MATCH, t, BW_ETAG_STRONG) != listed[i].strong)
            fail_msg("%s against %s", listed[i].request, listed[i].tag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_tag_is_read_with_its_weakness),     RUN(an_empty_value_is_no_tag),
        RUN(a_response_with_two_tags_has_none),   RUN(tags_compare_in_two_ways),
        RUN(a_list_names_its_tags_and_no_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
