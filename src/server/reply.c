/*
 * reply.c - heads of responses: stored fields made fit for a client, conditions and ranges, and the
 * responses that are our own.
 */
#include "breakwater/http/answer.h"
#include "breakwater/http/conditional.h"
#include "breakwater/http/multipart.h"
#include "breakwater/http/status.h"
#include "breakwater/http/text.h"

#include "request_priv.h"

void bw_reply_add(struct bw_request *rq, enum bw_field_id id, struct bw_slice value)
{
    rq->reply.fields.v[rq->reply.fields.n++] =
        (struct bw_field){.name = bw_field_name(id), .value = value, .id = id};
}

static struct bw_slice number(struct bw_request *rq, uint64_t n)
{
    char *text = bw_request_alloc(rq, BW_TEXT_NUMBER_MAX);

    return bw_slice(text, (size_t)(bw_text_u64(text, n) - text));
}

static void add_cache_status(struct bw_request *rq)
{
    struct bw_cache_status s = {.outcome = rq->outcome,
                                .reason = rq->reason,
                                .fwd_status = rq->fwd_status,
                                .ttl_s = rq->ttl_s,
                                .has_ttl = rq->has_ttl,
                                .stored = rq->stored,
                                .collapsed = rq->collapsed};
    char *text = bw_request_alloc(rq, BW_CACHE_STATUS_MAX);

    if (rq->x->conn->peer_trusted)
        s.key = rq->target.whole;
    bw_reply_add(rq, BW_F_CACHE_STATUS, bw_slice(text, bw_cache_status_format(&s, text)));
}

/* A rule's browser_ttl replaces what the response says to the client's own cache. */
static bool replaced_for_browser(const struct bw_request *rq, enum bw_field_id id)
{
    return rq->settings.browser_ttl_s != BW_TTL_UNSET &&
           (id == BW_F_CACHE_CONTROL || id == BW_F_EXPIRES || id == BW_F_PRAGMA);
}

static void add_browser_ttl(struct bw_request *rq)
{
    static const char prefix[] = "max-age=";
    char *text;
    char *end;

    if (rq->settings.browser_ttl_s == BW_TTL_UNSET)
        return;
    if (rq->settings.browser_ttl_s == BW_TTL_OFF) {
        bw_reply_add(rq, BW_F_CACHE_CONTROL, BW_S("no-cache"));
        return;
    }
    text = bw_request_alloc(rq, sizeof(prefix) + BW_TEXT_NUMBER_MAX);
    end = bw_text_u64(bw_text_str(text, prefix), (uint64_t)rq->settings.browser_ttl_s);
    bw_reply_add(rq, BW_F_CACHE_CONTROL, bw_slice(text, (size_t)(end - text)));
}

void bw_reply_from(struct bw_request *rq, int status, struct bw_slice reason,
                   const struct bw_fields *fields, int64_t age_s)
{
    struct bw_reply *r = &rq->reply;

    r->status = status;
    r->reason = reason;
    r->fields.v = bw_request_alloc(rq, (fields->n + REPLY_EXTRA_FIELDS) * sizeof(struct bw_field));
    r->fields.n = 0;
    for (size_t i = 0; i < fields->n; i++) {
        enum bw_field_id id = fields->v[i].id;

        if (!bw_headers_for_client(id) || (age_s >= 0 && id == BW_F_AGE) ||
            replaced_for_browser(rq, id))
            continue;
        r->fields.v[r->fields.n++] = fields->v[i];
    }
    add_browser_ttl(rq);
    bw_reply_add(rq, BW_F_VIA, bw_slice_str(rq->w->via));
    if (age_s >= 0) /* RFC 9111, 5.1 */
        bw_reply_add(rq, BW_F_AGE, number(rq, (uint64_t)age_s));
    add_cache_status(rq);
}

/* ---- conditions and ranges ---- */

static void keep_only(struct bw_request *rq, bool (*keep)(enum bw_field_id id, bool has_etag))
{
    struct bw_fields *f = &rq->reply.fields;
    bool has_etag = bw_fields_find(f, BW_F_ETAG) != NULL;
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        if (keep(f->v[i].id, has_etag))
            f->v[n++] = f->v[i];
    f->n = n;
}

static bool in_304(enum bw_field_id id, bool has_etag)
{
    return bw_conditional_in_304(id, has_etag) || id == BW_F_AGE || id == BW_F_CACHE_STATUS ||
           id == BW_F_DATE;
}

static bool but_content_range(enum bw_field_id id, bool has_etag)
{
    (void)has_etag;
    return id != BW_F_CONTENT_RANGE;
}

static bool but_content_type(enum bw_field_id id, bool has_etag)
{
    (void)has_etag;
    return id != BW_F_CONTENT_TYPE;
}

static void one_part(struct bw_request *rq, const struct bw_range *range, uint64_t length)
{
    char *text = bw_request_alloc(rq, BW_RANGE_TEXT_MAX);

    keep_only(rq, but_content_range);
    bw_reply_add(rq, BW_F_CONTENT_RANGE, bw_slice(text, bw_range_text(range, length, text)));
    rq->reply.status = 206;
    rq->reply.reason = bw_status_reason(206);
    rq->reply.length = range->last - range->first + 1;
    rq->spans = bw_request_alloc(rq, sizeof(*rq->spans));
    rq->spans[0] = (struct span){.first = range->first, .end = range->last + 1};
    rq->spans_n = 1;
}

static void several_parts(struct bw_request *rq, const struct bw_ranges *ranges, uint64_t length)
{
    const struct bw_field *type = bw_fields_find(&rq->reply.fields, BW_F_CONTENT_TYPE);
    struct bw_multipart m;
    struct bw_buf b = {0};
    char *text = bw_request_alloc(rq, BW_MULTIPART_TYPE_MAX);

    bw_multipart_init(&m, ranges, length, type != NULL ? type->value : BW_S(""),
                      bw_rand_next(&rq->w->rand));
    rq->spans = bw_request_alloc(rq, SPANS_MAX * sizeof(*rq->spans));
    for (size_t i = 0; i < ranges->n; i++) {
        bw_buf_clear(&b);
        bw_multipart_head(&m, i, &b);
        rq->spans[rq->spans_n++] = (struct span){.memory = bw_request_copy(rq, bw_buf_view(&b))};
        rq->spans[rq->spans_n++] =
            (struct span){.first = ranges->v[i].first, .end = ranges->v[i].last + 1};
    }
    bw_buf_clear(&b);
    bw_multipart_end(&m, &b);
    rq->spans[rq->spans_n++] = (struct span){.memory = bw_request_copy(rq, bw_buf_view(&b))};
    bw_buf_free(&b);
    keep_only(rq, but_content_type);
    bw_reply_add(rq, BW_F_CONTENT_TYPE, bw_slice(text, bw_multipart_type(&m, text)));
    rq->reply.status = 206;
    rq->reply.reason = bw_status_reason(206);
    rq->reply.length = bw_multipart_length(&m);
}

static void unsatisfiable(struct bw_request *rq, uint64_t length)
{
    char *text = bw_request_alloc(rq, BW_RANGE_TEXT_MAX);

    keep_only(rq, but_content_type);
    bw_reply_add(rq, BW_F_CONTENT_RANGE, bw_slice(text, bw_range_unsatisfied_text(length, text)));
    rq->reply.status = 416;
    rq->reply.reason = bw_status_reason(416);
    rq->reply.length = 0;
}

static enum shape shape_range(struct bw_request *rq, const struct bw_fields *stored,
                              uint64_t length)
{
    const struct bw_fields *fields = &rq->x->head.fields;
    struct bw_ranges ranges;

    if (!bw_conditional_range_allowed(fields, stored, rq->now_ms / 1000))
        return SHAPE_WHOLE;
    switch (bw_range_evaluate(fields, length, &ranges)) {
    case BW_RANGE_WHOLE:
        return SHAPE_WHOLE;
    case BW_RANGE_UNSATISFIABLE:
        unsatisfiable(rq, length);
        return SHAPE_UNSATISFIABLE;
    case BW_RANGE_PARTIAL:
        break;
    }
    if (ranges.n == 1) {
        one_part(rq, &ranges.v[0], length);
        return SHAPE_PART;
    }
    several_parts(rq, &ranges, length);
    return SHAPE_PARTS;
}

enum shape bw_shape_reply(struct bw_request *rq, const struct bw_fields *stored, uint64_t length)
{
    rq->reply.length = length;
    rq->spans_n = 0;
    if (bw_conditional_evaluate(&rq->x->head.fields, rq->reply.status, stored, rq->now_ms / 1000) ==
        BW_COND_NOT_MODIFIED) {
        keep_only(rq, in_304);
        rq->reply.status = 304;
        rq->reply.reason = bw_status_reason(304);
        rq->reply.length = BW_LENGTH_UNKNOWN;
        return SHAPE_NOT_MODIFIED;
    }
    /* ranges are defined for GET alone (RFC 9110, 14.2) and cut out of a 200 */
    if (!rq->has_range || rq->is_head || rq->reply.status != 200 || length == BW_LENGTH_UNKNOWN)
        return SHAPE_WHOLE;
    return shape_range(rq, stored, length);
}

/* ---- sending ---- */

void bw_respond(struct bw_request *rq)
{
    BW_ASSERT(!rq->responding);
    rq->responding = true;
    bw_exchange_respond(rq->x, &rq->reply, &rq->generator);
}

void bw_send_end(struct bw_request *rq)
{
    h2o_send(&rq->x->req, NULL, 0, H2O_SEND_STATE_FINAL);
}

void bw_send_broken(struct bw_request *rq)
{
    h2o_send(&rq->x->req, NULL, 0, H2O_SEND_STATE_ERROR);
}

/* ---- responses of our own ---- */

static struct bw_slice id_text(struct bw_request *rq)
{
    char *text = bw_request_alloc(rq, BW_TEXT_NUMBER_MAX);

    return bw_slice(text, (size_t)(bw_text_hex(text, rq->id) - text));
}

static struct bw_slice allowed_methods(struct bw_request *rq)
{
    const struct bw_limits_conf *limits = &rq->snapshot->conf->limits;
    struct bw_slice copy;
    struct bw_buf b = {0};

    bw_buf_str(&b, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    for (size_t i = 0; i < limits->methods_n; i++) {
        bw_buf_str(&b, ", ");
        bw_buf_slice(&b, limits->methods[i]);
    }
    copy = bw_request_copy(rq, bw_buf_view(&b));
    bw_buf_free(&b);
    return copy;
}

static void answer_fields(struct bw_request *rq, enum bw_answer_form form)
{
    static const struct bw_fields none = {NULL, 0};

    bw_reply_from(rq, rq->answer_status, bw_status_reason(rq->answer_status), &none, -1);
    bw_reply_add(rq, BW_F_X_REQUEST_ID, id_text(rq));
    bw_reply_add(rq, BW_F_CACHE_CONTROL, BW_S("no-store"));
    if (rq->answer_status == 405)
        bw_reply_add(rq, BW_F_ALLOW, allowed_methods(rq));
    if (rq->answer_status == 503)
        bw_reply_add(rq, BW_F_RETRY_AFTER, BW_S("5"));
    bw_reply_add(rq, BW_F_CONTENT_TYPE, bw_answer_type(form));
}

enum step bw_step_answer(struct bw_request *rq)
{
    struct bw_answer a = {.status = rq->answer_status,
                          .sentence = bw_slice_str(bw_reason_sentence(rq->reason))};
    enum bw_answer_form form = bw_answer_form(&rq->x->head.fields);
    struct bw_buf b = {0};
    struct bw_slice body;
    h2o_iovec_t v;

    a.request_id = id_text(rq);
    bw_answer_body(&a, form, &b);
    body = bw_request_copy(rq, bw_buf_view(&b));
    bw_buf_free(&b);
    rq->has_ttl = rq->stored = false;
    rq->settings.browser_ttl_s = BW_TTL_UNSET;
    answer_fields(rq, form);
    rq->reply.length = body.len;
    bw_respond(rq);
    v = h2o_iovec_init(body.base, body.len);
    h2o_send(&rq->x->req, &v, body.len != 0 && !rq->is_head ? 1 : 0, H2O_SEND_STATE_FINAL);
    return STEP_WAIT;
}
