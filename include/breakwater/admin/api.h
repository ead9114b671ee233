/*
 * api.h - what is answered on the admin address.
 *
 * Knows no sockets: a method, a path and a query go in, status, type and body come out.  All calls
 * are for the control thread; the figures of the workers are read while they run.
 */
#pragma once

#include "breakwater/admin/figures.h"
#include "breakwater/base/budget.h"
#include "breakwater/base/buf.h"
#include "breakwater/origin/fetch.h"

struct bw_admin;
struct bw_store;
struct bw_fills;

/* The configuration and what became of the last reload. */
struct bw_admin_config {
    uint64_t generation; /* of the configuration in use */
    uint64_t reloads;    /* that were asked for, refused ones included */
    const char *error;   /* why the last one was refused, or NULL; valid until the next call */
};

/* Where the figures come from.  Everything must live until bw_admin_free(). */
struct bw_admin_sources {
    struct bw_counters *const *counters; /* of all workers */
    unsigned workers;
    struct bw_store *store;         /* or NULL */
    const struct bw_fills *fills;   /* or NULL */
    const struct bw_budget *budget; /* or NULL */
    int64_t started_ms;             /* bw_clock_ms() at the start */
    bool test_clock;                /* serve /v1/test/ */
    void *ctx;                      /* of the callbacks; any of them may be NULL */
    struct bw_admin_config (*config)(void *ctx);
    void (*origin)(void *ctx, struct bw_origin_figures *sum); /* of all workers */
    uint64_t (*connections)(void *ctx);                       /* open to clients */
    bool (*ready)(void *ctx);                       /* serving and not draining; NULL: always */
    bool (*named)(void *ctx, struct bw_slice host); /* is that a name of ours? */
};

struct bw_admin *bw_admin_new(const struct bw_admin_sources *src);
void bw_admin_free(struct bw_admin *a);
/* Once a second: moves the windows of time along. */
void bw_admin_tick(struct bw_admin *a);

struct bw_admin_request {
    struct bw_slice method, path;
    struct bw_slice query; /* without '?' */
    struct bw_slice host;  /* in lower case, without port; empty where none is named */
};
struct bw_admin_response {
    int status;
    const char *type;   /* static */
    const char *allow;  /* static; with 405 */
    struct bw_buf body; /* the caller frees it */
};
/*
 * Every request gets an answer; HEAD gets that of GET.  `out` is overwritten.  A host that is no
 * address, not localhost and not named gets 421: a page in somebody's browser may have a name that
 * leads here of a sudden, but no other one (DNS rebinding).
 */
void bw_admin_handle(struct bw_admin *a, const struct bw_admin_request *rq,
                     struct bw_admin_response *out);
