/*
 * key.c - keys as length-prefixed strings, so that no request can forge another one's.
 */
#include "breakwater/cache/key.h"

enum { PREFIX = 4, ABSENT = 0xFFFFFFFF };

static char *put_bytes(char *at, struct bw_slice s)
{
    uint32_t n = (uint32_t)s.len;

    memcpy(at, &n, PREFIX);
    if (s.len != 0)
        memcpy(at + PREFIX, s.base, s.len);
    return at + PREFIX + s.len;
}

static char *put_absent(char *at)
{
    uint32_t n = ABSENT;

    memcpy(at, &n, PREFIX);
    return at + PREFIX;
}

/* '*' stands for any bytes, also none; names of parameters are short, so the plain walk will do. */
static bool glob(struct bw_slice pattern, struct bw_slice s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;

    while (i < s.len) {
        if (p < pattern.len && pattern.base[p] == '*') {
            star = p++;
            mark = i;
        } else if (p < pattern.len && pattern.base[p] == s.base[i]) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.base[p] == '*')
        p++;
    return p == pattern.len;
}

static bool ignored(struct bw_slice name, const struct bw_key_settings *settings)
{
    for (size_t i = 0; i < settings->ignore_query_n; i++)
        if (glob(settings->ignore_query[i], name))
            return true;
    return false;
}

struct bw_slice bw_key_filter_query(struct bw_slice query, const struct bw_key_settings *settings,
                                    char *out)
{
    struct bw_slice rest = query;
    size_t len = 0;
    bool dropped = false;

    if (settings->ignore_query_all)
        return bw_slice(query.base, 0);
    if (settings->ignore_query_n == 0)
        return query;
    while (rest.base != NULL) {
        struct bw_slice value;
        struct bw_slice part = bw_slice_cut(rest, '&', &rest);

        if (ignored(bw_slice_cut(part, '=', &value), settings)) {
            dropped = true;
            continue;
        }
        if (len != 0)
            out[len++] = '&';
        memcpy(out + len, part.base, part.len);
        len += part.len;
    }
    return dropped ? bw_slice(out, len) : query;
}

/*
 * The values of all fields of that name, or of all cookies of that name: the origin may look at any
 * of them, so a second one that the key did not know would let a client choose what others get.
 * Start with a zeroed iterator; false: there is none any more.
 */
struct value_iter {
    const struct bw_field *field;
    struct bw_slice rest; /* of the Cookie field */
    bool begun;
};

static bool next_header(const struct bw_fields *fields, struct bw_slice name, struct value_iter *it,
                        struct bw_slice *value)
{
    it->field = it->begun ? bw_fields_next(fields, it->field) : bw_fields_find_name(fields, name);
    it->begun = true;
    if (it->field == NULL)
        return false;
    *value = it->field->value;
    return true;
}

static bool next_cookie_field(const struct bw_fields *fields, struct value_iter *it)
{
    it->field = it->begun ? bw_fields_next(fields, it->field) : bw_fields_find(fields, BW_F_COOKIE);
    it->begun = true;
    if (it->field == NULL)
        return false;
    it->rest = it->field->value;
    return true;
}

static bool next_cookie(const struct bw_fields *fields, struct bw_slice name, struct value_iter *it,
                        struct bw_slice *value)
{
    while (it->rest.len != 0 || next_cookie_field(fields, it)) {
        struct bw_slice pair = bw_slice_trim(bw_slice_cut(it->rest, ';', &it->rest));

        if (bw_slice_eq(bw_slice_cut(pair, '=', value), name)) {
            if (value->base == NULL)
                *value = bw_slice("", 0);
            return true;
        }
    }
    return false;
}

typedef bool (*next_value_fn)(const struct bw_fields *fields, struct bw_slice name,
                              struct value_iter *it, struct bw_slice *value);

/* Name, values, each with its length, and an end that no length can be. */
static size_t pair_size(const struct bw_fields *fields, struct bw_slice name, next_value_fn next)
{
    struct value_iter it = {0};
    struct bw_slice value;
    size_t n = (size_t)2 * PREFIX + name.len;

    while (next(fields, name, &it, &value))
        n += PREFIX + value.len;
    return n;
}

static char *put_pair(char *at, const struct bw_fields *fields, struct bw_slice name,
                      next_value_fn next)
{
    struct value_iter it = {0};
    struct bw_slice value;

    at = put_bytes(at, name);
    while (next(fields, name, &it, &value))
        at = put_bytes(at, value);
    return put_absent(at);
}

size_t bw_key_size(const struct bw_key_request *rq, const struct bw_key_settings *settings)
{
    size_t n = 1 + 3 * PREFIX + rq->authority.len + rq->path.len + rq->query.len;

    if (rq->said.len != 0)
        n += (size_t)2 * PREFIX + rq->said.len;
    for (size_t i = 0; i < settings->headers_n; i++)
        n += pair_size(rq->fields, settings->headers[i], next_header);
    for (size_t i = 0; i < settings->cookies_n; i++)
        n += pair_size(rq->fields, settings->cookies[i], next_cookie);
    return n;
}

void bw_key_make(const struct bw_key_request *rq, const struct bw_key_settings *settings,
                 const struct bw_hash_secret *secret, char *memory, struct bw_key *out)
{
    char *at = memory;

    *at++ = rq->https ? 's' : 'h';
    at = put_bytes(at, rq->authority);
    at = put_bytes(at, rq->path);
    at = rq->has_query ? put_bytes(at, rq->query) : put_absent(at);
    out->url_len = (size_t)(at - memory);
    if (rq->said.len != 0)
        at = put_bytes(put_absent(at), rq->said); /* no name of a field can be absent */
    for (size_t i = 0; i < settings->headers_n; i++)
        at = put_pair(at, rq->fields, settings->headers[i], next_header);
    for (size_t i = 0; i < settings->cookies_n; i++)
        at = put_pair(at, rq->fields, settings->cookies[i], next_cookie);
    out->bytes = bw_slice(memory, (size_t)(at - memory));
    out->hash = bw_hash_128(out->bytes, secret);
}

void bw_key_variant(const struct bw_key *key, uint64_t vary_id, struct bw_slice values,
                    const struct bw_hash_secret *secret, char *memory, struct bw_key *out)
{
    char *at = memory;

    memcpy(at, key->bytes.base, key->bytes.len);
    at += key->bytes.len;
    memcpy(at, &vary_id, sizeof(vary_id));
    at = put_bytes(at + sizeof(vary_id), values);
    out->bytes = bw_slice(memory, (size_t)(at - memory));
    out->url_len = key->url_len;
    out->hash = bw_hash_128(out->bytes, secret);
}

bool bw_key_is_variant(struct bw_slice key, struct bw_slice base)
{
    size_t values = base.len + sizeof(uint64_t);
    uint32_t n;

    if (key.len < values + PREFIX || memcmp(key.base, base.base, base.len) != 0)
        return false;
    memcpy(&n, key.base + values, PREFIX);
    return key.len == values + PREFIX + n;
}

struct bw_hash bw_key_primary(const struct bw_key *key, const struct bw_hash_secret *secret)
{
    if (key->url_len == key->bytes.len)
        return key->hash;
    return bw_hash_128(bw_slice(key->bytes.base, key->url_len), secret);
}
