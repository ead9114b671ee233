/*
 * pattern_priv.h - one compiled pattern: exact, a glob, or ~REGEX.
 *
 * Compiled at load, read-only afterwards; matching allocates nothing and may be done by any thread.
 */
#pragma once

#include "breakwater/base/buf.h"
#include "breakwater/config/arena.h"

enum bw_pattern_kind {
    BW_PATTERN_ANY,    /* "*" */
    BW_PATTERN_EXACT,  /* no '*' */
    BW_PATTERN_PREFIX, /* one '*', at the end */
    BW_PATTERN_SUFFIX, /* one '*', at the start */
    BW_PATTERN_GLOB,   /* anything else with a '*' */
    BW_PATTERN_REGEX,
};

struct bw_pattern {
    enum bw_pattern_kind kind;
    struct bw_slice text; /* EXACT, PREFIX, SUFFIX: without the '*' */
    void *regex;          /* pcre2_code */
};

/* A text without '~' in front is a glob; false: `why` says what is wrong with a regex. */
bool bw_pattern_compile(struct bw_arena *a, const char *text, struct bw_pattern *out,
                        struct bw_buf *why);
bool bw_pattern_match(const struct bw_pattern *p, struct bw_slice s);
bool bw_pattern_match_any(const struct bw_pattern *p, size_t n, struct bw_slice s);
