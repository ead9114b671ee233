/*
 * figures.c - the account step, and the arrays it adds to.
 *
 * A reload gives a worker another list of rules.  The worker begins a new array and hangs the old
 * one behind it; what was counted there is read, and the array freed, by the reader, so that no
 * figure is lost and the worker never waits.
 */
#include "breakwater/admin/figures.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/config/conf.h"
#include "breakwater/config/rules.h"

#include "figures_priv.h"
#include "hosts_priv.h"

#include <stdlib.h>

static struct bw_rule_figures *new_rules(struct bw_conf *conf)
{
    size_t n = 1 + (conf != NULL && conf->rules != NULL ? bw_rules_count(conf->rules) : 0);
    struct bw_rule_figures *r = bw_zalloc(sizeof(*r) + n * sizeof(r->v[0]));

    r->n = (uint32_t)n;
    r->generation = conf != NULL ? conf->generation : 0;
    r->conf = conf != NULL ? bw_conf_take(conf) : NULL;
    return r;
}

void bw_rule_figures_free(struct bw_rule_figures *r)
{
    while (r != NULL) {
        struct bw_rule_figures *older = r->older;

        if (r->conf != NULL)
            bw_conf_put(r->conf);
        free(r->seen);
        free(r);
        r = older;
    }
}

struct bw_counters *bw_counters_new(struct bw_conf *conf)
{
    struct bw_counters *c = bw_zalloc(sizeof(*c));

    atomic_init(&c->rules, new_rules(conf));
    c->hosts = bw_host_table_new();
    return c;
}

void bw_counters_set_rules(struct bw_counters *c, struct bw_conf *conf)
{
    struct bw_rule_figures *r = new_rules(conf);

    r->older = atomic_load_explicit(&c->rules, memory_order_relaxed);
    atomic_store_explicit(&c->rules, r, memory_order_release);
}

void bw_counters_free(struct bw_counters *c)
{
    if (c == NULL)
        return;
    bw_rule_figures_free(atomic_load(&c->rules));
    bw_host_table_free(c->hosts);
    free(c);
}

bool bw_outcome_is_hit(enum bw_outcome o)
{
    switch (o) {
    case BW_OUTCOME_HIT:
    case BW_OUTCOME_STALE:
    case BW_OUTCOME_UPDATING:
    case BW_OUTCOME_REVALIDATED:
        return true;
    case BW_OUTCOME_MISS:
    case BW_OUTCOME_EXPIRED:
    case BW_OUTCOME_PASS:
    case BW_OUTCOME_BYPASS:
    case BW_OUTCOME_TUNNEL:
    case BW_OUTCOME_REFUSED:
    case BW_OUTCOME_ERROR:
    case BW_OUTCOME_ABORTED:
    case BW_OUTCOME_COUNT:
        return false;
    }
    BW_UNREACHABLE();
}

/* Hits cost our time, misses the origin's as well; the rest says nothing about either. */
static void count_duration(struct bw_counters *c, enum bw_outcome o, uint64_t us)
{
    switch (o) {
    case BW_OUTCOME_HIT:
    case BW_OUTCOME_STALE:
    case BW_OUTCOME_UPDATING:
        bw_count_n(&c->hit_us[bw_histogram_bucket(us)], 1);
        bw_count_n(&c->hit_us_sum, us);
        break;
    case BW_OUTCOME_REVALIDATED:
    case BW_OUTCOME_MISS:
    case BW_OUTCOME_EXPIRED:
    case BW_OUTCOME_PASS:
    case BW_OUTCOME_BYPASS:
        bw_count_n(&c->miss_us[bw_histogram_bucket(us)], 1);
        bw_count_n(&c->miss_us_sum, us);
        break;
    case BW_OUTCOME_TUNNEL:
    case BW_OUTCOME_REFUSED:
    case BW_OUTCOME_ERROR:
    case BW_OUTCOME_ABORTED:
    case BW_OUTCOME_COUNT:
        break;
    }
}

static void count_request(struct bw_counters *c, const struct bw_figures_sample *s)
{
    BW_ASSERT(s->outcome < BW_OUTCOME_COUNT && s->reason < BW_REASON_COUNT);
    bw_count_n(&c->outcome[s->outcome][s->reason], 1);
    count_duration(c, s->outcome, s->duration_us);
    if (s->collapsed)
        bw_count(c, BW_C_COLLAPSED, 1);
}

/* A request that began before a reload brings the number of a rule that may be another one now. */
static struct bw_tally *rule_tally(struct bw_counters *c, const struct bw_figures_sample *s)
{
    struct bw_rule_figures *r = atomic_load_explicit(&c->rules, memory_order_relaxed);
    bool known = (s->generation == 0 || s->generation == r->generation) && s->rule < r->n;

    return &r->v[known ? s->rule : 0];
}

enum bw_counter bw_sum_counter(enum bw_sum sum)
{
    static const enum bw_counter counter[BW_SUM_COUNT] = {
        [BW_SUM_REQUESTS] = BW_C_REQUESTS,
        [BW_SUM_HITS] = BW_C_HITS,
        [BW_SUM_FETCHES] = BW_C_ORIGIN_FETCHES,
        [BW_SUM_BYTES_TO_CLIENTS] = BW_C_BYTES_TO_CLIENTS,
        [BW_SUM_BYTES_FROM_ORIGIN] = BW_C_BYTES_FROM_ORIGIN,
        [BW_SUM_SAVED_US] = BW_C_ORIGIN_SAVED_US,
    };

    return counter[sum];
}

void bw_counters_add_sums(const struct bw_counters *c, struct bw_sums *sums)
{
    for (enum bw_sum i = 0; i < BW_SUM_COUNT; i++)
        sums->v[i] += atomic_load_explicit(&c->counter[bw_sum_counter(i)], memory_order_relaxed);
}

void bw_figures_account(struct bw_counters *c, const struct bw_figures_sample *s)
{
    bool request = !s->refresh;
    struct bw_sums sums = {.v = {
                               [BW_SUM_REQUESTS] = request,
                               [BW_SUM_HITS] = request && bw_outcome_is_hit(s->outcome),
                               [BW_SUM_FETCHES] = s->fetches,
                               [BW_SUM_BYTES_TO_CLIENTS] = request ? s->bytes_to_client : 0,
                               [BW_SUM_BYTES_FROM_ORIGIN] = s->bytes_from_origin,
                               [BW_SUM_SAVED_US] = request ? s->saved_us : 0,
                           }};

    if (request)
        count_request(c, s);
    for (enum bw_sum i = 0; i < BW_SUM_COUNT; i++)
        bw_count(c, bw_sum_counter(i), sums.v[i]);
    bw_tally_add(rule_tally(c, s), &sums);
    bw_tally_add(
        bw_host_tally(c->hosts, s->host, atomic_load_explicit(&c->second, memory_order_relaxed)),
        &sums);
}

const char *bw_counter_name(enum bw_counter c)
{
    static const char *const names[BW_C_COUNT] = {
        [BW_C_REQUESTS] = "requests",
        [BW_C_HITS] = "hits",
        [BW_C_ORIGIN_FETCHES] = "origin_fetches",
        [BW_C_BYTES_TO_CLIENTS] = "bytes_to_clients",
        [BW_C_BYTES_FROM_ORIGIN] = "bytes_from_origin",
        [BW_C_ORIGIN_SAVED_US] = "origin_saved_us",
        [BW_C_COLLAPSED] = "collapsed",
        [BW_C_CHUNK_MISSING] = "chunk_missing",
        [BW_C_CONNECTIONS] = "connections",
        [BW_C_CONNECTIONS_REFUSED] = "connections_refused",
        [BW_C_TLS_FAILED] = "tls_failed",
        [BW_C_HEAD_TIMEOUT] = "head_timeout",
        [BW_C_IDLE_TIMEOUT] = "idle_timeout",
        [BW_C_SEND_TIMEOUT] = "send_timeout",
        [BW_C_BODY_TIMEOUT] = "body_timeout",
        [BW_C_HTTP2_CONTROL_FLOOD] = "http2_control_flood",
        [BW_C_HTTP2_RESET_FLOOD] = "http2_reset_flood",
        [BW_C_HTTP2_HEAD_FLOOD] = "http2_head_flood",
        [BW_C_HTTP2_PROBATION] = "http2_probation",
        [BW_C_LOG_DROPPED] = "log_dropped",
        [BW_C_INVALIDATIONS] = "invalidations",
    };

    BW_ASSERT(c < BW_C_COUNT);
    return names[c];
}
