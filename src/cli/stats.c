/*
 * stats.c - the table of `breakwater stats`: spans of time side by side, then where from and what
 * of it, then the state at this moment.
 */
#include "breakwater/cli/stats.h"

#include "breakwater/base/check.h"

#include <jansson.h>

#include <stdlib.h>

enum { NAME_WIDTH = 26, VALUE_WIDTH = 14, BUSIEST = 10 };

/* How is a figure shown? */
enum form { FORM_COUNT, FORM_BYTES, FORM_SHARE, FORM_SECONDS, FORM_MICROSECONDS };

struct row {
    const char *title;
    const char *key;
    enum form form;
};

static const struct row rows[] = {
    {"requests", "requests", FORM_COUNT},
    {"answered from the cache", "hits", FORM_COUNT},
    {"fetches from the origin", "origin_fetches", FORM_COUNT},
    {"request offload", "request_offload", FORM_SHARE},
    {"bytes to clients", "bytes_to_clients", FORM_BYTES},
    {"bytes from the origin", "bytes_from_origin", FORM_BYTES},
    {"byte offload", "byte_offload", FORM_SHARE},
    {"time of the origin saved", "origin_seconds_saved", FORM_SECONDS},
};

static const struct span {
    const char *title, *key;
} spans[] = {{"1 minute", "last_minute"},
             {"5 minutes", "last_5_minutes"},
             {"1 hour", "last_hour"},
             {"since start", "since_start"}};

/* ---- figures as text ---- */

/* A unit, and the value from which on it is used; the first is shown without decimals. */
struct unit {
    double from, size;
    const char *name;
};

static const struct unit bytes[] = {{0, 1, "B"},
                                    {0x1p10, 0x1p10, "KiB"},
                                    {0x1p20, 0x1p20, "MiB"},
                                    {0x1p30, 0x1p30, "GiB"},
                                    {0x1p40, 0x1p40, "TiB"}};
/* of microseconds; "90 s" says more than "1.5 min" */
static const struct unit times[] = {{0, 1, "us"},          {1e3, 1e3, "ms"},
                                    {1e6, 1e6, "s"},       {120e6, 60e6, "min"},
                                    {7200e6, 3600e6, "h"}, {172800e6, 86400e6, "days"}};

static void print_unit(const struct unit *units, size_t n, double value, struct bw_buf *out)
{
    size_t i = n - 1;

    while (i > 0 && value < units[i].from)
        i--;
    bw_buf_printf(out, "%.*f %s", i > 0 ? 1 : 0, value / units[i].size, units[i].name);
}

static void print_value(enum form form, const json_t *value, struct bw_buf *out)
{
    double number = json_number_value(value);

    if (!json_is_number(value)) {
        bw_buf_char(out, '-');
        return;
    }
    switch (form) {
    case FORM_COUNT:
        bw_buf_printf(out, "%.0f", number);
        return;
    case FORM_BYTES:
        print_unit(bytes, BW_ARRAY_LEN(bytes), number, out);
        return;
    case FORM_SHARE:
        bw_buf_printf(out, "%.1f %%", 100 * number);
        return;
    case FORM_SECONDS:
        print_unit(times, BW_ARRAY_LEN(times), number * 1e6, out);
        return;
    case FORM_MICROSECONDS:
        print_unit(times, BW_ARRAY_LEN(times), number, out);
        return;
    }
}

static void print_cell(enum form form, const json_t *value, int width, struct bw_buf *out)
{
    struct bw_buf text = {0};

    print_value(form, value, &text);
    bw_buf_char(&text, '\0');
    bw_buf_printf(out, "%*s", width, text.base);
    bw_buf_free(&text);
}

static void print_inline(enum form form, const json_t *object, const char *key, struct bw_buf *out)
{
    print_value(form, json_object_get(object, key), out);
}

/* Names come from requests: what a terminal would obey is shown as '?'. */
static void print_safely(struct bw_slice text, struct bw_buf *out)
{
    for (size_t i = 0; i < text.len; i++)
        bw_buf_char(out, text.base[i] >= 0x20 && text.base[i] < 0x7F ? text.base[i] : '?');
}

/* The first column; what is too long for it ends with '~'. */
static void print_name(const char *name, struct bw_buf *out)
{
    size_t n = strlen(name);
    bool cut = n >= NAME_WIDTH;

    n = cut ? NAME_WIDTH - 2 : n;
    bw_buf_str(out, "  ");
    print_safely(bw_slice(name, n), out);
    bw_buf_printf(out, "%-*s", NAME_WIDTH - (int)n, cut ? "~" : "");
}

/* ---- the parts ---- */

static void print_head(const json_t *root, struct bw_buf *out)
{
    const char *version = json_string_value(json_object_get(root, "version"));

    bw_buf_printf(out, "Breakwater %.32s, up ", version != NULL ? version : "?");
    print_inline(FORM_SECONDS, root, "uptime_seconds", out);
    bw_buf_str(out, "\n\n");
}

static void print_spans(const json_t *root, struct bw_buf *out)
{
    bw_buf_printf(out, "  %*s", NAME_WIDTH, "");
    for (size_t k = 0; k < BW_ARRAY_LEN(spans); k++)
        bw_buf_printf(out, "%*s", VALUE_WIDTH, spans[k].title);
    bw_buf_char(out, '\n');
    for (size_t i = 0; i < BW_ARRAY_LEN(rows); i++) {
        print_name(rows[i].title, out);
        for (size_t k = 0; k < BW_ARRAY_LEN(spans); k++)
            print_cell(rows[i].form,
                       json_object_get(json_object_get(root, spans[k].key), rows[i].key),
                       VALUE_WIDTH, out);
        bw_buf_char(out, '\n');
    }
}

struct group {
    const char *name;
    const json_t *figures;
};

static double requests_of(const json_t *figures)
{
    return json_number_value(json_object_get(figures, "requests"));
}

static int compare_groups(const void *a, const void *b)
{
    double x = requests_of(((const struct group *)a)->figures);
    double y = requests_of(((const struct group *)b)->figures);

    return x < y ? 1 : x > y ? -1 : 0;
}

static void print_group(const struct group *g, struct bw_buf *out)
{
    print_name(g->name[0] != '\0' ? g->name : "(none)", out);
    print_cell(FORM_COUNT, json_object_get(g->figures, "requests"), VALUE_WIDTH, out);
    print_cell(FORM_COUNT, json_object_get(g->figures, "origin_fetches"), VALUE_WIDTH, out);
    print_cell(FORM_SHARE, json_object_get(g->figures, "request_offload"), VALUE_WIDTH, out);
    print_cell(FORM_SHARE, json_object_get(g->figures, "byte_offload"), VALUE_WIDTH, out);
    bw_buf_char(out, '\n');
}

/* The busiest since the start; one alone would repeat what is said above. */
static void print_groups(json_t *root, const char *key, const char *title, struct bw_buf *out)
{
    json_t *groups = json_object_get(root, key), *figures;
    size_t n = json_object_size(groups), i = 0;
    struct group *list;
    const char *name;

    if (n < 2)
        return;
    list = calloc(n, sizeof(*list));
    BW_ASSERT(list != NULL);
    json_object_foreach(groups, name, figures) list[i++] = (struct group){name, figures};
    qsort(list, n, sizeof(*list), compare_groups);
    bw_buf_printf(out, "\n  %-*s%*s%*s%*s%*s\n", NAME_WIDTH, title, VALUE_WIDTH, "requests",
                  VALUE_WIDTH, "fetches", VALUE_WIDTH, "offload", VALUE_WIDTH, "byte offload");
    for (i = 0; i < n && i < BUSIEST; i++)
        print_group(&list[i], out);
    if (n > BUSIEST)
        bw_buf_printf(out, "  and %zu more, see --json\n", n - BUSIEST);
    free(list);
}

/* Neither hits nor fetches: requests that shared somebody else's. */
static void print_shared(const json_t *root, struct bw_buf *out)
{
    print_name("shared a fetch", out);
    print_inline(FORM_COUNT, json_object_get(root, "counters"), "collapsed", out);
    bw_buf_str(out, " requests since start\n");
}

static void print_latency(const json_t *root, const char *key, const char *title,
                          struct bw_buf *out)
{
    const json_t *latency = json_object_get(json_object_get(root, "latency"), key);

    print_name(title, out);
    if (!json_is_number(json_object_get(latency, "p50_us"))) {
        bw_buf_str(out, "-\n"); /* there was none */
        return;
    }
    bw_buf_str(out, "half within ");
    print_inline(FORM_MICROSECONDS, latency, "p50_us", out);
    bw_buf_str(out, ", 99 % within ");
    print_inline(FORM_MICROSECONDS, latency, "p99_us", out);
    bw_buf_char(out, '\n');
}

static void print_store(const json_t *root, struct bw_buf *out)
{
    const json_t *store = json_object_get(root, "store"), *now = json_object_get(root, "now");

    print_name("stored", out);
    print_inline(FORM_COUNT, store, "objects", out);
    bw_buf_str(out, " objects, ");
    print_inline(FORM_BYTES, store, "bytes", out);
    bw_buf_str(out, " of ");
    print_inline(FORM_BYTES, store, "size_bytes", out);
    if (json_is_false(json_object_get(now, "index_loaded")))
        bw_buf_str(out, "; what was stored before the start is still being counted");
    bw_buf_char(out, '\n');
}

static void print_memory(const json_t *root, struct bw_buf *out)
{
    const json_t *memory = json_object_get(root, "memory");

    print_name("memory", out);
    print_inline(FORM_BYTES, memory, "used_bytes", out);
    bw_buf_str(out, " of ");
    print_inline(FORM_BYTES, memory, "limit_bytes", out);
    bw_buf_char(out, '\n');
}

static void print_now(const json_t *root, struct bw_buf *out)
{
    const json_t *now = json_object_get(root, "now");

    print_name("now", out);
    print_inline(FORM_COUNT, now, "connections", out);
    bw_buf_str(out, " connections, ");
    print_inline(FORM_COUNT, now, "fills", out);
    bw_buf_str(out, " fills, ");
    print_inline(FORM_COUNT, now, "requests_waiting", out);
    bw_buf_str(out, " requests waiting in them");
    bw_buf_str(out, json_is_false(json_object_get(now, "ready")) ? "; draining\n" : "\n");
}

/* A refused reload is easily overlooked: the old configuration goes on. */
static void print_config(const json_t *root, struct bw_buf *out)
{
    const char *error =
        json_string_value(json_object_get(json_object_get(root, "config"), "error"));

    if (error == NULL)
        return;
    bw_buf_str(out, "\nThe last reload was refused: ");
    print_safely(bw_slice(error, strcspn(error, "\n")), out);
    bw_buf_char(out, '\n');
}

bool bw_cli_stats_table(struct bw_slice json, struct bw_buf *out)
{
    json_t *root = json_loadb(json.base, json.len, 0, NULL);
    bool good = json_is_object(json_object_get(root, "since_start"));

    if (good) {
        print_head(root, out);
        print_spans(root, out);
        print_groups(root, "hosts", "by host, since start", out);
        print_groups(root, "rules", "by rule, since start", out);
        bw_buf_char(out, '\n');
        print_shared(root, out);
        print_latency(root, "hits", "time for a hit", out);
        print_latency(root, "misses", "time for a miss", out);
        print_store(root, out);
        print_memory(root, out);
        print_now(root, out);
        print_config(root, out);
    }
    json_decref(root);
    return good;
}
