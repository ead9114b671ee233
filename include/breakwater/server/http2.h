/*
 * http2.h - HTTP/2 to clients: one connection, its requests side by side  (RFC 9113).
 *
 * Frames, HPACK and flow control are nghttp2's.  On the worker's thread, from inside the loop; a
 * connection belongs to itself, as in http1.h.
 */
#pragma once

#include "breakwater/server/wire.h"

/* The socket becomes the connection's; bytes that it has read already are looked at at once. */
void bw_http2_start(struct bw_worker *w, h2o_socket_t *socket, const struct bw_accepted *a);
