/*
 * http1.h - HTTP/1.1 to clients: one connection, its requests one after the other  (RFC 9112).
 *
 * On the worker's thread, from inside the loop.  A connection belongs to itself: it ends, and
 * frees itself, when the client leaves, a timeout strikes or the last response is out.
 */
#pragma once

#include "breakwater/server/wire.h"

/* What accepting found out about a client. */
struct bw_accepted {
    const struct bw_listener *listener; /* lives at least as long as the socket */
    uint8_t address[16];                /* IPv4 mapped; all zero for a unix socket */
    uint16_t port;
    bool is_unix;
    SSL *session;            /* or NULL */
    const char *server_name; /* SNI, or NULL; copied */
};

/* The socket becomes the connection's; bytes that it has read already are looked at at once. */
void bw_http1_start(struct bw_worker *w, h2o_socket_t *socket, const struct bw_accepted *a);
/* Draining: what is between two requests is closed. */
void bw_http1_close_idle(struct bw_worker *w);
/* The drain's deadline: everything else is cut. */
void bw_http1_cut_all(struct bw_worker *w);
