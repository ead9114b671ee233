/*
 * freshness.c - lifetime and age of a response, by the arithmetic of RFC 9111, 4.2.
 *
 * Everything a peer can send is bounded here: numbers end at BW_DELTA_MAX, dates at the year 9999,
 * so that no sum overflows.
 */
#include "breakwater/http/freshness.h"

#include "breakwater/base/check.h"
#include "breakwater/http/date.h"

enum { DAY_S = 86400, HEURISTIC_SHARE = 10 };

static int64_t at_least_0(int64_t n)
{
    return n > 0 ? n : 0;
}

static int64_t at_most(int64_t n, int64_t limit)
{
    return n < limit ? n : limit;
}

int64_t bw_freshness_date(const struct bw_fields *f, int64_t answered_s)
{
    const struct bw_field *date = bw_fields_find(f, BW_F_DATE);
    int64_t date_s = answered_s;

    if (date != NULL)
        (void)bw_date_parse(date->value, answered_s, &date_s);
    return date_s;
}

int64_t bw_freshness_age_field(const struct bw_fields *f)
{
    struct bw_list_iter it = {0};
    struct bw_slice first, parameters;
    int64_t age_s = 0;

    if (bw_list_next(f, BW_F_AGE, &it, &first))
        (void)bw_delta_seconds(bw_slice_trim(bw_slice_cut(first, ';', &parameters)), &age_s);
    return age_s;
}

bool bw_freshness_stated(const struct bw_cache_control *cc, const struct bw_fields *f,
                         int64_t date_s, int64_t answered_s, int64_t *lifetime_s)
{
    const struct bw_field *expires = bw_fields_find(f, BW_F_EXPIRES);
    bool targeted = cc->source != BW_CC_FROM_NOTHING && cc->source != BW_CC_FROM_CACHE_CONTROL;
    int64_t lifetime = BW_DELTA_MAX;

    if (cc->s_maxage_s != BW_CC_UNSET || cc->max_age_s != BW_CC_UNSET) {
        *lifetime_s = cc->s_maxage_s != BW_CC_UNSET ? cc->s_maxage_s : cc->max_age_s;
        return true;
    }
    if (expires == NULL || targeted)
        return false;
    for (; expires != NULL; expires = bw_fields_next(f, expires)) {
        int64_t expires_s = date_s;

        (void)bw_date_parse(expires->value, answered_s, &expires_s);
        lifetime = at_most(lifetime, at_least_0(expires_s - date_s));
    }
    *lifetime_s = lifetime;
    return true;
}

int64_t bw_freshness_heuristic(const struct bw_fields *f, int64_t date_s, int64_t answered_s)
{
    const struct bw_field *modified = bw_fields_find(f, BW_F_LAST_MODIFIED);
    int64_t modified_s;

    if (modified == NULL || !bw_date_parse(modified->value, answered_s, &modified_s))
        return 0;
    return at_most(at_least_0(date_s - modified_s) / HEURISTIC_SHARE, DAY_S);
}

bool bw_freshness_heuristic_status(int status)
{
    static const int statuses[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};

    for (size_t i = 0; i < BW_ARRAY_LEN(statuses); ++i)
        if (statuses[i] == status)
            return true;
    return false;
}

int64_t bw_freshness_age_ms(const struct bw_freshness_origin *o, int64_t now_ms)
{
    int64_t apparent_ms = at_least_0(o->answered_ms - (o->date_s * 1000 + 999));
    int64_t corrected_ms = o->age_s * 1000 + at_least_0(o->answered_ms - o->asked_ms);
    int64_t initial_ms = apparent_ms > corrected_ms ? apparent_ms : corrected_ms;

    return initial_ms + at_least_0(now_ms - o->answered_ms);
}
