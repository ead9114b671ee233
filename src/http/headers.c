/*
 * headers.c - which fields pass a Breakwater, in which direction, and which of them are keyed.
 *
 * Each known name is of one kind for requests and may be of the connection for responses;
 * two tables by field id say which.  Names without an id are looked at by their bytes.
 */
#include "breakwater/http/headers.h"

#include "breakwater/base/check.h"
#include "breakwater/http/cache_control.h"
#include "breakwater/http/text.h"

/* ---- kinds of request fields ---- */

enum kind {
    KIND_PASS = 0, /* goes on */
    KIND_HOP,      /* between the peer and us (RFC 9110, 7.6.1), or framing */
    KIND_NEVER,    /* makes an origin see another request than the one we keyed */
    KIND_PEER,     /* who asked: only from a trusted peer */
    KIND_SHAPE,    /* for which host, by which scheme, where: likewise, and part of the key */
    KIND_FILL,     /* asks for less than the whole: not on a fill */
};

static const uint8_t kind_by_id[BW_F_COUNT] = {
    [BW_F_CONNECTION] = KIND_HOP,
    [BW_F_CONTENT_LENGTH] = KIND_HOP,
    [BW_F_EXPECT] = KIND_HOP, /* 100-continue is between us and the client */
    [BW_F_HOST] = KIND_HOP,
    [BW_F_HTTP2_SETTINGS] = KIND_HOP,
    [BW_F_KEEP_ALIVE] = KIND_HOP,
    [BW_F_PROXY_AUTHENTICATE] = KIND_HOP,
    [BW_F_PROXY_AUTHENTICATION_INFO] = KIND_HOP,
    [BW_F_PROXY_AUTHORIZATION] = KIND_HOP,
    [BW_F_PROXY_CONNECTION] = KIND_HOP,
    [BW_F_TE] = KIND_HOP,
    [BW_F_TRAILER] = KIND_HOP,
    [BW_F_TRANSFER_ENCODING] = KIND_HOP,
    [BW_F_UPGRADE] = KIND_HOP,

    [BW_F_PROXY] = KIND_NEVER, /* becomes HTTP_PROXY in a CGI's environment */
    [BW_F_X_HTTP_METHOD] = KIND_NEVER,
    [BW_F_X_HTTP_METHOD_OVERRIDE] = KIND_NEVER,
    [BW_F_X_METHOD_OVERRIDE] = KIND_NEVER,
    [BW_F_X_ORIGINAL_URL] = KIND_NEVER,
    [BW_F_X_REWRITE_URL] = KIND_NEVER,
    [BW_F_X_WAP_PROFILE] = KIND_NEVER,

    [BW_F_SURROGATE_CAPABILITY] = KIND_PEER, /* who may be meant by Surrogate-Control */
    [BW_F_X_FORWARDED_FOR] = KIND_PEER,
    [BW_F_X_REAL_IP] = KIND_PEER,

    [BW_F_FORWARDED] = KIND_SHAPE,
    [BW_F_FRONT_END_HTTPS] = KIND_SHAPE,
    [BW_F_X_FORWARDED_HOST] = KIND_SHAPE,
    [BW_F_X_FORWARDED_PORT] = KIND_SHAPE,
    [BW_F_X_FORWARDED_PREFIX] = KIND_SHAPE,
    [BW_F_X_FORWARDED_PROTO] = KIND_SHAPE,
    [BW_F_X_FORWARDED_SCHEME] = KIND_SHAPE,
    [BW_F_X_FORWARDED_SERVER] = KIND_SHAPE,
    [BW_F_X_HOST] = KIND_SHAPE,
    [BW_F_X_ORIGINAL_HOST] = KIND_SHAPE,

    [BW_F_IF_MATCH] = KIND_FILL,
    [BW_F_IF_MODIFIED_SINCE] = KIND_FILL,
    [BW_F_IF_NONE_MATCH] = KIND_FILL,
    [BW_F_IF_RANGE] = KIND_FILL,
    [BW_F_IF_UNMODIFIED_SINCE] = KIND_FILL,
    [BW_F_RANGE] = KIND_FILL,
};

/* Names without an id; the first letter and the length tell most others apart at once. */
static const struct {
    const char *name;
    uint8_t len;
    uint8_t kind;
} other_names[] = {
    {"base-url", 8, KIND_NEVER},           {"request-uri", 11, KIND_NEVER},
    {"x-base-url", 10, KIND_NEVER},        {"x-http-path-override", 20, KIND_NEVER},
    {"x-original-method", 17, KIND_NEVER}, {"x-original-path", 15, KIND_NEVER},
    {"x-original-uri", 14, KIND_NEVER},    {"x-override-url", 14, KIND_NEVER},
    {"x-rewrite-uri", 13, KIND_NEVER},     {"cf-connecting-ip", 16, KIND_PEER},
    {"client-ip", 9, KIND_PEER},           {"fastly-client-ip", 16, KIND_PEER},
    {"forwarded-for", 13, KIND_PEER},      {"true-client-ip", 14, KIND_PEER},
    {"x-client-ip", 11, KIND_PEER},        {"x-cluster-client-ip", 19, KIND_PEER},
    {"x-forwarded", 11, KIND_PEER},        {"x-originating-ip", 16, KIND_PEER},
    {"x-remote-addr", 13, KIND_PEER},      {"x-remote-ip", 11, KIND_PEER},
    {"x-scheme", 8, KIND_SHAPE},           {"x-url-scheme", 12, KIND_SHAPE},
};

/* Many origins read '_' as '-': a second spelling of any field. */
static enum kind other_kind(struct bw_slice name)
{
    if (memchr(name.base, '_', name.len) != NULL || bw_slice_starts(name, BW_S("x-breakwater-")))
        return KIND_NEVER;
    for (size_t i = 0; i < BW_ARRAY_LEN(other_names); i++)
        if (name.len == other_names[i].len && name.base[0] == other_names[i].name[0] &&
            memcmp(name.base, other_names[i].name, name.len) == 0)
            return (enum kind)other_names[i].kind;
    return bw_slice_starts(name, BW_S("x-forwarded")) ? KIND_SHAPE : KIND_PASS;
}

static enum kind kind_of(const struct bw_field *f)
{
    return f->id != BW_F_OTHER ? (enum kind)kind_by_id[f->id] : other_kind(f->name);
}

/* ---- what Connection names ---- */

struct named {
    struct bw_slice v[BW_HEADERS_NAMED_MAX];
    size_t n;
};

/* Options that are no field, or a field that is dropped anyway. */
static bool is_plain_option(struct bw_slice option)
{
    return bw_slice_eq_nocase(option, BW_S("close")) ||
           bw_slice_eq_nocase(option, BW_S("keep-alive")) ||
           bw_slice_eq_nocase(option, BW_S("upgrade"));
}

static bool read_connection(const struct bw_fields *in, struct named *named)
{
    struct bw_list_iter it = {0};
    struct bw_slice option;

    named->n = 0;
    while (bw_list_next(in, BW_F_CONNECTION, &it, &option)) {
        if (is_plain_option(option))
            continue;
        if (named->n == BW_HEADERS_NAMED_MAX)
            return false;
        named->v[named->n++] = option;
    }
    return true;
}

/*
 * Fields meant for every recipient can be no connection option (RFC 9110, 7.6.1); to obey one
 * would let a peer strip what keeps a response private or its bytes readable.
 */
static bool is_end_to_end(enum bw_field_id id)
{
    static const bool fixed[BW_F_COUNT] = {
        [BW_F_AUTHORIZATION] = true,
        [BW_F_BREAKWATER_CACHE_CONTROL] = true,
        [BW_F_CACHE_CONTROL] = true,
        [BW_F_CDN_CACHE_CONTROL] = true,
        [BW_F_CONTENT_ENCODING] = true,
        [BW_F_CONTENT_RANGE] = true,
        [BW_F_CONTENT_TYPE] = true,
        [BW_F_COOKIE] = true,
        [BW_F_DATE] = true,
        [BW_F_ETAG] = true,
        [BW_F_EXPIRES] = true,
        [BW_F_SURROGATE_CONTROL] = true,
        [BW_F_VARY] = true,
        [BW_F_VIA] = true,
    };

    return fixed[id];
}

static bool is_named(const struct named *named, const struct bw_field *f)
{
    if (BW_LIKELY(named->n == 0) || is_end_to_end(f->id))
        return false;
    for (size_t i = 0; i < named->n; i++) {
        if (bw_slice_eq_nocase(f->name, named->v[i]))
            return true;
    }
    return false;
}

/* ---- requests ---- */

/* Does a field of that kind pass us at all? */
static bool kind_passes(enum kind kind, const struct bw_field *f, bool trusted, bool upgrade)
{
    switch (kind) {
    case KIND_PASS:
    case KIND_FILL:
        return true;
    case KIND_HOP:
        return upgrade && f->id == BW_F_UPGRADE;
    case KIND_PEER:
    case KIND_SHAPE:
        return trusted;
    case KIND_NEVER:
        return false;
    }
    BW_UNREACHABLE();
}

bool bw_headers_clean(struct bw_fields *fields, bool trusted, bool upgrade)
{
    struct named named;
    size_t kept = 0;

    if (!read_connection(fields, &named))
        return false;
    for (size_t i = 0; i < fields->n; i++) {
        const struct bw_field *f = &fields->v[i];

        if (!kind_passes(kind_of(f), f, trusted, upgrade) || is_named(&named, f))
            continue;
        if (kept != i)
            fields->v[kept] = *f;
        kept++;
    }
    fields->n = kept;
    return true;
}

/* ---- what a trusted peer says of host, scheme and path ---- */

/* A pair of a Forwarded member, up to the ';' that no quoted string holds (RFC 7239, 4). */
static struct bw_slice cut_pair(struct bw_slice *rest)
{
    struct bw_slice pair;
    bool quoted = false;
    size_t i = 0;

    for (; i < rest->len && (quoted || rest->base[i] != ';'); i++) {
        if (rest->base[i] == '"')
            quoted = !quoted;
        else if (quoted && rest->base[i] == '\\' && i + 1 < rest->len)
            i++;
    }
    pair = bw_slice(rest->base, i);
    i += i < rest->len;
    *rest = bw_slice(rest->base + i, rest->len - i);
    return bw_slice_trim(pair);
}

static bool tells_addresses(struct bw_slice pair)
{
    struct bw_slice value, name = bw_slice_trim(bw_slice_cut(pair, '=', &value));

    return bw_slice_eq_nocase(name, BW_S("for")) || bw_slice_eq_nocase(name, BW_S("by"));
}

/* No field holds a line end, so nobody can make two values of one. */
static void append_said(struct bw_slice name, struct bw_slice value, struct bw_buf *out)
{
    bw_buf_slice(out, name);
    bw_buf_char(out, ':');
    bw_buf_slice(out, value);
    bw_buf_char(out, '\n');
}

/* Without the addresses, or each client would have a key of its own. */
static void append_forwarded(const struct bw_fields *fields, struct bw_buf *out)
{
    struct bw_list_iter it = {0};
    struct bw_slice member;

    while (bw_list_next(fields, BW_F_FORWARDED, &it, &member)) {
        while (member.len > 0) {
            struct bw_slice pair = cut_pair(&member);

            if (!tells_addresses(pair))
                append_said(bw_field_name(BW_F_FORWARDED), pair, out);
        }
    }
}

/* Just what we would say without it? */
static bool says_nothing_new(const struct bw_field *f, struct bw_slice authority, bool https)
{
    if (f->id == BW_F_X_FORWARDED_HOST)
        return bw_slice_eq(f->value, authority);
    return f->id == BW_F_X_FORWARDED_PROTO &&
           bw_slice_eq(f->value, https ? BW_S("https") : BW_S("http"));
}

void bw_headers_said(const struct bw_fields *fields, struct bw_slice authority, bool https,
                     struct bw_buf *out)
{
    append_forwarded(fields, out);
    for (size_t i = 0; i < fields->n; i++) {
        const struct bw_field *f = &fields->v[i];

        if (f->id != BW_F_FORWARDED && kind_of(f) == KIND_SHAPE &&
            !says_nothing_new(f, authority, https))
            append_said(f->name, f->value, out);
    }
}

static void add(struct bw_fields *out, enum bw_field_id id, struct bw_slice value)
{
    out->v[out->n++] = (struct bw_field){bw_field_name(id), value, id};
}

/* Is it a field that we write ourselves for this request? */
static bool is_replaced(const struct bw_forward *fw, enum bw_field_id id)
{
    return id == BW_F_X_FORWARDED_FOR ||
           (id == BW_F_ACCEPT_ENCODING && fw->accept_encoding.base != NULL) ||
           (id == BW_F_ACCEPT_LANGUAGE && fw->accept_language.base != NULL);
}

static bool goes_on(const struct bw_forward *fw, const struct named *named,
                    const struct bw_field *f)
{
    enum kind kind = kind_of(f);

    return kind_passes(kind, f, fw->trusted, fw->upgrade) && !(fw->fill && kind == KIND_FILL) &&
           !is_replaced(fw, f->id) && !is_named(named, f);
}

/* Bytes that all lines of X-Forwarded-For and ours take, joined by ", ". */
static size_t joined_length(const struct bw_fields *in, const struct bw_field *f,
                            struct bw_slice last)
{
    size_t n = last.len;

    for (; f != NULL; f = bw_fields_next(in, f))
        n += f->value.len + 2;
    return n;
}

static struct bw_slice join(const struct bw_fields *in, const struct bw_field *f,
                            struct bw_slice last, char *room)
{
    char *at = room;

    for (; f != NULL; f = bw_fields_next(in, f)) {
        at = bw_text_slice(at, f->value);
        at = bw_text_str(at, ", ");
    }
    return bw_slice(room, (size_t)(bw_text_slice(at, last) - room));
}

/* Ours alone, or behind what a trusted peer says: on one line, which origins read best. */
static void add_forwarded_for(const struct bw_fields *in, const struct bw_forward *fw,
                              struct bw_fields *out)
{
    const struct bw_field *f = fw->trusted ? bw_fields_find(in, BW_F_X_FORWARDED_FOR) : NULL;

    if (f != NULL && fw->peer.len > 0 && joined_length(in, f, fw->peer) <= fw->room_len) {
        add(out, BW_F_X_FORWARDED_FOR, join(in, f, fw->peer, fw->room));
        return;
    }
    for (; f != NULL; f = bw_fields_next(in, f))
        add(out, BW_F_X_FORWARDED_FOR, f->value);
    if (fw->peer.len > 0)
        add(out, BW_F_X_FORWARDED_FOR, fw->peer);
}

/* Unless a trusted peer has said so already. */
static void add_if_absent(const struct bw_fields *in, const struct bw_forward *fw,
                          enum bw_field_id id, struct bw_slice value, struct bw_fields *out)
{
    if (value.len > 0 && (!fw->trusted || bw_fields_find(in, id) == NULL))
        add(out, id, value);
}

static void add_own(const struct bw_fields *in, const struct bw_forward *fw, struct bw_fields *out)
{
    add_forwarded_for(in, fw, out);
    add_if_absent(in, fw, BW_F_X_FORWARDED_PROTO, fw->https ? BW_S("https") : BW_S("http"), out);
    add_if_absent(in, fw, BW_F_X_FORWARDED_HOST, fw->authority, out);
    if (fw->accept_encoding.base != NULL)
        add(out, BW_F_ACCEPT_ENCODING, fw->accept_encoding);
    if (fw->accept_language.base != NULL)
        add(out, BW_F_ACCEPT_LANGUAGE, fw->accept_language);
    add(out, BW_F_SURROGATE_CAPABILITY, BW_S(BW_CC_SURROGATE "=\"Surrogate/1.0\""));
    if (fw->via.len > 0)
        add(out, BW_F_VIA, fw->via);
    if (fw->upgrade)
        add(out, BW_F_CONNECTION, BW_S("upgrade"));
}

bool bw_headers_to_origin(const struct bw_fields *in, const struct bw_forward *fw,
                          struct bw_fields *out)
{
    struct named named;

    if (!read_connection(in, &named))
        return false;
    out->n = 0;
    add(out, BW_F_HOST, fw->host);
    for (size_t i = 0; i < in->n; i++) {
        if (goes_on(fw, &named, &in->v[i]))
            out->v[out->n++] = in->v[i];
    }
    add_own(in, fw, out);
    BW_ASSERT(out->n <= in->n + BW_HEADERS_OWN_MAX);
    return true;
}

/* ---- responses ---- */

static bool is_of_connection(enum bw_field_id id)
{
    static const bool hop[BW_F_COUNT] = {
        [BW_F_CONNECTION] = true,
        [BW_F_CONTENT_LENGTH] = true,
        [BW_F_HTTP2_SETTINGS] = true,
        [BW_F_KEEP_ALIVE] = true,
        [BW_F_PROXY_AUTHENTICATE] = true,
        [BW_F_PROXY_AUTHENTICATION_INFO] = true,
        [BW_F_PROXY_AUTHORIZATION] = true,
        [BW_F_PROXY_CONNECTION] = true,
        [BW_F_TE] = true,
        [BW_F_TRAILER] = true,
        [BW_F_TRANSFER_ENCODING] = true,
        [BW_F_UPGRADE] = true,
    };

    return hop[id];
}

bool bw_headers_from_origin(const struct bw_fields *in, bool upgrade, struct bw_fields *out)
{
    struct named named;

    if (!read_connection(in, &named))
        return false;
    out->n = 0;
    for (size_t i = 0; i < in->n; i++) {
        const struct bw_field *f = &in->v[i];
        bool kept = upgrade && f->id == BW_F_UPGRADE;

        if (kept || (!is_of_connection(f->id) && !is_named(&named, f)))
            out->v[out->n++] = *f;
    }
    if (upgrade)
        add(out, BW_F_CONNECTION, BW_S("upgrade"));
    return true;
}

bool bw_headers_for_client(enum bw_field_id id)
{
    return id != BW_F_BREAKWATER_CACHE_CONTROL && id != BW_F_SURROGATE_CONTROL;
}

/* ---- a 304 and what is stored ---- */

/* Describes the bytes that are stored, not the answer that came without any. */
static bool describes_bytes(const struct bw_field *f)
{
    if (f->id == BW_F_OTHER)
        return bw_slice_eq(f->name, BW_S("content-md5")) ||
               bw_slice_eq(f->name, BW_S("content-digest")) ||
               bw_slice_eq(f->name, BW_S("repr-digest")) || bw_slice_eq(f->name, BW_S("digest"));
    return f->id == BW_F_CONTENT_ENCODING || f->id == BW_F_CONTENT_LENGTH ||
           f->id == BW_F_CONTENT_RANGE || f->id == BW_F_ETAG;
}

/* Does `fresh` bring a new value for that stored field? */
static bool is_renewed(const struct bw_field *stored, const struct bw_fields *fresh)
{
    if (describes_bytes(stored))
        return false;
    if (stored->id != BW_F_OTHER)
        return bw_fields_find(fresh, stored->id) != NULL;
    return bw_fields_find_name(fresh, stored->name) != NULL;
}

void bw_headers_merge(const struct bw_fields *stored, const struct bw_fields *fresh,
                      struct bw_fields *out)
{
    out->n = 0;
    for (size_t i = 0; i < stored->n; i++) {
        if (stored->v[i].id != BW_F_AGE && !is_renewed(&stored->v[i], fresh))
            out->v[out->n++] = stored->v[i];
    }
    for (size_t i = 0; i < fresh->n; i++) {
        if (!describes_bytes(&fresh->v[i]))
            out->v[out->n++] = fresh->v[i];
    }
}

/* ---- loops ---- */

/* The recipient in "1.1 name (comment)" (RFC 9110, 7.6.3). */
static struct bw_slice received_by(struct bw_slice member)
{
    struct bw_slice rest;

    bw_slice_cut(member, ' ', &rest);
    return bw_slice_cut(bw_slice_trim(rest), ' ', &rest);
}

bool bw_headers_loop(const struct bw_fields *request, struct bw_slice pseudonym)
{
    struct bw_list_iter it = {0};
    struct bw_slice member;

    while (bw_list_next(request, BW_F_VIA, &it, &member)) {
        if (bw_slice_eq_nocase(received_by(member), pseudonym))
            return true;
    }
    return false;
}
