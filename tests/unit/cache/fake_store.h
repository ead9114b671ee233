/*
 * fake_store.h - the store as the fill sees it, in memory, with a writer thread that can be held at
 * the gates of the real one and told to fail.
 *
 * It defines the functions of store.h that the fill and the lookup call, so a test that includes it
 * links none of the real store.
 */
#pragma once

#include "breakwater/base/gate.h"
#include "breakwater/base/mem.h"
#include "breakwater/cache/store.h"

#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

enum { FAKE_RECORDS = 512, FAKE_PURGES = 256, FAKE_LOST = 64 };

enum fake_kind { FAKE_CHUNK, FAKE_RECORD, FAKE_DROP_BODY };

struct fake_item {
    struct fake_item *next;
    enum fake_kind kind;
    struct bw_writer_client *client;
    uint64_t objid;
    struct bw_writer_chunk chunk;
    struct bw_block *blocks[BW_CHUNK_BLOCKS];
    struct bw_writer_record record; /* its slices lie behind the item */
};

struct fake_chunk {
    struct fake_chunk *next;
    uint64_t objid;
    uint32_t index;
    size_t len;
    char bytes[BW_CHUNK_SIZE];
};

struct fake_record {
    struct bw_hash key, primary;
    uint64_t objid;   /* 0: free */
    uint64_t indexed; /* what the index names; 0: nothing */
    bool stale;       /* a soft purge */
    char *bytes;
    size_t len;
};

struct bw_store {
    struct bw_hash_secret secret;
    struct bw_pins *const *pins;
    size_t pins_n;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under the lock */
    struct fake_item *first, **last;
    unsigned queued; /* chunks and records */
    bool stop;
    struct fake_record records[FAKE_RECORDS];
    struct fake_chunk *chunks;
    uint64_t doomed[FAKE_RECORDS];
    size_t doomed_n;
    struct bw_hash purged[FAKE_PURGES];
    bool purged_soft[FAKE_PURGES];
    uint64_t seq;
    _Atomic uint64_t next_objid;
    uint64_t lost[FAKE_LOST]; /* objids of which a chunk was lost, the newest ones; the writer's */
    size_t lost_n;
    /* what a test orders */
    _Atomic unsigned queue_most; /* chunks and records in the queue */
    atomic_int fail_chunk;       /* the index that the disk does not take; -1: none */
    atomic_bool fail_record;
};

struct bw_reader {
    struct bw_store *store;
};

/* ---- what is stored; under the lock ---- */

static struct fake_record *fake_find(struct bw_store *s, const struct bw_hash *key)
{
    for (size_t i = 0; i < FAKE_RECORDS; i++)
        if ((s->records[i].objid != 0 || s->records[i].indexed != 0) &&
            bw_hash_eq(&s->records[i].key, key))
            return &s->records[i];
    return NULL;
}

static struct fake_record *fake_need(struct bw_store *s, const struct bw_hash *key)
{
    struct fake_record *r = fake_find(s, key);

    for (size_t i = 0; r == NULL && i < FAKE_RECORDS; i++)
        if (s->records[i].objid == 0 && s->records[i].indexed == 0)
            r = &s->records[i];
    BW_ASSERT(r != NULL);
    r->key = *key;
    return r;
}

static void fake_doom(struct bw_store *s, uint64_t objid)
{
    BW_ASSERT(s->doomed_n < FAKE_RECORDS);
    s->doomed[s->doomed_n++] = objid;
}

static void fake_clear(struct bw_store *s, struct fake_record *r)
{
    fake_doom(s, r->objid);
    free(r->bytes);
    *r = (struct fake_record){0};
}

static bool fake_pinned(const struct bw_store *s, uint64_t objid)
{
    for (size_t i = 0; i < s->pins_n; i++)
        if (bw_pinned(s->pins[i], objid))
            return true;
    return false;
}

static void fake_delete_chunks(struct bw_store *s, uint64_t objid)
{
    struct fake_chunk **at = &s->chunks;

    while (*at != NULL) {
        struct fake_chunk *c = *at;

        if (c->objid != objid) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free(c);
    }
}

/* Bodies that nobody is sent any more. */
static void fake_sweep(struct bw_store *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->doomed_n; i++) {
        if (fake_pinned(s, s->doomed[i]))
            s->doomed[n++] = s->doomed[i];
        else
            fake_delete_chunks(s, s->doomed[i]);
    }
    s->doomed_n = n;
}

enum fake_purged { FAKE_NOT, FAKE_SOFT, FAKE_HARD };

static enum fake_purged fake_purged_since(const struct bw_store *s, const struct bw_hash *primary,
                                          uint64_t born)
{
    enum fake_purged answer = FAKE_NOT;

    for (uint64_t i = born; i < s->seq; i++) {
        if (!bw_hash_eq(&s->purged[i % FAKE_PURGES], primary))
            continue;
        if (!s->purged_soft[i % FAKE_PURGES])
            return FAKE_HARD;
        answer = FAKE_SOFT;
    }
    return answer;
}

/* ---- the writer ---- */

static bool fake_is_lost(const struct bw_store *s, uint64_t objid)
{
    for (size_t i = 0; i < FAKE_LOST; i++)
        if (s->lost[i] == objid)
            return true;
    return false;
}

static void fake_write_chunk(struct bw_store *s, struct fake_item *it)
{
    bool fails = (int)it->chunk.index == atomic_load(&s->fail_chunk) || fake_is_lost(s, it->objid);
    struct fake_chunk *c = bw_zalloc(sizeof(*c));

    c->objid = it->objid;
    c->index = it->chunk.index;
    for (size_t i = 0; i < it->chunk.n; i++) {
        memcpy(c->bytes + c->len, it->blocks[i]->bytes, it->blocks[i]->len);
        c->len += it->blocks[i]->len;
        bw_block_put(it->blocks[i]); /* before the answer: it may be the client's end */
    }
    if (fails) {
        free(c);
        s->lost[s->lost_n++ % FAKE_LOST] = it->objid;
        it->client->lost(it->client, BW_ERR_FULL);
        return;
    }
    pthread_mutex_lock(&s->lock);
    c->next = s->chunks;
    s->chunks = c;
    pthread_mutex_unlock(&s->lock);
    it->client->committed(it->client, it->chunk.index + 1);
}

static void fake_put(struct bw_store *s, const struct bw_hash *key, const struct bw_hash *primary,
                     struct bw_slice encoded, uint64_t objid, bool stale)
{
    struct fake_record *r = fake_need(s, key);

    if (r->objid != 0 && r->objid != objid)
        fake_doom(s, r->objid);
    free(r->bytes);
    r->bytes = memcpy(bw_alloc(encoded.len), encoded.base, encoded.len);
    r->len = encoded.len;
    r->objid = objid;
    r->primary = *primary;
    r->stale = stale;
}

/* The questions that a record may fail. */
static enum bw_err fake_judge(struct bw_store *s, const struct fake_item *it)
{
    const struct bw_writer_record *rec = &it->record;
    struct fake_record *old = fake_find(s, &rec->key);

    if (fake_purged_since(s, &rec->primary, rec->born) == FAKE_HARD)
        return BW_ERR_NOT_FOUND;
    if (atomic_load(&s->fail_record) || fake_is_lost(s, it->objid))
        return BW_ERR_FULL;
    if (rec->replaces != 0 && (old == NULL || old->objid != rec->replaces))
        return BW_ERR_NOT_FOUND;
    return BW_OK;
}

static void fake_write_record(struct bw_store *s, struct fake_item *it)
{
    const struct bw_writer_record *rec = &it->record;
    enum bw_err err;

    pthread_mutex_lock(&s->lock);
    err = fake_judge(s, it);
    if (err == BW_OK) {
        bool stale = fake_purged_since(s, &rec->primary, rec->born) == FAKE_SOFT;

        fake_put(s, &rec->key, &rec->primary, rec->encoded, rec->objid, stale);
        for (int i = 0; i < BW_BESIDE_COUNT; i++)
            if (rec->beside[i].encoded.len != 0)
                fake_put(s, &rec->beside[i].key, &rec->primary, rec->beside[i].encoded,
                         bw_entry_objid_in(rec->beside[i].encoded), false);
    }
    pthread_mutex_unlock(&s->lock);
    bw_gate_pass("writer.publish");
    pthread_mutex_lock(&s->lock);
    if (err == BW_OK && fake_purged_since(s, &rec->primary, rec->born) == FAKE_HARD)
        err = BW_ERR_NOT_FOUND;
    if (err == BW_OK) {
        fake_need(s, &rec->key)->indexed = rec->objid;
        for (int i = 0; i < BW_BESIDE_COUNT; i++)
            if (rec->beside[i].encoded.len != 0)
                fake_need(s, &rec->beside[i].key)->indexed =
                    bw_entry_objid_in(rec->beside[i].encoded);
    }
    pthread_mutex_unlock(&s->lock);
    it->client->stored(it->client, err, BW_REASON_NONE);
}

/* Its place in the queue is free before the answer, as its blocks are. */
static void fake_leave_queue(struct bw_store *s)
{
    bw_gate_pass("writer.commit");
    pthread_mutex_lock(&s->lock);
    s->queued--;
    pthread_mutex_unlock(&s->lock);
}

static void fake_work(struct bw_store *s, struct fake_item *it)
{
    switch (it->kind) {
    case FAKE_CHUNK:
        fake_leave_queue(s);
        fake_write_chunk(s, it);
        break;
    case FAKE_RECORD:
        fake_leave_queue(s);
        fake_write_record(s, it);
        break;
    case FAKE_DROP_BODY:
        pthread_mutex_lock(&s->lock);
        fake_doom(s, it->objid);
        pthread_mutex_unlock(&s->lock);
        break;
    }
    pthread_mutex_lock(&s->lock);
    fake_sweep(s);
    pthread_mutex_unlock(&s->lock);
    free(it);
}

static struct fake_item *fake_take(struct bw_store *s)
{
    struct fake_item *it;

    pthread_mutex_lock(&s->lock);
    while (s->first == NULL && !s->stop)
        pthread_cond_wait(&s->wake, &s->lock);
    it = s->first;
    if (it != NULL) {
        s->first = it->next;
        if (s->first == NULL)
            s->last = &s->first;
    }
    pthread_mutex_unlock(&s->lock);
    return it;
}

static void *fake_run(void *store)
{
    struct fake_item *it;

    while ((it = fake_take(store)) != NULL)
        fake_work(store, it);
    return NULL;
}

static bool fake_push(struct bw_store *s, struct fake_item *it)
{
    bool counts = it->kind != FAKE_DROP_BODY, room;

    pthread_mutex_lock(&s->lock);
    room = !counts || s->queued < atomic_load(&s->queue_most);
    if (room) {
        *s->last = it;
        s->last = &it->next;
        s->queued += counts;
        pthread_cond_signal(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    return room;
}

enum bw_err bw_writer_chunk(struct bw_store *s, struct bw_writer_client *c,
                            const struct bw_writer_chunk *chunk)
{
    struct fake_item *it = bw_zalloc(sizeof(*it));
    size_t n = chunk->n;

    *it = (struct fake_item){.client = c, .objid = chunk->objid, .chunk = *chunk};
    for (size_t i = 0; i < n; i++) {
        it->blocks[i] = chunk->blocks[i];
        bw_block_take(it->blocks[i]);
    }
    if (fake_push(s, it))
        return BW_OK;
    for (size_t i = 0; i < n; i++)
        bw_block_put(it->blocks[i]);
    free(it);
    return BW_ERR_FULL;
}

enum bw_err bw_writer_record(struct bw_store *s, struct bw_writer_client *c,
                             const struct bw_writer_record *rec)
{
    const struct bw_writer_beside *beside = rec->beside;
    struct fake_item *it =
        bw_zalloc(sizeof(*it) + rec->encoded.len + beside[0].encoded.len + beside[1].encoded.len);
    char *at = (char *)(it + 1);

    it->kind = FAKE_RECORD;
    it->client = c;
    it->objid = rec->objid;
    it->record = *rec;
    it->record.encoded.base = memcpy(at, rec->encoded.base, rec->encoded.len);
    at += rec->encoded.len;
    for (int i = 0; i < BW_BESIDE_COUNT; i++) {
        if (beside[i].encoded.len != 0)
            it->record.beside[i].encoded.base =
                memcpy(at, beside[i].encoded.base, beside[i].encoded.len);
        at += beside[i].encoded.len;
    }
    if (fake_push(s, it))
        return BW_OK;
    free(it);
    return BW_ERR_FULL;
}

void bw_writer_drop_body(struct bw_store *s, uint64_t objid, uint32_t chunks)
{
    struct fake_item *it = bw_zalloc(sizeof(*it));

    (void)chunks;
    it->kind = FAKE_DROP_BODY;
    it->objid = objid;
    fake_push(s, it);
}

void bw_writer_drop(struct bw_store *s, const struct bw_hash *key, uint64_t objid)
{
    struct fake_record *r;

    pthread_mutex_lock(&s->lock);
    r = fake_find(s, key);
    if (r != NULL && r->objid == objid)
        fake_clear(s, r);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the rest of store.h that is asked for ---- */

struct bw_index *bw_store_index(struct bw_store *s)
{
    return (struct bw_index *)(void *)s;
}

const struct bw_hash_secret *bw_store_secret(const struct bw_store *s)
{
    return &s->secret;
}

bool bw_store_loaded(const struct bw_store *s)
{
    return s != NULL;
}

void bw_store_hurry(struct bw_store *s)
{
    BW_ASSERT(s != NULL);
}

uint64_t bw_store_new_objid(struct bw_store *s)
{
    return atomic_fetch_add(&s->next_objid, 1);
}

bool bw_index_find(const struct bw_index *ix, const struct bw_hash *key, struct bw_index_hit *hit)
{
    struct bw_store *s = (struct bw_store *)(uintptr_t)ix;
    struct fake_record *r;

    pthread_mutex_lock(&s->lock);
    r = fake_find(s, key);
    if (r != NULL)
        *hit = (struct bw_index_hit){.objid = r->indexed, .expiry_s = 1};
    pthread_mutex_unlock(&s->lock);
    return r != NULL && hit->objid != 0;
}

void bw_index_touch(struct bw_index *ix, const struct bw_index_hit *hit)
{
    BW_ASSERT(ix != NULL && hit->objid != 0);
}

void bw_index_verified(struct bw_index *ix, const struct bw_index_hit *hit)
{
    BW_ASSERT(ix != NULL && hit->objid != 0);
}

enum bw_err bw_reader_get(struct bw_reader *r, const struct bw_hash *key, bool verify,
                          bw_alloc_fn alloc, void *ctx, struct bw_entry *out)
{
    struct bw_store *s = r->store;
    enum bw_err err = BW_ERR_NOT_FOUND;
    struct bw_field *v = alloc(ctx, BW_ENTRY_FIELDS_MAX * sizeof(*v));
    struct fake_record *rec;

    pthread_mutex_lock(&s->lock);
    rec = fake_find(s, key);
    if (rec != NULL && rec->objid != 0) {
        char *copy = memcpy(alloc(ctx, rec->len), rec->bytes, rec->len);

        err = bw_entry_decode(bw_slice(copy, rec->len), v, BW_ENTRY_FIELDS_MAX, verify, out)
                  ? BW_OK
                  : BW_ERR_CORRUPT;
        if (rec->stale)
            out->terms.flags |= BW_TERMS_PURGED_SOFT;
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

enum bw_err bw_reader_body(struct bw_reader *r, uint64_t objid, uint64_t offset, size_t n,
                           bool verify, char *out, size_t *got)
{
    size_t at = (size_t)(offset % BW_CHUNK_SIZE);
    struct fake_chunk *c;

    (void)verify;
    *got = 0;
    pthread_mutex_lock(&r->store->lock);
    for (c = r->store->chunks; c != NULL; c = c->next)
        if (c->objid == objid && c->index == offset / BW_CHUNK_SIZE)
            break;
    if (c != NULL && at < c->len) {
        *got = n < c->len - at ? n : c->len - at;
        memcpy(out, c->bytes + at, *got);
    }
    pthread_mutex_unlock(&r->store->lock);
    return *got != 0 ? BW_OK : BW_ERR_NOT_FOUND;
}

/* At once what the real one does in order; the index, the records, the memory of it. */
uint64_t bw_store_purge(struct bw_store *s, const struct bw_hash *primary, bool soft)
{
    uint64_t seq;

    pthread_mutex_lock(&s->lock);
    s->purged[s->seq % FAKE_PURGES] = *primary;
    s->purged_soft[s->seq % FAKE_PURGES] = soft;
    seq = ++s->seq;
    for (size_t i = 0; i < FAKE_RECORDS; i++) {
        struct fake_record *r = &s->records[i];

        if (r->objid == 0 || !bw_hash_eq(&r->primary, primary))
            continue;
        if (soft)
            r->stale = true;
        else
            fake_clear(s, r);
    }
    pthread_mutex_unlock(&s->lock);
    return seq;
}

uint64_t bw_store_purge_seq(const struct bw_store *store)
{
    struct bw_store *s = (struct bw_store *)(uintptr_t)store;
    uint64_t seq;

    pthread_mutex_lock(&s->lock);
    seq = s->seq;
    pthread_mutex_unlock(&s->lock);
    return seq;
}

bool bw_store_purged_since(const struct bw_store *store, const struct bw_hash *primary,
                           uint64_t born)
{
    struct bw_store *s = (struct bw_store *)(uintptr_t)store;
    enum fake_purged purged;

    pthread_mutex_lock(&s->lock);
    purged = fake_purged_since(s, primary, born);
    pthread_mutex_unlock(&s->lock);
    return purged != FAKE_NOT;
}

/* ---- what the world of a test wants to know (fill_world.h) ---- */

static struct bw_store *world_store_open(struct bw_budget *budget, struct bw_pins *const *pins,
                                         size_t pins_n)
{
    struct bw_store *s = bw_zalloc(sizeof(*s));

    (void)budget;
    s->pins = pins;
    s->pins_n = pins_n;
    s->last = &s->first;
    s->next_objid = 1;
    s->queue_most = 1000;
    s->fail_chunk = -1;
    for (size_t i = 0; i < sizeof(s->secret.bytes); i++)
        s->secret.bytes[i] = (uint8_t)(i * 37 + 11);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    pthread_create(&s->thread, NULL, fake_run, s);
    return s;
}

static struct bw_reader *world_reader_new(struct bw_store *s)
{
    struct bw_reader *r = bw_zalloc(sizeof(*r));

    r->store = s;
    return r;
}

static void world_reader_free(struct bw_reader *r)
{
    free(r);
}

/* What was never counted, or counted twice, shows here: nothing that was given up may be left. */
static void world_store_close(struct bw_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    fake_sweep(s);
    assert_int_equal(s->doomed_n, 0);
    for (size_t i = 0; i < FAKE_RECORDS; i++) {
        if (s->records[i].objid != 0)
            fake_delete_chunks(s, s->records[i].objid);
        free(s->records[i].bytes);
    }
    assert_null(s->chunks); /* every chunk belongs to a record */
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    free(s);
}

enum { world_least_memory = 0 };

static inline size_t world_store_memory(struct bw_store *s)
{
    (void)s;
    return 0; /* charged to the budget */
}
