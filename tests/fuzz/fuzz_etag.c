/*
 * fuzz_etag.c - a list of tags is walked to its end, inside its bytes; strong equality implies
 * weak; a tag read from a list is found in that list.
 */
#include "breakwater/base/check.h"
#include "breakwater/http/etag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct bw_slice part, struct bw_slice whole)
{
    return part.base >= whole.base && part.base + part.len <= whole.base + whole.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bw_slice value = bw_slice((const char *)data, size), rest = value;
    struct bw_field v[] = {{BW_S("if-match"), value, BW_F_IF_MATCH},
                           {BW_S("etag"), value, BW_F_ETAG}};
    struct bw_fields fields = {v, BW_ARRAY_LEN(v)};
    struct bw_etag tag, own;
    bool has_own = bw_etag_of(&fields, &own);

    BW_ASSERT(has_own == (bw_slice_trim(value).len > 0));
    for (size_t left = rest.len + 1; bw_etag_next(&rest, &tag); left = rest.len) {
        BW_ASSERT(rest.len < left && tag.text.len > 0 && is_inside(tag.text, value));
        BW_ASSERT(bw_etag_listed(&fields, BW_F_IF_MATCH, &tag, BW_ETAG_WEAK));
        BW_ASSERT(bw_etag_equal(&tag, &tag, BW_ETAG_STRONG) == !tag.weak);
        BW_ASSERT(!bw_etag_equal(&tag, &own, BW_ETAG_STRONG) ||
                  bw_etag_equal(&tag, &own, BW_ETAG_WEAK));
    }
    return 0;
}
