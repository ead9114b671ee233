/*
 * conditional.c - conditions of clients judged against what is stored, and ours for the origin.
 */
#include "breakwater/http/conditional.h"

#include "breakwater/http/date.h"
#include "breakwater/http/etag.h"

/* How much later than Last-Modified a Date has to be for it to tell bodies apart (8.8.2.2). */
enum { STRONG_AFTER_S = 1 };

/* The date of a field that must stand once (RFC 9110, 13.1.3: several or invalid are ignored). */
static bool read_date(const struct bw_fields *f, enum bw_field_id id, int64_t now_s,
                      int64_t *unix_s)
{
    const struct bw_field *field = bw_fields_find(f, id);

    if (field == NULL || bw_fields_next(f, field) != NULL)
        return false;
    return bw_date_parse(field->value, now_s, unix_s);
}

static bool etag_matches(const struct bw_fields *request, enum bw_field_id id,
                         const struct bw_fields *stored, enum bw_etag_compare how)
{
    struct bw_etag tag;

    return bw_etag_listed(request, id, bw_etag_of(stored, &tag) ? &tag : NULL, how);
}

/* Is the stored response at most as new as the date in that request field?  No date: no. */
static bool unmodified_since(const struct bw_fields *request, enum bw_field_id id,
                             const struct bw_fields *stored, int64_t now_s)
{
    int64_t since, modified;

    if (!read_date(request, id, now_s, &since))
        return false;
    if (!read_date(stored, BW_F_LAST_MODIFIED, now_s, &modified) &&
        !read_date(stored, BW_F_DATE, now_s, &modified))
        return false;
    return modified <= since;
}

enum bw_conditional bw_conditional_evaluate(const struct bw_fields *request, int status,
                                            const struct bw_fields *stored, int64_t now_s)
{
    bool none_match = false, since = false, same;

    for (size_t i = 0; i < request->n; i++) {
        none_match |= request->v[i].id == BW_F_IF_NONE_MATCH;
        since |= request->v[i].id == BW_F_IF_MODIFIED_SINCE;
    }
    if ((!none_match && !since) || status < 200 || status > 299)
        return BW_COND_FULL;
    if (none_match)
        same = etag_matches(request, BW_F_IF_NONE_MATCH, stored, BW_ETAG_WEAK);
    else
        same = unmodified_since(request, BW_F_IF_MODIFIED_SINCE, stored, now_s);
    return same ? BW_COND_NOT_MODIFIED : BW_COND_FULL;
}

/*
 * A Last-Modified tells two bodies apart only if the response was made at least a second later:
 * within that second the body may have changed once more (RFC 9110, 8.8.2.2).
 */
static bool if_range_date_holds(struct bw_slice value, const struct bw_fields *stored,
                                int64_t now_s)
{
    const struct bw_field *modified = bw_fields_find(stored, BW_F_LAST_MODIFIED);
    int64_t modified_s, date_s;

    return modified != NULL && bw_slice_eq(value, modified->value) &&
           read_date(stored, BW_F_LAST_MODIFIED, now_s, &modified_s) &&
           read_date(stored, BW_F_DATE, now_s, &date_s) && date_s - modified_s >= STRONG_AFTER_S;
}

static bool if_range_holds(const struct bw_fields *request, const struct bw_field *if_range,
                           const struct bw_fields *stored, int64_t now_s)
{
    struct bw_etag asked, tag;

    if (bw_fields_next(request, if_range) != NULL || !bw_etag_parse(if_range->value, &asked))
        return false;
    if (!asked.weak)
        return bw_etag_of(stored, &tag) && bw_etag_equal(&asked, &tag, BW_ETAG_STRONG);
    return if_range_date_holds(if_range->value, stored, now_s);
}

bool bw_conditional_range_allowed(const struct bw_fields *request, const struct bw_fields *stored,
                                  int64_t now_s)
{
    const struct bw_field *if_range = NULL;
    bool match = false, unmodified = false;

    for (size_t i = 0; i < request->n; i++) {
        match |= request->v[i].id == BW_F_IF_MATCH;
        unmodified |= request->v[i].id == BW_F_IF_UNMODIFIED_SINCE;
        if (request->v[i].id == BW_F_IF_RANGE && if_range == NULL)
            if_range = &request->v[i];
    }
    if (match && !etag_matches(request, BW_F_IF_MATCH, stored, BW_ETAG_STRONG))
        return false;
    if (unmodified && !match && !unmodified_since(request, BW_F_IF_UNMODIFIED_SINCE, stored, now_s))
        return false;
    return if_range == NULL || if_range_holds(request, if_range, stored, now_s);
}

bool bw_conditional_in_304(enum bw_field_id id, bool has_etag)
{
    static const bool kept[BW_F_COUNT] = {
        [BW_F_CACHE_CONTROL] = true,
        [BW_F_CACHE_GROUPS] = true,
        [BW_F_CACHE_STATUS] = true,
        [BW_F_CDN_CACHE_CONTROL] = true,
        [BW_F_CONTENT_LOCATION] = true,
        [BW_F_DATE] = true,
        [BW_F_ETAG] = true,
        [BW_F_EXPIRES] = true,
        [BW_F_VARY] = true,
    };

    return kept[id] || (id == BW_F_LAST_MODIFIED && !has_etag);
}

/* Adds `asks` with the value of the stored `holds`, if that stands exactly once. */
static size_t add_validator(const struct bw_fields *stored, enum bw_field_id holds,
                            enum bw_field_id asks, struct bw_field *out)
{
    const struct bw_field *f = bw_fields_find(stored, holds);

    if (f == NULL || f->value.len == 0 || bw_fields_next(stored, f) != NULL)
        return 0;
    *out = (struct bw_field){bw_field_name(asks), f->value, asks};
    return 1;
}

size_t bw_conditional_validators(const struct bw_fields *stored,
                                 struct bw_field out[BW_CONDITIONAL_VALIDATORS])
{
    size_t n = add_validator(stored, BW_F_ETAG, BW_F_IF_NONE_MATCH, out);

    return n + add_validator(stored, BW_F_LAST_MODIFIED, BW_F_IF_MODIFIED_SINCE, out + n);
}

/* ---- the answer to a HEAD ---- */

static bool has(const struct bw_fields *f, enum bw_field_id id)
{
    return bw_fields_find(f, id) != NULL;
}

/* In another coding it is another representation, which says nothing of ours. */
static bool same_coding(const struct bw_fields *a, const struct bw_fields *b)
{
    const struct bw_field *x = bw_fields_find(a, BW_F_CONTENT_ENCODING);
    const struct bw_field *y = bw_fields_find(b, BW_F_CONTENT_ENCODING);

    if (x == NULL || y == NULL)
        return x == y;
    return bw_slice_eq_nocase(x->value, y->value);
}

static enum bw_described by_etag(const struct bw_fields *stored, const struct bw_fields *answer)
{
    struct bw_etag a, b;

    if (!bw_etag_of(stored, &a) || !bw_etag_of(answer, &b))
        return BW_DESCRIBED_UNKNOWN;
    return bw_etag_equal(&a, &b, BW_ETAG_WEAK) ? BW_DESCRIBED_SAME : BW_DESCRIBED_OTHER;
}

static enum bw_described by_date(const struct bw_fields *stored, const struct bw_fields *answer)
{
    const struct bw_field *a = bw_fields_find(stored, BW_F_LAST_MODIFIED);
    const struct bw_field *b = bw_fields_find(answer, BW_F_LAST_MODIFIED);

    if (a == NULL || b == NULL)
        return BW_DESCRIBED_UNKNOWN;
    return bw_slice_eq(a->value, b->value) ? BW_DESCRIBED_SAME : BW_DESCRIBED_OTHER;
}

/*
 * Every validator that came has to agree.  A length alone is not enough, although 4.3.5 would have
 * it so: whoever asks HEAD now and then would keep an old page of the same length for ever.
 */
enum bw_described bw_conditional_describes(const struct bw_fields *stored, uint64_t stored_len,
                                           const struct bw_fields *answer, uint64_t length)
{
    enum bw_described etag = by_etag(stored, answer), date = by_date(stored, answer);

    if (!same_coding(stored, answer))
        return BW_DESCRIBED_UNKNOWN;
    if (etag == BW_DESCRIBED_OTHER || date == BW_DESCRIBED_OTHER ||
        (length != UINT64_MAX && length != stored_len))
        return BW_DESCRIBED_OTHER;
    if ((has(answer, BW_F_ETAG) && etag != BW_DESCRIBED_SAME) ||
        (has(answer, BW_F_LAST_MODIFIED) && date != BW_DESCRIBED_SAME))
        return BW_DESCRIBED_UNKNOWN;
    return etag == BW_DESCRIBED_SAME ? etag : date;
}
