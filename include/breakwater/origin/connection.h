/*
 * connection.h - one connection to a server: made, read, written, kept, closed.
 *
 * It knows bytes and not messages; what they mean is fetch's.  Reading is bounded: the input never
 * holds more than BW_INPUT_MAX bytes, and one round of the loop reads no more than that.  No
 * function here calls back; the callbacks come from the loop.  A closed connection stays allocated
 * until the next round, so a caller may still look at it after a callback has closed it.
 */
#pragma once

#include "breakwater/base/loop.h"
#include "breakwater/http/outcome.h"
#include "breakwater/origin/peer_tls.h"
#include "breakwater/origin/resolve.h"

enum { BW_INPUT_MAX = 65536 };

struct bw_server;

enum bw_connection_phase {
    BW_CONNECTION_RESOLVING,
    BW_CONNECTION_CONNECTING,
    BW_CONNECTION_TLS,
    BW_CONNECTION_OPEN,   /* in use, or idle when it has no owner */
    BW_CONNECTION_CLOSED, /* or failed, or given away */
};

struct bw_connection_ops {
    void (*opened)(void *owner);
    void (*failed)(void *owner, enum bw_reason why); /* it never became open */
    /* `socket->input` has more, or `end` has come. */
    void (*readable)(void *owner);
    void (*written)(void *owner, bool ok);
};

struct bw_connection {
    h2o_linklist_t link; /* for the pool: in the list of idle ones of its server */
    struct bw_server *server;
    h2o_socket_t *socket; /* NULL: closed */
    SSL *ssl;             /* of the socket, or NULL */
    const struct bw_connection_ops *ops;
    void *owner; /* NULL: idle */
    struct bw_timer timer;
    struct bw_next next;
    struct bw_name_waiter waiter;
    struct bw_name_cursor cursor;
    enum bw_connection_phase phase;
    enum bw_reason why;   /* the last failure while it was made */
    enum bw_peer_end end; /* of what is read; may come before all input is consumed */
    bool held;            /* backpressure: nothing is read */
    bool stopped;         /* and the loop no longer watches the socket */
    bool more;            /* OpenSSL holds bytes that no event will announce */
    bool bulk;            /* a large body: reads in pieces as large as they may be */
    bool used;            /* has carried a response already */
};

/* Begins to connect; ends in opened() or failed(). */
struct bw_connection *bw_connection_new(struct bw_server *server,
                                        const struct bw_connection_ops *ops, void *owner);
/* No callback follows.  Whatever was not written is dropped. */
void bw_connection_close(struct bw_connection *c);
/* `bytes` must stay until written(); one write at a time. */
void bw_connection_write(struct bw_connection *c, struct bw_slice bytes);
bool bw_connection_writing(const struct bw_connection *c);
/* Drops `n` bytes from the front of the input. */
void bw_connection_consume(struct bw_connection *c, size_t n);
void bw_connection_hold(struct bw_connection *c);
/* Reads on; readable() comes in a later round if there is something already, or if it is `due`. */
void bw_connection_unhold(struct bw_connection *c, bool due);
/* Is an idle one still there, with nothing to say? */
bool bw_connection_quiet(struct bw_connection *c);
/* From now on it is idle, and closed by itself after `ms` or when the server closes or speaks. */
void bw_connection_idle(struct bw_connection *c, int64_t ms);
void bw_connection_own(struct bw_connection *c, const struct bw_connection_ops *ops, void *owner);
/* The socket leaves us, with what was read in its input; the connection is closed. */
h2o_socket_t *bw_connection_give(struct bw_connection *c);
