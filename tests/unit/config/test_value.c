/*
 * test_value.c - what the schema refuses: unknown keys, wrong types, units and ranges.
 */
#include "load.h"

static const struct refusal refused[] = {
    {"origin: http://app\n"
     "cache:\n"
     "  sise: 1GiB\n",
     "t.yaml:3:3: error: cache.sise: unknown key; did you mean \"size\"?"},
    {"origin: http://app\n"
     "purge: {from: 10.0.0.0/8}\n",
     "t.yaml:2:1: error: purge: unknown key; known here are listen, workers, hosts, "
     "trusted_proxies, "
     "origin, pools, cache, limits, admin, log, rules"},
    {"listen: {address: ':80', http3: on}\n"
     "origin: http://app\n",
     "t.yaml:1:26: error: listen.http3: unknown key; did you mean \"http2\"?"},
    {"origin: http://app\n"
     "workes: 3\n",
     "t.yaml:2:1: error: workes: unknown key; did you mean \"workers\"?"},
    {"", "t.yaml:1:1: error: origin: is missing; write origin: http://HOST:PORT, or give --origin"},
    {"workers: 2\n",
     "t.yaml:1:1: error: origin: is missing; write origin: http://HOST:PORT, or give --origin"},
    {"orgin: http://app\n", "t.yaml:1:1: error: orgin: unknown key; did you mean \"origin\"?"},
    {"pool: {app: {servers: http://a}}\n",
     "t.yaml:1:1: error: pool: unknown key; did you mean \"pools\"?"},
    {"pools: {}\n",
     "t.yaml:1:1: error: origin: is missing; write origin: http://HOST:PORT, or give --origin"},
    {"pools: {app: {balance: random}}\n", "t.yaml:1:14: error: pools.app.servers: is missing; "
                                          "write servers: https://app.example.net:8443"},
    {"pools: {app: {servers: []}}\n",
     "t.yaml:1:24: error: pools.app.servers: is empty; write at least one item or remove the key"},
    {"origin: http://app\n"
     "listen: []\n",
     "t.yaml:2:9: error: listen: is empty; write at least one item or remove the key"},
    {"origin:\n", "t.yaml:1:8: error: origin: is empty; write at least one item or remove the key"},
    {"origin: []\n",
     "t.yaml:1:9: error: origin: is empty; write at least one item or remove the key"},
    {"origin: http://app\n"
     "listen: {tls: {}}\n",
     "t.yaml:2:9: error: listen.address: is missing; write address: :8080\n"
     "t.yaml:2:15: error: listen.tls.certificates: is missing; write certificates: {certificate: "
     "site.crt, key: site.key}"},
    {"origin: http://app\n"
     "listen: {address: ':443', tls: {certificates: {certificate: /no/such.crt, key: "
     "/no/such.key}}}\n",
     "t.yaml:2:61: error: listen.tls.certificates.certificate: \"/no/such.crt\" cannot be read (No "
     "such file or directory); name a file that this user may read\n"
     "t.yaml:2:80: error: listen.tls.certificates.key: \"/no/such.key\" cannot be read (No such "
     "file or directory); name a file that this user may read"},
    {"origin: http://app\n"
     "listen: {address: ':443', tls: {certificates: {certificate: /, key: /etc/passwd}}}\n",
     "t.yaml:2:61: error: listen.tls.certificates.certificate: \"/\" is a folder; name a file in "
     "it"},
    {"origin: http://app\n"
     "cache: [a]\n",
     "t.yaml:2:8: error: cache: takes keys, not a list; write KEY: VALUE lines"},
    {"origin: http://app\n"
     "cache: {size: [1GiB]}\n",
     "t.yaml:2:15: error: cache.size: takes one value, not a list; remove the brackets or dashes"},
    {"origin: http://app\n"
     "cache: {size: {a: b}}\n",
     "t.yaml:2:15: error: cache.size: takes a value, not keys of its own; write the value behind "
     "the colon"},
    {"origin: http://app\n"
     "cache: {size: }\n",
     "t.yaml:2:15: error: cache.size: has no value; write one or remove the key"},
    {"origin: http://app\n"
     "cache: {size: 10}\n",
     "t.yaml:2:15: error: cache.size: \"10\" has no unit; write it with B, KiB, MiB, GiB or TiB, "
     "such as 64KiB"},
    {"origin: http://app\n"
     "cache: {size: 10GB}\n",
     "t.yaml:2:15: error: cache.size: \"10GB\" has an unknown unit; did you mean 10GiB?"},
    {"origin: http://app\n"
     "cache: {size: ten}\n",
     "t.yaml:2:15: error: cache.size: \"ten\" is not a size; write a number and B, KiB, MiB, GiB "
     "or TiB, such as 64KiB"},
    {"origin: http://app\n"
     "cache: {size: 10Q}\n",
     "t.yaml:2:15: error: cache.size: \"10Q\" has an unknown unit; write B, KiB, MiB, GiB or TiB, "
     "such as 64KiB"},
    {"origin: http://app\n"
     "cache: {size: 1.5GiB}\n",
     "t.yaml:2:15: error: cache.size: \"1.5GiB\" is not a size; write a number and B, KiB, MiB, "
     "GiB or TiB, such as 64KiB"},
    {"origin: http://app\n"
     "cache: {size: 99999999999TiB}\n",
     "t.yaml:2:15: error: cache.size: \"99999999999TiB\" is too much; write a smaller number"},
    {"origin: http://app\n"
     "cache: {size: 1KiB}\n",
     "t.yaml:2:15: error: cache.size: \"1KiB\" is too little; write 1MiB or more"},
    {"origin: http://app\n"
     "limits: {drain: 30}\n",
     "t.yaml:2:17: error: limits.drain: \"30\" has no unit; write 30s"},
    {"origin: http://app\n"
     "limits: {drain: 30sec}\n",
     "t.yaml:2:17: error: limits.drain: \"30sec\" has an unknown unit; did you mean 30s?"},
    {"origin: http://app\n"
     "limits: {drain: 30x}\n",
     "t.yaml:2:17: error: limits.drain: \"30x\" has an unknown unit; write ms, s, m, h or d, such "
     "as 10s"},
    {"origin: http://app\n"
     "limits: {drain: soon}\n",
     "t.yaml:2:17: error: limits.drain: \"soon\" is not a duration; write a number and ms, s, m, h "
     "or d, such as 10s"},
    {"origin: http://app\n"
     "limits: {drain: 2d}\n",
     "t.yaml:2:17: error: limits.drain: \"2d\" is too much; write 1d or less"},
    {"origin: http://app\n"
     "limits: {idle_timeout: 0s}\n",
     "t.yaml:2:24: error: limits.idle_timeout: \"0s\" is too little; write 1ms or more"},
    {"origin: http://app\n"
     "limits: {headers: 100KiB}\n",
     "t.yaml:2:19: error: limits.headers: \"100KiB\" is not a number; write digits only"},
    {"origin: http://app\n"
     "limits: {headers: 0}\n",
     "t.yaml:2:19: error: limits.headers: \"0\" is too little; write 1 or more"},
    {"origin: http://app\n"
     "limits: {requests_per_connection: never}\n",
     "t.yaml:2:35: error: limits.requests_per_connection: \"never\" is not a number; write digits "
     "only, or off"},
    {"origin: http://app\n"
     "limits: {head: off}\n",
     "t.yaml:2:16: error: limits.head: \"off\" is not a size; write a number and B, KiB, MiB, GiB "
     "or TiB, such as 64KiB"},
    {"origin: http://app\n"
     "workers: 0\n",
     "t.yaml:2:10: error: workers: \"0\" is too little; write 1 or more"},
    {"origin: http://app\n"
     "workers: many\n",
     "t.yaml:2:10: error: workers: \"many\" is not a number; write digits only, or auto"},
    {"origin: http://app\n"
     "workers: 257\n",
     "t.yaml:2:10: error: workers: \"257\" is too much; write 256 or less"},
    {"origin: http://app\n"
     "cache: {protect: hits}\n",
     "t.yaml:2:18: error: cache.protect: \"hits\" is not a choice; write requests, bytes or "
     "origin-time"},
    {"origin: http://app\n"
     "cache: {heuristic: yes}\n",
     "t.yaml:2:20: error: cache.heuristic: \"yes\" is not a choice; write off, on or all"},
    {"origin: http://app\n"
     "cache: {collapse: 3}\n",
     "t.yaml:2:19: error: cache.collapse: takes keys, not a value other than off; known here are "
     "waiters, wait"},
    {"origin: http://app\n"
     "cache: {directory: ''}\n",
     "t.yaml:2:20: error: cache.directory: is empty; write a value or remove the key"},
    {"pools: {origin: {servers: http://a, retry: {budget: 20}}}\n",
     "t.yaml:1:53: error: pools.origin.retry.budget: \"20\" has no unit; write 20%"},
    {"pools: {origin: {servers: http://a, retry: {budget: 200%}}}\n",
     "t.yaml:1:53: error: pools.origin.retry.budget: \"200%\" is too much; write 100% or less"},
    {"pools: {origin: {servers: http://a, retry: on}}\n",
     "t.yaml:1:44: error: pools.origin.retry: takes keys, not a value other than off; known here "
     "are times, budget"},
    {"pools: {'a b': {servers: http://a}}\n",
     "t.yaml:1:9: error: pools.a b: is no name; use at most 64 letters, digits, '-', '_' and '.'"},
    {"pools: [http://a]\n",
     "t.yaml:1:8: error: pools: takes named groups; write NAME: and its keys below it"},
};

TEST(what_the_schema_does_not_know_is_refused_with_a_cure)
{
    assert_refused(refused, BW_ARRAY_LEN(refused));
}

TEST(every_unit_counts_as_it_says)
{
    struct bw_conf *c = load("origin: http://app\n"
                             "limits: {head_timeout: 250ms, idle_timeout: 2s, send_timeout: 3m,\n"
                             "         body_timeout: 4h, drain: 1d, head: 2048B, body: 5TiB,\n"
                             "         body_rate: 1MiB}\n"
                             "cache: {size: 3GiB, max_object: 1KiB}\n");

    assert_int_equal(c->limits.head_timeout_ms, 250);
    assert_int_equal(c->limits.idle_timeout_ms, 2000);
    assert_int_equal(c->limits.send_timeout_ms, 180000);
    assert_int_equal(c->limits.body_timeout_ms, 14400000);
    assert_int_equal(c->limits.drain_ms, 86400000);
    assert_int_equal(c->limits.head, 2048);
    assert_int_equal(c->limits.body, INT64_C(5) << 40);
    assert_int_equal(c->limits.body_rate, 1 << 20);
    assert_int_equal(c->cache.size, INT64_C(3) << 30);
    assert_int_equal(c->cache.max_object, 1024);
    bw_conf_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(what_the_schema_does_not_know_is_refused_with_a_cure),
        RUN(every_unit_counts_as_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
