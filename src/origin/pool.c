/*
 * pool.c - servers, their keep-alive connections, limits, the queue, the balance, the retry budget.
 *
 * The connection used last is used first (LIFO): few are warm and the others age out.  A server to
 * which no connection could be made is chosen only when no other is left, for two seconds: without
 * that, each request would pay for finding out anew, and a dead server in a pool of two would eat
 * the retry budget and then half of all requests.
 */
#include "breakwater/origin/pool.h"

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    AVOID_MS = 2000,
    RETRY_COST = 100,       /* hundredths of a retry: a request adds `percent` of them */
    RETRY_BURST = 10 * 100, /* so many retries at once after a quiet time */
};

static int64_t now_ms(void)
{
    return bw_clock_mono_us() / 1000;
}

static bool was_tried(const struct bw_tried *tried, const struct bw_server *s)
{
    for (size_t i = 0; i < tried->n; ++i)
        if (tried->v[i] == s)
            return true;
    return false;
}

static bool has_room(const struct bw_server *s)
{
    return s->idle_n > 0 || s->open_n < s->pool->per_server;
}

enum willing { WILLING, RELUCTANT, UNABLE };

static enum willing judge(const struct bw_server *s, const struct bw_tried *tried, int64_t now)
{
    if (!has_room(s) || was_tried(tried, s))
        return UNABLE;
    return s->avoid_until > now ? RELUCTANT : WILLING;
}

/* Smooth weighted round robin: each gains its weight, the richest is chosen and pays for all. */
static struct bw_server *choose_in_turn(struct bw_pool *p, const struct bw_tried *tried,
                                        enum willing wanted, int64_t now)
{
    struct bw_server *best = NULL;
    int64_t total = 0;

    for (size_t i = 0; i < p->servers_n; ++i) {
        struct bw_server *s = &p->servers[i];

        if (judge(s, tried, now) != wanted)
            continue;
        s->current += s->conf->weight;
        total += s->conf->weight;
        if (best == NULL || s->current > best->current)
            best = s;
    }
    if (best != NULL)
        best->current -= total;
    return best;
}

static struct bw_server *choose_at_random(struct bw_pool *p, const struct bw_tried *tried,
                                          enum willing wanted, int64_t now)
{
    struct bw_server *last = NULL;
    uint64_t total = 0, point;

    for (size_t i = 0; i < p->servers_n; ++i)
        if (judge(&p->servers[i], tried, now) == wanted)
            total += p->servers[i].conf->weight;
    if (total == 0)
        return NULL;
    point = bw_rand_below(&p->origin->rand, total);
    for (size_t i = 0; i < p->servers_n; ++i) {
        if (judge(&p->servers[i], tried, now) != wanted)
            continue;
        last = &p->servers[i];
        if (point < last->conf->weight)
            break;
        point -= last->conf->weight;
    }
    return last;
}

static struct bw_server *choose_among(struct bw_pool *p, const struct bw_tried *tried,
                                      enum willing wanted, int64_t now)
{
    switch (p->conf->balance) {
    case BW_BALANCE_ROUND_ROBIN:
        return choose_in_turn(p, tried, wanted, now);
    case BW_BALANCE_RANDOM:
        return choose_at_random(p, tried, wanted, now);
    }
    BW_UNREACHABLE();
}

struct bw_server *bw_pool_choose(struct bw_pool *p, const struct bw_tried *tried)
{
    struct bw_server *s;
    int64_t now;

    if (p->servers_n == 1) {
        s = &p->servers[0];
        return has_room(s) && !was_tried(tried, s) ? s : NULL;
    }
    now = now_ms();
    s = choose_among(p, tried, WILLING, now);
    return s != NULL ? s : choose_among(p, tried, RELUCTANT, now);
}

bool bw_pool_has_other(const struct bw_pool *p, const struct bw_tried *tried)
{
    for (size_t i = 0; i < p->servers_n; ++i)
        if (!was_tried(tried, &p->servers[i]))
            return true;
    return false;
}

bool bw_pool_wait(struct bw_pool *p, struct bw_pool_waiter *w)
{
    if (p->waiting_n >= p->queue)
        return false;
    h2o_linklist_insert(&p->waiting, &w->link);
    ++p->waiting_n;
    return true;
}

void bw_pool_leave(struct bw_pool *p, struct bw_pool_waiter *w)
{
    if (!h2o_linklist_is_linked(&w->link))
        return;
    h2o_linklist_unlink(&w->link);
    --p->waiting_n;
}

/* Whoever waits longest and can use a server with room gets it. */
static void serve_queue(struct bw_pool *p)
{
    h2o_linklist_t *l = p->waiting.next;

    while (l != &p->waiting) {
        struct bw_pool_waiter *w = BW_CONTAINER_OF(l, struct bw_pool_waiter, link);
        struct bw_server *s = bw_pool_choose(p, w->tried);

        l = l->next;
        if (s == NULL && w->tried->n == 0)
            return; /* nothing for anybody */
        if (s == NULL)
            continue;
        bw_pool_leave(p, w);
        w->served(w, s);
    }
}

void bw_pool_count_request(struct bw_pool *p)
{
    ++p->origin->requests;
    if (p->retry_hundredths < RETRY_BURST)
        p->retry_hundredths += p->conf->retry_budget_percent;
}

bool bw_pool_may_retry(struct bw_pool *p)
{
    if (p->retry_hundredths < RETRY_COST)
        return false;
    p->retry_hundredths -= RETRY_COST;
    return true;
}

static void forget_idle(struct bw_connection *c)
{
    if (!h2o_linklist_is_linked(&c->link))
        return;
    h2o_linklist_unlink(&c->link);
    --c->server->idle_n;
}

static void close_connection(struct bw_connection *c)
{
    forget_idle(c);
    --c->server->open_n;
    bw_connection_close(c);
}

struct bw_connection *bw_server_idle(struct bw_server *s, const struct bw_connection_ops *ops,
                                     void *owner)
{
    while (!h2o_linklist_is_empty(&s->idle)) {
        struct bw_connection *c = BW_CONTAINER_OF(s->idle.next, struct bw_connection, link);

        if (bw_connection_quiet(c)) {
            forget_idle(c);
            bw_connection_own(c, ops, owner);
            ++s->pool->origin->reused;
            return c;
        }
        close_connection(c); /* the slot is the caller's next try */
    }
    return NULL;
}

struct bw_connection *bw_server_open(struct bw_server *s, const struct bw_connection_ops *ops,
                                     void *owner)
{
    ++s->open_n;
    ++s->pool->origin->connects;
    ++s->pool->origin->connections;
    return bw_connection_new(s, ops, owner);
}

void bw_server_keep(struct bw_connection *c)
{
    struct bw_server *s = c->server;
    struct bw_pool *p = s->pool;

    if (p->origin->closing || s->idle_n >= p->idle || s->open_n > p->per_server) {
        bw_server_drop(c);
        return;
    }
    bw_connection_idle(c, p->conf->idle_for_ms);
    h2o_linklist_insert(s->idle.next, &c->link);
    ++s->idle_n;
    serve_queue(p);
}

void bw_server_drop(struct bw_connection *c)
{
    struct bw_pool *p = c->server->pool;

    close_connection(c);
    serve_queue(p);
}

void bw_server_avoid(struct bw_server *s)
{
    s->avoid_until = now_ms() + AVOID_MS;
}

/* ---- the whole of a worker's connections ---- */

static uint32_t part_of(uint32_t whole, uint32_t workers)
{
    uint32_t part = whole / (workers > 0 ? workers : 1);

    return part > 0 || whole == 0 ? part : 1;
}

/* RFC 9110, 4.2: the port is left out where it is the scheme's own. */
static char *make_authority(const struct bw_server_conf *s)
{
    const char *host = s->host != NULL ? s->host : "localhost";
    bool six = strchr(host, ':') != NULL;

    if (s->host == NULL || s->port == (s->tls ? 443 : 80))
        return bw_sprintf(six ? "[%s]" : "%s", host);
    return bw_sprintf(six ? "[%s]:%u" : "%s:%u", host, (unsigned)s->port);
}

/* One TLS context for all servers of one name: reading a trust store takes milliseconds. */
static struct bw_peer_tls *find_tls(const struct bw_pool *p, const char *name)
{
    for (size_t i = 0; i < p->servers_n; ++i) {
        const struct bw_server *s = &p->servers[i];

        if (s->tls != NULL && strcmp(bw_peer_tls_name(&p->conf->tls, s->conf->host), name) == 0)
            return bw_peer_tls_take(s->tls);
    }
    return NULL;
}

static enum bw_err init_tls(struct bw_server *s, char *why, size_t len)
{
    const struct bw_pool_conf *conf = s->pool->conf;
    const char *name = bw_peer_tls_name(&conf->tls, s->conf->host);
    char detail[256] = "";

    if (!s->conf->tls)
        return BW_OK;
    s->tls = find_tls(s->pool, name);
    if (s->tls != NULL)
        return BW_OK;
    if (bw_peer_tls_new(&conf->tls, name, detail, sizeof(detail), &s->tls) == BW_OK)
        return BW_OK;
    (void)snprintf(why, len, "pool '%s': tls: %s", conf->name, detail);
    return BW_ERR_INVALID;
}

static enum bw_err init_server(struct bw_server *s, char *why, size_t len)
{
    struct bw_resolver *r = s->pool->origin->resolver;

    h2o_linklist_init_anchor(&s->idle);
    s->authority_text = make_authority(s->conf);
    s->authority = bw_slice_str(s->authority_text);
    s->name = s->conf->unix_path != NULL ? bw_name_new_unix(r, s->conf->unix_path)
                                         : bw_name_new(r, s->conf->host, s->conf->port);
    if (s->name == NULL) {
        (void)snprintf(why, len, "pool '%s': '%s': the path is too long for a socket",
                       s->pool->conf->name, s->conf->unix_path);
        return BW_ERR_INVALID;
    }
    return init_tls(s, why, len);
}

static void list_servers(struct bw_pool *p)
{
    p->servers = bw_zalloc(p->conf->servers_n * sizeof(*p->servers));
    p->servers_n = p->conf->servers_n;
    for (size_t i = 0; i < p->servers_n; ++i) {
        p->servers[i].pool = p;
        p->servers[i].conf = &p->conf->servers[i];
    }
}

static enum bw_err init_pool(struct bw_pool *p, uint32_t workers, char *why, size_t len)
{
    const struct bw_pool_conf *conf = p->conf;

    p->per_server = part_of(conf->per_server > 0 ? conf->per_server : 1, workers);
    p->idle = part_of(conf->idle, workers);
    p->queue = part_of(conf->queue, workers);
    p->retry_hundredths = conf->retry_budget_percent > 0 ? RETRY_BURST : 0;
    h2o_linklist_init_anchor(&p->waiting);
    list_servers(p);
    for (size_t i = 0; i < p->servers_n; ++i) {
        enum bw_err err = init_server(&p->servers[i], why, len);

        if (err != BW_OK)
            return err;
    }
    return BW_OK;
}

static void free_pool(struct bw_pool *p)
{
    for (size_t i = 0; i < p->servers_n; ++i) {
        struct bw_server *s = &p->servers[i];

        if (s->name != NULL)
            bw_name_free(s->name);
        if (s->tls != NULL)
            bw_peer_tls_put(s->tls);
        free(s->authority_text);
    }
    free(p->servers);
}

enum bw_err bw_origin_check(const struct bw_pool_conf *pools, size_t pools_n, char *why,
                            size_t why_len)
{
    enum bw_err err = BW_OK;

    for (size_t i = 0; i < pools_n && err == BW_OK; ++i) {
        struct bw_pool p = {.conf = &pools[i]};

        list_servers(&p);
        for (size_t k = 0; k < p.servers_n && err == BW_OK; ++k)
            err = init_tls(&p.servers[k], why, why_len);
        free_pool(&p);
    }
    return err;
}

static void free_all(struct bw_origin *o)
{
    for (size_t i = 0; i < o->pools_n; ++i)
        free_pool(&o->pools[i]);
    bw_resolver_free(o->resolver);
    free(o->pools);
    free(o);
}

// NOLINTNEXTLINE(readability-function-size): seven parameters once in a process
enum bw_err bw_origin_new(struct bw_loop *loop, const struct bw_pool_conf *pools, size_t pools_n,
                          uint32_t workers, char *why, size_t why_len, struct bw_origin **out)
{
    struct bw_origin *o = bw_zalloc(sizeof(*o));

    o->loop = loop;
    o->resolver = bw_resolver_new(loop, NULL);
    o->pools = bw_zalloc(pools_n * sizeof(*o->pools));
    bw_rand_init(&o->rand);
    for (size_t i = 0; i < pools_n; ++i) {
        enum bw_err err;

        o->pools[i].origin = o;
        o->pools[i].conf = &pools[i];
        o->pools_n = i + 1;
        err = init_pool(&o->pools[i], workers, why, why_len);
        if (err != BW_OK) {
            free_all(o);
            return err;
        }
    }
    *out = o;
    return BW_OK;
}

static void finish(struct bw_next *n)
{
    struct bw_origin *o = BW_CONTAINER_OF(n, struct bw_origin, next);
    void (*freed)(void *ctx) = o->freed;
    void *ctx = o->freed_ctx;

    if (o->fetches > 0 || o->connections > 0)
        return; /* began meanwhile; comes again when it is over */
    free_all(o);
    if (freed != NULL)
        freed(ctx);
}

static void finish_if_unused(struct bw_origin *o)
{
    if (o->closing && o->fetches == 0 && o->connections == 0)
        bw_loop_next(o->loop, &o->next, finish);
}

void bw_origin_fetch_gone(struct bw_origin *o)
{
    --o->fetches;
    finish_if_unused(o);
}

void bw_origin_connection_gone(struct bw_origin *o)
{
    --o->connections;
    finish_if_unused(o);
}

static void close_idle(struct bw_server *s)
{
    while (!h2o_linklist_is_empty(&s->idle))
        close_connection(BW_CONTAINER_OF(s->idle.next, struct bw_connection, link));
}

void bw_origin_free(struct bw_origin *o, void (*freed)(void *ctx), void *ctx)
{
    o->closing = true;
    o->freed = freed;
    o->freed_ctx = ctx;
    for (size_t i = 0; i < o->pools_n; ++i)
        for (size_t j = 0; j < o->pools[i].servers_n; ++j)
            close_idle(&o->pools[i].servers[j]);
    finish_if_unused(o);
}

void bw_origin_figures(const struct bw_origin *o, struct bw_origin_figures *out)
{
    *out = (struct bw_origin_figures){.requests = o->requests,
                                      .connects = o->connects,
                                      .reused = o->reused,
                                      .retries = o->retries,
                                      .failures = o->failures,
                                      .bytes_in = o->bytes_in,
                                      .bytes_out = o->bytes_out};
    for (size_t i = 0; i < o->pools_n; ++i) {
        const struct bw_pool *p = &o->pools[i];

        out->queued += p->waiting_n;
        for (size_t j = 0; j < p->servers_n; ++j) {
            out->open += p->servers[j].open_n;
            out->idle += p->servers[j].idle_n;
        }
    }
}
