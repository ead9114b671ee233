/*
 * load.c - the index after a start, in slices between the batches of the writer.
 *
 * The writer thread does it itself, so nobody else changes the index.  Records are read in the
 * order of their keys, which is random in every other respect, so what is in memory at any moment
 * is a fair sample of the store.  Then, unless the last stop was clean, the bodies are walked:
 * chunks of fills that a crash cut off have no record and are deleted.
 *
 * Each slice has a transaction of its own: a long one would make the file grow.
 */
#include "store_priv.h"

#include <stdio.h>

enum { SLICE = 2048, ROW = 8000 /* frequencies, as many as fit 16 pages */ };

static const char frequency_prefix[] = "frequency/";

static bool is_frequency(MDB_val key)
{
    return key.mv_size > sizeof(frequency_prefix) - 1 &&
           memcmp(key.mv_data, frequency_prefix, sizeof(frequency_prefix) - 1) == 0;
}

static void keep_row(struct bw_load *l, MDB_val row)
{
    size_t n = row.mv_size / sizeof(uint64_t);

    l->frequencies = bw_realloc(l->frequencies, (l->frequencies_n + n) * sizeof(uint64_t));
    memcpy(l->frequencies + l->frequencies_n, row.mv_data, n * sizeof(uint64_t));
    l->frequencies_n += n;
}

/* What a clean stop has left; it is used once. */
static int take_frequencies(struct bw_store *s, MDB_txn *txn)
{
    MDB_val k = bw_val(frequency_prefix, sizeof(frequency_prefix) - 1), v;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, s->state, &cursor);

    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (rc == 0 && is_frequency(k)) {
        keep_row(&s->load, v);
        rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int take_clean(struct bw_store *s, MDB_txn *txn, bool *clean)
{
    MDB_val k = bw_val("clean", 5);
    int rc = mdb_del(txn, s->state, &k, NULL);

    *clean = rc == 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int bw_load_begin(struct bw_store *s, MDB_txn *txn)
{
    struct bw_load *l = &s->load;
    MDB_stat meta, body;
    bool clean;
    int rc = mdb_stat(txn, s->meta, &meta);

    if (rc == 0)
        rc = mdb_stat(txn, s->body, &body);
    if (rc == 0)
        rc = take_clean(s, txn, &clean);
    if (rc == 0)
        rc = take_frequencies(s, txn);
    if (rc != 0)
        return rc;
    l->sweep = !clean && body.ms_entries > 0;
    l->mark = atomic_load(&s->next_objid);
    l->unloaded =
        (meta.ms_entries + meta.ms_overflow_pages + body.ms_overflow_pages) * BW_STORE_PAGE;
    l->done = meta.ms_entries == 0 && !l->sweep;
    if (l->done)
        l->unloaded = 0;
    atomic_store(&s->loaded, meta.ms_entries == 0);
    return 0;
}

void bw_load_free(struct bw_store *s)
{
    struct bw_load *l = &s->load;

    free(l->objids);
    free(l->frequencies);
    l->objids = l->frequencies = NULL;
    l->objids_n = l->objids_cap = l->frequencies_n = l->frequencies_at = 0;
}

/* ---- records ---- */

/* Both are in the order of the keys. */
static uint8_t frequency_of(struct bw_load *l, uint64_t prefix, uint8_t stored)
{
    while (l->frequencies_at < l->frequencies_n &&
           l->frequencies[l->frequencies_at] >> 4 < prefix >> 4)
        l->frequencies_at++;
    if (l->frequencies_at < l->frequencies_n &&
        l->frequencies[l->frequencies_at] >> 4 == prefix >> 4)
        return l->frequencies[l->frequencies_at] & 15;
    return stored;
}

static void remember_objid(struct bw_load *l, uint64_t objid)
{
    if (l->objids_n == l->objids_cap) {
        l->objids_cap = l->objids_cap > 0 ? 2 * l->objids_cap : 1024;
        l->objids = bw_realloc(l->objids, l->objids_cap * sizeof(*l->objids));
    }
    l->objids[l->objids_n++] = objid;
}

/* Nothing has been checked yet: what is damaged may have any numbers, so the sum may wrap. */
static uint32_t expiry_of(const struct bw_entry *e)
{
    int64_t at = (int64_t)((uint64_t)(e->terms.answered_ms / 1000) + (uint64_t)e->terms.lifetime_s -
                           (uint64_t)e->terms.age_s);

    if (e->kind != BW_ENTRY_RESPONSE || at >= UINT32_MAX)
        return UINT32_MAX;
    return at <= 0 || e->terms.flags & BW_TERMS_PURGED_SOFT ? 1 : (uint32_t)at;
}

/* The purge lock is held, so that no purge walks the index between the question and the entry. */
static void load_entry(struct bw_store *s, const struct bw_hash *key, const struct bw_entry *e,
                       size_t record)
{
    struct bw_index_hit hit;
    struct bw_index_item item = {
        .key = *key,
        .objid = e->objid,
        .bytes = bw_object_room(record, e->body_len),
        .expiry_s = expiry_of(e),
        .fetch_ms = e->fetch_ms,
        .frequency_log2 = frequency_of(&s->load, bw_hash_prefix(key), e->frequency_log2),
    };

    if (bw_purge_covers_locked(s, &e->primary, e->objid) == BW_PURGED_HARD)
        return;
    if (bw_index_load(s->index, &item))
        s->load.unloaded -= item.bytes < s->load.unloaded ? item.bytes : s->load.unloaded;
    else if (!bw_index_find(s->index, key, &hit))
        bw_doom_object(s, key, e->objid, item.bytes); /* no room for its entry */
}

static void load_record(struct bw_store *s, const struct bw_hash *key, struct bw_slice record)
{
    struct bw_entry e;

    if (!bw_store_peek(record, &e)) {
        bw_count(&s->counters.corrupt);
        bw_doom_add(s, BW_DOOM_RECORD, key, 0, 0);
        return;
    }
    if (s->load.sweep && bw_entry_chunks(e.body_len) > 0)
        remember_objid(&s->load, e.objid);
    pthread_mutex_lock(&s->purges.lock);
    load_entry(s, key, &e, record.len);
    pthread_mutex_unlock(&s->purges.lock);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void end_of_records(struct bw_store *s)
{
    struct bw_load *l = &s->load;

    if (l->sweep)
        qsort(l->objids, l->objids_n, sizeof(*l->objids), compare_u64);
    l->done = !l->sweep;
    if (l->done)
        l->unloaded = 0;
    atomic_store_explicit(&s->loaded, true, memory_order_release);
}

/* `at` is the last key that was loaded. */
static void load_records(struct bw_store *s, MDB_cursor *cursor)
{
    struct bw_load *l = &s->load;
    struct bw_hash from = l->at;
    MDB_val k = bw_val(from.bytes, sizeof(from.bytes)), v;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

    for (unsigned n = 0; rc == 0 && n < SLICE; n++) {
        struct bw_hash key = bw_val_hash(k);
        if (!l->begun || !bw_hash_eq(&key, &l->at))
            load_record(s, &key, bw_val_slice(v));
        l->begun = true;
        l->at = key;
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    if (rc != 0)
        end_of_records(s);
}

/* ---- bodies without a record ---- */

static bool has_record(const struct bw_load *l, uint64_t objid)
{
    return l->objids_n > 0 &&
           bsearch(&objid, l->objids, l->objids_n, sizeof(*l->objids), compare_u64) != NULL;
}

/* From object to object; newer ones are being written now. */
static void sweep(struct bw_store *s, MDB_cursor *cursor)
{
    struct bw_load *l = &s->load;

    for (unsigned n = 0; n < SLICE; n++) {
        uint64_t body_key = bw_body_key(l->sweep_at, 0);
        MDB_val k = bw_val(&body_key, sizeof(body_key)), v;
        int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        if (rc == 0)
            memcpy(&body_key, k.mv_data, sizeof(body_key));
        uint64_t objid = body_key >> 16;
        if (rc != 0 || objid >= l->mark) {
            l->done = true;
            l->unloaded = 0;
            return;
        }
        if (!has_record(l, objid))
            bw_doom_add(s, BW_DOOM_BODY, &(struct bw_hash){{0}}, objid, 0);
        l->sweep_at = objid + 1;
    }
}

void bw_load_slice(struct bw_store *s)
{
    bool records = !bw_store_loaded(s);
    MDB_cursor *cursor;
    MDB_txn *txn;

    if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0)
        return;
    bw_store_charge_index(s);
    if (mdb_cursor_open(txn, records ? s->meta : s->body, &cursor) == 0) {
        if (records)
            load_records(s, cursor);
        else
            sweep(s, cursor);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    bw_store_hold(s);
    if (s->load.done)
        bw_load_free(s);
}

/* ---- a clean stop ---- */

struct gathering {
    uint64_t *v;
    size_t n;
};

static void gather(void *ctx, uint64_t prefix, uint8_t frequency_log2)
{
    struct gathering *g = ctx;

    if (frequency_log2 > 0)
        g->v[g->n++] = (prefix & ~UINT64_C(15)) | (frequency_log2 < 15 ? frequency_log2 : 15);
}

static int put_rows(struct bw_store *s, MDB_txn *txn, const struct gathering *g)
{
    char name[32];
    int rc = 0;

    for (size_t at = 0, row = 0; at < g->n && rc == 0; at += ROW, row++) {
        size_t n = g->n - at < ROW ? g->n - at : ROW;
        int len = snprintf(name, sizeof(name), "%s%08zx", frequency_prefix, row);
        MDB_val k = bw_val(name, (size_t)len), v = bw_val(g->v + at, n * sizeof(*g->v));
        rc = mdb_put(txn, s->state, &k, &v, 0);
    }
    return rc;
}

int bw_load_save(struct bw_store *s, MDB_txn *txn)
{
    struct gathering g = {bw_alloc((bw_index_count(s->index) + 1) * sizeof(uint64_t)), 0};
    MDB_val k = bw_val("clean", 5), v = bw_val("", 0);
    int rc = 0;

    if (bw_store_loaded(s)) {
        bw_index_walk(s->index, gather, &g);
        qsort(g.v, g.n, sizeof(*g.v), compare_u64);
        rc = put_rows(s, txn, &g);
    }
    if (rc == 0 && s->load.done)
        rc = mdb_put(txn, s->state, &k, &v, 0);
    free(g.v);
    return rc;
}
