/*
 * policy.h - may this response be stored, may that stored one be used?  (RFC 9111, 3 and 4;
 * RFC 5861; RFC 8246; RFC 9213; security.md 7)
 *
 * Pure: no clock, no I/O.  What a response allows is read once, when it arrives, into its terms;
 * the terms are stored with it, so that a hit parses no header of the response.
 *
 * Who decides about the lifetime, first to last:
 *   1. a rule's ttl for the status, then its fixed ttl: they count from the arrival of the response
 *      and override what it says about freshness, `no-cache` included;
 *   2. Breakwater-Cache-Control, CDN-Cache-Control, Surrogate-Control, Cache-Control, Expires;
 *   3. a rule's default ttl, where the response says nothing;
 *   4. the guess from Last-Modified, where `heuristic` allows it: for pages, and with `all` for
 *      redirects and errors, too.
 * Nothing overrides no-store, private, Set-Cookie (unless set_cookie says otherwise), the law of
 * Authorization (RFC 9111, 3.5) and must-revalidate.
 *
 * A status other than 200, 203, 204, 300, 301, 308, 404, 410 needs freshness that the response
 * states or a rule gives to that very status: neither a fixed nor a default ttl makes an error
 * page or a redirect stay.  For 404 and 410 these two, and every guess about an error, end at
 * BW_POLICY_NEGATIVE_TTL_S.
 *
 * What was asked for with cookies and says nothing about its freshness may be one client's page: it
 * stays only by a rule, or where it is just what its address promises (http/media), as a style
 * sheet is everybody's.  The lifetime of a rule in turn is not for a response that is something
 * else than its address promises: /account/x.css is often the page of the account.
 *
 * `cache: always` differs from `auto` in one thing: where the response is not fresh by its own
 * word - it says nothing, or max-age=0, or no-cache, or an Expires in the past - the default ttl
 * counts, BW_POLICY_ALWAYS_TTL_S where no rule sets one.
 */
#pragma once

#include "breakwater/cache/settings.h"
#include "breakwater/http/field.h"
#include "breakwater/http/outcome.h"

enum {
    BW_POLICY_NEGATIVE_TTL_S = 60,
    BW_POLICY_ALWAYS_TTL_S = 60,
};

/*
 * The value of terms.sie_s where neither the response nor a rule says how long: when the origin
 * gives no answer at all the response may be served at any age (RFC 9111, 4.2.4: disconnected); an
 * answer of 5xx is passed on.  A value >= 0 is a window for both.
 */
enum { BW_SIE_NO_ANSWER = -1 };

/* On what terms a stored response may be used again.  Part of the stored record: fixed width. */
struct bw_terms {
    int64_t asked_ms;    /* our clock when the request left */
    int64_t answered_ms; /* our clock when the head had arrived */
    int64_t date_s;      /* Date of the response, or answered_ms */
    int64_t age_s;       /* Age of the response, or 0 (first value of a list; invalid: 0) */
    int64_t lifetime_s;  /* freshness lifetime (RFC 9111, 4.2.1), >= 0 */
    int64_t swr_s;       /* stale-while-revalidate window behind it, 0: none */
    int64_t sie_s;       /* stale-if-error window behind it, 0: none, or BW_SIE_NO_ANSWER */
    uint32_t flags;      /* BW_TERMS_* */
    int32_t status;
};

enum {
    BW_TERMS_NO_CACHE = 1 << 0,    /* never used without revalidation */
    BW_TERMS_NO_STALE = 1 << 1,    /* must-revalidate, proxy-revalidate, s-maxage */
    BW_TERMS_AUTHORIZED = 1 << 2,  /* may answer requests with Authorization (3.5) */
    BW_TERMS_VALIDATOR = 1 << 3,   /* has an ETag or Last-Modified */
    BW_TERMS_HEURISTIC = 1 << 4,   /* lifetime was guessed */
    BW_TERMS_IMMUTABLE = 1 << 5,   /* RFC 8246 */
    BW_TERMS_PURGED_SOFT = 1 << 6, /* to be treated as stale */
};

/* What the cache has to know of a request; views live as long as the request. */
struct bw_policy_request {
    struct bw_slice method;
    const struct bw_fields *fields; /* as the client sent them, cleaned */
    const struct bw_settings *settings;
};

struct bw_policy_response {
    int status;
    const struct bw_fields *fields;
    int64_t asked_ms;
    int64_t answered_ms;
    bool confirmed; /* the stored response, found good by the origin: it was kept for all before */
};

struct bw_storable {
    bool store;            /* may be kept */
    bool share;            /* may answer others without asking the origin (false: no-cache, lifetime
                              0 without window); how long the origin took does not count here */
    enum bw_reason reason; /* why not */
    struct bw_terms terms; /* valid when store */
};

/*
 * Judge a response to GET, or what a stored response has become by a 304 or HEAD (4.3.4, 4.3.5:
 * method GET and the stored status).  A response to POST is storable with stated freshness and
 * Content-Location (RFC 9110, 9.3.3): the caller compares that with the target.  Vary, size and the
 * framing are judged by others.
 */
struct bw_storable bw_policy_storable(const struct bw_policy_request *rq,
                                      const struct bw_policy_response *res);

enum bw_use {
    BW_USE_FRESH,      /* as it is; with client_directives also stale, by the client's max-stale */
    BW_USE_UPDATING,   /* as it is, and refresh behind it (RFC 5861, 3) */
    BW_USE_REVALIDATE, /* ask the origin first */
    BW_USE_NEVER,      /* not for this request (Authorization) */
};

struct bw_usable {
    enum bw_use use;
    enum bw_reason reason; /* why not fresh */
    bool on_error;         /* may be served if the origin gives no answer */
    bool on_5xx;           /* may be served if it answers 500, 502, 503 or 504 (RFC 5861, 4) */
    int64_t age_s;         /* RFC 9111, 4.2.3 */
    int64_t ttl_s;         /* freshness left; 0 or negative when stale */
};

/*
 * May a stored response with these terms answer this request at `now_ms`?  The hit path: without
 * settings.client_directives no field of the request is read but Authorization.  A soft purge makes
 * stale and leaves the windows as they are: they end where they would have ended without it.
 */
struct bw_usable bw_policy_usable(const struct bw_policy_request *rq, const struct bw_terms *terms,
                                  int64_t now_ms);

/* The age of the response at `now_ms`, never negative (RFC 9111, 4.2.3). */
int64_t bw_policy_age_s(const struct bw_terms *terms, int64_t now_ms);

/*
 * Does the request carry no-store (its response is then passed)?  Only with client_directives:
 * they are advice (RFC 9111, 5.2.1), and without it no client takes its requests past the cache.
 */
bool bw_policy_request_no_store(const struct bw_policy_request *rq);
/* Does it carry only-if-cached?  Always obeyed, it spares the origin; ask on a miss. */
bool bw_policy_request_only_if_cached(const struct bw_policy_request *rq);

/* Is a response with that status to an unsafe method a reason to invalidate (RFC 9111, 4.4)? */
bool bw_policy_invalidates(struct bw_slice method, int status);

/* Is that an error which a stale response may stand in for, within its window (RFC 5861, 4)? */
bool bw_policy_error_covered(int status);

/*
 * The fields of a response that are stored, into out->v with room for all.  Not: connection fields,
 * those that no-cache="..." or private="..." name (RFC 9111, 3.1 and 5.2.2), Set-Cookie unless
 * set_cookie: keep.
 */
void bw_policy_stored_fields(const struct bw_fields *fields, const struct bw_settings *settings,
                             struct bw_fields *out);
