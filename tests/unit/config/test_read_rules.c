/*
 * test_read_rules.c - rules that make no sense are refused, those without effect warned about.
 */
#include "load.h"

static const struct refusal refused[] = {
    {"origin: http://app\n"
     "rules:\n"
     "  - {name: a, cache: auto}\n"
     "  - {name: a, set_cookie: keep}\n",
     "t.yaml:4:12: error: rules[a]: an earlier rule has the same name; choose another"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {name: a}\n",
     "t.yaml:3:5: warning: rules[a]: sets nothing; add a setting such as ttl: 10m"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {pool: origine}\n",
     "t.yaml:3:12: error: rules[1].pool: there is no pool \"origine\"; did you mean \"origin\"?"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {pool: other}\n",
     "t.yaml:3:12: error: rules[1].pool: there is no pool \"other\"; add it to pools, beside "
     "\"origin\""},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {host: 'example.net:80'}, ttl: 1m}\n",
     "t.yaml:3:20: error: rules[1].match.host: \"example.net:80\" has a port or a scheme; write "
     "the name alone"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {host: '*'}, ttl: 1m}\n",
     "t.yaml:3:20: error: rules[1].match.host: \"*\" is no host; write a name such as example.net "
     "or *.example.net"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {path: assets}, ttl: 1m}\n",
     "t.yaml:3:20: error: rules[1].match.path: \"assets\" does not start with '/'; write /..., a "
     "glob *... or ~REGEX"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {path: /a?b}, ttl: 1m}\n",
     "t.yaml:3:20: error: rules[1].match.path: \"/a?b\" goes on behind the path; match the query "
     "by the key query"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {path: /a/../b}, ttl: 1m}\n",
     "t.yaml:3:20: error: rules[1].match.path: \"/a/../b\" is never seen in this form; write "
     "\"/b\""},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {path: /%7ea}, ttl: 1m}\n",
     "t.yaml:3:20: error: rules[1].match.path: \"/%7ea\" is never seen in this form; write "
     "\"/~a\""},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {path: '/m\303\274nchen'}, ttl: 1m}\n",
     "t.yaml:3:20: error: rules[1].match.path: \"/m\303\274nchen\" holds a byte that no "
     "request has; write it as %XX"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {path: '~(a'}, ttl: 1m}\n",
     "t.yaml:3:20: error: rules[1].match.path: \"~(a\" is no regex (missing closing parenthesis at "
     "byte 3); correct it, or write a glob"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {extension: .jpg}}\n", /* and no word about setting nothing */
     "t.yaml:3:25: error: rules[1].match.extension: \".jpg\" has a dot; write jpg, what follows "
     "the last dot"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {extension: '*.jpg'}, ttl: 1m}\n",
     "t.yaml:3:25: error: rules[1].match.extension: \"*.jpg\" is no extension; write a word such "
     "as jpg, or match the path"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {method: get}, ttl: 1m}\n",
     "t.yaml:3:22: error: rules[1].match.method: \"get\" is no method that is used; methods are in "
     "upper case"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {method: 'G T'}, ttl: 1m}\n",
     "t.yaml:3:22: error: rules[1].match.method: \"G T\" is no method; write such as GET"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {scheme: ftp}, ttl: 1m}\n",
     "t.yaml:3:22: error: rules[1].match.scheme: \"ftp\" is not a choice; write http or https"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {header: 'a b'}, ttl: 1m}\n",
     "t.yaml:3:22: error: rules[1].match.header: \"a b\" is no name; write one without blanks"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {header: {}}, ttl: 1m}\n",
     "t.yaml:3:22: error: rules[1].match.header: is empty; write {NAME: VALUE} or remove the key"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {host: []}, ttl: 1m}\n",
     "t.yaml:3:20: error: rules[1].match.host: is empty; write at least one item or remove the "
     "key"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {not: {}}, ttl: 1m}\n",
     "t.yaml:3:19: error: rules[1].match.not: excludes everything; write what is not to match"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {path: /x, not: {path: /x}}, ttl: 1m}\n",
     "t.yaml:3:29: error: rules[1].match.not: excludes all that the rest asks for, so nothing ever "
     "matches; remove one"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {match: {cookie: [[a]]}, ttl: 1m}\n",
     "t.yaml:3:23: error: rules[1].match.cookie[1]: a list in a list; write one list"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: 10}\n",
     "t.yaml:3:11: error: rules[1].ttl: \"10\" has no unit; write 10s"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: 500ms}\n",
     "t.yaml:3:11: error: rules[1].ttl: \"500ms\" is not in whole seconds; write s, m, h or d"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: off}\n",
     "t.yaml:3:11: error: rules[1].ttl: \"off\" is not a duration; write a number and s, m, h or "
     "d, such as 10m"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: {fixed: 1m, default: 1m}}\n",
     "t.yaml:3:32: error: rules[1].ttl.default: contradicts ttl.fixed, which leaves nothing to "
     "default; remove one of the two"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: {fixed: 1m, max: 1m}}\n",
     "t.yaml:3:28: error: rules[1].ttl.max: contradicts ttl.fixed, which leaves nothing to limit; "
     "remove one of the two"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: {default: 2m, max: 1m}}\n",
     "t.yaml:3:21: error: rules[1].ttl.default: is more than ttl.max; write 1m or less"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: {status: {40x: 1m}}}\n",
     "t.yaml:3:26: error: rules[1].ttl.status.40x: \"40x\" is no status; write such as 404, 4xx or "
     "500-504"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: {status: {404: never}}}\n",
     "t.yaml:3:26: error: rules[1].ttl.status.404: \"never\" is not a duration; write a number and "
     "s, m, h or d, such as 10m, or off"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: {status: 404}}\n",
     "t.yaml:3:20: error: rules[1].ttl.status: takes statuses with a lifetime each; write {404: "
     "30s, 5xx: off}"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {ttl: {status: {400-410: 1m, 405-420: 2m}}}\n",
     "t.yaml:3:20: error: rules[1].ttl.status: 400-410 and 405-420 overlap; let one hold the "
     "other, or neither"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {cache: bypass, ttl: 1m}\n",
     "t.yaml:3:26: error: rules[1].ttl: contradicts cache: bypass, which keeps nothing; remove one "
     "of the two"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {cache: sometimes}\n",
     "t.yaml:3:13: error: rules[1].cache: \"sometimes\" is not a choice; write auto, always or "
     "bypass"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {browser_ttl: off}\n",
     "t.yaml:3:19: error: rules[1].browser_ttl: \"off\" is not a duration; write a number and s, "
     "m, h or d, such as 10m, or respect"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {stale: 1m}\n",
     "t.yaml:3:13: error: rules[1].stale: takes keys, not a value other than off; known here are "
     "while_revalidating, on_error"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {key: {headers: 'a b'}}\n",
     "t.yaml:3:21: error: rules[1].key.headers: \"a b\" is no name; write one without blanks and "
     "wildcards"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {name: old, match: {path: /a, method: GET}, ttl: 1m}\n"
     "  - {name: new, match: {path: /a}, ttl: 2m}\n",
     "t.yaml:3:5: warning: rules[old]: has no effect, \"new\" in line 4 overrides it; remove it or "
     "put it behind"},
    {"origin: http://app\n"
     "rules:\n"
     "  - {name: old, ttl: {max: 1m}}\n"
     "  - {name: new, ttl: 2m}\n",
     "t.yaml:3:5: warning: rules[old]: has no effect, \"new\" in line 4 overrides it; remove it or "
     "put it behind"},
    {"origin: http://app\n"
     "rules:\n"
     "  - ttl: 1\n"
     "    pool: x\n"
     "    nam: y\n",
     "t.yaml:3:10: error: rules[1].ttl: \"1\" has no unit; write 1s\n"
     "t.yaml:5:5: error: rules[1].nam: unknown key; did you mean \"name\"?"},
};

TEST(a_rule_that_makes_no_sense_is_refused_or_warned_about)
{
    assert_refused(refused, BW_ARRAY_LEN(refused));
}

TEST(rules_that_differ_in_what_they_match_or_set_are_taken_as_they_are)
{
    struct bw_conf *c = load("origin: http://app\n"
                             "rules:\n"
                             "  - {match: {path: /a}, ttl: 1m}\n"
                             "  - {match: {path: /b}, ttl: 1m}\n"
                             "  - {match: {path: /a, method: GET}, ttl: 2m}\n"
                             "  - {match: {path: /a}, browser_ttl: 1m}\n");

    assert_int_equal(bw_rules_count(c->rules), 4);
    assert_string_equal(bw_rules_name(c->rules, 2), "rule 3");
    bw_conf_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_rule_that_makes_no_sense_is_refused_or_warned_about),
        RUN(rules_that_differ_in_what_they_match_or_set_are_taken_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
