/*
 * pattern.c - bytes that both ends know.
 */
#include "live.h"

#include <sys/socket.h>

static char pattern[2 * BW_LIVE_SPAN];

void bw_live_pattern_init(void)
{
    uint64_t x = UINT64_C(0x9E3779B97F4A7C15);

    for (size_t i = 0; i < BW_LIVE_SPAN; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        pattern[i] = pattern[i + BW_LIVE_SPAN] = (char)x;
    }
}

const char *bw_live_pattern(uint32_t object, uint64_t offset)
{
    return pattern + (object * UINT64_C(40503) + offset) % BW_LIVE_SPAN;
}

bool bw_live_send(int fd, const char *base, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, base, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        base += n;
        len -= (size_t)n;
    }
    return true;
}
