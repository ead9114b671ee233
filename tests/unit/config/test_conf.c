/*
 * test_conf.c - whole configurations: defaults, flags, contradictions, references, the full form.
 */
#include "breakwater/base/budget.h"
#include "breakwater/base/log.h"

#include "load.h"

static const struct refusal refused[] = {
    {"origin: http://app\n"
     "listen: [':80', ':80']\n",
     "t.yaml:2:17: error: listen[2]: \":80\" is listened on twice; remove one"},
    {"origin: http://app\n"
     "listen: '127.0.0.1:9180'\n",
     "t.yaml:2:9: error: listen: \"127.0.0.1:9180\" is the address of admin too; choose another "
     "port for one"},
    {"origin: [http://a, http://a]\n", "t.yaml:1:20: error: origin[2]: \"http://a\" is in this "
                                       "pool twice; remove one, or give it a weight"},
    {"origin: http://a\n"
     "pools: {origin: {servers: http://b}}\n",
     "t.yaml:1:1: error: origin: is set twice, see pools.origin in t.yaml:2; keep one"},
    {"pools: {a: {servers: http://a, host: 'A b'}}\n",
     "t.yaml:1:38: error: pools.a.host: \"A b\" is no host name; write client, server or a name in "
     "lower case"},
    {"pools: {a: {servers: https://a, tls: {mode: full, trust: system}}}\n",
     "t.yaml:1:58: error: pools.a.tls.trust: is not looked at with mode: full; remove one of the "
     "two"},
    {"pools: {a: {servers: https://a, tls: {server_name: 'a:80'}}}\n",
     "t.yaml:1:52: error: pools.a.tls.server_name: \"a:80\" is no host name; write it in lower "
     "case, without port"},
    {"pools: {a: {servers: http://a, tls: {server_name: a}}}\n",
     "t.yaml:1:37: warning: pools.a.tls: no server of this pool has an https URL; write https:// "
     "or remove tls"},
    {"pools: {a: {servers: http://a, connections: {idle: 300}}}\n",
     "t.yaml:1:52: error: pools.a.connections.idle: is more than per_server allows; write 256 or "
     "less"},
    {"pools: {a: {servers: {url: http://a, weight: 0}}}\n",
     "t.yaml:1:46: error: pools.a.servers.weight: \"0\" is too little; write 1 or more"},
    {"origin: http://app\n"
     "cache: {size: 1GiB, max_object: 2GiB}\n",
     "t.yaml:2:33: error: cache.max_object: is more than cache.size; write 256MiB or less, or "
     "auto"},
    {"origin: http://app\n"
     "cache: {size: 1GiB, max_object: 512MiB}\n",
     "t.yaml:2:33: warning: cache.max_object: is more than a quarter of cache.size, one object may "
     "drive out most others; write 256MiB or less, or auto"},
    {"origin: http://app\n"
     "limits: {connections: 10, connections_per_address: 20}\n",
     "t.yaml:2:52: error: limits.connections_per_address: is more than limits.connections; write "
     "10 or less, or off"},
    {"origin: http://app\n"
     "limits: {methods: [PROPFIND, 'M SEARCH']}\n",
     "t.yaml:2:30: error: limits.methods[2]: \"M SEARCH\" is no method; write such as M-SEARCH"},
    {"origin: http://app\n"
     "limits: {methods: TRACE}\n",
     "t.yaml:2:19: error: limits.methods: TRACE is never passed on; remove it"},
    {"origin: http://app\n"
     "include: x.yaml\n",
     "t.yaml:2:1: error: include: works in a file only; put the text in here"},
};

TEST(what_contradicts_itself_is_refused_or_warned_about)
{
    assert_refused(refused, BW_ARRAY_LEN(refused));
}

TEST(a_file_of_one_line_is_enough)
{
    struct bw_conf *c = load("origin: http://app:3000");

    assert_int_equal(c->listen_n, 1);
    assert_string_equal(c->listen[0].address, ":8080");
    assert_false(c->listen[0].tls);
    assert_true(c->workers >= 1);
    assert_int_equal(c->pools_n, 1);
    assert_string_equal(c->pools[0].name, "origin");
    assert_string_equal(c->pools[0].servers[0].host, "app");
    assert_int_equal(c->trusted_proxies_n, 0);
    assert_string_equal(c->admin.address, "127.0.0.1:9180");
    assert_int_equal(c->admin.port, 9180);
    assert_true(c->log.access);
    assert_string_equal(c->log.access_to, "stdout");
    assert_int_equal(c->log.format, BW_LOG_JSON);
    assert_int_equal(c->log.level, BW_LOG_INFO);
    assert_int_equal(bw_rules_count(c->rules), 0);
    bw_conf_put(c);
}

TEST(the_cache_has_the_documented_defaults)
{
    struct bw_conf *c = load("origin: http://app:3000");
    uint64_t quarter = bw_budget_machine_limit() / 4;

    assert_string_equal(c->cache.directory, "/var/cache/breakwater");
    assert_int_equal(c->cache.size, INT64_C(10) << 30);
    assert_int_equal(c->cache.max_object, INT64_C(10) << 28);
    assert_true(c->cache.memory >= UINT64_C(64) << 20);
    assert_true(c->cache.memory <= (quarter > UINT64_C(64) << 20 ? quarter : UINT64_C(64) << 20));
    assert_int_equal(c->cache.protect, BW_PROTECT_REQUESTS);
    assert_int_equal(c->cache.durability, BW_DURABILITY_SYNCED);
    assert_int_equal(c->cache.collapse_waiters, 10000);
    assert_int_equal(c->cache.collapse_wait_ms, 30000);
    assert_int_equal(c->defaults.mode, BW_CACHE_AUTO);
    assert_int_equal(c->defaults.ttl_fixed_s, BW_TTL_UNSET);
    assert_int_equal(c->defaults.ttl_default_s, BW_TTL_UNSET);
    assert_int_equal(c->defaults.ttl_max_s, BW_TTL_UNSET);
    assert_int_equal(c->defaults.browser_ttl_s, BW_TTL_UNSET);
    assert_int_equal(c->defaults.stale_on_error_s, BW_TTL_UNSET);
    assert_int_equal(c->defaults.stale_revalidating_s, BW_TTL_UNSET);
    assert_int_equal(c->defaults.set_cookie, BW_SET_COOKIE_REFUSE);
    assert_int_equal(c->defaults.heuristic, BW_HEURISTIC_ON);
    assert_false(c->defaults.client_directives);
    bw_conf_put(c);
}

TEST(an_object_may_fill_four_gibibytes_of_a_large_store_by_default)
{
    struct bw_conf *c = load("origin: http://app:3000\ncache: {size: 100GiB}\n");

    assert_int_equal(c->cache.max_object, INT64_C(4) << 30);
    bw_conf_put(c);
}

TEST(a_pool_has_the_documented_defaults)
{
    struct bw_conf *c = load("origin: https://app");
    const struct bw_pool_conf *p = &c->pools[0];

    assert_int_equal(p->balance, BW_BALANCE_RANDOM);
    assert_int_equal(p->host, BW_ORIGIN_HOST_CLIENT);
    assert_true(p->tls.verify);
    assert_int_equal(p->tls.trust_n, 1);
    assert_string_equal(p->tls.trust[0], "system");
    assert_null(p->tls.server_name);
    assert_null(p->tls.certificate);
    assert_int_equal(p->tls.min_version, 0x0303);
    assert_int_equal(p->resolve_ms, 5000);
    assert_int_equal(p->connect_ms, 19000);
    assert_int_equal(p->tls_ms, 15000);
    assert_int_equal(p->first_byte_ms, 120000);
    assert_int_equal(p->between_bytes_ms, 60000);
    assert_int_equal(p->per_server, 256);
    assert_int_equal(p->idle, 64);
    assert_int_equal(p->idle_for_ms, 60000);
    assert_int_equal(p->queue, 1000);
    assert_int_equal(p->queue_for_ms, 10000);
    assert_int_equal(p->retry_times, 1);
    assert_int_equal(p->retry_budget_percent, 20);
    bw_conf_put(c);
}

TEST(methods_are_added_to_the_usual_ones)
{
    struct bw_conf *c = load("origin: http://a\nlimits: {methods: [PROPFIND, M-SEARCH]}\n");

    assert_int_equal(c->limits.methods_n, 2);
    assert_true(bw_slice_eq(c->limits.methods[1], BW_S("M-SEARCH")));
    bw_conf_put(c);
    c = load("origin: http://a\n");
    assert_int_equal(c->limits.methods_n, 0);
    bw_conf_put(c);
}

TEST(what_is_off_is_off)
{
    struct bw_conf *c = load("pools: {a: {servers: http://a, retry: off}}\n"
                             "cache: {collapse: off, heuristic: off}\n"
                             "limits: {body: off, connections_per_address: off}\n"
                             "log: {access: off}\n");

    assert_int_equal(c->pools[0].retry_times, 0);
    assert_int_equal(c->cache.collapse_waiters, 0);
    assert_int_equal(c->defaults.heuristic, BW_HEURISTIC_OFF);
    assert_true(c->limits.body == UINT64_MAX);
    assert_int_equal(c->limits.connections_per_address, UINT32_MAX);
    assert_int_equal(c->limits.requests_per_connection, 0);
    assert_false(c->log.access);
    bw_conf_put(c);
}

TEST(what_no_rule_sends_elsewhere_goes_to_the_pool_origin_else_to_the_first)
{
    struct bw_conf *c = load("pools: {a: {servers: http://a}, origin: {servers: http://b}}\n");

    assert_int_equal(c->defaults.pool, 1);
    bw_conf_put(c);
    c = load("pools: {a: {servers: http://a}, b: {servers: http://b}}\n");
    assert_int_equal(c->defaults.pool, 0);
    bw_conf_put(c);
}

TEST(a_default_gives_way_where_only_its_limit_was_set)
{
    struct bw_conf *c = load("pools: {a: {servers: http://a, connections: {per_server: 10}}}\n"
                             "limits: {connections: 100}\n");

    assert_int_equal(c->pools[0].idle, 10);
    assert_int_equal(c->limits.connections, 100);
    assert_int_equal(c->limits.connections_per_address, 100);
    bw_conf_put(c);
}

TEST(a_pool_may_send_a_host_of_its_own)
{
    struct bw_conf *c = load("pools:\n"
                             "  a: {servers: http://a, host: server}\n"
                             "  b: {servers: http://b, host: 'www.example.net:8080'}\n");

    assert_int_equal(c->pools[0].host, BW_ORIGIN_HOST_SERVER);
    assert_int_equal(c->pools[1].host, BW_ORIGIN_HOST_NAME);
    assert_string_equal(c->pools[1].host_name, "www.example.net:8080");
    bw_conf_put(c);
}

TEST(references_are_counted)
{
    struct bw_conf *c = load("origin: http://app"), *d = load("origin: http://app");

    assert_true(d->generation > c->generation);
    assert_ptr_equal(bw_conf_take(c), c);
    bw_conf_put(c);
    assert_string_equal(c->pools[0].name, "origin");
    bw_conf_put(c);
    bw_conf_put(d);
    bw_conf_put(NULL);
}

TEST(two_configurations_differ_where_a_value_does_not_where_its_words_do)
{
    struct bw_conf *a = load("origin: http://a\ncache: {size: 1GiB, collapse: off}\n");
    struct bw_conf *b = load("origin: http://a\nworkers: auto\n"
                             "cache: {size: 1024MiB, directory: /x}\n");
    struct bw_place at;

    assert_false(bw_conf_differs(a, b, "workers", &at));
    assert_false(bw_conf_differs(a, b, "cache.size", &at));
    assert_true(bw_conf_differs(a, b, "cache.directory", &at));
    assert_int_equal(at.line, 3);
    assert_true(bw_conf_differs(b, a, "cache.directory", &at));
    assert_null(at.file);
    assert_true(bw_conf_differs(a, b, "cache.collapse.waiters", &at));
    bw_conf_put(a);
    bw_conf_put(b);
}

static struct bw_conf *load_flags(const char *text, const struct bw_conf_flags *flags)
{
    struct bw_diag said = {0};
    struct bw_conf *c = load_with(text, flags, &said);

    assert_said(&said, "");
    bw_diag_free(&said);
    return c;
}

TEST(flags_override_the_file)
{
    const char *const listen[] = {"http://127.0.0.1:80", ":81"};
    const char *const origin[] = {"http://b", "http://c"};
    const struct bw_conf_flags flags = {.listen = listen,
                                        .listen_n = 2,
                                        .origin = origin,
                                        .origin_n = 2,
                                        .cache_dir = "relative",
                                        .cache_size = "2GiB",
                                        .admin = "127.0.0.1:99",
                                        .workers = "3"};
    struct bw_conf *c = load_flags("listen: ':1'\norigin: http://a\nworkers: 1\nadmin: ':2'\n"
                                   "cache: {size: 1GiB, directory: /x, protect: bytes}\n",
                                   &flags);

    assert_int_equal(c->listen_n, 2);
    assert_string_equal(c->listen[0].address, "127.0.0.1:80");
    assert_int_equal(c->listen[1].port, 81);
    assert_int_equal(c->pools_n, 1);
    assert_int_equal(c->pools[0].servers_n, 2);
    assert_string_equal(c->pools[0].servers[1].host, "c");
    assert_string_equal(c->cache.directory, "relative");
    assert_int_equal(c->cache.size, INT64_C(2) << 30);
    assert_int_equal(c->cache.protect, BW_PROTECT_BYTES);
    assert_int_equal(c->admin.port, 99);
    assert_int_equal(c->workers, 3);
    bw_conf_put(c);
}

TEST(flags_alone_are_enough)
{
    const char *const listen[] = {"https://:443"}, *const origin[] = {"https://app"};
    const struct bw_conf_flags flags = {.listen = listen,
                                        .listen_n = 1,
                                        .origin = origin,
                                        .origin_n = 1,
                                        .certificate = "/etc/passwd",
                                        .key = "/etc/group",
                                        .origin_trust = "/etc/group"};
    struct bw_diag said = {0};
    struct bw_conf *c = bw_conf_load(&flags, &said);

    assert_non_null(c);
    assert_int_equal(said.text.len, 0);
    assert_true(c->listen[0].tls);
    assert_int_equal(c->listen[0].min_version, 0x0303);
    assert_int_equal(c->listen[0].certificates_n, 1);
    assert_string_equal(c->listen[0].certificates[0].certificate, "/etc/passwd");
    assert_string_equal(c->listen[0].certificates[0].key, "/etc/group");
    assert_int_equal(c->pools[0].tls.trust_n, 1);
    assert_string_equal(c->pools[0].tls.trust[0], "/etc/group");
    assert_int_equal(c->pools[0].host, BW_ORIGIN_HOST_CLIENT);
    bw_conf_put(c);
    bw_diag_free(&said);
}

static const char *const https[] = {"https://:443"}, *const plain[] = {":80"},
                         *const bad[] = {"app"}, *const url[] = {"http://a"};
#define ORIGIN .origin = url, .origin_n = 1

static const struct {
    struct bw_conf_flags flags;
    const char *said;
} refused_flags[] = {
    {{0}, "--origin: error: is missing; write origin: http://HOST:PORT, or give --origin"},
    {{.file = "/no/such.yaml"},
     "--config: error: /no/such.yaml cannot be read (No such file or directory); name a YAML file"},
    {{.file = "/"}, "--config: error: / cannot be read (Is a directory); name a YAML file"},
    {{.origin = bad, .origin_n = 1},
     "--origin: error: \"app\" is no URL of a server; write http://HOST, https://HOST or "
     "unix:/PATH"},
    {{ORIGIN, .listen = bad, .listen_n = 1},
     "--listen: error: \"app\" has no port; write ADDRESS:PORT or :PORT, IPv6 in brackets"},
    {{ORIGIN, .cache_size = "10"},
     "--cache-size: error: \"10\" has no unit; write it with B, KiB, MiB, GiB or TiB, such as "
     "64KiB"},
    {{ORIGIN, .cache_dir = ""}, "--cache-dir: error: is empty; write a value or remove the key"},
    {{ORIGIN, .workers = "x"},
     "--workers: error: \"x\" is not a number; write digits only, or auto"},
    {{ORIGIN, .admin = "80"},
     "--admin: error: \"80\" has no port; write ADDRESS:PORT or :PORT, IPv6 in brackets"},
    {{ORIGIN, .listen = https, .listen_n = 1},
     "--listen: error: https:// has no certificate; give --certificate FILE and --key FILE too"},
    {{ORIGIN, .listen = https, .listen_n = 1, .key = "k"},
     "--key: error: needs --certificate FILE beside it; give both"},
    {{ORIGIN, .listen = https, .listen_n = 1, .certificate = "c"},
     "--certificate: error: needs --key FILE beside it; give both"},
    {{ORIGIN, .listen = plain, .listen_n = 1, .certificate = "c", .key = "k"},
     "--certificate: error: no listener uses it; give --listen https://ADDRESS:PORT too"},
    {{ORIGIN, .listen = https, .listen_n = 1, .certificate = "/no/such", .key = "/etc/passwd"},
     "--certificate: error: \"/no/such\" cannot be read (No such file or directory); name a file "
     "that this user may read"},
    {{.origin_trust = "/etc/passwd"},
     "--origin-trust: error: there is no pool named origin; give --origin https://HOST too\n"
     "--origin: error: is missing; write origin: http://HOST:PORT, or give --origin"},
    {{ORIGIN, .origin_trust = "/etc/passwd"},
     "--origin-trust: warning: no server of this pool has an https URL; write https:// or remove "
     "tls"},
};

TEST(a_wrong_flag_is_named_with_its_cure)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(refused_flags); i++) {
        struct bw_diag said = {0};
        struct bw_conf *c = bw_conf_load(&refused_flags[i].flags, &said);

        assert_true((c == NULL) == (said.errors > 0));
        assert_said(&said, refused_flags[i].said);
        bw_conf_put(c);
        bw_diag_free(&said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(what_contradicts_itself_is_refused_or_warned_about),
        RUN(a_file_of_one_line_is_enough),
        RUN(the_cache_has_the_documented_defaults),
        RUN(an_object_may_fill_four_gibibytes_of_a_large_store_by_default),
        RUN(a_pool_has_the_documented_defaults),
        RUN(methods_are_added_to_the_usual_ones),
        RUN(what_is_off_is_off),
        RUN(what_no_rule_sends_elsewhere_goes_to_the_pool_origin_else_to_the_first),
        RUN(a_default_gives_way_where_only_its_limit_was_set),
        RUN(a_pool_may_send_a_host_of_its_own),
        RUN(references_are_counted),
        RUN(two_configurations_differ_where_a_value_does_not_where_its_words_do),
        RUN(flags_override_the_file),
        RUN(flags_alone_are_enough),
        RUN(a_wrong_flag_is_named_with_its_cure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
