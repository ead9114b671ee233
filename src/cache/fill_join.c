/*
 * fill_join.c - a request finds its fetch: joins the one that runs, leads one, or is told why not.
 *
 * Everything between the look into the slot and the seat is one critical section of the shard (and,
 * inside it, of the fill), so nothing can end in between (rule 4).
 */
#include "fill_priv.h"

/* What the join looks for: the slot of the request's key, or of its variant. */
struct place {
    struct bw_key key;
    struct bw_hash primary;
    char *memory;
    uint64_t vary_id; /* 0: not known to vary */
    struct bw_vary vary;
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

/* The id and names of a note that the response varies; 0: there is none. */
static uint64_t noted_vary(struct bw_fills *fs, const struct bw_hash *key, struct bw_vary *vary)
{
    struct shard *sh = bw_shard_of(fs, key);
    uint64_t vary_id = 0;
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_find(sh, key);
    if (s != NULL) {
        if (bw_slot_note(sh, s, bw_clock_ms()) == NOTE_VARY) {
            vary_id = s->vary_id;
            vary->len = s->vary_names_len;
            memcpy(vary->text, s->vary_names, s->vary_names_len);
        }
        bw_slot_tidy(sh, s);
    }
    pthread_mutex_unlock(&sh->lock);
    return vary_id;
}

/* A note that the response varies leads to the variant's slot, before the store knows of it. */
static void find_place(struct bw_fills *fs, const struct bw_join *j, struct place *p)
{
    p->memory = NULL;
    p->key = j->variant != NULL ? *j->variant : *j->key;
    p->primary = bw_key_primary(j->key, bw_store_secret(fs->o.store));
    p->vary_id = noted_vary(fs, &j->key->hash, &p->vary);
    if (p->vary_id != 0 && !(j->variant != NULL && j->variant_vary_id == p->vary_id))
        variant_place(fs, j, p->vary_id, bw_vary_names(&p->vary), p);
}

/* Fill lock held. */
static void sit(struct bw_fill *f, struct bw_waiter *w, bool leads)
{
    bw_fill_take(f);
    w->fill = f;
    w->leads = leads;
    w->state = BW_WAITER_WAITING;
    w->sending_n = 0;
    w->parked = false;
    w->for_commit = false;
    w->link = (h2o_linklist_t){NULL, NULL};
    f->readers++;
    atomic_fetch_add(&f->fs->busy[w->worker].n, 1);
    bw_window_count_in(f, w);
    bw_seat_park(w);
}

enum seat_taken { SEAT_TAKEN, SEAT_NONE, SEAT_SHED };

/* Rules 4 to 6 and 8; shard lock held. */
static enum seat_taken take_seat(struct bw_fills *fs, struct slot *s, struct bw_waiter *w,
                                 bool pass)
{
    unsigned most = atomic_load(&fs->waiters_max);
    struct bw_fill *f = s->fill;
    enum seat_taken taken = SEAT_NONE;

    if (f == NULL || w->tries >= TRIES_MAX || most == 0)
        return SEAT_NONE;
    pthread_mutex_lock(&f->lock);
    if (f->joinable && !(pass && !f->head_out)) {
        taken = f->readers < most ? SEAT_TAKEN : SEAT_SHED;
        if (taken == SEAT_TAKEN)
            sit(f, w, false);
    }
    pthread_mutex_unlock(&f->lock);
    return taken;
}

/*
 * The last response was not for others, but it is being stored (`no-cache`): its record will be
 * there in a moment, and asking the origin with its validator beats fetching the whole again. Shard
 * lock held, under which a mark is cleared before its fill is freed.
 */
static enum seat_taken take_commit_seat(struct bw_fills *fs, struct slot *s, struct bw_waiter *w,
                                        struct bw_fill **held)
{
    struct bw_fill *f = s->mark;
    enum seat_taken taken = SEAT_NONE;

    if (f == NULL || w->tries >= TRIES_MAX || !bw_fill_try_take(f))
        return SEAT_NONE;
    pthread_mutex_lock(&f->lock);
    if (f->store == FILL_STORE_ON && f->state == FILL_DONE &&
        f->readers < atomic_load(&fs->waiters_max)) {
        sit(f, w, false);
        w->for_commit = true;
        taken = SEAT_TAKEN;
    }
    pthread_mutex_unlock(&f->lock);
    *held = f; /* to be put without the shard's lock: it may be the last */
    return taken;
}

/* Has a record landed that the lookup did not know?  Its objid, or 0. */
static uint64_t stored_meanwhile(struct bw_fills *fs, const struct bw_join *j,
                                 const struct bw_key *key)
{
    struct bw_index_hit hit;

    if (!bw_index_find(bw_store_index(fs->o.store), &key->hash, &hit) || hit.objid == j->dangling ||
        hit.objid == j->found)
        return 0;
    return hit.objid;
}

/*
 * Once for each record: where a lookup does not lead to it (a note says that the response varies,
 * and the base record has been replaced) the request would go in circles.
 */
static bool send_back(struct bw_fills *fs, struct bw_waiter *w, const struct bw_join *j,
                      const struct bw_key *key)
{
    uint64_t objid = stored_meanwhile(fs, j, key);

    if (objid == 0 || objid == w->sent_back)
        return false;
    w->sent_back = objid;
    return true;
}

/* Shard lock held: nobody to join, so begin one.  False: no memory. */
static bool lead(struct bw_fills *fs, struct bw_waiter *w, const struct bw_join *j,
                 const struct place *p, bool alone)
{
    struct bw_fill *f = bw_fill_new(fs, j, false);

    if (f == NULL)
        return false;
    f->birth_slot = p->key.hash;
    pthread_mutex_lock(&f->lock);
    sit(f, w, true);
    pthread_mutex_unlock(&f->lock);
    if (!alone)
        bw_slot_enter(bw_shard_of(fs, &p->key.hash), f, &p->key.hash);
    return true;
}

/* Is a variant on its way that is in the language this request wants most, and may it wait for it?
 * The one that it has of its own is revalidated instead. */
static bool join_by_language(struct bw_fills *fs, struct bw_waiter *w, const struct bw_join *j,
                             const struct place *p)
{
    struct language_ask ask = {j->key, p->vary_id, bw_vary_names(&p->vary), j->policy->fields,
                               bw_vary_language(j->policy->fields)};
    enum seat_taken seat = SEAT_NONE;
    struct language *l;
    struct shard *sh;
    struct slot *s;

    if (p->vary_id == 0 || j->base != NULL || j->alone)
        return false;
    l = bw_language_new(fs, &ask);
    if (l == NULL)
        return false;
    sh = bw_shard_of(fs, &l->key.hash);
    pthread_mutex_lock(&sh->lock);
    s = bw_slot_find(sh, &l->key.hash);
    if (s != NULL)
        seat = take_seat(fs, s, w, false);
    pthread_mutex_unlock(&sh->lock);
    free(l);
    return seat == SEAT_TAKEN;
}

static enum bw_joined without_a_seat(struct bw_fills *fs, struct bw_waiter *w,
                                     const struct bw_join *j, const struct place *p, bool alone)
{
    if (!alone && send_back(fs, w, j, &p->key)) /* rule 2 */
        return BW_JOINED_LOOK;
    if (!j->may_lead)
        return BW_JOINED_PASS;
    return lead(fs, w, j, p, alone) ? BW_JOINED_LEADS : BW_JOINED_SHED; /* rule 7 */
}

static enum bw_joined join_or_lead(struct bw_fills *fs, struct bw_waiter *w,
                                   const struct bw_join *j, const struct place *p)
{
    struct shard *sh = bw_shard_of(fs, &p->key.hash);
    enum bw_joined joined;
    struct bw_fill *held = NULL;
    enum seat_taken seat;
    struct slot *s;
    bool pass, alone;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_need(sh, &p->key.hash, &p->primary);
    pass = bw_slot_note(sh, s, bw_clock_ms()) == NOTE_PASS;
    alone = pass || j->alone || w->tries >= TRIES_MAX;
    seat = j->alone ? SEAT_NONE : take_seat(fs, s, w, pass);
    if (seat == SEAT_NONE && pass && !j->alone && j->base == NULL)
        seat = take_commit_seat(fs, s, w, &held);
    if (seat == SEAT_NONE && j->second && s->note == NOTE_RETRY)
        joined = BW_JOINED_SICK; /* rule 16: two fetches, however slowly a worker walks its seat */
    else if (seat == SEAT_NONE)
        joined = without_a_seat(fs, w, j, p, alone);
    else
        joined = seat == SEAT_TAKEN ? BW_JOINED_WAITS : BW_JOINED_SHED;
    bw_slot_tidy(sh, s);
    pthread_mutex_unlock(&sh->lock);
    if (held != NULL) {
        bw_store_hurry(fs->o.store);
        bw_fill_put(held);
    }
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
    joined = join_by_language(fs, w, j, &p) ? BW_JOINED_WAITS : join_or_lead(fs, w, j, &p);
    free(p.memory);
    if (joined == BW_JOINED_WAITS)
        bw_fills_event(fs, BW_FILL_JOINED);
    else if (joined == BW_JOINED_SHED)
        bw_fills_event(fs, BW_FILL_SHED);
    return joined;
}

/* Rule 33; NULL: there is a fill or a note, or somebody has been faster, or there is no memory. */
static struct bw_fill *refresh(struct bw_fills *fs, const struct bw_join *j, const struct place *p)
{
    struct shard *sh = bw_shard_of(fs, &p->key.hash);
    struct bw_fill *f = NULL;
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_need(sh, &p->key.hash, &p->primary);
    if (s->fill == NULL && bw_slot_note(sh, s, bw_clock_ms()) == NOTE_NONE &&
        stored_meanwhile(fs, j, &p->key) == 0)
        f = bw_fill_new(fs, j, true);
    if (f != NULL) {
        f->birth_slot = p->key.hash;
        bw_slot_enter(sh, f, &p->key.hash);
    }
    bw_slot_tidy(sh, s);
    pthread_mutex_unlock(&sh->lock);
    return f;
}

static struct bw_fill *begin_refresh(struct bw_fills *fs, const struct bw_join *j)
{
    struct bw_fill *f = NULL;
    struct place p;

    if (atomic_fetch_add(&fs->refreshes, 1) < fs->o.refreshes_max) {
        find_place(fs, j, &p);
        f = refresh(fs, j, &p);
        free(p.memory);
    }
    if (f == NULL)
        atomic_fetch_sub(&fs->refreshes, 1);
    return f;
}

struct bw_fill *bw_fill_refresh(struct bw_fills *fs, const struct bw_join *j)
{
    struct bw_fill *f = begin_refresh(fs, j);

    if (f != NULL)
        bw_fills_event(fs, BW_FILL_REFRESH);
    return f;
}

/* ---- what is here already ---- */

static void nothing(void *source)
{
    (void)source;
}

/* There is no way to stop what has come: it is charged in any case, and is small. */
static const struct bw_source_ops no_source = {nothing, nothing, nothing};

void bw_fill_deposit(struct bw_fills *fs, const struct bw_join *j, const struct bw_fill_response *r,
                     struct bw_slice body)
{
    const struct bw_fields no_trailers = {NULL, 0};
    struct bw_fill *f;

    BW_ASSERT(j->made && j->base == NULL && r->length == body.len);
    f = begin_refresh(fs, j);
    if (f == NULL)
        return;
    bw_fill_set_source(f, &no_source, NULL);
    bw_fill_on_head(f, r);
    if (body.len != 0)
        bw_fill_on_data(f, body);
    bw_fill_on_end(f, &no_trailers);
}

void bw_fill_freshen(struct bw_fills *fs, const struct bw_join *j, const struct bw_fill_response *r)
{
    const struct bw_fields no_trailers = {NULL, 0};
    struct bw_fill_response confirms = *r;
    struct bw_fill *f;

    BW_ASSERT(j->made && j->base != NULL);
    f = begin_refresh(fs, j);
    if (f == NULL)
        return;
    bw_fill_set_source(f, &no_source, NULL);
    if (bw_fill_base(f) == NULL) { /* purged meanwhile */
        bw_fill_fail(f, BW_REASON_NONE);
        return;
    }
    confirms.status = 304;
    bw_fill_on_head(f, &confirms);
    bw_fill_on_end(f, &no_trailers);
}

/* Rule 30: whoever is first takes the fill out of its slot, so that the next one leads a new one.
 */
bool bw_fill_overdue(struct bw_waiter *w)
{
    struct bw_fill *f = w->fill;
    bool overdue;

    pthread_mutex_lock(&f->lock);
    overdue = f->state == FILL_STARTING;
    if (overdue)
        f->joinable = false;
    pthread_mutex_unlock(&f->lock);
    if (overdue) {
        bw_slot_leave(f, &f->birth_slot);
        bw_fills_event(f->fs, BW_FILL_WAIT_EXPIRED);
    }
    return overdue;
}
