/*
 * reload.c - a new configuration under way, without dropping a request.
 *
 * Everything that can go wrong is tried on the control thread first: the file, the sockets, the
 * certificates, the trust stores of the pools, the folder of the log.  Only then is anybody told;
 * what is refused leaves everything as it was.  Requests under way keep the snapshot that they
 * began with.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/log.h"
#include "breakwater/base/mem.h"

#include "process_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum { WHY_MAX = 512 };

static void refuse(struct bw_server *s, struct bw_diag *d)
{
    free(s->reload_error);
    s->reload_error = bw_slice_dup(bw_buf_view(&d->text));
    fwrite(d->text.base, 1, d->text.len, stderr);
    bw_log(BW_LOG_ERROR, "reload refused, the old configuration stays");
}

static void trial_over(void *ctx)
{
    (void)ctx;
}

/* Can the pools be made?  The same call that each worker will make. */
static bool try_origin(struct bw_server *s, struct bw_conf *conf, struct bw_diag *d)
{
    struct bw_origin *trial;
    char why[WHY_MAX];

    if (bw_origin_new(s->control.loop, conf->pools, conf->pools_n, conf->workers, why, sizeof(why),
                      &trial) != BW_OK) {
        bw_diag_error(d, (struct bw_place){.file = s->flags->file}, "pools", "%s", why);
        return false;
    }
    bw_origin_free(trial, trial_over, NULL);
    return true;
}

/* What is built into the running process: a file that asks for another one is refused, since half
 * of a file is what nobody wrote. */
static bool refuse_fixed(const struct bw_conf *old, const struct bw_conf *new, struct bw_diag *d)
{
    static const char *const fixed[] = {"workers",      "cache.directory", "cache.size",
                                        "cache.memory", "cache.protect",   "cache.durability",
                                        "admin.listen"};
    struct bw_place at;
    int errors = d->errors;

    for (size_t i = 0; i < BW_ARRAY_LEN(fixed); i++)
        if (bw_conf_differs(old, new, fixed[i], &at))
            bw_diag_error(d, at, fixed[i],
                          "cannot change while running; restart to use the new value");
    return d->errors > errors;
}

static void tell_workers(struct bw_server *s)
{
    for (uint32_t i = 0; i < s->workers_n; i++) {
        struct bw_worker_order *o = bw_zalloc(sizeof(*o));

        o->what = BW_ORDER_RELOAD;
        o->conf = bw_conf_take(s->conf);
        o->listen = bw_listen_set_take(s->listen);
        bw_worker_tell(&s->workers[i], o);
    }
}

static void adopt(struct bw_server *s, struct bw_conf *conf, struct bw_listen_set *listen)
{
    struct bw_conf *old = s->conf;
    char why[WHY_MAX];

    bw_listen_set_put(s->listen);
    s->listen = listen;
    s->conf = conf;
    bw_log_set_level((enum bw_log_level)conf->log.level);
    bw_fills_set_limits(s->fills, conf->cache.collapse_waiters, conf->cache.max_object);
    if (bw_access_log_reopen(s->access_log, &conf->log, why, sizeof(why)) != BW_OK)
        bw_log(BW_LOG_ERROR, "log.access: %s", why);
    tell_workers(s);
    bw_conf_put(old);
    free(s->reload_error);
    s->reload_error = NULL;
    bw_log(BW_LOG_INFO, "reloaded: configuration %llu", (unsigned long long)conf->generation);
}

void bw_server_reload(struct bw_server *s)
{
    struct bw_diag d = {0};
    struct bw_conf *conf = bw_conf_load(s->flags, &d);
    struct bw_listen_set *listen = NULL;

    s->reloads++;
    if (conf != NULL)
        conf->workers = s->workers_n; /* auto may have come to another number, the threads stay */
    if (conf != NULL && !refuse_fixed(s->conf, conf, &d) && try_origin(s, conf, &d) &&
        bw_conf_check_log(conf, &d))
        listen = bw_listen_set_new(conf, s->workers_n, s->listen, &d);
    if (listen == NULL) {
        refuse(s, &d);
        if (conf != NULL)
            bw_conf_put(conf);
    } else {
        if (d.text.len != 0)
            fwrite(d.text.base, 1, d.text.len, stderr);
        adopt(s, conf, listen);
    }
    bw_diag_free(&d);
}
