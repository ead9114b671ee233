/*
 * test_rules.c - which requests a rule matches, and what is left when several do.
 */
#include "load.h"

#include <stdlib.h>

/* One request, for tables. */
struct row {
    const char *match; /* YAML of the rule's match */
    const char *method, *host, *target, *header;
    bool https, matches;
};

static struct bw_fields fields_of(const char *header, struct bw_field *field)
{
    struct bw_slice value, name = bw_slice_cut(bw_slice_str(header), ':', &value);

    *field = (struct bw_field){name, bw_slice_trim(value), bw_field_lookup(name)};
    return (struct bw_fields){field, header != NULL ? 1 : 0};
}

static struct bw_settings settle(const struct bw_conf *c, const struct row *row)
{
    struct bw_field field = {0};
    struct bw_fields fields = fields_of(row->header, &field);
    struct bw_slice query, path = bw_slice_cut(bw_slice_str(row->target), '?', &query);
    const struct bw_match_request rq = {bw_slice_str(row->method != NULL ? row->method : "GET"),
                                        bw_slice_str(row->host != NULL ? row->host : "example.net"),
                                        path,
                                        query,
                                        &fields,
                                        row->https};
    struct bw_settings out;

    bw_rules_match(c->rules, &rq, &c->defaults, &out);
    return out;
}

static struct bw_settings settle_path(const struct bw_conf *c, const char *path)
{
    return settle(c, &(struct row){.target = path});
}

static void assert_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[512];
        struct bw_conf *c;

        snprintf(text, sizeof(text), "origin: http://app\nrules: [{match: {%s}, ttl: 7s}]\n",
                 rows[i].match);
        c = load(text);
        if ((settle(c, &rows[i]).ttl_fixed_s == 7) != rows[i].matches)
            fail_msg("%s: %s %s", rows[i].match, rows[i].target,
                     rows[i].matches ? "does not match" : "matches");
        bw_conf_put(c);
    }
}

TEST(hosts_match_exactly_or_below_a_name)
{
    static const struct row rows[] = {
        {"host: example.net", .target = "/", .matches = true},
        {"host: EXAMPLE.net", .target = "/", .matches = true},
        {"host: example.net", .target = "/", .host = "www.example.net"},
        {"host: example.net", .target = "/", .host = "xexample.net"},
        {"host: '*.example.net'", .target = "/", .host = "www.example.net", .matches = true},
        {"host: '*.example.net'", .target = "/", .host = "a.b.example.net", .matches = true},
        {"host: '*.example.net'", .target = "/"},
        {"host: '*.example.net'", .target = "/", .host = "wwwexample.net"},
        {"host: '*.net'", .target = "/", .matches = true},
        {"host: [a.example, example.net]", .target = "/", .matches = true},
        {"host: ['*.example', example.org]", .target = "/"},
        {"host: '[::1]'", .target = "/", .host = "[::1]", .matches = true},
        {"host: example.net", .target = "/", .host = ""},
        {"not: {host: example.net}", .target = "/", .host = "", .matches = true},
    };

    assert_rows(rows, BW_ARRAY_LEN(rows));
}

TEST(paths_match_exactly_by_glob_or_by_regex)
{
    static const struct row rows[] = {
        {"path: /", .target = "/", .matches = true},
        {"path: /", .target = "/a"},
        {"path: /a", .target = "/a", .matches = true},
        {"path: /a", .target = "/a/"},
        {"path: /a", .target = "/a?x=1", .matches = true},
        {"path: /a/*", .target = "/a/", .matches = true},
        {"path: /a/*", .target = "/a/b/c", .matches = true},
        {"path: /a/*", .target = "/a"},
        {"path: /a*", .target = "/a", .matches = true},
        {"path: /a*", .target = "/ab/c", .matches = true},
        {"path: '*.css'", .target = "/x/y.css", .matches = true},
        {"path: '*.css'", .target = "/x/y.cssx"},
        {"path: /a/*.css", .target = "/a/b/y.css", .matches = true},
        {"path: /a/*.css", .target = "/b/y.css"},
        {"path: /a/*.css", .target = "/a/.cs"},
        {"path: '*'", .target = "/anything", .matches = true},
        {"path: '*/x/*'", .target = "/a/x/b", .matches = true},
        {"path: '*/x/*'", .target = "/a/xx/b"},
        {"path: '/a*b*c'", .target = "/a1b2b3c", .matches = true},
        {"path: '/a*b*c'", .target = "/a1c"},
        {"path: '~^/[0-9]+$'", .target = "/42", .matches = true},
        {"path: '~^/[0-9]+$'", .target = "/42x"},
        {"path: '~b'", .target = "/abc", .matches = true},
        {"path: '~(?i)ABC$'", .target = "/abc", .matches = true},
        {"path: [/x, '*.js', '~q']", .target = "/a/q/b", .matches = true},
        {"path: [/x, '*.js', '~q']", .target = "/x", .matches = true},
        {"path: [/x, '*.js']", .target = "/y"},
    };

    assert_rows(rows, BW_ARRAY_LEN(rows));
}

TEST(extensions_methods_and_schemes_match_as_words)
{
    static const struct row rows[] = {
        {"extension: jpg", .target = "/a.jpg", .matches = true},
        {"extension: jpg", .target = "/a.JPG", .matches = true},
        {"extension: JPG", .target = "/a.jpg", .matches = true},
        {"extension: gz", .target = "/a.tar.gz", .matches = true},
        {"extension: jpg", .target = "/a.jpg/b"},
        {"extension: jpg", .target = "/jpg"},
        {"extension: jpg", .target = "/a.jpgx"},
        {"extension: [png, jpg]", .target = "/a.jpg", .matches = true},
        {"method: GET", .target = "/", .matches = true},
        {"method: [HEAD, POST]", .target = "/"},
        {"method: POST", .target = "/", .method = "POST", .matches = true},
        {"scheme: https", .target = "/"},
        {"scheme: https", .target = "/", .https = true, .matches = true},
        {"scheme: [http, https]", .target = "/", .matches = true},
    };

    assert_rows(rows, BW_ARRAY_LEN(rows));
}

TEST(parameters_fields_and_cookies_match_by_presence_or_value)
{
    static const struct row rows[] = {
        {"query: page", .target = "/?page=2", .matches = true},
        {"query: page", .target = "/?page", .matches = true},
        {"query: page", .target = "/?pages=2"},
        {"query: page", .target = "/"},
        {"query: {page: '2'}", .target = "/?a=1&page=2", .matches = true},
        {"query: {page: '2'}", .target = "/?page=1&page=2", .matches = true},
        {"query: {page: '2'}", .target = "/?page=22"},
        {"query: {page: [1, '2*']}", .target = "/?page=22", .matches = true},
        {"query: {a: '*', b: '*'}", .target = "/?a=1"},
        {"query: {a: '*', b: '*'}", .target = "/?b&a", .matches = true},
        {"query: [a, b]", .target = "/?b", .matches = true},
        {"query: [a, {b: '1'}]", .target = "/?b=2"},
        {"header: X-Plan", .target = "/", .header = "x-plan: gold", .matches = true},
        {"header: X-Plan", .target = "/", .header = "x-plan:", .matches = true},
        {"header: x-plan", .target = "/"},
        {"header: {X-Plan: gold}", .target = "/", .header = "x-plan: gold", .matches = true},
        {"header: {X-Plan: gold}", .target = "/", .header = "x-plan: Gold"},
        {"header: {x-plan: '~^g'}", .target = "/", .header = "x-plan: gold", .matches = true},
        {"header: {Accept: '*json*'}", .target = "/", .header = "accept: a/json;q=1",
         .matches = true},
        {"cookie: session", .target = "/", .header = "cookie: a=1; session=2", .matches = true},
        {"cookie: session", .target = "/", .header = "cookie: a=session"},
        {"cookie: session", .target = "/", .header = "cookie: session", .matches = true},
        {"cookie: {lang: [de, 'en-*']}", .target = "/", .header = "cookie: lang=en-gb",
         .matches = true},
        {"cookie: {lang: de}", .target = "/", .header = "cookie: lang=de2"},
        {"cookie: Session", .target = "/", .header = "cookie: session=1"},
    };

    assert_rows(rows, BW_ARRAY_LEN(rows));
}

TEST(conditions_join_by_and_and_nest)
{
    static const struct row rows[] = {
        {"path: /a, method: POST", .target = "/a"},
        {"path: /a, method: GET", .target = "/a", .matches = true},
        {"not: {path: /a}", .target = "/a"},
        {"not: {path: /a}", .target = "/b", .matches = true},
        {"not: {path: /a, method: POST}", .target = "/a", .matches = true},
        {"not: {cookie: [a, b]}", .target = "/", .header = "cookie: b=1"},
        {"any: [{path: /a}, {method: POST}]", .target = "/b"},
        {"any: [{path: /a}, {method: POST}]", .target = "/b", .method = "POST", .matches = true},
        {"all: [{cookie: a}, {cookie: b}]", .target = "/", .header = "cookie: a=1; b=1",
         .matches = true},
        {"all: [{cookie: a}, {cookie: b}]", .target = "/", .header = "cookie: a=1"},
        {"any: {not: {path: /a}}", .target = "/b", .matches = true},
        {"not: {any: [{path: /a}, {path: /b}]}", .target = "/b"},
        {"not: {not: {path: /a}}", .target = "/a", .matches = true},
    };

    assert_rows(rows, BW_ARRAY_LEN(rows));
}

TEST(a_regex_that_takes_too_long_has_not_matched)
{
    static const struct row rows[] = {
        {"path: '~^/(a+)+$'",
         .target = "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"},
        {"path: '~^/(a+)+$'", .target = "/aaaaaaaaaaaaaaaaaaaaaaaaa", .matches = true},
    };

    assert_rows(rows, BW_ARRAY_LEN(rows));
}

TEST(a_later_rule_overrides_an_earlier_one_setting_by_setting)
{
    struct bw_conf *c = load("pools: {a: {servers: http://a}, b: {servers: http://b}}\n"
                             "rules:\n"
                             "  - {match: {path: /*}, ttl: 1m, browser_ttl: 2m, pool: b}\n"
                             "  - {match: {path: /x*}, ttl: 3m, set_cookie: strip}\n"
                             "  - {match: {path: /xy*}, browser_ttl: respect, cache: always}\n");
    struct bw_settings s = settle_path(c, "/xyz");

    assert_int_equal(s.ttl_fixed_s, 180);
    assert_int_equal(s.browser_ttl_s, BW_TTL_UNSET);
    assert_int_equal(s.pool, 1);
    assert_int_equal(s.set_cookie, BW_SET_COOKIE_STRIP);
    assert_int_equal(s.mode, BW_CACHE_ALWAYS);
    assert_int_equal(s.rule, 3);
    s = settle_path(c, "/a");
    assert_int_equal(s.ttl_fixed_s, 60);
    assert_int_equal(s.browser_ttl_s, 120);
    assert_int_equal(s.set_cookie, BW_SET_COOKIE_REFUSE);
    assert_int_equal(s.rule, 1);
    bw_conf_put(c);
}

TEST(a_request_that_no_rule_matches_has_the_defaults)
{
    struct bw_conf *c = load("origin: http://app\nrules: [{match: {path: /x}, ttl: 1m}]\n");
    struct bw_settings s = settle_path(c, "/");

    assert_memory_equal(&s, &c->defaults, sizeof(s));
    assert_int_equal(s.rule, 0);
    bw_conf_put(c);
}

TEST(a_fixed_lifetime_and_a_default_one_end_each_other)
{
    struct bw_conf *c =
        load("origin: http://app\n"
             "rules:\n"
             "  - {match: {path: /f*}, ttl: {default: 1m, max: 2m, status: {404: 3m}}}\n"
             "  - {match: {path: /ff*}, ttl: 1h}\n"
             "  - {match: {path: /fff*}, ttl: {default: 5m}}\n");
    struct bw_settings s = settle_path(c, "/ff");

    assert_int_equal(s.ttl_fixed_s, 3600);
    assert_int_equal(s.ttl_default_s, BW_TTL_UNSET);
    assert_int_equal(s.ttl_max_s, BW_TTL_UNSET);
    assert_int_equal(s.ttl_status_n, 1);
    s = settle_path(c, "/fff");
    assert_int_equal(s.ttl_fixed_s, BW_TTL_UNSET);
    assert_int_equal(s.ttl_default_s, 300);
    bw_conf_put(c);
}

TEST(the_narrowest_range_of_statuses_stands_first)
{
    struct bw_conf *c = load("origin: http://app\n"
                             "rules: [{ttl: {status: {5xx: off, 400-499: 1m, 404: 30s}}}]\n");
    struct bw_settings s = settle_path(c, "/");

    assert_int_equal(s.ttl_status_n, 3);
    assert_int_equal(s.ttl_status[0].from, 404);
    assert_int_equal(s.ttl_status[0].to, 404);
    assert_int_equal(s.ttl_status[0].ttl_s, 30);
    assert_int_equal(s.ttl_status[1].from, 400);
    assert_int_equal(s.ttl_status[1].to, 499);
    assert_int_equal(s.ttl_status[2].from, 500);
    assert_int_equal(s.ttl_status[2].ttl_s, BW_TTL_OFF);
    bw_conf_put(c);
}

TEST(what_the_path_promises_is_a_setting_with_and_without_rules)
{
    struct bw_conf *bare = load("origin: http://app\n");
    struct bw_conf *ruled =
        load("origin: http://app\nrules: [{match: {extension: css}, ttl: 1h}]\n");

    assert_int_equal(settle_path(bare, "/a.css").media, BW_MEDIA_STYLE);
    assert_int_equal(settle_path(ruled, "/a.css").media, BW_MEDIA_STYLE);
    assert_int_equal(settle_path(ruled, "/a").media, BW_MEDIA_NONE);
    bw_conf_put(bare);
    bw_conf_put(ruled);
}

TEST(all_settings_of_a_rule_arrive)
{
    struct bw_conf *c = load("origin: http://app\n"
                             "rules:\n"
                             "  - stale: {while_revalidating: 1m, on_error: off}\n"
                             "    key: {query: {ignore: ['utm_*', gclid]}, headers: X-Plan,\n"
                             "          cookies: [currency, lang]}\n"
                             "    heuristic: all\n"
                             "    client_directives: obey\n"
                             "    set_cookie: keep\n");
    struct bw_settings s = settle_path(c, "/");

    assert_int_equal(s.stale_revalidating_s, 60);
    assert_int_equal(s.stale_on_error_s, 0);
    assert_int_equal(s.key.ignore_query_n, 2);
    assert_true(bw_slice_eq(s.key.ignore_query[0], BW_S("utm_*")));
    assert_false(s.key.ignore_query_all);
    assert_int_equal(s.key.headers_n, 1);
    assert_true(bw_slice_eq(s.key.headers[0], BW_S("x-plan")));
    assert_int_equal(s.key.cookies_n, 2);
    assert_true(bw_slice_eq(s.key.cookies[1], BW_S("lang")));
    assert_int_equal(s.heuristic, BW_HEURISTIC_ALL);
    assert_true(s.client_directives);
    assert_int_equal(s.set_cookie, BW_SET_COOKIE_KEEP);
    bw_conf_put(c);
}

TEST(a_star_ignores_the_whole_query_and_stale_off_forbids_stale_answers)
{
    struct bw_conf *c = load("origin: http://app\n"
                             "rules: [{stale: off, key: {query: {ignore: '*'}}}]\n");
    struct bw_settings s = settle_path(c, "/");

    assert_true(s.key.ignore_query_all);
    assert_int_equal(s.stale_revalidating_s, 0);
    assert_int_equal(s.stale_on_error_s, 0);
    bw_conf_put(c);
}

/* Many rules share few hosts, segments and last bytes: whatever the index leaves out has to be
 * wrong. */
static struct bw_conf *load_many(size_t n)
{
    static const char *const hosts[] = {"a.example", "*.example", "*.b.example", "c.b.example"};
    struct bw_conf_flags none = {0};
    struct bw_diag said = {0}; /* some have no effect */
    struct bw_buf text = {0};
    struct bw_conf *c;

    bw_buf_str(&text, "origin: http://app\nrules:\n");
    for (size_t i = 0; i < n; i++) {
        bw_buf_printf(&text, "  - {ttl: %zus, match: {", i);
        if (i % 5 < 4)
            bw_buf_printf(&text, "host: '%s', ", hosts[i % 5]);
        if (i % 3 == 0)
            bw_buf_printf(&text, "path: ['/s%zu/*', '*.x%zu', '/e%zu']", i % 7, i % 11, i);
        else if (i % 3 == 1)
            bw_buf_printf(&text, "path: '/s%zu/*.x%zu'", i % 7, i % 11);
        bw_buf_str(&text, "}}\n");
    }
    bw_buf_char(&text, '\0');
    c = load_with(text.base, &none, &said);
    bw_buf_free(&text);
    bw_diag_free(&said);
    return c;
}

static bool host_fits(size_t i, const char *host)
{
    size_t n = strlen(host);

    switch (i % 5) {
    case 0:
        return strcmp(host, "a.example") == 0;
    case 1:
        return n > 8 && strcmp(host + n - 8, ".example") == 0;
    case 2:
        return n > 10 && strcmp(host + n - 10, ".b.example") == 0;
    case 3:
        return strcmp(host, "c.b.example") == 0;
    default:
        return true;
    }
}

static bool path_fits(size_t i, const char *path)
{
    char prefix[32], suffix[32], exact[32];
    size_t n = strlen(path);
    bool starts, ends;

    snprintf(prefix, sizeof(prefix), "/s%zu/", i % 7);
    snprintf(suffix, sizeof(suffix), ".x%zu", i % 11);
    snprintf(exact, sizeof(exact), "/e%zu", i);
    starts = strncmp(path, prefix, strlen(prefix)) == 0;
    ends = n >= strlen(suffix) && strcmp(path + n - strlen(suffix), suffix) == 0;
    if (i % 3 == 0)
        return starts || ends || strcmp(path, exact) == 0;
    return i % 3 == 2 || (starts && ends && n >= strlen(prefix) + strlen(suffix));
}

TEST(the_index_never_changes_what_matches)
{
    static const char *const hosts[] = {"a.example",     "b.example", "c.b.example",
                                        "x.c.b.example", "example",   "a.test"};
    static const char *const paths[] = {"/",    "/s0/a", "/s3/b.x4", "/q.x10",
                                        "/e63", "/e64",  "/s6/",     "/s6/.x6"};
    enum { RULES = 200 };
    struct bw_conf *c = load_many(RULES);

    assert_non_null(c);
    for (size_t h = 0; h < BW_ARRAY_LEN(hosts); h++) {
        for (size_t p = 0; p < BW_ARRAY_LEN(paths); p++) {
            struct row row = {.host = hosts[h], .target = paths[p]};
            size_t last = 0;

            for (size_t i = 0; i < RULES; i++)
                last = host_fits(i, hosts[h]) && path_fits(i, paths[p]) ? i + 1 : last;
            assert_int_equal(settle(c, &row).rule, last);
        }
    }
    bw_conf_put(c);
}

TEST(a_host_below_more_names_than_the_index_joins_is_still_matched)
{
    struct bw_conf *c =
        load("origin: http://app\n"
             "rules:\n"
             "  - {match: {host: ['*.j', '*.i.j', '*.h.i.j', '*.g.h.i.j',\n"
             "                    '*.f.g.h.i.j', '*.e.f.g.h.i.j']}, ttl: 1m}\n"
             "  - {match: {host: ['*.d.e.f.g.h.i.j', '*.c.d.e.f.g.h.i.j']}, ttl: 2m}\n"
             "  - {match: {host: ['*.b.c.d.e.f.g.h.i.j']}, browser_ttl: 1m}\n");
    struct row row = {.host = "a.b.c.d.e.f.g.h.i.j", .target = "/"};

    assert_int_equal(settle(c, &row).rule, 3);
    assert_int_equal(settle(c, &row).ttl_fixed_s, 120);
    row.host = "f.g.h.i.j";
    assert_int_equal(settle(c, &row).rule, 1);
    bw_conf_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(hosts_match_exactly_or_below_a_name),
        RUN(paths_match_exactly_by_glob_or_by_regex),
        RUN(extensions_methods_and_schemes_match_as_words),
        RUN(parameters_fields_and_cookies_match_by_presence_or_value),
        RUN(conditions_join_by_and_and_nest),
        RUN(a_regex_that_takes_too_long_has_not_matched),
        RUN(a_later_rule_overrides_an_earlier_one_setting_by_setting),
        RUN(a_request_that_no_rule_matches_has_the_defaults),
        RUN(a_fixed_lifetime_and_a_default_one_end_each_other),
        RUN(the_narrowest_range_of_statuses_stands_first),
        RUN(what_the_path_promises_is_a_setting_with_and_without_rules),
        RUN(all_settings_of_a_rule_arrive),
        RUN(a_star_ignores_the_whole_query_and_stale_off_forbids_stale_answers),
        RUN(the_index_never_changes_what_matches),
        RUN(a_host_below_more_names_than_the_index_joins_is_still_matched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
