#include "breakwater/admin/figures.h"
#include "breakwater/base/buf.h"
#include "breakwater/server/access_log.h"

#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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

TEST(after_a_reopen_lines_go_to_the_new_file)
{
    struct rig r;
    struct bw_buf old, fresh;
    struct bw_log_conf conf;
    char why[256];

    begin(&r);
    start(&r, r.file);
    assert_int_equal(rename(r.file, r.other), 0);
    conf = to(r.file);
    assert_int_equal(bw_access_log_reopen(r.log, &conf, why, sizeof(why)), BW_OK);
    say(&r, 0, "/a");
    bw_access_log_free(r.log);
    old = read_file(r.other);
    fresh = read_file(r.file);
    assert_int_equal(lines(&old) + lines(&fresh), 1);
    bw_buf_free(&old);
    bw_buf_free(&fresh);
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
        RUN(after_a_reopen_lines_go_to_the_new_file),
        RUN(a_log_can_be_switched_on_and_off_and_change_its_form),
        RUN(a_destination_that_cannot_be_opened_is_named_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
