/*
 * etag.h - entity tags: read one, walk a list of them, compare  (RFC 9110, 8.8.3).
 *
 * Pure; tags are views of the field values they were read from.  Tags that break the grammar
 * (unquoted, `w/"a"`, bytes behind the quote) are met on the web: they are kept byte for byte and
 * equal only the same bytes, and only in the weak sense, so that a 304 is right and no two parts
 * are ever put together on their word.
 */
#pragma once

#include "breakwater/http/field.h"

struct bw_etag {
    struct bw_slice text; /* with its quotes, without W/ */
    bool weak;            /* W/, or outside the grammar */
};

/* Which of the two comparisons of RFC 9110, 8.8.3.2. */
enum bw_etag_compare { BW_ETAG_WEAK, BW_ETAG_STRONG };

/* The value of an ETag field, one tag; false when there is nothing in it. */
bool bw_etag_parse(struct bw_slice value, struct bw_etag *tag);

/* The tag of a response: false when it has none, or several (then it names nothing). */
bool bw_etag_of(const struct bw_fields *response, struct bw_etag *tag);

bool bw_etag_equal(const struct bw_etag *a, const struct bw_etag *b, enum bw_etag_compare how);

/* The next tag of a list and `*rest` behind it; false at the end.  Linear in the list as a whole.
 */
bool bw_etag_next(struct bw_slice *rest, struct bw_etag *tag);

/*
 * Does a list (If-None-Match or If-Match, perhaps on several lines) name `tag`?  `*` names
 * everything.  `tag` is NULL for a response without one: then only `*` does.
 */
bool bw_etag_listed(const struct bw_fields *request, enum bw_field_id id, const struct bw_etag *tag,
                    enum bw_etag_compare how);
