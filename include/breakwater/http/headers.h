/*
 * headers.h - which fields go on to the origin, which come back, which are kept  (RFC 9110, 7.6;
 * RFC 9111, 3.1 and 3.2; security.md 6 and 7).
 *
 * Pure, no allocation: fields in, fields out; values stay views of where they came from.
 * `out->v` is the caller's array with room for as many fields as stated; input and output are
 * different arrays unless said otherwise.  A function that answers false has met a Connection
 * field that names more than BW_HEADERS_NAMED_MAX fields: 400 to a client, 502 from an origin.
 *
 * Why so much is taken away from requests: what an origin trusts and the key does not know is how
 * caches are poisoned.  Fields that rename the host, the scheme, the path, the method or the
 * client pass only from peers that are trusted, or never; and those that pass are keyed, unless
 * they only tell the client's address.
 */
#pragma once

#include "breakwater/base/buf.h"
#include "breakwater/http/field.h"

enum {
    BW_HEADERS_NAMED_MAX = 16, /* fields that one Connection may name */
    BW_HEADERS_OWN_MAX = 9,    /* fields that bw_headers_to_origin() adds at most */
};

/*
 * Cleans the fields of a request in place, once, when it is admitted: hop-by-hop fields and those
 * that Connection names, Proxy, Expect, names with '_', and forwarding fields, which a trusted peer
 * may bring.  With `upgrade` the Upgrade field stays.
 */
bool bw_headers_clean(struct bw_fields *fields, bool trusted, bool upgrade);

/*
 * Appends what a trusted peer says of the request's host, scheme and path (X-Forwarded-Host,
 * -Proto, -Prefix, Forwarded without its addresses, ...): the origin makes its pages by it, so it
 * has to be part of the key.  Nothing where that is just what we would say ourselves.
 */
void bw_headers_said(const struct bw_fields *fields, struct bw_slice authority, bool https,
                     struct bw_buf *out);

/* What the request to the origin has of its own.  The result holds views of it. */
struct bw_forward {
    struct bw_slice host;      /* Host to send */
    struct bw_slice authority; /* what the client asked for: X-Forwarded-Host; may be empty */
    struct bw_slice peer;      /* address of the connection's other end, as text; empty: none */
    struct bw_slice via;       /* a whole member: "1.1 breakwater"; empty: none is added */
    struct bw_slice accept_encoding; /* replaces the client's; base NULL: the client's goes on */
    struct bw_slice accept_language; /* likewise */
    char *room;                      /* for X-Forwarded-For of a trusted peer with ours behind it */
    size_t room_len;                 /* where that does not fit, ours becomes a line of its own */
    bool https;                      /* the client's side is TLS */
    bool trusted;                    /* forwarding fields of this peer are believed and kept */
    bool fill;                       /* fills the cache: no conditions, no Range */
    bool upgrade;                    /* Upgrade goes on, with Connection: upgrade */
};

/*
 * The fields of the request to the origin, from those of the client (cleaned or not), and that we
 * obey Surrogate-Control.  Room for in->n + BW_HEADERS_OWN_MAX.  Content-Length and
 * Transfer-Encoding are not among them: who writes the request frames it.  Validators of a
 * revalidation are added by the caller.
 */
bool bw_headers_to_origin(const struct bw_fields *in, const struct bw_forward *fw,
                          struct bw_fields *out);

/*
 * The fields of a response without those between the origin and us: hop-by-hop, named in
 * Connection, framing.  What remains is stored and sent on.  Room for in->n + 1.  With `upgrade` (a
 * 101) Upgrade stays, with Connection: upgrade.
 */
bool bw_headers_from_origin(const struct bw_fields *in, bool upgrade, struct bw_fields *out);

/* Does a client get to see this field?  Directives to us alone are not for it. */
bool bw_headers_for_client(enum bw_field_id id);

/*
 * A stored response's fields brought up to date by those of a 304, or of a 200 to a HEAD that
 * describes the same bytes (RFC 9111, 3.2 and 4.3.4).  `fresh` comes from bw_headers_from_origin().
 * A name in `fresh` replaces all stored fields of that name; what describes the stored bytes
 * (Content-Encoding, -Length, -Range, digests, ETag) stays as stored, and the stored Age goes: it
 * was the old response's.  Room for stored->n + fresh->n.
 *
 * The ETag stays even where the 304 names another: we asked with ours alone, so the answer is about
 * ours, and new validators on old bytes would keep them for ever.  If Vary changed, the caller has
 * to key the response anew.
 */
void bw_headers_merge(const struct bw_fields *stored, const struct bw_fields *fresh,
                      struct bw_fields *out);

/* Has this request been through us already: does Via name `pseudonym` as a recipient? */
bool bw_headers_loop(const struct bw_fields *request, struct bw_slice pseudonym);
