/*
 * reader.c - records and bodies, copied out of the map.
 *
 * A read transaction is renewed at the start of a call and reset at its end (9 ns): one that stays
 * open makes the file grow by everything that is written meanwhile (libh2o-and-lmdb.md, 5).
 *
 * Cold pages: touching a page of the map that is not in memory blocks the thread for a disk read.
 * For bodies mincore() tells (1 us for 64 KiB, a third of what the copy costs), and what it said of
 * a chunk holds for a moment: pages that were just used are the last that the kernel takes. Records
 * are small and share their pages with the tree, which cannot be asked without being touched;
 * reading the whole tree is what loading does at the start, so until that is over every record is
 * taken to be cold, and afterwards to be warm.
 *
 * Until then, too, nothing is known to be sound: an io thread inspects the way to a record or a
 * chunk before it may be read here, in a transaction that ends with the call.
 */
#include "breakwater/base/clock.h"

#include "store_priv.h"

#include <sys/mman.h>
#include <unistd.h>

/* Asked for by one mincore(); a gap so small lies between the chunks of one object. */
enum {
    RUN_PAGES = 256,
    RUN_BYTES = (RUN_PAGES - 1) * BW_STORE_PAGE,
    NEIGHBOURS = 2 * BW_STORE_PAGE
};

enum { RECENT = 256, RECENT_US = 20000, VIEWS_MAX = 32 };

struct bw_reader {
    struct bw_store *store;
    MDB_txn *txn; /* reset between calls; NULL until the index is loaded */
    bool early;   /* `txn` ends with this call */
    struct {
        uint64_t body_key;
        int64_t until_us;
    } recent[RECENT]; /* chunks that were in memory just now */
};

struct bw_reader *bw_reader_new(struct bw_store *s)
{
    struct bw_reader *r = bw_zalloc(sizeof(*r));

    r->store = s;
    return r;
}

void bw_reader_free(struct bw_reader *r)
{
    mdb_txn_abort(r->txn);
    free(r);
}

static enum bw_err begin(struct bw_reader *r)
{
    MDB_env *env = r->store->env;

    if (env == NULL || mdb_txn_begin(env, NULL, MDB_RDONLY, &r->txn) != 0) {
        r->txn = NULL;
        return BW_ERR_IO;
    }
    return BW_OK;
}

static enum bw_err begin_early(struct bw_reader *r)
{
    if (!bw_store_enter_early(r->store))
        return BW_ERR_NOT_FOUND;
    enum bw_err err = begin(r);
    r->early = err == BW_OK;
    if (err != BW_OK)
        bw_store_leave_early(r->store);
    return err;
}

static enum bw_err renew(struct bw_reader *r)
{
    if (BW_LIKELY(r->txn != NULL))
        return mdb_txn_renew(r->txn) == 0 ? BW_OK : BW_ERR_IO;
    return bw_store_loaded(r->store) ? begin(r) : begin_early(r);
}

static void release(struct bw_reader *r)
{
    if (BW_LIKELY(!r->early)) {
        if (r->txn != NULL)
            mdb_txn_reset(r->txn);
        return;
    }
    mdb_txn_abort(r->txn);
    r->txn = NULL;
    r->early = false;
    bw_store_leave_early(r->store);
}

static enum bw_err error_of(struct bw_store *s, int rc)
{
    if (rc == 0)
        return BW_OK;
    if (rc == MDB_NOTFOUND)
        return BW_ERR_NOT_FOUND;
    bw_count(&s->counters.corrupt);
    return BW_ERR_CORRUPT;
}

static enum bw_err corrupt(struct bw_store *s)
{
    bw_count(&s->counters.corrupt);
    return BW_ERR_CORRUPT;
}

/* What is cold, or not known to be sound, is read after an io thread has had it. */
static enum bw_err ask_for(struct bw_store *s, uint64_t mark)
{
    switch (bw_warm_consume(s, mark)) {
    case BW_WARMED_NOT:
        return BW_ERR_BUSY;
    case BW_WARMED:
        return BW_OK;
    case BW_WARMED_UNREADABLE: /* before the index is loaded it says nothing of one record */
        return bw_store_loaded(s) ? corrupt(s) : BW_ERR_NOT_FOUND;
    }
    BW_UNREACHABLE();
}

/* ---- records ---- */

static enum bw_err decode(struct bw_store *s, struct bw_slice bytes, struct bw_field *fields,
                          bool verify, struct bw_entry *out)
{
    if (!bw_entry_decode(bytes, fields, BW_ENTRY_FIELDS_MAX, verify, out))
        return corrupt(s);
    switch (bw_purge_covers(s, &out->primary, out->objid)) {
    case BW_PURGED_NOT:
        return BW_OK;
    case BW_PURGED_SOFT:
        out->terms.flags |= BW_TERMS_PURGED_SOFT;
        return BW_OK;
    case BW_PURGED_HARD:
        return BW_ERR_NOT_FOUND;
    }
    BW_UNREACHABLE();
}

/* The field list in front, the bytes that it points into behind it: one allocation. */
static enum bw_err copy_record(struct bw_reader *r, const struct bw_hash *key, bw_alloc_fn alloc,
                               void *ctx, struct bw_field **fields, struct bw_slice *bytes)
{
    MDB_val k = bw_val(key->bytes, sizeof(key->bytes)), v;
    enum bw_err err = error_of(r->store, mdb_get(r->txn, r->store->meta, &k, &v));

    if (err != BW_OK)
        return err;
    size_t n = bw_entry_fields_in(bw_val_slice(v));
    if (n == SIZE_MAX)
        return corrupt(r->store);
    char *memory = alloc(ctx, n * sizeof(**fields) + v.mv_size);
    if (memory == NULL)
        return BW_ERR_MEMORY;
    *fields = (struct bw_field *)(void *)memory;
    memory += n * sizeof(**fields);
    memcpy(memory, v.mv_data, v.mv_size);
    *bytes = bw_slice(memory, v.mv_size);
    return BW_OK;
}

enum bw_err bw_reader_get(struct bw_reader *r, const struct bw_hash *key, bool verify,
                          bw_alloc_fn alloc, void *ctx, struct bw_entry *out)
{
    struct bw_field *fields;
    struct bw_slice bytes;

    enum bw_err err = BW_OK;
    if (BW_UNLIKELY(!bw_store_loaded(r->store)))
        err = ask_for(r->store, bw_warm_record_mark(key));
    if (err == BW_OK)
        err = renew(r);
    if (err != BW_OK)
        return err;
    err = copy_record(r, key, alloc, ctx, &fields, &bytes);
    release(r);
    return err == BW_OK ? decode(r->store, bytes, fields, verify, out) : err;
}

/* ---- bodies ---- */

static bool is_in_memory(const char *p, size_t n)
{
    unsigned char pages[RUN_PAGES];
    char *start = bw_page_of(p);
    size_t len = (size_t)(p + n - start), count = (len + BW_STORE_PAGE - 1) / BW_STORE_PAGE;

    if (count > RUN_PAGES || mincore(start, len, pages) != 0)
        return true; /* not to be known: read it in place */
    for (size_t i = 0; i < count; i++)
        if (!(pages[i] & 1))
            return false;
    return true;
}

static bool is_sound(struct bw_slice chunk)
{
    uint64_t sum;

    memcpy(&sum, chunk.base + chunk.len - BW_CHUNK_SUM, sizeof(sum));
    return sum == bw_hash_64(bw_slice(chunk.base, chunk.len - BW_CHUNK_SUM));
}

/* The chunk with its checksum; `*warm`: an io thread has just read all of it. */
static enum bw_err find_chunk(struct bw_reader *r, uint64_t body_key, struct bw_slice *chunk,
                              bool *warm)
{
    MDB_val k = bw_val(&body_key, sizeof(body_key)), v;
    enum bw_err err = BW_OK;

    *warm = !bw_store_loaded(r->store);
    if (BW_UNLIKELY(*warm))
        err = ask_for(r->store, bw_warm_chunk_mark(body_key));
    if (err == BW_OK)
        err = error_of(r->store, mdb_get(r->txn, r->store->body, &k, &v));
    if (err != BW_OK)
        return err;
    *chunk = bw_val_slice(v);
    if (chunk->len <= BW_CHUNK_SUM || chunk->len > BW_CHUNK_SIZE + BW_CHUNK_SUM)
        return corrupt(r->store);
    return BW_OK;
}

static size_t recent_slot(uint64_t body_key)
{
    return (size_t)((body_key * UINT64_C(0x9E3779B97F4A7C15)) >> 56) % RECENT;
}

static bool is_recent(const struct bw_reader *r, uint64_t body_key, int64_t now)
{
    size_t at = recent_slot(body_key);

    return r->recent[at].body_key == body_key && now < r->recent[at].until_us;
}

static void note_recent(struct bw_reader *r, uint64_t body_key, int64_t now)
{
    size_t at = recent_slot(body_key);

    r->recent[at].body_key = body_key;
    r->recent[at].until_us = now + RECENT_US;
}

/* May these bytes of the chunk be touched?  All of it is asked for: the rest is wanted next. */
static enum bw_err have_in_memory(struct bw_reader *r, uint64_t body_key, struct bw_slice chunk,
                                  struct bw_slice bytes)
{
    int64_t now = bw_clock_mono_us();

    if (is_recent(r, body_key, now))
        return BW_OK;
    if (is_in_memory(chunk.base, chunk.len)) {
        note_recent(r, body_key, now);
        return BW_OK;
    }
    if (bytes.len < chunk.len && is_in_memory(bytes.base, bytes.len))
        return BW_OK;
    return ask_for(r->store, bw_warm_chunk_mark(body_key));
}

struct range {
    size_t at, n; /* within the chunk */
    bool verify;
};

static enum bw_err copy_range(struct bw_reader *r, uint64_t body_key, struct range range, char *out,
                              size_t *got)
{
    struct bw_slice chunk;
    bool warm;
    enum bw_err err = find_chunk(r, body_key, &chunk, &warm);

    if (err != BW_OK)
        return err;
    size_t len = chunk.len - BW_CHUNK_SUM;
    if (range.at >= len)
        return BW_ERR_NOT_FOUND;
    size_t n = range.n < len - range.at ? range.n : len - range.at;
    if (!warm)
        err = have_in_memory(r, body_key, chunk,
                             range.verify ? chunk : bw_slice(chunk.base + range.at, n));
    if (err != BW_OK)
        return err;
    if (range.verify && !is_sound(chunk))
        return corrupt(r->store);
    memcpy(out, chunk.base + range.at, n);
    *got = n;
    return BW_OK;
}

// NOLINTNEXTLINE(readability-function-size): the hit path fills no struct for it
enum bw_err bw_reader_body(struct bw_reader *r, uint64_t objid, uint64_t offset, size_t n,
                           bool verify, char *out, size_t *got)
{
    uint64_t chunk = offset / BW_CHUNK_SIZE;
    struct range range = {(size_t)(offset % BW_CHUNK_SIZE), n, verify};

    *got = 0;
    if (chunk >= BW_CHUNKS_MAX)
        return BW_ERR_NOT_FOUND;
    enum bw_err err = renew(r);
    if (err != BW_OK)
        return err;
    err = copy_range(r, bw_body_key(objid, (uint32_t)chunk), range, out, got);
    release(r);
    return err;
}

struct view {
    uint64_t body_key;
    struct bw_slice bytes;
    bool is_whole; /* the chunk */
};

/* The chunk of `body_key` from `at` on. */
static enum bw_err view_chunk(struct bw_reader *r, uint64_t body_key, size_t at, uint64_t most,
                              struct view *view)
{
    struct bw_slice chunk;
    bool warm;
    enum bw_err err = find_chunk(r, body_key, &chunk, &warm);

    if (err != BW_OK)
        return err;
    size_t len = chunk.len - BW_CHUNK_SUM;
    if (at >= len)
        return BW_ERR_NOT_FOUND;
    view->body_key = body_key;
    view->bytes = bw_slice(chunk.base + at, most < len - at ? (size_t)most : len - at);
    view->is_whole = view->bytes.len == len;
    return BW_OK;
}

/* From the first byte of one to the last of another, or more than any run has. */
static size_t reach(struct bw_slice from, struct bw_slice to)
{
    return to.base < from.base ? SIZE_MAX : (size_t)(to.base + to.len - from.base);
}

/* How many of the views, from the first on, lie side by side. */
static size_t run_of(const struct view *v, size_t n)
{
    size_t bytes = v[0].bytes.len, i = 1;

    while (i < n && reach(v[0].bytes, v[i].bytes) <= bytes + NEIGHBOURS + v[i].bytes.len &&
           reach(v[0].bytes, v[i].bytes) <= RUN_BYTES) {
        bytes = reach(v[0].bytes, v[i].bytes);
        i++;
    }
    return i;
}

/* How many of those that lie side by side with the first are in memory, itself included. */
static size_t run_in_memory(struct bw_reader *r, const struct view *v, size_t n, int64_t now)
{
    size_t run = run_of(v, n), good = 0;

    if (is_in_memory(v[0].bytes.base, reach(v[0].bytes, v[run - 1].bytes)))
        good = run;
    while (good < run && is_in_memory(v[good].bytes.base, v[good].bytes.len))
        good++;
    for (size_t i = 0; i < good; i++)
        if (v[i].is_whole)
            note_recent(r, v[i].body_key, now);
    return good;
}

/*
 * How many of the views, from the first on, may be touched.  An object's chunks mostly lie side by
 * side, and a question to the kernel costs about as much for many pages as for few.
 */
static size_t views_in_memory(struct bw_reader *r, const struct view *v, size_t n)
{
    int64_t now = bw_clock_mono_us();
    size_t at = 0;

    while (at < n) {
        size_t run = is_recent(r, v[at].body_key, now) ? 1 : run_in_memory(r, v + at, n - at, now);

        if (run == 0)
            break;
        at += run;
    }
    return at;
}

// NOLINTNEXTLINE(readability-function-size): a place, how much of it, and where to
static enum bw_err view_chunks(struct bw_reader *r, uint64_t objid, uint64_t offset, uint64_t most,
                               struct view *views, size_t max, size_t *n)
{
    enum bw_err err = BW_OK;

    *n = 0;
    while (most > 0 && *n < max && offset / BW_CHUNK_SIZE < BW_CHUNKS_MAX) {
        uint64_t key = bw_body_key(objid, (uint32_t)(offset / BW_CHUNK_SIZE));

        err = view_chunk(r, key, (size_t)(offset % BW_CHUNK_SIZE), most, &views[*n]);
        if (err != BW_OK)
            break;
        offset += views[*n].bytes.len;
        most -= views[*n].bytes.len;
        ++*n;
    }
    return *n > 0 ? BW_OK : err;
}

// NOLINTNEXTLINE(readability-function-size): the hit path fills no struct for it
enum bw_err bw_reader_view(struct bw_reader *r, uint64_t objid, uint64_t offset, uint64_t most,
                           struct bw_slice *pieces, size_t max, size_t *n)
{
    struct view views[VIEWS_MAX];
    enum bw_err err;

    *n = 0;
    if (BW_UNLIKELY(!bw_store_loaded(r->store)))
        return BW_ERR_BUSY;
    err = renew(r);
    if (err == BW_OK)
        err = view_chunks(r, objid, offset, most, views, max < VIEWS_MAX ? max : VIEWS_MAX, n);
    if (err != BW_OK)
        return err;
    *n = views_in_memory(r, views, *n);
    for (size_t i = 0; i < *n; i++)
        pieces[i] = views[i].bytes;
    return *n != 0 ? BW_OK : BW_ERR_BUSY;
}

void bw_reader_release(struct bw_reader *r)
{
    release(r);
}
