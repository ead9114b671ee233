/*
 * target.c - one form for all spellings of a target.
 *
 * What is matched is what is keyed is what is sent on: then no origin can have a second opinion of
 * a path (security.md 6).  Only what RFC 3986, 6.2.2 calls equivalent is touched; an encoded slash
 * or backslash stays encoded, an empty segment stays, the query stays as it was sent.  Most targets
 * are in normal form already, and for them nothing is written.
 */
#include "breakwater/http/target.h"

#include "breakwater/http/head.h"

static const signed char hex_plus_one[256] = {
    /* 0: no digit; else its value plus one, so that the table needs no entry for the others */
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* RFC 3986, 2.3 */
static const bool is_unreserved[256] = {
    ['-'] = true, ['.'] = true,         ['0' ... '9'] = true, ['A' ... 'Z'] = true,
    ['_'] = true, ['a' ... 'z'] = true, ['~'] = true,
};

static int hex_value(char c)
{
    return hex_plus_one[(unsigned char)c] - 1;
}

/* The byte that "%xx" at `p` stands for; only for what percents_valid() has seen. */
static unsigned char decode(const char *p)
{
    return (unsigned char)(hex_value(p[1]) << 4 | hex_value(p[2]));
}

static const char *find_percent(const char *p, const char *end)
{
    return memchr(p, '%', (size_t)(end - p));
}

/* Is each percent followed by two hex digits, and none of them %00? */
static bool percents_valid(struct bw_slice s)
{
    const char *end = s.base + s.len;
    const char *p = s.base;

    while ((p = find_percent(p, end)) != NULL) {
        if (end - p < 3 || hex_value(p[1]) < 0 || hex_value(p[2]) < 0 || decode(p) == 0)
            return false;
        p += 3;
    }
    return true;
}

static bool is_lower_hex(char c)
{
    return c >= 'a' && c <= 'f';
}

/* Does no percent have to be decoded or written in upper case? */
static bool percents_normal(struct bw_slice path)
{
    const char *end = path.base + path.len;
    const char *p = path.base;

    while ((p = find_percent(p, end)) != NULL) {
        if (is_unreserved[decode(p)] || is_lower_hex(p[1]) || is_lower_hex(p[2]))
            return false;
        p += 3;
    }
    return true;
}

static bool is_dot(struct bw_slice segment)
{
    return segment.len == 1 && segment.base[0] == '.';
}

static bool is_dot_dot(struct bw_slice segment)
{
    return segment.len == 2 && segment.base[0] == '.' && segment.base[1] == '.';
}

static bool has_dot_segment(struct bw_slice path)
{
    const char *end = path.base + path.len;
    const char *p = path.base;

    while ((p = memmem(p, (size_t)(end - p), "/.", 2)) != NULL) {
        struct bw_slice rest;
        struct bw_slice segment = bw_slice_cut(bw_slice(p + 1, (size_t)(end - p - 1)), '/', &rest);
        if (is_dot(segment) || is_dot_dot(segment))
            return true;
        ++p;
    }
    return false;
}

/* Writes one segment with its percents in normal form; the number of bytes. */
static size_t write_segment(struct bw_slice segment, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < segment.len; ++i) {
        const char *p = segment.base + i;
        if (*p != '%') {
            out[n++] = *p;
            continue;
        }
        unsigned char c = decode(p);
        if (is_unreserved[c]) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = "0123456789ABCDEF"[c >> 4];
            out[n++] = "0123456789ABCDEF"[c & 15];
        }
        i += 2;
    }
    return n;
}

/* Where the segment that ends at `n` begins: at its slash. `n` > 0. */
static size_t last_slash(const char *out, size_t n)
{
    do {
        --n;
    } while (out[n] != '/');
    return n;
}

/*
 * RFC 3986, 5.2.4 on segments that are decoded already, so that %2e is a dot like any other.
 * A climb over the root is refused instead of ignored.  Returns the length, 0 for a bad path.
 */
static size_t write_path(struct bw_slice path, char *out)
{
    struct bw_slice rest = bw_slice(path.base + 1, path.len - 1);
    size_t n = 0; /* out[0..n) is whole segments, each with its slash in front */

    do {
        struct bw_slice segment = bw_slice_cut(rest, '/', &rest);
        bool is_last = rest.base == NULL;
        size_t len = write_segment(segment, out + n + 1);
        struct bw_slice written = bw_slice(out + n + 1, len);
        bool climbs = is_dot_dot(written);

        if (climbs && n == 0)
            return 0;
        if (climbs)
            n = last_slash(out, n);
        if ((climbs || is_dot(written)) && !is_last)
            continue;
        out[n] = '/'; /* a dot segment at the end leaves its slash */
        n += 1 + (climbs || is_dot(written) ? 0 : len);
    } while (rest.base != NULL);
    return n;
}

enum bw_target_verdict bw_target_normalise(struct bw_slice target, char *out, struct bw_target *t)
{
    if (!bw_head_target_valid(target) || !percents_valid(target))
        return BW_TARGET_BAD;
    t->whole = target;
    t->path = bw_slice_cut(target, '?', &t->query);
    t->has_query = t->query.base != NULL;
    if (percents_normal(t->path) && !has_dot_segment(t->path))
        return BW_TARGET_OK;

    size_t tail = target.len - t->path.len; /* "?query" */
    size_t n = write_path(t->path, out);
    if (n == 0)
        return BW_TARGET_BAD;
    memcpy(out + n, target.base + t->path.len, tail);
    t->path = bw_slice(out, n);
    if (t->has_query)
        t->query = bw_slice(out + n + 1, tail - 1);
    t->whole = bw_slice(out, n + tail);
    return BW_TARGET_OK;
}

/* The port with its colon at the end of an authority; empty where there is none. */
static struct bw_slice port_part(struct bw_slice authority)
{
    size_t at = authority.len;

    while (at > 0 && authority.base[at - 1] >= '0' && authority.base[at - 1] <= '9')
        --at;
    if (at == 0 || authority.base[at - 1] != ':')
        return bw_slice(NULL, 0);
    return bw_slice(authority.base + at - 1, authority.len - at + 1);
}

struct bw_slice bw_target_authority(struct bw_slice authority, bool https, char *out,
                                    struct bw_slice *host)
{
    struct bw_slice port = port_part(authority);
    size_t n = authority.len - port.len;

    if (n > 0 && authority.base[n - 1] == '.')
        --n;
    for (size_t i = 0; i < n; ++i) {
        char c = authority.base[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    *host = bw_slice(out, n);
    if (port.len > 0 && !bw_slice_eq(port, https ? BW_S(":443") : BW_S(":80"))) {
        memcpy(out + n, port.base, port.len);
        n += port.len;
    }
    return bw_slice(out, n);
}

bool bw_query_next(struct bw_slice query, struct bw_query_iter *it, struct bw_slice *name,
                   struct bw_slice *value)
{
    if (query.len == 0 || it->at > query.len)
        return false;
    struct bw_slice rest;
    struct bw_slice parameter =
        bw_slice_cut(bw_slice(query.base + it->at, query.len - it->at), '&', &rest);

    it->at += parameter.len + 1;
    *name = bw_slice_cut(parameter, '=', value);
    return true;
}
