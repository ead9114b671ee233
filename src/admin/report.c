/*
 * report.c - all figures at one moment: workers summed, the others asked.
 */
#include "breakwater/base/clock.h"

#include "admin_priv.h"
#include "figures_priv.h"

static void add_all(uint64_t *to, const _Atomic uint64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
}

static void add_worker(struct bw_report *r, const struct bw_counters *c)
{
    add_all(r->counter, c->counter, BW_C_COUNT);
    for (int o = 0; o < BW_OUTCOME_COUNT; o++)
        add_all(r->outcome[o], c->outcome[o], BW_REASON_COUNT);
    add_all(r->hits.bucket, c->hit_us, BW_HISTOGRAM_BUCKETS);
    add_all(r->misses.bucket, c->miss_us, BW_HISTOGRAM_BUCKETS);
    add_all(&r->hits.sum_us, &c->hit_us_sum, 1);
    add_all(&r->misses.sum_us, &c->miss_us_sum, 1);
}

static void add_up(struct bw_latency *l)
{
    for (int i = 0; i < BW_HISTOGRAM_BUCKETS; i++)
        l->count += l->bucket[i];
}

static void ask_cache(const struct bw_admin_sources *src, struct bw_report *r)
{
    if (src->fills != NULL) {
        for (enum bw_fill_event e = 0; e < BW_FILL_EVENT_COUNT; e++)
            r->fill[e] = bw_fills_count(src->fills, e);
        r->now.fills = bw_fills_now(src->fills);
        r->now.requests_waiting = bw_fills_waiting(src->fills);
    }
    if (src->store != NULL) {
        bw_store_figures(src->store, &r->store);
        r->now.index_loaded = bw_store_loaded(src->store);
    }
    if (src->budget != NULL) {
        r->memory.used = bw_budget_used(src->budget);
        r->memory.limit = src->budget->limit;
        r->memory.refused = atomic_load_explicit(&src->budget->refused, memory_order_relaxed);
    }
}

static void ask_server(const struct bw_admin_sources *src, struct bw_report *r)
{
    if (src->origin != NULL)
        src->origin(src->ctx, &r->origin);
    if (src->connections != NULL)
        r->now.connections = src->connections(src->ctx);
    if (src->config != NULL)
        r->config = src->config(src->ctx);
    r->ready = src->ready == NULL || src->ready(src->ctx);
    r->uptime_s = (double)(bw_clock_ms() - src->started_ms) / 1000;
}

void bw_report_read(struct bw_admin *a, struct bw_report *r)
{
    *r = (struct bw_report){0};
    for (unsigned i = 0; i < a->src.workers; i++)
        add_worker(r, a->src.counters[i]);
    add_up(&r->hits);
    add_up(&r->misses);
    for (enum bw_sum i = 0; i < BW_SUM_COUNT; i++)
        r->total.v[i] = r->counter[bw_sum_counter(i)];
    ask_cache(&a->src, r);
    ask_server(&a->src, r);
    bw_groups_gather(&a->groups, a->src.counters, a->steady_s);
}

uint64_t bw_latency_below(unsigned bucket)
{
    return UINT64_C(16) << bucket;
}

double bw_latency_quantile(const struct bw_latency *l, double q)
{
    double wanted = q * (double)l->count, before = 0;
    unsigned i = 0;

    while (i + 1 < BW_HISTOGRAM_BUCKETS && before + (double)l->bucket[i] < wanted)
        before += (double)l->bucket[i++];
    double from = i > 0 ? (double)bw_latency_below(i - 1) : 0;
    double to = (double)bw_latency_below(i);
    return l->bucket[i] > 0 ? from + (to - from) * (wanted - before) / (double)l->bucket[i] : from;
}
