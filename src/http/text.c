/*
 * text.c - digits and words into the caller's own bytes.
 *
 * Cache-Status, Content-Range and Age are written for every hit or range; a formatted print costs
 * more than the rest of such an answer's head together.
 */
#include "breakwater/http/text.h"

char *bw_text_u64(char *at, uint64_t n)
{
    char digits[BW_TEXT_NUMBER_MAX];
    size_t i = sizeof digits;

    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    return bw_text_slice(at, bw_slice(digits + i, sizeof digits - i));
}

char *bw_text_i64(char *at, int64_t n)
{
    if (n >= 0)
        return bw_text_u64(at, (uint64_t)n);
    *at++ = '-';
    return bw_text_u64(at, 0 - (uint64_t)n); /* INT64_MIN has no positive twin */
}

char *bw_text_hex(char *at, uint64_t n)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[(n >> shift) & 15];
    return at;
}
