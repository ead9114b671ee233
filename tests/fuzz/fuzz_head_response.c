/*
 * fuzz_head_response.c - a response head that was accepted holds nothing that could split the
 * response we write from it.
 */
#include "breakwater/base/check.h"
#include "breakwater/http/head.h"

#include <stdlib.h>

enum { FIELDS_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_fields(const struct bw_fields *f)
{
    BW_ASSERT(f->n <= FIELDS_MAX);
    for (size_t i = 0; i < f->n; ++i) {
        BW_ASSERT(bw_head_token_valid(f->v[i].name) && bw_head_value_valid(f->v[i].value));
        BW_ASSERT(f->v[i].id == bw_field_lookup(f->v[i].name));
    }
    BW_ASSERT(bw_fields_find(f, BW_F_CONTENT_LENGTH) == NULL);
    BW_ASSERT(bw_fields_find(f, BW_F_TRANSFER_ENCODING) == NULL);
}

/* RFC 9112, 6.3 */
static void check_framing(const struct bw_response_head *head)
{
    bool has_body = head->status >= 200 && head->status != 204 && head->status != 304;

    BW_ASSERT((head->framing == BW_FRAMING_NONE) == !has_body);
    BW_ASSERT(head->framing != BW_FRAMING_CHUNKED || head->minor == 1);
    BW_ASSERT(bw_head_response_framing(head, BW_S("HEAD")) == BW_FRAMING_NONE);
    BW_ASSERT(bw_head_response_framing(head, BW_S("GET")) == head->framing);
}

/* Lists are read to their end, and no member is empty or leaves its field. */
static void check_lists(const struct bw_fields *f)
{
    static const enum bw_field_id ids[] = {BW_F_VARY, BW_F_CACHE_CONTROL, BW_F_CONNECTION};

    for (size_t i = 0; i < BW_ARRAY_LEN(ids); ++i) {
        struct bw_list_iter it = {0};
        struct bw_slice member;
        while (bw_list_next(f, ids[i], &it, &member)) {
            BW_ASSERT(member.len > 0 && bw_slice_trim(member).len == member.len);
            BW_ASSERT(member.base >= it.field->value.base);
            BW_ASSERT(member.base + member.len <= it.field->value.base + it.field->value.len);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct bw_field fields[FIELDS_MAX];
    struct bw_response_head head;
    size_t scanned = 0;
    size_t end = bw_head_find_end((const char *)bytes, n, &scanned);
    size_t len = end > 0 ? end : n;
    char *copy = malloc(len > 0 ? len : 1); /* not a byte more than the head */

    memcpy(copy, bytes, len);
    if (bw_head_parse_response(copy, len, fields, FIELDS_MAX, &head)) {
        BW_ASSERT(end > 0 && head.status >= 100 && head.status <= 999);
        BW_ASSERT(bw_head_value_valid(head.reason));
        check_fields(&head.fields);
        check_framing(&head);
        check_lists(&head.fields);
    }
    free(copy);
    return 0;
}
