/*
 * test_answer.c - bodies of our own, for people and for programs.
 */
#include "breakwater/http/answer.h"

#include "fields.h"

static const struct {
    const char *request;
    enum bw_answer_form form;
} forms[] = {
    {"accept: text/html,application/xhtml+xml,*/*;q=0.8", BW_ANSWER_HTML},
    {"accept: application/json", BW_ANSWER_JSON},
    {"accept: application/problem+json, */*", BW_ANSWER_JSON},
    {"accept: application/json, text/plain, */*", BW_ANSWER_JSON},
    {"accept: text/html;q=0.5, application/json", BW_ANSWER_JSON},
    {"accept: text/html, application/json;q=0.9", BW_ANSWER_HTML},
    {"accept: application/json;q=0", BW_ANSWER_HTML},
    {"accept: */*", BW_ANSWER_HTML},
    {"host: x", BW_ANSWER_HTML},
};

TEST(accept_chooses_the_form)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(forms); i++) {
        struct test_fields f;

        if (bw_answer_form(fields(&f, forms[i].request)) != forms[i].form)
            fail_msg("%s", forms[i].request);
    }
    assert_text(bw_answer_type(BW_ANSWER_HTML), "text/html; charset=utf-8");
    assert_text(bw_answer_type(BW_ANSWER_JSON), "application/problem+json");
}

TEST(a_program_reads_a_problem_document)
{
    struct bw_answer a = {502, BW_S("The \"origin\" failed."), BW_S("4f\"2")};
    struct bw_buf out = {0};

    bw_answer_body(&a, BW_ANSWER_JSON, &out);
    assert_text(bw_buf_view(&out), "{\"status\":502,\"title\":\"Bad Gateway\",\"detail\":\"The "
                                   "\\\"origin\\\" failed.\",\"request_id\":\"4f\\\"2\"}\n");
    bw_buf_clear(&out);
    a.request_id = bw_slice(NULL, 0);
    bw_answer_body(&a, BW_ANSWER_JSON, &out);
    assert_null(memmem(out.base, out.len, "request_id", 10));
    bw_buf_free(&out);
}

TEST(a_person_reads_a_page_in_which_everything_is_escaped)
{
    struct bw_answer a = {503, BW_S("<script>&"), BW_S("<id>")};
    struct bw_buf out = {0};

    bw_answer_body(&a, BW_ANSWER_HTML, &out);
    assert_non_null(memmem(out.base, out.len, "<h1>503 Service Unavailable</h1>", 32));
    assert_non_null(memmem(out.base, out.len, "&lt;script&gt;&amp;", 19));
    assert_non_null(memmem(out.base, out.len, "<code>&lt;id&gt;</code>", 23));
    assert_null(memmem(out.base, out.len, "<script>", 8));
    bw_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(accept_chooses_the_form),
        RUN(a_program_reads_a_problem_document),
        RUN(a_person_reads_a_page_in_which_everything_is_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
