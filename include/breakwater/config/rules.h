/*
 * rules.h - the ordered rules, compiled at load, matched once per request.
 *
 * Matching is pure and allocates nothing: the caller gives a struct bw_settings to fill.  A hundred
 * rules cost well under a microsecond: exact hosts and paths, prefixes and suffixes are decided
 * before anything else is looked at.
 */
#pragma once

#include "breakwater/cache/settings.h"
#include "breakwater/http/field.h"

struct bw_rules;

/* The request in its normal form. */
struct bw_match_request {
    struct bw_slice method;
    struct bw_slice host; /* lower case, without port */
    struct bw_slice path; /* normal form */
    struct bw_slice query;
    const struct bw_fields *fields;
    bool https;
};

/* Start from the configuration's defaults and let each rule that matches override, in order. */
void bw_rules_match(const struct bw_rules *rules, const struct bw_match_request *rq,
                    const struct bw_settings *defaults, struct bw_settings *out);

size_t bw_rules_count(const struct bw_rules *rules);
const char *bw_rules_name(const struct bw_rules *rules, size_t index);
