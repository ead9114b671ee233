/*
 * http2_head.c - what an HTTP/2 request asks for, and whether it may ask so  (RFC 9113, 8.2, 8.3).
 *
 * nghttp2 checks much of this itself.  It is checked again, because what it lets through differs
 * between its versions, and because one line of ours must stand between a client and the request
 * line that an HTTP/1.1 origin will see.
 */
#include "breakwater/http/http2_head.h"

#include "breakwater/http/text.h"

static void set_once(struct bw_http2_head *h, struct bw_slice *to, struct bw_slice value)
{
    if (to->base != NULL || h->has_fields)
        h->malformed = true;
    *to = value;
}

static void note_pseudo(struct bw_http2_head *h, struct bw_slice name, struct bw_slice value)
{
    if (bw_slice_eq(name, BW_S(":method")))
        set_once(h, &h->method, value);
    else if (bw_slice_eq(name, BW_S(":path")))
        set_once(h, &h->path, value);
    else if (bw_slice_eq(name, BW_S(":scheme")))
        set_once(h, &h->scheme, value);
    else if (bw_slice_eq(name, BW_S(":authority")))
        set_once(h, &h->authority, value);
    else if (bw_slice_eq(name, BW_S(":protocol")))
        set_once(h, &h->protocol, value);
    else
        h->malformed = true;
}

static void note_length(struct bw_http2_head *h, struct bw_slice value)
{
    if (h->has_length || !bw_head_length(value, &h->content_length))
        h->malformed = true;
    h->has_length = true;
}

/* Lower case only: an upper-case letter makes it malformed (RFC 9113, 8.2.1). */
static bool is_name(struct bw_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.base[i] >= 'A' && name.base[i] <= 'Z')
            return false;
    return name.len <= BW_HEAD_NAME_MAX && bw_head_token_valid(name);
}

/* No control, and no blank around it (RFC 9113, 8.2.1). */
static bool is_value(struct bw_slice value)
{
    return value.len == 0 || (bw_head_value_valid(value) && bw_slice_trim(value).len == value.len);
}

// NOLINTNEXTLINE(readability-function-size): one case for each field that means something here
static bool note_field(struct bw_http2_head *h, struct bw_slice name, struct bw_slice value,
                       enum bw_field_id id)
{
    if (id == BW_F_HOST) {
        h->malformed |= h->host.base != NULL;
        h->host = value;
        return false;
    }
    if (id == BW_F_CONTENT_LENGTH) {
        note_length(h, value);
        return false;
    }
    if (id == BW_F_EXPECT) {
        h->expects_continue = bw_slice_eq_nocase(value, BW_S("100-continue"));
        h->expectation_failed |= !h->expects_continue;
    }
    /* fields of a connection are HTTP/1.1's (8.2.2) */
    h->malformed |= id == BW_F_CONNECTION || id == BW_F_PROXY_CONNECTION || id == BW_F_UPGRADE ||
                    id == BW_F_KEEP_ALIVE || id == BW_F_TRANSFER_ENCODING ||
                    (id == BW_F_TE && !bw_slice_eq_nocase(value, BW_S("trailers"))) ||
                    (id == BW_F_OTHER && bw_head_disguises_framing(name));
    return true;
}

bool bw_http2_head_note(struct bw_http2_head *h, struct bw_slice name, struct bw_slice value,
                        enum bw_field_id id)
{
    if (name.len > 0 && name.base[0] == ':') {
        note_pseudo(h, name, value);
        return false;
    }
    h->has_fields = true;
    h->malformed |= !is_name(name) || !is_value(value);
    return note_field(h, name, value, id);
}

/* ---- settling ---- */

/* RFC 9113, 8.3.1: Host and :authority may both be there, and then they say the same. */
static bool settle_authority(const struct bw_http2_head *h, struct bw_request_head *out)
{
    out->authority = h->authority.base != NULL ? h->authority : h->host;
    if (!bw_head_authority_valid(out->authority))
        return false;
    return h->host.base == NULL || bw_slice_eq_nocase(h->host, out->authority);
}

static enum bw_framing framing_of(const struct bw_http2_head *h, bool ends)
{
    if (h->has_length)
        return BW_FRAMING_LENGTH;
    return ends ? BW_FRAMING_NONE : BW_FRAMING_CHUNKED; /* of unknown length */
}

static enum bw_head_verdict settle_target(const struct bw_http2_head *h,
                                          struct bw_request_head *out)
{
    out->target = h->path;
    if (h->path.len > BW_HEAD_TARGET_MAX)
        return BW_HEAD_TARGET_TOO_LONG;
    if (bw_slice_eq(h->path, BW_S("*")) && bw_slice_eq(h->method, BW_S("OPTIONS")))
        return BW_HEAD_OK;
    return bw_head_target_valid(h->path) ? BW_HEAD_OK : BW_HEAD_BAD_REQUEST;
}

/* RFC 8441, 4: a WebSocket is asked for as an upgrade would be; no other protocol is known. */
static enum bw_head_verdict settle_connect(const struct bw_http2_head *h, bool ends,
                                           struct bw_request_head *out)
{
    if (!bw_slice_eq(h->protocol, BW_S("websocket")))
        return BW_HEAD_NOT_IMPLEMENTED;
    if (ends || h->has_length)
        return BW_HEAD_BAD_REQUEST;
    out->method = BW_S("GET");
    out->framing = BW_FRAMING_NONE;
    out->upgrade = true;
    out->connect = true;
    return BW_HEAD_OK;
}

/* What it says is not believed, the socket knows better; but it has to be a scheme of HTTP. */
static bool is_scheme(struct bw_slice scheme)
{
    return bw_slice_eq_nocase(scheme, BW_S("http")) || bw_slice_eq_nocase(scheme, BW_S("https"));
}

enum bw_head_verdict bw_http2_head_settle(const struct bw_http2_head *h, bool ends,
                                          struct bw_request_head *out)
{
    bool is_connect = bw_slice_eq(h->method, BW_S("CONNECT"));
    enum bw_head_verdict verdict;

    out->method = h->method;
    out->target = h->path;
    out->minor = 1;
    out->keep_alive = true;
    if (h->malformed || !bw_head_method_valid(h->method) || !settle_authority(h, out))
        return BW_HEAD_BAD_REQUEST;
    if (is_connect && h->protocol.base == NULL) /* it has neither scheme nor path (RFC 9113, 8.5) */
        return BW_HEAD_NOT_IMPLEMENTED;
    if (!is_scheme(h->scheme))
        return BW_HEAD_BAD_REQUEST;
    if (h->has_length && ends && h->content_length > 0) /* RFC 9113, 8.1.1 */
        return BW_HEAD_BAD_REQUEST;
    if (h->protocol.base != NULL && !is_connect)
        return BW_HEAD_BAD_REQUEST;
    out->content_length = h->content_length;
    out->framing = framing_of(h, ends);
    out->expect_continue = h->expects_continue;
    if (h->expectation_failed)
        return BW_HEAD_EXPECTATION_FAILED;
    if (is_connect && (verdict = settle_connect(h, ends, out)) != BW_HEAD_OK)
        return verdict;
    return settle_target(h, out);
}

/* ---- cookies ---- */

size_t bw_http2_cookies_size(const struct bw_fields *fields)
{
    size_t size = 0, n = 0;

    for (size_t i = 0; i < fields->n; i++) {
        if (fields->v[i].id != BW_F_COOKIE)
            continue;
        size += fields->v[i].value.len + 2;
        n++;
    }
    return n > 1 ? size : 0;
}

void bw_http2_cookies_join(struct bw_fields *fields, char *memory)
{
    struct bw_field *first = NULL;
    char *at = memory;
    size_t n = 0;

    for (size_t i = 0; i < fields->n; i++) {
        struct bw_field *f = &fields->v[i];

        if (f->id == BW_F_COOKIE) {
            at = first != NULL ? bw_text_str(at, "; ") : at;
            at = bw_text_slice(at, f->value);
            if (first != NULL)
                continue;
            first = &fields->v[n];
        }
        fields->v[n++] = *f;
    }
    fields->n = n;
    if (first != NULL)
        first->value = bw_slice(memory, (size_t)(at - memory));
}
