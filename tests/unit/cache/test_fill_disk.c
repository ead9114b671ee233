/*
 * test_fill_disk.c - the fill over the real store: what was fetched once is read back from the
 * disk.
 */
#include "cache/disk_store.h"
#include "cache/fill_stress.h"

enum { MEMORY = 64 << 20, SMALL = 1 << 20, MINUTE = 61000 };

static struct origin page(const char *fields, uint64_t length)
{
    return (struct origin){
        .path = "/news", .status = 200, .fields = fields, .length = length, .piece = 30000};
}

static void is_hit(struct world *w, struct origin *o, uint64_t version, const char *text)
{
    struct client *c = go(ask(w, 1, o, text));

    assert_int_equal(result_of(c), SERVED);
    assert_true(c->hit);
    assert_int_equal(c->version, version);
    is_served(c);
}

static void is_fetched_once(uint64_t length)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60", length);
    struct client *c[30];

    crowd(w, &o, c, 30);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 30);
    settle(w);
    is_hit(w, &o, 1, "");
    assert_int_equal(o.fetches, 1);
    world_end(w);
}

TEST(a_crowd_costs_one_fetch_and_the_next_one_is_a_hit)
{
    is_fetched_once(0);
    is_fetched_once(BW_ENTRY_INLINE_MAX);
    is_fetched_once(BW_CHUNK_SIZE);
    is_fetched_once(1000000);
}

TEST(more_than_the_memory_goes_to_the_disk_beside_a_stopped_reader)
{
    struct world *w = world_new(2, SMALL, NULL);
    struct origin o = page("cache-control: max-age=60", 10 << 20);
    struct client *slow = ask(w, 0, &o, "");

    slow->stops_at = 50000;
    go(slow);
    allow(w, &o, EVERYTHING);
    is_served(get(w, 1, &o));
    until(w, counted(w, BW_FILL_STORED) == 1);
    until(w, atomic_load(&slow->stopped));
    read_on(slow);
    is_served(slow);
    is_hit(w, &o, 1, "");
    world_end(w);
}

TEST(a_304_renews_what_is_stored)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60", 300000);
    struct client *c[9];

    o.confirms = true;
    allow(w, &o, EVERYTHING);
    is_served(get(w, 0, &o));
    settle(w);
    bw_clock_advance(MINUTE);
    crowd(w, &o, c, 9);
    crowd_is_served(c, 9);
    settle(w);
    is_hit(w, &o, 1, "");
    assert_in_range(o.fetches, 2, 2);
    world_end(w);
}

TEST(variants_and_purges_reach_the_disk)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("vary: x-lang\ncache-control: max-age=60", 100000);

    allow(w, &o, EVERYTHING);
    is_served(go(ask(w, 0, &o, "x-lang: de")));
    is_served(go(ask(w, 1, &o, "x-lang: en")));
    settle(w);
    is_hit(w, &o, 1, "x-lang: de");
    is_hit(w, &o, 2, "x-lang: en");
    purge(w, &o, false);
    is_served(go(ask(w, 0, &o, "x-lang: de")));
    settle(w);
    is_hit(w, &o, 3, "x-lang: de");
    world_end(w);
}

TEST(at_random_nothing_is_lost_mixed_or_leaked)
{
    stress(4, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_crowd_costs_one_fetch_and_the_next_one_is_a_hit),
        RUN(more_than_the_memory_goes_to_the_disk_beside_a_stopped_reader),
        RUN(a_304_renews_what_is_stored),
        RUN(variants_and_purges_reach_the_disk),
        RUN(at_random_nothing_is_lost_mixed_or_leaked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
