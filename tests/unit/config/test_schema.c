/*
 * test_schema.c - the table is sound, and a wrong word finds the right one.
 */
#include "breakwater/config/schema.h"
#include "breakwater/config/value.h"

#include "unit.h"

TEST(every_row_stands_behind_its_parent)
{
    size_t n;
    const struct bw_schema *table = bw_schema_table(&n);

    for (size_t i = 0; i < n; i++) {
        const char *dot = strrchr(table[i].path, '.');
        size_t len = dot != NULL ? (size_t)(dot - table[i].path) : 0, k = 0;

        while (dot != NULL && k < i &&
               !(strlen(table[k].path) == len && memcmp(table[k].path, table[i].path, len) == 0))
            k++;
        if (dot != NULL && k == i)
            fail_msg("%s has no parent before it", table[i].path);
    }
}

TEST(every_row_has_prose_and_a_default_or_example_of_its_own_type)
{
    size_t n;
    const struct bw_schema *table = bw_schema_table(&n);

    for (size_t i = 0; i < n; i++) {
        const struct bw_schema *s = &table[i];
        const char *text = s->fallback != NULL ? s->fallback : s->example;
        struct bw_scalar scalar;
        struct bw_buf why = {0};

        assert_true(strlen(s->prose) > 0 && strlen(s->prose) < 100);
        assert_true(s->words != NULL || s->type != BW_SCHEMA_WORD);
        if (text == NULL)
            assert_non_null(bw_schema_next(s, NULL));
        else if (!bw_scalar_read(s, text, &scalar, &why) && text[0] != '{' && text[0] != '[')
            fail_msg("%s: %.*s", s->path, (int)why.len, why.base);
        bw_buf_free(&why);
    }
}

TEST(not_any_and_all_hold_what_match_holds)
{
    const struct bw_schema *rules = bw_schema_find(bw_schema_root(), "rules");
    const struct bw_schema *match = bw_schema_find(rules, "match");
    const struct bw_schema *not = bw_schema_find(match, "not");

    assert_ptr_equal(bw_schema_find(not, "host"), bw_schema_find(match, "host"));
    assert_ptr_equal(bw_schema_find(bw_schema_find(not, "any"), "not"), not );
    assert_null(bw_schema_find(match, "ttl"));
}

static const char *suggest(const char *word)
{
    struct bw_suggestion s = {.word = word};
    const char *const known[] = {"size", "directory", "durability", "protect", "max_object"};

    for (size_t i = 0; i < BW_ARRAY_LEN(known); i++)
        bw_suggest(&s, known[i]);
    return s.best;
}

TEST(a_word_that_is_nearly_right_finds_the_right_one)
{
    assert_string_equal(suggest("sise"), "size");
    assert_string_equal(suggest("Size"), "size");
    assert_string_equal(suggest("directry"), "directory");
    assert_string_equal(suggest("max-object"), "max_object");
    assert_string_equal(suggest("maxobject"), "max_object");
    assert_null(suggest("memory"));
    assert_null(suggest("s"));
    assert_null(suggest(""));
}

static void assert_printed(enum bw_schema_type type, uint64_t number, const char *expected)
{
    struct bw_buf out = {0};

    bw_scalar_print(type, number, &out);
    bw_buf_char(&out, '\0');
    assert_string_equal(out.base, expected);
    bw_buf_free(&out);
}

TEST(numbers_are_printed_with_the_largest_unit_that_fits)
{
    assert_printed(BW_SCHEMA_SIZE, 65536, "64KiB");
    assert_printed(BW_SCHEMA_SIZE, 1000, "1000B");
    assert_printed(BW_SCHEMA_SIZE, 0, "0B");
    assert_printed(BW_SCHEMA_SIZE, UINT64_C(3) << 30, "3GiB");
    assert_printed(BW_SCHEMA_DURATION, 1500, "1500ms");
    assert_printed(BW_SCHEMA_DURATION, 90000, "90s");
    assert_printed(BW_SCHEMA_DURATION, 0, "0ms");
    assert_printed(BW_SCHEMA_LIFETIME, 86400, "1d");
    assert_printed(BW_SCHEMA_LIFETIME, 0, "0s");
    assert_printed(BW_SCHEMA_PERCENT, 20, "20%");
    assert_printed(BW_SCHEMA_COUNT, 7, "7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(every_row_stands_behind_its_parent),
        RUN(every_row_has_prose_and_a_default_or_example_of_its_own_type),
        RUN(not_any_and_all_hold_what_match_holds),
        RUN(a_word_that_is_nearly_right_finds_the_right_one),
        RUN(numbers_are_printed_with_the_largest_unit_that_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
