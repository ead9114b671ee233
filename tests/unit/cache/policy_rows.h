/*
 * policy_rows.h - requests and responses as rows, for the unit tests of the policy.
 *
 * Every response is asked for and answered at noon of 1 January 2026.
 */
#pragma once

#include "breakwater/cache/policy.h"

#include "http/fields.h"

#include <stdio.h>

#define NOON_MS INT64_C(1767268800000)
#define DATE    "date: Thu, 01 Jan 2026 12:00:00 GMT\n"
#define LM      "last-modified: Wed, 31 Dec 2025 12:00:00 GMT\n"
#define CC      "cache-control: "

#define UNSET BW_TTL_UNSET
/* Fixed ttl, default ttl, greatest ttl, window while updating, window on error; then the rest. */
#define RULES(fixed, otherwise, most, updating, error, ...)                                        \
    {                                                                                              \
        .ttl_fixed_s = (fixed), .ttl_default_s = (otherwise), .ttl_max_s = (most),                 \
        .stale_revalidating_s = (updating), .stale_on_error_s = (error), .browser_ttl_s = UNSET,   \
        __VA_ARGS__                                                                                \
    }

/* What an operator has who has written no rule. */
static const struct bw_settings defaults = RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .pool = 0);
static inline struct bw_storable store(const struct bw_settings *s, const char *method,
                                       const char *request, int status, const char *response)
{
    struct test_fields asked, answered;
    const struct bw_policy_request rq = {bw_slice_str(method), fields(&asked, request), s};
    const struct bw_policy_response res = {status, fields(&answered, response), NOON_MS, NOON_MS,
                                           false};

    return bw_policy_storable(&rq, &res);
}

static inline struct bw_storable get(const struct bw_settings *s, int status, const char *response)
{
    return store(s, "GET", "", status, response);
}

#define KEPT BW_REASON_NONE

/* lifetime is looked at where the response is kept */
struct row {
    int status;
    const char *response;
    enum bw_reason reason;
    int64_t lifetime_s;
};

static inline void check_rows(const struct bw_settings *s, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; ++i) {
        struct bw_storable got = get(s, rows[i].status, rows[i].response);

        if (got.reason != rows[i].reason || got.store != (rows[i].reason == KEPT))
            fail_msg("row %zu: %d %s: reason %d", i, rows[i].status, rows[i].response,
                     (int)got.reason);
        if (got.store && got.terms.lifetime_s != rows[i].lifetime_s)
            fail_msg("row %zu: %d %s: lifetime %lld", i, rows[i].status, rows[i].response,
                     (long long)got.terms.lifetime_s);
    }
}
