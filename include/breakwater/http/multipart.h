/*
 * multipart.h - the framing of an answer to several ranges: multipart/byteranges  (RFC 9110, 14.6).
 *
 * Pure.  The length of the whole body is known before any of it is read, so that the answer can
 * carry a Content-Length.  The body is: for each range its head and its bytes, then the end.
 */
#pragma once

#include "breakwater/base/buf.h"
#include "breakwater/http/range.h"

enum { BW_MULTIPART_BOUNDARY = 27, BW_MULTIPART_TYPE_MAX = 80 };

struct bw_multipart {
    const struct bw_ranges *ranges; /* the caller's; lives as long as this */
    uint64_t length;                /* of the whole representation */
    struct bw_slice content_type;   /* of the stored response, may be empty */
    char boundary[BW_MULTIPART_BOUNDARY];
};

/*
 * `nonce` is a random number of the caller: the boundary is made of it, and whoever made the stored
 * bytes cannot have put it into them.
 */
void bw_multipart_init(struct bw_multipart *m, const struct bw_ranges *ranges, uint64_t length,
                       struct bw_slice content_type, uint64_t nonce);

/* The Content-Type of the answer; returns how many bytes it has. */
size_t bw_multipart_type(const struct bw_multipart *m, char out[BW_MULTIPART_TYPE_MAX]);
/* The Content-Length of the answer: heads, ranges and end. */
uint64_t bw_multipart_length(const struct bw_multipart *m);
/* Appends what stands before the bytes of range `i`. */
void bw_multipart_head(const struct bw_multipart *m, size_t i, struct bw_buf *out);
/* Appends what stands behind the bytes of the last range. */
void bw_multipart_end(const struct bw_multipart *m, struct bw_buf *out);
