/*
 * http1.h - HTTP/1.1 to clients: one connection, its requests one after the other  (RFC 9112).
 *
 * On the worker's thread, from inside the loop.  A connection belongs to itself: it ends, and
 * frees itself, when the client leaves, a timeout strikes or the last response is out.
 */
#pragma once

#include "breakwater/server/wire.h"

/* The socket becomes the connection's; bytes that it has read already are looked at at once. */
void bw_http1_start(struct bw_worker *w, h2o_socket_t *socket, const struct bw_accepted *a);
