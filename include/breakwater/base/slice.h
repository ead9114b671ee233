/*
 * slice.h - a view of bytes that somebody else owns.
 *
 * Pure.  A slice is valid for as long as its owner says; it is never NUL-terminated by contract.
 * The layout is that of libh2o's h2o_iovec_t (base, len), which server/ and origin/ rely on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bw_slice {
    const char *base;
    size_t len;
};

/* A slice of a string literal. */
#define BW_S(literal) ((struct bw_slice){"" literal, sizeof(literal) - 1})

static inline struct bw_slice bw_slice(const char *base, size_t len)
{
    return (struct bw_slice){base, len};
}

/* A slice of a NUL-terminated string; NULL gives the empty slice. */
static inline struct bw_slice bw_slice_str(const char *s)
{
    return (struct bw_slice){s, s != NULL ? strlen(s) : 0};
}

static inline bool bw_slice_eq(struct bw_slice a, struct bw_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

/* Equal but for the case of ASCII letters. */
bool bw_slice_eq_nocase(struct bw_slice a, struct bw_slice b);

bool bw_slice_starts(struct bw_slice s, struct bw_slice prefix);
bool bw_slice_ends(struct bw_slice s, struct bw_slice suffix);

/* Without blanks and tabs (OWS, RFC 9110 5.6.3) at both ends. */
struct bw_slice bw_slice_trim(struct bw_slice s);

/* The part before the first `c`; `*rest` is what follows it (empty, base NULL, where there is
 * none). */
struct bw_slice bw_slice_cut(struct bw_slice s, char c, struct bw_slice *rest);

/* Decimal digits only, at least one, no sign, no overflow; false leaves `*out` alone. */
bool bw_slice_u64(struct bw_slice s, uint64_t *out);

/*
 * An address in numbers, AF_INET or AF_INET6, and nothing else: `out` has room for its 4 or 16
 * bytes and is left alone when it is none.
 */
bool bw_slice_inet(struct bw_slice s, int family, void *out);

/* A NUL-terminated copy on the heap; free() it. Aborts when memory is out. */
char *bw_slice_dup(struct bw_slice s);
