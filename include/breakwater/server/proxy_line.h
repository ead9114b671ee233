/*
 * proxy_line.h - the PROXY protocol, versions 1 and 2, read strictly.
 *
 * Pure.  Spoken by load balancers in front of the first byte of a connection, to say who the client
 * is.  Only those who must speak it are asked, and for them it is not optional.
 */
#pragma once

#include "breakwater/base/slice.h"

enum { BW_PROXY_LINE_MAX = 536 }; /* version 2: 16 + 520; version 1 has at most 107 */

enum bw_proxy_verdict {
    BW_PROXY_MORE,  /* right so far */
    BW_PROXY_PEER,  /* whole; the client is the peer itself (LOCAL, UNKNOWN, UNSPEC, unix) */
    BW_PROXY_OTHER, /* whole; the client is the one in `out` */
    BW_PROXY_BAD,
};

struct bw_proxy_line {
    size_t len;          /* of the line, once it is whole */
    uint8_t address[16]; /* of the client, IPv4 mapped */
    uint16_t port;
};

enum bw_proxy_verdict bw_proxy_line_parse(const char *bytes, size_t n, struct bw_proxy_line *out);
