/*
 * variants.c - the variants of a URL: which they are, and that they stay few.
 *
 * What a client says in a field that a response varies by makes a record, and it may say anything:
 * without a bound one URL could fill the store (security.md 7).  So for each base record there are
 * at most BW_STORE_VARIANTS variants, and as many ways that lead to them by language; the oldest
 * goes when one more is stored.  What came in the same batch is not out yet and cannot go; so a
 * second one goes, where a batch has brought too many.
 */
#include "breakwater/cache/key.h"

#include "store_priv.h"

enum { GO_AT_ONCE = 2 };

int bw_variants_list(struct bw_store *s, MDB_txn *txn, const struct bw_hash *primary,
                     struct bw_hash **keys, size_t *n)
{
    MDB_val k = bw_val(primary->bytes, sizeof(primary->bytes)), v;
    MDB_cursor *cursor;
    size_t cap = 0;
    int rc = mdb_cursor_open(txn, s->primary, &cursor);

    *keys = NULL;
    *n = 0;
    if (rc != 0)
        return rc;
    for (rc = mdb_cursor_get(cursor, &k, &v, MDB_SET); rc == 0;
         rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_DUP)) {
        if (*n == cap) {
            cap = cap > 0 ? 2 * cap : 16;
            *keys = bw_realloc(*keys, cap * sizeof(**keys));
        }
        (*keys)[(*n)++] = bw_val_hash(v);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Those of one kind: how many, and the one that goes. */
struct tally {
    size_t n;
    struct bw_hash key;
    uint64_t objid; /* ids ascend */
    uint64_t bytes;
};

struct census {
    struct bw_slice base; /* key of the base record */
    struct tally variants, ways;
};

static bool is_out(struct bw_store *s, const struct bw_hash *key, uint64_t objid)
{
    struct bw_index_hit hit;

    return bw_index_find(s->index, key, &hit) && hit.objid == objid;
}

static int count(struct bw_store *s, MDB_txn *txn, const struct bw_hash *key, struct census *c)
{
    MDB_val k = bw_val(key->bytes, sizeof(key->bytes)), v;
    int rc = mdb_get(txn, s->meta, &k, &v);
    struct tally *t;
    struct bw_entry e;

    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (!bw_store_peek(bw_val_slice(v), &e) || !bw_key_is_variant(e.key, c->base))
        return 0;
    t = e.kind == BW_ENTRY_LANGUAGE ? &c->ways : &c->variants;
    t->n++;
    if ((t->objid != 0 && t->objid < e.objid) || !is_out(s, key, e.objid))
        return 0;
    t->key = *key;
    t->objid = e.objid;
    t->bytes = bw_object_room(v.mv_size, e.body_len);
    return 0;
}

/* Out of sight at once, and off the list, so that the next record of this batch counts right. */
static int drop_oldest(struct bw_store *s, MDB_txn *txn, const struct bw_hash *primary,
                       const struct tally *t)
{
    MDB_val k = bw_val(primary->bytes, sizeof(primary->bytes));
    MDB_val v = bw_val(t->key.bytes, sizeof(t->key.bytes));
    int rc;

    if (t->n <= BW_STORE_VARIANTS || t->objid == 0)
        return 0;
    rc = mdb_del(txn, s->primary, &k, &v);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    bw_index_remove(s->index, &t->key, t->objid);
    bw_count(&s->counters.evicted);
    bw_doom_object(s, &t->key, t->objid, t->bytes);
    return 0;
}

static bool is_over(const struct census *c, size_t most)
{
    return c->variants.n > most || c->ways.n > most;
}

/* `*more`: it was not enough. */
static int drop_one_of_each(struct bw_store *s, MDB_txn *txn, const struct bw_hash *primary,
                            struct bw_slice base, bool *more)
{
    struct census c = {.base = base};
    struct bw_hash *keys;
    size_t n;
    int rc = bw_variants_list(s, txn, primary, &keys, &n);

    for (size_t i = 0; rc == 0 && n > BW_STORE_VARIANTS && i < n; i++)
        rc = count(s, txn, &keys[i], &c);
    free(keys);
    *more = is_over(&c, BW_STORE_VARIANTS + 1);
    if (rc == 0)
        rc = drop_oldest(s, txn, primary, &c.variants);
    return rc == 0 ? drop_oldest(s, txn, primary, &c.ways) : rc;
}

int bw_variants_bound(struct bw_store *s, MDB_txn *txn, const struct bw_writer_record *rec)
{
    struct bw_slice encoded = rec->beside[BW_BESIDE_BASE].encoded;
    struct bw_entry base;
    bool more = true;
    int rc = 0;

    if (encoded.len == 0 || !bw_store_peek(encoded, &base))
        return 0;
    for (int i = 0; i < GO_AT_ONCE && more && rc == 0; i++)
        rc = drop_one_of_each(s, txn, &rec->primary, base.key, &more);
    return rc;
}
