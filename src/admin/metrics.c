/*
 * metrics.c - the report for Prometheus: GET /metrics.
 *
 * Names follow its rules (unit last, _total for what only grows), so that `promtool check metrics`
 * has nothing to say.  Hosts are at most BW_HOST_GROUPS labels, rules as many as the operator
 * wrote.
 */
#include "admin_priv.h"

#include <inttypes.h>

static void begin(struct bw_buf *out, const char *name, const char *type, const char *help)
{
    bw_buf_printf(out, "# HELP breakwater_%s %s\n# TYPE breakwater_%s %s\n", name, help, name,
                  type);
}

/* The three characters that a label's value must not hold as they are. */
static void write_label(struct bw_buf *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            bw_buf_str(out, "\\n");
            continue;
        }
        if (*value == '"' || *value == '\\')
            bw_buf_char(out, '\\');
        bw_buf_char(out, *value);
    }
}

static void write_name(const struct bw_row *row, const char *prefix, char *name, size_t cap)
{
    size_t len = strlen(row->name);
    bool bytes = len > 6 && strcmp(row->name + len - 6, "_bytes") == 0;

    snprintf(name, cap, "%s%s%s", prefix, row->name, row->gauge || bytes ? "" : "_total");
}

static void write_rows(struct bw_buf *out, const char *prefix, struct bw_rows rows,
                       const void *figures)
{
    char name[64];

    for (size_t i = 0; i < rows.n; i++) {
        write_name(&rows.v[i], prefix, name, sizeof(name));
        begin(out, name, rows.v[i].gauge ? "gauge" : "counter", rows.v[i].help);
        bw_buf_printf(out, "breakwater_%s %" PRIu64 "\n", name, bw_row_value(&rows.v[i], figures));
    }
}

static void write_outcomes(struct bw_buf *out, const struct bw_report *r)
{
    begin(out, "requests_total", "counter", "Requests of clients by outcome and reason.");
    for (enum bw_outcome o = 0; o < BW_OUTCOME_COUNT; o++)
        for (enum bw_reason why = 0; why < BW_REASON_COUNT; why++)
            if (r->outcome[o][why] > 0)
                bw_buf_printf(
                    out, "breakwater_requests_total{outcome=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
                    bw_outcome_name(o), bw_reason_name(why), r->outcome[o][why]);
}

/* Requests have labels of their own, so the totals begin behind them. */
static void write_totals(struct bw_buf *out, const struct bw_report *r)
{
    struct bw_rows rows = bw_rows_sums();

    rows.v++;
    rows.n--;
    write_rows(out, "", rows, &r->total);
    begin(out, "origin_saved_seconds_total", "counter", "Origin time that hits spared.");
    bw_buf_printf(out, "breakwater_origin_saved_seconds_total %.6f\n",
                  (double)r->total.v[BW_SUM_SAVED_US] / 1e6);
}

static void write_latency(struct bw_buf *out, const char *of, const struct bw_latency *l)
{
    uint64_t count = 0;

    for (unsigned i = 0; i + 1 < BW_HISTOGRAM_BUCKETS; i++) {
        count += l->bucket[i];
        bw_buf_printf(
            out, "breakwater_request_duration_seconds_bucket{of=\"%s\",le=\"%.6f\"} %" PRIu64 "\n",
            of, (double)bw_latency_below(i) / 1e6, count);
    }
    bw_buf_printf(out,
                  "breakwater_request_duration_seconds_bucket{of=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
                  "breakwater_request_duration_seconds_sum{of=\"%s\"} %.6f\n"
                  "breakwater_request_duration_seconds_count{of=\"%s\"} %" PRIu64 "\n",
                  of, l->count, of, (double)l->sum_us / 1e6, of, l->count);
}

/* One sample of a figure for a group. */
static void write_group(struct bw_buf *out, const char *metric, const char *label,
                        const char *group, uint64_t value)
{
    bw_buf_printf(out, "breakwater_%s{%s=\"", metric, label);
    write_label(out, group);
    bw_buf_printf(out, "\"} %" PRIu64 "\n", value);
}

static void write_groups(struct bw_buf *out, const char *label, const struct bw_group *list,
                         const struct bw_group *common, const char *common_name)
{
    struct bw_rows rows = bw_rows_sums();
    char prefix[16], name[64];

    snprintf(prefix, sizeof(prefix), "%s_", label);
    for (size_t i = 0; i < rows.n; i++) {
        write_name(&rows.v[i], prefix, name, sizeof(name));
        begin(out, name, "counter", rows.v[i].help);
        for (const struct bw_group *g = list; g != NULL; g = g->next)
            write_group(out, name, label, g->name, bw_row_value(&rows.v[i], &g->total));
        write_group(out, name, label, common_name, bw_row_value(&rows.v[i], &common->total));
    }
}

static void write_process(struct bw_buf *out, const struct bw_report *r)
{
    begin(out, "build_info", "gauge", "The version that runs.");
    bw_buf_str(out, "breakwater_build_info{version=\"" BW_VERSION "\"} 1\n");
    begin(out, "uptime_seconds", "gauge", "Time since the start.");
    bw_buf_printf(out, "breakwater_uptime_seconds %.3f\n", r->uptime_s);
    begin(out, "ready", "gauge", "Is it serving and not draining?");
    bw_buf_printf(out, "breakwater_ready %d\n", r->ready);
    begin(out, "index_loaded", "gauge", "Is the whole index in memory?");
    bw_buf_printf(out, "breakwater_index_loaded %d\n", r->now.index_loaded);
    begin(out, "config_generation", "gauge", "Number of the configuration in use.");
    bw_buf_printf(out, "breakwater_config_generation %" PRIu64 "\n", r->config.generation);
    begin(out, "config_error", "gauge", "Was the last reload refused?");
    bw_buf_printf(out, "breakwater_config_error %d\n", r->config.error != NULL);
    begin(out, "config_reloads_total", "counter", "Reloads asked for, refused ones included.");
    bw_buf_printf(out, "breakwater_config_reloads_total %" PRIu64 "\n", r->config.reloads);
}

void bw_metrics_write(struct bw_admin *a, struct bw_buf *out)
{
    struct bw_report r;

    bw_report_read(a, &r);
    write_process(out, &r);
    write_outcomes(out, &r);
    write_totals(out, &r);
    begin(out, "request_duration_seconds", "histogram",
          "Time from the first byte of a request to the last one of its response.");
    write_latency(out, "hit", &r.hits);
    write_latency(out, "miss", &r.misses);
    write_rows(out, "now_", bw_rows_now(), &r.now);
    write_rows(out, "", bw_rows_counters(), &r);
    write_rows(out, "fill_", bw_rows_fills(), &r);
    write_rows(out, "store_", bw_rows_store(), &r.store);
    write_rows(out, "memory_", bw_rows_memory(), &r.memory);
    write_rows(out, "origin_", bw_rows_origin(), &r.origin);
    write_groups(out, "rule", a->groups.rules, &a->groups.no_rule, BW_NO_RULE);
    write_groups(out, "host", a->groups.hosts, &a->groups.other_hosts, BW_OTHER_HOSTS);
}
