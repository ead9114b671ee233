/*
 * fetch_priv.h - what fetch.c (the life of a fetch) and exchange.c (the talk on its connection)
 * share.
 *
 * Callbacks may cancel the fetch they come from.  Hence every entry from the loop is bracketed by
 * bw_fetch_enter() and bw_fetch_leave(); a fetch that is over is freed by the last leave, and after
 * each callback BW_FETCH_OVER is looked for.
 */
#pragma once

#include "breakwater/base/buf.h"
#include "breakwater/http/chunked.h"
#include "breakwater/origin/fetch.h"
#include "breakwater/origin/pool.h"

enum { BW_BODY_WINDOW = 65536 }; /* bytes of a request body that are granted and not yet sent */

enum bw_fetch_state {
    BW_FETCH_WAITING, /* in the pool's queue */
    BW_FETCH_OPENING, /* its connection is being made */
    BW_FETCH_TALKING, /* request and response are under way */
    BW_FETCH_FAILING, /* fail() comes in the next round */
    BW_FETCH_OVER,    /* the last callback was made, or it was cancelled */
};

enum bw_sending {
    BW_SENDING_HEAD,
    BW_SENDING_BODY,
    BW_SENDING_DONE,   /* the whole request is out */
    BW_SENDING_BROKEN, /* the server does not take it; it may still say why */
};

enum bw_receiving { BW_RECEIVING_HEAD, BW_RECEIVING_BODY };

/* The request, kept for another attempt. */
struct bw_fetch_out {
    struct bw_slice method, target, authority;
    struct bw_slice text;    /* fields and framing, each line with its CRLF, and the empty line */
    struct bw_slice upgrade; /* the protocols asked for; empty: none */
    enum bw_framing framing;
    enum bw_sending sending;
    uint64_t left;         /* of a body with a length: not yet handed over */
    size_t granted;        /* want() allowed so much more */
    size_t unsent;         /* handed over and not yet written; body bytes */
    size_t in_flight;      /* of these: in the write under way */
    struct bw_buf pending; /* as it goes to the wire, next */
    struct bw_buf flight;  /* being written */
    bool ranged;           /* a part was asked for */
    bool body_begun;       /* a byte was handed over: no second attempt */
    bool body_whole;       /* the last byte was handed over */
};

/* The response. */
struct bw_fetch_in {
    struct bw_response_head head;
    enum bw_receiving receiving;
    enum bw_framing framing;
    uint64_t left;
    size_t scanned;
    struct bw_chunked chunked;
    struct bw_fields trailers;
    uint8_t informational; /* 1xx heads so far */
    bool begun;            /* a byte of it came */
};

struct bw_fetch {
    struct bw_pool *pool;
    const struct bw_fetch_ops *ops;
    void *ctx;
    struct bw_server *server;         /* of the attempt, or NULL */
    struct bw_connection *connection; /* ours, or NULL */
    enum bw_fetch_state state;
    unsigned entered;
    bool paused;
    bool reconnected; /* a kept connection was dead: once is enough */
    struct bw_tried tried;
    struct bw_timer timer;
    enum bw_reason timer_why;
    struct bw_next next;
    enum bw_reason why;
    struct bw_pool_waiter waiter;
    struct bw_fetch_out out;
    struct bw_fetch_in in;
    h2o_mem_pool_t memory;
};

/* fetch.c */
void bw_fetch_enter(struct bw_fetch *f);
void bw_fetch_leave(struct bw_fetch *f);
/* The response is whole: gives the connection back, kept if `reusable`, and calls end(). */
void bw_fetch_complete(struct bw_fetch *f, bool reusable);
/* This attempt came to nothing before anything was answered: another one, or fail(). */
void bw_fetch_broken(struct bw_fetch *f, enum bw_reason why);
void bw_fetch_fail(struct bw_fetch *f, enum bw_reason why);
void bw_fetch_fail_later(struct bw_fetch *f, enum bw_reason why);
/* 101: gives the socket away. */
void bw_fetch_upgraded(struct bw_fetch *f);
/* fail() with `why` after `ms`; 0: never. */
void bw_fetch_timer(struct bw_fetch *f, int64_t ms, enum bw_reason why);

/* exchange.c */
/* Keeps a copy of the request. */
void bw_exchange_prepare(struct bw_fetch *f, const struct bw_fetch_request *rq);
/* The connection is open: writes the head, waits for the answer. */
void bw_exchange_start(struct bw_fetch *f);
void bw_exchange_body(struct bw_fetch *f, struct bw_slice bytes, bool last);
void bw_exchange_written(struct bw_fetch *f, bool ok);
void bw_exchange_readable(struct bw_fetch *f);
/* Is the response whole, and only end() has not been called yet? */
bool bw_exchange_is_whole(const struct bw_fetch *f);
/* The clock that runs in this moment of the talk: the right one, or none. */
void bw_exchange_arm(struct bw_fetch *f);
