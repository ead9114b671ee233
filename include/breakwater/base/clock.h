/*
 * clock.h - the one clock of the process.
 *
 * Unix milliseconds, plus an offset that only tests move (run --test-clock).  Freshness, log and
 * statistics use bw_clock_ms(); socket timeouts use the event loop's own clock.  Any thread.
 */
#pragma once

#include <stdint.h>

int64_t bw_clock_ms(void);         /* Unix time in milliseconds, with the offset */
int64_t bw_clock_s(void);          /* the same in whole seconds */
int64_t bw_clock_mono_us(void);    /* monotonic microseconds, for durations; no offset */
void bw_clock_advance(int64_t ms); /* tests only: moves the offset forward */
