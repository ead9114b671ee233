/*
 * field.h - header fields as the parsers hand them on, and the names we know  (RFC 9110, 5).
 *
 * Pure.  Names are in lower case, values without blanks around them; both are views of the bytes
 * that were parsed.  `id` is a known name or BW_F_OTHER; compare ids, not strings.
 */
#pragma once

#include "breakwater/base/slice.h"

/* Known names, in alphabetical order of the name; BW_F_COUNT is their number. */
enum bw_field_id {
    BW_F_OTHER = 0,
    BW_F_ACCEPT,
    BW_F_ACCEPT_CHARSET,
    BW_F_ACCEPT_ENCODING,
    BW_F_ACCEPT_LANGUAGE,
    BW_F_ACCEPT_RANGES,
    BW_F_ACCESS_CONTROL_ALLOW_ORIGIN,
    BW_F_AGE,
    BW_F_ALLOW,
    BW_F_ALT_SVC,
    BW_F_AUTHORIZATION,
    BW_F_BREAKWATER_CACHE_CONTROL,
    BW_F_CACHE_CONTROL,
    BW_F_CACHE_GROUPS,
    BW_F_CACHE_STATUS,
    BW_F_CDN_CACHE_CONTROL,
    BW_F_CONNECTION,
    BW_F_CONTENT_ENCODING,
    BW_F_CONTENT_LANGUAGE,
    BW_F_CONTENT_LENGTH,
    BW_F_CONTENT_LOCATION,
    BW_F_CONTENT_RANGE,
    BW_F_CONTENT_TYPE,
    BW_F_COOKIE,
    BW_F_DATE,
    BW_F_ETAG,
    BW_F_EXPECT,
    BW_F_EXPIRES,
    BW_F_FORWARDED,
    BW_F_FRONT_END_HTTPS,
    BW_F_HOST,
    BW_F_HTTP2_SETTINGS,
    BW_F_IF_MATCH,
    BW_F_IF_MODIFIED_SINCE,
    BW_F_IF_NONE_MATCH,
    BW_F_IF_RANGE,
    BW_F_IF_UNMODIFIED_SINCE,
    BW_F_KEEP_ALIVE,
    BW_F_LAST_MODIFIED,
    BW_F_LINK,
    BW_F_LOCATION,
    BW_F_ORIGIN,
    BW_F_PRAGMA,
    BW_F_PRIORITY,
    BW_F_PROXY,
    BW_F_PROXY_AUTHENTICATE,
    BW_F_PROXY_AUTHENTICATION_INFO,
    BW_F_PROXY_AUTHORIZATION,
    BW_F_PROXY_CONNECTION,
    BW_F_RANGE,
    BW_F_REFERER,
    BW_F_RETRY_AFTER,
    BW_F_SERVER,
    BW_F_SET_COOKIE,
    BW_F_SURROGATE_CAPABILITY,
    BW_F_SURROGATE_CONTROL,
    BW_F_TE,
    BW_F_TRAILER,
    BW_F_TRANSFER_ENCODING,
    BW_F_UPGRADE,
    BW_F_USER_AGENT,
    BW_F_VARY,
    BW_F_VIA,
    BW_F_WARNING,
    BW_F_WWW_AUTHENTICATE,
    BW_F_X_FORWARDED_FOR,
    BW_F_X_FORWARDED_HOST,
    BW_F_X_FORWARDED_PORT,
    BW_F_X_FORWARDED_PREFIX,
    BW_F_X_FORWARDED_PROTO,
    BW_F_X_FORWARDED_SCHEME,
    BW_F_X_FORWARDED_SERVER,
    BW_F_X_HOST,
    BW_F_X_HTTP_METHOD,
    BW_F_X_HTTP_METHOD_OVERRIDE,
    BW_F_X_METHOD_OVERRIDE,
    BW_F_X_ORIGINAL_HOST,
    BW_F_X_ORIGINAL_URL,
    BW_F_X_REAL_IP,
    BW_F_X_REQUEST_ID,
    BW_F_X_REWRITE_URL,
    BW_F_X_WAP_PROFILE,
    BW_F_COUNT,
};

struct bw_field {
    struct bw_slice name; /* lower case */
    struct bw_slice value;
    enum bw_field_id id;
};

/* A list of fields in the order they came; repeated names stand side by side in that order. */
struct bw_fields {
    struct bw_field *v;
    size_t n;
};

/* The id of a lower-case name; constant time, no allocation. */
enum bw_field_id bw_field_lookup(struct bw_slice name);
/* The lower-case name of a known id (static). */
struct bw_slice bw_field_name(enum bw_field_id id);

/* The first field with that id, or NULL. */
const struct bw_field *bw_fields_find(const struct bw_fields *f, enum bw_field_id id);
/* The next one with the same id (and, for BW_F_OTHER, the same name) after `prev`, or NULL. */
const struct bw_field *bw_fields_next(const struct bw_fields *f, const struct bw_field *prev);
/* The first field with that lower-case name, known or not, or NULL. */
const struct bw_field *bw_fields_find_name(const struct bw_fields *f, struct bw_slice name);
/* How many fields have that id. */
size_t bw_fields_count(const struct bw_fields *f, enum bw_field_id id);

/*
 * Members of a comma-separated list that may be spread over several fields (RFC 9110, 5.6.1):
 * start with a zeroed iterator; quoted strings are kept whole; empty members are skipped.
 */
struct bw_list_iter {
    const struct bw_field *field;
    struct bw_slice rest;
    bool started;
};
bool bw_list_next(const struct bw_fields *f, enum bw_field_id id, struct bw_list_iter *it,
                  struct bw_slice *member);
