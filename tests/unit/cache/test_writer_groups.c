/*
 * test_writer_groups.c - how much of the queue becomes one commit, and what the queue may hold.
 */
#include "rig.h"

enum { MIB = 1 << 20, KIB = 1 << 10, AT_ONCE = 400 };

/* Hands over as many objects of that size, which all wait at the same time; then they are stored.
 */
static void store_many(struct rig *rig, int first, size_t len)
{
    struct client k;
    char name[32];

    client_init(&k);
    bw_gate_hold("writer.commit");
    for (int i = 0; i < AT_ONCE; i++) {
        uint64_t objid = bw_store_new_objid(rig->s);

        snprintf(name, sizeof(name), "http://a/%d", first + i);
        struct thing t = {.name = name, .len = len};
        assert_int_equal(hand_chunk(rig, &k, &t, objid, 0), BW_OK);
        assert_int_equal(hand_record(rig, &k, &t, objid), BW_OK);
    }
    bw_gate_release("writer.commit");
    client_wait(&k, 0, AT_ONCE, 0);
}

TEST(the_file_of_a_small_cache_outgrows_it_by_little)
{
    struct rig *rig = rig_begin(16 * MIB);

    bw_gate_enable();
    for (int round = 0; round < 20; round++) /* 4 MiB each */
        store_many(rig, round * AT_ONCE, 10 * KIB);
    assert_in_range(figures(rig).file_bytes, 12 * MIB, 16 * MIB);
    rig_end(rig);
}

TEST(memory_that_waits_with_a_record_counts_against_the_queue)
{
    struct rig *rig = rig_begin_held(64 * MIB);
    struct thing t = {.name = "http://a/x", .len = 100, .held = 100 * KIB};
    struct client k;
    int taken = 0;

    client_init(&k);
    while (hand_record(rig, &k, &t, bw_store_new_objid(rig->s)) == BW_OK)
        taken++;
    assert_int_equal(taken, 10);
    bw_gate_release("writer.commit");
    client_wait(&k, 0, taken, 0);
    assert_int_equal(hand_record(rig, &k, &t, bw_store_new_objid(rig->s)), BW_OK);
    client_wait(&k, 0, taken + 1, 0);
    rig_end(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_file_of_a_small_cache_outgrows_it_by_little),
        RUN(memory_that_waits_with_a_record_counts_against_the_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
