/*
 * hash.h - the only place that knows xxHash: cache keys (XXH3-128, secret seed) and checksums.
 *
 * Pure.  A 128-bit hash finds a record, it never proves that it is the right one: compare the key.
 */
#pragma once

#include "breakwater/base/slice.h"

struct bw_hash {
    uint8_t bytes[16]; /* canonical (big-endian) form: sorts and stores the same everywhere */
};

struct bw_hash_secret {
    uint8_t bytes[192];
};

struct bw_hash bw_hash_128(struct bw_slice s, const struct bw_hash_secret *secret);
uint64_t bw_hash_64(struct bw_slice s); /* checksum of stored bytes */
uint64_t
bw_hash_prefix(const struct bw_hash *h); /* the first 8 bytes as a number: shards, buckets */
bool bw_hash_eq(const struct bw_hash *a, const struct bw_hash *b);
