#include "breakwater/cache/pins.h"

#include "unit.h"

static struct bw_pins pins;

TEST(an_object_is_pinned_until_the_last_unpin)
{
    assert_false(bw_pinned(&pins, 42));
    bw_pin(&pins, 42);
    bw_pin(&pins, 42);
    bw_unpin(&pins, 42);
    assert_true(bw_pinned(&pins, 42));
    bw_unpin(&pins, 42);
    assert_false(bw_pinned(&pins, 42));
}

/* One counter may stand for several objects, but for few. */
TEST(a_pin_hardly_touches_its_neighbours)
{
    unsigned others = 0;

    bw_pin(&pins, 1);
    for (uint64_t objid = 2; objid < 2 + BW_PINS_SLOTS; objid++)
        others += bw_pinned(&pins, objid);
    bw_unpin(&pins, 1);
    assert_true(others <= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(an_object_is_pinned_until_the_last_unpin),
        RUN(a_pin_hardly_touches_its_neighbours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
