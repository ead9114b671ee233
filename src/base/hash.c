/*
 * hash.c - XXH3 behind our own names.
 *
 * The keyed form takes the whole 192 bytes as the secret of XXH3: a client who does not know it
 * cannot choose URLs that collide (security.md 7, "hash flooding").
 */
#include "breakwater/base/hash.h"

#include "breakwater/base/check.h"

#include <xxhash.h>

_Static_assert(sizeof(struct bw_hash_secret) >= XXH3_SECRET_SIZE_MIN, "XXH3 demands that much");
_Static_assert(sizeof(XXH128_canonical_t) == sizeof(struct bw_hash), "canonical form");

struct bw_hash bw_hash_128(struct bw_slice s, const struct bw_hash_secret *secret)
{
    XXH128_canonical_t canonical;
    struct bw_hash hash;

    XXH128_canonicalFromHash(
        &canonical, XXH3_128bits_withSecret(s.base, s.len, secret->bytes, sizeof(secret->bytes)));
    memcpy(hash.bytes, canonical.digest, sizeof(hash.bytes));
    return hash;
}

uint64_t bw_hash_64(struct bw_slice s)
{
    return XXH3_64bits(s.base, s.len);
}

uint64_t bw_hash_prefix(const struct bw_hash *h)
{
    uint64_t big_endian;

    memcpy(&big_endian, h->bytes, sizeof(big_endian));
    return __builtin_bswap64(big_endian);
}

bool bw_hash_eq(const struct bw_hash *a, const struct bw_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
