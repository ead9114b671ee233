/*
 * test_policy.c - what is stored, for how long, and who may have it: RFC 9111 and our own defaults.
 *
 * Every response is asked for and answered at noon of 1 January 2026.
 */
#include "breakwater/cache/policy.h"

#include "policy_rows.h"

/* conf/examples/rfc9111.yaml: the letter of the RFC. */
static const struct bw_settings letter =
    RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .heuristic = BW_HEURISTIC_ALL,
          .client_directives = true, .set_cookie = BW_SET_COOKIE_KEEP);

/* ---- storing ---- */

static const struct row by_default[] = {
    {200, CC "max-age=60", KEPT, 60},
    {200, CC "max-age=60, s-maxage=600", KEPT, 600},
    {200, DATE "expires: Thu, 01 Jan 2026 13:00:00 GMT", KEPT, 3600},
    {200, CC "no-store, max-age=60", BW_REASON_NO_STORE, 0},
    {200, CC "private, max-age=60", BW_REASON_PRIVATE, 0},
    {200, CC "private=\"x-user\", max-age=60", KEPT, 60},
    {200, CC "no-store\ncdn-cache-control: max-age=60", KEPT, 60},
    {200, CC "max-age=60\ncdn-cache-control: no-store", BW_REASON_NO_STORE, 0},
    {200, CC "no-store\nsurrogate-control: max-age=60", KEPT, 60},
    {200, "", BW_REASON_NO_FRESHNESS, 0},
    {200, CC "max-age=0", BW_REASON_NO_FRESHNESS, 0},
    {200, CC "max-age=0, stale-while-revalidate=30", KEPT, 0},
    {200, CC "max-age=0, stale-if-error=30", KEPT, 0},
    {200, CC "max-age=0\netag: \"a\"", KEPT, 0}, /* a 304 spares the body */
    {200, "etag: \"a\"", KEPT, 0},
    {200, DATE LM, KEPT, 0}, /* not guessed without `heuristic` */
    {200, CC "no-cache\netag: \"a\"", KEPT, 0},
    {200, CC "no-cache, max-age=60", BW_REASON_NO_CACHE, 0}, /* nothing to revalidate with */
    {200, CC "max-age=60\nage: 3600", KEPT, 60}, /* stale, but good when the origin is down */

    {206, CC "max-age=60", BW_REASON_PARTIAL, 0},
    {416, CC "max-age=60", BW_REASON_PARTIAL, 0},
    {304, CC "max-age=60", BW_REASON_STATUS, 0},
    {103, CC "max-age=60", BW_REASON_STATUS, 0},
    {299, CC "max-age=60", KEPT, 60},
    {302, CC "max-age=60", KEPT, 60},
    {302, "etag: \"a\"", BW_REASON_STATUS, 0},
    {400, CC "max-age=60", KEPT, 60},
    {499, CC "max-age=60", KEPT, 60},
    {500, CC "max-age=60", KEPT, 60},
    {503, CC "max-age=0\netag: \"a\"", BW_REASON_STATUS, 0}, /* no freshness: an error stays out */
    {599, CC "max-age=60", KEPT, 60},
    {404, DATE LM, KEPT, 0},
    {405, DATE LM, BW_REASON_STATUS, 0},
    {501, DATE LM, BW_REASON_STATUS, 0},
    {502, CC "public\n" DATE LM, BW_REASON_STATUS, 0},

    {599, CC "max-age=60, must-understand", BW_REASON_STATUS, 0},
    {599, CC "max-age=60, must-understand, no-store", BW_REASON_NO_STORE, 0},
    {200, CC "max-age=60, must-understand, no-store", KEPT, 60},
    {200, CC "max-age=60, must-understand, no-store, private", BW_REASON_PRIVATE, 0},

    {200, CC "max-age=60\nset-cookie: a=b", BW_REASON_SET_COOKIE, 0},
    {200, CC "max-age=60, no-cache=\"set-cookie\"\nset-cookie: a=b", KEPT, 60},
    {200, CC "max-age=60, private=\"Set-Cookie\"\nset-cookie: a=b", KEPT, 60},
};

TEST(a_response_is_stored_when_it_says_so_and_is_nobodys_own)
{
    check_rows(&defaults, by_default, BW_ARRAY_LEN(by_default));
}

static const struct row by_letter[] = {
    {200, DATE LM, KEPT, 8640},
    {201, DATE LM, BW_REASON_STATUS, 0},
    {202, DATE LM, BW_REASON_STATUS, 0},
    {203, DATE LM, KEPT, 8640},
    {204, DATE LM, KEPT, 8640},
    {301, DATE LM, KEPT, 8640},
    {302, DATE LM, BW_REASON_STATUS, 0},
    {403, DATE LM, BW_REASON_STATUS, 0},
    {404, DATE LM, KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {405, DATE LM, KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {410, DATE LM, KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {414, DATE LM, KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {501, DATE LM, KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {502, DATE LM, BW_REASON_STATUS, 0},
    {503, DATE LM, BW_REASON_STATUS, 0},
    {504, DATE LM, BW_REASON_STATUS, 0},
    {599, DATE LM, BW_REASON_STATUS, 0},
    {599, DATE LM CC "public", KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {200, DATE LM "expires: 0", KEPT, 0}, /* said, and said to be over: not guessed */
    {200, DATE LM "pragma: no-cache", KEPT, 0},
    {200, DATE LM "pragma: no-cache\n" CC "max-age=60", KEPT, 60},
    {200, "", BW_REASON_NO_FRESHNESS, 0},
    {200, CC "max-age=60\nset-cookie: a=b", KEPT, 60},
};

TEST(by_the_letter_a_lifetime_is_guessed_and_cookies_are_kept)
{
    check_rows(&letter, by_letter, BW_ARRAY_LEN(by_letter));
}

static const struct bw_status_ttl by_status[] = {
    {400, 499, BW_TTL_OFF}, {404, 404, 30}, {500, 599, BW_TTL_OFF}, {302, 302, 20}, {302, 302, 9}};
static const struct bw_settings ruled =
    RULES(600, UNSET, UNSET, UNSET, UNSET, .ttl_status = by_status,
          .ttl_status_n = BW_ARRAY_LEN(by_status));

static const struct row by_ttl[] = {
    {200, "", KEPT, 600},
    {200, CC "max-age=60", KEPT, 600},
    {200, CC "no-cache, max-age=0", KEPT, 600},
    {200, CC "max-age=60\nage: 100", KEPT, 700}, /* counts from its arrival */
    {200, CC "no-store", BW_REASON_NO_STORE, 0},
    {200, CC "private", BW_REASON_PRIVATE, 0},
    {200, "set-cookie: a=b", BW_REASON_SET_COOKIE, 0},
    {404, "", KEPT, 30}, /* the narrowest range */
    {403, CC "max-age=60", BW_REASON_TTL_OFF, 0},
    {503, CC "max-age=60", BW_REASON_TTL_OFF, 0},
    {302, "", KEPT, 9}, /* of equals the last */
    {410, CC "max-age=999", BW_REASON_TTL_OFF, 0},
    {307, "", BW_REASON_STATUS, 0}, /* a fixed ttl does not make a redirect stay */
    {307, CC "max-age=60", KEPT, 60},
};

TEST(a_rules_ttl_overrides_freshness_and_nothing_else)
{
    const struct bw_settings off = RULES(BW_TTL_OFF, UNSET, UNSET, UNSET, UNSET, .pool = 0);
    const struct bw_settings fixed = RULES(600, UNSET, UNSET, UNSET, UNSET, .pool = 0);

    check_rows(&ruled, by_ttl, BW_ARRAY_LEN(by_ttl));
    assert_int_equal(get(&off, 200, CC "max-age=60").reason, BW_REASON_TTL_OFF);
    assert_int_equal(get(&fixed, 404, "").terms.lifetime_s, BW_POLICY_NEGATIVE_TTL_S);
    assert_false(get(&fixed, 500, "").store);
    assert_true(get(&fixed, 200, CC "no-cache").share);
    assert_int_equal(get(&fixed, 200, CC "no-cache").terms.flags & BW_TERMS_NO_CACHE, 0);
}

static const struct row with_default[] = {
    {200, "", KEPT, 600},
    {200, DATE LM, KEPT, 600}, /* the operator's word against a guess */
    {200, CC "public", KEPT, 600},
    {200, CC "max-age=60", KEPT, 60},
    {200, CC "max-age=0", BW_REASON_NO_FRESHNESS, 0},
    {200, CC "no-cache", BW_REASON_NO_CACHE, 0},
    {200, "expires: 0", BW_REASON_NO_FRESHNESS, 0},
    {200, "pragma: no-cache", BW_REASON_NO_FRESHNESS, 0},
    {301, "", KEPT, 600},
    {302, "", BW_REASON_STATUS, 0},
    {404, "", KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {405, "", BW_REASON_STATUS, 0},
    {500, "", BW_REASON_STATUS, 0},
};

TEST(a_default_ttl_counts_where_the_response_says_nothing)
{
    const struct bw_settings s =
        RULES(UNSET, 600, UNSET, UNSET, UNSET, .heuristic = BW_HEURISTIC_ON);
    const struct bw_settings off =
        RULES(UNSET, BW_TTL_OFF, UNSET, UNSET, UNSET, .heuristic = BW_HEURISTIC_ON);

    check_rows(&s, with_default, BW_ARRAY_LEN(with_default));
    assert_int_equal(get(&off, 200, DATE LM).reason, BW_REASON_TTL_OFF);
    assert_true(get(&off, 200, CC "max-age=60").store);
}

static const struct row always[] = {
    {200, "", KEPT, 600},
    {200, CC "max-age=0", KEPT, 600},
    {200, CC "no-cache, max-age=3600", KEPT, 600},
    {200, "expires: 0\npragma: no-cache", KEPT, 600},
    {200, CC "max-age=60", KEPT, 60}, /* fresh by its own word */
    {200, CC "max-age=0, private", BW_REASON_PRIVATE, 0},
    {200, CC "no-store", BW_REASON_NO_STORE, 0},
    {200, "set-cookie: a=b", BW_REASON_SET_COOKIE, 0},
    {404, "", KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {500, "", BW_REASON_STATUS, 0},
};

TEST(cache_always_keeps_what_has_no_freshness_too)
{
    const struct bw_settings s = RULES(UNSET, 600, UNSET, UNSET, UNSET, .mode = BW_CACHE_ALWAYS);
    const struct bw_settings bare =
        RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .mode = BW_CACHE_ALWAYS);
    const struct bw_settings bypass =
        RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .mode = BW_CACHE_BYPASS);

    check_rows(&s, always, BW_ARRAY_LEN(always));
    assert_int_equal(get(&bare, 200, "").terms.lifetime_s, BW_POLICY_ALWAYS_TTL_S);
    assert_int_equal(get(&bypass, 200, CC "max-age=60").reason, BW_REASON_RULE);
}

TEST(ttl_max_bounds_what_the_response_says)
{
    const struct bw_settings s = RULES(UNSET, UNSET, 100, UNSET, UNSET, .pool = 0);

    assert_int_equal(get(&s, 200, CC "max-age=60").terms.lifetime_s, 60);
    assert_int_equal(get(&s, 200, CC "max-age=600").terms.lifetime_s, 100);
    assert_int_equal(get(&s, 200, CC "max-age=600\nage: 50").terms.lifetime_s, 150);
}

TEST(only_get_fills_and_post_by_its_own_word)
{
    const char *fresh = DATE "expires: Thu, 01 Jan 2026 13:00:00 GMT\ncontent-location: /x";

    assert_int_equal(store(&defaults, "HEAD", "", 200, fresh).reason, BW_REASON_METHOD);
    assert_int_equal(store(&defaults, "PUT", "", 200, fresh).reason, BW_REASON_METHOD);
    assert_int_equal(store(&defaults, "get", "", 200, fresh).reason, BW_REASON_METHOD);
    assert_true(store(&defaults, "POST", "", 200, fresh).store);
    assert_false(store(&defaults, "POST", "", 200, CC "max-age=60").store);
    assert_false(store(&ruled, "POST", "", 200, "content-location: /x").store);
}

/* ---- the terms ---- */

TEST(what_is_shared_is_what_needs_no_question_to_the_origin)
{
    assert_true(get(&defaults, 200, CC "max-age=60").share);
    assert_true(get(&defaults, 200, CC "max-age=0, stale-while-revalidate=9").share);
    assert_false(get(&defaults, 200, CC "max-age=60, no-cache\netag: \"a\"").share);
    assert_false(get(&defaults, 200, CC "max-age=0\netag: \"a\"").share);
    assert_false(get(&defaults, 200, CC "max-age=60\nage: 60").share);
    assert_false(get(&defaults, 200, CC "private, max-age=60").share);
}

TEST(a_slow_origin_is_not_asked_once_for_each_waiter)
{
    struct test_fields asked, answered;
    const struct bw_policy_request rq = {BW_S("GET"), fields(&asked, ""), &defaults};
    const struct bw_policy_response res = {200, fields(&answered, CC "max-age=2"), NOON_MS - 5000,
                                           NOON_MS, false};
    struct bw_storable got = bw_policy_storable(&rq, &res);

    assert_true(got.store && got.share);
    assert_int_equal(bw_policy_usable(&rq, &got.terms, NOON_MS).use, BW_USE_REVALIDATE);
}

static const struct {
    int status;
    const char *response;
    uint32_t flags;
    int64_t swr_s, sie_s;
} terms[] = {
    {200, CC "max-age=60", 0, 0, BW_SIE_NO_ANSWER},
    {200, CC "max-age=60, stale-while-revalidate=5, stale-if-error=7", 0, 5, 7},
    {200, CC "max-age=60, stale-if-error=0", 0, 0, 0},
    {200, CC "max-age=60, must-revalidate, stale-if-error=7",
     BW_TERMS_NO_STALE | BW_TERMS_AUTHORIZED, 0, 0},
    {200, CC "max-age=60, proxy-revalidate, stale-while-revalidate=7", BW_TERMS_NO_STALE, 0, 0},
    {200, CC "s-maxage=60, stale-while-revalidate=7", BW_TERMS_NO_STALE | BW_TERMS_AUTHORIZED, 0,
     0},
    {200, CC "no-cache, max-age=60, stale-if-error=7\netag: \"a\"",
     BW_TERMS_NO_CACHE | BW_TERMS_VALIDATOR, 0, 0},
    {200, CC "public, immutable, max-age=60", BW_TERMS_AUTHORIZED | BW_TERMS_IMMUTABLE, 0,
     BW_SIE_NO_ANSWER},
    {200, DATE LM, BW_TERMS_VALIDATOR | BW_TERMS_HEURISTIC, 0, BW_SIE_NO_ANSWER},
    {404, CC "max-age=60", 0, 0, BW_SIE_NO_ANSWER},
    {503, CC "max-age=60", 0, 0, 0}, /* an old error helps nobody */
    {503, CC "max-age=60, stale-if-error=7", 0, 0, 7},
};

TEST(the_terms_say_what_the_directives_said)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(terms); ++i) {
        struct bw_storable got = get(&letter, terms[i].status, terms[i].response);

        assert_true(got.store);
        if (got.terms.flags != terms[i].flags || got.terms.swr_s != terms[i].swr_s ||
            got.terms.sie_s != terms[i].sie_s)
            fail_msg("%s: flags %x swr %lld sie %lld", terms[i].response, got.terms.flags,
                     (long long)got.terms.swr_s, (long long)got.terms.sie_s);
    }
}

TEST(a_rules_windows_replace_those_of_the_response)
{
    const struct bw_settings wide = RULES(UNSET, UNSET, UNSET, 60, 900, .pool = 0);
    const struct bw_settings none = RULES(UNSET, UNSET, UNSET, BW_TTL_OFF, BW_TTL_OFF, .pool = 0);
    const struct bw_settings fixed = RULES(60, UNSET, UNSET, 60, UNSET, .pool = 0);
    const char *said = CC "max-age=60, stale-while-revalidate=5, stale-if-error=7";

    assert_int_equal(get(&wide, 200, said).terms.swr_s, 60);
    assert_int_equal(get(&wide, 200, said).terms.sie_s, 900);
    assert_int_equal(get(&wide, 200, CC "max-age=60, must-revalidate").terms.sie_s, 0);
    assert_int_equal(get(&none, 200, said).terms.swr_s, 0);
    assert_int_equal(get(&none, 200, said).terms.sie_s, 0);
    /* s-maxage forbids staleness behind its own lifetime, not behind a rule's */
    assert_int_equal(get(&wide, 200, CC "s-maxage=60").terms.swr_s, 0);
    assert_int_equal(get(&fixed, 200, CC "s-maxage=60").terms.swr_s, 60);
    assert_int_equal(get(&fixed, 200, CC "must-revalidate").terms.swr_s, 0);
}

/* ---- using ---- */

struct use {
    const struct bw_settings *settings;
    const char *request, *response;
    int64_t after_s;
    enum bw_use use;
    enum bw_reason reason;
    bool on_error, on_5xx;
};

#define FRESH BW_USE_FRESH
#define UPD   BW_USE_UPDATING
#define REVAL BW_USE_REVALIDATE
#define OK    BW_REASON_NONE
#define STALE BW_REASON_STALE
#define ASKED BW_REASON_REQUEST

static void check_uses(const struct use *rows, size_t n, uint32_t extra_flags)
{
    for (size_t i = 0; i < n; ++i) {
        const struct use *r = &rows[i];
        struct test_fields asked;
        const struct bw_policy_request rq = {BW_S("GET"), fields(&asked, r->request), r->settings};
        struct bw_storable stored = get(r->settings, 200, r->response);
        struct bw_usable got;

        assert_true(stored.store);
        stored.terms.flags |= extra_flags;
        got = bw_policy_usable(&rq, &stored.terms, NOON_MS + r->after_s * 1000);
        if (got.use != r->use || got.reason != r->reason || got.on_error != r->on_error ||
            got.on_5xx != r->on_5xx)
            fail_msg("row %zu: %s / %s after %lld: use %d reason %d on_error %d on_5xx %d", i,
                     r->request, r->response, (long long)r->after_s, (int)got.use, (int)got.reason,
                     got.on_error, got.on_5xx);
    }
}

static const struct use uses[] = {
    {&defaults, "", CC "max-age=60", 0, FRESH, OK, 1, 1},
    {&defaults, "", CC "max-age=60", 59, FRESH, OK, 1, 1},
    {&defaults, "", CC "max-age=60", 60, REVAL, STALE, 1, 0},
    {&defaults, "", CC "max-age=60", 9999999, REVAL, STALE, 1, 0}, /* no answer: at any age */
    {&defaults, "", CC "max-age=60\nage: 30", 29, FRESH, OK, 1, 1},
    {&defaults, "", CC "max-age=60\nage: 30", 30, REVAL, STALE, 1, 0},
    {&defaults, "", CC "max-age=60, stale-while-revalidate=30", 60, UPD, STALE, 1, 0},
    {&defaults, "", CC "max-age=60, stale-while-revalidate=30", 89, UPD, STALE, 1, 0},
    {&defaults, "", CC "max-age=60, stale-while-revalidate=30", 90, REVAL, STALE, 1, 0},
    {&defaults, "", CC "max-age=60, stale-if-error=30", 89, REVAL, STALE, 1, 1},
    {&defaults, "", CC "max-age=60, stale-if-error=30", 90, REVAL, STALE, 0, 0},
    {&defaults, "", CC "max-age=60, must-revalidate", 59, FRESH, OK, 1, 1},
    {&defaults, "", CC "max-age=60, must-revalidate", 60, REVAL, STALE, 0, 0},
    {&defaults, "", CC "max-age=60, proxy-revalidate", 60, REVAL, STALE, 0, 0},
    {&defaults, "", CC "s-maxage=60", 60, REVAL, STALE, 0, 0},
    {&defaults, "", CC "max-age=60, no-cache\netag: \"a\"", 0, REVAL, BW_REASON_NO_CACHE, 0, 0},
    {&defaults, "", "etag: \"a\"", 0, REVAL, STALE, 1, 0},
    /* whose advice is not asked is not heard */
    {&defaults, CC "no-cache", CC "max-age=60", 9, FRESH, OK, 1, 1},
    {&defaults, CC "max-age=0\npragma: no-cache", CC "max-age=60", 9, FRESH, OK, 1, 1},
    {&defaults, CC "max-stale", CC "max-age=60", 60, REVAL, STALE, 1, 0},
    /* credentials */
    {&defaults, "authorization: a", CC "max-age=60", 0, BW_USE_NEVER, BW_REASON_AUTHORIZATION, 0,
     0},
    {&defaults, "authorization: a", CC "max-age=60, public", 0, FRESH, OK, 1, 1},
    /* the client's wishes, where they count */
    {&letter, CC "no-cache", CC "max-age=60", 0, REVAL, ASKED, 1, 1},
    {&letter, "pragma: no-cache", CC "max-age=60", 0, REVAL, ASKED, 1, 1},
    {&letter, "pragma: other", CC "max-age=60", 0, FRESH, OK, 1, 1},
    {&letter, CC "max-age=0", CC "max-age=60", 0, REVAL, ASKED, 1, 1},
    {&letter, CC "max-age=5", CC "max-age=60", 5, FRESH, OK, 1, 1},
    {&letter, CC "max-age=5", CC "max-age=60", 6, REVAL, ASKED, 1, 1},
    {&letter, CC "max-age=600", CC "max-age=3600\nage: 1800", 0, REVAL, ASKED, 1, 1},
    {&letter, CC "min-fresh=10", CC "max-age=60", 50, FRESH, OK, 1, 1},
    {&letter, CC "min-fresh=10", CC "max-age=60", 51, REVAL, ASKED, 1, 1},
    {&letter, CC "min-fresh=1000", CC "max-age=1500\nage: 1000", 0, REVAL, ASKED, 1, 1},
    {&letter, CC "max-stale=10", CC "max-age=60", 70, FRESH, STALE, 1, 0},
    {&letter, CC "max-stale=10", CC "max-age=60", 71, REVAL, STALE, 1, 0},
    {&letter, CC "max-stale=1000", CC "max-age=1500\nage: 2000", 0, FRESH, STALE, 1, 0},
    {&letter, CC "max-stale", CC "max-age=60", 999999, FRESH, STALE, 1, 0},
    {&letter, CC "max-stale", CC "max-age=60, must-revalidate", 61, REVAL, STALE, 0, 0},
    {&letter, CC "max-stale", CC "no-cache\netag: \"a\"", 0, REVAL, BW_REASON_NO_CACHE, 0, 0},
    {&letter, CC "stale-if-error=10", CC "max-age=60", 70, REVAL, STALE, 1, 1},
    {&letter, CC "stale-if-error=10", CC "max-age=60, must-revalidate", 60, REVAL, STALE, 0, 0},
    {&letter, CC "no-cache", CC "max-age=60, stale-while-revalidate=9", 61, REVAL, ASKED, 1, 0},
    /* a reload does not ask again for what never changes; a forced one does (RFC 8246, 2) */
    {&letter, CC "max-age=0", CC "max-age=60, immutable", 9, FRESH, OK, 1, 1},
    {&letter, CC "max-age=0", CC "max-age=60, immutable", 60, REVAL, ASKED, 1, 0},
    {&letter, CC "no-cache", CC "max-age=60, immutable", 9, REVAL, ASKED, 1, 1},
};

TEST(a_stored_response_is_used_within_its_terms)
{
    check_uses(uses, BW_ARRAY_LEN(uses), 0);
}

static const struct use purged[] = {
    {&defaults, "", CC "max-age=60", 9, REVAL, STALE, 1, 0},
    {&defaults, "", CC "max-age=60, stale-while-revalidate=30", 9, UPD, STALE, 1, 0},
    {&defaults, "", CC "max-age=60, stale-if-error=30", 9, REVAL, STALE, 1, 1},
    {&defaults, "", CC "max-age=60, must-revalidate", 9, REVAL, STALE, 0, 0},
    {&defaults, "", CC "max-age=60, stale-while-revalidate=30", 90, REVAL, STALE, 1, 0},
    {&letter, CC "max-stale", CC "max-age=60", 9, REVAL, STALE, 1, 0},
};

TEST(a_soft_purge_makes_stale)
{
    check_uses(purged, BW_ARRAY_LEN(purged), BW_TERMS_PURGED_SOFT);
}

TEST(age_and_freshness_left_are_told)
{
    struct test_fields asked;
    const struct bw_policy_request rq = {BW_S("GET"), fields(&asked, ""), &defaults};
    struct bw_storable stored = get(&defaults, 200, CC "max-age=60\nage: 30");
    struct bw_usable u = bw_policy_usable(&rq, &stored.terms, NOON_MS + 10999);

    assert_int_equal(u.age_s, 40);
    assert_int_equal(u.ttl_s, 20);
    assert_int_equal(bw_policy_age_s(&stored.terms, NOON_MS + 10999), 40);
    assert_int_equal(bw_policy_usable(&rq, &stored.terms, NOON_MS + 45000).ttl_s, -15);
}

/* ---- requests, fields, invalidation ---- */

TEST(no_store_of_a_request_counts_where_clients_have_a_say)
{
    struct test_fields asked;
    const struct bw_fields *f = fields(&asked, CC "no-store, only-if-cached");
    const struct bw_policy_request guarded = {BW_S("GET"), f, &defaults};
    const struct bw_policy_request open = {BW_S("GET"), f, &letter};

    assert_false(bw_policy_request_no_store(&guarded));
    assert_true(bw_policy_request_no_store(&open));
    assert_true(bw_policy_request_only_if_cached(&guarded));
    assert_true(store(&defaults, "GET", CC "no-store", 200, CC "max-age=60").store);
    assert_int_equal(store(&letter, "GET", CC "no-store", 200, CC "max-age=60").reason,
                     BW_REASON_REQUEST);
}

TEST(a_successful_unsafe_method_invalidates)
{
    assert_true(bw_policy_invalidates(BW_S("POST"), 200));
    assert_true(bw_policy_invalidates(BW_S("DELETE"), 303));
    assert_true(bw_policy_invalidates(BW_S("M-SEARCH"), 204)); /* unknown: not known to be safe */
    assert_false(bw_policy_invalidates(BW_S("POST"), 404));
    assert_false(bw_policy_invalidates(BW_S("PUT"), 500));
    assert_false(bw_policy_invalidates(BW_S("GET"), 200));
    assert_false(bw_policy_invalidates(BW_S("HEAD"), 200));
    assert_false(bw_policy_invalidates(BW_S("OPTIONS"), 200));
}

TEST(four_errors_may_be_covered_by_a_stale_response)
{
    for (int status = 100; status < 600; status++)
        assert_int_equal(bw_policy_error_covered(status),
                         status == 500 || (status >= 502 && status <= 504));
}

TEST(fields_of_a_connection_and_withheld_fields_are_not_stored)
{
    static const char head[] = CC "no-cache=\"a\", max-age=60\n" CC "private=\"b, C\"\n"
                                  "connection: d, close\na: 1\nb: 1\nc: 1\nd: 1\ne: 1\n"
                                  "keep-alive: 1\nproxy-authenticate: x\ntransfer-encoding: y\n"
                                  "set-cookie: f=g\netag: \"h\"\nproxy-authentication-info: z";
    struct test_fields t, kept;
    const struct bw_fields *f = fields(&t, head);
    const struct bw_settings strip =
        RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .set_cookie = BW_SET_COOKIE_STRIP);

    kept.list = (struct bw_fields){kept.store, 0};
    bw_policy_stored_fields(f, &strip, &kept.list);
    assert_fields(&kept.list, CC "no-cache=\"a\", max-age=60\n" CC "private=\"b, C\"\n"
                                 "e: 1\netag: \"h\"");
    f = fields(&t, "set-cookie: f=g");
    bw_policy_stored_fields(f, &defaults, &kept.list);
    assert_int_equal(kept.list.n, 0);
    bw_policy_stored_fields(f, &letter, &kept.list);
    assert_int_equal(kept.list.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_response_is_stored_when_it_says_so_and_is_nobodys_own),
        RUN(by_the_letter_a_lifetime_is_guessed_and_cookies_are_kept),
        RUN(a_rules_ttl_overrides_freshness_and_nothing_else),
        RUN(a_default_ttl_counts_where_the_response_says_nothing),
        RUN(cache_always_keeps_what_has_no_freshness_too),
        RUN(ttl_max_bounds_what_the_response_says),
        RUN(only_get_fills_and_post_by_its_own_word),
        RUN(what_is_shared_is_what_needs_no_question_to_the_origin),
        RUN(a_slow_origin_is_not_asked_once_for_each_waiter),
        RUN(the_terms_say_what_the_directives_said),
        RUN(a_rules_windows_replace_those_of_the_response),
        RUN(a_stored_response_is_used_within_its_terms),
        RUN(a_soft_purge_makes_stale),
        RUN(age_and_freshness_left_are_told),
        RUN(no_store_of_a_request_counts_where_clients_have_a_say),
        RUN(a_successful_unsafe_method_invalidates),
        RUN(four_errors_may_be_covered_by_a_stale_response),
        RUN(fields_of_a_connection_and_withheld_fields_are_not_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
