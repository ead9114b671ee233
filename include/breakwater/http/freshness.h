/*
 * freshness.h - how long may a stored response be reused, and how old is it?  (RFC 9111, 4.2)
 *
 * Pure functions: no clock, no I/O, no allocation.  `_s` are Unix seconds or seconds, `_ms` Unix
 * milliseconds.
 */
#pragma once

#include "breakwater/http/cache_control.h"

/* What the age of a response is computed from. */
struct bw_freshness_origin {
    int64_t asked_ms;    /* our clock when the request left */
    int64_t answered_ms; /* our clock when the head had arrived */
    int64_t date_s;      /* bw_freshness_date() */
    int64_t age_s;       /* bw_freshness_age_field() */
};

/* Date of the response; `answered_s` where it has none or no valid one (RFC 9110, 6.6.1). */
int64_t bw_freshness_date(const struct bw_fields *f, int64_t answered_s);

/*
 * Age of the response as it came, 0 where it has none or no valid one.  Of a list the first member
 * counts (RFC 9111, 5.1); parameters behind the number, which no Age has, are cut off.
 */
int64_t bw_freshness_age_field(const struct bw_fields *f);

/*
 * The lifetime that the response states: s-maxage, else max-age, else Expires - Date where the
 * directives do not come from a targeted field; never negative (4.2.1).  An Expires that is no date
 * is in the past (5.3), of several the earliest counts.  False: it states none.
 */
bool bw_freshness_stated(const struct bw_cache_control *cc, const struct bw_fields *f,
                         int64_t date_s, int64_t answered_s, int64_t *lifetime_s);

/* A tenth of the time since Last-Modified, at most a day; 0 where that says nothing (4.2.2). */
int64_t bw_freshness_heuristic(const struct bw_fields *f, int64_t date_s, int64_t answered_s);

/* May the lifetime of a response with that status be guessed (RFC 9110, 15.1)? 206 is left out. */
bool bw_freshness_heuristic_status(int status);

/*
 * current_age at `now_ms`, in milliseconds, never negative (4.2.3).  Date is exact to the second
 * only, and is taken to be the latest moment that it may mean.
 */
int64_t bw_freshness_age_ms(const struct bw_freshness_origin *o, int64_t now_ms);
