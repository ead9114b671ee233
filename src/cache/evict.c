/*
 * evict.c - who has to leave: the policy of eviction.md, section 4, integers as they stand there.
 *
 * While room is made, entries that have left the heap but not yet the index lie behind its end
 * (heap[n] .. heap[n + out - 1]): if the newcomer is refused they go back.
 */
#include "breakwater/cache/evict.h"

#include "breakwater/base/check.h"

enum {
    HIT = 16,           /* spans count in sixteenths of a hit */
    FOLD_HITS_MAX = 2,  /* a visit teaches two hits at most */
    LEARN_EVERY = 2048, /* visits */
    SPAN_MAX = 1 << 24,
    FETCH_MS_MAX = 1 << 20,
    FIRST_UNKNOWN = 9999,
    DOOR = 20, /* below that, three of four first-timers must come twice */
};

/* ---- what an entry is worth ---- */

/* 2^(i/16) in 16.16 */
static const uint32_t octave[16] = {65536, 68438, 71468,  74632,  77936,  81386,  84990,  88752,
                                    92682, 96785, 101070, 105545, 110218, 115098, 120194, 125515};

uint16_t bw_evict_fetch_code(uint32_t ms)
{
    uint32_t x = (ms < FETCH_MS_MAX ? ms : FETCH_MS_MAX) + 1;
    uint32_t exponent = 31U - (uint32_t)__builtin_clz(x);
    uint64_t mantissa = ((uint64_t)x << 16) >> exponent;
    uint32_t i = 15;

    while (octave[i] > mantissa)
        i--;
    return (uint16_t)(exponent * 16 + i);
}

uint32_t bw_evict_fetch_ms(uint16_t code)
{
    uint64_t x = (((uint64_t)octave[code % 16] << (code / 16)) + 65535) >> 16;

    return (uint32_t)x - 1;
}

/* The worth of one sixteenth of a hit by the room it takes. */
static uint64_t unit_of(const struct bw_index *ix, uint64_t pages, uint32_t fetch_ms)
{
    uint64_t z = pages * ix->granule;

    switch (ix->evict.protect) {
    case BW_PROTECT_REQUESTS:
        return (UINT64_C(1) << 34) / z + 1;
    case BW_PROTECT_BYTES:
        return 1 << 10;
    case BW_PROTECT_ORIGIN_TIME:
        return (((uint64_t)(fetch_ms < FETCH_MS_MAX ? fetch_ms : FETCH_MS_MAX) + 1) << 24) / z + 1;
    }
    BW_UNREACHABLE();
}

static uint64_t unit_of_entry(const struct bw_index *ix, const struct bw_index_entry *e)
{
    return unit_of(ix, e->pages, bw_evict_fetch_ms(e->fetch));
}

static bool is_returned(const struct bw_index_entry *e)
{
    return bw_index_flags(e->ident) & BW_INDEX_RETURNED;
}

static unsigned class_of(uint32_t f, bool returned)
{
    unsigned c = f < 4 ? f : 33U - (unsigned)__builtin_clz(f);

    return (c < 15 ? c : 15) + (returned ? BW_EVICT_CLASSES / 2 : 0);
}

static uint32_t span_of(const struct bw_evict *ev, uint32_t f, bool returned)
{
    uint64_t s = (uint64_t)f * HIT * ev->weight[class_of(f, returned)] / 256;

    if (f == 1)
        s /= 4;
    return s < 1 ? 1 : s < SPAN_MAX ? (uint32_t)s : SPAN_MAX;
}

/* ---- the heap ---- */

static void push(struct bw_evict *ev, struct bw_evict_elem e)
{
    uint32_t i = ev->n++;

    for (; i > 0 && ev->heap[(i - 1) / 2].rank > e.rank; i = (i - 1) / 2)
        ev->heap[i] = ev->heap[(i - 1) / 2];
    ev->heap[i] = e;
}

/* Puts `e` at `i`, or below it where something smaller is there. */
static void sift(struct bw_evict *ev, uint32_t i, struct bw_evict_elem e)
{
    for (;;) {
        uint64_t child = 2 * (uint64_t)i + 1;
        if (child + 1 < ev->n && ev->heap[child + 1].rank < ev->heap[child].rank)
            child++;
        if (child >= ev->n || ev->heap[child].rank >= e.rank)
            break;
        ev->heap[i] = ev->heap[child];
        i = (uint32_t)child;
    }
    ev->heap[i] = e;
}

/* Takes the top off; it lies at heap[n] afterwards. */
static void pop(struct bw_evict *ev)
{
    struct bw_evict_elem top = ev->heap[0], last = ev->heap[--ev->n];

    if (ev->n > 0)
        sift(ev, 0, last);
    ev->heap[ev->n] = top;
}

static void heapify(struct bw_evict *ev)
{
    for (uint32_t i = ev->n / 2; i-- > 0;)
        sift(ev, i, ev->heap[i]);
}

static bool is_dead(const struct bw_index *ix, const struct bw_evict_elem *e)
{
    return bw_index_flags(ix->entries[e->entry].ident) & BW_INDEX_DEAD;
}

/* Without the dead; ranks stay. */
static void sweep_dead(struct bw_index *ix)
{
    struct bw_evict *ev = &ix->evict;
    uint32_t n = 0;

    for (uint32_t i = 0; i < ev->n; i++) {
        if (is_dead(ix, &ev->heap[i]))
            bw_index_free_entry(ix, ev->heap[i].entry);
        else
            ev->heap[n++] = ev->heap[i];
    }
    ev->n = n;
    ev->dead = 0;
}

static void reset_weights(struct bw_evict *ev)
{
    ev->level = 0;
    ev->first = FIRST_UNKNOWN;
    for (unsigned c = 0; c < BW_EVICT_CLASSES; c++) {
        ev->weight[c] = 256;
        ev->hit[c] = ev->span[c] = 0;
    }
}

void bw_evict_open(struct bw_index *ix, enum bw_protect protect)
{
    ix->evict.protect = protect;
    bw_rand_init(&ix->evict.rand);
    bw_ghosts_fit(&ix->evict.ghosts, 1);
    reset_weights(&ix->evict);
}

void bw_evict_close(struct bw_index *ix)
{
    bw_ghosts_free(&ix->evict.ghosts);
}

static struct bw_evict_elem rank(struct bw_index *ix, uint32_t entry)
{
    struct bw_evict *ev = &ix->evict;
    struct bw_index_entry *e = &ix->entries[entry];
    uint32_t span = span_of(ev, e->f, is_returned(e));

    return (struct bw_evict_elem){ev->level + span * unit_of_entry(ix, e), entry, span};
}

void bw_evict_add(struct bw_index *ix, uint32_t entry)
{
    push(&ix->evict, rank(ix, entry));
    bw_ghosts_fit(&ix->evict.ghosts, ix->evict.n);
}

void bw_evict_bury(struct bw_index *ix, uint32_t entry)
{
    struct bw_evict *ev = &ix->evict;

    BW_ASSERT(bw_index_flags(ix->entries[entry].ident) & BW_INDEX_DEAD);
    if (++ev->dead <= ev->n / 4)
        return;
    sweep_dead(ix);
    heapify(ev);
}

static void fold(struct bw_index_entry *e, uint8_t hits)
{
    uint32_t f = (uint32_t)e->f + hits;

    e->f = (uint16_t)(f < UINT16_MAX ? f : UINT16_MAX);
    __atomic_store_n(bw_index_hits(e), 0, __ATOMIC_RELAXED);
}

/* Another goal makes other ranks: all are made anew, as at a restart (eviction.md, 4.3). */
void bw_index_set_protect(struct bw_index *ix, enum bw_protect protect)
{
    struct bw_evict *ev = &ix->evict;

    if (ev->protect == protect)
        return;
    ev->protect = protect;
    reset_weights(ev);
    sweep_dead(ix);
    for (uint32_t i = 0; i < ev->n; i++) {
        struct bw_index_entry *e = &ix->entries[ev->heap[i].entry];
        fold(e, *bw_index_hits(e));
        ev->heap[i] = rank(ix, ev->heap[i].entry);
    }
    heapify(ev);
}

/* ---- learning ---- */

/* The rate of each class by the mean rate, with four hits' worth of doubt, squared. */
static void learn(struct bw_evict *ev)
{
    uint64_t hits = 0, spans = 0;

    for (unsigned c = 0; c < BW_EVICT_CLASSES; c++) {
        hits += ev->hit[c];
        spans += ev->span[c];
    }
    if (hits == 0 || spans == 0)
        return;
    ev->first = (uint32_t)(ev->hit[1] * 256 / (ev->span[1] > 0 ? ev->span[1] : 1));
    uint64_t mean = hits * 4096 / spans > 0 ? hits * 4096 / spans : 1;
    for (unsigned c = 0; c < BW_EVICT_CLASSES; c++) {
        uint64_t rate =
            (ev->hit[c] * 16 + UINT64_C(1024) * hits / spans) * 16 * 16 / (ev->span[c] + 64);
        uint64_t r = rate * 256 / mean;
        r = r < 13 ? 13 : r < 1024 ? r : 1024;
        ev->weight[c] = (uint32_t)(r * r / 256);
        ev->hit[c] = ev->hit[c] * 11 / 16;
        ev->span[c] = ev->span[c] * 11 / 16;
    }
}

static void teach(struct bw_evict *ev, const struct bw_index_entry *e, uint32_t span, uint8_t hits)
{
    unsigned c = class_of(e->f, is_returned(e));

    ev->hit[c] += (uint64_t)(hits < FOLD_HITS_MAX ? hits : FOLD_HITS_MAX) * HIT;
    ev->span[c] += span;
    if (++ev->folds % LEARN_EVERY == 0)
        learn(ev);
}

/* ---- making room ---- */

/* Room for `pages`, at the price of everything whose rank is at most `mine`. */
struct making {
    struct bw_index *ix;
    const struct bw_index_evictor *evictor;
    uint64_t pages;
    uint64_t mine;
    uint32_t now_s;
    bool force;     /* at any price */
    bool new_entry; /* and one entry */
    uint32_t out;   /* elements behind the end of the heap */
    uint64_t freed; /* their pages */
    uint64_t visits_left;
};

static bool lacks(const struct making *m)
{
    const struct bw_index *ix = m->ix;
    uint64_t there = ix->used + ix->reserved + ix->held + m->pages;

    return there > ix->budget + m->freed ||
           (m->new_entry && (uint64_t)ix->evict.n + ix->grants >= ix->limit);
}

static bool is_pinned(const struct making *m, uint32_t entry)
{
    uint64_t objid = bw_index_objid(m->ix->entries[entry].ident);

    return m->evictor->pinned(m->evictor->ctx, objid);
}

/* Hits since the last visit raise the rank; it stays. An expired one may only serve errors. */
static void stay(struct making *m, uint32_t entry, uint8_t hits, bool expired)
{
    struct bw_evict *ev = &m->ix->evict;

    fold(&m->ix->entries[entry], hits);
    struct bw_evict_elem e = rank(m->ix, entry);
    if (expired)
        e.rank = ev->level + (e.rank - ev->level) / 4;
    sift(ev, 0, e);
}

/* One look at the top of the heap; false: what would have to go is worth more. */
static bool visit(struct making *m)
{
    struct bw_evict *ev = &m->ix->evict;
    struct bw_evict_elem top = ev->heap[0];

    if (ev->n == 0 || m->visits_left-- == 0 || (top.rank > m->mine && !m->force))
        return false;
    struct bw_index_entry *e = &m->ix->entries[top.entry];
    uint8_t hits = __atomic_load_n(bw_index_hits(e), __ATOMIC_RELAXED);
    bool expired = atomic_load_explicit(&e->expiry_s, memory_order_relaxed) <= m->now_s;

    ev->visits++;
    if (top.rank > ev->level)
        ev->level = top.rank;
    teach(ev, e, top.span, hits);
    if (is_dead(m->ix, &top)) {
        pop(ev);
        ev->heap[ev->n] = ev->heap[ev->n + m->out]; /* those that may go back close the gap */
        ev->dead--;
        bw_index_free_entry(m->ix, top.entry);
    } else if (hits > 0) {
        stay(m, top.entry, hits, expired);
    } else if (is_pinned(m, top.entry)) {
        sift(ev, 0, rank(m->ix, top.entry));
    } else {
        pop(ev);
        m->out++;
        m->freed += e->pages;
    }
    return true;
}

static void push_back(struct making *m)
{
    struct bw_evict *ev = &m->ix->evict;

    for (; m->out > 0; m->out--)
        push(ev, ev->heap[ev->n]);
    m->freed = 0;
}

/*
 * Out of sight, unless somebody sends it: the pins are asked while readers of the shard wait, so a
 * reader that pins later will look again and find it gone (pins.h).
 */
static bool evict(struct making *m, uint32_t entry)
{
    struct bw_index *ix = m->ix;
    struct bw_index_entry *e = &ix->entries[entry];
    struct bw_index_victim victim = {
        .key_prefix = e->prefix,
        .objid = bw_index_objid(e->ident),
        .bytes = (uint64_t)e->pages * ix->granule,
    };
    uint32_t f = e->f;

    bw_index_begin(ix, victim.key_prefix);
    bool pinned = is_pinned(m, entry);
    if (!pinned) {
        bw_index_unlink(ix, entry);
        atomic_store(&e->ident, (uint64_t)BW_INDEX_DEAD << 8);
    }
    bw_index_end(ix, victim.key_prefix);
    if (pinned)
        return false;
    bw_index_free_entry(ix, entry);
    bw_ghost_put(&ix->evict.ghosts, victim.key_prefix, f, ix->evict.era);
    ix->evict.evictions++;
    m->evictor->victim(m->evictor->ctx, &victim);
    return true;
}

/* Everything behind the end of the heap leaves; what has been pinned meanwhile stays. */
static void evict_out(struct making *m)
{
    struct bw_evict *ev = &m->ix->evict;
    uint32_t from = ev->n;

    for (uint32_t i = 0; i < m->out; i++) {
        struct bw_evict_elem e = ev->heap[from + i];
        if (!evict(m, e.entry))
            push(ev, rank(m->ix, e.entry));
    }
    m->out = 0;
    m->freed = 0;
}

/* Takes enough off the heap; false: there is not enough that may go. */
static bool choose(struct making *m)
{
    while (lacks(m))
        if (!visit(m))
            return false;
    return true;
}

/*
 * Each entry is visited three times at most: with hits, without, and once more for a pin.  Beyond
 * that everything left is pinned.
 */
static bool make_room(struct making *m)
{
    m->visits_left = 3 * (uint64_t)m->ix->evict.n + 64;
    while (lacks(m)) {
        if (!choose(m)) {
            push_back(m);
            return false;
        }
        evict_out(m);
    }
    return true;
}

/* ---- newcomers ---- */

static void count_store(struct bw_evict *ev)
{
    uint64_t every = ev->n / 16 > 4 ? ev->n / 16 : 4;

    ev->stores++;
    if (ev->stores - ev->era_at >= every) {
        ev->era++;
        ev->era_at = ev->stores;
    }
}

/* What the ghosts know of it, which they forget in part: 7/8 comes back (eviction.md, 1). */
static uint32_t remember(struct bw_evict *ev, uint64_t prefix, struct bw_index_grant *grant)
{
    uint32_t ghost = bw_ghost_take(&ev->ghosts, prefix);

    grant->returned = ghost > 0;
    grant->f = 1;
    if (ghost > 0)
        grant->f = 1 + ghost * 7 / 8 > 2 ? 1 + ghost * 7 / 8 : 2;
    return ghost;
}

/* Where first-timers earn next to nothing, three of four must come twice (eviction.md, 4.6). */
static bool is_kept_at_the_door(struct bw_index *ix, const struct bw_index_grant *grant)
{
    struct bw_evict *ev = &ix->evict;

    return !grant->returned && ev->first < DOOR && ix->used > ix->budget / 2 &&
           bw_rand_below(&ev->rand, 4) != 0;
}

static uint64_t pages_of(const struct bw_index *ix, const struct bw_index_ask *ask)
{
    return (ask->bytes + ix->granule - 1) / ix->granule;
}

static struct making making_of(struct bw_index *ix, const struct bw_index_ask *ask,
                               const struct bw_index_evictor *evictor,
                               const struct bw_index_grant *grant)
{
    uint64_t pages = pages_of(ix, ask);

    return (struct making){
        .ix = ix,
        .evictor = evictor,
        .pages = pages - grant->pages,
        .mine = ix->evict.level +
                span_of(&ix->evict, grant->f, grant->returned) * unit_of(ix, pages, ask->fetch_ms),
        .now_s = ask->now_s,
        .force = ask->force,
        .new_entry = grant->pages == 0,
    };
}

/* The newcomer is not worth it: L rises to its rank, and it is remembered. */
static void refuse(struct bw_index *ix, const struct making *m, const struct bw_index_ask *ask,
                   uint32_t f)
{
    struct bw_evict *ev = &ix->evict;

    if (m->mine > ev->level && ev->n > 0)
        ev->level = m->mine;
    bw_ghost_put(&ev->ghosts, bw_hash_prefix(&ask->key), f, ev->era);
}

static bool keep(struct bw_index *ix, const struct making *m, struct bw_index_grant *grant)
{
    ix->reserved += m->pages;
    ix->grants += m->new_entry;
    grant->pages += m->pages;
    return true;
}

/* The entry of the key, if there is one in sight. */
static struct bw_index_entry *find_visible(struct bw_index *ix, const struct bw_hash *key)
{
    struct bw_index_hit hit;

    return bw_index_find(ix, key, &hit) ? &ix->entries[hit.entry] : NULL;
}

bool bw_index_admit(struct bw_index *ix, const struct bw_index_ask *ask,
                    const struct bw_index_evictor *ev, struct bw_index_grant *grant)
{
    struct bw_index_entry *known = find_visible(ix, &ask->key);
    uint32_t ghost = 0;

    *grant = (struct bw_index_grant){.f = 1};
    if (pages_of(ix, ask) == 0 || pages_of(ix, ask) > ix->budget)
        return false;
    if (known != NULL) {
        grant->f = known->f;
        grant->returned = is_returned(known);
    } else {
        count_store(&ix->evict);
        ghost = remember(&ix->evict, bw_hash_prefix(&ask->key), grant);
        if (!ask->force && is_kept_at_the_door(ix, grant)) {
            bw_ghost_put(&ix->evict.ghosts, bw_hash_prefix(&ask->key), 1, ix->evict.era);
            return false;
        }
    }
    struct making m = making_of(ix, ask, ev, grant);
    m.force |= known != NULL;
    if (make_room(&m))
        return keep(ix, &m, grant);
    refuse(ix, &m, ask, ghost + 1);
    return false;
}

bool bw_index_extend(struct bw_index *ix, const struct bw_index_ask *ask,
                     const struct bw_index_evictor *ev, struct bw_index_grant *grant)
{
    if (ask->bytes <= grant->pages * ix->granule)
        return true;
    if (pages_of(ix, ask) > ix->budget)
        return false;
    struct making m = making_of(ix, ask, ev, grant);
    m.force |= find_visible(ix, &ask->key) != NULL;
    if (make_room(&m))
        return keep(ix, &m, grant);
    refuse(ix, &m, ask, grant->returned ? grant->f : 1);
    return false;
}

void bw_index_release(struct bw_index *ix, struct bw_index_grant *grant)
{
    if (grant->pages == 0)
        return;
    BW_ASSERT(ix->reserved >= grant->pages && ix->grants > 0);
    ix->reserved -= grant->pages;
    ix->grants--;
    *grant = (struct bw_index_grant){0};
}

void bw_index_shrink(struct bw_index *ix, uint32_t now_s, const struct bw_index_evictor *ev)
{
    struct making m = {.ix = ix, .evictor = ev, .now_s = now_s, .force = true};

    if (!make_room(&m)) /* the rest is pinned: next time */
        return;
}
