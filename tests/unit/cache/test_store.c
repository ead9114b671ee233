#include "rig.h"

#include <fcntl.h>
#include <sys/wait.h>

enum { MIB = 1 << 20 };

TEST(a_small_response_comes_back_as_it_was_stored)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct bw_entry e;
    void *memory = NULL;

    uint64_t objid = put(rig, "http://a/small", 1000);
    assert_true(has(rig, "http://a/small"));
    assert_int_equal(get(rig, "http://a/small", &memory, &e), BW_OK);
    assert_true(bw_slice_eq(e.key, BW_S("http://a/small")));
    assert_int_equal(e.objid, objid);
    assert_int_equal(e.fields.n, 2);
    assert_int_equal(e.fields.v[0].id, BW_F_CONTENT_TYPE);
    assert_true(bw_slice_eq(e.fields.v[1].value, BW_S("http://a/small")));
    assert_int_equal(e.inline_body.len, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(e.inline_body.base[i], body_byte(objid, i));
    free(memory);
    rig_end(rig);
}

TEST(a_large_response_comes_back_byte_by_byte)
{
    struct rig *rig = rig_begin(64 * MIB);
    const size_t lengths[] = {BW_ENTRY_INLINE_MAX + 1, BW_CHUNK_SIZE - 1, BW_CHUNK_SIZE,
                              BW_CHUNK_SIZE + 1, 3 * MIB + 17};
    char name[32];

    for (size_t i = 0; i < BW_ARRAY_LEN(lengths); i++) {
        snprintf(name, sizeof(name), "http://a/%zu", lengths[i]);
        uint64_t objid = put(rig, name, lengths[i]);
        assert_int_equal(check_body(rig, objid, lengths[i]), BW_OK);
    }
    rig_end(rig);
}

TEST(what_is_not_stored_is_not_found)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct bw_entry e;
    void *memory = NULL;
    char byte;
    size_t got;

    assert_false(has(rig, "http://a/none"));
    assert_int_equal(get(rig, "http://a/none", &memory, &e), BW_ERR_NOT_FOUND);
    assert_int_equal(bw_reader_body(rig->r, 77, 0, 1, false, &byte, &got), BW_ERR_NOT_FOUND);
    rig_end(rig);
}

/* Whoever knows the keys of one store finds no collisions in another (security.md 7). */
TEST(each_store_has_a_secret_of_its_own)
{
    struct rig *one = rig_begin(64 * MIB), *other = rig_begin(64 * MIB);
    static const struct bw_hash_secret none;

    assert_memory_not_equal(bw_store_secret(one->s), bw_store_secret(other->s), sizeof(none));
    assert_memory_not_equal(bw_store_secret(one->s), &none, sizeof(none));
    rig_end(one);
    rig_end(other);
}

TEST(everything_is_there_after_a_restart)
{
    struct rig *rig = rig_begin(64 * MIB);
    char name[32];
    uint64_t objid[100];
    struct bw_hash_secret secret = *bw_store_secret(rig->s);

    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "http://a/%d", i);
        objid[i] = put(rig, name, i % 3 == 0 ? 100000 : 500);
    }
    struct bw_store_figures before = figures(rig);
    rig_shut(rig);
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_memory_equal(&secret, bw_store_secret(rig->s), sizeof(secret));
    assert_int_equal(figures(rig).objects, before.objects);
    assert_int_equal(figures(rig).bytes, before.bytes);
    for (int i = 0; i < 100; i += 3) {
        snprintf(name, sizeof(name), "http://a/%d", i);
        assert_true(has(rig, name));
        assert_int_equal(check_body(rig, objid[i], 100000), BW_OK);
    }
    rig_end(rig);
}

TEST(an_objid_is_never_used_twice)
{
    struct rig *rig = rig_begin(64 * MIB);
    uint64_t last = 0;

    for (int start = 0; start < 3; start++) {
        for (int i = 0; i < 10; i++) {
            uint64_t next = bw_store_new_objid(rig->s);
            assert_true(next > last);
            last = next;
        }
        rig_shut(rig);
        assert_true(rig_open(rig));
    }
    rig_end(rig);
}

/* What is stored counts as checked; what is found at a start does not. */
TEST(bytes_from_before_the_start_are_not_taken_as_verified)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct bw_index_hit hit;

    put(rig, "http://a/x", 5000);
    struct bw_hash key = key_of(rig, "http://a/x");
    assert_true(bw_index_find(bw_store_index(rig->s), &key, &hit));
    assert_true(hit.verified);
    rig_shut(rig);
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_true(bw_index_find(bw_store_index(rig->s), &key, &hit));
    assert_false(hit.verified);
    bw_index_verified(bw_store_index(rig->s), &hit);
    assert_true(bw_index_find(bw_store_index(rig->s), &key, &hit));
    assert_true(hit.verified);
    rig_end(rig);
}

TEST(two_processes_never_open_the_same_folder)
{
    struct rig *rig = rig_begin(64 * MIB);
    struct rig other = *rig;

    assert_false(rig_open(&other));
    assert_non_null(strstr(other.why, "in use by process"));
    assert_non_null(strstr(other.why, rig->directory));
    rig_end(rig);
}

TEST(a_folder_that_cannot_be_made_is_told_with_a_cure)
{
    struct rig *rig = rig_new(64 * MIB);

    rig->conf.directory = "/proc/none/such";
    assert_false(rig_open(rig));
    assert_non_null(strstr(rig->why, "/proc/none/such"));
    assert_non_null(strstr(rig->why, "choose another one"));
    rig_end(rig);
}

TEST(a_disk_that_is_too_small_is_told_with_a_cure)
{
    struct rig *rig = rig_new(UINT64_C(1) << 50);

    assert_false(rig_open(rig));
    assert_non_null(strstr(rig->why, "cache.size is 1048576 GiB, but the disk of "));
    assert_non_null(strstr(rig->why, "lower cache.size"));
    rig_end(rig);
}

/* 0: as it was */
static void stack_of_threads(size_t size)
{
    static size_t before;
    pthread_attr_t attr;

    assert_int_equal(pthread_getattr_default_np(&attr), 0);
    if (size != 0)
        pthread_attr_getstacksize(&attr, &before);
    assert_int_equal(pthread_attr_setstacksize(&attr, size != 0 ? size : before), 0);
    assert_int_equal(pthread_setattr_default_np(&attr), 0);
    pthread_attr_destroy(&attr);
}

TEST(a_process_that_may_have_no_more_threads_is_told_so_and_can_try_again)
{
    struct rig *rig = rig_new(64 * MIB);

    rig->conf.durability = BW_DURABILITY_RELAXED;
    stack_of_threads((size_t)1 << 46); /* no address space has room for it */
    assert_false(rig_open(rig));
    assert_non_null(strstr(rig->why, "allow the process more threads"));
    assert_int_equal(rig_files(rig, "running"), 0);
    stack_of_threads(0);
    assert_true(rig_open(rig));
    put(rig, "http://a/x", 5000);
    assert_true(has(rig, "http://a/x"));
    rig_end(rig);
}

static void overwrite(struct rig *rig, off_t at, const void *bytes, size_t n)
{
    char path[256];

    rig_path(rig, "data.mdb", path, sizeof(path));
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, bytes, n, at) == (ssize_t)n);
    close(fd);
}

TEST(a_file_that_is_not_ours_is_set_aside)
{
    struct rig *rig = rig_begin(64 * MIB);
    char garbage[8192];

    put(rig, "http://a/x", 5000);
    rig_shut(rig);
    memset(garbage, 'x', sizeof(garbage));
    overwrite(rig, 0, garbage, sizeof(garbage));
    assert_true(rig_open(rig));
    assert_false(has(rig, "http://a/x"));
    assert_int_equal(rig_files(rig, "data.mdb.damaged-"), 1);
    put(rig, "http://a/x", 5000);
    rig_shut(rig);
    overwrite(rig, 0, garbage, sizeof(garbage));
    assert_true(rig_open(rig));
    assert_int_equal(rig_files(rig, "data.mdb.damaged-"), 1);
    rig_end(rig);
}

TEST(a_file_that_was_cut_off_is_set_aside)
{
    struct rig *rig = rig_begin(64 * MIB);
    char path[256];
    struct stat st;

    put(rig, "http://a/x", 500000);
    rig_shut(rig);
    rig_path(rig, "data.mdb", path, sizeof(path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    assert_true(rig_open(rig));
    assert_false(has(rig, "http://a/x"));
    assert_int_equal(rig_files(rig, "data.mdb.damaged-"), 1);
    rig_end(rig);
}

/* The format lies in a small leaf; the program looks for it by name. */
TEST(a_file_of_another_version_is_set_aside)
{
    struct rig *rig = rig_begin(64 * MIB);
    char path[256], *bytes = malloc(4 * MIB);
    const uint32_t ours[3] = {BW_ENTRY_VERSION, 0x01020304, 4096};
    uint32_t theirs = BW_ENTRY_VERSION + 1;

    rig_shut(rig);
    rig_path(rig, "data.mdb", path, sizeof(path));
    int fd = open(path, O_RDWR);
    ssize_t n = pread(fd, bytes, 4 * MIB, 0);
    for (ssize_t i = 0; i + (ssize_t)sizeof(ours) <= n; i++)
        if (memcmp(bytes + i, ours, sizeof(ours)) == 0)
            assert_int_equal(pwrite(fd, &theirs, sizeof(theirs), i), sizeof(theirs));
    close(fd);
    assert_true(rig_open(rig));
    assert_int_equal(rig_files(rig, "data.mdb.damaged-"), 1);
    free(bytes);
    rig_end(rig);
}

/* One byte of the body is changed on disk, where it is known by its neighbours. */
static void damage_body(struct rig *rig, uint64_t objid)
{
    char path[256], pattern[32], *bytes = malloc(16 * MIB);
    bool done = false;

    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = body_byte(objid, 1000 + i);
    rig_path(rig, "data.mdb", path, sizeof(path));
    int fd = open(path, O_RDWR);
    ssize_t n = pread(fd, bytes, 16 * MIB, 0);
    for (ssize_t i = 0; i + (ssize_t)sizeof(pattern) <= n && !done; i++)
        if (memcmp(bytes + i, pattern, sizeof(pattern)) == 0)
            done = pwrite(fd, "!", 1, i + 5) == 1;
    close(fd);
    free(bytes);
    assert_true(done);
}

TEST(a_damaged_chunk_is_noticed)
{
    struct rig *rig = rig_begin(64 * MIB);
    static char bytes[BW_CHUNK_SIZE];
    size_t got;

    uint64_t objid = put(rig, "http://a/x", 200000);
    rig_shut(rig);
    damage_body(rig, objid);
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_int_equal(check_body(rig, objid, 200000), BW_ERR_CORRUPT);
    assert_int_equal(figures(rig).corrupt, 1);
    assert_int_equal(read_body(rig, objid, BW_CHUNK_SIZE, true, bytes, &got), BW_OK);
    rig_end(rig);
}

/* A process that dies in the middle of a fill leaves chunks; the next start deletes them. */
TEST(chunks_without_a_record_are_deleted_after_a_crash)
{
    struct rig *rig = rig_new(64 * MIB);
    pid_t child = fork();

    if (child == 0) {
        struct client k;
        client_init(&k);
        if (!rig_open(rig))
            _exit(1);
        put(rig, "http://a/whole", 300000);
        struct thing t = {.name = "http://a/cut", .len = 10 * MIB};
        for (uint32_t i = 0; i < 20; i++)
            hand_chunk(rig, &k, &t, 500, i);
        client_wait(&k, 20, 0, 0);
        kill(getpid(), SIGKILL);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_true(has(rig, "http://a/whole"));
    char byte;
    size_t got;
    time_t end = time(NULL) + 10;
    while (bw_reader_body(rig->r, 500, 0, 1, false, &byte, &got) != BW_ERR_NOT_FOUND &&
           time(NULL) < end)
        sched_yield();
    assert_int_equal(bw_reader_body(rig->r, 500, 0, 1, false, &byte, &got), BW_ERR_NOT_FOUND);
    assert_int_equal(check_body(rig, 1, 300000), BW_OK);
    rig_end(rig);
}

TEST(a_relaxed_store_is_begun_anew_after_a_power_cut)
{
    struct rig *rig = rig_new(64 * MIB);
    char path[256];

    rig->conf.durability = BW_DURABILITY_RELAXED;
    assert_true(rig_open(rig));
    put(rig, "http://a/x", 5000);
    assert_int_equal(rig_files(rig, "running"), 1);
    rig_shut(rig);
    assert_int_equal(rig_files(rig, "running"), 0);
    assert_true(rig_open(rig));
    wait_loaded(rig);
    assert_true(has(rig, "http://a/x"));
    rig_shut(rig);

    rig_path(rig, "running", path, sizeof(path));
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(write(fd, "another-boot\n", 13) == 13);
    close(fd);
    assert_true(rig_open(rig));
    assert_true(bw_store_loaded(rig->s));
    assert_false(has(rig, "http://a/x"));
    rig_end(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_small_response_comes_back_as_it_was_stored),
        RUN(a_large_response_comes_back_byte_by_byte),
        RUN(what_is_not_stored_is_not_found),
        RUN(each_store_has_a_secret_of_its_own),
        RUN(everything_is_there_after_a_restart),
        RUN(an_objid_is_never_used_twice),
        RUN(bytes_from_before_the_start_are_not_taken_as_verified),
        RUN(two_processes_never_open_the_same_folder),
        RUN(a_folder_that_cannot_be_made_is_told_with_a_cure),
        RUN(a_disk_that_is_too_small_is_told_with_a_cure),
        RUN(a_process_that_may_have_no_more_threads_is_told_so_and_can_try_again),
        RUN(a_file_that_is_not_ours_is_set_aside),
        RUN(a_file_that_was_cut_off_is_set_aside),
        RUN(a_file_of_another_version_is_set_aside),
        RUN(a_damaged_chunk_is_noticed),
        RUN(chunks_without_a_record_are_deleted_after_a_crash),
        RUN(a_relaxed_store_is_begun_anew_after_a_power_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
