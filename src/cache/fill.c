/*
 * fill.c - a fill as its owner sees it: begun, fed by the source, stopped and started again, over.
 *
 *     STARTING --head--> BODY --last byte--> DONE --commit, index--> COMMITTED
 *         `--no head-------`--cut, nobody left--> FAILED
 *
 * Everything in this file runs on the owner's thread, but for bw_fill_poke().  A fill that finds no
 * room says first that it has stopped and looks for room after that: whoever makes some in between
 * either is seen or sees that it has to poke (rule 21).
 */
#include "fill_priv.h"

/* ---- birth ---- */

static size_t aligned(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

static size_t request_size(const struct bw_join *j)
{
    return aligned(bw_fill_fields_size(j->policy->fields) + j->policy->method.len +
                   j->key->bytes.len);
}

static size_t base_size(const struct bw_entry *base)
{
    if (base == NULL)
        return 0;
    return bw_fill_fields_size(&base->fields) + base->key.len + base->reason.len +
           base->inline_body.len;
}

static void copy_base(struct bw_fill *f, const struct bw_join *j, char *at)
{
    f->has_base = true;
    f->base = *j->base;
    f->base_hash = j->base_key->hash;
    at = bw_fill_fields_copy(&j->base->fields, at, &f->base.fields);
    at = bw_fill_put_slice(at, j->base->key, &f->base.key);
    at = bw_fill_put_slice(at, j->base->reason, &f->base.reason);
    if (j->base->inline_body.base != NULL)
        bw_fill_put_slice(at, j->base->inline_body, &f->base.inline_body);
    bw_pin(f->fs->o.pins[f->owner], f->base.objid);
}

static void copy_request(struct bw_fill *f, const struct bw_join *j)
{
    char *at;

    f->memory = bw_alloc(request_size(j) + base_size(j->base));
    at = bw_fill_fields_copy(j->policy->fields, f->memory, &f->request);
    f->key = *j->key;
    at = bw_fill_put_slice(at, j->key->bytes, &f->key.bytes);
    bw_fill_put_slice(at, j->policy->method, &f->policy.method);
    f->settings = *j->policy->settings;
    f->policy.settings = &f->settings;
    f->policy.fields = &f->request;
    f->dangling = j->dangling;
    f->found = j->found;
    if (j->variant != NULL && j->variant_names.len <= sizeof(f->base_vary.text)) {
        f->base_vary_id = j->variant_vary_id;
        f->base_vary.len = j->variant_names.len;
        memcpy(f->base_vary.text, j->variant_names.base, j->variant_names.len);
    }
    if (j->base != NULL)
        copy_base(f, j, f->memory + request_size(j));
}

static void seats_init(struct bw_fill *f)
{
    for (unsigned i = 0; i < f->fs->o.workers; i++) {
        struct seat *s = &f->seats[i];

        s->fill = f;
        s->worker = i;
        h2o_linklist_init_anchor(&s->idle);
        h2o_linklist_init_anchor(&s->waking);
    }
}

static void own(struct bw_fill *f)
{
    struct busy *busy = &f->fs->busy[f->owner];

    f->owned_next = busy->owned;
    f->owned_at = &busy->owned;
    if (f->owned_next != NULL)
        f->owned_next->owned_at = &f->owned_next;
    busy->owned = f;
    atomic_fetch_add(&busy->n, 1);
}

/* All the memory that a fill has of its own, and its reserve; NULL: there is not so much. */
static struct bw_fill *allocate(struct bw_fills *fs, const struct bw_join *j)
{
    size_t size = sizeof(struct bw_fill) + fs->o.workers * sizeof(struct seat);
    size_t charged = size + request_size(j) + base_size(j->base);
    struct bw_fill *f;

    if (!bw_budget_take(fs->o.budget, charged))
        return NULL;
    f = bw_zalloc(size);
    f->charged = charged;
    if (bw_account_open(&f->account, fs->o.budget, 1))
        return f;
    bw_budget_give(fs->o.budget, charged);
    free(f);
    return NULL;
}

/*
 * What was looked up before a purge is not what a fill that is born after it may confirm: it would
 * be served to those who come after the purge's answer.
 */
static struct bw_join as_of_now(struct bw_fills *fs, const struct bw_join *asked,
                                const struct bw_hash *primary)
{
    struct bw_join j = *asked;

    if (bw_store_purged_since(fs->o.store, primary, j.seen)) {
        j.base = NULL;
        j.variant = NULL;
    }
    return j;
}

struct bw_fill *bw_fill_new(struct bw_fills *fs, const struct bw_join *asked, bool background)
{
    struct bw_hash primary = bw_key_primary(asked->key, bw_store_secret(fs->o.store));
    uint64_t born = asked->made ? asked->seen : bw_store_purge_seq(fs->o.store);
    struct bw_join now = as_of_now(fs, asked, &primary), *j = &now;
    struct bw_fill *f = allocate(fs, j);

    if (f == NULL)
        return NULL;
    f->fs = fs;
    f->owner = j->worker;
    f->background = background;
    f->second = j->second;
    f->primary = primary;
    f->born = born;
    copy_request(f, j);
    atomic_init(&f->refs, 1);
    pthread_mutex_init(&f->lock, NULL);
    seats_init(f);
    bw_fill_store_begin(f);
    own(f);
    atomic_fetch_add(&fs->live, 1);
    bw_fills_event(fs, BW_FILL_BEGUN);
    return f;
}

void bw_fill_set_source(struct bw_fill *f, const struct bw_source_ops *ops, void *source)
{
    BW_ASSERT(f->source_ops == NULL && !f->finished);
    f->source_ops = ops;
    f->source = source;
}

const struct bw_fields *bw_fill_request_fields(const struct bw_fill *f)
{
    return &f->request;
}

const struct bw_entry *bw_fill_base(const struct bw_fill *f)
{
    return f->has_base ? &f->base : NULL;
}

/* ---- the end ---- */

/*
 * The owner's reference goes when the fetch is over and nothing is left to hand to the writer. From
 * then on nobody may send the owner a message: its loop may be gone.
 */
static void release_owner(struct bw_fill *f)
{
    if (!f->finished || f->released)
        return;
    pthread_mutex_lock(&f->lock);
    f->released = !(f->store == FILL_STORE_ON && f->state == FILL_DONE && !f->record_handed);
    pthread_mutex_unlock(&f->lock);
    if (!f->released)
        return;
    bw_timer_stop(&f->patience);
    *f->owned_at = f->owned_next;
    if (f->owned_next != NULL)
        f->owned_next->owned_at = f->owned_at;
    atomic_fetch_sub(&f->fs->busy[f->owner].n, 1);
    bw_fill_put(f);
}

void bw_fill_leave_slots(struct bw_fill *f)
{
    bw_slot_leave(f, &f->birth_slot);
    if (f->head_out && !bw_hash_eq(&f->store_hash, &f->birth_slot))
        bw_slot_leave(f, &f->store_hash);
    bw_fill_language_leave(f);
}

/* No byte will come any more: what was kept ready for them goes back; fill lock held. */
static void end_fetch(struct bw_fill *f)
{
    f->stopped = false;
    if (f->spare)
        bw_account_release(&f->account);
    f->spare = f->lent = false;
    bw_account_reserve(&f->account, 0);
}

static void stop_source(struct bw_fill *f)
{
    if (f->source_over)
        return;
    f->source_over = true;
    if (f->source_ops != NULL)
        f->source_ops->cancel(f->source);
}

/* The slots are left before anybody hears of it: who comes now begins anew (rule 25). */
void bw_fill_fail(struct bw_fill *f, enum bw_reason why)
{
    if (f->finished)
        return;
    f->finished = true;
    bw_fill_take(f);
    stop_source(f);
    pthread_mutex_lock(&f->lock);
    f->joinable = false;
    pthread_mutex_unlock(&f->lock);
    bw_fill_leave_slots(f);
    pthread_mutex_lock(&f->lock);
    f->state = FILL_FAILED;
    f->why = why;
    if (f->store == FILL_STORE_ON)
        f->store = FILL_STORE_LOST;
    end_fetch(f);
    bw_window_drop_below(f, UINT64_MAX);
    pthread_mutex_unlock(&f->lock);
    if (f->head_out && why != BW_REASON_NONE)
        bw_fills_event(f->fs, BW_FILL_BROKEN);
    bw_fill_wake(f);
    release_owner(f);
    bw_fill_put(f);
}

void bw_fill_note_retry(struct bw_fill *f)
{
    struct shard *sh = bw_shard_of(f->fs, &f->birth_slot);
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_need(sh, &f->birth_slot, &f->primary);
    if (bw_slot_note(sh, s, bw_clock_ms()) == NOTE_NONE)
        bw_note_set(sh, s, NOTE_RETRY, bw_clock_ms() + RETRY_NOTE_MS);
    pthread_mutex_unlock(&sh->lock);
}

void bw_fill_on_fail(struct bw_fill *f, enum bw_reason why)
{
    f->source_over = true;
    if (f->background)
        bw_fill_note_retry(f);
    bw_fill_fail(f, why);
}

static void keep_trailers(struct bw_fill *f, const struct bw_fields *trailers)
{
    size_t size;

    if (trailers == NULL || trailers->n == 0)
        return;
    size = bw_fill_fields_size(trailers);
    bw_budget_force(f->fs->o.budget, size);
    f->charged += size;
    f->trailer_memory = bw_alloc(size);
    bw_fill_fields_copy(trailers, f->trailer_memory, &f->trailers);
}

void bw_fill_on_end(struct bw_fill *f, const struct bw_fields *trailers)
{
    bw_fill_take(f);
    f->source_over = f->finished = true;
    keep_trailers(f, trailers);
    pthread_mutex_lock(&f->lock);
    f->state = FILL_DONE;
    end_fetch(f);
    pthread_mutex_unlock(&f->lock);
    bw_timer_stop(&f->patience);
    bw_fill_hand_record(f);
    bw_fill_wake(f);
    release_owner(f);
    bw_fill_put(f);
}

/* ---- the body ---- */

static unsigned blocks_most(const struct bw_fill *f)
{
    return f->store == FILL_STORE_ON ? STORED_BLOCKS_MAX : SHARED_BLOCKS_MAX;
}

/* Room for one block, fill lock held: where nothing is stored, what all have passed makes some. */
static bool take_room(struct bw_fill *f)
{
    if (f->spare || bw_account_take(&f->account, blocks_most(f)))
        return true;
    if (f->store == FILL_STORE_ON)
        return false;
    bw_window_drop_passed(f);
    return bw_account_take(&f->account, blocks_most(f));
}

/* A block to append to, charged in any case, since the bytes are here; false: it was one too many.
 */
static bool new_block(struct bw_fill *f)
{
    bool room = take_room(f);

    f->spare = false;
    if (!room)
        bw_account_force(&f->account);
    bw_window_push(f, bw_block_new_on(&f->account));
    return room;
}

/* Bytes behind `have` are the owner's alone, so they are copied without the lock. */
static bool append(struct bw_fill *f, struct bw_slice bytes)
{
    bool room = true;

    while (bytes.len != 0) {
        struct bw_block *tail;
        size_t at = f->have % BW_BLOCK_SIZE, n;

        pthread_mutex_lock(&f->lock);
        if (at == 0)
            room = new_block(f) && room;
        tail = bw_window_at(f, block_number(f->have))->block;
        pthread_mutex_unlock(&f->lock);
        n = BW_BLOCK_SIZE - at < bytes.len ? BW_BLOCK_SIZE - at : bytes.len;
        memcpy(tail->bytes + at, bytes.base, n);
        tail->len = (uint32_t)(at + n);
        bytes = bw_slice(bytes.base + n, bytes.len - n);
        pthread_mutex_lock(&f->lock);
        f->have += n;
        pthread_mutex_unlock(&f->lock);
    }
    return room;
}

/*
 * May the source go on?  Fill lock held.  A block is taken for what comes next; where there is
 * none, the rest of the last one will do, if the reserve covers all there is: a chunk that cannot
 * become whole would never be committed.
 */
static bool find_room(struct bw_fill *f)
{
    f->spare = take_room(f);
    return f->spare || (f->have % BW_BLOCK_SIZE != 0 && bw_account_covered(&f->account));
}

/*
 * Rule 22: the blocks that a lost writer does not give back may not hold up the readers, so the
 * reserve grows by them; it shrinks again with each chunk that is answered (fill_store.c).  Fill
 * lock held.
 */
static bool lend(struct bw_fill *f)
{
    uint32_t away = f->handed - f->answered;

    if (f->store != FILL_STORE_LOST || f->lent || away == 0)
        return false;
    f->lent = bw_account_lend(&f->account, (away + 1) * BW_CHUNK_BLOCKS);
    return f->lent;
}

static void look_again(struct bw_fill *f);
static void patience_over(struct bw_timer *t);

/* What has to move while the source is stopped; fill lock held. */
static uint64_t progress(const struct bw_fill *f)
{
    return f->store == FILL_STORE_ON ? f->committed : f->first_block;
}

static void arm_patience(struct bw_fill *f)
{
    const struct bw_fills_options *o = &f->fs->o;

    pthread_mutex_lock(&f->lock);
    f->patience_stored = f->store == FILL_STORE_ON;
    f->patience_mark = progress(f);
    pthread_mutex_unlock(&f->lock);
    bw_timer_start(o->loops[f->owner], &f->patience, f->patience_stored ? o->writer_ms : o->lag_ms,
                   patience_over);
}

/* Rules 22 and 23: nothing has moved while the source was stopped.  The writer is to blame only for
 * what it has been given. */
static void patience_over(struct bw_timer *t)
{
    struct bw_fill *f = BW_CONTAINER_OF(t, struct bw_fill, patience);

    bw_fill_take(f);
    pthread_mutex_lock(&f->lock);
    if (f->patience_stored == (f->store == FILL_STORE_ON) && f->patience_mark == progress(f)) {
        if (!f->patience_stored)
            bw_window_cut_slowest(f);
        else if (f->committed < f->handed)
            bw_fill_lose_store(f);
    }
    pthread_mutex_unlock(&f->lock);
    arm_patience(f);
    look_again(f);
    bw_fill_put(f);
}

static bool mark_stopped(struct bw_fill *f)
{
    bool already;

    pthread_mutex_lock(&f->lock);
    already = f->stopped;
    f->stopped = true;
    pthread_mutex_unlock(&f->lock);
    return already;
}

/* Rule 21; marked as stopped already, and what could be handed over has been. */
static void stop(struct bw_fill *f, bool already)
{
    bool room;

    pthread_mutex_lock(&f->lock);
    room = find_room(f);
    if (room && already)
        bw_fill_poke(f); /* the source is paused: not from within its own call */
    else if (room)
        f->stopped = false;
    pthread_mutex_unlock(&f->lock);
    if (room || already)
        return;
    f->source_ops->pause(f->source);
    arm_patience(f);
}

static void give_up_storing(struct bw_fill *f)
{
    pthread_mutex_lock(&f->lock);
    bw_fill_lose_store(f);
    pthread_mutex_unlock(&f->lock);
}

void bw_fill_on_data(struct bw_fill *f, struct bw_slice bytes)
{
    bool room, already = false;

    if (f->have + bytes.len > atomic_load(&f->fs->max_object))
        give_up_storing(f);
    room = append(f, bytes);
    if (!room)
        already = mark_stopped(f);
    bw_fill_hand_chunks(f);
    if (!room)
        stop(f, already);
    bw_fill_wake(f);
}

/* ---- what the owner is told ---- */

static void start_again(struct bw_fill *f)
{
    pthread_mutex_lock(&f->lock);
    f->stopped = false;
    pthread_mutex_unlock(&f->lock);
    bw_timer_stop(&f->patience);
    f->source_ops->resume(f->source);
}

/* Rule 29: is it worth going on without a reader?  Fill lock held. */
static bool worth_finishing(const struct bw_fill *f)
{
    uint64_t left;

    if (f->background && !f->head_out)
        return true;
    if (f->store != FILL_STORE_ON)
        return false;
    if (f->background || f->keep)
        return true;
    if (f->head.length == UINT64_MAX)
        return false;
    left = f->head.length > f->have ? f->head.length - f->have : 0;
    return left <= NEARLY_DONE || left <= f->head.length / 4;
}

enum sight { SIGHT_NOBODY, SIGHT_NO_ROOM, SIGHT_ROOM, SIGHT_RUNS };

/* Fill lock held. */
static enum sight look(struct bw_fill *f)
{
    if (f->readers == 0 && !worth_finishing(f)) {
        f->joinable = false;
        return SIGHT_NOBODY;
    }
    if (!f->stopped)
        return SIGHT_RUNS;
    return find_room(f) || (lend(f) && find_room(f)) ? SIGHT_ROOM : SIGHT_NO_ROOM;
}

static void abandon(struct bw_fill *f)
{
    bw_fills_event(f->fs, BW_FILL_ABORTED);
    bw_fill_fail(f, BW_REASON_NONE);
}

static void look_while_fetching(struct bw_fill *f)
{
    enum sight sight;

    pthread_mutex_lock(&f->lock);
    sight = look(f);
    pthread_mutex_unlock(&f->lock);
    if (sight == SIGHT_NOBODY) {
        abandon(f);
        return;
    }
    bw_fill_hand_chunks(f);
    if (sight == SIGHT_ROOM)
        start_again(f);
    else if (sight == SIGHT_NO_ROOM && f->patience_stored && !bw_fill_store_on(f))
        arm_patience(f); /* the store is lost: now it is the readers' time that counts */
}

/*
 * The owner looks under the lock: the message said nothing.  A private head whose leader is gone
 * has no reader left either, so it ends here, too (rule 11).
 */
static void look_again(struct bw_fill *f)
{
    if (!f->finished)
        look_while_fetching(f);
    else if (!f->released)
        bw_fill_hand_record(f);
    release_owner(f);
}

static void poked_later(struct bw_timer *t);

static void poked(struct bw_message *m)
{
    struct bw_fill *f = BW_CONTAINER_OF(m, struct bw_fill, poke);

    if (bw_gate_held("owner.poke")) { /* a test holds us: come back, do not block the loop */
        bw_timer_start(f->fs->o.loops[f->owner], &f->poke_later, 5, poked_later);
        return;
    }
    pthread_mutex_lock(&f->lock);
    f->poked = false; /* cleared first, looked after */
    pthread_mutex_unlock(&f->lock);
    look_again(f);
    atomic_fetch_sub(&f->fs->busy[f->owner].n, 1);
    bw_fill_put(f);
}

static void poked_later(struct bw_timer *t)
{
    poked(&BW_CONTAINER_OF(t, struct bw_fill, poke_later)->poke);
}

void bw_fill_poke(struct bw_fill *f)
{
    if (f->poked || f->released)
        return;
    f->poked = true;
    bw_fill_take(f);
    atomic_fetch_add(&f->fs->busy[f->owner].n, 1);
    bw_loop_post(f->fs->o.loops[f->owner], &f->poke, poked);
}
