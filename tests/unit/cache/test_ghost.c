#include "breakwater/cache/ghost.h"

#include "unit.h"

static uint64_t prefix_of(uint64_t i)
{
    i = (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    return i ^ (i >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
}

TEST(a_frequency_is_remembered_once)
{
    struct bw_ghosts g = {0};

    bw_ghosts_fit(&g, 1);
    assert_int_equal(bw_ghost_take(&g, prefix_of(1)), 0);
    bw_ghost_put(&g, prefix_of(1), 7, 0);
    bw_ghost_put(&g, prefix_of(1), 9, 0);
    assert_int_equal(bw_ghost_take(&g, prefix_of(1)), 9);
    assert_int_equal(bw_ghost_take(&g, prefix_of(1)), 0);
    bw_ghosts_free(&g);
}

TEST(a_small_frequency_is_exact_and_a_large_one_loses_less_than_a_sixteenth)
{
    struct bw_ghosts g = {0};

    bw_ghosts_fit(&g, 1);
    for (uint32_t f = 1; f < 70000; f += 1 + f / 100) {
        bw_ghost_put(&g, prefix_of(1), f, 0);
        uint32_t most = f < 65535 ? f : 65535;
        assert_in_range(bw_ghost_take(&g, prefix_of(1)), f < 32 ? f : most - most / 16, most);
    }
    bw_ghosts_free(&g);
}

TEST(a_sparse_table_that_grows_forgets_nothing)
{
    struct bw_ghosts g = {0};
    unsigned known = 0;

    bw_ghosts_fit(&g, 16);
    for (uint64_t i = 0; i < 16; i++)
        bw_ghost_put(&g, prefix_of(i), 3, 0);
    bw_ghosts_fit(&g, 65);
    assert_int_equal(g.n, 128);
    bw_ghosts_fit(&g, 10000);
    assert_in_range(g.n, 10000, 19999);
    for (uint64_t i = 0; i < 16; i++)
        known += bw_ghost_take(&g, prefix_of(i)) == 3;
    assert_int_equal(known, 16);
    bw_ghosts_free(&g);
}

TEST(there_are_fewer_than_two_slots_for_each_resident)
{
    struct bw_ghosts g = {0};

    for (uint32_t residents = 64; residents < 3000000; residents += residents / 100 + 1) {
        bw_ghosts_fit(&g, residents);
        assert_in_range(g.n, residents, 2 * residents - 1);
    }
    bw_ghosts_free(&g);
}

/* All in one bucket: tags that differ in their lowest bits only. */
static uint64_t neighbour(uint64_t i)
{
    return (2 * i) << 32;
}

TEST(the_least_frequent_gives_way_and_age_halves_it)
{
    struct bw_ghosts g = {0};

    bw_ghosts_fit(&g, 1);
    for (uint64_t i = 0; i < 4; i++)
        bw_ghost_put(&g, neighbour(i), 10 + (uint32_t)i, 0);
    bw_ghost_put(&g, neighbour(4), 1, 0);
    assert_int_equal(bw_ghost_take(&g, neighbour(0)), 0);
    assert_int_equal(bw_ghost_take(&g, neighbour(4)), 1);
    assert_int_equal(bw_ghost_take(&g, neighbour(1)), 11);

    /* 64 eras later the old ones count a sixteenth */
    bw_ghost_put(&g, neighbour(5), 5, 64);
    bw_ghost_put(&g, neighbour(6), 5, 64);
    bw_ghost_put(&g, neighbour(7), 5, 64);
    bw_ghost_put(&g, neighbour(8), 5, 64);
    for (uint64_t i = 5; i <= 8; i++)
        assert_int_equal(bw_ghost_take(&g, neighbour(i)), 5);
    bw_ghosts_free(&g);
}

/* The count of eras begins again at 256 and again at 65,536: age goes on. */
TEST(age_goes_on_when_the_count_of_eras_begins_again)
{
    struct bw_ghosts g = {0};

    bw_ghosts_fit(&g, 1);
    for (uint64_t i = 0; i < 3; i++)
        bw_ghost_put(&g, neighbour(i), 9, UINT16_MAX);
    bw_ghost_put(&g, neighbour(3), 200, (uint16_t)(UINT16_MAX - 200));
    bw_ghost_put(&g, neighbour(4), 1, 3);
    assert_int_equal(bw_ghost_take(&g, neighbour(3)), 0);
    assert_int_equal(bw_ghost_take(&g, neighbour(0)), 9);
    bw_ghosts_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_frequency_is_remembered_once),
        RUN(a_small_frequency_is_exact_and_a_large_one_loses_less_than_a_sixteenth),
        RUN(a_sparse_table_that_grows_forgets_nothing),
        RUN(there_are_fewer_than_two_slots_for_each_resident),
        RUN(the_least_frequent_gives_way_and_age_halves_it),
        RUN(age_goes_on_when_the_count_of_eras_begins_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
