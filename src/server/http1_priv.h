/*
 * http1_priv.h - the state of one HTTP/1.1 connection, shared by its three files.
 *
 * http1.c has its life and its clocks, http1_read.c the heads and bodies of requests, http1_write.c
 * the responses.  Two sides run side by side, each with its named states: the client may still
 * send a body while the response is on its way.
 *
 * A connection is freed in bw_h1_free() only, and that is called only at the top of a callback of
 * the loop, never below a call of the handler (h2o_send, the operations of wire.h).
 */
#pragma once

#include "breakwater/http/chunked.h"
#include "breakwater/server/http1.h"

#include "wire_priv.h"

enum {
    BW_H1_AHEAD_MAX = 64 * 1024,  /* pipelined bytes that wait behind a response */
    BW_H1_UNREAD_MAX = 16 * 1024, /* bytes of a body that wait for the sink */
    BW_H1_DROP_MAX = 64 * 1024,   /* of a body nobody wanted, to keep the connection */
};

/* What the client's side is at. */
enum h1_reading {
    H1_IDLE,        /* between two requests: no byte of the next one */
    H1_HEAD,        /* in a head */
    H1_BODY_HELD,   /* a body follows that nobody asked for yet */
    H1_BODY,        /* a sink takes the body */
    H1_BODY_DROP,   /* the response is out, the rest of the body is dropped */
    H1_BODY_FAILED, /* no more can be understood: close behind the response */
    H1_WHOLE,       /* the request was read to its end */
    H1_LINGER,      /* all is sent, wait for the client to close (RFC 9112, 9.6) */
};

/* What our side is at. */
enum h1_responding {
    H1_NO_REQUEST, /* no exchange is alive */
    H1_WAITING,    /* the handler has not sent the head */
    H1_STREAMING,  /* head out, more to come */
    H1_LAST,       /* the last bytes are on their way */
    H1_BROKEN,     /* the handler gave up: cut when what it sent is out */
    H1_GONE,       /* the exchange is ending early: what is sent now goes nowhere */
};

/* How the client finds the end of the response (RFC 9112, 6.3). */
enum h1_framing { H1_NO_BODY, H1_LENGTH, H1_CHUNKED, H1_UNTIL_CLOSE };

/* What follows the response. */
enum h1_ending { H1_KEEP, H1_CLOSE, H1_UPGRADE };

enum h1_writing { H1_QUIET, H1_WRITES_INTERIM, H1_WRITES };

/* What the read clock waits for. */
enum h1_wait { H1_WAIT_NOTHING, H1_WAIT_HEAD, H1_WAIT_IDLE, H1_WAIT_BODY, H1_WAIT_LINGER };

struct h1_pieces {
    h2o_iovec_t *v;
    size_t n;
};

struct bw_http1 {
    struct bw_conn conn; /* first */

    enum h1_reading reading;
    enum h1_responding responding;
    enum h1_framing framing;
    enum h1_ending ending;
    enum h1_writing writing;

    /* one timer for all: it may fire early, and then sees that nothing is due */
    struct bw_timer timer;
    enum h1_wait wait;
    unsigned stalled;       /* ticks without progress of a write */
    uint64_t fires_at;      /* of the running timer; all in the loop's milliseconds */
    uint64_t read_deadline; /* 0: none */
    uint64_t send_deadline; /* 0: none */
    uint64_t acked;         /* at the last tick */
    uint64_t window_bytes;  /* of the body, since the read clock was set */

    struct bw_next feed;  /* the body, outside of the handler's calls */
    struct bw_next go_on; /* whatever the fairness cap put off */
    struct bw_burst burst;
    struct bw_records records;

    size_t scanned; /* of the input, for the end of the head */
    unsigned blank_lines;
    uint32_t requests;
    int64_t began_us;

    struct {
        struct bw_body_sink *sink; /* NULL once it has been told the end */
        uint64_t left;             /* with a Content-Length */
        uint64_t received;
        size_t run;         /* bytes at the front of the input that are known to be body */
        size_t outstanding; /* given to the sink, not consumed */
        struct bw_chunked chunked;
        bool is_feeding;
        bool wants_continue;
    } body;

    struct {
        uint64_t promised;     /* Content-Length */
        uint64_t left;         /* of it */
        h2o_iovec_t interim;   /* 1xx bytes that wait for one in flight */
        struct h1_pieces held; /* a response that waits for a 1xx in flight */
        h2o_send_state_t held_state;
        struct h1_pieces rest; /* of a response that is sent piece by piece; malloc'd, kept */
        size_t rest_from, rest_cap;
        struct bw_slice trailers; /* as they go out */
        char chunk_head[24];
        bw_upgraded_fn upgraded;
        void *upgraded_ctx;
    } out;

    h2o_ostream_t final;
    struct bw_exchange x; /* last: libh2o's request is large */
};

static inline struct bw_http1 *bw_h1_of(struct bw_exchange *x)
{
    return H2O_STRUCT_FROM_MEMBER(struct bw_http1, x, x);
}
static inline const struct bw_limits_conf *bw_h1_limits(const struct bw_http1 *c)
{
    return &c->conn.worker->snapshot->conf->limits;
}

/* ---- http1.c ---- */
void bw_h1_free(struct bw_http1 *c, enum bw_close how);
/* A fresh exchange on the connection, in H1_WAITING. */
void bw_h1_begin(struct bw_http1 *c);
/* Set the read clock; it replaces the one before. */
void bw_h1_wait(struct bw_http1 *c, enum h1_wait wait, int64_t ms);
/* A write began, or all is written. */
void bw_h1_send_clock_start(struct bw_http1 *c);
void bw_h1_send_clock_stop(struct bw_http1 *c);
void bw_h1_read_on(struct bw_http1 *c);
/* The last byte of the response is with the kernel: next request, or the end. */
void bw_h1_response_out(struct bw_http1 *c);
/* The request was read to its end while nothing of the response is left: next one. */
void bw_h1_next_request(struct bw_http1 *c);
/* Nothing is left to say: close, or linger where bytes are unread. */
void bw_h1_finish(struct bw_http1 *c);
/* Come back in the next round. */
void bw_h1_put_off(struct bw_http1 *c);
void bw_h1_give_way(struct bw_http1 *c); /* the others first */
/* Has it written enough for one round of the loop? */
bool bw_h1_burst_is_used_up(struct bw_http1 *c);

/* ---- http1_read.c ---- */
void bw_h1_on_read(h2o_socket_t *socket, const char *err);
/* Look at the input: may free the connection. */
void bw_h1_advance(struct bw_http1 *c);
/* Answer a request that was not understood, and close. */
void bw_h1_refuse(struct bw_http1 *c, int status, enum bw_reason why);
/* The body cannot be read on: the sink learns why, the connection closes behind the response. */
void bw_h1_body_fail(struct bw_http1 *c, enum bw_reason why);
void bw_h1_body_start(struct bw_exchange *x, struct bw_body_sink *sink);
void bw_h1_body_consumed(struct bw_exchange *x, size_t n);

/* ---- http1_write.c ---- */
void bw_h1_do_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n,
                   h2o_send_state_t state);
/* Go on with what the cap put off, or let the handler produce more: may free the connection. */
void bw_h1_write_on(struct bw_http1 *c);
void bw_h1_send_continue(struct bw_http1 *c);
void bw_h1_informational(struct bw_exchange *x, int status, const struct bw_fields *fields);
/* http1_head.c: heads as text, written at `at`; what is returned is where the next byte goes. */
size_t bw_h1_fields_size(const struct bw_fields *fields);
char *bw_h1_put_fields(char *at, const struct bw_fields *fields);
size_t bw_h1_head_size(const struct bw_http1 *c);
char *bw_h1_put_head(struct bw_http1 *c, char *base);
/* What ends the response whose first send is this one, and what becomes of the connection. */
enum h1_framing bw_h1_framing_for(struct bw_http1 *c, size_t bytes, h2o_send_state_t state);
void bw_h1_decide_ending(struct bw_http1 *c, h2o_send_state_t state);

void bw_h1_trailers(struct bw_exchange *x, const struct bw_fields *fields);
bool bw_h1_write_now(struct bw_exchange *x, const h2o_iovec_t *v, size_t n, size_t *accepted);
void bw_h1_upgrade(struct bw_exchange *x, bw_upgraded_fn upgraded, void *ctx);
