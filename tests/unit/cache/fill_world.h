/*
 * fill_world.h - workers, origins and clients for the tests of the fill: real loops on real
 * threads, what the server does on both sides of a fill done by the book, and every byte checked.
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

/* libh2o does not free the queue of a loop that ends, nor what a thread kept for its next buffer */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_multithread_create_queue\nleak:h2o_mem_alloc_recycle\n";
}

enum { WORLD_WORKERS = 4, WORLD_PATIENCE_S = 30, LOOKUPS_MAX = 20 };

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

    if (s->paused || !source_may_go_on(s))
        return;
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

/* ---- clients ---- */

enum result { RUNNING, SERVED, STALE_SERVED, BROKEN, FAILED, SHED, PASSED, GONE };

struct chunk_of_memory {
    struct chunk_of_memory *next;
    char bytes[];
};

struct client {
    struct worker *worker;
    struct origin *origin;
    const char *text; /* request fields */
    const struct bw_settings *settings;
    struct test_fields fields;
    struct bw_policy_request policy;
    struct bw_key key;
    struct bw_lookup found;
    struct chunk_of_memory *memory;
    struct bw_waiter waiter;
    struct bw_next next;
    const struct bw_fill_head *head;
    bool has_found, waited, sick_once, overdue_once, reading;
    bool is_head;     /* the method */
    bool holds;       /* between the look into the index and the table */
    uint64_t from;    /* a range begins here */
    unsigned lookups; /* LOOKUPS_MAX: something goes in circles */
    uint64_t version, at;
    uint64_t stops_at; /* holds on to what it is sent from there on; UINT64_MAX: does not */
    /* for the main thread */
    atomic_int result;
    atomic_int status;
    atomic_bool parked, stopped, hit, joined, led, revalidated;
    atomic_int why;
    _Atomic uint64_t got;
};

static const struct bw_settings plain_settings = {.ttl_fixed_s = BW_TTL_UNSET,
                                                  .ttl_default_s = BW_TTL_UNSET,
                                                  .ttl_max_s = BW_TTL_UNSET,
                                                  .browser_ttl_s = BW_TTL_UNSET,
                                                  .stale_revalidating_s = BW_TTL_UNSET,
                                                  .stale_on_error_s = BW_TTL_UNSET};

static void client_lookup(struct client *c);
static void client_look(struct client *c);
static void client_stream(struct client *c);

static inline void *client_alloc(void *ctx, size_t n)
{
    struct client *c = ctx;
    struct chunk_of_memory *m = bw_alloc(sizeof(*m) + n);

    m->next = c->memory;
    c->memory = m;
    return m->bytes;
}

static inline void client_leave(struct client *c)
{
    bw_next_cancel(&c->next);
    if (c->waiter.fill != NULL)
        bw_fill_leave(&c->waiter);
    c->head = NULL;
    c->reading = false;
    atomic_store(&c->parked, false);
}

static inline void client_end(struct client *c, enum result result)
{
    struct world *w = c->worker->world;

    client_leave(c);
    bw_lookup_put(&c->worker->tools, &c->found);
    pthread_mutex_lock(&w->lock);
    atomic_store(&c->result, result);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static inline uint64_t version_of(const struct bw_fields *f)
{
    const struct bw_field *etag = bw_fields_find(f, BW_F_ETAG);
    uint64_t version = 0;

    BW_ASSERT(etag != NULL &&
              bw_slice_u64(bw_slice(etag->value.base + 1, etag->value.len - 2), &version));
    return version;
}

static inline void client_check(struct client *c, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        BW_ASSERT(bytes[i] == byte_of(c->version, c->at + i));
    c->at += n;
    atomic_fetch_add(&c->got, n);
}

/* From the store, as a hit is: all of it, in one go. */
static inline void client_deliver(struct client *c, enum result result)
{
    const struct bw_entry *e = &c->found.entry;
    char buffer[4096];
    size_t got;

    BW_ASSERT(
        bw_slice_starts(bw_fields_find(&e->fields, BW_F_CACHE_CONTROL)->value, BW_S("max-age")));
    c->version = version_of(&e->fields);
    c->at = c->from;
    atomic_store(&c->hit, true);
    atomic_store(&c->status, e->terms.status);
    if (e->inline_body.base != NULL && e->inline_body.len > c->from)
        client_check(c, e->inline_body.base + c->from, e->inline_body.len - c->from);
    while (!c->is_head && e->inline_body.base == NULL && c->at < e->body_len) {
        BW_ASSERT(bw_reader_body(c->worker->tools.reader, e->objid, c->at, sizeof(buffer), true,
                                 buffer, &got) == BW_OK);
        client_check(c, buffer, got);
    }
    client_end(c, result);
}

static inline void client_stale_or(struct client *c, bool allowed, enum result otherwise)
{
    client_leave(c);
    if (c->has_found && c->found.usable.use != BW_USE_NEVER && allowed)
        client_deliver(c, STALE_SERVED);
    else
        client_end(c, otherwise);
}

static inline void client_woken(struct bw_waiter *w)
{
    struct client *c = BW_CONTAINER_OF(w, struct client, waiter);

    BW_ASSERT(w->state != BW_WAITER_SENDING && atomic_load(&c->result) == RUNNING);
    atomic_store(&c->parked, false);
    if (c->reading)
        client_stream(c);
    else
        client_look(c);
}

static inline void client_park(struct client *c)
{
    atomic_store(&c->parked, true);
    tell(c->worker->world);
}

static inline struct bw_join client_join(struct client *c)
{
    struct bw_join j = {.worker = c->worker->index,
                        .key = &c->key,
                        .policy = &c->policy,
                        .dangling = c->found.dangling,
                        .seen = c->found.seen,
                        .may_lead = !c->is_head};

    if (c->found.varies) {
        j.variant = &c->found.variant;
        j.variant_vary_id = c->found.vary_id;
        j.variant_names = c->found.vary_names;
    }
    if (c->has_found)
        j.found = c->found.entry.objid;
    if (c->has_found && c->found.usable.use != BW_USE_NEVER) {
        j.base = &c->found.entry;
        j.base_key = c->found.varies ? &c->found.variant : &c->key;
    }
    return j;
}

static inline void client_fill(struct client *c)
{
    struct bw_join j = client_join(c);

    c->waiter.position = 0;
    c->waiter.end = UINT64_MAX;
    switch (bw_fill_join(c->worker->world->fills, &c->waiter, &j, client_woken)) {
    case BW_JOINED_LEADS:
        atomic_store(&c->led, true);
        source_start(c->worker, c->origin, c->waiter.fill);
        client_look(c);
        return;
    case BW_JOINED_WAITS:
        atomic_store(&c->joined, true);
        client_look(c);
        return;
    case BW_JOINED_LOOK:
        client_lookup(c);
        return;
    case BW_JOINED_SHED:
        client_stale_or(c, c->found.usable.on_error, SHED);
        return;
    case BW_JOINED_PASS:
        client_end(c, PASSED);
        return;
    }
}

static inline void client_refresh(struct client *c)
{
    struct bw_join j = client_join(c);
    struct bw_fill *f = bw_fill_refresh(c->worker->world->fills, &j);

    if (f != NULL)
        source_start(c->worker, c->origin, f);
}

static void client_lookup(struct client *c)
{
    struct bw_lookup *l = &c->found;

    BW_ASSERT(++c->lookups < LOOKUPS_MAX);
    bw_lookup_put(&c->worker->tools, l);
    c->has_found = false;
    *l = (struct bw_lookup){.key = &c->key,
                            .policy = &c->policy,
                            .now_ms = bw_clock_ms(),
                            .alloc = client_alloc,
                            .alloc_ctx = c};
    if (bw_lookup(&c->worker->tools, l) == BW_LOOKUP_FOUND) {
        c->has_found = true;
        if (l->usable.use == BW_USE_UPDATING)
            client_refresh(c);
        if (l->usable.use == BW_USE_FRESH || l->usable.use == BW_USE_UPDATING) {
            client_deliver(c, SERVED);
            return;
        }
    }
    if (!c->holds)
        client_fill(c);
}

static inline bool client_can_use(struct client *c, const struct bw_fill_head *head)
{
    struct bw_usable u;

    if (c->waiter.leads)
        return true;
    if (!bw_fill_variant_fits(&c->waiter, &c->fields.list))
        return false;
    u = bw_policy_usable(&c->policy, &head->terms, bw_clock_ms());
    if (u.use == BW_USE_NEVER)
        return false;
    return c->waited || u.use == BW_USE_FRESH || u.use == BW_USE_UPDATING;
}

static inline void client_again(struct client *c, bool counts)
{
    client_leave(c);
    c->waiter.tries = (uint8_t)(c->waiter.tries + counts);
    c->waited = false;
    client_lookup(c);
}

/* What is not for all is for its leader. */
static inline void check_whose(const struct client *c, const struct bw_fill_head *head)
{
    const struct bw_field *f = bw_fields_find(&head->fields, BW_F_CACHE_CONTROL);

    BW_ASSERT(c->waiter.leads || f == NULL || bw_slice_starts(f->value, BW_S("max-age")));
}

static inline void client_begin(struct client *c, const struct bw_fill_head *head)
{
    check_whose(c, head);
    c->head = head;
    c->reading = true;
    c->version = version_of(&head->fields);
    c->at = c->waiter.position = c->from;
    atomic_store(&c->status, head->status);
    atomic_store(&c->revalidated, head->revalidated);
    if (c->is_head)
        client_end(c, SERVED);
    else
        client_stream(c);
}

/* Rule 16. */
static inline void client_sick(struct client *c, const struct bw_fill_head *head)
{
    bool stale = c->has_found && c->found.usable.on_5xx;

    if (!stale && c->waiter.leads) {
        client_begin(c, head);
    } else if (!stale && !c->sick_once) {
        c->sick_once = true;
        client_again(c, false);
    } else {
        atomic_store(&c->status, head->status);
        client_stale_or(c, stale, FAILED);
    }
}

static void client_look(struct client *c)
{
    const struct bw_fill_head *head;
    enum bw_reason why;

    switch (bw_fill_look(&c->waiter, &head, &why)) {
    case BW_LOOK_WAIT:
        c->waited = true;
        client_park(c);
        return;
    case BW_LOOK_HEAD:
        if (client_can_use(c, head))
            client_begin(c, head);
        else if (bw_fill_await_commit(&c->waiter))
            client_park(c);
        else
            client_again(c, true);
        return;
    case BW_LOOK_OWN:
        BW_ASSERT(c->waiter.leads);
        client_begin(c, head);
        return;
    case BW_LOOK_AGAIN:
        client_again(c, true);
        return;
    case BW_LOOK_FAILED:
        client_sick(c, head);
        return;
    case BW_LOOK_NONE:
        atomic_store(&c->why, (int)why);
        client_stale_or(c, c->found.usable.on_error, FAILED);
        return;
    }
}

static inline void client_sent(struct bw_next *n)
{
    struct client *c = BW_CONTAINER_OF(n, struct client, next);

    if (c->waiter.state == BW_WAITER_SENDING)
        bw_fill_sent(&c->waiter);
    client_stream(c);
}

/* A send that is under way ends in the next round, or when the test says so. */
static inline void client_sending(struct client *c)
{
    if (c->at < c->stops_at) {
        bw_loop_next(c->worker->loop, &c->next, client_sent);
        return;
    }
    atomic_store(&c->stopped, true);
    tell(c->worker->world);
}

static inline void client_go_on(struct worker *wk, void *arg)
{
    struct client *c = arg;

    (void)wk;
    if (!atomic_load(&c->stopped))
        return;
    c->stops_at = UINT64_MAX;
    atomic_store(&c->stopped, false);
    bw_loop_next(c->worker->loop, &c->next, client_sent);
}

static inline void client_read_stored(struct client *c, const struct bw_pieces *p)
{
    char buffer[20000];
    size_t most = p->most < sizeof(buffer) ? (size_t)p->most : sizeof(buffer), got = 0;

    BW_ASSERT(p->position == c->at);
    BW_ASSERT(bw_reader_body(c->worker->tools.reader, p->objid, p->position, most, false, buffer,
                             &got) == BW_OK);
    client_check(c, buffer, got);
    bw_fill_read(&c->waiter, got);
    client_sending(c);
}

static void client_stream(struct client *c)
{
    struct bw_pieces p;
    uint64_t length;

    switch (bw_fill_next(&c->waiter, 100000, &p)) {
    case BW_BYTES_MEMORY:
        for (unsigned i = 0; i < p.n; i++)
            client_check(c, p.v[i].base, p.v[i].len);
        client_sending(c);
        return;
    case BW_BYTES_STORE:
        client_read_stored(c, &p);
        return;
    case BW_BYTES_END:
        BW_ASSERT(bw_fill_whole(&c->waiter, &length) && (c->at == length || c->from > length));
        client_end(c, SERVED);
        return;
    case BW_BYTES_PARKED:
        client_park(c);
        return;
    case BW_BYTES_BROKEN:
        client_end(c, BROKEN);
        return;
    }
}

/* ---- what a test does with clients ---- */

static inline void client_start(struct worker *wk, void *arg)
{
    struct client *c = arg;
    struct bw_key_request k = {.authority = BW_S("example.net"),
                               .path = bw_slice_str(c->origin->path),
                               .fields = &c->fields.list};

    fields(&c->fields, c->text);
    c->policy = (struct bw_policy_request){c->is_head ? BW_S("HEAD") : BW_S("GET"), &c->fields.list,
                                           c->settings};
    bw_key_make(&k, &c->settings->key, bw_store_secret(wk->world->store),
                client_alloc(c, bw_key_size(&k, &c->settings->key)), &c->key);
    client_lookup(c);
}

/* A request on that worker; `text`: its fields. */
static inline struct client *ask(struct world *w, unsigned worker, struct origin *o,
                                 const char *text)
{
    struct client *c = bw_zalloc(sizeof(*c));

    c->worker = &w->worker[worker];
    c->origin = o;
    c->text = text;
    c->settings = &plain_settings;
    c->stops_at = UINT64_MAX;
    return c;
}

static inline struct client *go(struct client *c)
{
    order(c->worker->world, c->worker->index, client_start, c);
    return c;
}

static inline struct client *get(struct world *w, unsigned worker, struct origin *o)
{
    return go(ask(w, worker, o, ""));
}

static inline void client_abort(struct worker *wk, void *arg)
{
    struct client *c = arg;

    (void)wk;
    if (atomic_load(&c->result) == RUNNING)
        client_end(c, GONE);
}

static inline void hang_up(struct client *c)
{
    order(c->worker->world, c->worker->index, client_abort, c);
}

static inline void read_on(struct client *c)
{
    order(c->worker->world, c->worker->index, client_go_on, c);
}

static inline enum result result_of(struct client *c)
{
    until(c->worker->world, atomic_load(&c->result) != RUNNING);
    return (enum result)atomic_load(&c->result);
}

static inline void client_free(struct client *c)
{
    while (c->memory != NULL) {
        struct chunk_of_memory *next = c->memory->next;

        free(c->memory);
        c->memory = next;
    }
    free(c);
}

/* Waits for its end, which has to be that one. */
static inline void ends(struct client *c, enum result expected)
{
    assert_int_equal(result_of(c), expected);
    client_free(c);
}

static inline void is_served(struct client *c)
{
    ends(c, SERVED);
}

/* Requests on all workers in turn. */
static inline void crowd(struct world *w, struct origin *o, struct client **c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        c[i] = get(w, i % w->n, o);
}

static inline void crowd_is_served(struct client **c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        is_served(c[i]);
}

static inline bool all_parked(struct client **c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!atomic_load(&c[i]->parked))
            return false;
    return true;
}

static inline uint64_t counted(const struct world *w, enum bw_fill_event e)
{
    return bw_fills_count(w->fills, e);
}

static inline struct bw_hash primary_of(struct world *w, const struct origin *o)
{
    struct bw_fields none = {NULL, 0};
    struct bw_key_request k = {
        .authority = BW_S("example.net"), .path = bw_slice_str(o->path), .fields = &none};
    char memory[256];
    struct bw_key key;

    bw_key_make(&k, &plain_settings.key, bw_store_secret(w->store), memory, &key);
    return bw_key_primary(&key, bw_store_secret(w->store));
}

static inline void purge(struct world *w, const struct origin *o, bool soft)
{
    struct bw_hash primary = primary_of(w, o);

    bw_fills_purge(w->fills, &primary, soft);
}
