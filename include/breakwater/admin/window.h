/*
 * window.h - what was counted in the last minute, five minutes, hour?
 *
 * One owner, the control thread.  Pure but for its own memory: the caller passes the time, which
 * must not go backwards, and the running totals, whose past values are the samples.
 */
#pragma once

#include "breakwater/admin/figures.h"

enum bw_span { BW_SPAN_MINUTE, BW_SPAN_5_MINUTES, BW_SPAN_HOUR, BW_SPAN_START, BW_SPAN_COUNT };

enum { BW_WINDOW_SAMPLES = 61 }; /* sixty steps of 1 s, 5 s or 60 s, and the one under way */

/* Zero-initialise; 9 KiB, whatever the load. */
struct bw_window {
    struct bw_sums sample[BW_SPAN_START][BW_WINDOW_SAMPLES]; /* totals at the end of a step */
    int64_t at_s;                                            /* of the last tick; 0: none */
};

/* Notes the totals at `now_s`.  Once a second; what was missed counts for the moment before. */
void bw_window_tick(struct bw_window *w, int64_t now_s, const struct bw_sums *total);
/* What was added since the beginning of the span; the span is short by at most one of its steps. */
void bw_window_sum(const struct bw_window *w, enum bw_span span, const struct bw_sums *total,
                   struct bw_sums *out);

/* Makes `w` the window of two totals together; both were ticked at the same times. */
void bw_window_add(struct bw_window *w, const struct bw_window *other);

void bw_sums_add(struct bw_sums *s, const struct bw_sums *other);
/* Share of requests that caused no origin fetch; false: there was no request. */
bool bw_sums_request_offload(const struct bw_sums *s, double *share);
/* Share of bytes to clients that did not come from the origin; false: there were none. */
bool bw_sums_byte_offload(const struct bw_sums *s, double *share);
