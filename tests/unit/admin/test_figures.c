#include "breakwater/admin/figures.h"
#include "breakwater/config/conf.h"

#include "unit.h"

static uint64_t value(_Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static const struct bw_figures_sample a_hit = {.outcome = BW_OUTCOME_HIT,
                                               .bytes_to_client = 100,
                                               .saved_us = 5000,
                                               .duration_us = 40,
                                               .host = {"a.test", 6}};

TEST(a_hit_is_counted_by_outcome_reason_bytes_and_time)
{
    struct bw_counters *c = bw_counters_new(NULL);

    bw_figures_account(c, &a_hit);
    assert_int_equal(value(&c->counter[BW_C_REQUESTS]), 1);
    assert_int_equal(value(&c->counter[BW_C_HITS]), 1);
    assert_int_equal(value(&c->counter[BW_C_BYTES_TO_CLIENTS]), 100);
    assert_int_equal(value(&c->counter[BW_C_ORIGIN_SAVED_US]), 5000);
    assert_int_equal(value(&c->counter[BW_C_ORIGIN_FETCHES]), 0);
    assert_int_equal(value(&c->outcome[BW_OUTCOME_HIT][BW_REASON_NONE]), 1);
    assert_int_equal(value(&c->hit_us[bw_histogram_bucket(40)]), 1);
    assert_int_equal(value(&c->hit_us_sum), 40);
    bw_counters_free(c);
}

TEST(a_revalidation_is_a_hit_and_a_fetch_and_as_slow_as_a_miss)
{
    struct bw_counters *c = bw_counters_new(NULL);
    struct bw_figures_sample s = a_hit;

    s.outcome = BW_OUTCOME_REVALIDATED;
    s.reason = BW_REASON_STALE;
    s.fetches = 1;
    bw_figures_account(c, &s);
    assert_int_equal(value(&c->counter[BW_C_HITS]), 1);
    assert_int_equal(value(&c->counter[BW_C_ORIGIN_FETCHES]), 1);
    assert_int_equal(value(&c->miss_us_sum), 40);
    assert_int_equal(value(&c->hit_us_sum), 0);
    bw_counters_free(c);
}

TEST(a_refresh_is_a_fetch_but_no_request)
{
    struct bw_counters *c = bw_counters_new(NULL);
    struct bw_figures_sample s = {
        .refresh = true, .fetches = 1, .bytes_from_origin = 7, .host = {"a.test", 6}};

    bw_figures_account(c, &s);
    assert_int_equal(value(&c->counter[BW_C_REQUESTS]), 0);
    assert_int_equal(value(&c->counter[BW_C_ORIGIN_FETCHES]), 1);
    assert_int_equal(value(&c->counter[BW_C_BYTES_FROM_ORIGIN]), 7);
    assert_int_equal(value(&c->outcome[BW_OUTCOME_HIT][BW_REASON_NONE]), 0);
    bw_counters_free(c);
}

TEST(refusals_and_errors_say_nothing_about_latency)
{
    struct bw_counters *c = bw_counters_new(NULL);
    struct bw_figures_sample s = {
        .outcome = BW_OUTCOME_REFUSED, .reason = BW_REASON_BAD_HEAD, .duration_us = 9};

    bw_figures_account(c, &s);
    assert_int_equal(value(&c->outcome[BW_OUTCOME_REFUSED][BW_REASON_BAD_HEAD]), 1);
    assert_int_equal(value(&c->hit_us_sum) + value(&c->miss_us_sum), 0);
    bw_counters_free(c);
}

TEST(a_rule_number_that_no_rule_has_counts_as_none)
{
    struct bw_counters *c = bw_counters_new(NULL);
    struct bw_figures_sample s = a_hit;

    s.rule = 12;
    bw_figures_account(c, &s);
    assert_int_equal(value(&atomic_load(&c->rules)->v[0].v[BW_SUM_REQUESTS]), 1);
    bw_counters_free(c);
}

TEST(durations_fall_into_buckets_that_double)
{
    assert_int_equal(bw_histogram_bucket(0), 0);
    assert_int_equal(bw_histogram_bucket(15), 0);
    assert_int_equal(bw_histogram_bucket(16), 1);
    assert_int_equal(bw_histogram_bucket(31), 1);
    assert_int_equal(bw_histogram_bucket(32), 2);
    assert_int_equal(bw_histogram_bucket(UINT64_MAX), BW_HISTOGRAM_BUCKETS - 1);
}

TEST(every_counter_has_a_name)
{
    for (enum bw_counter i = 0; i < BW_C_COUNT; i++)
        assert_true(strlen(bw_counter_name(i)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_hit_is_counted_by_outcome_reason_bytes_and_time),
        RUN(a_revalidation_is_a_hit_and_a_fetch_and_as_slow_as_a_miss),
        RUN(a_refresh_is_a_fetch_but_no_request),
        RUN(refusals_and_errors_say_nothing_about_latency),
        RUN(a_rule_number_that_no_rule_has_counts_as_none),
        RUN(durations_fall_into_buckets_that_double),
        RUN(every_counter_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
