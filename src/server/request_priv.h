/*
 * request_priv.h - one client request, as the files of its steps share it.
 *
 *     admit -> match -> lookup -+-> deliver            stored: hit, updating, stale
 *                               +-> fill -> stream     a miss: join the running fill or lead one
 *                               `-> pass               not cacheable: the origin, streamed through
 *     every one of them may end in `answer`: a response of our own
 *
 * A step returns its successor, or STEP_WAIT once it has armed exactly one waker.  Wakers run from
 * the event loop, never inside the call that armed them.  A request lives on one worker thread, in
 * its exchange's pool, until the exchange is done.
 */
#pragma once

#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/cache/fill.h"
#include "breakwater/config/rules.h"
#include "breakwater/http/cache_status.h"
#include "breakwater/http/date.h"
#include "breakwater/http/headers.h"
#include "breakwater/http/range.h"
#include "breakwater/http/target.h"
#include "breakwater/origin/fetch.h"
#include "breakwater/server/wire.h"
#include "breakwater/server/worker.h"

#include "slabs.h"

enum step {
    STEP_ADMIT,
    STEP_MATCH,
    STEP_LOOKUP,
    STEP_DELIVER,
    STEP_SEND,
    STEP_FILL,
    STEP_LOOK,
    STEP_STREAM,
    STEP_PASS,
    STEP_ANSWER,
    STEP_WAIT, /* everything below is run by bw_resume() */
};

enum { REPLY_EXTRA_FIELDS = 12, LOOKUPS_MAX = 6, SPANS_MAX = 2 * BW_RANGE_MAX + 1 };

/* A piece of a body: bytes of ours (`memory`), or [first, end) of the stored body. */
struct span {
    struct bw_slice memory;
    uint64_t first, end;
};

struct source;  /* source.c: the fetch behind a fill */
struct passing; /* step_pass.c: a request that is streamed through */
struct deposit; /* deposit.c: a response to POST on its way into the store */
struct cold;    /* cold.c: a page on its way into memory */

struct bw_request {
    h2o_generator_t generator; /* first: proceed() gives it back */
    struct bw_exchange *x;
    struct bw_worker *w;
    struct slab *slab; /* holds this struct and what its steps allocate */
    struct bw_snapshot *snapshot;
    enum step step;
    int64_t now_ms; /* the clock when the request came */
    uint64_t id;

    /* what the client asked for, in the one normal form */
    struct bw_target target;
    struct bw_slice authority, host;
    struct bw_slice origin_target; /* path and query without what a rule ignores */
    struct bw_slice said;          /* of host, scheme and path by a trusted peer; keyed */
    bool is_head;
    bool has_range;
    struct bw_settings settings;
    struct bw_policy_request policy;
    struct bw_key key;

    /* what is stored */
    struct bw_lookup found;
    bool has_found; /* `found.entry` is valid: may serve as stale */
    unsigned lookups;

    /* the fill */
    struct bw_waiter waiter;
    struct source *leading; /* the source of the fill that this request leads, or NULL */
    struct bw_timer wait_timer;
    struct bw_next head_later;
    const struct bw_fill_head *fill_head;
    int sick_status; /* rule 16: of the first failure, the second one is final; 0: none yet */
    bool waited;     /* was there before the head */
    bool overdue_once;
    bool in_flight; /* the head went out alone: no send before proceed() */

    struct passing *passing;
    struct cold *cold;

    /* the response */
    struct bw_reply reply;
    struct span *spans;
    unsigned spans_n, span_at;
    uint64_t span_position;
    struct bw_body_source source; /* the stored body, for protocols that ask for it */
    bool source_is_stuck;
    char *buffer;       /* of w->buffers, while a send of stored bytes is under way */
    char *small_buffer; /* the request's own, where there was none */
    bool responding;    /* h2o_start_response() was called */
    bool read_whole;    /* the stored body is being read from its first byte to its last */

    /* what happened: Cache-Status, log, figures */
    enum bw_outcome outcome;
    enum bw_reason reason;
    int fwd_status;
    bool stored, collapsed, has_ttl;
    int64_t ttl_s;
    uint64_t bytes_from_origin;
    int64_t asked_us;  /* it waits for the origin since then; 0: it does not */
    int64_t origin_us; /* waited for the origin, so far */
    uint32_t fetches;
    int server;        /* that answered, as its pool counts; -1: none, or not known */
    int answer_status; /* STEP_ANSWER */
    bool complete;     /* done: everything was sent */
};

/* ---- request.c ---- */
void bw_resume(struct bw_request *rq, enum step next);
/* Answer with a response of our own: sets status, outcome and reason and names the step. */
enum step bw_answer(struct bw_request *rq, int status, enum bw_outcome outcome, enum bw_reason why);
/* The origin has answered, or will not: the wait for it is counted. */
void bw_waited_for_origin(struct bw_request *rq);
/* Why the origin could not be had, as a status: 502, 503, 504. */
int bw_reason_status(enum bw_reason why);

/* Views of the request that live as long as its exchange. */
void *bw_request_alloc(struct bw_request *rq, size_t n);
struct bw_slice bw_request_copy(struct bw_request *rq, struct bw_slice s);
struct bw_fields bw_request_copy_fields(struct bw_request *rq, const struct bw_fields *in);
/* How this client would ask to read that target, which is neither this method nor this path: the
 * settings of the rules, and the key by which it is found. */
void bw_request_as_get(struct bw_request *rq, const struct bw_target *target,
                       struct bw_settings *settings, struct bw_key *key);

/* ---- reply.c: heads of responses ---- */
/* From stored fields: for the client, with Age and Cache-Status. `age_s` < 0: no Age. */
void bw_reply_from(struct bw_request *rq, int status, struct bw_slice reason,
                   const struct bw_fields *fields, int64_t age_s);
void bw_reply_add(struct bw_request *rq, enum bw_field_id id, struct bw_slice value);
/* Turn the reply into a 304, a 206 or a 416 where the request's conditions and ranges ask for it.
 */
enum shape {
    SHAPE_WHOLE,
    SHAPE_NOT_MODIFIED,
    SHAPE_PART,  /* one range: spans[0] */
    SHAPE_PARTS, /* several: spans */
    SHAPE_UNSATISFIABLE,
};
enum shape bw_shape_reply(struct bw_request *rq, const struct bw_fields *stored, uint64_t length);
/* Start the response with rq->reply. */
void bw_respond(struct bw_request *rq);
void bw_send_end(struct bw_request *rq);    /* nothing more: complete */
void bw_send_broken(struct bw_request *rq); /* nothing more: visibly broken */
enum step bw_step_answer(struct bw_request *rq);

/* ---- deliver.c: from the store ---- */
enum step bw_step_deliver(struct bw_request *rq);
enum step bw_step_send(struct bw_request *rq); /* the next bytes of its body */
/* The stale response that was found may stand in: outcome STALE with that reason. */
enum step bw_deliver_stale(struct bw_request *rq, enum bw_reason why);

/* ---- step_fill.c ---- */
enum step bw_step_fill(struct bw_request *rq);
enum step bw_step_look(struct bw_request *rq);
enum step bw_step_stream(struct bw_request *rq);
void bw_fill_abandon(struct bw_request *rq);
void bw_refresh_behind(struct bw_request *rq);
struct bw_join bw_join_for(struct bw_request *rq); /* what was found, for the table of fills */

/* ---- source.c ---- */
/* Begin the fetch of a fill.  `leader` may be NULL; it is told of 1xx. */
struct source *bw_source_start(struct bw_request *rq, struct bw_fill *f, bool leader);
void bw_source_leader_gone(struct source *s);
/* A response without Date gets the time of its arrival; `f` has room for one more. */
void bw_add_date(struct bw_fields *f, int64_t now_ms, char date[BW_DATE_LEN]);
/* The fields of the request to the origin, in the pool of `rq`. */
struct bw_fields bw_origin_fields(struct bw_request *rq, bool fill, const struct bw_fields *in,
                                  const struct bw_entry *base);

/* ---- step_pass.c ---- */
enum step bw_step_pass(struct bw_request *rq);
void bw_pass_abandon(struct bw_request *rq);

/* The path and query of a URI reference that is of this request's origin; empty: of another. */
struct bw_slice bw_own_reference(const struct bw_request *rq, struct bw_slice reference);

/* ---- deposit.c ---- */
/* Is that response to be kept for GET?  NULL: no.  To be asked when it has invalidated. */
struct deposit *bw_deposit_new(struct bw_request *rq, const struct bw_response_head *head);
void bw_deposit_add(struct deposit *d, struct bw_slice bytes);
void bw_deposit_store(struct deposit *d); /* it is whole */
void bw_deposit_free(struct deposit *d);  /* once, in any case */

/* ---- freshen.c ---- */
/* The origin has answered: to HEAD it also says what becomes of the stored response to GET. */
void bw_freshen(struct bw_request *rq, const struct bw_response_head *head);

/* ---- tunnel.c ---- */
struct tunnel;
/* A connection that has left HTTP: bytes both ways until one side ends, or both say nothing. */
struct tunnel *bw_tunnel_new(struct bw_worker *w, h2o_socket_t *origin, int64_t idle_ms);
void bw_tunnel_start(void *tunnel, h2o_socket_t *client); /* a bw_upgraded_fn */
void bw_tunnel_discard(struct tunnel *t);                 /* the client left before the 101 */
void bw_tunnels_cut(struct bw_worker *w);                 /* the drain's deadline */

/* ---- account.c ---- */
void bw_account(struct bw_request *rq);
/* The admin address: answered from admin/api, without cache or origin. */
void bw_admin_answer(struct bw_request *rq);

/* ---- cold.c ---- */
/* Bring a record (objid 0) or a part of a body into memory, then resume at `next`. */
enum step bw_wait_for_pages(struct bw_request *rq, const struct bw_hash *key, uint64_t objid,
                            uint64_t offset, enum step next);
void bw_cold_abandon(struct bw_request *rq);

/* ---- worker.c ---- */
struct bw_snapshot *bw_snapshot_take(struct bw_snapshot *s);
void bw_snapshot_put(struct bw_snapshot *s);
