/*
 * test_fill_memory.c - bodies that are larger than the memory, readers that are slower than the
 * origin, a writer that cannot (docs/fill.md, rules 19 to 24 and section 5).
 */
#include "cache/fake_store.h"
#include "cache/fill_client.h"

enum { MEMORY = 64 << 20, SMALL = 1 << 20 };

static struct origin film(const char *fields, uint64_t length)
{
    return (struct origin){
        .path = "/film", .status = 200, .fields = fields, .length = length, .piece = 30000};
}

static struct client *stops(struct world *w, unsigned worker, struct origin *o, uint64_t at)
{
    struct client *c = ask(w, worker, o, "");

    c->stops_at = at;
    return go(c);
}

/* Waits for the end, and that no more is used than there is. */
static void served_within(struct world *w, struct client *c, size_t most)
{
    size_t seen = 0, used;

    until(w, (used = bw_budget_used(&w->budget), seen = used > seen ? used : seen,
              atomic_load(&c->result) != RUNNING));
    if (seen > most)
        fail_msg("%zu bytes of %zu", seen, most);
}

TEST(an_object_of_ten_times_the_memory_is_stored_beside_a_stopped_reader)
{
    struct world *w = world_new(2, SMALL, NULL);
    struct origin o = film("cache-control: max-age=60", 10 << 20);
    struct client *slow, *fast;

    slow = stops(w, 0, &o, 50000);
    fast = get(w, 1, &o);
    allow(w, &o, EVERYTHING);
    served_within(w, fast, SMALL + 4 * BW_BLOCK_MEMORY);
    is_served(fast);
    until(w, counted(w, BW_FILL_STORED) == 1);
    until(w, atomic_load(&slow->stopped));
    read_on(slow);
    assert_int_equal(result_of(slow), SERVED);
    assert_int_equal(slow->got, 10 << 20);
    is_served(slow);
    assert_int_equal(counted(w, BW_FILL_STORE_LOST), 0);
    world_end(w);
}

TEST(what_is_not_stored_is_held_back_by_its_reader)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = film("cache-control: no-store", 10 << 20);
    struct client *c = stops(w, 0, &o, 50000);

    allow(w, &o, EVERYTHING);
    until(w, o.pauses == 1);
    assert_in_range(bw_budget_used(&w->budget), 0, (2 << 20));
    until(w, atomic_load(&c->stopped));
    read_on(c);
    is_served(c);
    world_end(w);
}

/* What a fill charges before its head is all there is: one block. */
static size_t charge_of_one(const char *fields)
{
    struct world *w = world_new(1, MEMORY, NULL);
    struct origin o = film(fields, 1);
    struct client *c = get(w, 0, &o);
    size_t used = bw_budget_used(&w->budget);

    allow(w, &o, EVERYTHING);
    is_served(c);
    world_end(w);
    return used;
}

static void goes_through_one_block(const char *fields, size_t piece, unsigned readers)
{
    struct world *w = world_new(2, charge_of_one(fields) + 2000, NULL);
    struct origin o = film(fields, 300000);
    struct client *c[3];

    o.piece = piece;
    for (unsigned i = 0; i < readers; i++)
        c[i] = get(w, i % 2, &o);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, readers);
    assert_int_equal(o.fetches, 1);
    world_end(w);
}

TEST(with_one_block_of_memory_all_bytes_come_through)
{
    goes_through_one_block("cache-control: no-store", BW_BLOCK_SIZE, 1);
    goes_through_one_block("cache-control: no-store", 5000, 1);
    goes_through_one_block("cache-control: max-age=60", BW_BLOCK_SIZE, 3);
    goes_through_one_block("cache-control: max-age=60", 5000, 3);
}

TEST(a_client_that_reads_b_before_a_gets_both)
{
    struct world *w = world_new(1, SMALL, NULL);
    struct origin a = film("cache-control: max-age=60", 3 << 20);
    struct origin b = film("cache-control: max-age=60", 3 << 20);
    struct client *reads_a, *reads_b;

    b.path = "/other";
    reads_a = stops(w, 0, &a, 10000);
    allow(w, &a, EVERYTHING);
    until(w, atomic_load(&reads_a->stopped));
    reads_b = get(w, 0, &b);
    allow(w, &b, EVERYTHING);
    is_served(reads_b);
    read_on(reads_a);
    is_served(reads_a);
    world_end(w);
}

/* ---- the writer ---- */

static void is_not_stored(struct world *w, struct origin *o)
{
    unsigned before = o->fetches;

    settle(w);
    assert_int_equal(counted(w, BW_FILL_STORED), 0);
    is_served(get(w, 0, o));
    assert_int_equal(o->fetches, before + 1);
}

TEST(a_disk_that_is_full_in_the_middle_costs_no_reader_a_byte)
{
    struct world *w = world_new(2, SMALL, NULL);
    struct origin o = film("cache-control: max-age=60", 3 << 20);
    struct client *c[6];

    w->store->fail_chunk = 3;
    crowd(w, &o, c, 6);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 6);
    settle(w);
    assert_int_equal(counted(w, BW_FILL_STORE_LOST), 1);
    is_not_stored(w, &o);
    world_end(w);
}

TEST(a_reader_who_holds_up_others_is_cut_where_the_store_is_lost)
{
    const struct bw_fills_options hasty = {.waiters_max = 100, .max_object = 1 << 30, .lag_ms = 20};
    struct world *w = world_new(2, MEMORY, &hasty);
    /* more than the window of a store: it cannot all be there before the disk fails */
    struct origin o = film("cache-control: max-age=60", 16 << 20);
    struct client *slow, *fast;

    w->store->fail_chunk = 3;
    slow = stops(w, 0, &o, 300000);
    fast = get(w, 1, &o);
    allow(w, &o, EVERYTHING);
    is_served(fast);
    assert_int_equal(counted(w, BW_FILL_CUT_LAGGING), 1);
    until(w, atomic_load(&slow->stopped));
    read_on(slow);
    ends(slow, BROKEN);
    world_end(w);
}

TEST(the_chunks_of_a_lost_store_stay_for_those_who_are_in_them)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = film("cache-control: max-age=60", 1 << 20);
    struct client *slow, *fast;

    w->store->fail_chunk = 8;
    slow = stops(w, 0, &o, 20000);
    fast = get(w, 1, &o);
    allow(w, &o, EVERYTHING);
    is_served(fast);
    until(w, atomic_load(&slow->stopped));
    until(w, counted(w, BW_FILL_STORE_LOST) == 1);
    read_on(slow);
    is_served(slow);
    world_end(w);
}

TEST(a_writer_that_does_not_move_is_given_up)
{
    const struct bw_fills_options hasty = {
        .waiters_max = 100, .max_object = 1 << 30, .writer_ms = 20};
    struct world *w = world_new(2, SMALL, &hasty);
    struct origin o = film("cache-control: max-age=60", 3 << 20);
    struct client *c[4];

    bw_gate_hold("writer.commit");
    crowd(w, &o, c, 4);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 4);
    assert_int_equal(counted(w, BW_FILL_STORE_LOST), 1);
    bw_gate_release("writer.commit");
    is_not_stored(w, &o);
    world_end(w);
}

TEST(a_small_body_that_waits_for_its_commit_takes_no_whole_block)
{
    struct world *w = world_new(1, MEMORY, NULL);
    struct origin o = film("cache-control: max-age=60", 1000);

    bw_gate_hold("writer.commit");
    allow(w, &o, EVERYTHING);
    is_served(get(w, 0, &o));
    assert_in_range(bw_budget_used(&w->budget), o.length, BW_BLOCK_SIZE / 2);
    is_served(get(w, 0, &o));
    assert_int_equal(o.fetches, 1);
    bw_gate_release("writer.commit");
    settle(w);
    assert_int_equal(counted(w, BW_FILL_STORED), 1);
    world_end(w);
}

TEST(a_full_queue_is_waited_for_while_something_of_ours_is_in_it)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = film("cache-control: max-age=60", 2 << 20);
    struct client *c[4];

    w->store->queue_most = 1;
    bw_gate_hold("writer.commit");
    crowd(w, &o, c, 4);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 4);
    bw_gate_release("writer.commit");
    settle(w);
    assert_int_equal(counted(w, BW_FILL_STORED), 1);
    assert_int_equal(counted(w, BW_FILL_STORE_LOST), 0);
    world_end(w);
}

TEST(a_queue_full_of_others_is_not_waited_for)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin a = film("cache-control: max-age=60", 100000);
    struct origin b = film("cache-control: max-age=60", 100000);

    b.path = "/other";
    w->store->queue_most = 1;
    bw_gate_hold("writer.commit");
    allow(w, &a, EVERYTHING);
    allow(w, &b, EVERYTHING);
    is_served(get(w, 0, &a));
    is_served(get(w, 1, &b));
    until(w, counted(w, BW_FILL_STORE_LOST) == 1);
    bw_gate_release("writer.commit");
    settle(w);
    assert_int_equal(counted(w, BW_FILL_STORED), 1);
    world_end(w);
}

TEST(a_body_that_outgrows_the_limit_is_served_and_not_stored)
{
    const struct bw_fills_options o1 = {.waiters_max = 100, .max_object = 500000};
    struct world *w = world_new(2, MEMORY, &o1);
    struct origin o = film("cache-control: max-age=60", 2 << 20);
    struct client *c[4];

    o.hides_length = true;
    crowd(w, &o, c, 4);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 4);
    assert_int_equal(o.fetches, 1);
    is_not_stored(w, &o);
    world_end(w);
}

TEST(what_says_that_it_is_too_large_is_for_its_leader)
{
    const struct bw_fills_options o1 = {.waiters_max = 100, .max_object = 500000};
    struct world *w = world_new(2, MEMORY, &o1);
    struct origin o = film("cache-control: max-age=60", 2 << 20);
    struct client *c[4];

    crowd(w, &o, c, 4);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 4);
    assert_int_equal(o.fetches, 4);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(an_object_of_ten_times_the_memory_is_stored_beside_a_stopped_reader),
        RUN(what_is_not_stored_is_held_back_by_its_reader),
        RUN(with_one_block_of_memory_all_bytes_come_through),
        RUN(a_client_that_reads_b_before_a_gets_both),
        RUN(a_disk_that_is_full_in_the_middle_costs_no_reader_a_byte),
        RUN(a_reader_who_holds_up_others_is_cut_where_the_store_is_lost),
        RUN(the_chunks_of_a_lost_store_stay_for_those_who_are_in_them),
        RUN(a_writer_that_does_not_move_is_given_up),
        RUN(a_small_body_that_waits_for_its_commit_takes_no_whole_block),
        RUN(a_full_queue_is_waited_for_while_something_of_ours_is_in_it),
        RUN(a_queue_full_of_others_is_not_waited_for),
        RUN(a_body_that_outgrows_the_limit_is_served_and_not_stored),
        RUN(what_says_that_it_is_too_large_is_for_its_leader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
