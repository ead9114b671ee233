/*
 * wire_priv.h - what the wire of one worker keeps beside its connections.
 *
 * All of it belongs to the worker's thread.
 */
#pragma once

#include "breakwater/http/date.h"
#include "breakwater/server/listen_set.h"
#include "breakwater/server/wire.h"
#include "breakwater/server/worker.h"

enum {
    BW_GATHER_MAX = 16384, /* one full TLS record */
    /* What one connection writes in one round of the loop.  Whole records, and not 128 KiB: that is
     * a little more than two packets as the kernel makes them, and a third costs as much as a full
     * one (docs/decisions/0017). */
    BW_BURST_MAX = 10 * BW_GATHER_MAX,
    /* As many bytes of HTTP/2's frames, and one that goes beyond. */
    BW_WIRE_OUT_MAX = BW_BURST_MAX + BW_GATHER_MAX + 64,
};

/* How long we read on behind the last answer, when nothing moves (RFC 9112, 9.6). */
enum { BW_LINGER_MS = 2000 };

struct bw_h2_memory;
struct bw_open_listener; /* accept.c */

struct bw_wire {
    struct bw_field *fields; /* where heads are parsed to, limits.headers of them */
    size_t fields_max;
    char *gather; /* BW_GATHER_MAX bytes: what becomes one TLS record; free after each write */

    char *out; /* BW_WIRE_OUT_MAX bytes, or NULL; free after each write, too */

    uint64_t date_at; /* the loop's time when `date` was last looked at */
    int64_t date_s;
    char date[BW_DATE_LEN];

    struct bw_open_listener *open; /* our listening sockets */
    size_t open_n;
    struct bw_timer resume_timer; /* runs while accepting is paused */
    struct bw_next resume_next;
    h2o_linklist_t pending; /* accept.c: a PROXY line or a handshake is under way */
    uint32_t handshakes;
    struct bw_probation *probation;
    struct bw_h2_memory *h2_memory; /* http2_priv.h */

    struct bw_next drain_next;
    struct bw_timer drain_timer;
    int64_t drain_ms;
    void (*drained)(struct bw_worker *w); /* not NULL: draining, and not told yet */
    struct bw_worker *worker;
};

/* The field array for one head of at most `max` fields; valid until the next call. */
struct bw_field *bw_wire_fields(struct bw_wire *wire, size_t max);
/* BW_WIRE_OUT_MAX bytes for what is written next; of no use behind that write. */
char *bw_wire_out(struct bw_wire *wire);
/* BW_DATE_LEN bytes of the present second, valid until the loop goes on. */
const char *bw_wire_date(struct bw_wire *wire);
/* A connection or a pending one went: the drain may be over. */
void bw_wire_one_gone(struct bw_worker *w);

/* ---- wire.c: the life of an exchange ---- */

/* A fresh one, whose response goes to `final`; all of it but `head` is set. */
void bw_exchange_begin(struct bw_exchange *x, struct bw_conn *c, const struct bw_wire_ops *ops,
                       h2o_ostream_t *final, int64_t began_us);
/* Its head was read: hand it to the steps. */
void bw_exchange_run(struct bw_exchange *x);
/* The reason that goes with the verdict on its head. */
enum bw_reason bw_exchange_reason(const struct bw_exchange *x, enum bw_head_verdict verdict);
/* Its head was not understood. */
void bw_exchange_refuse(struct bw_exchange *x, int status, enum bw_reason why);
/* The last of it: `done` is called, then its memory goes. */
void bw_exchange_end(struct bw_exchange *x, bool complete);

/* ---- conn.c: what connections of all protocols share ---- */

enum bw_close {
    BW_CLOSE_SOCKET,
    BW_CLOSE_CUT,   /* no close_notify: a peer that does not read would keep the socket for ever */
    BW_CLOSE_RESET, /* so that nobody takes what was sent for the whole */
    BW_CLOSE_GIVE,  /* the socket goes on without us */
};

/* A connection of `size` bytes, of which the first are a struct bw_conn and the rest zero. */
struct bw_conn *bw_conn_new(size_t size, struct bw_worker *w, h2o_socket_t *socket,
                            const struct bw_accepted *a, const struct bw_conn_life *life);
/* Ends and frees it; nothing of its requests may be left. */
void bw_conn_free(struct bw_conn *c, enum bw_close how);
/* Did the client say, over TLS, that nothing more will come? */
bool bw_conn_client_is_done(const struct bw_conn *c);
/* Did it come by a unix socket, where clients have no address to tell them apart? */
bool bw_conn_is_local(const struct bw_conn *c);
/* The drain of a worker begins. */
void bw_conns_drain(struct bw_worker *w);
/* The longest of few durations in ms that is not above `left`, for timers that may fire early:
 * libh2o keeps a list for each duration. */
int64_t bw_conn_round_down(uint64_t left);

/* How many bytes of a body a client owes in each of its limits.body_timeout. */
uint64_t bw_conn_body_least(const struct bw_limits_conf *limits);

/* What one connection has written in this round of the loop: one fast reader must not starve the
 * others (wire-protocols.md 3).  Zero at first. */
struct bw_burst {
    uint64_t round;
    size_t bytes;
};
/* How much it may write still before it lets the others have their turn. */
size_t bw_burst_left(struct bw_burst *b, const struct bw_loop *loop);

/* Takes `over` bytes off the end of a vector that has as many; how many pieces are left. */
size_t bw_pieces_trim(h2o_iovec_t *v, size_t n, size_t over);

/* How large the TLS records of a connection are: small while its congestion window is. */
struct bw_records {
    size_t small_left; /* bytes to send in small records still */
    uint64_t written_at;
};
void bw_records_init(struct bw_records *r, uint64_t now);
/* Before a write over TLS: sets the size of its records; how much may go out in this size. */
size_t bw_records_share(struct bw_records *r, h2o_socket_t *socket, uint64_t now, size_t wanted);
void bw_records_written(struct bw_records *r, size_t n);

/* ---- accept.c ---- */
/* Accept on the sockets of `s` from now on; the caller holds `s` while they are open. */
void bw_accept_open(struct bw_worker *w, struct bw_listen_set *s);
void bw_accept_close(struct bw_worker *w);
/* Cut what has not become a connection yet. */
void bw_accept_drop_pending(struct bw_worker *w);

/* ---- accept_limits.c ---- */
/* What this worker has to count in; NULL: nothing is limited. */
struct bw_accept_limits *bw_limits_of(const struct bw_worker *w);
/* One more connection, if fewer than `max` are open. */
bool bw_limits_enter(struct bw_accept_limits *l, uint32_t max);
void bw_limits_leave(struct bw_accept_limits *l);
/* What counts as one client: an IPv4 address (mapped) or the /64 of an IPv6 address. */
void bw_limits_client(const uint8_t address[16], uint8_t out[16]);
/* One more from this client, if it has fewer than `max`. */
bool bw_limits_enter_address(struct bw_accept_limits *l, const uint8_t address[16], uint32_t max);
void bw_limits_leave_address(struct bw_accept_limits *l, const uint8_t address[16]);

/* ---- probation.c; times are the loop's milliseconds ---- */
struct bw_probation *bw_probation_new(void);
void bw_probation_free(struct bw_probation *p);
/* A connection of this client was cut for a flood. */
void bw_probation_begin(struct bw_probation *p, const uint8_t address[16], uint64_t until);
/* Was it, a short while ago? */
bool bw_probation_has(struct bw_probation *p, const uint8_t address[16], uint64_t now);

/* ---- http2_memory.c ---- */
/* The blocks of a worker's streams; freed when no session and no stream is left. */
struct bw_h2_memory *bw_h2_memory_new(void);
void bw_h2_memory_free(struct bw_h2_memory *m);

/* ---- listen_set.c ---- */
size_t bw_listen_set_sockets(const struct bw_listen_set *s);
const struct bw_listener *bw_listen_set_listener(const struct bw_listen_set *s, size_t socket);
/* The listening descriptor of a worker becomes the caller's, who closes it with listen_set_closed.
 */
int bw_listen_set_open(struct bw_listen_set *s, size_t socket, uint32_t worker);
void bw_listen_set_closed(struct bw_listen_set *s, size_t socket, uint32_t worker);
const struct bw_limits_conf *bw_listen_set_limits(const struct bw_listen_set *s);
