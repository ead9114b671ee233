/*
 * apply.c - what each item of the queue does to the store.
 *
 * Room is made before anything is written (eviction.md, 4.4): at the first chunk for the whole body
 * as far as its length is known, at the record for what has none.  An object that is refused there
 * has cost no write.  A transaction that fails is repeated once, so everything here can be done
 * twice: grants and dooms survive the abort and are found again.
 */
#include "breakwater/base/clock.h"

#include "store_priv.h"

#include <errno.h>

/* ---- room ---- */

static void doom_victim(void *store, const struct bw_index_victim *v)
{
    struct bw_store *s = store;
    struct bw_hash key = {{0}};
    uint64_t big_endian = __builtin_bswap64(v->key_prefix);

    memcpy(key.bytes, &big_endian, sizeof(big_endian));
    bw_count(&s->counters.evicted);
    bw_doom_object(s, &key, v->objid, v->bytes);
}

struct bw_index_evictor bw_store_evictor(struct bw_store *s)
{
    return (struct bw_index_evictor){bw_store_pinned, doom_victim, s};
}

/* The grant is made, or grows to what is asked for. */
static bool make_room(struct bw_store *s, const struct bw_index_ask *ask,
                      struct bw_index_grant *grant)
{
    struct bw_index_evictor evictor = bw_store_evictor(s);

    if (grant->pages == 0)
        return bw_index_admit(s->index, ask, &evictor, grant);
    return bw_index_extend(s->index, ask, &evictor, grant);
}

static uint32_t now_s(void)
{
    return (uint32_t)bw_clock_s();
}

/* ---- chunks ---- */

static size_t chunk_len(const struct bw_item_chunk *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += c->blocks[i]->len;
    return n;
}

static bool admit_chunk(struct bw_store *s, const struct bw_item *it, struct bw_body *b)
{
    const struct bw_item_chunk *c = &it->chunk;
    uint64_t so_far = (uint64_t)c->index * BW_CHUNK_SIZE + chunk_len(c);
    struct bw_index_ask ask = {
        .key = c->key,
        .bytes = bw_object_room(0, c->expected > so_far ? c->expected : so_far),
        .fetch_ms = c->fetch_ms,
        .now_s = now_s(),
    };

    return make_room(s, &ask, &b->grant);
}

/* Straight into LMDB's page, then the checksum of what lies there. */
static int put_chunk(struct bw_store *s, MDB_txn *txn, const struct bw_item *it)
{
    const struct bw_item_chunk *c = &it->chunk;
    uint64_t body_key = bw_body_key(it->objid, c->index);
    size_t len = chunk_len(c);
    MDB_val k = bw_val(&body_key, sizeof(body_key)), v = bw_val(NULL, len + BW_CHUNK_SUM);
    unsigned flags = MDB_RESERVE | (body_key > s->last_body_key ? MDB_APPEND : 0);
    int rc = mdb_put(txn, s->body, &k, &v, flags);

    if (rc != 0)
        return rc;
    char *to = v.mv_data;
    for (size_t i = 0; i < c->n; i++) {
        memcpy(to, c->blocks[i]->bytes, c->blocks[i]->len);
        to += c->blocks[i]->len;
    }
    uint64_t sum = bw_hash_64(bw_slice(v.mv_data, len));
    memcpy(to, &sum, sizeof(sum));
    if (body_key > s->last_body_key)
        s->last_body_key = body_key; /* after an abort it is too high: then nothing is appended */
    return 0;
}

static int apply_chunk(struct bw_store *s, MDB_txn *txn, struct bw_item *it)
{
    struct bw_body *b = bw_body_find(&s->bodies, it->objid);

    if (b == NULL && it->chunk.index == 0)
        b = bw_body_add(&s->bodies, it->objid);
    if (b == NULL || b->lost != BW_OK || it->chunk.index != b->applied ||
        it->chunk.index >= BW_CHUNKS_MAX) {
        it->err = b != NULL && b->lost != BW_OK ? b->lost : BW_ERR_FULL;
        if (b != NULL)
            b->lost = it->err;
        return 0;
    }
    if (!admit_chunk(s, it, b)) {
        it->err = b->lost = BW_ERR_BUSY;
        bw_count(&s->counters.refused);
        return 0;
    }
    int rc = put_chunk(s, txn, it);
    b->applied += rc == 0;
    return rc;
}

/* ---- records ---- */

static void refuse(struct bw_item *it, enum bw_err err, enum bw_reason why)
{
    it->err = err;
    it->why = why;
}

/* The record of a key and its objid, 0 where there is none. */
static int get_record(struct bw_store *s, MDB_txn *txn, const struct bw_hash *key,
                      struct bw_slice *record, uint64_t *objid)
{
    MDB_val k = bw_val(key->bytes, sizeof(key->bytes)), v;
    int rc = mdb_get(txn, s->meta, &k, &v);

    *objid = 0;
    *record = bw_slice(NULL, 0);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (!bw_inspect_mend(s, v)) /* it may be about to be replaced */
        return EIO;
    *record = bw_val_slice(v);
    *objid = bw_entry_objid_in(*record);
    return 0;
}

static int put_record(struct bw_store *s, MDB_txn *txn, const struct bw_hash *key,
                      struct bw_slice record)
{
    MDB_val k = bw_val(key->bytes, sizeof(key->bytes)), v = bw_val(record.base, record.len);

    return mdb_put(txn, s->meta, &k, &v, 0);
}

static int put_primary(struct bw_store *s, MDB_txn *txn, const struct bw_hash *primary,
                       const struct bw_hash *key)
{
    MDB_val k = bw_val(primary->bytes, sizeof(primary->bytes));
    MDB_val v = bw_val(key->bytes, sizeof(key->bytes));

    if (bw_hash_eq(primary, key))
        return 0;
    int rc = mdb_put(txn, s->primary, &k, &v, MDB_NODUPDATA);
    return rc == MDB_KEYEXIST ? 0 : rc;
}

static bool is_in_sight(struct bw_store *s, const struct bw_hash *key, uint64_t objid)
{
    struct bw_index_hit hit;

    return bw_index_find(s->index, key, &hit) && hit.objid == objid;
}

/* All its chunks are there, if it has any. */
static bool has_body(const struct bw_writer_record *rec, const struct bw_body *b)
{
    uint32_t chunks = rec->keep_body ? 0 : bw_entry_chunks(rec->bytes);

    return chunks == 0 ? b == NULL : b != NULL && b->lost == BW_OK && b->applied == chunks;
}

/* A head that replaces another one in place takes the room of its record; the body is paid for. */
static bool admit_record(struct bw_store *s, const struct bw_writer_record *rec,
                         struct bw_index_grant *grant)
{
    struct bw_index_ask ask = {
        .key = rec->key,
        .bytes = bw_object_room(rec->encoded.len, rec->keep_body ? 0 : rec->bytes),
        .fetch_ms = rec->fetch_ms,
        .now_s = now_s(),
        .force = rec->keep_body,
    };

    return make_room(s, &ask, grant);
}

static uint8_t log2_of(uint32_t f)
{
    unsigned k = 31U - (unsigned)__builtin_clz(f | 1);

    return (uint8_t)(k < 15 ? k : 15);
}

static bool is_same_way(struct bw_slice a, struct bw_slice b)
{
    struct bw_entry x, y;

    return bw_store_peek(a, &x) && bw_store_peek(b, &y) && x.kind == y.kind &&
           x.vary_id == y.vary_id && bw_slice_eq(x.vary, y.vary);
}

/* A record beside another may come back with its old objid while that is doomed. */
static int apply_beside(struct bw_store *s, MDB_txn *txn, struct bw_item_record *r,
                        enum bw_beside which)
{
    const struct bw_writer_beside *w = &r->rec.beside[which];
    struct bw_item_beside *b = &r->beside[which];
    struct bw_slice stored;
    uint64_t objid;
    int rc;

    b->objid = 0;
    if (w->encoded.len == 0)
        return 0;
    rc = get_record(s, txn, &w->key, &stored, &objid);
    if (rc != 0 ||
        (objid != 0 && is_same_way(stored, w->encoded) && is_in_sight(s, &w->key, objid)))
        return rc;
    struct bw_index_ask ask = {.key = w->key,
                               .bytes = bw_record_room(w->encoded.len),
                               .now_s = now_s(),
                               .force = which == BW_BESIDE_BASE};
    if (!make_room(s, &ask, &b->grant))
        return 0;
    b->objid = bw_entry_objid_in(w->encoded);
    bw_doom_spare_record(s, &w->key, b->objid);
    rc = put_record(s, txn, &w->key, w->encoded);
    return rc == 0 ? put_primary(s, txn, &r->rec.primary, &w->key) : rc;
}

/* The questions that a record may fail; true: it is to be written. */
static bool is_wanted(struct bw_store *s, struct bw_item *it, struct bw_body *b,
                      enum bw_purged purged)
{
    struct bw_item_record *r = &it->record;
    const struct bw_writer_record *rec = &r->rec;

    if (purged == BW_PURGED_HARD) {
        refuse(it, BW_ERR_NOT_FOUND, BW_REASON_PURGED);
    } else if (!has_body(rec, b)) {
        bool busy = b != NULL && b->lost == BW_ERR_BUSY;
        refuse(it, BW_ERR_FULL, busy ? BW_REASON_NOT_ADMITTED : BW_REASON_STORE_LOST);
    } else if (rec->replaces != 0 &&
               (r->old_objid != rec->replaces || !is_in_sight(s, &rec->key, rec->replaces))) {
        refuse(it, BW_ERR_NOT_FOUND, BW_REASON_NONE);
    } else if (!admit_record(s, rec, b != NULL ? &b->grant : &r->grant)) {
        bw_count(&s->counters.refused);
        refuse(it, BW_ERR_FULL, BW_REASON_NOT_ADMITTED);
    } else {
        return true;
    }
    return false;
}

static int apply_record(struct bw_store *s, MDB_txn *txn, struct bw_item *it)
{
    struct bw_item_record *r = &it->record;
    const struct bw_writer_record *rec = &r->rec;
    struct bw_body *b = bw_body_find(&s->bodies, it->objid);
    enum bw_purged purged = bw_purged_since(s, &rec->primary, rec->born);
    struct bw_slice old;
    int rc = get_record(s, txn, &rec->key, &old, &r->old_objid);

    if (rc != 0 || !is_wanted(s, it, b, purged))
        return rc;
    uint32_t f = b != NULL ? b->grant.f : r->grant.f;
    if (!bw_entry_patch(bw_unconst(rec->encoded.base), rec->encoded.len,
                        purged == BW_PURGED_SOFT ? BW_TERMS_PURGED_SOFT : 0, log2_of(f))) {
        refuse(it, BW_ERR_INVALID, BW_REASON_STORE_LOST);
        return 0;
    }
    rc = put_record(s, txn, &rec->key, rec->encoded);
    if (rc == 0)
        rc = put_primary(s, txn, &rec->primary, &rec->key);
    for (int i = 0; i < BW_BESIDE_COUNT && rc == 0; i++)
        rc = apply_beside(s, txn, r, (enum bw_beside)i);
    return rc == 0 && r->old_objid == 0 ? bw_variants_bound(s, txn, rec) : rc;
}

/* ---- deletes ---- */

static int mark_stale(struct bw_store *s, MDB_txn *txn, const struct bw_hash *key,
                      const struct bw_entry *e, struct bw_slice record)
{
    char *copy = bw_alloc(record.len);

    memcpy(copy, record.base, record.len);
    bw_entry_patch(copy, record.len, BW_TERMS_PURGED_SOFT, e->frequency_log2);
    int rc = put_record(s, txn, key, bw_slice(copy, record.len));
    free(copy);
    if (rc == 0)
        bw_index_refresh(s->index, key, e->objid, 1);
    return rc;
}

static int purge_key(struct bw_store *s, MDB_txn *txn, const struct bw_item *it,
                     const struct bw_hash *key)
{
    struct bw_slice record;
    struct bw_entry e;
    uint64_t objid;
    int rc = get_record(s, txn, key, &record, &objid);

    if (rc != 0 || record.base == NULL || objid >= it->mark || !bw_store_peek(record, &e))
        return rc;
    if (it->soft)
        return mark_stale(s, txn, key, &e, record);
    bw_count(&s->counters.deleted);
    bw_doom_object(s, key, objid, bw_object_room(record.len, e.body_len));
    return 0;
}

static int apply_purge(struct bw_store *s, MDB_txn *txn, const struct bw_item *it)
{
    struct bw_hash *keys;
    size_t n;
    int rc = purge_key(s, txn, it, &it->key);

    if (rc == 0)
        rc = bw_variants_list(s, txn, &it->key, &keys, &n);
    else
        return rc;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = purge_key(s, txn, it, &keys[i]);
    free(keys);
    return rc;
}

static void apply_drop(struct bw_store *s, const struct bw_item *it)
{
    bw_count(&s->counters.deleted);
    bw_doom_object(s, &it->key, it->objid, 0);
}

/* The grant is given back when the batch is over: until then an earlier chunk of it may be here. */
static void apply_drop_body(struct bw_store *s, const struct bw_item *it)
{
    struct bw_body *b = bw_body_find(&s->bodies, it->objid);

    if (b != NULL)
        b->over = true;
    bw_doom_add(s, BW_DOOM_BODY, &it->key, it->objid,
                b != NULL ? b->grant.pages * BW_STORE_PAGE : 0);
}

int bw_apply(struct bw_store *s, MDB_txn *txn, struct bw_item *it)
{
    it->err = BW_OK;
    it->why = BW_REASON_NONE;
    switch (it->kind) {
    case BW_ITEM_CHUNK:
        return apply_chunk(s, txn, it);
    case BW_ITEM_RECORD:
        return apply_record(s, txn, it);
    case BW_ITEM_DROP_BODY:
        apply_drop_body(s, it);
        return 0;
    case BW_ITEM_DROP:
        apply_drop(s, it);
        return 0;
    case BW_ITEM_PURGE:
        return apply_purge(s, txn, it);
    }
    BW_UNREACHABLE();
}
