#include "breakwater/admin/window.h"

#include "unit.h"

#define NOON INT64_C(1767268800)

static uint64_t requests_in(const struct bw_window *w, enum bw_span span, const struct bw_sums *t)
{
    struct bw_sums out;

    bw_window_sum(w, span, t, &out);
    return out.v[BW_SUM_REQUESTS];
}

/* One request a second, a tick after each. */
static void run(struct bw_window *w, struct bw_sums *total, int64_t from, int64_t seconds)
{
    for (int64_t s = from + 1; s <= from + seconds; s++) {
        total->v[BW_SUM_REQUESTS]++;
        bw_window_tick(w, s, total);
    }
}

TEST(every_span_holds_what_its_time_brought)
{
    static struct bw_window w;
    struct bw_sums total = {0};

    bw_window_tick(&w, NOON, &total);
    run(&w, &total, NOON, 4000);

    assert_int_equal(requests_in(&w, BW_SPAN_MINUTE, &total), 60);
    assert_in_range(requests_in(&w, BW_SPAN_5_MINUTES, &total), 295, 300);
    assert_in_range(requests_in(&w, BW_SPAN_HOUR, &total), 3540, 3600);
    assert_int_equal(requests_in(&w, BW_SPAN_START, &total), 4000);
}

TEST(a_young_window_holds_everything)
{
    static struct bw_window w;
    struct bw_sums total = {0};

    assert_int_equal(requests_in(&w, BW_SPAN_MINUTE, &total), 0);
    total.v[BW_SUM_REQUESTS] = 7;
    assert_int_equal(requests_in(&w, BW_SPAN_HOUR, &total), 7);
    bw_window_tick(&w, NOON, &total);
    assert_int_equal(requests_in(&w, BW_SPAN_MINUTE, &total), 7);
}

TEST(what_came_before_a_leap_of_the_clock_is_forgotten_by_the_spans_it_crossed)
{
    static struct bw_window w;
    struct bw_sums total = {.v = {[BW_SUM_REQUESTS] = 9}};

    bw_window_tick(&w, NOON, &total);
    bw_window_tick(&w, NOON + 61, &total);
    assert_int_equal(requests_in(&w, BW_SPAN_MINUTE, &total), 0);
    assert_int_equal(requests_in(&w, BW_SPAN_5_MINUTES, &total), 9);
    bw_window_tick(&w, NOON + 86400 * 365, &total);
    assert_int_equal(requests_in(&w, BW_SPAN_HOUR, &total), 0);
    assert_int_equal(requests_in(&w, BW_SPAN_START, &total), 9);
}

TEST(two_windows_can_become_one)
{
    static struct bw_window a, b;
    struct bw_sums of_a = {0}, of_b = {0};

    bw_window_tick(&a, NOON, &of_a);
    bw_window_tick(&b, NOON, &of_b);
    for (int64_t s = NOON + 1; s <= NOON + 120; s++) {
        run(&a, &of_a, s - 1, 1);
        run(&b, &of_b, s - 1, 1);
    }
    bw_window_add(&a, &b);
    bw_sums_add(&of_a, &of_b);
    assert_int_equal(requests_in(&a, BW_SPAN_MINUTE, &of_a), 120);
    assert_int_equal(requests_in(&a, BW_SPAN_START, &of_a), 240);
}

TEST(offload_is_one_minus_what_the_origin_did_for_what_clients_asked)
{
    struct bw_sums s = {.v = {[BW_SUM_REQUESTS] = 10,
                              [BW_SUM_FETCHES] = 1,
                              [BW_SUM_BYTES_TO_CLIENTS] = 1000,
                              [BW_SUM_BYTES_FROM_ORIGIN] = 250}};
    double share;

    assert_true(bw_sums_request_offload(&s, &share));
    assert_true(share > 0.8999 && share < 0.9001);
    assert_true(bw_sums_byte_offload(&s, &share));
    assert_true(share > 0.7499 && share < 0.7501);
}

TEST(offload_is_unknown_while_nothing_was_asked)
{
    struct bw_sums s = {0};
    double share;

    assert_false(bw_sums_request_offload(&s, &share));
    assert_false(bw_sums_byte_offload(&s, &share));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(every_span_holds_what_its_time_brought),
        RUN(a_young_window_holds_everything),
        RUN(what_came_before_a_leap_of_the_clock_is_forgotten_by_the_spans_it_crossed),
        RUN(two_windows_can_become_one),
        RUN(offload_is_one_minus_what_the_origin_did_for_what_clients_asked),
        RUN(offload_is_unknown_while_nothing_was_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
