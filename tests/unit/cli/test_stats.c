/*
 * test_stats.c - the table of `breakwater stats`.
 */
#include "breakwater/cli/stats.h"

#include "unit.h"

static struct bw_buf table;

static bool show(const char *json)
{
    bool good;

    bw_buf_clear(&table);
    good = bw_cli_stats_table(bw_slice_str(json), &table);
    bw_buf_char(&table, '\0');
    return good;
}

static void assert_shows(const char *text)
{
    if (strstr(table.base, text) == NULL)
        fail_msg("\"%s\" is not in:\n%s", text, table.base);
}

static void assert_hides(const char *text)
{
    if (strstr(table.base, text) != NULL)
        fail_msg("\"%s\" is in:\n%s", text, table.base);
}

static int tidy_up(void **state)
{
    (void)state;
    bw_buf_free(&table);
    return 0;
}

static const char full[] =
    "{\"version\": \"1.2.3\", \"uptime_seconds\": 7200.5,"
    " \"last_minute\": {\"requests\": 0, \"request_offload\": null, \"byte_offload\": null},"
    " \"last_hour\": {\"requests\": 10, \"origin_seconds_saved\": 0.25},"
    " \"since_start\": {\"requests\": 2000, \"hits\": 1937, \"origin_fetches\": 63,"
    "   \"bytes_to_clients\": 16357785, \"bytes_from_origin\": 1000, \"request_offload\": 0.9685,"
    "   \"byte_offload\": 0.99994, \"origin_seconds_saved\": 90},"
    " \"latency\": {\"hits\": {\"p50_us\": 41.5, \"p99_us\": 1500}, \"misses\": {\"p50_us\": "
    "null}},"
    " \"hosts\": {\"a.net\": {\"requests\": 1, \"origin_fetches\": 1, \"request_offload\": 0},"
    "            \"b.net\": {\"requests\": 9}},"
    " \"rules\": {\"\": {\"requests\": 3}},"
    " \"store\": {\"objects\": 12, \"bytes\": 2048, \"size_bytes\": 10737418240},"
    " \"counters\": {\"collapsed\": 7},"
    " \"memory\": {\"used_bytes\": 1, \"limit_bytes\": 1048576},"
    " \"now\": {\"connections\": 4, \"fills\": 3, \"requests_waiting\": 2, \"index_loaded\": true,"
    "          \"ready\": true}, \"config\": {\"error\": null}}";

TEST(spans_stand_side_by_side)
{
    assert_true(show(full));
    assert_shows("Breakwater 1.2.3, up 2.0 h\n");
    assert_shows("            1 minute     5 minutes        1 hour   since start\n");
    assert_shows("  requests                               0             -            10"
                 "          2000\n");
    assert_shows("  request offload                        -             -             -"
                 "        96.9 %\n");
    assert_shows("       100.0 %\n");
    assert_shows("      15.6 MiB\n");
    assert_shows("        1000 B\n");
    assert_shows("      250.0 ms        90.0 s\n");
}

TEST(the_state_at_this_moment_is_shown)
{
    assert_true(show(full));
    assert_shows("half within 42 us, 99 % within 1.5 ms\n");
    assert_shows("  time for a miss           -\n");
    assert_shows("  shared a fetch            7 requests since start\n");
    assert_shows("12 objects, 2.0 KiB of 10.0 GiB\n");
    assert_shows("1 B of 1.0 MiB\n");
    assert_shows("4 connections, 3 fills, 2 requests waiting in them\n");
    assert_hides("draining");
    assert_hides("counted");
    assert_hides("refused");
}

TEST(groups_come_with_the_busiest_first_where_there_are_several)
{
    const char *first, *second;

    assert_true(show(full));
    first = strstr(table.base, "b.net");
    second = strstr(table.base, "a.net");
    assert_true(first != NULL && second != NULL && first < second);
    assert_hides("by rule");
}

TEST(many_groups_are_cut_short)
{
    assert_true(show("{\"since_start\": {}, \"hosts\": {\"a\":{}, \"b\":{}, \"c\":{}, \"d\":{}, "
                     "\"e\":{}, \"f\":{}, \"g\":{}, \"h\":{}, \"i\":{}, \"j\":{}, \"k\":{}, "
                     "\"l\":{}}}"));
    assert_shows("and 2 more, see --json\n");
}

TEST(what_is_out_of_the_ordinary_is_said)
{
    assert_true(show("{\"since_start\": {}, \"now\": {\"index_loaded\": false, \"ready\": false},"
                     " \"config\": {\"error\": \"c.yaml:1:2: bad\\u001b[2J\\nmore\"}}"));
    assert_shows("still being counted");
    assert_shows("; draining\n");
    assert_shows("The last reload was refused: c.yaml:1:2: bad?[2J\n");
}

TEST(names_cannot_move_the_cursor_or_break_the_table)
{
    assert_true(show("{\"since_start\": {}, \"hosts\": {\"\\u001b[2J\\n\": {}, "
                     "\"a-name-of-a-host-that-is-longer-than-the-column\": {}}}"));
    assert_shows("  ?[2J?  ");
    assert_shows("  a-name-of-a-host-that-is~ ");
    assert_null(strchr(table.base, '\x1b'));
}

TEST(another_answer_is_refused)
{
    assert_false(show(""));
    assert_false(show("<html>"));
    assert_false(show("[]"));
    assert_false(show("{\"since_start\": 1}"));
    assert_false(show("{\"since_start\": {}"));
}

#define RUN_TIDY(name) cmocka_unit_test_teardown(name, tidy_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_TIDY(spans_stand_side_by_side),
        RUN_TIDY(the_state_at_this_moment_is_shown),
        RUN_TIDY(groups_come_with_the_busiest_first_where_there_are_several),
        RUN_TIDY(many_groups_are_cut_short),
        RUN_TIDY(what_is_out_of_the_ordinary_is_said),
        RUN_TIDY(names_cannot_move_the_cursor_or_break_the_table),
        RUN_TIDY(another_answer_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
