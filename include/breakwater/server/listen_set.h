/*
 * listen_set.h - the listening sockets and TLS contexts of one configuration.
 *
 * Made on the control thread before anybody uses it, so that every mistake (address in use,
 * unreadable certificate) is known before a reload changes anything.  Each address is bound once
 * for each worker with SO_REUSEPORT; a reload takes over the sockets of addresses that stay.
 */
#pragma once

#include "breakwater/config/conf.h"
#include "breakwater/config/diag.h"

struct bw_worker;
struct bw_listen_set;
struct bw_tls_front; /* server/tls_front.h: certificates by SNI, shared ticket keys */

struct bw_listener {
    const struct bw_listen_conf *conf;
    struct bw_tls_front *tls; /* or NULL */
    bool admin;
};

/*
 * `previous` may be NULL: sockets of addresses that stay are taken over.  Keeps a reference to
 * `conf`.  NULL: not possible, `d` has a line for each mistake.
 */
struct bw_listen_set *bw_listen_set_new(struct bw_conf *conf, uint32_t workers,
                                        const struct bw_listen_set *previous, struct bw_diag *d);
/* The admin address alone, for the control thread. */
struct bw_listen_set *bw_listen_set_new_admin(struct bw_conf *conf, struct bw_diag *d);
struct bw_listen_set *bw_listen_set_take(struct bw_listen_set *s); /* any thread */
void bw_listen_set_put(struct bw_listen_set *s);                   /* any thread */
/* The port that was bound where the configuration says 0; for the start message and tests. */
uint16_t bw_listen_set_port(const struct bw_listen_set *s, size_t i);

/* ---- on the worker's thread ---- */

/* Accept on `s` from now on and close the listening sockets that are not in it; NULL: all. */
void bw_worker_listen(struct bw_worker *w, struct bw_listen_set *s);
/*
 * Stop accepting, close idle connections, let the others finish their request; `done` is called on
 * the loop when the last one is gone.  After `deadline_ms` what is left is cut.
 */
void bw_worker_drain(struct bw_worker *w, int64_t deadline_ms, void (*done)(struct bw_worker *w));
/* At most limits.connections for all workers and connections_per_address each: shared counters. */
struct bw_accept_limits;
struct bw_accept_limits *bw_accept_limits_new(void);
void bw_accept_limits_free(struct bw_accept_limits *l);
