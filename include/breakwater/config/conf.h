/*
 * conf.h - one whole configuration: a snapshot that never changes.
 *
 * bw_conf_load() builds it; a reload builds another.  Everything hangs in one arena, so pointers
 * live as long as the snapshot.  References are counted atomically; workers hold one each, requests
 * count on their worker's own, unshared counter (server/worker).
 */
#pragma once

#include "breakwater/base/buf.h"
#include "breakwater/cache/settings.h"
#include "breakwater/config/diag.h"
#include "breakwater/origin/conf.h"

struct bw_rules; /* config/rules.h */

struct bw_certificate_conf {
    const char *certificate; /* PEM file, chain included */
    const char *key;
};

struct bw_network {      /* 10.0.0.0/8, ::1 */
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;        /* 0..128, in terms of the mapped form */
};

struct bw_listen_conf {
    const char *address;   /* as written: ":8080", "127.0.0.1:8080", "[::1]:80", "unix:/path" */
    const char *host;      /* NULL: any */
    const char *unix_path; /* or NULL */
    uint16_t port;
    bool tls;
    const struct bw_certificate_conf *certificates;
    size_t certificates_n;
    int min_version;                         /* TLS1_2_VERSION or TLS1_3_VERSION */
    const char *client_ca;                   /* demand a client certificate, or NULL */
    bool http2;                              /* ALPN h2 on TLS; prior knowledge on cleartext */
    const struct bw_network *proxy_protocol; /* senders that must speak it */
    size_t proxy_protocol_n;
};

struct bw_limits_conf {
    uint32_t connections, connections_per_address;
    uint32_t head;                  /* bytes */
    uint32_t headers;               /* fields */
    uint64_t body;                  /* bytes */
    const struct bw_slice *methods; /* passed on beside the usual ones */
    size_t methods_n;
    int64_t head_timeout_ms, idle_timeout_ms, send_timeout_ms, body_timeout_ms;
    uint32_t body_rate;               /* lowest bytes per second after body_timeout */
    uint32_t requests_per_connection; /* 0: off */
    int64_t tunnel_timeout_ms;
    struct {
        uint32_t streams;  /* open at once */
        uint32_t requests; /* of these, worked on at once */
        uint32_t resets, control_frames;
        int64_t probation_ms; /* 0: off */
    } http2;                  /* of one connection */
    int64_t drain_ms;
};

/* Names of hosts; sorted, see bw_hosts_have(). */
struct bw_hosts {
    bool every;
    const struct bw_slice *exact, *below; /* "example.net", ".example.net" */
    size_t exact_n, below_n;
};

enum bw_log_format { BW_LOG_JSON, BW_LOG_COMBINED };

struct bw_log_conf {
    bool access;
    const char *access_to; /* "stdout", "stderr" or a file */
    enum bw_log_format format;
    int level; /* enum bw_log_level */
};

struct bw_conf {
    const struct bw_listen_conf *listen;
    size_t listen_n;
    uint32_t workers;
    const struct bw_network *trusted_proxies;
    size_t trusted_proxies_n;
    struct bw_hosts hosts; /* that are served */
    const struct bw_pool_conf *pools;
    size_t pools_n;
    struct bw_cache_conf cache;
    struct bw_limits_conf limits;
    struct bw_listen_conf admin;
    struct bw_hosts admin_hosts; /* names by which it may be asked, beside addresses */
    struct bw_log_conf log;
    const struct bw_rules *rules;
    struct bw_settings defaults;
    uint64_t generation; /* counts loads, for logs and statistics */
};

/* What the command line says; NULL and 0 where it says nothing.  Flags override the file. */
struct bw_conf_flags {
    const char *file;
    const char *const *listen;
    size_t listen_n;
    const char *const *origin;
    size_t origin_n;
    const char *certificate, *key, *origin_trust;
    const char *cache_dir, *cache_size, *admin, *workers;
};

/* Read, check and compile.  NULL: not usable, `d` says why.  Warnings also go to `d`. */
struct bw_conf *bw_conf_load(const struct bw_conf_flags *flags, struct bw_diag *d);
/* The same from a text; `name` stands for the file in messages, an include is an error. */
struct bw_conf *bw_conf_load_text(struct bw_slice text, const char *name,
                                  const struct bw_conf_flags *flags, struct bw_diag *d);
struct bw_conf *bw_conf_take(struct bw_conf *c); /* any thread */
void bw_conf_put(struct bw_conf *c);             /* any thread; the last one frees */

/* Is the setting at "cache.directory" another one in `b` than in `a`?  auto is auto, whatever it
 * came to.  `at` is its place in `b`: without file where it is a default. */
bool bw_conf_differs(const struct bw_conf *a, const struct bw_conf *b, const char *path,
                     struct bw_place *at);

/* Can the access log be a file where it is to be one: is its folder there?  false: `d` says what is
 * wrong.  Whether it may be written is known to the user that will write it. */
bool bw_conf_check_log(const struct bw_conf *c, struct bw_diag *d);

/* The whole configuration in YAML, in full form, with where each value came from; for --print. */
void bw_conf_print(const struct bw_conf *c, struct bw_buf *out);

/* Is that host, in lower case and without port, among them? */
bool bw_hosts_have(const struct bw_hosts *h, struct bw_slice host);

/* Does the network list contain the address (16 bytes, IPv4 mapped)? */
bool bw_networks_contain(const struct bw_network *list, size_t n, const uint8_t address[16]);
