/*
 * fuzz_head_request.c - a request head that was accepted is clean, and means the same when it is
 * written anew.
 */
#include "breakwater/base/buf.h"
#include "breakwater/base/check.h"
#include "breakwater/http/head.h"

#include <stdlib.h>

enum { FIELDS_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_fields(const struct bw_fields *f)
{
    BW_ASSERT(f->n <= FIELDS_MAX);
    for (size_t i = 0; i < f->n; ++i) {
        const struct bw_field *field = &f->v[i];
        BW_ASSERT(bw_head_token_valid(field->name) && bw_head_value_valid(field->value));
        BW_ASSERT(field->id == bw_field_lookup(field->name));
        BW_ASSERT(bw_slice_trim(field->value).len == field->value.len);
        for (size_t k = 0; k < field->name.len; ++k)
            BW_ASSERT(field->name.base[k] < 'A' || field->name.base[k] > 'Z');
    }
    BW_ASSERT(bw_fields_find(f, BW_F_HOST) == NULL);
    BW_ASSERT(bw_fields_find(f, BW_F_CONTENT_LENGTH) == NULL);
    BW_ASSERT(bw_fields_find(f, BW_F_TRANSFER_ENCODING) == NULL);
}

static void check_head(const struct bw_request_head *head)
{
    BW_ASSERT(bw_head_method_valid(head->method));
    BW_ASSERT(bw_slice_eq(head->target, BW_S("*")) || bw_head_target_valid(head->target));
    BW_ASSERT(head->authority.len == 0 ? head->minor == 0
                                       : bw_head_authority_valid(head->authority));
    BW_ASSERT(head->framing != BW_FRAMING_CLOSE);
    BW_ASSERT(head->framing != BW_FRAMING_CHUNKED || head->minor == 1);
    BW_ASSERT(head->framing == BW_FRAMING_LENGTH || head->content_length == 0);
    check_fields(&head->fields);
}

static void write_head(struct bw_buf *b, const struct bw_request_head *head)
{
    bw_buf_slice(b, head->method);
    bw_buf_char(b, ' ');
    bw_buf_slice(b, head->target);
    bw_buf_printf(b, " HTTP/1.%d\r\n", head->minor);
    if (head->authority.len > 0) {
        bw_buf_str(b, "Host:");
        bw_buf_slice(b, head->authority);
        bw_buf_str(b, "\r\n");
    }
    if (head->framing == BW_FRAMING_LENGTH)
        bw_buf_printf(b, "Content-Length: %llu\r\n", (unsigned long long)head->content_length);
    if (head->framing == BW_FRAMING_CHUNKED)
        bw_buf_str(b, "Transfer-Encoding: chunked\r\n");
    for (size_t i = 0; i < head->fields.n; ++i) {
        bw_buf_slice(b, head->fields.v[i].name);
        bw_buf_char(b, ':');
        bw_buf_slice(b, head->fields.v[i].value);
        bw_buf_str(b, "\r\n");
    }
    bw_buf_str(b, "\r\n");
}

static void check_same(const struct bw_request_head *a, const struct bw_request_head *b)
{
    BW_ASSERT(bw_slice_eq(a->method, b->method) && bw_slice_eq(a->target, b->target));
    BW_ASSERT(bw_slice_eq(a->authority, b->authority) && a->minor == b->minor);
    BW_ASSERT(a->framing == b->framing && a->content_length == b->content_length);
    BW_ASSERT(a->keep_alive == b->keep_alive && a->upgrade == b->upgrade);
    BW_ASSERT(a->expect_continue == b->expect_continue && a->fields.n == b->fields.n);
    for (size_t i = 0; i < a->fields.n; ++i) {
        BW_ASSERT(bw_slice_eq(a->fields.v[i].name, b->fields.v[i].name));
        BW_ASSERT(bw_slice_eq(a->fields.v[i].value, b->fields.v[i].value));
    }
}

static void check_written_anew(const struct bw_request_head *head)
{
    struct bw_field fields[FIELDS_MAX];
    struct bw_request_head again;
    struct bw_buf b = {0};

    write_head(&b, head);
    BW_ASSERT(bw_head_parse_request(b.base, b.len, fields, FIELDS_MAX, &again) == BW_HEAD_OK);
    check_same(head, &again);
    bw_buf_free(&b);
}

/* The end of the head is the same whether it is looked for at once or byte by byte. */
static size_t find_end(const char *bytes, size_t n)
{
    size_t whole = 0, scanned = 0, end = 0;
    size_t expected = bw_head_find_end(bytes, n, &whole);

    for (size_t len = 1; len <= n && end == 0; ++len)
        end = bw_head_find_end(bytes, len, &scanned);
    BW_ASSERT(end == expected);
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct bw_field fields[FIELDS_MAX];
    struct bw_request_head head;
    size_t end = find_end((const char *)bytes, n);
    size_t len = end > 0 ? end : n;
    char *copy = malloc(len > 0 ? len : 1); /* not a byte more than the head */

    memcpy(copy, bytes, len);
    enum bw_head_verdict verdict = bw_head_parse_request(copy, len, fields, FIELDS_MAX, &head);
    BW_ASSERT(end > 0 || verdict == BW_HEAD_BAD_REQUEST);
    BW_ASSERT(bw_head_verdict_status(verdict) > 0);
    if (verdict == BW_HEAD_OK) {
        check_head(&head);
        check_written_anew(&head);
    }
    free(copy);
    return 0;
}
