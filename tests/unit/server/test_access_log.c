/* The access log from the ring to the file: order, whole lines, drops, reloads, broken ends. */
#include "breakwater/admin/figures.h"
#include "breakwater/base/buf.h"
#include "breakwater/base/mem.h"
#include "breakwater/server/access_log.h"

#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct rig {
    char folder[32], file[64], other[64];
    struct bw_counters *counters[2];
    struct bw_access_log *log;
};

static struct bw_log_conf to(const char *where)
{
    return (struct bw_log_conf){.access = true, .access_to = where, .format = BW_LOG_JSON};
}

static void begin(struct rig *r)
{
    strcpy(r->folder, "/tmp/bw-log-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->file, sizeof(r->file), "%s/access.log", r->folder);
    snprintf(r->other, sizeof(r->other), "%s/other.log", r->folder);
    for (int i = 0; i < 2; i++)
        r->counters[i] = bw_counters_new(NULL);
}

static void start(struct rig *r, const char *where)
{
    struct bw_log_conf conf = to(where);
    char why[256];

    r->log = bw_access_log_new(&conf, r->counters, 2, why, sizeof(why));
    assert_non_null(r->log);
}

static void finish(struct rig *r)
{
    for (int i = 0; i < 2; i++)
        bw_counters_free(r->counters[i]);
    unlink(r->file);
    unlink(r->other);
    assert_int_equal(rmdir(r->folder), 0);
}

static void say(struct rig *r, unsigned worker, const char *target)
{
    bw_access_log_write(bw_access_log_ring(r->log, worker),
                        &(struct bw_log_entry){.target = bw_slice_str(target),
                                               .status = 200,
                                               .outcome = BW_OUTCOME_HIT,
                                               .server = -1});
}

static uint64_t dropped(const struct rig *r, int worker)
{
    return atomic_load(&r->counters[worker]->counter[BW_C_LOG_DROPPED]);
}

static struct bw_buf read_fd(int fd)
{
    struct bw_buf b = {0};
    char piece[4096];
    ssize_t n;

    while ((n = read(fd, piece, sizeof(piece))) > 0)
        bw_buf_append(&b, piece, (size_t)n);
    close(fd);
    return b;
}

static struct bw_buf read_file(const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return read_fd(fd);
}

static size_t lines(const struct bw_buf *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->len; i++)
        n += b->base[i] == '\n';
    return n;
}

static bool holds(const struct bw_buf *b, const char *text)
{
    return b->len > 0 && memmem(b->base, b->len, text, strlen(text)) != NULL;
}

TEST(every_line_that_was_taken_is_in_the_file_at_the_end)
{
    struct rig r;
    struct bw_buf text;

    begin(&r);
    start(&r, r.file);
    for (int i = 0; i < 1000; i++)
        say(&r, (unsigned)i % 2, "/a");
    bw_access_log_free(r.log);
    text = read_file(r.file);
    assert_int_equal(lines(&text) + dropped(&r, 0) + dropped(&r, 1), 1000);
    assert_int_equal(dropped(&r, 0), 0);
    bw_buf_free(&text);
    finish(&r);
}

static void *write_many(void *arg)
{
    struct rig *r = arg;

    for (int i = 0; i < 50000; i++)
        say(r, 1, "/second");
    return NULL;
}

TEST(lines_of_two_workers_never_mix_and_drops_are_counted)
{
    struct rig r;
    struct bw_buf text;
    pthread_t other;

    begin(&r);
    start(&r, r.file);
    assert_int_equal(pthread_create(&other, NULL, write_many, &r), 0);
    for (int i = 0; i < 50000; i++)
        say(&r, 0, "/first");
    pthread_join(other, NULL);
    bw_access_log_free(r.log);
    text = read_file(r.file);
    assert_int_equal(lines(&text) + dropped(&r, 0) + dropped(&r, 1), 100000);
    for (size_t i = 0; i + 1 < text.len; i++)
        assert_true((text.base[i] == '\n') == (text.base[i + 1] == '{'));
    bw_buf_free(&text);
    finish(&r);
}

/* A pipe that nobody reads stands in for any destination that has stopped. */
TEST(a_destination_that_stands_still_costs_lines_but_no_time_of_a_worker)
{
    struct rig r;
    char where[32];
    int ends[2];

    begin(&r);
    assert_int_equal(pipe(ends), 0);
    snprintf(where, sizeof(where), "/proc/self/fd/%d", ends[1]);
    start(&r, where);
    for (int i = 0; i < 40000; i++)
        say(&r, 0, "/a");
    assert_true(dropped(&r, 0) > 0);
    bw_access_log_free(r.log); /* comes back, though nobody reads */
    close(ends[1]);
    struct bw_buf text = read_fd(ends[0]);
    assert_int_equal(lines(&text) + dropped(&r, 0), 40000);
    bw_buf_free(&text);
    finish(&r);
}

TEST(a_pipe_whose_reader_has_gone_does_not_end_the_process)
{
    struct rig r;
    char where[32];
    int ends[2];

    begin(&r);
    assert_int_equal(pipe(ends), 0);
    snprintf(where, sizeof(where), "/proc/self/fd/%d", ends[1]);
    start(&r, where);
    close(ends[0]);
    say(&r, 0, "/a");
    bw_access_log_free(r.log);
    close(ends[1]);
    assert_int_equal(dropped(&r, 0), 1);
    finish(&r);
}

TEST(a_line_comes_without_waiting_for_the_end)
{
    struct rig r;
    char where[32];
    int ends[2];

    begin(&r);
    assert_int_equal(pipe(ends), 0);
    snprintf(where, sizeof(where), "/proc/self/fd/%d", ends[1]);
    start(&r, where);
    say(&r, 0, "/a");
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    bw_access_log_free(r.log);
    close(ends[0]);
    close(ends[1]);
    finish(&r);
}

static void reopen(struct rig *r, const char *where)
{
    struct bw_log_conf conf = to(where);
    char why[256];

    assert_int_equal(bw_access_log_reopen(r->log, &conf, why, sizeof(why)), BW_OK);
}

TEST(lines_go_to_the_file_that_was_open_when_they_were_written)
{
    struct rig r;
    struct bw_buf old, fresh;

    begin(&r);
    start(&r, r.file);
    say(&r, 0, "/before");
    say(&r, 1, "/before");
    assert_int_equal(rename(r.file, r.other), 0);
    reopen(&r, r.file);
    say(&r, 0, "/after");
    say(&r, 1, "/after");
    bw_access_log_free(r.log);
    old = read_file(r.other);
    fresh = read_file(r.file);
    assert_int_equal(lines(&old), 2);
    assert_int_equal(lines(&fresh), 2);
    assert_false(holds(&old, "/after"));
    assert_false(holds(&fresh, "/before"));
    bw_buf_free(&old);
    bw_buf_free(&fresh);
    finish(&r);
}

TEST(reloads_under_way_lose_no_line)
{
    struct rig r;
    struct bw_buf one, two;
    pthread_t other;

    begin(&r);
    start(&r, r.file);
    assert_int_equal(pthread_create(&other, NULL, write_many, &r), 0);
    for (int i = 0; i < 5000; i++) {
        say(&r, 0, "/first");
        if (i % 50 == 0)
            reopen(&r, i % 100 == 0 ? r.other : r.file);
    }
    pthread_join(other, NULL);
    bw_access_log_free(r.log);
    one = read_file(r.file);
    two = read_file(r.other);
    assert_int_equal(lines(&one) + lines(&two) + dropped(&r, 0) + dropped(&r, 1), 55000);
    bw_buf_free(&one);
    bw_buf_free(&two);
    finish(&r);
}

TEST(a_reload_leaves_a_destination_that_stands_still)
{
    struct rig r;
    struct bw_buf text = {0};
    char where[32];
    int ends[2];

    begin(&r);
    assert_int_equal(pipe(ends), 0);
    snprintf(where, sizeof(where), "/proc/self/fd/%d", ends[1]);
    start(&r, where);
    for (int i = 0; i < 2000; i++)
        say(&r, 0, "/stuck");
    reopen(&r, r.file);
    say(&r, 0, "/free");
    while (lines(&text) == 0) { /* as long as nobody ends the test */
        bw_buf_free(&text);
        text = read_file(r.file);
    }
    assert_int_equal(lines(&text), 1);
    assert_true(holds(&text, "/free"));
    bw_buf_free(&text);
    bw_access_log_free(r.log);
    close(ends[1]);
    text = read_fd(ends[0]);
    assert_int_equal(lines(&text) + dropped(&r, 0), 2000);
    bw_buf_free(&text);
    finish(&r);
}

TEST(a_full_disk_costs_lines_that_are_counted)
{
    struct rig r;

    begin(&r);
    start(&r, "/dev/full");
    for (int i = 0; i < 500; i++)
        say(&r, 1, "/a");
    bw_access_log_free(r.log);
    assert_int_equal(dropped(&r, 1), 500);
    finish(&r);
}

TEST(a_named_pipe_that_nobody_reads_does_not_hold_up_the_start)
{
    struct rig r;
    struct bw_log_conf conf;
    char why[256] = "";

    begin(&r);
    assert_int_equal(mkfifo(r.file, 0600), 0);
    conf = to(r.file);
    assert_null(bw_access_log_new(&conf, r.counters, 2, why, sizeof(why)));
    assert_non_null(strstr(why, r.file));
    finish(&r);
}

static void *read_all(void *arg)
{
    struct bw_buf *text = bw_alloc(sizeof(*text));

    *text = read_fd(*(int *)arg);
    return text;
}

static bool is_whole(struct bw_slice line)
{
    return bw_slice_eq(line, BW_S("other")) ||
           (bw_slice_starts(line, BW_S("{\"time\"")) && bw_slice_ends(line, BW_S("\"/a\"}")));
}

TEST(others_who_write_to_the_same_pipe_do_not_tear_lines)
{
    struct rig r;
    struct bw_buf *text;
    struct bw_slice line, rest;
    pthread_t reader;
    char where[32];
    int ends[2];

    begin(&r);
    assert_int_equal(pipe(ends), 0);
    snprintf(where, sizeof(where), "/proc/self/fd/%d", ends[1]);
    start(&r, where);
    assert_int_equal(pthread_create(&reader, NULL, read_all, &ends[0]), 0);
    for (int i = 0; i < 5000; i++) {
        say(&r, 0, "/a");
        assert_int_equal(write(ends[1], "other\n", 6), 6);
    }
    bw_access_log_free(r.log);
    close(ends[1]);
    pthread_join(reader, (void **)&text);
    assert_int_equal(lines(text) + dropped(&r, 0), 10000);
    for (rest = bw_buf_view(text); rest.len > 0;) {
        line = bw_slice_cut(rest, '\n', &rest);
        assert_true(is_whole(line));
    }
    bw_buf_free(text);
    free(text);
    finish(&r);
}

TEST(a_log_can_be_switched_on_and_off_and_change_its_form)
{
    struct rig r;
    struct bw_buf text;
    struct bw_log_conf conf = {.access = false};
    char why[256];

    begin(&r);
    r.log = bw_access_log_new(&conf, r.counters, 2, why, sizeof(why));
    assert_non_null(r.log);
    assert_false(bw_access_log_wanted(bw_access_log_ring(r.log, 0)));
    say(&r, 0, "/unheard");
    conf = to(r.file);
    conf.format = BW_LOG_COMBINED;
    assert_int_equal(bw_access_log_reopen(r.log, &conf, why, sizeof(why)), BW_OK);
    assert_true(bw_access_log_wanted(bw_access_log_ring(r.log, 0)));
    say(&r, 0, "/heard");
    bw_access_log_free(r.log);
    text = read_file(r.file);
    assert_int_equal(lines(&text), 1);
    assert_true(holds(&text, "- - - ["));
    bw_buf_free(&text);
    finish(&r);
}

TEST(a_destination_that_cannot_be_opened_is_named_and_changes_nothing)
{
    struct rig r;
    struct bw_buf text;
    struct bw_log_conf conf;
    char why[256] = "", bad[80];

    begin(&r);
    snprintf(bad, sizeof(bad), "%s/none/access.log", r.folder);
    conf = to(bad);
    assert_null(bw_access_log_new(&conf, r.counters, 2, why, sizeof(why)));
    assert_non_null(strstr(why, bad));
    start(&r, r.file);
    assert_int_equal(bw_access_log_reopen(r.log, &conf, why, sizeof(why)), BW_ERR_IO);
    say(&r, 0, "/a");
    bw_access_log_free(r.log);
    text = read_file(r.file);
    assert_int_equal(lines(&text), 1);
    bw_buf_free(&text);
    finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(every_line_that_was_taken_is_in_the_file_at_the_end),
        RUN(lines_of_two_workers_never_mix_and_drops_are_counted),
        RUN(a_destination_that_stands_still_costs_lines_but_no_time_of_a_worker),
        RUN(a_pipe_whose_reader_has_gone_does_not_end_the_process),
        RUN(a_line_comes_without_waiting_for_the_end),
        RUN(lines_go_to_the_file_that_was_open_when_they_were_written),
        RUN(reloads_under_way_lose_no_line),
        RUN(a_reload_leaves_a_destination_that_stands_still),
        RUN(a_full_disk_costs_lines_that_are_counted),
        RUN(a_named_pipe_that_nobody_reads_does_not_hold_up_the_start),
        RUN(others_who_write_to_the_same_pipe_do_not_tear_lines),
        RUN(a_log_can_be_switched_on_and_off_and_change_its_form),
        RUN(a_destination_that_cannot_be_opened_is_named_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
