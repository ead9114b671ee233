/*
 * settings.h - what the rules decided for one request, and the cache's own configuration.
 *
 * Plain data, filled by config, read-only afterwards; lives in one configuration snapshot.
 */
#pragma once

#include "breakwater/base/slice.h"
#include "breakwater/http/media.h"

enum bw_cache_mode { BW_CACHE_AUTO, BW_CACHE_ALWAYS, BW_CACHE_BYPASS };
enum bw_set_cookie { BW_SET_COOKIE_REFUSE, BW_SET_COOKIE_STRIP, BW_SET_COOKIE_KEEP };
/* Which responses are given a guessed lifetime: none, pages, or all that RFC 9110, 15.1 allows. */
enum bw_heuristic { BW_HEURISTIC_OFF, BW_HEURISTIC_ON, BW_HEURISTIC_ALL };
enum bw_protect { BW_PROTECT_REQUESTS, BW_PROTECT_BYTES, BW_PROTECT_ORIGIN_TIME };
enum bw_durability { BW_DURABILITY_SYNCED, BW_DURABILITY_RELAXED };

/* Lifetimes are seconds; these two stand for "not set by a rule" and for `off`. */
enum { BW_TTL_UNSET = -1, BW_TTL_OFF = -2 };

struct bw_status_ttl {
    int from, to;  /* 404..404, 500..599 */
    int64_t ttl_s; /* or BW_TTL_OFF */
};

struct bw_key_settings {
    const struct bw_slice *ignore_query; /* names or globs with '*'; dropped from key and origin */
    size_t ignore_query_n;
    bool ignore_query_all;
    const struct bw_slice *headers; /* lower-case names whose values join the key */
    size_t headers_n;
    const struct bw_slice *cookies; /* names whose values join the key */
    size_t cookies_n;
};

struct bw_settings {
    enum bw_cache_mode mode;
    int64_t ttl_fixed_s;   /* ttl: 10m         overrides what the response says */
    int64_t ttl_default_s; /* ttl.default      where the response says nothing */
    int64_t ttl_max_s;     /* ttl.max          an upper bound, or BW_TTL_UNSET */
    const struct bw_status_ttl *ttl_status;
    size_t ttl_status_n;
    int64_t browser_ttl_s;        /* BW_TTL_UNSET: respect */
    int64_t stale_revalidating_s; /* BW_TTL_UNSET: as the response says */
    int64_t stale_on_error_s;     /* BW_TTL_UNSET: as the response says */
    enum bw_set_cookie set_cookie;
    enum bw_heuristic heuristic; /* RFC 9111, 4.2.2 */
    bool client_directives;      /* obey Cache-Control of requests (RFC 9111, 5.2.1) */
    enum bw_media media;         /* what the request's path promises */
    struct bw_key_settings key;
    uint32_t pool; /* index into the configuration's pools */
    uint32_t rule; /* index + 1 of the last rule that matched, 0: none; for statistics */
};

struct bw_cache_conf {
    const char *directory;
    uint64_t size;       /* bytes on disk, the budget of the store */
    uint64_t max_object; /* bytes */
    uint64_t memory;     /* bytes of the memory budget */
    enum bw_protect protect;
    enum bw_durability durability;
    uint32_t collapse_waiters; /* 0: collapse is off */
    int64_t collapse_wait_ms;
};
