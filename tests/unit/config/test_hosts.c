/*
 * test_hosts.c - which names are served.
 */
#include "load.h"

static bool have(const char *text, const char *host)
{
    struct bw_conf *c = load(text);
    bool answer = bw_hosts_have(&c->hosts, bw_slice_str(host));

    bw_conf_put(c);
    return answer;
}

#define ORIGIN "origin: http://app\n"
#define LIST                                                                                       \
    ORIGIN "hosts: [example.net, \"*.shop.example\", \"10.0.0.1\", \"[::1]\", WWW.Example.ORG]\n"

static const struct {
    const char *host;
    bool served;
} rows[] = {
    {"example.net", true},
    {"www.example.org", true},
    {"10.0.0.1", true},
    {"[::1]", true},
    {"de.shop.example", true},
    {"a.b.shop.example", true},
    {"shop.example", false},
    {".shop.example", false},
    {"workshop.example", false},
    {"shop.example.evil", false},
    {"de.shop.example.evil", false},
    {"www.example.net", false},
    {"example.ne", false},
    {"xample.net", false},
    {"net", false},
    {"10.0.0.10", false},
    {"", false},
    {".", false},
};

TEST(a_host_is_served_that_is_named_or_is_below_a_name_with_a_star)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(rows); i++)
        if (have(LIST, rows[i].host) != rows[i].served)
            fail_msg("%s: served is not %d", rows[i].host, rows[i].served);
}

TEST(without_a_list_every_host_is_served)
{
    assert_true(have(ORIGIN, "example.net"));
    assert_true(have(ORIGIN, ""));
    assert_true(have(ORIGIN "hosts: any\n", "example.net"));
}

TEST(each_of_a_thousand_names_is_found_and_no_other)
{
    struct bw_buf text = {0};
    struct bw_conf *c;
    char host[32];

    bw_buf_str(&text, ORIGIN "hosts:\n");
    for (unsigned i = 0; i < 2000; i += 2)
        bw_buf_printf(&text, "- \"%sn%u.example\"\n", i % 4 == 0 ? "" : "*.", i);
    bw_buf_char(&text, '\0');
    c = load(text.base);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(host, sizeof(host), "a.n%u.example", i);
        assert_int_equal(bw_hosts_have(&c->hosts, bw_slice_str(host + 2)), i % 4 == 0);
        assert_int_equal(bw_hosts_have(&c->hosts, bw_slice_str(host)), i % 4 == 2);
    }
    bw_conf_put(c);
    bw_buf_free(&text);
}

static const struct refusal refused[] = {
    {ORIGIN "hosts: []\n",
     "t.yaml:2:8: error: hosts: is empty; write at least one item or remove the key"},
    {ORIGIN "hosts: \"*\"\n",
     "t.yaml:2:8: error: hosts: \"*\" is no host; write any for every host"},
    {ORIGIN "hosts: [any, a.example]\n",
     "t.yaml:2:8: error: hosts: any is every host; remove it, or all others"},
    {ORIGIN "hosts: [a.example, b.example, A.example]\n",
     "t.yaml:2:31: error: hosts[3]: \"A.example\" stands there twice; remove one"},
    {ORIGIN "hosts: [a.example, \"a.example:80\"]\n",
     "t.yaml:2:20: error: hosts[2]: \"a.example:80\" has a port or a scheme; write the name alone"},
    {ORIGIN "hosts: a.example.\n", "t.yaml:2:8: error: hosts: \"a.example.\" is no host; write a "
                                   "name such as example.net or *.example.net"},
    {ORIGIN "hosts: \"a.*.example\"\n",
     "t.yaml:2:8: error: hosts: \"a.*.example\" is no host; write "
     "a name such as example.net or *.example.net"},
    {ORIGIN "hosts: a.example\nrules: [{match: {host: b.example}, ttl: 1m}]\n",
     "t.yaml:3:24: warning: rules[1].match.host: \"b.example\" is never let in; add it to hosts, "
     "or "
     "remove it here"},
};

TEST(what_is_no_host_or_contradicts_is_said)
{
    assert_refused(refused, BW_ARRAY_LEN(refused));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_host_is_served_that_is_named_or_is_below_a_name_with_a_star),
        RUN(without_a_list_every_host_is_served),
        RUN(each_of_a_thousand_names_is_found_and_no_other),
        RUN(what_is_no_host_or_contradicts_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
