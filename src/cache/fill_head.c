/*
 * fill_head.c - the head of a fill: judged, noted in the table, published; in that order.
 *
 * What was learnt is in the table before anybody hears of it: who is let go must not form a new
 * queue (rules 9 to 14).  On the owner's thread.  The gates here do hold up its loop, unlike
 * others (gate.h): the source's next call cannot be put off.
 */
#include "breakwater/http/headers.h"

#include "fill_priv.h"

struct judgement {
    struct bw_storable storable;
    enum fill_verdict verdict;
    bool revalidated;
    bool store; /* if it holds a slot, or the store mark */
    enum bw_reason reason;
    struct bw_fill_response response; /* merged, for a 304 */
    uint64_t length;
};

/* ---- copies ---- */

size_t bw_fill_fields_size(const struct bw_fields *in)
{
    size_t n = in->n * sizeof(struct bw_field);

    for (size_t i = 0; i < in->n; i++)
        n += in->v[i].name.len + in->v[i].value.len;
    return (n + 15) & ~(size_t)15;
}

char *bw_fill_put_slice(char *at, struct bw_slice in, struct bw_slice *out)
{
    if (in.len != 0)
        memcpy(at, in.base, in.len);
    *out = bw_slice(at, in.len);
    return at + in.len;
}

/* `memory` is aligned for struct bw_field; what is returned is, too. */
char *bw_fill_fields_copy(const struct bw_fields *in, char *memory, struct bw_fields *out)
{
    struct bw_field *v = (struct bw_field *)(void *)memory;
    char *at = memory + in->n * sizeof(*v);

    for (size_t i = 0; i < in->n; i++) {
        v[i].id = in->v[i].id;
        at = bw_fill_put_slice(at, in->v[i].name, &v[i].name);
        at = bw_fill_put_slice(at, in->v[i].value, &v[i].value);
    }
    *out = (struct bw_fields){v, in->n};
    return memory + bw_fill_fields_size(in);
}

/* ---- rule 9 ---- */

/* Without explicit freshness: an answer that says more about the origin than about the resource. */
static bool sick(int status)
{
    return status >= 500 || status == 429;
}

/*
 * An error never takes the place of a page, whatever it says of its own freshness: the page may
 * still be served instead, or be confirmed by an origin that is well again (rules 16 and 33).
 */
static bool spares_the_base(const struct bw_fill *f, int status)
{
    return f->has_base && sick(status) && (f->background || !sick(f->base.terms.status));
}

static void refuse(struct judgement *g, enum bw_reason why)
{
    if (!g->store)
        return;
    g->store = false;
    g->reason = why;
}

static void judge(struct bw_fill *f, struct judgement *g)
{
    struct bw_policy_response res = {.status = g->response.status,
                                     .fields = g->response.fields,
                                     .asked_ms = g->response.asked_ms,
                                     .answered_ms = g->response.answered_ms,
                                     .confirmed = g->revalidated};
    enum bw_vary_verdict vary = bw_vary_parse(g->response.fields, &f->vary);

    g->storable = bw_policy_storable(&f->policy, &res);
    g->store = g->storable.store;
    g->reason = g->storable.reason;
    if (vary == BW_VARY_ANY)
        refuse(g, BW_REASON_VARY_ANY);
    if (g->response.fields->n > BW_ENTRY_FIELDS_MAX) /* by what a 304 brought */
        refuse(g, BW_REASON_TOO_LARGE);
    if (g->length != UINT64_MAX && g->length > atomic_load(&f->fs->max_object))
        refuse(g, BW_REASON_TOO_LARGE);
    if (spares_the_base(f, g->response.status))
        refuse(g, BW_REASON_STATUS);
    if (g->store && g->storable.share)
        g->verdict = VERDICT_SHARE;
    else if (sick(g->response.status))
        g->verdict = VERDICT_FAILED;
    else
        g->verdict = VERDICT_PRIVATE;
    f->varies = g->store && vary == BW_VARY_NAMES;
}

/* ---- what is kept of the head ---- */

static size_t head_size(const struct judgement *g, const struct bw_fill *f, size_t values)
{
    return bw_fill_fields_size(g->response.fields) +
           g->response.fields->n * sizeof(struct bw_field) + g->response.reason.len +
           f->key.bytes.len + 2 * values + 16;
}

/* The fields that everybody gets: without those the response keeps for one request. */
static char *copy_stored(struct bw_fill *f, char *at)
{
    f->head.stored.v = (struct bw_field *)(void *)at;
    bw_policy_stored_fields(&f->head.fields, &f->settings, &f->head.stored);
    return at + f->head.fields.n * sizeof(struct bw_field);
}

/* The id that a note in force gives to that list of names, 0: none; a purge begins a new one. */
static uint64_t noted_vary_id(struct bw_fill *f)
{
    struct shard *sh = bw_shard_of(f->fs, &f->key.hash);
    struct slot *s;
    uint64_t id = 0;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_find(sh, &f->key.hash);
    if (s != NULL) {
        if (bw_slot_note(sh, s, bw_clock_ms()) == NOTE_VARY &&
            bw_slice_eq(bw_slot_vary_names(s), bw_vary_names(&f->vary)) &&
            !bw_store_purged_since(f->fs->o.store, &f->primary, s->vary_born))
            id = s->vary_id;
        bw_slot_tidy(sh, s);
    }
    pthread_mutex_unlock(&sh->lock);
    return id;
}

/* An id for a list of names: that of the note or the base record where the names are the same. */
static uint64_t vary_id_for(struct bw_fill *f)
{
    uint64_t id = noted_vary_id(f);

    if (id != 0)
        return id;
    if (f->base_vary_id != 0 &&
        bw_slice_eq(bw_vary_names(&f->base_vary), bw_vary_names(&f->vary)) &&
        !bw_store_purged_since(f->fs->o.store, &f->primary, f->born))
        return f->base_vary_id;
    return bw_store_new_objid(f->fs->o.store);
}

/* Everything of the head that lives as long as the fill, in one piece of memory. */
static void keep_head(struct bw_fill *f, const struct judgement *g)
{
    struct bw_buf values = {0};
    size_t size;
    char *at;

    if (f->varies)
        bw_vary_values(bw_vary_names(&f->vary), &f->request, &f->fs->codings, &values);
    size = head_size(g, f, values.len);
    bw_budget_force(f->fs->o.budget, size);
    f->charged += size;
    f->head_memory = at = bw_alloc(size);
    at = bw_fill_fields_copy(g->response.fields, at, &f->head.fields);
    at = copy_stored(f, at);
    at = bw_fill_put_slice(at, g->response.reason, &f->head.reason);
    at = bw_fill_put_slice(at, bw_buf_view(&values), &f->vary_values);
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

/* ---- rules 10 to 14 ---- */

/* Is there a record that somebody else has stored meanwhile?  Under the shard's lock. */
static bool stored_meanwhile(const struct bw_fill *f)
{
    struct bw_index_hit hit;

    return bw_index_find(bw_store_index(f->fs->o.store), &f->store_hash, &hit) &&
           hit.objid != f->dangling && hit.objid != f->found;
}

static bool joinable(struct bw_fill *f)
{
    bool answer;

    pthread_mutex_lock(&f->lock);
    answer = f->joinable;
    pthread_mutex_unlock(&f->lock);
    return answer;
}

/* Do we hold the slot of the key under which we would store? */
static bool enter_store_slot(struct bw_fill *f)
{
    struct shard *sh = bw_shard_of(f->fs, &f->store_hash);
    struct slot *s;
    bool in;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_need(sh, &f->store_hash, &f->primary);
    in = s->fill == f;
    if (!in && (joinable(f) || !stored_meanwhile(f)))
        in = bw_slot_enter(sh, f, &f->store_hash);
    if (in)
        bw_note_set(sh, s, NOTE_NONE, 0); /* whatever was learnt before: this one is for all */
    bw_slot_tidy(sh, s);
    pthread_mutex_unlock(&sh->lock);
    return in;
}

/* Rule 10: the variant's slot is ours already; now the note, and the primary slot is left. */
static void note_vary(struct bw_fill *f)
{
    struct shard *sh = bw_shard_of(f->fs, &f->key.hash);
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_need(sh, &f->key.hash, &f->primary);
    if (!bw_store_purged_since(f->fs->o.store, &f->primary, f->born))
        bw_note_set_vary(sh, s, f);
    bw_slot_tidy(sh, s);
    pthread_mutex_unlock(&sh->lock);
}

/* A response that does not vary takes the place of the base record. */
static void forget_vary(struct bw_fill *f)
{
    struct shard *sh = bw_shard_of(f->fs, &f->key.hash);
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_find(sh, &f->key.hash);
    if (s != NULL && s->note == NOTE_VARY) {
        bw_note_set(sh, s, NOTE_NONE, 0);
        bw_slot_tidy(sh, s);
    }
    pthread_mutex_unlock(&sh->lock);
}

/* Rule 11: noted before the slot is left.  The one that takes the mark stores a `no-cache`. */
static void note_pass(struct bw_fill *f, bool storable)
{
    struct shard *sh = bw_shard_of(f->fs, &f->birth_slot);
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_need(sh, &f->birth_slot, &f->primary);
    if (bw_slot_note(sh, s, bw_clock_ms()) != NOTE_PASS)
        bw_note_set(sh, s, NOTE_PASS, bw_clock_ms() + PASS_NOTE_MS);
    if (storable && s->mark == NULL &&
        !bw_store_purged_since(f->fs->o.store, &f->primary, f->born)) {
        s->mark = f;
        f->marked = true;
    }
    pthread_mutex_unlock(&sh->lock);
    bw_fills_event(f->fs, BW_FILL_PASS_LEARNT);
}

static void settle_slots(struct bw_fill *f, const struct judgement *g)
{
    switch (g->verdict) {
    case VERDICT_SHARE:
        f->in_slot = enter_store_slot(f);
        if (f->in_slot && f->varies)
            bw_fill_language_enter(f);
        bw_gate_pass("owner.note");
        if (f->varies)
            note_vary(f);
        if (!bw_hash_eq(&f->birth_slot, &f->store_hash))
            bw_slot_leave(f, &f->birth_slot);
        return;
    case VERDICT_PRIVATE:
        bw_gate_pass("owner.note");
        note_pass(f, g->store);
        if (f->marked && !f->varies)
            forget_vary(f);
        bw_slot_leave(f, &f->birth_slot);
        return;
    case VERDICT_FAILED:
        if (f->background || f->second)
            bw_fill_note_retry(f);
        bw_slot_leave(f, &f->birth_slot);
        return;
    case VERDICT_NONE:
        break;
    }
    BW_UNREACHABLE();
}

/* ---- storing ---- */

/* Is a full chunk reserved?  A store without it is not begun (fill.md, 5). */
static bool reserve_chunk(struct bw_fill *f, uint64_t length)
{
    uint64_t blocks =
        length == UINT64_MAX ? BW_CHUNK_BLOCKS : (length + BW_BLOCK_SIZE - 1) / BW_BLOCK_SIZE;

    if (blocks <= 1)
        return true;
    return bw_account_reserve(&f->account,
                              (uint32_t)(blocks < BW_CHUNK_BLOCKS ? blocks : BW_CHUNK_BLOCKS));
}

static bool begin_store(struct bw_fill *f, struct judgement *g)
{
    if (!g->store || g->verdict == VERDICT_FAILED || !(f->in_slot || f->marked))
        return false;
    if (g->revalidated)
        return true;
    if (!reserve_chunk(f, g->length)) {
        g->reason = BW_REASON_MEMORY;
        return false;
    }
    f->stored_objid = bw_store_new_objid(f->fs->o.store);
    bw_pin(f->fs->o.pins[f->owner], f->stored_objid);
    return true;
}

/* The origin says that what we have is no longer what it has, and gives nothing to keep. */
static void drop_replaced_base(struct bw_fill *f, const struct judgement *g)
{
    int status = g->response.status;

    if (!f->has_base || g->revalidated)
        return;
    if (g->reason == BW_REASON_REQUEST || g->reason == BW_REASON_AUTHORIZATION ||
        g->reason == BW_REASON_MEMORY)
        return;
    if (status / 100 == 2 || status == 404 || status == 410)
        bw_writer_drop(f->fs->o.store, &f->base_hash, f->base.objid);
}

/* ---- publishing ---- */

/* Rule 18: all bytes are there already, pinned since the birth.  Fill lock held. */
static void take_base_body(struct bw_fill *f)
{
    struct bw_block *b;

    f->stored_objid = f->base.objid;
    f->have = f->base.body_len;
    if (f->base.inline_body.base == NULL) {
        f->readable = f->have;
        bw_window_begin_at(f, (f->have + BW_BLOCK_SIZE - 1) / BW_BLOCK_SIZE);
    } else if (f->have != 0) {
        bw_account_force(&f->account);
        b = bw_block_new_on(&f->account);
        memcpy(b->bytes, f->base.inline_body.base, f->base.inline_body.len);
        b->len = (uint32_t)f->base.inline_body.len;
        bw_window_push(f, b);
    }
}

/*
 * Rule 13, judged in the same section that publishes: a purge or a wait that ran out may have put
 * us out of the slot since we entered it.
 */
static bool publish(struct bw_fill *f, const struct judgement *g, bool storing)
{
    bool wake;

    bw_gate_pass("owner.publish");
    pthread_mutex_lock(&f->lock);
    f->joinable = f->joinable && f->in_slot;
    f->head.storing = storing && (f->joinable || f->marked);
    f->head.not_stored = f->head.storing ? BW_REASON_NONE : storing ? BW_REASON_PURGED : g->reason;
    f->store = f->head.storing ? FILL_STORE_ON : FILL_STORE_OFF;
    f->verdict = g->verdict;
    f->state = FILL_BODY;
    if (g->revalidated)
        take_base_body(f);
    f->head_out = true;
    if (f->background)
        bw_fill_poke(f); /* a refresh that nobody reads and nothing stores is not worth going on */
    wake = bw_seats_wake(f);
    pthread_mutex_unlock(&f->lock);
    return wake;
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
    bool storing, wake;

    BW_ASSERT(!f->head_out && !f->finished);
    if (r->status == 304 && !(f->has_base && (f->base.terms.flags & BW_TERMS_VALIDATOR) != 0)) {
        if (f->background)
            bw_fill_note_retry(f);
        bw_fill_fail(f, BW_REASON_BAD_RESPONSE); /* an answer to a question that was not asked */
        return;
    }
    if (r->status == 304) {
        merged.v = bw_alloc((f->base.fields.n + r->fields->n + 1) * sizeof(*merged.v));
        merge_base(f, &g, &merged);
    }
    judge(f, &g);
    keep_head(f, &g);
    free(merged.v);
    settle_slots(f, &g);
    storing = begin_store(f, &g);
    if (!storing)
        drop_replaced_base(f, &g);
    wake = publish(f, &g, storing);
    if (wake && !g.revalidated) /* else the source ends next, and all are woken then */
        bw_seats_walk_own(f);
}
