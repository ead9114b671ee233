/*
 * test_outcome.c - the words of outcomes and reasons, which others parse.
 */
#include "breakwater/http/outcome.h"

#include "unit.h"

static void assert_word(const char *word)
{
    assert_non_null(word);
    assert_true(strlen(word) > 0);
    assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz-"), strlen(word));
}

TEST(each_outcome_has_a_word_of_its_own)
{
    for (int i = 0; i < BW_OUTCOME_COUNT; ++i) {
        assert_word(bw_outcome_name((enum bw_outcome)i));
        for (int k = 0; k < i; ++k)
            assert_string_not_equal(bw_outcome_name((enum bw_outcome)i),
                                    bw_outcome_name((enum bw_outcome)k));
    }
}

TEST(each_reason_has_a_word_of_its_own)
{
    for (int i = 0; i < BW_REASON_COUNT; ++i) {
        assert_word(bw_reason_name((enum bw_reason)i));
        for (int k = 0; k < i; ++k)
            assert_string_not_equal(bw_reason_name((enum bw_reason)i),
                                    bw_reason_name((enum bw_reason)k));
    }
}

TEST(each_reason_has_a_sentence_that_needs_no_escaping)
{
    for (int i = 0; i < BW_REASON_COUNT; ++i) {
        const char *sentence = bw_reason_sentence((enum bw_reason)i);
        assert_in_range(sentence[0], 'A', 'Z');
        assert_int_equal(sentence[strlen(sentence) - 1], '.');
        assert_null(strpbrk(sentence, "<>&\"'\\"));
    }
}

TEST(the_words_that_are_documented_stay)
{
    assert_string_equal(bw_outcome_name(BW_OUTCOME_HIT), "hit");
    assert_string_equal(bw_outcome_name(BW_OUTCOME_REVALIDATED), "revalidated");
    assert_string_equal(bw_reason_name(BW_REASON_URI_MISS), "uri-miss");
    assert_string_equal(bw_reason_name(BW_REASON_FIRST_BYTE_TIMEOUT), "first-byte-timeout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(each_outcome_has_a_word_of_its_own),
        RUN(each_reason_has_a_word_of_its_own),
        RUN(each_reason_has_a_sentence_that_needs_no_escaping),
        RUN(the_words_that_are_documented_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
