/*
 * chunked.h - the chunked coding, decoded strictly and bit by bit  (RFC 9112, 7.1).
 *
 * Pure, no allocation, incremental at any byte.  Shared by the server and the origin side.
 * At most 15 hex digits of size, 100 bytes of extensions and 4 KiB of trailers a message; lines end
 * with CRLF only.
 */
#pragma once

#include "breakwater/base/slice.h"

enum { BW_CHUNKED_EXT_MAX = 100, BW_CHUNKED_TRAILER_MAX = 4096 };

struct bw_chunked {
    uint64_t left;      /* bytes of the current chunk still to come */
    uint32_t trailers;  /* bytes of trailer lines so far */
    uint16_t extension; /* bytes of extensions in this message */
    uint8_t digits;
    uint8_t state; /* 0 at the start; private */
};

enum bw_chunked_event {
    BW_CHUNKED_MORE,    /* all bytes consumed, more are needed */
    BW_CHUNKED_DATA,    /* `*data` is a run of body bytes */
    BW_CHUNKED_TRAILER, /* `*data` is one trailer line without its CRLF, only if it came whole */
    BW_CHUNKED_END,     /* the message is complete */
    BW_CHUNKED_BAD,     /* not the coding; close */
};

/*
 * Consumes a part of `n` bytes, `*used` says how many, and returns after each event.  The caller
 * calls again with the rest until MORE, END or BAD.  A trailer line is reported only when the
 * whole line lies in `p`; give the unread rest again with more bytes (used = 0, MORE) otherwise.
 */
enum bw_chunked_event bw_chunked_feed(struct bw_chunked *d, const char *p, size_t n, size_t *used,
                                      struct bw_slice *data);
