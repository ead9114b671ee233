/*
 * warm.c - io threads: they wait for the disk, so that no event loop does.
 *
 * After a start each of them first reads its share of the records ahead of the loading writer: the
 * leaves of the tree lie all over the file, and two waiters get twice as many of them in a second.
 *
 * What has been brought in is noted by a mark that lets exactly one read pass without asking again:
 * between here and the reader the kernel may have thrown the page out, and that must not become a
 * circle.
 */
#include "store_priv.h"

#include <sys/mman.h>

enum { PARTS = 256, PART_RECORDS_BETWEEN_LOOKS = 256 };

/* ---- marks ---- */

static uint64_t spread(uint64_t x)
{
    x = (x ^ (x >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    return (x ^ (x >> 32)) | 1;
}

uint64_t bw_warm_record_mark(const struct bw_hash *key)
{
    return spread(bw_hash_prefix(key));
}

uint64_t bw_warm_chunk_mark(uint64_t body_key)
{
    return spread(~body_key);
}

static void set_mark(struct bw_store *s, uint64_t mark)
{
    atomic_store(&s->warmer.warmed[(mark >> 32) % BW_STORE_WARMED], mark);
}

bool bw_warm_consume(struct bw_store *s, uint64_t mark)
{
    uint64_t expected = mark;

    return atomic_compare_exchange_strong(&s->warmer.warmed[(mark >> 32) % BW_STORE_WARMED],
                                          &expected, 0);
}

static uint64_t body_key_of(const struct bw_warm *w)
{
    return bw_body_key(w->objid, (uint32_t)(w->offset / BW_CHUNK_SIZE));
}

static uint64_t mark_of(const struct bw_warm *w)
{
    return w->objid == 0 ? bw_warm_record_mark(&w->key) : bw_warm_chunk_mark(body_key_of(w));
}

/* ---- reading ---- */

/* All pages at once, then wait for each. */
static void touch(MDB_val v)
{
    char *start = bw_page_of(v.mv_data);
    size_t len = (size_t)((char *)v.mv_data + v.mv_size - start);

    madvise(start, len, MADV_WILLNEED);
    for (size_t at = 0; at < len; at += BW_STORE_PAGE)
        (void)*(volatile const char *)(start + at);
}

static void warm(struct bw_store *s, MDB_txn *txn, struct bw_warm *w)
{
    uint64_t body_key = body_key_of(w);
    MDB_val k = w->objid == 0 ? bw_val(w->key.bytes, sizeof(w->key.bytes))
                              : bw_val(&body_key, sizeof(body_key));
    MDB_val v;

    if (mdb_txn_renew(txn) == 0) {
        if (mdb_get(txn, w->objid == 0 ? s->meta : s->body, &k, &v) == 0)
            touch(v);
        mdb_txn_reset(txn);
    }
    set_mark(s, mark_of(w));
    w->done(w);
}

static bool has_work(struct bw_store *s)
{
    pthread_mutex_lock(&s->warmer.lock);
    bool work = s->warmer.first != NULL || s->warmer.stop;
    pthread_mutex_unlock(&s->warmer.lock);
    return work;
}

/* Until the end of the part, or until there is work; `*at` is where that was. */
static bool walk(struct bw_store *s, MDB_cursor *cursor, unsigned part, struct bw_hash *at)
{
    MDB_val k = bw_val(at->bytes, sizeof(at->bytes)), v;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

    for (unsigned n = 1; rc == 0 && *(const uint8_t *)k.mv_data == part; n++) {
        if (n % PART_RECORDS_BETWEEN_LOOKS == 0 && has_work(s)) {
            *at = bw_val_hash(k);
            return false;
        }
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    return true;
}

/*
 * Walks the records of one part of the key space, whose first byte is `part`; the walk is what
 * brings their leaves in.  False: interrupted, `*at` is where.
 */
static bool read_part(struct bw_store *s, MDB_txn *txn, unsigned part, struct bw_hash *at)
{
    MDB_cursor *cursor;
    bool whole = true;

    if (mdb_txn_renew(txn) != 0)
        return true;
    if (mdb_cursor_open(txn, s->meta, &cursor) == 0) {
        whole = walk(s, cursor, part, at);
        mdb_cursor_close(cursor);
    }
    mdb_txn_reset(txn);
    return whole;
}

/* From the far end of the key space: the writer comes from the other one. */
struct ahead {
    bool in_part;
    unsigned part;
    struct bw_hash at;
};

/* One step of reading ahead; false: nothing is left of it. */
static bool read_ahead(struct bw_store *s, MDB_txn *txn, struct ahead *a)
{
    if (bw_store_loaded(s))
        return false;
    if (!a->in_part) {
        unsigned taken = atomic_fetch_add(&s->warmer.parts, 1);
        if (taken >= PARTS)
            return false;
        a->part = PARTS - 1 - taken;
        a->at = (struct bw_hash){{(uint8_t)a->part}};
    }
    a->in_part = !read_part(s, txn, a->part, &a->at);
    return true;
}

/* ---- threads ---- */

static struct bw_warm *take_item(struct bw_store *s, bool wait)
{
    struct bw_warmer *q = &s->warmer;

    pthread_mutex_lock(&q->lock);
    while (q->first == NULL && !q->stop && wait)
        pthread_cond_wait(&q->wake, &q->lock);
    struct bw_warm *w = q->first;
    if (w != NULL) {
        q->first = w->next;
        q->n--;
        if (q->first == NULL)
            q->last = &q->first;
    }
    pthread_mutex_unlock(&q->lock);
    return w;
}

static bool is_stopping(struct bw_store *s)
{
    pthread_mutex_lock(&s->warmer.lock);
    bool stop = s->warmer.stop;
    pthread_mutex_unlock(&s->warmer.lock);
    return stop;
}

static void *run(void *store)
{
    struct bw_store *s = store;
    struct ahead ahead = {0};
    bool busy = true;
    MDB_txn *txn;

    pthread_setname_np(pthread_self(), "bw-io");
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    BW_ASSERT(rc == 0);
    mdb_txn_reset(txn);
    for (;;) {
        struct bw_warm *w = take_item(s, !busy);
        if (w != NULL)
            warm(s, txn, w);
        else if (is_stopping(s))
            break;
        else
            busy = busy && read_ahead(s, txn, &ahead);
    }
    mdb_txn_abort(txn);
    return NULL;
}

bool bw_store_warm(struct bw_store *s, struct bw_warm *w)
{
    struct bw_warmer *q = &s->warmer;

    pthread_mutex_lock(&q->lock);
    bool room = q->n < BW_WARM_QUEUE && !q->stop;
    if (room) {
        w->next = NULL;
        *q->last = w;
        q->last = &w->next;
        q->n++;
        pthread_cond_signal(&q->wake);
    }
    pthread_mutex_unlock(&q->lock);
    if (!room)
        set_mark(s, mark_of(w));
    return room;
}

void bw_warmer_start(struct bw_store *s)
{
    struct bw_warmer *q = &s->warmer;

    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, NULL);
    q->last = &q->first;
    for (unsigned i = 0; i < BW_WARM_THREADS; i++) {
        int rc = pthread_create(&q->threads[i], NULL, run, s);
        BW_ASSERT(rc == 0);
    }
}

void bw_warmer_stop(struct bw_store *s)
{
    struct bw_warmer *q = &s->warmer;

    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->lock);
    for (unsigned i = 0; i < BW_WARM_THREADS; i++)
        pthread_join(q->threads[i], NULL);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->wake);
}
