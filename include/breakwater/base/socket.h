/*
 * socket.h - what we ask of a socket past libh2o.
 */
#pragma once

#include <h2o.h>

enum { BW_SEND_AT_ONCE_MAX = 16384 }; /* more is seldom taken whole, and then costs a second call */

/*
 * Sends what the kernel takes at once of `v`, which then begins behind that; the rest, even if it
 * is none, goes to h2o_socket_write() as usual, which calls back in any case and reports what is
 * wrong with the socket.  Nothing is sent over TLS, nor of more than BW_SEND_AT_ONCE_MAX bytes.
 * Nothing may be in flight.
 */
void bw_socket_send(h2o_socket_t *socket, h2o_iovec_t *v);
