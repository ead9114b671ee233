/*
 * buf.c - text that grows, and the two ways in which foreign bytes are made harmless in it.
 *
 * Capacity doubles, so that appending byte by byte stays linear.  What a peer sent goes in through
 * bw_buf_json() or bw_buf_html() only.
 */
#include "breakwater/base/buf.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 256 };

static const char hex_digits[] = "0123456789abcdef";

/* Makes room for `n` bytes and a NUL after them: vsnprintf() writes one. */
static char *reserve(struct bw_buf *b, size_t n)
{
    BW_ASSERT(n < SIZE_MAX / 4 && b->len < SIZE_MAX / 4);
    size_t need = b->len + n + 1;

    if (need > b->cap) {
        size_t cap = b->cap > 0 ? b->cap : FIRST_CAPACITY;
        while (cap < need)
            cap *= 2;
        b->base = bw_realloc(b->base, cap);
        b->cap = cap;
    }
    return b->base + b->len;
}

void bw_buf_append(struct bw_buf *b, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    memcpy(reserve(b, n), bytes, n);
    b->len += n;
}

void bw_buf_slice(struct bw_buf *b, struct bw_slice s)
{
    bw_buf_append(b, s.base, s.len);
}

void bw_buf_str(struct bw_buf *b, const char *s)
{
    bw_buf_append(b, s, strlen(s));
}

void bw_buf_char(struct bw_buf *b, char c)
{
    *reserve(b, 1) = c;
    ++b->len;
}

void bw_buf_printf(struct bw_buf *b, const char *fmt, ...)
{
    va_list args, again;

    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    BW_ASSERT(n >= 0);
    vsnprintf(reserve(b, (size_t)n), (size_t)n + 1, fmt, again);
    va_end(again);
    b->len += (size_t)n;
}

/* The two-character escape of JSON for a byte, or NULL where it has none (RFC 8259, 7). */
static const char *json_short(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

void bw_buf_json(struct bw_buf *b, struct bw_slice s)
{
    for (size_t i = 0; i < s.len; ++i) {
        unsigned char c = (unsigned char)s.base[i];
        const char *escape = json_short(c);

        if (escape != NULL) {
            bw_buf_str(b, escape);
        } else if (c < 0x20 || c > 0x7E) {
            const char code[6] = {'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]};
            bw_buf_append(b, code, sizeof(code));
        } else {
            bw_buf_char(b, (char)c);
        }
    }
}

static const char *html_entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void bw_buf_html(struct bw_buf *b, struct bw_slice s)
{
    for (size_t i = 0; i < s.len; ++i) {
        unsigned char c = (unsigned char)s.base[i];
        const char *entity = html_entity(s.base[i]);

        if (entity != NULL)
            bw_buf_str(b, entity);
        else
            bw_buf_char(b, c < 0x20 || c == 0x7F ? '?' : (char)c);
    }
}

struct bw_slice bw_buf_view(const struct bw_buf *b)
{
    return bw_slice(b->base, b->len);
}

void bw_buf_clear(struct bw_buf *b)
{
    b->len = 0;
}

void bw_buf_free(struct bw_buf *b)
{
    free(b->base);
    *b = (struct bw_buf){0};
}
