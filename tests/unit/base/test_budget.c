/*
 * test_budget.c - the memory budget: never above its limit, whoever takes at the same time.
 */
#include "breakwater/base/budget.h"

#include "unit.h"

#include <pthread.h>

TEST(a_budget_gives_up_to_its_limit_and_counts_what_it_refused)
{
    struct bw_budget b;

    bw_budget_init(&b, 100);
    assert_true(bw_budget_take(&b, 60));
    assert_false(bw_budget_take(&b, 41));
    assert_true(bw_budget_take(&b, 40));
    assert_false(bw_budget_take(&b, 1));
    assert_true(bw_budget_take(&b, 0));
    assert_int_equal(bw_budget_used(&b), 100);
    assert_int_equal(b.refused, 2);
    bw_budget_give(&b, 100);
    assert_int_equal(bw_budget_used(&b), 0);
}

TEST(the_last_eighth_is_kept_for_those_who_may_have_it)
{
    struct bw_budget b;

    bw_budget_init(&b, 800);
    assert_true(bw_budget_take_above_reserve(&b, 700));
    assert_false(bw_budget_take_above_reserve(&b, 1));
    assert_true(bw_budget_take(&b, 100));
    assert_false(bw_budget_take_above_reserve(&b, 0));
}

TEST(a_huge_wish_does_not_wrap_around)
{
    struct bw_budget b;

    bw_budget_init(&b, 100);
    assert_true(bw_budget_take(&b, 50));
    assert_false(bw_budget_take(&b, SIZE_MAX));
    assert_false(bw_budget_take(&b, SIZE_MAX - 10));
    assert_int_equal(bw_budget_used(&b), 50);
}

TEST(what_cannot_be_refused_is_counted_and_others_wait_for_it)
{
    struct bw_budget b;

    bw_budget_init(&b, 100);
    bw_budget_force(&b, 130);
    assert_int_equal(bw_budget_used(&b), 130);
    assert_false(bw_budget_take(&b, 1));
    assert_false(bw_budget_take_above_reserve(&b, 0));
    bw_budget_give(&b, 40);
    assert_true(bw_budget_take(&b, 10));
}

static void *take_and_give(void *arg)
{
    struct bw_budget *b = arg;

    for (int i = 0; i < 20000; ++i) {
        if (!bw_budget_take(b, 40))
            continue;
        BW_ASSERT(bw_budget_used(b) <= b->limit);
        bw_budget_give(b, 40);
    }
    return NULL;
}

TEST(threads_together_never_take_more_than_there_is)
{
    struct bw_budget b;
    pthread_t threads[4];

    bw_budget_init(&b, 100);
    for (size_t i = 0; i < BW_ARRAY_LEN(threads); ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &b), 0);
    for (size_t i = 0; i < BW_ARRAY_LEN(threads); ++i)
        pthread_join(threads[i], NULL);
    assert_int_equal(bw_budget_used(&b), 0);
}

TEST(the_machine_has_a_plausible_amount_of_memory)
{
    size_t limit = bw_budget_machine_limit();

    assert_true(limit >= (size_t)16 << 20);
    assert_true(limit < SIZE_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_budget_gives_up_to_its_limit_and_counts_what_it_refused),
        RUN(the_last_eighth_is_kept_for_those_who_may_have_it),
        RUN(a_huge_wish_does_not_wrap_around),
        RUN(what_cannot_be_refused_is_counted_and_others_wait_for_it),
        RUN(threads_together_never_take_more_than_there_is),
        RUN(the_machine_has_a_plausible_amount_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
