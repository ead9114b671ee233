#include "breakwater/base/clock.h"
#include "breakwater/base/rand.h"

#include "rig.h"

#include <signal.h>
#include <sys/resource.h>

enum { MIB = 1 << 20, KIB = 1 << 10 };

static bool record_has(struct rig *rig, const char *name, uint32_t flag)
{
    struct bw_entry e = {0};
    void *memory = NULL;
    bool yes = get(rig, name, &memory, &e) == BW_OK && e.terms.flags & flag;

    free(memory);
    return yes;
}

static bool is_stored(struct rig *rig, const char *name)
{
    struct bw_entry e;
    void *memory = NULL;
    bool yes = get(rig, name, &memory, &e) == BW_OK;

    free(memory);
    return yes;
}

static bool has_chunk(struct rig *rig, uint64_t objid, uint32_t chunk)
{
    static char bytes[BW_CHUNK_SIZE];
    size_t got;

    return read_body(rig, objid, (uint64_t)chunk * BW_CHUNK_SIZE, false, bytes, &got) == BW_OK;
}

/* Commits until the condition holds: deletes come with later ones. */
#define AFTER_COMMITS(rig, condition)                                                              \
    do {                                                                                           \
        for (int tries = 0; tries < 50 && !(condition); tries++)                                   \
            settle(rig);                                                                           \
        assert_true(condition);                                                                    \
    } while (0)

TEST(chunks_are_readable_as_soon_as_they_are_committed)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct thing t = {.name = "http://a/x", .len = 3 * BW_CHUNK_SIZE};
    struct client k;
    uint64_t objid = bw_store_new_objid(rig->s);

    client_init(&k);
    assert_int_equal(hand_chunk(rig, &k, &t, objid, 0), BW_OK);
    client_wait(&k, 1, 0, 0);
    assert_int_equal(check_body(rig, objid, BW_CHUNK_SIZE), BW_OK);
    assert_false(has_chunk(rig, objid, 1));
    assert_false(has(rig, t.name));
    hand_chunk(rig, &k, &t, objid, 1);
    hand_chunk(rig, &k, &t, objid, 2);
    hand_record(rig, &k, &t, objid);
    client_wait(&k, 3, 1, 0);
    assert_int_equal(k.err, BW_OK);
    assert_true(has(rig, t.name));
    rig_end(rig);
}

TEST(objects_that_arrive_at_the_same_time_do_not_mix)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct thing t[3] = {{.name = "a", .len = 5 * BW_CHUNK_SIZE - 1},
                         {.name = "b", .len = 5 * BW_CHUNK_SIZE},
                         {.name = "c", .len = 4 * BW_CHUNK_SIZE + 1}};
    struct client k[3];
    uint64_t objid[3];

    for (int i = 0; i < 3; i++) {
        client_init(&k[i]);
        objid[i] = bw_store_new_objid(rig->s);
    }
    for (uint32_t c = 0; c < 5; c++)
        for (int i = 2; i >= 0; i--)
            assert_int_equal(hand_chunk(rig, &k[i], &t[i], objid[i], c), BW_OK);
    for (int i = 0; i < 3; i++) {
        hand_record(rig, &k[i], &t[i], objid[i]);
        client_wait(&k[i], 5, 1, 0);
        assert_int_equal(k[i].err, BW_OK);
        assert_int_equal(check_body(rig, objid[i], t[i].len), BW_OK);
    }
    rig_end(rig);
}

TEST(a_record_without_all_its_chunks_is_refused)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct thing t = {.name = "http://a/x", .len = 3 * BW_CHUNK_SIZE};
    struct client k;
    uint64_t objid = bw_store_new_objid(rig->s);

    client_init(&k);
    hand_chunk(rig, &k, &t, objid, 0);
    hand_chunk(rig, &k, &t, objid, 1);
    hand_record(rig, &k, &t, objid);
    client_wait(&k, 2, 1, 0);
    assert_int_equal(k.err, BW_ERR_FULL);
    assert_int_equal(k.why, BW_REASON_STORE_LOST);
    assert_false(has(rig, t.name));
    AFTER_COMMITS(rig, !has_chunk(rig, objid, 0));
    rig_end(rig);
}

TEST(a_second_response_replaces_the_first_and_its_body)
{
    struct rig *rig = rig_begin(64 * MIB);
    uint64_t first = put(rig, "http://a/x", 200000);
    uint64_t second = put(rig, "http://a/x", 100000);
    struct bw_hash key = key_of(rig, "http://a/x");
    struct bw_index_hit hit;

    assert_true(bw_index_find(bw_store_index(rig->s), &key, &hit));
    assert_int_equal(hit.objid, second);
    assert_int_equal(check_body(rig, second, 100000), BW_OK);
    AFTER_COMMITS(rig, !has_chunk(rig, first, 0));
    assert_int_equal(figures(rig).objects, 2);
    rig_end(rig);
}

TEST(a_body_that_is_being_sent_outlives_its_replacement)
{
    struct rig *rig = rig_begin(64 * MIB);
    uint64_t first = put(rig, "http://a/x", 200000);

    bw_pin(rig->pins[0], first);
    put(rig, "http://a/x", 100000);
    for (int i = 0; i < 3; i++)
        settle(rig);
    assert_int_equal(check_body(rig, first, 200000), BW_OK);
    bw_unpin(rig->pins[0], first);
    AFTER_COMMITS(rig, !has_chunk(rig, first, 0));
    rig_end(rig);
}

TEST(a_304_replaces_the_head_and_keeps_the_body)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct client k;
    struct bw_entry e;
    void *memory = NULL;
    uint64_t objid = put(rig, "http://a/x", 200000);
    struct thing refreshed = {.name = "http://a/x",
                              .len = 200000,
                              .objid = objid,
                              .replaces = objid,
                              .keep_body = true,
                              .lifetime_s = 77};

    store_thing(rig, &k, &refreshed);
    assert_int_equal(k.err, BW_OK);
    assert_int_equal(get(rig, "http://a/x", &memory, &e), BW_OK);
    assert_int_equal(e.terms.lifetime_s, 77);
    assert_int_equal(check_body(rig, objid, 200000), BW_OK);
    free(memory);
    rig_end(rig);
}

TEST(a_304_for_what_has_been_replaced_meanwhile_is_refused)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct client k;
    uint64_t first = put(rig, "http://a/x", 500);
    uint64_t second = put(rig, "http://a/x", 500);
    struct thing refreshed = {
        .name = "http://a/x", .len = 500, .objid = first, .replaces = first, .keep_body = true};
    struct bw_hash key = key_of(rig, "http://a/x");
    struct bw_index_hit hit;

    store_thing(rig, &k, &refreshed);
    assert_int_equal(k.err, BW_ERR_NOT_FOUND);
    assert_true(bw_index_find(bw_store_index(rig->s), &key, &hit));
    assert_int_equal(hit.objid, second);
    rig_end(rig);
}

TEST(a_dropped_record_is_out_of_sight_at_once_and_then_gone)
{
    struct rig *rig = rig_begin(64 * MIB);
    uint64_t objid = put(rig, "http://a/x", 200000);
    struct bw_hash key = key_of(rig, "http://a/x");

    bw_writer_drop(rig->s, &key, objid + 1); /* another one */
    assert_true(has(rig, "http://a/x"));
    bw_writer_drop(rig->s, &key, objid);
    assert_false(has(rig, "http://a/x"));
    AFTER_COMMITS(rig, !is_stored(rig, "http://a/x"));
    assert_false(has_chunk(rig, objid, 0));
    rig_end(rig);
}

TEST(an_abandoned_body_is_deleted)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct thing t = {.name = "http://a/x", .len = 10 * BW_CHUNK_SIZE};
    struct client k;
    uint64_t objid = bw_store_new_objid(rig->s);

    client_init(&k);
    hand_chunk(rig, &k, &t, objid, 0);
    hand_chunk(rig, &k, &t, objid, 1);
    client_wait(&k, 2, 0, 0);
    bw_writer_drop_body(rig->s, objid, 2);
    AFTER_COMMITS(rig, !has_chunk(rig, objid, 0));
    assert_false(has_chunk(rig, objid, 1));
    rig_end(rig);
}

TEST(a_full_queue_takes_nothing)
{
    struct rig *rig = rig_begin_held(64 * MIB);
    struct thing t = {.name = "http://a/x", .len = 40 * BW_CHUNK_SIZE};
    struct client k;
    uint32_t taken = 0;

    client_init(&k);
    uint64_t objid = bw_store_new_objid(rig->s);
    while (hand_chunk(rig, &k, &t, objid, taken) == BW_OK)
        taken++;
    assert_true(taken >= 10 && taken <= 16);
    assert_false(bw_writer_room(rig->s, BW_CHUNK_SIZE));
    assert_int_equal(figures(rig).queue_full, 1);
    bw_gate_release("writer.commit");
    client_wait(&k, taken, 0, 0);
    assert_true(bw_writer_room(rig->s, BW_CHUNK_SIZE));
    bw_writer_drop_body(rig->s, objid, taken);
    rig_end(rig);
}

TEST(between_commit_and_publication_the_record_is_not_in_sight)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct thing t = {.name = "http://a/x", .len = 100};
    struct client k;

    client_init(&k);
    bw_gate_enable();
    bw_gate_hold("writer.publish");
    hand_record(rig, &k, &t, bw_store_new_objid(rig->s));
    while (bw_gate_waiting("writer.publish") == 0)
        sched_yield();
    assert_true(is_stored(rig, "http://a/x"));
    assert_false(has(rig, "http://a/x"));
    assert_int_equal(k.stored, 0);
    bw_gate_release("writer.publish");
    client_wait(&k, 0, 1, 0);
    assert_true(has(rig, "http://a/x"));
    rig_end(rig);
}

/* ---- purges ---- */

TEST(a_purge_takes_all_variants_out_of_sight_before_it_returns)
{
    struct rig *rig = rig_begin(64 * MIB);
    const char *names[] = {"http://a/x", "x en", "x de", "x fr"};
    struct client k;

    for (size_t i = 0; i < BW_ARRAY_LEN(names); i++)
        store_thing(rig, &k, &(struct thing){.name = names[i], .url = "http://a/x", .len = 100000});
    put(rig, "http://a/y", 100);
    struct bw_hash primary = key_of(rig, "http://a/x");
    uint64_t seq = bw_store_purge(rig->s, &primary, false);
    for (size_t i = 0; i < BW_ARRAY_LEN(names); i++) {
        assert_false(has(rig, names[i]));
        assert_false(is_stored(rig, names[i]));
    }
    assert_true(has(rig, "http://a/y"));
    AFTER_COMMITS(rig, bw_store_purge_committed(rig->s, seq));
    assert_int_equal(figures(rig).deleted, 4);
    rig_shut(rig);
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_int_equal(figures(rig).objects, 2);
    rig_end(rig);
}

TEST(a_soft_purge_makes_stale_and_keeps)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct client k;

    put(rig, "http://a/x", 100);
    store_thing(rig, &k, &(struct thing){.name = "x de", .url = "http://a/x", .len = 100});
    struct bw_hash primary = key_of(rig, "http://a/x");
    uint64_t seq = bw_store_purge(rig->s, &primary, true);
    assert_true(record_has(rig, "http://a/x", BW_TERMS_PURGED_SOFT));
    assert_true(record_has(rig, "x de", BW_TERMS_PURGED_SOFT));
    AFTER_COMMITS(rig, bw_store_purge_committed(rig->s, seq));
    assert_true(has(rig, "http://a/x"));
    assert_true(record_has(rig, "http://a/x", BW_TERMS_PURGED_SOFT));
    assert_true(record_has(rig, "x de", BW_TERMS_PURGED_SOFT));
    put(rig, "http://a/x", 100);
    assert_false(record_has(rig, "http://a/x", BW_TERMS_PURGED_SOFT));
    rig_end(rig);
}

TEST(what_was_fetched_before_a_purge_is_not_stored_after_it)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct client k;
    struct thing t = {.name = "http://a/x", .len = 100, .born = bw_store_purge_seq(rig->s)};
    struct bw_hash primary = key_of(rig, "http://a/x"), other = key_of(rig, "http://a/y");

    bw_store_purge(rig->s, &other, false);
    assert_false(bw_store_purged_since(rig->s, &primary, t.born));
    bw_store_purge(rig->s, &primary, false);
    assert_true(bw_store_purged_since(rig->s, &primary, t.born));
    store_thing(rig, &k, &t);
    assert_int_equal(k.why, BW_REASON_PURGED);
    assert_false(has(rig, "http://a/x"));

    t.born = bw_store_purge_seq(rig->s);
    bw_store_purge(rig->s, &primary, true);
    store_thing(rig, &k, &t);
    assert_int_equal(k.err, BW_OK);
    assert_true(record_has(rig, "http://a/x", BW_TERMS_PURGED_SOFT));
    rig_end(rig);
}

/* The narrowest place: the record is on disk, and the purge comes before the index. */
TEST(a_purge_between_commit_and_publication_wins)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct thing t = {.name = "http://a/x", .len = 100000, .born = bw_store_purge_seq(rig->s)};
    struct client k;

    client_init(&k);
    uint64_t objid = bw_store_new_objid(rig->s);
    hand_chunk(rig, &k, &t, objid, 0);
    hand_chunk(rig, &k, &t, objid, 1);
    client_wait(&k, 2, 0, 0);
    bw_gate_enable();
    bw_gate_hold("writer.publish");
    hand_record(rig, &k, &t, objid);
    while (bw_gate_waiting("writer.publish") == 0)
        sched_yield();
    struct bw_hash primary = key_of(rig, "http://a/x");
    bw_store_purge(rig->s, &primary, false);
    bw_gate_release("writer.publish");
    client_wait(&k, 0, 1, 0);
    assert_int_equal(k.why, BW_REASON_PURGED);
    assert_false(has(rig, "http://a/x"));
    AFTER_COMMITS(rig, !has_chunk(rig, objid, 0));
    rig_end(rig);
}

TEST(who_is_older_than_the_memory_of_purges_counts_as_purged)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct bw_hash mine = key_of(rig, "http://a/x"), other = key_of(rig, "http://a/y");
    uint64_t born = bw_store_purge_seq(rig->s);

    for (int i = 0; i < 1024; i++)
        bw_store_purge(rig->s, &other, false);
    assert_false(bw_store_purged_since(rig->s, &mine, born));
    bw_store_purge(rig->s, &other, false);
    assert_true(bw_store_purged_since(rig->s, &mine, born));
    assert_false(bw_store_purged_since(rig->s, &mine, bw_store_purge_seq(rig->s)));
    rig_end(rig);
}

/* ---- the budget ---- */

TEST(an_object_larger_than_the_budget_is_refused_at_its_first_chunk)
{
    struct rig *rig = rig_begin(4 * MIB);
    struct thing t = {.name = "http://a/x", .len = 5 * MIB};
    struct client k;
    uint64_t objid = bw_store_new_objid(rig->s);

    client_init(&k);
    hand_chunk(rig, &k, &t, objid, 0);
    hand_chunk(rig, &k, &t, objid, 1);
    hand_record(rig, &k, &t, objid);
    client_wait(&k, 0, 1, 2);
    assert_int_equal(k.committed, 0);
    assert_int_equal(k.lost_err, BW_ERR_BUSY);
    assert_int_equal(k.err, BW_ERR_FULL);
    assert_int_equal(figures(rig).refused, 1);
    assert_false(has_chunk(rig, objid, 0));
    rig_end(rig);
}

TEST(a_body_of_unknown_length_is_refused_when_it_has_become_too_large)
{
    struct rig *rig = rig_begin(4 * MIB);
    struct thing t = {.name = "http://a/x", .len = 6 * MIB, .unknown_length = true};
    struct client k;
    uint64_t objid = bw_store_new_objid(rig->s);
    uint32_t given = 0;

    client_init(&k);
    while (k.lost == 0) {
        hand_chunk(rig, &k, &t, objid, given++);
        client_wait(&k, 0, 0, 0);
        pthread_mutex_lock(&k.lock);
        while (k.committed < given && k.lost == 0)
            pthread_cond_wait(&k.changed, &k.lock);
        pthread_mutex_unlock(&k.lock);
    }
    assert_true(k.committed > 50 && k.committed <= 64);
    assert_true(has_chunk(rig, objid, 0)); /* readers may be in it */
    bw_writer_drop_body(rig->s, objid, k.committed);
    AFTER_COMMITS(rig, !has_chunk(rig, objid, 0));
    rig_end(rig);
}

/* Sizes from 1 KiB to 1 MiB, ten times what fits; some are asked for again. */
TEST(the_budget_holds_under_churn)
{
    const uint64_t size = 32 * MIB;
    struct rig *rig = rig_begin(size);
    struct bw_rand rand;
    struct client k;
    char name[32];
    uint64_t written = 0;

    rig->conf.durability = BW_DURABILITY_RELAXED;
    rig_shut(rig);
    assert_true(rig_open(rig));
    bw_rand_seed(&rand, 7);
    for (unsigned i = 0; written < 10 * size; i++) {
        size_t len = (size_t)KIB << bw_rand_below(&rand, 11);
        len += bw_rand_below(&rand, len);
        snprintf(name, sizeof(name), "http://a/%u", i);
        store_thing(rig, &k, &(struct thing){.name = name, .len = len});
        assert_true(k.err == BW_OK || k.why == BW_REASON_NOT_ADMITTED ||
                    k.why == BW_REASON_STORE_LOST);
        written += len;
        struct bw_store_figures f = figures(rig);
        assert_true(f.bytes <= size);
        assert_true(f.file_bytes <= size + 64 * MIB);
    }
    struct bw_store_figures f = figures(rig);
    assert_true(f.bytes > size / 2);
    assert_true(f.evicted > 0 && f.stored > 100);
    rig_end(rig);
}

TEST(what_is_being_sent_is_never_evicted)
{
    struct rig *rig = rig_begin(8 * MIB);
    struct client k;
    char name[32];
    uint64_t objid = put(rig, "http://a/pinned", 500000);

    bw_pin(rig->pins[0], objid);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "http://a/%d", i);
        store_thing(rig, &k, &(struct thing){.name = name, .len = 300000});
    }
    assert_true(figures(rig).evicted > 0);
    assert_true(has(rig, "http://a/pinned"));
    assert_int_equal(check_body(rig, objid, 500000), BW_OK);
    bw_unpin(rig->pins[0], objid);
    rig_end(rig);
}

/* A file that may not grow any more is what a full disk looks like. */
TEST(a_full_disk_costs_what_is_being_stored_and_nothing_else)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct rlimit limit, full = {.rlim_cur = 6 * MIB};
    struct client k;
    char name[32];
    unsigned stored = 0;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    full.rlim_max = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &full);
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "http://a/%d", i);
        uint64_t objid = store_thing(rig, &k, &(struct thing){.name = name, .len = 500000});
        if (k.err == BW_OK)
            assert_int_equal(check_body(rig, objid, 500000), BW_OK);
        stored += k.err == BW_OK;
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_true(stored >= 55);
    assert_true(figures(rig).evicted > 0);
    put(rig, "http://a/after", 500000);
    assert_true(figures(rig).file_bytes < 64 * MIB);
    rig_end(rig);
}

static void hand_small(struct rig *rig, struct client *k, const char *name)
{
    client_init(k);
    hand_record(rig, k, &(struct thing){.name = name, .len = 100}, bw_store_new_objid(rig->s));
}

/* The writer asserts itself that each of its batches has them in the order of their numbers. */
TEST(purges_stay_in_order_until_the_disk_takes_them)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct rlimit limit, nothing = {.rlim_cur = 0};
    const char *names[] = {"http://a/x", "http://a/y", "http://a/z"};
    struct client first, last;
    uint64_t seq = 0;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    nothing.rlim_max = limit.rlim_max;
    for (size_t i = 0; i < BW_ARRAY_LEN(names); i++)
        put(rig, names[i], 100);
    bw_gate_enable();
    bw_gate_hold("writer.commit"); /* so that the purges become one batch */
    hand_small(rig, &first, "first");
    while (bw_gate_waiting("writer.commit") == 0)
        sched_yield();
    for (size_t i = 0; i < BW_ARRAY_LEN(names); i++) {
        struct bw_hash primary = key_of(rig, names[i]);
        seq = bw_store_purge(rig->s, &primary, false);
    }
    hand_small(rig, &last, "last");
    setrlimit(RLIMIT_FSIZE, &nothing);
    bw_gate_release("writer.commit");
    client_wait(&last, 0, 1, 0);
    assert_int_equal(last.err, BW_ERR_FULL);
    assert_false(bw_store_purge_committed(rig->s, seq - 2));
    setrlimit(RLIMIT_FSIZE, &limit);
    while (!bw_store_purge_committed(rig->s, seq)) {
        hand_small(rig, &last, "last");
        client_wait(&last, 0, 1, 0);
    }
    for (size_t i = 0; i < BW_ARRAY_LEN(names); i++)
        assert_false(is_stored(rig, names[i]));
    rig_end(rig);
}

TEST(a_purge_that_a_broken_disk_never_took_holds_after_a_restart)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct rlimit limit, nothing = {.rlim_cur = 0};

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    nothing.rlim_max = limit.rlim_max;
    put(rig, "http://a/x", 100);
    struct bw_hash primary = key_of(rig, "http://a/x");
    setrlimit(RLIMIT_FSIZE, &nothing);
    bw_store_purge(rig->s, &primary, false);
    rig_shut(rig);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_false(is_stored(rig, "http://a/x"));
    put(rig, "http://a/x", 100);
    rig_end(rig);
}

/* ---- threads ---- */

enum { READERS = 3, NAMES = 40 };

struct race {
    struct rig *rig;
    atomic_bool stop;
    atomic_uint whole, missed;
    struct bw_pins *pins;
};

/* As a hit does it: index, record, pin, look again, body; whole or not at all. */
static void hit_once(struct race *race, struct bw_reader *r, const char *name, void **memory)
{
    static _Thread_local char bytes[BW_CHUNK_SIZE];
    struct bw_index *ix = bw_store_index(race->rig->s);
    struct bw_hash key = key_of(race->rig, name);
    struct bw_index_hit hit, again;
    struct bw_entry e;
    size_t got;

    if (!bw_index_find(ix, &key, &hit) ||
        bw_reader_get(r, &key, true, alloc_any, memory, &e) != BW_OK) {
        atomic_fetch_add(&race->missed, 1);
        return;
    }
    bw_pin(race->pins, e.objid);
    if (bw_index_find(ix, &key, &again) && again.objid == e.objid) {
        for (uint64_t at = 0; at < e.body_len; at += got) {
            enum bw_err err;
            while ((err = bw_reader_body(r, e.objid, at, sizeof(bytes), true, bytes, &got)) ==
                   BW_ERR_BUSY)
                warm(race->rig, NULL, e.objid, at);
            assert_int_equal(err, BW_OK);
            assert_int_equal(bytes[0], body_byte(e.objid, at));
        }
        bw_index_touch(ix, &again);
        atomic_fetch_add(&race->whole, 1);
    }
    bw_unpin(race->pins, e.objid);
}

static void *read_all_the_time(void *arg)
{
    struct race *race = arg;
    struct bw_reader *r = bw_reader_new(race->rig->s);
    void *memory = NULL;
    char name[32];

    for (unsigned i = 0; !atomic_load(&race->stop); i++) {
        snprintf(name, sizeof(name), "http://a/%u", i * 7 % NAMES);
        hit_once(race, r, name, &memory);
    }
    free(memory);
    bw_reader_free(r);
    return NULL;
}

TEST(readers_get_whole_bodies_while_the_writer_replaces_and_evicts)
{
    struct rig *rig = rig_new(4 * MIB);
    pthread_t threads[READERS];
    struct client k;
    char name[32];

    rig->conf.durability = BW_DURABILITY_RELAXED;
    assert_true(rig_open(rig));
    struct race race = {.rig = rig, .pins = rig->pins[0]};
    for (int i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, read_all_the_time, &race);
    int64_t end = bw_clock_mono_us() + 1500 * 1000;
    for (unsigned i = 0; bw_clock_mono_us() < end; i++) {
        snprintf(name, sizeof(name), "http://a/%u", i % NAMES);
        store_thing(rig, &k, &(struct thing){.name = name, .len = 3000 + i % 5 * 70000});
        if (i % 50 == 0) {
            struct bw_hash primary = key_of(rig, name);
            bw_store_purge(rig->s, &primary, false);
        }
    }
    atomic_store(&race.stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&race.whole) > 100);
    assert_true(figures(rig).evicted > 0);
    assert_int_equal(figures(rig).corrupt, 0);
    rig_end(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(chunks_are_readable_as_soon_as_they_are_committed),
        RUN(objects_that_arrive_at_the_same_time_do_not_mix),
        RUN(a_record_without_all_its_chunks_is_refused),
        RUN(a_second_response_replaces_the_first_and_its_body),
        RUN(a_body_that_is_being_sent_outlives_its_replacement),
        RUN(a_304_replaces_the_head_and_keeps_the_body),
        RUN(a_304_for_what_has_been_replaced_meanwhile_is_refused),
        RUN(a_dropped_record_is_out_of_sight_at_once_and_then_gone),
        RUN(an_abandoned_body_is_deleted),
        RUN(a_full_queue_takes_nothing),
        RUN(between_commit_and_publication_the_record_is_not_in_sight),
        RUN(a_purge_takes_all_variants_out_of_sight_before_it_returns),
        RUN(a_soft_purge_makes_stale_and_keeps),
        RUN(what_was_fetched_before_a_purge_is_not_stored_after_it),
        RUN(a_purge_between_commit_and_publication_wins),
        RUN(who_is_older_than_the_memory_of_purges_counts_as_purged),
        RUN(an_object_larger_than_the_budget_is_refused_at_its_first_chunk),
        RUN(a_body_of_unknown_length_is_refused_when_it_has_become_too_large),
        RUN(the_budget_holds_under_churn),
        RUN(what_is_being_sent_is_never_evicted),
        RUN(a_full_disk_costs_what_is_being_stored_and_nothing_else),
        RUN(purges_stay_in_order_until_the_disk_takes_them),
        RUN(a_purge_that_a_broken_disk_never_took_holds_after_a_restart),
        RUN(readers_get_whole_bodies_while_the_writer_replaces_and_evicts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
