/*
 * vary.h - which request fields chose this response, and what did they say?  (RFC 9111, 4.1)
 *
 * Pure.  A Vary field becomes a canonical list of names, kept in the base record; the values of a
 * request for those names, normalised so that requests which mean the same look the same, key the
 * variant.  Requests are meant as cleaned by bw_headers_clean().
 *
 * Where a value is normalised, the origin has to see that normal form, too, or one client's choice
 * would be served to another: bw_vary_encodings() and bw_vary_languages() write it for
 * struct bw_forward.
 */
#pragma once

#include "breakwater/base/buf.h"
#include "breakwater/http/field.h"

enum {
    BW_VARY_MAX = 8,
    BW_VARY_TEXT_MAX = 512,
    BW_VARY_CODINGS_MAX = 8,
    BW_VARY_CODINGS_TEXT_MAX = 192,
};

enum bw_vary_verdict {
    BW_VARY_NONE,  /* one response for all */
    BW_VARY_NAMES, /* `v` lists the names */
    BW_VARY_ANY, /* `*`, too many names, malformed, or a field that we fill in: not to be stored */
};

/* Names in lower case, sorted, without doubles, joined by commas: "accept-encoding,origin". */
struct bw_vary {
    char text[BW_VARY_TEXT_MAX];
    size_t len;
};

/* Reads all Vary fields of a response. */
enum bw_vary_verdict bw_vary_parse(const struct bw_fields *response, struct bw_vary *v);
/* The list, a view of `v`; what bw_vary_values() takes. */
struct bw_slice bw_vary_names(const struct bw_vary *v);

/* The codings that the cache keeps, in the order of preference: zstd, br, gzip.  At most 8. */
struct bw_vary_codings {
    const struct bw_slice *v; /* lower case, at most 16 bytes each */
    size_t n;
};

/*
 * Appends the normalised values of the request for those names: for each a length of 4 bytes and
 * the bytes; an absent field has a length of its own and matches only absence.  No allocation once
 * `out` has grown.
 */
void bw_vary_values(struct bw_slice names, const struct bw_fields *request,
                    const struct bw_vary_codings *codings, struct bw_buf *out);

/*
 * Accept-Encoding reduced to the codings we keep and the client takes: "br,gzip"; "identity" where
 * it takes none of them, also without the field; ",identity;q=0" behind it where the client refuses
 * plain bytes.  Returns the length.
 */
size_t bw_vary_encodings(const struct bw_fields *request, const struct bw_vary_codings *codings,
                         char out[BW_VARY_CODINGS_TEXT_MAX]);

/*
 * Appends Accept-Language in lower case, by falling weight and then by letter, without doubles and
 * blanks: "de,en;q=0.8".  The order among equal weights means nothing (RFC 9110, 12.5.4).  False:
 * no such field, too long a list to be sorted, or not of languages; nothing is appended.
 */
bool bw_vary_languages(const struct bw_fields *request, struct bw_buf *out);

/*
 * The same for a variant that was chosen by its language: `language` stands for Accept-Language.
 * No list of bw_vary_values() looks like it.  False: the response does not vary by Accept-Language,
 * and what has been appended means nothing.
 */
bool bw_vary_values_in(struct bw_slice names, const struct bw_fields *request,
                       const struct bw_vary_codings *codings, struct bw_slice language,
                       struct bw_buf *out);

/*
 * The language that the client wants more than any other: the one tag of the greatest weight.  A
 * stored variant with this Content-Language is what the origin would choose for it.  Empty: none,
 * several, or `*`.
 */
struct bw_slice bw_vary_language(const struct bw_fields *request);
/* The language that a response says it is in; empty: it does not say, or names several. */
struct bw_slice bw_vary_content_language(const struct bw_fields *response);
