#include "breakwater/admin/api.h"
#include "breakwater/base/gate.h"
#include "breakwater/config/conf.h"
#include "breakwater/config/rules.h"

#include "unit.h"

#include <jansson.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct rig {
    struct bw_conf *conf;
    struct bw_counters *counters[2];
    struct bw_admin *admin;
    bool ready;
};

static struct bw_conf *load(const char *rules)
{
    char text[512];
    struct bw_conf_flags flags = {0};
    struct bw_diag diag = {0};
    struct bw_conf *conf;

    snprintf(text, sizeof(text), "origin: http://127.0.0.1:1\nrules: %s\n", rules);
    conf = bw_conf_load_text(bw_slice_str(text), "test.yaml", &flags, &diag);
    if (conf == NULL)
        print_error("%.*s\n", (int)diag.text.len, diag.text.base);
    assert_non_null(conf);
    bw_diag_free(&diag);
    return conf;
}

static bool is_ready(void *ctx)
{
    return ((struct rig *)ctx)->ready;
}

static bool is_named(void *ctx, struct bw_slice host)
{
    (void)ctx;
    return bw_slice_eq(host, BW_S("named.test"));
}

static struct bw_admin_config config(void *ctx)
{
    struct rig *r = ctx;

    return (struct bw_admin_config){
        .generation = r->conf->generation, .reloads = 3, .error = "say \"what\"\n"};
}

static void start(struct rig *r, bool test_clock)
{
    r->conf = load("[{name: pages, match: {path: /pages/*}}, {name: rest}]");
    r->ready = true;
    for (int i = 0; i < 2; i++)
        r->counters[i] = bw_counters_new(r->conf);
    r->admin = bw_admin_new(&(struct bw_admin_sources){.counters = r->counters,
                                                       .workers = 2,
                                                       .test_clock = test_clock,
                                                       .ctx = r,
                                                       .config = config,
                                                       .ready = is_ready,
                                                       .named = is_named});
}

static void stop(struct rig *r)
{
    bw_admin_free(r->admin);
    for (int i = 0; i < 2; i++)
        bw_counters_free(r->counters[i]);
    bw_conf_put(r->conf);
}

static int ask(struct rig *r, const char *method, const char *path, const char *query,
               struct bw_admin_response *out)
{
    bw_admin_handle(r->admin,
                    &(struct bw_admin_request){.method = bw_slice_str(method),
                                               .path = bw_slice_str(path),
                                               .query = bw_slice_str(query)},
                    out);
    return out->status;
}

static int status_of(struct rig *r, const char *method, const char *path, const char *query)
{
    struct bw_admin_response out;
    int status = ask(r, method, path, query, &out);

    bw_buf_free(&out.body);
    return status;
}

static int asked_as(struct rig *r, const char *host)
{
    struct bw_admin_request rq = {
        .method = BW_S("GET"), .path = BW_S("/healthz"), .host = bw_slice_str(host)};
    struct bw_admin_response out;

    bw_admin_handle(r->admin, &rq, &out);
    bw_buf_free(&out.body);
    return out.status;
}

TEST(it_is_asked_by_address_as_localhost_or_by_its_name)
{
    static const char *const good[] = {"",          "127.0.0.1", "10.1.2.3",
                                       "localhost", "[::1]",     "named.test"};
    static const char *const bad[] = {"evil.test",
                                      "127.0.0.1.evil.test",
                                      "localhost.evil.test",
                                      "xlocalhost",
                                      "1.2.3",
                                      "127.0.0.1.",
                                      "0127.0.0.1",
                                      "2130706433",
                                      "127.0.0.1.1.1.1.1.1",
                                      "evil.named.test",
                                      "1"};
    struct rig r;

    start(&r, false);
    for (size_t i = 0; i < BW_ARRAY_LEN(good); i++)
        assert_int_equal(asked_as(&r, good[i]), 200);
    for (size_t i = 0; i < BW_ARRAY_LEN(bad); i++)
        if (asked_as(&r, bad[i]) != 421)
            fail_msg("%s is let in", bad[i]);
    stop(&r);
}

static json_t *stats(struct rig *r)
{
    struct bw_admin_response out;
    json_error_t error;
    json_t *root;

    assert_int_equal(ask(r, "GET", "/v1/stats", "", &out), 200);
    root = json_loadb(out.body.base, out.body.len, 0, &error);
    assert_non_null(root);
    bw_buf_free(&out.body);
    return root;
}

/* The number at "since_start/requests"; names of hosts hold dots, so '/' parts them. */
static double at(const json_t *root, const char *path)
{
    char *copy = strdup(path), *rest = copy, *key;
    const json_t *v = root;

    while ((key = strsep(&rest, "/")) != NULL)
        v = json_object_get(v, key);
    free(copy);
    return json_is_number(v) ? json_number_value(v) : -1;
}

static void account(struct rig *r, int worker, const char *host, uint32_t rule,
                    enum bw_outcome outcome)
{
    bw_figures_account(
        r->counters[worker],
        &(struct bw_figures_sample){.outcome = outcome,
                                    .reason = outcome == BW_OUTCOME_MISS ? BW_REASON_URI_MISS
                                                                         : BW_REASON_NONE,
                                    .bytes_to_client = 100,
                                    .bytes_from_origin = outcome == BW_OUTCOME_MISS ? 100 : 0,
                                    .fetches = outcome == BW_OUTCOME_MISS,
                                    .duration_us = 1000,
                                    .rule = rule,
                                    .host = bw_slice_str(host)});
}

static bool holds(const struct bw_buf *b, const char *text)
{
    return memmem(b->base, b->len, text, strlen(text)) != NULL;
}

TEST(stats_sum_all_workers_and_say_the_offload)
{
    struct rig r;
    json_t *s;

    start(&r, false);
    account(&r, 0, "a.test", 1, BW_OUTCOME_MISS);
    for (int i = 0; i < 9; i++)
        account(&r, 1, "a.test", 2, BW_OUTCOME_HIT);
    s = stats(&r);
    assert_true(at(s, "since_start/requests") == 10);
    assert_true(at(s, "since_start/hits") == 9);
    assert_true(at(s, "since_start/origin_fetches") == 1);
    assert_true(at(s, "since_start/request_offload") > 0.899);
    assert_true(at(s, "last_minute/byte_offload") > 0.899);
    assert_true(at(s, "rules/pages/requests") == 1);
    assert_true(at(s, "rules/rest/last_hour/requests") == 9);
    assert_true(at(s, "hosts/a.test/requests") == 10);
    assert_true(at(s, "outcomes/miss/uri-miss") == 1);
    assert_true(at(s, "latency/hits/count") == 9);
    assert_true(at(s, "latency/hits/p50_us") > 512 && at(s, "latency/hits/p50_us") <= 1024);
    assert_true(at(s, "config/reloads") == 3);
    json_decref(s);
    stop(&r);
}

TEST(shares_are_null_while_nothing_was_asked)
{
    struct rig r;
    json_t *s;

    start(&r, false);
    s = stats(&r);
    assert_true(json_is_null(json_object_get(json_object_get(s, "since_start"), "byte_offload")));
    json_decref(s);
    stop(&r);
}

TEST(a_rule_keeps_its_figures_over_a_reload_that_moves_it)
{
    struct rig r;
    struct bw_conf *next;
    json_t *s;

    start(&r, false);
    account(&r, 0, "a.test", 1, BW_OUTCOME_HIT);
    next = load("[{name: new}, {name: pages, match: {path: /pages/*}}]");
    bw_counters_set_rules(r.counters[0], next);
    account(&r, 0, "a.test", 2, BW_OUTCOME_HIT);
    s = stats(&r);
    assert_true(at(s, "rules/pages/requests") == 2);
    json_decref(s);
    bw_conf_put(next);
    stop(&r);
}

TEST(a_request_from_before_a_reload_is_not_counted_for_a_wrong_rule)
{
    struct rig r;
    struct bw_conf *next;
    json_t *s;

    start(&r, false);
    next = load("[{name: new}]");
    bw_counters_set_rules(r.counters[0], next);
    bw_figures_account(r.counters[0],
                       &(struct bw_figures_sample){.rule = 1, .generation = r.conf->generation});
    s = stats(&r);
    assert_int_not_equal(r.conf->generation, next->generation);
    assert_true(at(s, "rules/new/requests") == -1);
    assert_true(at(s, "rules/(none)/requests") == 1);
    json_decref(s);
    bw_conf_put(next);
    stop(&r);
}

struct crowd {
    struct rig *rig;
    struct bw_conf *confs[2];
    int worker;
};

enum { CROWD_REQUESTS = 20000 };

static void *keep_counting(void *arg)
{
    struct crowd *crowd = arg;
    char host[32];

    for (int i = 0; i < CROWD_REQUESTS; i++) {
        if (i % 500 == 0)
            bw_counters_set_rules(crowd->rig->counters[crowd->worker], crowd->confs[i / 500 % 2]);
        snprintf(host, sizeof(host), "h%d.test", i % 700);
        account(crowd->rig, crowd->worker, host, 1, BW_OUTCOME_HIT);
    }
    return NULL;
}

static double sum_of(json_t *groups)
{
    void *i = json_object_iter(groups);
    double sum = 0;

    for (; i != NULL; i = json_object_iter_next(groups, i))
        sum += at(json_object_iter_value(i), "requests");
    return sum;
}

TEST(nothing_is_lost_while_workers_count_reload_and_meet_new_hosts_under_the_reader)
{
    struct rig r;
    struct crowd crowds[2];
    pthread_t threads[2];
    json_t *s;

    start(&r, false);
    for (int i = 0; i < 2; i++) {
        crowds[i] = (struct crowd){.rig = &r, .worker = i};
        crowds[i].confs[0] = r.conf;
        crowds[i].confs[1] = load("[{name: new}]");
        assert_int_equal(pthread_create(&threads[i], NULL, keep_counting, &crowds[i]), 0);
    }
    for (int i = 0; i < 200; i++)
        bw_admin_tick(r.admin);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    s = stats(&r);
    assert_true(at(s, "since_start/requests") == 2 * CROWD_REQUESTS);
    assert_true(at(s, "rules/pages/requests") == CROWD_REQUESTS);
    assert_true(at(s, "rules/new/requests") == CROWD_REQUESTS);
    assert_true(sum_of(json_object_get(s, "hosts")) == 2 * CROWD_REQUESTS);
    json_decref(s);
    for (int i = 0; i < 2; i++)
        bw_conf_put(crowds[i].confs[1]);
    stop(&r);
}

TEST(hosts_are_bounded_and_what_exceeds_them_is_counted_together)
{
    struct rig r;
    json_t *s, *hosts;
    char text[32];

    start(&r, false);
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "h%d.test", i);
        account(&r, i % 2, text, 0, BW_OUTCOME_HIT);
    }
    s = stats(&r);
    hosts = json_object_get(s, "hosts");
    assert_int_equal(json_object_size(hosts), 257);
    assert_true(sum_of(hosts) == 5000);
    assert_true(at(hosts, "(other)/requests") == 5000 - 256);
    json_decref(s);
    stop(&r);
}

TEST(a_host_that_comes_back_after_a_flood_of_others_is_counted_again)
{
    struct rig r;
    json_t *s;
    char text[32];

    start(&r, true);
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "h%d.test", i);
        account(&r, 0, text, 0, BW_OUTCOME_HIT);
    }
    assert_int_equal(status_of(&r, "POST", "/v1/test/clock", "advance_ms=120000"), 200);
    account(&r, 0, "shop.test", 0, BW_OUTCOME_HIT);
    s = stats(&r);
    assert_true(at(s, "hosts/shop.test/requests") == 1);
    assert_true(at(s, "hosts/(other)/last_minute/requests") == 0);
    assert_true(at(s, "since_start/requests") == 5001);
    json_decref(s);
    stop(&r);
}

TEST(a_host_cannot_look_like_anything_but_a_host)
{
    static const char *const strange[] = {"(other)", "a\"b", "a\nb", "a b", "\xff", "a/b", ""};
    struct rig r;
    json_t *s;
    char name[301];

    start(&r, false);
    for (size_t i = 0; i < BW_ARRAY_LEN(strange); i++)
        account(&r, 0, strange[i], 0, BW_OUTCOME_HIT);
    memset(name, 'a', 300);
    name[300] = '\0';
    account(&r, 0, name, 0, BW_OUTCOME_HIT);
    bw_figures_account(r.counters[0], &(struct bw_figures_sample){.host = {"a\0b", 3}});
    s = stats(&r);
    assert_int_equal(json_object_size(json_object_get(s, "hosts")), 1);
    assert_true(at(s, "hosts/(other)/requests") == 9);
    json_decref(s);
    stop(&r);
}

TEST(a_minute_later_the_last_minute_is_empty)
{
    struct rig r;
    json_t *s;

    start(&r, true);
    account(&r, 0, "a.test", 1, BW_OUTCOME_HIT);
    assert_int_equal(status_of(&r, "POST", "/v1/test/clock", "advance_ms=61000"), 200);
    s = stats(&r);
    assert_true(at(s, "last_minute/requests") == 0);
    assert_true(at(s, "last_5_minutes/requests") == 1);
    assert_true(at(s, "hosts/a.test/last_minute/requests") == 0);
    assert_true(at(s, "rules/pages/last_5_minutes/requests") == 1);
    json_decref(s);
    stop(&r);
}

TEST(metrics_escape_what_operators_name_rules)
{
    struct rig r;
    struct bw_conf *next;
    struct bw_admin_response out;

    start(&r, false);
    next = load("[{name: 'a \"b\\c'}]");
    bw_counters_set_rules(r.counters[0], next);
    account(&r, 0, "a.test", 1, BW_OUTCOME_MISS);
    assert_int_equal(ask(&r, "GET", "/metrics", "", &out), 200);
    assert_true(holds(&out.body, "breakwater_rule_requests_total{rule=\"a \\\"b\\\\c\"} 1\n"));
    assert_true(
        holds(&out.body, "breakwater_requests_total{outcome=\"miss\",reason=\"uri-miss\"} 1\n"));
    assert_true(holds(&out.body, "breakwater_host_requests_total{host=\"a.test\"} 1\n"));
    bw_buf_free(&out.body);
    bw_conf_put(next);
    stop(&r);
}

TEST(health_is_always_well_and_readiness_ends_with_the_drain)
{
    struct rig r;

    start(&r, false);
    assert_int_equal(status_of(&r, "GET", "/readyz", ""), 200);
    r.ready = false;
    assert_int_equal(status_of(&r, "GET", "/readyz", ""), 503);
    assert_int_equal(status_of(&r, "GET", "/healthz", ""), 200);
    stop(&r);
}

TEST(what_is_not_there_is_404_and_a_wrong_method_is_told_the_right_ones)
{
    struct rig r;
    struct bw_admin_response out;

    start(&r, false);
    assert_int_equal(status_of(&r, "GET", "/", ""), 404);
    assert_int_equal(status_of(&r, "GET", "/v1/stats/", ""), 404);
    assert_int_equal(ask(&r, "POST", "/v1/stats", "", &out), 405);
    assert_string_equal(out.allow, "GET, HEAD");
    assert_string_equal(out.type, "application/json");
    bw_buf_free(&out.body);
    assert_int_equal(status_of(&r, "HEAD", "/metrics", ""), 200);
    stop(&r);
}

TEST(test_controls_exist_only_where_they_were_asked_for)
{
    struct rig r;

    start(&r, false);
    assert_int_equal(status_of(&r, "POST", "/v1/test/clock", "advance_ms=1"), 404);
    assert_int_equal(status_of(&r, "GET", "/v1/test/gate", "name=a"), 404);
    assert_int_equal(status_of(&r, "POST", "/v1/test/commit", ""), 404);
    stop(&r);
}

TEST(a_commit_may_be_asked_for_where_nothing_is_stored)
{
    struct rig r;

    start(&r, true);
    assert_int_equal(status_of(&r, "POST", "/v1/test/commit", ""), 200);
    stop(&r);
}

TEST(gates_are_held_released_and_asked_by_name)
{
    struct rig r;
    struct bw_admin_response out;

    bw_gate_enable();
    start(&r, true);
    assert_int_equal(status_of(&r, "POST", "/v1/test/gate", "name=a%2fb&action=hold"), 200);
    assert_true(bw_gate_held("a/b"));
    assert_int_equal(ask(&r, "GET", "/v1/test/gate", "name=a%2Fb", &out), 200);
    assert_true(holds(&out.body, "{\"waiting\": 1}"));
    bw_buf_free(&out.body);
    assert_int_equal(status_of(&r, "POST", "/v1/test/gate", "action=release&name=a/b"), 200);
    assert_false(bw_gate_held("a/b"));
    stop(&r);
}

TEST(test_controls_refuse_nonsense)
{
    static const char *const queries[] = {"",        "name=",
                                          "name=%0", "name=%",
                                          "name=a",  "name=a&action=open",
                                          "action",  "name=%00&action=hold"};
    struct rig r;

    start(&r, true);
    for (size_t i = 0; i < BW_ARRAY_LEN(queries); i++)
        assert_int_equal(status_of(&r, "POST", "/v1/test/gate", queries[i]), 400);
    assert_int_equal(status_of(&r, "POST", "/v1/test/clock", "advance_ms=-1"), 400);
    assert_int_equal(status_of(&r, "POST", "/v1/test/clock", "advance_ms=99999999999999999999"),
                     400);
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(it_is_asked_by_address_as_localhost_or_by_its_name),
        RUN(stats_sum_all_workers_and_say_the_offload),
        RUN(shares_are_null_while_nothing_was_asked),
        RUN(a_rule_keeps_its_figures_over_a_reload_that_moves_it),
        RUN(a_request_from_before_a_reload_is_not_counted_for_a_wrong_rule),
        RUN(nothing_is_lost_while_workers_count_reload_and_meet_new_hosts_under_the_reader),
        RUN(hosts_are_bounded_and_what_exceeds_them_is_counted_together),
        RUN(a_host_that_comes_back_after_a_flood_of_others_is_counted_again),
        RUN(a_host_cannot_look_like_anything_but_a_host),
        RUN(a_minute_later_the_last_minute_is_empty),
        RUN(metrics_escape_what_operators_name_rules),
        RUN(health_is_always_well_and_readiness_ends_with_the_drain),
        RUN(what_is_not_there_is_404_and_a_wrong_method_is_told_the_right_ones),
        RUN(test_controls_exist_only_where_they_were_asked_for),
        RUN(gates_are_held_released_and_asked_by_name),
        RUN(a_commit_may_be_asked_for_where_nothing_is_stored),
        RUN(test_controls_refuse_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
