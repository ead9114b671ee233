/*
 * status.h - the reason phrases of status codes  (RFC 9110, 15 and the IANA registry).
 */
#pragma once

#include "breakwater/base/slice.h"

/*
 * The standard phrase ("Not Found"), our own words for 520 to 526 and 530, which say how the origin
 * failed; empty for all others, which HTTP/1.1 allows.  Static.
 */
struct bw_slice bw_status_reason(int status);
