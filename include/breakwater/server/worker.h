/*
 * worker.h - one worker thread: its loop, its context, and what hangs on both.
 *
 * Everything here is touched by that thread alone, unless a line says otherwise.
 */
#pragma once

#include "breakwater/base/loop.h"
#include "breakwater/base/rand.h"
#include "breakwater/cache/lookup.h"
#include "breakwater/config/conf.h"
#include "breakwater/origin/fetch.h"

#include <stdatomic.h>

struct bw_server;  /* server/process.h: store, fill table, figures; shared by all workers */
struct bw_buffers; /* server/buffers.h */
struct bw_slabs;   /* src/server/slabs.h */
struct bw_wire;    /* src/server/wire_priv.h */
struct bw_accept_limits;
struct bw_listen_set; /* server/listen_set.h */
struct bw_origin;
struct bw_fills;
struct bw_counters; /* admin/figures.h: this worker's, read by others relaxed */
struct bw_log_ring;

/* What the control thread tells a worker. */
struct bw_worker_order {
    enum { BW_ORDER_RELOAD, BW_ORDER_DRAIN } what;
    struct bw_conf *conf;         /* RELOAD: a reference for the worker */
    struct bw_listen_set *listen; /* RELOAD: likewise */
    int64_t deadline_ms;          /* DRAIN */
};

/*
 * One configuration as this worker sees it.  Requests take it when they start and put it when they
 * are done, on an unshared counter; the last put of a replaced one frees its origin connections.
 */
struct bw_snapshot {
    struct bw_conf *conf; /* one reference */
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
    struct bw_lookup_tools lookup; /* store, reader, pins */
    struct bw_fills *fills;
    struct bw_budget *budget;
    struct bw_slabs *slabs;     /* memory of requests under way */
    struct bw_buffers *buffers; /* for bodies read from the store */
    struct bw_counters *counters;
    struct bw_log_ring *log;
    struct bw_rand rand;
    const char *via;           /* "1.1 NAME": what we add to Via */
    struct bw_slice pseudonym; /* NAME, a view of `via`: unique to this store, finds loops */
    unsigned cold;             /* pages on their way: messages that will come */
    /* the life of the thread (worker.c) */
    struct bw_message command;     /* from the control thread, one at a time */
    struct bw_worker_order *order; /* what the command says */
    struct bw_timer figures_timer, drain_timer;
    struct bw_origin_figures origin_figures; /* published once a second, under the server's lock */
    struct bw_origin_figures origin_before;  /* of connections of earlier snapshots */
    unsigned snapshots;                      /* that wait for their last fetch */
    atomic_bool busy_order;                  /* a command is under way */
    bool drained;
    /* the wire's part */
    struct bw_listen_set *listening; /* the set whose sockets are open here */
    h2o_linklist_t conns;            /* all connections: struct bw_conn's link */
    h2o_linklist_t tunnels;          /* connections that have left HTTP (tunnel.c) */
    atomic_uint connections;         /* how many; read by others */
    bool draining;
    struct bw_wire *wire;                   /* src/server/wire_priv.h */
    struct bw_accept_limits *accept_limits; /* shared by all workers; NULL: nothing is limited */
    bool admin; /* the control thread's: serves the admin address, nothing else */
};
