/*
 * http2_limits.c - what a client may not do, though HTTP/2 allows it  (security.md 3 and 5).
 *
 * Frames that cost the sender nothing and us something are paid from an account that fills with
 * time, with bytes sent and with requests; a frame costs what an honest client would hardly exceed.
 * Resets, of either side, have an account of their own that fills only with streams that ended
 * well: rapid reset (CVE-2023-44487) and resets that we are provoked to (CVE-2025-8671) are one
 * thing.
 *
 * A client that was cut is on probation for a while (probation.c): its next connections begin with
 * small accounts, and end without a word.
 */
#include "breakwater/admin/figures.h"
#include "breakwater/base/log.h"

#include "http2_priv.h"

enum {
    RESET_COST = 2,
    REFILLS = 10,        /* a full account of control frames in so many seconds */
    BYTES_A_TOKEN = 256, /* a window is opened for bytes that were sent */
    REQUEST_TOKENS = 14,
    PROBATION_CONTROL = 5, /* the part of the accounts, and what a browser needs at least */
    PROBATION_CONTROL_LEAST = 200,
    PROBATION_RESETS = 20,
    PROBATION_RESETS_LEAST = 10,
    HARD_FIELDS = 10, /* a head of so many times the limit is no mistake */
    HARD_BYTES = 4,
};

/* Behind a proxy that we trust, or a unix socket, are many: not all of them flood. */
static bool is_many(const struct bw_conn *conn)
{
    return conn->peer_trusted || bw_conn_is_local(conn);
}

/* Nobody is refused for being on probation: it is never so little that no connection can begin. */
static int64_t part_of(int64_t full, int64_t part, int64_t least)
{
    if (full / part >= least)
        return full / part;
    return full < least ? full : least;
}

void bw_h2_limits_init(struct bw_http2 *c)
{
    const struct bw_limits_conf *limits = bw_h2_limits(c);

    c->control_at = bw_h2_now(c);
    c->control_left = limits->http2.control_frames;
    c->resets_left = limits->http2.resets;
    c->on_probation =
        !is_many(&c->conn) && /* a flooder of the same /64 is not to harm those behind a proxy */
        bw_probation_has(c->conn.worker->wire->probation, c->conn.address, c->control_at);
    if (!c->on_probation)
        return;
    bw_count(c->conn.worker->counters, BW_C_HTTP2_PROBATION, 1);
    c->control_left = part_of(c->control_left, PROBATION_CONTROL, PROBATION_CONTROL_LEAST);
    c->resets_left = part_of(c->resets_left, PROBATION_RESETS, PROBATION_RESETS_LEAST);
}

static void calm_down(struct bw_http2 *c, enum bw_counter which, const char *what, const char *key)
{
    int64_t probation_ms = bw_h2_limits(c)->http2.probation_ms;

    if (c->ending)
        return;
    bw_count(c->conn.worker->counters, which, 1);
    /* what would be no flood for others does not prolong it */
    if (probation_ms > 0 && !c->on_probation && !is_many(&c->conn))
        bw_probation_begin(c->conn.worker->wire->probation, c->conn.address,
                           bw_h2_now(c) + (uint64_t)probation_ms);
    bw_log_limited(BW_LOG_WARN, what, c->conn.address_text,
                   "%s sends too many %s over HTTP/2: its connection was closed (limits.%s)",
                   c->conn.address_text, what, key);
    c->is_cut = c->on_probation;
    bw_h2_end(c, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* What a frame of this type costs: DATA that carries something nothing, for windows limit it, and
 * RST_STREAM nothing here, for resets have their own account. */
static int64_t cost_of(const nghttp2_frame_hd *hd)
{
    switch (hd->type) {
    case NGHTTP2_DATA:
        return hd->length == 0 && (hd->flags & NGHTTP2_FLAG_END_STREAM) == 0 ? 10 : 0;
    case NGHTTP2_RST_STREAM:
        return 0;
    case NGHTTP2_PRIORITY:
    case NGHTTP2_PRIORITY_UPDATE:
    case NGHTTP2_WINDOW_UPDATE:
        return 1;
    case NGHTTP2_HEADERS: /* trailers, or for no stream; a request brings more than it costs */
    case NGHTTP2_CONTINUATION:
        return 4;
    case NGHTTP2_SETTINGS:
        return (hd->flags & NGHTTP2_FLAG_ACK) != 0 ? 4 : 50;
    default: /* PING, and types that nobody knows */
        return 10;
    }
}

static void refill(struct bw_http2 *c)
{
    int64_t full = bw_h2_limits(c)->http2.control_frames;
    uint64_t now = bw_h2_now(c);
    int64_t earned = (int64_t)(now - c->control_at) * full / (REFILLS * INT64_C(1000));
    uint64_t tokens = (c->bytes_sent - c->bytes_paid) / BYTES_A_TOKEN;

    c->control_left += earned + (int64_t)tokens;
    /* the rest of a token is not lost, however often we come by */
    c->bytes_paid += tokens * BYTES_A_TOKEN;
    c->control_at += (uint64_t)(earned * REFILLS * INT64_C(1000) / full);
    if (c->control_left > full) {
        c->control_left = full;
        c->control_at = now;
    }
}

bool bw_h2_allows_frame(struct bw_http2 *c, const nghttp2_frame_hd *hd)
{
    int64_t cost = cost_of(hd);

    if (cost == 0)
        return !c->ending;
    if (c->control_left < cost)
        refill(c);
    c->control_left -= cost;
    if (c->control_left < 0)
        calm_down(c, BW_C_HTTP2_CONTROL_FLOOD, "control frames", "http2.control_frames");
    return !c->ending;
}

void bw_h2_pay_request(struct bw_http2 *c)
{
    c->control_left += REQUEST_TOKENS;
}

bool bw_h2_allows_reset(struct bw_http2 *c)
{
    c->resets_left -= RESET_COST;
    if (c->resets_left < 0)
        calm_down(c, BW_C_HTTP2_RESET_FLOOD, "resets", "http2.resets");
    return !c->ending;
}

void bw_h2_ended_well(struct bw_http2 *c)
{
    if (c->resets_left < (int64_t)bw_h2_limits(c)->http2.resets)
        c->resets_left++;
}

bool bw_h2_allows_head(struct bw_http2 *c, size_t fields, size_t bytes)
{
    const struct bw_limits_conf *limits = bw_h2_limits(c);
    size_t more_fields = c->on_probation ? 1 : HARD_FIELDS;
    size_t more_bytes = c->on_probation ? 1 : HARD_BYTES;

    if (fields > limits->headers * more_fields || bytes > limits->head * more_bytes)
        calm_down(c, BW_C_HTTP2_HEAD_FLOOD, "header fields", "headers");
    return !c->ending;
}
