/*
 * fields.h - lists of fields written as text, for unit tests: "etag: \"a\"\ndate: ...".
 *
 * Names are to be written in lower case, as parsers hand them on.
 */
#pragma once

#include "breakwater/http/field.h"

#include "unit.h"

enum { TEST_FIELDS_MAX = 64 };

struct test_fields {
    struct bw_field store[TEST_FIELDS_MAX];
    struct bw_fields list;
};

/* The fields of `text`, one a line; the views are of `text`. */
static inline const struct bw_fields *fields(struct test_fields *f, const char *text)
{
    struct bw_slice rest = bw_slice_str(text);

    f->list = (struct bw_fields){f->store, 0};
    while (rest.len > 0) {
        struct bw_slice value, name = bw_slice_cut(bw_slice_cut(rest, '\n', &rest), ':', &value);

        BW_ASSERT(f->list.n < TEST_FIELDS_MAX);
        f->store[f->list.n++] =
            (struct bw_field){name, bw_slice_trim(value), bw_field_lookup(name)};
    }
    return &f->list;
}

/* Asserts that a list is just these fields, in this order, written as above. */
static inline void assert_fields(const struct bw_fields *is, const char *text)
{
    struct test_fields expected;

    fields(&expected, text);
    for (size_t i = 0; i < is->n && i < expected.list.n; i++) {
        const struct bw_field *a = &is->v[i], *b = &expected.list.v[i];

        if (!bw_slice_eq(a->name, b->name) || !bw_slice_eq(a->value, b->value) || a->id != b->id)
            fail_msg("field %zu is %.*s: %.*s, not %.*s: %.*s", i, (int)a->name.len, a->name.base,
                     (int)a->value.len, a->value.base, (int)b->name.len, b->name.base,
                     (int)b->value.len, b->value.base);
    }
    assert_int_equal(is->n, expected.list.n);
}

/* Asserts that bytes are that text. */
static inline void assert_text(struct bw_slice is, const char *text)
{
    if (!bw_slice_eq(is, bw_slice_str(text)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)is.len, is.base, text);
}
