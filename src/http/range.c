/*
 * range.c - byte ranges of requests and responses.
 */
#include "breakwater/http/range.h"

#include "breakwater/base/check.h"
#include "breakwater/http/text.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits alone, at least one.  A number beyond 64 bits is beyond every length: it saturates. */
static bool parse_position(struct bw_slice s, uint64_t *n)
{
    *n = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.base[i] - '0');

        if (!is_digit(s.base[i]))
            return false;
        *n = *n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *n * 10 + digit;
    }
    return s.len > 0;
}

enum spec { SPEC_BAD, SPEC_OUTSIDE, SPEC_INSIDE };

/* The last `suffix` bytes (RFC 9110, 14.1.2): of a shorter representation, all. */
static enum spec parse_suffix(struct bw_slice digits, uint64_t length, struct bw_range *out)
{
    uint64_t suffix;

    if (!parse_position(digits, &suffix))
        return SPEC_BAD;
    if (suffix == 0 || length == 0)
        return SPEC_OUTSIDE;
    out->first = suffix < length ? length - suffix : 0;
    out->last = length - 1;
    return SPEC_INSIDE;
}

static enum spec parse_spec(struct bw_slice spec, uint64_t length, struct bw_range *out)
{
    struct bw_slice first, last;

    if (spec.base[0] == '-')
        return parse_suffix(bw_slice(spec.base + 1, spec.len - 1), length, out);
    first = bw_slice_cut(spec, '-', &last);
    if (first.len == spec.len || !parse_position(first, &out->first))
        return SPEC_BAD;
    out->last = UINT64_MAX;
    if (last.len > 0 && (!parse_position(last, &out->last) || out->last < out->first))
        return SPEC_BAD;
    if (out->first >= length)
        return SPEC_OUTSIDE;
    if (out->last >= length)
        out->last = length - 1;
    return SPEC_INSIDE;
}

/* Adds one spec to the ranges; false: answer whole. */
static bool add_spec(struct bw_slice spec, uint64_t length, struct bw_ranges *out)
{
    struct bw_range *range = &out->v[out->n];

    switch (parse_spec(spec, length, range)) {
    case SPEC_BAD:
        return false;
    case SPEC_OUTSIDE:
        return true;
    case SPEC_INSIDE:
        if (out->n > 0 && range->first <= range[-1].last)
            return false;
        out->n++;
        return true;
    }
    BW_UNREACHABLE();
}

/* "bytes=" and what follows it; range units are case-insensitive (RFC 9110, 14.1). */
static bool cut_unit(struct bw_slice value, struct bw_slice *set)
{
    struct bw_slice unit = bw_slice_cut(value, '=', set);

    return bw_slice_eq_nocase(unit, BW_S("bytes")) && set->len > 0;
}

enum bw_range_verdict bw_range_evaluate(const struct bw_fields *request, uint64_t length,
                                        struct bw_ranges *out)
{
    const struct bw_field *f = bw_fields_find(request, BW_F_RANGE);
    struct bw_slice set;
    size_t specs = 0;

    if (f == NULL || bw_fields_next(request, f) != NULL || !cut_unit(f->value, &set))
        return BW_RANGE_WHOLE;
    out->n = 0;
    while (set.len > 0) {
        struct bw_slice spec = bw_slice_trim(bw_slice_cut(set, ',', &set));

        if (spec.len == 0)
            continue;
        if (specs++ == BW_RANGE_MAX || !add_spec(spec, length, out))
            return BW_RANGE_WHOLE;
    }
    if (specs == 0 || (out->n == 0 && length == 0))
        return BW_RANGE_WHOLE; /* no Content-Range can describe a part of nothing */
    return out->n > 0 ? BW_RANGE_PARTIAL : BW_RANGE_UNSATISFIABLE;
}

size_t bw_range_text(const struct bw_range *range, uint64_t length, char out[BW_RANGE_TEXT_MAX])
{
    char *at = bw_text_str(out, "bytes ");

    at = bw_text_u64(at, range->first);
    *at++ = '-';
    at = bw_text_u64(at, range->last);
    *at++ = '/';
    return (size_t)(bw_text_u64(at, length) - out);
}

size_t bw_range_unsatisfied_text(uint64_t length, char out[BW_RANGE_TEXT_MAX])
{
    return (size_t)(bw_text_u64(bw_text_str(out, "bytes */"), length) - out);
}

/* Digits that fit 64 bits; what an origin announces beyond them is no length. */
static bool parse_first_last(struct bw_slice s, struct bw_range *out)
{
    struct bw_slice last, first = bw_slice_cut(s, '-', &last);

    return bw_slice_u64(first, &out->first) && bw_slice_u64(last, &out->last) &&
           out->first <= out->last;
}

bool bw_range_parse_content(struct bw_slice value, struct bw_content_range *out)
{
    struct bw_slice rest, range, length, unit = bw_slice_cut(value, ' ', &rest);

    *out = (struct bw_content_range){.has_range = false};
    if (!bw_slice_eq_nocase(unit, BW_S("bytes")))
        return false;
    range = bw_slice_cut(rest, '/', &length);
    out->has_range = !bw_slice_eq(range, BW_S("*"));
    out->has_length = !bw_slice_eq(length, BW_S("*"));
    if (out->has_range && !parse_first_last(range, &out->range))
        return false;
    if (out->has_length && !bw_slice_u64(length, &out->length))
        return false;
    if (out->has_range && out->has_length)
        return out->range.last < out->length;
    return out->has_range || out->has_length;
}
