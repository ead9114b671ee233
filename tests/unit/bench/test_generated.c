/*
 * test_generated.c - the index on generated traces, against the simulation by which the policy was
 * chosen.  (All of them, and how it stands to the baselines, are judged by bench/offload; scan,
 * drift and flood are also in test_evict_trace.c.)
 */
#include "sim.h"
#include "unit.h"

#include <math.h>

/* What the simulation's own policy reaches at a share: with requests as the goal, and with bytes.
 */
struct row {
    const char *trace;
    uint32_t used; /* objects that are asked for */
    uint64_t mib;  /* of the footprint */
    double share;  /* per cent */
    double requests, bytes;
};

static const struct row rows[] = {
    {"onehit", 694916, 43888, 10, 63.56, 59.47},
    {"flash", 99760, 6017, 5, 75.65, 58.60},
    {"corr+", 98649, 1801275, 5, 80.93, 62.80},
};

static double play(const struct bw_sim_trace *t, double share, const char *name)
{
    const struct bw_sim_policy *p = bw_sim_policy(name);
    struct bw_sim_result r = bw_sim_replay(t, p, (uint64_t)((double)t->footprint * share / 100));

    return p->bytes ? r.bytes : r.requests;
}

static void check(const struct row *row)
{
    struct bw_sim_trace t;

    assert_true(bw_sim_generate(row->trace, "bench/traces", 0, &t));
    assert_int_equal(t.used, row->used);
    assert_int_equal((uint64_t)round((double)t.footprint / 1048576), row->mib);
    double requests = play(&t, row->share, "breakwater:requests");
    double bytes = play(&t, row->share, "breakwater:bytes");
    print_message("%s at %.0f: R %.2f B %.2f\n", row->trace, row->share, requests, bytes);
    if (fabs(requests - row->requests) > 0.5 || fabs(bytes - row->bytes) > 0.5)
        fail_msg("%s: the simulation has %.2f, %.2f", row->trace, row->requests, row->bytes);
    bw_sim_trace_free(&t);
}

TEST(on_generated_traffic_the_index_reaches_what_the_simulation_does)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(rows); i++)
        check(&rows[i]);
}

/* Of what the bounds reach at 5 % and 10 % of the footprint: 92 % of requests, 86 % of bytes. */
TEST(on_web_traffic_the_index_comes_near_the_bounds)
{
    struct bw_sim_trace t;

    assert_true(bw_sim_generate("web", "bench/traces", 5000, &t));
    for (double share = 5; share <= 10; share += 5) {
        assert_true(play(&t, share, "breakwater:requests") >=
                    0.92 * play(&t, share, "belady-size"));
        assert_true(play(&t, share, "breakwater:bytes") >= 0.86 * play(&t, share, "belady"));
    }
    bw_sim_trace_free(&t);
}

TEST(a_trace_is_the_same_every_time)
{
    struct bw_sim_trace a, b;

    assert_true(bw_sim_generate("web-joint", "bench/traces", 2000, &a));
    assert_true(bw_sim_generate("web-joint", "bench/traces", 2000, &b));
    assert_int_equal(a.requests, b.requests);
    assert_memory_equal(a.object, b.object, a.requests * sizeof(*a.object));
    assert_memory_equal(a.size, b.size, a.objects * sizeof(*a.size));
    bw_sim_trace_free(&a);
    bw_sim_trace_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(on_generated_traffic_the_index_reaches_what_the_simulation_does),
        RUN(on_web_traffic_the_index_comes_near_the_bounds),
        RUN(a_trace_is_the_same_every_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
