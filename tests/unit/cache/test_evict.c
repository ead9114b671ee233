/*
 * test_evict.c - the policy against its properties, and against a sorted array that does the same
 * by brute force (eviction.md, 5).
 */
#include "breakwater/cache/evict.h"

#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

enum { PAGE = 4096 };

struct house {
    struct bw_index *ix;
    uint64_t pinned; /* objid, 0: none */
    uint64_t victims[256];
    size_t victims_n;
    uint64_t next_objid;
};

static bool is_pinned(void *ctx, uint64_t objid)
{
    return objid == ((struct house *)ctx)->pinned;
}

static void note_victim(void *ctx, const struct bw_index_victim *v)
{
    struct house *h = ctx;

    if (h->victims_n < BW_ARRAY_LEN(h->victims))
        h->victims[h->victims_n++] = v->objid;
}

static struct house open_house(uint64_t pages, enum bw_protect protect)
{
    struct house h = {.ix = bw_index_new(pages * PAGE, protect), .next_objid = 1};

    bw_rand_seed(&h.ix->evict.rand, 1);
    return h;
}

static struct bw_hash key_of(uint64_t i)
{
    static const struct bw_hash_secret secret = {.bytes = {5}};

    return bw_hash_128(bw_slice((const char *)&i, sizeof(i)), &secret);
}

static bool find(struct house *h, uint64_t i, struct bw_index_hit *hit)
{
    struct bw_hash key = key_of(i);

    return bw_index_find(h->ix, &key, hit);
}

static bool admit(struct house *h, uint64_t i, uint64_t pages, struct bw_index_grant *grant)
{
    struct bw_index_evictor ev = {is_pinned, note_victim, h};
    struct bw_index_ask ask = {.key = key_of(i), .bytes = pages * PAGE, .now_s = 1000};

    return bw_index_admit(h->ix, &ask, &ev, grant);
}

static void publish(struct house *h, uint64_t i, uint64_t pages, uint32_t expiry_s,
                    struct bw_index_grant *grant)
{
    struct bw_index_victim old;
    struct bw_index_item item = {
        .key = key_of(i), .objid = h->next_objid++, .bytes = pages * PAGE, .expiry_s = expiry_s};

    bw_index_publish(h->ix, &item, grant, &old);
}

static bool store(struct house *h, uint64_t i, uint64_t pages)
{
    struct bw_index_grant grant;

    if (!admit(h, i, pages, &grant))
        return false;
    publish(h, i, pages, UINT32_MAX, &grant);
    return true;
}

/* As a request: a hit, or an attempt to store. */
static bool ask_for(struct house *h, uint64_t i, uint64_t pages)
{
    struct bw_index_hit hit;

    if (!find(h, i, &hit))
        return store(h, i, pages);
    bw_index_touch(h->ix, &hit);
    return true;
}

/* Heap order, every living entry in it once, sums, bounds. */
static void assert_sound(const struct bw_index *ix)
{
    const struct bw_evict *ev = &ix->evict;
    uint8_t *seen = calloc(ix->high + 1, 1);
    uint64_t pages = 0, living = 0;

    assert_non_null(seen);
    for (uint32_t i = 0; i < ev->n; i++) {
        const struct bw_index_entry *e = &ix->entries[ev->heap[i].entry];
        assert_true(i == 0 || ev->heap[(i - 1) / 2].rank <= ev->heap[i].rank);
        assert_int_equal(seen[ev->heap[i].entry]++, 0);
        if (bw_index_flags(e->ident) & BW_INDEX_DEAD)
            continue;
        pages += e->pages;
        living++;
    }
    assert_int_equal(pages * ix->granule, bw_index_used(ix));
    assert_int_equal(living, bw_index_count(ix));
    assert_int_equal(living + ev->dead, ev->n);
    assert_true(ix->used + ix->reserved + ix->held <= ix->budget);
    for (unsigned c = 0; c < BW_EVICT_CLASSES; c++)
        assert_true(ev->weight[c] <= 4096);
    free(seen);
}

TEST(the_heap_and_the_sums_stay_sound)
{
    struct house h = open_house(500, BW_PROTECT_REQUESTS);
    struct bw_rand rand;

    bw_rand_seed(&rand, 3);
    for (int step = 0; step < 30000; step++) {
        uint64_t i = bw_rand_below(&rand, 400);
        struct bw_hash key = key_of(i);
        struct bw_index_hit hit;
        ask_for(&h, i * i / 400, 1 + i % 20);
        if (step % 7 == 0 && bw_index_find(h.ix, &key, &hit))
            bw_index_remove(h.ix, &key, hit.objid);
        if (step % 5000 == 2500)
            bw_index_set_protect(h.ix, (enum bw_protect)(step / 5000 % 3));
        if (step % 100 == 0)
            assert_sound(h.ix);
    }
    assert_true(h.ix->evict.evictions > 100);
    bw_index_free(h.ix);
}

/* ---- the sorted array ---- */

enum { MODEL_MAX = 64 };

struct model_entry {
    uint64_t key, rank;
    uint32_t pages, hits, f, span;
    bool returned;
};

struct model {
    struct model_entry v[MODEL_MAX];
    size_t n;
    uint64_t level, budget;
};

/* Before anything is learned all weights are 1. */
static uint32_t model_span(uint32_t f)
{
    return f == 1 ? 4 : f * 16;
}

static uint64_t model_unit(uint32_t pages)
{
    return (UINT64_C(1) << 34) / ((uint64_t)pages * PAGE) + 1;
}

static size_t model_lowest(const struct model *m)
{
    size_t at = 0;

    for (size_t i = 1; i < m->n; i++)
        if (m->v[i].rank < m->v[at].rank)
            at = i;
    return at;
}

static uint64_t model_used(const struct model *m)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < m->n; i++)
        sum += m->v[i].pages;
    return sum;
}

/* A first-timer that is stored or refused; who is evicted is gone from the array. */
static bool model_store(struct model *m, uint64_t key, uint32_t pages)
{
    uint64_t mine = m->level + model_span(1) * model_unit(pages);
    struct model before = *m;

    while (model_used(m) + pages > m->budget) {
        struct model_entry *e = &m->v[model_lowest(m)];
        if (e->rank > mine) {
            /* what was only visited keeps what the visits did; what was taken out is back */
            for (size_t i = 0; i < before.n; i++) {
                size_t k = 0;
                while (k < m->n && m->v[k].key != before.v[i].key)
                    k++;
                if (k == m->n)
                    m->v[m->n++] = before.v[i];
            }
            m->level = mine;
            return false;
        }
        if (e->rank > m->level)
            m->level = e->rank;
        if (e->hits > 0) {
            e->f += e->hits;
            e->hits = 0;
            e->span = model_span(e->f);
            e->rank = m->level + e->span * model_unit(e->pages);
        } else {
            *e = m->v[--m->n];
        }
    }
    m->v[m->n++] = (struct model_entry){.key = key,
                                        .rank = m->level + model_span(1) * model_unit(pages),
                                        .pages = pages,
                                        .f = 1,
                                        .span = model_span(1)};
    return true;
}

static struct model_entry *model_find(struct model *m, uint64_t key)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].key == key)
            return &m->v[i];
    return NULL;
}

/* Every key is new, so no ghost is asked; sizes are all different, so no two ranks are equal. */
TEST(the_same_are_evicted_as_by_a_sorted_array)
{
    struct house h = open_house(2000, BW_PROTECT_REQUESTS);
    struct model m = {.budget = 2000};
    struct bw_rand rand;
    struct bw_index_hit hit;

    bw_rand_seed(&rand, 9);
    for (uint64_t key = 1; key <= 1500; key++) {
        uint32_t pages = (uint32_t)(50 + key * 37 % 151);
        assert_int_equal(store(&h, key, pages), model_store(&m, key, pages));
        for (int i = 0; i < 2; i++) {
            uint64_t again = key - bw_rand_below(&rand, key < 40 ? key : 40);
            struct model_entry *e = model_find(&m, again);
            assert_int_equal(e != NULL, find(&h, again, &hit));
            if (e == NULL)
                continue;
            bw_index_touch(h.ix, &hit);
            e->hits++;
        }
        assert_int_equal(bw_index_count(h.ix), m.n);
        assert_int_equal(h.ix->evict.level, m.level);
        if (h.ix->evict.folds + 64 > 2048)
            break; /* from here on the weights are learned */
    }
    assert_true(h.ix->evict.evictions > 200);
    bw_index_free(h.ix);
}

/* ---- what an operator would expect ---- */

TEST(an_entry_with_hits_is_not_evicted_at_that_visit)
{
    struct house h = open_house(10, BW_PROTECT_REQUESTS);
    struct bw_index_hit hit;

    for (uint64_t i = 0; i < 10; i++)
        store(&h, i, 1);
    for (uint64_t i = 0; i < 10; i += 2) {
        assert_true(find(&h, i, &hit));
        bw_index_touch(h.ix, &hit);
    }
    for (uint64_t i = 100; i < 105; i++)
        assert_true(store(&h, i, 1));
    for (uint64_t i = 0; i < 10; i += 2)
        assert_true(find(&h, i, &hit));
    bw_index_free(h.ix);
}

TEST(a_large_object_displaces_the_popular_only_when_it_is_asked_for_again)
{
    struct house h = open_house(1000, BW_PROTECT_REQUESTS);
    uint64_t asked = 0, there = 0;
    struct bw_index_hit hit;

    for (uint64_t i = 0; i < 1000; i++)
        store(&h, i, 1);
    assert_false(ask_for(&h, 7000, 500));
    assert_int_equal(h.ix->evict.evictions, 0);
    for (uint64_t i = 0; i < 1000; i++)
        there += find(&h, i, &hit);
    assert_int_equal(there, 1000);
    while (!ask_for(&h, 7000, 500) && asked < 20000)
        asked++;
    assert_true(asked < 20000);
    bw_index_free(h.ix);
}

TEST(more_than_the_budget_is_never_admitted)
{
    struct house h = open_house(100, BW_PROTECT_BYTES);
    struct bw_index_grant grant;

    assert_false(admit(&h, 1, 101, &grant));
    assert_true(admit(&h, 1, 100, &grant));
    bw_index_release(h.ix, &grant);
    assert_sound(h.ix);
    bw_index_free(h.ix);
}

TEST(a_grant_keeps_its_room_until_it_is_used_or_released)
{
    struct house h = open_house(100, BW_PROTECT_BYTES);
    struct bw_index_evictor ev = {is_pinned, note_victim, &h};
    struct bw_index_ask ask = {.key = key_of(1), .bytes = 60 * PAGE, .now_s = 1};
    struct bw_index_grant grant, other;

    assert_true(bw_index_admit(h.ix, &ask, &ev, &grant));
    assert_false(admit(&h, 2, 50, &other));
    ask.bytes = 90 * PAGE;
    assert_true(bw_index_extend(h.ix, &ask, &ev, &grant));
    ask.bytes = 101 * PAGE;
    assert_false(bw_index_extend(h.ix, &ask, &ev, &grant));
    assert_int_equal(grant.pages, 90);
    bw_index_release(h.ix, &grant);
    assert_true(admit(&h, 3, 100, &other));
    publish(&h, 3, 100, UINT32_MAX, &other);
    assert_sound(h.ix);
    bw_index_free(h.ix);
}

TEST(what_is_pinned_stays)
{
    struct house h = open_house(10, BW_PROTECT_REQUESTS);
    struct bw_index_hit hit;

    for (uint64_t i = 0; i < 10; i++)
        store(&h, i, 1);
    assert_true(find(&h, 3, &hit));
    h.pinned = hit.objid;
    for (uint64_t i = 100; i < 200; i++)
        store(&h, i, 1);
    assert_true(h.ix->evict.evictions > 50);
    assert_true(find(&h, 3, &hit));
    h.pinned = 0;
    for (uint64_t i = 200; i < 300; i++)
        store(&h, i, 1);
    assert_false(find(&h, 3, &hit));
    bw_index_free(h.ix);
}

/* Everything is pinned: a newcomer is refused, and nobody runs in a circle. */
static bool always_pinned(void *ctx, uint64_t objid)
{
    (void)ctx;
    (void)objid;
    return true;
}

TEST(where_everything_is_being_sent_nothing_is_stored)
{
    struct house h = open_house(10, BW_PROTECT_REQUESTS);
    struct bw_index_evictor ev = {always_pinned, note_victim, &h};
    struct bw_index_ask ask = {.key = key_of(99), .bytes = PAGE, .now_s = 1, .force = true};
    struct bw_index_grant grant;

    for (uint64_t i = 0; i < 10; i++)
        store(&h, i, 1);
    assert_false(bw_index_admit(h.ix, &ask, &ev, &grant));
    assert_int_equal(bw_index_count(h.ix), 10);
    assert_sound(h.ix);
    bw_index_free(h.ix);
}

TEST(the_expired_go_first_unless_somebody_asked)
{
    struct house h = open_house(10, BW_PROTECT_REQUESTS);
    struct bw_index_grant grant;
    struct bw_index_hit hit;

    for (uint64_t i = 0; i < 10; i++) {
        assert_true(admit(&h, i, 1, &grant));
        publish(&h, i, 1, i < 2 ? 500 : UINT32_MAX, &grant);
    }
    assert_true(find(&h, 0, &hit));
    bw_index_touch(h.ix, &hit);
    for (uint64_t i = 2; i < 10; i++) {
        assert_true(find(&h, i, &hit));
        bw_index_touch(h.ix, &hit);
    }
    assert_true(store(&h, 50, 1));
    assert_false(find(&h, 1, &hit));
    assert_true(find(&h, 0, &hit)); /* it may serve when the origin fails */
    bw_index_free(h.ix);
}

TEST(a_refresh_is_always_admitted_and_keeps_its_frequency)
{
    struct house h = open_house(10, BW_PROTECT_REQUESTS);
    struct bw_index_hit hit;

    for (uint64_t i = 0; i < 10; i++) {
        store(&h, i, 1);
        for (int k = 0; k < 20; k++)
            ask_for(&h, i, 1);
    }
    assert_true(find(&h, 5, &hit));
    assert_true(store(&h, 5, 2));
    assert_true(find(&h, 5, &hit));
    assert_true(h.ix->entries[hit.entry].f + *bw_index_hits(&h.ix->entries[hit.entry]) >= 20);
    struct bw_index_evictor ev = {is_pinned, note_victim, &h};
    bw_index_shrink(h.ix, 1, &ev);
    assert_sound(h.ix);
    bw_index_free(h.ix);
}

TEST(an_object_that_comes_back_is_remembered)
{
    struct house h = open_house(10, BW_PROTECT_REQUESTS);
    struct bw_index_grant grant;
    struct bw_index_hit hit;

    store(&h, 1, 1);
    for (int i = 0; i < 40; i++)
        ask_for(&h, 1, 1);
    for (uint64_t i = 100; find(&h, 1, &hit) && i < 10000; i++)
        store(&h, i, 1);
    assert_false(find(&h, 1, &hit));
    assert_true(admit(&h, 1, 1, &grant));
    assert_true(grant.returned);
    assert_true(grant.f > 30);
    publish(&h, 1, 1, UINT32_MAX, &grant);
    bw_index_free(h.ix);
}

TEST(a_limit_on_entries_binds_like_the_budget)
{
    struct house h = open_house(1000, BW_PROTECT_REQUESTS);

    bw_index_limit(h.ix, 20);
    for (uint64_t i = 0; i < 100; i++)
        store(&h, i, 1);
    assert_int_equal(bw_index_count(h.ix), 20);
    assert_sound(h.ix);
    bw_index_free(h.ix);
}

TEST(what_the_disk_holds_beside_the_index_counts)
{
    struct house h = open_house(100, BW_PROTECT_REQUESTS);
    struct bw_index_evictor ev = {is_pinned, note_victim, &h};

    for (uint64_t i = 0; i < 100; i++)
        store(&h, i, 1);
    bw_index_hold(h.ix, 30 * PAGE);
    bw_index_shrink(h.ix, 1, &ev);
    assert_int_equal(bw_index_count(h.ix), 70);
    assert_int_equal(h.victims_n, 30);
    assert_sound(h.ix);
    bw_index_free(h.ix);
}

static void walk_frequency(void *ctx, uint64_t prefix, uint8_t frequency_log2)
{
    (void)prefix;
    ((uint64_t *)ctx)[frequency_log2]++;
}

TEST(frequencies_survive_a_restart_in_four_bits)
{
    struct house h = open_house(1000, BW_PROTECT_REQUESTS);
    uint64_t count[64] = {0};
    struct bw_index_hit hit;

    for (uint8_t k = 0; k < 16; k++) {
        struct bw_index_item item = {
            .key = key_of(k), .objid = k + 1U, .bytes = PAGE, .frequency_log2 = k};
        assert_true(bw_index_load(h.ix, &item));
        assert_false(bw_index_load(h.ix, &item));
        assert_true(find(&h, k, &hit));
        assert_int_equal(h.ix->entries[hit.entry].f, k == 0 ? 1 : 3 << (k - 1));
    }
    bw_index_walk(h.ix, walk_frequency, count);
    for (int k = 0; k < 16; k++)
        assert_int_equal(count[k], 1);
    assert_sound(h.ix);
    bw_index_free(h.ix);
}

TEST(fetch_times_are_kept_to_a_sixteenth_of_an_octave)
{
    for (uint32_t ms = 0; ms < 1 << 20; ms += 1 + ms / 50) {
        uint16_t code = bw_evict_fetch_code(ms);
        uint32_t back = bw_evict_fetch_ms(code);
        assert_true(back <= ms && ms - back <= 1 + ms / 20);
        assert_int_equal(bw_evict_fetch_code(back), code);
    }
    assert_int_equal(bw_evict_fetch_code(UINT32_MAX), bw_evict_fetch_code(1 << 20));
}

TEST(slow_origins_are_protected_where_time_is_the_goal)
{
    struct house h = open_house(10, BW_PROTECT_ORIGIN_TIME);
    struct bw_index_evictor ev = {is_pinned, note_victim, &h};
    struct bw_index_hit hit;

    for (uint64_t i = 0; i < 20; i++) {
        struct bw_index_ask ask = {
            .key = key_of(i), .bytes = PAGE, .fetch_ms = i < 10 ? 5000 : 10, .now_s = 1};
        struct bw_index_item item = {.key = ask.key,
                                     .objid = i + 1,
                                     .bytes = PAGE,
                                     .fetch_ms = ask.fetch_ms,
                                     .expiry_s = UINT32_MAX};
        struct bw_index_grant grant;
        struct bw_index_victim old;
        if (bw_index_admit(h.ix, &ask, &ev, &grant))
            bw_index_publish(h.ix, &item, &grant, &old);
    }
    for (uint64_t i = 0; i < 10; i++)
        assert_true(find(&h, i, &hit));
    bw_index_free(h.ix);
}

/* ---- hits from all sides while there is eviction ---- */

enum { HITTERS = 16 };

struct storm {
    struct house *h;
    atomic_bool stop;
};

static void *hit_all_the_time(void *arg)
{
    struct storm *s = arg;
    struct bw_index_hit hit;

    for (uint64_t i = 0; !atomic_load_explicit(&s->stop, memory_order_relaxed); i++)
        if (find(s->h, i * i % 1000, &hit))
            bw_index_touch(s->h->ix, &hit);
    return NULL;
}

TEST(hits_may_come_from_any_thread_during_eviction)
{
    struct house h = open_house(300, BW_PROTECT_REQUESTS);
    struct storm s = {.h = &h};
    pthread_t threads[HITTERS];

    for (int i = 0; i < HITTERS; i++)
        pthread_create(&threads[i], NULL, hit_all_the_time, &s);
    for (uint64_t i = 0; i < 20000; i++) {
        store(&h, i * 7 % 1000, 1 + i % 3);
        h.victims_n = 0;
    }
    atomic_store(&s.stop, true);
    for (int i = 0; i < HITTERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(h.ix->evict.evictions > 100);
    struct bw_index_evictor ev = {is_pinned, note_victim, &h};
    bw_index_shrink(h.ix, 1, &ev);
    assert_sound(h.ix);
    bw_index_free(h.ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_heap_and_the_sums_stay_sound),
        RUN(the_same_are_evicted_as_by_a_sorted_array),
        RUN(an_entry_with_hits_is_not_evicted_at_that_visit),
        RUN(a_large_object_displaces_the_popular_only_when_it_is_asked_for_again),
        RUN(more_than_the_budget_is_never_admitted),
        RUN(a_grant_keeps_its_room_until_it_is_used_or_released),
        RUN(what_is_pinned_stays),
        RUN(where_everything_is_being_sent_nothing_is_stored),
        RUN(the_expired_go_first_unless_somebody_asked),
        RUN(a_refresh_is_always_admitted_and_keeps_its_frequency),
        RUN(an_object_that_comes_back_is_remembered),
        RUN(a_limit_on_entries_binds_like_the_budget),
        RUN(what_the_disk_holds_beside_the_index_counts),
        RUN(frequencies_survive_a_restart_in_four_bits),
        RUN(fetch_times_are_kept_to_a_sixteenth_of_an_octave),
        RUN(slow_origins_are_protected_where_time_is_the_goal),
        RUN(hits_may_come_from_any_thread_during_eviction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
