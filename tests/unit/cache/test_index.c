#include "breakwater/cache/evict.h"

#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { PAGE = 4096 };

static bool unpinned(void *ctx, uint64_t objid)
{
    (void)ctx;
    (void)objid;
    return false;
}

static void forget(void *ctx, const struct bw_index_victim *v)
{
    (void)ctx;
    (void)v;
}

static const struct bw_index_evictor nobody = {unpinned, forget, NULL};

static struct bw_hash key_of(uint64_t i)
{
    static const struct bw_hash_secret secret = {.bytes = {3}};

    return bw_hash_128(bw_slice((const char *)&i, sizeof(i)), &secret);
}

static struct bw_index *new_index(uint64_t pages)
{
    return bw_index_new(pages * PAGE, BW_PROTECT_REQUESTS);
}

/* 0: refused, else the objid that was replaced, or UINT64_MAX for none. */
static uint64_t store(struct bw_index *ix, uint64_t i, uint64_t objid, uint64_t pages)
{
    struct bw_index_ask ask = {.key = key_of(i), .bytes = pages * PAGE};
    struct bw_index_item item = {
        .key = ask.key, .objid = objid, .bytes = pages * PAGE, .expiry_s = UINT32_MAX};
    struct bw_index_grant grant;
    struct bw_index_victim old;

    if (!bw_index_admit(ix, &ask, &nobody, &grant))
        return 0;
    bw_index_publish(ix, &item, &grant, &old);
    return old.objid != 0 ? old.objid : UINT64_MAX;
}

static bool find(const struct bw_index *ix, uint64_t i, struct bw_index_hit *hit)
{
    struct bw_hash key = key_of(i);

    return bw_index_find(ix, &key, hit);
}

TEST(what_was_published_is_found_and_nothing_else)
{
    struct bw_index *ix = new_index(100000);
    struct bw_index_hit hit;

    for (uint64_t i = 0; i < 50000; i++)
        assert_int_equal(store(ix, i, i + 1, 1), UINT64_MAX);
    assert_int_equal(bw_index_count(ix), 50000);
    assert_int_equal(bw_index_used(ix), UINT64_C(50000) * PAGE);
    for (uint64_t i = 0; i < 50000; i++) {
        assert_true(find(ix, i, &hit));
        assert_int_equal(hit.objid, i + 1);
        assert_true(hit.verified);
        assert_false(find(ix, i + 50000, &hit));
    }
    bw_index_free(ix);
}

TEST(an_object_costs_at_most_68_bytes_of_memory)
{
    struct bw_index *ix = new_index(200000);

    for (uint64_t i = 0; i < 70000; i++) {
        store(ix, i, i + 1, 1);
        if (i > 1000)
            assert_true(bw_index_memory(ix) <= 68 * (i + 1) + 64);
    }
    bw_index_free(ix);
}

TEST(who_pays_for_more_entries_can_have_them_however_many_there_are)
{
    struct bw_index *ix = new_index(300000);

    for (uint64_t i = 0; i < 200000; i++) {
        if (i % 1000 == 0)
            bw_index_limit(ix, bw_index_charge(ix, 1000) / BW_INDEX_ENTRY);
        assert_int_equal(store(ix, i, i + 1, 1), UINT64_MAX);
    }
    assert_int_equal(bw_index_count(ix), 200000);
    bw_index_free(ix);
}

TEST(a_second_object_of_a_key_replaces_the_first)
{
    struct bw_index *ix = new_index(1000);
    struct bw_index_hit hit;

    store(ix, 1, 10, 3);
    assert_int_equal(store(ix, 1, 11, 5), 10);
    assert_true(find(ix, 1, &hit));
    assert_int_equal(hit.objid, 11);
    assert_int_equal(bw_index_count(ix), 1);
    assert_int_equal(bw_index_used(ix), 5 * PAGE);
    bw_index_free(ix);
}

TEST(a_removed_object_is_gone_only_if_it_is_that_one)
{
    struct bw_index *ix = new_index(1000);
    struct bw_hash key = key_of(1);
    struct bw_index_hit hit;

    store(ix, 1, 10, 3);
    assert_false(bw_index_remove(ix, &key, 9));
    assert_true(bw_index_remove(ix, &key, 10));
    assert_false(bw_index_remove(ix, &key, 10));
    assert_false(find(ix, 1, &hit));
    assert_int_equal(bw_index_used(ix), 0);
    bw_index_free(ix);
}

TEST(a_cleared_object_is_out_of_sight_and_still_on_disk)
{
    struct bw_index *ix = new_index(1000);
    struct bw_hash key = key_of(1);
    struct bw_index_hit hit;

    store(ix, 1, 10, 3);
    assert_false(bw_index_clear(ix, &key, 9));
    assert_true(bw_index_clear(ix, &key, 10));
    assert_false(bw_index_clear(ix, &key, 10));
    assert_false(find(ix, 1, &hit));
    assert_int_equal(bw_index_used(ix), 3 * PAGE);
    assert_int_equal(store(ix, 1, 11, 2), 10);
    assert_true(find(ix, 1, &hit));
    assert_int_equal(bw_index_used(ix), 2 * PAGE);
    bw_index_free(ix);
}

TEST(hits_and_checks_count_only_for_the_object_they_are_meant_for)
{
    struct bw_index *ix = new_index(1000);
    struct bw_index_hit old, hit;
    struct bw_hash key = key_of(1);

    assert_true(bw_index_load(
        ix, &(struct bw_index_item){.key = key, .objid = 10, .bytes = 1, .expiry_s = 5}));
    assert_true(find(ix, 1, &old));
    assert_false(old.verified);
    assert_int_equal(old.expiry_s, 5);
    bw_index_touch(ix, &old);
    assert_int_equal(*bw_index_hits(&ix->entries[old.entry]), 1);
    for (int i = 0; i < 300; i++)
        bw_index_touch(ix, &old);
    assert_int_equal(*bw_index_hits(&ix->entries[old.entry]), 255);

    assert_true(bw_index_remove(ix, &key, 10));
    assert_true(bw_index_load(ix, &(struct bw_index_item){.key = key, .objid = 11, .bytes = 1}));
    bw_index_touch(ix, &old);
    bw_index_verified(ix, &old);
    assert_true(find(ix, 1, &hit));
    assert_false(hit.verified);
    assert_int_equal(*bw_index_hits(&ix->entries[hit.entry]), 0);
    bw_index_verified(ix, &hit);
    assert_true(find(ix, 1, &hit));
    assert_true(hit.verified);
    bw_index_free(ix);
}

TEST(a_refresh_changes_the_expiry_of_that_object)
{
    struct bw_index *ix = new_index(1000);
    struct bw_hash key = key_of(1);
    struct bw_index_hit hit;

    store(ix, 1, 10, 3);
    bw_index_refresh(ix, &key, 9, 1);
    assert_true(find(ix, 1, &hit));
    assert_int_equal(hit.expiry_s, UINT32_MAX);
    bw_index_refresh(ix, &key, 10, 1);
    assert_true(find(ix, 1, &hit));
    assert_int_equal(hit.expiry_s, 1);
    bw_index_free(ix);
}

/* ---- threads ---- */

enum { SEEKERS = 4, STAYING = 64, COMING = 4096 };

struct hunt {
    struct bw_index *ix;
    atomic_bool stop;
    atomic_uint found, lost;
};

static void *seek(void *arg)
{
    struct hunt *h = arg;
    struct bw_index_hit hit;

    for (uint64_t i = 0; !atomic_load_explicit(&h->stop, memory_order_relaxed); i++) {
        if (find(h->ix, i % STAYING, &hit) && hit.objid == i % STAYING + 1)
            atomic_fetch_add_explicit(&h->found, 1, memory_order_relaxed);
        else
            atomic_fetch_add_explicit(&h->lost, 1, memory_order_relaxed);
        bw_index_touch(h->ix, &hit);
        if (find(h->ix, STAYING + i % COMING, &hit))
            bw_index_touch(h->ix, &hit);
    }
    return NULL;
}

static void come_and_go(struct hunt *h)
{
    for (uint64_t round = 0, objid = 1000; round < 20; round++) {
        for (uint64_t i = 0; i < COMING; i++)
            store(h->ix, STAYING + i, objid++, 1);
        for (uint64_t i = 0; i < COMING; i++) {
            struct bw_hash key = key_of(STAYING + i);
            struct bw_index_hit hit;
            if (bw_index_find(h->ix, &key, &hit))
                bw_index_remove(h->ix, &key, hit.objid);
        }
    }
}

TEST(what_is_there_all_the_time_is_never_missed)
{
    struct hunt h = {.ix = new_index(100000)};
    pthread_t threads[SEEKERS];

    for (uint64_t i = 0; i < STAYING; i++)
        store(h.ix, i, i + 1, 1);
    for (int i = 0; i < SEEKERS; i++)
        pthread_create(&threads[i], NULL, seek, &h);
    come_and_go(&h);
    while (atomic_load(&h.found) < 1000)
        sched_yield();
    atomic_store(&h.stop, true);
    for (int i = 0; i < SEEKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&h.lost), 0);
    bw_index_free(h.ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(what_was_published_is_found_and_nothing_else),
        RUN(an_object_costs_at_most_68_bytes_of_memory),
        RUN(who_pays_for_more_entries_can_have_them_however_many_there_are),
        RUN(a_second_object_of_a_key_replaces_the_first),
        RUN(a_removed_object_is_gone_only_if_it_is_that_one),
        RUN(a_cleared_object_is_out_of_sight_and_still_on_disk),
        RUN(hits_and_checks_count_only_for_the_object_they_are_meant_for),
        RUN(a_refresh_changes_the_expiry_of_that_object),
        RUN(what_is_there_all_the_time_is_never_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
