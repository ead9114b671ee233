/*
 * wire.h - the border between the wire protocols and the steps of a request.
 *
 * A protocol (server/http1, server/http2) makes one struct bw_exchange for each request and
 * runs it through libh2o's request core: h2o_process_request() leads to bw_request_start(), the
 * answer goes out through the exchange's own final ostream.  Nothing above this header can tell
 * which protocol a request came by.
 *
 * Lifetime, all on the worker's thread:
 * 1. The exchange, its head and everything in `req.pool` live until `done` has returned.
 * 2. `done` is called exactly once for each exchange that reached bw_request_start(): after the
 *    last byte was handed to the kernel, or when the client left or the connection was cut.
 *    After it nothing of the exchange may be touched.
 * 3. Between h2o_send() and the generator's proceed() no further h2o_send(); buffers stay valid
 *    until proceed(), or until `done` behind a final send.
 * 4. proceed() and the body sink are called from the loop, never inside a call of ours, and
 *    `done` never inside h2o_send().
 * 5. A send of nothing (n == 0) with H2O_SEND_STATE_IN_PROGRESS sends the head at once.
 */
#pragma once

#include "breakwater/base/loop.h"
#include "breakwater/http/head.h"
#include "breakwater/http/outcome.h"

struct bw_exchange;
struct bw_worker;
struct bw_listener;

#define BW_LENGTH_UNKNOWN UINT64_MAX

struct bw_conn;

/* What ends a connection from outside; both may free it. */
struct bw_conn_life {
    void (*drain)(struct bw_conn *c); /* no further request: close now, or behind the last one */
    void (*cut)(struct bw_conn *c);   /* the drain's deadline */
};

/* What every connection of ours begins with. */
struct bw_conn {
    h2o_conn_t super;
    const struct bw_conn_life *life;
    h2o_linklist_t link; /* in worker->conns */
    struct bw_worker *worker;
    const struct bw_listener *listener;
    h2o_socket_t *socket;
    uint8_t address[16]; /* of the client, IPv4 mapped; all zero for a unix socket */
    uint16_t port;
    char address_text[46]; /* as text, "unix" for a unix socket */
    bool tls;
    bool peer_trusted; /* the socket's peer (or the PROXY line's client) is a trusted proxy */
    SSL *session;      /* or NULL */
    char *server_name; /* SNI, or NULL; lives with the connection */
};

/* What accepting found out about a client. */
struct bw_accepted {
    const struct bw_listener *listener; /* lives at least as long as the socket */
    uint8_t address[16];                /* IPv4 mapped; all zero for a unix socket */
    uint16_t port;
    bool is_unix;
    SSL *session;            /* or NULL */
    const char *server_name; /* SNI, or NULL; copied */
};

/* The head of a response.  Content-Length, framing, Connection and a missing Date are the wire's.
 */
struct bw_reply {
    int status;
    struct bw_slice reason;  /* ignored by HTTP/2 */
    struct bw_fields fields; /* names in lower case; no connection fields */
    uint64_t length;         /* of the body for a GET, or BW_LENGTH_UNKNOWN */
    bool close;              /* end the connection after this response */
};

/* Receives a request body, credit by credit. */
struct bw_body_sink {
    /* Bytes are valid inside the call only; give the credit back with body_consumed(). */
    void (*data)(struct bw_body_sink *sink, struct bw_slice bytes);
    /* Exactly once: BW_REASON_NONE when it is complete, else why not (client gone, bad chunk, too
     * large, too slow). */
    void (*end)(struct bw_body_sink *sink, enum bw_reason why);
    size_t window; /* at most that much handed over and not yet consumed */
};

/* A body that is not in memory of the request's. */
struct bw_body_source {
    /* Copies at most `n` bytes of what comes next; 0: they are not at hand. */
    size_t (*read)(struct bw_body_source *source, char *to, size_t n);
};

typedef void (*bw_upgraded_fn)(void *ctx, h2o_socket_t *socket);

struct bw_wire_ops {
    const char *protocol; /* "HTTP/1.1", "HTTP/2": for the log */
    /*
     * Begin to receive the body (sends 100 Continue where it is expected).  The sink is first
     * called in a later round.  Not called: the wire drops a short body and closes after a long
     * one.
     */
    void (*body_start)(struct bw_exchange *x, struct bw_body_sink *sink);
    void (*body_consumed)(struct bw_exchange *x, size_t n);
    /* A 1xx response before the final one; dropped for HTTP/1.0 and once the final one began. */
    void (*informational)(struct bw_exchange *x, int status, const struct bw_fields *fields);
    /* Trailers, to be sent behind the last byte; before the final h2o_send().  Copied. */
    void (*trailers)(struct bw_exchange *x, const struct bw_fields *fields);
    /*
     * Write body bytes straight from memory that is valid now and not later (the store's map), with
     * the head if it is not out yet: what the socket takes at once is `*accepted`.  True: proceed()
     * comes when it is this connection's turn again, unless the caller ends the response with
     * h2o_send() because everything was accepted.  False: not possible now or at all (no
     * Content-Length, a write in flight), nothing was written: use h2o_send().  NULL where a
     * protocol cannot.
     */
    bool (*write_now)(struct bw_exchange *x, const h2o_iovec_t *v, size_t n, size_t *accepted);
    /*
     * The rest of the response, `length` bytes, is read from `source` when and where there is room
     * for it, with the head in front if it is not out yet.  The source must live until `done` or
     * proceed(): the latter comes when it had nothing, and then it is forgotten.  NULL where a
     * protocol cannot.
     */
    void (*send_from)(struct bw_exchange *x, struct bw_body_source *source, uint64_t length);
    /*
     * Answer 101 with the fields of x->reply and give the socket away.  `upgraded` is called once
     * the 101 is out, behind `done`; reading is stopped and the input may hold bytes.
     */
    void (*upgrade)(struct bw_exchange *x, bw_upgraded_fn upgraded, void *ctx);
};

struct bw_exchange {
    const struct bw_wire_ops *ops;
    struct bw_conn *conn;
    struct bw_request_head head;  /* views of memory in req.pool */
    const struct bw_reply *reply; /* set before h2o_start_response() by bw_exchange_respond() */
    void (*done)(struct bw_exchange *x, bool complete); /* set by bw_request_start() */
    void *request;                                      /* the steps' own */
    uint64_t bytes_sent;                                /* of bodies, so far */
    uint64_t head_bytes_sent;
    int64_t began_us; /* bw_clock_mono_us() at the first byte of the head */
    int64_t ended_us; /* and when `done` is called; 0: the wire has not looked */
    h2o_req_t req;
};

static inline struct bw_exchange *bw_exchange_of(h2o_req_t *req)
{
    return H2O_STRUCT_FROM_MEMBER(struct bw_exchange, req, req);
}

/* h2o_start_response() with our reply; it must live until the first send.  Then use h2o_send(). */
void bw_exchange_respond(struct bw_exchange *x, const struct bw_reply *reply,
                         h2o_generator_t *generator);

/* Implemented by server/request.c: the first step of a request whose head was read. */
void bw_request_start(struct bw_exchange *x);
/*
 * Implemented by server/request.c: answer what the protocol refused (400, 408, 413, 414, 417, 431,
 * 501, 505) in the house's form, and account for it.  The connection is closed behind it.
 */
void bw_request_refuse(struct bw_exchange *x, int status, enum bw_reason why);

/*
 * libh2o's configuration and context of a worker, with the one handler that leads to
 * bw_request_start(), and the wire's own part, w->wire.  Wants w->loop; everything else of the
 * worker must be set before the first connection.
 */
void bw_wire_context_init(struct bw_worker *w);
void bw_wire_context_dispose(struct bw_worker *w); /* no connection or listener may be left */
/* The drain's deadline, or the end: every connection is cut. */
void bw_conns_cut(struct bw_worker *w);
