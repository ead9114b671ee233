/*
 * field.c - the names we know, and lists of fields.
 *
 * A name is looked up some ten times a request on the hit path: its length leads to a row of at
 * most nine candidates, the frequent ones first, and two bytes rule out nearly all of them before
 * memcmp() is asked.  The unit test looks every name up, so the two tables cannot disagree.
 */
#include "breakwater/http/field.h"

#include "breakwater/base/check.h"

enum { LONGEST = 27, WIDEST = 9 };

static const struct bw_slice known_names[BW_F_COUNT] = {
    [BW_F_OTHER] = BW_S(""),
    [BW_F_ACCEPT] = BW_S("accept"),
    [BW_F_ACCEPT_CHARSET] = BW_S("accept-charset"),
    [BW_F_ACCEPT_ENCODING] = BW_S("accept-encoding"),
    [BW_F_ACCEPT_LANGUAGE] = BW_S("accept-language"),
    [BW_F_ACCEPT_RANGES] = BW_S("accept-ranges"),
    [BW_F_ACCESS_CONTROL_ALLOW_ORIGIN] = BW_S("access-control-allow-origin"),
    [BW_F_AGE] = BW_S("age"),
    [BW_F_ALLOW] = BW_S("allow"),
    [BW_F_ALT_SVC] = BW_S("alt-svc"),
    [BW_F_AUTHORIZATION] = BW_S("authorization"),
    [BW_F_BREAKWATER_CACHE_CONTROL] = BW_S("breakwater-cache-control"),
    [BW_F_CACHE_CONTROL] = BW_S("cache-control"),
    [BW_F_CACHE_GROUPS] = BW_S("cache-groups"),
    [BW_F_CACHE_STATUS] = BW_S("cache-status"),
    [BW_F_CDN_CACHE_CONTROL] = BW_S("cdn-cache-control"),
    [BW_F_CONNECTION] = BW_S("connection"),
    [BW_F_CONTENT_ENCODING] = BW_S("content-encoding"),
    [BW_F_CONTENT_LANGUAGE] = BW_S("content-language"),
    [BW_F_CONTENT_LENGTH] = BW_S("content-length"),
    [BW_F_CONTENT_LOCATION] = BW_S("content-location"),
    [BW_F_CONTENT_RANGE] = BW_S("content-range"),
    [BW_F_CONTENT_TYPE] = BW_S("content-type"),
    [BW_F_COOKIE] = BW_S("cookie"),
    [BW_F_DATE] = BW_S("date"),
    [BW_F_ETAG] = BW_S("etag"),
    [BW_F_EXPECT] = BW_S("expect"),
    [BW_F_EXPIRES] = BW_S("expires"),
    [BW_F_FORWARDED] = BW_S("forwarded"),
    [BW_F_FRONT_END_HTTPS] = BW_S("front-end-https"),
    [BW_F_HOST] = BW_S("host"),
    [BW_F_HTTP2_SETTINGS] = BW_S("http2-settings"),
    [BW_F_IF_MATCH] = BW_S("if-match"),
    [BW_F_IF_MODIFIED_SINCE] = BW_S("if-modified-since"),
    [BW_F_IF_NONE_MATCH] = BW_S("if-none-match"),
    [BW_F_IF_RANGE] = BW_S("if-range"),
    [BW_F_IF_UNMODIFIED_SINCE] = BW_S("if-unmodified-since"),
    [BW_F_KEEP_ALIVE] = BW_S("keep-alive"),
    [BW_F_LAST_MODIFIED] = BW_S("last-modified"),
    [BW_F_LINK] = BW_S("link"),
    [BW_F_LOCATION] = BW_S("location"),
    [BW_F_ORIGIN] = BW_S("origin"),
    [BW_F_PRAGMA] = BW_S("pragma"),
    [BW_F_PRIORITY] = BW_S("priority"),
    [BW_F_PROXY] = BW_S("proxy"),
    [BW_F_PROXY_AUTHENTICATE] = BW_S("proxy-authenticate"),
    [BW_F_PROXY_AUTHENTICATION_INFO] = BW_S("proxy-authentication-info"),
    [BW_F_PROXY_AUTHORIZATION] = BW_S("proxy-authorization"),
    [BW_F_PROXY_CONNECTION] = BW_S("proxy-connection"),
    [BW_F_RANGE] = BW_S("range"),
    [BW_F_REFERER] = BW_S("referer"),
    [BW_F_RETRY_AFTER] = BW_S("retry-after"),
    [BW_F_SERVER] = BW_S("server"),
    [BW_F_SET_COOKIE] = BW_S("set-cookie"),
    [BW_F_SURROGATE_CAPABILITY] = BW_S("surrogate-capability"),
    [BW_F_SURROGATE_CONTROL] = BW_S("surrogate-control"),
    [BW_F_TE] = BW_S("te"),
    [BW_F_TRAILER] = BW_S("trailer"),
    [BW_F_TRANSFER_ENCODING] = BW_S("transfer-encoding"),
    [BW_F_UPGRADE] = BW_S("upgrade"),
    [BW_F_USER_AGENT] = BW_S("user-agent"),
    [BW_F_VARY] = BW_S("vary"),
    [BW_F_VIA] = BW_S("via"),
    [BW_F_WARNING] = BW_S("warning"),
    [BW_F_WWW_AUTHENTICATE] = BW_S("www-authenticate"),
    [BW_F_X_FORWARDED_FOR] = BW_S("x-forwarded-for"),
    [BW_F_X_FORWARDED_HOST] = BW_S("x-forwarded-host"),
    [BW_F_X_FORWARDED_PORT] = BW_S("x-forwarded-port"),
    [BW_F_X_FORWARDED_PREFIX] = BW_S("x-forwarded-prefix"),
    [BW_F_X_FORWARDED_PROTO] = BW_S("x-forwarded-proto"),
    [BW_F_X_FORWARDED_SCHEME] = BW_S("x-forwarded-scheme"),
    [BW_F_X_FORWARDED_SERVER] = BW_S("x-forwarded-server"),
    [BW_F_X_HOST] = BW_S("x-host"),
    [BW_F_X_HTTP_METHOD] = BW_S("x-http-method"),
    [BW_F_X_HTTP_METHOD_OVERRIDE] = BW_S("x-http-method-override"),
    [BW_F_X_METHOD_OVERRIDE] = BW_S("x-method-override"),
    [BW_F_X_ORIGINAL_HOST] = BW_S("x-original-host"),
    [BW_F_X_ORIGINAL_URL] = BW_S("x-original-url"),
    [BW_F_X_REAL_IP] = BW_S("x-real-ip"),
    [BW_F_X_REQUEST_ID] = BW_S("x-request-id"),
    [BW_F_X_REWRITE_URL] = BW_S("x-rewrite-url"),
    [BW_F_X_WAP_PROFILE] = BW_S("x-wap-profile"),
};

/* Ids by the length of their names; BW_F_OTHER ends a row. */
static const unsigned char by_length[LONGEST + 1][WIDEST + 1] = {
    [2] = {BW_F_TE},
    [3] = {BW_F_AGE, BW_F_VIA},
    [4] = {BW_F_HOST, BW_F_DATE, BW_F_ETAG, BW_F_VARY, BW_F_LINK},
    [5] = {BW_F_RANGE, BW_F_ALLOW, BW_F_PROXY},
    [6] = {BW_F_ACCEPT, BW_F_COOKIE, BW_F_SERVER, BW_F_ORIGIN, BW_F_EXPECT, BW_F_PRAGMA,
           BW_F_X_HOST},
    [7] = {BW_F_REFERER, BW_F_EXPIRES, BW_F_ALT_SVC, BW_F_TRAILER, BW_F_UPGRADE, BW_F_WARNING},
    [8] = {BW_F_PRIORITY, BW_F_IF_MATCH, BW_F_IF_RANGE, BW_F_LOCATION},
    [9] = {BW_F_FORWARDED, BW_F_X_REAL_IP},
    [10] = {BW_F_CONNECTION, BW_F_USER_AGENT, BW_F_SET_COOKIE, BW_F_KEEP_ALIVE},
    [11] = {BW_F_RETRY_AFTER},
    [12] = {BW_F_CONTENT_TYPE, BW_F_CACHE_GROUPS, BW_F_CACHE_STATUS, BW_F_X_REQUEST_ID},
    [13] = {BW_F_CACHE_CONTROL, BW_F_LAST_MODIFIED, BW_F_IF_NONE_MATCH, BW_F_ACCEPT_RANGES,
            BW_F_AUTHORIZATION, BW_F_CONTENT_RANGE, BW_F_X_HTTP_METHOD, BW_F_X_REWRITE_URL,
            BW_F_X_WAP_PROFILE},
    [14] = {BW_F_CONTENT_LENGTH, BW_F_ACCEPT_CHARSET, BW_F_HTTP2_SETTINGS, BW_F_X_ORIGINAL_URL},
    [15] = {BW_F_ACCEPT_LANGUAGE, BW_F_ACCEPT_ENCODING, BW_F_X_FORWARDED_FOR, BW_F_FRONT_END_HTTPS,
            BW_F_X_ORIGINAL_HOST},
    [16] = {BW_F_CONTENT_ENCODING, BW_F_CONTENT_LANGUAGE, BW_F_CONTENT_LOCATION,
            BW_F_PROXY_CONNECTION, BW_F_WWW_AUTHENTICATE, BW_F_X_FORWARDED_HOST,
            BW_F_X_FORWARDED_PORT},
    [17] = {BW_F_IF_MODIFIED_SINCE, BW_F_CDN_CACHE_CONTROL, BW_F_SURROGATE_CONTROL,
            BW_F_TRANSFER_ENCODING, BW_F_X_FORWARDED_PROTO, BW_F_X_METHOD_OVERRIDE},
    [18] = {BW_F_PROXY_AUTHENTICATE, BW_F_X_FORWARDED_PREFIX, BW_F_X_FORWARDED_SCHEME,
            BW_F_X_FORWARDED_SERVER},
    [19] = {BW_F_IF_UNMODIFIED_SINCE, BW_F_PROXY_AUTHORIZATION},
    [20] = {BW_F_SURROGATE_CAPABILITY},
    [22] = {BW_F_X_HTTP_METHOD_OVERRIDE},
    [24] = {BW_F_BREAKWATER_CACHE_CONTROL},
    [25] = {BW_F_PROXY_AUTHENTICATION_INFO},
    [27] = {BW_F_ACCESS_CONTROL_ALLOW_ORIGIN},
};

enum bw_field_id bw_field_lookup(struct bw_slice name)
{
    if (name.len == 0 || name.len > LONGEST)
        return BW_F_OTHER;
    const size_t last = name.len - 1;

    for (const unsigned char *id = by_length[name.len]; *id != BW_F_OTHER; ++id) {
        const char *known = known_names[*id].base;
        if (known[0] == name.base[0] && known[last] == name.base[last] &&
            memcmp(known, name.base, name.len) == 0)
            return (enum bw_field_id) * id;
    }
    return BW_F_OTHER;
}

struct bw_slice bw_field_name(enum bw_field_id id)
{
    BW_ASSERT(id < BW_F_COUNT);
    return known_names[id];
}

/* The first field from `at` on with that id, or NULL. */
static const struct bw_field *find_from(const struct bw_fields *f, size_t at, enum bw_field_id id)
{
    for (; at < f->n; ++at)
        if (f->v[at].id == id)
            return &f->v[at];
    return NULL;
}

const struct bw_field *bw_fields_find(const struct bw_fields *f, enum bw_field_id id)
{
    return find_from(f, 0, id);
}

const struct bw_field *bw_fields_next(const struct bw_fields *f, const struct bw_field *prev)
{
    const struct bw_field *next = prev;

    do {
        next = find_from(f, (size_t)(next - f->v) + 1, prev->id);
    } while (next != NULL && prev->id == BW_F_OTHER && !bw_slice_eq(next->name, prev->name));
    return next;
}

const struct bw_field *bw_fields_find_name(const struct bw_fields *f, struct bw_slice name)
{
    enum bw_field_id id = bw_field_lookup(name);
    const struct bw_field *field = bw_fields_find(f, id);

    if (id != BW_F_OTHER)
        return field;
    while (field != NULL && !bw_slice_eq(field->name, name))
        field = find_from(f, (size_t)(field - f->v) + 1, BW_F_OTHER);
    return field;
}

size_t bw_fields_count(const struct bw_fields *f, enum bw_field_id id)
{
    size_t count = 0;

    for (size_t i = 0; i < f->n; ++i)
        count += f->v[i].id == id;
    return count;
}

/* How far the first member of a list reaches: to a comma outside quotes (RFC 9110, 5.6.4). */
static size_t member_length(struct bw_slice list)
{
    bool quoted = false;
    size_t i = 0;

    for (; i < list.len; ++i) {
        char c = list.base[i];
        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted)
            ++i;
        else if (c == ',' && !quoted)
            return i;
    }
    return list.len;
}

/* Takes one member, perhaps empty, off the front of `*list`. */
static struct bw_slice take_member(struct bw_slice *list)
{
    size_t n = member_length(*list);
    size_t skip = n < list->len ? n + 1 : n;
    struct bw_slice member = bw_slice(list->base, n);

    *list = bw_slice(list->base + skip, list->len - skip);
    return bw_slice_trim(member);
}

static void next_line(const struct bw_fields *f, enum bw_field_id id, struct bw_list_iter *it)
{
    it->field = it->started ? bw_fields_next(f, it->field) : bw_fields_find(f, id);
    it->started = true;
    it->rest = it->field != NULL ? it->field->value : bw_slice(NULL, 0);
}

bool bw_list_next(const struct bw_fields *f, enum bw_field_id id, struct bw_list_iter *it,
                  struct bw_slice *member)
{
    if (!it->started)
        next_line(f, id, it);
    while (it->field != NULL) {
        while (it->rest.len > 0) {
            *member = take_member(&it->rest);
            if (member->len > 0)
                return true;
        }
        next_line(f, id, it);
    }
    return false;
}
