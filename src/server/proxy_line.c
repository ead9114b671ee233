/*
 * proxy_line.c - the PROXY protocol, versions 1 and 2, read strictly.
 *
 * Version 1 is a line of text, version 2 begins with twelve bytes that no line of text has.  What
 * is neither is refused: a sender that must speak the protocol and does not is not who we think.
 */
#include "breakwater/server/proxy_line.h"

#include <arpa/inet.h>

enum {
    V1_MAX = 107,
    V2_HEAD = 16,
    V2_INET = 0x11,
    V2_INET6 = 0x21,
    V2_UNIX = 0x31,
    V2_UNSPEC = 0x00,
};

static const char signature[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static void map_v4(uint8_t out[16], const void *v4)
{
    memset(out, 0, 16);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, v4, 4);
}

/* ---- version 1 ---- */

static bool is_v4(struct bw_slice s, uint8_t out[16])
{
    struct in_addr v4;

    if (!bw_slice_inet(s, AF_INET, &v4))
        return false;
    map_v4(out, &v4);
    return true;
}

static bool is_v6(struct bw_slice s, uint8_t out[16])
{
    return bw_slice_inet(s, AF_INET6, out);
}

static bool is_port(struct bw_slice s, uint16_t *out)
{
    uint64_t port;

    if (s.len == 0 || s.len > 5 || (s.len > 1 && s.base[0] == '0') || !bw_slice_u64(s, &port))
        return false;
    *out = (uint16_t)port;
    return port <= 65535;
}

/* "SOURCE DESTINATION SPORT DPORT" */
static bool read_addresses(struct bw_slice rest, bool is_ip6, struct bw_proxy_line *out)
{
    bool (*is_address)(struct bw_slice, uint8_t *) = is_ip6 ? is_v6 : is_v4;
    struct bw_slice source = bw_slice_cut(rest, ' ', &rest);
    struct bw_slice destination = bw_slice_cut(rest, ' ', &rest);
    struct bw_slice source_port = bw_slice_cut(rest, ' ', &rest);
    uint8_t unused[16];
    uint16_t unused_port;

    return is_address(source, out->address) && is_address(destination, unused) &&
           is_port(source_port, &out->port) && rest.base != NULL && is_port(rest, &unused_port);
}

static enum bw_proxy_verdict parse_v1(const char *bytes, size_t n, struct bw_proxy_line *out)
{
    const char *lf = memchr(bytes, '\n', n < V1_MAX ? n : V1_MAX);
    struct bw_slice line;

    if (lf == NULL)
        return n < V1_MAX ? BW_PROXY_MORE : BW_PROXY_BAD;
    out->len = (size_t)(lf - bytes) + 1;
    if (out->len < 2 || lf[-1] != '\r')
        return BW_PROXY_BAD;
    line = bw_slice(bytes, out->len - 2);
    if (bw_slice_eq(line, BW_S("PROXY UNKNOWN")) || bw_slice_starts(line, BW_S("PROXY UNKNOWN ")))
        return BW_PROXY_PEER;
    if (!bw_slice_starts(line, BW_S("PROXY TCP4 ")) && !bw_slice_starts(line, BW_S("PROXY TCP6 ")))
        return BW_PROXY_BAD;
    return read_addresses(bw_slice(line.base + 11, line.len - 11), line.base[9] == '6', out)
               ? BW_PROXY_OTHER
               : BW_PROXY_BAD;
}

/* ---- version 2 ---- */

static unsigned number16(const char *p)
{
    return (unsigned)(uint8_t)p[0] << 8 | (uint8_t)p[1];
}

/* The extensions mean nothing to us, but they must be whole. */
static bool extensions_are_whole(const char *p, size_t n)
{
    while (n >= 3) {
        size_t len = 3 + number16(p + 1);

        if (len > n)
            return false;
        p += len;
        n -= len;
    }
    return n == 0;
}

static size_t addresses_size(unsigned family)
{
    switch (family) {
    case V2_INET:
        return 12;
    case V2_INET6:
        return 36;
    case V2_UNIX:
        return 216;
    default: /* UNSPEC: whatever is there is skipped */
        return 0;
    }
}

static enum bw_proxy_verdict read_v2_addresses(const char *p, size_t n, unsigned family,
                                               struct bw_proxy_line *out)
{
    size_t size = addresses_size(family);

    if (n < size || (family != V2_UNSPEC && !extensions_are_whole(p + size, n - size)))
        return BW_PROXY_BAD;
    if (family == V2_INET) {
        map_v4(out->address, p);
        out->port = (uint16_t)number16(p + 8);
        return BW_PROXY_OTHER;
    }
    if (family == V2_INET6) {
        memcpy(out->address, p, 16);
        out->port = (uint16_t)number16(p + 32);
        return BW_PROXY_OTHER;
    }
    return family == V2_UNIX || family == V2_UNSPEC ? BW_PROXY_PEER : BW_PROXY_BAD;
}

static enum bw_proxy_verdict parse_v2(const char *bytes, size_t n, struct bw_proxy_line *out)
{
    unsigned command, family;
    size_t len;

    if (n < V2_HEAD)
        return BW_PROXY_MORE;
    command = (uint8_t)bytes[12];
    family = (uint8_t)bytes[13];
    len = number16(bytes + 14);
    if ((command != 0x20 && command != 0x21) || len > BW_PROXY_LINE_MAX - V2_HEAD)
        return BW_PROXY_BAD;
    if (n < V2_HEAD + len)
        return BW_PROXY_MORE;
    out->len = V2_HEAD + len;
    if (command == 0x20) /* LOCAL: a health check of the sender's own */
        return BW_PROXY_PEER;
    return read_v2_addresses(bytes + V2_HEAD, len, family, out);
}

enum bw_proxy_verdict bw_proxy_line_parse(const char *bytes, size_t n, struct bw_proxy_line *out)
{
    size_t v1 = n < 6 ? n : 6;
    size_t v2 = n < sizeof(signature) ? n : sizeof(signature);

    if (n == 0)
        return BW_PROXY_MORE;
    if (memcmp(bytes, "PROXY ", v1) == 0)
        return parse_v1(bytes, n, out);
    if (memcmp(bytes, signature, v2) == 0)
        return parse_v2(bytes, n, out);
    return BW_PROXY_BAD;
}
