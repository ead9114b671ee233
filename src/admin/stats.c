/*
 * stats.c - the report as JSON: GET /v1/stats.
 *
 * Shares are null where nothing was asked, for no number would be true.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include "admin_priv.h"

#include <jansson.h>

#include <stdlib.h>

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)(n > INT64_MAX ? INT64_MAX : n));
}

/* What is not UTF-8 is shown as '?': jansson would refuse it. */
static char *make_text(const char *s)
{
    char *copy = bw_strdup(s);
    json_t *good = json_string(s);

    for (char *c = copy; good == NULL && *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    json_decref(good);
    return copy;
}

static void set(json_t *into, const char *key, json_t *value)
{
    char *text = make_text(key);

    json_object_set_new(into, text, value);
    free(text);
}

static json_t *text_or_null(const char *s)
{
    char *text = s != NULL ? make_text(s) : NULL;
    json_t *value = text != NULL ? json_string(text) : json_null();

    free(text);
    return value;
}

static void set_rows(json_t *object, struct bw_rows rows, const void *figures)
{
    for (size_t i = 0; i < rows.n; i++)
        set(object, rows.v[i].name, number(bw_row_value(&rows.v[i], figures)));
}

static json_t *rows_object(struct bw_rows rows, const void *figures)
{
    json_t *object = json_object();

    set_rows(object, rows, figures);
    return object;
}

static json_t *share(bool known, double value)
{
    return known ? json_real(value) : json_null();
}

static void set_sums(json_t *object, const struct bw_sums *s)
{
    double value = 0;
    bool known;

    set_rows(object, bw_rows_sums(), s);
    set(object, "origin_seconds_saved", json_real((double)s->v[BW_SUM_SAVED_US] / 1e6));
    known = bw_sums_request_offload(s, &value);
    set(object, "request_offload", share(known, value));
    known = bw_sums_byte_offload(s, &value);
    set(object, "byte_offload", share(known, value));
}

/* One object for each span but the whole, which goes to `whole`. */
static void set_spans(json_t *spans, json_t *whole, const struct bw_window *w,
                      const struct bw_sums *total)
{
    static const char *const names[BW_SPAN_START] = {
        [BW_SPAN_MINUTE] = "last_minute",
        [BW_SPAN_5_MINUTES] = "last_5_minutes",
        [BW_SPAN_HOUR] = "last_hour",
    };
    struct bw_sums sums;

    for (enum bw_span span = BW_SPAN_MINUTE; span < BW_SPAN_START; span++) {
        json_t *sum = json_object();

        bw_window_sum(w, span, total, &sums);
        set_sums(sum, &sums);
        set(spans, names[span], sum);
    }
    set_sums(whole, total);
}

static void set_group(json_t *groups, const char *name, const struct bw_group *g)
{
    json_t *figures = json_object();

    set_spans(figures, figures, &g->window, &g->total);
    set(groups, name, figures);
}

/* Names of rules and hosts, and the common group under a name that neither can have. */
static json_t *groups_object(const struct bw_group *list, const struct bw_group *common,
                             const char *common_name)
{
    json_t *groups = json_object();

    for (const struct bw_group *g = list; g != NULL; g = g->next)
        set_group(groups, g->name, g);
    if (common->total.v[BW_SUM_REQUESTS] > 0 || common->total.v[BW_SUM_FETCHES] > 0)
        set_group(groups, common_name, common);
    return groups;
}

static json_t *outcomes(const struct bw_report *r)
{
    json_t *matrix = json_object();

    for (enum bw_outcome o = 0; o < BW_OUTCOME_COUNT; o++) {
        json_t *row = json_object();

        for (enum bw_reason why = 0; why < BW_REASON_COUNT; why++)
            if (r->outcome[o][why] > 0)
                set(row, bw_reason_name(why), number(r->outcome[o][why]));
        set(matrix, bw_outcome_name(o), row);
    }
    return matrix;
}

static json_t *latency(const struct bw_latency *l)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999}};
    json_t *object = json_object(), *buckets = json_array();

    set(object, "count", number(l->count));
    set(object, "mean_us",
        share(l->count > 0, l->count > 0 ? (double)l->sum_us / (double)l->count : 0));
    for (size_t i = 0; i < BW_ARRAY_LEN(quantiles); i++)
        set(object, quantiles[i].name,
            share(l->count > 0, l->count > 0 ? bw_latency_quantile(l, quantiles[i].q) : 0));
    for (unsigned i = 0; i < BW_HISTOGRAM_BUCKETS; i++) {
        json_t *bucket = json_object();

        set(bucket, "below_us",
            i + 1 < BW_HISTOGRAM_BUCKETS ? number(bw_latency_below(i)) : json_null());
        set(bucket, "count", number(l->bucket[i]));
        json_array_append_new(buckets, bucket);
    }
    set(object, "buckets", buckets);
    return object;
}

static json_t *now(const struct bw_report *r)
{
    json_t *object = rows_object(bw_rows_now(), &r->now);

    set(object, "index_loaded", json_boolean(r->now.index_loaded));
    set(object, "ready", json_boolean(r->ready));
    return object;
}

static json_t *config(const struct bw_report *r)
{
    json_t *object = json_object();

    set(object, "generation", number(r->config.generation));
    set(object, "reloads", number(r->config.reloads));
    set(object, "error", text_or_null(r->config.error));
    return object;
}

static json_t *whole(const struct bw_admin *a, const struct bw_report *r)
{
    json_t *root = json_object(), *start = json_object(), *latencies = json_object();

    set(root, "version", json_string(BW_VERSION));
    set(root, "uptime_seconds", json_real(r->uptime_s));
    set(root, "now", now(r));
    set(root, "since_start", start);
    set_spans(root, start, &a->window, &r->total);
    set(root, "config", config(r));
    set(root, "outcomes", outcomes(r));
    set(root, "latency", latencies);
    set(latencies, "hits", latency(&r->hits));
    set(latencies, "misses", latency(&r->misses));
    set(root, "rules", groups_object(a->groups.rules, &a->groups.no_rule, BW_NO_RULE));
    set(root, "hosts", groups_object(a->groups.hosts, &a->groups.other_hosts, BW_OTHER_HOSTS));
    set(root, "counters", rows_object(bw_rows_counters(), r));
    set(root, "fills", rows_object(bw_rows_fills(), r));
    set(root, "store", rows_object(bw_rows_store(), &r->store));
    set(root, "memory", rows_object(bw_rows_memory(), &r->memory));
    set(root, "origin", rows_object(bw_rows_origin(), &r->origin));
    return root;
}

static int append(const char *bytes, size_t n, void *out)
{
    bw_buf_append(out, bytes, n);
    return 0;
}

void bw_stats_write(struct bw_admin *a, struct bw_buf *out)
{
    struct bw_report report;
    json_t *root;

    bw_report_read(a, &report);
    root = whole(a, &report);
    json_dump_callback(root, append, out,
                       JSON_INDENT(2) | JSON_REAL_PRECISION(10) | JSON_ENSURE_ASCII);
    bw_buf_char(out, '\n');
    json_decref(root);
}
