/* Accepting: listeners, limits, PROXY lines, and sockets that outlive a reload. */
#include "wire_stand.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

static struct bw_conf *conf;
static struct bw_listen_set *set;
static struct bw_diag said;
static char client_seen[64];
static bool was_trusted;
static int server_fd;

void bw_request_start(struct bw_exchange *x)
{
    seen.started++;
    snprintf(client_seen, sizeof(client_seen), "%s %u", x->conn->address_text,
             (unsigned)x->conn->port);
    was_trusted = x->conn->peer_trusted;
    server_fd = h2o_socket_get_fd(x->conn->socket);
    answer(x, 200, "hello");
}

void bw_request_refuse(struct bw_exchange *x, int status, enum bw_reason why)
{
    (void)why;
    answer(x, status, "no");
}

#define HELLO       "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\n\r\nhello"
#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct bw_conf *load(const char *text)
{
    struct bw_conf_flags none = {0};
    struct bw_conf *c = bw_conf_load_text(bw_slice_str(text), "t.yaml", &none, &said);

    if (c == NULL)
        fail_msg("%.*s", (int)said.text.len, said.text.base);
    return c;
}

static int worker_up(void **state)
{
    stand_up(state);
    stand->w.accept_limits = bw_accept_limits_new();
    memset(&said, 0, sizeof(said));
    conf = NULL;
    set = NULL;
    return 0;
}

static int worker_down(void **state)
{
    if (stand->fd >= 0)
        close(stand->fd);
    stand->fd = -1;
    bw_worker_listen(&stand->w, NULL);
    bw_conns_cut(&stand->w);
    turn(3);
    assert_int_equal(atomic_load(&stand->w.connections), 0);
    if (set != NULL)
        bw_listen_set_put(set);
    if (conf != NULL)
        bw_conf_put(conf);
    bw_accept_limits_free(stand->w.accept_limits);
    bw_diag_free(&said);
    return stand_down(state);
}

static void open_with(const char *text)
{
    conf = load(text);
    stand->snapshot.conf = conf;
    set = bw_listen_set_new(conf, 1, NULL, &said);
    if (set == NULL)
        fail_msg("%.*s", (int)said.text.len, said.text.base);
    bw_worker_listen(&stand->w, set);
}

static int dial(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void dial_in(void)
{
    stand->fd = dial(bw_listen_set_port(set, 0));
    stand->closed = false;
}

TEST(a_client_by_tcp_is_served_and_known)
{
    struct sockaddr_in me;
    socklen_t len = sizeof(me);
    char expected[64];

    open_with("origin: http://a\nlisten: 127.0.0.1:0\ntrusted_proxies: 127.0.0.0/8\n");
    dial_in();
    say(GET("/"));
    hear(HELLO);
    assert_int_equal(getsockname(stand->fd, (struct sockaddr *)&me, &len), 0);
    snprintf(expected, sizeof(expected), "127.0.0.1 %u", (unsigned)ntohs(me.sin_port));
    assert_string_equal(client_seen, expected);
    assert_true(was_trusted);
    assert_int_equal(atomic_load(&stand->w.connections), 1);
    assert_int_equal(counted(BW_C_CONNECTIONS), 1);
}

TEST(an_accepted_socket_has_the_options_of_its_listener)
{
    int value = 0;
    socklen_t len = sizeof(value);
    int fd;

    open_with("origin: http://a\nlisten: 127.0.0.1:0\nlimits: {send_timeout: 7s}\n");
    dial_in();
    say(GET("/"));
    hear(HELLO);
    fd = server_fd;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    assert_int_equal(value, 1);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &len), 0);
    assert_int_equal(value, 7000);
}

TEST(ipv4_and_ipv6_meet_at_an_address_without_host)
{
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    open_with("origin: http://a\nlisten: ':0'\n");
    dial_in();
    say(GET("/"));
    hear(HELLO);
    assert_memory_equal(client_seen, "127.0.0.1 ", 10);
    close(stand->fd);
    sa.sin6_port = htons(bw_listen_set_port(set, 0));
    stand->fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (stand->fd < 0 || connect(stand->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
        skip(); /* a machine without IPv6 */
    (void)fcntl(stand->fd, F_SETFL, O_NONBLOCK);
    say(GET("/"));
    hear(HELLO);
    assert_memory_equal(client_seen, "::1 ", 4);
}

TEST(a_unix_socket_is_served_and_removed_at_the_end)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char text[200];

    snprintf(sa.sun_path, sizeof(sa.sun_path), "/tmp/bw-test-%d.sock", (int)getpid());
    snprintf(text, sizeof(text), "origin: http://a\nlisten: 'unix:%s'\n", sa.sun_path);
    open_with(text);
    stand->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(stand->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    (void)fcntl(stand->fd, F_SETFL, O_NONBLOCK);
    say(GET("/"));
    hear(HELLO);
    assert_string_equal(client_seen, "unix 0");
    close(stand->fd);
    stand->fd = -1;
    bw_worker_listen(&stand->w, NULL);
    bw_listen_set_put(set);
    set = NULL;
    turn(3);
    assert_int_equal(access(sa.sun_path, F_OK), -1);
}

TEST(a_reload_that_fails_leaves_the_unix_socket_where_it_is)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct bw_conf *other;
    char text[300];

    snprintf(sa.sun_path, sizeof(sa.sun_path), "/tmp/bw-test-%d.sock", (int)getpid());
    snprintf(text, sizeof(text), "origin: http://a\nlisten: 'unix:%s'\n", sa.sun_path);
    open_with(text);
    snprintf(text, sizeof(text), "origin: http://a\nlisten: ['unix:%s', 'unix:/nonexistent/s']\n",
             sa.sun_path);
    other = load(text);
    assert_null(bw_listen_set_new(other, 1, set, &said));
    bw_conf_put(other);
    stand->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(stand->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    (void)fcntl(stand->fd, F_SETFL, O_NONBLOCK);
    say(GET("/"));
    hear(HELLO);
}

TEST(an_address_in_use_is_an_error_that_names_it)
{
    struct bw_listen_set *second;
    struct bw_conf *other;
    char text[100];

    open_with("origin: http://a\nlisten: 127.0.0.1:0\n");
    snprintf(text, sizeof(text), "origin: http://a\nlisten: 127.0.0.1:%u\n",
             (unsigned)bw_listen_set_port(set, 0));
    other = load(text);
    second = bw_listen_set_new(other, 1, NULL, &said);
    assert_null(second);
    assert_int_equal(said.errors, 1);
    assert_non_null(memmem(said.text.base, said.text.len, "in use", 6));
    bw_conf_put(other);
}

TEST(a_reload_takes_over_the_sockets_and_keeps_who_waits)
{
    struct bw_listen_set *old, *new;

    open_with("origin: http://a\nlisten: 127.0.0.1:0\n");
    dial_in(); /* in the queue, not accepted */
    old = set;
    new = bw_listen_set_new(conf, 1, old, &said);
    assert_non_null(new);
    assert_int_equal(bw_listen_set_port(new, 0), bw_listen_set_port(old, 0));
    bw_worker_listen(&stand->w, new);
    bw_listen_set_put(old);
    set = new;
    say(GET("/"));
    hear(HELLO);
}

TEST(a_listener_that_a_reload_drops_is_closed_while_its_connections_live_on)
{
    struct bw_listen_set *old = NULL;
    struct bw_conf *other;
    struct sockaddr_in sa = {.sin_family = AF_INET};
    int fd;

    open_with("origin: http://a\nlisten: 127.0.0.1:0\n");
    dial_in();
    say(GET("/"));
    hear(HELLO);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sa.sin_port = htons(bw_listen_set_port(set, 0));
    other = load("origin: http://a\nlisten: 127.0.0.2:0\n");
    old = set;
    set = bw_listen_set_new(other, 1, old, &said);
    assert_non_null(set);
    bw_worker_listen(&stand->w, set);
    bw_listen_set_put(old);
    turn(3);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), -1);
    close(fd);
    say(GET("/"));
    hear(HELLO);
    bw_conf_put(other);
}

TEST(at_the_limit_the_next_client_waits_until_one_leaves)
{
    int first;

    open_with("origin: http://a\nlisten: 127.0.0.1:0\n"
              "limits: {connections: 1, connections_per_address: off}\n");
    dial_in();
    say(GET("/"));
    hear(HELLO);
    first = stand->fd;
    dial_in();
    say(GET("/"));
    turn(10);
    assert_int_equal(seen.started, 1);
    close(first);
    hear(HELLO);
    assert_int_equal(counted(BW_C_CONNECTIONS_REFUSED), 0);
}

TEST(a_client_with_too_many_connections_is_refused_another)
{
    int first;

    open_with("origin: http://a\nlisten: 127.0.0.1:0\nlimits: {connections_per_address: 1}\n");
    dial_in();
    say(GET("/"));
    hear(HELLO);
    first = stand->fd;
    dial_in();
    hear_close();
    assert_int_equal(counted(BW_C_CONNECTIONS_REFUSED), 1);
    close(stand->fd);
    close(first);
    turn(5);
    dial_in();
    say(GET("/"));
    hear(HELLO);
}

TEST(a_sender_of_proxy_lines_is_not_the_client)
{
    open_with("origin: http://a\nlisten: {address: '127.0.0.1:0', proxy_protocol: 127.0.0.1}\n"
              "trusted_proxies: 127.0.0.1\nlimits: {connections_per_address: 1}\n");
    dial_in();
    say("PROXY TCP4 192.0.2.7 192.0.2.8 ");
    turn(5);
    say("99 80\r\n" GET("/"));
    hear(HELLO);
    assert_string_equal(client_seen, "192.0.2.7 99");
    assert_false(was_trusted);
    say(GET("/"));
    hear(HELLO);
}

TEST(a_sender_that_must_speak_the_proxy_protocol_and_does_not_is_cut)
{
    open_with("origin: http://a\nlisten: {address: '127.0.0.1:0', proxy_protocol: 127.0.0.1}\n");
    dial_in();
    say(GET("/"));
    hear_close();
    assert_int_equal(seen.started, 0);
}

TEST(a_sender_that_is_slow_with_its_proxy_line_is_cut)
{
    open_with("origin: http://a\nlisten: {address: '127.0.0.1:0', proxy_protocol: 127.0.0.1}\n"
              "limits: {head_timeout: 20ms}\n");
    dial_in();
    say("PROXY ");
    hear_close();
    assert_int_equal(counted(BW_C_HEAD_TIMEOUT), 1);
}

TEST(anybody_else_who_sends_a_proxy_line_sends_a_bad_request)
{
    open_with("origin: http://a\nlisten: {address: '127.0.0.1:0', proxy_protocol: 10.0.0.0/8}\n");
    dial_in();
    say("PROXY TCP4 192.0.2.7 192.0.2.8 99 80\r\n" GET("/"));
    hear_bytes(12);
    assert_memory_equal(stand->heard, "HTTP/1.1 400", 12);
    assert_int_equal(seen.started, 0);
}

static int drained;

static void on_drained(struct bw_worker *w)
{
    (void)w;
    drained++;
}

TEST(draining_stops_accepting_and_drops_who_never_became_a_connection)
{
    drained = 0;
    open_with("origin: http://a\nlisten: {address: '127.0.0.1:0', proxy_protocol: 127.0.0.1}\n");
    dial_in();
    say("PROXY ");
    turn(5);
    bw_worker_drain(&stand->w, 10000, on_drained);
    hear_close();
    wait_for(&drained, 1);
    assert_null(stand->w.listening);
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, worker_up, worker_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(a_client_by_tcp_is_served_and_known),
        RUN_HERE(an_accepted_socket_has_the_options_of_its_listener),
        RUN_HERE(ipv4_and_ipv6_meet_at_an_address_without_host),
        RUN_HERE(a_unix_socket_is_served_and_removed_at_the_end),
        RUN_HERE(a_reload_that_fails_leaves_the_unix_socket_where_it_is),
        RUN_HERE(an_address_in_use_is_an_error_that_names_it),
        RUN_HERE(a_reload_takes_over_the_sockets_and_keeps_who_waits),
        RUN_HERE(a_listener_that_a_reload_drops_is_closed_while_its_connections_live_on),
        RUN_HERE(at_the_limit_the_next_client_waits_until_one_leaves),
        RUN_HERE(a_client_with_too_many_connections_is_refused_another),
        RUN_HERE(a_sender_of_proxy_lines_is_not_the_client),
        RUN_HERE(a_sender_that_must_speak_the_proxy_protocol_and_does_not_is_cut),
        RUN_HERE(a_sender_that_is_slow_with_its_proxy_line_is_cut),
        RUN_HERE(anybody_else_who_sends_a_proxy_line_sends_a_bad_request),
        RUN_HERE(draining_stops_accepting_and_drops_who_never_became_a_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
