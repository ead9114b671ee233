/*
 * range.h - which bytes does the client want, and which bytes did the origin send?  (RFC 9110, 14)
 *
 * Pure, no allocation.  Ranges apply to a GET whose whole answer would be a 200 of known length;
 * If-Range is judged by bw_conditional_range_allowed().  A Range field that is not `bytes`, is
 * malformed, names more than BW_RANGE_MAX parts, or parts that overlap or descend is ignored and
 * the answer is whole: that is allowed (14.2), and no list of ranges costs more than one transfer.
 */
#pragma once

#include "breakwater/http/field.h"

enum { BW_RANGE_MAX = 8, BW_RANGE_TEXT_MAX = 72 };

/* Bytes first to last, both included. */
struct bw_range {
    uint64_t first, last;
};

struct bw_ranges {
    struct bw_range v[BW_RANGE_MAX]; /* ascending, without overlap, all within the length */
    size_t n;
};

enum bw_range_verdict {
    BW_RANGE_WHOLE,         /* 200 */
    BW_RANGE_PARTIAL,       /* 206: one part, or multipart/byteranges for more (http/multipart) */
    BW_RANGE_UNSATISFIABLE, /* 416 with bw_range_unsatisfied_text() */
};

/* What the request's Range means for a representation of `length` bytes.  `out` for PARTIAL. */
enum bw_range_verdict bw_range_evaluate(const struct bw_fields *request, uint64_t length,
                                        struct bw_ranges *out);

/* The Content-Range of a 206, "bytes 0-4/10"; returns how many bytes it has. */
size_t bw_range_text(const struct bw_range *range, uint64_t length, char out[BW_RANGE_TEXT_MAX]);
/* The Content-Range of a 416: the length alone, with a star for the range. */
size_t bw_range_unsatisfied_text(uint64_t length, char out[BW_RANGE_TEXT_MAX]);

/* A Content-Range as read. */
struct bw_content_range {
    struct bw_range range; /* valid if has_range; not so in a 416 */
    uint64_t length;       /* of the whole; valid if has_length */
    bool has_range;
    bool has_length;
};

/* Reads a Content-Range of `bytes` (14.4); false: another unit, malformed, or it contradicts
 * itself. */
bool bw_range_parse_content(struct bw_slice value, struct bw_content_range *out);
