/*
 * test_text.c - numbers at their ends.
 */
#include "breakwater/http/text.h"

#include "fields.h"

TEST(numbers_are_written_in_full)
{
    char out[32];

    assert_text(bw_slice(out, (size_t)(bw_text_u64(out, 0) - out)), "0");
    assert_text(bw_slice(out, (size_t)(bw_text_u64(out, UINT64_MAX) - out)),
                "18446744073709551615");
    assert_text(bw_slice(out, (size_t)(bw_text_i64(out, -7) - out)), "-7");
    assert_text(bw_slice(out, (size_t)(bw_text_i64(out, INT64_MIN) - out)), "-9223372036854775808");
    assert_text(bw_slice(out, (size_t)(bw_text_hex(out, 0xAB) - out)), "00000000000000ab");
}

TEST(words_follow_one_another)
{
    char out[32], *at = bw_text_slice(bw_text_str(out, "a"), BW_S("bc"));

    assert_text(bw_slice(out, (size_t)(bw_text_slice(at, bw_slice(NULL, 0)) - out)), "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(numbers_are_written_in_full),
        RUN(words_follow_one_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
