/*
 * etag.c - entity tags.
 *
 * The general list splitter is not for them: a backslash inside a tag is a plain byte and escapes
 * nothing (RFC 9110, 8.8.3), so `"a\"` is a whole tag, and a splitter that knows quoted strings
 * would swallow its neighbour.
 */
#include "breakwater/http/etag.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The length of `["W/"] DQUOTE ... DQUOTE` at the start of `s`; 0: it is no such thing. */
static size_t quoted_length(struct bw_slice s, bool *weak)
{
    size_t open = s.len >= 2 && s.base[0] == 'W' && s.base[1] == '/' ? 2 : 0;
    const char *close;

    if (open >= s.len || s.base[open] != '"')
        return 0;
    close = memchr(s.base + open + 1, '"', s.len - open - 1);
    *weak = open != 0;
    return close != NULL ? (size_t)(close - s.base) + 1 : 0;
}

/* Does nothing but blanks stand between `at` and the next comma or the end? */
static bool ends_member(struct bw_slice s, size_t at)
{
    while (at < s.len && is_blank(s.base[at]))
        at++;
    return at == s.len || s.base[at] == ',';
}

static struct bw_slice drop(struct bw_slice s, size_t n)
{
    return n > 0 ? bw_slice(s.base + n, s.len - n) : s; /* an empty slice may be NULL */
}

static struct bw_slice skip_to_member(struct bw_slice s)
{
    size_t i = 0;

    while (i < s.len && (is_blank(s.base[i]) || s.base[i] == ','))
        i++;
    return drop(s, i);
}

bool bw_etag_next(struct bw_slice *rest, struct bw_etag *tag)
{
    struct bw_slice s = skip_to_member(*rest);
    bool weak = false;
    size_t n = quoted_length(s, &weak);

    if (s.len == 0) {
        *rest = s;
        return false;
    }
    if (n > 0 && ends_member(s, n)) {
        tag->text = drop(bw_slice(s.base, n), weak ? 2 : 0);
        tag->weak = weak;
    } else {
        const char *comma = memchr(s.base, ',', s.len);

        n = comma != NULL ? (size_t)(comma - s.base) : s.len;
        tag->text = bw_slice_trim(bw_slice(s.base, n));
        tag->weak = true;
    }
    *rest = drop(s, n);
    return true;
}

bool bw_etag_parse(struct bw_slice value, struct bw_etag *tag)
{
    struct bw_slice whole = bw_slice_trim(value), rest = whole;

    if (whole.len == 0)
        return false;
    if (!bw_etag_next(&rest, tag) || rest.len > 0) {
        tag->text = whole;
        tag->weak = true;
    }
    return true;
}

bool bw_etag_of(const struct bw_fields *response, struct bw_etag *tag)
{
    const struct bw_field *f = bw_fields_find(response, BW_F_ETAG);

    if (f == NULL || bw_fields_next(response, f) != NULL)
        return false;
    return bw_etag_parse(f->value, tag);
}

bool bw_etag_equal(const struct bw_etag *a, const struct bw_etag *b, enum bw_etag_compare how)
{
    if (how == BW_ETAG_STRONG && (a->weak || b->weak))
        return false;
    return bw_slice_eq(a->text, b->text);
}

static bool value_lists(struct bw_slice value, const struct bw_etag *tag, enum bw_etag_compare how)
{
    struct bw_etag member;

    if (bw_slice_eq(bw_slice_trim(value), BW_S("*")))
        return true;
    if (tag == NULL)
        return false;
    while (bw_etag_next(&value, &member)) {
        if (bw_etag_equal(&member, tag, how))
            return true;
    }
    return false;
}

bool bw_etag_listed(const struct bw_fields *request, enum bw_field_id id, const struct bw_etag *tag,
                    enum bw_etag_compare how)
{
    const struct bw_field *f = bw_fields_find(request, id);

    for (; f != NULL; f = bw_fields_next(request, f)) {
        if (value_lists(f->value, tag, how))
            return true;
    }
    return false;
}
