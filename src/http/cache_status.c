/*
 * cache_status.c - the Cache-Status value of one response.
 *
 * `hit` and `fwd` exclude each other (RFC 9211, 2.1 and 2.2): an answer from the store is a hit
 * only if the origin was not asked for it first.  `fwd` has few words of the standard, `detail` is
 * our own word for the same reason in log and metrics; it is given where `fwd` does not say it.
 */
#include "breakwater/http/cache_status.h"

#include "breakwater/base/check.h"
#include "breakwater/http/text.h"

/* Is the answer from the store without the origin having been asked? */
static bool is_hit(enum bw_outcome o)
{
    return o == BW_OUTCOME_HIT || o == BW_OUTCOME_UPDATING;
}

/* Was the origin not asked, and nothing stored looked at? */
static bool is_generated(enum bw_outcome o)
{
    return o == BW_OUTCOME_REFUSED || o == BW_OUTCOME_ABORTED;
}

/* The word for `fwd` where the reason is one of the standard's own; NULL: it is not. */
static const char *fwd_of_reason(enum bw_reason r)
{
    static const char *const words[BW_REASON_COUNT] = {
        [BW_REASON_URI_MISS] = "uri-miss", [BW_REASON_VARY_MISS] = "vary-miss",
        [BW_REASON_STALE] = "stale",       [BW_REASON_REQUEST] = "request",
        [BW_REASON_METHOD] = "method",     [BW_REASON_RULE] = "bypass",
    };

    return words[r];
}

/* The word for `fwd` that the outcome implies, whatever the reason. */
static const char *fwd_of_outcome(enum bw_outcome o, enum bw_reason r)
{
    static const char *const words[BW_OUTCOME_COUNT] = {
        [BW_OUTCOME_STALE] = "stale",   [BW_OUTCOME_REVALIDATED] = "stale",
        [BW_OUTCOME_EXPIRED] = "stale", [BW_OUTCOME_MISS] = "uri-miss",
        [BW_OUTCOME_BYPASS] = "bypass", [BW_OUTCOME_TUNNEL] = "bypass",
        [BW_OUTCOME_PASS] = "bypass",   [BW_OUTCOME_ERROR] = "miss",
    };
    bool judged = r >= BW_REASON_NO_STORE && r <= BW_REASON_PURGED;

    /* a response that turned out not to be storable was a miss before it was passed on */
    return o == BW_OUTCOME_PASS && judged ? "uri-miss" : words[o];
}

static char *put_forwarded(char *at, const struct bw_cache_status *s)
{
    const char *fwd = fwd_of_reason(s->reason);

    at = bw_text_str(at, "; fwd=");
    at = bw_text_str(at, fwd != NULL ? fwd : fwd_of_outcome(s->outcome, s->reason));
    if (s->fwd_status > 0)
        at = bw_text_u64(bw_text_str(at, "; fwd-status="), (uint64_t)s->fwd_status);
    if (s->stored)
        at = bw_text_str(at, "; stored");
    if (s->collapsed)
        at = bw_text_str(at, "; collapsed");
    return at;
}

/* The outcome in our own word and the reason, but for those that `fwd` says already. */
static char *put_detail(char *at, const struct bw_cache_status *s)
{
    at = bw_text_str(bw_text_str(at, "; detail="), bw_outcome_name(s->outcome));
    if (s->reason == BW_REASON_NONE || s->reason == BW_REASON_URI_MISS ||
        s->reason == BW_REASON_VARY_MISS || s->reason == BW_REASON_STALE)
        return at;
    return bw_text_str(bw_text_str(at, "/"), bw_reason_name(s->reason));
}

/* A string of structured fields has ASCII alone (RFC 8941, 3.3.3); keys have little else. */
static char *put_key(char *at, struct bw_slice key)
{
    char *end;

    at = bw_text_str(at, "; key=\"");
    end = at + BW_CACHE_STATUS_KEY_MAX;
    for (size_t i = 0; i < key.len && at + 2 <= end; i++) {
        char c = key.base[i];

        if (c == '"' || c == '\\')
            *at++ = '\\';
        *at++ = c >= 0x20 && c < 0x7F ? c : '?';
    }
    *at++ = '"';
    return at;
}

size_t bw_cache_status_format(const struct bw_cache_status *s, char out[BW_CACHE_STATUS_MAX])
{
    char *at = bw_text_str(out, "breakwater");

    if (is_hit(s->outcome))
        at = bw_text_str(at, s->collapsed ? "; hit; collapsed" : "; hit");
    else if (!is_generated(s->outcome))
        at = put_forwarded(at, s);
    if (s->has_ttl)
        at = bw_text_i64(bw_text_str(at, "; ttl="), s->ttl_s);
    at = put_detail(at, s);
    if (s->key.len > 0)
        at = put_key(at, s->key);
    BW_ASSERT(at <= out + BW_CACHE_STATUS_MAX);
    return (size_t)(at - out);
}
