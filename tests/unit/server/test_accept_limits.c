/* How connections are counted: in total, by IPv4 address, by /64 of IPv6. */
#include "../../../src/server/wire_priv.h"
#include "unit.h"

#include <arpa/inet.h>

static struct bw_accept_limits *limits;

static int set_up(void **state)
{
    (void)state;
    limits = bw_accept_limits_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bw_accept_limits_free(limits);
    return 0;
}

static const uint8_t *address(const char *text)
{
    static uint8_t bytes[16];

    assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
    return bytes;
}

static bool enters(const char *text, uint32_t max)
{
    return bw_limits_enter_address(limits, address(text), max);
}

static void leaves(const char *text)
{
    bw_limits_leave_address(limits, address(text));
}

TEST(the_total_has_room_again_when_one_leaves)
{
    assert_true(bw_limits_enter(limits, 2));
    assert_true(bw_limits_enter(limits, 2));
    assert_false(bw_limits_enter(limits, 2));
    bw_limits_leave(limits);
    assert_true(bw_limits_enter(limits, 2));
    bw_limits_leave(limits);
    bw_limits_leave(limits);
}

TEST(each_ipv4_address_is_a_client)
{
    assert_true(enters("::ffff:192.0.2.1", 1));
    assert_false(enters("::ffff:192.0.2.1", 1));
    assert_true(enters("::ffff:192.0.2.2", 1));
    leaves("::ffff:192.0.2.1");
    assert_true(enters("::ffff:192.0.2.1", 1));
    leaves("::ffff:192.0.2.1");
    leaves("::ffff:192.0.2.2");
}

TEST(addresses_of_one_ipv6_network_are_one_client)
{
    assert_true(enters("2001:db8:0:1::1", 2));
    assert_true(enters("2001:db8:0:1:ffff::2", 2));
    assert_false(enters("2001:db8:0:1::3", 2));
    assert_true(enters("2001:db8:0:2::1", 2));
    leaves("2001:db8:0:1::3");
    leaves("2001:db8:0:1::1");
    leaves("2001:db8:0:2::1");
}

TEST(many_clients_come_and_go)
{
    char text[64];

    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "::ffff:10.0.%d.%d", i / 250, i % 250);
        assert_true(enters(text, 1));
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "::ffff:10.0.%d.%d", i / 250, i % 250);
        assert_false(enters(text, 1));
        leaves(text);
        assert_true(enters(text, 1));
        leaves(text);
    }
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(the_total_has_room_again_when_one_leaves),
        RUN_HERE(each_ipv4_address_is_a_client),
        RUN_HERE(addresses_of_one_ipv6_network_are_one_client),
        RUN_HERE(many_clients_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
