/*
 * test_fill_stored.c - a fetch for what is stored already: 304, refresh, errors, purges
 * (docs/fill.md, rules 12, 16, 18, 28, 31 and 33).
 */
#include "cache/fake_store.h"
#include "cache/fill_client.h"

enum { MEMORY = 64 << 20, MINUTE = 61000, CROWD = 12 };

static struct origin page(const char *fields, uint64_t length)
{
    return (struct origin){
        .path = "/news", .status = 200, .fields = fields, .length = length, .allowed = EVERYTHING};
}

/* Stores a page of version 1, which is stale then. */
static void stored_and_stale(struct world *w, struct origin *o)
{
    is_served(get(w, 0, o));
    settle(w);
    assert_int_equal(counted(w, BW_FILL_STORED), 1);
    bw_clock_advance(MINUTE);
}

static void is_hit(struct world *w, struct origin *o, uint64_t version)
{
    struct client *c = get(w, 1, o);

    assert_int_equal(result_of(c), SERVED);
    assert_true(c->hit);
    assert_int_equal(c->version, version);
    is_served(c);
}

/* ---- 304 ---- */

static void confirmed(uint64_t length, bool evicted)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60", length);
    struct client *c[12];

    stored_and_stale(w, &o);
    o.confirms = true;
    atomic_store(&o.allowed, NOTHING);
    crowd(w, &o, c, 12);
    until(w, all_parked(c, 12));
    if (evicted)
        bw_writer_drop(w->store, &c[0]->key.hash, c[0]->found.entry.objid);
    bw_gate_hold("writer.commit");
    allow(w, &o, EVERYTHING);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(result_of(c[i]), SERVED);
        assert_true(c[i]->revalidated);
        assert_int_equal(c[i]->version, 1);
        assert_int_equal(c[i]->got, length);
    }
    crowd_is_served(c, 12);
    bw_gate_release("writer.commit");
    settle(w);
    assert_int_equal(o.fetches, 2);
    if (!evicted)
        is_hit(w, &o, 1);
    assert_int_equal(counted(w, BW_FILL_STORED), evicted ? 1 : 2);
    world_end(w);
}

TEST(a_304_serves_the_stored_body_to_all_and_renews_it)
{
    confirmed(0, false);
    confirmed(1000, false);
    confirmed(300000, false);
}

TEST(a_304_for_what_is_evicted_meanwhile_serves_all_the_same)
{
    confirmed(1000, true);
    confirmed(300000, true);
}

TEST(a_new_version_takes_the_place_of_the_stale_one)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60", 300000);
    struct client *c[4];

    stored_and_stale(w, &o);
    crowd(w, &o, c, 4);
    crowd_is_served(c, 4);
    settle(w);
    is_hit(w, &o, 2);
    assert_int_equal(o.fetches, 2);
    world_end(w);
}

/* ---- errors ---- */

TEST(an_error_spares_the_stale_copy_even_with_freshness_of_its_own)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60, stale-if-error=600", 5000);
    struct client *c[4];

    stored_and_stale(w, &o);
    o.status = 503;
    o.fields = "cache-control: max-age=60";
    atomic_store(&o.allowed, NOTHING);
    crowd(w, &o, c, 4);
    allow(w, &o, EVERYTHING);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(result_of(c[i]), STALE_SERVED);
        assert_int_equal(c[i]->version, 1);
        ends(c[i], STALE_SERVED);
    }
    settle(w);
    assert_int_equal(counted(w, BW_FILL_STORED), 1);
    world_end(w);
}

/* ---- refresh ---- */

#define REFRESHED "cache-control: max-age=60, stale-while-revalidate=600"

TEST(a_stale_page_is_served_and_refreshed_behind_by_one_fetch)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page(REFRESHED, 300000);

    stored_and_stale(w, &o);
    atomic_store(&o.allowed, NOTHING);
    for (unsigned i = 0; i < 6; i++)
        is_hit(w, &o, 1);
    assert_int_equal(o.fetches, 2);
    allow(w, &o, EVERYTHING);
    settle(w);
    is_hit(w, &o, 2);
    assert_int_equal(counted(w, BW_FILL_REFRESH), 1);
    world_end(w);
}

TEST(a_refresh_that_fails_is_not_tried_again_at_once_and_harms_nothing)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page(REFRESHED, 300000);

    stored_and_stale(w, &o);
    o.status = 503;
    o.fields = "cache-control: max-age=60";
    is_hit(w, &o, 1);
    settle(w);
    is_hit(w, &o, 1);
    is_hit(w, &o, 1);
    settle(w);
    assert_int_equal(o.fetches, 2);
    bw_clock_advance(6000);
    o.status = 200;
    o.fields = REFRESHED;
    is_hit(w, &o, 1);
    settle(w);
    is_hit(w, &o, 3);
    world_end(w);
}

TEST(a_refresh_that_may_not_be_stored_takes_the_old_page_out)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page(REFRESHED, 300000);
    struct client *c;

    stored_and_stale(w, &o);
    o.fields = "cache-control: private";
    is_hit(w, &o, 1);
    settle(w);
    c = get(w, 0, &o);
    assert_int_equal(result_of(c), SERVED);
    assert_false(c->hit);
    is_served(c);
    world_end(w);
}

/* ---- purge ---- */

/* The fetch is held there while the purge is answered; who comes then gets a younger one. */
static void purged_at(const char *gate, bool soft)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60", 100000);
    struct client *before, *after;

    atomic_store(&o.allowed, gate == NULL ? BYTES(50000) : EVERYTHING);
    if (gate != NULL)
        bw_gate_hold(gate);
    before = get(w, 0, &o);
    if (gate != NULL)
        until(w, bw_gate_waiting(gate) >= 1);
    else
        until(w, before->got == 50000);
    purge(w, &o, soft);
    after = get(w, 1, &o);
    if (gate != NULL)
        bw_gate_release(gate);
    allow(w, &o, EVERYTHING);
    assert_int_equal(result_of(before), SERVED);
    assert_int_equal(result_of(after), SERVED);
    assert_int_equal(before->version, 1);
    assert_int_equal(after->version, 2);
    is_served(before);
    is_served(after);
    settle(w);
    is_hit(w, &o, 2);
    assert_int_equal(o.fetches, 2);
    world_end(w);
}

TEST(nobody_who_comes_after_a_purge_gets_anything_from_before)
{
    const char *const gates[] = {NULL, "owner.note", "owner.publish", "writer.commit",
                                 "writer.publish"};

    for (size_t i = 0; i < BW_ARRAY_LEN(gates); i++)
        purged_at(gates[i], false);
    purged_at(NULL, true);
}

TEST(a_purge_before_the_head_lets_those_be_served_who_had_joined)
{
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60", 100000);
    struct client *before[6], *after[6];

    atomic_store(&o.allowed, NOTHING);
    crowd(w, &o, before, 6);
    purge(w, &o, false);
    crowd(w, &o, after, 6);
    allow(w, &o, EVERYTHING);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(result_of(before[i]), SERVED);
        assert_int_equal(result_of(after[i]), SERVED);
        assert_int_equal(before[i]->version, 1);
        assert_int_equal(after[i]->version, 2);
    }
    crowd_is_served(before, 6);
    crowd_is_served(after, 6);
    settle(w);
    is_hit(w, &o, 2);
    assert_int_equal(counted(w, BW_FILL_PURGED), 1);
    world_end(w);
}

struct purger {
    struct world *w;
    struct origin *o;
};

static void *purge_beside(void *arg)
{
    struct purger *p = arg;

    purge(p->w, p->o, false);
    return NULL;
}

TEST(a_purge_leaves_alone_what_was_begun_after_it)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60", 100000);
    struct purger p = {w, &o};
    struct client *c[4];
    pthread_t thread;

    atomic_store(&o.allowed, NOTHING);
    bw_gate_hold("purge.walk");
    pthread_create(&thread, NULL, purge_beside, &p);
    until(w, bw_gate_waiting("purge.walk") >= 1);
    c[0] = get(w, 0, &o);
    bw_gate_release("purge.walk");
    pthread_join(thread, NULL);
    for (unsigned i = 1; i < 4; i++)
        c[i] = get(w, i % 2, &o);
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, 4);
    settle(w);
    assert_int_equal(o.fetches, 1);
    assert_int_equal(counted(w, BW_FILL_STORED), 1);
    world_end(w);
}

TEST(variants_from_before_a_purge_do_not_come_back)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("vary: x-lang\ncache-control: max-age=60", 100000);
    struct client *c;

    is_served(go(ask(w, 0, &o, "x-lang: de")));
    is_served(go(ask(w, 1, &o, "x-lang: en")));
    settle(w);
    purge(w, &o, false);
    for (unsigned i = 0; i < 2; i++) {
        c = go(ask(w, i, &o, i == 0 ? "x-lang: de" : "x-lang: en"));
        assert_int_equal(result_of(c), SERVED);
        assert_int_equal(c->version, 3 + i);
        is_served(c);
    }
    settle(w);
    assert_int_equal(o.fetches, 4);
    world_end(w);
}

/* ---- languages ---- */

TEST(a_variant_that_says_its_language_is_found_by_it)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("vary: accept-language, x-a\ncontent-language: de\n"
                           "cache-control: max-age=60",
                           100000);
    struct client *c;

    is_served(go(ask(w, 0, &o, "accept-language: en, de")));
    settle(w);
    c = go(ask(w, 1, &o, "accept-language: fr;q=0.5, de"));
    assert_int_equal(result_of(c), SERVED);
    assert_true(c->hit);
    is_served(c);
    is_served(go(ask(w, 1, &o, "accept-language: fr;q=0.5, de\nx-a: 1")));
    settle(w);
    assert_int_equal(o.fetches, 2);
    purge(w, &o, false);
    is_served(go(ask(w, 1, &o, "accept-language: fr;q=0.5, de")));
    assert_int_equal(o.fetches, 3);
    settle(w);
    world_end(w);
}

TEST(a_crowd_that_wants_one_language_costs_one_fetch)
{
    static const char *const ways[] = {"accept-language: de", "accept-language: fr;q=0.5, de",
                                       "accept-language: de, en;q=0.9, *;q=0.1"};
    struct world *w = world_new(3, MEMORY, NULL);
    struct origin o =
        page("vary: accept-language\ncontent-language: de\ncache-control: max-age=60", 5000);
    struct client *c[CROWD];

    atomic_store(&o.allowed, NOTHING);
    c[0] = go(ask(w, 0, &o, "accept-language: en, de"));
    for (unsigned i = 1; i < CROWD / 2; i++)
        c[i] = go(ask(w, i % 3, &o, ways[i % 3]));
    until(w, all_parked(c, CROWD / 2));
    bw_gate_hold("writer.commit");
    allow(w, &o, BYTES(10));
    until(w, atomic_load(&c[0]->got) == 10);
    for (unsigned i = CROWD / 2; i < CROWD; i++)
        c[i] = go(ask(w, i % 3, &o, ways[i % 3]));
    allow(w, &o, EVERYTHING);
    crowd_is_served(c, CROWD);
    assert_int_equal(o.fetches, 1);
    is_served(go(ask(w, 1, &o, "accept-language: en"))); /* another language is another matter */
    assert_int_equal(o.fetches, 2);
    bw_gate_release("writer.commit");
    settle(w);
    world_end(w);
}

/* ---- a response that is here already ---- */

struct deposit {
    struct client *c; /* of the same URL */
    const char *fields;
    uint64_t version;
    uint64_t seen;
    size_t length;
};

static void put_there(struct worker *wk, void *arg)
{
    struct deposit *d = arg;
    struct client *c = d->c;
    struct bw_policy_request post = {BW_S("POST"), &c->fields.list, &plain_settings};
    struct bw_join j = {.worker = wk->index, .key = &c->key, .policy = &post, .made = true};
    struct bw_fill_response r = {.status = 200,
                                 .length = d->length,
                                 .asked_ms = bw_clock_ms(),
                                 .answered_ms = bw_clock_ms()};
    struct test_fields f;
    char *bytes = bw_alloc(d->length + 1), text[128];

    snprintf(text, sizeof(text), "etag: \"%llu\"\n%s", (unsigned long long)d->version, d->fields);
    for (size_t i = 0; i < d->length; i++)
        bytes[i] = byte_of(d->version, i);
    r.fields = fields(&f, text);
    j.seen = d->seen;
    bw_fill_deposit(wk->world->fills, &j, &r, bw_slice(bytes, d->length));
    free(bytes);
}

#define KEPT "content-location: /news\ncache-control: max-age=60"

/* Is it found afterwards?  `before` is done between the head of the response and its end. */
static void deposits(size_t length, const char *text,
                     void (*before)(struct world *, struct origin *), bool found)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: private", 5000);
    struct deposit d = {.fields = text, .version = 99, .length = length};
    struct client *late;

    d.c = ask(w, 0, &o, "");
    d.c->is_head = true; /* does not lead: it has a key, and that is all */
    go(d.c);
    d.seen = bw_store_purge_seq(w->store);
    if (before != NULL)
        before(w, &o);
    order(w, 0, put_there, &d);
    settle(w);
    late = get(w, 1, &o);
    assert_int_equal(result_of(late), SERVED);
    assert_int_equal(atomic_load(&late->hit), found);
    if (found)
        assert_int_equal(late->version, 99);
    is_served(late);
    settle(w);
    client_free(d.c);
    world_end(w);
}

static void purge_it(struct world *w, struct origin *o)
{
    purge(w, o, false);
}

TEST(a_response_to_post_may_be_put_there_for_get)
{
    deposits(0, KEPT, NULL, true);
    deposits(1000, KEPT, NULL, true);
    deposits(65536, KEPT, NULL, true);
    deposits(1000, "cache-control: max-age=60", NULL,
             false); /* it does not say that it is a page */
    deposits(1000, "content-location: /news", NULL, false);
}

TEST(what_was_purged_after_its_head_is_not_put_there)
{
    deposits(1000, KEPT, purge_it, false);
}

TEST(what_was_fetched_meanwhile_stays_there)
{
    struct world *w = world_new(2, MEMORY, NULL);
    struct origin o = page("cache-control: max-age=60", 5000);
    struct deposit d = {.fields = KEPT, .version = 99, .length = 10};
    struct client *late;

    d.c = ask(w, 0, &o, "");
    d.c->is_head = true;
    go(d.c);
    d.seen = bw_store_purge_seq(w->store);
    is_served(get(w, 1, &o));
    settle(w);
    order(w, 0, put_there, &d);
    late = get(w, 1, &o);
    assert_int_equal(result_of(late), SERVED);
    assert_true(late->hit);
    assert_int_not_equal(late->version, 99);
    is_served(late);
    settle(w);
    client_free(d.c);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_304_serves_the_stored_body_to_all_and_renews_it),
        RUN(a_304_for_what_is_evicted_meanwhile_serves_all_the_same),
        RUN(a_new_version_takes_the_place_of_the_stale_one),
        RUN(an_error_spares_the_stale_copy_even_with_freshness_of_its_own),
        RUN(a_stale_page_is_served_and_refreshed_behind_by_one_fetch),
        RUN(a_refresh_that_fails_is_not_tried_again_at_once_and_harms_nothing),
        RUN(a_refresh_that_may_not_be_stored_takes_the_old_page_out),
        RUN(nobody_who_comes_after_a_purge_gets_anything_from_before),
        RUN(a_purge_before_the_head_lets_those_be_served_who_had_joined),
        RUN(a_purge_leaves_alone_what_was_begun_after_it),
        RUN(variants_from_before_a_purge_do_not_come_back),
        RUN(a_variant_that_says_its_language_is_found_by_it),
        RUN(a_crowd_that_wants_one_language_costs_one_fetch),
        RUN(a_response_to_post_may_be_put_there_for_get),
        RUN(what_was_purged_after_its_head_is_not_put_there),
        RUN(what_was_fetched_meanwhile_stays_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
