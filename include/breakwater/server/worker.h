/*
 * worker.h - one worker thread: its loop, its context, and what hangs on both.
 *
 * Everything here is touched by that thread alone, unless a line says otherwise.
 */
#pragma once

#include <stdatomic.h>

#include "breakwater/base/loop.h"
#include "breakwater/base/rand.h"
#include "breakwater/config/conf.h"

struct bw_server;     /* the process: store, fill table, figures; shared by all workers */
struct bw_listen_set; /* server/listen_set.h */
struct bw_origin;
struct bw_reader;
struct bw_fills;
struct bw_counters;   /* admin/figures.h: this worker's, read by others relaxed */
struct bw_log_ring;

/*
 * One configuration as this worker sees it.  Requests take it when they start and put it when they
 * are done, on an unshared counter; the last put of a replaced one frees its origin connections.
 */
struct bw_snapshot {
    struct bw_conf *conf;      /* one reference */
    struct bw_origin *origin;
    uint32_t refs;
    struct bw_worker *worker;
};

struct bw_worker {
    uint32_t index;
    struct bw_server *server;
    struct bw_loop *loop;
    h2o_globalconf_t globalconf;
    h2o_context_t ctx;
    h2o_hostconf_t *hosts[2];      /* ours, NULL */
    struct bw_snapshot *snapshot;  /* the current one */
    struct bw_reader *reader;
    struct bw_counters *counters;
    struct bw_log_ring *log;
    struct bw_rand rand;
    /* the wire's part */
    struct bw_listen_set *listening; /* the set whose sockets are open here */
    h2o_linklist_t conns;            /* all connections: struct bw_http1's link */
    atomic_uint connections;         /* how many; read by others */
    bool draining;
    bool admin; /* the control thread's: serves the admin address, nothing else */
};
