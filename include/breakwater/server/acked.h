/*
 * acked.h - has the peer taken bytes?
 */
#pragma once

#include <stdint.h>

/*
 * A figure that changes when the peer takes bytes: for TCP the bytes it acknowledged, for a unix
 * socket the bytes that still wait.  For one comparison with an earlier call on the same socket.
 */
uint64_t bw_acked(int fd);
