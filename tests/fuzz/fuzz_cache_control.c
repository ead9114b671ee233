/*
 * fuzz_cache_control.c - the fields that decide about freshness, one a line: "age: 5".
 */
#include "breakwater/base/check.h"
#include "breakwater/http/freshness.h"

enum { FIELDS_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_seconds(int64_t seconds)
{
    BW_ASSERT(seconds >= BW_CC_UNSET && seconds <= BW_DELTA_MAX);
}

static void check_response(const struct bw_fields *f)
{
    const int64_t now_s = 1767225600;
    struct bw_cache_control cc;
    struct bw_freshness_origin o = {
        .asked_ms = now_s * 1000, .answered_ms = now_s * 1000 + 20, .date_s = 0, .age_s = 0};
    int64_t lifetime_s = 0;

    bw_cache_control_response(f, &cc);
    check_seconds(cc.max_age_s);
    check_seconds(cc.s_maxage_s);
    check_seconds(cc.swr_s);
    check_seconds(cc.sie_s);
    BW_ASSERT(cc.withheld_n <= BW_CC_WITHHELD_MAX);
    o.date_s = bw_freshness_date(f, now_s);
    o.age_s = bw_freshness_age_field(f);
    check_seconds(o.age_s);
    (void)bw_freshness_stated(&cc, f, o.date_s, now_s, &lifetime_s);
    check_seconds(lifetime_s);
    check_seconds(bw_freshness_heuristic(f, o.date_s, now_s));
    BW_ASSERT(bw_freshness_age_ms(&o, o.answered_ms) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bw_field v[FIELDS_MAX];
    struct bw_fields f = {v, 0};
    struct bw_slice rest = bw_slice((const char *)data, size);
    struct bw_request_control rc;

    while (f.n < FIELDS_MAX && rest.len > 0) {
        struct bw_slice value, name = bw_slice_cut(bw_slice_cut(rest, '\n', &rest), ':', &value);

        v[f.n++] = (struct bw_field){name, bw_slice_trim(value), bw_field_lookup(name)};
    }
    check_response(&f);
    bw_cache_control_request(&f, &rc);
    check_seconds(rc.max_age_s);
    check_seconds(rc.max_stale_s);
    check_seconds(rc.min_fresh_s);
    check_seconds(rc.sie_s);
    return 0;
}
