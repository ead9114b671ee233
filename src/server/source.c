/*
 * source.c - the one place where cache and origin meet: the fetch behind a fill.
 *
 * It belongs to the fill, not to the request that began it: the leader may leave.  It holds the
 * configuration snapshot, whose connections it uses, until the fetch is over.
 */
#include "breakwater/admin/figures.h"
#include "breakwater/base/mem.h"
#include "breakwater/http/conditional.h"

#include "request_priv.h"

#include <stdlib.h>

struct source {
    struct bw_fill *fill;
    struct bw_fetch *fetch;
    struct bw_snapshot *snapshot;
    struct bw_request *leader; /* while it is there */
    int64_t asked_ms;
    uint64_t bytes;
    uint32_t rule;
    size_t host_len;
    char host[256]; /* for the figures, which outlive the request */
};

/* What the origin did is counted here, once for each fill, whoever began it and whoever is left. */
static void end_source(struct source *s)
{
    struct bw_figures_sample sample = {.refresh = true,
                                       .fetches = 1,
                                       .bytes_from_origin = s->bytes,
                                       .rule = s->rule,
                                       .generation = s->snapshot->conf->generation,
                                       .host = bw_slice(s->host, s->host_len)};

    bw_figures_account(s->snapshot->worker->counters, &sample);
    if (s->leader != NULL)
        s->leader->leading = NULL;
    bw_snapshot_put(s->snapshot);
    free(s);
}

/* ---- from the fetch ---- */

static void on_informational(void *ctx, const struct bw_response_head *head)
{
    struct source *s = ctx;
    struct bw_fields out;

    if (s->leader == NULL || s->leader->responding)
        return;
    out.v = bw_request_alloc(s->leader, (head->fields.n + 1) * sizeof(struct bw_field));
    if (bw_headers_from_origin(&head->fields, false, &out))
        s->leader->x->ops->informational(s->leader->x, head->status, &out);
}

static void fail(struct source *s, enum bw_reason why)
{
    struct bw_fill *f = s->fill;

    end_source(s);
    bw_fill_on_fail(f, why);
}

/* RFC 9110, 6.6.1 */
void bw_add_date(struct bw_fields *f, int64_t now_ms, char date[BW_DATE_LEN])
{
    if (bw_fields_find(f, BW_F_DATE) != NULL)
        return;
    bw_date_format(now_ms / 1000, date);
    f->v[f->n++] = (struct bw_field){
        .name = bw_field_name(BW_F_DATE), .value = bw_slice(date, BW_DATE_LEN), .id = BW_F_DATE};
}

static void on_head(void *ctx, const struct bw_response_head *head)
{
    struct source *s = ctx;
    struct bw_fill_response r = {.status = head->status,
                                 .reason = head->reason,
                                 .length = UINT64_MAX,
                                 .asked_ms = s->asked_ms,
                                 .answered_ms = bw_clock_ms()};
    char date[BW_DATE_LEN];
    struct bw_fields out;

    out.v = bw_alloc((head->fields.n + 2) * sizeof(struct bw_field));
    if (!bw_headers_from_origin(&head->fields, false, &out)) {
        free(out.v);
        bw_fetch_cancel(s->fetch);
        fail(s, BW_REASON_BAD_RESPONSE);
        return;
    }
    if (head->framing == BW_FRAMING_LENGTH)
        r.length = head->content_length;
    else if (head->framing == BW_FRAMING_NONE)
        r.length = 0;
    bw_add_date(&out, r.answered_ms, date);
    r.fields = &out;
    if (s->leader != NULL)
        s->leader->server = bw_fetch_server(s->fetch);
    bw_fill_on_head(s->fill, &r);
    free(out.v);
}

static void on_data(void *ctx, struct bw_slice bytes)
{
    struct source *s = ctx;

    s->bytes += bytes.len;
    bw_fill_on_data(s->fill, bytes);
}

static void on_end(void *ctx, const struct bw_fields *trailers)
{
    struct source *s = ctx;
    struct bw_fill *f = s->fill;

    end_source(s);
    bw_fill_on_end(f, trailers);
}

static void on_fail(void *ctx, enum bw_reason why)
{
    fail(ctx, why);
}

static void on_want(void *ctx, size_t n)
{
    (void)ctx;
    (void)n;
}

static void on_upgraded(void *ctx, const struct bw_response_head *head, h2o_socket_t *socket)
{
    (void)head;
    h2o_socket_close(socket); /* not asked for: the fetch itself refuses it first */
    fail(ctx, BW_REASON_BAD_RESPONSE);
}

static const struct bw_fetch_ops fetch_ops = {.informational = on_informational,
                                              .head = on_head,
                                              .data = on_data,
                                              .end = on_end,
                                              .fail = on_fail,
                                              .want = on_want,
                                              .upgraded = on_upgraded};

/* ---- from the fill ---- */

static void pause_source(void *source)
{
    bw_fetch_pause(((struct source *)source)->fetch);
}

static void resume_source(void *source)
{
    bw_fetch_resume(((struct source *)source)->fetch);
}

static void cancel_source(void *source)
{
    struct source *s = source;

    bw_fetch_cancel(s->fetch);
    end_source(s);
}

static const struct bw_source_ops source_ops = {pause_source, resume_source, cancel_source};

/* ---- the request to the origin ---- */

static struct bw_slice accept_encoding(struct bw_request *rq, bool fill)
{
    char *text;

    if (!fill)
        return bw_slice(NULL, 0);
    text = bw_request_alloc(rq, BW_VARY_CODINGS_TEXT_MAX);
    return bw_slice(text, bw_vary_encodings(&rq->x->head.fields, &rq->w->lookup.codings, text));
}

static struct bw_slice accept_language(struct bw_request *rq, bool fill)
{
    struct bw_buf b = {0};
    struct bw_slice language = {NULL, 0};

    if (fill && bw_vary_languages(&rq->x->head.fields, &b)) {
        char *copy = bw_request_alloc(rq, b.len);

        memcpy(copy, b.base, b.len);
        language = bw_slice(copy, b.len);
    }
    bw_buf_free(&b);
    return language;
}

enum { FORWARDED_ROOM = 1024 };

struct bw_fields bw_origin_fields(struct bw_request *rq, bool fill, const struct bw_fields *in,
                                  const struct bw_entry *base)
{
    const struct bw_conn *conn = rq->x->conn;
    struct bw_forward fw = {.host = rq->authority,
                            .authority = rq->authority,
                            .peer = bw_slice_str(conn->address_text),
                            .via = bw_slice_str(rq->w->via),
                            .accept_encoding = accept_encoding(rq, fill),
                            .accept_language = accept_language(rq, fill),
                            .https = conn->tls,
                            .trusted = conn->peer_trusted,
                            .fill = fill,
                            .upgrade = rq->x->head.upgrade && !fill};
    struct bw_fields out;

    fw.room = conn->peer_trusted ? bw_request_alloc(rq, FORWARDED_ROOM) : NULL;
    fw.room_len = fw.room != NULL ? FORWARDED_ROOM : 0;
    out.v = bw_request_alloc(rq, (in->n + BW_HEADERS_OWN_MAX + BW_CONDITIONAL_VALIDATORS) *
                                     sizeof(struct bw_field));
    if (!bw_headers_to_origin(in, &fw, &out))
        out.n = 0; /* admit() has refused such a head already */
    if (base != NULL)
        out.n += bw_conditional_validators(&base->fields, out.v + out.n);
    return out;
}

struct source *bw_source_start(struct bw_request *rq, struct bw_fill *f, bool leader)
{
    struct source *s = bw_zalloc(sizeof(*s));
    struct bw_fields fields =
        bw_origin_fields(rq, true, bw_fill_request_fields(f), bw_fill_base(f));
    struct bw_fetch_request r = {.method = BW_S("GET"),
                                 .target = rq->origin_target,
                                 .authority = rq->authority,
                                 .fields = &fields,
                                 .body = BW_FRAMING_NONE};

    s->fill = f;
    s->snapshot = bw_snapshot_take(rq->snapshot); /* to which settings.pool and .rule belong */
    s->leader = leader ? rq : NULL;
    s->asked_ms = bw_clock_ms();
    s->rule = rq->settings.rule;
    s->host_len = rq->host.len < sizeof(s->host) ? rq->host.len : 0;
    memcpy(s->host, rq->host.base, s->host_len);
    s->fetch = bw_fetch_start(s->snapshot->origin, rq->settings.pool, &r, &fetch_ops, s);
    bw_fill_set_source(f, &source_ops, s);
    return s;
}

void bw_source_leader_gone(struct source *s)
{
    s->leader = NULL;
}
