/*
 * fill_world.h - workers and origins for the tests of the fill: real loops on real threads, and
 * what the server does between an origin and a fill; fill_client.h has the other side.
 *
 * Include a store before it (fake_store.h, disk_store.h).  A test runs on the main thread and
 * orders the others about; it waits with until(), never for a time.
 *
 * An origin answers each fetch with bytes of a version of its own, which its head names, so bytes
 * of two responses cannot be mixed unseen.  `allowed` says how far it goes: nothing, the head, so
 * many bytes, all.
 */
#pragma once

#include "breakwater/base/clock.h"
#include "breakwater/base/gate.h"
#include "breakwater/base/mem.h"
#include "breakwater/cache/fill.h"
#include "breakwater/cache/lookup.h"

#include "http/fields.h"
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WORLD_WORKERS = 4, WORLD_PATIENCE_S = 30 };

#define NOTHING    0U
#define HEAD_ONLY  1U
#define BYTES(n)   (1U + (uint64_t)(n))
#define EVERYTHING UINT64_MAX

struct world;

struct worker {
    struct world *world;
    unsigned index;
    struct bw_loop *loop;
    struct bw_pins *pins;
    struct bw_lookup_tools tools;
    h2o_linklist_t sources;
    pthread_t thread;
    bool may_end; /* its own: it ends when it is not busy */
};

struct world {
    struct worker worker[WORLD_WORKERS];
    struct bw_loop *loops[WORLD_WORKERS];
    struct bw_pins *pins[WORLD_WORKERS];
    unsigned n, ready;
    struct bw_budget budget;
    struct bw_store *store;
    struct bw_fills *fills;
    _Atomic uint64_t versions;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

struct source;

struct origin {
    const char *path;
    const char *fields; /* without a tag of ours */
    int status;
    uint64_t length;
    bool hides_length;
    bool confirms;                     /* answers 304 where it is asked about a stored response */
    size_t piece;                      /* bytes at once; 0: 10,000 */
    enum bw_reason no_head;            /* fails instead of a head */
    void (*decides)(struct source *s); /* changes s->answer, or NULL */
    _Atomic uint64_t cut_at;           /* fails after so many bytes; 0: does not */
    _Atomic uint64_t allowed;
    atomic_uint heads_most; /* fetches that get so far; 0: all */
    atomic_uint heads, fetches, cancelled, at_once, pauses;
    atomic_uint waits; /* how often a fetch has found that it may not go on */
};

static inline char byte_of(uint64_t version, uint64_t at)
{
    return (char)(version * 131 + at * 7 + (at >> 8) * 13);
}

/* ---- waiting ---- */

static inline void tell(struct world *w)
{
    pthread_mutex_lock(&w->lock);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* Not all that is waited for is told, so it is looked at from time to time. */
static inline void look_soon(struct world *w)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    pthread_mutex_lock(&w->lock);
    pthread_cond_timedwait(&w->changed, &w->lock, &at);
    pthread_mutex_unlock(&w->lock);
}

#define until(w, cond)                                                                             \
    do {                                                                                           \
        int64_t end_us_ = bw_clock_mono_us() + WORLD_PATIENCE_S * INT64_C(1000000);                \
        while (!(cond)) {                                                                          \
            if (bw_clock_mono_us() > end_us_)                                                      \
                bw_check_failed(__FILE__, __LINE__, "never: " #cond);                              \
            look_soon(w);                                                                          \
        }                                                                                          \
    } while (0)

/* ---- orders to a worker ---- */

struct order {
    struct bw_message m;
    struct worker *worker;
    void (*run)(struct worker *worker, void *arg);
    void *arg;
    atomic_bool done;
};

static inline void obey(struct bw_message *m)
{
    struct order *o = BW_CONTAINER_OF(m, struct order, m);
    struct world *w = o->worker->world;

    o->run(o->worker, o->arg);
    pthread_mutex_lock(&w->lock); /* the order is the caller's again as soon as it looks */
    atomic_store(&o->done, true);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* Runs it on the worker's thread and waits for it. */
static inline void order(struct world *w, unsigned worker, void (*run)(struct worker *, void *),
                         void *arg)
{
    struct order o = {.worker = &w->worker[worker], .run = run, .arg = arg};

    bw_loop_post(w->loops[worker], &o.m, obey);
    pthread_mutex_lock(&w->lock);
    while (!atomic_load(&o.done))
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

/* A loop belongs to the thread that makes it: libh2o keeps buffers by thread. */
static inline void *work(void *arg)
{
    struct worker *wk = arg;
    struct world *w = wk->world;

    pthread_mutex_lock(&w->lock);
    wk->loop = w->loops[wk->index] = bw_loop_new();
    w->ready++;
    pthread_cond_broadcast(&w->changed);
    while (w->fills == NULL)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    while (!wk->may_end || bw_fills_busy(w->fills, wk->index))
        bw_loop_run(wk->loop, 10);
    bw_loop_free(wk->loop);
    bw_loop_thread_ends();
    return NULL;
}

/* ---- the world ---- */

static inline struct world *world_new(unsigned workers, size_t memory,
                                      const struct bw_fills_options *options)
{
    struct world *w = bw_zalloc(sizeof(*w));
    struct bw_fills_options o = {.waiters_max = 1000, .max_object = 1 << 30, .refreshes_max = 4};

    if (options != NULL)
        o = *options;
    bw_gate_enable();
    w->n = workers;
    w->versions = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    bw_budget_init(&w->budget, memory);
    for (unsigned i = 0; i < workers; i++)
        w->pins[i] = bw_zalloc(sizeof(*w->pins[i]));
    w->store = world_store_open(&w->budget, w->pins, workers);
    for (unsigned i = 0; i < workers; i++) {
        struct worker *wk = &w->worker[i];

        *wk = (struct worker){.world = w, .index = i, .pins = w->pins[i]};
        wk->tools = (struct bw_lookup_tools){.store = w->store, .pins = wk->pins};
        wk->tools.reader = world_reader_new(w->store);
        h2o_linklist_init_anchor(&wk->sources);
        pthread_create(&wk->thread, NULL, work, wk);
    }
    pthread_mutex_lock(&w->lock);
    while (w->ready < workers)
        pthread_cond_wait(&w->changed, &w->lock);
    o.store = w->store;
    o.budget = &w->budget;
    o.loops = w->loops;
    o.pins = w->pins;
    o.workers = workers;
    w->fills = bw_fills_new(&o);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return w;
}

static inline void let_end(struct worker *wk, void *arg)
{
    (void)arg;
    wk->may_end = true;
}

static inline bool busy(const struct world *w)
{
    for (unsigned i = 0; i < w->n; i++)
        if (bw_fills_busy(w->fills, i))
            return true;
    return false;
}

/* All that was begun is over. */
static inline void settle(struct world *w)
{
    until(w, bw_fills_now(w->fills) == 0 && !busy(w));
    assert_int_equal(bw_fills_waiting(w->fills), 0);
    assert_int_equal(bw_budget_used(&w->budget), world_store_memory(w->store));
}

/* The threads of the workers end as soon as they may, and their loops go (rule 35). */
static inline void workers_end(struct world *w)
{
    for (unsigned i = 0; i < w->n; i++)
        order(w, i, let_end, NULL);
    for (unsigned i = 0; i < w->n; i++) {
        pthread_join(w->worker[i].thread, NULL);
        assert_true(h2o_linklist_is_empty(&w->worker[i].sources));
        bw_buf_free(&w->worker[i].tools.scratch);
        world_reader_free(w->worker[i].tools.reader);
        w->loops[i] = NULL; /* freed: whoever posts to it now crashes */
    }
}

/* After the workers: the writer, and then everything has to be back. */
static inline void world_close(struct world *w)
{
    world_store_close(w->store);
    bw_fills_free(w->fills);
    assert_int_equal(bw_budget_used(&w->budget), 0);
    for (unsigned i = 0; i < w->n; i++) {
        for (size_t k = 0; k < BW_PINS_SLOTS; k++)
            assert_int_equal(w->pins[i]->slot[k], 0);
        free(w->pins[i]);
    }
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    free(w);
}

static inline void world_end(struct world *w)
{
    settle(w);
    workers_end(w);
    world_close(w);
}

/* ---- the origin ---- */

/* What an origin says to one fetch; as in struct origin. */
struct answer {
    const char *fields;
    int status;
    uint64_t length, cut_at;
    bool hides_length, confirms;
    enum bw_reason no_head;
};

struct source {
    struct world *world;
    struct worker *worker;
    struct origin *origin;
    struct bw_fill *fill;
    struct answer answer;
    uint64_t version, sent;
    bool head_sent, paused, over, entered;
    struct bw_next step;
    h2o_linklist_t link;
};

static void source_run(struct bw_next *n);

static inline void source_free(struct source *s)
{
    bw_next_cancel(&s->step);
    h2o_linklist_unlink(&s->link);
    atomic_fetch_sub(&s->origin->at_once, 1);
    tell(s->world);
    free(s);
}

static inline void source_kick(struct source *s)
{
    if (!s->over && !s->paused)
        bw_loop_next(s->worker->loop, &s->step, source_run);
}

static inline void source_pause(void *source)
{
    struct source *s = source;

    s->paused = true;
    atomic_fetch_add(&s->origin->pauses, 1);
    tell(s->world);
}

static inline void source_resume(void *source)
{
    struct source *s = source;

    s->paused = false;
    source_kick(s);
}

static inline void source_cancel(void *source)
{
    struct source *s = source;

    s->over = true;
    atomic_fetch_add(&s->origin->cancelled, 1);
    if (!s->entered)
        source_free(s);
}

static const struct bw_source_ops source_ops = {source_pause, source_resume, source_cancel};

static inline void source_fail(struct source *s, enum bw_reason why)
{
    s->over = true;
    bw_fill_on_fail(s->fill, why);
}

static inline void source_decide(struct source *s)
{
    const struct origin *o = s->origin;

    s->answer = (struct answer){o->fields,       o->status,   o->length, atomic_load(&o->cut_at),
                                o->hides_length, o->confirms, o->no_head};
    if (o->decides != NULL)
        o->decides(s);
    s->answer.confirms = s->answer.confirms && bw_fill_base(s->fill) != NULL;
}

static inline void source_end(struct source *s)
{
    s->over = true;
    bw_fill_on_end(s->fill, NULL);
}

static inline void source_head(struct source *s)
{
    struct answer *a = &s->answer;
    struct test_fields f;
    char text[512];
    struct bw_fill_response r = {
        .reason = BW_S("So"), .asked_ms = bw_clock_ms(), .answered_ms = bw_clock_ms()};

    s->head_sent = true;
    atomic_fetch_add(&s->origin->heads, 1);
    source_decide(s);
    if (a->no_head != BW_REASON_NONE) {
        source_fail(s, a->no_head);
        return;
    }
    r.status = a->confirms ? 304 : a->status;
    r.length = a->confirms ? 0 : a->hides_length ? UINT64_MAX : a->length;
    snprintf(text, sizeof(text), "etag: \"%llu\"\n%s", (unsigned long long)s->version, a->fields);
    r.fields = fields(&f, text);
    if (a->confirms) {
        f.list.v++; /* no tag: the stored one counts */
        f.list.n--;
    }
    bw_fill_on_head(s->fill, &r);
    if (!s->over && (a->confirms || a->length == 0))
        source_end(s);
}

static inline void source_body(struct source *s)
{
    char bytes[32768];
    size_t piece = s->origin->piece != 0 ? s->origin->piece : 10000;
    uint64_t allowed = atomic_load(&s->origin->allowed), cut = s->answer.cut_at;
    uint64_t left = s->answer.length - s->sent;
    size_t n = piece < left ? piece : (size_t)left;

    if (allowed != EVERYTHING && allowed - HEAD_ONLY - s->sent < n)
        n = (size_t)(allowed - HEAD_ONLY - s->sent);
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_of(s->version, s->sent + i);
    s->sent += n;
    if (n != 0)
        bw_fill_on_data(s->fill, bw_slice(bytes, n));
    if (s->over)
        return;
    if (cut != 0 && s->sent >= cut)
        source_fail(s, BW_REASON_TRUNCATED);
    else if (s->sent == s->answer.length && allowed == EVERYTHING)
        source_end(s);
}

static inline bool source_may_go_on(const struct source *s)
{
    uint64_t allowed = atomic_load(&s->origin->allowed);

    if (s->head_sent)
        return allowed == EVERYTHING || allowed > HEAD_ONLY + s->sent;
    return allowed != NOTHING && (atomic_load(&s->origin->heads_most) == 0 ||
                                  atomic_load(&s->origin->heads) < s->origin->heads_most);
}

static void source_run(struct bw_next *n)
{
    struct source *s = BW_CONTAINER_OF(n, struct source, step);

    if (s->paused || !source_may_go_on(s)) {
        atomic_fetch_add(&s->origin->waits, 1);
        tell(s->world);
        return;
    }
    s->entered = true;
    if (!s->head_sent)
        source_head(s);
    else
        source_body(s);
    s->entered = false;
    tell(s->world);
    if (s->over)
        source_free(s);
    else
        source_kick(s);
}

static inline void source_start(struct worker *wk, struct origin *o, struct bw_fill *f)
{
    struct source *s = bw_zalloc(sizeof(*s));

    *s = (struct source){.world = wk->world, .worker = wk, .origin = o, .fill = f};
    s->version = atomic_fetch_add(&wk->world->versions, 1);
    h2o_linklist_insert(&wk->sources, &s->link);
    atomic_fetch_add(&o->at_once, 1);
    bw_fill_set_source(f, &source_ops, s);
    source_kick(s);
    atomic_fetch_add(&o->fetches, 1);
    tell(wk->world);
}

static inline void kick_all(struct worker *wk, void *arg)
{
    (void)arg;
    for (h2o_linklist_t *l = wk->sources.next; l != &wk->sources; l = l->next)
        source_kick(BW_CONTAINER_OF(l, struct source, link));
}

static inline void allow(struct world *w, struct origin *o, uint64_t how_far)
{
    atomic_store(&o->allowed, how_far);
    for (unsigned i = 0; i < w->n; i++)
        order(w, i, kick_all, NULL);
}
