/*
 * conf.h - the configuration of the origin side: pools, servers, TLS, timeouts.
 *
 * Plain data, filled by config, read-only afterwards; lives in one configuration snapshot.
 */
#pragma once

#include "breakwater/base/slice.h"

enum bw_balance { BW_BALANCE_RANDOM, BW_BALANCE_ROUND_ROBIN };
enum bw_origin_host { BW_ORIGIN_HOST_CLIENT, BW_ORIGIN_HOST_SERVER, BW_ORIGIN_HOST_NAME };

struct bw_server_conf {
    const char *url;       /* as written, for logs */
    const char *host;      /* name or address without brackets; NULL for a unix socket */
    const char *unix_path; /* or NULL */
    uint16_t port;
    bool tls;
    uint32_t weight; /* >= 1 */
};

struct bw_origin_tls_conf {
    bool verify; /* mode: strict (default) or full (false: encrypt without verifying) */
    const char *const *trust; /* files with CA certificates, or "system" */
    size_t trust_n;
    const char *server_name; /* for SNI and verification; NULL: the server's host */
    const char *certificate; /* client certificate and key, or NULL */
    const char *key;
    int min_version; /* TLS1_2_VERSION or TLS1_3_VERSION */
};

struct bw_pool_conf {
    const char *name;
    const struct bw_server_conf *servers;
    size_t servers_n;
    enum bw_balance balance;
    enum bw_origin_host host;
    const char *host_name; /* with BW_ORIGIN_HOST_NAME */
    struct bw_origin_tls_conf tls;
    int64_t resolve_ms, connect_ms, tls_ms, first_byte_ms, between_bytes_ms;
    uint32_t per_server; /* connections to one server, all workers together divided evenly */
    uint32_t idle;       /* idle connections kept per server, divided evenly */
    int64_t idle_for_ms;
    uint32_t queue; /* requests that wait for a connection */
    int64_t queue_for_ms;
    uint32_t retry_times; /* on another server, before a byte of the answer was sent on */
    uint32_t retry_budget_percent;
};
