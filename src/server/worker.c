/*
 * worker.c - the life of a worker thread: begin, run the loop, take orders, drain, end.
 *
 * A worker ends when it has no connection, owns no fill, seats no reader and expects no message
 * (docs/fill.md, rule 35); nobody else touches what hangs on it, so it takes itself apart.
 */
#include "breakwater/base/log.h"
#include "breakwater/base/mem.h"
#include "breakwater/server/buffers.h"

#include "process_priv.h"
#include "request_priv.h"

#include <stdlib.h>

enum { FIGURES_MS = 1000, ROUND_MS = 1000, ENDING_ROUND_MS = 10 };

/* ---- snapshots ---- */

struct bw_snapshot *bw_snapshot_new(struct bw_worker *w, struct bw_conf *conf, char *why,
                                    size_t why_len)
{
    struct bw_snapshot *s = bw_zalloc(sizeof(*s));

    if (!w->admin && bw_origin_new(w->loop, conf->pools, conf->pools_n, conf->workers, why, why_len,
                                   &s->origin) != BW_OK) {
        free(s);
        return NULL;
    }
    s->conf = bw_conf_take(conf);
    s->refs = 1;
    s->worker = w;
    return s;
}

struct bw_snapshot *bw_snapshot_take(struct bw_snapshot *s)
{
    s->refs++;
    return s;
}

static void add_figures(struct bw_origin_figures *to, const struct bw_origin_figures *f)
{
    to->requests += f->requests;
    to->connects += f->connects;
    to->reused += f->reused;
    to->retries += f->retries;
    to->failures += f->failures;
    to->bytes_in += f->bytes_in;
    to->bytes_out += f->bytes_out;
}

static void origin_freed(void *ctx)
{
    struct bw_snapshot *s = ctx;

    s->worker->snapshots--;
    bw_conf_put(s->conf);
    free(s);
}

void bw_snapshot_put(struct bw_snapshot *s)
{
    struct bw_origin_figures f;

    if (--s->refs != 0)
        return;
    if (s->origin == NULL) {
        bw_conf_put(s->conf);
        free(s);
        return;
    }
    bw_origin_figures(s->origin, &f);
    add_figures(&s->worker->origin_before, &f);
    s->worker->snapshots++;
    bw_origin_free(s->origin, origin_freed, s);
}

/* ---- figures ---- */

static void publish_figures(struct bw_timer *t)
{
    struct bw_worker *w = BW_CONTAINER_OF(t, struct bw_worker, figures_timer);
    struct bw_origin_figures f;

    bw_origin_figures(w->snapshot->origin, &f);
    add_figures(&f, &w->origin_before);
    pthread_mutex_lock(&w->server->figures_lock);
    w->origin_figures = f;
    pthread_mutex_unlock(&w->server->figures_lock);
    bw_timer_start(w->loop, &w->figures_timer, FIGURES_MS, publish_figures);
}

/* ---- orders ---- */

static void take_configuration(struct bw_worker *w, struct bw_worker_order *o)
{
    char why[256];
    struct bw_snapshot *s = bw_snapshot_new(w, o->conf, why, sizeof(why)), *old = w->snapshot;

    if (s == NULL) { /* it worked on the control thread a moment ago */
        bw_log(BW_LOG_ERROR, "worker %u keeps its configuration: %s", w->index, why);
    } else {
        w->snapshot = s;
        bw_snapshot_put(old);
        bw_counters_set_rules(w->counters, o->conf);
        bw_worker_listen(w, o->listen);
    }
    bw_conf_put(o->conf);
    bw_listen_set_put(o->listen);
}

static void drained(struct bw_worker *w)
{
    w->drained = true;
}

/* The drain's deadline: fills fail, tunnels are cut; the wire cuts its connections itself. */
static void deadline(struct bw_timer *t)
{
    struct bw_worker *w = BW_CONTAINER_OF(t, struct bw_worker, drain_timer);

    bw_tunnels_cut(w);
    bw_fills_abort_all(w->fills, w->index);
}

static void obey(struct bw_message *m)
{
    struct bw_worker *w = BW_CONTAINER_OF(m, struct bw_worker, command);
    struct bw_worker_order *o = w->order;

    w->order = NULL;
    switch (o->what) {
    case BW_ORDER_RELOAD:
        take_configuration(w, o);
        break;
    case BW_ORDER_DRAIN:
        bw_worker_drain(w, o->deadline_ms, drained);
        bw_timer_start(w->loop, &w->drain_timer, o->deadline_ms, deadline);
        break;
    }
    free(o);
    atomic_store(&w->busy_order, false);
}

void bw_worker_tell(struct bw_worker *w, struct bw_worker_order *order)
{
    while (atomic_exchange(&w->busy_order, true)) /* the one before is a round away at most */
        sched_yield();
    w->order = order;
    bw_loop_post(w->loop, &w->command, obey);
}

/* ---- the thread ---- */

enum bw_err bw_worker_init(struct bw_worker *w, struct bw_server *server, uint32_t index,
                           struct bw_conf *conf, char *why, size_t why_len)
{
    w->server = server;
    w->index = index;
    if (w->loop == NULL)
        w->loop = bw_loop_new();
    w->budget = &server->budget;
    w->fills = server->fills;
    w->accept_limits = server->accept_limits;
    w->via = server->via;
    w->pseudonym = bw_slice_str(server->via + strlen("1.1 "));
    h2o_linklist_init_anchor(&w->conns);
    h2o_linklist_init_anchor(&w->tunnels);
    bw_rand_init(&w->rand);
    w->snapshot = bw_snapshot_new(w, conf, why, why_len);
    if (w->snapshot == NULL)
        return BW_ERR_INVALID;
    bw_wire_context_init(w);
    w->buffers = bw_buffers_new(&server->budget);
    w->slabs = bw_zalloc(sizeof(*w->slabs));
    if (w->admin) { /* its figures are nobody's business */
        w->counters = bw_counters_new(NULL);
        return BW_OK;
    }
    w->counters = server->counters[index];
    w->log = bw_access_log_ring(server->access_log, index);
    w->lookup.store = server->store;
    w->lookup.reader = bw_reader_new(server->store);
    w->lookup.pins = server->pins[index];
    return BW_OK;
}

static bool at_the_end(struct bw_worker *w)
{
    return w->drained && w->cold == 0 && !bw_fills_busy(w->fills, w->index) &&
           h2o_linklist_is_empty(&w->tunnels);
}

/* After the last request: give back the connections to the origins, which takes rounds. */
static void let_go(struct bw_worker *w)
{
    bw_timer_stop(&w->figures_timer);
    bw_timer_stop(&w->drain_timer);
    bw_snapshot_put(w->snapshot);
    while (w->snapshots != 0)
        bw_loop_run(w->loop, ENDING_ROUND_MS);
}

void *bw_worker_main(void *worker)
{
    struct bw_worker *w = worker;

    bw_timer_start(w->loop, &w->figures_timer, FIGURES_MS, publish_figures);
    while (!at_the_end(w))
        bw_loop_run(w->loop, w->drained ? ENDING_ROUND_MS : ROUND_MS);
    let_go(w);
    bw_loop_thread_ends();
    atomic_fetch_sub(&w->server->running, 1);
    return NULL;
}

void bw_worker_dispose(struct bw_worker *w)
{
    bw_wire_context_dispose(w);
    if (w->lookup.reader != NULL)
        bw_reader_free(w->lookup.reader);
    if (w->admin)
        bw_counters_free(w->counters);
    bw_buf_free(&w->lookup.scratch);
    bw_buffers_free(w->buffers);
    bw_slabs_dispose(w->slabs);
    free(w->slabs);
}
