/*
 * head.h - the heads of HTTP/1.1 messages, read strictly  (RFC 9112, 2 to 6; security.md 4).
 *
 * Pure, in place, no allocation: the caller hands over the bytes of one whole head up to and
 * including the empty line, and an array for the fields.  Names are lower-cased in those bytes.
 * What is ambiguous is refused: bare LF or CR, obs-fold, NUL and controls, a blank before the
 * colon, repeated or conflicting framing fields, a bad Host.  No parser of ours guesses.
 */
#pragma once

#include "breakwater/http/field.h"

enum bw_head_verdict {
    BW_HEAD_OK = 0,
    BW_HEAD_BAD_REQUEST,        /* 400 */
    BW_HEAD_TARGET_TOO_LONG,    /* 414: target above BW_HEAD_TARGET_MAX */
    BW_HEAD_EXPECTATION_FAILED, /* 417: any Expect but 100-continue */
    BW_HEAD_TOO_MANY_FIELDS,    /* 431 */
    BW_HEAD_NOT_IMPLEMENTED,    /* 501: a transfer coding other than chunked, CONNECT */
    BW_HEAD_VERSION,            /* 505 */
};

enum { BW_HEAD_TARGET_MAX = 8192, BW_HEAD_METHOD_MAX = 24, BW_HEAD_NAME_MAX = 256 };

/* How the end of a body is found (RFC 9112, 6.3). */
enum bw_framing {
    BW_FRAMING_NONE,    /* no body */
    BW_FRAMING_LENGTH,  /* exactly content_length bytes, may be 0 */
    BW_FRAMING_CHUNKED, /* chunked, with trailers */
    BW_FRAMING_CLOSE,   /* responses only: until the connection closes */
};

struct bw_request_head {
    struct bw_slice method;    /* as sent, a token of at most BW_HEAD_METHOD_MAX bytes */
    struct bw_slice target;    /* origin-form (absolute-form is split), or "*" with OPTIONS */
    struct bw_slice authority; /* of the target or of Host, checked; empty only in HTTP/1.0 */
    uint64_t content_length;
    struct bw_fields fields; /* all but Host, Content-Length, Transfer-Encoding */
    enum bw_framing framing;
    uint8_t minor;        /* HTTP/1.minor: 0 or 1; HTTP/2 sets 1 */
    bool keep_alive;      /* may the connection be used again, as far as the client says */
    bool expect_continue; /* HTTP/1.1 only */
    bool upgrade;         /* Connection: upgrade with an Upgrade field, HTTP/1.1 only */
    bool connect;         /* HTTP/2's extended CONNECT: a 2xx would say that it was done */
};

struct bw_response_head {
    int status;
    struct bw_slice reason;
    uint64_t content_length;
    struct bw_fields fields; /* all but Content-Length, Transfer-Encoding */
    enum bw_framing framing; /* for a GET; see bw_head_response_framing() */
    uint8_t minor;
    bool keep_alive; /* as far as version and Connection say; BW_FRAMING_CLOSE ends it anyway */
};

/*
 * `bytes` are `len` bytes that end with CRLF CRLF; they are changed in place and must live as long
 * as the head.  `fields` has room for `max`.  On anything but BW_HEAD_OK `*out` holds what had been
 * read (method and target may be empty), fit for a log line.
 */
enum bw_head_verdict bw_head_parse_request(char *bytes, size_t len, struct bw_field *fields,
                                           size_t max, struct bw_request_head *out);

/* The same for a response; false: the origin's head is not HTTP as we accept it (502). */
bool bw_head_parse_response(char *bytes, size_t len, struct bw_field *fields, size_t max,
                            struct bw_response_head *out);

/* The framing of this response to a request with that method (RFC 9112, 6.3: HEAD, 1xx, 204, 304).
 */
enum bw_framing bw_head_response_framing(const struct bw_response_head *r, struct bw_slice method);

/*
 * Where the head in `bytes` ends: the length up to and including the empty line, or 0 when it is
 * not complete.  `*scanned` (0 at first) remembers how far was looked.  An empty line without CR
 * is an end, too, so that the parsers can refuse such a head at once.
 */
size_t bw_head_find_end(const char *bytes, size_t len, size_t *scanned);

/*
 * Is it a valid Host / :authority: reg-name of letters, digits, '-', '_' and '.' (no empty label),
 * IPv4 or [IPv6], optional port 1..65535 without leading zeros?
 */
bool bw_head_authority_valid(struct bw_slice authority);
/* The checks on methods and targets that HTTP/2 shares: short token; origin-form, not too long. */
bool bw_head_method_valid(struct bw_slice method);
bool bw_head_target_valid(struct bw_slice target);
/* A token (RFC 9110, 5.6.2) and a field value without controls (5.5). */
bool bw_head_token_valid(struct bw_slice s);
bool bw_head_value_valid(struct bw_slice s);
/* Content-Length: digits alone, of a length that no sum of ours can overflow (RFC 9110, 8.6). */
bool bw_head_length(struct bw_slice value, uint64_t *out);
/* A name that an origin may take for a framing field when it maps '-' to '_' and back. */
bool bw_head_disguises_framing(struct bw_slice name);

/* The status a verdict is answered with, and a plain reason (static). */
int bw_head_verdict_status(enum bw_head_verdict v);
const char *bw_head_verdict_reason(enum bw_head_verdict v);
