/*
 * The time between the start and the whole index, held up by a gate.
 */
#include "breakwater/cache/page.h"

#include "rig.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>

enum { MIB = 1 << 20 };

/* A store with something in it, stopped and begun again, that has not begun to load. */
static struct rig *rig_held(void)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct client k;

    put(rig, "http://a/small", 100);
    put(rig, "http://a/large", 200000);
    store_thing(rig, &k, &(struct thing){.name = "one", .url = "http://a/vary", .len = 100});
    store_thing(rig, &k, &(struct thing){.name = "two", .url = "http://a/vary", .len = 100});
    rig_shut(rig);
    bw_gate_enable();
    bw_gate_hold("store.load");
    return rig;
}

static void open_held(struct rig *rig)
{
    assert_true(rig_open(rig));
    assert_false(bw_store_loaded(rig->s));
}

static void let_go(struct rig *rig)
{
    bw_gate_release("store.load");
    wait_loaded(rig);
}

/* Its body, if it is found. */
static enum bw_err look(struct rig *rig, const char *name)
{
    void *memory = NULL;
    struct bw_entry e;
    enum bw_err err = get(rig, name, &memory, &e);

    if (err == BW_OK && e.inline_body.base == NULL)
        err = check_body(rig, e.objid, e.body_len);
    free(memory);
    return err;
}

TEST(what_is_stored_is_served_before_the_index_is_there)
{
    struct rig *rig = rig_held();

    open_held(rig);
    assert_int_equal(look(rig, "http://a/small"), BW_OK);
    assert_int_equal(look(rig, "http://a/large"), BW_OK);
    assert_int_equal(look(rig, "http://a/other"), BW_ERR_NOT_FOUND);
    let_go(rig);
    assert_int_equal(look(rig, "http://a/large"), BW_OK);
    assert_int_equal(bw_index_count(bw_store_index(rig->s)), 4);
    rig_end(rig);
}

TEST(what_is_to_be_stored_waits_for_the_index)
{
    struct rig *rig = rig_held();
    struct thing t = {.name = "http://a/new", .len = 100};
    struct client k;

    open_held(rig);
    client_init(&k);
    assert_int_equal(hand_record(rig, &k, &t, bw_store_new_objid(rig->s)), BW_OK);
    assert_int_equal(look(rig, t.name), BW_ERR_NOT_FOUND);
    let_go(rig);
    client_wait(&k, 0, 1, 0);
    assert_int_equal(look(rig, t.name), BW_OK);
    rig_end(rig);
}

TEST(what_is_purged_before_the_index_is_there_stays_purged)
{
    struct rig *rig = rig_held();

    open_held(rig);
    struct bw_hash large = key_of(rig, "http://a/large"), vary = key_of(rig, "http://a/vary");
    bw_store_purge(rig->s, &large, false);
    bw_store_purge(rig->s, &vary, false);
    assert_int_equal(look(rig, "http://a/large"), BW_ERR_NOT_FOUND);
    assert_int_equal(look(rig, "two"), BW_ERR_NOT_FOUND);
    let_go(rig);
    bw_store_flush(rig->s);
    rig_shut(rig);
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_int_equal(look(rig, "http://a/large"), BW_ERR_NOT_FOUND);
    assert_int_equal(look(rig, "two"), BW_ERR_NOT_FOUND);
    assert_int_equal(look(rig, "http://a/small"), BW_OK);
    rig_end(rig);
}

static void *release(void *rig)
{
    (void)rig;
    bw_gate_release("store.load");
    return NULL;
}

TEST(a_stop_before_the_index_is_there_loses_nothing)
{
    struct rig *rig = rig_held();
    pthread_t thread;

    open_held(rig);
    assert_int_equal(pthread_create(&thread, NULL, release, rig), 0);
    rig_shut(rig);
    pthread_join(thread, NULL);
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_int_equal(look(rig, "http://a/large"), BW_OK);
    assert_int_equal(look(rig, "two"), BW_OK);
    rig_end(rig);
}

static bool has_duplicates(char *bytes, uint64_t number)
{
    struct bw_page p;

    if (!bw_page_read(bw_slice(bytes, BW_PAGE_SIZE), number, &p))
        return false;
    for (unsigned i = 0; i < p.n; i++)
        if (bw_page_node(&p, i).kind == BW_NODE_DUP_PAGE)
            return true;
    return false;
}

/* The tree that leads from a URL to its variants, which no lookup needs. */
static unsigned damage_primary(const struct rig *rig)
{
    char path[256], page[BW_PAGE_SIZE];
    unsigned n = 0;

    rig_path(rig, "data.mdb", path, sizeof(path));
    int fd = open(path, O_RDWR);
    for (off_t i = 0; pread(fd, page, sizeof(page), i * BW_PAGE_SIZE) == BW_PAGE_SIZE; i++)
        if (has_duplicates(page, (uint64_t)i))
            n += pwrite(fd, "!!!!!!!!", 8, i * BW_PAGE_SIZE + 12) == 8;
    close(fd);
    return n;
}

TEST(damage_that_is_found_late_is_followed_by_a_new_store)
{
    struct rig *rig = rig_held();

    assert_true(damage_primary(rig) > 0);
    open_held(rig);
    uint64_t objid = bw_store_new_objid(rig->s);
    assert_int_equal(look(rig, "http://a/large"), BW_OK);
    let_go(rig);
    assert_int_equal(rig_files(rig, "data.mdb.damaged-"), 1);
    assert_int_equal(bw_index_count(bw_store_index(rig->s)), 0);
    assert_int_equal(look(rig, "http://a/large"), BW_ERR_NOT_FOUND);
    assert_true(put(rig, "http://a/large", 200000) > objid);
    assert_int_equal(look(rig, "http://a/large"), BW_OK);
    rig_shut(rig);
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_int_equal(look(rig, "http://a/large"), BW_OK);
    rig_end(rig);
}

/* A process that may not open anything any more cannot begin a new file. */
TEST(without_a_store_everything_is_answered_and_nothing_stored)
{
    struct rig *rig = rig_held();
    struct thing t = {.name = "http://a/new", .len = 100000};
    struct client k;
    struct rlimit before, none;

    assert_true(damage_primary(rig) > 0);
    open_held(rig);
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    let_go(rig);
    setrlimit(RLIMIT_NOFILE, &before);
    client_init(&k);
    assert_int_equal(hand_chunk(rig, &k, &t, bw_store_new_objid(rig->s), 0), BW_OK);
    client_wait(&k, 0, 0, 1);
    assert_int_equal(hand_record(rig, &k, &t, bw_store_new_objid(rig->s)), BW_OK);
    hurry(rig);
    client_wait(&k, 0, 1, 1);
    assert_int_not_equal(k.err, BW_OK);
    assert_int_equal(look(rig, t.name), BW_ERR_IO);
    struct bw_hash key = key_of(rig, t.name);
    uint64_t seq = bw_store_purge(rig->s, &key, false);
    bw_store_flush(rig->s);
    assert_true(bw_store_purge_committed(rig->s, seq));
    rig_end(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(what_is_stored_is_served_before_the_index_is_there),
        RUN(what_is_to_be_stored_waits_for_the_index),
        RUN(what_is_purged_before_the_index_is_there_stays_purged),
        RUN(a_stop_before_the_index_is_there_loses_nothing),
        RUN(damage_that_is_found_late_is_followed_by_a_new_store),
        RUN(without_a_store_everything_is_answered_and_nothing_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
