/*
 * rig.h - a store in a folder of its own, and a client that waits for the writer's answers.
 */
#pragma once

#include "breakwater/base/gate.h"
#include "breakwater/base/mem.h"
#include "breakwater/cache/store.h"

#include "unit.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct rig {
    char directory[64];
    struct bw_cache_conf conf;
    struct bw_budget budget;
    struct bw_pins *pins[1];
    struct bw_store *s;
    struct bw_reader *r;
    char why[256];
};

struct client {
    struct bw_writer_client base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t committed;
    int stored, lost;
    enum bw_err err, lost_err; /* lost_err: the first one */
    enum bw_reason why;
};

/* A response that is to be stored. */
struct thing {
    const char *name;
    const char *url; /* whose variant it is; NULL: itself */
    size_t len;
    uint64_t objid; /* 0: a new one */
    uint64_t born;
    uint64_t replaces;
    bool keep_body;
    bool unknown_length;
    int64_t lifetime_s;
    size_t held;
};

static inline struct rig *rig_new(uint64_t size)
{
    struct rig *rig = bw_zalloc(sizeof(*rig));

    snprintf(rig->directory, sizeof(rig->directory), "/tmp/breakwater-unit-XXXXXX");
    assert_non_null(mkdtemp(rig->directory));
    rig->conf = (struct bw_cache_conf){
        .directory = rig->directory, .size = size, .max_object = size, .memory = 256 << 20};
    rig->pins[0] = bw_zalloc(sizeof(*rig->pins[0]));
    bw_budget_init(&rig->budget, 256 << 20);
    return rig;
}

static inline bool rig_open(struct rig *rig)
{
    struct bw_store_options o = {&rig->conf, &rig->budget, rig->pins, 1};

    rig->s = bw_store_open(&o, rig->why, sizeof(rig->why));
    rig->r = rig->s != NULL ? bw_reader_new(rig->s) : NULL;
    return rig->s != NULL;
}

static inline struct rig *rig_begin(uint64_t size)
{
    struct rig *rig = rig_new(size);

    if (!rig_open(rig))
        fail_msg("%s", rig->why);
    return rig;
}

/* One whose queue takes 1 MiB, of which nothing is committed until "writer.commit" is released. */
static inline struct rig *rig_begin_held(uint64_t size)
{
    struct rig *rig = rig_new(size);

    rig->conf.memory = 4 << 20;
    assert_true(rig_open(rig));
    bw_gate_enable();
    bw_gate_hold("writer.commit");
    return rig;
}

static inline void rig_shut(struct rig *rig)
{
    bw_reader_free(rig->r);
    bw_store_close(rig->s);
    rig->s = NULL;
    assert_int_equal(bw_budget_used(&rig->budget), 0);
}

static inline void rig_path(const struct rig *rig, const char *name, char *out, size_t n)
{
    snprintf(out, n, "%s/%s", rig->directory, name);
}

static inline void rig_end(struct rig *rig)
{
    char path[512];

    if (rig->s != NULL)
        rig_shut(rig);
    DIR *dir = opendir(rig->directory);
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        rig_path(rig, e->d_name, path, sizeof(path));
        unlink(path);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(rig->directory);
    free(rig->pins[0]);
    free(rig);
}

/* How many files of the folder begin with that. */
static inline int rig_files(const struct rig *rig, const char *prefix)
{
    DIR *dir = opendir(rig->directory);
    int n = 0;

    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return n;
}

/* ---- the client ---- */

static inline void client_committed(struct bw_writer_client *c, uint32_t chunks)
{
    struct client *k = BW_CONTAINER_OF(c, struct client, base);

    pthread_mutex_lock(&k->lock);
    k->committed = chunks;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

static inline void client_stored(struct bw_writer_client *c, enum bw_err err, enum bw_reason why)
{
    struct client *k = BW_CONTAINER_OF(c, struct client, base);

    pthread_mutex_lock(&k->lock);
    k->stored++;
    k->err = err;
    k->why = why;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

static inline void client_lost(struct bw_writer_client *c, enum bw_err err)
{
    struct client *k = BW_CONTAINER_OF(c, struct client, base);

    pthread_mutex_lock(&k->lock);
    if (k->lost++ == 0)
        k->lost_err = err;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

static inline void client_init(struct client *k)
{
    *k = (struct client){.base = {client_committed, client_stored, client_lost}};
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->changed, NULL);
}

/* Waits until the client has had so many answers of each kind. */
static inline void client_wait(struct client *k, uint32_t committed, int stored, int lost)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&k->lock);
    while (k->committed < committed || k->stored < stored || k->lost < lost)
        if (pthread_cond_timedwait(&k->changed, &k->lock, &until) != 0)
            break;
    bool enough = k->committed >= committed && k->stored >= stored && k->lost >= lost;
    pthread_mutex_unlock(&k->lock);
    assert_true(enough);
}

/* ---- things ---- */

static inline struct bw_hash key_of(struct rig *rig, const char *name)
{
    return bw_hash_128(bw_slice_str(name), bw_store_secret(rig->s));
}

static inline char body_byte(uint64_t objid, uint64_t at)
{
    return (char)(objid * 31 + at * 7 + (at >> 12));
}

static inline struct bw_block *block_of(struct rig *rig, uint64_t objid, uint64_t at, size_t len)
{
    bool taken = bw_budget_take(&rig->budget, BW_BLOCK_MEMORY);

    assert_true(taken);
    struct bw_block *b = bw_block_new(&rig->budget);
    for (size_t i = 0; i < len; i++)
        b->bytes[i] = body_byte(objid, at + i);
    b->len = (uint32_t)len;
    return b;
}

static inline enum bw_err hand_chunk(struct rig *rig, struct client *k, const struct thing *t,
                                     uint64_t objid, uint32_t index)
{
    struct bw_block *blocks[BW_CHUNK_BLOCKS];
    uint64_t at = (uint64_t)index * BW_CHUNK_SIZE;
    struct bw_writer_chunk chunk = {.key = key_of(rig, t->name),
                                    .objid = objid,
                                    .expected = t->unknown_length ? 0 : t->len,
                                    .index = index,
                                    .fetch_ms = 10,
                                    .blocks = blocks,
                                    .urgent = true};

    while (chunk.n < BW_CHUNK_BLOCKS && at < t->len) {
        size_t len = t->len - at < BW_BLOCK_SIZE ? (size_t)(t->len - at) : BW_BLOCK_SIZE;
        blocks[chunk.n++] = block_of(rig, objid, at, len);
        at += len;
    }
    enum bw_err err = bw_writer_chunk(rig->s, &k->base, &chunk);
    for (size_t i = 0; i < chunk.n; i++)
        bw_block_put(blocks[i]);
    return err;
}

static inline void encode_thing(struct rig *rig, const struct thing *t, uint64_t objid,
                                struct bw_buf *out)
{
    static struct bw_field fields[2];
    char body[BW_ENTRY_INLINE_MAX];

    fields[0] = (struct bw_field){BW_S("content-type"), BW_S("text/plain"), BW_F_CONTENT_TYPE};
    fields[1] = (struct bw_field){BW_S("x-own"), bw_slice_str(t->name), BW_F_OTHER};
    struct bw_entry e = {.kind = BW_ENTRY_RESPONSE,
                         .objid = objid,
                         .body_len = t->len,
                         .key = bw_slice_str(t->name),
                         .primary = key_of(rig, t->url != NULL ? t->url : t->name),
                         .terms = {.status = 200, .lifetime_s = t->lifetime_s},
                         .reason = BW_S("OK"),
                         .fields = {fields, 2},
                         .fetch_ms = 10};
    if (t->len <= BW_ENTRY_INLINE_MAX) {
        for (size_t i = 0; i < t->len; i++)
            body[i] = body_byte(objid, i);
        e.inline_body = bw_slice(body, t->len);
    }
    bw_entry_encode(&e, out);
}

static inline enum bw_err hand_record(struct rig *rig, struct client *k, const struct thing *t,
                                      uint64_t objid)
{
    struct bw_buf encoded = {0};
    struct bw_writer_record rec = {.key = key_of(rig, t->name),
                                   .primary = key_of(rig, t->url != NULL ? t->url : t->name),
                                   .objid = objid,
                                   .replaces = t->replaces,
                                   .born = t->born,
                                   .bytes = t->len,
                                   .held = t->held,
                                   .expiry_s = UINT32_MAX,
                                   .fetch_ms = 10,
                                   .keep_body = t->keep_body};

    encode_thing(rig, t, objid, &encoded);
    rec.encoded = bw_buf_view(&encoded);
    enum bw_err err = bw_writer_record(rig->s, &k->base, &rec);
    bw_buf_free(&encoded);
    return err;
}

static inline void nobody_answered(struct bw_writer_client *c, enum bw_err err)
{
    (void)c;
    (void)err;
}

/* An urgent chunk that follows no other one: the writer commits at once, and loses it. */
static inline void hurry(struct rig *rig)
{
    static struct bw_writer_client nobody = {.lost = nobody_answered};
    struct bw_block *b = block_of(rig, 1, 0, 1);
    struct bw_writer_chunk chunk = {
        .objid = bw_store_new_objid(rig->s), .index = 9, .blocks = &b, .n = 1, .urgent = true};

    (void)bw_writer_chunk(rig->s, &nobody, &chunk);
    bw_block_put(b);
}

/* Stores it and waits; the client holds the answers. */
static inline uint64_t store_thing(struct rig *rig, struct client *k, const struct thing *t)
{
    uint64_t objid = t->objid != 0 ? t->objid : bw_store_new_objid(rig->s);
    uint32_t chunks = t->keep_body ? 0 : bw_entry_chunks(t->len);

    client_init(k);
    for (uint32_t i = 0; i < chunks; i++)
        while (hand_chunk(rig, k, t, objid, i) == BW_ERR_FULL)
            client_wait(k, i, 0, 0);
    while (hand_record(rig, k, t, objid) == BW_ERR_FULL)
        client_wait(k, chunks, 0, 0);
    hurry(rig);
    client_wait(k, 0, 1, 0);
    return objid;
}

static inline uint64_t put(struct rig *rig, const char *name, size_t len)
{
    struct client k;
    uint64_t objid = store_thing(
        rig, &k, &(struct thing){.name = name, .len = len, .born = bw_store_purge_seq(rig->s)});

    assert_int_equal(k.err, BW_OK);
    return objid;
}

/* ---- reading ---- */

static inline void *alloc_any(void *ctx, size_t n)
{
    void **slot = ctx;

    free(*slot);
    *slot = malloc(n);
    return *slot;
}

struct warming {
    struct bw_warm base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

static inline void warming_done(struct bw_warm *w)
{
    struct warming *m = BW_CONTAINER_OF(w, struct warming, base);

    pthread_mutex_lock(&m->lock);
    m->done = true;
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

/* Has an io thread bring it in, and waits for that. */
static inline void warm(struct rig *rig, const struct bw_hash *key, uint64_t objid, uint64_t offset)
{
    struct warming m = {.base = {.done = warming_done, .objid = objid, .offset = offset, .n = 1},
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER};

    if (key != NULL)
        m.base.key = *key;
    if (!bw_store_warm(rig->s, &m.base))
        return;
    pthread_mutex_lock(&m.lock);
    while (!m.done)
        pthread_cond_wait(&m.changed, &m.lock);
    pthread_mutex_unlock(&m.lock);
}

/* The record; `*memory` is to be freed. */
static inline enum bw_err get(struct rig *rig, const char *name, void **memory,
                              struct bw_entry *out)
{
    struct bw_hash key = key_of(rig, name);
    enum bw_err err;

    while ((err = bw_reader_get(rig->r, &key, true, alloc_any, memory, out)) == BW_ERR_BUSY)
        warm(rig, &key, 0, 0);
    return err;
}

static inline bool has(struct rig *rig, const char *name)
{
    struct bw_hash key = key_of(rig, name);
    struct bw_index_hit hit;

    return bw_index_find(bw_store_index(rig->s), &key, &hit);
}

static inline enum bw_err read_body(struct rig *rig, uint64_t objid, uint64_t at, bool verify,
                                    char *out, size_t *got)
{
    enum bw_err err;

    while ((err = bw_reader_body(rig->r, objid, at, BW_CHUNK_SIZE, verify, out, got)) ==
           BW_ERR_BUSY)
        warm(rig, NULL, objid, at);
    return err;
}

/* Reads the whole body and compares it. */
static inline enum bw_err check_body(struct rig *rig, uint64_t objid, size_t len)
{
    static char bytes[BW_CHUNK_SIZE];
    size_t got;

    for (size_t at = 0; at < len; at += got) {
        enum bw_err err = read_body(rig, objid, at, true, bytes, &got);
        if (err != BW_OK)
            return err;
        for (size_t i = 0; i < got; i++)
            assert_int_equal(bytes[i], body_byte(objid, at + i));
    }
    return BW_OK;
}

static inline struct bw_store_figures figures(struct rig *rig)
{
    struct bw_store_figures f;

    bw_store_figures(rig->s, &f);
    return f;
}

/* Lets the other threads run until the index is in memory. */
static inline void wait_loaded(struct rig *rig)
{
    time_t end = time(NULL) + 20;

    while (!bw_store_loaded(rig->s) && time(NULL) < end)
        sched_yield();
    assert_true(bw_store_loaded(rig->s));
}

/* A small store(d) answer means that everything queued before it is committed. */
static inline void settle(struct rig *rig)
{
    put(rig, "settle", 10);
    put(rig, "settle", 10);
}
