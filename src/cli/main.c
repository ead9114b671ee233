/*
 * main.c - the command line: which command, with which flags.
 *
 * Exit status: 0 done, 1 the answer is no, 2 wrong use or wrong configuration; a mistake is one
 * line on stderr, and nothing was touched.
 */
#include "breakwater/base/check.h"
#include "breakwater/cli/flags.h"
#include "breakwater/config/schema.h"
#include "breakwater/server/server.h"

#include <stdio.h>
#include <stdlib.h>

struct command {
    const char *name;
    enum bw_cli_command id;
    int (*run)(const struct bw_cli_flags *f);
};

static void say(struct bw_diag *d)
{
    if (d->text.len > 0)
        fwrite(d->text.base, 1, d->text.len, stderr);
    bw_diag_free(d);
}

static int run(const struct bw_cli_flags *f)
{
    return bw_server_run(&f->conf, f->test_clock);
}

static int version(const struct bw_cli_flags *f)
{
    (void)f;
    puts("breakwater " BW_VERSION);
    return 0;
}

static const struct command commands[] = {
    {"run", BW_CLI_RUN, run},
    {"version", BW_CLI_VERSION, version},
};

int main(int argc, char **argv)
{
    struct bw_cli_flags flags = {0};
    struct bw_diag d = {0};
    int status = 2;

    for (size_t i = 0; argc > 1 && i < BW_ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0 &&
            bw_cli_flags_read(&flags, commands[i].id, argc - 1, argv + 1, &d))
            status = commands[i].run(&flags);
    say(&d);
    bw_cli_flags_free(&flags);
    return status;
}
