/*
 * log_line_priv.h - the text of one line of the access log.  Pure.
 */
#pragma once

#include "breakwater/server/access_log.h"

/* The date of a second as text, kept because thousands of lines share it. */
struct bw_log_date {
    int64_t second;
    enum bw_log_format format;
    size_t len; /* 0: none yet */
    char text[40];
};

/*
 * Writes the line with its line end to `out` (BW_LOG_LINE_MAX bytes) and returns its length.  Every
 * byte outside 0x20..0x7E is escaped, and quotes and backslashes are.  What does not fit is cut
 * from the long fields; the line stays whole in its form.
 */
size_t bw_log_line(char *out, enum bw_log_format format, const struct bw_log_entry *e,
                   struct bw_log_date *date);
