/*
 * test_generated.c - the index on the generated traces, against the simulation by which the policy
 * was chosen, and against the baselines.
 */
#include "sim.h"
#include "unit.h"

#include <math.h>

/* What the simulation's own policy reaches: requests when it protects those, bytes likewise. */
struct reached {
    double share; /* of the footprint, per cent */
    double requests, bytes;
};

struct row {
    const char *trace;
    uint32_t used; /* objects that are asked for */
    double mib;    /* of the footprint */
    struct reached reached[2];
};

static const struct row rows[] = {
    {"scan", 157613, 9185, {{5, 66.20, 59.92}, {10, 72.46, 65.57}}},
    {"onehit", 694916, 43888, {{5, 61.45, 54.46}, {10, 63.56, 59.47}}},
    {"flash", 99760, 6017, {{5, 75.65, 58.60}, {10, 82.11, 65.41}}},
    {"drift", 282118, 17700, {{5, 77.59, 64.15}, {10, 82.01, 70.81}}},
    {"flood", 546992, 33553, {{5, 67.50, 55.21}, {10, 70.02, 62.28}}},
    {"corr+", 98649, 1801275, {{5, 80.93, 62.80}, {10, 84.27, 70.95}}},
    {"corr-", 98609, 456744, {{5, 94.18, 4.86}, {10, 94.25, 9.70}}},
};

static double play(const struct bw_sim_trace *t, double share, const char *name)
{
    const struct bw_sim_policy *p = bw_sim_policy(name);
    struct bw_sim_result r = bw_sim_replay(t, p, (uint64_t)((double)t->footprint * share / 100));

    return p->bytes ? r.bytes : r.requests;
}

/* Of LRU, S3-FIFO and GDSF. */
static struct bw_sim_result best_baseline(const struct bw_sim_trace *t, double share)
{
    static const char *const names[] = {"lru", "s3-fifo", "gdsf"};
    struct bw_sim_result best = {0};

    for (size_t i = 0; i < BW_ARRAY_LEN(names); i++) {
        struct bw_sim_result r = bw_sim_replay(t, bw_sim_policy(names[i]),
                                               (uint64_t)((double)t->footprint * share / 100));
        best.requests = fmax(best.requests, r.requests);
        best.bytes = fmax(best.bytes, r.bytes);
    }
    return best;
}

static void check(const struct row *row, const struct reached *want, const struct bw_sim_trace *t)
{
    double requests = play(t, want->share, "breakwater:requests");
    double bytes = play(t, want->share, "breakwater:bytes");
    struct bw_sim_result best = best_baseline(t, want->share);

    print_message("%s at %.0f: R %.2f B %.2f\n", row->trace, want->share, requests, bytes);
    if (fabs(requests - want->requests) > 0.5 || fabs(bytes - want->bytes) > 0.5)
        fail_msg("%s: the simulation has %.2f, %.2f", row->trace, want->requests, want->bytes);
    if (requests < best.requests - 2 || bytes < best.bytes - 2)
        fail_msg("%s: the best baseline has %.2f, %.2f", row->trace, best.requests, best.bytes);
}

TEST(on_generated_traffic_the_index_reaches_what_the_simulation_does)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(rows); i++) {
        struct bw_sim_trace t;
        assert_true(bw_sim_generate(rows[i].trace, "bench/traces", 0, &t));
        assert_int_equal(t.used, rows[i].used);
        assert_int_equal((uint64_t)round((double)t.footprint / 1048576), (uint64_t)rows[i].mib);
        for (size_t k = 0; k < BW_ARRAY_LEN(rows[i].reached); k++)
            check(&rows[i], &rows[i].reached[k], &t);
        bw_sim_trace_free(&t);
    }
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
