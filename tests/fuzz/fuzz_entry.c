/*
 * fuzz_entry.c - a stored record made of anything: decoding never reads outside it, and what it
 * accepts is encoded to the same again.
 */
#include "breakwater/base/check.h"
#include "breakwater/cache/entry.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct bw_entry *a, const struct bw_entry *b)
{
    BW_ASSERT(a->objid == b->objid && a->body_len == b->body_len && a->fields.n == b->fields.n);
    BW_ASSERT(bw_slice_eq(a->key, b->key) && bw_slice_eq(a->inline_body, b->inline_body));
    for (size_t i = 0; i < a->fields.n; i++)
        BW_ASSERT(bw_slice_eq(a->fields.v[i].value, b->fields.v[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bw_field fields[BW_ENTRY_FIELDS_MAX], again_fields[BW_ENTRY_FIELDS_MAX];
    struct bw_entry e, again;
    struct bw_buf out = {0};
    char *copy = malloc(size > 0 ? size : 1); /* so that every overrun is seen */

    memcpy(copy, data, size);
    bw_entry_fields_in(bw_slice(copy, size));
    bw_entry_decode(bw_slice(copy, size), fields, BW_ENTRY_FIELDS_MAX, true, &e);
    if (bw_entry_decode(bw_slice(copy, size), fields, BW_ENTRY_FIELDS_MAX, false, &e)) {
        bw_entry_encode(&e, &out);
        BW_ASSERT(
            bw_entry_decode(bw_buf_view(&out), again_fields, BW_ENTRY_FIELDS_MAX, true, &again));
        check_same(&e, &again);
        BW_ASSERT(bw_entry_patch(copy, size, 1, 2));
        BW_ASSERT(bw_entry_decode(bw_slice(copy, size), fields, BW_ENTRY_FIELDS_MAX, true, &e));
    }
    bw_buf_free(&out);
    free(copy);
    return 0;
}
