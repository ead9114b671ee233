/*
 * test_environment.c - ${NAME} in values.
 */
#include "load.h"

#include <stdlib.h>

static const struct refusal refused[] = {
    {"origin: ${NO_SUCH}\n", "t.yaml:1:9: error: origin: the environment has no NO_SUCH; set it, "
                             "or write ${NO_SUCH:-default}"},
    {"origin: ${1x}\n", "t.yaml:1:9: error: origin: '${' does not begin ${NAME} or "
                        "${NAME:-default}; write $${ for a plain ${"},
    {"origin: ${X\n", "t.yaml:1:9: error: origin: '${' does not begin ${NAME} or ${NAME:-default}; "
                      "write $${ for a plain ${"},
    {"origin: ${BW_TEST_BAD}",
     "t.yaml:1:9: error: origin: the environment brings a control character or a line end; set it "
     "without"},
};

TEST(a_reference_that_stands_for_nothing_is_refused)
{
    setenv("BW_TEST_BAD", "http://a\nworkers: 1", 1);
    assert_refused(refused, BW_ARRAY_LEN(refused));
}

static void assert_url(const char *written, const char *url)
{
    char text[128];
    struct bw_conf *c;

    snprintf(text, sizeof(text), "origin: %s\n", written);
    c = load(text);
    assert_string_equal(c->pools[0].servers[0].url, url);
    bw_conf_put(c);
}

TEST(the_environment_is_filled_in_and_a_default_stands_for_what_is_unset_or_empty)
{
    setenv("BW_TEST_HOST", "app", 1);
    setenv("BW_TEST_EMPTY", "", 1);
    assert_url("http://${BW_TEST_HOST}", "http://app");
    assert_url("http://${BW_TEST_HOST:-other}:${BW_TEST_NO_PORT:-81}", "http://app:81");
    assert_url("http://${BW_TEST_EMPTY:-other}", "http://other");
    assert_url("http://other${BW_TEST_EMPTY}", "http://other");
}

TEST(a_doubled_dollar_is_a_plain_one)
{
    struct bw_conf *c = load("origin: http://app\n"
                             "log: {access: '/a/$${x}$$b$'}\n");

    assert_string_equal(c->log.access_to, "/a/${x}$$b$");
    bw_conf_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_reference_that_stands_for_nothing_is_refused),
        RUN(the_environment_is_filled_in_and_a_default_stands_for_what_is_unset_or_empty),
        RUN(a_doubled_dollar_is_a_plain_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
