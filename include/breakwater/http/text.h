/*
 * text.h - digits and words into the caller's own bytes: what the hit path has instead of printf.
 *
 * Pure.  Every function writes at `at` and returns where the next byte goes; no NUL is written.
 * The caller knows how much room there is: numbers need at most BW_TEXT_NUMBER_MAX bytes.
 */
#pragma once

#include "breakwater/base/slice.h"

enum { BW_TEXT_NUMBER_MAX = 20 };

char *bw_text_u64(char *at, uint64_t n);
char *bw_text_i64(char *at, int64_t n);
/* Inline, so that literals become plain stores: heads are made of them. */
static inline char *bw_text_slice(char *at, struct bw_slice s)
{
    if (s.len > 0)
        memcpy(at, s.base, s.len);
    return at + s.len;
}
static inline char *bw_text_str(char *at, const char *s)
{
    return bw_text_slice(at, bw_slice_str(s));
}
/* 16 lower-case hex digits. */
char *bw_text_hex(char *at, uint64_t n);
