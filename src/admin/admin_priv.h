/*
 * admin_priv.h - what the pages of the admin address share: one report of all figures, and the
 * names under which JSON and metrics show them.
 */
#pragma once

#include "breakwater/admin/api.h"
#include "breakwater/admin/window.h"
#include "breakwater/cache/fill.h"
#include "breakwater/cache/store.h"

#include "groups_priv.h"

struct bw_admin {
    struct bw_admin_sources src;
    struct bw_groups groups;
    struct bw_window window; /* of everything together */
    int64_t clock_s;         /* of the last tick */
    int64_t steady_s;        /* the same, but it never goes back */
};

struct bw_latency {
    uint64_t bucket[BW_HISTOGRAM_BUCKETS];
    uint64_t count, sum_us;
};

/* Everything at one moment. */
struct bw_report {
    uint64_t counter[BW_C_COUNT];
    uint64_t outcome[BW_OUTCOME_COUNT][BW_REASON_COUNT];
    struct bw_latency hits, misses;
    struct bw_sums total;
    struct bw_now {
        uint64_t requests_waiting, connections, fills;
        bool index_loaded;
    } now;
    uint64_t fill[BW_FILL_EVENT_COUNT];
    struct bw_store_figures store;
    struct bw_memory_figures {
        uint64_t used, limit, refused;
    } memory;
    struct bw_origin_figures origin;
    struct bw_admin_config config;
    double uptime_s;
    bool ready;
};
/* Gathers it; groups are brought up to date too. */
void bw_report_read(struct bw_admin *a, struct bw_report *r);

/* The time below which the share `q` of all lies, interpolated within its bucket; count > 0. */
double bw_latency_quantile(const struct bw_latency *l, double q);
/* The upper edge of a bucket in microseconds; the last one has none. */
uint64_t bw_latency_below(unsigned bucket);

/* One figure: where it stands in its struct of uint64_t, what it is called, what it means. */
struct bw_row {
    const char *name;
    size_t offset;
    bool gauge; /* goes up and down */
    const char *help;
};
struct bw_rows {
    const struct bw_row *v;
    size_t n;
};
struct bw_rows bw_rows_counters(void); /* of struct bw_report */
struct bw_rows bw_rows_now(void);      /* of struct bw_now */
struct bw_rows bw_rows_fills(void);    /* of struct bw_report */
struct bw_rows bw_rows_store(void);    /* of struct bw_store_figures */
struct bw_rows bw_rows_memory(void);   /* of struct bw_memory_figures */
struct bw_rows bw_rows_origin(void);   /* of struct bw_origin_figures */
struct bw_rows bw_rows_sums(void);     /* of struct bw_sums */
uint64_t bw_row_value(const struct bw_row *row, const void *figures);

/* The pages. */
void bw_stats_write(struct bw_admin *a, struct bw_buf *out);   /* JSON */
void bw_metrics_write(struct bw_admin *a, struct bw_buf *out); /* Prometheus text, version 0.0.4 */
