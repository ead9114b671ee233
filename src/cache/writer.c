/*
 * writer.c - the queue to the store, and the thread that empties it.
 *
 * A commit costs a disk flush, so work is gathered: until there is enough of it, or the oldest has
 * waited for 100 ms, or somebody waits for it.  The queue is bounded by the memory that waits in
 * it, that of the fills with it; what does not fit is served and not stored (fill.md, rule 22).
 * Deletes and purges are small and always accepted.
 */
#include "breakwater/base/clock.h"

#include "store_priv.h"

#include <time.h>

enum {
    SYNC_EVERY_US = 5 * 1000 * 1000,
    GROUP = 256 << 10, /* bytes that make a commit worth it */
    GROUP_SHARE = 64,  /* of the cache, that one commit writes at most */
};

/* `bytes`, but a group at least and `most` at most, which is no less. */
static size_t group_within(uint64_t bytes, size_t most)
{
    if (bytes > most)
        return most;
    return bytes > GROUP ? (size_t)bytes : GROUP;
}

bool bw_writer_room(const struct bw_store *s, size_t n)
{
    size_t used = atomic_load_explicit(&s->writer.bytes, memory_order_relaxed);

    return used <= s->writer.limit && n <= s->writer.limit - used;
}

/* The lock is held. */
static void append(struct bw_writer *w, struct bw_item *it)
{
    bool first = w->first == NULL;

    it->next = NULL;
    *w->last = it;
    w->last = &it->next;
    w->urgent += it->urgent;
    w->queued += it->charge;
    atomic_fetch_add(&w->bytes, it->charge + it->held);
    if (first || it->urgent || w->queued >= GROUP)
        pthread_cond_signal(&w->wake);
}

void bw_writer_push(struct bw_store *s, struct bw_item *it)
{
    pthread_mutex_lock(&s->writer.lock);
    append(&s->writer, it);
    pthread_mutex_unlock(&s->writer.lock);
}

/*
 * The end has come, and the disk still does not take it.  What was answered as deleted would be
 * there again after the next start, so the file may not be.
 */
static void give_up(struct bw_store *s, struct bw_item *items)
{
    while (items != NULL) {
        struct bw_item *next = items->next;

        s->forsaken |= items->kind != BW_ITEM_DROP_BODY; /* which nobody can find */
        bw_item_free(items);
        items = next;
    }
}

/* The lock is held. */
static void prepend(struct bw_writer *w, struct bw_item *items)
{
    struct bw_item **end = &items;

    for (; *end != NULL; end = &(*end)->next) {
        (*end)->urgent = false;
        w->queued += (*end)->charge;
        atomic_fetch_add(&w->bytes, (*end)->charge + (*end)->held);
    }
    *end = w->first;
    if (w->first == NULL)
        w->last = end;
    w->first = items;
}

void bw_writer_put_back(struct bw_store *s, struct bw_item *items)
{
    struct bw_writer *w = &s->writer;
    bool stop;

    if (items == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    stop = w->stop;
    if (!stop)
        prepend(w, items);
    pthread_mutex_unlock(&w->lock);
    if (stop)
        give_up(s, items);
}

static enum bw_err push_if_room(struct bw_store *s, struct bw_item *it)
{
    pthread_mutex_lock(&s->writer.lock);
    bool room = bw_writer_room(s, it->charge + it->held) && !s->writer.stop;
    if (room)
        append(&s->writer, it);
    pthread_mutex_unlock(&s->writer.lock);
    if (room)
        return BW_OK;
    bw_count(&s->counters.queue_full);
    bw_item_free(it);
    return BW_ERR_FULL;
}

void bw_item_put_blocks(struct bw_item *it)
{
    if (it->kind != BW_ITEM_CHUNK)
        return;
    for (size_t i = 0; i < it->chunk.n; i++)
        bw_block_put(it->chunk.blocks[i]);
    it->chunk.n = 0;
}

void bw_item_free(struct bw_item *it)
{
    bw_item_put_blocks(it);
    free(it);
}

enum bw_err bw_writer_chunk(struct bw_store *s, struct bw_writer_client *c,
                            const struct bw_writer_chunk *chunk)
{
    struct bw_item *it = calloc(1, sizeof(*it));

    if (it == NULL)
        return BW_ERR_MEMORY;
    BW_ASSERT(chunk->n >= 1 && chunk->n <= BW_CHUNK_BLOCKS);
    it->kind = BW_ITEM_CHUNK;
    it->client = c;
    it->objid = chunk->objid;
    it->urgent = chunk->urgent;
    it->charge = sizeof(*it);
    it->chunk = (struct bw_item_chunk){.key = chunk->key,
                                       .expected = chunk->expected,
                                       .index = chunk->index,
                                       .fetch_ms = chunk->fetch_ms,
                                       .n = chunk->n};
    for (size_t i = 0; i < chunk->n; i++) {
        struct bw_block *b = it->chunk.blocks[i] = chunk->blocks[i];

        bw_block_take(b);
        it->charge += b->len;
        it->held += bw_block_memory(b) - b->len;
    }
    return push_if_room(s, it);
}

static struct bw_slice copy_behind(char **at, struct bw_slice from)
{
    char *to = *at;

    if (from.len > 0)
        memcpy(to, from.base, from.len);
    *at += from.len;
    return bw_slice(to, from.len);
}

enum bw_err bw_writer_record(struct bw_store *s, struct bw_writer_client *c,
                             const struct bw_writer_record *rec)
{
    size_t behind = rec->encoded.len;
    struct bw_item *it;

    for (int i = 0; i < BW_BESIDE_COUNT; i++)
        behind += rec->beside[i].encoded.len;
    it = calloc(1, sizeof(*it) + behind);
    if (it == NULL)
        return BW_ERR_MEMORY;
    char *at = (char *)(it + 1);
    it->kind = BW_ITEM_RECORD;
    it->client = c;
    it->objid = rec->objid;
    it->charge = sizeof(*it) + behind;
    it->held = rec->held;
    it->record.rec = *rec;
    it->record.rec.encoded = copy_behind(&at, rec->encoded);
    for (int i = 0; i < BW_BESIDE_COUNT; i++)
        it->record.rec.beside[i].encoded = copy_behind(&at, rec->beside[i].encoded);
    return push_if_room(s, it);
}

static void push_small(struct bw_store *s, enum bw_item_kind kind, const struct bw_hash *key,
                       uint64_t objid)
{
    struct bw_item *it = bw_zalloc(sizeof(*it));

    it->kind = kind;
    it->key = *key;
    it->objid = objid;
    bw_writer_push(s, it);
}

void bw_writer_drop_body(struct bw_store *s, uint64_t objid, uint32_t chunks)
{
    if (chunks > 0)
        push_small(s, BW_ITEM_DROP_BODY, &(struct bw_hash){{0}}, objid);
}

void bw_writer_drop(struct bw_store *s, const struct bw_hash *key, uint64_t objid)
{
    bw_index_clear(s->index, key, objid);
    push_small(s, BW_ITEM_DROP, key, objid);
}

/* ---- the thread ---- */

/*
 * A group gathers for BW_STORE_GROUP_US from the commit before it, so that a store that is seldom
 * written to commits at once, and a busy one ten times a second.
 */
static int64_t group_ends(const struct bw_writer *w)
{
    return w->committed_us + BW_STORE_GROUP_US;
}

/* The lock is held: is what is queued worth a commit? */
static bool is_due(const struct bw_writer *w, int64_t now_us)
{
    if (w->first == NULL)
        return false;
    return w->stop || w->hurry || w->flushing > 0 || w->urgent > 0 || w->queued >= GROUP ||
           now_us >= group_ends(w);
}

/*
 * A small commit is a short call of the kernel's, in which many kernels do not let go of the core
 * that a worker waits for.  Where more has piled up the disk is what everybody waits for, and large
 * commits cost it less (docs/decisions/0019).
 */
static size_t batch_most(const struct bw_writer *w)
{
    if (w->urgent > 0 || w->flushing > 0 || w->stop) /* somebody waits for the last of it */
        return w->group_most;
    return group_within(w->queued / 2, w->group_most);
}

/* The lock is held. */
static struct bw_item *take_batch(struct bw_writer *w)
{
    struct bw_item *batch = w->first, **end = &batch;
    size_t sum = 0, most = batch_most(w);

    while (*end != NULL && sum < most) {
        sum += (*end)->charge;
        w->urgent -= (*end)->urgent;
        end = &(*end)->next;
    }
    w->first = *end;
    w->queued -= sum;
    *end = NULL;
    if (w->first == NULL) {
        w->last = &w->first;
        w->hurry = false;
    }
    return batch;
}

static void wait_until(struct bw_writer *w, int64_t us)
{
    struct timespec at = {us / 1000000, us % 1000000 * 1000};

    pthread_cond_timedwait(&w->wake, &w->lock, &at);
}

void bw_writer_wait_loaded(struct bw_store *s, int64_t us)
{
    int64_t end = bw_clock_mono_us() + us;
    struct timespec at = {end / 1000000, end % 1000000 * 1000};
    struct bw_writer *w = &s->writer;

    pthread_mutex_lock(&w->lock);
    while (!bw_store_loaded(s) && bw_clock_mono_us() < end)
        pthread_cond_timedwait(&w->idle, &w->lock, &at);
    pthread_mutex_unlock(&w->lock);
}

/* When there is something to do without a new item; INT64_MAX: never. */
static int64_t next_chore(const struct bw_store *s, int64_t since_us)
{
    if (s->dooms.n > 0)
        return since_us + BW_STORE_GROUP_US;
    return s->unsynced ? s->synced_us + SYNC_EVERY_US : INT64_MAX;
}

/* Waits for a batch or a chore (NULL). */
static struct bw_item *collect(struct bw_store *s, bool *stop)
{
    struct bw_writer *w = &s->writer;
    int64_t since = bw_clock_mono_us();

    pthread_mutex_lock(&w->lock);
    if (w->working)
        w->committed_us = since;
    w->working = false;
    if (w->first == NULL)
        pthread_cond_broadcast(&w->idle);
    for (;;) {
        int64_t now = bw_clock_mono_us(), at = next_chore(s, since);
        if (is_due(w, now) || w->stop || at <= now)
            break;
        if (w->first != NULL && group_ends(w) < at)
            at = group_ends(w);
        if (at == INT64_MAX)
            pthread_cond_wait(&w->wake, &w->lock);
        else
            wait_until(w, at);
    }
    struct bw_item *batch = is_due(w, bw_clock_mono_us()) ? take_batch(w) : NULL;
    *stop = w->stop && batch == NULL;
    w->working = batch != NULL;
    pthread_mutex_unlock(&w->lock);
    return batch;
}

static void sync_if_due(struct bw_store *s)
{
    int64_t now = bw_clock_mono_us();

    if (!s->unsynced || now - s->synced_us < SYNC_EVERY_US)
        return;
    mdb_env_sync(s->env, 1);
    s->unsynced = false;
    s->synced_us = now;
}

static void do_chores(struct bw_store *s, bool idle)
{
    if (idle && s->dooms.n > 0)
        bw_batch_run(s, NULL);
    if (s->relaxed)
        sync_if_due(s);
}

/* What is queued meanwhile waits; a stop in the middle leaves the store as it was. */
static void load(struct bw_store *s)
{
    enum bw_inspected is = bw_load_run(s);

    if (is == BW_INSPECTED_STOPPED)
        return;
    if (is == BW_INSPECTED_DAMAGED)
        bw_store_begin_anew(s);
    bw_store_hold(s);
    pthread_mutex_lock(&s->writer.lock);
    atomic_store_explicit(&s->loaded, true, memory_order_release);
    pthread_cond_broadcast(&s->writer.idle);
    pthread_mutex_unlock(&s->writer.lock);
}

static void *run(void *store)
{
    struct bw_store *s = store;
    bool stop = false;

    pthread_setname_np(pthread_self(), "bw-writer");
    load(s);
    while (!stop) {
        struct bw_item *batch = collect(s, &stop);
        if (batch != NULL)
            bw_batch_run(s, batch);
        if (!stop)
            do_chores(s, batch == NULL);
    }
    bw_batch_finish(s);
    return NULL;
}

/*
 * What a commit writes finds its place before what it frees can be used again, so the file is some
 * groups larger than its content: of a small cache they may not be a large part.
 */
static size_t most_of(uint64_t size)
{
    return group_within(size / GROUP_SHARE, BW_STORE_GROUP);
}

int bw_writer_start(struct bw_store *s, size_t limit)
{
    struct bw_writer *w = &s->writer;
    pthread_condattr_t monotonic;

    w->limit = limit;
    w->group_most = most_of(s->size);
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_cond_init(&w->idle, NULL);
    pthread_condattr_destroy(&monotonic);
    return pthread_create(&w->thread, NULL, run, s);
}

void bw_store_hurry(struct bw_store *s)
{
    struct bw_writer *w = &s->writer;

    pthread_mutex_lock(&w->lock);
    w->hurry = w->first != NULL;
    if (w->hurry)
        pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void bw_store_flush(struct bw_store *s)
{
    struct bw_writer *w = &s->writer;

    pthread_mutex_lock(&w->lock);
    w->flushing++;
    pthread_cond_signal(&w->wake);
    while (w->first != NULL || w->working)
        pthread_cond_wait(&w->idle, &w->lock);
    w->flushing--;
    pthread_mutex_unlock(&w->lock);
}

/* A purge that was answered is on disk before the end, however long loading takes. */
void bw_writer_stop(struct bw_store *s)
{
    struct bw_writer *w = &s->writer;

    if (bw_store_purge_committed(s, bw_store_purge_seq(s)))
        atomic_store(&s->closing, true);
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->idle);
}
