/*
 * target.h - the one normal form of a request target: matched, keyed and sent on  (RFC 3986, 6;
 * security.md 6).
 *
 * Pure.  The caller gives memory of at least target.len bytes for the result; when nothing has to
 * change the result is a view of the input.
 */
#pragma once

#include "breakwater/base/slice.h"

enum bw_target_verdict {
    BW_TARGET_OK = 0,
    BW_TARGET_BAD, /* bad percent, %00, a control, climbs over the root, forbidden byte: 400 */
};

struct bw_target {
    struct bw_slice
        path; /* "/..." : %xx of unreserved decoded, hex upper case, dot segments gone */
    struct bw_slice query; /* without '?'; as sent */
    bool has_query;        /* "/?" and "/" are different targets */
    struct bw_slice whole; /* path [ "?" query ], contiguous: what goes to the origin */
};

/*
 * `out` has room for target.len bytes and does not overlap with `target`; `*t` is valid as long as
 * both live.  "*" is BAD here: it is no path, whoever serves OPTIONS knows it before.
 */
enum bw_target_verdict bw_target_normalise(struct bw_slice target, char *out, struct bw_target *t);

/*
 * Lower case, trailing dot and the scheme's default port (80 or 443) removed.  `out` has room for
 * authority.len bytes.  `*host` is the part without port.  For valid authorities only
 * (bw_head_authority_valid()); an empty one stays empty.
 */
struct bw_slice bw_target_authority(struct bw_slice authority, bool https, char *out,
                                    struct bw_slice *host);

/* The parameters of a query in order, split at '&' only; ';' separates nothing.  Zeroed at start.
 */
struct bw_query_iter {
    size_t at;
};
bool bw_query_next(struct bw_slice query, struct bw_query_iter *it, struct bw_slice *name,
                   struct bw_slice *value);
