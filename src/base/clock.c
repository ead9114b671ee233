/*
 * clock.c - the one clock of the process, and the offset by which tests move it.
 *
 * The offset is one relaxed atomic: nothing is ordered by it, and a reader that sees the old value
 * is a reader that looked a moment earlier.
 */
#include "breakwater/base/clock.h"

#include "breakwater/base/check.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t offset_ms;

static struct timespec read_clock(clockid_t id)
{
    struct timespec ts;

    BW_ASSERT(clock_gettime(id, &ts) == 0);
    return ts;
}

int64_t bw_clock_ms(void)
{
    struct timespec ts = read_clock(CLOCK_REALTIME);

    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 +
           atomic_load_explicit(&offset_ms, memory_order_relaxed);
}

int64_t bw_clock_s(void)
{
    return bw_clock_ms() / 1000;
}

int64_t bw_clock_mono_us(void)
{
    struct timespec ts = read_clock(CLOCK_MONOTONIC);

    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void bw_clock_advance(int64_t ms)
{
    atomic_fetch_add_explicit(&offset_ms, ms, memory_order_relaxed);
}
