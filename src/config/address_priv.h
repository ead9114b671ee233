/*
 * address_priv.h - addresses to listen on, networks, and the URLs of servers.
 *
 * Nothing is resolved: names are checked for their form only.  Each returns false with the reason
 * and the cure in `why`.
 */
#pragma once

#include "breakwater/config/arena.h"
#include "breakwater/config/conf.h"

/* ":8080", "127.0.0.1:8080", "[::1]:8080", "unix:/path": sets address, host, unix_path, port. */
bool bw_address_listen(struct bw_arena *a, const char *text, struct bw_listen_conf *out,
                       struct bw_buf *why);
/* "10.0.0.0/8", "::1" */
bool bw_address_network(const char *text, struct bw_network *out, struct bw_buf *why);
/* "http://host[:port]", "https://host[:port]", "unix:/path": all of `out` but the weight. */
bool bw_address_server(struct bw_arena *a, const char *text, struct bw_server_conf *out,
                       struct bw_buf *why);
/* A DNS name in lower case or an address, without port. */
bool bw_address_is_host(struct bw_slice s);
