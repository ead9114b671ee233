/*
 * fill_read.c - a fill as its readers see it: woken, looking at the head, taking bytes, leaving.
 *
 * What threads share is looked at in one critical section that either finds something or parks.
 * Messages say only "look again", at most one is under way for a worker and fill; the receiver
 * clears the mark first and looks after (section 3).
 */
#include "fill_priv.h"

/* ---- the seat: its lists are the worker's own ---- */

static struct seat *seat_of(const struct bw_waiter *w)
{
    return &w->fill->seats[w->worker];
}

static void set_parked(struct bw_waiter *w, bool parked)
{
    if (h2o_linklist_is_linked(&w->link))
        h2o_linklist_unlink(&w->link);
    if (parked != w->parked)
        atomic_fetch_add_explicit(&w->fill->fs->waiting, parked ? 1U : -1U, memory_order_relaxed);
    w->parked = parked;
}

void bw_seat_park(struct bw_waiter *w)
{
    struct seat *s = seat_of(w);

    set_parked(w, true);
    h2o_linklist_insert(&s->idle, &w->link);
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
    bw_fill_put(f);
}

/*
 * Who is woken may leave, join something else or be freed, so each is taken off the list first.
 * At most WALK_MAX in a round: a crowd must not starve the other connections.
 */
static void walk(struct seat *s)
{
    struct bw_fill *f = s->fill;

    for (unsigned i = 0; i < WALK_MAX && !h2o_linklist_is_empty(&s->waking); i++) {
        struct bw_waiter *w = BW_CONTAINER_OF(s->waking.next, struct bw_waiter, link);

        set_parked(w, false);
        w->wake(w);
    }
    if (h2o_linklist_is_empty(&s->waking) || bw_next_queued(&s->more))
        return;
    bw_fill_take(f);
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
    h2o_linklist_insert_list(&s->waking, &s->idle);
    walk(s);
    atomic_fetch_sub(&f->fs->busy[s->worker].n, 1);
    bw_fill_put(f);
}

static void tell(struct bw_fill *f, struct seat *s)
{
    if (!s->parked || s->told) /* told already: it will look */
        return;
    s->told = true;
    bw_fill_take(f);
    atomic_fetch_add(&f->fs->busy[s->worker].n, 1);
    bw_loop_post(f->fs->o.loops[s->worker], &s->wake, told);
}

void bw_seats_tell(struct bw_fill *f)
{
    for (unsigned i = 0; i < f->fs->o.workers; i++)
        tell(f, &f->seats[i]);
}

bool bw_seats_wake(struct bw_fill *f)
{
    bool own = false;

    for (unsigned i = 0; i < f->fs->o.workers; i++) {
        struct seat *s = &f->seats[i];

        if (i == f->owner)
            own = own || s->parked;
        else
            tell(f, s);
    }
    return own;
}

void bw_seats_walk_own(struct bw_fill *f)
{
    struct seat *s = &f->seats[f->owner];

    pthread_mutex_lock(&f->lock);
    s->parked = false;
    pthread_mutex_unlock(&f->lock);
    h2o_linklist_insert_list(&s->waking, &s->idle);
    walk(s);
}

void bw_fill_wake(struct bw_fill *f)
{
    bool own;

    pthread_mutex_lock(&f->lock);
    own = bw_seats_wake(f);
    pthread_mutex_unlock(&f->lock);
    if (own)
        bw_seats_walk_own(f);
}

/* ---- looking at the head ---- */

/* Fill lock held: is a record of this fill still to come? */
static bool landing(const struct bw_fill *f)
{
    return f->store == FILL_STORE_ON && (f->state == FILL_BODY || f->state == FILL_DONE);
}

bool bw_fill_await_commit(struct bw_waiter *w)
{
    struct bw_fill *f = w->fill;
    bool waits;

    pthread_mutex_lock(&f->lock);
    waits = !w->for_commit && f->state == FILL_DONE && landing(f);
    if (waits) {
        w->for_commit = true;
        bw_seat_park(w);
    }
    pthread_mutex_unlock(&f->lock);
    if (waits)
        bw_store_hurry(f->fs->o.store);
    return waits;
}

/* Fill lock held. */
static enum bw_look what_is_there(const struct bw_fill *f, const struct bw_waiter *w)
{
    if (w->for_commit)
        return landing(f) ? BW_LOOK_WAIT : BW_LOOK_AGAIN;
    if (f->head_out && f->verdict == VERDICT_PRIVATE && !w->leads)
        return BW_LOOK_AGAIN;
    if (f->state == FILL_FAILED)
        return BW_LOOK_NONE; /* nothing was sent yet: an error page, not a broken response */
    if (!f->head_out)
        return BW_LOOK_WAIT;
    if (f->verdict == VERDICT_FAILED)
        return BW_LOOK_FAILED;
    return f->verdict == VERDICT_PRIVATE ? BW_LOOK_OWN : BW_LOOK_HEAD;
}

enum bw_look bw_fill_look(struct bw_waiter *w, const struct bw_fill_head **head,
                          enum bw_reason *why)
{
    struct bw_fill *f = w->fill;
    enum bw_look look;

    pthread_mutex_lock(&f->lock);
    *head = &f->head;
    *why = f->why;
    look = what_is_there(f, w);
    if (look == BW_LOOK_WAIT) {
        bw_seat_park(w);
    } else {
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
    fits = bw_slice_eq(bw_buf_view(&values), f->vary_values) || bw_fill_language_fits(f, request);
    bw_buf_free(&values);
    if (!fits)
        bw_fills_event(f->fs, BW_FILL_VARY_SPLIT);
    return fits;
}

/* ---- bytes ---- */

static size_t smaller(size_t a, uint64_t b)
{
    return a < b ? a : (size_t)b;
}

/*
 * Where the pool is nearly full a slow client holds back less of it (fill.md, 5); and where the
 * window waits for the slowest, the slowest has to move within rule 23's time.
 */
static unsigned pieces_most(const struct bw_fill *f)
{
    const struct bw_budget *pool = f->fs->o.budget;

    if (bw_budget_used(pool) >= pool->limit - pool->limit / 8)
        return BW_CHUNK_BLOCKS;
    return f->store == FILL_STORE_ON ? PIECES_MAX : PIECES_MAX / 2;
}

static void take_pieces(struct bw_fill *f, struct bw_waiter *w, size_t most, struct bw_pieces *out)
{
    uint64_t end = w->end < f->have ? w->end : f->have;
    unsigned pieces = pieces_most(f);

    out->n = 0;
    out->len = 0;
    while (w->position < end && out->len < most && out->n < pieces) {
        struct bw_block *b = bw_window_at(f, block_number(w->position))->block;
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
    bw_window_uncount(f, w);
    bw_window_count_in(f, w);
    if (f->stopped)
        bw_fill_poke(f);
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
    bw_seat_park(w);
    return BW_BYTES_PARKED;
}

enum bw_next_bytes bw_fill_next(struct bw_waiter *w, size_t most, struct bw_pieces *out)
{
    struct bw_fill *f = w->fill;
    enum bw_next_bytes next;

    BW_ASSERT(w->sending_n == 0);
    pthread_mutex_lock(&f->lock);
    next = look_for_bytes(f, w, most, out);
    if (next != BW_BYTES_PARKED)
        set_parked(w, false); /* it may look before it is woken, and is to be woken no more */
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
        bw_fill_poke(f);
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

static bool fetching(const struct bw_fill *f)
{
    return f->state == FILL_STARTING || f->state == FILL_BODY;
}

/*
 * Rule 29: the last one tells the owner, who looks for itself.  A seat in which nobody waits is
 * told nothing any more: its worker may end (rule 35).
 */
void bw_fill_leave(struct bw_waiter *w)
{
    struct bw_fill *f = w->fill;
    struct seat *s = seat_of(w);

    put_sending(w);
    set_parked(w, false);
    pthread_mutex_lock(&f->lock);
    s->parked = s->parked && !h2o_linklist_is_empty(&s->idle);
    bw_window_uncount(f, w);
    f->readers--;
    if (fetching(f) && (f->readers == 0 || f->stopped))
        bw_fill_poke(f);
    if (fetching(f) && w->leads && f->readers != 0)
        bw_fills_event(f->fs, BW_FILL_ORPHANED);
    pthread_mutex_unlock(&f->lock);
    w->fill = NULL;
    w->leads = false;
    w->state = BW_WAITER_NONE;
    atomic_fetch_sub(&f->fs->busy[w->worker].n, 1);
    bw_fill_put(f);
}
