/*
 * structured.h - structured field values: dictionaries and lists of items with parameters
 * (RFC 9651, which replaces RFC 8941).
 *
 * Pure, no allocation: values come one at a time, as views of the field.  The grammar is exact, as
 * section 4.2 demands, and a fault anywhere makes the whole field invalid: whoever acts on a field
 * reads it to its end first and looks at `failed`.
 */
#pragma once

#include "breakwater/http/field.h"

enum bw_sf_type {
    BW_SF_INTEGER,
    BW_SF_DECIMAL,
    BW_SF_STRING,
    BW_SF_TOKEN,
    BW_SF_BYTES,
    BW_SF_BOOLEAN,
    BW_SF_DATE,
    BW_SF_DISPLAY,
    BW_SF_INNER_LIST,
};

struct bw_sf_item {
    enum bw_sf_type type;
    int64_t number;         /* Integer, Date; Decimal in thousandths; Boolean: 0 or 1 */
    struct bw_slice text;   /* what stands between the delimiters, escapes not undone; Token */
    struct bw_slice params; /* ";a;b=1", for bw_sf_param_next() */
};

struct bw_sf_member {
    struct bw_slice key;
    struct bw_sf_item value; /* Boolean 1 where the key stands alone */
};

/* Zeroed at the start.  `failed`: the field does not parse; what came before does not count either.
 */
struct bw_sf_iter {
    const struct bw_field *field;
    struct bw_slice rest;
    bool ended;
    bool failed;
};

/*
 * The next member of a dictionary, which may be spread over several fields (3.2, 4.2.2).  False at
 * the end and on failure.  A repeated key comes again: the last one counts.
 */
bool bw_sf_dict_next(const struct bw_fields *f, enum bw_field_id id, struct bw_sf_iter *it,
                     struct bw_sf_member *member);

/* The same for a list (3.1, 4.2.1): Cache-Status, Cache-Groups. */
bool bw_sf_list_next(const struct bw_fields *f, enum bw_field_id id, struct bw_sf_iter *it,
                     struct bw_sf_item *item);

/* The next parameter of an item; `*params` starts as its params and is used up (3.1.2). */
bool bw_sf_param_next(struct bw_slice *params, struct bw_slice *key, struct bw_sf_item *value);
