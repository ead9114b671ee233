/*
 * dooms.c - what has to be deleted: victims, replaced and purged objects, bodies nobody wanted.
 *
 * They are out of sight already and only occupy disk.  A doom stays on the list until the commit
 * that deletes it has succeeded, so a failed one loses nothing; deleting twice does no harm.  A
 * body that is being sent waits until its last pin is gone.
 */
#include "store_priv.h"

#include <sys/mman.h>

enum { CHUNKS_AT_ONCE = 4096, OWN_PAGES = 2048 };

void bw_doom_add(struct bw_store *s, enum bw_doom_kind kind, const struct bw_hash *key,
                 uint64_t objid, uint64_t bytes)
{
    struct bw_dooms *d = &s->dooms;

    if (d->n == d->cap) {
        d->cap = d->cap > 0 ? 2 * d->cap : 64;
        d->v = bw_realloc(d->v, d->cap * sizeof(*d->v));
    }
    d->v[d->n++] = (struct bw_doom){.kind = kind, .key = *key, .objid = objid, .bytes = bytes};
}

void bw_doom_object(struct bw_store *s, const struct bw_hash *key, uint64_t objid, uint64_t bytes)
{
    bw_doom_add(s, BW_DOOM_RECORD, key, objid, 0);
    bw_doom_add(s, BW_DOOM_BODY, key, objid, bytes);
}

void bw_doom_spare_record(struct bw_store *s, const struct bw_hash *key, uint64_t objid)
{
    uint64_t prefix = bw_hash_prefix(key);

    for (size_t i = 0; i < s->dooms.n; i++) {
        struct bw_doom *d = &s->dooms.v[i];
        if (d->kind == BW_DOOM_RECORD && d->objid == objid && bw_hash_prefix(&d->key) == prefix)
            d->done = true;
    }
}

/* ---- records ---- */

/* The row that leads from the primary key to this variant; there is none for the key itself. */
static int delete_primary(struct bw_store *s, MDB_txn *txn, const struct bw_hash *key,
                          struct bw_slice record)
{
    struct bw_entry e;

    if (!bw_store_peek(record, &e) || bw_hash_eq(&e.primary, key))
        return 0;
    MDB_val k = bw_val(e.primary.bytes, sizeof(e.primary.bytes));
    MDB_val v = bw_val(key->bytes, sizeof(key->bytes));
    int rc = mdb_del(txn, s->primary, &k, &v);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Deletes the record under the cursor if it is meant; damaged ones are always meant. */
static int delete_if_meant(struct bw_store *s, MDB_cursor *cursor, const struct bw_doom *d,
                           const struct bw_hash *key, struct bw_slice record)
{
    uint64_t objid = bw_entry_objid_in(record);

    if (objid != 0 && objid != d->objid)
        return 0;
    int rc = delete_primary(s, mdb_cursor_txn(cursor), key, record);
    if (rc == 0 && bw_inspect_mend(s, bw_val(record.base, record.len)))
        rc = mdb_cursor_del(cursor, 0);
    if (rc == 0)
        bw_index_remove(s->index, key, objid);
    return rc;
}

static int delete_record(struct bw_store *s, MDB_txn *txn, const struct bw_doom *d)
{
    struct bw_hash from = {{0}};
    MDB_cursor *cursor;
    MDB_val v;

    memcpy(from.bytes, d->key.bytes, sizeof(uint64_t));
    MDB_val k = bw_val(from.bytes, sizeof(from.bytes));
    int rc = mdb_cursor_open(txn, s->meta, &cursor);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (rc == 0) {
        struct bw_hash key = bw_val_hash(k);
        if (bw_hash_prefix(&key) != bw_hash_prefix(&d->key))
            break;
        rc = delete_if_meant(s, cursor, d, &key, bw_val_slice(v));
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ---- bodies ---- */

static bool is_chunk_of(MDB_val key, uint64_t objid)
{
    uint64_t body_key;

    memcpy(&body_key, key.mv_data, sizeof(body_key));
    return body_key >> 16 == objid;
}

/*
 * To free a chunk LMDB reads the head of its first page.  Victims are cold by nature, so the kernel
 * is told of all these pages before the first one is waited for.
 */
static void read_ahead(MDB_cursor *cursor, uint64_t objid, unsigned most)
{
    uint64_t body_key = bw_body_key(objid, 0);
    MDB_val k = bw_val(&body_key, sizeof(body_key)), v;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

    for (unsigned n = 0; rc == 0 && n < most && is_chunk_of(k, objid); n++) {
        if (v.mv_size > OWN_PAGES)
            madvise(bw_page_of(v.mv_data), BW_STORE_PAGE, MADV_WILLNEED);
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
}

/* `*left` chunks at most; `*whole`: nothing of it is left. */
static int delete_body(struct bw_store *s, MDB_txn *txn, uint64_t objid, unsigned *left,
                       bool *whole)
{
    uint64_t body_key = bw_body_key(objid, 0);
    MDB_val k = bw_val(&body_key, sizeof(body_key)), v;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, s->body, &cursor);

    if (rc != 0)
        return rc;
    read_ahead(cursor, objid, *left);
    *whole = false;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (rc == 0 && is_chunk_of(k, objid)) {
        if (*left == 0)
            break;
        --*left;
        if (bw_inspect_mend(s, v))
            rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    *whole = rc == MDB_NOTFOUND || (rc == 0 && !is_chunk_of(k, objid));
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ---- the list ---- */

int bw_dooms_run(struct bw_store *s, MDB_txn *txn)
{
    struct bw_dooms *dooms = &s->dooms;
    unsigned left = CHUNKS_AT_ONCE;
    int rc = 0;

    dooms->waiting = 0;
    dooms->pinned = 0;
    for (size_t i = 0; i < dooms->n && rc == 0; i++) {
        struct bw_doom *d = &dooms->v[i];
        if (d->done)
            continue;
        if (d->kind == BW_DOOM_RECORD) {
            rc = delete_record(s, txn, d);
            d->done = true;
        } else if (bw_store_pinned(s, d->objid)) {
            dooms->waiting += d->bytes;
            dooms->pinned++;
        } else if (left > 0) {
            rc = delete_body(s, txn, d->objid, &left, &d->done);
        }
    }
    return rc;
}

void bw_dooms_committed(struct bw_store *s)
{
    struct bw_dooms *dooms = &s->dooms;
    size_t n = 0;

    for (size_t i = 0; i < dooms->n; i++)
        if (!dooms->v[i].done)
            dooms->v[n++] = dooms->v[i];
    dooms->n = n;
    bw_store_hold(s);
}

void bw_dooms_aborted(struct bw_store *s)
{
    for (size_t i = 0; i < s->dooms.n; i++)
        s->dooms.v[i].done = false;
}

bool bw_dooms_ready(const struct bw_store *s)
{
    return s->dooms.n > s->dooms.pinned;
}
