/*
 * purges.c - purging a URL, and remembering it for as long as somebody may still act on what was
 * there before (fill.md, rules 12, 28, 31).
 *
 * Three who could bring purged content back, and what stops them:
 *   a fill born before the purge    its record is refused, at the latest under the lock below,
 * which the writer holds while it publishes; a reader                        the index entries are
 * hidden here; before the index is loaded, and for soft purges, the reader asks bw_purge_covers();
 *   loading                         asks the same under the same lock.
 * The deletes follow through the writer's queue, behind every record that did not see the purge.
 */
#include "store_priv.h"

static uint64_t load_seq(const _Atomic uint64_t *seq)
{
    return atomic_load_explicit(seq, memory_order_acquire);
}

static void lock(const struct bw_store *s)
{
    pthread_mutex_lock(bw_unconst(&s->purges.lock));
}

static void unlock(const struct bw_store *s)
{
    pthread_mutex_unlock(bw_unconst(&s->purges.lock));
}

static const struct bw_purge *purge_at(const struct bw_store *s, uint64_t seq)
{
    return &s->purges.ring[seq % BW_STORE_PURGES];
}

/* The first one that is still remembered, from 1. */
static uint64_t oldest(uint64_t seq)
{
    return seq > BW_STORE_PURGES ? seq - BW_STORE_PURGES + 1 : 1;
}

/* Who is so old that purges after it have been forgotten counts as purged. */
enum bw_purged bw_purged_since_locked(const struct bw_store *s, const struct bw_hash *primary,
                                      uint64_t born)
{
    uint64_t seq = load_seq(&s->purges.seq);
    enum bw_purged answer = BW_PURGED_NOT;

    if (born + 1 < oldest(seq))
        return BW_PURGED_HARD;
    for (uint64_t i = seq; i > born; i--) {
        const struct bw_purge *p = purge_at(s, i);
        if (!bw_hash_eq(&p->primary, primary))
            continue;
        if (!p->soft)
            return BW_PURGED_HARD;
        answer = BW_PURGED_SOFT;
    }
    return answer;
}

enum bw_purged bw_purged_since(const struct bw_store *s, const struct bw_hash *primary,
                               uint64_t born)
{
    if (load_seq(&s->purges.seq) == born)
        return BW_PURGED_NOT;
    lock(s);
    enum bw_purged answer = bw_purged_since_locked(s, primary, born);
    unlock(s);
    return answer;
}

enum bw_purged bw_purge_covers_locked(const struct bw_store *s, const struct bw_hash *primary,
                                      uint64_t objid)
{
    uint64_t seq = load_seq(&s->purges.seq), from = load_seq(&s->purges.committed) + 1;
    enum bw_purged answer = BW_PURGED_NOT;

    if (from < oldest(seq))
        return BW_PURGED_HARD; /* more of them at once than can be remembered */
    for (uint64_t i = seq; i >= from; i--) {
        const struct bw_purge *p = purge_at(s, i);
        if (objid >= p->mark || !bw_hash_eq(&p->primary, primary))
            continue;
        if (!p->soft)
            return BW_PURGED_HARD;
        answer = BW_PURGED_SOFT;
    }
    return answer;
}

enum bw_purged bw_purge_covers(const struct bw_store *s, const struct bw_hash *primary,
                               uint64_t objid)
{
    /* the hit path: two loads, as long as no purge is on its way to the disk */
    if (BW_LIKELY(load_seq(&s->purges.seq) == load_seq(&s->purges.committed)))
        return BW_PURGED_NOT;
    lock(s);
    enum bw_purged answer = bw_purge_covers_locked(s, primary, objid);
    unlock(s);
    return answer;
}

void bw_purge_committed(struct bw_store *s, uint64_t seq)
{
    if (seq > load_seq(&s->purges.committed))
        atomic_store_explicit(&s->purges.committed, seq, memory_order_release);
}

static void hide(struct bw_store *s, const struct bw_hash *key)
{
    struct bw_index_hit hit;

    while (bw_index_find(s->index, key, &hit))
        if (bw_index_clear(s->index, key, hit.objid))
            return;
}

/* All keys that LMDB has for the URL; what is committed later is refused by its birth. */
static void hide_variants(struct bw_store *s, const struct bw_hash *primary)
{
    MDB_val k = bw_val(primary->bytes, sizeof(primary->bytes)), v;
    MDB_cursor *cursor;
    MDB_txn *txn;

    hide(s, primary);
    /* readers ask bw_purge_covers() then, and the writer has not begun */
    if (!bw_store_loaded(s) || s->env == NULL)
        return;
    if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0)
        return;
    if (mdb_cursor_open(txn, s->primary, &cursor) == 0) {
        int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET);
        for (; rc == 0; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_DUP)) {
            struct bw_hash key = bw_val_hash(v);
            hide(s, &key);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
}

/*
 * The item enters the queue under the lock, so that purges are committed in the order of their
 * numbers.  `mark`: whatever is fetched from now on has a larger objid.
 */
uint64_t bw_store_purge(struct bw_store *s, const struct bw_hash *primary, bool soft)
{
    struct bw_item *it = bw_zalloc(sizeof(*it));

    it->kind = BW_ITEM_PURGE;
    it->key = *primary;
    it->soft = soft;
    it->urgent = true;
    lock(s);
    uint64_t seq = load_seq(&s->purges.seq) + 1;
    it->seq = seq;
    it->mark = atomic_load(&s->next_objid);
    s->purges.ring[seq % BW_STORE_PURGES] =
        (struct bw_purge){.primary = *primary, .seq = seq, .mark = it->mark, .soft = soft};
    atomic_store_explicit(&s->purges.seq, seq, memory_order_release);
    bw_writer_push(s, it);
    unlock(s);
    if (!soft)
        hide_variants(s, primary);
    return seq;
}

uint64_t bw_store_purge_seq(const struct bw_store *s)
{
    return load_seq(&s->purges.seq);
}

bool bw_store_purge_committed(const struct bw_store *s, uint64_t seq)
{
    return load_seq(&s->purges.committed) >= seq;
}

bool bw_store_purged_since(const struct bw_store *s, const struct bw_hash *primary, uint64_t born)
{
    return bw_purged_since(s, primary, born) != BW_PURGED_NOT;
}
