/*
 * test_policy.c - what is stored, for how long, and who may have it: RFC 9111 and our own defaults.
 *
 * Every response is asked for and answered at noon of 1 January 2026.
 */
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
/* conf/examples/rfc9111.yaml: the letter of the RFC. */
static const struct bw_settings letter =
    RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .heuristic = BW_HEURISTIC_ALL,
          .client_directives = true, .set_cookie = BW_SET_COOKIE_KEEP);

static struct bw_storable store(const struct bw_settings *s, const char *method,
                                const char *request, int status, const char *response)
{
    struct test_fields asked, answered;
    const struct bw_policy_request rq = {bw_slice_str(method), fields(&asked, request), s};
    const struct bw_policy_response res = {status, fields(&answered, response), NOON_MS, NOON_MS,
                                           false};

    return bw_policy_storable(&rq, &res);
}

static struct bw_storable get(const struct bw_settings *s, int status, const char *response)
{
    return store(s, "GET", "", status, response);
}

/* ---- storing ---- */

#define KEPT BW_REASON_NONE

/* lifetime is looked at where the response is kept */
struct row {
    int status;
    const char *response;
    enum bw_reason reason;
    int64_t lifetime_s;
};

static void check_rows(const struct bw_settings *s, const struct row *rows, size_t n)
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

static const struct row by_a_guess[] = {
    {200, DATE LM, KEPT, 8640},
    {204, DATE LM, KEPT, 8640},
    {301, DATE LM, KEPT, 0}, /* asked about every time */
    {302, DATE LM, BW_REASON_STATUS, 0},
    {302, DATE LM CC "public", BW_REASON_STATUS, 0},
    {400, DATE LM CC "public", BW_REASON_STATUS, 0},
    {404, DATE LM, KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {410, DATE LM, KEPT, BW_POLICY_NEGATIVE_TTL_S},
    {405, DATE LM, BW_REASON_STATUS, 0},
    {414, DATE LM, BW_REASON_STATUS, 0},
    {501, DATE LM, BW_REASON_STATUS, 0},
    {503, DATE LM CC "public", BW_REASON_STATUS, 0},
};

TEST(no_error_and_no_redirect_stays_by_a_guess)
{
    const struct bw_settings s =
        RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .heuristic = BW_HEURISTIC_ON);

    check_rows(&s, by_a_guess, BW_ARRAY_LEN(by_a_guess));
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

/* ---- credentials, origins ---- */

static const struct {
    const char *response;
    bool store;
} authorized[] = {
    {DATE "expires: Thu, 01 Jan 2026 13:00:00 GMT", false},
    {CC "max-age=60", false},
    {CC "max-age=60, public", true},
    {CC "max-age=60, must-revalidate", true},
    {CC "s-maxage=60", true},
    {CC "max-age=60, proxy-revalidate", false},          /* not one of the three (RFC 9111, 3.5) */
    {CC "public\ncdn-cache-control: max-age=60", false}, /* the field that decides says nothing */
    {"cdn-cache-control: max-age=60, public", true},
};

TEST(an_answer_to_credentials_is_stored_only_if_it_allows_that)
{
    const struct bw_settings always_on =
        RULES(60, UNSET, UNSET, UNSET, UNSET, .mode = BW_CACHE_ALWAYS);

    for (size_t i = 0; i < BW_ARRAY_LEN(authorized); ++i) {
        struct bw_storable got =
            store(&defaults, "GET", "authorization: Basic Zm9v", 200, authorized[i].response);

        if (got.store != authorized[i].store)
            fail_msg("%s", authorized[i].response);
        assert_int_equal(got.reason, got.store ? KEPT : BW_REASON_AUTHORIZATION);
    }
    assert_false(store(&always_on, "GET", "authorization: a", 200, "").store);
}

#define ETAG "etag: \"a\"\n"
#define CSS  "content-type: text/css\n"
#define HTML "content-type: text/html\n"

/* A request with cookies; what the response says; its path promises a style sheet. */
static const struct {
    const char *response;
    bool style;
    enum bw_reason reason;
} with_cookies[] = {
    {CC "max-age=60", false, KEPT},
    {CC "public\n" ETAG, false, KEPT},
    {CC "s-maxage=60", false, KEPT},
    {CC "max-age=0, must-revalidate\n" ETAG, false, KEPT},
    {DATE "expires: Thu, 01 Jan 2026 13:00:00 GMT", false, KEPT},
    {CC "no-cache\n" ETAG, false, KEPT}, /* the origin sees whose question it is */
    {ETAG, false, BW_REASON_COOKIE},
    {DATE LM, false, BW_REASON_COOKIE},
    {DATE LM HTML, false, BW_REASON_COOKIE},
    {DATE LM CSS, false, BW_REASON_COOKIE},
    {DATE LM CSS, true, KEPT}, /* a style sheet is everybody's */
    {DATE LM HTML, true, BW_REASON_COOKIE},
    {DATE LM, true, BW_REASON_COOKIE},
};

TEST(an_answer_to_cookies_is_stored_if_somebody_says_how_long_it_lives)
{
    struct bw_settings s = RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .heuristic = BW_HEURISTIC_ON);
    const struct bw_settings fixed = RULES(60, UNSET, UNSET, UNSET, UNSET, .pool = 0);
    const struct bw_settings otherwise = RULES(UNSET, 60, UNSET, UNSET, UNSET, .pool = 0);

    for (size_t i = 0; i < BW_ARRAY_LEN(with_cookies); ++i) {
        enum bw_reason got;

        s.media = with_cookies[i].style ? BW_MEDIA_STYLE : BW_MEDIA_NONE;
        got = store(&s, "GET", "cookie: a=b", 200, with_cookies[i].response).reason;
        if (got != with_cookies[i].reason)
            fail_msg("%s: %d", with_cookies[i].response, (int)got);
    }
    assert_true(store(&fixed, "GET", "cookie: a=b", 200, "").store);
    assert_true(store(&otherwise, "GET", "cookie: a=b", 200, "").store);
    assert_true(store(&s, "GET", "", 200, ETAG).store);
}

TEST(what_the_origin_confirms_was_kept_for_all_before)
{
    struct test_fields asked, answered;
    const struct bw_policy_request rq = {BW_S("GET"), fields(&asked, "cookie: a=b"), &defaults};
    struct bw_policy_response res = {200, fields(&answered, ETAG), NOON_MS, NOON_MS, false};

    assert_false(bw_policy_storable(&rq, &res).store);
    res.confirmed = true;
    assert_true(bw_policy_storable(&rq, &res).store);
}

/* The path promises a style sheet; a rule, or the response itself, says how long it lives. */
static const struct {
    int status;
    const char *response;
    bool by_rule, by_itself;
} disguised[] = {
    {200, CSS, true, true},
    {200, "", true, true},
    {200, "content-type: application/octet-stream\n", true, true},
    {200, HTML, false, true},
    {200, "content-type: application/json\n", false, true},
    {404, HTML, true, true}, /* an error page is a page */
};

TEST(no_rule_keeps_what_is_not_what_its_address_promises)
{
    const struct bw_settings rules[] = {
        RULES(60, UNSET, UNSET, UNSET, UNSET, .media = BW_MEDIA_STYLE),
        RULES(UNSET, 60, UNSET, UNSET, UNSET, .media = BW_MEDIA_STYLE),
        RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .mode = BW_CACHE_ALWAYS, .media = BW_MEDIA_STYLE),
    };
    const struct bw_settings none =
        RULES(UNSET, UNSET, UNSET, UNSET, UNSET, .media = BW_MEDIA_STYLE);
    char fresh[128];

    for (size_t i = 0; i < BW_ARRAY_LEN(disguised); ++i) {
        for (size_t k = 0; k < BW_ARRAY_LEN(rules); ++k) {
            enum bw_reason got = get(&rules[k], disguised[i].status, disguised[i].response).reason;

            if (got != (disguised[i].by_rule ? KEPT : BW_REASON_CONTENT_TYPE))
                fail_msg("rule %zu: %s: %d", k, disguised[i].response, (int)got);
        }
        (void)snprintf(fresh, sizeof(fresh), "%s" CC "max-age=60", disguised[i].response);
        assert_int_equal(get(&none, disguised[i].status, fresh).store, disguised[i].by_itself);
    }
}

static const struct {
    const char *request, *response;
    bool store;
} origins[] = {
    {"origin: https://a.example", "access-control-allow-origin: https://a.example\n", false},
    {"origin: https://a.example",
     "access-control-allow-origin: https://a.example\nvary: accept, Origin\n", true},
    {"origin: https://a.example", "access-control-allow-origin: https://a.example\nvary: *\n",
     true}, /* whoever judges Vary refuses it */
    {"origin: https://a.example", "access-control-allow-origin: https://b.example\n", true},
    {"origin: https://a.example", "access-control-allow-origin: *\n", true},
    {"", "access-control-allow-origin: https://a.example\n", true},
};

TEST(a_reflected_origin_without_vary_is_not_stored)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(origins); ++i) {
        char response[256];
        struct bw_storable got;

        (void)snprintf(response, sizeof(response), "%s" CC "max-age=60", origins[i].response);
        got = store(&defaults, "GET", origins[i].request, 200, response);
        assert_int_equal(got.store, origins[i].store);
        assert_int_equal(got.reason, got.store ? KEPT : BW_REASON_REFLECTED_ORIGIN);
    }
}

TEST(a_reflected_origin_that_is_part_of_the_key_is_stored)
{
    const struct bw_slice names[] = {BW_S("x-plan"), BW_S("origin")};
    struct bw_settings s = defaults;

    s.key = (struct bw_key_settings){.headers = names, .headers_n = 1};
    assert_false(store(&s, "GET", origins[0].request, 200,
                       CC "max-age=60\naccess-control-allow-origin: https://a.example")
                     .store);
    s.key.headers_n = 2;
    assert_true(store(&s, "GET", origins[0].request, 200,
                      CC "max-age=60\naccess-control-allow-origin: https://a.example")
                    .store);
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
        RUN(no_error_and_no_redirect_stays_by_a_guess),
        RUN(a_rules_ttl_overrides_freshness_and_nothing_else),
        RUN(a_default_ttl_counts_where_the_response_says_nothing),
        RUN(cache_always_keeps_what_has_no_freshness_too),
        RUN(ttl_max_bounds_what_the_response_says),
        RUN(only_get_fills_and_post_by_its_own_word),
        RUN(an_answer_to_credentials_is_stored_only_if_it_allows_that),
        RUN(an_answer_to_cookies_is_stored_if_somebody_says_how_long_it_lives),
        RUN(what_the_origin_confirms_was_kept_for_all_before),
        RUN(no_rule_keeps_what_is_not_what_its_address_promises),
        RUN(a_reflected_origin_without_vary_is_not_stored),
        RUN(a_reflected_origin_that_is_part_of_the_key_is_stored),
        RUN(what_is_shared_is_what_needs_no_question_to_the_origin),
        RUN(a_slow_origin_is_not_asked_once_for_each_waiter),
        RUN(the_terms_say_what_the_directives_said),
        RUN(a_rules_windows_replace_those_of_the_response),
        RUN(a_stored_response_is_used_within_its_terms),
        RUN(a_soft_purge_makes_stale),
        RUN(age_and_freshness_left_are_told),
        RUN(no_store_of_a_request_counts_where_clients_have_a_say),
        RUN(a_successful_unsafe_method_invalidates),
        RUN(fields_of_a_connection_and_withheld_fields_are_not_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
