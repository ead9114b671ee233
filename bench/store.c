/*
 * store.c - what the store adds to a hit, and what a start with many objects costs.
 *
 * make all && cc -O2 -D_GNU_SOURCE -Iinclude -o build/bench-store bench/store.c \
 *     build/lib/{cache,http,base}.a -lh2o-evloop -llmdb -lxxhash -lpthread -lm && build/bench-store
 *
 * Prints nanoseconds for each part of a hit, over a million objects drawn at random, the bytes of
 * index for each of them, and how soon a new start has them all.  Not a test: no number fails it.
 * Takes 4 GiB in /tmp.
 */
#include "breakwater/cache/store.h"

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/rand.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { OBJECTS = 1000000, LARGE = 200, LARGE_CHUNKS = 4, ROUNDS = 1000000 };

static struct bw_budget budget;
static struct bw_pins pins;
static struct bw_hash keys[OBJECTS];
static uint64_t large[LARGE];
static atomic_uint answers;

static void committed(struct bw_writer_client *c, uint32_t chunks)
{
    (void)c;
    (void)chunks;
}

static void stored(struct bw_writer_client *c, enum bw_err err, enum bw_reason why)
{
    (void)c;
    (void)err;
    (void)why;
    atomic_fetch_add(&answers, 1);
}

static void lost(struct bw_writer_client *c, enum bw_err err)
{
    (void)c;
    (void)err;
}

static struct bw_writer_client client = {committed, stored, lost};

static void give_record(struct bw_store *s, struct bw_entry *e, const struct bw_hash *key)
{
    struct bw_buf encoded = {0};

    bw_entry_encode(e, &encoded);
    struct bw_writer_record rec = {.key = *key,
                                   .primary = *key,
                                   .objid = e->objid,
                                   .bytes = e->body_len,
                                   .expiry_s = UINT32_MAX,
                                   .encoded = bw_buf_view(&encoded)};
    while (bw_writer_record(s, &client, &rec) != BW_OK)
        usleep(1000);
    bw_buf_free(&encoded);
}

/* Eight fields, as an ordinary response has them. */
static struct bw_entry entry_of(const char *name, uint64_t objid, size_t len)
{
    static struct bw_field fields[8];
    static char body[1024];

    for (size_t i = 0; i < BW_ARRAY_LEN(fields); i++)
        fields[i] = (struct bw_field){
            {"cache-control", 13}, {"max-age=60, public", 18}, BW_F_CACHE_CONTROL};
    return (struct bw_entry){
        .objid = objid,
        .body_len = len,
        .key = bw_slice_str(name),
        .reason = {"OK", 2},
        .fields = {fields, BW_ARRAY_LEN(fields)},
        .inline_body = bw_slice(len <= sizeof(body) ? body : NULL, len <= sizeof(body) ? len : 0)};
}

static void fill_small(struct bw_store *s)
{
    char name[64];

    for (unsigned i = 0; i < OBJECTS; i++) {
        snprintf(name, sizeof(name), "GET http://example.net/object/%u", i);
        keys[i] = bw_hash_128(bw_slice_str(name), bw_store_secret(s));
        struct bw_entry e = entry_of(name, bw_store_new_objid(s), 1024);
        give_record(s, &e, &keys[i]);
    }
}

static void give_chunk(struct bw_store *s, const struct bw_hash *key, uint64_t objid,
                       uint32_t index)
{
    struct bw_block *blocks[BW_CHUNK_BLOCKS];
    struct bw_writer_chunk chunk = {.key = *key,
                                    .objid = objid,
                                    .expected = (uint64_t)LARGE_CHUNKS * BW_CHUNK_SIZE,
                                    .index = index,
                                    .blocks = blocks,
                                    .n = BW_CHUNK_BLOCKS};

    for (size_t i = 0; i < BW_CHUNK_BLOCKS; i++) {
        bw_budget_force(&budget, BW_BLOCK_MEMORY);
        blocks[i] = bw_block_new(&budget);
        memset(blocks[i]->bytes, 'x', BW_BLOCK_SIZE);
        blocks[i]->len = BW_BLOCK_SIZE;
    }
    while (bw_writer_chunk(s, &client, &chunk) != BW_OK)
        usleep(1000);
    for (size_t i = 0; i < BW_CHUNK_BLOCKS; i++)
        bw_block_put(blocks[i]);
}

static void fill_large(struct bw_store *s)
{
    char name[64];

    for (unsigned i = 0; i < LARGE; i++) {
        snprintf(name, sizeof(name), "GET http://example.net/large/%u", i);
        struct bw_hash key = bw_hash_128(bw_slice_str(name), bw_store_secret(s));
        large[i] = bw_store_new_objid(s);
        for (uint32_t c = 0; c < LARGE_CHUNKS; c++)
            give_chunk(s, &key, large[i], c);
        struct bw_entry e = entry_of(name, large[i], (size_t)LARGE_CHUNKS * BW_CHUNK_SIZE);
        give_record(s, &e, &key);
    }
}

static void *alloc_static(void *ctx, size_t n)
{
    static _Alignas(16) char memory[65536];

    (void)ctx;
    return n <= sizeof(memory) ? memory : NULL;
}

static void report(const char *what, int64_t since_us, unsigned rounds)
{
    printf("%-28s %7.0f ns\n", what,
           (double)(bw_clock_mono_us() - since_us) * 1000 / (double)rounds);
}

static void measure_records(struct bw_store *s, struct bw_reader *r, unsigned objects,
                            const char *what)
{
    struct bw_rand rand;
    struct bw_index_hit hit;
    struct bw_entry e;
    char line[64];

    bw_rand_seed(&rand, 1);
    int64_t at = bw_clock_mono_us();
    for (unsigned i = 0; i < ROUNDS; i++)
        if (bw_index_find(bw_store_index(s), &keys[bw_rand_next(&rand) % objects], &hit))
            bw_index_touch(bw_store_index(s), &hit);
    snprintf(line, sizeof(line), "find, touch (%s)", what);
    report(line, at, ROUNDS);
    at = bw_clock_mono_us();
    for (unsigned i = 0; i < ROUNDS; i++)
        (void)bw_reader_get(r, &keys[bw_rand_next(&rand) % objects], false, alloc_static, NULL, &e);
    snprintf(line, sizeof(line), "get, decode (%s)", what);
    report(line, at, ROUNDS);
}

static void measure_chunks(struct bw_reader *r, bool verify)
{
    static char bytes[BW_CHUNK_SIZE];
    struct bw_rand rand;
    size_t got;

    bw_rand_seed(&rand, 2);
    int64_t at = bw_clock_mono_us();
    for (unsigned i = 0; i < ROUNDS / 20; i++)
        (void)bw_reader_body(r, large[bw_rand_next(&rand) % LARGE],
                             bw_rand_next(&rand) % LARGE_CHUNKS * BW_CHUNK_SIZE, sizeof(bytes),
                             verify, bytes, &got);
    report(verify ? "64 KiB of body, verified" : "64 KiB of body", at, ROUNDS / 20);
}

/* The same bytes four to a call, as they are sent. */
static void measure_views(struct bw_reader *r)
{
    struct bw_slice pieces[LARGE_CHUNKS];
    struct bw_rand rand;
    size_t n;

    bw_rand_seed(&rand, 3);
    int64_t at = bw_clock_mono_us();
    for (unsigned i = 0; i < ROUNDS / 20; i++) {
        (void)bw_reader_view(r, large[bw_rand_next(&rand) % LARGE], 0,
                             (uint64_t)LARGE_CHUNKS * BW_CHUNK_SIZE, pieces, LARGE_CHUNKS, &n);
        bw_reader_release(r);
    }
    report("256 KiB of body, in place", at, ROUNDS / 20);
}

static void clean_up(const char *directory)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "breakwater.lock", "running"};
    char path[256];

    for (size_t i = 0; i < BW_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

static struct bw_store *open_store(const struct bw_cache_conf *conf)
{
    static struct bw_pins *const all[] = {&pins};
    struct bw_store_options o = {conf, &budget, all, 1};
    char why[256];
    struct bw_store *s = bw_store_open(&o, why, sizeof(why));

    if (s == NULL) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    return s;
}

/* The kernel forgets what it has of the file. */
static void make_cold(const char *directory)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/data.mdb", directory);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return;
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static double cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static void measure_start(const struct bw_cache_conf *conf, const char *what)
{
    int64_t at = bw_clock_mono_us();
    double cpu = cpu_ms();
    struct bw_store *s = open_store(conf);
    int64_t open_us = bw_clock_mono_us() - at;

    while (!bw_store_loaded(s))
        usleep(1000);
    printf("start, %-21s %7.0f ms to accept, %.0f ms (%.0f of them busy) to have %llu objects\n",
           what, (double)open_us / 1000, (double)(bw_clock_mono_us() - at) / 1000, cpu_ms() - cpu,
           (unsigned long long)bw_index_count(bw_store_index(s)));
    bw_store_close(s);
}

static void measure_reading(struct bw_store *s)
{
    struct bw_reader *r = bw_reader_new(s);

    measure_records(s, r, 1000, "hot");
    measure_records(s, r, OBJECTS, "all");
    measure_chunks(r, false);
    measure_chunks(r, true);
    measure_views(r);
    bw_reader_free(r);
}

int main(void)
{
    char directory[] = "/tmp/breakwater-bench-XXXXXX";

    if (mkdtemp(directory) == NULL)
        return 1;
    struct bw_cache_conf conf = {.directory = directory,
                                 .size = UINT64_C(8) << 30,
                                 .memory = UINT64_C(1) << 28,
                                 .durability = BW_DURABILITY_RELAXED};
    bw_budget_init(&budget, (size_t)1 << 30);
    struct bw_store *s = open_store(&conf);
    int64_t at = bw_clock_mono_us();
    fill_small(s);
    fill_large(s);
    while (atomic_load(&answers) < OBJECTS + LARGE)
        usleep(1000);
    report("store (each, 1 KiB mostly)", at, OBJECTS + LARGE);
    measure_reading(s);
    printf("%-28s %7.1f bytes\n", "index memory, an object",
           (double)bw_index_memory(bw_store_index(s)) / (double)bw_index_count(bw_store_index(s)));
    bw_store_close(s);
    measure_start(&conf, "in the page cache");
    make_cold(directory);
    measure_start(&conf, "from the disk");
    clean_up(directory);
    return 0;
}
