/*
 * diag.h - what is wrong with a configuration: file, line, column, key, reason and cure.
 *
 * Collects up to 64 errors and warnings in the order of their places; one owner, no threads.
 */
#pragma once

#include "breakwater/base/buf.h"

struct bw_diag {
    struct bw_buf text; /* one line each: "FILE:LINE:COLUMN: error: KEY: REASON; CURE" */
    int errors;
    int warnings;
};

struct bw_place { /* of a scalar, or of a flag (line 0) */
    const char *file;
    int line, column; /* from 1 */
};

void bw_diag_error(struct bw_diag *d, struct bw_place at, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void bw_diag_warn(struct bw_diag *d, struct bw_place at, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void bw_diag_free(struct bw_diag *d);
