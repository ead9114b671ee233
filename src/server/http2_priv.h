/*
 * http2_priv.h - the state of one HTTP/2 connection and of its streams, shared by its files.
 *
 * http2.c has the life and the clocks, http2_read.c what comes, http2_write.c what goes,
 * http2_limits.c what a client may not do, http2_priority.c what it wants first, http2_memory.c the
 * blocks of streams, http2_tunnel.c WebSockets (RFC 8441).
 *
 * nghttp2 calls back while it reads and while it writes.  In these calls nothing is asked of the
 * steps and nothing is freed: what is to be done is put on a list of the connection, and one
 * function, the turn, does it at the top of a callback of the loop.
 *
 *     bytes -> mem_recv -> ready, fed, closed      the turn: end, start, feed, proceed -> mem_send
 *
 * Lifetimes:
 * 1. A stream is freed in the turn only, or with the connection; its exchange ends with it.
 * 2. A connection is freed in bw_h2_free() only, and that is called only at the top of a callback.
 * 3. What nghttp2 was given without a copy lies in the stream's pool; nghttp2 lets go of it
 *    before it says that the stream is closed.
 */
#pragma once

#include "breakwater/http/http2_head.h"
#include "breakwater/server/http2.h"

#include "wire_priv.h"

#include <nghttp2/nghttp2.h>

enum {
    BW_H2_FRAME_MAX = 16384 + 9 + 1,       /* the largest that nghttp2 hands over at once */
    BW_H2_STREAM_WINDOW = 16 * 1024,       /* of a body that nobody asked for yet */
    BW_H2_STREAM_WINDOW_MAX = 64 * 1024,   /* of one that has a sink */
    BW_H2_PRIORITY_MAX = 64,               /* bytes of a PRIORITY_UPDATE that are read */
    BW_H2_EARLY_MAX = 8,                   /* of these are kept for requests to come */
    BW_H2_CONNECTION_WINDOW = 1024 * 1024, /* given back at once: the streams' windows count */
    BW_H2_HEAD_OUT_MAX = 128 * 1024,
    BW_H2_TICK_MS = 1000,
    BW_H2_PIECES = 4, /* of a send, that need no memory of their own */
};

enum h2_stage {
    H2_HEAD,   /* fields are coming */
    H2_READY,  /* read; started when the read is over, and a place is free */
    H2_RUNS,   /* the steps have it */
    H2_CLOSED, /* for nghttp2 it is over; freed in the next turn */
};

enum h2_responding {
    H2_WAITING,   /* the steps have not sent the head */
    H2_STREAMING, /* head out, more to come */
    H2_LAST,      /* the last bytes are here */
    H2_GONE,      /* the exchange is ending: what is sent now goes nowhere */
};

struct bw_http2;

struct bw_h2_stream {
    struct bw_http2 *conn;
    h2o_linklist_t link; /* conn->streams */
    h2o_linklist_t turn; /* conn->ready, ->drained or ->closed: what the next turn does */
    h2o_linklist_t fed;  /* conn->fed: look at the body */
    int32_t id;
    enum h2_stage stage;
    enum h2_responding responding;
    bool started;     /* the steps have had it: it has a place of limits.http2.requests */
    bool ends;        /* the client has sent all of it */
    bool too_large;   /* the head: its fields are not kept any more */
    bool all_sent;    /* the frame with our END_STREAM is out */
    bool deferred;    /* nghttp2 waits for resume_data */
    bool was_reset;   /* by us */
    bool prioritised; /* the client sent a PRIORITY_UPDATE */
    bool counts;      /* as a connection: it is, or will be, a WebSocket */
    uint64_t read_at; /* when its head was whole; the loop's milliseconds */

    struct bw_http2_head head;
    size_t fields_cap, fields_n, head_bytes;

    struct {
        h2o_iovec_t few[BW_H2_PIECES], *many; /* `many`: in the pool, for sends of more */
        size_t many_n;
        h2o_iovec_t *v;
        size_t at, n;
        size_t bytes;                  /* in v, not packed yet */
        uint64_t left;                 /* of the promised length, or BW_LENGTH_UNKNOWN */
        struct bw_body_source *source; /* of all that is left; NULL: none */
        nghttp2_nv *trailers;
        size_t trailers_n;
        uint64_t seen; /* of bytes sent, when last looked at */
        uint64_t stalled_at;
    } out;

    struct {
        struct bw_body_sink *sink; /* NULL once it has been told the end */
        h2o_buffer_t *waiting;     /* bytes without credit */
        uint64_t received;
        size_t outstanding; /* with the sink */
        size_t unconsumed;  /* bytes that count against the stream's window still */
        bool feeding;
        bool dropped; /* nobody wants it */
        enum bw_reason failed;
        uint64_t window_at, window_bytes; /* the clock of the least rate */
    } body;

    struct bw_h2_tunnel *tunnel;
    h2o_ostream_t final;
    struct bw_exchange x; /* last: libh2o's request is large */
};

/* The priority of a request that has not come yet. */
struct bw_h2_early {
    int32_t id;
    nghttp2_extpri priority;
};

struct bw_http2 {
    struct bw_conn conn; /* first */
    nghttp2_session *session;
    h2o_linklist_t streams, ready, drained, closed, fed;
    uint32_t streams_n, running;
    uint64_t requests;

    bool turning;
    bool writing;
    bool wants_flush;
    bool ending; /* no more is read: when all is written, close */
    bool draining, wants_goaway, said_goaway;
    bool lingering;      /* all is said and written: read and drop until the client closes */
    bool is_to_blame;    /* GOAWAY named an error */
    size_t dropped;      /* bytes, while lingering */
    int32_t goaway_last; /* what GOAWAY named: nothing above it is begun */
    char *inflight;      /* clear text: what is being written; malloc'd */
    struct {
        char *base; /* BW_WIRE_OUT_MAX bytes; of use in bw_h2_flush() only */
        size_t n, enough;
    } out;

    struct bw_next go_on;
    struct bw_burst burst;
    struct bw_records records;

    struct bw_timer timer;
    bool ticking;
    uint64_t bytes_sent;       /* of all bodies */
    uint64_t idle_at;          /* since when there is no stream; the loop's milliseconds */
    uint64_t head_at;          /* since when a head is incomplete, 0: none is */
    int32_t head_stream;       /* whose */
    struct bw_h2_stream *head; /* the same while it lives, or NULL */
    int64_t read_us;           /* bw_clock_mono_us() when that bite of what was read was taken */
    uint64_t acked;            /* of the socket, at the last tick */
    uint64_t written_at;       /* when it moved */

    /* http2_priority.c */
    struct {
        size_t n; /* of the frame under way */
        char bytes[BW_H2_PRIORITY_MAX];
        struct bw_h2_early early[BW_H2_EARLY_MAX]; /* id 0: none */
        unsigned next;
    } update;

    /* http2_limits.c */
    int64_t control_left, resets_left;
    uint64_t control_at;
    bool on_probation, is_cut;
    uint64_t bytes_paid; /* of bytes_sent, how many have refilled the account */
};

static inline struct bw_h2_stream *bw_h2_of(struct bw_exchange *x)
{
    return H2O_STRUCT_FROM_MEMBER(struct bw_h2_stream, x, x);
}
static inline const struct bw_limits_conf *bw_h2_limits(const struct bw_http2 *c)
{
    return &c->conn.worker->snapshot->conf->limits;
}
static inline uint64_t bw_h2_now(const struct bw_http2 *c)
{
    return h2o_now(c->conn.super.ctx->loop);
}

/* Is there more of what was read?  Behind the end nothing is taken any more. */
static inline bool bw_h2_has_input(const struct bw_http2 *c)
{
    return c->conn.socket->input->size > 0 && !c->ending;
}

/* ---- http2.c ---- */
void bw_h2_free(struct bw_http2 *c, enum bw_close how);
/* Do what the lists say, then write.  May free the connection. */
void bw_h2_turn(struct bw_http2 *c);
/* The same in the next round; may be called anywhere. */
void bw_h2_turn_soon(struct bw_http2 *c);
/* The same when other connections have had their turn. */
void bw_h2_give_way(struct bw_http2 *c);
/* The stream is new: clocks run. */
void bw_h2_tick_on(struct bw_http2 *c);
/* Put it on that list of the connection; take it off whichever it is on. */
void bw_h2_put(h2o_linklist_t *list, h2o_linklist_t *link);
void bw_h2_take_off(h2o_linklist_t *link);
/* Nothing of this client is read any more; GOAWAY, and close behind what is written. */
void bw_h2_end(struct bw_http2 *c, uint32_t code);

/* The last request has begun; what is open is answered, then the connection closes. */
void bw_h2_want_goaway(struct bw_http2 *c);

/* ---- http2_read.c ---- */
void bw_h2_reading(nghttp2_session_callbacks *callbacks);
void bw_h2_on_read(h2o_socket_t *socket, const char *err);
struct bw_h2_stream *bw_h2_stream(struct bw_http2 *c, int32_t id);
/* The turn: a bite of what was read. */
void bw_h2_take_input(struct bw_http2 *c);
/* The turn: run what was read. */
void bw_h2_start_ready(struct bw_http2 *c);
void bw_h2_feed_bodies(struct bw_http2 *c);
/* The body is over for its sink. */
void bw_h2_body_end(struct bw_h2_stream *st, enum bw_reason why);
/* What waits for a sink will have none. */
void bw_h2_drop_waiting(struct bw_h2_stream *st);
/* Give the credit of `n` bytes back. */
void bw_h2_consume(struct bw_h2_stream *st, size_t n);
void bw_h2_body_start(struct bw_exchange *x, struct bw_body_sink *sink);
void bw_h2_body_consumed(struct bw_exchange *x, size_t n);

/* ---- http2_write.c ---- */
void bw_h2_writing(nghttp2_session_callbacks *callbacks);
void bw_h2_do_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n,
                   h2o_send_state_t state);
void bw_h2_informational(struct bw_exchange *x, int status, const struct bw_fields *fields);
void bw_h2_send_from(struct bw_exchange *x, struct bw_body_source *source, uint64_t length);
void bw_h2_trailers(struct bw_exchange *x, const struct bw_fields *fields);
/* The turn: those whose bytes are out make more. */
void bw_h2_proceed_drained(struct bw_http2 *c);
/* Pack frames and write them; no write may be under way. */
void bw_h2_flush(struct bw_http2 *c);
/* End the response of this stream with an error. */
void bw_h2_reset(struct bw_h2_stream *st, uint32_t code);
/* More bytes for a stream whose response has begun; they live until they are packed. */
void bw_h2_send_pieces(struct bw_h2_stream *st, const h2o_iovec_t *bufs, size_t n, bool last);
/* A copy that lives as long as the stream. */
struct bw_slice bw_h2_kept(struct bw_h2_stream *st, struct bw_slice s);
/* The head of `reply`, with a body behind it or not. */
void bw_h2_submit_head(struct bw_h2_stream *st, const struct bw_reply *reply, bool has_body);

/* ---- http2_limits.c ---- */
void bw_h2_limits_init(struct bw_http2 *c);
/* A frame begins: may this client send one more of its kind?  False: it is told to calm down. */
bool bw_h2_allows_frame(struct bw_http2 *c, const nghttp2_frame_hd *hd);
/* A stream ends by an error of the client's, or because it wants so. */
bool bw_h2_allows_reset(struct bw_http2 *c);
/* A request begins. */
void bw_h2_pay_request(struct bw_http2 *c);
/* A head that is too large has so many fields and bytes by now: may it go on, to be refused? */
bool bw_h2_allows_head(struct bw_http2 *c, size_t fields, size_t bytes);
/* A stream ended as it should. */
void bw_h2_ended_well(struct bw_http2 *c);

/* ---- http2_memory.c ---- */
/* A block; NULL: there is no memory. */
void *bw_h2_memory_take(struct bw_h2_memory *m, size_t n);
void bw_h2_memory_put(struct bw_h2_memory *m, void *p);
/* The same for a session; lives as long as `m`. */
nghttp2_mem *bw_h2_memory_calls(struct bw_h2_memory *m);
/* How many bytes wait on its lists for those who come. */
size_t bw_h2_memory_kept(const struct bw_h2_memory *m);

/* ---- http2_priority.c ---- */
void bw_h2_prioritising(nghttp2_session_callbacks *callbacks);
/* A request has come: what was said of it before holds. */
void bw_h2_prioritise(struct bw_h2_stream *st);

/* ---- http2_tunnel.c ---- */
/* The fields that an upgrade has in HTTP/1.1; false: no random bytes for the key. */
bool bw_h2_tunnel_fields(struct bw_h2_stream *st);
/*
 * A WebSocket costs descriptors as a connection does, so it counts as one more of its client's.
 * False: there are too many.
 */
bool bw_h2_tunnel_enter(struct bw_h2_stream *st);
void bw_h2_tunnel_leave(struct bw_h2_stream *st); /* if it has entered */
void bw_h2_upgrade(struct bw_exchange *x, bw_upgraded_fn upgraded, void *ctx);
/* The turn: bytes of the client's go to the tunnel, or nowhere when it does not listen. */
void bw_h2_tunnel_data(struct bw_h2_stream *st);
/* Its bytes are packed: it may read on. */
void bw_h2_tunnel_drained(struct bw_h2_stream *st);
void bw_h2_tunnel_free(struct bw_h2_stream *st);
