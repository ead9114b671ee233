/*
 * fill_stress.h - everything at once, at random: clients of every kind on all workers, an origin
 * that answers as it likes, purges, a clock that moves, a store that may fail.  Every byte is
 * checked, and:
 *
 *   - nobody gets an answer that was for another client alone;
 *   - nobody who came after a purge's answer gets what was begun before it;
 *   - in the end all of it is over, and all memory is back.
 */
#pragma once

#include "breakwater/base/rand.h"

#include "cache/fill_client.h"

enum { STRESS_PATHS = 4, STRESS_CLIENTS = 48, STRESS_MS = 2000, STRESS_MEMORY = 3 << 19 };

struct stress {
    struct world *w;
    struct bw_rand rand;
    struct origin origins[STRESS_PATHS];
    uint64_t floor[STRESS_PATHS]; /* of versions that may be seen: a purge has been answered */
    struct client *clients[STRESS_CLIENTS];
    uint64_t floors[STRESS_CLIENTS]; /* as it was when the client came */
    unsigned asked, results[GONE + 1];
};

static uint64_t stress_seed;

static inline uint64_t mixed(uint64_t version)
{
    uint64_t h = (version + stress_seed) * UINT64_C(0x9E3779B97F4A7C15);

    return (h ^ h >> 29) * UINT64_C(0xBF58476D1CE4E5B9) >> 16;
}

static inline void stress_decides(struct source *s)
{
    static const char *const kinds[] = {
        "cache-control: max-age=2",
        "cache-control: max-age=2",
        "cache-control: max-age=1, stale-while-revalidate=3, stale-if-error=5",
        "vary: x-lang\ncache-control: max-age=2",
        "cache-control: max-age=1",
        "cache-control: private",
        "cache-control: no-cache",
        "cache-control: no-store",
    };
    static const uint64_t lengths[] = {0, 100, 3000, 70000, 300000};
    uint64_t h = mixed(s->version);

    s->answer.fields = kinds[h % 8];
    s->answer.length = lengths[(h >> 3) % 5];
    s->answer.hides_length = (h >> 6) % 4 == 0;
    s->answer.confirms = (h >> 8) % 2 == 0;
    s->answer.status = (h >> 9) % 16 == 0 ? 503 : 200;
    s->answer.no_head = (h >> 13) % 32 == 0 ? BW_REASON_CLOSED : BW_REASON_NONE;
    s->answer.cut_at = (h >> 18) % 16 == 0 ? s->answer.length / 2 : 0;
}

static inline unsigned below(struct stress *t, unsigned n)
{
    return (unsigned)bw_rand_below(&t->rand, n);
}

static inline void stress_ask(struct stress *t, unsigned slot)
{
    static const char *const texts[] = {"", "", "x-lang: de", "x-lang: en", "authorization: me"};
    unsigned path = below(t, STRESS_PATHS);
    struct client *c = ask(t->w, below(t, t->w->n), &t->origins[path], texts[below(t, 5)]);

    c->is_head = below(t, 16) == 0;
    c->from = below(t, 8) == 0 ? below(t, 80000) : 0;
    c->stops_at = below(t, 6) == 0 ? below(t, 100000) : UINT64_MAX;
    t->clients[slot] = c;
    t->floors[slot] = t->floor[path];
    t->asked++;
    go(c);
}

static inline void stress_reap(struct stress *t, unsigned slot)
{
    struct client *c = t->clients[slot];

    if (atomic_load(&c->result) == RUNNING)
        return;
    if (c->version != 0 && c->version < t->floors[slot])
        fail_msg(
            "version %llu from before the purge at %llu: result %d, hit %d, led %d, joined %d, "
            "revalidated %d, fields '%s'",
            (unsigned long long)c->version, (unsigned long long)t->floors[slot],
            atomic_load(&c->result), atomic_load(&c->hit), atomic_load(&c->led),
            atomic_load(&c->joined), atomic_load(&c->revalidated), c->text);
    t->results[atomic_load(&c->result)]++;
    client_free(c);
    t->clients[slot] = NULL;
}

static inline void stress_purge(struct stress *t)
{
    unsigned path = below(t, STRESS_PATHS);
    uint64_t before = atomic_load(&t->w->versions);

    purge(t->w, &t->origins[path], false);
    t->floor[path] = before;
}

static inline void stress_step(struct stress *t)
{
    unsigned slot = below(t, STRESS_CLIENTS);
    struct client *c = t->clients[slot];

    if (c == NULL)
        stress_ask(t, slot);
    else if (below(t, 10) == 0)
        hang_up(c);
    else
        read_on(c);
    if (t->clients[slot] != NULL)
        stress_reap(t, slot);
    if (below(t, 40) == 0)
        stress_purge(t);
    if (below(t, 40) == 0)
        purge(t->w, &t->origins[below(t, STRESS_PATHS)], true);
    if (below(t, 20) == 0)
        bw_clock_advance(below(t, 1000));
}

/* Who still holds on to what it is sent goes on. */
static inline bool stress_is_over(struct stress *t)
{
    bool over = true;

    for (unsigned i = 0; i < STRESS_CLIENTS; i++) {
        if (t->clients[i] == NULL)
            continue;
        read_on(t->clients[i]);
        stress_reap(t, i);
        over = over && t->clients[i] == NULL;
    }
    return over;
}

static inline void stress_finish(struct stress *t)
{
    until(t->w, stress_is_over(t));
    settle(t->w);
}

/* `breaks`: what is done to the store now and then, or NULL. */
static inline void stress(unsigned workers, void (*breaks)(struct stress *t))
{
    const struct bw_fills_options o = {
        .waiters_max = 20, .max_object = 200000, .refreshes_max = 3, .writer_ms = 20, .lag_ms = 20};
    static const char *const paths[STRESS_PATHS] = {"/a", "/b", "/c", "/d"};
    const char *seed = getenv("SEED");
    struct stress *t = bw_zalloc(sizeof(*t));
    int64_t end_us;

    bw_rand_init(&t->rand);
    stress_seed = seed != NULL ? strtoull(seed, NULL, 10) : bw_rand_next(&t->rand) >> 32;
    bw_rand_seed(&t->rand, stress_seed);
    print_message("SEED=%llu\n", (unsigned long long)stress_seed);
    t->w = world_new(workers, STRESS_MEMORY + world_least_memory, &o);
    for (unsigned i = 0; i < STRESS_PATHS; i++)
        t->origins[i] = (struct origin){
            .path = paths[i], .decides = stress_decides, .allowed = EVERYTHING, .piece = 7000};
    end_us = bw_clock_mono_us() + STRESS_MS * 1000;
    while (bw_clock_mono_us() < end_us) {
        stress_step(t);
        if (breaks != NULL && below(t, 30) == 0)
            breaks(t);
    }
    bw_gate_release("writer.commit");
    stress_finish(t);
    print_message(
        "%u asked: served %u, stale %u, broken %u, failed %u, shed %u, passed %u, gone %u\n",
        t->asked, t->results[SERVED], t->results[STALE_SERVED], t->results[BROKEN],
        t->results[FAILED], t->results[SHED], t->results[PASSED], t->results[GONE]);
    world_end(t->w);
    free(t);
}
