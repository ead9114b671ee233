/*
 * test_cache_control.c - cache directives in the forms that origins, frameworks and clients write.
 */
#include "breakwater/http/cache_control.h"

#include "fields.h"

enum { UNSET = BW_CC_UNSET };

#define CC "cache-control: "

/* One field, what it makes of flags, max-age and s-maxage. */
static const struct {
    const char *lines;
    uint32_t flags;
    int64_t max_age_s, s_maxage_s;
} plain[] = {
    {"", 0, UNSET, UNSET},
    {CC, 0, UNSET, UNSET},
    {CC "max-age=3600", 0, 3600, UNSET},
    {CC "MaX-aGe=3600", 0, 3600, UNSET},
    {CC "max-age=\"3600\"", 0, 3600, UNSET}, /* both forms are to be taken (5.2) */
    {CC "max-age=003600", 0, 3600, UNSET},
    {CC "foobar, max-age=60", 0, 60, UNSET},
    {CC ",, max-age=60 ,", 0, 60, UNSET},
    {CC "extension=\"max-age=3600\", max-age=1", 0, 1, UNSET},
    {CC "max-age=1, extension=\"max-age=3600, no-store\"", 0, 1, UNSET},
    {CC "max-age=2147483647", 0, 2147483647, UNSET},
    {CC "max-age=2147483648", 0, 2147483648, UNSET},
    {CC "max-age=2147483649", 0, 2147483648, UNSET},
    {CC "max-age=99999999999999999999999999", 0, 2147483648, UNSET},
    /* invalid freshness counts as stale (4.2.1) */
    {CC "max-age=-3600", 0, 0, UNSET},
    {CC "max-age='3600'", 0, 0, UNSET},
    {CC "max-age=3600.0", 0, 0, UNSET},
    {CC "max-age=a3600", 0, 0, UNSET},
    {CC "max-age=3600a", 0, 0, UNSET},
    {CC "max-age= 3600", 0, 0, UNSET},
    {CC "max-age=", 0, 0, UNSET},
    {CC "max-age", 0, 0, UNSET},
    {CC "max-age =3600", 0, UNSET, UNSET}, /* "max-age " is no directive we know */
    {CC "max-age=1800, max-age=1", 0, 1, UNSET},
    {CC "max-age=1, max-age=1800", 0, 1, UNSET},
    {CC "max-age=1800\n" CC "max-age=1", 0, 1, UNSET},
    {CC "max-age=1800, max-age=x", 0, 0, UNSET},
    {CC "max-age=60, s-maxage=600", 0, 60, 600},
    {CC "s-maxage=600\nvary: a\n" CC "max-age=60", 0, 60, 600},
    {CC "No-StOrE", BW_CC_NO_STORE, UNSET, UNSET},
    {CC "no-store=0", BW_CC_NO_STORE, UNSET, UNSET}, /* an argument it does not have */
    {CC "public, must-revalidate", BW_CC_PUBLIC | BW_CC_MUST_REVALIDATE, UNSET, UNSET},
    {CC "proxy-revalidate", BW_CC_PROXY_REVALIDATE, UNSET, UNSET},
    {CC "no-transform,immutable", BW_CC_NO_TRANSFORM | BW_CC_IMMUTABLE, UNSET, UNSET},
    {CC "no-store, must-understand", BW_CC_NO_STORE | BW_CC_MUST_UNDERSTAND, UNSET, UNSET},
    {CC "no-cache", BW_CC_NO_CACHE, UNSET, UNSET},
    {CC "no-cache=\"\"", BW_CC_NO_CACHE, UNSET, UNSET}, /* names nothing: then all of it */
    {CC "no-cache=", BW_CC_NO_CACHE, UNSET, UNSET},
    {CC "no-cache=\"a\\b\"", BW_CC_NO_CACHE, UNSET, UNSET},
    {CC "no-cache=\"a\", no-cache", BW_CC_NO_CACHE, UNSET, UNSET},
    {CC "private=\"a\"", 0, UNSET, UNSET},
    {CC "private=\"a\", private=b, private=c, private=d, private=e", BW_CC_PRIVATE, UNSET,
     UNSET}, /* more lists than are kept */
};

TEST(cache_control_is_read_in_all_its_forms)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(plain); ++i) {
        struct test_fields t;
        struct bw_cache_control cc;

        bw_cache_control_response(fields(&t, plain[i].lines), &cc);
        if (cc.flags != plain[i].flags || cc.max_age_s != plain[i].max_age_s ||
            cc.s_maxage_s != plain[i].s_maxage_s)
            fail_msg("%s: flags %x max-age %lld s-maxage %lld", plain[i].lines, cc.flags,
                     (long long)cc.max_age_s, (long long)cc.s_maxage_s);
    }
}

#define CDN  "cdn-cache-control: "
#define OWN  "breakwater-cache-control: "
#define SURR "surrogate-control: "

/* Several fields, which of them decides, and what it says. */
static const struct {
    const char *lines;
    enum bw_cc_source source;
    uint32_t flags;
    int64_t max_age_s;
} targeted[] = {
    {CC "max-age=1\n" CDN "max-age=60", BW_CC_FROM_CDN, 0, 60},
    {CC "no-store\n" CDN "max-age=60", BW_CC_FROM_CDN, 0, 60},
    {CC "max-age=60\n" CDN "no-store", BW_CC_FROM_CDN, BW_CC_NO_STORE, UNSET},
    {CC "max-age=60\n" CDN "private", BW_CC_FROM_CDN, BW_CC_PRIVATE, UNSET},
    {CC "no-store\n" CDN "none", BW_CC_FROM_CDN, 0, UNSET}, /* the example of RFC 9213, 3.1 */
    {CC "max-age=1\n" CDN "foobar, max-age=60", BW_CC_FROM_CDN, 0, 60},
    {CDN "max-age=60;extra=1", BW_CC_FROM_CDN, 0, 60},                /* parameters are ignored */
    {CDN "max-age=60, max-age=5, max-age=30", BW_CC_FROM_CDN, 0, 30}, /* the last of a key */
    {CDN "no-store, no-store=?0", BW_CC_FROM_CDN, 0, UNSET},
    {CDN "max-age=99999999999", BW_CC_FROM_CDN, 0, 2147483648},
    {CDN "max-age=-1", BW_CC_FROM_CDN, 0, 0},
    {CDN "no-cache=\"a\", no-cache", BW_CC_FROM_CDN, BW_CC_NO_CACHE, UNSET},
    {CDN "no-cache, no-cache=\"a\"", BW_CC_FROM_CDN, 0, UNSET},
    /* as if it were not there */
    {CC "no-store\n" CDN "", BW_CC_FROM_CACHE_CONTROL, BW_CC_NO_STORE, UNSET},
    {CC "no-store\n" CDN "max-age=60, &&&&&", BW_CC_FROM_CACHE_CONTROL, BW_CC_NO_STORE, UNSET},
    {CC "no-store\n" CDN "max-age=\"60\"", BW_CC_FROM_CACHE_CONTROL, BW_CC_NO_STORE, UNSET},
    {CC "no-store\n" CDN "max-age=60.0", BW_CC_FROM_CACHE_CONTROL, BW_CC_NO_STORE, UNSET},
    {CC "no-store\n" CDN "max-age", BW_CC_FROM_CACHE_CONTROL, BW_CC_NO_STORE, UNSET},
    {CC "no-store\n" CDN "public=1, max-age=60", BW_CC_FROM_CACHE_CONTROL, BW_CC_NO_STORE, UNSET},
    {CC "no-store\n" CDN "MaX-aGe=60", BW_CC_FROM_CACHE_CONTROL, BW_CC_NO_STORE, UNSET},
    {CC "no-store\n" CDN "max-age =60", BW_CC_FROM_CACHE_CONTROL, BW_CC_NO_STORE, UNSET},
    /* the order of authority */
    {OWN "max-age=9\n" CDN "max-age=60\n" SURR "max-age=5", BW_CC_FROM_BREAKWATER, 0, 9},
    {OWN "max-age=!\n" CDN "max-age=60\n" SURR "max-age=5", BW_CC_FROM_CDN, 0, 60},
    {SURR "max-age=5\n" CC "no-store", BW_CC_FROM_SURROGATE, 0, 5},
    {SURR "no-store\n" CC "max-age=60", BW_CC_FROM_SURROGATE, BW_CC_NO_STORE, UNSET},
    {SURR "MaX-aGe=5", BW_CC_FROM_SURROGATE, 0, 5}, /* no structured field */
    {SURR "max-age=5;breakwater\n" CC "no-store", BW_CC_FROM_SURROGATE, 0, 5},
    {SURR "max-age=5;other, max-age=7;Breakwater", BW_CC_FROM_SURROGATE, 0, 7},
    {SURR "max-age=5;other\n" CC "max-age=60", BW_CC_FROM_CACHE_CONTROL, 0, 60},
    {SURR "max-age=60+30", BW_CC_FROM_SURROGATE, 0, 60},
    /* pages with ESI say this beside a Cache-Control that is meant */
    {SURR "content=\"ESI/1.0\"\n" CC "max-age=60", BW_CC_FROM_CACHE_CONTROL, 0, 60},
    {SURR "content=\"ESI/1.0; max-age=3\"\n" CC "max-age=60", BW_CC_FROM_CACHE_CONTROL, 0, 60},
    {SURR "max-age=5", BW_CC_FROM_SURROGATE, 0, 5},
    {"expires: 0", BW_CC_FROM_NOTHING, 0, UNSET},
};

TEST(the_field_that_is_meant_for_us_decides)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(targeted); ++i) {
        struct test_fields t;
        struct bw_cache_control cc;

        bw_cache_control_response(fields(&t, targeted[i].lines), &cc);
        if (cc.source != targeted[i].source || cc.flags != targeted[i].flags ||
            cc.max_age_s != targeted[i].max_age_s)
            fail_msg("%s: source %d flags %x max-age %lld", targeted[i].lines, (int)cc.source,
                     cc.flags, (long long)cc.max_age_s);
    }
}

TEST(the_windows_of_rfc_5861_are_read)
{
    struct test_fields t;
    struct bw_cache_control cc;

    bw_cache_control_response(
        fields(&t, CC "max-age=1, stale-while-revalidate=30, stale-if-error=\"60\""), &cc);
    assert_int_equal(cc.swr_s, 30);
    assert_int_equal(cc.sie_s, 60);

    bw_cache_control_response(fields(&t, CC "max-age=1, stale-while-revalidate"), &cc);
    assert_int_equal(cc.swr_s, 0);
    assert_int_equal(cc.sie_s, BW_CC_UNSET);
}

TEST(named_fields_are_withheld)
{
    struct test_fields t;
    struct bw_cache_control cc;

    bw_cache_control_response(
        fields(&t, CC "no-cache=\"a, Set-Cookie ,\"\n" CC "private=x-token, max-age=9"), &cc);
    assert_true(bw_cache_control_withholds(&cc, BW_S("a")));
    assert_true(bw_cache_control_withholds(&cc, BW_S("set-cookie")));
    assert_true(bw_cache_control_withholds(&cc, BW_S("x-token")));
    assert_false(bw_cache_control_withholds(&cc, BW_S("x")));
    assert_int_equal(cc.flags, 0);

    bw_cache_control_response(fields(&t, CDN "private=\"b\"\n" CC "private=\"c\""), &cc);
    assert_true(bw_cache_control_withholds(&cc, BW_S("b")));
    assert_false(bw_cache_control_withholds(&cc, BW_S("c")));
}

static const struct {
    const char *lines;
    bool no_cache, no_store, only_if_cached;
    int64_t max_age_s, max_stale_s, min_fresh_s;
} requests[] = {
    {"", 0, 0, 0, UNSET, UNSET, UNSET},
    {CC "no-cache", 1, 0, 0, UNSET, UNSET, UNSET},
    {CC "No-Store, only-if-cached", 0, 1, 1, UNSET, UNSET, UNSET},
    {CC "max-age=0", 0, 0, 0, 0, UNSET, UNSET},
    {CC "max-age=5, max-age=3", 0, 0, 0, 3, UNSET, UNSET},
    {CC "max-age=x", 0, 0, 0, 0, UNSET, UNSET},
    {CC "max-stale", 0, 0, 0, UNSET, BW_DELTA_MAX, UNSET},
    {CC "max-stale=10", 0, 0, 0, UNSET, 10, UNSET},
    {CC "max-stale=x", 0, 0, 0, UNSET, 0, UNSET},
    {CC "min-fresh=10, min-fresh=20", 0, 0, 0, UNSET, UNSET, 20},
    {CC "min-fresh=x", 0, 0, 0, UNSET, UNSET, UNSET},
    {"pragma: no-cache", 1, 0, 0, UNSET, UNSET, UNSET},
    {"pragma: x, No-Cache", 1, 0, 0, UNSET, UNSET, UNSET},
    {"pragma: unrecognised-extension", 0, 0, 0, UNSET, UNSET, UNSET},
    {CC "max-age=9\npragma: no-cache", 0, 0, 0, 9, UNSET, UNSET}, /* Pragma is the older word */
};

TEST(the_directives_of_a_request_are_read)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(requests); ++i) {
        struct test_fields t;
        struct bw_request_control rc;

        bw_cache_control_request(fields(&t, requests[i].lines), &rc);
        if (rc.no_cache != requests[i].no_cache || rc.no_store != requests[i].no_store ||
            rc.only_if_cached != requests[i].only_if_cached ||
            rc.max_age_s != requests[i].max_age_s || rc.max_stale_s != requests[i].max_stale_s ||
            rc.min_fresh_s != requests[i].min_fresh_s)
            fail_msg("%s", requests[i].lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(cache_control_is_read_in_all_its_forms), RUN(the_field_that_is_meant_for_us_decides),
        RUN(the_windows_of_rfc_5861_are_read),       RUN(named_fields_are_withheld),
        RUN(the_directives_of_a_request_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
