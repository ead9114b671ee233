/*
 * accept.h - the members of Accept, Accept-Encoding and Accept-Language with their weights
 * (RFC 9110, 12.4.2).
 *
 * Pure; members are views of the request.
 */
#pragma once

#include "breakwater/http/field.h"

enum { BW_ACCEPT_Q_MAX = 1000 };

struct bw_accept {
    struct bw_slice value; /* without parameters: "text/html", "gzip", "de-AT", "*" */
    int q; /* thousandths, 0..1000; 0: not acceptable; a malformed one counts as 0 */
};

/* The next member of the list in the fields with that id; false at the end.  Start with {0}. */
bool bw_accept_next(const struct bw_fields *request, enum bw_field_id id, struct bw_list_iter *it,
                    struct bw_accept *out);
