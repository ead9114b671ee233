/*
 * origin.c - the origin: it answers at once, and counts what it is asked for and what it sends.
 */
#include "live.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, BACKLOG = 1024, STACK = 256 << 10 };

static atomic_ullong requests, bytes;
static atomic_bool off;

static bool send_text(int fd, const char *status, const char *text)
{
    char out[512];
    int n = snprintf(out, sizeof(out),
                     "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     status, strlen(text), text);

    return bw_live_send(fd, out, (size_t)n);
}

static bool send_figures(int fd)
{
    char text[64];

    snprintf(text, sizeof(text), "%llu %llu\n", atomic_load(&requests), atomic_load(&bytes));
    return send_text(fd, "200 OK", text);
}

static size_t format_head(char *out, size_t room, uint32_t object, uint64_t size)
{
    char date[64];
    time_t now = time(NULL);
    struct tm tm;

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    return (size_t)snprintf(
        out, room,
        "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/octet-stream\r\n"
        "Cache-Control: max-age=86400\r\nETag: \"%u\"\r\nContent-Length: %llu\r\n\r\n",
        date, object, (unsigned long long)size);
}

static bool send_object(int fd, uint32_t object, uint64_t size)
{
    char head[512];

    atomic_fetch_add(&requests, 1);
    if (!bw_live_send(fd, head, format_head(head, sizeof(head), object, size)))
        return false;
    for (uint64_t at = 0; at < size;) {
        uint64_t n = size - at < BW_LIVE_SPAN ? size - at : BW_LIVE_SPAN;
        if (!bw_live_send(fd, bw_live_pattern(object, at), n))
            return false;
        atomic_fetch_add(&bytes, n);
        at += n;
    }
    return true;
}

/* `head` is one request. */
static bool answer(int fd, const char *head)
{
    unsigned object;
    unsigned long long size;

    if (sscanf(head, "GET /o/%u/%llu ", &object, &size) == 2)
        return atomic_load(&off) ? send_text(fd, "503 Service Unavailable", "off\n")
                                 : send_object(fd, object, size);
    if (strncmp(head, "GET /figures ", 13) == 0)
        return send_figures(fd);
    if (strncmp(head, "GET /off ", 9) == 0 || strncmp(head, "GET /on ", 8) == 0) {
        atomic_store(&off, head[6] == 'f');
        return send_text(fd, "200 OK", "done\n");
    }
    return send_text(fd, "404 Not Found", "no such object\n");
}

/* Requests without a body, one after the other, until the peer has no more. */
static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char head[HEAD_MAX + 1];
    size_t len = 0;
    bool good = true;

    while (good && len < HEAD_MAX) {
        ssize_t n = recv(fd, head + len, HEAD_MAX - len, 0);
        char *end;
        if (n <= 0)
            break;
        len += (size_t)n;
        head[len] = '\0';
        while (good && (end = strstr(head, "\r\n\r\n")) != NULL) {
            good = answer(fd, head);
            len -= (size_t)(end + 4 - head);
            memmove(head, end + 4, len + 1);
        }
    }
    close(fd);
    return NULL;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, BACKLOG) != 0) {
        fprintf(stderr, "offload: the origin cannot listen on port %u: name another\n", port);
        return -1;
    }
    return fd;
}

int bw_live_origin(uint16_t port)
{
    int fd = listen_on(port), on = 1;
    pthread_attr_t attr;
    pthread_t thread;

    if (fd < 0)
        return 1;
    bw_live_pattern_init();
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    for (int peer; (peer = accept(fd, NULL, NULL)) >= 0;) {
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (pthread_create(&thread, &attr, serve, (void *)(intptr_t)peer) != 0)
            close(peer);
    }
    return 1;
}
