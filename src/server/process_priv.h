/*
 * process_priv.h - the whole process: what all workers share, and the control thread's own.
 */
#pragma once

#include "breakwater/admin/api.h"
#include "breakwater/cache/fill.h"
#include "breakwater/server/access_log.h"
#include "breakwater/server/listen_set.h"
#include "breakwater/server/worker.h"

#include <pthread.h>

struct bw_server {
    /* read-only while workers run */
    struct bw_budget budget;
    struct bw_store *store;
    struct bw_fills *fills;
    struct bw_pins **pins;
    struct bw_counters **counters;
    struct bw_loop **loops;
    struct bw_worker *workers;
    pthread_t *threads;
    uint32_t workers_n;
    struct bw_accept_limits *accept_limits;
    struct bw_access_log *access_log;
    struct bw_admin *admin;
    pthread_mutex_t figures_lock; /* workers' origin_figures */
    char via[32];
    atomic_uint running; /* worker threads that have not ended */

    /* the control thread's */
    struct bw_worker control;
    const struct bw_conf_flags *flags;
    struct bw_conf *conf;
    struct bw_listen_set *listen;
    struct bw_listen_set *admin_listen;
    h2o_socket_t *signals;
    struct bw_timer tick;
    char *reload_error;
    uint64_t reloads;
    bool draining;
};

/* ---- worker.c ---- */
/* Everything of a worker but its thread; BW_OK or one line in `why`. */
enum bw_err bw_worker_init(struct bw_worker *w, struct bw_server *server, uint32_t index,
                           struct bw_conf *conf, char *why, size_t why_len);
void *bw_worker_main(void *worker);
/* Any thread: the order is the worker's from now on; one at a time. */
void bw_worker_tell(struct bw_worker *w, struct bw_worker_order *order);
void bw_worker_dispose(struct bw_worker *w); /* after its thread has ended */
/* A snapshot of `conf` on this worker; takes a reference.  NULL: `why`. */
struct bw_snapshot *bw_snapshot_new(struct bw_worker *w, struct bw_conf *conf, char *why,
                                    size_t why_len);

/* ---- reload.c ---- */
void bw_server_reload(struct bw_server *s);
