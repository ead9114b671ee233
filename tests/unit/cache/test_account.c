/*
 * test_account.c - the memory of a fill: what is reserved, what is taken, what comes back.
 */
#include "breakwater/cache/block.h"

#include "unit.h"

#include <pthread.h>

enum { BLOCKS = 80 }; /* in the pool; the last 10 are for new accounts */

static const size_t one = BW_BLOCK_MEMORY;

static void pool(struct bw_budget *b, struct bw_account *a, uint32_t reserve)
{
    bw_budget_init(b, BLOCKS * one);
    assert_true(bw_account_open(a, b, reserve));
}

static size_t used(const struct bw_budget *b)
{
    return bw_budget_used(b) / one;
}

TEST(an_account_is_charged_its_reserve_or_its_blocks_whichever_is_more)
{
    struct bw_budget b;
    struct bw_account a;

    pool(&b, &a, 4);
    assert_int_equal(used(&b), 4);
    for (unsigned i = 0; i < 6; i++)
        assert_true(bw_account_take(&a, 100));
    assert_int_equal(used(&b), 6);
    assert_false(bw_account_covered(&a));
    for (unsigned i = 0; i < 3; i++)
        bw_account_release(&a);
    assert_int_equal(used(&b), 4);
    assert_true(bw_account_covered(&a));
    for (unsigned i = 0; i < 3; i++)
        bw_account_release(&a);
    bw_account_close(&a);
    assert_int_equal(used(&b), 0);
}

TEST(an_account_cannot_be_opened_without_memory)
{
    struct bw_budget b;
    struct bw_account a;

    bw_budget_init(&b, 2 * one);
    assert_false(bw_account_open(&a, &b, 3));
    assert_int_equal(used(&b), 0);
}

TEST(the_reserve_is_there_when_the_pool_is_full)
{
    struct bw_budget b;
    struct bw_account a;

    pool(&b, &a, 2);
    assert_true(bw_budget_take(&b, 78 * one));
    assert_true(bw_account_take(&a, 100));
    assert_true(bw_account_take(&a, 100));
    assert_false(bw_account_take(&a, 100));
    bw_account_release(&a);
    assert_true(bw_account_take(&a, 100));
    bw_account_force(&a);
    assert_int_equal(used(&b), 81);
    for (unsigned i = 0; i < 3; i++)
        bw_account_release(&a);
    bw_account_close(&a);
    assert_int_equal(used(&b), 78);
}

TEST(the_last_eighth_is_for_new_accounts_and_for_what_is_lent)
{
    struct bw_budget b;
    struct bw_account a;

    pool(&b, &a, 1);
    assert_true(bw_budget_take(&b, 69 * one));
    assert_true(bw_account_take(&a, 100));
    assert_false(bw_account_take(&a, 100));
    assert_false(bw_account_reserve(&a, 2));
    assert_true(bw_account_lend(&a, 4));
    assert_int_equal(used(&b), 73);
    assert_true(bw_account_take(&a, 100));
    assert_false(bw_account_lend(&a, 100));
    assert_int_equal(used(&b), 73);
    assert_true(bw_account_reserve(&a, 0));
    assert_int_equal(used(&b), 71);
    bw_account_release(&a);
    bw_account_release(&a);
    bw_account_close(&a);
    assert_int_equal(used(&b), 69);
}

TEST(no_more_blocks_than_allowed_are_taken_above_the_reserve)
{
    struct bw_budget b;
    struct bw_account a;

    pool(&b, &a, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_true(bw_account_take(&a, 2));
    assert_false(bw_account_take(&a, 2));
    assert_true(bw_account_tight(&a, 6));
    assert_false(bw_account_tight(&a, 7));
    for (unsigned i = 0; i < 3; i++)
        bw_account_release(&a);
    bw_account_close(&a);
}

static void *come_and_go(void *account)
{
    struct bw_account *a = account;

    for (unsigned i = 0; i < 20000; i++) {
        unsigned n = 0;

        while (n < i % 5 && bw_account_take(a, 12))
            n++;
        if (i % 7 == 0)
            bw_account_reserve(a, i % 4);
        if (i % 11 == 0) {
            bw_account_force(a);
            n++;
        }
        while (n-- != 0)
            bw_account_release(a);
    }
    return NULL;
}

TEST(whatever_runs_beside_each_other_every_block_is_paid_once)
{
    struct bw_budget b;
    struct bw_account a;
    pthread_t t[3];

    pool(&b, &a, 3);
    for (size_t i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, come_and_go, &a);
    for (size_t i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    assert_true(bw_account_reserve(&a, 3));
    assert_int_equal(used(&b), 3);
    bw_account_close(&a);
    assert_int_equal(bw_budget_used(&b), 0);
}

TEST(a_block_gives_its_bytes_back_with_the_last_reference)
{
    struct bw_budget b;
    struct bw_account a;
    struct bw_block *of_pool, *of_account;

    pool(&b, &a, 0);
    assert_true(bw_budget_take(&b, one));
    of_pool = bw_block_new(&b);
    assert_true(bw_account_take(&a, 100));
    of_account = bw_block_new_on(&a);
    bw_block_take(of_account);
    bw_block_put(of_account);
    assert_int_equal(used(&b), 2);
    bw_block_put(of_account);
    assert_int_equal(used(&b), 1);
    bw_block_put(of_pool);
    assert_int_equal(bw_budget_used(&b), 0);
    bw_account_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(an_account_is_charged_its_reserve_or_its_blocks_whichever_is_more),
        RUN(an_account_cannot_be_opened_without_memory),
        RUN(the_reserve_is_there_when_the_pool_is_full),
        RUN(the_last_eighth_is_for_new_accounts_and_for_what_is_lent),
        RUN(no_more_blocks_than_allowed_are_taken_above_the_reserve),
        RUN(whatever_runs_beside_each_other_every_block_is_paid_once),
        RUN(a_block_gives_its_bytes_back_with_the_last_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
