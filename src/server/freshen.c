/*
 * freshen.c - what the answer to a HEAD says of the stored response to GET  (RFC 9111, 4.3.5).
 *
 * A HEAD that reaches the origin brings all that GET would, but for the content.  Where its
 * validators are those of what is stored, that is brought up to date, as a 304 would do it; where
 * they are others, what is stored is no longer what there is, and goes.  A 304 here is one to the
 * client's own condition: its validators count just as much.
 */
#include "breakwater/http/conditional.h"

#include "request_priv.h"

/* The request as it would have been with GET: the rules may tell them apart. */
struct as_get {
    struct bw_settings settings;
    struct bw_policy_request policy;
    struct bw_key key;
};

static bool may_speak_of_found(const struct bw_request *rq, const struct bw_response_head *head)
{
    return rq->is_head && rq->has_found && rq->found.usable.use != BW_USE_NEVER &&
           rq->found.entry.terms.status == 200 && (head->status == 200 || head->status == 304);
}

/* Many servers send a length of 0 with a 304, whatever there is. */
static uint64_t told_length(const struct bw_response_head *head)
{
    return head->status == 200 && head->framing == BW_FRAMING_LENGTH ? head->content_length
                                                                     : UINT64_MAX;
}

/* What was chosen by other fields than ours was is no word about ours. */
static bool varies_otherwise(const struct bw_request *rq, const struct bw_fields *answer)
{
    struct bw_vary ours, theirs;

    if (bw_fields_find(answer, BW_F_VARY) == NULL)
        return false;
    return bw_vary_parse(&rq->found.entry.fields, &ours) != bw_vary_parse(answer, &theirs) ||
           !bw_slice_eq(bw_vary_names(&ours), bw_vary_names(&theirs));
}

static bool as_get(struct bw_request *rq, struct as_get *get)
{
    bw_request_as_get(rq, &rq->target, &get->settings, &get->key);
    get->policy = (struct bw_policy_request){BW_S("GET"), &rq->x->head.fields, &get->settings};
    return bw_hash_eq(&get->key.hash, &rq->key.hash);
}

/* Is it, with its fields brought up to date, still a response for everybody? */
static bool stays_shared(struct bw_request *rq, const struct as_get *get,
                         const struct bw_fill_response *r)
{
    const struct bw_fields *stored = &rq->found.entry.fields;
    struct bw_policy_response merged_response = {
        .status = 200, .asked_ms = r->asked_ms, .answered_ms = r->answered_ms, .confirmed = true};
    struct bw_fields merged;

    merged.v = bw_request_alloc(rq, (stored->n + r->fields->n + 1) * sizeof(*merged.v));
    bw_headers_merge(stored, r->fields, &merged);
    merged_response.fields = &merged;
    return bw_policy_storable(&get->policy, &merged_response).share;
}

static void bring_up_to_date(struct bw_request *rq, const struct bw_response_head *head)
{
    struct bw_fill_response r = {.status = 304, .answered_ms = bw_clock_ms(), .length = UINT64_MAX};
    struct bw_fields fields;
    char date[BW_DATE_LEN];
    struct as_get get;
    struct bw_join j;

    fields.v = bw_request_alloc(rq, (head->fields.n + 2) * sizeof(struct bw_field));
    if (!as_get(rq, &get) || !bw_headers_from_origin(&head->fields, false, &fields))
        return;
    bw_add_date(&fields, r.answered_ms, date);
    r.asked_ms = r.answered_ms - rq->origin_us / 1000;
    r.fields = &fields;
    if (!stays_shared(rq, &get, &r))
        return;
    j = bw_join_for(rq);
    j.policy = &get.policy;
    j.made = true;
    bw_fill_freshen(rq->w->fills, &j, &r);
}

static void drop(struct bw_request *rq)
{
    const struct bw_key *key = rq->found.varies ? &rq->found.variant : &rq->key;

    bw_writer_drop(rq->w->lookup.store, &key->hash, rq->found.entry.objid);
    bw_count(rq->w->counters, BW_C_INVALIDATIONS, 1);
}

void bw_freshen(struct bw_request *rq, const struct bw_response_head *head)
{
    const struct bw_entry *found = &rq->found.entry;

    if (!may_speak_of_found(rq, head) || varies_otherwise(rq, &head->fields))
        return;
    switch (bw_conditional_describes(&found->fields, found->body_len, &head->fields,
                                     told_length(head))) {
    case BW_DESCRIBED_SAME:
        bring_up_to_date(rq, head);
        return;
    case BW_DESCRIBED_OTHER:
        drop(rq);
        return;
    case BW_DESCRIBED_UNKNOWN:
        return;
    }
    BW_UNREACHABLE();
}
