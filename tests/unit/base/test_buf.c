/*
 * test_buf.c - text that grows, and foreign bytes made harmless in it.
 */
#include "breakwater/base/buf.h"

#include "unit.h"

TEST(a_buffer_holds_what_was_appended_in_order)
{
    struct bw_buf b = {0};

    bw_buf_str(&b, "a");
    bw_buf_char(&b, 'b');
    bw_buf_slice(&b, BW_S("cd"));
    bw_buf_append(&b, "e\0", 2);
    bw_buf_printf(&b, "%d-%s", 7, "x");
    assert_true(bw_slice_eq(bw_buf_view(&b), BW_S("abcde\0"
                                                  "7-x")));
    bw_buf_free(&b);
    assert_null(b.base);
}

TEST(a_buffer_grows_past_its_first_capacity)
{
    struct bw_buf b = {0};

    for (int i = 0; i < 10000; ++i)
        bw_buf_char(&b, (char)('a' + i % 26));
    bw_buf_printf(&b, "%5000d", 1);
    assert_int_equal(b.len, 15000);
    assert_int_equal(b.base[9999], 'a' + 9999 % 26);
    assert_int_equal(b.base[14999], '1');
    bw_buf_free(&b);
}

TEST(clear_keeps_the_memory)
{
    struct bw_buf b = {0};

    bw_buf_str(&b, "abc");
    size_t cap = b.cap;
    bw_buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, cap);
    bw_buf_free(&b);
}

TEST(nothing_that_is_appended_needs_no_memory)
{
    struct bw_buf b = {0};

    bw_buf_slice(&b, bw_slice(NULL, 0));
    bw_buf_str(&b, "");
    assert_int_equal(bw_buf_view(&b).len, 0);
    bw_buf_free(&b);
}

TEST(no_byte_gets_out_of_a_json_string_or_an_html_text)
{
    static const struct {
        struct bw_slice raw, json, html;
    } rows[] = {
        {BW_S("plain"), BW_S("plain"), BW_S("plain")},
        {BW_S("\"\\"), BW_S("\\\"\\\\"), BW_S("&quot;\\")},
        {BW_S("\r\n\t"), BW_S("\\r\\n\\t"), BW_S("???")},
        {BW_S("\0\x01\x7F"), BW_S("\\u0000\\u0001\\u007f"), BW_S("???")},
        {BW_S("\xC3\xA4"), BW_S("\\u00c3\\u00a4"), BW_S("\xC3\xA4")},
        {BW_S("<b a='&'>"), BW_S("<b a='&'>"), BW_S("&lt;b a=&#39;&amp;&#39;&gt;")},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        struct bw_buf b = {0};
        bw_buf_json(&b, rows[i].raw);
        assert_true(bw_slice_eq(bw_buf_view(&b), rows[i].json));
        bw_buf_clear(&b);
        bw_buf_html(&b, rows[i].raw);
        assert_true(bw_slice_eq(bw_buf_view(&b), rows[i].html));
        bw_buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_buffer_holds_what_was_appended_in_order),
        RUN(a_buffer_grows_past_its_first_capacity),
        RUN(clear_keeps_the_memory),
        RUN(nothing_that_is_appended_needs_no_memory),
        RUN(no_byte_gets_out_of_a_json_string_or_an_html_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
