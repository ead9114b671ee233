/*
 * test_gate.c - gates: open unless enabled and held.  The first test runs before they are enabled.
 */
#include "breakwater/base/gate.h"

#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static atomic_bool passed;

TEST(gates_that_are_not_enabled_cannot_be_held)
{
    bw_gate_hold("commit");
    assert_false(bw_gate_held("commit"));
    bw_gate_pass("commit");
    assert_int_equal(bw_gate_waiting("commit"), 0);
}

TEST(a_gate_is_held_until_it_is_released)
{
    bw_gate_enable();
    assert_false(bw_gate_held("step"));
    bw_gate_hold("step");
    assert_true(bw_gate_held("step"));
    assert_false(bw_gate_held("another"));
    bw_gate_release("step");
    assert_false(bw_gate_held("step"));
}

TEST(arrivals_are_counted_from_the_last_hold)
{
    bw_gate_enable();
    bw_gate_hold("count");
    assert_int_equal(bw_gate_waiting("count"), 0);
    bw_gate_held("count");
    bw_gate_held("count");
    bw_gate_hold("count");
    assert_int_equal(bw_gate_waiting("count"), 2);
    bw_gate_release("count");
    assert_int_equal(bw_gate_waiting("count"), 2);
    bw_gate_hold("count");
    assert_int_equal(bw_gate_waiting("count"), 0);
    bw_gate_release("count");
}

TEST(releasing_what_was_never_held_is_harmless)
{
    bw_gate_enable();
    bw_gate_release("never");
    assert_int_equal(bw_gate_waiting("never"), 0);
    bw_gate_pass("never");
}

static void *pass_through(void *arg)
{
    bw_gate_pass(arg);
    atomic_store(&passed, true);
    return NULL;
}

TEST(a_thread_waits_at_a_held_gate)
{
    static char name[] = "thread";
    pthread_t thread;

    bw_gate_enable();
    bw_gate_hold(name);
    assert_int_equal(pthread_create(&thread, NULL, pass_through, name), 0);
    while (bw_gate_waiting(name) == 0)
        sched_yield();
    assert_false(atomic_load(&passed));
    bw_gate_release(name);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&passed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(gates_that_are_not_enabled_cannot_be_held),
        RUN(a_gate_is_held_until_it_is_released),
        RUN(arrivals_are_counted_from_the_last_hold),
        RUN(releasing_what_was_never_held_is_harmless),
        RUN(a_thread_waits_at_a_held_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
