/*
 * test_yaml.c - what is no usable YAML, and where; aliases; numbers of nodes.
 */
#include "load.h"

static const struct refusal refused[] = {
    {"a: [1\n", "t.yaml:2:1: error: not YAML (did not find expected ',' or ']'); check indentation "
                "(no tabs), quotes and brackets here"},
    {"a: b: c\n", "t.yaml:1:5: error: not YAML (mapping values are not allowed in this context); "
                  "check indentation (no tabs), quotes and brackets here"},
    {"- a\n", "t.yaml:1:1: error: the file is not a list of keys; write KEY: VALUE lines"},
    {"\tx: 1\n", "t.yaml:1:1: error: not YAML (found character that cannot start any token); check "
                 "indentation (no tabs), quotes and brackets here"},
    {"origin: \"\\x01\"\n", "t.yaml:1:9: error: origin: contains a control character or a line "
                            "end; write the value in one line"},
    {"origin: http://app\n"
     "---\n"
     "---\n"
     "a: 1\n",
     "t.yaml:3:1: error: a second document begins; remove the line with '---'"},
    {"origin: http://a\377\n", "t.yaml:1:17: error: not YAML (invalid leading UTF-8 octet); check "
                               "indentation (no tabs), quotes and brackets here"},
    {"origin: !url http://a\n",
     "t.yaml:1:9: error: origin: has a tag; remove the word that starts with '!'"},
    {"origin: http://a\n"
     "origin: http://b\n",
     "t.yaml:2:1: error: origin: is set twice, first in line 1; keep one"},
    {"cache:\n"
     "  size: 1GiB\n"
     "  size: 2GiB\n"
     "origin: http://app\n",
     "t.yaml:3:3: error: cache.size: is set twice, first in line 2; keep one"},
    {"? [a]\n"
     ": b\n",
     "t.yaml:1:3: error: has a key that is not a short word; write KEY: VALUE"},
    {"a: &a [*a]\n", "t.yaml:1:4: error: "
                     "a[1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1]["
                     "1][1][1][1][1][1][1]: nests or repeats too much; use fewer aliases"},
};

TEST(what_is_not_yaml_is_refused_with_its_place)
{
    assert_refused(refused, BW_ARRAY_LEN(refused));
}

TEST(an_alias_stands_for_a_copy)
{
    struct bw_conf *c = load("origin: http://app\n"
                             "rules:\n"
                             "  - {match: &pages {path: /a}, ttl: 1m}\n"
                             "  - {match: *pages, browser_ttl: 1m}\n");

    bw_conf_put(c);
}

TEST(aliases_that_unfold_to_a_billion_values_are_refused)
{
    struct bw_conf_flags none = {0};
    struct bw_diag said = {0};
    struct bw_conf *c = load_with("a: &a [1,1,1,1,1,1,1,1,1]\n"
                                  "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                                  "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                                  "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                                  "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
                                  "f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
                                  &none, &said);

    assert_null(c);
    assert_non_null(strstr(said.text.base, "nests or repeats too much; use fewer aliases\n"));
    assert_int_equal(said.errors, 1);
    bw_diag_free(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(what_is_not_yaml_is_refused_with_its_place),
        RUN(an_alias_stands_for_a_copy),
        RUN(aliases_that_unfold_to_a_billion_values_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
