/*
 * accept_limits.c - how many connections there are, in total and of each client.
 *
 * Shared by all workers, touched once when a connection comes and once when it goes.  The total is
 * one atomic number.  Clients are counted in a table of shards with a mutex each; a client is an
 * IPv4 address or the /64 of an IPv6 address, since that is what one subscriber has.  The hash has
 * a secret, so that nobody can choose addresses that meet in one bucket.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/hash.h"
#include "breakwater/base/mem.h"
#include "breakwater/base/rand.h"

#include "wire_priv.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 64, BUCKETS = 128 };

struct client {
    struct client *next;
    uint8_t address[16];
    uint32_t connections;
};

struct shard {
    pthread_mutex_t lock;
    struct client *buckets[BUCKETS];
};

struct bw_accept_limits {
    atomic_uint total;
    struct bw_hash_secret secret;
    struct shard shards[SHARDS];
};

struct bw_accept_limits *bw_accept_limits_new(void)
{
    struct bw_accept_limits *l = bw_zalloc(sizeof(*l));

    bw_rand_secret(&l->secret, sizeof(l->secret));
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&l->shards[i].lock, NULL);
    return l;
}

void bw_accept_limits_free(struct bw_accept_limits *l)
{
    if (l == NULL)
        return;
    BW_ASSERT(atomic_load(&l->total) == 0);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_destroy(&l->shards[i].lock);
    free(l);
}

/* The admin address must answer when clients have taken all there is. */
struct bw_accept_limits *bw_limits_of(const struct bw_worker *w)
{
    return w->admin ? NULL : w->accept_limits;
}

bool bw_limits_enter(struct bw_accept_limits *l, uint32_t max)
{
    if (atomic_fetch_add(&l->total, 1) < max)
        return true;
    atomic_fetch_sub(&l->total, 1);
    return false;
}

void bw_limits_leave(struct bw_accept_limits *l)
{
    atomic_fetch_sub(&l->total, 1);
}

void bw_limits_client(const uint8_t address[16], uint8_t out[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memcpy(out, address, 16);
    if (memcmp(address, mapped, sizeof(mapped)) != 0)
        memset(out + 8, 0, 8);
}

/* The place of the client in its shard, which is locked; NULL there: not known. */
static struct client **find(struct bw_accept_limits *l, const uint8_t address[16], struct shard **s)
{
    struct bw_hash hash = bw_hash_128(bw_slice((const char *)address, 16), &l->secret);
    uint64_t h = bw_hash_prefix(&hash);
    struct client **at;

    *s = &l->shards[h % SHARDS];
    pthread_mutex_lock(&(*s)->lock);
    at = &(*s)->buckets[h / SHARDS % BUCKETS];
    while (*at != NULL && memcmp((*at)->address, address, 16) != 0)
        at = &(*at)->next;
    return at;
}

bool bw_limits_enter_address(struct bw_accept_limits *l, const uint8_t address[16], uint32_t max)
{
    uint8_t key[16];
    struct shard *s;
    struct client **at;
    bool fits;

    bw_limits_client(address, key);
    at = find(l, key, &s);
    fits = max > 0 && (*at == NULL || (*at)->connections < max);
    if (fits && *at == NULL) {
        *at = bw_zalloc(sizeof(**at));
        memcpy((*at)->address, key, sizeof(key));
    }
    if (fits)
        (*at)->connections++;
    pthread_mutex_unlock(&s->lock);
    return fits;
}

void bw_limits_leave_address(struct bw_accept_limits *l, const uint8_t address[16])
{
    uint8_t key[16];
    struct shard *s;
    struct client **at;

    bw_limits_client(address, key);
    at = find(l, key, &s);
    BW_ASSERT(*at != NULL);
    if (--(*at)->connections == 0) {
        struct client *gone = *at;

        *at = gone->next;
        free(gone);
    }
    pthread_mutex_unlock(&s->lock);
}
