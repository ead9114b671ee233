/*
 * status.h - what a status code says without its fields  (RFC 9110, 15 and the IANA registry).
 */
#pragma once

#include "breakwater/base/slice.h"

/*
 * The standard phrase ("Not Found"), our own words for 520 to 526 and 530, which say how the origin
 * failed; empty for all others, which HTTP/1.1 allows.  Static.
 */
struct bw_slice bw_status_reason(int status);

/* Has a response of this status no body, whatever its fields say?  (RFC 9110, 6.4.1) */
bool bw_status_has_no_body(int status);
