/*
 * fill_store.c - a fill and the writer: chunks handed over, memory dropped at the commit, the
 * record at the end, and the end of a fill itself.
 *
 * Memory leaves the window only when the commit has made the bytes readable, so there is no moment
 * at which they are nowhere (rule 19).  What the writer cannot take is served and not stored
 * (rule 22).  The calls from the writer come on its thread, without its locks.
 */
#include "breakwater/cache/entry.h"

#include "fill_priv.h"

void fill_take(struct bw_fill *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

static void unpin(struct bw_fill *f)
{
    struct bw_pins *pins = f->fs->o.pins[f->owner];

    if (f->has_base)
        bw_unpin(pins, f->base.objid);
    if (f->stored_objid != 0 && !(f->has_base && f->stored_objid == f->base.objid))
        bw_unpin(pins, f->stored_objid);
}

void fill_put(struct bw_fill *f)
{
    struct bw_fills *fs = f->fs;

    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    window_drop_below(f, UINT64_MAX);
    unpin(f);
    if (f->state != FILL_COMMITTED && f->committed != 0)
        bw_writer_drop_body(fs->o.store, f->stored_objid, f->committed); /* rule 24 */
    bw_account_close(&f->account);
    if (f->background)
        atomic_fetch_sub(&fs->refreshes, 1);
    atomic_fetch_sub(&fs->live, 1);
    pthread_mutex_destroy(&f->lock);
    free(f->window);
    free(f->head_memory);
    free(f->trailer_memory);
    free(f->memory);
    free(f);
}

/* Fill lock held.  The readers go on; from now on they are coupled to the source. */
void fill_lose_store(struct bw_fill *f)
{
    if (f->store != FILL_STORE_ON)
        return;
    f->store = FILL_STORE_LOST;
    if (f->state != FILL_FAILED)
        count_event(f->fs, BW_FILL_STORE_LOST);
    poke_owner(f);
}

/* ---- handing over ---- */

/* The blocks of chunk `index`, all there; fill lock held. */
static size_t chunk_blocks(struct bw_fill *f, uint32_t index, struct bw_block **blocks)
{
    uint64_t first = (uint64_t)index * BW_CHUNK_BLOCKS;
    uint64_t end = f->first_block + f->window_n;
    size_t n = 0;

    while (n < BW_CHUNK_BLOCKS && first + n < end) {
        blocks[n] = window_slot(f, first + n)->block;
        n++;
    }
    return n;
}

static uint32_t fetch_time(const struct bw_fill *f)
{
    return (uint32_t)(bw_clock_ms() - f->head.terms.asked_ms);
}

/* Rule 22: a full queue is waited for only while something of ours is in it. */
static bool hand_chunk(struct bw_fill *f)
{
    struct bw_block *blocks[BW_CHUNK_BLOCKS];
    struct bw_writer_chunk chunk = {.key = f->store_hash,
                                    .objid = f->stored_objid,
                                    .index = f->handed,
                                    .fetch_ms = fetch_time(f),
                                    .blocks = blocks};
    enum bw_err err;

    pthread_mutex_lock(&f->lock);
    chunk.n = chunk_blocks(f, f->handed, blocks);
    chunk.urgent = f->stopped;
    chunk.expected = f->state == FILL_DONE ? f->have : f->head.length;
    pthread_mutex_unlock(&f->lock);
    if (chunk.expected == UINT64_MAX)
        chunk.expected = 0;
    fill_take(f); /* until the chunk is committed or lost */
    err = bw_writer_chunk(f->fs->o.store, &f->client, &chunk);
    if (err == BW_OK) {
        f->handed++;
        return true;
    }
    pthread_mutex_lock(&f->lock);
    if (f->committed == f->handed)
        fill_lose_store(f);
    pthread_mutex_unlock(&f->lock);
    fill_put(f);
    return false;
}

static bool store_on(struct bw_fill *f)
{
    bool on;

    pthread_mutex_lock(&f->lock);
    on = f->store == FILL_STORE_ON;
    pthread_mutex_unlock(&f->lock);
    return on;
}

void fill_hand_over(struct bw_fill *f)
{
    if (f->head.revalidated)
        return;
    while (store_on(f) && ((uint64_t)f->handed + 1) * BW_CHUNK_SIZE <= f->have)
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

static void encode_record(struct bw_fill *f, uint32_t fetch_ms, struct bw_buf *out)
{
    struct bw_entry e = {.kind = BW_ENTRY_RESPONSE,
                         .objid = f->stored_objid,
                         .body_len = f->have,
                         .key = f->store_key,
                         .primary = f->primary,
                         .terms = f->head.terms,
                         .reason = f->head.reason,
                         .fields = f->head.stored,
                         .fetch_ms = fetch_ms};

    if (f->have <= BW_ENTRY_INLINE_MAX) {
        e.inline_body = bw_slice("", 0);
        if (f->have != 0)
            e.inline_body = bw_slice(window_slot(f, 0)->block->bytes, (size_t)f->have);
    }
    bw_entry_encode(&e, out);
}

static uint32_t expiry(const struct bw_terms *t)
{
    int64_t at = t->answered_ms / 1000 + t->lifetime_s - t->age_s;

    return at <= 0 ? 1 : at >= UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}

static enum bw_err give_record(struct bw_fill *f)
{
    uint32_t fetch_ms = fetch_time(f);
    struct bw_buf record = {0}, vary = {0};
    struct bw_writer_record r = {.key = f->store_hash,
                                 .primary = f->primary,
                                 .objid = f->stored_objid,
                                 .born = f->born,
                                 .bytes = f->have,
                                 .expiry_s = expiry(&f->head.terms),
                                 .fetch_ms = fetch_ms,
                                 .keep_body = f->head.revalidated,
                                 .replaces = f->head.revalidated ? f->base.objid : 0};
    enum bw_err err;

    pthread_mutex_lock(&f->lock);
    encode_record(f, fetch_ms, &record);
    pthread_mutex_unlock(&f->lock);
    if (f->varies) {
        encode_vary(f, &vary);
        r.vary_key = f->key.hash;
        r.vary_encoded = bw_buf_view(&vary);
    }
    r.encoded = bw_buf_view(&record);
    err = bw_writer_record(f->fs->o.store, &f->client, &r);
    bw_buf_free(&record);
    bw_buf_free(&vary);
    return err;
}

/* Large bodies: the last, shorter chunk.  False: not now, or never. */
static bool hand_last_chunk(struct bw_fill *f)
{
    if (f->head.revalidated || f->have <= BW_ENTRY_INLINE_MAX)
        return true;
    fill_hand_over(f);
    if (!store_on(f))
        return false;
    if ((uint64_t)f->handed * BW_CHUNK_SIZE >= f->have)
        return true;
    return (f->have - (uint64_t)f->handed * BW_CHUNK_SIZE) <= BW_CHUNK_SIZE && hand_chunk(f);
}

/* Storing ended without a record: nobody joins any more (rule 27). */
static void give_up_slot(struct bw_fill *f)
{
    pthread_mutex_lock(&f->lock);
    f->joinable = false;
    pthread_mutex_unlock(&f->lock);
    slot_leave(f, &f->store_hash);
}

static void set_record_handed(struct bw_fill *f, bool handed)
{
    pthread_mutex_lock(&f->lock);
    f->record_handed = handed;
    pthread_mutex_unlock(&f->lock);
}

void fill_hand_record(struct bw_fill *f)
{
    enum bw_err err;

    if (f->record_handed)
        return;
    if (!store_on(f) || !hand_last_chunk(f)) {
        if (f->head_out && !store_on(f))
            give_up_slot(f);
        return;
    }
    fill_take(f); /* until stored() */
    set_record_handed(f, true);
    err = give_record(f);
    if (err == BW_OK)
        return;
    set_record_handed(f, false);
    pthread_mutex_lock(&f->lock);
    if (f->committed == f->handed)
        fill_lose_store(f); /* full, and nothing of ours in it: nothing will wake us */
    pthread_mutex_unlock(&f->lock);
    if (!store_on(f))
        give_up_slot(f);
    fill_put(f);
}

/* ---- the writer calls ---- */

static void committed(struct bw_writer_client *c, uint32_t chunks)
{
    struct bw_fill *f = BW_CONTAINER_OF(c, struct bw_fill, client);
    uint32_t n;

    pthread_mutex_lock(&f->lock);
    n = chunks - f->committed;
    f->committed = chunks;
    f->readable = (uint64_t)chunks * BW_CHUNK_SIZE;
    if (f->readable > f->have)
        f->readable = f->have;
    window_drop_below(f, f->readable);
    if (f->readable == f->have && f->state == FILL_DONE)
        window_drop_below(f, UINT64_MAX);
    if (f->stopped || (f->state == FILL_DONE && !f->record_handed))
        poke_owner(f);
    pthread_mutex_unlock(&f->lock);
    while (n-- != 0)
        fill_put(f);
}

/* Rule 26: the commit and the index lie behind us; COMMITTED, and only then the slot is left. */
static void stored(struct bw_writer_client *c, enum bw_err err, enum bw_reason why)
{
    struct bw_fill *f = BW_CONTAINER_OF(c, struct bw_fill, client);
    bool own;

    (void)why;
    pthread_mutex_lock(&f->lock);
    if (err == BW_OK) {
        f->state = FILL_COMMITTED;
        if (f->readable == f->have)
            window_drop_below(f, UINT64_MAX);
    } else {
        f->joinable = false;
        f->store = FILL_STORE_LOST;
    }
    own = wake_seats(f); /* nobody is parked on a body that is whole, but a test may have held us */
    (void)own;
    pthread_mutex_unlock(&f->lock);
    count_event(f->fs, err == BW_OK ? BW_FILL_STORED : BW_FILL_STORE_FAILED);
    slot_leave(f, &f->store_hash);
    fill_put(f);
}

/* One chunk was not written: there will be no record. */
static void lost(struct bw_writer_client *c, enum bw_err err)
{
    struct bw_fill *f = BW_CONTAINER_OF(c, struct bw_fill, client);

    (void)err;
    pthread_mutex_lock(&f->lock);
    fill_lose_store(f);
    f->joinable = f->joinable && f->first_block == 0;
    pthread_mutex_unlock(&f->lock);
    fill_put(f);
}

void fill_store_begin(struct bw_fill *f)
{
    f->client = (struct bw_writer_client){committed, stored, lost};
}
