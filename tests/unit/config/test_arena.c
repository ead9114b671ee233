/*
 * test_arena.c - memory that dies together.
 */
#include "breakwater/config/arena.h"

#include "unit.h"

TEST(memory_is_zeroed_aligned_and_apart)
{
    struct bw_arena *a = bw_arena_new();
    unsigned char *last = NULL;

    for (size_t n = 1; n < 40000; n = n * 3 + 1) {
        unsigned char *p = bw_arena_alloc(a, n);

        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xFF, n);
        assert_true(last == NULL || *last == 0xFF);
        last = p;
    }
    bw_arena_free(a);
    bw_arena_free(NULL);
}

TEST(copies_end_with_a_zero)
{
    struct bw_arena *a = bw_arena_new();

    assert_string_equal(bw_arena_copy(a, BW_S("abc")), "abc");
    assert_string_equal(bw_arena_copy(a, bw_slice(NULL, 0)), "");
    assert_string_equal(bw_arena_printf(a, "%s-%d", "x", 7), "x-7");
    bw_arena_free(a);
}

static char order[4];

static void note(void *arg)
{
    strncat(order, arg, 1);
}

TEST(what_is_deferred_is_undone_backwards_when_the_arena_goes)
{
    static char x[] = "x", y[] = "y";
    struct bw_arena *a = bw_arena_new();

    order[0] = '\0';
    bw_arena_defer(a, note, x);
    bw_arena_defer(a, note, y);
    assert_string_equal(order, "");
    bw_arena_free(a);
    assert_string_equal(order, "yx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(memory_is_zeroed_aligned_and_apart),
        RUN(copies_end_with_a_zero),
        RUN(what_is_deferred_is_undone_backwards_when_the_arena_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
