/*
 * lookup.c - index, record, key, variant, terms: the row that every hit walks.
 *
 * The index only points; what counts is the record.  A record with another objid than the index
 * named is judged as found; an entry without a record is remembered as dangling, so that the second
 * look under the shard's lock does not believe it again (docs/fill.md, rule 3).
 */
#include "breakwater/cache/lookup.h"

#include "breakwater/base/check.h"

enum found { FOUND, NOWHERE, COLD };

/* A record without chunks has been read whole now, and its checksum was right. */
static void note_verified(struct bw_index *index, struct bw_lookup *l)
{
    if (!l->hit.verified && l->hit.objid == l->entry.objid &&
        bw_entry_chunks(l->entry.body_len) == 0)
        bw_index_verified(index, &l->hit);
}

/* One record by its key; `l->entry`, `l->hit` on FOUND. */
static enum found find(struct bw_lookup_tools *t, struct bw_lookup *l, const struct bw_key *key)
{
    struct bw_index *index = bw_store_index(t->store);
    enum bw_err err;
    bool indexed;

    l->hit = (struct bw_index_hit){0};
    indexed = bw_index_find(index, &key->hash, &l->hit);
    if (!indexed && bw_store_loaded(t->store))
        return NOWHERE;
    err = bw_reader_get(t->reader, &key->hash, !l->hit.verified, l->alloc, l->alloc_ctx, &l->entry);
    if (err == BW_ERR_BUSY) {
        l->cold = key->hash;
        return COLD;
    }
    if (err == BW_OK && bw_slice_eq(l->entry.key, key->bytes)) {
        note_verified(index, l);
        if (indexed && l->hit.objid != l->entry.objid)
            l->dangling = l->hit.objid; /* what is found has just replaced it */
        return FOUND;
    }
    if (err == BW_ERR_CORRUPT && indexed)
        bw_writer_drop(t->store, &key->hash, l->hit.objid);
    if (indexed)
        l->dangling = l->hit.objid;
    return NOWHERE;
}

/* Pin, then look again: see pins.h for why this order needs no lock. */
static bool pin(struct bw_lookup_tools *t, struct bw_lookup *l, const struct bw_key *key)
{
    struct bw_index_hit again;

    if (bw_entry_chunks(l->entry.body_len) == 0)
        return true;
    bw_pin(t->pins, l->entry.objid);
    l->pinned = true;
    if (bw_index_find(bw_store_index(t->store), &key->hash, &again) ? again.objid == l->entry.objid
                                                                    : !bw_store_loaded(t->store))
        return true;
    bw_lookup_put(t, l);
    return false;
}

/* The key of the variant with those values; false: no memory. */
static bool make_variant(struct bw_lookup_tools *t, struct bw_lookup *l, struct bw_key *out)
{
    struct bw_slice values = bw_buf_view(&t->scratch);
    char *memory = l->alloc(l->alloc_ctx, l->key->bytes.len + values.len + 16);

    if (memory == NULL)
        return false;
    bw_key_variant(l->key, l->vary_id, values, bw_store_secret(t->store), memory, out);
    return true;
}

/* False: no memory. */
static bool variant_key(struct bw_lookup_tools *t, struct bw_lookup *l)
{
    bw_buf_clear(&t->scratch);
    bw_vary_values(l->entry.vary, l->policy->fields, &t->codings, &t->scratch);
    l->varies = true;
    l->vary_id = l->entry.vary_id;
    l->vary_names = l->entry.vary;
    return make_variant(t, l, &l->variant);
}

/* Where does the language lead that this client wants more than any other? */
static enum found find_by_language(struct bw_lookup_tools *t, struct bw_lookup *l,
                                   struct bw_key *variant)
{
    struct bw_slice language = bw_vary_language(l->policy->fields);
    enum found how;

    bw_buf_clear(&t->scratch);
    if (language.len == 0 ||
        !bw_vary_values_in(l->vary_names, l->policy->fields, &t->codings, language, &t->scratch))
        return NOWHERE;
    if (!make_variant(t, l, variant))
        return NOWHERE;
    how = find(t, l, variant);
    if (how != FOUND || l->entry.kind != BW_ENTRY_LANGUAGE)
        return how == COLD ? COLD : NOWHERE;
    bw_index_touch(bw_store_index(t->store), &l->hit);
    variant->bytes = l->entry.vary;
    variant->hash = bw_hash_128(variant->bytes, bw_store_secret(t->store));
    return find(t, l, variant);
}

/*
 * The request's own variant, else the one in its language.  That one has to be fresh: with this
 * request's fields only its own variant may be revalidated.
 */
static enum found find_variant(struct bw_lookup_tools *t, struct bw_lookup *l)
{
    enum found how = find(t, l, &l->variant);
    uint64_t dangling = l->dangling;
    struct bw_key other;

    if (how != NOWHERE)
        return how;
    how = find_by_language(t, l, &other);
    if (how == FOUND &&
        bw_policy_usable(l->policy, &l->entry.terms, l->now_ms).use == BW_USE_FRESH) {
        l->variant = other;
        return FOUND;
    }
    l->dangling = dangling; /* of the own one: what the other led to is not looked at again */
    return how == COLD ? COLD : NOWHERE;
}

static enum bw_lookup_answer miss(struct bw_lookup *l, enum found how, enum bw_reason why)
{
    l->reason = why;
    return how == COLD ? BW_LOOKUP_COLD : BW_LOOKUP_MISS;
}

enum bw_lookup_answer bw_lookup(struct bw_lookup_tools *t, struct bw_lookup *l)
{
    const struct bw_key *key = l->key;
    enum found how;

    l->pinned = l->varies = false;
    l->dangling = 0;
    l->seen = bw_store_purge_seq(t->store);
    how = find(t, l, key);
    if (how != FOUND)
        return miss(l, how, BW_REASON_URI_MISS);
    if (l->entry.kind == BW_ENTRY_VARY) {
        bw_index_touch(bw_store_index(t->store), &l->hit); /* all variants hang on it */
        if (!variant_key(t, l))
            return miss(l, NOWHERE, BW_REASON_MEMORY);
        key = &l->variant;
        how = find_variant(t, l);
        if (how != FOUND)
            return miss(l, how, BW_REASON_VARY_MISS);
    }
    l->usable = bw_policy_usable(l->policy, &l->entry.terms, l->now_ms);
    if (!pin(t, l, key))
        return miss(l, NOWHERE, BW_REASON_URI_MISS);
    if (!l->hit.verified && l->hit.objid == l->entry.objid &&
        bw_entry_chunks(l->entry.body_len) == 0)
        bw_index_verified(bw_store_index(t->store), &l->hit);
    return BW_LOOKUP_FOUND;
}

void bw_lookup_put(struct bw_lookup_tools *t, struct bw_lookup *l)
{
    if (l->pinned)
        bw_unpin(t->pins, l->entry.objid);
    l->pinned = false;
}
