/*
 * batch.c - one commit: items in, transaction, index, answers out  (fill.md, 26 to 28).
 *
 * Commit, then publish in the index, then stored(): a waiter that leaves the fill for the store
 * finds it there.  A full map or disk is answered by evicting in a small transaction of its own and
 * trying once more; what then fails is lost and counted.
 */
#include "breakwater/base/clock.h"
#include "breakwater/base/gate.h"
#include "breakwater/base/log.h"

#include "store_priv.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SQUEEZE_HOLDS_US = 60 * 1000 * 1000, SQUEEZE_SHARE = 16, COMMITS = 2 };

/* ---- the transaction ---- */

/*
 * LMDB does not write pages that were taken and freed in one transaction, so its file may end
 * before the last page that its head names; whoever opens it next would think it cut off.
 */
static void complete_file(struct bw_store *s)
{
    MDB_envinfo info;
    struct stat st;

    if (mdb_env_info(s->env, &info) != 0 || fstat(s->data_fd, &st) != 0)
        return;
    off_t want = (off_t)(info.me_last_pgno + 1) * BW_STORE_PAGE;
    if (st.st_size < want && ftruncate(s->data_fd, want) != 0)
        bw_log_limited(BW_LOG_WARN, "cache file", "", "cache: cannot extend %s/data.mdb: %s",
                       s->directory, strerror(errno));
}

static int commit(struct bw_store *s, MDB_txn *txn)
{
    bw_gate_pass("writer.commit");
    int rc = mdb_txn_commit(txn);

    if (rc != 0) {
        bw_dooms_aborted(s);
        return rc;
    }
    bw_count(&s->counters.commits);
    if (!s->unsynced)
        s->synced_us = bw_clock_mono_us();
    s->unsynced = s->relaxed;
    complete_file(s);
    bw_dooms_committed(s);
    return 0;
}

/* Chunks of an aborted transaction have to be written again. */
static void rewind_bodies(struct bw_store *s, struct bw_item *items)
{
    for (struct bw_item *it = items; it != NULL; it = it->next) {
        struct bw_body *b = bw_body_find(&s->bodies, it->objid);
        if (b != NULL)
            b->applied = b->chunks;
    }
}

static int attempt(struct bw_store *s, struct bw_item *items)
{
    struct bw_index_evictor evictor = bw_store_evictor(s);
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    rewind_bodies(s, items);
    for (struct bw_item *it = items; it != NULL && rc == 0; it = it->next)
        rc = bw_apply(s, txn, it);
    bw_index_shrink(s->index, (uint32_t)bw_clock_s(), &evictor);
    if (rc == 0)
        rc = bw_dooms_run(s, txn);
    if (rc == 0 && items != NULL)
        rc = bw_store_reserve_objids(s, txn);
    if (rc == 0)
        return commit(s, txn);
    mdb_txn_abort(txn);
    bw_dooms_aborted(s);
    return rc;
}

/* ---- no room on disk ---- */

/* LMDB calls a write that the disk took only in part EIO. */
static bool is_full(const struct bw_store *s, int rc)
{
    return rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == ENOSPC || rc == EDQUOT ||
           rc == EFBIG || (rc == EIO && bw_folder_is_full(s));
}

/* What is there now is all that the disk has, less the room that a commit needs. */
static uint64_t fitting(const struct bw_store *s)
{
    uint64_t used = bw_index_used(s->index), less = used / SQUEEZE_SHARE;
    uint64_t room = COMMITS * s->writer.group_most;

    if (less < room)
        less = room;
    return used - (less < used / 2 ? less : used / 2);
}

static int delete_doomed(struct bw_store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    rc = bw_dooms_run(s, txn);
    if (rc == 0)
        return commit(s, txn);
    mdb_txn_abort(txn);
    bw_dooms_aborted(s);
    return rc;
}

/* LMDB hands out what a commit has freed only after one more, however small. */
static void commit_something(struct bw_store *s)
{
    MDB_val k = bw_val("squeezed", 8), v = bw_val(&s->squeezed, sizeof(s->squeezed));
    MDB_txn *txn;

    if (mdb_txn_begin(s->env, NULL, 0, &txn) != 0)
        return;
    if (mdb_put(txn, s->state, &k, &v, 0) == 0)
        (void)mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
}

/* The budget is more than there is: the difference is taken away for a while. */
static void relieve(struct bw_store *s, int rc)
{
    struct bw_index_evictor evictor = bw_store_evictor(s);

    bw_log_limited(BW_LOG_ERROR, "cache full", "",
                   "cache: no room in %s (%s): evicting; give it more disk, or lower cache.size",
                   s->directory, mdb_strerror(rc));
    s->squeezed = s->size - fitting(s);
    s->squeezed_us = bw_clock_mono_us();
    bw_store_hold(s);
    bw_index_shrink(s->index, (uint32_t)bw_clock_s(), &evictor);
    if (delete_doomed(s) == 0)
        commit_something(s);
}

static void relax_squeeze(struct bw_store *s)
{
    int64_t now = bw_clock_mono_us();

    if (s->squeezed == 0 || now - s->squeezed_us < SQUEEZE_HOLDS_US)
        return;
    s->squeezed /= 2;
    s->squeezed_us = now;
    bw_store_hold(s);
}

static enum bw_err error_of(const struct bw_store *s, int rc)
{
    return is_full(s, rc) ? BW_ERR_FULL : BW_ERR_IO;
}

/* Nothing was written: whatever was to be stored is lost. */
static void fail_all(struct bw_store *s, struct bw_item *items, int rc)
{
    rewind_bodies(s, items);
    for (struct bw_item *it = items; it != NULL; it = it->next) {
        struct bw_body *b = bw_body_find(&s->bodies, it->objid);
        if (it->kind != BW_ITEM_CHUNK && it->kind != BW_ITEM_RECORD)
            continue;
        it->err = error_of(s, rc);
        it->why = BW_REASON_STORE_LOST;
        if (b != NULL && b->lost == BW_OK)
            b->lost = it->err;
    }
    bw_log_limited(BW_LOG_ERROR, "cache write", "",
                   "cache: cannot write to %s (%s): responses are served and not stored",
                   s->directory, mdb_strerror(rc));
}

/* ---- the index ---- */

static void publish_beside(struct bw_store *s, struct bw_item_record *r, enum bw_beside which)
{
    const struct bw_writer_beside *w = &r->rec.beside[which];
    struct bw_item_beside *b = &r->beside[which];
    struct bw_index_victim old;
    struct bw_index_item item = {
        .key = w->key,
        .objid = b->objid,
        .bytes = bw_record_room(w->encoded.len),
        .expiry_s = UINT32_MAX,
    };

    if (b->objid == 0)
        return;
    bw_index_publish(s->index, &item, &b->grant, &old);
    if (old.objid != 0 && old.objid != b->objid)
        bw_doom_object(s, &w->key, old.objid, old.bytes);
}

static void publish(struct bw_store *s, struct bw_item *it)
{
    struct bw_item_record *r = &it->record;
    const struct bw_writer_record *rec = &r->rec;
    struct bw_body *b = bw_body_find(&s->bodies, it->objid);
    struct bw_index_victim old;
    struct bw_index_item item = {
        .key = rec->key,
        .objid = rec->objid,
        .bytes = bw_object_room(rec->encoded.len, rec->bytes),
        .expiry_s = rec->expiry_s,
        .fetch_ms = rec->fetch_ms,
    };

    publish_beside(s, r, BW_BESIDE_BASE);
    bw_index_publish(s->index, &item, b != NULL ? &b->grant : &r->grant, &old);
    if (old.objid != 0 && old.objid != rec->objid)
        bw_doom_object(s, &rec->key, old.objid, old.bytes);
    if (r->old_objid != 0 && r->old_objid != rec->objid && r->old_objid != old.objid)
        bw_doom_add(s, BW_DOOM_BODY, &rec->key, r->old_objid, 0);
    publish_beside(s, r, BW_BESIDE_LANGUAGE);
    bw_count(&s->counters.stored);
}

/*
 * Under the lock of the purges: either the purge finds the entry in the index, or it is seen here
 * (fill.md, 28).  A soft one is told by the reader until its own item marks the record.
 */
static void publish_unless_purged(struct bw_store *s, struct bw_item *it)
{
    struct bw_item_record *r = &it->record;

    pthread_mutex_lock(&s->purges.lock);
    bool purged = bw_purged_since_locked(s, &r->rec.primary, r->rec.born) == BW_PURGED_HARD;
    if (!purged)
        publish(s, it);
    pthread_mutex_unlock(&s->purges.lock);
    if (!purged)
        return;
    it->err = BW_ERR_NOT_FOUND;
    it->why = BW_REASON_PURGED;
    bw_doom_object(s, &r->rec.key, r->rec.objid, 0);
    for (int i = 0; i < BW_BESIDE_COUNT; i++)
        if (r->beside[i].objid != 0)
            bw_doom_add(s, BW_DOOM_RECORD, &r->rec.beside[i].key, r->beside[i].objid, 0);
}

static void publish_all(struct bw_store *s, struct bw_item *items)
{
    bool any = false;

    for (struct bw_item *it = items; it != NULL; it = it->next)
        any |= it->kind == BW_ITEM_RECORD && it->err == BW_OK;
    if (!any)
        return;
    bw_gate_pass("writer.publish");
    for (struct bw_item *it = items; it != NULL; it = it->next)
        if (it->kind == BW_ITEM_RECORD && it->err == BW_OK)
            publish_unless_purged(s, it);
}

/* ---- the answers ---- */

static void answer_chunk(struct bw_store *s, struct bw_item *it)
{
    struct bw_body *b = bw_body_find(&s->bodies, it->objid);

    if (it->err != BW_OK) {
        bw_count(&s->counters.lost);
        it->client->lost(it->client, it->err);
        return;
    }
    BW_ASSERT(b != NULL);
    b->chunks = b->applied;
    if (it->chunk.index + 1 == b->applied) /* the last one of this batch answers for all */
        it->client->committed(it->client, b->chunks);
}

/* A record that was not stored takes its chunks with it; who is sent them has pinned them. */
static void answer_record(struct bw_store *s, struct bw_item *it)
{
    struct bw_body *b = bw_body_find(&s->bodies, it->objid);

    if (it->err != BW_OK && b != NULL && b->chunks > 0)
        bw_doom_add(s, BW_DOOM_BODY, &it->record.rec.key, it->objid,
                    b->grant.pages * BW_STORE_PAGE);
    if (b != NULL)
        b->over = true;
    bw_index_release(s->index, &it->record.grant);
    for (int i = 0; i < BW_BESIDE_COUNT; i++)
        bw_index_release(s->index, &it->record.beside[i].grant);
    it->client->stored(it->client, it->err, it->why);
}

/* Objects that are over, and those of which nothing was written, are forgotten. */
static void forget(struct bw_store *s, struct bw_item *it)
{
    struct bw_body *b = it->objid != 0 ? bw_body_find(&s->bodies, it->objid) : NULL;

    if (b != NULL && (b->over || (b->lost != BW_OK && b->chunks == 0)))
        bw_body_free(s, b);
}

/* Deletes may not be lost with the transaction; chunks and records were answered. */
static void finish_items(struct bw_store *s, struct bw_item *items, bool failed)
{
    struct bw_item *next, *again = NULL, **end = &again;

    for (struct bw_item *it = items; it != NULL; it = next) {
        next = it->next;
        forget(s, it);
        if (it->kind == BW_ITEM_PURGE && !failed)
            bw_purge_committed(s, it->seq);
        if (failed && it->kind != BW_ITEM_CHUNK && it->kind != BW_ITEM_RECORD) {
            *end = it;
            end = &it->next;
        } else {
            bw_item_free(it);
        }
    }
    *end = NULL;
    bw_writer_put_back(s, again);
}

/*
 * Before the answers: the last of them may end the client, to whose account the blocks go, and
 * whoever is answered may come back with the next chunk at once.
 */
static void leave_queue(struct bw_store *s, struct bw_item *items)
{
    for (struct bw_item *it = items; it != NULL; it = it->next) {
        atomic_fetch_sub(&s->writer.bytes, it->charge + it->held);
        bw_item_put_blocks(it);
    }
}

/* Not while the file is not known to be sound, nor when there is none. */
static bool is_usable(const struct bw_store *s)
{
    return bw_store_loaded(s) && s->env != NULL;
}

static int write_all(struct bw_store *s, struct bw_item *items)
{
    bw_store_charge_index(s);
    relax_squeeze(s);
    int rc = attempt(s, items);
    if (!is_full(s, rc))
        return rc;
    relieve(s, rc);
    return attempt(s, items);
}

/* Purges are committed in the order of their numbers: `committed` speaks for all before it. */
static void check_order(const struct bw_store *s, const struct bw_item *items)
{
    uint64_t seq = atomic_load(&s->purges.committed);

    for (; items != NULL; items = items->next) {
        seq += items->kind == BW_ITEM_PURGE;
        BW_ASSERT(items->kind != BW_ITEM_PURGE || items->seq == seq);
    }
}

void bw_batch_run(struct bw_store *s, struct bw_item *items)
{
    check_order(s, items);
    int rc = is_usable(s) ? write_all(s, items) : EIO;

    if (rc != 0)
        fail_all(s, items, rc);
    leave_queue(s, items);
    for (struct bw_item *it = items; it != NULL; it = it->next)
        if (it->kind == BW_ITEM_CHUNK)
            answer_chunk(s, it);
    publish_all(s, items);
    for (struct bw_item *it = items; it != NULL; it = it->next)
        if (it->kind == BW_ITEM_RECORD)
            answer_record(s, it);
    finish_items(s, items, rc != 0 && is_usable(s)); /* without a store nothing is left to delete */
}

void bw_batch_finish(struct bw_store *s)
{
    MDB_txn *txn;

    s->pins_n = 0; /* nobody reads any more */
    bw_bodies_free(s);
    if (!is_usable(s))
        return;
    while (s->dooms.n > 0) {
        size_t before = s->dooms.n;
        if (attempt(s, NULL) != 0 || s->dooms.n == before)
            break;
    }
    if (mdb_txn_begin(s->env, NULL, 0, &txn) != 0)
        return;
    if (s->dooms.n == 0 && bw_load_save(s, txn) == 0)
        commit(s, txn);
    else
        mdb_txn_abort(txn);
}
