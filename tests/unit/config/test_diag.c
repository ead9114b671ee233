/*
 * test_diag.c - what is wrong, one line each, in the order of the places.
 */
#include "breakwater/config/diag.h"

#include "unit.h"

static void assert_text(struct bw_diag *d, const char *expected)
{
    bw_buf_char(&d->text, '\0');
    assert_string_equal(d->text.base, expected);
    bw_diag_free(d);
}

TEST(lines_of_one_file_stand_in_its_order_whenever_they_are_said)
{
    struct bw_diag d = {0};

    bw_diag_error(&d, (struct bw_place){"a.yaml", 10, 2}, "x", "one; do %s", "this");
    bw_diag_warn(&d, (struct bw_place){"a.yaml", 9, 3}, "y", "two");
    bw_diag_error(&d, (struct bw_place){"b.yaml", 1, 1}, "z", "three");
    bw_diag_error(&d, (struct bw_place){"a.yaml", 9, 1}, NULL, "four");
    bw_diag_error(&d, (struct bw_place){"a.yaml", 10, 2}, "x", "five");
    assert_int_equal(d.errors, 4);
    assert_int_equal(d.warnings, 1);
    assert_text(&d, "a.yaml:9:1: error: four\n"
                    "a.yaml:9:3: warning: y: two\n"
                    "a.yaml:10:2: error: x: one; do this\n"
                    "a.yaml:10:2: error: x: five\n"
                    "b.yaml:1:1: error: z: three\n");
}

TEST(a_flag_stands_for_its_key)
{
    struct bw_diag d = {0};

    bw_diag_error(&d, (struct bw_place){.file = "--cache-size"}, "cache.size", "is wrong");
    bw_diag_error(&d, (struct bw_place){0}, "cache", "is wrong");
    assert_text(&d, "--cache-size: error: is wrong\n"
                    "error: cache: is wrong\n");
}

TEST(what_a_file_holds_cannot_break_a_line)
{
    struct bw_diag d = {0};

    bw_diag_error(&d, (struct bw_place){"a\n.yaml", 1, 1}, "k\x7f", "\"%s\"", "x\ny\t\x1b[1m");
    assert_text(&d, "a?.yaml:1:1: error: k?: \"x?y??[1m\"\n");
}

TEST(a_thousand_mistakes_are_counted_and_some_are_shown)
{
    struct bw_diag d = {0};
    size_t lines = 0;

    for (int i = 0; i < 1000; i++)
        bw_diag_error(&d, (struct bw_place){"a.yaml", 1000 - i, 1}, "k", "wrong");
    for (size_t i = 0; i < d.text.len; i++)
        lines += d.text.base[i] == '\n';
    assert_int_equal(d.errors, 1000);
    assert_int_equal(lines, 64);
    bw_diag_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(lines_of_one_file_stand_in_its_order_whenever_they_are_said),
        RUN(a_flag_stands_for_its_key),
        RUN(what_a_file_holds_cannot_break_a_line),
        RUN(a_thousand_mistakes_are_counted_and_some_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
