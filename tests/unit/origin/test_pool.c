/*
 * test_pool.c - who may use which server when: limits, queue, balance, retries and their budget.
 */
#include "scene.h"

static const char ok[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

static void refuse_connections(struct server *s)
{
    close(s->listener);
    s->listener = -1;
}

/* ---- limits and the queue ---- */

TEST(no_more_connections_are_made_than_allowed)
{
    struct scene s;
    struct spectator v[5] = {0};

    scene_open(&s, 1);
    s.conf.per_server = 2;
    scene_begin(&s);
    for (int i = 0; i < 5; ++i)
        begin_method(&s, &v[i], "GET");
    assert_int_equal(figures(&s).open, 2);
    assert_int_equal(figures(&s).queued, 3);
    for (int i = 0; i < 5; ++i)
        says(&s.servers[0], ok);
    PLAY(&s, v[0].ended && v[1].ended && v[2].ended && v[3].ended && v[4].ended);
    assert_int_equal(s.servers[0].guests_n, 2);
    assert_int_equal(figures(&s).queued, 0);
    for (int i = 0; i < 5; ++i)
        spectator_close(&v[i]);
    scene_end(&s);
}

TEST(the_limits_are_divided_among_the_workers)
{
    struct scene s;
    struct spectator v[3] = {0};
    char why[256];

    scene_open(&s, 1);
    s.conf.per_server = 8;
    assert_int_equal(bw_origin_new(s.loop, &s.conf, 1, 4, why, sizeof(why), &s.origin), BW_OK);
    for (int i = 0; i < 3; ++i)
        begin_method(&s, &v[i], "GET");
    assert_int_equal(figures(&s).open, 2);
    assert_int_equal(figures(&s).queued, 1);
    for (int i = 0; i < 3; ++i)
        bw_fetch_cancel(v[i].fetch);
    scene_end(&s);
}

TEST(a_full_queue_refuses)
{
    struct scene s;
    struct spectator v[4] = {0};

    scene_open(&s, 1);
    s.conf.per_server = 1;
    s.conf.queue = 2;
    scene_begin(&s);
    for (int i = 0; i < 4; ++i)
        begin_method(&s, &v[i], "GET");
    PLAY(&s, v[3].ends == 1);
    assert_int_equal(v[3].failed, BW_REASON_QUEUE_FULL);
    assert_int_equal(v[2].ends, 0);
    for (int i = 0; i < 3; ++i)
        bw_fetch_cancel(v[i].fetch);
    scene_end(&s);
}

TEST(nobody_waits_in_the_queue_for_ever)
{
    struct scene s;
    struct spectator first = {0}, second = {0};

    scene_open(&s, 1);
    s.conf.per_server = 1;
    s.conf.queue_for_ms = 30;
    scene_begin(&s);
    begin_method(&s, &first, "GET");
    get(&s, &second);
    assert_int_equal(second.failed, BW_REASON_QUEUE_FULL);
    assert_int_equal(first.ends, 0);
    assert_int_equal(figures(&s).queued, 0);
    bw_fetch_cancel(first.fetch);
    scene_end(&s);
}

TEST(the_queue_is_served_in_its_order_when_a_fetch_is_cancelled)
{
    struct scene s;
    struct spectator v[3] = {0};

    scene_open(&s, 1);
    s.conf.per_server = 1;
    scene_begin(&s);
    for (int i = 0; i < 3; ++i)
        begin_method(&s, &v[i], "GET");
    bw_fetch_cancel(v[0].fetch);
    assert_int_equal(bw_fetch_server(v[1].fetch), 0);
    assert_int_equal(bw_fetch_server(v[2].fetch), -1);
    bw_fetch_cancel(v[2].fetch);
    says(&s.servers[0], ok);
    PLAY(&s, v[1].ended);
    spectator_close(&v[1]);
    scene_end(&s);
}

TEST(idle_connections_are_few_and_grow_old)
{
    struct scene s;
    struct spectator v[3] = {0};

    scene_open(&s, 1);
    s.conf.idle = 2;
    s.conf.idle_for_ms = 30;
    scene_begin(&s);
    for (int i = 0; i < 3; ++i)
        begin_method(&s, &v[i], "GET");
    for (int i = 0; i < 3; ++i)
        says(&s.servers[0], ok);
    PLAY(&s, v[0].ended && v[1].ended && v[2].ended);
    assert_int_equal(figures(&s).idle, 2);
    PLAY(&s, figures(&s).open == 0);
    for (int i = 0; i < 3; ++i)
        spectator_close(&v[i]);
    scene_end(&s);
}

TEST(the_connection_used_last_is_used_first)
{
    struct scene s;
    struct spectator v[2] = {0}, third = {0};
    size_t last;

    scene_open(&s, 1);
    scene_begin(&s);
    begin_method(&s, &v[0], "GET");
    begin_method(&s, &v[1], "GET");
    says(&s.servers[0], ok);
    PLAY(&s, v[0].ended || v[1].ended);
    says(&s.servers[0], ok);
    PLAY(&s, v[0].ended && v[1].ended);
    last = s.servers[0].guests[0].in.len;
    says(&s.servers[0], ok);
    get(&s, &third);
    /* the first guest was answered first, so the second one was used last */
    assert_int_equal(s.servers[0].guests[0].in.len, last);
    assert_true(s.servers[0].guests[1].in.len > last);
    spectator_close(&v[0]);
    spectator_close(&v[1]);
    spectator_close(&third);
    scene_end(&s);
}

/* ---- balance ---- */

/* `n` requests one after the other; how many went to each of the three servers. */
static void spread(enum bw_balance balance, const uint32_t weights[3], unsigned n,
                   unsigned counts[3])
{
    struct scene s;

    scene_open(&s, 3);
    s.conf.balance = balance;
    for (int i = 0; i < 3; ++i)
        s.server_conf[i].weight = weights[i];
    scene_begin(&s);
    memset(counts, 0, 3 * sizeof(counts[0]));
    for (unsigned i = 0; i < n; ++i) {
        struct spectator v = {0};
        int at;

        begin_method(&s, &v, "GET");
        at = bw_fetch_server(v.fetch);
        assert_true(at >= 0);
        ++counts[at];
        bw_fetch_cancel(v.fetch);
        turn(&s);
    }
    scene_end(&s);
}

TEST(round_robin_follows_the_weights_exactly)
{
    unsigned counts[3];

    spread(BW_BALANCE_ROUND_ROBIN, (uint32_t[]){1, 1, 1}, 30, counts);
    assert_int_equal(counts[0], 10);
    assert_int_equal(counts[1], 10);
    assert_int_equal(counts[2], 10);
    spread(BW_BALANCE_ROUND_ROBIN, (uint32_t[]){3, 2, 1}, 30, counts);
    assert_int_equal(counts[0], 15);
    assert_int_equal(counts[1], 10);
    assert_int_equal(counts[2], 5);
}

TEST(random_follows_the_weights_roughly)
{
    unsigned counts[3];

    spread(BW_BALANCE_RANDOM, (uint32_t[]){6, 1, 1}, 50, counts);
    assert_int_equal(counts[0] + counts[1] + counts[2], 50);
    assert_in_range(counts[0], 20, 50);
}

TEST(a_server_at_its_limit_is_passed_over)
{
    struct scene s;
    struct spectator v[3] = {0};

    scene_open(&s, 2);
    s.server_conf[0].weight = 1000;
    s.conf.per_server = 1;
    scene_begin(&s);
    begin_method(&s, &v[0], "GET");
    begin_method(&s, &v[1], "GET");
    begin_method(&s, &v[2], "GET");
    assert_int_equal(bw_fetch_server(v[0].fetch), 0);
    assert_int_equal(bw_fetch_server(v[1].fetch), 1);
    assert_int_equal(bw_fetch_server(v[2].fetch), -1);
    for (int i = 0; i < 3; ++i)
        bw_fetch_cancel(v[i].fetch);
    scene_end(&s);
}

/* ---- retries ---- */

TEST(a_server_that_refuses_costs_no_request_whatever_the_method)
{
    static const char *methods[] = {"GET", "POST", "PATCH"};

    for (size_t i = 0; i < BW_ARRAY_LEN(methods); ++i) {
        struct scene s;
        struct spectator v = {0};

        scene_open(&s, 2);
        s.server_conf[0].weight = 10;
        refuse_connections(&s.servers[0]);
        says(&s.servers[1], ok);
        scene_begin(&s);
        begin_method(&s, &v, methods[i]);
        assert_int_equal(bw_fetch_server(v.fetch), 0);
        PLAY(&s, v.ends == 1);
        assert_true(v.ended);
        assert_int_equal(figures(&s).retries, 1);
        spectator_close(&v);
        scene_end(&s);
    }
}

TEST(a_body_is_asked_for_only_when_a_server_is_there)
{
    struct scene s;
    struct spectator v = {0};
    struct bw_fetch_request rq = request("POST", "/");

    scene_open(&s, 2);
    s.server_conf[0].weight = 10;
    refuse_connections(&s.servers[0]);
    say(&s.servers[1], (struct line){.when = "0\r\n\r\n", .bytes = ok});
    scene_begin(&s);
    rq.body = BW_FRAMING_CHUNKED;
    begin(&s, &v, &rq);
    PLAY(&s, v.wanted > 0);
    assert_int_equal(bw_fetch_server(v.fetch), 1);
    bw_fetch_body(v.fetch, BW_S("x"), true);
    PLAY(&s, v.ended);
    spectator_close(&v);
    scene_end(&s);
}

TEST(with_no_other_server_the_cause_is_told)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    refuse_connections(&s.servers[0]);
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_CONNECT);
    assert_int_equal(figures(&s).failures, 1);
    spectator_close(&v);
    scene_end(&s);
}

TEST(no_server_is_tried_more_often_than_the_pool_says)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 3);
    s.server_conf[2].weight = 1;
    s.server_conf[0].weight = s.server_conf[1].weight = 10;
    refuse_connections(&s.servers[0]);
    refuse_connections(&s.servers[1]);
    s.conf.retry_times = 1;
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_CONNECT);
    assert_int_equal(figures(&s).retries, 1);
    spectator_close(&v);
    scene_end(&s);

    scene_open(&s, 3);
    refuse_connections(&s.servers[0]);
    refuse_connections(&s.servers[1]);
    says(&s.servers[2], ok);
    s.conf.retry_times = 2;
    v = (struct spectator){0};
    scene_begin(&s);
    get(&s, &v);
    assert_true(v.ended);
    assert_int_equal(figures(&s).retries, 2);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_server_that_could_not_be_reached_is_avoided_for_a_while)
{
    struct scene s;

    scene_open(&s, 2);
    s.server_conf[0].weight = 10;
    refuse_connections(&s.servers[0]);
    scene_begin(&s);
    for (int i = 0; i < 20; ++i) {
        struct spectator v = {0};

        says(&s.servers[1], ok);
        get(&s, &v);
        assert_true(v.ended);
        spectator_close(&v);
    }
    assert_int_equal(figures(&s).retries, 1);
    scene_end(&s);
}

/* Ten at once after a quiet time, then one for every five requests (20 %). */
TEST(an_outage_does_not_double_the_load)
{
    struct scene s;
    unsigned failed = 0;

    scene_open(&s, 2);
    refuse_connections(&s.servers[0]);
    refuse_connections(&s.servers[1]);
    scene_begin(&s);
    for (int i = 0; i < 50; ++i) {
        struct spectator v = {0};

        get(&s, &v);
        failed += v.failed == BW_REASON_CONNECT ? 1 : 0;
        spectator_close(&v);
    }
    assert_int_equal(failed, 50);
    assert_in_range(figures(&s).retries, 18, 20);
    scene_end(&s);
}

TEST(a_budget_of_zero_means_no_retries)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 2);
    s.server_conf[0].weight = 10;
    refuse_connections(&s.servers[0]);
    s.conf.retry_budget_percent = 0;
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_CONNECT);
    spectator_close(&v);
    scene_end(&s);
}

/* It went out and nothing came back: repeated elsewhere only where that is harmless. */
static void silent_close(const char *method, bool again)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 2);
    s.server_conf[0].weight = 10;
    say(&s.servers[0], (struct line){.after = CLOSE});
    says(&s.servers[1], ok);
    scene_begin(&s);
    begin_method(&s, &v, method);
    PLAY(&s, v.ends == 1);
    assert_int_equal(v.ended, again);
    if (!again)
        assert_int_equal(v.failed, BW_REASON_CLOSED);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_request_that_may_have_been_seen_goes_elsewhere_only_if_it_is_safe)
{
    silent_close("GET", true);
    silent_close("POST", false);
    silent_close("PUT", false);
    silent_close("DELETE", false);
}

TEST(a_timeout_is_not_repeated_elsewhere)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 2);
    s.conf.first_byte_ms = 30;
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_FIRST_BYTE_TIMEOUT);
    assert_int_equal(figures(&s).retries, 0);
    spectator_close(&v);
    scene_end(&s);
}

/* ---- unix sockets and mistakes in the configuration ---- */

TEST(a_server_may_be_a_unix_socket)
{
    struct scene s;
    struct spectator v = {0};
    char path[64];
    struct sockaddr_storage sa = {.ss_family = AF_UNIX};

    scene_open(&s, 1);
    (void)snprintf(path, sizeof(path), "bw-test-%d.sock", (int)getpid());
    (void)unlink(path);
    memcpy((char *)&sa + sizeof(sa_family_t), path, strlen(path) + 1);
    close(s.servers[0].listener);
    s.servers[0].listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(s.servers[0].listener, (struct sockaddr *)&sa, sizeof(sa_family_t) + 40),
                     0);
    assert_int_equal(listen(s.servers[0].listener, 8), 0);
    s.server_conf[0].host = NULL;
    s.server_conf[0].unix_path = path;
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &v);
    assert_true(v.ended);
    (void)unlink(path);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_path_that_is_too_long_is_named)
{
    struct scene s;
    char why[512] = "", path[200];

    scene_open(&s, 1);
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    s.server_conf[0].host = NULL;
    s.server_conf[0].unix_path = path;
    assert_int_equal(bw_origin_new(s.loop, &s.conf, 1, 1, why, sizeof(why), &s.origin),
                     BW_ERR_INVALID);
    assert_non_null(strstr(why, "pool 'origin': 'xxx"));
    assert_null(s.origin);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(no_more_connections_are_made_than_allowed),
        RUN(the_limits_are_divided_among_the_workers),
        RUN(a_full_queue_refuses),
        RUN(nobody_waits_in_the_queue_for_ever),
        RUN(the_queue_is_served_in_its_order_when_a_fetch_is_cancelled),
        RUN(idle_connections_are_few_and_grow_old),
        RUN(the_connection_used_last_is_used_first),
        RUN(round_robin_follows_the_weights_exactly),
        RUN(random_follows_the_weights_roughly),
        RUN(a_server_at_its_limit_is_passed_over),
        RUN(a_server_that_refuses_costs_no_request_whatever_the_method),
        RUN(a_body_is_asked_for_only_when_a_server_is_there),
        RUN(with_no_other_server_the_cause_is_told),
        RUN(no_server_is_tried_more_often_than_the_pool_says),
        RUN(a_server_that_could_not_be_reached_is_avoided_for_a_while),
        RUN(an_outage_does_not_double_the_load),
        RUN(a_budget_of_zero_means_no_retries),
        RUN(a_request_that_may_have_been_seen_goes_elsewhere_only_if_it_is_safe),
        RUN(a_timeout_is_not_repeated_elsewhere),
        RUN(a_server_may_be_a_unix_socket),
        RUN(a_path_that_is_too_long_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
