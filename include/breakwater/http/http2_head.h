/*
 * http2_head.h - the head of an HTTP/2 request, held to the rules of an HTTP/1.1 one  (RFC 9113,
 * 8).
 *
 * Pure, no allocation.  HPACK gives one name and value after the other; what routes and frames the
 * request is noted here, all else is the caller's list.  The same checks as in http/head.h decide
 * about methods, targets, authorities and values, so that nothing can be asked for by one protocol
 * that the other refuses, and nothing that came by HTTP/2 can mean two things in HTTP/1.1.
 */
#pragma once

#include "breakwater/http/head.h"

/* Zero at first.  A slice without base is a pseudo-field that did not come. */
struct bw_http2_head {
    struct bw_slice method, scheme, authority, path;
    struct bw_slice protocol; /* of an extended CONNECT (RFC 8441, 4) */
    struct bw_slice host;
    uint64_t content_length;
    bool has_length;
    bool expects_continue;
    bool has_fields; /* a pseudo-field may not come any more (RFC 9113, 8.3) */
    bool malformed;
    bool expectation_failed;
};

/*
 * Notes one field; `name` in lower case as it came, `id` its bw_field_lookup().  Name and value
 * must live as long as the head.  True: it belongs in the list of fields.
 */
bool bw_http2_head_note(struct bw_http2_head *h, struct bw_slice name, struct bw_slice value,
                        enum bw_field_id id);

/*
 * All fields are noted.  `ends`: no body follows.  Fills everything in `out` but `fields`; an
 * extended CONNECT for a WebSocket becomes the upgrade that HTTP/1.1 would ask for, to which the
 * caller adds the fields.
 */
enum bw_head_verdict bw_http2_head_settle(const struct bw_http2_head *h, bool ends,
                                          struct bw_request_head *out);

/*
 * Cookies may come in several fields, which no HTTP/1.1 server understands (RFC 9113, 8.2.3).
 * The size of one field for all of them, or 0 when there are fewer than two; then join() puts
 * them at `memory`, of that size, and removes the others from the list.
 */
size_t bw_http2_cookies_size(const struct bw_fields *fields);
void bw_http2_cookies_join(struct bw_fields *fields, char *memory);
