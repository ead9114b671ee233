/*
 * test_slice.c - views of bytes: comparing, cutting, trimming, numbers.
 */
#include "breakwater/base/slice.h"

#include "unit.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define ASSERT_SLICE(s, text) assert_true(bw_slice_eq((s), BW_S(text)))

TEST(slices_are_equal_when_their_bytes_are)
{
    assert_true(bw_slice_eq(BW_S(""), bw_slice(NULL, 0)));
    assert_true(bw_slice_eq(BW_S("a\0b"), BW_S("a\0b")));
    assert_false(bw_slice_eq(BW_S("a\0b"), BW_S("a\0c")));
    assert_false(bw_slice_eq(BW_S("a"), BW_S("ab")));
}

TEST(only_ascii_letters_have_a_case)
{
    assert_true(bw_slice_eq_nocase(BW_S("HoSt"), BW_S("hOsT")));
    assert_true(bw_slice_eq_nocase(BW_S("\xC4"), BW_S("\xC4")));
    assert_false(bw_slice_eq_nocase(BW_S("\xC4"), BW_S("\xE4")));
    assert_false(bw_slice_eq_nocase(BW_S("@"), BW_S("`"))); /* 0x40 and 0x60 */
    assert_false(bw_slice_eq_nocase(BW_S("a"), BW_S("ab")));
}

TEST(a_slice_starts_and_ends_with_itself_and_with_nothing)
{
    assert_true(bw_slice_starts(BW_S("abc"), BW_S("abc")));
    assert_true(bw_slice_starts(BW_S("abc"), BW_S("")));
    assert_true(bw_slice_starts(BW_S("abc"), BW_S("ab")));
    assert_false(bw_slice_starts(BW_S("ab"), BW_S("abc")));
    assert_true(bw_slice_ends(BW_S("abc"), BW_S("bc")));
    assert_true(bw_slice_ends(bw_slice(NULL, 0), BW_S("")));
    assert_false(bw_slice_ends(BW_S("abc"), BW_S("ab")));
    assert_false(bw_slice_ends(BW_S("c"), BW_S("bc")));
}

TEST(trim_takes_blanks_and_tabs_and_nothing_else)
{
    ASSERT_SLICE(bw_slice_trim(BW_S(" \t a b\t ")), "a b");
    ASSERT_SLICE(bw_slice_trim(BW_S(" \t ")), "");
    ASSERT_SLICE(bw_slice_trim(BW_S("\na\r")), "\na\r");
    assert_int_equal(bw_slice_trim(bw_slice(NULL, 0)).len, 0);
}

TEST(cut_tells_an_empty_rest_from_no_rest)
{
    struct bw_slice rest;

    ASSERT_SLICE(bw_slice_cut(BW_S("a=b=c"), '=', &rest), "a");
    ASSERT_SLICE(rest, "b=c");
    ASSERT_SLICE(bw_slice_cut(BW_S("a="), '=', &rest), "a");
    assert_true(rest.base != NULL && rest.len == 0);
    ASSERT_SLICE(bw_slice_cut(BW_S("a"), '=', &rest), "a");
    assert_true(rest.base == NULL && rest.len == 0);
    assert_int_equal(bw_slice_cut(bw_slice(NULL, 0), '=', &rest).len, 0);
    assert_null(rest.base);
}

TEST(a_number_is_digits_that_fit)
{
    static const struct {
        struct bw_slice text;
        bool valid;
        uint64_t value;
    } rows[] = {
        {BW_S("0"), true, 0},
        {BW_S("007"), true, 7},
        {BW_S("18446744073709551615"), true, UINT64_MAX},
        {BW_S("18446744073709551616"), false, 0},
        {BW_S("99999999999999999999"), false, 0},
        {BW_S(""), false, 0},
        {BW_S("+1"), false, 0},
        {BW_S("-1"), false, 0},
        {BW_S(" 1"), false, 0},
        {BW_S("1 "), false, 0},
        {BW_S("0x1"), false, 0},
        {BW_S("1\0"), false, 0},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        uint64_t value = 42;
        assert_int_equal(bw_slice_u64(rows[i].text, &value), rows[i].valid);
        assert_int_equal(value, rows[i].valid ? rows[i].value : 42);
    }
}

TEST(an_address_is_one_in_numbers_and_nothing_else)
{
    static const struct {
        struct bw_slice text;
        int family;
        bool valid;
    } rows[] = {
        {BW_S("192.0.2.1"), AF_INET, true},
        {BW_S("2001:db8::1"), AF_INET6, true},
        {BW_S("::ffff:192.0.2.1"), AF_INET6, true},
        {BW_S("192.0.2.1"), AF_INET6, false},
        {BW_S("2001:db8::1"), AF_INET, false},
        {BW_S(""), AF_INET, false},
        {BW_S("192.0.2.1 "), AF_INET, false},
        {BW_S("192.0.2.1\0"), AF_INET, false},
        {BW_S("192.0.2.1\0.example"), AF_INET, false},
        {BW_S("192.0.2"), AF_INET, false},
        {BW_S("192.0.2.256"), AF_INET, false},
        {BW_S("fe80::1%eth0"), AF_INET6, false},
        {BW_S("localhost"), AF_INET, false},
        {BW_S("2001:0db8:0000:0000:0000:0000:0000:0000:0000:0001"), AF_INET6, false},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        unsigned char address[16] = {42};
        assert_int_equal(bw_slice_inet(rows[i].text, rows[i].family, address), rows[i].valid);
        if (!rows[i].valid)
            assert_int_equal(address[0], 42);
    }
}

TEST(a_copy_is_terminated)
{
    char *copy = bw_slice_dup(bw_slice("abcdef", 3));
    char *empty = bw_slice_dup(bw_slice(NULL, 0));

    assert_string_equal(copy, "abc");
    assert_string_equal(empty, "");
    free(copy);
    free(empty);
}

TEST(the_slice_of_a_null_string_is_empty)
{
    assert_int_equal(bw_slice_str(NULL).len, 0);
    assert_int_equal(bw_slice_str("ab").len, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(slices_are_equal_when_their_bytes_are),
        RUN(only_ascii_letters_have_a_case),
        RUN(a_slice_starts_and_ends_with_itself_and_with_nothing),
        RUN(trim_takes_blanks_and_tabs_and_nothing_else),
        RUN(cut_tells_an_empty_rest_from_no_rest),
        RUN(a_number_is_digits_that_fit),
        RUN(an_address_is_one_in_numbers_and_nothing_else),
        RUN(a_copy_is_terminated),
        RUN(the_slice_of_a_null_string_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
