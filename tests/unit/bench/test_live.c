/*
 * test_live.c - the counting origin and the replaying client, one against the other.
 */
#include "live.h"
#include "unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static uint16_t port;
static char path[] = "/tmp/replay-XXXXXX";

static void *run_origin(void *arg)
{
    (void)arg;
    bw_live_origin(port);
    return NULL;
}

static int reach(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    while (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        sched_yield();
    return fd;
}

/* What comes until "\n" ends a body; the answers of the origin that are looked at all do. */
static void tell(const char *request, char *answer, size_t room)
{
    int fd = reach();
    size_t len = 0;
    ssize_t n;

    assert_true(bw_live_send(fd, request, strlen(request)));
    do {
        n = recv(fd, answer + len, room - 1 - len, 0);
        assert_true(n > 0);
        len += (size_t)n;
        answer[len] = '\0';
    } while (strstr(answer, "\r\n\r\n") == NULL || answer[len - 1] != '\n' ||
             strcmp(answer + len - 4, "\r\n\r\n") == 0);
    close(fd);
}

static void figures(unsigned long long *requests, unsigned long long *bytes)
{
    char answer[1024];

    tell("GET /figures HTTP/1.1\r\n\r\n", answer, sizeof(answer));
    assert_int_equal(sscanf(strstr(answer, "\r\n\r\n"), "%llu %llu", requests, bytes), 2);
}

/* The client's line of figures. */
static void load(const char *trace, unsigned connections, bool held, char *line, size_t room)
{
    FILE *f = fopen(path, "w"), *out = tmpfile();
    int keep = dup(STDOUT_FILENO);

    assert_true(f != NULL && out != NULL && keep >= 0);
    fputs(trace, f);
    fclose(f);
    fflush(stdout);
    dup2(fileno(out), STDOUT_FILENO);
    int status = bw_live_load(port, connections, path, held);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep);
    assert_int_equal(status, 0);
    rewind(out);
    line[fread(line, 1, room - 1, out)] = '\0';
    fclose(out);
}

static void assert_starts(const char *line, const char *wanted)
{
    if (strncmp(line, wanted, strlen(wanted)) != 0)
        fail_msg("%s, wanted %s", line, wanted);
}

TEST(the_origin_counts_every_request_and_byte_that_the_client_gets)
{
    unsigned long long requests, bytes, before, bytes_before;
    char line[512];

    figures(&before, &bytes_before);
    load("0,a,1\n0,b,70000\n1,c,300000\n2,a,1\n", 3, false, line, sizeof(line));
    assert_starts(line, "{\"answered\": 4, \"bytes\": 370002, \"refused\": 0, \"failed\": 0,");
    figures(&requests, &bytes);
    assert_int_equal(requests - before, 4);
    assert_int_equal(bytes - bytes_before, 370002);
}

TEST(each_object_is_asked_for_once_to_see_what_is_held)
{
    char line[512];

    load("0,a,1\n0,b,10\n1,a,1\n2,a,1\n", 1, true, line, sizeof(line));
    assert_starts(line, "{\"answered\": 2, \"bytes\": 11, \"refused\": 0, \"failed\": 0,");
}

TEST(an_origin_that_is_off_refuses_objects_and_counts_nothing)
{
    unsigned long long requests, bytes, before, bytes_before;
    char line[512];

    figures(&before, &bytes_before);
    tell("GET /off HTTP/1.1\r\n\r\n", line, sizeof(line));
    load("0,a,1\n0,b,10\n", 2, false, line, sizeof(line));
    assert_starts(line, "{\"answered\": 0, \"bytes\": 0, \"refused\": 2, \"failed\": 0,");
    tell("GET /on HTTP/1.1\r\n\r\n", line, sizeof(line));
    figures(&requests, &bytes);
    assert_int_equal(requests, before);
    assert_int_equal(bytes, bytes_before);
}

/* One after the other, each with the body of another object: the client must not take it. */
static void *lie(void *arg)
{
    int fd = accept(*(int *)arg, NULL, NULL);
    char head[1024], body[100];

    while (fd >= 0 && recv(fd, head, sizeof(head), 0) > 0) {
        const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
        memcpy(body, bw_live_pattern(7, 0), sizeof(body));
        if (!bw_live_send(fd, text, strlen(text)) || !bw_live_send(fd, body, sizeof(body)))
            break;
        close(fd);
        fd = accept(*(int *)arg, NULL, NULL);
    }
    return NULL;
}

static uint16_t listen_anywhere(int *fd)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(*fd >= 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(*fd, 16), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&at, &len), 0);
    return ntohs(at.sin_port);
}

TEST(the_bytes_of_another_object_are_a_failure)
{
    uint16_t origin = port;
    pthread_t liar;
    char line[512];
    int fd;

    port = listen_anywhere(&fd);
    assert_int_equal(pthread_create(&liar, NULL, lie, &fd), 0);
    load("0,a,100\n", 1, false, line, sizeof(line));
    assert_starts(line, "{\"answered\": 0, \"bytes\": 0, \"refused\": 0, \"failed\": 1,");
    shutdown(fd, SHUT_RDWR);
    pthread_join(liar, NULL);
    close(fd);
    port = origin;
}

static int start_origin(void **state)
{
    int file = mkstemp(path), fd;
    pthread_t thread;

    (void)state;
    port = listen_anywhere(&fd); /* free a moment later, and SO_REUSEADDR takes it */
    close(fd);
    close(file);
    return pthread_create(&thread, NULL, run_origin, NULL) || pthread_detach(thread);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_origin_counts_every_request_and_byte_that_the_client_gets),
        RUN(each_object_is_asked_for_once_to_see_what_is_held),
        RUN(an_origin_that_is_off_refuses_objects_and_counts_nothing),
        RUN(the_bytes_of_another_object_are_a_failure),
    };

    return cmocka_run_group_tests(tests, start_origin, remove_path);
}
