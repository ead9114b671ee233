/*
 * lookup.h - is there a stored response for this request, and may it be used?
 *
 * The hit path: one lock-free look at the index, one read of the record (two where the response
 * varies), the full key compared, the terms judged.  No lock, no message, no allocation but from
 * `alloc`, which is the request's pool.  On the worker's thread.
 */
#pragma once

#include "breakwater/cache/key.h"
#include "breakwater/cache/store.h"
#include "breakwater/http/vary.h"

struct bw_lookup_tools { /* one for each worker */
    struct bw_store *store;
    struct bw_reader *reader;
    struct bw_pins *pins;
    struct bw_buf scratch; /* for the values of varying fields; grows once */
    struct bw_vary_codings codings;
};

enum bw_lookup_answer {
    BW_LOOKUP_FOUND, /* `entry` and `usable` are valid; put it with bw_lookup_put() */
    BW_LOOKUP_MISS,  /* `reason`: nothing stored, or no variant */
    BW_LOOKUP_COLD,  /* not in memory: bring in `cold` and look again */
};

struct bw_lookup {
    /* in */
    const struct bw_key *key;
    const struct bw_policy_request *policy;
    int64_t now_ms;
    bw_alloc_fn alloc;
    void *alloc_ctx;
    /* out */
    struct bw_entry entry;
    struct bw_usable usable;
    struct bw_index_hit hit;
    bool pinned;           /* a body in chunks is kept from eviction until put */
    enum bw_reason reason; /* of a miss */
    uint64_t dangling;     /* objid of an index entry that led nowhere, or to something unusable */
    uint64_t seen; /* the purge sequence before the look: what is found is not older than that */
    bool varies;   /* a base record was found: the three below are valid */
    struct bw_key variant;
    uint64_t vary_id;
    struct bw_slice vary_names;
    struct bw_hash cold; /* BW_LOOKUP_COLD: the key of the record */
};

enum bw_lookup_answer bw_lookup(struct bw_lookup_tools *t, struct bw_lookup *l);
/* Lets go of the pin, if there is one; may be called always, and twice. */
void bw_lookup_put(struct bw_lookup_tools *t, struct bw_lookup *l);
