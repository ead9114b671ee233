/*
 * test_fill_read.c - readers: bytes while they come, bodies of every size and from the middle, who
 * is woken (docs/fill.md, 3).
 */
#include "cache/fake_store.h"
#include "cache/fill_client.h"

enum { MEMORY = 64 << 20, BODY = 200000 };

static struct origin page(const char *fields)
{
    return (struct origin){.path = "/news", .status = 200, .fields = fields, .length = BODY};
}

/* ---- bytes ---- */

TEST(bytes_reach_the_crowd_while_they_come)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[9];

    allow(w, &o, BYTES(50000));
    crowd(w, &o, c, 9);
    for (unsigned i = 0; i < 9; i++)
        until(w, c[i]->got == 50000);
    allow(w, &o, BYTES(150000));
    for (unsigned i = 0; i < 9; i++)
        until(w, c[i]->got == 150000);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 9);
    assert_int_equal(o.fetches, 1);
    world_end(w);
}

static void shares(uint64_t length, bool hides_length, uint64_t from)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[4];

    o.length = length;
    o.hides_length = hides_length;
    for (unsigned i = 0; i < 4; i++) {
        c[i] = ask(w, i % 2, &o, "");
        c[i]->from = i % 2 * from;
        go(c[i]);
    }
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 4);
    assert_int_equal(o.fetches, 1);
    settle(w);
    c[0] = get(w, 1, &o);
    assert_int_equal(result_of(c[0]), SERVED);
    assert_true(c[0]->hit);
    assert_int_equal(c[0]->got, length);
    is_served(c[0]);
    world_end(w);
}

TEST(bodies_of_every_size_are_shared_and_stored)
{
    const uint64_t sizes[] = {0,
                              1,
                              BW_ENTRY_INLINE_MAX,
                              BW_ENTRY_INLINE_MAX + 1,
                              BW_BLOCK_SIZE,
                              BW_BLOCK_SIZE + 1,
                              BW_CHUNK_SIZE - 1,
                              BW_CHUNK_SIZE,
                              BW_CHUNK_SIZE + 1,
                              3 * BW_CHUNK_SIZE + BW_BLOCK_SIZE};

    for (size_t i = 0; i < BW_ARRAY_LEN(sizes); i++) {
        shares(sizes[i], false, 0);
        shares(sizes[i], true, 0);
    }
}

TEST(readers_that_begin_in_the_middle_get_their_part)
{
    shares(BODY, false, 100000);
    shares(BODY, true, BODY - 1);
}

/* ---- woken ---- */

static void has_run(struct worker *wk, void *arg)
{
    (void)wk;
    (void)arg;
}

/* Bytes come, and the message that says so waits behind us: we look before it is delivered. */
static void looks_unasked(struct worker *wk, void *arg)
{
    struct client *c = arg;

    BW_ASSERT(wk->index != 0);
    atomic_store(&c->origin->allowed, BYTES(1000));
    order(wk->world, 0, kick_all, NULL);
    order(wk->world, 0, has_run, NULL); /* the source has run by then */
    client_stream(c);
}

TEST(a_reader_that_looks_before_it_is_woken_is_not_woken_while_it_sends)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60");
    struct client *c[2] = {get(w, 0, &o), ask(w, 1, &o, "")};

    c[1]->stops_at = 0;
    until(w, all_parked(c, 1));
    go(c[1]);
    allow(w, &o, HEAD_ONLY);
    until(w, c[1]->status == 200 && c[1]->parked);
    order(w, 1, looks_unasked, c[1]);
    assert_true(c[1]->stopped);
    assert_int_equal(c[1]->got, 1000);
    read_on(c[1]); /* after the message */
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 2);
    assert_int_equal(o.fetches, 1);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(bytes_reach_the_crowd_while_they_come),
        RUN(bodies_of_every_size_are_shared_and_stored),
        RUN(readers_that_begin_in_the_middle_get_their_part),
        RUN(a_reader_that_looks_before_it_is_woken_is_not_woken_while_it_sends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
