/*
 * test_clock.c - the clock and its offset.
 */
#include "breakwater/base/clock.h"

#include "unit.h"

#include <time.h>

TEST(the_clock_is_unix_time)
{
    int64_t before = (int64_t)time(NULL);
    int64_t now = bw_clock_s();

    assert_true(now >= before && now <= before + 60);
}

TEST(the_offset_moves_the_clock_and_not_the_monotonic_one)
{
    int64_t mono = bw_clock_mono_us();
    int64_t before = bw_clock_ms();

    bw_clock_advance(3600 * 1000);
    assert_true(bw_clock_ms() >= before + 3600 * 1000);
    assert_true(bw_clock_mono_us() - mono < INT64_C(600) * 1000 * 1000);
    bw_clock_advance(-3600 * 1000);
    assert_true(bw_clock_ms() < before + 3600 * 1000);
}

TEST(the_monotonic_clock_never_goes_back)
{
    int64_t last = bw_clock_mono_us();

    for (int i = 0; i < 1000; ++i) {
        int64_t now = bw_clock_mono_us();
        assert_true(now >= last);
        last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_clock_is_unix_time),
        RUN(the_offset_moves_the_clock_and_not_the_monotonic_one),
        RUN(the_monotonic_clock_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
