/*
 * request.c - the life of one client request, as a row of steps (request_priv.h draws it).
 *
 * The configuration snapshot is taken once: a reload never changes a request under way.  Whatever a
 * request holds (snapshot, pin, fill, fetch, timers) is let go in one place, done(), which the wire
 * calls exactly once.
 */
#include "breakwater/server/buffers.h"
#include "breakwater/server/listen_set.h"

#include "request_priv.h"

static enum step admit(struct bw_request *rq);
static enum step match(struct bw_request *rq);
static enum step lookup(struct bw_request *rq);

static enum step (*const steps[])(struct bw_request *rq) = {
    [STEP_ADMIT] = admit,             /* one normal form, or 4xx */
    [STEP_MATCH] = match,             /* settings, key, and what never meets the cache */
    [STEP_LOOKUP] = lookup,           /* index and record; may wait for cold pages */
    [STEP_DELIVER] = bw_step_deliver, /* from the store: its head */
    [STEP_SEND] = bw_step_send,       /* and its body, piece by piece */
    [STEP_FILL] = bw_step_fill,       /* join or lead; waits for the head */
    [STEP_LOOK] = bw_step_look,       /* the head is out, or nothing will come */
    [STEP_STREAM] = bw_step_stream,   /* from the fill, at the client's pace */
    [STEP_PASS] = bw_step_pass,       /* from the origin, not shared */
    [STEP_ANSWER] = bw_step_answer,   /* a response of our own */
};

void bw_resume(struct bw_request *rq, enum step next)
{
    while (next != STEP_WAIT) {
        rq->step = next;
        next = steps[next](rq);
    }
}

/* What is not admitted ends the connection, too: who sent it may mean something else by the rest.
 */
static enum step refuse(struct bw_request *rq, int status, enum bw_reason why)
{
    rq->reply.close = true;
    return bw_answer(rq, status, BW_OUTCOME_REFUSED, why);
}

void bw_waited_for_origin(struct bw_request *rq)
{
    if (rq->asked_us != 0)
        rq->origin_us += bw_clock_mono_us() - rq->asked_us;
    rq->asked_us = 0;
}

enum step bw_answer(struct bw_request *rq, int status, enum bw_outcome outcome, enum bw_reason why)
{
    bw_waited_for_origin(rq);
    rq->answer_status = status;
    rq->outcome = outcome;
    rq->reason = why;
    return STEP_ANSWER;
}

/* ---- admit ---- */

enum method_class { METHOD_CACHED, METHOD_PASSED, METHOD_NOT_ALLOWED, METHOD_UNKNOWN };

static bool is_one_of(struct bw_slice m, const struct bw_slice *methods, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bw_slice_eq(m, methods[i]))
            return true;
    return false;
}

/* An allow list: a method that we do not know could mean anything to an origin. */
static enum method_class classify(const struct bw_limits_conf *limits, struct bw_slice m)
{
    static const struct bw_slice passed[] = {
        {"POST", 4}, {"PUT", 3}, {"PATCH", 5}, {"DELETE", 6}, {"OPTIONS", 7}};
    static const struct bw_slice refused[] = {{"TRACE", 5}, {"CONNECT", 7}, {"PURGE", 5}};

    if (bw_slice_eq(m, BW_S("GET")) || bw_slice_eq(m, BW_S("HEAD")))
        return METHOD_CACHED;
    if (is_one_of(m, passed, BW_ARRAY_LEN(passed)) ||
        is_one_of(m, limits->methods, limits->methods_n))
        return METHOD_PASSED;
    return is_one_of(m, refused, BW_ARRAY_LEN(refused)) ? METHOD_NOT_ALLOWED : METHOD_UNKNOWN;
}

void *bw_request_alloc(struct bw_request *rq, size_t n)
{
    void *p = bw_slab_alloc(rq->slab, n);

    return p != NULL ? p : h2o_mem_alloc_pool(&rq->x->req.pool, n);
}

struct bw_slice bw_request_copy(struct bw_request *rq, struct bw_slice s)
{
    char *copy = bw_request_alloc(rq, s.len + 1);

    if (s.len != 0)
        memcpy(copy, s.base, s.len);
    return bw_slice(copy, s.len);
}

struct bw_fields bw_request_copy_fields(struct bw_request *rq, const struct bw_fields *in)
{
    struct bw_fields out = {bw_request_alloc(rq, (in->n + 1) * sizeof(struct bw_field)), in->n};

    for (size_t i = 0; i < in->n; i++) {
        enum bw_field_id id = in->v[i].id;

        out.v[i].id = id;
        out.v[i].value = bw_request_copy(rq, in->v[i].value);
        out.v[i].name = id != BW_F_OTHER ? bw_field_name(id) : bw_request_copy(rq, in->v[i].name);
    }
    return out;
}

static void *pool_alloc(void *ctx, size_t n)
{
    return bw_request_alloc(ctx, n);
}

/* With client certificates the certificate was checked for the name of the handshake, so the
 * request has to be for that name, too (RFC 9110, 7.4). */
static bool misdirected(const struct bw_request *rq)
{
    const struct bw_conn *c = rq->x->conn;

    if (!c->tls || c->listener == NULL || c->listener->conf->client_ca == NULL)
        return false;
    return c->server_name == NULL || !bw_slice_eq(rq->host, bw_slice_str(c->server_name));
}

/* Who is served nothing here is given no place in the figures either. */
static enum step refuse_host(struct bw_request *rq)
{
    rq->host = bw_slice(NULL, 0);
    return refuse(rq, 421, BW_REASON_UNKNOWN_HOST); /* RFC 9110, 15.5.20 */
}

static enum step admit_target(struct bw_request *rq)
{
    struct bw_request_head *head = &rq->x->head;

    rq->authority = bw_target_authority(head->authority, rq->x->conn->tls,
                                        pool_alloc(rq, head->authority.len + 1), &rq->host);
    if (bw_slice_eq(head->target, BW_S("*"))) /* OPTIONS of the server as such (RFC 9110, 9.3.7) */
        rq->target.path = rq->target.whole = head->target;
    else if (bw_target_normalise(head->target, pool_alloc(rq, head->target.len + 1), &rq->target) !=
             BW_TARGET_OK)
        return refuse(rq, 400, BW_REASON_BAD_TARGET);
    if (misdirected(rq) || !bw_hosts_have(&rq->snapshot->conf->hosts, rq->host))
        return refuse_host(rq);
    return STEP_MATCH;
}

/* An upgrade to HTTP/2 would be a second way in, past our own HTTP/2: it is not heard. */
static bool upgrades_http(const struct bw_fields *fields)
{
    struct bw_list_iter it = {0};
    struct bw_slice protocol;

    while (bw_list_next(fields, BW_F_UPGRADE, &it, &protocol))
        if (bw_slice_eq_nocase(protocol, BW_S("h2c")))
            return true;
    return false;
}

static enum step admit(struct bw_request *rq)
{
    struct bw_request_head *head = &rq->x->head;

    head->upgrade = head->upgrade && !upgrades_http(&head->fields);
    switch (classify(&rq->snapshot->conf->limits, head->method)) {
    case METHOD_NOT_ALLOWED:
        return refuse(rq, 405, BW_REASON_METHOD_NOT_ALLOWED);
    case METHOD_UNKNOWN:
        return refuse(rq, 501, BW_REASON_METHOD_NOT_ALLOWED);
    case METHOD_CACHED:
    case METHOD_PASSED:
        break;
    }
    if (bw_headers_loop(&head->fields, rq->w->pseudonym))
        return refuse(rq, 508, BW_REASON_LOOP);
    if (!bw_headers_clean(&head->fields, rq->x->conn->peer_trusted, head->upgrade))
        return refuse(rq, 400, BW_REASON_BAD_HEAD);
    return admit_target(rq);
}

/* ---- match ---- */

static bool has_body(const struct bw_request_head *h)
{
    return h->framing == BW_FRAMING_CHUNKED ||
           (h->framing == BW_FRAMING_LENGTH && h->content_length != 0);
}

/* The stripped query is stripped from what goes to the origin, too: no unkeyed input. */
static void filter_query(struct bw_request *rq)
{
    struct bw_slice query = rq->target.query;
    char *out;

    rq->origin_target = rq->target.whole;
    if (!rq->settings.key.ignore_query_all && rq->settings.key.ignore_query_n == 0)
        return;
    out = pool_alloc(rq, rq->target.path.len + query.len + 2);
    rq->target.query = bw_key_filter_query(query, &rq->settings.key, out + rq->target.path.len + 1);
    if (rq->target.query.len == query.len)
        return;
    rq->target.has_query = rq->target.query.len != 0;
    memcpy(out, rq->target.path.base, rq->target.path.len);
    out[rq->target.path.len] = '?';
    if (rq->target.has_query)
        memmove(out + rq->target.path.len + 1, rq->target.query.base, rq->target.query.len);
    rq->origin_target =
        bw_slice(out, rq->target.path.len + (rq->target.has_query ? 1 + rq->target.query.len : 0));
}

static void note_what_was_said(struct bw_request *rq)
{
    struct bw_buf said = {0};

    if (!rq->x->conn->peer_trusted)
        return;
    bw_headers_said(&rq->x->head.fields, rq->authority, rq->x->conn->tls, &said);
    rq->said = bw_request_copy(rq, bw_buf_view(&said));
    bw_buf_free(&said);
}

static void make_key(struct bw_request *rq)
{
    struct bw_key_request k = {.https = rq->x->conn->tls,
                               .authority = rq->authority,
                               .path = rq->target.path,
                               .query = rq->target.query,
                               .has_query = rq->target.has_query,
                               .said = rq->said,
                               .fields = &rq->x->head.fields};

    bw_key_make(&k, &rq->settings.key, bw_store_secret(rq->w->lookup.store),
                pool_alloc(rq, bw_key_size(&k, &rq->settings.key)), &rq->key);
}

void bw_request_as_get(struct bw_request *rq, const struct bw_target *target,
                       struct bw_settings *settings, struct bw_key *key)
{
    const struct bw_conf *conf = rq->snapshot->conf;
    struct bw_match_request m = {.method = BW_S("GET"),
                                 .host = rq->host,
                                 .path = target->path,
                                 .query = target->query,
                                 .fields = &rq->x->head.fields,
                                 .https = rq->x->conn->tls};
    struct bw_key_request k = {.https = m.https,
                               .authority = rq->authority,
                               .path = target->path,
                               .said = rq->said,
                               .fields = m.fields};

    bw_rules_match(conf->rules, &m, &conf->defaults, settings);
    k.query =
        bw_key_filter_query(target->query, &settings->key, pool_alloc(rq, target->query.len + 1));
    k.has_query = target->has_query && (k.query.len != 0 || target->query.len == 0);
    bw_key_make(&k, &settings->key, bw_store_secret(rq->w->lookup.store),
                pool_alloc(rq, bw_key_size(&k, &settings->key)), key);
}

static enum step pass(struct bw_request *rq, enum bw_outcome outcome, enum bw_reason why)
{
    rq->outcome = outcome;
    rq->reason = why;
    return STEP_PASS;
}

static enum step match(struct bw_request *rq)
{
    struct bw_request_head *head = &rq->x->head;
    struct bw_match_request m = {.method = head->method,
                                 .host = rq->host,
                                 .path = rq->target.path,
                                 .query = rq->target.query,
                                 .fields = &head->fields,
                                 .https = rq->x->conn->tls};

    bw_rules_match(rq->snapshot->conf->rules, &m, &rq->snapshot->conf->defaults, &rq->settings);
    rq->policy = (struct bw_policy_request){head->method, &head->fields, &rq->settings};
    filter_query(rq);
    note_what_was_said(rq);
    make_key(rq);
    rq->is_head = bw_slice_eq(head->method, BW_S("HEAD"));
    rq->has_range = bw_fields_find(&head->fields, BW_F_RANGE) != NULL;
    if (head->upgrade)
        return pass(rq, BW_OUTCOME_PASS, BW_REASON_UPGRADE);
    if (!rq->is_head && !bw_slice_eq(head->method, BW_S("GET")))
        return pass(rq, BW_OUTCOME_PASS, BW_REASON_METHOD);
    if (rq->settings.mode == BW_CACHE_BYPASS)
        return pass(rq, BW_OUTCOME_BYPASS, BW_REASON_RULE);
    if (has_body(head)) /* a "fat GET" is never shared, and its body goes no further */
        return pass(rq, BW_OUTCOME_PASS, BW_REASON_BODY);
    if (bw_policy_request_no_store(&rq->policy))
        return pass(rq, BW_OUTCOME_PASS, BW_REASON_REQUEST);
    return STEP_LOOKUP;
}

/* ---- lookup ---- */

static enum step judge_found(struct bw_request *rq)
{
    rq->has_found = true;
    rq->has_ttl = true;
    rq->ttl_s = rq->found.usable.ttl_s;
    switch (rq->found.usable.use) {
    case BW_USE_FRESH:
        rq->outcome = BW_OUTCOME_HIT;
        return STEP_DELIVER;
    case BW_USE_UPDATING:
        rq->outcome = BW_OUTCOME_UPDATING;
        rq->reason = rq->found.usable.reason;
        bw_refresh_behind(rq); /* the client does not wait for it */
        return STEP_DELIVER;
    case BW_USE_REVALIDATE:
        rq->outcome = BW_OUTCOME_EXPIRED;
        rq->reason = rq->found.usable.reason;
        return STEP_FILL;
    case BW_USE_NEVER:
        rq->outcome = BW_OUTCOME_MISS;
        rq->reason = rq->found.usable.reason;
        return STEP_FILL;
    }
    BW_UNREACHABLE();
}

/* Each look begins anew: what an earlier attempt found or was about to say counts no more. */
static void forget_attempt(struct bw_request *rq)
{
    bw_lookup_put(&rq->w->lookup, &rq->found);
    rq->has_found = rq->has_ttl = rq->stored = false;
    rq->waited = rq->collapsed = false;
    rq->reason = BW_REASON_NONE;
    rq->fwd_status = 0;
    rq->reply.fields.v = NULL;
}

static enum step lookup(struct bw_request *rq)
{
    struct bw_lookup *l = &rq->found;
    enum step next = STEP_FILL;

    forget_attempt(rq);
    l->key = &rq->key;
    l->policy = &rq->policy;
    l->now_ms = rq->lookups == 0 ? rq->now_ms : bw_clock_ms(); /* it may have waited for long */
    l->alloc = pool_alloc;
    l->alloc_ctx = rq;
    rq->lookups++;
    switch (bw_lookup(&rq->w->lookup, l)) {
    case BW_LOOKUP_FOUND:
        next = judge_found(rq);
        break;
    case BW_LOOKUP_COLD:
        return bw_wait_for_pages(rq, &l->cold, 0, 0, STEP_LOOKUP);
    case BW_LOOKUP_MISS:
        rq->outcome = BW_OUTCOME_MISS;
        rq->reason = l->reason;
        break;
    }
    if (next == STEP_FILL && bw_policy_request_only_if_cached(&rq->policy))
        return bw_answer(rq, 504, BW_OUTCOME_REFUSED, BW_REASON_ONLY_IF_CACHED);
    return next;
}

/* ---- beginning and end ---- */

static void done(struct bw_exchange *x, bool complete)
{
    struct bw_request *rq = x->request;
    struct bw_snapshot *snapshot = rq->snapshot;
    struct bw_worker *w = rq->w;

    if (!complete && !rq->responding)
        rq->outcome = BW_OUTCOME_ABORTED;
    rq->complete = complete;
    bw_waited_for_origin(rq);
    bw_account(rq);
    bw_cold_abandon(rq);
    bw_fill_abandon(rq);
    bw_pass_abandon(rq);
    bw_lookup_put(&rq->w->lookup, &rq->found);
    if (rq->buffer != NULL)
        bw_buffers_put(rq->w->buffers, rq->buffer);
    bw_slab_put(w->slabs, rq->slab);
    bw_snapshot_put(snapshot);
}

_Static_assert(sizeof(struct bw_request) < SLAB_SIZE / 2, "a hit fits into one slab");

static struct bw_request *request_new(struct bw_exchange *x)
{
    struct slab *slab = bw_slab_take(x->conn->worker->slabs);
    struct bw_request *rq = bw_slab_alloc(slab, sizeof(*rq));

    memset(rq, 0, sizeof(*rq));
    rq->slab = slab;
    rq->x = x;
    rq->w = x->conn->worker;
    rq->snapshot = bw_snapshot_take(rq->w->snapshot);
    rq->now_ms = bw_clock_ms();
    rq->id = bw_rand_next(&rq->w->rand);
    rq->server = -1;
    x->request = rq;
    x->done = done;
    return rq;
}

void bw_request_start(struct bw_exchange *x)
{
    struct bw_request *rq = request_new(x);

    if (rq->w->admin)
        bw_admin_answer(rq);
    else
        bw_resume(rq, STEP_ADMIT);
}

void bw_request_refuse(struct bw_exchange *x, int status, enum bw_reason why)
{
    struct bw_request *rq = request_new(x);

    bw_resume(rq, refuse(rq, status, why));
}

int bw_reason_status(enum bw_reason why)
{
    if (why == BW_REASON_CONNECT_TIMEOUT || why == BW_REASON_FIRST_BYTE_TIMEOUT ||
        why == BW_REASON_BETWEEN_BYTES_TIMEOUT || why == BW_REASON_TLS_TIMEOUT)
        return 504;
    if (why == BW_REASON_QUEUE_FULL || why == BW_REASON_SHED || why == BW_REASON_DRAINED ||
        why == BW_REASON_MEMORY)
        return 503;
    return 502;
}
