/*
 * fill_read.c - a fill as its readers see it: join, look at the head, take bytes, leave.
 *
 * What threads share is looked at in one critical section that either finds something or parks
 * (rule 3 of the model: look and park may not come apart).  Messages say only "look again", at most
 * one is under way for a worker and fill; the receiver clears the mark first and looks after.
 *
 * Every reader is counted in the block of the window it stands in, so the slowest reader is the
 * first block with a count, and nobody walks a list to find it.
 */
#include "fill_priv.h"

/* ---- lists of a seat: the worker's own ---- */

static void unlink_waiter(struct bw_waiter *w)
{
    w->prev->next = w->next;
    w->next->prev = w->prev;
    w->next = w->prev = NULL;
}

static void link_waiter(struct bw_waiter *anchor, struct bw_waiter *w)
{
    w->prev = anchor->prev;
    w->next = anchor;
    anchor->prev->next = w;
    anchor->prev = w;
}

static void splice(struct bw_waiter *to, struct bw_waiter *from)
{
    if (from->next == from)
        return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    from->next = from->prev = from;
}

static struct seat *seat_of(const struct bw_waiter *w)
{
    return &w->fill->seats[w->worker];
}

static void set_parked(struct bw_waiter *w, bool parked)
{
    struct seat *s = seat_of(w);

    if (w->next != NULL)
        unlink_waiter(w);
    if (parked != w->parked)
        atomic_fetch_add_explicit(&w->fill->fs->waiting, parked ? 1U : -1U, memory_order_relaxed);
    w->parked = parked;
    link_waiter(parked ? &s->idle : &s->active, w);
    if (parked)
        s->parked = true;
}

/* ---- waking ---- */

static void walk(struct seat *s);

static void walk_more(struct bw_next *n)
{
    struct seat *s = BW_CONTAINER_OF(n, struct seat, more);
    struct bw_fill *f = s->fill;

    walk(s);
    atomic_fetch_sub(&f->fs->busy[s->worker].n, 1);
    fill_put(f);
}

/*
 * Who is woken may leave, join something else or be freed, so each is taken off the list first.
 * At most WALK_MAX in a round: a crowd must not starve the other connections.
 */
static void walk(struct seat *s)
{
    struct bw_fill *f = s->fill;

    for (unsigned i = 0; i < WALK_MAX && s->waking.next != &s->waking; i++) {
        struct bw_waiter *w = s->waking.next;

        set_parked(w, false);
        w->wake(w);
    }
    if (s->waking.next == &s->waking || bw_next_queued(&s->more))
        return;
    fill_take(f);
    atomic_fetch_add(&f->fs->busy[s->worker].n, 1);
    bw_loop_next(f->fs->o.loops[s->worker], &s->more, walk_more);
}

static void told(struct bw_message *m)
{
    struct seat *s = BW_CONTAINER_OF(m, struct seat, wake);
    struct bw_fill *f = s->fill;

    pthread_mutex_lock(&f->lock);
    s->told = false; /* cleared first, looked after */
    s->parked = false;
    pthread_mutex_unlock(&f->lock);
    splice(&s->waking, &s->idle);
    walk(s);
    atomic_fetch_sub(&f->fs->busy[s->worker].n, 1);
    fill_put(f);
}

bool wake_seats(struct bw_fill *f)
{
    bool own = false;

    for (unsigned i = 0; i < f->fs->o.workers; i++) {
        struct seat *s = &f->seats[i];

        if (!s->parked)
            continue;
        if (i == f->owner) {
            own = true;
        } else if (!s->told) { /* told already: it will look */
            s->told = true;
            fill_take(f);
            atomic_fetch_add(&f->fs->busy[i].n, 1);
            bw_loop_post(f->fs->o.loops[i], &s->wake, told);
        }
    }
    return own;
}

void walk_own_seat(struct bw_fill *f)
{
    struct seat *s = &f->seats[f->owner];

    pthread_mutex_lock(&f->lock);
    s->parked = false;
    pthread_mutex_unlock(&f->lock);
    splice(&s->waking, &s->idle);
    walk(s);
}

/* ---- the window and who stands where; fill lock held ---- */

struct window_block *window_slot(struct bw_fill *f, uint64_t number)
{
    BW_ASSERT(number >= f->first_block && number - f->first_block < f->window_n);
    return &f->window[(f->window_at + (number - f->first_block)) % f->window_cap];
}

static void window_grow(struct bw_fill *f)
{
    unsigned cap = f->window_cap == 0 ? 4 : f->window_cap * 2;
    struct window_block *bigger = bw_alloc(cap * sizeof(*bigger));

    for (unsigned i = 0; i < f->window_n; i++)
        bigger[i] = f->window[(f->window_at + i) % f->window_cap];
    free(f->window);
    f->window = bigger;
    f->window_cap = cap;
    f->window_at = 0;
}

void window_push(struct bw_fill *f, struct bw_block *b)
{
    if (f->window_n == f->window_cap)
        window_grow(f);
    f->window_n++;
    *window_slot(f, f->first_block + f->window_n - 1) = (struct window_block){b, f->ahead};
    f->ahead = 0;
}

static void window_shift(struct bw_fill *f)
{
    struct window_block *first = &f->window[f->window_at];

    f->behind += first->readers;
    bw_block_put(first->block);
    f->window_at = (f->window_at + 1) % f->window_cap;
    f->window_n--;
    f->first_block++;
}

void window_drop_below(struct bw_fill *f, uint64_t bytes)
{
    while (f->window_n != 0 && (f->first_block + 1) * BW_BLOCK_SIZE <= bytes)
        window_shift(f);
}

/* Rules 19 and 20: who lost its first bytes for good is not joined any more. */
void window_drop_passed(struct bw_fill *f)
{
    while (f->window_n != 0 && f->behind == 0 && f->window[f->window_at].readers == 0 &&
           (f->first_block + 1) * BW_BLOCK_SIZE <= f->have) {
        window_shift(f);
        f->joinable = false;
    }
}

static void uncount(struct bw_fill *f, struct bw_waiter *w)
{
    if (w->stands_in < f->cut_below)
        return; /* was cut: not counted any more */
    if (w->stands_in < f->first_block)
        f->behind--;
    else if (f->window_n == 0)
        f->ahead--;
    else
        window_slot(f, w->stands_in)->readers--;
}

/* In the block of its position, or the last there is: never in front of where it stands. */
static void count_in(struct bw_fill *f, struct bw_waiter *w)
{
    uint64_t end = f->first_block + f->window_n;

    w->stands_in = block_number(w->position);
    if (w->stands_in < f->first_block) {
        f->behind++;
    } else if (f->window_n == 0) {
        w->stands_in = f->first_block;
        f->ahead++;
    } else {
        if (w->stands_in >= end)
            w->stands_in = end - 1;
        window_slot(f, w->stands_in)->readers++;
    }
}

/* ---- joining ---- */

static void sit(struct bw_fill *f, struct bw_waiter *w, bool leads)
{
    fill_take(f);
    w->fill = f;
    w->leads = leads;
    w->state = BW_WAITER_WAITING;
    w->sending_n = 0;
    w->parked = false;
    w->next = w->prev = NULL;
    f->readers++;
    atomic_fetch_add(&f->fs->busy[w->worker].n, 1);
    count_in(f, w);
    set_parked(w, true);
}

/* What the join looks for: the slot of the request's key, or of its variant. */
struct place {
    struct bw_key key;
    uint64_t vary_id;
    char *memory;
};

static void variant_place(struct bw_fills *fs, const struct bw_join *j, uint64_t vary_id,
                          struct bw_slice names, struct place *p)
{
    struct bw_buf values = {0};

    bw_vary_values(names, j->policy->fields, &fs->codings, &values);
    p->memory = bw_alloc(j->key->bytes.len + values.len + 16);
    bw_key_variant(j->key, vary_id, bw_buf_view(&values), bw_store_secret(fs->o.store), p->memory,
                   &p->key);
    bw_buf_free(&values);
}

/* A note that the response varies leads to the variant's slot, before the store knows of it. */
static void find_place(struct bw_fills *fs, const struct bw_join *j, struct place *p)
{
    struct shard *sh = shard_of(fs, &j->key->hash);
    struct bw_vary vary;
    uint64_t vary_id = 0;
    struct slot *s;

    p->memory = NULL;
    p->key = j->variant != NULL ? *j->variant : *j->key;
    pthread_mutex_lock(&sh->lock);
    s = slot_find(sh, &j->key->hash);
    if (s != NULL && slot_note(sh, s, bw_clock_ms()) == NOTE_VARY) {
        vary = s->vary;
        vary_id = s->vary_id;
    } else if (s != NULL) {
        slot_tidy(sh, s);
    }
    pthread_mutex_unlock(&sh->lock);
    if (vary_id != 0 && !(j->variant != NULL && j->variant_vary_id == vary_id))
        variant_place(fs, j, vary_id, bw_vary_names(&vary), p);
}

enum seat_taken { SEAT_TAKEN, SEAT_NONE, SEAT_SHED };

/* Rules 4 to 6 and 8; shard lock held. */
static enum seat_taken take_seat(struct bw_fills *fs, struct slot *s, struct bw_waiter *w,
                                 bool pass)
{
    struct bw_fill *f = s->fill;
    enum seat_taken taken = SEAT_NONE;

    if (f == NULL || w->tries >= TRIES_MAX)
        return SEAT_NONE;
    pthread_mutex_lock(&f->lock);
    if (f->joinable && !(pass && !f->head_out)) {
        taken = f->readers < atomic_load(&fs->waiters_max) ? SEAT_TAKEN : SEAT_SHED;
        if (taken == SEAT_TAKEN)
            sit(f, w, false);
    }
    pthread_mutex_unlock(&f->lock);
    return taken;
}

static void lead(struct bw_fill *f, struct bw_waiter *w)
{
    pthread_mutex_lock(&f->lock);
    sit(f, w, true);
    pthread_mutex_unlock(&f->lock);
}

static bool stored_meanwhile(struct bw_fills *fs, const struct bw_join *j, const struct bw_key *key)
{
    struct bw_index_hit hit;

    return bw_index_find(bw_store_index(fs->o.store), &key->hash, &hit) &&
           hit.objid != j->dangling && !(j->base != NULL && hit.objid == j->base->objid);
}

/* Shard lock held: nobody to join, so begin one.  NULL: no memory. */
static struct bw_fill *begin(struct bw_fills *fs, struct shard *sh, const struct bw_join *j,
                             const struct place *p, bool alone)
{
    struct bw_fill *f = fill_new(fs, j);

    if (f == NULL)
        return NULL;
    f->birth_slot = p->key.hash;
    f->joinable = true; /* enter() asks whether the one in the slot is */
    if (alone || !slot_enter(sh, f, &p->key.hash))
        f->joinable = false;
    return f;
}

static enum bw_joined join_or_lead(struct bw_fills *fs, struct bw_waiter *w,
                                   const struct bw_join *j, const struct place *p)
{
    struct shard *sh = shard_of(fs, &p->key.hash);
    enum bw_joined joined = BW_JOINED_LEADS;
    struct bw_fill *f = NULL;
    enum seat_taken seat;
    struct slot *s;
    bool pass, alone;

    pthread_mutex_lock(&sh->lock);
    s = slot_need(sh, &p->key.hash, &(struct bw_hash){{0}});
    s->primary = bw_key_primary(j->key, bw_store_secret(fs->o.store));
    pass = slot_note(sh, s, bw_clock_ms()) == NOTE_PASS;
    alone = pass || j->alone || w->tries >= TRIES_MAX;
    seat = j->alone ? SEAT_NONE : take_seat(fs, s, w, pass);
    if (seat == SEAT_TAKEN)
        joined = BW_JOINED_WAITS;
    else if (seat == SEAT_SHED)
        joined = BW_JOINED_SHED;
    else if (!alone && stored_meanwhile(fs, j, &p->key)) /* rule 2 */
        joined = BW_JOINED_LOOK;
    else if (!j->may_lead)
        joined = BW_JOINED_PASS;
    else if ((f = begin(fs, sh, j, p, alone)) == NULL)
        joined = BW_JOINED_SHED;
    slot_tidy(sh, s);
    pthread_mutex_unlock(&sh->lock);
    if (f != NULL)
        lead(f, w);
    return joined;
}

enum bw_joined bw_fill_join(struct bw_fills *fs, struct bw_waiter *w, const struct bw_join *j,
                            bw_wake_fn wake)
{
    enum bw_joined joined;
    struct place p;

    BW_ASSERT(w->fill == NULL);
    w->worker = j->worker;
    w->wake = wake;
    find_place(fs, j, &p);
    joined = join_or_lead(fs, w, j, &p);
    free(p.memory);
    if (joined == BW_JOINED_WAITS)
        count_event(fs, BW_FILL_JOINED);
    else if (joined == BW_JOINED_SHED)
        count_event(fs, BW_FILL_SHED);
    return joined;
}

struct bw_fill *bw_fill_refresh(struct bw_fills *fs, const struct bw_join *j)
{
    struct bw_fill *f = NULL;
    struct place p;
    struct shard *sh;
    struct slot *s;

    if (atomic_fetch_add(&fs->refreshes, 1) >= fs->o.refreshes_max) {
        atomic_fetch_sub(&fs->refreshes, 1);
        return NULL;
    }
    find_place(fs, j, &p);
    sh = shard_of(fs, &p.key.hash);
    pthread_mutex_lock(&sh->lock);
    s = slot_find(sh, &p.key.hash);
    if ((s == NULL || (s->fill == NULL && slot_note(sh, s, bw_clock_ms()) == NOTE_NONE)) &&
        !stored_meanwhile(fs, j, &p.key))
        f = begin(fs, sh, j, &p, false);
    if (s != NULL)
        slot_tidy(sh, s);
    pthread_mutex_unlock(&sh->lock);
    free(p.memory);
    if (f == NULL) {
        atomic_fetch_sub(&fs->refreshes, 1);
        return NULL;
    }
    f->background = true;
    count_event(fs, BW_FILL_REFRESH);
    return f;
}

/* ---- looking at the head ---- */

enum bw_look bw_fill_look(struct bw_waiter *w, const struct bw_fill_head **head,
                          enum bw_reason *why)
{
    struct bw_fill *f = w->fill;
    enum bw_look look;

    pthread_mutex_lock(&f->lock);
    *head = &f->head;
    *why = f->why;
    if (!f->head_out && f->state != FILL_FAILED) {
        set_parked(w, true);
        look = BW_LOOK_WAIT;
    } else if (f->head_out && f->verdict == VERDICT_PRIVATE && !w->leads) {
        look = BW_LOOK_AGAIN;
    } else if (f->state == FILL_FAILED) {
        look = BW_LOOK_NONE; /* nothing was sent yet: an error page, not a broken response */
    } else if (f->verdict == VERDICT_FAILED) {
        look = BW_LOOK_FAILED;
    } else {
        look = f->verdict == VERDICT_PRIVATE ? BW_LOOK_OWN : BW_LOOK_HEAD;
    }
    if (look != BW_LOOK_WAIT) {
        set_parked(w, false);
        w->state = BW_WAITER_READING;
    }
    pthread_mutex_unlock(&f->lock);
    return look;
}

bool bw_fill_variant_fits(const struct bw_waiter *w, const struct bw_fields *request)
{
    const struct bw_fill *f = w->fill;
    struct bw_buf values = {0};
    bool fits;

    if (!f->varies || w->leads)
        return true;
    bw_vary_values(bw_vary_names(&f->vary), request, &f->fs->codings, &values);
    fits = bw_slice_eq(bw_buf_view(&values), f->vary_values);
    bw_buf_free(&values);
    if (!fits)
        count_event(f->fs, BW_FILL_VARY_SPLIT);
    return fits;
}

bool bw_fill_overdue(struct bw_waiter *w)
{
    struct bw_fill *f = w->fill;
    bool overdue;

    pthread_mutex_lock(&f->lock);
    overdue = !f->head_out && f->state == FILL_STARTING;
    if (overdue)
        f->joinable = false;
    pthread_mutex_unlock(&f->lock);
    if (overdue) {
        slot_leave(f, &f->birth_slot);
        count_event(f->fs, BW_FILL_WAIT_EXPIRED);
    }
    return overdue;
}

/* ---- bytes ---- */

static size_t smaller(size_t a, uint64_t b)
{
    return a < b ? a : (size_t)b;
}

static void take_pieces(struct bw_fill *f, struct bw_waiter *w, size_t most, struct bw_pieces *out)
{
    uint64_t end = w->end < f->have ? w->end : f->have;

    out->n = 0;
    out->len = 0;
    while (w->position < end && out->len < most && out->n < PIECES_MAX) {
        struct bw_block *b = window_slot(f, block_number(w->position))->block;
        size_t at = w->position % BW_BLOCK_SIZE;
        size_t n = smaller(smaller(BW_BLOCK_SIZE - at, end - w->position), most - out->len);

        bw_block_take(b);
        w->sending[w->sending_n++] = b;
        out->v[out->n++] = bw_slice(b->bytes + at, n);
        out->len += n;
        w->position += n;
    }
}

/* Fill lock held: look, take or park, in one section. */
static enum bw_next_bytes look_for_bytes(struct bw_fill *f, struct bw_waiter *w, size_t most,
                                         struct bw_pieces *out)
{
    if (f->state == FILL_FAILED || w->stands_in < f->cut_below)
        return BW_BYTES_BROKEN;
    uncount(f, w);
    count_in(f, w);
    if (f->stopped)
        poke_owner(f);
    if (w->position >= w->end)
        return BW_BYTES_END;
    if (w->position < f->have) {
        if (block_number(w->position) >= f->first_block) {
            take_pieces(f, w, most, out);
            return BW_BYTES_MEMORY;
        }
        out->objid = f->stored_objid;
        out->position = w->position;
        out->most = (w->end < f->readable ? w->end : f->readable) - w->position;
        return w->position < f->readable ? BW_BYTES_STORE : BW_BYTES_BROKEN;
    }
    if (f->state == FILL_DONE || f->state == FILL_COMMITTED)
        return BW_BYTES_END;
    set_parked(w, true);
    return BW_BYTES_PARKED;
}

enum bw_next_bytes bw_fill_next(struct bw_waiter *w, size_t most, struct bw_pieces *out)
{
    struct bw_fill *f = w->fill;
    enum bw_next_bytes next;

    BW_ASSERT(w->sending_n == 0);
    pthread_mutex_lock(&f->lock);
    next = look_for_bytes(f, w, most, out);
    pthread_mutex_unlock(&f->lock);
    if (next == BW_BYTES_MEMORY || next == BW_BYTES_STORE)
        w->state = BW_WAITER_SENDING;
    return next;
}

void bw_fill_read(struct bw_waiter *w, size_t n)
{
    w->position += n;
}

static void put_sending(struct bw_waiter *w)
{
    for (unsigned i = 0; i < w->sending_n; i++)
        bw_block_put(w->sending[i]);
    w->sending_n = 0;
}

void bw_fill_sent(struct bw_waiter *w)
{
    struct bw_fill *f = w->fill;

    put_sending(w);
    w->state = BW_WAITER_READING;
    pthread_mutex_lock(&f->lock);
    if (f->stopped)
        poke_owner(f);
    pthread_mutex_unlock(&f->lock);
}

bool bw_fill_whole(const struct bw_waiter *w, uint64_t *length)
{
    struct bw_fill *f = w->fill;
    bool whole;

    pthread_mutex_lock(&f->lock);
    whole = f->state == FILL_DONE || f->state == FILL_COMMITTED;
    *length = f->have;
    pthread_mutex_unlock(&f->lock);
    return whole;
}

const struct bw_fields *bw_fill_trailers(const struct bw_waiter *w)
{
    return &w->fill->trailers;
}

void bw_fill_keep(struct bw_waiter *w)
{
    struct bw_fill *f = w->fill;

    pthread_mutex_lock(&f->lock);
    f->keep = true;
    pthread_mutex_unlock(&f->lock);
}

uint64_t bw_fill_have(const struct bw_waiter *w)
{
    struct bw_fill *f = w->fill;
    uint64_t have;

    pthread_mutex_lock(&f->lock);
    have = f->have;
    pthread_mutex_unlock(&f->lock);
    return have;
}

/* Rule 29: the last one tells the owner, who looks for itself. */
void bw_fill_leave(struct bw_waiter *w)
{
    struct bw_fill *f = w->fill;

    put_sending(w);
    if (w->parked)
        atomic_fetch_sub_explicit(&f->fs->waiting, 1, memory_order_relaxed);
    w->parked = false;
    if (w->next != NULL)
        unlink_waiter(w);
    pthread_mutex_lock(&f->lock);
    uncount(f, w);
    f->readers--;
    if (f->state != FILL_FAILED && f->state != FILL_COMMITTED) {
        if (f->readers == 0 || f->stopped)
            poke_owner(f);
        if (w->leads && f->readers != 0)
            count_event(f->fs, BW_FILL_ORPHANED);
    }
    pthread_mutex_unlock(&f->lock);
    atomic_fetch_sub(&f->fs->busy[w->worker].n, 1);
    w->fill = NULL;
    w->leads = false;
    w->state = BW_WAITER_NONE;
    fill_put(f);
}
