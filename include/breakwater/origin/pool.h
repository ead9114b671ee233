/*
 * pool.h - the servers of a pool, their connections, and who may use one when.
 *
 * Everything of one worker, on its loop.  The limits of the configuration are divided by the number
 * of workers, at least one each.  A fetch that finds no free connection waits in the pool's queue,
 * first come, first served.
 */
#pragma once

#include "breakwater/base/rand.h"
#include "breakwater/origin/connection.h"
#include "breakwater/origin/fetch.h"

struct bw_server {
    struct bw_pool *pool;
    const struct bw_server_conf *conf;
    struct bw_name *name;
    struct bw_peer_tls *tls;   /* NULL: clear text */
    struct bw_slice authority; /* host[:port] as a Host field shows it */
    char *authority_text;
    h2o_linklist_t idle; /* the one used last in front */
    uint32_t idle_n;
    uint32_t open_n;     /* idle ones and those being made included */
    int64_t current;     /* of the weighted round robin */
    int64_t avoid_until; /* monotonic ms: the last connection could not be made */
};

struct bw_pool {
    struct bw_origin *origin;
    const struct bw_pool_conf *conf;
    struct bw_server *servers;
    size_t servers_n;
    uint32_t per_server, idle, queue; /* this worker's part */
    h2o_linklist_t waiting;           /* of struct bw_pool_waiter */
    uint32_t waiting_n;
    uint32_t retry_hundredths; /* the retry budget: 100 for each retry */
};

struct bw_origin {
    struct bw_loop *loop;
    struct bw_resolver *resolver;
    struct bw_pool *pools;
    size_t pools_n;
    struct bw_rand rand;
    struct bw_next next;
    void (*freed)(void *ctx);
    void *freed_ctx;
    bool closing;
    size_t fetches;     /* that are not over */
    size_t connections; /* that are not buried */
    uint64_t requests, connects, reused, retries, failures;
    uint64_t bytes_in, bytes_out;
};

/* The servers that a fetch has tried in vain. */
enum { BW_TRIED_MAX = 8 };
struct bw_tried {
    const struct bw_server *v[BW_TRIED_MAX];
    size_t n;
};

struct bw_pool_waiter {
    h2o_linklist_t link;
    const struct bw_tried *tried;
    void (*served)(struct bw_pool_waiter *w,
                   struct bw_server *s); /* has room now; take it at once */
};

/* By the pool's balance, among those with room that were not tried; NULL: none now. */
struct bw_server *bw_pool_choose(struct bw_pool *p, const struct bw_tried *tried);
/* Is there a server that was not tried? */
bool bw_pool_has_other(const struct bw_pool *p, const struct bw_tried *tried);
/* False: the queue is full. */
bool bw_pool_wait(struct bw_pool *p, struct bw_pool_waiter *w);
void bw_pool_leave(struct bw_pool *p, struct bw_pool_waiter *w); /* may be called always */
/* A request adds to the budget of retries, a retry takes from it if it holds enough. */
void bw_pool_count_request(struct bw_pool *p);
bool bw_pool_may_retry(struct bw_pool *p);

/* An idle connection that is still good, or NULL; it has the new owner. */
struct bw_connection *bw_server_idle(struct bw_server *s, const struct bw_connection_ops *ops,
                                     void *owner);
/* A new one; counted at once, also above the limit. */
struct bw_connection *bw_server_open(struct bw_server *s, const struct bw_connection_ops *ops,
                                     void *owner);
/* Gives back: kept idle, or closed where that is enough of them. */
void bw_server_keep(struct bw_connection *c);
/* Gives back: closed. */
void bw_server_drop(struct bw_connection *c);
/* No connection to it could be made: others are preferred for a while. */
void bw_server_avoid(struct bw_server *s);

void bw_origin_fetch_gone(struct bw_origin *o);
void bw_origin_connection_gone(struct bw_origin *o);
