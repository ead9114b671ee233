/*
 * store.c - opening and closing the store, and what it says of itself.
 *
 * One LMDB environment with four trees:
 *
 *     meta     key (16 bytes)      -> record (entry.h)
 *     body     objid << 16 | chunk -> bytes of body, XXH3-64 of them
 *     primary  primary key         -> keys of its variants, for a purge of the URL
 *     state    name                -> format, secret, objid, clean, frequency/NNNNNNNN
 *
 * The map is a quarter larger than the budget: pages that a commit frees are used again only by the
 * one after the next, and deletes need free pages too (libh2o-and-lmdb.md, 5).
 */
#include "breakwater/base/clock.h"
#include "breakwater/base/log.h"
#include "breakwater/base/rand.h"

#include "store_priv.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    READERS = 512,        /* LMDB's table of readers: 64 bytes each */
    MAP_SPARE = 64 << 20, /* bytes that the map is larger than the budget, at least */
    SIZE_MIN = 1 << 20,
    MEMORY_MIN = 2 * BW_STORE_GROUP,
    OBJIDS_AHEAD = 1 << 20,
    INDEX_STEP = 1 << 20,     /* bytes taken from the budget at once */
    INDEX_GROWTH = 1 << 16,   /* entries: more than a batch or two thousand loaded records add */
    PATIENCE_US = 300 * 1000, /* a store that is loaded so soon has no beginning without hits */
};

/* What the machine and the program must have in common with whoever wrote the file. */
struct format {
    uint32_t version;
    uint32_t byte_order;
    uint32_t page_size;
    uint32_t chunk_size;
};

static struct format our_format(void)
{
    return (struct format){BW_ENTRY_VERSION, 0x01020304, BW_STORE_PAGE, BW_CHUNK_SIZE};
}

enum outcome {
    OPENED,
    UNUSABLE, /* the file: set it aside and begin anew */
    FAILED,   /* `why` says it */
};

/* ---- room ---- */

/* A value of that size takes pages of its own, with LMDB's 16 bytes of page head, or lies in a
 * leaf; whatever lies in a leaf is charged a page for its object. */
static uint64_t value_room(uint64_t n)
{
    return n <= 2000 ? BW_STORE_PAGE : (n + 16 + BW_STORE_PAGE - 1) / BW_STORE_PAGE * BW_STORE_PAGE;
}

uint64_t bw_record_room(size_t record)
{
    return value_room(record);
}

uint64_t bw_body_room(uint64_t body_len)
{
    uint64_t rest = body_len % BW_CHUNK_SIZE;
    uint64_t whole = body_len / BW_CHUNK_SIZE * value_room(BW_CHUNK_SIZE + BW_CHUNK_SUM);

    return whole + (rest > 0 ? value_room(rest + BW_CHUNK_SUM) : 0);
}

uint64_t bw_object_room(size_t record, uint64_t body_len)
{
    return bw_record_room(record) + (bw_entry_chunks(body_len) > 0 ? bw_body_room(body_len) : 0);
}

bool bw_store_peek(struct bw_slice record, struct bw_entry *out)
{
    struct bw_field fields[BW_ENTRY_FIELDS_MAX];
    bool ok = bw_entry_decode(record, fields, BW_ENTRY_FIELDS_MAX, false, out);

    out->fields = (struct bw_fields){NULL, 0};
    return ok;
}

/* The index never shrinks, so what is taken stays taken. */
void bw_store_charge_index(struct bw_store *s)
{
    size_t want = MEMORY_MIN + (size_t)bw_index_charge(s->index, INDEX_GROWTH);

    while (s->charged < want && bw_budget_take(s->budget, INDEX_STEP))
        s->charged += INDEX_STEP;
    bw_index_limit(s->index, (s->charged - MEMORY_MIN) / BW_INDEX_ENTRY);
}

bool bw_store_pinned(void *store, uint64_t objid)
{
    const struct bw_store *s = store;

    for (size_t i = 0; i < s->pins_n; i++)
        if (bw_pinned(s->pins[i], objid))
            return true;
    return false;
}

void bw_store_hold(struct bw_store *s)
{
    bw_index_hold(s->index, s->dooms.waiting + s->squeezed);
}

/* ---- objids ---- */

uint64_t bw_store_new_objid(struct bw_store *s)
{
    return atomic_fetch_add_explicit(&s->next_objid, 1, memory_order_relaxed);
}

/*
 * A crash forgets which objids were given out, so those on disk are always behind a limit that is
 * on disk too, in the same commit or an earlier one.
 */
int bw_store_reserve_objids(struct bw_store *s, MDB_txn *txn)
{
    uint64_t next = atomic_load_explicit(&s->next_objid, memory_order_relaxed);
    uint64_t limit = next + OBJIDS_AHEAD;
    MDB_val key = bw_val("objid", 5), value = bw_val(&limit, sizeof(limit));

    if (next + OBJIDS_AHEAD / 2 < s->reserved_objid)
        return 0;
    int rc = mdb_put(txn, s->state, &key, &value, 0);
    if (rc == 0)
        s->reserved_objid = limit; /* an abort makes it too high: then it is only written later */
    return rc;
}

/* ---- the first transaction ---- */

static int get_state(struct bw_store *s, MDB_txn *txn, const char *name, void *out, size_t n)
{
    MDB_val key = bw_val(name, strlen(name)), value;
    int rc = mdb_get(txn, s->state, &key, &value);

    if (rc != 0)
        return rc;
    if (value.mv_size != n)
        return MDB_CORRUPTED;
    memcpy(out, value.mv_data, n);
    return 0;
}

static int put_state(struct bw_store *s, MDB_txn *txn, const char *name, const void *p, size_t n)
{
    MDB_val key = bw_val(name, strlen(name)), value = bw_val(p, n);

    return mdb_put(txn, s->state, &key, &value, 0);
}

static int open_trees(struct bw_store *s, MDB_txn *txn)
{
    int rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &s->meta);

    if (rc == 0)
        rc = mdb_dbi_open(txn, "body", MDB_CREATE | MDB_INTEGERKEY, &s->body);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "primary", MDB_CREATE | MDB_DUPSORT | MDB_DUPFIXED, &s->primary);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "state", MDB_CREATE, &s->state);
    return rc;
}

/* A file that takes the place of a damaged one has its secret and goes on with its objids. */
static int write_birth(struct bw_store *s, MDB_txn *txn)
{
    struct format ours = our_format();
    uint64_t first = atomic_load(&s->next_objid);

    if (!s->born)
        bw_rand_secret(&s->secret, sizeof(s->secret));
    s->born = true;
    int rc = put_state(s, txn, "format", &ours, sizeof(ours));
    if (rc == 0)
        rc = put_state(s, txn, "secret", &s->secret, sizeof(s->secret));
    if (rc == 0)
        rc = put_state(s, txn, "objid", &first, sizeof(first));
    return rc;
}

static int read_birth(struct bw_store *s, MDB_txn *txn)
{
    uint64_t next;
    int rc = get_state(s, txn, "objid", &next, sizeof(next));

    if (rc == 0)
        rc = get_state(s, txn, "secret", &s->secret, sizeof(s->secret));
    if (rc != 0)
        return rc;
    s->born = true;
    atomic_store(&s->next_objid, next);
    return 0;
}

/* MDB_VERSION_MISMATCH also for another format of ours. */
static int read_state(struct bw_store *s, MDB_txn *txn)
{
    struct format theirs, ours = our_format();
    MDB_stat stat;
    int rc = get_state(s, txn, "format", &theirs, sizeof(theirs));

    if (rc == MDB_NOTFOUND && mdb_stat(txn, s->meta, &stat) == 0 && stat.ms_entries == 0)
        rc = write_birth(s, txn);
    else if (rc == 0 && memcmp(&theirs, &ours, sizeof(ours)) != 0)
        return MDB_VERSION_MISMATCH;
    else if (rc == 0)
        rc = read_birth(s, txn);
    return rc == 0 ? bw_store_reserve_objids(s, txn) : rc;
}

static int first_transaction(struct bw_store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    rc = open_trees(s, txn);
    if (rc == 0)
        rc = read_state(s, txn);
    if (rc == 0)
        rc = bw_load_begin(s, txn);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

/* ---- opening ---- */

static uint64_t map_size(uint64_t size)
{
    uint64_t spare = size / 4 > MAP_SPARE ? size / 4 : MAP_SPARE;

    return (size + spare + BW_STORE_PAGE - 1) / BW_STORE_PAGE * BW_STORE_PAGE;
}

/* LMDB aborts when this returns: pages that were sound at the start are not any more. */
static void say_last_words(MDB_env *env, const char *what)
{
    (void)env;
    bw_log(BW_LOG_ERROR,
           "cache: the store has been damaged while it was open (%s): check the disk; the next "
           "start sets it aside",
           what);
}

static int open_environment(struct bw_store *s)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (s->relaxed ? MDB_NOSYNC : 0);
    int dead, fd;
    int rc = mdb_env_create(&s->env);

    BW_ASSERT(rc == 0);
    mdb_env_set_assert(s->env, say_last_words);
    mdb_env_set_maxdbs(s->env, 8);
    mdb_env_set_maxreaders(s->env, READERS);
    mdb_env_set_mapsize(s->env, map_size(s->size));
    rc = mdb_env_open(s->env, s->directory, flags, 0600);
    if (rc != 0)
        return rc;
    mdb_reader_check(s->env, &dead);
    mdb_env_get_fd(s->env, &fd);
    s->data_fd = fd;
    return 0;
}

static void close_environment(struct bw_store *s)
{
    bw_load_free(s);
    bw_inspect_end(&s->inspection);
    s->data_fd = -1;
    s->map = NULL;
    if (s->env != NULL)
        mdb_env_close(s->env);
    s->env = NULL;
}

/* A value inside a leaf, whose page begins with its number: so many pages before it is the map. */
static int find_map(struct bw_store *s)
{
    MDB_val key = bw_val("format", 6), value;
    MDB_envinfo info;
    uint64_t number;
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

    if (rc != 0)
        return rc;
    rc = mdb_get(txn, s->state, &key, &value);
    if (rc == 0)
        rc = mdb_env_info(s->env, &info);
    if (rc == 0) {
        const char *page = bw_page_of(value.mv_data);
        memcpy(&number, page, sizeof(number));
        s->map = page - number * BW_STORE_PAGE;
        s->map_size = info.me_mapsize;
    }
    mdb_txn_abort(txn);
    return rc;
}

static int open_inspected(struct bw_store *s)
{
    int rc = open_environment(s);

    if (rc == 0)
        rc = first_transaction(s);
    return rc == 0 ? find_map(s) : rc;
}

static bool is_damage(int rc)
{
    return rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED ||
           rc == MDB_PAGE_NOTFOUND || rc == MDB_PANIC || rc == MDB_INCOMPATIBLE ||
           rc == MDB_NOTFOUND || rc == MDB_BAD_VALSIZE;
}

static const char *say_what_is_wrong(bool foreign)
{
    return foreign ? "is of another version" : "is damaged";
}

static enum outcome try_to_open(struct bw_store *s, char *why, size_t why_len)
{
    char *path = bw_folder_path(s, "data.mdb");
    enum bw_meta_found found = bw_inspect_begin(&s->inspection, path);

    free(path);
    if (found != BW_META_FOUND) {
        close_environment(s);
        snprintf(why, why_len, "%s", say_what_is_wrong(found == BW_META_FOREIGN));
        return UNUSABLE;
    }
    int rc = open_inspected(s);
    if (rc == 0)
        return OPENED;
    close_environment(s);
    if (is_damage(rc)) {
        snprintf(why, why_len, "%s", say_what_is_wrong(rc == MDB_VERSION_MISMATCH));
        return UNUSABLE;
    }
    snprintf(why, why_len,
             "cache.directory: cannot open the store in %s (%s): check the disk and the owner of "
             "its files",
             s->directory, mdb_strerror(rc));
    return FAILED;
}

static bool open_or_begin(struct bw_store *s, char *why, size_t why_len)
{
    enum outcome o = try_to_open(s, why, why_len);

    if (o == UNUSABLE) {
        bw_folder_set_aside(s, why);
        o = try_to_open(s, why, why_len);
    }
    if (o == UNUSABLE)
        snprintf(why, why_len, "cache.directory: %s/data.mdb cannot be used: delete it",
                 s->directory);
    return o == OPENED;
}

static void warn_of_large_file(const struct bw_store *s)
{
    struct stat st;

    if (fstat(s->data_fd, &st) == 0 && (uint64_t)st.st_size > map_size(s->size))
        bw_log(BW_LOG_WARN,
               "cache: %s/data.mdb keeps its %" PRIu64 " MiB although cache.size is now %" PRIu64
               " MiB: delete it while Breakwater is stopped to give the space back",
               s->directory, (uint64_t)st.st_size >> 20, s->size >> 20);
}

/* ---- before the index is whole ---- */

/* Either the writer sees that somebody reads, or the reader that it is too late: both orders are
 * sequentially consistent. */
bool bw_store_enter_early(struct bw_store *s)
{
    atomic_fetch_add(&s->early, 1);
    if (!atomic_load(&s->closed))
        return true;
    bw_store_leave_early(s);
    return false;
}

void bw_store_leave_early(struct bw_store *s)
{
    atomic_fetch_sub(&s->early, 1);
}

void bw_store_begin_anew(struct bw_store *s)
{
    char why[256];

    atomic_store(&s->closed, true);
    while (atomic_load(&s->early) > 0) /* as long as it takes to copy a chunk or send a few */
        sched_yield();
    close_environment(s);
    bw_index_forget(s->index);
    s->dooms.n = 0;
    s->reserved_objid = s->last_body_key = 0;
    bw_folder_set_aside(s, "is damaged");
    if (try_to_open(s, why, sizeof(why)) != OPENED)
        bw_log(BW_LOG_ERROR, "%s; until then nothing is stored", why);
}

/* The order of a power cut: marker first, then pages that may be lost. */
static void settle_durability(struct bw_store *s)
{
    if (s->relaxed) {
        bw_folder_mark_boot(s);
        return;
    }
    mdb_env_sync(s->env, 1);
    bw_folder_unmark_boot(s);
}

static bool check_options(const struct bw_store *s, char *why, size_t why_len)
{
    if (s->size < SIZE_MIN)
        snprintf(why, why_len, "cache.size is too small: at least 1 MiB");
    else if (!bw_budget_take(s->budget, MEMORY_MIN))
        snprintf(why, why_len, "cache.memory is too small: the store alone needs %d MiB",
                 MEMORY_MIN >> 20);
    else
        return true;
    return false;
}

static struct bw_store *new_store(const struct bw_store_options *o)
{
    struct bw_store *s = bw_zalloc(sizeof(*s));

    s->directory = bw_strdup(o->conf->directory);
    s->folder_lock = -1;
    s->data_fd = -1;
    s->inspection.fd = -1;
    s->inspection.budget = o->budget;
    s->inspection.stop = &s->closing;
    atomic_store(&s->next_objid, 1);
    s->relaxed = o->conf->durability == BW_DURABILITY_RELAXED;
    s->size = o->conf->size;
    s->budget = o->budget;
    s->pins = o->pins;
    s->pins_n = o->pins_n;
    pthread_mutex_init(&s->purges.lock, NULL);
    return s;
}

static void free_store(struct bw_store *s)
{
    close_environment(s);
    bw_folder_close(s);
    bw_bodies_free(s);
    if (s->index != NULL)
        bw_index_free(s->index);
    bw_budget_give(s->budget, s->charged);
    free(s->dooms.v);
    pthread_mutex_destroy(&s->purges.lock);
    free(s->directory);
    free(s);
}

static size_t queue_limit(const struct bw_cache_conf *conf)
{
    uint64_t quarter = conf->memory / 4;

    return quarter < 64 << 20 ? (size_t)quarter : 64 << 20;
}

static bool start_threads(struct bw_store *s, size_t limit, char *why, size_t why_len)
{
    int err = bw_warmer_start(s);

    if (err == 0) {
        err = bw_writer_start(s, limit);
        if (err != 0)
            bw_warmer_stop(s);
    }
    if (err == 0)
        return true;
    if (s->relaxed)
        bw_folder_unmark_boot(s);
    snprintf(why, why_len,
             "the store cannot start its threads: %s; allow the process more threads and memory",
             strerror(err));
    return false;
}

struct bw_store *bw_store_open(const struct bw_store_options *o, char *why, size_t why_len)
{
    struct bw_store *s = new_store(o);

    if (!check_options(s, why, why_len)) {
        free_store(s);
        return NULL;
    }
    s->charged = MEMORY_MIN;
    s->index = bw_index_new(s->size, o->conf->protect);
    if (!bw_folder_has_room(s, why, why_len) || !bw_folder_open(s, why, why_len)) {
        free_store(s);
        return NULL;
    }
    bw_folder_check_boot(s);
    if (!open_or_begin(s, why, why_len)) {
        free_store(s);
        return NULL;
    }
    warn_of_large_file(s);
    settle_durability(s);
    bw_store_hold(s);
    if (!start_threads(s, queue_limit(o->conf), why, why_len)) {
        free_store(s);
        return NULL;
    }
    bw_writer_wait_loaded(s, PATIENCE_US);
    return s;
}

void bw_store_close(struct bw_store *s)
{
    bw_warmer_stop(s);
    bw_writer_stop(s);
    if (s->env != NULL)
        mdb_env_sync(s->env, 1);
    if (s->relaxed)
        bw_folder_unmark_boot(s);
    if (s->forsaken)
        bw_folder_discard(s);
    free_store(s);
}

/* ---- figures ---- */

struct bw_index *bw_store_index(struct bw_store *s)
{
    return s->index;
}

const struct bw_hash_secret *bw_store_secret(const struct bw_store *s)
{
    return &s->secret;
}

bool bw_store_loaded(const struct bw_store *s)
{
    return atomic_load_explicit(&s->loaded, memory_order_acquire);
}

static uint64_t read_count(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void bw_store_figures(const struct bw_store *s, struct bw_store_figures *out)
{
    struct stat st;

    *out = (struct bw_store_figures){
        .objects = bw_index_count(s->index),
        .bytes = bw_index_used(s->index),
        .size = s->size,
        .file_bytes = fstat(s->data_fd, &st) == 0 ? (uint64_t)st.st_size : 0,
        .index_bytes = bw_index_memory(s->index),
        .stored = read_count(&s->counters.stored),
        .evicted = read_count(&s->counters.evicted),
        .refused = read_count(&s->counters.refused),
        .deleted = read_count(&s->counters.deleted),
        .lost = read_count(&s->counters.lost),
        .corrupt = read_count(&s->counters.corrupt),
        .commits = read_count(&s->counters.commits),
        .queue_bytes = atomic_load_explicit(&s->writer.bytes, memory_order_relaxed),
        .queue_full = read_count(&s->counters.queue_full),
    };
}
