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

TEST(interim_and_empty_answers_have_no_body)
{
    static const int without[] = {100, 103, 199, 204, 304};
    static const int with[] = {200, 203, 205, 206, 303, 305, 404, 500};

    for (size_t i = 0; i < BW_ARRAY_LEN(without); i++)
        assert_true(bw_status_has_no_body(without[i]));
    for (size_t i = 0; i < BW_ARRAY_LEN(with); i++)
        assert_false(bw_status_has_no_body(with[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_code_has_its_phrase_or_none),
        RUN(interim_and_empty_answers_have_no_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
