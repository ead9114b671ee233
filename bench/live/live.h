/*
 * live.h - an origin that counts and a client that replays a trace: both ends of a cache under
 * test.
 *
 * Objects are /o/NUMBER/SIZE.  Their bytes follow from the number, so both sides know them: the
 * client compares every byte that it gets.  A thread for each connection, blocking calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Up to BW_LIVE_SPAN bytes of an object from `offset` on, valid for ever. */
enum { BW_LIVE_SPAN = 1 << 16 };
void bw_live_pattern_init(void);
const char *bw_live_pattern(uint32_t object, uint64_t offset);

bool bw_live_send(int fd, const char *base, size_t len);

/*
 * Serves until it is killed.  /figures tells `requests bytes` of objects so far, /off makes it
 * answer 503 to every object, which must not be stored, /on ends that.
 */
int bw_live_origin(uint16_t port);

/*
 * All requests of a trace over so many connections, each taking the next one.  `held`: each object
 * once, and what is answered with 200 is counted: with the origin off that is what is stored.
 */
int bw_live_load(uint16_t port, unsigned connections, const char *trace, bool held);
