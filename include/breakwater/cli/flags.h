/*
 * flags.h - the words after a command's name: flags, and environment variables that stand for them.
 *
 * Values are only collected here; config/ judges them, by the same rules as those of a file.
 */
#pragma once

#include "breakwater/config/conf.h"

#include <stdbool.h>

/* Which command do the flags belong to?  Bits, since a flag may belong to several. */
enum bw_cli_command {
    BW_CLI_RUN = 1,
    BW_CLI_CHECK = 2,
    BW_CLI_STATS = 4,
    BW_CLI_VERSION = 8,
    BW_CLI_HELP = 16,      /* takes one word: a command */
    BW_CLI_REFERENCE = 32, /* takes one word: a page */
};

struct bw_cli_list {
    const char **v;
    size_t n;
    char *text; /* what the items point into, where they were split, or NULL */
};

/* Zero-initialise; bw_cli_flags_free() when done. */
struct bw_cli_flags {
    struct bw_conf_flags conf; /* points into argv, the environment and the lists */
    struct bw_cli_list listen, origin;
    const char *word; /* what is no flag, or NULL */
    bool test_clock, print, json, help;
};

/*
 * Reads argv[1] and following; argv[0] is the command's name.  Where a flag is not given, `run`
 * looks for ORIGIN, LISTEN (comma-separated lists), CACHE_SIZE and ADMIN in the environment, and
 * `stats` for ADMIN.  False: one error in `d`.  Not thread-safe (getopt).
 */
bool bw_cli_flags_read(struct bw_cli_flags *f, enum bw_cli_command command, int argc, char **argv,
                       struct bw_diag *d);
void bw_cli_flags_free(struct bw_cli_flags *f);

/* One line for each flag of the command that is meant for people. */
void bw_cli_flags_help(enum bw_cli_command command, struct bw_buf *out);
