/*
 * fills.c - the table of fills: which fetch is under way for a key, and what was learnt about it.
 *
 * 64 shards, each a mutex and a chained hash.  A slot holds the fill that others may join, and a
 * note that outlives it: PASS (the last response was not for others: hit-for-miss), RETRY (a
 * refresh failed: not again at once), VARY (the response varies; the base record is on its way to
 * the store).  Notes are bounded, the oldest goes.
 */
#include "fill_priv.h"

struct shard *bw_shard_of(struct bw_fills *fs, const struct bw_hash *key)
{
    return &fs->shard[bw_hash_prefix(key) >> 32 & (SHARDS - 1)];
}

static struct slot **bucket_of(struct shard *sh, const struct bw_hash *key)
{
    return &sh->bucket[bw_hash_prefix(key) & (SHARD_BUCKETS - 1)];
}

struct slot *bw_slot_find(struct shard *sh, const struct bw_hash *key)
{
    struct slot *s = *bucket_of(sh, key);

    while (s != NULL && !bw_hash_eq(&s->key, key))
        s = s->chain;
    return s;
}

struct slot *bw_slot_need(struct shard *sh, const struct bw_hash *key,
                          const struct bw_hash *primary)
{
    struct slot *s = bw_slot_find(sh, key);
    struct slot **bucket = bucket_of(sh, key);

    if (s != NULL)
        return s;
    s = bw_zalloc(sizeof(*s));
    s->key = *key;
    s->primary = *primary;
    s->chain = *bucket;
    *bucket = s;
    sh->slots++;
    return s;
}

static void note_unlink(struct shard *sh, struct slot *s)
{
    if (s->note == NOTE_NONE)
        return;
    *(s->older != NULL ? &s->older->newer : &sh->oldest) = s->newer;
    *(s->newer != NULL ? &s->newer->older : &sh->newest) = s->older;
    s->older = s->newer = NULL;
    free(s->vary_names);
    s->vary_names = NULL;
    s->note = NOTE_NONE;
    s->mark = NULL;
    sh->notes--;
}

void bw_slot_tidy(struct shard *sh, struct slot *s)
{
    struct slot **at = bucket_of(sh, &s->key);

    if (s->fill != NULL || s->note != NOTE_NONE)
        return;
    while (*at != s)
        at = &(*at)->chain;
    *at = s->chain;
    sh->slots--;
    free(s);
}

enum note bw_slot_note(struct shard *sh, struct slot *s, int64_t now_ms)
{
    if (s->note != NOTE_NONE && s->until_ms <= now_ms)
        note_unlink(sh, s);
    return s->note;
}

void bw_note_set(struct shard *sh, struct slot *s, enum note note, int64_t until_ms)
{
    note_unlink(sh, s);
    if (note == NOTE_NONE)
        return;
    s->note = note;
    s->until_ms = until_ms;
    s->older = sh->newest;
    *(sh->newest != NULL ? &sh->newest->newer : &sh->oldest) = s;
    sh->newest = s;
    if (++sh->notes > NOTES_MAX) {
        struct slot *oldest = sh->oldest;

        note_unlink(sh, oldest);
        bw_slot_tidy(sh, oldest);
    }
}

struct bw_slice bw_slot_vary_names(const struct slot *s)
{
    return bw_slice(s->vary_names, s->vary_names_len);
}

void bw_note_set_vary(struct shard *sh, struct slot *s, const struct bw_fill *f)
{
    struct bw_slice names = bw_vary_names(&f->vary);

    bw_note_set(sh, s, NOTE_VARY, bw_clock_ms() + VARY_NOTE_MS);
    s->vary_id = f->vary_id;
    s->vary_born = f->born;
    s->vary_names = bw_slice_dup(names);
    s->vary_names_len = names.len;
}

static bool joinable(struct bw_fill *f)
{
    bool answer;

    pthread_mutex_lock(&f->lock);
    answer = f->joinable;
    pthread_mutex_unlock(&f->lock);
    return answer;
}

static void make_joinable(struct bw_fill *f, bool yes)
{
    pthread_mutex_lock(&f->lock);
    f->joinable = yes;
    pthread_mutex_unlock(&f->lock);
}

/* Whoever is put out here has an owner that has not left its slots yet: this is not its last
 * reference, so nothing is freed under the lock. */
bool bw_slot_enter(struct shard *sh, struct bw_fill *f, const struct bw_hash *key)
{
    struct slot *s = bw_slot_need(sh, key, &f->primary);

    if (s->fill != NULL && joinable(s->fill)) /* rule 6 */
        return false;
    /* rule 12: a purge may have walked past this slot already */
    if (bw_store_purged_since(f->fs->o.store, &f->primary, f->born))
        return false;
    if (s->fill != NULL)
        bw_fill_put(s->fill);
    bw_fill_take(f);
    s->fill = f;
    make_joinable(f, true);
    return true;
}

void bw_slot_leave(struct bw_fill *f, const struct bw_hash *key)
{
    struct shard *sh = bw_shard_of(f->fs, key);
    struct slot *s;
    bool ours = false;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_find(sh, key);
    if (s != NULL && s->fill == f) {
        s->fill = NULL;
        bw_slot_tidy(sh, s);
        ours = true;
    }
    pthread_mutex_unlock(&sh->lock);
    if (ours)
        bw_fill_put(f);
}

void bw_slot_unmark(struct bw_fill *f)
{
    struct shard *sh = bw_shard_of(f->fs, &f->birth_slot);
    struct slot *s;

    pthread_mutex_lock(&sh->lock);
    s = bw_slot_find(sh, &f->birth_slot);
    if (s != NULL && s->mark == f)
        s->mark = NULL;
    pthread_mutex_unlock(&sh->lock);
}

void bw_fills_event(struct bw_fills *fs, enum bw_fill_event e)
{
    atomic_fetch_add_explicit(&fs->events[e], 1, memory_order_relaxed);
}

struct bw_fills *bw_fills_new(const struct bw_fills_options *o)
{
    struct bw_fills *fs = bw_zalloc(sizeof(*fs));

    fs->o = *o;
    if (o->writer_ms == 0)
        fs->o.writer_ms = WRITER_MS;
    if (o->lag_ms == 0)
        fs->o.lag_ms = LAG_MS;
    fs->codings = (struct bw_vary_codings){o->codings, o->codings_n};
    bw_fills_set_limits(fs, o->waiters_max, o->max_object);
    fs->busy = aligned_alloc(64, o->workers * sizeof(*fs->busy));
    BW_ASSERT(fs->busy != NULL);
    memset(fs->busy, 0, o->workers * sizeof(*fs->busy));
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&fs->shard[i].lock, NULL);
    return fs;
}

static void free_slots(struct shard *sh)
{
    for (size_t b = 0; b < SHARD_BUCKETS; b++)
        while (sh->bucket[b] != NULL) {
            BW_ASSERT(sh->bucket[b]->fill == NULL);
            note_unlink(sh, sh->bucket[b]);
            bw_slot_tidy(sh, sh->bucket[b]);
        }
}

void bw_fills_free(struct bw_fills *fs)
{
    BW_ASSERT(atomic_load(&fs->live) == 0);
    for (size_t i = 0; i < SHARDS; i++) {
        free_slots(&fs->shard[i]);
        pthread_mutex_destroy(&fs->shard[i].lock);
    }
    free(fs->busy);
    free(fs);
}

void bw_fills_set_limits(struct bw_fills *fs, uint32_t waiters_max, uint64_t max_object)
{
    atomic_store(&fs->waiters_max, waiters_max);
    atomic_store(&fs->max_object, max_object);
}

/* Rule 31 for one slot: a fill of that URL that was born earlier is no longer joined. */
static void purge_slot(struct shard *sh, struct slot *s, uint64_t seq)
{
    struct bw_fill *f = s->fill;

    if (s->note == NOTE_VARY && s->vary_born < seq)
        note_unlink(sh, s); /* a purge begins a new vary_id, or old variants would come back */
    if (f == NULL || f->born >= seq)
        return;
    make_joinable(f, false);
    s->fill = NULL;
    bw_fills_event(f->fs, BW_FILL_PURGED);
    bw_fill_put(f); /* not the last one: see bw_slot_enter() */
}

static void purge_bucket(struct shard *sh, struct slot *s, const struct bw_hash *primary,
                         uint64_t seq)
{
    while (s != NULL) {
        struct slot *next = s->chain;

        if (bw_hash_eq(&s->primary, primary)) {
            purge_slot(sh, s, seq);
            bw_slot_tidy(sh, s);
        }
        s = next;
    }
}

/*
 * Variants lie in shards of their own, so all are walked.  That the deletes are queued before the
 * walk does no harm: a record of a fill that was born earlier is refused by the writer (rule 28).
 */
uint64_t bw_fills_purge(struct bw_fills *fs, const struct bw_hash *primary, bool soft)
{
    uint64_t seq = bw_store_purge(fs->o.store, primary, soft);

    bw_gate_pass("purge.walk");
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *sh = &fs->shard[i];

        pthread_mutex_lock(&sh->lock);
        for (size_t b = 0; b < SHARD_BUCKETS && sh->slots != 0; b++)
            purge_bucket(sh, sh->bucket[b], primary, seq);
        pthread_mutex_unlock(&sh->lock);
    }
    return seq;
}

uint64_t bw_fills_count(const struct bw_fills *fs, enum bw_fill_event e)
{
    return atomic_load_explicit(&fs->events[e], memory_order_relaxed);
}

uint64_t bw_fills_now(const struct bw_fills *fs)
{
    return atomic_load_explicit(&fs->live, memory_order_relaxed);
}

uint64_t bw_fills_waiting(const struct bw_fills *fs)
{
    return atomic_load_explicit(&fs->waiting, memory_order_relaxed);
}

bool bw_fills_busy(const struct bw_fills *fs, unsigned worker)
{
    return atomic_load(&fs->busy[worker].n) != 0;
}

/* Waiters are woken on the way and may change the list, so it is begun anew after each. */
void bw_fills_abort_all(struct bw_fills *fs, unsigned worker)
{
    struct bw_fill *f = fs->busy[worker].owned;

    while (f != NULL) {
        if (f->finished) {
            f = f->owned_next;
        } else {
            bw_fill_fail(f, BW_REASON_DRAINED);
            f = fs->busy[worker].owned;
        }
    }
}
