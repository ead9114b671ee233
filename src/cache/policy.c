/*
 * policy.c - RFC 9111's questions, answered for a shared cache that belongs to the origin.
 *
 * Storing: refusals first, in the order in which an operator wants to hear of them, then the
 * lifetime, then the windows behind it, then whether keeping it is worth anything.  Using: the
 * stored terms against the clock, then, where the operator lets clients have a say, against the
 * request.
 */
#include "breakwater/cache/policy.h"

#include "breakwater/base/check.h"
#include "breakwater/http/freshness.h"

/* A response under judgement. */
struct judgement {
    const struct bw_policy_request *rq;
    const struct bw_policy_response *res;
    const struct bw_settings *settings;
    struct bw_cache_control cc;
    struct bw_terms terms;
    bool post;    /* to POST: only its own word makes it storable */
    bool by_rule; /* a rule's ttl overrides what the response says */
    bool of_rule; /* the lifetime is a rule's */
    bool by_word; /* the lifetime is what the response states */
};

static bool is_one_of(int status, const int *statuses, size_t n)
{
    for (size_t i = 0; i < n; ++i)
        if (statuses[i] == status)
            return true;
    return false;
}

/* Statuses that may stay without freshness of their own: security.md 7, error poisoning. */
static bool is_plain_status(int status)
{
    static const int statuses[] = {200, 203, 204, 300, 301, 308, 404, 410};

    return is_one_of(status, statuses, BW_ARRAY_LEN(statuses));
}

/* Statuses whose demands on caches we meet (RFC 9111, 5.2.2.3): the final ones of RFC 9110, 15. */
static bool is_understood_status(int status)
{
    static const int others[] = {426, 500, 501, 502, 503, 504, 505, 421, 422};

    return (status >= 200 && status <= 205) || (status >= 300 && status <= 308) ||
           (status >= 400 && status <= 417) || is_one_of(status, others, BW_ARRAY_LEN(others));
}

static bool has_validator(const struct bw_fields *f)
{
    return bw_fields_find(f, BW_F_ETAG) != NULL || bw_fields_find(f, BW_F_LAST_MODIFIED) != NULL;
}

static bool list_has(const struct bw_fields *f, enum bw_field_id id, struct bw_slice name)
{
    struct bw_list_iter it = {0};
    struct bw_slice member;

    while (bw_list_next(f, id, &it, &member))
        if (bw_slice_eq_nocase(member, name))
            return true;
    return false;
}

static bool has(const struct judgement *j, uint32_t directive)
{
    return (j->cc.flags & directive) != 0;
}

/* ---- may it be stored at all? ---- */

static enum bw_reason refuse_method_and_status(const struct judgement *j)
{
    int status = j->res->status;

    if (j->settings->mode == BW_CACHE_BYPASS)
        return BW_REASON_RULE;
    if (!j->post && !bw_slice_eq(j->rq->method, BW_S("GET")))
        return BW_REASON_METHOD;
    if (j->post && bw_fields_find(j->res->fields, BW_F_CONTENT_LOCATION) == NULL)
        return BW_REASON_METHOD;
    if (status == 206 || status == 416)
        return BW_REASON_PARTIAL;
    if (status < 200 || status > 599 || status == 304)
        return BW_REASON_STATUS;
    return bw_policy_request_no_store(j->rq) ? BW_REASON_REQUEST : BW_REASON_NONE;
}

/* must-understand lifts no-store for whom it is meant, and bars everybody else (5.2.2.3). */
static enum bw_reason refuse_directives(const struct judgement *j)
{
    bool must_understand = has(j, BW_CC_MUST_UNDERSTAND);
    bool understood = is_understood_status(j->res->status);

    if (has(j, BW_CC_NO_STORE) && !(must_understand && understood))
        return BW_REASON_NO_STORE;
    if (must_understand && !understood)
        return BW_REASON_STATUS;
    if (has(j, BW_CC_PRIVATE))
        return BW_REASON_PRIVATE;
    if ((j->terms.flags & BW_TERMS_AUTHORIZED) == 0 &&
        bw_fields_find(j->rq->fields, BW_F_AUTHORIZATION) != NULL)
        return BW_REASON_AUTHORIZATION;
    return BW_REASON_NONE;
}

/* A response that sets a cookie is one client's, unless it says itself that the rest is not. */
static bool refuse_cookie(const struct judgement *j)
{
    return j->settings->set_cookie == BW_SET_COOKIE_REFUSE &&
           bw_fields_find(j->res->fields, BW_F_SET_COOKIE) != NULL &&
           !bw_cache_control_withholds(&j->cc, bw_field_name(BW_F_SET_COOKIE));
}

/* Is that field part of the key, so that who says something else gets another response? */
static bool is_keyed(const struct bw_settings *s, struct bw_slice name)
{
    for (size_t i = 0; i < s->key.headers_n; ++i)
        if (bw_slice_eq(s->key.headers[i], name))
            return true;
    return false;
}

/* Made for one Origin, kept for all of them: the next site's scripts could not read it. */
static bool reflects_origin(const struct judgement *j)
{
    const struct bw_field *origin = bw_fields_find(j->rq->fields, BW_F_ORIGIN);
    const struct bw_field *allowed =
        bw_fields_find(j->res->fields, BW_F_ACCESS_CONTROL_ALLOW_ORIGIN);

    return origin != NULL && allowed != NULL && bw_slice_eq(origin->value, allowed->value) &&
           !is_keyed(j->settings, bw_field_name(BW_F_ORIGIN)) &&
           !list_has(j->res->fields, BW_F_VARY, bw_field_name(BW_F_ORIGIN)) &&
           !list_has(j->res->fields, BW_F_VARY, BW_S("*"));
}

static enum bw_reason refuse(const struct judgement *j)
{
    enum bw_reason reason = refuse_method_and_status(j);

    if (reason == BW_REASON_NONE)
        reason = refuse_directives(j);
    if (reason == BW_REASON_NONE && refuse_cookie(j))
        reason = BW_REASON_SET_COOKIE;
    if (reason == BW_REASON_NONE && reflects_origin(j))
        reason = BW_REASON_REFLECTED_ORIGIN;
    return reason;
}

/* ---- how long is it fresh? ---- */

static struct bw_freshness_origin origin_of(const struct bw_terms *t)
{
    return (struct bw_freshness_origin){t->asked_ms, t->answered_ms, t->date_s, t->age_s};
}

/* The age it had when it came, to the nearest second. */
static int64_t arrival_age_s(const struct bw_terms *t)
{
    const struct bw_freshness_origin o = origin_of(t);

    return (bw_freshness_age_ms(&o, t->answered_ms) + 500) / 1000;
}

/* An operator's ttl counts from the arrival here, whatever age the response came with. */
static void live_by_rule(struct judgement *j, int64_t ttl_s)
{
    j->terms.lifetime_s = arrival_age_s(&j->terms) + ttl_s;
    j->by_rule = j->of_rule = true;
}

/* The same for ttls that do not name the status: errors are kept for a short time only. */
static void live_by_broad_rule(struct judgement *j, int64_t ttl_s)
{
    bool negative = j->res->status >= 400 && ttl_s > BW_POLICY_NEGATIVE_TTL_S;

    live_by_rule(j, negative ? BW_POLICY_NEGATIVE_TTL_S : ttl_s);
}

/* The narrowest range that holds the status, of equals the last. */
static const struct bw_status_ttl *status_rule(const struct bw_settings *s, int status)
{
    const struct bw_status_ttl *best = NULL;

    for (size_t i = 0; i < s->ttl_status_n; ++i) {
        const struct bw_status_ttl *t = &s->ttl_status[i];

        if (status < t->from || status > t->to)
            continue;
        if (best == NULL || t->to - t->from <= best->to - best->from)
            best = t;
    }
    return best;
}

/* Rules that override the response.  TTL_OFF, or NONE; then by_rule says whether one did. */
static enum bw_reason override_lifetime(struct judgement *j)
{
    const struct bw_settings *s = j->settings;
    const struct bw_status_ttl *rule = status_rule(s, j->res->status);
    int64_t ttl_s = rule != NULL ? rule->ttl_s : s->ttl_fixed_s;

    if (ttl_s == BW_TTL_OFF)
        return BW_REASON_TTL_OFF;
    if (ttl_s < 0 || j->post)
        return BW_REASON_NONE;
    if (rule != NULL)
        live_by_rule(j, ttl_s);
    else if (is_plain_status(j->res->status))
        live_by_broad_rule(j, ttl_s);
    return BW_REASON_NONE;
}

/* An error or a redirect that stays by a guess is what poisons caches: pages alone, unless `all`.
 */
static bool may_guess(const struct judgement *j)
{
    int status = j->res->status;

    switch (j->settings->heuristic) {
    case BW_HEURISTIC_OFF:
        return false;
    case BW_HEURISTIC_ON:
        return is_plain_status(status) && status / 100 != 3;
    case BW_HEURISTIC_ALL:
        return bw_freshness_heuristic_status(status) || has(j, BW_CC_PUBLIC);
    }
    BW_UNREACHABLE();
}

static bool guess_lifetime(struct judgement *j)
{
    const struct bw_policy_response *res = j->res;
    int64_t guess_s;

    if (!may_guess(j))
        return false;
    guess_s = bw_freshness_heuristic(res->fields, j->terms.date_s, res->answered_ms / 1000);
    if (guess_s == 0)
        return false;
    if (res->status >= 400 && guess_s > BW_POLICY_NEGATIVE_TTL_S)
        guess_s = BW_POLICY_NEGATIVE_TTL_S;
    j->terms.lifetime_s = guess_s;
    j->terms.flags |= BW_TERMS_HEURISTIC;
    return true;
}

/* `cache: always`: is this a response that its own word would not keep fresh? */
static bool always_applies(const struct judgement *j)
{
    return j->settings->mode == BW_CACHE_ALWAYS && !j->post && is_plain_status(j->res->status) &&
           (j->terms.lifetime_s == 0 || has(j, BW_CC_NO_CACHE));
}

/* The response says nothing: the operator's default, else a guess, else a validator may do. */
static enum bw_reason assume_lifetime(struct judgement *j)
{
    bool plain = is_plain_status(j->res->status);
    /* what Pragma means in a response nobody has said, but it is no wish to be kept (5.4) */
    bool pragma = j->cc.source == BW_CC_FROM_NOTHING && bw_pragma_no_cache(j->res->fields);

    if (j->post)
        return BW_REASON_METHOD;
    if (j->settings->ttl_default_s == BW_TTL_OFF)
        return BW_REASON_TTL_OFF;
    if (!pragma && plain && j->settings->ttl_default_s >= 0) {
        live_by_broad_rule(j, j->settings->ttl_default_s);
        j->by_rule = false; /* it does not override: no-cache stays */
        return BW_REASON_NONE;
    }
    if ((!pragma && guess_lifetime(j)) || plain)
        return BW_REASON_NONE;
    return BW_REASON_STATUS;
}

static enum bw_reason decide_lifetime(struct judgement *j)
{
    enum bw_reason reason = override_lifetime(j);
    const struct bw_settings *s = j->settings;
    int64_t answered_s = j->res->answered_ms / 1000;

    if (reason != BW_REASON_NONE || j->by_rule)
        return reason;
    j->by_word = bw_freshness_stated(&j->cc, j->res->fields, j->terms.date_s, answered_s,
                                     &j->terms.lifetime_s);
    if (always_applies(j) && s->ttl_default_s != BW_TTL_OFF) {
        j->by_word = false;
        live_by_broad_rule(j, s->ttl_default_s >= 0 ? s->ttl_default_s : BW_POLICY_ALWAYS_TTL_S);
        return BW_REASON_NONE;
    }
    if (!j->by_word)
        return assume_lifetime(j);
    if (j->terms.lifetime_s == 0 && !is_plain_status(j->res->status))
        return BW_REASON_STATUS;
    return BW_REASON_NONE;
}

/* ---- is it what it seems to be? ---- */

static enum bw_media_verdict media_verdict(const struct judgement *j)
{
    const struct bw_field *type = bw_fields_find(j->res->fields, BW_F_CONTENT_TYPE);

    return bw_media_fits(j->settings->media, type != NULL ? type->value : bw_slice(NULL, 0));
}

/* It was made for somebody, nobody has said for how long it may be kept, and it could be used
 * without asking the origin, if only while that is away. */
static bool may_be_personal(const struct judgement *j)
{
    return !j->res->confirmed && (j->terms.flags & BW_TERMS_AUTHORIZED) == 0 &&
           !has(j, BW_CC_NO_CACHE) && bw_fields_find(j->rq->fields, BW_F_COOKIE) != NULL &&
           media_verdict(j) != BW_MEDIA_FITS;
}

/* Whose word the lifetime is decides what is to be feared. */
static enum bw_reason refuse_disguised(const struct judgement *j)
{
    if (j->by_word || j->post)
        return BW_REASON_NONE;
    if (!j->of_rule)
        return may_be_personal(j) ? BW_REASON_COOKIE : BW_REASON_NONE;
    if (j->res->status / 100 == 2 && media_verdict(j) == BW_MEDIA_MISMATCH)
        return BW_REASON_CONTENT_TYPE;
    return BW_REASON_NONE;
}

static void bound_lifetime(struct judgement *j)
{
    int64_t max_s = j->settings->ttl_max_s;

    if (max_s >= 0 && j->terms.lifetime_s > arrival_age_s(&j->terms) + max_s)
        j->terms.lifetime_s = arrival_age_s(&j->terms) + max_s;
}

/* ---- and then? ---- */

/* A rule's window, else that of the response, else `unsaid`. */
static int64_t window(int64_t rule_s, int64_t response_s, int64_t unsaid)
{
    if (rule_s == BW_TTL_OFF)
        return 0;
    if (rule_s >= 0)
        return rule_s;
    return response_s != BW_CC_UNSET ? response_s : unsaid;
}

/* s-maxage forbids staleness as proxy-revalidate does (5.2.2.10), where it is what decides. */
static void decide_flags(struct judgement *j)
{
    struct bw_terms *t = &j->terms;

    if (has(j, BW_CC_NO_CACHE) && !j->by_rule)
        t->flags |= BW_TERMS_NO_CACHE;
    if (has(j, BW_CC_MUST_REVALIDATE | BW_CC_PROXY_REVALIDATE) ||
        (j->by_word && j->cc.s_maxage_s != BW_CC_UNSET))
        t->flags |= BW_TERMS_NO_STALE;
    if (has(j, BW_CC_IMMUTABLE))
        t->flags |= BW_TERMS_IMMUTABLE;
}

static void decide_windows(struct judgement *j)
{
    struct bw_terms *t = &j->terms;
    const struct bw_settings *s = j->settings;
    int64_t unsaid = j->res->status < 500 ? BW_SIE_NO_ANSWER : 0; /* an old error helps nobody */

    if ((t->flags & (BW_TERMS_NO_CACHE | BW_TERMS_NO_STALE)) != 0)
        return;
    t->swr_s = window(s->stale_revalidating_s, j->cc.swr_s, 0);
    t->sie_s = window(s->stale_on_error_s, j->cc.sie_s, unsaid);
}

/* Will there ever be a request that this saves the origin something? */
static enum bw_reason weigh(const struct bw_terms *t)
{
    if ((t->flags & BW_TERMS_VALIDATOR) != 0)
        return BW_REASON_NONE;
    if ((t->flags & BW_TERMS_NO_CACHE) != 0)
        return BW_REASON_NO_CACHE;
    if (t->lifetime_s > 0 || t->swr_s > 0 || t->sie_s > 0)
        return BW_REASON_NONE;
    return BW_REASON_NO_FRESHNESS;
}

/*
 * Those who wait for the response asked before it was made, so the time the origin took is no age
 * to them; a slow origin would else be asked by all of them at once.
 */
static bool shareable(const struct bw_terms *t)
{
    struct bw_freshness_origin o = origin_of(t);

    o.asked_ms = o.answered_ms;
    return (t->flags & BW_TERMS_NO_CACHE) == 0 &&
           bw_freshness_age_ms(&o, o.answered_ms) / 1000 < t->lifetime_s + t->swr_s;
}

static void begin(struct judgement *j, const struct bw_policy_request *rq,
                  const struct bw_policy_response *res)
{
    struct bw_terms *t = &j->terms;

    *j = (struct judgement){.rq = rq, .res = res, .settings = rq->settings};
    bw_cache_control_response(res->fields, &j->cc);
    j->post = bw_slice_eq(rq->method, BW_S("POST"));
    t->asked_ms = res->asked_ms;
    t->answered_ms = res->answered_ms;
    t->date_s = bw_freshness_date(res->fields, res->answered_ms / 1000);
    t->age_s = bw_freshness_age_field(res->fields);
    t->status = res->status;
    if (has_validator(res->fields))
        t->flags |= BW_TERMS_VALIDATOR;
    if (has(j, BW_CC_PUBLIC | BW_CC_MUST_REVALIDATE) || j->cc.s_maxage_s != BW_CC_UNSET)
        t->flags |= BW_TERMS_AUTHORIZED;
}

struct bw_storable bw_policy_storable(const struct bw_policy_request *rq,
                                      const struct bw_policy_response *res)
{
    struct judgement j;
    struct bw_storable out = {0};

    begin(&j, rq, res);
    out.reason = refuse(&j);
    if (out.reason == BW_REASON_NONE)
        out.reason = decide_lifetime(&j);
    if (out.reason == BW_REASON_NONE)
        out.reason = refuse_disguised(&j);
    if (out.reason != BW_REASON_NONE)
        return out;
    bound_lifetime(&j);
    decide_flags(&j);
    decide_windows(&j);
    out.reason = weigh(&j.terms);
    out.store = out.reason == BW_REASON_NONE;
    out.share = out.store && shareable(&j.terms);
    out.terms = j.terms;
    return out;
}

/* ---- use ---- */

int64_t bw_policy_age_s(const struct bw_terms *terms, int64_t now_ms)
{
    const struct bw_freshness_origin o = origin_of(terms);

    return bw_freshness_age_ms(&o, now_ms) / 1000;
}

static bool forbids_stale(const struct bw_terms *t)
{
    return (t->flags & (BW_TERMS_NO_CACHE | BW_TERMS_NO_STALE)) != 0;
}

/* What the terms alone allow at that age. */
static void judge_terms(const struct bw_terms *t, struct bw_usable *u)
{
    bool in_time = t->lifetime_s > u->age_s;
    int64_t stale_s = in_time ? 0 : u->age_s - t->lifetime_s;
    bool no_cache = (t->flags & BW_TERMS_NO_CACHE) != 0;

    u->ttl_s = t->lifetime_s - u->age_s;
    if ((t->flags & BW_TERMS_PURGED_SOFT) != 0 && in_time)
        u->ttl_s = 0;
    if (u->ttl_s > 0 && !no_cache) {
        u->use = BW_USE_FRESH;
        u->on_error = u->on_5xx = true;
        return;
    }
    u->reason = no_cache ? BW_REASON_NO_CACHE : BW_REASON_STALE;
    u->use = BW_USE_REVALIDATE;
    if (forbids_stale(t))
        return;
    if (stale_s < t->swr_s)
        u->use = BW_USE_UPDATING;
    u->on_5xx = stale_s < t->sie_s;
    u->on_error = u->on_5xx || t->sie_s == BW_SIE_NO_ANSWER;
}

/* Does the client want it fresher than it is (RFC 9111, 5.2.1; RFC 8246, 2)? */
static bool client_refuses(const struct bw_request_control *rc, const struct bw_terms *t,
                           const struct bw_usable *u)
{
    bool immutable = (t->flags & BW_TERMS_IMMUTABLE) != 0 && u->ttl_s > 0;

    if (rc->no_cache)
        return true;
    /* a reload says max-age=0 and means: even if it came this very second */
    if (rc->max_age_s != BW_CC_UNSET && !immutable &&
        (rc->max_age_s == 0 || u->age_s > rc->max_age_s))
        return true;
    return rc->min_fresh_s != BW_CC_UNSET && u->ttl_s < rc->min_fresh_s;
}

static void judge_client(const struct bw_fields *fields, const struct bw_terms *t,
                         struct bw_usable *u)
{
    bool may_be_stale = !forbids_stale(t) && (t->flags & BW_TERMS_PURGED_SOFT) == 0;
    struct bw_request_control rc;

    if (bw_fields_find(fields, BW_F_CACHE_CONTROL) == NULL &&
        bw_fields_find(fields, BW_F_PRAGMA) == NULL)
        return;
    bw_cache_control_request(fields, &rc);
    if (may_be_stale && -u->ttl_s <= rc.sie_s)
        u->on_error = u->on_5xx = true;
    if (client_refuses(&rc, t, u)) {
        u->use = BW_USE_REVALIDATE;
        u->reason = BW_REASON_REQUEST;
        return;
    }
    if (may_be_stale && u->use == BW_USE_REVALIDATE && -u->ttl_s <= rc.max_stale_s)
        u->use = BW_USE_FRESH;
}

struct bw_usable bw_policy_usable(const struct bw_policy_request *rq, const struct bw_terms *terms,
                                  int64_t now_ms)
{
    struct bw_usable u = {.age_s = bw_policy_age_s(terms, now_ms)};

    judge_terms(terms, &u);
    if ((terms->flags & BW_TERMS_AUTHORIZED) == 0 &&
        bw_fields_find(rq->fields, BW_F_AUTHORIZATION) != NULL) {
        u.use = BW_USE_NEVER;
        u.reason = BW_REASON_AUTHORIZATION;
        u.on_error = u.on_5xx = false;
        return u;
    }
    if (rq->settings->client_directives)
        judge_client(rq->fields, terms, &u);
    return u;
}

/* ---- requests, fields ---- */

bool bw_policy_request_no_store(const struct bw_policy_request *rq)
{
    struct bw_request_control rc;

    if (!rq->settings->client_directives)
        return false;
    bw_cache_control_request(rq->fields, &rc);
    return rc.no_store;
}

bool bw_policy_request_only_if_cached(const struct bw_policy_request *rq)
{
    struct bw_request_control rc;

    bw_cache_control_request(rq->fields, &rc);
    return rc.only_if_cached;
}

bool bw_policy_invalidates(struct bw_slice method, int status)
{
    bool safe = bw_slice_eq(method, BW_S("GET")) || bw_slice_eq(method, BW_S("HEAD")) ||
                bw_slice_eq(method, BW_S("OPTIONS")) || bw_slice_eq(method, BW_S("TRACE"));

    return !safe && status >= 200 && status < 400;
}

/* Others tell of the request as much as of the origin: 501 of the method, 429 of its sender. */
bool bw_policy_error_covered(int status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

/* Fields that belong to one connection or one proxy (RFC 9110, 7.6.1; RFC 9111, 3.1). */
static bool is_connection_field(enum bw_field_id id)
{
    static const enum bw_field_id ids[] = {
        BW_F_CONNECTION,
        BW_F_HTTP2_SETTINGS,
        BW_F_KEEP_ALIVE,
        BW_F_PROXY_AUTHENTICATE,
        BW_F_PROXY_AUTHORIZATION,
        BW_F_PROXY_AUTHENTICATION_INFO,
        BW_F_PROXY_CONNECTION,
        BW_F_TE,
        BW_F_TRAILER,
        BW_F_TRANSFER_ENCODING,
        BW_F_UPGRADE,
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(ids); ++i)
        if (ids[i] == id)
            return true;
    return false;
}

static bool is_stored(const struct bw_fields *fields, const struct bw_field *field,
                      const struct bw_settings *settings, const struct bw_cache_control *cc)
{
    if (is_connection_field(field->id))
        return false;
    if (field->id == BW_F_SET_COOKIE && settings->set_cookie != BW_SET_COOKIE_KEEP)
        return false;
    return !list_has(fields, BW_F_CONNECTION, field->name) &&
           !bw_cache_control_withholds(cc, field->name);
}

void bw_policy_stored_fields(const struct bw_fields *fields, const struct bw_settings *settings,
                             struct bw_fields *out)
{
    struct bw_cache_control cc;

    bw_cache_control_response(fields, &cc);
    out->n = 0;
    for (size_t i = 0; i < fields->n; ++i)
        if (is_stored(fields, &fields->v[i], settings, &cc))
            out->v[out->n++] = fields->v[i];
}
