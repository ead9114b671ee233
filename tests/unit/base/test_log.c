/*
 * test_log.c - the error log: whole lines, not forgeable, not floodable.
 *
 * stderr is a pipe while something is logged; the test clock stands in for minutes of waiting.
 */
#include "breakwater/base/clock.h"
#include "breakwater/base/log.h"

#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { A_MINUTE = 60000 };

static int saved_stderr, pipe_in;

static void begin_capture(void)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    pipe_in = fds[0];
}

/* What was logged since begin_capture(), up to 16 KiB; a static buffer. */
static const char *captured(void)
{
    static char text[16385];
    size_t n = 0;
    ssize_t got;

    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    while (n < sizeof(text) - 1 && (got = read(pipe_in, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)got;
    close(pipe_in);
    text[n] = '\0';
    return text;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; ++text)
        n += *text == '\n';
    return n;
}

TEST(a_line_has_time_level_and_message)
{
    int year, month, day, hour, minute, second, milli, end = 0;

    begin_capture();
    bw_log(BW_LOG_WARN, "disk %s is at %d %%", "a", 95);
    const char *line = captured();
    int n = sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ warn %n", &year, &month, &day, &hour,
                   &minute, &second, &milli, &end);
    assert_int_equal(n, 7);
    assert_string_equal(line + end, "disk a is at 95 %\n");
}

TEST(what_a_peer_sent_cannot_begin_a_line)
{
    begin_capture();
    bw_log(BW_LOG_ERROR, "path %s", "/a\r\n2026 error forged\x1B[2J\x7F\xFF");
    const char *line = captured();
    assert_int_equal(count_lines(line), 1);
    assert_non_null(strstr(line, "path /a\\x0d\\x0a2026 error forged\\x1b[2J\\x7f\\xff\n"));
}

TEST(a_line_is_cut_at_four_kibibytes)
{
    char long_text[10000];

    memset(long_text, '\n', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    begin_capture();
    bw_log(BW_LOG_ERROR, "%s", long_text);
    const char *line = captured();
    assert_in_range(strlen(line), 4080, 4096);
    assert_int_equal(count_lines(line), 1);
}

TEST(levels_below_the_threshold_are_not_logged)
{
    begin_capture();
    bw_log(BW_LOG_DEBUG, "details");
    bw_log_set_level(BW_LOG_ERROR);
    bw_log(BW_LOG_WARN, "warning");
    bw_log_limited(BW_LOG_WARN, "threshold", "", "warning");
    bw_log_set_level(BW_LOG_DEBUG);
    bw_log(BW_LOG_DEBUG, "now wanted");
    bw_log_set_level(BW_LOG_INFO);
    const char *text = captured();
    assert_int_equal(count_lines(text), 1);
    assert_non_null(strstr(text, "now wanted"));
}

TEST(a_limited_line_comes_once_a_minute_for_each_pair)
{
    begin_capture();
    for (int i = 0; i < 3; ++i) {
        bw_log_limited(BW_LOG_WARN, "bad head", "192.0.2.1", "bad head from %s", "192.0.2.1");
        bw_log_limited(BW_LOG_WARN, "bad head", "192.0.2.2", "bad head from %s", "192.0.2.2");
        bw_log_limited(BW_LOG_WARN, "slow", "192.0.2.1", "slow %s", "192.0.2.1");
    }
    assert_int_equal(count_lines(captured()), 3);

    bw_clock_advance(A_MINUTE);
    begin_capture();
    bw_log_limited(BW_LOG_WARN, "bad head", "192.0.2.1", "bad head from %s", "192.0.2.1");
    assert_non_null(strstr(captured(), "bad head from 192.0.2.1 (2 more like this before)\n"));
}

TEST(a_crowd_of_addresses_cannot_flood_the_log)
{
    bw_clock_advance(A_MINUTE);
    begin_capture();
    for (int i = 0; i < 2000; ++i) {
        char who[24];
        snprintf(who, sizeof(who), "peer %d", i);
        bw_log_limited(BW_LOG_WARN, "flood", who, "x");
    }
    assert_int_equal(count_lines(captured()), 256);

    bw_clock_advance(A_MINUTE);
    begin_capture();
    bw_log_limited(BW_LOG_WARN, "flood", "a later peer", "x");
    assert_int_equal(count_lines(captured()), 1);
}

TEST(a_clock_that_was_set_back_does_not_silence_the_log)
{
    begin_capture();
    bw_log_limited(BW_LOG_WARN, "set back", "", "x");
    bw_clock_advance(-10 * A_MINUTE);
    bw_log_limited(BW_LOG_WARN, "set back", "", "x");
    bw_clock_advance(10 * A_MINUTE);
    assert_int_equal(count_lines(captured()), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_line_has_time_level_and_message),
        RUN(what_a_peer_sent_cannot_begin_a_line),
        RUN(a_line_is_cut_at_four_kibibytes),
        RUN(levels_below_the_threshold_are_not_logged),
        RUN(a_limited_line_comes_once_a_minute_for_each_pair),
        RUN(a_crowd_of_addresses_cannot_flood_the_log),
        RUN(a_clock_that_was_set_back_does_not_silence_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
