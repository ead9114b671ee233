/*
 * test_http2_memory.c - blocks come back to those who ask for as many bytes, and what waits is
 * bounded.
 */
#include "../../../src/server/http2_priv.h"
#include "unit.h"

enum { MANY = 2000, KEPT_AT_MOST = 512 * 1024 };

static bool keeps_blocks(struct bw_h2_memory *m)
{
    bw_h2_memory_put(m, bw_h2_memory_take(m, 100));
    return bw_h2_memory_kept(m) > 0; /* not with AddressSanitizer */
}

TEST(a_block_that_was_put_is_taken_again)
{
    struct bw_h2_memory *m = bw_h2_memory_new();

    if (keeps_blocks(m)) {
        void *first = bw_h2_memory_take(m, 128);

        bw_h2_memory_put(m, first);
        assert_ptr_equal(bw_h2_memory_take(m, 65), first); /* of the same list */
        assert_int_equal(bw_h2_memory_kept(m), 0);
        bw_h2_memory_put(m, first);
    }
    bw_h2_memory_free(m);
}

TEST(blocks_of_all_sizes_hold_their_bytes)
{
    struct bw_h2_memory *m = bw_h2_memory_new();
    unsigned char *held[MANY];

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++) {
            held[i] = bw_h2_memory_take(m, i);
            assert_int_equal((uintptr_t)held[i] % 16, 0);
            memset(held[i], (int)(i % 251), i);
        }
        for (size_t i = 0; i < MANY; i++) {
            for (size_t at = 0; at < i; at++)
                assert_int_equal(held[i][at], i % 251);
            bw_h2_memory_put(m, held[i]);
        }
    }
    bw_h2_memory_free(m);
}

TEST(what_waits_on_the_lists_is_bounded)
{
    struct bw_h2_memory *m = bw_h2_memory_new();
    void *held[MANY];

    for (size_t i = 0; i < MANY; i++)
        held[i] = bw_h2_memory_take(m, 1280);
    for (size_t i = 0; i < MANY; i++)
        bw_h2_memory_put(m, held[i]);
    assert_true(bw_h2_memory_kept(m) <= KEPT_AT_MOST);
    bw_h2_memory_put(m, bw_h2_memory_take(m, 1 << 20)); /* too large for any list */
    bw_h2_memory_put(m, NULL);
    assert_true(bw_h2_memory_kept(m) <= KEPT_AT_MOST);
    bw_h2_memory_free(m);
}

TEST(a_zeroed_block_is_zero_though_it_was_used_before)
{
    struct bw_h2_memory *m = bw_h2_memory_new();
    nghttp2_mem *calls = bw_h2_memory_calls(m);
    unsigned char *p = calls->malloc(200, calls->mem_user_data);

    memset(p, 'x', 200);
    calls->free(p, calls->mem_user_data);
    p = calls->calloc(20, 10, calls->mem_user_data);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(p[i], 0);
    calls->free(p, calls->mem_user_data);
    bw_h2_memory_free(m);
}

TEST(a_block_that_grows_keeps_its_bytes)
{
    struct bw_h2_memory *m = bw_h2_memory_new();
    nghttp2_mem *calls = bw_h2_memory_calls(m);
    unsigned char *p = calls->realloc(NULL, 10, calls->mem_user_data);

    memset(p, 'x', 10);
    for (size_t n = 20; n < 100000; n *= 3) {
        p = calls->realloc(p, n, calls->mem_user_data);
        for (size_t i = 0; i < 10; i++)
            assert_int_equal(p[i], 'x');
        memset(p, 'x', n);
    }
    calls->free(p, calls->mem_user_data);
    bw_h2_memory_free(m);
}

TEST(a_size_that_no_memory_has_gets_none)
{
    struct bw_h2_memory *m = bw_h2_memory_new();
    nghttp2_mem *calls = bw_h2_memory_calls(m);

    assert_null(bw_h2_memory_take(m, SIZE_MAX));
    assert_null(calls->calloc(SIZE_MAX / 2, 3, calls->mem_user_data));
    bw_h2_memory_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_block_that_was_put_is_taken_again),
        RUN(blocks_of_all_sizes_hold_their_bytes),
        RUN(what_waits_on_the_lists_is_bounded),
        RUN(a_zeroed_block_is_zero_though_it_was_used_before),
        RUN(a_block_that_grows_keeps_its_bytes),
        RUN(a_size_that_no_memory_has_gets_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
