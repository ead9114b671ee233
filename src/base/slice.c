/*
 * slice.c - the operations on borrowed bytes that are too long for the header.
 *
 * ASCII only and without locale: tolower() of the C library asks the locale, and a protocol has
 * none.
 */
#include "breakwater/base/slice.h"

#include "breakwater/base/mem.h"

#include <arpa/inet.h>

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool bw_slice_eq_nocase(struct bw_slice a, struct bw_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; ++i)
        if (lower(a.base[i]) != lower(b.base[i]))
            return false;
    return true;
}

bool bw_slice_starts(struct bw_slice s, struct bw_slice prefix)
{
    return prefix.len <= s.len && bw_slice_eq(bw_slice(s.base, prefix.len), prefix);
}

bool bw_slice_ends(struct bw_slice s, struct bw_slice suffix)
{
    if (suffix.len == 0)
        return true;
    return suffix.len <= s.len &&
           bw_slice_eq(bw_slice(s.base + (s.len - suffix.len), suffix.len), suffix);
}

struct bw_slice bw_slice_trim(struct bw_slice s)
{
    while (s.len > 0 && is_blank(s.base[0])) {
        ++s.base;
        --s.len;
    }
    while (s.len > 0 && is_blank(s.base[s.len - 1]))
        --s.len;
    return s;
}

struct bw_slice bw_slice_cut(struct bw_slice s, char c, struct bw_slice *rest)
{
    const char *at = s.len > 0 ? memchr(s.base, c, s.len) : NULL;

    if (at == NULL) {
        *rest = bw_slice(NULL, 0);
        return s;
    }
    size_t before = (size_t)(at - s.base);
    *rest = bw_slice(at + 1, s.len - before - 1);
    return bw_slice(s.base, before);
}

bool bw_slice_u64(struct bw_slice s, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; ++i) {
        if (s.base[i] < '0' || s.base[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.base[i] - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

bool bw_slice_inet(struct bw_slice s, int family, void *out)
{
    char text[INET6_ADDRSTRLEN];

    if (s.len == 0 || s.len >= sizeof(text) || memchr(s.base, '\0', s.len) != NULL)
        return false;
    memcpy(text, s.base, s.len);
    text[s.len] = '\0';
    return inet_pton(family, text, out) == 1;
}

char *bw_slice_dup(struct bw_slice s)
{
    char *copy = bw_alloc(s.len + 1);

    if (s.len > 0)
        memcpy(copy, s.base, s.len);
    copy[s.len] = '\0';
    return copy;
}
