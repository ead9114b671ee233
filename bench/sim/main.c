/*
 * main.c - the command line of the simulator: traces and shares in, one line of JSON a cell out.
 */
#include "sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SHARES_MAX = 16, OBJECTS = 20000, NUMBER_MAX = 10000000 };

struct options {
    double share[SHARES_MAX]; /* per cent of the footprint */
    size_t shares;
    char *policies; /* names with commas between, NULL: all */
    const char *tables, *write;
    uint32_t objects;  /* of the models */
    uint32_t requests; /* the first so many */
    uint32_t shrink;   /* sizes by that */
};

static const char usage[] =
    "usage: offload-sim [--shares 1,5,10,25] [--policies NAME,...] [--tables FOLDER]\n"
    "                   [--objects N] [--requests N] [--shrink N] [--write FILE.csv] TRACE...\n"
    "       offload-sim --list\n"
    "A trace is one that --list shows or a file of time,id,size[,ttl].  Shares are per cent of "
    "the\n"
    "footprint.  --objects: of the traces web and web-joint.  --requests: the first N of a trace.\n"
    "--shrink: sizes are divided by N.  --write: only write the trace.\n";

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void list(void)
{
    for (const char *const *name = bw_sim_generated; *name != NULL; name++)
        printf("trace %s\n", *name);
    for (size_t i = 0; i < bw_sim_policies_n; i++)
        printf("policy %s\n", bw_sim_policies[i]->name);
}

static bool read_shares(char *text, struct options *o)
{
    char *save = NULL, *end;

    o->shares = 0;
    for (char *s = strtok_r(text, ",", &save); s != NULL; s = strtok_r(NULL, ",", &save)) {
        double share = strtod(s, &end);
        if (*end != '\0' || !(share > 0 && share <= 100) || o->shares == SHARES_MAX) {
            fprintf(stderr,
                    "offload: --shares %s: up to %d numbers above 0 and up to 100, in per cent\n",
                    s, SHARES_MAX);
            return false;
        }
        o->share[o->shares++] = share;
    }
    return o->shares > 0;
}

static bool read_number(const char *option, const char *text, uint32_t *value)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*end != '\0' || n == 0 || n > NUMBER_MAX) {
        fprintf(stderr, "offload: --%s %s: a number from 1 to %d\n", option, text, NUMBER_MAX);
        return false;
    }
    *value = (uint32_t)n;
    return true;
}

/* A name in the list that nobody bears would otherwise be a row that is missing. */
static bool policies_exist(const char *names)
{
    char *copy = strdup(names), *save = NULL;
    bool all = copy != NULL;

    for (char *s = strtok_r(copy, ",", &save); all && s != NULL; s = strtok_r(NULL, ",", &save)) {
        if (bw_sim_policy(s) == NULL) {
            fprintf(stderr, "offload: there is no policy %s: --list shows them\n", s);
            all = false;
        }
    }
    free(copy);
    return all;
}

static bool is_chosen(const char *names, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = names; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, n) == 0 && (at[n] == '\0' || at[n] == ','))
            return true;
    }
    return names == NULL;
}

/* Of a trace: it may be a path with anything in it. */
static void print_name(const char *name)
{
    for (; *name != '\0'; name++)
        if ((unsigned char)*name < ' ' || *name == '"' || *name == '\\')
            printf("\\u%04x", *name);
        else
            putchar(*name);
}

static void run_cell(const struct bw_sim_trace *t, const struct bw_sim_policy *p, double share)
{
    double began = seconds();
    uint64_t room = (uint64_t)((double)t->footprint * share / 100);
    struct bw_sim_result r = bw_sim_replay(t, p, room);

    fputs("{\"trace\": \"", stdout);
    print_name(t->name);
    printf(
        "\", \"share\": %g, \"policy\": \"%s\", \"protects\": \"%s\", "
        "\"requests\": %u, \"objects\": %u, \"bytes\": %.0f, \"footprint\": %llu, \"room\": %llu, "
        "\"request_offload\": %.3f, \"byte_offload\": %.3f, \"seconds\": %.2f}\n",
        share, p->name, p->bytes ? "bytes" : "requests", t->requests, t->used, t->bytes,
        (unsigned long long)t->footprint, (unsigned long long)room, r.requests, r.bytes,
        seconds() - began);
    fflush(stdout);
}

static bool is_generated(const char *name)
{
    for (const char *const *each = bw_sim_generated; *each != NULL; each++)
        if (strcmp(*each, name) == 0)
            return true;
    return false;
}

static bool run(const char *name, const struct options *o)
{
    struct bw_sim_trace t;
    bool good = is_generated(name) ? bw_sim_generate(name, o->tables, o->objects, &t)
                                   : bw_sim_csv_read(name, &t);

    if (!good)
        return false;
    if (o->requests > 0 || o->shrink > 1)
        bw_sim_trace_reduce(&t, o->requests, o->shrink);
    if (o->write != NULL)
        good = bw_sim_csv_write(o->write, &t);
    for (size_t s = 0; o->write == NULL && s < o->shares; s++)
        for (size_t i = 0; i < bw_sim_policies_n; i++)
            if (is_chosen(o->policies, bw_sim_policies[i]->name))
                run_cell(&t, bw_sim_policies[i], o->share[s]);
    bw_sim_trace_free(&t);
    return good;
}

static bool read_option(int option, char *value, struct options *o)
{
    switch (option) {
    case 's':
        return read_shares(value, o);
    case 'p':
        o->policies = value;
        return policies_exist(value);
    case 't':
        o->tables = value;
        return true;
    case 'o':
        return read_number("objects", value, &o->objects);
    case 'r':
        return read_number("requests", value, &o->requests);
    case 'k':
        return read_number("shrink", value, &o->shrink);
    case 'w':
        o->write = value;
        return true;
    case 'l':
        list();
        exit(0);
    case 'h':
        fputs(usage, stdout);
        exit(0);
    }
    return false;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"shares", required_argument, NULL, 's'},   {"policies", required_argument, NULL, 'p'},
        {"tables", required_argument, NULL, 't'},   {"objects", required_argument, NULL, 'o'},
        {"write", required_argument, NULL, 'w'},    {"list", no_argument, NULL, 'l'},
        {"requests", required_argument, NULL, 'r'}, {"shrink", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };

    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) >= 0;)
        if (!read_option(c, optarg, o))
            return false;
    if (optind == argc)
        fputs(usage, stderr);
    return optind < argc;
}

int main(int argc, char **argv)
{
    struct options o = {
        .share = {1, 5, 10, 25}, .shares = 4, .tables = "bench/traces", .objects = OBJECTS};

    if (!read_options(argc, argv, &o))
        return 2;
    for (int i = optind; i < argc; i++)
        if (!run(argv[i], &o))
            return 1;
    return 0;
}
