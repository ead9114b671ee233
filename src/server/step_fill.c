/*
 * step_fill.c - a miss: join the fetch that runs or lead one, and stream what it brings.
 *
 * Rule numbers are those of docs/fill.md.  The leader is the first reader and nothing more: what it
 * knows besides is its source, for 1xx responses.
 */
#include "breakwater/base/gate.h"
#include "breakwater/server/buffers.h"

#include "request_priv.h"

enum {
    RANGE_AHEAD = 16 << 20,    /* a range that begins so far ahead of the fill is fetched alone */
    KEEP_FOR_RANGE = 64 << 20, /* whole objects up to this are fetched for the sake of a range */
    SEND_MOST = 16 * BW_BLOCK_SIZE, /* bytes of blocks in one send */
    SEND_FIRST = BW_BLOCK_SIZE,     /* and in the first one to who waited with others */
};

static void woken(struct bw_waiter *w)
{
    struct bw_request *rq = BW_CONTAINER_OF(w, struct bw_request, waiter);

    if (rq->in_flight)
        return; /* the head alone is on its way: proceed() looks for what came since */
    bw_resume(rq, rq->responding || rq->fill_head != NULL ? STEP_STREAM : STEP_LOOK);
}

static void leave(struct bw_request *rq)
{
    bw_waited_for_origin(rq);
    bw_timer_stop(&rq->wait_timer);
    bw_next_cancel(&rq->head_later);
    if (rq->leading != NULL)
        bw_source_leader_gone(rq->leading);
    rq->leading = NULL;
    if (rq->waiter.fill != NULL)
        bw_fill_leave(&rq->waiter);
    rq->fill_head = NULL;
}

void bw_fill_abandon(struct bw_request *rq)
{
    leave(rq);
}

/* ---- joining ---- */

struct bw_join bw_join_for(struct bw_request *rq)
{
    struct bw_join j = {.worker = rq->w->index,
                        .key = &rq->key,
                        .policy = &rq->policy,
                        .dangling = rq->found.dangling,
                        .seen = rq->found.seen,
                        .may_lead = !rq->is_head,
                        .alone = rq->snapshot->conf->cache.collapse_waiters == 0,
                        .second = rq->sick_status != 0};

    if (rq->found.varies) {
        j.variant = &rq->found.variant;
        j.variant_vary_id = rq->found.vary_id;
        j.variant_names = rq->found.vary_names;
    }
    if (rq->has_found)
        j.found = rq->found.entry.objid;
    if (rq->has_found && rq->found.usable.use != BW_USE_NEVER) {
        j.base = &rq->found.entry;
        j.base_key = rq->found.varies ? &rq->found.variant : &rq->key;
    }
    return j;
}

/* May what was found be served although it is stale?  As of now: the wait may have been long. */
static bool may_be_stale(struct bw_request *rq)
{
    if (!rq->has_found)
        return false;
    rq->found.usable = bw_policy_usable(&rq->policy, &rq->found.entry.terms, bw_clock_ms());
    return rq->found.usable.use != BW_USE_NEVER;
}

static bool may_serve_stale(struct bw_request *rq)
{
    return may_be_stale(rq) && rq->found.usable.on_error;
}

static enum step try_again(struct bw_request *rq)
{
    leave(rq);
    rq->waiter.tries++;
    return STEP_LOOKUP;
}

/* RFC 5861, 4: and in place of an answer with that status? */
static bool may_cover(struct bw_request *rq, int status)
{
    return bw_policy_error_covered(status) && may_be_stale(rq) && rq->found.usable.on_5xx;
}

/* RFC 9111, 4.2.4: a stale response beats the want of an answer, where it is allowed. */
static enum step stale_or(struct bw_request *rq, enum bw_reason why)
{
    leave(rq);
    if (may_serve_stale(rq))
        return bw_deliver_stale(rq, why);
    return bw_answer(rq, bw_reason_status(why), BW_OUTCOME_ERROR, why);
}

/* The same where the origin answered, but sick. */
static enum step stale_or_sick(struct bw_request *rq, int status)
{
    leave(rq);
    rq->fwd_status = status;
    if (may_cover(rq, status))
        return bw_deliver_stale(rq, BW_REASON_ORIGIN_STATUS);
    return bw_answer(rq, status, BW_OUTCOME_ERROR, BW_REASON_ORIGIN_STATUS);
}

/* Rule 30. */
static void overdue(struct bw_timer *t)
{
    struct bw_request *rq = BW_CONTAINER_OF(t, struct bw_request, wait_timer);

    if (rq->waiter.for_commit) { /* the disk is slow, and the origin may not be */
        bw_resume(rq, try_again(rq));
        return;
    }
    if (!bw_fill_overdue(&rq->waiter))
        return; /* the head is out: its waker is on the way */
    if (may_serve_stale(rq) || rq->overdue_once) {
        bw_resume(rq, stale_or(rq, BW_REASON_FIRST_BYTE_TIMEOUT));
        return;
    }
    rq->overdue_once = true;
    leave(rq);
    bw_resume(rq, STEP_LOOKUP);
}

static void arm_wait(struct bw_request *rq)
{
    if (!rq->waiter.leads && rq->snapshot->conf->cache.collapse_wait_ms > 0)
        bw_timer_start(rq->w->loop, &rq->wait_timer, rq->snapshot->conf->cache.collapse_wait_ms,
                       overdue);
}

static void look_at_the_gate(struct bw_timer *t)
{
    bw_resume(BW_CONTAINER_OF(t, struct bw_request, wait_timer), STEP_FILL);
}

enum step bw_step_fill(struct bw_request *rq)
{
    struct bw_join j = bw_join_for(rq);

    if (bw_gate_held("reader.lookup")) { /* a test holds us between the index and the table */
        bw_timer_start(rq->w->loop, &rq->wait_timer, 5, look_at_the_gate);
        return STEP_WAIT;
    }
    rq->waiter.position = 0;
    rq->waiter.end = UINT64_MAX;
    switch (bw_fill_join(rq->w->fills, &rq->waiter, &j, woken)) {
    case BW_JOINED_LEADS:
        rq->asked_us = bw_clock_mono_us();
        rq->leading = bw_source_start(rq, rq->waiter.fill, true);
        return STEP_LOOK;
    case BW_JOINED_WAITS:
        rq->asked_us = bw_clock_mono_us();
        rq->collapsed = true;
        arm_wait(rq);
        return STEP_LOOK;
    case BW_JOINED_LOOK:
        if (rq->lookups < LOOKUPS_MAX)
            return STEP_LOOKUP;
        return STEP_PASS; /* something keeps storing what we cannot use */
    case BW_JOINED_SHED:
        return stale_or(rq, BW_REASON_SHED);
    case BW_JOINED_PASS:
        return STEP_PASS;
    case BW_JOINED_SICK:
        return stale_or_sick(rq, rq->sick_status);
    }
    BW_UNREACHABLE();
}

void bw_refresh_behind(struct bw_request *rq)
{
    struct bw_join j = bw_join_for(rq);
    struct bw_fill *f = bw_fill_refresh(rq->w->fills, &j);

    if (f != NULL)
        bw_source_start(rq, f, false);
}

/* ---- the head ---- */

/* Rule 15: who waited for this head takes it; who came later judges it as a lookup would. */
static bool usable_for(struct bw_request *rq, const struct bw_fill_head *head)
{
    struct bw_usable u;

    if (rq->waiter.leads)
        return true;
    u = bw_policy_usable(&rq->policy, &head->terms, bw_clock_ms());
    if (u.use == BW_USE_NEVER)
        return false;
    return rq->waited || u.use == BW_USE_FRESH || u.use == BW_USE_UPDATING;
}

/* Rule 16. */
static enum step sick(struct bw_request *rq, const struct bw_fill_head *head)
{
    int status = head->status;

    rq->fwd_status = status;
    if (may_cover(rq, status)) {
        leave(rq);
        return bw_deliver_stale(rq, BW_REASON_ORIGIN_STATUS);
    }
    if (rq->waiter.leads) {
        rq->fill_head = head;
        return STEP_STREAM;
    }
    if (rq->sick_status == 0) {
        rq->sick_status = status;
        leave(rq);
        return STEP_LOOKUP;
    }
    return stale_or_sick(rq, status);
}

enum step bw_step_look(struct bw_request *rq)
{
    const struct bw_fill_head *head;
    enum bw_reason why;

    switch (bw_fill_look(&rq->waiter, &head, &why)) {
    case BW_LOOK_WAIT:
        rq->waited = true;
        return STEP_WAIT;
    case BW_LOOK_HEAD:
        if (!bw_fill_variant_fits(&rq->waiter, &rq->x->head.fields))
            return try_again(rq); /* the record will be no more its own than the head is */
        if (!usable_for(rq, head))
            return bw_fill_await_commit(&rq->waiter) ? STEP_WAIT : try_again(rq);
        rq->fill_head = head;
        return STEP_STREAM;
    case BW_LOOK_OWN:
        rq->fill_head = head;
        return STEP_STREAM;
    case BW_LOOK_AGAIN:
        return try_again(rq);
    case BW_LOOK_FAILED:
        return sick(rq, head);
    case BW_LOOK_NONE:
        return stale_or(rq, why);
    }
    BW_UNREACHABLE();
}

/* ---- the head of the response ---- */

/* A fill that has everything but its commit: for who comes now it is the cache. */
static bool is_landing(const struct bw_request *rq)
{
    uint64_t length;

    return !rq->waiter.leads && !rq->waited && bw_fill_whole(&rq->waiter, &length);
}

static void note_hit(struct bw_request *rq, const struct bw_fill_head *head)
{
    rq->outcome = BW_OUTCOME_HIT;
    rq->reason = BW_REASON_NONE;
    rq->origin_us = 0;
    rq->collapsed = false;
    rq->has_ttl = true;
    rq->ttl_s = head->terms.lifetime_s - bw_policy_age_s(&head->terms, bw_clock_ms());
}

static void note_outcome(struct bw_request *rq, const struct bw_fill_head *head)
{
    if (is_landing(rq)) {
        note_hit(rq, head);
        return;
    }
    rq->fwd_status = head->revalidated ? 304 : head->status;
    rq->stored = head->storing;
    rq->has_ttl = head->storing;
    if (head->storing)
        rq->ttl_s = head->terms.lifetime_s - bw_policy_age_s(&head->terms, bw_clock_ms());
    if (head->revalidated)
        rq->outcome = BW_OUTCOME_REVALIDATED;
    else if (!head->storing && head->not_stored != BW_REASON_NONE) {
        rq->reason = head->not_stored;
        if (rq->outcome == BW_OUTCOME_MISS)
            rq->outcome = BW_OUTCOME_PASS;
    }
}

/* A range far ahead of the fetch would make its client wait for bytes it does not want. */
static bool too_far_ahead(struct bw_request *rq)
{
    return rq->spans_n == 1 && rq->spans[0].first > bw_fill_have(&rq->waiter) + RANGE_AHEAD;
}

static bool has_body(const struct bw_request *rq, enum shape shape)
{
    return !rq->is_head && shape != SHAPE_NOT_MODIFIED && shape != SHAPE_UNSATISFIABLE &&
           rq->fill_head->length != 0;
}

/* Ranges ascend, so the reader goes forward from one to the next. */
static void begin_span(struct bw_request *rq, unsigned at)
{
    rq->span_at = at;
    if (at < rq->spans_n && rq->spans[at].memory.base == NULL) {
        rq->waiter.position = rq->spans[at].first;
        rq->waiter.end = rq->spans[at].end;
    }
}

static bool at_last_span(const struct bw_request *rq)
{
    return rq->span_at + 1 >= rq->spans_n;
}

static void begin(struct bw_request *rq);

static void proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct bw_request *rq = H2O_STRUCT_FROM_MEMBER(struct bw_request, generator, generator);

    (void)req;
    rq->in_flight = false;
    if (rq->waiter.state == BW_WAITER_SENDING)
        bw_fill_sent(&rq->waiter);
    bw_resume(rq, STEP_STREAM);
}

static void finish_without_body(struct bw_request *rq)
{
    bw_respond(rq);
    if (rq->fill_head->storing && !rq->is_head)
        bw_fill_keep(&rq->waiter);
    bw_send_end(rq); /* the head's bytes are the fill's: it is left when the exchange is done */
}

static enum step start_response(struct bw_request *rq)
{
    const struct bw_fill_head *head = rq->fill_head;
    const struct bw_fields *fields = rq->waiter.leads ? &head->fields : &head->stored;
    bool aged = head->revalidated || (head->storing && !rq->waiter.leads);
    enum shape shape;

    bw_waited_for_origin(rq);
    note_outcome(rq, head);
    bw_reply_from(rq, head->status, head->reason, fields,
                  aged ? bw_policy_age_s(&head->terms, bw_clock_ms()) : -1);
    shape = bw_shape_reply(rq, fields, head->length);
    if (shape == SHAPE_PART && too_far_ahead(rq)) {
        if (head->storing && head->length <= KEEP_FOR_RANGE)
            bw_fill_keep(&rq->waiter);
        leave(rq);
        return STEP_PASS;
    }
    if (rq->spans_n != 0) {
        begin_span(rq, 0);
        if (head->storing && head->length <= KEEP_FOR_RANGE)
            bw_fill_keep(&rq->waiter);
    }
    rq->generator = (h2o_generator_t){proceed, NULL};
    if (!has_body(rq, shape)) {
        finish_without_body(rq);
        return STEP_WAIT;
    }
    return STEP_STREAM;
}

/* ---- the body ---- */

/* The head alone, where its first bytes did not come in the same round. */
static void send_head(struct bw_next *n)
{
    struct bw_request *rq = BW_CONTAINER_OF(n, struct bw_request, head_later);

    begin(rq);
    rq->in_flight = true;
    h2o_send(&rq->x->req, NULL, 0, H2O_SEND_STATE_IN_PROGRESS);
}

static void begin(struct bw_request *rq)
{
    if (!rq->responding)
        bw_respond(rq);
}

/* Has this reader got everything that its response promised? */
static bool complete(const struct bw_request *rq)
{
    uint64_t end = rq->waiter.end != UINT64_MAX ? rq->waiter.end : rq->fill_head->length;

    return at_last_span(rq) && rq->waiter.position == end;
}

/* What stands between the parts of a multipart answer. */
static void send_memory(struct bw_request *rq)
{
    struct bw_slice bytes = rq->spans[rq->span_at].memory;
    h2o_iovec_t v = h2o_iovec_init(bytes.base, bytes.len);
    bool last = at_last_span(rq);

    begin(rq);
    begin_span(rq, rq->span_at + 1);
    rq->in_flight = !last;
    h2o_send(&rq->x->req, &v, 1, last ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void send_pieces(struct bw_request *rq, const struct bw_pieces *p)
{
    h2o_iovec_t v[16];

    for (unsigned i = 0; i < p->n; i++)
        v[i] = h2o_iovec_init(p->v[i].base, p->v[i].len);
    begin(rq);
    h2o_send(&rq->x->req, v, p->n,
             complete(rq) ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

/* Bytes that the commit has taken out of memory. */
static enum step send_stored(struct bw_request *rq, const struct bw_pieces *p)
{
    size_t most = p->most < BW_BUFFER_SIZE ? (size_t)p->most : BW_BUFFER_SIZE, got = 0;
    h2o_iovec_t v;
    enum bw_err err;

    if (rq->buffer == NULL)
        rq->buffer = bw_buffers_take(rq->w->buffers);
    if (rq->buffer == NULL)
        rq->buffer = bw_buffers_force(rq->w->buffers);
    err =
        bw_reader_body(rq->w->lookup.reader, p->objid, p->position, most, false, rq->buffer, &got);
    if (err == BW_ERR_BUSY) {
        const struct bw_hash none = {{0}};

        return bw_wait_for_pages(rq, &none, p->objid, p->position, STEP_STREAM);
    }
    begin(rq);
    if (err != BW_OK || got == 0) {
        bw_count(rq->w->counters, BW_C_CHUNK_MISSING, 1);
        bw_send_broken(rq);
        return STEP_WAIT;
    }
    bw_fill_read(&rq->waiter, got);
    v = h2o_iovec_init(rq->buffer, got);
    h2o_send(&rq->x->req, &v, 1, complete(rq) ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
    return STEP_WAIT;
}

static void end_body(struct bw_request *rq)
{
    const struct bw_fields *trailers = bw_fill_trailers(&rq->waiter);

    /* an empty body whose end came with its head: now the length is known */
    if (!rq->responding && rq->reply.length == BW_LENGTH_UNKNOWN && rq->waiter.position == 0 &&
        trailers->n == 0)
        rq->reply.length = 0;
    begin(rq);
    if (trailers->n != 0)
        rq->x->ops->trailers(rq->x, trailers);
    bw_send_end(rq);
}

/* Who has sent nothing yet can still say what happened (rule 25). */
static enum step end_broken(struct bw_request *rq)
{
    if (!rq->responding)
        return stale_or(rq, BW_REASON_TRUNCATED);
    bw_send_broken(rq);
    return STEP_WAIT;
}

/* Where a crowd waits, everybody gets the beginning before anybody gets much. */
static size_t send_most(const struct bw_request *rq)
{
    bool is_first = rq->waited && !rq->waiter.leads && rq->x->bytes_sent == 0;

    return is_first ? SEND_FIRST : SEND_MOST;
}

enum step bw_step_stream(struct bw_request *rq)
{
    struct bw_pieces p;

    bw_next_cancel(&rq->head_later); /* armed again where nothing is there to be sent */
    if (rq->reply.fields.v == NULL) {
        enum step next;

        bw_timer_stop(&rq->wait_timer);
        next = start_response(rq);
        if (next != STEP_STREAM)
            return next;
    }
    if (rq->span_at < rq->spans_n && rq->spans[rq->span_at].memory.base != NULL) {
        send_memory(rq);
        return STEP_WAIT;
    }
    switch (bw_fill_next(&rq->waiter, send_most(rq), &p)) {
    case BW_BYTES_MEMORY:
        send_pieces(rq, &p);
        return STEP_WAIT;
    case BW_BYTES_STORE:
        return send_stored(rq, &p);
    case BW_BYTES_END:
        if (!at_last_span(rq)) {
            begin_span(rq, rq->span_at + 1);
            return STEP_STREAM;
        }
        end_body(rq);
        return STEP_WAIT;
    case BW_BYTES_PARKED:
        if (!rq->responding)
            bw_loop_next(rq->w->loop, &rq->head_later, send_head);
        return STEP_WAIT;
    case BW_BYTES_BROKEN:
        return end_broken(rq);
    }
    BW_UNREACHABLE();
}
