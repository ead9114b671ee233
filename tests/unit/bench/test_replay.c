/*
 * test_replay.c - every policy on traces that are short enough to be worked out by hand.
 */
#include "sim.h"
#include "unit.h"

#include <stdlib.h>

/* `objects` are letters, 'A' is object 0; the sizes are those of A, B, C, ... */
static struct bw_sim_trace trace_of(const char *objects, const uint64_t *size, uint32_t sizes)
{
    struct bw_sim_trace t = {.name = "by hand", .objects = sizes};

    t.requests = (uint32_t)strlen(objects);
    t.object = calloc(t.requests, sizeof(*t.object));
    t.size = calloc(sizes, sizeof(*t.size));
    assert_true(t.object != NULL && t.size != NULL);
    memcpy(t.size, size, sizes * sizeof(*size));
    for (uint32_t i = 0; i < t.requests; i++)
        t.object[i] = (uint32_t)(objects[i] - 'A');
    bw_sim_trace_finish(&t);
    return t;
}

static struct bw_sim_result play(struct bw_sim_trace *t, const char *policy, uint64_t room)
{
    const struct bw_sim_policy *p = bw_sim_policy(policy);

    assert_non_null(p);
    return bw_sim_replay(t, p, room);
}

static void assert_hits(const char *objects, const uint64_t *size, uint64_t room,
                        const char *policy, uint64_t hits, double hit_bytes)
{
    struct bw_sim_trace t = trace_of(objects, size, 16);
    struct bw_sim_result r = play(&t, policy, room);

    if (r.hits != hits || r.hit_bytes != hit_bytes)
        fail_msg("%s of %s: %lu hits, %.0f bytes; wanted %lu, %.0f", policy, objects, r.hits,
                 r.hit_bytes, hits, hit_bytes);
    bw_sim_trace_free(&t);
}

static const uint64_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* C takes the place of B; B comes back for the one that was not used last. */
TEST(lru_evicts_what_was_used_longest_ago)
{
    assert_hits("ABACAB", ones, 2, "lru", 2, 2);
    assert_hits("ABCABC", ones, 2, "lru", 0, 0);
}

/* C takes the place of A, whatever was used; A that of B, so both miss again. */
TEST(fifo_evicts_what_came_first)
{
    assert_hits("ABACAB", ones, 2, "fifo", 1, 1);
}

/*
 * A..J fill the small queue; A is used twice.  K: A moves to the main queue, B leaves a ghost.
 * A hits.  B has a ghost: to the main queue, C leaves.  L: D leaves.  B hits, C is gone.
 */
TEST(s3_fifo_keeps_what_was_used_twice_and_what_came_back)
{
    assert_hits("ABCDEFGHIJAAKABLBC", ones, 10, "s3-fifo", 4, 4);
}

/*
 * A 1, B 1/2; C: B leaves, L = 1/2.  A and C hit: 2.5.  B is 1 and leaves itself, L = 1; B again is
 * 1.5 and leaves.  A hits.
 */
TEST(gdsf_keeps_small_objects_that_are_used)
{
    const uint64_t size[16] = {1, 2, 1};

    assert_hits("ABCACBBA", size, 3, "gdsf", 3, 3);
}

/* A is 3 and B, with 1 and 2, leaves itself twice: its size does not matter. */
TEST(lfu_da_keeps_what_is_used)
{
    const uint64_t size[16] = {1, 3};

    assert_hits("AAABBA", size, 3, "lfu-da", 3, 3);
}

/* C is asked for last, so it is not stored. */
TEST(belady_stores_what_is_needed_first)
{
    const uint64_t size[16] = {1, 10};

    assert_hits("ABCABC", ones, 2, "belady", 2, 2);
    assert_hits("BABBA", size, 10, "belady", 2, 20);
}

/* A costs 3 x 1, B 1 x 10: B leaves, twice, and A hits. */
TEST(belady_size_weighs_the_way_to_the_next_request_with_the_size)
{
    const uint64_t size[16] = {1, 10};

    assert_hits("BABBA", size, 10, "belady-size", 1, 1);
    assert_hits("ABCABC", ones, 2, "belady-size", 2, 2);
}

/* A has two hits.  B would be worth less than A and is refused; C has room beside A. */
TEST(the_index_refuses_what_is_worth_less_than_its_victims)
{
    const uint64_t size[16] = {6, 6, 4};

    assert_hits("AAABACA", size, 10, "breakwater:requests", 4, 24);
    assert_hits("AAABACAC", size, 10, "breakwater:bytes", 5, 28);
}

TEST(nobody_stores_what_is_larger_than_the_cache)
{
    const uint64_t size[16] = {1, 11};

    for (size_t i = 0; i < bw_sim_policies_n; i++)
        assert_hits("ABBAB", size, 10, bw_sim_policies[i]->name, 1, 1);
}

TEST(with_room_for_all_only_first_requests_go_to_the_origin)
{
    const uint64_t size[16] = {1, 2, 3, 4};

    for (size_t i = 0; i < bw_sim_policies_n; i++)
        assert_hits("ABCDDCBAABCD", size, 10, bw_sim_policies[i]->name, 8, 20);
}

/* Seconds 0, 5, 10, 12: the copy of second 0 expires at 10, so that is a fetch. */
TEST(what_has_expired_is_fetched_anew)
{
    for (size_t i = 0; i < bw_sim_policies_n; i++) {
        struct bw_sim_trace t = trace_of("AAAA", ones, 16);
        t.second = calloc(4, sizeof(*t.second));
        t.ttl = calloc(16, sizeof(*t.ttl));
        assert_true(t.second != NULL && t.ttl != NULL);
        memcpy(t.second, (uint32_t[]){0, 5, 10, 12}, 4 * sizeof(*t.second));
        t.ttl[0] = 10;
        struct bw_sim_result r = play(&t, bw_sim_policies[i]->name, 4);
        assert_int_equal(r.hits, 2);
        bw_sim_trace_free(&t);
    }
}

TEST(offload_is_the_share_of_requests_and_of_bytes)
{
    const uint64_t size[16] = {1, 3};
    struct bw_sim_trace t = trace_of("AABB", size, 2);
    struct bw_sim_result r = play(&t, "lru", 2);

    assert_true(r.requests == 25);
    assert_true(r.bytes == 12.5);
    assert_int_equal(t.footprint, 4);
    assert_int_equal(t.used, 2);
    bw_sim_trace_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(lru_evicts_what_was_used_longest_ago),
        RUN(fifo_evicts_what_came_first),
        RUN(s3_fifo_keeps_what_was_used_twice_and_what_came_back),
        RUN(gdsf_keeps_small_objects_that_are_used),
        RUN(lfu_da_keeps_what_is_used),
        RUN(belady_stores_what_is_needed_first),
        RUN(belady_size_weighs_the_way_to_the_next_request_with_the_size),
        RUN(the_index_refuses_what_is_worth_less_than_its_victims),
        RUN(nobody_stores_what_is_larger_than_the_cache),
        RUN(with_room_for_all_only_first_requests_go_to_the_origin),
        RUN(what_has_expired_is_fetched_anew),
        RUN(offload_is_the_share_of_requests_and_of_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
