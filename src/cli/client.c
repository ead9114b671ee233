/*
 * client.c - a small HTTP client that blocks: it has one thing to do and nobody else to serve.
 *
 * It asks as HTTP/1.0, so that the answer is not chunked and ends with the connection; the head is
 * read by the parser that everything here reads heads with.  What answers may be anything: it is
 * held to a size and to a time.
 */
#include "breakwater/cli/client.h"

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/http/head.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 << 20, BLOCK = 64 << 10, FIELDS_MAX = 100 };

struct asking {
    const char *address;
    int64_t deadline_us;
    int fd;
    struct bw_buf answer;
    struct bw_buf *why;
};

static bool fail(struct asking *a, const char *what, const char *cure)
{
    bw_buf_clear(a->why);
    bw_buf_printf(a->why, "%s: %s; %s", a->address, what, cure);
    return false;
}

static bool fail_errno(struct asking *a)
{
    return fail(a, strerror(errno), "is Breakwater running with this admin address?");
}

/* False: the time is over (errno ETIMEDOUT), or poll() failed. */
static bool wait_for(const struct asking *a, short events)
{
    struct pollfd p = {.fd = a->fd, .events = events};
    int n;

    do {
        int64_t left_ms = (a->deadline_us - bw_clock_mono_us() + 999) / 1000;
        n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        errno = ETIMEDOUT;
    return n > 0;
}

/* Leaves `fd` connected, or -1 and errno. */
static bool connect_to(struct asking *a, const struct sockaddr *to, socklen_t len, int patience_ms)
{
    int error = 0;
    socklen_t error_len = sizeof(error);

    a->deadline_us = bw_clock_mono_us() + (int64_t)patience_ms * 1000;
    a->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->fd < 0)
        return false;
    if (connect(a->fd, to, len) == 0)
        return true;
    error = errno;
    if (error == EINPROGRESS) {
        error = wait_for(a, POLLOUT) ? 0 : errno;
        if (error == 0)
            getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
    }
    if (error == 0)
        return true;
    close(a->fd);
    a->fd = -1;
    errno = error;
    return false;
}

static bool connect_unix(struct asking *a, const char *path, int patience_ms)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(to.sun_path))
        return fail(a, "is too long for a socket", "use at most 107 bytes");
    memcpy(to.sun_path, path, strlen(path));
    return connect_to(a, (const struct sockaddr *)&to, sizeof(to), patience_ms) || fail_errno(a);
}

/* HOST:PORT apart, in `host`; brackets go, no host is this one.  NULL: that is no address. */
static const char *split(char *host)
{
    char *colon = strrchr(host, ':'), *end;

    if (colon == NULL || strlen(colon + 1) == 0 || strspn(colon + 1, "0123456789") > 5 ||
        colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        return NULL;
    *colon = '\0';
    end = colon - 1;
    if (host[0] == '[' && end > host && *end == ']') {
        *end = '\0';
        memmove(host, host + 1, strlen(host));
    } else if (strchr(host, ':') != NULL) {
        return NULL;
    }
    return colon + 1;
}

bool bw_cli_is_address(const char *address)
{
    char *host = bw_slice_dup(bw_slice_str(address));
    bool good = strncmp(address, "unix:/", 6) == 0 || split(host) != NULL;

    free(host);
    return good;
}

static bool connect_tcp(struct asking *a, int patience_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    char *host = bw_slice_dup(bw_slice_str(a->address));
    const char *port = split(host);
    int error;

    BW_ASSERT(port != NULL);
    error = getaddrinfo(host[0] != '\0' ? host : "127.0.0.1", port, &hints, &found);
    free(host);
    if (error != 0)
        return fail(a, gai_strerror(error), "check the name");
    for (const struct addrinfo *i = found; i != NULL && a->fd < 0; i = i->ai_next)
        connect_to(a, i->ai_addr, i->ai_addrlen, patience_ms);
    error = errno;
    freeaddrinfo(found);
    errno = error;
    return a->fd >= 0 || fail_errno(a);
}

static bool send_all(struct asking *a, struct bw_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(a->fd, bytes.base, bytes.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN && wait_for(a, POLLOUT))
            continue;
        if (n < 0)
            return fail_errno(a);
        bytes = bw_slice(bytes.base + n, bytes.len - (size_t)n);
    }
    return true;
}

static bool ask(struct asking *a, const char *path)
{
    struct bw_buf request = {0};
    bool good;

    bw_buf_printf(&request, "GET %s HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                  path);
    good = send_all(a, bw_buf_view(&request));
    bw_buf_free(&request);
    return good;
}

static bool read_all(struct asking *a)
{
    char block[BLOCK];

    while (a->answer.len <= ANSWER_MAX) {
        ssize_t n = recv(a->fd, block, sizeof(block), 0);

        if (n == 0)
            return true;
        if (n > 0)
            bw_buf_append(&a->answer, block, (size_t)n);
        else if (errno != EAGAIN || !wait_for(a, POLLIN))
            return fail_errno(a);
    }
    return fail(a, "the answer has no end", "is that the admin address of Breakwater?");
}

static bool refuse_status(struct asking *a, int status)
{
    struct bw_buf what = {0};

    bw_buf_printf(&what, "answers %d", status);
    bw_buf_char(&what, '\0');
    fail(a, what.base, "is that the admin address of Breakwater?");
    bw_buf_free(&what);
    return false;
}

static bool read_answer(struct asking *a, struct bw_buf *body)
{
    struct bw_field fields[FIELDS_MAX];
    struct bw_response_head head;
    size_t scanned = 0, n = bw_head_find_end(a->answer.base, a->answer.len, &scanned), rest;

    if (n == 0 || !bw_head_parse_response(a->answer.base, n, fields, FIELDS_MAX, &head) ||
        head.framing == BW_FRAMING_CHUNKED)
        return fail(a, "does not speak HTTP as expected",
                    "is that the admin address of Breakwater?");
    if (head.status != 200)
        return refuse_status(a, head.status);
    rest = a->answer.len - n;
    if (head.framing == BW_FRAMING_LENGTH && rest != head.content_length)
        return fail(a, "the answer was cut off", "ask again");
    bw_buf_append(body, a->answer.base + n, rest);
    return true;
}

bool bw_cli_get(const char *address, const char *path, int patience_ms, struct bw_buf *body,
                struct bw_buf *why)
{
    struct asking a = {.address = address, .fd = -1, .why = why};
    bool good;

    good = strncmp(address, "unix:", 5) == 0 ? connect_unix(&a, address + 5, patience_ms)
                                             : connect_tcp(&a, patience_ms);
    good = good && ask(&a, path) && read_all(&a) && read_answer(&a, body);
    if (a.fd >= 0)
        close(a.fd);
    bw_buf_free(&a.answer);
    return good;
}
