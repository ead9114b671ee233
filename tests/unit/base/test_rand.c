/*
 * test_rand.c - repeatable choices and secrets.
 */
#include "breakwater/base/rand.h"

#include "unit.h"

TEST(the_same_seed_gives_the_same_choices)
{
    struct bw_rand a, b, c;

    bw_rand_seed(&a, 7);
    bw_rand_seed(&b, 7);
    bw_rand_seed(&c, 8);
    for (int i = 0; i < 100; ++i) {
        uint64_t x = bw_rand_next(&a);
        assert_true(x == bw_rand_next(&b));
        assert_true(x != bw_rand_next(&c));
    }
}

TEST(a_seed_of_zero_is_a_seed)
{
    struct bw_rand r;

    bw_rand_seed(&r, 0);
    assert_true(bw_rand_next(&r) != 0 && bw_rand_next(&r) != bw_rand_next(&r));
}

TEST(a_choice_among_n_is_below_n_and_fair)
{
    struct bw_rand r;
    int seen[10] = {0};

    bw_rand_seed(&r, 1);
    for (int i = 0; i < 100000; ++i)
        ++seen[bw_rand_below(&r, 10)];
    for (size_t i = 0; i < BW_ARRAY_LEN(seen); ++i)
        assert_in_range(seen[i], 9500, 10500);
}

TEST(the_edges_of_a_choice_hold)
{
    struct bw_rand r;

    bw_rand_init(&r);
    for (int i = 0; i < 1000; ++i) {
        assert_true(bw_rand_below(&r, 1) == 0);
        assert_true(bw_rand_below(&r, UINT64_MAX) < UINT64_MAX);
        assert_true(bw_rand_below(&r, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

TEST(secrets_differ)
{
    unsigned char a[400] = {0}, b[400] = {0};

    bw_rand_secret(a, sizeof(a));
    bw_rand_secret(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a + 350, b + 350, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_same_seed_gives_the_same_choices),
        RUN(a_seed_of_zero_is_a_seed),
        RUN(a_choice_among_n_is_below_n_and_fair),
        RUN(the_edges_of_a_choice_hold),
        RUN(secrets_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
