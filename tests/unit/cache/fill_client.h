/*
 * fill_client.h - clients for the tests of the fill: what the server does for a request, done by
 * the book, and every byte checked.
 *
 * They run on the threads of the workers of fill_world.h; a test asks, waits and hangs up on the
 * main thread.
 */
#pragma once

#include "cache/fill_world.h"

enum { LOOKUPS_MAX = 20 };

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
                        .may_lead = !c->is_head,
                        .second = c->sick_once};

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
    case BW_JOINED_SICK:
        client_end(c, FAILED);
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
    bool stale = c->has_found && c->found.usable.on_5xx && bw_policy_error_covered(head->status);

    if (!stale && c->waiter.leads) {
        client_begin(c, head);
    } else if (!stale && !c->sick_once) {
        c->sick_once = true;
        atomic_store(&c->status, head->status);
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
        if (!bw_fill_variant_fits(&c->waiter, &c->fields.list))
            client_again(c, true);
        else if (client_can_use(c, head))
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
