/*
 * process.c - the process: start everything in order, wait for signals, drain, end.
 *
 *     main thread    control: signals, reload, the admin address (a worker that serves nothing
 * else) workers        server/worker.c store writer, io threads, access log writer: started by what
 * they belong to
 *
 * Every mistake of a person is found before a thread runs: then the way out is one line and exit
 * status 2.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/gate.h"
#include "breakwater/base/log.h"
#include "breakwater/base/mem.h"
#include "breakwater/server/server.h"

#include "process_priv.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { WHY_MAX = 512, TICK_MS = 1000, REFRESHES_MAX = 64, ROUND_MS = 1000, ADMIN_DRAIN_MS = 500 };

/* Held until the workers may begin. */
static pthread_mutex_t not_yet = PTHREAD_MUTEX_INITIALIZER;

/* What the store keeps of content codings, in the order of preference. */
static const struct bw_slice codings[] = {{"zstd", 4}, {"br", 2}, {"gzip", 4}};

/* ---- the admin's questions ---- */

static struct bw_admin_config ask_config(void *ctx)
{
    struct bw_server *s = ctx;

    return (struct bw_admin_config){
        .generation = s->conf->generation, .reloads = s->reloads, .error = s->reload_error};
}

static void ask_origin(void *ctx, struct bw_origin_figures *sum)
{
    struct bw_server *s = ctx;
    uint64_t *to = (uint64_t *)(void *)sum;

    memset(sum, 0, sizeof(*sum));
    pthread_mutex_lock(&s->figures_lock);
    for (uint32_t i = 0; i < s->workers_n; i++) {
        const uint64_t *f = (const uint64_t *)(const void *)&s->workers[i].origin_figures;

        for (size_t k = 0; k < sizeof(*sum) / sizeof(*to); k++)
            to[k] += f[k];
    }
    pthread_mutex_unlock(&s->figures_lock);
}

static uint64_t ask_connections(void *ctx)
{
    struct bw_server *s = ctx;
    uint64_t n = 0;

    for (uint32_t i = 0; i < s->workers_n; i++)
        n += atomic_load(&s->workers[i].connections);
    return n;
}

static bool ask_ready(void *ctx)
{
    return !((struct bw_server *)ctx)->draining;
}

static bool ask_named(void *ctx, struct bw_slice host)
{
    return bw_hosts_have(&((struct bw_server *)ctx)->conf->admin_hosts, host);
}

/* ---- start ---- */

static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * A miss takes and gives back blocks of 16 KiB; by default glibc would return them to the kernel
 * each time and fault them in again (a fifth of the cost of a miss, measured).
 */
static void keep_freed_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
    mallopt(M_TOP_PAD, 4 << 20);
}

static sigset_t our_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static void say(struct bw_diag *d)
{
    if (d->text.len != 0)
        fwrite(d->text.base, 1, d->text.len, stderr);
    bw_diag_free(d);
}

static bool check_pools(const struct bw_conf *conf, struct bw_diag *d)
{
    char why[WHY_MAX];

    if (bw_origin_check(conf->pools, conf->pools_n, why, sizeof(why)) == BW_OK)
        return true;
    bw_diag_error(d, (struct bw_place){0}, NULL, "%s", why);
    return false;
}

/* Configuration and sockets: everything that a person can have got wrong in them. */
static bool load(struct bw_server *s)
{
    struct bw_diag d = {0};

    s->conf = bw_conf_load(s->flags, &d);
    if (s->conf != NULL && check_pools(s->conf, &d) && bw_conf_check_log(s->conf, &d))
        s->listen = bw_listen_set_new(s->conf, s->conf->workers, NULL, &d);
    if (s->listen != NULL)
        s->admin_listen = bw_listen_set_new_admin(s->conf, &d);
    say(&d);
    return s->admin_listen != NULL;
}

static bool complain(const char *why)
{
    fprintf(stderr, "breakwater: error: %s\n", why);
    return false;
}

static bool open_store(struct bw_server *s)
{
    struct bw_store_options o = {
        .conf = &s->conf->cache, .budget = &s->budget, .pins = s->pins, .pins_n = s->workers_n};
    char why[WHY_MAX];

    s->store = bw_store_open(&o, why, sizeof(why));
    return s->store != NULL || complain(why);
}

/* Two nodes in a chain must not take each other for themselves: the name hangs on the store. */
static void make_pseudonym(struct bw_server *s)
{
    const struct bw_hash_secret *secret = bw_store_secret(s->store);
    uint64_t id = bw_hash_64(bw_slice((const char *)secret->bytes, sizeof(secret->bytes)));

    snprintf(s->via, sizeof(s->via), "1.1 breakwater-%08x", (unsigned)id);
}

static void make_fills(struct bw_server *s)
{
    const struct bw_cache_conf *c = &s->conf->cache;
    struct bw_fills_options o = {.store = s->store,
                                 .budget = &s->budget,
                                 .loops = s->loops,
                                 .pins = s->pins,
                                 .workers = s->workers_n,
                                 .waiters_max = c->collapse_waiters,
                                 .max_object = c->max_object,
                                 .refreshes_max = REFRESHES_MAX,
                                 .codings = codings,
                                 .codings_n = BW_ARRAY_LEN(codings)};

    s->fills = bw_fills_new(&o);
}

static void allocate(struct bw_server *s)
{
    s->workers_n = s->conf->workers;
    s->pins = bw_zalloc(s->workers_n * sizeof(struct bw_pins *));
    s->counters = bw_zalloc(s->workers_n * sizeof(struct bw_counters *));
    s->loops = bw_zalloc(s->workers_n * sizeof(struct bw_loop *));
    s->workers = bw_zalloc(s->workers_n * sizeof(*s->workers));
    s->threads = bw_zalloc(s->workers_n * sizeof(*s->threads));
    for (uint32_t i = 0; i < s->workers_n; i++) {
        s->pins[i] = bw_zalloc(sizeof(struct bw_pins));
        s->counters[i] = bw_counters_new(s->conf);
        s->workers[i].loop = s->loops[i] = bw_loop_new();
    }
    s->accept_limits = bw_accept_limits_new();
    pthread_mutex_init(&s->figures_lock, NULL);
}

/* The worker is being made meanwhile: nothing of it is looked at. */
static void *worker_main(void *worker)
{
    pthread_mutex_lock(&not_yet);
    pthread_mutex_unlock(&not_yet);
    return bw_worker_main(worker);
}

/*
 * Before anything is touched: whether there may be so many is known only when they are there.  They
 * wait until all the rest is, too.
 */
static bool create_threads(struct bw_server *s)
{
    pthread_mutex_lock(&not_yet);
    for (uint32_t i = 0; i < s->workers_n; i++) {
        int err = pthread_create(&s->threads[i], NULL, worker_main, &s->workers[i]);

        if (err == 0)
            continue;
        fprintf(stderr,
                "breakwater: error: thread %u of %u workers cannot start: %s; set workers lower, "
                "or allow the process more threads and memory\n",
                i + 1, s->workers_n, strerror(err));
        return false;
    }
    return true;
}

static bool open_log(struct bw_server *s)
{
    char why[WHY_MAX];

    s->access_log = bw_access_log_new(&s->conf->log, s->counters, s->workers_n, why, sizeof(why));
    return s->access_log != NULL || complain(why);
}

static void make_admin(struct bw_server *s, bool test_clock)
{
    struct bw_admin_sources src = {.counters = s->counters,
                                   .workers = s->workers_n,
                                   .store = s->store,
                                   .fills = s->fills,
                                   .budget = &s->budget,
                                   .started_ms = bw_clock_ms(),
                                   .test_clock = test_clock,
                                   .ctx = s,
                                   .config = ask_config,
                                   .origin = ask_origin,
                                   .connections = ask_connections,
                                   .ready = ask_ready,
                                   .named = ask_named};

    s->admin = bw_admin_new(&src);
}

static bool make_workers(struct bw_server *s)
{
    static const struct bw_vary_codings kept = {codings, BW_ARRAY_LEN(codings)};
    char why[WHY_MAX];

    s->control.admin = true;
    if (bw_worker_init(&s->control, s, 0, s->conf, why, sizeof(why)) != BW_OK)
        return complain(why);
    for (uint32_t i = 0; i < s->workers_n; i++) {
        if (bw_worker_init(&s->workers[i], s, i, s->conf, why, sizeof(why)) != BW_OK)
            return complain(why);
        s->workers[i].lookup.codings = kept;
    }
    return true;
}

static bool prepare(struct bw_server *s, bool test_clock)
{
    if (!load(s))
        return false;
    bw_log_set_level((enum bw_log_level)s->conf->log.level);
    bw_budget_init(&s->budget, s->conf->cache.memory);
    allocate(s);
    if (!create_threads(s) || !open_log(s) || !open_store(s))
        return false;
    make_pseudonym(s);
    make_fills(s);
    make_admin(s, test_clock);
    return make_workers(s);
}

/* ---- run ---- */

static void drain(struct bw_server *s)
{
    s->draining = true;
    bw_log(BW_LOG_INFO, "draining: at most %lld seconds",
           (long long)s->conf->limits.drain_ms / 1000);
    for (uint32_t i = 0; i < s->workers_n; i++) {
        struct bw_worker_order *o = bw_zalloc(sizeof(*o));

        o->what = BW_ORDER_DRAIN;
        o->deadline_ms = s->conf->limits.drain_ms;
        bw_worker_tell(&s->workers[i], o);
    }
}

static void on_signal(h2o_socket_t *socket, const char *err)
{
    struct bw_server *s = socket->data;
    struct signalfd_siginfo info;

    (void)err;
    while (read(h2o_socket_get_fd(socket), &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP && !s->draining)
            bw_server_reload(s);
        else if (info.ssi_signo == SIGINT && s->draining)
            _exit(1); /* a person at a terminal, asking twice */
        else if (info.ssi_signo != SIGHUP && !s->draining)
            drain(s);
    }
}

static void on_tick(struct bw_timer *t)
{
    struct bw_server *s = BW_CONTAINER_OF(t, struct bw_server, tick);

    bw_admin_tick(s->admin);
    bw_timer_start(s->control.loop, &s->tick, TICK_MS, on_tick);
}

static void watch_signals(struct bw_server *s)
{
    sigset_t set = our_signals();
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);

    BW_ASSERT(fd >= 0);
    s->signals =
        h2o_evloop_socket_create(bw_loop_h2o(s->control.loop), fd, H2O_SOCKET_FLAG_DONT_READ);
    s->signals->data = s;
    h2o_socket_read_start(s->signals, on_signal);
}

static void announce(const struct bw_server *s)
{
    for (size_t i = 0; i < s->conf->listen_n; i++)
        bw_log(BW_LOG_INFO, "listening on %s%s (port %u)", s->conf->listen[i].address,
               s->conf->listen[i].tls ? ", TLS" : "", bw_listen_set_port(s->listen, i));
    bw_log(BW_LOG_INFO, "breakwater %s: %u worker%s, admin on %s", BW_VERSION, s->workers_n,
           s->workers_n == 1 ? "" : "s", s->conf->admin.address);
}

static void start_workers(struct bw_server *s)
{
    atomic_store(&s->running, s->workers_n);
    for (uint32_t i = 0; i < s->workers_n; i++)
        bw_worker_listen(&s->workers[i], s->listen); /* before its loop runs */
    pthread_mutex_unlock(&not_yet);
}

static void control_drained(struct bw_worker *w)
{
    w->drained = true;
}

/* The admin address answers until the last worker has ended: a drain can be watched. */
static void run(struct bw_server *s)
{
    watch_signals(s);
    bw_worker_listen(&s->control, s->admin_listen);
    start_workers(s);
    bw_timer_start(s->control.loop, &s->tick, TICK_MS, on_tick);
    announce(s);
    while (atomic_load(&s->running) != 0)
        bw_loop_run(s->control.loop, s->draining ? TICK_MS / 20 : ROUND_MS);
    for (uint32_t i = 0; i < s->workers_n; i++)
        pthread_join(s->threads[i], NULL);
    bw_timer_stop(&s->tick);
    bw_worker_drain(&s->control, ADMIN_DRAIN_MS, control_drained);
    while (!s->control.drained)
        bw_loop_run(s->control.loop, TICK_MS / 20);
    h2o_socket_close(s->signals);
}

/* ---- end ---- */

/* The writer's last commit ends the fills that wait for it; what it says to owners is delivered. */
static void end_fills(struct bw_server *s)
{
    bw_store_flush(s->store);
    for (uint32_t i = 0; i < s->workers_n; i++)
        bw_loop_run(s->loops[i], 0);
    bw_fills_free(s->fills);
    bw_store_close(s->store);
    for (uint32_t i = 0; i < s->workers_n; i++)
        bw_loop_free(s->loops[i]);
}

static void dispose(struct bw_server *s)
{
    struct bw_snapshot *last = s->control.snapshot;

    for (uint32_t i = 0; i < s->workers_n; i++)
        bw_worker_dispose(&s->workers[i]);
    if (--last->refs == 0) {
        bw_conf_put(last->conf);
        free(last);
    }
    bw_worker_dispose(&s->control);
    bw_admin_free(s->admin);
    bw_access_log_free(s->access_log);
    end_fills(s);
    bw_loop_free(s->control.loop);
    for (uint32_t i = 0; i < s->workers_n; i++) {
        bw_counters_free(s->counters[i]);
        free(s->pins[i]);
    }
    bw_listen_set_put(s->listen);
    bw_listen_set_put(s->admin_listen);
    bw_accept_limits_free(s->accept_limits);
    bw_conf_put(s->conf);
    pthread_mutex_destroy(&s->figures_lock);
    free(s->pins);
    free(s->counters);
    free(s->loops);
    free(s->workers);
    free(s->threads);
    free(s->reload_error);
}

int bw_server_run(const struct bw_conf_flags *flags, bool test_clock)
{
    static struct bw_server server;
    sigset_t set = our_signals();

    server.flags = flags;
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    raise_limits();
    keep_freed_memory();
    if (test_clock)
        bw_gate_enable();
    /* a buffer that grows must stay in memory: libh2o would put it into a file */
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
    if (!prepare(&server, test_clock))
        return 2; /* nothing was served: the kernel takes back the rest */
    run(&server);
    dispose(&server);
    bw_log(BW_LOG_INFO, "drained: all requests are done, the store is closed");
    return 0;
}
