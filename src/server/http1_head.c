/*
 * http1_head.c - heads: how a response will end, and the text of status line, fields, framing and
 * connection  (RFC 9112, 4 to 6 and 9.3).
 */
#include "breakwater/base/check.h"
#include "breakwater/http/status.h"
#include "breakwater/http/text.h"

#include "http1_priv.h"

size_t bw_h1_fields_size(const struct bw_fields *fields)
{
    size_t n = 0;

    for (size_t i = 0; i < fields->n; i++)
        n += fields->v[i].name.len + fields->v[i].value.len + 4;
    return n;
}

char *bw_h1_put_fields(char *at, const struct bw_fields *fields)
{
    for (size_t i = 0; i < fields->n; i++) {
        at = bw_text_slice(at, fields->v[i].name);
        at = bw_text_str(at, ": ");
        at = bw_text_slice(at, fields->v[i].value);
        at = bw_text_str(at, "\r\n");
    }
    return at;
}

size_t bw_h1_head_size(const struct bw_http1 *c)
{
    enum { REST = 256 }; /* status line, date, framing, connection */

    return REST + c->x.reply->reason.len + bw_h1_fields_size(&c->x.reply->fields);
}

static char *put_framing(const struct bw_http1 *c, char *at)
{
    const struct bw_reply *reply = c->x.reply;
    uint64_t length = c->framing == H1_LENGTH ? c->out.promised : reply->length;

    if (c->framing == H1_CHUNKED)
        return bw_text_str(at, "transfer-encoding: chunked\r\n");
    /* without a body the length is that of a GET; 1xx, 204 have none, 304 need not (RFC 9110, 8.6)
     */
    if (length == BW_LENGTH_UNKNOWN || bw_status_has_no_body(reply->status))
        return at;
    at = bw_text_str(at, "content-length: ");
    at = bw_text_u64(at, length);
    return bw_text_str(at, "\r\n");
}

static char *put_connection(const struct bw_http1 *c, char *at)
{
    switch (c->ending) {
    case H1_KEEP:
        return c->x.head.minor == 0 ? bw_text_str(at, "connection: keep-alive\r\n") : at;
    case H1_CLOSE:
        return bw_text_str(at, "connection: close\r\n");
    case H1_UPGRADE:
        return bw_text_str(at, "connection: upgrade\r\n");
    }
    BW_UNREACHABLE();
}

char *bw_h1_put_head(struct bw_http1 *c, char *base)
{
    const struct bw_reply *reply = c->x.reply;
    char *at = bw_text_str(base, "HTTP/1.1 ");

    at = bw_text_u64(at, (unsigned)reply->status);
    *at++ = ' ';
    at = bw_text_slice(at, reply->reason);
    at = bw_text_str(at, "\r\n");
    /* a stored response keeps its own Date, to which its Age belongs */
    if (c->ending != H1_UPGRADE && bw_fields_find(&reply->fields, BW_F_DATE) == NULL) {
        at = bw_text_str(at, "date: ");
        at = bw_text_slice(at, bw_slice(bw_wire_date(c->conn.worker->wire), BW_DATE_LEN));
        at = bw_text_str(at, "\r\n");
    }
    at = bw_h1_put_fields(at, &reply->fields);
    at = put_framing(c, at);
    at = put_connection(c, at);
    at = bw_text_str(at, "\r\n");
    c->x.head_bytes_sent += (uint64_t)(at - base);
    return at;
}

/* ---- framing ---- */

enum h1_framing bw_h1_framing_for(struct bw_http1 *c, size_t bytes, h2o_send_state_t state)
{
    const struct bw_exchange *x = &c->x;
    bool is_all = state == H2O_SEND_STATE_FINAL && c->out.trailers.len == 0;

    if (bw_status_has_no_body(x->reply->status) || bw_slice_eq(x->head.method, BW_S("HEAD")))
        return H1_NO_BODY;
    c->out.promised = x->reply->length;
    if (x->reply->length == BW_LENGTH_UNKNOWN && is_all)
        c->out.promised = bytes;
    c->out.left = c->out.promised;
    if (c->out.promised != BW_LENGTH_UNKNOWN)
        return H1_LENGTH;
    return x->head.minor == 0 ? H1_UNTIL_CLOSE : H1_CHUNKED;
}

/* Is so much of the request unread that we shall not read it for the sake of the connection? */
static bool request_is_left_behind(const struct bw_http1 *c)
{
    if (c->reading == H1_BODY_FAILED)
        return true;
    if (c->reading != H1_BODY_HELD)
        return false;
    /* the client may or may not send a body that it was not asked for (RFC 9110, 10.1.1) */
    return c->body.wants_continue || c->body.left > BW_H1_DROP_MAX;
}

void bw_h1_decide_ending(struct bw_http1 *c, h2o_send_state_t state)
{
    bool keep = !c->x.reply->close && !c->conn.worker->draining && c->framing != H1_UNTIL_CLOSE &&
                state != H2O_SEND_STATE_ERROR;

    if (c->ending == H1_KEEP && (!keep || request_is_left_behind(c)))
        c->ending = H1_CLOSE;
}
