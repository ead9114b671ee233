/*
 * fill_store.c - a fill and the writer: chunks handed over, memory dropped at the commit, the
 * record at the end.
 *
 * Memory leaves the window only when the commit has made the bytes readable, so there is no moment
 * at which they are nowhere (rule 19).  What the writer cannot take is served and not stored
 * (rule 22).  The calls from the writer come on its thread, without its locks.
 */
#include "breakwater/cache/entry.h"

#include "fill_priv.h"

/* ---- references ---- */

void bw_fill_take(struct bw_fill *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

bool bw_fill_try_take(struct bw_fill *f)
{
    unsigned refs = atomic_load(&f->refs);

    while (refs != 0)
        if (atomic_compare_exchange_weak(&f->refs, &refs, refs + 1))
            return true;
    return false;
}

static void unpin(struct bw_fill *f)
{
    struct bw_pins *pins = f->fs->o.pins[f->owner];

    if (f->has_base)
        bw_unpin(pins, f->base.objid);
    if (f->stored_objid != 0 && !f->head.revalidated)
        bw_unpin(pins, f->stored_objid);
}

/* The table may be freed as soon as no fill is alive, so that is counted last. */
static void put(struct bw_fill *f, unsigned n)
{
    struct bw_fills *fs = f->fs;

    if (atomic_fetch_sub_explicit(&f->refs, n, memory_order_acq_rel) != n)
        return;
    bw_window_drop_below(f, UINT64_MAX);
    if (f->marked)
        bw_slot_unmark(f);
    unpin(f);
    if (f->state != FILL_COMMITTED && f->committed != 0)
        bw_writer_drop_body(fs->o.store, f->stored_objid, f->committed); /* rule 24 */
    bw_account_close(&f->account);
    bw_budget_give(fs->o.budget, f->charged);
    if (f->background)
        atomic_fetch_sub(&fs->refreshes, 1);
    pthread_mutex_destroy(&f->lock);
    free(f->window);
    free(f->language);
    free(f->head_memory);
    free(f->trailer_memory);
    free(f->memory);
    free(f);
    atomic_fetch_sub(&fs->live, 1);
}

void bw_fill_put(struct bw_fill *f)
{
    put(f, 1);
}

/* Of the owner, whose own reference is there: this one is not the last. */
static void put_one_of_two(struct bw_fill *f)
{
    unsigned refs = atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel);

    BW_ASSERT(refs > 1);
}

/* ---- losing the store ---- */

/* The readers go on; from now on they are coupled to the source (rules 20 and 22). */
void bw_fill_lose_store(struct bw_fill *f)
{
    if (f->store != FILL_STORE_ON)
        return;
    f->store = FILL_STORE_LOST;
    f->joinable = f->joinable && f->first_block == 0;
    bw_fills_event(f->fs, BW_FILL_STORE_LOST);
    bw_seats_tell(f); /* who waits for the record waits in vain */
    bw_fill_poke(f);
}

bool bw_fill_store_on(struct bw_fill *f)
{
    bool on;

    pthread_mutex_lock(&f->lock);
    on = f->store == FILL_STORE_ON;
    pthread_mutex_unlock(&f->lock);
    return on;
}

/* ---- handing over ---- */

static uint32_t committed_chunks(struct bw_fill *f)
{
    uint32_t n;

    pthread_mutex_lock(&f->lock);
    n = f->committed;
    pthread_mutex_unlock(&f->lock);
    return n;
}

/*
 * Rule 22: a full queue is waited for only while something of ours is in it, whose commit will poke
 * us.  A commit that came while we tried has poked nobody, so then it is tried again.
 */
static bool try_to_hand(struct bw_fill *f, enum bw_err (*give)(struct bw_fill *f))
{
    for (;;) {
        uint32_t before = committed_chunks(f);
        bool moved;

        bw_fill_take(f); /* until the writer has answered */
        if (give(f) == BW_OK)
            return true;
        pthread_mutex_lock(&f->lock);
        moved = f->committed != before;
        if (!moved && f->committed == f->handed)
            bw_fill_lose_store(f);
        pthread_mutex_unlock(&f->lock);
        put_one_of_two(f);
        if (!moved)
            return false;
    }
}

/* The blocks of chunk `index`, all there; fill lock held. */
static size_t chunk_blocks(struct bw_fill *f, uint32_t index, struct bw_block **blocks)
{
    uint64_t first = (uint64_t)index * BW_CHUNK_BLOCKS;
    uint64_t end = f->first_block + f->window_n;
    size_t n = 0;

    while (n < BW_CHUNK_BLOCKS && first + n < end) {
        blocks[n] = bw_window_at(f, first + n)->block;
        n++;
    }
    return n;
}

static uint32_t fetch_time(const struct bw_fill *f)
{
    int64_t ms = bw_clock_ms() - f->head.terms.asked_ms;

    if (f->head.revalidated)
        return f->base.fetch_ms; /* what it costs to fetch it anew */
    return ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

/* A chunk that is not committed leaves the window only through us, so its blocks stay. */
static enum bw_err give_chunk(struct bw_fill *f)
{
    struct bw_block *blocks[BW_CHUNK_BLOCKS];
    struct bw_writer_chunk chunk = {.key = f->store_hash,
                                    .objid = f->stored_objid,
                                    .index = f->handed,
                                    .fetch_ms = fetch_time(f),
                                    .blocks = blocks};

    pthread_mutex_lock(&f->lock);
    chunk.n = chunk_blocks(f, f->handed, blocks);
    chunk.urgent = f->stopped || bw_account_tight(&f->account, STORED_BLOCKS_MAX);
    chunk.expected = f->state == FILL_DONE ? f->have : f->head.length;
    pthread_mutex_unlock(&f->lock);
    if (chunk.expected == UINT64_MAX)
        chunk.expected = 0;
    return bw_writer_chunk(f->fs->o.store, &f->client, &chunk);
}

static bool hand_chunk(struct bw_fill *f)
{
    bool handed = try_to_hand(f, give_chunk);

    pthread_mutex_lock(&f->lock);
    f->handed += handed;
    pthread_mutex_unlock(&f->lock);
    return handed;
}

static uint64_t bytes_handed(const struct bw_fill *f)
{
    return (uint64_t)f->handed * BW_CHUNK_SIZE;
}

void bw_fill_hand_chunks(struct bw_fill *f)
{
    if (f->head.revalidated)
        return;
    while (bytes_handed(f) + BW_CHUNK_SIZE <= f->have && bw_fill_store_on(f))
        if (!hand_chunk(f))
            return;
}

/* ---- the record ---- */

static void encode_vary(struct bw_fill *f, struct bw_buf *out)
{
    struct bw_entry e = {.kind = BW_ENTRY_VARY,
                         .objid = f->vary_id,
                         .key = f->key.bytes,
                         .primary = f->primary,
                         .terms = f->head.terms,
                         .vary = bw_vary_names(&f->vary),
                         .vary_id = f->vary_id};

    bw_entry_encode(&e, out);
}

static void encode_record(struct bw_fill *f, struct bw_buf *out)
{
    struct bw_entry e = {.kind = BW_ENTRY_RESPONSE,
                         .objid = f->stored_objid,
                         .body_len = f->have,
                         .key = f->store_key,
                         .primary = f->primary,
                         .terms = f->head.terms,
                         .reason = f->head.reason,
                         .fields = f->head.stored,
                         .fetch_ms = fetch_time(f)};

    if (f->have <= BW_ENTRY_INLINE_MAX) {
        e.inline_body = bw_slice("", 0);
        pthread_mutex_lock(&f->lock);
        if (f->have != 0) /* it stays in the window: no commit makes it readable elsewhere */
            e.inline_body = bw_slice(bw_window_at(f, 0)->block->bytes, (size_t)f->have);
        pthread_mutex_unlock(&f->lock);
    }
    bw_entry_encode(&e, out);
}

static uint32_t expiry(const struct bw_terms *t)
{
    int64_t at = t->answered_ms / 1000 + t->lifetime_s - t->age_s;

    return at <= 0 ? 1 : at >= UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}

/*
 * What is whole stays in memory until it is committed, and thousands of small objects may wait for
 * that: each with its bytes, not with a block that is mostly empty.  Who reads that block at this
 * moment has a reference to it.
 */
static void compact_tail(struct bw_fill *f)
{
    struct window_block *tail;
    struct bw_block *roomy = NULL;

    pthread_mutex_lock(&f->lock);
    if (f->window_n != 0) { /* else all is committed, and only the record is not handed yet */
        tail = bw_window_at(f, block_number(f->have - 1));
        if (tail->block->len <= tail->block->room / 2) {
            roomy = tail->block;
            tail->block = bw_block_compact(roomy, f->fs->o.budget);
        }
    }
    pthread_mutex_unlock(&f->lock);
    if (roomy != NULL)
        bw_block_put(roomy);
}

/* Of a small body; chunks of a large one are counted on their own. */
static size_t held_until_stored(struct bw_fill *f)
{
    size_t body = 0;

    pthread_mutex_lock(&f->lock);
    if (f->have != 0 && f->have <= BW_ENTRY_INLINE_MAX)
        body = bw_block_memory(bw_window_at(f, 0)->block);
    pthread_mutex_unlock(&f->lock);
    return f->charged + body;
}

static enum bw_err give_record(struct bw_fill *f)
{
    struct bw_buf record = {0}, vary = {0}, language = {0};
    struct bw_writer_record r = {.key = f->store_hash,
                                 .primary = f->primary,
                                 .objid = f->stored_objid,
                                 .born = f->born,
                                 .bytes = f->have,
                                 .held = held_until_stored(f),
                                 .expiry_s = expiry(&f->head.terms),
                                 .fetch_ms = fetch_time(f),
                                 .keep_body = f->head.revalidated,
                                 .replaces = f->head.revalidated ? f->base.objid : 0};
    enum bw_err err;

    encode_record(f, &record);
    r.encoded = bw_buf_view(&record);
    if (f->varies) {
        encode_vary(f, &vary);
        r.beside[BW_BESIDE_BASE] = (struct bw_writer_beside){f->key.hash, bw_buf_view(&vary)};
    }
    if (f->language != NULL) {
        bw_fill_language_encode(f, &language);
        r.beside[BW_BESIDE_LANGUAGE] =
            (struct bw_writer_beside){f->language->key.hash, bw_buf_view(&language)};
    }
    err = bw_writer_record(f->fs->o.store, &f->client, &r);
    bw_buf_free(&record);
    bw_buf_free(&vary);
    bw_buf_free(&language);
    return err;
}

/* Large bodies: the last, perhaps shorter chunk.  False: not now, or never. */
static bool hand_last_chunk(struct bw_fill *f)
{
    if (f->head.revalidated || f->have <= BW_ENTRY_INLINE_MAX)
        return true;
    bw_fill_hand_chunks(f);
    if (bytes_handed(f) >= f->have)
        return true;
    return f->have - bytes_handed(f) < BW_CHUNK_SIZE && bw_fill_store_on(f) && hand_chunk(f);
}

/* It ends without a record: nobody joins any more (rule 27), and the next may store. */
static void give_up_slots(struct bw_fill *f)
{
    pthread_mutex_lock(&f->lock);
    f->joinable = false;
    pthread_mutex_unlock(&f->lock);
    bw_fill_leave_slots(f);
    if (f->marked)
        bw_slot_unmark(f);
}

/*
 * A soft purge leaves us to be stored as stale (rule 28), but not in the place of what was begun
 * after it.  If nobody is there by now, our record is in the queue before theirs can be.
 */
static bool overtaken(struct bw_fill *f)
{
    struct shard *sh = bw_shard_of(f->fs, &f->store_hash);
    struct bw_index_hit hit;
    struct slot *s;
    bool answer;

    if (f->head.revalidated || !bw_store_purged_since(f->fs->o.store, &f->primary, f->born))
        return false;
    pthread_mutex_lock(&sh->lock);
    s = bw_slot_find(sh, &f->store_hash);
    answer = (s != NULL && s->fill != NULL && s->fill != f) ||
             (bw_index_find(bw_store_index(f->fs->o.store), &f->store_hash, &hit) &&
              hit.objid > f->stored_objid);
    pthread_mutex_unlock(&sh->lock);
    return answer;
}

void bw_fill_hand_record(struct bw_fill *f)
{
    bool handed;

    if (f->record_handed)
        return;
    if (bw_fill_store_on(f) && overtaken(f)) {
        pthread_mutex_lock(&f->lock);
        bw_fill_lose_store(f);
        pthread_mutex_unlock(&f->lock);
    }
    if (bw_fill_store_on(f))
        compact_tail(f);
    handed = bw_fill_store_on(f) && hand_last_chunk(f) && bw_fill_store_on(f) &&
             try_to_hand(f, give_record);
    if (!handed) {
        if (!bw_fill_store_on(f))
            give_up_slots(f);
        return;
    }
    pthread_mutex_lock(&f->lock);
    f->record_handed = true;
    pthread_mutex_unlock(&f->lock);
}

/* ---- the writer calls ---- */

/* Fill lock held. */
static void answered(struct bw_fill *f, uint32_t chunks)
{
    f->answered += chunks;
    if (f->lent)
        bw_account_reserve(&f->account, (f->handed - f->answered + 1) * BW_CHUNK_BLOCKS);
}

static void committed(struct bw_writer_client *c, uint32_t chunks)
{
    struct bw_fill *f = BW_CONTAINER_OF(c, struct bw_fill, client);
    uint64_t bytes = (uint64_t)chunks * BW_CHUNK_SIZE;
    uint32_t n;

    pthread_mutex_lock(&f->lock);
    n = chunks - f->committed;
    f->committed = chunks;
    answered(f, n);
    f->readable = bytes < f->have ? bytes : f->have;
    bw_window_drop_below(f, f->readable);
    if (f->readable == f->have && f->state == FILL_DONE)
        bw_window_drop_below(f, UINT64_MAX);
    if (f->stopped || (f->state == FILL_DONE && !f->record_handed))
        bw_fill_poke(f);
    pthread_mutex_unlock(&f->lock);
    put(f, n);
}

/*
 * Rule 26: the commit and the index lie behind us; COMMITTED, and only then the slot is left.
 * Nobody is to be woken: who reads a body that is whole does not wait.
 */
static void stored(struct bw_writer_client *c, enum bw_err err, enum bw_reason why)
{
    struct bw_fill *f = BW_CONTAINER_OF(c, struct bw_fill, client);

    (void)why;
    pthread_mutex_lock(&f->lock);
    if (err == BW_OK) {
        f->state = FILL_COMMITTED;
    } else {
        f->joinable = false;
        f->store = FILL_STORE_LOST;
    }
    bw_seats_tell(f); /* who waits for the record */
    pthread_mutex_unlock(&f->lock);
    bw_slot_leave(f, &f->store_hash);
    bw_fill_language_leave(f);
    if (f->marked) /* its readers may be slow: the next one stores meanwhile (rule 9) */
        bw_slot_unmark(f);
    bw_fills_event(f->fs, err == BW_OK ? BW_FILL_STORED : BW_FILL_STORE_FAILED);
    bw_fill_put(f);
}

/* One chunk was not written: there will be no record. */
static void lost(struct bw_writer_client *c, enum bw_err err)
{
    struct bw_fill *f = BW_CONTAINER_OF(c, struct bw_fill, client);

    (void)err;
    pthread_mutex_lock(&f->lock);
    answered(f, 1);
    if (f->store == FILL_STORE_ON)
        bw_fill_lose_store(f);
    else if (f->stopped)
        bw_fill_poke(f); /* its blocks are back */
    pthread_mutex_unlock(&f->lock);
    bw_fill_put(f);
}

void bw_fill_store_begin(struct bw_fill *f)
{
    f->client = (struct bw_writer_client){committed, stored, lost};
}
