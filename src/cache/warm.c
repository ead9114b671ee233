/*
 * warm.c - io threads: they wait for the disk, so that no event loop does.
 *
 * They read the file itself before anybody looks at it through the map: a sector that cannot be
 * read is an error for one, and the end of the process for the other.  Until the index is loaded
 * they inspect the way to the record or chunk, too, for LMDB has not been told yet that its trees
 * are sound.
 *
 * What has been brought in is noted by a mark that lets exactly one read pass without asking again:
 * between here and the reader the kernel may have thrown the page out, and that must not become a
 * circle.
 */
#include "store_priv.h"

#include <unistd.h>

/* ---- marks ---- */

static uint64_t spread(uint64_t x)
{
    x = (x ^ (x >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    return (x ^ (x >> 32)) | 1;
}

/* Odd: read, even: not to be read. */
static uint64_t unreadable(uint64_t mark)
{
    return mark & ~UINT64_C(1);
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

static bool take_mark(struct bw_store *s, uint64_t mark)
{
    uint64_t expected = mark;

    return atomic_compare_exchange_strong(&s->warmer.warmed[(mark >> 32) % BW_STORE_WARMED],
                                          &expected, 0);
}

enum bw_warmed bw_warm_consume(struct bw_store *s, uint64_t mark)
{
    if (take_mark(s, mark))
        return BW_WARMED;
    return take_mark(s, unreadable(mark)) ? BW_WARMED_UNREADABLE : BW_WARMED_NOT;
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

/* The pages of the file that the value lies in. */
static bool read_value(const struct bw_store *s, MDB_val v)
{
    char piece[16 * BW_STORE_PAGE];
    off_t at = (off_t)(bw_page_of(v.mv_data) - s->map);
    off_t end = (off_t)((const char *)v.mv_data + v.mv_size - s->map);

    while (at < end) {
        size_t n = end - at < (off_t)sizeof(piece) ? (size_t)(end - at) : sizeof(piece);
        ssize_t got = pread(s->data_fd, piece, n, at);
        if (got <= 0)
            return false;
        at += got;
    }
    return true;
}

static bool read_item(struct bw_store *s, const struct bw_warm *w)
{
    bool record = w->objid == 0;
    uint64_t body_key = body_key_of(w);
    MDB_val v, k = record ? bw_val(w->key.bytes, sizeof(w->key.bytes))
                          : bw_val(&body_key, sizeof(body_key));
    const struct bw_tree *tree = record ? &s->inspection.meta : &s->inspection.body;
    MDB_txn *txn;

    if (!bw_store_loaded(s) && !bw_inspect_path(&s->inspection, tree, bw_val_slice(k)))
        return false;
    if (s->env == NULL || mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0)
        return false;
    bool ok = mdb_get(txn, record ? s->meta : s->body, &k, &v) != 0 || read_value(s, v);
    mdb_txn_abort(txn);
    return ok;
}

static void warm(struct bw_store *s, struct bw_warm *w)
{
    bool early = !bw_store_loaded(s);
    bool ok = false;

    if (!early || bw_store_enter_early(s)) {
        ok = read_item(s, w);
        if (early)
            bw_store_leave_early(s);
    }
    set_mark(s, ok ? mark_of(w) : unreadable(mark_of(w)));
    w->done(w);
}

/* ---- threads ---- */

static struct bw_warm *take_item(struct bw_store *s)
{
    struct bw_warmer *q = &s->warmer;

    pthread_mutex_lock(&q->lock);
    while (q->first == NULL && !q->stop)
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

static void *run(void *store)
{
    struct bw_store *s = store;
    struct bw_warm *w;

    pthread_setname_np(pthread_self(), "bw-io");
    while ((w = take_item(s)) != NULL)
        warm(s, w);
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
        set_mark(s, bw_store_loaded(s) ? mark_of(w) : unreadable(mark_of(w)));
    return room;
}

int bw_warmer_start(struct bw_store *s)
{
    struct bw_warmer *q = &s->warmer;
    int err = 0;

    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, NULL);
    q->last = &q->first;
    while (q->running < BW_WARM_THREADS) {
        err = pthread_create(&q->threads[q->running], NULL, run, s);
        if (err != 0)
            break;
        q->running++;
    }
    if (err != 0)
        bw_warmer_stop(s);
    return err;
}

void bw_warmer_stop(struct bw_store *s)
{
    struct bw_warmer *q = &s->warmer;

    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->lock);
    for (unsigned i = 0; i < q->running; i++)
        pthread_join(q->threads[i], NULL);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->wake);
}
