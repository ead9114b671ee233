/*
 * main.c - the command line: which command, with which flags.
 *
 * Exit status: 0 done, 1 the answer is no, 2 wrong use or wrong configuration; a mistake is one
 * line on stderr, and nothing was touched.
 */
#include "breakwater/base/check.h"
#include "breakwater/cli/client.h"
#include "breakwater/cli/flags.h"
#include "breakwater/cli/stats.h"
#include "breakwater/config/reference.h"
#include "breakwater/config/schema.h"
#include "breakwater/origin/fetch.h"
#include "breakwater/server/server.h"
#include "breakwater/server/tls_front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { STATUS_DONE, STATUS_NO, STATUS_WRONG };
enum { STATS_PATIENCE_MS = 10000 };

struct command {
    const char *name;
    enum bw_cli_command id;
    int (*run)(const struct bw_cli_flags *f, struct bw_diag *d);
    const char *usage;
    const char *prose; /* NULL: not for people */
};

static const struct bw_place nowhere = {.file = "breakwater"};

static void say(struct bw_diag *d)
{
    if (d->text.len > 0)
        fwrite(d->text.base, 1, d->text.len, stderr);
    bw_diag_free(d);
}

/* To stdout, and frees it. */
static int print(struct bw_buf *text, struct bw_diag *d)
{
    bool good = fwrite(text->base, 1, text->len, stdout) == text->len && fflush(stdout) == 0;

    if (!good)
        bw_diag_error(d, nowhere, NULL, "cannot write to stdout: %s", strerror(errno));
    bw_buf_free(text);
    return good ? STATUS_DONE : STATUS_NO;
}

/* ---- the commands ---- */

static int run(const struct bw_cli_flags *f, struct bw_diag *d)
{
    (void)d;
    return bw_server_run(&f->conf, f->test_clock);
}

/* What a configuration names must be good, too: run would refuse it. */
static void check_certificates(const struct bw_conf *c, struct bw_diag *d)
{
    struct bw_tls_tickets *tickets = bw_tls_tickets_new();

    for (size_t i = 0; i < c->listen_n; i++) {
        const struct bw_listen_conf *l = &c->listen[i];
        struct bw_tls_front *front = l->tls ? bw_tls_front_new(l, tickets, d) : NULL;

        if (front != NULL)
            bw_tls_front_free(front);
    }
    bw_tls_tickets_put(tickets);
}

static void check_pools(const struct bw_conf *c, struct bw_diag *d)
{
    char why[512];

    if (bw_origin_check(c->pools, c->pools_n, why, sizeof(why)) != BW_OK)
        bw_diag_error(d, (struct bw_place){0}, NULL, "%s", why);
}

static int check(const struct bw_cli_flags *f, struct bw_diag *d)
{
    struct bw_buf out = {0};
    struct bw_conf *c;

    if (f->conf.file == NULL) {
        bw_diag_error(d, (struct bw_place){.file = "--config"}, NULL,
                      "is missing; write breakwater check --config FILE");
        return STATUS_WRONG;
    }
    c = bw_conf_load(&f->conf, d);
    if (c != NULL) {
        check_certificates(c, d);
        check_pools(c, d);
        bw_conf_check_log(c, d);
    }
    if (d->errors > 0) {
        bw_conf_put(c);
        return STATUS_WRONG;
    }
    if (f->print)
        bw_conf_print(c, &out);
    else
        bw_buf_printf(&out, "%s: ok\n", f->conf.file);
    bw_conf_put(c);
    return print(&out, d);
}

static const char *default_admin(void)
{
    const struct bw_schema *admin = bw_schema_find(bw_schema_root(), "admin");

    return bw_schema_find(admin, "listen")->fallback;
}

static int stats(const struct bw_cli_flags *f, struct bw_diag *d)
{
    const char *address = f->conf.admin != NULL ? f->conf.admin : default_admin();
    struct bw_buf body = {0}, table = {0}, why = {0};
    bool good;

    if (!bw_cli_is_address(address)) {
        bw_diag_error(d, (struct bw_place){.file = "--admin"}, NULL,
                      "\"%s\" is no address; write such as 127.0.0.1:9180 or unix:/PATH", address);
        return STATUS_WRONG;
    }
    good = bw_cli_get(address, "/v1/stats", STATS_PATIENCE_MS, &body, &why);

    if (good && f->json) {
        bw_buf_slice(&table, bw_buf_view(&body));
    } else if (good && !bw_cli_stats_table(bw_buf_view(&body), &table)) {
        bw_buf_printf(&why, "%s: does not answer with statistics; is that the admin address?",
                      address);
        good = false;
    }
    if (!good)
        bw_diag_error(d, nowhere, NULL, "%.*s", (int)why.len, why.base);
    bw_buf_free(&body);
    bw_buf_free(&why);
    return good ? print(&table, d) : STATUS_NO;
}

static int version(const struct bw_cli_flags *f, struct bw_diag *d)
{
    struct bw_buf out = {0};

    (void)f;
    bw_buf_str(&out, "breakwater " BW_VERSION "\n");
    return print(&out, d);
}

static int reference(const struct bw_cli_flags *f, struct bw_diag *d)
{
    struct bw_buf out = {0};

    if (f->word != NULL && strcmp(f->word, "full-yaml") == 0)
        bw_reference_full_yaml(&out);
    else if (f->word != NULL && strcmp(f->word, "markdown") == 0)
        bw_reference_markdown(&out);
    if (out.len > 0)
        return print(&out, d);
    bw_diag_error(d, nowhere, NULL, "write breakwater reference full-yaml, or markdown");
    return STATUS_WRONG;
}

static int help(const struct bw_cli_flags *f, struct bw_diag *d);

static const struct command commands[] = {
    {"run", BW_CLI_RUN, run, "run --origin URL [--listen ADDRESS] [--config FILE] ...",
     "serve; SIGHUP reloads the file, SIGTERM drains"},
    {"check", BW_CLI_CHECK, check, "check --config FILE [--print]",
     "is a configuration right? what does it say in full?"},
    {"stats", BW_CLI_STATS, stats, "stats [--admin ADDRESS] [--json]",
     "what has a running Breakwater spared its origin?"},
    {"version", BW_CLI_VERSION, version, "version", "which version is this?"},
    {"help", BW_CLI_HELP, help, "help [COMMAND]", "this, or the flags of a command"},
    {"reference", BW_CLI_REFERENCE, reference, "reference full-yaml|markdown", NULL},
};

/* ---- which command ---- */

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int refuse_command(const char *name, struct bw_diag *d)
{
    struct bw_suggestion near = {.word = name};
    struct bw_place at = {.file = name};

    for (size_t i = 0; i < BW_ARRAY_LEN(commands); i++)
        if (commands[i].prose != NULL)
            bw_suggest(&near, commands[i].name);
    if (name[0] == '-')
        bw_diag_error(d, at, NULL, "a command comes before the flags; write breakwater run %s ...",
                      name);
    else if (near.best != NULL)
        bw_diag_error(d, at, NULL, "unknown command; did you mean \"%s\"?", near.best);
    else
        bw_diag_error(d, at, NULL, "unknown command; known are run, check, stats, version, help");
    return STATUS_WRONG;
}

static int help_command(const struct command *c, struct bw_diag *d)
{
    struct bw_buf out = {0};

    bw_buf_printf(&out, "breakwater %s\n", c->usage);
    if (c->prose != NULL)
        bw_buf_printf(&out, "  %s\n\n", c->prose);
    bw_cli_flags_help(c->id, &out);
    return print(&out, d);
}

static int help(const struct bw_cli_flags *f, struct bw_diag *d)
{
    struct bw_buf out = {0};
    const struct command *c = f->word != NULL ? find(f->word) : NULL;

    if (c != NULL)
        return help_command(c, d);
    if (f->word != NULL)
        return refuse_command(f->word, d);
    bw_buf_str(&out, "Breakwater " BW_VERSION ", a caching HTTP accelerator\n\n");
    for (size_t i = 0; i < BW_ARRAY_LEN(commands); i++)
        if (commands[i].prose != NULL)
            bw_buf_printf(&out, "  breakwater %s\n      %s\n", commands[i].usage,
                          commands[i].prose);
    return print(&out, d);
}

static int dispatch(int argc, char **argv, struct bw_cli_flags *flags, struct bw_diag *d)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    const struct command *c;

    if (name == NULL) {
        bw_diag_error(d, nowhere, NULL,
                      "no command; write breakwater run --origin http://HOST:PORT, or "
                      "breakwater help");
        return STATUS_WRONG;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    c = find(name);
    if (c == NULL)
        return refuse_command(name, d);
    if (!bw_cli_flags_read(flags, c->id, argc - 1, argv + 1, d))
        return STATUS_WRONG;
    return flags->help ? help_command(c, d) : c->run(flags, d);
}

/*
 * Where 0, 1 or 2 is closed, a file or a client would get its number, and our messages with it.
 * Not writable: what is printed to nowhere is still a failure.
 */
static void open_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct bw_cli_flags flags = {0};
    struct bw_diag d = {0};
    int status;

    open_standard_descriptors();
    status = dispatch(argc, argv, &flags, &d);
    say(&d);
    bw_cli_flags_free(&flags);
    return status;
}
