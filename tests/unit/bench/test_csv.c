/*
 * test_csv.c - traces as text: what is read, and what is said of a line that cannot be.
 */
#include "sim.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[] = "/tmp/trace-XXXXXX", said[4096];

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Reads `text`; what goes to stderr meanwhile is in `said`. */
static bool read_text(const char *text, struct bw_sim_trace *t)
{
    FILE *heard = tmpfile();
    int keep = dup(STDERR_FILENO);

    assert_true(heard != NULL && keep >= 0);
    write_file(text);
    dup2(fileno(heard), STDERR_FILENO);
    bool good = bw_sim_csv_read(path, t);
    dup2(keep, STDERR_FILENO);
    close(keep);
    rewind(heard);
    said[fread(said, 1, sizeof(said) - 1, heard)] = '\0';
    fclose(heard);
    return good;
}

TEST(a_line_is_time_id_and_size)
{
    struct bw_sim_trace t;

    assert_true(read_text("time,id,size\n# prose\n100.5,a,10\r\n\n101,/b?c=d,20\n103.5,a,10", &t));
    assert_int_equal(t.requests, 3);
    assert_int_equal(t.objects, 2);
    assert_int_equal(t.object[2], t.object[0]);
    assert_int_equal(t.size[1], 20);
    assert_int_equal(bw_sim_second(&t, 2), 3);
    assert_int_equal(t.footprint, 30);
    assert_int_equal(t.next[0], 2);
    bw_sim_trace_free(&t);
}

TEST(an_id_with_another_size_is_another_object)
{
    struct bw_sim_trace t;

    assert_true(read_text("0,a,10\n1,a,11\n2,a,10\n", &t));
    assert_int_equal(t.objects, 2);
    assert_int_equal(t.next[0], 2);
    bw_sim_trace_free(&t);
}

TEST(a_fourth_column_is_the_lifetime)
{
    struct bw_sim_trace t;

    assert_true(read_text("0,a,10,60\n1,b,0,0\n", &t));
    assert_int_equal(t.ttl[0], 60);
    assert_int_equal(t.ttl[1], 0);
    assert_int_equal(t.size[1], 1);
    bw_sim_trace_free(&t);
}

TEST(more_objects_than_the_tables_began_with_are_told_apart)
{
    enum { N = 200000 };
    char *text = malloc(32 * N), *at = text;
    struct bw_sim_trace t;

    assert_non_null(text);
    for (int i = 0; i < N; i++)
        at += sprintf(at, "%d,%d,1\n", i, i % (N / 2));
    assert_true(read_text(text, &t));
    assert_int_equal(t.requests, N);
    assert_int_equal(t.objects, N / 2);
    for (uint32_t i = 0; i < N / 2; i++)
        assert_int_equal(t.next[i], i + N / 2);
    bw_sim_trace_free(&t);
    free(text);
}

TEST(a_bad_line_is_named_with_reason_and_cure)
{
    static const struct {
        const char *text, *line, *reason;
    } rows[] = {
        {"0,a,1\nx,b,1\n", ":2: ", "the time is not a number"},
        {"0,a,1\n1,,1\n", ":2: ", "there is no id"},
        {"0,a,1\n1,b\n", ":2: ", "the size is not a number of bytes"},
        {"0,a,-1\n", ":1: ", "the size is not a number of bytes"},
        {"0,a,9999999999999999\n", ":1: ", "the size is not a number of bytes"},
        {"0,a,1,soon\n", ":1: ", "the lifetime is not a number of seconds"},
        {"# x\n5,a,1\n4,b,1\n", ":3: ", "before that of the line above: sort the lines by time"},
        {"nan,a,1\n", ":1: ", "the time is not a number"},
        {"", ":0: ", "there is no request in it"},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); i++) {
        struct bw_sim_trace t;
        assert_false(read_text(rows[i].text, &t));
        if (strstr(said, path) == NULL || strstr(said, rows[i].line) == NULL ||
            strstr(said, rows[i].reason) == NULL || strchr(said, '\n') != said + strlen(said) - 1)
            fail_msg("row %zu: %s", i, said);
    }
}

TEST(what_is_written_is_read_as_the_same_trace)
{
    struct bw_sim_trace a, b;

    assert_true(read_text("0,a,10,60\n1,b,20,0\n7,a,10,60\n", &a));
    assert_true(bw_sim_csv_write(path, &a));
    assert_true(bw_sim_csv_read(path, &b));
    assert_int_equal(b.requests, 3);
    assert_memory_equal(a.object, b.object, 3 * sizeof(*a.object));
    assert_memory_equal(a.second, b.second, 3 * sizeof(*a.second));
    assert_memory_equal(a.ttl, b.ttl, 2 * sizeof(*a.ttl));
    bw_sim_trace_free(&a);
    bw_sim_trace_free(&b);
}

static int make_path(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd) != 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_line_is_time_id_and_size),
        RUN(an_id_with_another_size_is_another_object),
        RUN(a_fourth_column_is_the_lifetime),
        RUN(more_objects_than_the_tables_began_with_are_told_apart),
        RUN(a_bad_line_is_named_with_reason_and_cure),
        RUN(what_is_written_is_read_as_the_same_trace),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
