/*
 * cache_status.h - why a response was or was not a hit, in the words of RFC 9211.
 *
 * Pure, no allocation, no printf: it is written for every response.  Caches append themselves, the
 * origin's first (RFC 9211, 2): send this value as a Cache-Status field behind those of the
 * response, do not replace them.
 */
#pragma once

#include "breakwater/base/slice.h"
#include "breakwater/http/outcome.h"

enum {
    BW_CACHE_STATUS_MAX = 512,    /* bytes that a value needs at most */
    BW_CACHE_STATUS_KEY_MAX = 256 /* of them the key, which is cut there */
};

struct bw_cache_status {
    enum bw_outcome outcome;
    enum bw_reason reason;
    int fwd_status; /* what the origin answered; 0: it did not, or was not asked */
    int64_t ttl_s;  /* freshness left, negative when stale; if has_ttl */
    bool has_ttl;
    bool stored;         /* the origin's response was stored */
    bool collapsed;      /* this request waited for another one's fill */
    struct bw_slice key; /* only for peers that may see it; empty: not told */
};

/* "breakwater; hit; ttl=12; detail=hit" into `out`; returns how many bytes it has. */
size_t bw_cache_status_format(const struct bw_cache_status *s, char out[BW_CACHE_STATUS_MAX]);
