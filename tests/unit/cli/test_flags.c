/*
 * test_flags.c - what flags and environment say, and how a wrong word is answered.
 */
#include "breakwater/cli/flags.h"

#include "unit.h"

#include <stdlib.h>

enum { WORDS_MAX = 16 };

static struct bw_cli_flags flags;
static struct bw_diag diag;

/* Reads a command line, its words apart by blanks. */
static bool read_line(enum bw_cli_command command, const char *line)
{
    static char text[512];
    char *argv[WORDS_MAX + 1] = {NULL}, *rest = text;
    int argc = 0;

    assert_true(strlen(line) < sizeof(text));
    strcpy(text, line);
    while (rest != NULL && argc < WORDS_MAX)
        argv[argc++] = strsep(&rest, " ");
    return bw_cli_flags_read(&flags, command, argc, argv, &diag);
}

static int tidy_up(void **state)
{
    (void)state;
    bw_cli_flags_free(&flags);
    bw_diag_free(&diag);
    unsetenv("ORIGIN");
    unsetenv("LISTEN");
    unsetenv("CACHE_SIZE");
    unsetenv("ADMIN");
    return 0;
}

#define RUN_TIDY(name) cmocka_unit_test_setup_teardown(name, tidy_up, tidy_up)

TEST(run_takes_every_flag)
{
    assert_true(read_line(BW_CLI_RUN, "run --config c.yaml --listen :80 --listen=https://:443 "
                                      "--origin http://a --certificate c.pem --key k.pem"));
    assert_string_equal(flags.conf.file, "c.yaml");
    assert_int_equal(flags.conf.listen_n, 2);
    assert_string_equal(flags.conf.listen[0], ":80");
    assert_string_equal(flags.conf.listen[1], "https://:443");
    assert_int_equal(flags.conf.origin_n, 1);
    assert_string_equal(flags.conf.origin[0], "http://a");
    assert_string_equal(flags.conf.certificate, "c.pem");
    assert_string_equal(flags.conf.key, "k.pem");
    assert_false(flags.test_clock);
    tidy_up(NULL);
    assert_true(read_line(BW_CLI_RUN, "run --origin-trust ca.pem --cache-dir d --cache-size 1GiB "
                                      "--admin :9 --workers -1 --test-clock"));
    assert_string_equal(flags.conf.origin_trust, "ca.pem");
    assert_string_equal(flags.conf.cache_dir, "d");
    assert_string_equal(flags.conf.cache_size, "1GiB");
    assert_string_equal(flags.conf.admin, ":9");
    assert_string_equal(flags.conf.workers, "-1");
    assert_true(flags.test_clock);
}

TEST(what_is_not_said_stays_empty)
{
    assert_true(read_line(BW_CLI_RUN, "run"));
    assert_null(flags.conf.file);
    assert_null(flags.conf.admin);
    assert_int_equal(flags.conf.listen_n, 0);
    assert_int_equal(flags.conf.origin_n, 0);
}

TEST(the_environment_stands_for_flags_of_run)
{
    setenv("ORIGIN", "http://a, http://b,,", 1);
    setenv("LISTEN", ":80", 1);
    setenv("CACHE_SIZE", "5GiB", 1);
    setenv("ADMIN", "", 1);
    assert_true(read_line(BW_CLI_RUN, "run"));
    assert_int_equal(flags.conf.origin_n, 2);
    assert_string_equal(flags.conf.origin[0], "http://a");
    assert_string_equal(flags.conf.origin[1], "http://b");
    assert_int_equal(flags.conf.listen_n, 1);
    assert_string_equal(flags.conf.cache_size, "5GiB");
    assert_null(flags.conf.admin);
}

TEST(a_flag_goes_before_the_environment)
{
    setenv("ORIGIN", "http://a,http://b", 1);
    setenv("CACHE_SIZE", "5GiB", 1);
    assert_true(read_line(BW_CLI_RUN, "run --origin http://c --cache-size 1GiB"));
    assert_int_equal(flags.conf.origin_n, 1);
    assert_string_equal(flags.conf.origin[0], "http://c");
    assert_string_equal(flags.conf.cache_size, "1GiB");
}

TEST(other_commands_ask_the_environment_for_nothing_but_the_admin_address)
{
    setenv("ORIGIN", "http://a", 1);
    setenv("ADMIN", ":9", 1);
    assert_true(read_line(BW_CLI_CHECK, "check --config c.yaml --print"));
    assert_int_equal(flags.conf.origin_n, 0);
    assert_null(flags.conf.admin);
    assert_true(flags.print);
    tidy_up(NULL);
    setenv("ORIGIN", "http://a", 1);
    setenv("ADMIN", ":9", 1);
    assert_true(read_line(BW_CLI_STATS, "stats --json"));
    assert_int_equal(flags.conf.origin_n, 0);
    assert_string_equal(flags.conf.admin, ":9");
    assert_true(flags.json);
}

TEST(help_can_be_asked_of_every_command_and_takes_a_word)
{
    assert_true(read_line(BW_CLI_VERSION, "version --help"));
    assert_true(flags.help);
    tidy_up(NULL);
    assert_true(read_line(BW_CLI_RUN, "run -h"));
    assert_true(flags.help);
    tidy_up(NULL);
    assert_true(read_line(BW_CLI_HELP, "help run"));
    assert_string_equal(flags.word, "run");
}

static const struct {
    enum bw_cli_command command;
    const char *line, *answer;
} wrong[] = {
    {BW_CLI_RUN, "run --orgin http://a", "--orgin: error: unknown flag; did you mean --origin?\n"},
    {BW_CLI_RUN, "run --orgin=http://a", "--orgin: error: unknown flag; did you mean --origin?\n"},
    {BW_CLI_RUN, "run --cache-siz 1GiB",
     "--cache-siz: error: unknown flag; did you mean --cache-size?\n"},
    {BW_CLI_STATS, "stats --js",
     "--js: error: unknown flag; known here are --help, --admin, "
     "--json\n"},
    {BW_CLI_CHECK, "check --listen :80",
     "--listen: error: unknown flag; known here are --help, --config, --print\n"},
    {BW_CLI_VERSION, "version -v", "-v: error: unknown flag; known here are --help\n"},
    {BW_CLI_RUN, "run --origin", "--origin: error: needs a value; write --origin URL\n"},
    {BW_CLI_RUN, "run --origin=", "--origin: error: needs a value; write --origin URL\n"},
    {BW_CLI_RUN, "run --test-clock=on",
     "--test-clock: error: takes no value; write --test-clock alone\n"},
    {BW_CLI_RUN, "run --workers 1 --workers 2", "--workers: error: is given twice; keep one\n"},
    {BW_CLI_RUN, "run http://a",
     "http://a: error: is one word too many; a flag begins with --, "
     "see breakwater help\n"},
    {BW_CLI_VERSION, "version now",
     "now: error: is one word too many; a flag begins with --, see "
     "breakwater help\n"},
    {BW_CLI_HELP, "help run check",
     "check: error: is one word too many; a flag begins with --, "
     "see breakwater help\n"},
    {BW_CLI_RUN, "run -- x",
     "--: error: is one word too many; a flag begins with --, see breakwater help\n"},
};

TEST(a_wrong_word_is_answered_by_one_line)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(wrong); i++) {
        assert_false(read_line(wrong[i].command, wrong[i].line));
        bw_buf_char(&diag.text, '\0');
        assert_string_equal(diag.text.base, wrong[i].answer);
        assert_int_equal(diag.errors, 1);
        tidy_up(NULL);
    }
}

TEST(help_shows_flags_for_people_only)
{
    struct bw_buf out = {0};

    bw_cli_flags_help(BW_CLI_RUN, &out);
    bw_buf_char(&out, '\0');
    assert_non_null(strstr(out.base, "  --cache-size SIZE "));
    assert_non_null(strstr(out.base, "; default: 10GiB (or CACHE_SIZE)\n"));
    assert_null(strstr(out.base, "test-clock"));
    assert_null(strstr(out.base, "--json"));
    bw_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_TIDY(run_takes_every_flag),
        RUN_TIDY(what_is_not_said_stays_empty),
        RUN_TIDY(the_environment_stands_for_flags_of_run),
        RUN_TIDY(a_flag_goes_before_the_environment),
        RUN_TIDY(other_commands_ask_the_environment_for_nothing_but_the_admin_address),
        RUN_TIDY(help_can_be_asked_of_every_command_and_takes_a_word),
        RUN_TIDY(a_wrong_word_is_answered_by_one_line),
        RUN_TIDY(help_shows_flags_for_people_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
