/*
 * address.c - the three notations of "where": to listen, to trust, to fetch from.
 */
#include "address_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <sys/un.h>

/* HOST[:PORT] taken apart; an IPv6 address stands in brackets. */
struct authority {
    struct bw_slice host; /* without brackets */
    struct bw_slice port; /* base NULL where there is no colon */
    bool brackets;
};

static bool refuse(struct bw_buf *why, const char *text, const char *reason)
{
    bw_buf_printf(why, "\"%.200s\" %s", text, reason);
    return false;
}

static bool split(const char *text, struct authority *out)
{
    struct bw_slice s = bw_slice_str(text), rest;
    const char *close;

    *out = (struct authority){.brackets = s.len > 0 && s.base[0] == '['};
    if (!out->brackets) {
        out->host = bw_slice_cut(s, ':', &out->port);
        return true;
    }
    close = memchr(s.base, ']', s.len);
    if (close == NULL)
        return false;
    out->host = bw_slice(s.base + 1, (size_t)(close - s.base) - 1);
    rest = bw_slice(close + 1, s.len - out->host.len - 2);
    if (rest.len > 0)
        out->port = bw_slice(rest.base + 1, rest.len - 1);
    return rest.len == 0 || rest.base[0] == ':';
}

static bool read_port(struct bw_slice s, uint16_t *out)
{
    uint64_t port;

    if (s.len > 5 || !bw_slice_u64(s, &port) || port > 65535)
        return false;
    *out = (uint16_t)port;
    return true;
}

static bool is_address(struct bw_slice s, int family)
{
    struct in6_addr unused;

    return bw_slice_inet(s, family, &unused);
}

static bool read_unix(const char *text, const char **out, struct bw_buf *why)
{
    const char *path = text + strlen("unix:");
    struct sockaddr_un sun;

    if (path[0] != '/')
        return refuse(why, text, "is not a full path; write unix:/PATH");
    if (strlen(path) >= sizeof(sun.sun_path))
        return refuse(why, text, "is too long for a socket; use at most 107 bytes");
    *out = path;
    return true;
}

bool bw_address_listen(struct bw_arena *a, const char *text, struct bw_listen_conf *out,
                       struct bw_buf *why)
{
    struct authority auth;

    out->address = text;
    if (strncmp(text, "unix:", 5) == 0)
        return read_unix(text, &out->unix_path, why);
    if (strstr(text, "://") != NULL)
        return refuse(why, text, "is a URL; write the address alone, such as :8080");
    if (!split(text, &auth) || auth.port.base == NULL)
        return refuse(why, text, "has no port; write ADDRESS:PORT or :PORT, IPv6 in brackets");
    if (!read_port(auth.port, &out->port))
        return refuse(why, text,
                      "has no port from 0 to 65535; IPv6 stands in brackets, [::1]:8080");
    if (auth.host.len == 0 && !auth.brackets)
        return true;
    if (!is_address(auth.host, auth.brackets ? AF_INET6 : AF_INET))
        return refuse(
            why, text,
            "is not in numbers; write such as 127.0.0.1:8080, or :8080 for all addresses");
    out->host = bw_arena_copy(a, auth.host);
    return true;
}

/* Are the bits behind the prefix zero? */
static bool is_aligned(const struct bw_network *n)
{
    for (unsigned bit = n->bits; bit < 128; bit++)
        if ((n->address[bit / 8] >> (7 - bit % 8)) & 1)
            return false;
    return true;
}

bool bw_address_network(const char *text, struct bw_network *out, struct bw_buf *why)
{
    struct bw_slice bits, host = bw_slice_cut(bw_slice_str(text), '/', &bits);
    bool v4;
    uint64_t n;

    *out = (struct bw_network){.bits = 128};
    v4 = bw_slice_inet(host, AF_INET, out->address + 12);
    n = v4 ? 32 : 128;
    if (!v4 && !bw_slice_inet(host, AF_INET6, out->address))
        return refuse(why, text, "is not a network; write such as 10.0.0.0/8 or fd00::/8");
    if (bits.base != NULL && (!bw_slice_u64(bits, &n) || n > (v4 ? 32 : 128)))
        return refuse(why, text,
                      v4 ? "has no prefix from 0 to 32 behind the '/'; such as 10.0.0.0/8"
                         : "has no prefix from 0 to 128 behind the '/'; such as fd00::/8");
    if (v4)
        out->address[10] = out->address[11] = 0xFF;
    out->bits = (uint8_t)(n + (v4 ? 96 : 0));
    if (!is_aligned(out))
        return refuse(why, text, "has bits set behind its prefix; set them to zero");
    return true;
}

static bool is_host_byte(unsigned char c)
{
    return islower(c) || isdigit(c) || c == '-' || c == '.' || c == '_';
}

bool bw_address_is_host(struct bw_slice s)
{
    if (s.len > 2 && s.base[0] == '[')
        return s.base[s.len - 1] == ']' && is_address(bw_slice(s.base + 1, s.len - 2), AF_INET6);
    for (size_t i = 0; i < s.len; i++)
        if (!is_host_byte((unsigned char)s.base[i]) ||
            (s.base[i] == '.' && (i == 0 || s.base[i - 1] == '.')))
            return false;
    return s.len > 0 && s.len <= 253;
}

static bool read_authority(struct bw_arena *a, const char *text, const char *authority,
                           struct bw_server_conf *out, struct bw_buf *why)
{
    struct authority auth;
    bool ok = split(authority, &auth);
    char *host = bw_arena_copy(a, auth.host);

    for (char *p = host; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    out->host = host;
    if (!ok || (auth.brackets ? !is_address(auth.host, AF_INET6)
                              : !bw_address_is_host(bw_slice_str(host))))
        return refuse(why, text, "has no host name or address; write such as http://app:3000");
    if (auth.port.base != NULL && (!read_port(auth.port, &out->port) || out->port == 0))
        return refuse(why, text,
                      "has no port from 1 to 65535; IPv6 stands in brackets, http://[::1]:80");
    return true;
}

bool bw_address_server(struct bw_arena *a, const char *text, struct bw_server_conf *out,
                       struct bw_buf *why)
{
    const char *authority = text;

    out->url = text;
    if (strncmp(text, "unix:", 5) == 0)
        return read_unix(text, &out->unix_path, why);
    out->tls = strncmp(text, "https://", 8) == 0;
    out->port = out->tls ? 443 : 80;
    if (!out->tls && strncmp(text, "http://", 7) != 0)
        return refuse(why, text,
                      "is no URL of a server; write http://HOST, https://HOST or unix:/PATH");
    authority += out->tls ? 8 : 7;
    if (strchr(authority, '@') != NULL)
        return refuse(why, text, "holds a user or password; remove it, requests bring their own");
    if (strpbrk(authority, "/?#") != NULL)
        return refuse(why, text, "goes on behind the host; remove path, query and the last '/'");
    return read_authority(a, text, authority, out, why);
}

bool bw_networks_contain(const struct bw_network *list, size_t n, const uint8_t address[16])
{
    for (size_t i = 0; i < n; i++) {
        unsigned whole = list[i].bits / 8, rest = list[i].bits % 8;

        if (memcmp(list[i].address, address, whole) != 0)
            continue;
        if (rest == 0 || (list[i].address[whole] ^ address[whole]) >> (8 - rest) == 0)
            return true;
    }
    return false;
}
