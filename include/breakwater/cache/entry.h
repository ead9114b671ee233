/*
 * entry.h - the record of a stored response: how it lies in the store  (format version 1).
 *
 * Pure.  Encoding is for the machine that wrote it (little-endian, checked by the store's state
 * record).  A record is checksummed as a whole; decoding never trusts a length.
 */
#pragma once

#include "breakwater/base/buf.h"
#include "breakwater/base/hash.h"
#include "breakwater/cache/policy.h"

enum {
    BW_ENTRY_VERSION = 1,
    BW_ENTRY_INLINE_MAX = 2048,
    BW_ENTRY_FIELDS_MAX = 128,
    BW_ENTRY_CHUNKS_MAX = 1 << 16,
};

enum bw_entry_kind {
    BW_ENTRY_RESPONSE, /* a stored response */
    BW_ENTRY_VARY,     /* only says by which request fields the variants differ */
    BW_ENTRY_LANGUAGE, /* only says which variant is in a language */
};

struct bw_entry {
    enum bw_entry_kind kind;
    uint64_t objid;         /* 48 bits, never used again; 0 never occurs */
    uint64_t body_len;      /* complete length of the body */
    struct bw_slice key;    /* the full key (cache/key), to be compared */
    struct bw_hash primary; /* hash of the key without variant: what a purge of the URL names */
    struct bw_terms terms;
    struct bw_slice reason;  /* reason phrase */
    struct bw_fields fields; /* stored head */
    struct bw_slice vary;    /* BW_ENTRY_VARY: lower-case names joined by ','; BW_ENTRY_LANGUAGE:
                                the full key of the variant */
    uint64_t vary_id; /* BW_ENTRY_VARY: part of the variants' keys; a purge makes a new one */
    struct bw_slice inline_body; /* bodies up to BW_ENTRY_INLINE_MAX; else base NULL and chunks */
    uint32_t fetch_ms;           /* origin time to the last byte */
    uint8_t frequency_log2;      /* eviction.md 4.7 */
};

/* Appends the encoded record, checksum included. */
void bw_entry_encode(const struct bw_entry *e, struct bw_buf *out);

/*
 * Decode views of `bytes`.  `fields` has room for `max`.  With `verify` the checksum is computed;
 * without it only lengths are checked.  False: damaged.
 */
bool bw_entry_decode(struct bw_slice bytes, struct bw_field *fields, size_t max, bool verify,
                     struct bw_entry *out);

/* How many fields the record claims to have, at most BW_ENTRY_FIELDS_MAX; SIZE_MAX: not a record.
 */
size_t bw_entry_fields_in(struct bw_slice bytes);
/* The objid the record claims to have; 0: not a record. */
uint64_t bw_entry_objid_in(struct bw_slice bytes);
/* Changes a record in place: flags are added to its terms.  False: not a record. */
bool bw_entry_patch(char *bytes, size_t len, uint32_t flags, uint8_t frequency_log2);

/* Number of chunks a body of that length has in the store, 0 when it is inline. */
uint32_t bw_entry_chunks(uint64_t body_len);
