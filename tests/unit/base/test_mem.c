/*
 * test_mem.c - allocations that do not fail.
 */
#include "breakwater/base/mem.h"

#include "unit.h"

#include <stdlib.h>

TEST(zeroed_memory_is_zero)
{
    static const char zeros[64];
    char *p = bw_zalloc(sizeof(zeros));

    assert_memory_equal(p, zeros, sizeof(zeros));
    free(p);
}

TEST(a_size_of_zero_gives_a_pointer)
{
    char *a = bw_alloc(0), *b = bw_zalloc(0), *c = bw_realloc(NULL, 0);

    assert_true(a != NULL && b != NULL && c != NULL);
    free(a);
    free(b);
    free(c);
}

TEST(realloc_keeps_the_bytes)
{
    char *p = bw_alloc(4);

    memcpy(p, "abcd", 4);
    p = bw_realloc(p, 4096);
    assert_memory_equal(p, "abcd", 4);
    free(p);
}

TEST(strings_are_copied_and_formatted)
{
    char *copy = bw_strdup("abc");
    char *made = bw_sprintf("%s-%03d", copy, 7);

    assert_string_equal(copy, "abc");
    assert_string_equal(made, "abc-007");
    free(copy);
    free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(zeroed_memory_is_zero),
        RUN(a_size_of_zero_gives_a_pointer),
        RUN(realloc_keeps_the_bytes),
        RUN(strings_are_copied_and_formatted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
