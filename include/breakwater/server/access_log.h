/*
 * access_log.h - one line a request, written by a thread of its own.
 *
 * A worker formats the line into its ring and goes on: it never waits and allocates nothing.  A
 * ring that is full drops the line and counts it.  What peers sent is escaped, so that no field can
 * look like another field or another line.
 */
#pragma once

#include "breakwater/base/err.h"
#include "breakwater/base/slice.h"
#include "breakwater/config/conf.h"
#include "breakwater/http/outcome.h"

enum { BW_LOG_LINE_MAX = 4096 }; /* with the line end */

struct bw_access_log;
struct bw_log_ring;
struct bw_counters;

/*
 * Opens the destination and starts the writer thread.  `counters`: one for each worker, where
 * BW_C_LOG_DROPPED is counted.  NULL: `why` (at least 256 bytes) has one line with reason and cure.
 * With access off there is a log all the same, which a reload may switch on.
 */
struct bw_access_log *bw_access_log_new(const struct bw_log_conf *conf,
                                        struct bw_counters *const *counters, unsigned workers,
                                        char *why, size_t why_len);
/* Writes what is in the rings and stops the writer; no worker writes any more. */
void bw_access_log_free(struct bw_access_log *log);
/*
 * SIGHUP or a reload: opens the destination anew, which may be another one.  The control thread.
 * Not BW_OK: everything stays as it was, `why` says why.
 */
enum bw_err bw_access_log_reopen(struct bw_access_log *log, const struct bw_log_conf *conf,
                                 char *why, size_t why_len);
/* The ring of one worker; lives as long as the log. */
struct bw_log_ring *bw_access_log_ring(struct bw_access_log *log, unsigned worker);
/* Is a line wanted?  Spares a worker the entry where the log is off. */
bool bw_access_log_wanted(const struct bw_log_ring *ring);

/* Empty slices and NULL stand for "not known". */
struct bw_log_entry {
    int64_t time_ms;    /* Unix, when the request came */
    const char *client; /* address as text */
    struct bw_slice method, target, host, referer, user_agent;
    const char *protocol; /* "HTTP/1.1" */
    int status;           /* 0: nothing was answered */
    uint64_t bytes_sent;  /* of the body */
    enum bw_outcome outcome;
    enum bw_reason reason;
    struct bw_slice request_id;
    uint64_t duration_us;
    uint64_t origin_us; /* of that, spent waiting for the origin; 0: none */
    const char *pool;
    int server;       /* index in the pool, or -1 */
    const char *rule; /* name of the last rule that matched */
    bool tls;
};
/* The owner of the ring. */
void bw_access_log_write(struct bw_log_ring *ring, const struct bw_log_entry *e);
