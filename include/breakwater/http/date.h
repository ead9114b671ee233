/*
 * date.h - the dates of HTTP, read and written  (RFC 9110, 5.6.7).
 *
 * Pure: no clock, no locale, no time zone.  Times are Unix seconds.
 */
#pragma once

#include "breakwater/base/slice.h"

enum { BW_DATE_LEN = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/*
 * Read an HTTP-date in any of the three formats: IMF-fixdate, RFC 850, asctime.  The form is kept
 * to the letter, since a date that only looks like one has to count as invalid (Expires: RFC 9111,
 * 5.3); what no reader can be misled by is taken: the case of names and zone, a weekday that is
 * not that day's, a leap second.  The two-digit year of RFC 850 is the latest one that is not more
 * than 50 years after `now_s`.  False, and `*out` alone, when it is not a date.
 */
bool bw_date_parse(struct bw_slice s, int64_t now_s, int64_t *out);

/* Write an IMF-fixdate, not terminated; a time outside the years 1 to 9999 becomes the nearest
 * inside. */
void bw_date_format(int64_t time_s, char out[BW_DATE_LEN]);
