/*
 * test_err.c - each error has a word of its own.
 */
#include "breakwater/base/err.h"

#include "unit.h"

TEST(each_error_has_a_word_of_its_own)
{
    for (int i = BW_OK; i <= BW_ERR_BUSY; ++i) {
        assert_true(strlen(bw_err_name((enum bw_err)i)) > 0);
        for (int j = BW_OK; j < i; ++j)
            assert_string_not_equal(bw_err_name((enum bw_err)i), bw_err_name((enum bw_err)j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {RUN(each_error_has_a_word_of_its_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
