/*
 * test_status.c - phrases of codes, known or not.
 */
#include "breakwater/http/status.h"

#include "fields.h"

TEST(a_code_has_its_phrase_or_none)
{
    assert_text(bw_status_reason(200), "OK");
    assert_text(bw_status_reason(100), "Continue");
    assert_text(bw_status_reason(416), "Range Not Satisfiable");
    assert_text(bw_status_reason(530), "Origin Not Found");
    assert_text(bw_status_reason(299), "");
    assert_text(bw_status_reason(99), "");
    assert_text(bw_status_reason(531), "");
    assert_text(bw_status_reason(-1), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_code_has_its_phrase_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
