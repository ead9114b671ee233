/*
 * buf.h - bytes that grow: text for logs, JSON, metrics, error messages.  Not for the hit path.
 *
 * One owner, no threads.  Zero-initialise (struct bw_buf){0}; bw_buf_free() when done.
 */
#pragma once

#include "breakwater/base/slice.h"

struct bw_buf {
    char *base;
    size_t len;
    size_t cap;
};

void bw_buf_append(struct bw_buf *b, const void *bytes, size_t n);
void bw_buf_slice(struct bw_buf *b, struct bw_slice s);
void bw_buf_str(struct bw_buf *b, const char *s);
void bw_buf_char(struct bw_buf *b, char c);
void bw_buf_printf(struct bw_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As the inside of a JSON string: quotes, backslash, controls and bytes above 0x7E are escaped. */
void bw_buf_json(struct bw_buf *b, struct bw_slice s);
/* As HTML text: the five special characters become entities, controls become '?'. */
void bw_buf_html(struct bw_buf *b, struct bw_slice s);
struct bw_slice bw_buf_view(const struct bw_buf *b); /* valid until the next append */
void bw_buf_clear(struct bw_buf *b);                 /* keeps the memory */
void bw_buf_free(struct bw_buf *b);
