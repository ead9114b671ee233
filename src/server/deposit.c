/*
 * deposit.c - a response to POST that is kept for GET  (RFC 9110, 9.3.3).
 *
 * An origin that answers POST with the page that its URL shows from now on says so by a
 * Content-Location of its own URL; with freshness that it states the page may be kept.  It is
 * collected while it passes and stored when it is whole, in one go: nobody ever reads a fill that
 * the client of a POST could hold up or cut off.  So only small ones are kept.
 */
#include "request_priv.h"

enum { DEPOSIT_MOST = 65536 };

struct deposit {
    struct bw_request *rq;
    struct bw_settings settings; /* as they are for GET */
    struct bw_policy_request policy;
    struct bw_key key;
    struct bw_fields fields;
    struct bw_slice reason;
    int64_t asked_ms, answered_ms;
    uint64_t seen; /* the purge sequence, when it had invalidated what was there before */
    struct bw_buf body;
    bool too_large;
    char date[BW_DATE_LEN];
};

/* Is it what the URL shows, and not an answer about what has been done? */
static bool shows_its_url(struct bw_request *rq, const struct bw_response_head *head,
                          struct bw_target *target)
{
    const struct bw_field *f = bw_fields_find(&head->fields, BW_F_CONTENT_LOCATION);
    struct bw_slice own;

    if (f == NULL || head->status != 200 || !bw_slice_eq(rq->x->head.method, BW_S("POST")))
        return false;
    own = bw_own_reference(rq, f->value);
    return own.len != 0 &&
           bw_target_normalise(own, bw_request_alloc(rq, own.len + 1), target) == BW_TARGET_OK &&
           bw_slice_eq(target->whole, rq->target.whole);
}

/*
 * What passes asks for codings and languages as its client wrote them, but by their normal form it
 * would be found: so it may not have been chosen by them.
 */
static bool is_to_be_kept(const struct deposit *d, int status)
{
    struct bw_policy_response res = {.status = status,
                                     .fields = &d->fields,
                                     .asked_ms = d->asked_ms,
                                     .answered_ms = d->answered_ms};
    struct bw_vary vary;

    return bw_policy_storable(&d->policy, &res).share &&
           bw_fields_find(&d->fields, BW_F_CONTENT_ENCODING) == NULL &&
           bw_vary_parse(&d->fields, &vary) == BW_VARY_NONE;
}

static bool copy_fields(struct deposit *d, const struct bw_response_head *head)
{
    struct bw_fields out;

    out.v = bw_request_alloc(d->rq, (head->fields.n + 1) * sizeof(struct bw_field));
    if (!bw_headers_from_origin(&head->fields, false, &out))
        return false;
    d->fields = bw_request_copy_fields(d->rq, &out);
    bw_add_date(&d->fields, d->answered_ms, d->date);
    return true;
}

struct deposit *bw_deposit_new(struct bw_request *rq, const struct bw_response_head *head)
{
    struct bw_target target;
    struct deposit *d;

    if (rq->settings.mode == BW_CACHE_BYPASS || !shows_its_url(rq, head, &target))
        return NULL;
    if (head->framing == BW_FRAMING_LENGTH && head->content_length > DEPOSIT_MOST)
        return NULL;
    d = bw_request_alloc(rq, sizeof(*d));
    *d = (struct deposit){
        .rq = rq, .answered_ms = bw_clock_ms(), .seen = bw_store_purge_seq(rq->w->lookup.store)};
    d->asked_ms = d->answered_ms - rq->origin_us / 1000;
    /* the rules for GET: they say by what it will be found, and may forbid it, too */
    bw_request_as_get(rq, &target, &d->settings, &d->key);
    d->policy = (struct bw_policy_request){rq->x->head.method, &rq->x->head.fields, &d->settings};
    if (!copy_fields(d, head) || !is_to_be_kept(d, head->status))
        return NULL;
    d->reason = bw_request_copy(rq, head->reason);
    return bw_budget_take(rq->w->budget, DEPOSIT_MOST) ? d : NULL;
}

void bw_deposit_add(struct deposit *d, struct bw_slice bytes)
{
    d->too_large = d->too_large || bytes.len > DEPOSIT_MOST - d->body.len;
    if (!d->too_large)
        bw_buf_slice(&d->body, bytes);
}

void bw_deposit_store(struct deposit *d)
{
    struct bw_fill_response r = {.status = 200,
                                 .reason = d->reason,
                                 .fields = &d->fields,
                                 .length = d->body.len,
                                 .asked_ms = d->asked_ms,
                                 .answered_ms = d->answered_ms};
    struct bw_join j = {.worker = d->rq->w->index,
                        .key = &d->key,
                        .policy = &d->policy,
                        .seen = d->seen,
                        .made = true};

    if (!d->too_large)
        bw_fill_deposit(d->rq->w->fills, &j, &r, bw_buf_view(&d->body));
}

void bw_deposit_free(struct deposit *d)
{
    bw_buf_free(&d->body);
    bw_budget_give(d->rq->w->budget, DEPOSIT_MOST);
}
