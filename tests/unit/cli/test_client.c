/*
 * test_client.c - one question to an address where anything may answer.
 */
#include "breakwater/cli/client.h"

#include "unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000 };

/* Takes one connection, reads one request, gives one answer. */
struct peer {
    int listener;
    const char *answer; /* NULL: keeps silent until the client leaves */
    char heard[1024];
    char address[128];
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct peer *p = arg;
    int fd = accept(p->listener, NULL, NULL);
    size_t n = 0;
    ssize_t got;

    while (strstr(p->heard, "\r\n\r\n") == NULL &&
           (got = recv(fd, p->heard + n, sizeof(p->heard) - n - 1, 0)) > 0)
        n += (size_t)got;
    if (p->answer != NULL)
        send(fd, p->answer, strlen(p->answer), MSG_NOSIGNAL);
    else
        recv(fd, p->heard, 1, 0);
    close(fd);
    return NULL;
}

static void start(struct peer *p, const char *answer, const struct sockaddr *at, socklen_t len)
{
    p->answer = answer;
    p->listener = socket(at->sa_family, SOCK_STREAM, 0);
    assert_int_equal(bind(p->listener, at, len), 0);
    assert_int_equal(listen(p->listener, 4), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void start_tcp(struct peer *p, const char *answer)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    *p = (struct peer){0};
    start(p, answer, (const struct sockaddr *)&at, len);
    getsockname(p->listener, (struct sockaddr *)&at, &len);
    snprintf(p->address, sizeof(p->address), "127.0.0.1:%u", ntohs(at.sin_port));
}

static void end(struct peer *p)
{
    pthread_join(p->thread, NULL);
    close(p->listener);
}

static struct bw_buf body, why;

static bool get(const char *address, int patience_ms)
{
    bool good;

    bw_buf_clear(&body);
    bw_buf_clear(&why);
    good = bw_cli_get(address, "/v1/stats", patience_ms, &body, &why);
    bw_buf_char(&body, '\0');
    bw_buf_char(&why, '\0');
    return good;
}

static int tidy_up(void **state)
{
    (void)state;
    bw_buf_free(&body);
    bw_buf_free(&why);
    return 0;
}

TEST(the_body_of_a_good_answer_is_given)
{
    struct peer p;

    start_tcp(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    assert_true(get(p.address, PATIENCE_MS));
    assert_string_equal(body.base, "{}");
    end(&p);
    assert_non_null(strstr(p.heard, "GET /v1/stats HTTP/1.0\r\nHost: localhost\r\n"));
}

TEST(an_answer_may_end_with_the_connection)
{
    struct peer p;

    start_tcp(&p, "HTTP/1.0 200 OK\r\n\r\nall of it");
    assert_true(get(p.address, PATIENCE_MS));
    assert_string_equal(body.base, "all of it");
    end(&p);
}

TEST(no_host_is_this_one_and_names_are_resolved)
{
    struct peer p;

    start_tcp(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    assert_true(get(strchr(p.address, ':'), PATIENCE_MS));
    end(&p);
    start_tcp(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    memmove(p.address + 9, strchr(p.address, ':'), strlen(strchr(p.address, ':')) + 1);
    memcpy(p.address, "localhost", 9);
    assert_true(get(p.address, PATIENCE_MS));
    end(&p);
}

TEST(a_unix_socket_is_an_address)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/test_client.XXXXXX";
    struct peer p = {0};

    assert_non_null(mkdtemp(folder));
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/admin", folder);
    snprintf(p.address, sizeof(p.address), "unix:%s", at.sun_path);
    start(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", (const struct sockaddr *)&at,
          sizeof(at));
    assert_true(get(p.address, PATIENCE_MS));
    assert_string_equal(body.base, "{}");
    end(&p);
    unlink(at.sun_path);
    rmdir(folder);
}

static const struct {
    const char *answer, *why;
} bad[] = {
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answers 404; is that the admin"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "the answer was cut off; ask again"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "does not speak HTTP"},
    {"HTTP/1.1 200 OK\r\n", "does not speak HTTP"},
    {"220 mail.example ESMTP\r\n", "does not speak HTTP"},
    {"", "does not speak HTTP"},
};

TEST(a_bad_answer_is_named_with_its_address)
{
    struct peer p;

    for (size_t i = 0; i < BW_ARRAY_LEN(bad); i++) {
        start_tcp(&p, bad[i].answer);
        assert_false(get(p.address, PATIENCE_MS));
        if (strstr(why.base, bad[i].why) == NULL || strstr(why.base, p.address) != why.base)
            fail_msg("answer %zu: %s", i, why.base);
        assert_int_equal(body.len, 1);
        end(&p);
    }
}

TEST(where_nothing_listens_the_address_is_named)
{
    struct peer p;

    start_tcp(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    assert_true(get(p.address, PATIENCE_MS));
    end(&p);
    assert_false(get(p.address, PATIENCE_MS));
    assert_non_null(strstr(why.base, ": Connection refused; is Breakwater running"));
    assert_false(get("unix:/nonexistent/admin", PATIENCE_MS));
    assert_non_null(strstr(why.base, "unix:/nonexistent/admin: No such file"));
}

TEST(who_keeps_silent_is_not_waited_for_without_end)
{
    struct peer p;

    start_tcp(&p, NULL);
    assert_false(get(p.address, 50));
    assert_non_null(strstr(why.base, ": Connection timed out; "));
    end(&p);
}

TEST(an_address_is_known_by_its_form)
{
    static const char *const right[] = {"127.0.0.1:1", ":80", "[::1]:80", "app:65535", "unix:/a"};
    static const char *const wrong[] = {"127.0.0.1", "",         ":",     "a:b",  "::1",
                                        "[::1]",     "a:123456", "1:80x", "unix:"};

    for (size_t i = 0; i < BW_ARRAY_LEN(right); i++)
        if (!bw_cli_is_address(right[i]))
            fail_msg("%s", right[i]);
    for (size_t i = 0; i < BW_ARRAY_LEN(wrong); i++)
        if (bw_cli_is_address(wrong[i]))
            fail_msg("%s", wrong[i]);
}

#define RUN_TIDY(name) cmocka_unit_test_teardown(name, tidy_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_TIDY(the_body_of_a_good_answer_is_given),
        RUN_TIDY(an_answer_may_end_with_the_connection),
        RUN_TIDY(no_host_is_this_one_and_names_are_resolved),
        RUN_TIDY(a_unix_socket_is_an_address),
        RUN_TIDY(a_bad_answer_is_named_with_its_address),
        RUN_TIDY(where_nothing_listens_the_address_is_named),
        RUN_TIDY(who_keeps_silent_is_not_waited_for_without_end),
        RUN_TIDY(an_address_is_known_by_its_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
