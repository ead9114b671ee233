/*
 * test_connection.c - how a connection comes to be, or does not: addresses, clocks, causes.
 */
#include "scene.h"

static const char ok[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/* A listener whose queue is full: the kernel drops what else comes. */
struct black_hole {
    int listener, fillers[4];
    uint16_t port;
};

static void black_hole_open(struct black_hole *h)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);

    h->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(h->listener, (struct sockaddr *)(void *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(h->listener, 0), 0);
    assert_int_equal(getsockname(h->listener, (struct sockaddr *)(void *)&sin, &len), 0);
    h->port = ntohs(sin.sin_port);
    for (size_t i = 0; i < BW_ARRAY_LEN(h->fillers); ++i) {
        h->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(h->fillers[i], (struct sockaddr *)(void *)&sin, sizeof(sin));
    }
}

static void black_hole_close(struct black_hole *h)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(h->fillers); ++i)
        close(h->fillers[i]);
    close(h->listener);
}

TEST(a_server_that_does_not_accept_is_given_up)
{
    struct black_hole hole;
    struct scene s;
    struct spectator v = {0};

    black_hole_open(&hole);
    scene_open(&s, 1);
    s.conf.connect_ms = 30;
    s.server_conf[0].port = hole.port;
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_CONNECT_TIMEOUT);
    assert_int_equal(figures(&s).open, 0);
    spectator_close(&v);
    scene_end(&s);
    black_hole_close(&hole);
}

TEST(and_another_server_is_asked_then)
{
    struct black_hole hole;
    struct scene s;
    struct spectator v = {0};

    black_hole_open(&hole);
    scene_open(&s, 2);
    s.conf.connect_ms = 30;
    s.server_conf[0].port = hole.port;
    s.server_conf[0].weight = 10;
    says(&s.servers[1], ok);
    scene_begin(&s);
    get(&s, &v);
    assert_true(v.ended);
    spectator_close(&v);
    scene_end(&s);
    black_hole_close(&hole);
}

TEST(a_fetch_may_be_cancelled_while_its_server_does_not_accept)
{
    struct black_hole hole;
    struct scene s;
    struct spectator v = {0};

    black_hole_open(&hole);
    scene_open(&s, 1);
    s.server_conf[0].port = hole.port;
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    play_turns(&s, 3);
    bw_fetch_cancel(v.fetch);
    PLAY(&s, figures(&s).open == 0);
    scene_end(&s);
    black_hole_close(&hole);
}

TEST(a_name_from_the_hosts_file_will_do)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    s.server_conf[0].host = "localhost"; /* it may have an IPv6 address that nobody listens on */
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &v);
    assert_true(v.ended);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_name_that_does_not_resolve_is_a_cause_of_its_own)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    s.server_conf[0].host = "no-such-name.invalid";
    s.conf.resolve_ms = 100; /* where nobody answers questions at all */
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_RESOLVE);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_fetch_may_be_cancelled_while_its_name_is_resolved)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    s.server_conf[0].host = "no-such-name.invalid";
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    bw_fetch_cancel(v.fetch);
    PLAY(&s, figures(&s).open == 0);
    assert_int_equal(v.ends, 0);
    scene_end(&s);
}

TEST(a_missing_unix_socket_is_a_refused_connection)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 1);
    s.server_conf[0].host = NULL;
    s.server_conf[0].unix_path = "no-such-socket";
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_CONNECT);
    spectator_close(&v);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_server_that_does_not_accept_is_given_up),
        RUN(and_another_server_is_asked_then),
        RUN(a_fetch_may_be_cancelled_while_its_server_does_not_accept),
        RUN(a_name_from_the_hosts_file_will_do),
        RUN(a_name_that_does_not_resolve_is_a_cause_of_its_own),
        RUN(a_fetch_may_be_cancelled_while_its_name_is_resolved),
        RUN(a_missing_unix_socket_is_a_refused_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
