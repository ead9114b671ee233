/*
 * probation.c - clients of which a connection was cut for a flood a short while ago.
 *
 * A flooder whose connection is closed opens the next one, and would find all its accounts full
 * again: the price of a flood would be that of opening connections.  So for some seconds it has
 * small accounts, which an honest client behind the same address does not notice.  Nobody is
 * refused here.
 *
 * A table of fixed size for each worker, without a lock: every client has one place in it, and of
 * two that meet there the later one has it.  The hash has a secret, so that nobody can choose
 * addresses that drive others out.
 */
#include "breakwater/base/hash.h"
#include "breakwater/base/mem.h"
#include "breakwater/base/rand.h"

#include "wire_priv.h"

#include <stdlib.h>

enum { PLACES = 1024 };

struct place {
    uint8_t client[16];
    uint64_t until; /* ms of the loop's clock; 0: nobody */
};

struct bw_probation {
    struct bw_hash_secret secret;
    struct place places[PLACES];
};

struct bw_probation *bw_probation_new(void)
{
    struct bw_probation *p = bw_zalloc(sizeof(*p));

    bw_rand_secret(&p->secret, sizeof(p->secret));
    return p;
}

void bw_probation_free(struct bw_probation *p)
{
    free(p);
}

static struct place *place_of(struct bw_probation *p, const uint8_t client[16])
{
    struct bw_hash hash = bw_hash_128(bw_slice((const char *)client, 16), &p->secret);

    return &p->places[bw_hash_prefix(&hash) % PLACES];
}

void bw_probation_begin(struct bw_probation *p, const uint8_t address[16], uint64_t until)
{
    uint8_t client[16];
    struct place *at;

    bw_limits_client(address, client);
    at = place_of(p, client);
    memcpy(at->client, client, sizeof(client));
    at->until = until;
}

bool bw_probation_has(struct bw_probation *p, const uint8_t address[16], uint64_t now)
{
    uint8_t client[16];
    const struct place *at;

    bw_limits_client(address, client);
    at = place_of(p, client);
    return now < at->until && memcmp(at->client, client, sizeof(client)) == 0;
}
