/*
 * cache_control.h - what do the cache directives of a message say?  (RFC 9111, 5.2; RFC 5861;
 * RFC 8246; RFC 9213; the W3C's Edge Architecture note for Surrogate-Control)
 *
 * Pure, no allocation; the results hold views of the fields.  Directives are read as forgivingly as
 * their RFC demands and judged by the stricter reading: of two values the smaller counts, a number
 * that is none is 0, what is unknown is ignored.  Times are seconds.
 */
#pragma once

#include "breakwater/http/field.h"

/* Not said.  Any other value is between 0 and BW_DELTA_MAX. */
enum { BW_CC_UNSET = -1 };

/* The name by which Surrogate-Control means us; origins learn it from Surrogate-Capability. */
#define BW_CC_SURROGATE "breakwater"

/* What a number of seconds too large to keep counts as (RFC 9111, 1.2.2). */
#define BW_DELTA_MAX INT64_C(2147483648)

/* Directives of a response that have no value. */
enum {
    BW_CC_NO_STORE = 1 << 0,
    BW_CC_NO_CACHE = 1 << 1, /* without field names */
    BW_CC_PRIVATE = 1 << 2,  /* without field names */
    BW_CC_PUBLIC = 1 << 3,
    BW_CC_MUST_REVALIDATE = 1 << 4,
    BW_CC_PROXY_REVALIDATE = 1 << 5,
    BW_CC_MUST_UNDERSTAND = 1 << 6,
    BW_CC_NO_TRANSFORM = 1 << 7,
    BW_CC_IMMUTABLE = 1 << 8,
};

/* Which field decides for us; the others are then not looked at, and with the first three neither
 * is Expires (RFC 9213, 2.2). */
enum bw_cc_source {
    BW_CC_FROM_NOTHING,
    BW_CC_FROM_BREAKWATER, /* Breakwater-Cache-Control */
    BW_CC_FROM_CDN,        /* CDN-Cache-Control */
    BW_CC_FROM_SURROGATE,  /* Surrogate-Control */
    BW_CC_FROM_CACHE_CONTROL,
};

enum { BW_CC_WITHHELD_MAX = 4 };

struct bw_cache_control {
    enum bw_cc_source source;
    uint32_t flags;
    uint32_t withheld_n;
    int64_t max_age_s;
    int64_t s_maxage_s;
    int64_t swr_s;                                /* stale-while-revalidate */
    int64_t sie_s;                                /* stale-if-error */
    struct bw_slice withheld[BW_CC_WITHHELD_MAX]; /* lists of no-cache="..." and private="..." */
};

struct bw_request_control {
    bool no_cache;
    bool no_store;
    bool only_if_cached;
    int64_t max_age_s;
    int64_t max_stale_s; /* BW_DELTA_MAX where it has no value */
    int64_t min_fresh_s;
    int64_t sie_s; /* stale-if-error (RFC 5861, 4) */
};

/*
 * The directives of a response that are meant for us, from the first of Breakwater-Cache-Control,
 * CDN-Cache-Control, Surrogate-Control, Cache-Control that is there.  The first two are structured
 * fields: one that is empty, does not parse or gives a directive the wrong type is as if it were
 * absent (RFC 9213, 2.1).  Surrogate-Control decides when it has a directive of caching for any
 * surrogate or for "breakwater"; `content="ESI/1.0"` alone leaves the word to Cache-Control.
 */
void bw_cache_control_response(const struct bw_fields *f, struct bw_cache_control *cc);

/* Is the field with that lower-case name to be kept from later requests: no-cache="..." and
 * private="..." (RFC 9111, 5.2.2.4 and 5.2.2.7)? */
bool bw_cache_control_withholds(const struct bw_cache_control *cc, struct bw_slice name);

/* The directives of a request; Pragma counts where there is no Cache-Control (RFC 9111, 5.4). */
void bw_cache_control_request(const struct bw_fields *f, struct bw_request_control *rc);

/* Does the message say Pragma: no-cache? */
bool bw_pragma_no_cache(const struct bw_fields *f);

/* delta-seconds (RFC 9111, 1.2.2): digits only, at most BW_DELTA_MAX. False, `*out` alone: invalid.
 */
bool bw_delta_seconds(struct bw_slice s, int64_t *out);
