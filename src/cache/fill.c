/*
 * fill.c - a fill as its owner sees it: begun, fed by the source, judged at the head, over.
 *
 *     STARTING --head--> BODY --last byte--> DONE --commit, index--> COMMITTED
 *         `--no head-------`--cut, nobody left--> FAILED
 *
 * At the head everything that was learnt is noted in the table before anybody hears of it: who is
 * let go must not form a new queue (rules 9 to 14).  Everything in this file runs on the owner's
 * thread.
 */
#include "breakwater/http/headers.h"

#include "fill_priv.h"

/* ---- birth ---- */

size_t fields_size(const struct bw_fields *in)
{
    size_t n = in->n * sizeof(struct bw_field);

    for (size_t i = 0; i < in->n; i++)
        n += in->v[i].name.len + in->v[i].value.len;
    return (n + 15) & ~(size_t)15;
}

static char *put_slice(char *at, struct bw_slice in, struct bw_slice *out)
{
    if (in.len != 0)
        memcpy(at, in.base, in.len);
    *out = bw_slice(at, in.len);
    return at + in.len;
}

/* `memory` is aligned for struct bw_field; what is returned is, too. */
char *fields_copy(const struct bw_fields *in, char *memory, struct bw_fields *out)
{
    struct bw_field *v = (struct bw_field *)(void *)memory;
    char *at = memory + in->n * sizeof(*v);

    for (size_t i = 0; i < in->n; i++) {
        v[i].id = in->v[i].id;
        at = put_slice(at, in->v[i].name, &v[i].name);
        at = put_slice(at, in->v[i].value, &v[i].value);
    }
    *out = (struct bw_fields){v, in->n};
    return memory + fields_size(in);
}

static void copy_base(struct bw_fill *f, const struct bw_join *j, char *at)
{
    f->has_base = true;
    f->base = *j->base;
    f->base_hash = j->base_key->hash;
    at = fields_copy(&j->base->fields, at, &f->base.fields);
    at = put_slice(at, j->base->key, &f->base.key);
    at = put_slice(at, j->base->reason, &f->base.reason);
    put_slice(at, j->base->inline_body, &f->base.inline_body);
    bw_pin(f->fs->o.pins[f->owner], f->base.objid);
}

static size_t base_size(const struct bw_entry *base)
{
    return fields_size(&base->fields) + base->key.len + base->reason.len + base->inline_body.len;
}

static void copy_request(struct bw_fill *f, const struct bw_join *j)
{
    size_t n = fields_size(j->policy->fields) + j->policy->method.len + j->key->bytes.len;
    size_t aligned = (n + 15) & ~(size_t)15;
    char *at;

    f->memory = bw_alloc(aligned + (j->base != NULL ? base_size(j->base) : 0));
    at = fields_copy(j->policy->fields, f->memory, &f->request);
    f->key = *j->key;
    at = put_slice(at, j->key->bytes, &f->key.bytes);
    put_slice(at, j->policy->method, &f->policy.method);
    f->settings = *j->policy->settings;
    f->policy.settings = &f->settings;
    f->policy.fields = &f->request;
    if (j->variant != NULL) {
        f->base_vary_id = j->variant_vary_id;
        f->base_vary.len = j->variant_names.len;
        memcpy(f->base_vary.text, j->variant_names.base, j->variant_names.len);
    }
    if (j->base != NULL)
        copy_base(f, j, f->memory + aligned);
}

static void seats_init(struct bw_fill *f)
{
    for (unsigned i = 0; i < f->fs->o.workers; i++) {
        struct seat *s = &f->seats[i];

        s->fill = f;
        s->worker = i;
        s->idle.next = s->idle.prev = &s->idle;
        s->waking.next = s->waking.prev = &s->waking;
        s->active.next = s->active.prev = &s->active;
    }
}

struct bw_fill *fill_new(struct bw_fills *fs, const struct bw_join *j)
{
    struct bw_fill *f = bw_zalloc(sizeof(*f) + fs->o.workers * sizeof(f->seats[0]));
    struct busy *busy = &fs->busy[j->worker];

    f->fs = fs;
    f->owner = j->worker;
    if (!bw_account_open(&f->account, fs->o.budget, 1)) {
        free(f);
        return NULL;
    }
    f->primary = bw_key_primary(j->key, bw_store_secret(fs->o.store));
    f->born = bw_store_purge_seq(fs->o.store);
    copy_request(f, j);
    atomic_init(&f->refs, 1);
    pthread_mutex_init(&f->lock, NULL);
    seats_init(f);
    fill_store_begin(f);
    f->owned_next = busy->owned;
    f->owned_at = &busy->owned;
    if (f->owned_next != NULL)
        f->owned_next->owned_at = &f->owned_next;
    busy->owned = f;
    atomic_fetch_add(&busy->n, 1);
    atomic_fetch_add(&fs->live, 1);
    count_event(fs, BW_FILL_BEGUN);
    return f;
}

void bw_fill_set_source(struct bw_fill *f, const struct bw_source_ops *ops, void *source)
{
    BW_ASSERT(f->source_ops == NULL);
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

/* ---- end of the owner's part ---- */

/* The owner's reference goes when the fetch is over and nothing is left to hand to the writer. */
static void release_owner(struct bw_fill *f)
{
    bool busy;

    if (!f->over || f->released)
        return;
    pthread_mutex_lock(&f->lock);
    busy = f->store == FILL_STORE_ON && !f->record_handed && f->state == FILL_DONE;
    pthread_mutex_unlock(&f->lock);
    if (busy)
        return;
    f->released = true;
    bw_timer_stop(&f->patience);
    *f->owned_at = f->owned_next;
    if (f->owned_next != NULL)
        f->owned_next->owned_at = f->owned_at;
    atomic_fetch_sub(&f->fs->busy[f->owner].n, 1);
    fill_put(f);
}

static void leave_slots(struct bw_fill *f)
{
    slot_leave(f, &f->birth_slot);
    if (f->head_out && !bw_hash_eq(&f->store_hash, &f->birth_slot))
        slot_leave(f, &f->store_hash);
}

static void stop_source(struct bw_fill *f)
{
    if (f->over)
        return;
    f->over = true;
    if (f->source_ops != NULL)
        f->source_ops->cancel(f->source);
}

void fill_fail(struct bw_fill *f, enum bw_reason why)
{
    bool own = false;

    if (f->released || f->state == FILL_DONE || f->state == FILL_COMMITTED)
        return;
    fill_take(f);
    stop_source(f);
    pthread_mutex_lock(&f->lock);
    f->joinable = false;
    pthread_mutex_unlock(&f->lock);
    leave_slots(f); /* before anybody hears of it */
    pthread_mutex_lock(&f->lock);
    f->state = FILL_FAILED;
    f->why = why;
    fill_lose_store(f);
    own = wake_seats(f);
    pthread_mutex_unlock(&f->lock);
    if (f->head_out)
        count_event(f->fs, BW_FILL_BROKEN);
    if (own)
        walk_own_seat(f);
    release_owner(f);
    fill_put(f);
}

/* A refresh failed: not again at once (rule 33). */
static void note_retry(struct bw_fill *f)
{
    struct shard *sh = shard_of(f->fs, &f->birth_slot);
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = slot_need(sh, &f->birth_slot, &f->primary);
    if (slot_note(sh, s, bw_clock_ms()) == NOTE_NONE)
        note_set(sh, s, NOTE_RETRY, bw_clock_ms() + RETRY_NOTE_MS);
    pthread_mutex_unlock(&sh->lock);
}

void bw_fill_on_fail(struct bw_fill *f, enum bw_reason why)
{
    f->over = true;
    if (f->background)
        note_retry(f);
    fill_fail(f, why);
}

/* ---- the head ---- */

struct judgement {
    struct bw_storable storable;
    enum fill_verdict verdict;
    enum bw_vary_verdict vary_verdict;
    bool revalidated;
    bool store; /* if it holds a slot, or the store mark */
    enum bw_reason reason;
    struct bw_fill_response response; /* merged, for a 304 */
    uint64_t length;
};

static bool sick(int status)
{
    return status >= 500 || status == 429;
}

/* Rule 9. */
static void judge(struct bw_fill *f, struct judgement *g)
{
    struct bw_policy_response res = {.status = g->response.status,
                                     .fields = g->response.fields,
                                     .asked_ms = g->response.asked_ms,
                                     .answered_ms = g->response.answered_ms};
    uint64_t most = atomic_load(&f->fs->max_object);

    g->storable = bw_policy_storable(&f->policy, &res);
    g->vary_verdict = bw_vary_parse(g->response.fields, &f->vary);
    g->store = g->storable.store;
    g->reason = g->storable.reason;
    if (g->store && g->vary_verdict == BW_VARY_ANY) {
        g->store = false;
        g->reason = BW_REASON_VARY_ANY;
    }
    if (g->store && g->length != UINT64_MAX && g->length > most) {
        g->store = false;
        g->reason = BW_REASON_TOO_LARGE;
    }
    if (g->store && g->storable.share)
        g->verdict = VERDICT_SHARE;
    else if (sick(g->response.status))
        g->verdict = VERDICT_FAILED;
    else
        g->verdict = VERDICT_PRIVATE;
    f->varies = g->store && g->vary_verdict == BW_VARY_NAMES;
}

static size_t head_size(const struct judgement *g, const struct bw_fill *f, size_t values)
{
    return 2 * fields_size(g->response.fields) + g->response.reason.len + f->key.bytes.len +
           2 * values + 16 + 16;
}

/* The fields that everybody gets: without those the response keeps for one request. */
static char *copy_stored(struct bw_fill *f, char *at)
{
    struct bw_field *all = f->head.fields.v;
    struct bw_field *v = (struct bw_field *)(void *)at;
    size_t n = 0;

    for (size_t i = 0; i < f->head.fields.n; i++)
        if (bw_policy_field_stored(&f->head.fields, &all[i], &f->settings))
            v[n++] = all[i];
    f->head.stored = (struct bw_fields){v, n};
    return at + f->head.fields.n * sizeof(*v);
}

/* An id for a list of names: that of the base record or note where the names are the same. */
static uint64_t vary_id_for(struct bw_fill *f)
{
    struct bw_slice names = bw_vary_names(&f->vary);
    struct shard *sh = shard_of(f->fs, &f->key.hash);
    struct slot *s;
    uint64_t id = 0;

    pthread_mutex_lock(&sh->lock);
    s = slot_find(sh, &f->key.hash);
    if (s != NULL && slot_note(sh, s, bw_clock_ms()) == NOTE_VARY &&
        bw_slice_eq(bw_vary_names(&s->vary), names))
        id = s->vary_id;
    pthread_mutex_unlock(&sh->lock);
    if (id != 0)
        return id;
    if (f->base_vary_id != 0 && bw_slice_eq(bw_vary_names(&f->base_vary), names) &&
        !bw_store_purged_since(f->fs->o.store, &f->primary, f->born))
        return f->base_vary_id;
    return bw_store_new_objid(f->fs->o.store);
}

/* Everything of the head that lives as long as the fill, in one piece of memory. */
static void keep_head(struct bw_fill *f, const struct judgement *g)
{
    struct bw_buf values = {0};
    char *at;

    if (f->varies)
        bw_vary_values(bw_vary_names(&f->vary), &f->request, &f->fs->codings, &values);
    f->head_memory = at = bw_alloc(head_size(g, f, values.len));
    at = fields_copy(g->response.fields, at, &f->head.fields);
    at = copy_stored(f, at);
    at = put_slice(at, g->response.reason, &f->head.reason);
    at = put_slice(at, bw_buf_view(&values), &f->vary_values);
    if (f->varies) {
        f->vary_id = vary_id_for(f);
        bw_key_variant(&f->key, f->vary_id, f->vary_values, bw_store_secret(f->fs->o.store), at,
                       &f->variant);
    }
    bw_buf_free(&values);
    f->store_hash = f->varies ? f->variant.hash : f->key.hash;
    f->store_key = f->varies ? f->variant.bytes : f->key.bytes;
    f->head.status = g->response.status;
    f->head.terms = g->storable.terms;
    f->head.length = g->length;
    f->head.revalidated = g->revalidated;
}

/* Do we hold the slot of the key under which we would store?  (rules 12 to 14) */
static bool enter_store_slot(struct bw_fill *f)
{
    struct shard *sh = shard_of(f->fs, &f->store_hash);
    struct bw_index_hit hit;
    struct slot *s;
    bool in;

    pthread_mutex_lock(&sh->lock);
    s = slot_find(sh, &f->store_hash);
    in = s != NULL && s->fill == f;
    if (!in) {
        bool there = bw_index_find(bw_store_index(f->fs->o.store), &f->store_hash, &hit) &&
                     !(f->has_base && hit.objid == f->base.objid);

        in = (!there || f->joinable) && slot_enter(sh, f, &f->store_hash);
        s = slot_find(sh, &f->store_hash);
        if (in && s->note == NOTE_PASS)
            note_set(sh, s, NOTE_NONE, 0);
        else if (!in && s != NULL)
            slot_tidy(sh, s);
    }
    pthread_mutex_unlock(&sh->lock);
    return in;
}

/* Rule 10: the variant's slot is ours already; now the note, and the primary slot is left. */
static void note_vary(struct bw_fill *f)
{
    struct shard *sh = shard_of(f->fs, &f->key.hash);
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = slot_need(sh, &f->key.hash, &f->primary);
    if (!bw_store_purged_since(f->fs->o.store, &f->primary, f->born)) {
        note_set(sh, s, NOTE_VARY, bw_clock_ms() + VARY_NOTE_MS);
        s->vary_id = f->vary_id;
        s->vary = f->vary;
    } else {
        slot_tidy(sh, s);
    }
    pthread_mutex_unlock(&sh->lock);
}

/* Rule 11: noted before the slot is left.  The one that takes the mark stores a `no-cache`. */
static void note_pass(struct bw_fill *f, bool storable)
{
    struct shard *sh = shard_of(f->fs, &f->birth_slot);
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = slot_need(sh, &f->birth_slot, &f->primary);
    if (slot_note(sh, s, bw_clock_ms()) != NOTE_PASS)
        note_set(sh, s, NOTE_PASS, bw_clock_ms() + PASS_NOTE_MS);
    if (storable && s->mark == NULL &&
        !bw_store_purged_since(f->fs->o.store, &f->primary, f->born)) {
        s->mark = f;
        f->marked = true;
    }
    pthread_mutex_unlock(&sh->lock);
    count_event(f->fs, BW_FILL_PASS_LEARNT);
}

static void settle_slots(struct bw_fill *f, const struct judgement *g)
{
    switch (g->verdict) {
    case VERDICT_SHARE:
        f->in_slot = enter_store_slot(f);
        if (f->varies)
            note_vary(f);
        if (!bw_hash_eq(&f->birth_slot, &f->store_hash))
            slot_leave(f, &f->birth_slot);
        return;
    case VERDICT_PRIVATE:
        if (!f->background || !g->store)
            note_pass(f, g->store);
        slot_leave(f, &f->birth_slot);
        return;
    case VERDICT_FAILED:
        if (f->background)
            note_retry(f);
        slot_leave(f, &f->birth_slot);
        return;
    case VERDICT_NONE:
        break;
    }
    BW_UNREACHABLE();
}

/* Is a full chunk reserved?  A store without it is not begun (fill.md, 5). */
static bool reserve_chunk(struct bw_fill *f, uint64_t length)
{
    uint64_t blocks =
        length == UINT64_MAX ? BW_CHUNK_BLOCKS : (length + BW_BLOCK_SIZE - 1) / BW_BLOCK_SIZE;

    if (blocks <= 1)
        return true;
    return bw_account_reserve(&f->account,
                              (unsigned)(blocks < BW_CHUNK_BLOCKS ? blocks : BW_CHUNK_BLOCKS));
}

static enum fill_store begin_store(struct bw_fill *f, struct judgement *g)
{
    if (!g->store || g->verdict == VERDICT_FAILED || !(f->in_slot || f->marked))
        return FILL_STORE_OFF;
    if (!g->revalidated && !reserve_chunk(f, g->length)) {
        g->reason = BW_REASON_MEMORY;
        return FILL_STORE_OFF;
    }
    return FILL_STORE_ON;
}

/* The origin says that what we have is no longer what it has, and gives nothing to keep. */
static void drop_replaced_base(struct bw_fill *f, const struct judgement *g)
{
    int status = g->response.status;

    if (!f->has_base || g->revalidated || f->head.storing)
        return;
    if (g->reason == BW_REASON_REQUEST || g->reason == BW_REASON_AUTHORIZATION ||
        g->reason == BW_REASON_MEMORY)
        return;
    if (status / 100 == 2 || status == 404 || status == 410)
        bw_writer_drop(f->fs->o.store, &f->base_hash, f->base.objid);
}

static bool publish_head(struct bw_fill *f, const struct judgement *g)
{
    bool own;

    pthread_mutex_lock(&f->lock);
    f->verdict = g->verdict;
    f->state = FILL_BODY;
    f->joinable = f->in_slot;
    f->store = f->head.storing ? FILL_STORE_ON : FILL_STORE_OFF;
    f->head_out = true;
    own = wake_seats(f);
    pthread_mutex_unlock(&f->lock);
    return own;
}

/* Rule 18: all bytes are there already, pinned since the birth. */
static void publish_base_body(struct bw_fill *f)
{
    pthread_mutex_lock(&f->lock);
    f->stored_objid = f->base.objid;
    if (f->base.inline_body.base != NULL && f->base.body_len != 0) {
        struct bw_block *b;

        bw_account_force(&f->account);
        b = bw_block_new_on(&f->account);
        memcpy(b->bytes, f->base.inline_body.base, f->base.inline_body.len);
        b->len = (uint32_t)f->base.inline_body.len;
        window_push(f, b);
    } else {
        f->readable = f->base.body_len;
    }
    f->have = f->base.body_len;
    pthread_mutex_unlock(&f->lock);
}

/* At a 304: the stored response with its fields brought up to date. */
static void merge_base(struct bw_fill *f, struct judgement *g, struct bw_fields *merged)
{
    bw_headers_merge(&f->base.fields, g->response.fields, merged);
    g->response.fields = merged;
    g->response.status = f->base.terms.status;
    g->response.reason = f->base.reason;
    g->length = f->base.body_len;
    g->revalidated = true;
}

void bw_fill_on_head(struct bw_fill *f, const struct bw_fill_response *r)
{
    struct judgement g = {.response = *r, .length = r->length};
    struct bw_fields merged = {NULL, 0};
    bool own;

    BW_ASSERT(!f->head_out);
    if (f->has_base && r->status == 304) {
        merged.v = bw_alloc((f->base.fields.n + r->fields->n + 1) * sizeof(*merged.v));
        merge_base(f, &g, &merged);
    }
    judge(f, &g);
    keep_head(f, &g);
    free(merged.v);
    settle_slots(f, &g);
    f->head.storing = begin_store(f, &g) == FILL_STORE_ON;
    f->head.not_stored = f->head.storing ? BW_REASON_NONE : g.reason;
    drop_replaced_base(f, &g);
    if (f->head.storing && !g.revalidated) {
        f->stored_objid = bw_store_new_objid(f->fs->o.store);
        bw_pin(f->fs->o.pins[f->owner], f->stored_objid);
    }
    if (g.revalidated)
        publish_base_body(f);
    own = publish_head(f, &g);
    if (g.revalidated)
        return; /* the source ends next; everybody is woken then */
    if (own)
        walk_own_seat(f);
}

/* ---- the body ---- */

static unsigned blocks_most(const struct bw_fill *f)
{
    return f->store == FILL_STORE_ON ? STORED_BLOCKS_MAX : SHARED_BLOCKS_MAX;
}

/* A block to append to: charged in any case, since the bytes are here; false: it was one too many.
 */
static bool new_block(struct bw_fill *f)
{
    bool room = f->spare;

    f->spare = false;
    if (!room)
        room = bw_account_take(&f->account, blocks_most(f));
    if (!room && f->store != FILL_STORE_ON) {
        window_drop_passed(f);
        room = bw_account_take(&f->account, blocks_most(f));
    }
    if (!room)
        bw_account_force(&f->account);
    window_push(f, bw_block_new_on(&f->account));
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
        tail = window_slot(f, block_number(f->have))->block;
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

static void patience_over(struct bw_timer *t);

static uint64_t progress(struct bw_fill *f)
{
    return f->store == FILL_STORE_ON ? f->committed : f->first_block;
}

/* Rule 21. */
static void stop(struct bw_fill *f)
{
    bool already;

    pthread_mutex_lock(&f->lock);
    already = f->stopped;
    f->stopped = true;
    f->patience_mark = progress(f);
    pthread_mutex_unlock(&f->lock);
    if (already || f->over)
        return;
    f->source_ops->pause(f->source);
    bw_timer_start(f->fs->o.loops[f->owner], &f->patience, f->store == FILL_STORE_ON ? 1000 : 5000,
                   patience_over);
}

void bw_fill_on_data(struct bw_fill *f, struct bw_slice bytes)
{
    bool room, own;

    if (f->store == FILL_STORE_ON && f->have + bytes.len > atomic_load(&f->fs->max_object)) {
        pthread_mutex_lock(&f->lock);
        fill_lose_store(f);
        pthread_mutex_unlock(&f->lock);
        leave_slots(f);
    }
    room = append(f, bytes);
    fill_hand_over(f);
    if (!room)
        stop(f);
    pthread_mutex_lock(&f->lock);
    own = wake_seats(f);
    pthread_mutex_unlock(&f->lock);
    if (own)
        walk_own_seat(f);
}

void bw_fill_on_end(struct bw_fill *f, const struct bw_fields *trailers)
{
    bool own, shared;

    f->over = true;
    fill_take(f);
    if (trailers != NULL && trailers->n != 0) {
        f->trailer_memory = bw_alloc(fields_size(trailers));
        fields_copy(trailers, f->trailer_memory, &f->trailers);
    }
    pthread_mutex_lock(&f->lock);
    f->state = FILL_DONE;
    f->stopped = false;
    shared = f->store == FILL_STORE_ON;
    pthread_mutex_unlock(&f->lock);
    bw_timer_stop(&f->patience);
    fill_hand_record(f);
    if (!shared)
        leave_slots(f);
    pthread_mutex_lock(&f->lock);
    own = wake_seats(f);
    pthread_mutex_unlock(&f->lock);
    if (own)
        walk_own_seat(f);
    release_owner(f);
    fill_put(f);
}

/* ---- what the owner is told ---- */

static void start_again(struct bw_fill *f)
{
    pthread_mutex_lock(&f->lock);
    f->stopped = false;
    pthread_mutex_unlock(&f->lock);
    bw_timer_stop(&f->patience);
    if (!f->over)
        f->source_ops->resume(f->source);
}

/* Rule 23: the slowest reader holds up the others; it is broken, they go on. */
static void cut_slowest(struct bw_fill *f)
{
    uint64_t number = f->first_block;
    unsigned cut = f->behind;

    if (cut == 0 && f->window_n != 0) {
        struct window_block *first = window_slot(f, number);

        cut = first->readers;
        if (cut != 0 && cut < f->readers) {
            first->readers = 0;
            number++;
        }
    }
    if (cut == 0 || cut >= f->readers)
        return;
    f->behind = 0;
    f->cut_below = number;
    count_event(f->fs, BW_FILL_CUT_LAGGING);
    window_drop_passed(f);
}

static void look_again(struct bw_fill *f);

/* Rules 22 and 23: nothing has moved while the source was stopped. */
static void patience_over(struct bw_timer *t)
{
    struct bw_fill *f = BW_CONTAINER_OF(t, struct bw_fill, patience);
    bool was_stored;

    fill_take(f);
    pthread_mutex_lock(&f->lock);
    was_stored = f->store == FILL_STORE_ON;
    if (f->patience_mark == progress(f)) {
        if (was_stored)
            fill_lose_store(f);
        else
            cut_slowest(f);
    }
    f->patience_mark = progress(f);
    pthread_mutex_unlock(&f->lock);
    bw_timer_start(f->fs->o.loops[f->owner], &f->patience, f->store == FILL_STORE_ON ? 1000 : 5000,
                   patience_over);
    look_again(f);
    fill_put(f);
}

/* Rule 29: is it worth going on without a reader?  Fill lock held. */
static bool worth_finishing(const struct bw_fill *f)
{
    uint64_t left;

    if (f->background || (f->keep && f->store == FILL_STORE_ON))
        return true;
    if (f->store != FILL_STORE_ON || f->head.length == UINT64_MAX)
        return false;
    left = f->head.length - f->have;
    return left <= NEARLY_DONE || left <= f->head.length / 4;
}

/*
 * The owner looks under the lock: the message said nothing.  A private head whose leader is gone
 * has no reader left either, so it ends here, too (rule 11).
 */
static void look_again(struct bw_fill *f)
{
    bool abandon, room = false;

    pthread_mutex_lock(&f->lock);
    abandon = f->readers == 0 && !f->over && !worth_finishing(f);
    if (abandon)
        f->joinable = false;
    else if (f->stopped && !f->over) {
        if (f->store != FILL_STORE_ON)
            window_drop_passed(f);
        room = f->spare = f->spare || bw_account_take(&f->account, blocks_most(f));
    }
    pthread_mutex_unlock(&f->lock);
    if (abandon) {
        count_event(f->fs, BW_FILL_ABORTED);
        fill_fail(f, BW_REASON_NONE);
        return;
    }
    if (room)
        start_again(f);
    if (f->state == FILL_DONE)
        fill_hand_record(f);
    else
        fill_hand_over(f);
    release_owner(f);
}

static void poked_later(struct bw_timer *t);

static void poked(struct bw_message *m)
{
    struct bw_fill *f = BW_CONTAINER_OF(m, struct bw_fill, poke);

    if (bw_gate_held("owner.poke")) { /* a test holds us: come back, do not block the loop */
        bw_timer_start(f->fs->o.loops[f->owner], &f->patience, 5, poked_later);
        return;
    }
    pthread_mutex_lock(&f->lock);
    f->poked = false; /* cleared first, looked after */
    pthread_mutex_unlock(&f->lock);
    if (!f->released)
        look_again(f);
    atomic_fetch_sub(&f->fs->busy[f->owner].n, 1);
    fill_put(f);
}

static void poked_later(struct bw_timer *t)
{
    poked(&BW_CONTAINER_OF(t, struct bw_fill, patience)->poke);
}

void poke_owner(struct bw_fill *f)
{
    if (f->poked)
        return;
    f->poked = true;
    fill_take(f);
    atomic_fetch_add(&f->fs->busy[f->owner].n, 1);
    bw_loop_post(f->fs->o.loops[f->owner], &f->poke, poked);
}
