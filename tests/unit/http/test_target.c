/*
 * test_target.c - one form for all spellings of a target.
 */
#include "breakwater/http/head.h"
#include "breakwater/http/target.h"

#include "unit.h"

TEST(equal_spellings_become_one)
{
    static const struct {
        struct bw_slice target;
        struct bw_slice path;
        struct bw_slice whole;
    } rows[] = {
        {BW_S("/"), BW_S("/"), BW_S("/")},
        {BW_S("/a/b.css?x=1"), BW_S("/a/b.css"), BW_S("/a/b.css?x=1")},
        {BW_S("/%61%2D%7e%5F"), BW_S("/a-~_"), BW_S("/a-~_")},
        {BW_S("/%e4%2f%5c%3b"), BW_S("/%E4%2F%5C%3B"), BW_S("/%E4%2F%5C%3B")},
        {BW_S("/%2541"), BW_S("/%2541"), BW_S("/%2541")}, /* decoded once, never twice */
        {BW_S("/a/./b/../c"), BW_S("/a/c"), BW_S("/a/c")},
        {BW_S("/a/%2e/b/%2E./c"), BW_S("/a/c"), BW_S("/a/c")},
        {BW_S("/."), BW_S("/"), BW_S("/")},
        {BW_S("/a/."), BW_S("/a/"), BW_S("/a/")},
        {BW_S("/a/.."), BW_S("/"), BW_S("/")},
        {BW_S("/a/b/..?q"), BW_S("/a/"), BW_S("/a/?q")},
        {BW_S("/a/../"), BW_S("/"), BW_S("/")},
        {BW_S("//a//b//"), BW_S("//a//b//"), BW_S("//a//b//")},
        {BW_S("/a//../b"), BW_S("/a/b"), BW_S("/a/b")}, /* the empty segment is what goes */
        {BW_S("//.."), BW_S("/"), BW_S("/")},
        {BW_S("/..."), BW_S("/..."), BW_S("/...")},
        {BW_S("/.well-known/x"), BW_S("/.well-known/x"), BW_S("/.well-known/x")},
        {BW_S("/..;/a"), BW_S("/..;/a"), BW_S("/..;/a")},
        {BW_S("/..%2fa"), BW_S("/..%2Fa"), BW_S("/..%2Fa")},
        {BW_S("/a?b/../%61?c"), BW_S("/a"), BW_S("/a?b/../%61?c")}, /* a query stays as it is */
        {BW_S("/%61?%61"), BW_S("/a"), BW_S("/a?%61")},
        {BW_S("/./?"), BW_S("/"), BW_S("/?")},
        {BW_S("/a:b@c[d]!$&'()*+,;="), BW_S("/a:b@c[d]!$&'()*+,;="), BW_S("/a:b@c[d]!$&'()*+,;=")},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        char out[64];
        struct bw_target t;
        assert_int_equal(bw_target_normalise(rows[i].target, out, &t), BW_TARGET_OK);
        assert_true(bw_slice_eq(t.path, rows[i].path));
        assert_true(bw_slice_eq(t.whole, rows[i].whole));
        assert_ptr_equal(t.path.base, t.whole.base);
    }
}

TEST(what_parsers_disagree_about_is_refused)
{
    static const struct bw_slice rows[] = {
        BW_S(""),        BW_S("a"),          BW_S("*"),       BW_S("http://a/"),
        BW_S("?a"),      BW_S("/.."),        BW_S("/../a"),   BW_S("/a/../.."),
        BW_S("/%2e%2e"), BW_S("/./.."),      BW_S("/%"),      BW_S("/%4"),
        BW_S("/%zz"),    BW_S("/%4g"),       BW_S("/%00"),    BW_S("/a%00b"),
        BW_S("/a b"),    BW_S("/a\tb"),      BW_S("/a\r\nb"), BW_S("/a\0b"),
        BW_S("/a#b"),    BW_S("/a\\b"),      BW_S("/a\"b"),   BW_S("/<b>"),
        BW_S("/a^b"),    BW_S("/a`b"),       BW_S("/a{b}"),   BW_S("/a|b"),
        BW_S("/a\x7F"),  BW_S("/a\xC3\xA4"), BW_S("/a?%"),    BW_S("/a?%00"),
        BW_S("/a?b#c"),  BW_S("/a?b c"),     BW_S("/%2%35"),  BW_S("/a/%2e./%2E%2e/b"),
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        char out[64];
        struct bw_target t;
        assert_int_equal(bw_target_normalise(rows[i], out, &t), BW_TARGET_BAD);
    }
}

TEST(a_target_in_normal_form_is_not_copied)
{
    struct bw_slice target = BW_S("/a/.b/c..?d");
    struct bw_target t;

    assert_int_equal(bw_target_normalise(target, NULL, &t), BW_TARGET_OK);
    assert_ptr_equal(t.whole.base, target.base);
    assert_int_equal(t.whole.len, target.len);
}

TEST(an_empty_query_is_not_the_same_as_none)
{
    static const struct {
        struct bw_slice target;
        bool has_query;
        struct bw_slice query;
    } rows[] = {
        {BW_S("/a"), false, BW_S("")},       {BW_S("/a?"), true, BW_S("")},
        {BW_S("/a?b?c"), true, BW_S("b?c")}, {BW_S("/./a"), false, BW_S("")},
        {BW_S("/./a?"), true, BW_S("")},     {BW_S("/./a?b?c"), true, BW_S("b?c")},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        char out[16];
        struct bw_target t;
        assert_int_equal(bw_target_normalise(rows[i].target, out, &t), BW_TARGET_OK);
        assert_int_equal(t.has_query, rows[i].has_query);
        assert_true(bw_slice_eq(t.query, rows[i].query));
    }
}

TEST(a_target_of_the_greatest_length_fits_and_a_longer_one_is_refused)
{
    static char target[BW_HEAD_TARGET_MAX + 1], out[BW_HEAD_TARGET_MAX];
    struct bw_target t;

    for (size_t i = 0; i < sizeof(target); ++i)
        target[i] = i % 2 == 0 ? '/' : '.';
    target[BW_HEAD_TARGET_MAX - 1] = 'a';
    assert_int_equal(bw_target_normalise(bw_slice(target, BW_HEAD_TARGET_MAX), out, &t),
                     BW_TARGET_OK);
    assert_true(bw_slice_eq(t.whole, BW_S("/a")));
    assert_int_equal(bw_target_normalise(bw_slice(target, sizeof(target)), out, &t), BW_TARGET_BAD);
}

TEST(an_authority_has_one_spelling)
{
    static const struct {
        struct bw_slice authority;
        bool https;
        struct bw_slice expected;
        struct bw_slice host;
    } rows[] = {
        {BW_S("Example.ORG"), false, BW_S("example.org"), BW_S("example.org")},
        {BW_S("example.org."), false, BW_S("example.org"), BW_S("example.org")},
        {BW_S("example.org:80"), false, BW_S("example.org"), BW_S("example.org")},
        {BW_S("example.org:80"), true, BW_S("example.org:80"), BW_S("example.org")},
        {BW_S("example.org.:443"), true, BW_S("example.org"), BW_S("example.org")},
        {BW_S("example.org.:8443"), true, BW_S("example.org:8443"), BW_S("example.org")},
        {BW_S("[2001:DB8::80]"), false, BW_S("[2001:db8::80]"), BW_S("[2001:db8::80]")},
        {BW_S("[::1]:80"), false, BW_S("[::1]"), BW_S("[::1]")},
        {BW_S("[::1]:8080"), false, BW_S("[::1]:8080"), BW_S("[::1]")},
        {BW_S("192.0.2.1"), false, BW_S("192.0.2.1"), BW_S("192.0.2.1")},
        {BW_S("12345"), false, BW_S("12345"), BW_S("12345")},
        {BW_S(""), false, BW_S(""), BW_S("")},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        char out[64];
        struct bw_slice host;
        struct bw_slice got = bw_target_authority(rows[i].authority, rows[i].https, out, &host);
        assert_true(bw_slice_eq(got, rows[i].expected));
        assert_true(bw_slice_eq(host, rows[i].host));
    }
}

TEST(parameters_come_in_order_and_split_at_ampersands_only)
{
    static const struct {
        struct bw_slice query;
        const char *parameters; /* name then '>' then value, or name alone; each with '|' behind */
    } rows[] = {
        {BW_S(""), ""},
        {BW_S("a=1&b=2"), "a>1|b>2|"},
        {BW_S("a&b=&=c"), "a|b>|>c|"},
        {BW_S("a=1;b=2&c"), "a>1;b=2|c|"},
        {BW_S("&&"), "|||"},
        {BW_S("a="), "a>|"},
        {BW_S("a=b=c&a=b"), "a>b=c|a>b|"},
        {BW_S("a%26b=%3D"), "a%26b>%3D|"},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        struct bw_query_iter it = {0};
        struct bw_slice name, value;
        char got[64] = "";

        while (bw_query_next(rows[i].query, &it, &name, &value)) {
            strncat(got, name.base, name.len);
            if (value.base != NULL)
                strncat(strcat(got, ">"), value.base, value.len);
            strcat(got, "|");
        }
        assert_string_equal(got, rows[i].parameters);
        assert_false(bw_query_next(rows[i].query, &it, &name, &value));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(equal_spellings_become_one),
        RUN(what_parsers_disagree_about_is_refused),
        RUN(a_target_in_normal_form_is_not_copied),
        RUN(an_empty_query_is_not_the_same_as_none),
        RUN(a_target_of_the_greatest_length_fits_and_a_longer_one_is_refused),
        RUN(an_authority_has_one_spelling),
        RUN(parameters_come_in_order_and_split_at_ampersands_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
