/*
 * account.c - the last step of every request: figures, access log, and the admin's own requests.
 *
 * On the hit path: relaxed adds to this worker's own counters and one line formatted into its ring.
 */
#include "breakwater/admin/api.h"
#include "breakwater/http/status.h"
#include "breakwater/http/text.h"
#include "breakwater/server/access_log.h"

#include "process_priv.h"
#include "request_priv.h"

static struct bw_slice field_value(const struct bw_fields *f, enum bw_field_id id)
{
    const struct bw_field *field = bw_fields_find(f, id);

    return field != NULL ? field->value : bw_slice(NULL, 0);
}

static const char *rule_name(const struct bw_request *rq)
{
    if (rq->settings.rule == 0)
        return NULL;
    return bw_rules_name(rq->snapshot->conf->rules, rq->settings.rule - 1);
}

static void write_log(struct bw_request *rq, uint64_t duration_us)
{
    const struct bw_request_head *head = &rq->x->head;
    char id[BW_TEXT_NUMBER_MAX];
    struct bw_log_entry e = {.time_ms = rq->now_ms,
                             .client = rq->x->conn->address_text,
                             .method = head->method,
                             .target = head->target,
                             .host = rq->host.len != 0 ? rq->host : head->authority,
                             .referer = field_value(&head->fields, BW_F_REFERER),
                             .user_agent = field_value(&head->fields, BW_F_USER_AGENT),
                             .protocol = rq->x->ops->protocol,
                             .status = rq->responding ? rq->reply.status : 0,
                             .bytes_sent = rq->x->bytes_sent,
                             .outcome = rq->outcome,
                             .reason = rq->reason,
                             .duration_us = duration_us,
                             .origin_us = (uint64_t)rq->origin_us,
                             .server = rq->server,
                             .rule = rule_name(rq),
                             .tls = rq->x->conn->tls};

    e.request_id = bw_slice(id, (size_t)(bw_text_hex(id, rq->id) - id));
    if (rq->settings.pool < rq->snapshot->conf->pools_n && rq->origin_us != 0)
        e.pool = rq->snapshot->conf->pools[rq->settings.pool].name;
    bw_access_log_write(rq->w->log, &e);
}

void bw_account(struct bw_request *rq)
{
    struct bw_figures_sample s = {.outcome = rq->outcome,
                                  .reason = rq->reason,
                                  .bytes_to_client = rq->x->bytes_sent,
                                  .bytes_from_origin = rq->bytes_from_origin,
                                  .fetches = rq->fetches,
                                  .rule = rq->settings.rule,
                                  .generation = rq->snapshot->conf->generation,
                                  .host = rq->host,
                                  .collapsed = rq->collapsed};

    if (rq->w->admin)
        return;
    s.duration_us =
        (uint64_t)((rq->x->ended_us != 0 ? rq->x->ended_us : bw_clock_mono_us()) - rq->x->began_us);
    if (bw_outcome_is_hit(rq->outcome) && rq->outcome != BW_OUTCOME_REVALIDATED)
        s.saved_us = (uint64_t)rq->found.entry.fetch_ms * 1000;
    bw_figures_account(rq->w->counters, &s);
    if (bw_access_log_wanted(rq->w->log))
        write_log(rq, s.duration_us);
}

/* Whose name the request bears; to a socket in the file system no page of a browser can speak. */
static struct bw_slice admin_host(struct bw_request *rq)
{
    struct bw_slice authority = rq->x->head.authority, host = {NULL, 0};

    if (rq->w->server->conf->admin.unix_path == NULL)
        bw_target_authority(authority, false, bw_request_alloc(rq, authority.len + 1), &host);
    return host;
}

void bw_admin_answer(struct bw_request *rq)
{
    struct bw_request_head *head = &rq->x->head;
    struct bw_admin_request ask = {.method = head->method, .host = admin_host(rq)};
    struct bw_admin_response out;
    struct bw_slice body;
    h2o_iovec_t v;

    ask.path = bw_slice_cut(head->target, '?', &ask.query);
    bw_admin_handle(rq->w->server->admin, &ask, &out);
    body = bw_request_copy(rq, bw_buf_view(&out.body));
    bw_buf_free(&out.body);
    rq->reply.fields.v = bw_request_alloc(rq, REPLY_EXTRA_FIELDS * sizeof(struct bw_field));
    rq->reply.status = out.status;
    rq->reply.reason = bw_status_reason(out.status);
    rq->reply.length = body.len;
    bw_reply_add(rq, BW_F_CONTENT_TYPE, bw_slice_str(out.type));
    bw_reply_add(rq, BW_F_CACHE_CONTROL, BW_S("no-store"));
    if (out.allow != NULL)
        bw_reply_add(rq, BW_F_ALLOW, bw_slice_str(out.allow));
    bw_respond(rq);
    v = h2o_iovec_init(body.base, body.len);
    h2o_send(&rq->x->req, &v, body.len != 0 ? 1 : 0, H2O_SEND_STATE_FINAL);
}
