/*
 * flags.c - one table of flags: reading, suggestions and help all work from it.
 *
 * getopt_long() would take any unambiguous beginning of a name; here a name has to be whole, so
 * that a flag added later cannot change what an old command line means.
 */
#include "breakwater/cli/flags.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/config/schema.h"

#include <getopt.h>
#include <stdlib.h>

/* What is done with a flag's value? */
enum kind { KIND_TEXT, KIND_LIST, KIND_SWITCH };

struct flag {
    const char *name;
    const char *value;    /* how help calls the value; NULL: a switch */
    unsigned commands;    /* bits of enum bw_cli_command */
    unsigned environment; /* the commands for which `variable` stands in */
    const char *variable;
    enum kind kind;
    size_t offset;     /* in struct bw_cli_flags */
    const char *prose; /* NULL: not for people */
    const char *path;  /* of the setting whose default help shows, or NULL */
};

#define TEXT(member)   .kind = KIND_TEXT, .offset = offsetof(struct bw_cli_flags, conf.member)
#define LIST(member)   .kind = KIND_LIST, .offset = offsetof(struct bw_cli_flags, member)
#define SWITCH(member) .kind = KIND_SWITCH, .offset = offsetof(struct bw_cli_flags, member)

static const struct flag table[] = {
    {.name = "config",
     .value = "FILE",
     .commands = BW_CLI_RUN | BW_CLI_CHECK,
     TEXT(file),
     .prose = "the configuration file; flags override it"},
    {.name = "origin",
     .value = "URL",
     .commands = BW_CLI_RUN,
     .environment = BW_CLI_RUN,
     .variable = "ORIGIN",
     LIST(origin),
     .prose = "http://HOST:PORT, https://HOST or unix:/PATH; may be repeated"},
    {.name = "listen",
     .value = "ADDRESS",
     .commands = BW_CLI_RUN,
     .environment = BW_CLI_RUN,
     .variable = "LISTEN",
     LIST(listen),
     .prose = ":8080, https://127.0.0.1:8443 or unix:/PATH; may be repeated",
     .path = "listen"},
    {.name = "certificate",
     .value = "FILE",
     .commands = BW_CLI_RUN,
     TEXT(certificate),
     .prose = "certificate and chain (PEM) for --listen https://..."},
    {.name = "key",
     .value = "FILE",
     .commands = BW_CLI_RUN,
     TEXT(key),
     .prose = "the key of the certificate"},
    {.name = "origin-trust",
     .value = "FILE",
     .commands = BW_CLI_RUN,
     TEXT(origin_trust),
     .prose = "trust the certificates of this file for --origin https://..."},
    {.name = "cache-dir",
     .value = "DIR",
     .commands = BW_CLI_RUN,
     TEXT(cache_dir),
     .prose = "the folder of the cache",
     .path = "cache.directory"},
    {.name = "cache-size",
     .value = "SIZE",
     .commands = BW_CLI_RUN,
     .environment = BW_CLI_RUN,
     .variable = "CACHE_SIZE",
     TEXT(cache_size),
     .prose = "what it may take on disk",
     .path = "cache.size"},
    {.name = "admin",
     .value = "ADDRESS",
     .commands = BW_CLI_RUN | BW_CLI_STATS,
     .environment = BW_CLI_RUN | BW_CLI_STATS,
     .variable = "ADMIN",
     TEXT(admin),
     .prose = "the address of the admin interface",
     .path = "admin.listen"},
    {.name = "workers",
     .value = "N",
     .commands = BW_CLI_RUN,
     TEXT(workers),
     .prose = "threads that serve; default: one for each core"},
    {.name = "test-clock", .commands = BW_CLI_RUN, SWITCH(test_clock)},
    {.name = "print",
     .commands = BW_CLI_CHECK,
     SWITCH(print),
     .prose = "print the whole configuration, with where each value came from"},
    {.name = "json",
     .commands = BW_CLI_STATS,
     SWITCH(json),
     .prose = "print everything there is, for machines"},
};

enum { FLAGS_N = BW_ARRAY_LEN(table), FIRST = 256 /* beyond the short flags */ };

struct reading {
    struct bw_cli_flags *flags;
    enum bw_cli_command command;
    struct bw_diag *diag;
    const char *token; /* that is being read */
    const char *name;  /* the same without what follows a '=' */
};

static void *member(struct bw_cli_flags *f, const struct flag *flag)
{
    return (char *)f + flag->offset;
}

static bool refuse(struct reading *r, const char *reason)
{
    bw_diag_error(r->diag, (struct bw_place){.file = r->name}, NULL, "%s", reason);
    return false;
}

static bool refuse_unknown(struct reading *r)
{
    struct bw_suggestion near = {.word = r->name + strspn(r->name, "-")};
    struct bw_buf reason = {0};

    for (size_t i = 0; i < FLAGS_N; i++)
        if (table[i].commands & r->command)
            bw_suggest(&near, table[i].name);
    if (near.best != NULL)
        bw_buf_printf(&reason, "unknown flag; did you mean --%s?", near.best);
    else
        bw_buf_str(&reason, "unknown flag; known here are --help");
    for (size_t i = 0; near.best == NULL && i < FLAGS_N; i++)
        if ((table[i].commands & r->command) && table[i].prose != NULL)
            bw_buf_printf(&reason, ", --%s", table[i].name);
    bw_buf_char(&reason, '\0');
    refuse(r, reason.base);
    bw_buf_free(&reason);
    return false;
}

static bool refuse_value(struct reading *r, const struct flag *flag)
{
    char *reason = flag->value != NULL
                       ? bw_sprintf("needs a value; write --%s %s", flag->name, flag->value)
                       : bw_sprintf("takes no value; write --%s alone", flag->name);

    refuse(r, reason);
    free(reason);
    return false;
}

static void add(struct bw_cli_list *list, const char *item)
{
    list->v = bw_realloc(list->v, (list->n + 1) * sizeof(*list->v));
    list->v[list->n++] = item;
}

/* One flag with its value; twice where once is meant would leave one of them without effect. */
static bool take(struct reading *r, const struct flag *flag, const char *value)
{
    void *to = member(r->flags, flag);

    if (flag->kind == KIND_SWITCH) {
        *(bool *)to = true;
        return true;
    }
    if (value == NULL || *value == '\0')
        return refuse_value(r, flag);
    if (flag->kind == KIND_LIST) {
        add(to, value);
        return true;
    }
    if (*(const char **)to != NULL)
        return refuse(r, "is given twice; keep one");
    *(const char **)to = value;
    return true;
}

static bool take_word(struct reading *r)
{
    struct bw_cli_flags *f = r->flags;

    if (f->word == NULL && (r->command & (BW_CLI_HELP | BW_CLI_REFERENCE))) {
        f->word = r->token;
        return true;
    }
    return refuse(r, "is one word too many; a flag begins with --, see breakwater help");
}

/* What getopt_long() found: a number of its option, or a sign of trouble. */
static bool take_found(struct reading *r, int found)
{
    const struct flag *flag = NULL;

    if (found >= FIRST || optopt >= FIRST)
        flag = &table[(found >= FIRST ? found : optopt) - FIRST];
    if (found == 'h') {
        r->flags->help = true;
        return true;
    }
    if (flag == NULL || strcmp(r->name + 2, flag->name) != 0)
        return refuse_unknown(r);
    return found >= FIRST ? take(r, flag, optarg) : refuse_value(r, flag);
}

static void list_options(enum bw_cli_command command, struct option *options)
{
    *options++ = (struct option){.name = "help", .val = 'h'};
    for (int i = 0; i < FLAGS_N; i++)
        if (table[i].commands & command)
            *options++ = (struct option){
                .name = table[i].name, .has_arg = table[i].value != NULL, .val = FIRST + i};
    *options = (struct option){0};
}

/* Reads the word at `optind`; "+": words are taken in their order, ":": getopt says nothing. */
static bool read_next(struct reading *r, int argc, char **argv, const struct option *options)
{
    struct bw_slice rest;
    char *name;
    int found;
    bool good;

    r->token = argv[optind];
    r->name = name = bw_slice_dup(bw_slice_cut(bw_slice_str(r->token), '=', &rest));
    found = getopt_long(argc, argv, "+:h", options, NULL);
    if (found != -1)
        good = take_found(r, found);
    else
        good = take_word(r);
    if (found == -1)
        optind++;
    free(name);
    return good;
}

static void split_list(struct bw_cli_list *list, const char *text)
{
    char *rest = list->text = bw_strdup(text), *item;

    while ((item = strsep(&rest, ",")) != NULL) {
        item += strspn(item, " ");
        item[strcspn(item, " ")] = '\0';
        if (*item != '\0')
            add(list, item);
    }
}

static void take_variable(struct bw_cli_flags *f, const struct flag *flag)
{
    const char *text = getenv(flag->variable);
    void *to = member(f, flag);

    if (text == NULL || *text == '\0')
        return;
    if (flag->kind == KIND_LIST && ((struct bw_cli_list *)to)->n == 0)
        split_list(to, text);
    else if (flag->kind == KIND_TEXT && *(const char **)to == NULL)
        *(const char **)to = text;
}

bool bw_cli_flags_read(struct bw_cli_flags *f, enum bw_cli_command command, int argc, char **argv,
                       struct bw_diag *d)
{
    struct reading r = {.flags = f, .command = command, .diag = d};
    struct option options[FLAGS_N + 2];

    list_options(command, options);
    optind = 0; /* glibc: begin anew */
    getopt_long(1, argv, "+:h", options, NULL);
    while (optind < argc)
        if (!read_next(&r, argc, argv, options))
            return false;
    for (size_t i = 0; i < FLAGS_N; i++)
        if (table[i].environment & command)
            take_variable(f, &table[i]);
    f->conf.listen = f->listen.v;
    f->conf.listen_n = f->listen.n;
    f->conf.origin = f->origin.v;
    f->conf.origin_n = f->origin.n;
    return true;
}

static void free_list(struct bw_cli_list *list)
{
    free(list->v);
    free(list->text);
}

void bw_cli_flags_free(struct bw_cli_flags *f)
{
    free_list(&f->listen);
    free_list(&f->origin);
    *f = (struct bw_cli_flags){0};
}

static const char *default_of(const struct flag *flag)
{
    size_t n;
    const struct bw_schema *rows = bw_schema_table(&n);

    for (size_t i = 0; flag->path != NULL && i < n; i++)
        if (strcmp(rows[i].path, flag->path) == 0)
            return rows[i].fallback;
    return NULL;
}

void bw_cli_flags_help(enum bw_cli_command command, struct bw_buf *out)
{
    for (size_t i = 0; i < FLAGS_N; i++) {
        const struct flag *flag = &table[i];
        char *left;

        if (!(flag->commands & command) || flag->prose == NULL)
            continue;
        left = bw_sprintf("--%s %s", flag->name, flag->value != NULL ? flag->value : "");
        bw_buf_printf(out, "  %-22s %s", left, flag->prose);
        if (default_of(flag) != NULL)
            bw_buf_printf(out, "; default: %s", default_of(flag));
        if (flag->environment & command)
            bw_buf_printf(out, " (or %s)", flag->variable);
        bw_buf_char(out, '\n');
        free(left);
    }
}
