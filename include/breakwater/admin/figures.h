/*
 * figures.h - what is counted: per worker, without locks, summed when somebody asks.
 *
 * A worker adds with relaxed stores to its own struct bw_counters; anybody reads relaxed.  Single
 * figures are exact, sums of different ones may be a moment apart.  What concerns fills is counted
 * by the fill table (bw_fills_count()), what concerns the store by the store.
 */
#pragma once

#include "breakwater/base/slice.h"
#include "breakwater/http/outcome.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bw_conf;
struct bw_host_table; /* src/admin/hosts.c */

enum { BW_HISTOGRAM_BUCKETS = 24 }; /* bucket i: below 2^i * 16 microseconds; the last: the rest */

enum bw_counter {
    BW_C_REQUESTS,            /* client requests that were answered or aborted */
    BW_C_HITS,                /* of these, answered from the store */
    BW_C_ORIGIN_FETCHES,      /* requests sent to an origin, revalidations and refreshes included */
    BW_C_BYTES_TO_CLIENTS,    /* body bytes */
    BW_C_BYTES_FROM_ORIGIN,   /* body bytes */
    BW_C_ORIGIN_SAVED_US,     /* origin time that hits spared, by the stored fetch time */
    BW_C_COLLAPSED,           /* requests that were answered by a fill which another one began */
    BW_C_CHUNK_MISSING,       /* a stored body that was gone when it was read */
    BW_C_CONNECTIONS,         /* accepted */
    BW_C_CONNECTIONS_REFUSED, /* over a limit */
    BW_C_TLS_FAILED,
    BW_C_HEAD_TIMEOUT,
    BW_C_IDLE_TIMEOUT,
    BW_C_SEND_TIMEOUT,
    BW_C_BODY_TIMEOUT,
    BW_C_HTTP2_CONTROL_FLOOD, /* HTTP/2 connections closed: too many control frames */
    BW_C_HTTP2_RESET_FLOOD,   /* the same: too many resets */
    BW_C_HTTP2_HEAD_FLOOD,    /* the same: far too many header fields */
    BW_C_HTTP2_PROBATION,     /* HTTP/2 connections of clients that flooded shortly before */
    BW_C_LOG_DROPPED,         /* access log lines that were not written */
    BW_C_INVALIDATIONS,
    BW_C_COUNT,
};

/* What is kept for every rule and every host, and for the windows of time. */
enum bw_sum {
    BW_SUM_REQUESTS,
    BW_SUM_HITS,
    BW_SUM_FETCHES,
    BW_SUM_BYTES_TO_CLIENTS,
    BW_SUM_BYTES_FROM_ORIGIN,
    BW_SUM_SAVED_US,
    BW_SUM_COUNT,
};
struct bw_sums {
    uint64_t v[BW_SUM_COUNT];
};
struct bw_tally { /* one writer, any reader */
    _Atomic uint64_t v[BW_SUM_COUNT];
};

/* The rules of one configuration: v[0] stands for none, v[i] for rule i - 1. */
struct bw_rule_figures {
    struct bw_rule_figures *older; /* of configurations before it; the reader frees them */
    struct bw_conf *conf;          /* a reference, or NULL */
    uint64_t generation;
    struct bw_sums *seen; /* the reader's own: what it has taken over; NULL: nothing yet */
    uint32_t n;           /* of v */
    struct bw_tally v[];
};

struct bw_counters {
    _Atomic uint64_t counter[BW_C_COUNT];
    _Atomic uint64_t outcome[BW_OUTCOME_COUNT][BW_REASON_COUNT];
    _Atomic uint64_t hit_us[BW_HISTOGRAM_BUCKETS];  /* time to the last byte of hits */
    _Atomic uint64_t miss_us[BW_HISTOGRAM_BUCKETS]; /* and of everything from the origin */
    _Atomic uint64_t hit_us_sum, miss_us_sum;
    _Atomic uint64_t second; /* written by the reader, about once a second: ages of hosts */
    _Atomic(struct bw_rule_figures *) rules;
    struct bw_host_table *hosts;
};

/* One for each worker.  `conf` (may be NULL: no rules) gives the rules, a reference is taken. */
struct bw_counters *bw_counters_new(struct bw_conf *conf);
/* A reload: the worker that owns `c` goes on with another configuration.  The owner's thread. */
void bw_counters_set_rules(struct bw_counters *c, struct bw_conf *conf);
void bw_counters_free(struct bw_counters *c); /* neither owner nor reader is left */

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

/* One request that is over, or one refresh, which had no client. */
struct bw_figures_sample {
    enum bw_outcome outcome;
    enum bw_reason reason;
    uint64_t bytes_to_client, bytes_from_origin; /* of bodies */
    uint32_t fetches;     /* requests sent to the origin for it, retries included */
    uint64_t saved_us;    /* origin time that it spared */
    uint64_t duration_us; /* from the first byte of the request to the last one of the response */
    uint32_t rule;        /* struct bw_settings: index + 1, 0: none */
    uint64_t generation;  /* of the configuration that `rule` is of; 0: the current one */
    struct bw_slice host; /* in normal form, without port; empty where the head was refused */
    bool collapsed;
    bool refresh; /* count only what the origin did for it */
};
/*
 * The account step.  The owner's thread; no lock, no allocation.  Hosts that are too many, too long
 * or strange are counted together.
 */
void bw_figures_account(struct bw_counters *c, const struct bw_figures_sample *s);

/* Is the response one that the store held?  Revalidated ones are. */
bool bw_outcome_is_hit(enum bw_outcome o);
const char *bw_counter_name(enum bw_counter c); /* "requests", "bytes_to_clients": static */
