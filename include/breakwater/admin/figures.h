/*
 * figures.h - what is counted: per worker, without locks, summed when somebody asks.
 *
 * A worker adds with relaxed stores to its own struct bw_counters; anybody reads relaxed.  Single
 * figures are exact, sums of different ones may be a moment apart.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "breakwater/http/outcome.h"

enum { BW_HISTOGRAM_BUCKETS = 24 }; /* bucket i: below 2^i * 16 microseconds; the last: the rest */

enum bw_counter {
    BW_C_REQUESTS,          /* client requests that were answered or aborted */
    BW_C_BYTES_TO_CLIENTS,  /* body bytes */
    BW_C_BYTES_FROM_ORIGIN, /* body bytes */
    BW_C_ORIGIN_FETCHES,    /* requests sent to an origin, revalidations and refreshes included */
    BW_C_ORIGIN_SAVED_US,   /* origin time that hits spared, by the stored fetch time */
    BW_C_COLLAPSED,         /* requests that joined a fill */
    BW_C_FILLS,
    BW_C_REFRESHES,
    BW_C_FILL_ORPHANED,
    BW_C_FILL_ABORTED,
    BW_C_FILL_BROKEN,
    BW_C_PASS_LEARNT,
    BW_C_VARY_SPLIT,
    BW_C_STORE_LOST,
    BW_C_STORE_FAILED,
    BW_C_CUT_LAGGING,
    BW_C_SHED,
    BW_C_WAIT_EXPIRED,
    BW_C_CHUNK_MISSING,
    BW_C_CONNECTIONS,       /* accepted */
    BW_C_CONNECTIONS_REFUSED, /* over a limit */
    BW_C_TLS_FAILED,
    BW_C_HEAD_TIMEOUT,
    BW_C_IDLE_TIMEOUT,
    BW_C_SEND_TIMEOUT,
    BW_C_BODY_TIMEOUT,
    BW_C_LOG_DROPPED,       /* access log lines that the ring could not take */
    BW_C_INVALIDATIONS,
    BW_C_COUNT,
};

struct bw_counters {
    _Atomic uint64_t counter[BW_C_COUNT];
    _Atomic uint64_t outcome[BW_OUTCOME_COUNT][BW_REASON_COUNT];
    _Atomic uint64_t hit_us[BW_HISTOGRAM_BUCKETS];  /* time to the last byte of hits */
    _Atomic uint64_t miss_us[BW_HISTOGRAM_BUCKETS]; /* and of everything from the origin */
    _Atomic uint64_t waiting;     /* now: requests that wait in fills */
    _Atomic uint64_t fills;       /* now: fills under way */
    _Atomic uint64_t connections; /* now */
};

/* Only the owner adds to `c`, so a relaxed load and store is enough and needs no lock prefix. */
static inline void bw_count_n(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
static inline void bw_count(struct bw_counters *c, enum bw_counter which, uint64_t n)
{
    bw_count_n(&c->counter[which], n);
}
/* The bucket of a duration. */
static inline unsigned bw_histogram_bucket(uint64_t us)
{
    unsigned b = us < 16 ? 0 : 60 - (unsigned)__builtin_clzll(us);

    return b < BW_HISTOGRAM_BUCKETS ? b : BW_HISTOGRAM_BUCKETS - 1;
}
const char *bw_counter_name(enum bw_counter c); /* "requests", "bytes_to_clients": static */
