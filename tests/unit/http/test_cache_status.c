/*
 * test_cache_status.c - one value for each way a request can end.
 */
#include "breakwater/http/cache_status.h"

#include "fields.h"

static const struct {
    struct bw_cache_status status;
    const char *expected;
} formatted[] = {
    {{.outcome = BW_OUTCOME_HIT, .ttl_s = 12, .has_ttl = true},
     "breakwater; hit; ttl=12; detail=hit"},
    {{.outcome = BW_OUTCOME_HIT, .ttl_s = 0, .has_ttl = true, .collapsed = true},
     "breakwater; hit; collapsed; ttl=0; detail=hit"},
    {{.outcome = BW_OUTCOME_UPDATING, .ttl_s = -3, .has_ttl = true},
     "breakwater; hit; ttl=-3; detail=updating"},
    {{.outcome = BW_OUTCOME_MISS, .reason = BW_REASON_URI_MISS, .fwd_status = 200, .stored = true},
     "breakwater; fwd=uri-miss; fwd-status=200; stored; detail=miss"},
    {{.outcome = BW_OUTCOME_MISS,
      .reason = BW_REASON_VARY_MISS,
      .fwd_status = 200,
      .collapsed = true},
     "breakwater; fwd=vary-miss; fwd-status=200; collapsed; detail=miss"},
    {{.outcome = BW_OUTCOME_MISS, .reason = BW_REASON_NO_STORE, .fwd_status = 200},
     "breakwater; fwd=uri-miss; fwd-status=200; detail=miss/no-store"},
    {{.outcome = BW_OUTCOME_PASS, .reason = BW_REASON_SET_COOKIE, .fwd_status = 200},
     "breakwater; fwd=uri-miss; fwd-status=200; detail=pass/set-cookie"},
    {{.outcome = BW_OUTCOME_EXPIRED, .reason = BW_REASON_STALE, .fwd_status = 200, .stored = true},
     "breakwater; fwd=stale; fwd-status=200; stored; detail=expired"},
    {{.outcome = BW_OUTCOME_REVALIDATED,
      .reason = BW_REASON_STALE,
      .fwd_status = 304,
      .stored = true,
      .ttl_s = 60,
      .has_ttl = true},
     "breakwater; fwd=stale; fwd-status=304; stored; ttl=60; detail=revalidated"},
    {{.outcome = BW_OUTCOME_REVALIDATED, .reason = BW_REASON_REQUEST, .fwd_status = 304},
     "breakwater; fwd=request; fwd-status=304; detail=revalidated/request"},
    {{.outcome = BW_OUTCOME_REVALIDATED, .reason = BW_REASON_NO_CACHE, .fwd_status = 304},
     "breakwater; fwd=stale; fwd-status=304; detail=revalidated/no-cache"},
    {{.outcome = BW_OUTCOME_STALE,
      .reason = BW_REASON_CONNECT_TIMEOUT,
      .ttl_s = -90,
      .has_ttl = true},
     "breakwater; fwd=stale; ttl=-90; detail=stale/connect-timeout"},
    {{.outcome = BW_OUTCOME_PASS, .reason = BW_REASON_METHOD, .fwd_status = 204},
     "breakwater; fwd=method; fwd-status=204; detail=pass/method"},
    {{.outcome = BW_OUTCOME_PASS, .reason = BW_REASON_PASS_LEARNT, .fwd_status = 200},
     "breakwater; fwd=bypass; fwd-status=200; detail=pass/pass-learnt"},
    {{.outcome = BW_OUTCOME_BYPASS, .reason = BW_REASON_RULE, .fwd_status = 200},
     "breakwater; fwd=bypass; fwd-status=200; detail=bypass/rule"},
    {{.outcome = BW_OUTCOME_TUNNEL, .reason = BW_REASON_UPGRADE, .fwd_status = 101},
     "breakwater; fwd=bypass; fwd-status=101; detail=tunnel/upgrade"},
    {{.outcome = BW_OUTCOME_ERROR, .reason = BW_REASON_RESOLVE},
     "breakwater; fwd=miss; detail=error/resolve"},
    {{.outcome = BW_OUTCOME_REFUSED, .reason = BW_REASON_UNKNOWN_HOST},
     "breakwater; detail=refused/unknown-host"},
    {{.outcome = BW_OUTCOME_HIT, .key = BW_S("https\"a\\b\n")},
     "breakwater; hit; detail=hit; key=\"https\\\"a\\\\b?\""},
};

TEST(every_way_to_end_has_its_words)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(formatted); i++) {
        char out[BW_CACHE_STATUS_MAX];
        size_t n = bw_cache_status_format(&formatted[i].status, out);

        assert_text(bw_slice(out, n), formatted[i].expected);
    }
}

TEST(the_longest_value_fits)
{
    char key[4096], out[BW_CACHE_STATUS_MAX];
    struct bw_cache_status s = {
        .fwd_status = 2147483647,
        .ttl_s = INT64_MIN,
        .has_ttl = true,
        .stored = true,
        .collapsed = true,
        .key = bw_slice(key, sizeof key),
    };

    memset(key, '"', sizeof key);
    for (int o = 0; o < BW_OUTCOME_COUNT; o++) {
        for (int r = 0; r < BW_REASON_COUNT; r++) {
            s.outcome = (enum bw_outcome)o;
            s.reason = (enum bw_reason)r;
            assert_in_range(bw_cache_status_format(&s, out), 1, BW_CACHE_STATUS_MAX);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(every_way_to_end_has_its_words),
        RUN(the_longest_value_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
