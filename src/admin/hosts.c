/*
 * hosts.c - a place for each host that is asked for, within fixed memory.
 *
 * Readers and the owner share a place through its version: odd while it changes hands.  The owner
 * publishes name and figures with release stores behind the odd version, and a reader loads them
 * with acquire before it looks at the version again: whoever saw a new word sees the new version
 * too.  On x86 all of this is plain moves.
 *
 * Only names made of the letters of host names get a place, so whatever prints one needs no care,
 * and no client can invent a host that looks like the common tally.
 */
#include "breakwater/base/hash.h"
#include "breakwater/base/mem.h"

#include "hosts_priv.h"

#include <stdlib.h>

struct place {
    _Atomic uint64_t version;
    _Atomic uint64_t name[BW_HOST_WORDS];
    struct bw_tally tally;
    char own_name[BW_HOST_NAME_MAX + 1]; /* the owner's copy, for comparing */
    size_t len;                          /* the owner's; 0: free */
};

struct set { /* what a search looks at stands together */
    uint64_t hash[BW_HOST_WAYS];
    uint64_t used_s[BW_HOST_WAYS];
    struct place place[BW_HOST_WAYS];
};

struct bw_host_table {
    struct bw_tally others;
    struct set sets[BW_HOST_SETS];
};

struct bw_host_table *bw_host_table_new(void)
{
    return bw_zalloc(sizeof(struct bw_host_table));
}

void bw_host_table_free(struct bw_host_table *t)
{
    free(t);
}

struct bw_tally *bw_host_others(struct bw_host_table *t)
{
    return &t->others;
}

static bool is_plain(struct bw_slice host)
{
    if (host.len == 0 || host.len > BW_HOST_NAME_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.base[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && strchr("-._[]:", c) == NULL)
            return false;
    }
    return memchr(host.base, 0, host.len) == NULL;
}

static void hand_over(struct place *p, struct bw_slice host)
{
    uint64_t words[BW_HOST_WORDS] = {0};
    uint64_t version = atomic_load_explicit(&p->version, memory_order_relaxed);

    memcpy(words, host.base, host.len);
    atomic_store_explicit(&p->version, version + 1, memory_order_relaxed);
    for (int i = 0; i < BW_HOST_WORDS; i++)
        atomic_store_explicit(&p->name[i], words[i], memory_order_release);
    for (int i = 0; i < BW_SUM_COUNT; i++)
        atomic_store_explicit(&p->tally.v[i], 0, memory_order_release);
    atomic_store_explicit(&p->version, version + 2, memory_order_release);
    memcpy(p->own_name, host.base, host.len);
    p->len = host.len;
}

/* A free place, else the one that was idle longest, if that is long enough; -1: none. */
static int find_room(const struct set *set, uint64_t second)
{
    int oldest = 0;

    for (int i = 0; i < BW_HOST_WAYS; i++) {
        if (set->place[i].len == 0)
            return i;
        if (set->used_s[i] < set->used_s[oldest])
            oldest = i;
    }
    return set->used_s[oldest] + BW_HOST_IDLE_S <= second ? oldest : -1;
}

static int find(const struct set *set, uint64_t hash, struct bw_slice host)
{
    for (int i = 0; i < BW_HOST_WAYS; i++)
        if (set->hash[i] == hash &&
            bw_slice_eq(bw_slice(set->place[i].own_name, set->place[i].len), host))
            return i;
    return -1;
}

struct bw_tally *bw_host_tally(struct bw_host_table *t, struct bw_slice host, uint64_t second)
{
    uint64_t hash = bw_hash_64(host);
    struct set *set = &t->sets[hash % BW_HOST_SETS];
    int i = host.len > 0 ? find(set, hash, host) : -1;

    if (i < 0) {
        i = is_plain(host) ? find_room(set, second) : -1;
        if (i < 0)
            return &t->others;
        hand_over(&set->place[i], host);
        set->hash[i] = hash;
    }
    set->used_s[i] = second;
    return &set->place[i].tally;
}

bool bw_host_read(const struct bw_host_table *t, unsigned place, struct bw_host_view *out)
{
    const struct place *p = &t->sets[place / BW_HOST_WAYS].place[place % BW_HOST_WAYS];
    uint64_t words[BW_HOST_WORDS];

    out->version = atomic_load_explicit(&p->version, memory_order_acquire);
    if (out->version == 0 || out->version % 2 == 1)
        return false;
    for (int i = 0; i < BW_HOST_WORDS; i++)
        words[i] = atomic_load_explicit(&p->name[i], memory_order_acquire);
    bw_tally_read(&p->tally, &out->sums);
    if (atomic_load_explicit(&p->version, memory_order_relaxed) != out->version)
        return false;
    memcpy(out->name, words, sizeof(out->name));
    return true;
}

void bw_tally_add(struct bw_tally *t, const struct bw_sums *s)
{
    for (int i = 0; i < BW_SUM_COUNT; i++)
        if (s->v[i] != 0)
            atomic_store_explicit(&t->v[i],
                                  atomic_load_explicit(&t->v[i], memory_order_relaxed) + s->v[i],
                                  memory_order_release);
}

void bw_tally_read(const struct bw_tally *t, struct bw_sums *out)
{
    for (int i = 0; i < BW_SUM_COUNT; i++)
        out->v[i] = atomic_load_explicit(&t->v[i], memory_order_acquire);
}
