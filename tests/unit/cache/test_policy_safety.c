/*
 * test_policy_safety.c - what is not kept although it could be: errors, pages of one person, pages
 * in disguise (security.md 7).
 */
#include "breakwater/cache/policy.h"

#include "policy_rows.h"

/* ---- errors and redirects ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(no_error_and_no_redirect_stays_by_a_guess),
        RUN(an_answer_to_credentials_is_stored_only_if_it_allows_that),
        RUN(an_answer_to_cookies_is_stored_if_somebody_says_how_long_it_lives),
        RUN(what_the_origin_confirms_was_kept_for_all_before),
        RUN(no_rule_keeps_what_is_not_what_its_address_promises),
        RUN(a_reflected_origin_without_vary_is_not_stored),
        RUN(a_reflected_origin_that_is_part_of_the_key_is_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
