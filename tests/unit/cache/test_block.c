#include "breakwater/cache/block.h"

#include "unit.h"

TEST(a_chunk_is_four_blocks_and_a_checksum_in_sixteen_pages)
{
    assert_int_equal(BW_CHUNK_SIZE + 8 + 16, 16 * 4096);
}

TEST(the_last_reference_gives_the_bytes_back)
{
    struct bw_budget budget;

    bw_budget_init(&budget, 1 << 20);
    assert_true(bw_budget_take(&budget, BW_BLOCK_MEMORY));
    struct bw_block *b = bw_block_new(&budget);
    assert_int_equal(b->len, 0);
    bw_block_take(b);
    bw_block_put(b);
    assert_int_equal(bw_budget_used(&budget), BW_BLOCK_MEMORY);
    bw_block_put(b);
    assert_int_equal(bw_budget_used(&budget), 0);
}

TEST(a_block_on_an_account_goes_back_to_its_reserve)
{
    struct bw_budget budget;
    struct bw_account account;

    bw_budget_init(&budget, 1 << 20);
    assert_true(bw_account_open(&account, &budget, 2));
    size_t reserved = bw_budget_used(&budget);
    assert_true(bw_account_take(&account, 4));
    struct bw_block *b = bw_block_new_on(&account);
    bw_block_put(b);
    assert_int_equal(bw_budget_used(&budget), reserved);
    bw_account_close(&account);
    assert_int_equal(bw_budget_used(&budget), 0);
}

TEST(a_compact_copy_takes_what_its_bytes_need)
{
    struct bw_budget budget;
    struct bw_block *b, *compact;

    bw_budget_init(&budget, 1 << 20);
    assert_true(bw_budget_take(&budget, BW_BLOCK_MEMORY));
    b = bw_block_new(&budget);
    memcpy(b->bytes, "abc", 3);
    b->len = 3;
    compact = bw_block_compact(b, &budget);
    bw_block_put(b);
    assert_int_equal(bw_budget_used(&budget), bw_block_memory(compact));
    assert_in_range(bw_block_memory(compact), 3, 100);
    assert_int_equal(compact->len, 3);
    assert_memory_equal(compact->bytes, "abc", 3);
    bw_block_put(compact);
    assert_int_equal(bw_budget_used(&budget), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_chunk_is_four_blocks_and_a_checksum_in_sixteen_pages),
        RUN(the_last_reference_gives_the_bytes_back),
        RUN(a_block_on_an_account_goes_back_to_its_reserve),
        RUN(a_compact_copy_takes_what_its_bytes_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
