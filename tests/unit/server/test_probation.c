/* Who is on probation: for how long, and who counts as the same client. */
#include "../../../src/server/wire_priv.h"
#include "unit.h"

#include <arpa/inet.h>

static struct bw_probation *probation;

static int set_up(void **state)
{
    (void)state;
    probation = bw_probation_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bw_probation_free(probation);
    return 0;
}

static void begins(const char *text, uint64_t until)
{
    uint8_t address[16];

    assert_true(bw_slice_inet(bw_slice_str(text), AF_INET6, address));
    bw_probation_begin(probation, address, until);
}

static bool has(const char *text, uint64_t now)
{
    uint8_t address[16];

    assert_true(bw_slice_inet(bw_slice_str(text), AF_INET6, address));
    return bw_probation_has(probation, address, now);
}

TEST(probation_lasts_until_its_time)
{
    assert_false(has("::ffff:192.0.2.1", 0));
    begins("::ffff:192.0.2.1", 1000);
    assert_true(has("::ffff:192.0.2.1", 0));
    assert_true(has("::ffff:192.0.2.1", 999));
    assert_false(has("::ffff:192.0.2.1", 1000));
    begins("::ffff:192.0.2.1", 3000);
    assert_true(has("::ffff:192.0.2.1", 2000));
}

TEST(a_neighbour_is_another_client_in_ipv4_and_the_same_in_a_64_of_ipv6)
{
    begins("::ffff:192.0.2.1", 1000);
    begins("2001:db8::1", 1000);
    assert_false(has("::ffff:192.0.2.2", 0));
    assert_true(has("2001:db8::2", 0));
    assert_false(has("2001:db8:0:1::1", 0));
}

TEST(of_many_offenders_most_are_remembered_and_no_other)
{
    char text[64];
    int known = 0;

    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof(text), "2001:db8:0:%x::1", i);
        begins(text, 1000);
    }
    for (int i = 0; i < 400; i++) {
        snprintf(text, sizeof(text), "2001:db8:0:%x::1", i);
        known += has(text, 0);
        assert_true(i < 200 || !has(text, 0));
    }
    assert_in_range(known, 140, 200);
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(probation_lasts_until_its_time),
        RUN_HERE(a_neighbour_is_another_client_in_ipv4_and_the_same_in_a_64_of_ipv6),
        RUN_HERE(of_many_offenders_most_are_remembered_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
