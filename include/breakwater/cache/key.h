/*
 * key.h - what makes two requests ask for the same thing?
 *
 * Pure.  A key is a string of length-prefixed parts (no delimiter that a request could forge):
 * scheme, authority, path, query, what a trusted peer says and what rules add.  Its hash finds a
 * record, the string itself is stored and compared, so that a collision is a miss and never a
 * foreign page.
 *
 * The URL part alone has a hash of its own, the `primary`: what a purge of the URL names, whatever
 * rules added and however it varies.
 */
#pragma once

#include "breakwater/base/hash.h"
#include "breakwater/cache/settings.h"
#include "breakwater/http/field.h"

struct bw_key {
    struct bw_slice bytes; /* memory of the caller */
    size_t url_len;        /* so many of them are the URL part */
    struct bw_hash hash;
};

struct bw_key_request {
    bool https;
    bool has_query;
    struct bw_slice authority; /* normal form */
    struct bw_slice path;      /* normal form */
    struct bw_slice query;     /* after bw_key_filter_query() */
    struct bw_slice said;      /* what a trusted peer says of host and scheme; empty: nothing */
    const struct bw_fields *fields;
};

/*
 * The query without the parameters that a rule ignores; the same bytes go to the origin, or the
 * parameter would be an input that is not part of the key.  `out` has room for query.len bytes; a
 * view of `query` where nothing is dropped.
 */
struct bw_slice bw_key_filter_query(struct bw_slice query, const struct bw_key_settings *settings,
                                    char *out);

/* How many bytes of memory bw_key_make() needs. */
size_t bw_key_size(const struct bw_key_request *rq, const struct bw_key_settings *settings);
void bw_key_make(const struct bw_key_request *rq, const struct bw_key_settings *settings,
                 const struct bw_hash_secret *secret, char *memory, struct bw_key *out);

/* Is that the key of a variant of the base record with that key? */
bool bw_key_is_variant(struct bw_slice key, struct bw_slice base);

/* The key of a variant: `memory` has room for key->bytes.len + values.len + 16 bytes. */
void bw_key_variant(const struct bw_key *key, uint64_t vary_id, struct bw_slice values,
                    const struct bw_hash_secret *secret, char *memory, struct bw_key *out);

struct bw_hash bw_key_primary(const struct bw_key *key, const struct bw_hash_secret *secret);
