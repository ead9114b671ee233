/*
 * conditional.h - does the client already have what we have, and how do we ask the origin whether
 * we still do?  (RFC 9110, 13; RFC 9111, 4.3)
 *
 * Pure, no allocation.  All of it is for GET and HEAD: with other methods the conditions are the
 * origin's affair and are passed on.  A hit without conditions costs one walk over the request's
 * field ids.
 *
 * If-Match and If-Unmodified-Since guard changes; a cache may ignore them (RFC 9110, 13.1.1 and
 * 13.1.4), and Breakwater does: what is stored may lag behind the origin within its freshness, so
 * a 412 of ours could be false.  They still forbid to cut a range out of something else than the
 * client means: see bw_conditional_range_allowed().
 */
#pragma once

#include "breakwater/http/field.h"

enum bw_conditional {
    BW_COND_FULL,         /* answer with the stored response, or a range of it */
    BW_COND_NOT_MODIFIED, /* 304: the client's own copy is this one */
};

/*
 * Judges If-None-Match, or in its absence If-Modified-Since, against a stored response in the
 * order of RFC 9110, 13.2.2.  A stored status other than 2xx answers as it is (13.2.1).  Where no
 * Last-Modified is stored its Date stands in (RFC 9111, 4.3.2).  `now_s` is needed for years of two
 * digits alone.
 */
enum bw_conditional bw_conditional_evaluate(const struct bw_fields *request, int status,
                                            const struct bw_fields *stored, int64_t now_s);

/*
 * May the Range of this request be cut out of this stored response?  If-Range compared strongly
 * (RFC 9110, 13.1.5); no range either where If-Match or If-Unmodified-Since do not hold.  False:
 * answer whole, with 200.  Call it only where there is a Range.
 */
bool bw_conditional_range_allowed(const struct bw_fields *request, const struct bw_fields *stored,
                                  int64_t now_s);

/*
 * Does a 304 carry this stored field (RFC 9110, 15.4.5)?  Those that direct caches, and
 * Last-Modified where there is no ETag.  Age and our Cache-Status are added by who sends it.
 */
bool bw_conditional_in_304(enum bw_field_id id, bool has_etag);

enum { BW_CONDITIONAL_VALIDATORS = 2 };

/*
 * The fields that ask the origin whether the stored response still holds: If-None-Match and
 * If-Modified-Since, both where both validators are stored (RFC 9111, 4.3.1).  Returns how many;
 * 0: it cannot be revalidated.  Values are views of the stored ones, as the origin spelt them.
 */
size_t bw_conditional_validators(const struct bw_fields *stored,
                                 struct bw_field out[BW_CONDITIONAL_VALIDATORS]);

/* What the head of an answer to HEAD says of a stored response to GET (RFC 9111, 4.3.5). */
enum bw_described {
    BW_DESCRIBED_SAME, /* a validator agrees, and nothing disagrees: it may be brought up to date */
    BW_DESCRIBED_OTHER,   /* a validator or the length is another: it is no longer what there is */
    BW_DESCRIBED_UNKNOWN, /* nothing that could be compared */
};

/*
 * `length`: what the answer says of the length of the content, or UINT64_MAX.  An equal length is
 * no proof that the bytes are the same: it never makes SAME alone.
 */
enum bw_described bw_conditional_describes(const struct bw_fields *stored, uint64_t stored_len,
                                           const struct bw_fields *answer, uint64_t length);
