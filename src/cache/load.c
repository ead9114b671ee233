/*
 * load.c - the index after a start: the writer's first work.
 *
 * The inspection reads every page of the trees, so what it meets goes straight into the index, and
 * the trees are walked once.  Records come in the order of their keys, which is random in every
 * other respect.  Then the bodies: unless the last stop was clean, chunks of fills that a crash cut
 * off have no record and are deleted.
 */
#include "breakwater/base/gate.h"

#include "store_priv.h"

#include <stdio.h>

enum {
    CHARGE_EVERY = 2048, /* records */
    RECORD_MAX = 1 << 20,
    ROW = 8000, /* frequencies, as many as fit 16 pages */
};

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
    bool clean;
    int rc = take_clean(s, txn, &clean);

    if (rc == 0)
        rc = take_frequencies(s, txn);
    s->load.sweep = rc == 0 && !clean;
    return rc;
}

void bw_load_free(struct bw_store *s)
{
    struct bw_load *l = &s->load;

    free(l->objids);
    free(l->frequencies);
    bw_buf_free(&l->record);
    *l = (struct bw_load){0};
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
    struct bw_index_item item = {
        .key = *key,
        .objid = e->objid,
        .bytes = bw_object_room(record, e->body_len),
        .expiry_s = expiry_of(e),
        .fetch_ms = e->fetch_ms,
        .frequency_log2 = frequency_of(&s->load, bw_hash_prefix(key), e->frequency_log2),
    };

    if (bw_purge_covers_locked(s, &e->primary, e->objid) != BW_PURGED_HARD &&
        !bw_index_load(s->index, &item))
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

/* The record of a node, wherever it lies; valid until the next one. */
static bool read_record(struct bw_load *l, struct bw_inspection *in, const struct bw_node *node,
                        struct bw_slice *out)
{
    char piece[BW_PAGE_SIZE];
    size_t n;

    *out = node->value;
    if (node->kind == BW_NODE_INLINE)
        return true;
    bw_buf_clear(&l->record);
    for (uint64_t at = 0; at < node->size; at += n) {
        n = node->size - at < sizeof(piece) ? (size_t)(node->size - at) : sizeof(piece);
        if (!bw_inspect_value(in, node, at, piece, n))
            return false;
        bw_buf_append(&l->record, piece, n);
    }
    *out = bw_buf_view(&l->record);
    return true;
}

static bool take_record(void *store, struct bw_inspection *in, const struct bw_node *node)
{
    struct bw_store *s = store;
    struct bw_hash key;
    struct bw_slice record;

    if (node->key.len != sizeof(key) || node->size > RECORD_MAX ||
        !read_record(&s->load, in, node, &record))
        return false;
    memcpy(&key, node->key.base, sizeof(key));
    if (s->load.records++ % CHARGE_EVERY == 0)
        bw_store_charge_index(s);
    load_record(s, &key, record);
    return true;
}

/* ---- bodies without a record ---- */

static bool has_record(const struct bw_load *l, uint64_t objid)
{
    return l->objids_n > 0 &&
           bsearch(&objid, l->objids, l->objids_n, sizeof(*l->objids), compare_u64) != NULL;
}

static bool take_chunk(void *store, struct bw_inspection *in, const struct bw_node *node)
{
    struct bw_store *s = store;
    uint64_t body_key;

    (void)in;
    if (node->key.len != sizeof(body_key) || node->size <= BW_CHUNK_SUM ||
        node->size > BW_CHUNK_SIZE + BW_CHUNK_SUM)
        return false;
    memcpy(&body_key, node->key.base, sizeof(body_key));
    uint64_t objid = body_key >> 16;
    if (s->load.sweep && objid != s->load.swept && !has_record(&s->load, objid))
        bw_doom_add(s, BW_DOOM_BODY, &(struct bw_hash){{0}}, objid, 0);
    s->load.swept = objid;
    s->last_body_key = body_key;
    return true;
}

/* The first variant of a URL; more of them lie in a page of duplicates. */
static bool take_primary(void *store, struct bw_inspection *in, const struct bw_node *node)
{
    (void)store;
    (void)in;
    return node->key.len == sizeof(struct bw_hash) && node->kind == BW_NODE_INLINE &&
           node->size == sizeof(struct bw_hash);
}

/* ---- all of it ---- */

enum bw_inspected bw_load_run(struct bw_store *s)
{
    struct bw_inspection *in = &s->inspection;
    struct bw_load *l = &s->load;

    bw_gate_pass("store.load");
    enum bw_inspected is = bw_inspect_tree(in, &in->meta, take_record, s);
    if (is == BW_INSPECTED_SOUND) {
        if (l->objids_n > 0)
            qsort(l->objids, l->objids_n, sizeof(*l->objids), compare_u64);
        is = bw_inspect_tree(in, &in->body, take_chunk, s);
    }
    if (is == BW_INSPECTED_SOUND)
        is = bw_inspect_tree(in, &in->primary, take_primary, s);
    bw_load_free(s);
    bw_inspect_forget(in);
    return is;
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

    bw_index_walk(s->index, gather, &g);
    qsort(g.v, g.n, sizeof(*g.v), compare_u64);
    int rc = put_rows(s, txn, &g);
    if (rc == 0)
        rc = mdb_put(txn, s->state, &k, &v, 0);
    free(g.v);
    return rc;
}
