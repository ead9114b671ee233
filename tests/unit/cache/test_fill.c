/*
 * test_fill.c - one fetch for a crowd: who shares, who is let go, who is told what (docs/fill.md,
 * 8).
 */
#include "cache/fake_store.h"
#include "cache/fill_client.h"

enum { MEMORY = 64 << 20, BODY = 200000 };

static struct origin page(const char *fields)
{
    return (struct origin){.path = "/news", .status = 200, .fields = fields, .length = BODY};
}

#define CROWD 60

/* A crowd that waits for a head. */
static void crowd_waits(struct world *w, struct origin *o, struct client **c, unsigned n)
{
    crowd(w, o, c, n);
    until(w, all_parked(c, n));
}

/* ---- sharing ---- */

TEST(a_crowd_on_all_workers_costs_one_fetch)
{
    struct world *w = world_new(4, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[200], *late;

    crowd_waits(w, &o, c, 200);
    assert_int_equal(bw_fills_waiting(w->fills), 200);
    assert_int_equal(bw_fills_now(w->fills), 1);
    allow(w, &o, EVERYTHING);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(result_of(c[i]), SERVED);
        assert_int_equal(c[i]->got, BODY);
        assert_int_equal(c[i]->version, c[0]->version);
    }
    crowd_is_served(c, 200);
    settle(w);
    late = get(w, 1, &o);
    assert_int_equal(result_of(late), SERVED);
    assert_true(late->hit);
    is_served(late);
    assert_int_equal(o.fetches, 1);
    assert_int_equal(counted(w, BW_FILL_JOINED), 199);
    assert_int_equal(counted(w, BW_FILL_STORED), 1);
    world_end(w);
}

TEST(head_joins_a_fetch_and_never_leads_one)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *head = ask(w, 0, &o, ""), *leader, *joins = ask(w, 1, &o, "");

    head->is_head = joins->is_head = true;
    ends(go(head), PASSED);
    leader = get(w, 0, &o);
    go(joins);
    allow(w, &o, HEAD_ONLY);
    is_served(joins);
    allow(w, &o, EVERYTHING);
    is_served(leader);
    assert_int_equal(o.fetches, 1);
    world_end(w);
}

/* ---- landing ---- */

static void joins_while_held_at(const char *gate)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[CROWD], *first;

    bw_gate_hold(gate);
    allow(w, &o, EVERYTHING);
    first = get(w, 0, &o);
    is_served(first);
    until(w, bw_gate_waiting(gate) >= 1);
    crowd(w, &o, c, CROWD);
    crowd_is_served(c, CROWD);
    bw_gate_release(gate);
    settle(w);
    assert_int_equal(o.fetches, 1);
    assert_int_equal(counted(w, BW_FILL_STORED), 1);
    world_end(w);
}

TEST(whoever_comes_between_the_last_byte_and_the_index_joins)
{
    joins_while_held_at("writer.commit");
    joins_while_held_at("writer.publish");
}

static void join_now(struct worker *wk, void *arg)
{
    struct client *c = arg;

    (void)wk;
    c->holds = false;
    client_fill(c);
}

TEST(a_request_between_index_and_table_finds_what_has_landed)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *late = ask(w, 1, &o, "");

    late->holds = true;
    go(late);
    allow(w, &o, EVERYTHING);
    is_served(get(w, 0, &o));
    settle(w);
    order(w, 1, join_now, late);
    assert_int_equal(result_of(late), SERVED);
    assert_true(late->hit);
    is_served(late);
    assert_int_equal(o.fetches, 1);
    world_end(w);
}

TEST(a_failed_commit_serves_all_and_the_next_request_fetches)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[4];

    w->store->fail_record = true;
    crowd(w, &o, c, 4);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 4);
    settle(w);
    w->store->fail_record = false;
    is_served(get(w, 0, &o));
    settle(w);
    assert_int_equal(o.fetches, 2);
    assert_int_equal(counted(w, BW_FILL_STORE_FAILED), 1);
    world_end(w);
}

/* ---- what is not for all ---- */

TEST(private_answers_are_fetched_at_once_by_all_who_waited)
{
    struct world *w = world_new(4, MEMORY, NULL);
    struct origin o = page("cache-control: private");
    struct client *c[CROWD];

    crowd_waits(w, &o, c, CROWD);
    allow(w, &o, HEAD_ONLY);
    until(w, o.at_once == CROWD);
    allow(w, &o, EVERYTHING);
    for (unsigned i = 0; i < CROWD; i++)
        for (unsigned k = 0; k < i; k++) {
            assert_int_equal(result_of(c[i]), SERVED);
            assert_int_not_equal(c[i]->version, c[k]->version);
        }
    crowd_is_served(c, CROWD);
    assert_int_equal(o.fetches, CROWD);
    world_end(w);
}

TEST(what_becomes_shareable_again_is_stored_by_one_who_was_alone)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: private");
    struct client *c;

    allow(w, &o, EVERYTHING);
    is_served(get(w, 0, &o));
    o.fields = "cache-control: max-age=60";
    is_served(get(w, 1, &o));
    settle(w);
    c = get(w, 0, &o);
    assert_int_equal(result_of(c), SERVED);
    assert_true(c->hit);
    is_served(c);
    assert_int_equal(o.fetches, 2);
    world_end(w);
}

TEST(no_cache_is_stored_by_one_at_a_time_and_asked_about_each_time)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: no-cache");
    struct client *c[4];

    crowd_waits(w, &o, c, 4);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 4);
    settle(w);
    assert_int_equal(o.fetches, 4);
    assert_in_range(counted(w, BW_FILL_STORED), 1, 4); /* the next one may, once it has landed */
    is_served(get(w, 0, &o)); /* the last may have found another at it: what was there went away */
    settle(w);
    o.confirms = true;
    c[0] = get(w, 1, &o);
    assert_int_equal(result_of(c[0]), SERVED);
    assert_true(c[0]->revalidated);
    is_served(c[0]);
    settle(w);
    o.confirms = false; /* a new one takes the place of the old: the mark is free again */
    c[0] = get(w, 1, &o);
    is_served(c[0]);
    settle(w);
    o.confirms = true;
    c[0] = get(w, 0, &o);
    assert_int_equal(result_of(c[0]), SERVED);
    assert_true(c[0]->revalidated);
    is_served(c[0]);
    world_end(w);
}

TEST(no_cache_is_stored_again_while_a_slow_client_still_reads_the_last_one)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: no-cache");
    struct client *slow = ask(w, 0, &o, ""), *next;

    slow->stops_at = 1;
    allow(w, &o, EVERYTHING);
    go(slow);
    until(w, slow->stopped && counted(w, BW_FILL_STORED) == 1);
    is_served(get(w, 1, &o));
    until(w, counted(w, BW_FILL_STORED) == 2);
    o.confirms = true;
    next = get(w, 1, &o);
    assert_int_equal(result_of(next), SERVED);
    assert_true(next->revalidated);
    is_served(next);
    read_on(slow);
    is_served(slow);
    world_end(w);
}

/* The record of a `no-cache` is on its way: whoever comes now waits for it, and asks with its tag.
 */
static void waits_for_the_record(bool fails)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: no-cache");
    struct client *first, *c[4];

    o.confirms = true;
    w->store->fail_record = fails;
    bw_gate_hold("writer.commit");
    allow(w, &o, EVERYTHING);
    first = get(w, 0, &o);
    is_served(first);
    for (unsigned i = 0; i < 4; i++)
        c[i] = get(w, i % 2, &o);
    until(w, all_parked(c, 4));
    assert_int_equal(o.fetches, 1);
    bw_gate_release("writer.commit");
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(result_of(c[i]), SERVED);
        assert_int_equal(c[i]->revalidated, !fails);
    }
    crowd_is_served(c, 4);
    world_end(w);
}

TEST(a_record_that_is_about_to_land_is_waited_for)
{
    waits_for_the_record(false);
    waits_for_the_record(true);
}

TEST(variants_are_fetched_once_each)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("vary: x-lang\ncache-control: max-age=60");
    struct client *c[CROWD], *late;

    for (unsigned i = 0; i < CROWD; i++)
        c[i] = go(ask(w, i % 3, &o, i % 2 == 0 ? "x-lang: de" : "x-lang: en"));
    until(w, all_parked(c, CROWD));
    allow(w, &o, EVERYTHING);
    for (unsigned i = 2; i < CROWD; i++) {
        assert_int_equal(result_of(c[i]), SERVED);
        assert_int_equal(result_of(c[i - 2]), SERVED);
        assert_int_equal(c[i]->version, c[i - 2]->version);
    }
    assert_int_not_equal(c[0]->version, c[1]->version);
    crowd_is_served(c, CROWD);
    settle(w);
    late = go(ask(w, 0, &o, "x-lang: en"));
    assert_int_equal(result_of(late), SERVED);
    assert_true(late->hit);
    is_served(late);
    is_served(go(ask(w, 0, &o, "x-lang: fr")));
    settle(w);
    assert_int_equal(o.fetches, 3);
    world_end(w);
}

/*
 * The gate blocks the owner's loop.  Only when the fetch has found that it may not go on is there
 * nothing left that could take the owner there while we still wait for an answer of its.
 */
static void held_at(const char *gate, const char *fields, unsigned fetches)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page(fields);
    struct client *c[20];

    c[0] = go(ask(w, 0, &o, "x-lang: en"));
    until(w, o.waits >= 1);
    bw_gate_hold(gate);
    allow(w, &o, EVERYTHING);
    until(w, bw_gate_waiting(gate) >= 1);
    for (unsigned i = 1; i < 20; i++)
        c[i] = go(ask(w, 1 + i % 2, &o, i % 3 == 0 ? "x-lang: en" : "x-lang: de"));
    bw_gate_release(gate);
    crowd_is_served(c, 20);
    assert_int_equal(o.fetches, fetches);
    world_end(w);
}

TEST(variants_held_before_the_note_still_cost_one_fetch_each)
{
    held_at("owner.note", "vary: x-lang\ncache-control: max-age=60", 2);
}

TEST(whoever_comes_between_the_note_and_the_head_joins)
{
    held_at("owner.publish", "cache-control: max-age=60", 1);
}

/* ---- errors ---- */

TEST(a_sick_origin_is_asked_twice_whatever_the_crowd)
{
    struct world *w = world_new(4, MEMORY, NULL);
    struct origin o = page("x-sick: yes");
    struct client *c[200];
    unsigned served = 0;

    o.status = 503;
    o.heads_most = 1;
    crowd_waits(w, &o, c, 200);
    allow(w, &o, EVERYTHING);
    until(w, counted(w, BW_FILL_JOINED) == 199 + 198);
    o.heads_most = 0;
    allow(w, &o, EVERYTHING);
    for (unsigned i = 0; i < 200; i++) {
        served += result_of(c[i]) == SERVED;
        assert_int_equal(c[i]->status, 503);
        ends(c[i], (enum result)atomic_load(&c[i]->result));
    }
    assert_int_equal(served, 2);
    assert_int_equal(o.fetches, 2);
    world_end(w);
}

TEST(without_a_head_all_are_told_the_cause_once)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("");
    struct client *c[8];

    o.no_head = BW_REASON_CONNECT;
    crowd_waits(w, &o, c, 8);
    allow(w, &o, EVERYTHING);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(result_of(c[i]), FAILED);
        assert_int_equal(c[i]->why, BW_REASON_CONNECT);
        ends(c[i], FAILED);
    }
    assert_int_equal(o.fetches, 1);
    world_end(w);
}

TEST(a_body_cut_short_breaks_every_reader_and_is_not_stored)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[9];

    o.cut_at = 150000;
    allow(w, &o, BYTES(100000));
    crowd(w, &o, c, 9);
    for (unsigned i = 0; i < 9; i++)
        until(w, c[i]->got == 100000);
    allow(w, &o, EVERYTHING);
    for (unsigned i = 0; i < 9; i++)
        ends(c[i], BROKEN);
    settle(w);
    o.cut_at = 0;
    c[0] = get(w, 2, &o);
    is_served(c[0]);
    assert_int_equal(o.fetches, 2);
    assert_int_equal(counted(w, BW_FILL_BROKEN), 1);
    world_end(w);
}

TEST(a_304_to_a_question_that_was_not_asked_is_a_bad_response)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c;

    o.status = 304;
    o.length = 0;
    allow(w, &o, EVERYTHING);
    c = get(w, 0, &o);
    assert_int_equal(result_of(c), FAILED);
    assert_int_equal(c->why, BW_REASON_BAD_RESPONSE);
    ends(c, FAILED);
    world_end(w);
}

/* ---- leaving ---- */

TEST(a_leader_who_leaves_before_the_head_costs_nothing)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[9];

    crowd_waits(w, &o, c, 9);
    hang_up(c[0]);
    allow(w, &o, EVERYTHING);
    ends(c[0], GONE);
    crowd_is_served(c + 1, 8);
    assert_int_equal(o.fetches, 1);
    assert_int_equal(counted(w, BW_FILL_ORPHANED), 1);
    world_end(w);
}

TEST(nobody_inherits_the_private_answer_of_a_leader_who_left)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: private");
    struct client *c[6];

    crowd_waits(w, &o, c, 6);
    hang_up(c[0]);
    allow(w, &o, HEAD_ONLY);
    until(w, o.cancelled == 1);
    allow(w, &o, EVERYTHING);
    for (unsigned i = 1; i < 6; i++) {
        assert_int_equal(result_of(c[i]), SERVED);
        assert_int_not_equal(c[i]->version, 1); /* that of the first fetch */
    }
    ends(c[0], GONE);
    crowd_is_served(c + 1, 5);
    settle(w);
    assert_int_equal(o.cancelled, 1);
    assert_int_equal(o.fetches, 6);
    world_end(w);
}

static void all_leave_at(uint64_t bytes, unsigned cancelled, uint64_t stored)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[6];

    o.length = 5000000;
    o.piece = 30000;
    allow(w, &o, BYTES(bytes));
    crowd(w, &o, c, 6);
    for (unsigned i = 0; i < 6; i++)
        until(w, c[i]->got == bytes);
    for (unsigned i = 0; i < 6; i++) {
        hang_up(c[i]);
        ends(c[i], GONE);
    }
    if (cancelled != 0)
        until(w, o.cancelled == 1);
    allow(w, &o, EVERYTHING);
    settle(w);
    assert_int_equal(o.cancelled, cancelled);
    assert_int_equal(counted(w, BW_FILL_STORED), stored);
    world_end(w);
}

TEST(when_all_leave_early_the_fetch_is_aborted_and_near_the_end_it_is_stored)
{
    all_leave_at(500000, 1, 0);
    all_leave_at(4500000, 0, 1);
}

TEST(whoever_joins_while_the_last_reader_leaves_keeps_the_fetch_alive)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *first, *second;

    o.length = 5000000;
    allow(w, &o, BYTES(500000));
    first = get(w, 0, &o);
    until(w, first->got == 500000);
    bw_gate_hold("owner.poke");
    hang_up(first);
    until(w, bw_gate_waiting("owner.poke") >= 1);
    second = get(w, 1, &o);
    until(w, second->got == 500000);
    bw_gate_release("owner.poke");
    allow(w, &o, EVERYTHING);
    is_served(second);
    ends(first, GONE);
    assert_int_equal(o.fetches, 1);
    assert_int_equal(o.cancelled, 0);
    world_end(w);
}

static void take_overdue(struct worker *wk, void *arg)
{
    struct client *c = arg;

    (void)wk;
    if (bw_fill_overdue(&c->waiter)) {
        c->overdue_once = true;
        client_again(c, false);
    }
}

TEST(whoever_waited_too_long_fetches_anew_once_for_all)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[9];

    crowd_waits(w, &o, c, 9);
    for (unsigned i = 1; i < 9; i++)
        order(w, i % 3, take_overdue, c[i]);
    until(w, o.fetches == 2 && all_parked(c, 9));
    allow(w, &o, EVERYTHING);
    for (unsigned i = 1; i < 9; i++) {
        assert_int_equal(result_of(c[i]), SERVED);
        assert_true(c[i]->overdue_once);
        assert_int_equal(c[i]->version, 2);
    }
    crowd_is_served(c, 9);
    settle(w);
    assert_int_equal(o.fetches, 2);
    world_end(w);
}

static void drain(struct worker *wk, void *arg)
{
    (void)arg;
    bw_fills_abort_all(wk->world->fills, wk->index);
}

TEST(the_deadline_of_a_drain_breaks_readers_and_tells_waiters)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin fed = page("cache-control: max-age=60"), silent = page("");
    struct client *reads[6], *waits[6];

    silent.path = "/silent";
    allow(w, &fed, BYTES(50000));
    crowd(w, &fed, reads, 6);
    for (unsigned i = 0; i < 6; i++)
        until(w, reads[i]->got == 50000);
    crowd_waits(w, &silent, waits, 6);
    for (unsigned i = 0; i < 3; i++)
        order(w, i, drain, NULL);
    for (unsigned i = 0; i < 6; i++) {
        ends(reads[i], BROKEN);
        assert_int_equal(result_of(waits[i]), FAILED);
        assert_int_equal(waits[i]->why, BW_REASON_DRAINED);
        ends(waits[i], FAILED);
    }
    assert_int_equal(fed.cancelled + silent.cancelled, 2);
    world_end(w);
}

TEST(a_worker_may_end_while_the_writer_still_has_its_fill)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[9];

    bw_gate_hold("writer.commit");
    allow(w, &o, EVERYTHING);
    crowd(w, &o, c, 9);
    crowd_is_served(c, 9);
    until(w, !busy(w));
    assert_int_equal(bw_fills_now(w->fills), 1);
    workers_end(w);
    bw_gate_release("writer.commit");
    world_close(w);
}

/* ---- limits ---- */

TEST(more_waiters_than_allowed_are_turned_away)
{
    const struct bw_fills_options few = {.waiters_max = 3, .max_object = 1 << 20};
    struct world *w = world_new(2, MEMORY, &few);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[3];

    crowd_waits(w, &o, c, 3);
    ends(get(w, 0, &o), SHED);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 3);
    assert_int_equal(counted(w, BW_FILL_SHED), 1);
    world_end(w);
}

TEST(a_fill_without_memory_is_not_begun)
{
    struct world *w = world_new(2, 30000, NULL);
    struct origin o = page("cache-control: max-age=60"), p = page("");
    struct client *first;

    p.path = "/other";
    o.length = 10000;
    first = get(w, 0, &o);
    ends(get(w, 1, &p), SHED);
    allow(w, &o, EVERYTHING);
    is_served(first);
    settle(w);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_crowd_on_all_workers_costs_one_fetch),
        RUN(head_joins_a_fetch_and_never_leads_one),
        RUN(whoever_comes_between_the_last_byte_and_the_index_joins),
        RUN(a_request_between_index_and_table_finds_what_has_landed),
        RUN(a_failed_commit_serves_all_and_the_next_request_fetches),
        RUN(private_answers_are_fetched_at_once_by_all_who_waited),
        RUN(what_becomes_shareable_again_is_stored_by_one_who_was_alone),
        RUN(no_cache_is_stored_by_one_at_a_time_and_asked_about_each_time),
        RUN(no_cache_is_stored_again_while_a_slow_client_still_reads_the_last_one),
        RUN(a_record_that_is_about_to_land_is_waited_for),
        RUN(variants_are_fetched_once_each),
        RUN(variants_held_before_the_note_still_cost_one_fetch_each),
        RUN(whoever_comes_between_the_note_and_the_head_joins),
        RUN(a_sick_origin_is_asked_twice_whatever_the_crowd),
        RUN(without_a_head_all_are_told_the_cause_once),
        RUN(a_body_cut_short_breaks_every_reader_and_is_not_stored),
        RUN(a_304_to_a_question_that_was_not_asked_is_a_bad_response),
        RUN(a_leader_who_leaves_before_the_head_costs_nothing),
        RUN(nobody_inherits_the_private_answer_of_a_leader_who_left),
        RUN(when_all_leave_early_the_fetch_is_aborted_and_near_the_end_it_is_stored),
        RUN(whoever_joins_while_the_last_reader_leaves_keeps_the_fetch_alive),
        RUN(whoever_waited_too_long_fetches_anew_once_for_all),
        RUN(the_deadline_of_a_drain_breaks_readers_and_tells_waiters),
        RUN(a_worker_may_end_while_the_writer_still_has_its_fill),
        RUN(more_waiters_than_allowed_are_turned_away),
        RUN(a_fill_without_memory_is_not_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
