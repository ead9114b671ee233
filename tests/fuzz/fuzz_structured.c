/*
 * fuzz_structured.c - dictionaries and lists spread over several fields, one a line.
 */
#include "breakwater/base/check.h"
#include "breakwater/http/structured.h"

enum { FIELDS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct bw_slice s, const uint8_t *data, size_t size)
{
    const uint8_t *at = (const uint8_t *)s.base;

    return s.len == 0 || (at >= data && at + s.len <= data + size);
}

/* Parameters were checked when the item was read: they are read again to their end. */
static void read_params(struct bw_slice params)
{
    struct bw_slice key;
    struct bw_sf_item value;

    while (bw_sf_param_next(&params, &key, &value))
        BW_ASSERT(key.len > 0);
    BW_ASSERT(params.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bw_field v[FIELDS_MAX];
    struct bw_fields f = {v, 0};
    struct bw_slice rest = bw_slice((const char *)data, size);
    struct bw_sf_iter members = {0}, items = {0};
    struct bw_sf_member m;
    struct bw_sf_item item;

    while (f.n < FIELDS_MAX && rest.base != NULL) {
        struct bw_slice line = bw_slice_trim(bw_slice_cut(rest, '\n', &rest));

        v[f.n++] = (struct bw_field){BW_S("cache-status"), line, BW_F_CACHE_STATUS};
    }
    while (bw_sf_dict_next(&f, BW_F_CACHE_STATUS, &members, &m)) {
        BW_ASSERT(inside(m.key, data, size) && inside(m.value.text, data, size));
        read_params(m.value.params);
    }
    while (bw_sf_list_next(&f, BW_F_CACHE_STATUS, &items, &item)) {
        BW_ASSERT(inside(item.text, data, size));
        read_params(item.params);
    }
    return 0;
}
