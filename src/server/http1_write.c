/*
 * http1_write.c - what we send: interim responses, the head, the body in its framing, trailers.
 *
 * How a response ends is decided at the first send: by a length if there is one, by chunks if the
 * client knows them, else by the close (RFC 9112, 6.3).  Bytes are counted: what is beyond the
 * promised length is cut off, and a response that falls short breaks the connection, so that nobody
 * takes it for whole.
 *
 * One write is in flight at a time.  A final response waits behind an interim one, and what exceeds
 * the share of a round waits for the next round.  The head and the beginning of the body are
 * gathered into one buffer: over TLS because every buffer becomes a record of its own, in clear
 * text, where the response is small, because one buffer costs the kernel less than two.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/base/socket.h"
#include "breakwater/http/text.h"

#include "http1_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum {
    VEC_MAX = 64,            /* buffers of one send that need no memory of their own */
    GATHER_BODY_MAX = 12288, /* of the body, into the TLS record with the head */
    GATHER_SMALL_MAX = 4096, /* of a body in clear text: all of it, or nothing */
    SHARE_MIN = 16 * 1024,   /* not worth another round */
};

static void on_written(h2o_socket_t *socket, const char *err);

/* ---- writing ---- */

static size_t total_of(const h2o_iovec_t *v, size_t n)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += v[i].len;
    return total;
}

/* How much of the next write goes out now; over TLS also the size of its records. */
static size_t share(struct bw_http1 *c)
{
    h2o_socket_t *socket = c->conn.socket;
    size_t left = bw_burst_left(&c->burst, c->conn.worker->loop);

    if (left < SHARE_MIN)
        left = SHARE_MIN;
    if (socket->ssl == NULL)
        return left;
    return bw_records_share(&c->records, socket, h2o_now(c->conn.super.ctx->loop), left);
}

/* The worker's buffer is free again after a write; what the socket did not take is not. */
static void keep_gathered(struct bw_http1 *c, h2o_iovec_t *v)
{
    const char *free_again = c->conn.worker->wire->gather;

    if (v->len != 0 && v->base >= free_again && v->base < free_again + BW_GATHER_MAX)
        v->base = memcpy(h2o_mem_alloc_pool(&c->x.req.pool, v->len), v->base, v->len);
}

static void start_write(struct bw_http1 *c, h2o_iovec_t *v, size_t n, enum h1_writing what)
{
    h2o_socket_t *socket = c->conn.socket;
    size_t total = total_of(v, n);

    c->writing = what;
    c->burst.bytes += total;
    bw_records_written(&c->records, total);
    if (n == 1 && socket->ssl == NULL) {
        bw_socket_send(socket, v);
        keep_gathered(c, v);
        n = v->len != 0 ? 1 : 0;
    }
    h2o_socket_write(socket, v, n, on_written);
    bw_h1_send_clock_start(c);
}

/*
 * How many of `v` may be written now; the last of them is shortened and `*beyond` is what was cut
 * off.  The first is never cut: it may lie in memory that is ours for one write only.
 */
static size_t split(h2o_iovec_t *v, size_t n, size_t max, h2o_iovec_t *beyond)
{
    size_t total = v[0].len;
    size_t i = 1;

    *beyond = h2o_iovec_init(NULL, 0);
    while (i < n && total + v[i].len <= max)
        total += v[i++].len;
    if (i < n && total < max) {
        size_t fits = max - total;

        *beyond = h2o_iovec_init(v[i].base + fits, v[i].len - fits);
        v[i++].len = fits;
    }
    return i;
}

static void keep_rest(struct bw_http1 *c, h2o_iovec_t beyond, const h2o_iovec_t *v, size_t n)
{
    h2o_iovec_t *kept;

    if (n + 1 > c->out.rest_cap) {
        c->out.rest_cap = n + 1;
        c->out.rest.v = bw_realloc(c->out.rest.v, (n + 1) * sizeof(*v));
    }
    kept = c->out.rest.v;
    c->out.rest_from = 0;
    c->out.rest.n = 0;
    if (beyond.len > 0)
        kept[c->out.rest.n++] = beyond;
    memcpy(kept + c->out.rest.n, v, n * sizeof(*v));
    c->out.rest.n += n;
}

static void write_pieces(struct bw_http1 *c, h2o_iovec_t *v, size_t n)
{
    size_t max = share(c);
    h2o_iovec_t beyond;

    if (total_of(v, n) > max) {
        size_t now = split(v, n, max, &beyond);

        if (now < n || beyond.len > 0)
            keep_rest(c, beyond, v + now, n - now);
        n = now;
    }
    start_write(c, v, n, H1_WRITES);
}

/* The next part of what was put off; libh2o has its own copy of the vector once this returns. */
static void write_rest(struct bw_http1 *c)
{
    h2o_iovec_t *v = c->out.rest.v + c->out.rest_from;
    size_t n = c->out.rest.n - c->out.rest_from;
    h2o_iovec_t beyond;
    size_t now;

    if (v[0].len > SHARE_MIN) { /* one buffer may be cut, too */
        h2o_iovec_t first = v[0];
        size_t max = share(c);

        first.len = first.len < max ? first.len : max;
        v[0].base += first.len;
        v[0].len -= first.len;
        c->out.rest_from += v[0].len == 0;
        start_write(c, &first, 1, H1_WRITES);
        return;
    }
    now = split(v, n, share(c), &beyond);
    start_write(c, v, now, H1_WRITES);
    if (beyond.len > 0)
        v[--now] = beyond;
    c->out.rest_from += now;
}

/* ---- interim responses ---- */

static const char *interim_reason(int status)
{
    switch (status) {
    case 100:
        return "Continue";
    case 102:
        return "Processing";
    case 103:
        return "Early Hints";
    default: /* any other 1xx of the origin's: a reason is not needed (RFC 9112, 4) */
        return "";
    }
}

/* A 1xx at once, or behind the one in flight. */
static void send_interim(struct bw_http1 *c, int status, const struct bw_fields *fields)
{
    const char *reason = interim_reason(status);
    size_t size = c->out.interim.len + 32 + strlen(reason) + bw_h1_fields_size(fields);
    char *base = h2o_mem_alloc_pool(&c->x.req.pool, size);
    char *at = bw_text_slice(base, bw_slice(c->out.interim.base, c->out.interim.len));
    h2o_iovec_t bytes;

    at = bw_text_str(at, "HTTP/1.1 ");
    at = bw_text_u64(at, (unsigned)status);
    *at++ = ' ';
    at = bw_text_str(at, reason);
    at = bw_text_str(at, "\r\n");
    at = bw_h1_put_fields(at, fields);
    at = bw_text_str(at, "\r\n");
    bytes = h2o_iovec_init(base, (size_t)(at - base));
    if (c->writing != H1_QUIET) {
        c->out.interim = bytes;
        return;
    }
    (void)share(c);
    start_write(c, &bytes, 1, H1_WRITES_INTERIM);
}

void bw_h1_informational(struct bw_exchange *x, int status, const struct bw_fields *fields)
{
    struct bw_http1 *c = bw_h1_of(x);

    /* never to HTTP/1.0 (RFC 9110, 15.2), never behind the beginning of the final one */
    if (x->head.minor == 0 || c->responding != H1_WAITING || c->out.held.v != NULL)
        return;
    send_interim(c, status, fields);
}

void bw_h1_send_continue(struct bw_http1 *c)
{
    struct bw_fields none = {NULL, 0};

    bw_h1_informational(&c->x, 100, &none);
}

void bw_h1_trailers(struct bw_exchange *x, const struct bw_fields *fields)
{
    struct bw_http1 *c = bw_h1_of(x);
    char *base = h2o_mem_alloc_pool(&x->req.pool, bw_h1_fields_size(fields) + 1);

    c->out.trailers = bw_slice(base, (size_t)(bw_h1_put_fields(base, fields) - base));
}

/* ---- one send ---- */

/* What is about to go out: lead (head and chunk size), body, tail, side by side in `v`. */
struct sending {
    h2o_iovec_t *v; /* of the body; the slot before it is free, and the one behind */
    size_t n;
    size_t bytes; /* of the body */
    h2o_iovec_t tail;
    h2o_send_state_t state;
};

/* The caller's vector is the caller's; empty pieces would cost a round through epoll. */
static void take_body(struct sending *s, const h2o_iovec_t *bufs, size_t n)
{
    s->n = 0;
    s->bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (bufs[i].len > 0)
            s->v[s->n++] = bufs[i];
        s->bytes += bufs[i].len;
    }
}

static void trim_body(struct sending *s, uint64_t max)
{
    if (s->bytes <= max)
        return;
    s->n = bw_pieces_trim(s->v, s->n, (size_t)(s->bytes - max));
    s->bytes = (size_t)max;
}

/* Never more than was promised, and never less without a visible break (RFC 9112, 6.3 and 8). */
static void keep_promise(struct bw_http1 *c, struct sending *s)
{
    if (c->framing == H1_NO_BODY)
        trim_body(s, 0);
    if (c->framing != H1_LENGTH)
        return;
    if (s->bytes > c->out.left) {
        trim_body(s, c->out.left);
        c->ending = H1_CLOSE;
    }
    c->out.left -= s->bytes;
    if (s->state == H2O_SEND_STATE_FINAL && c->out.left > 0)
        s->state = H2O_SEND_STATE_ERROR;
}

static h2o_iovec_t last_chunk(struct bw_http1 *c, size_t bytes)
{
    struct bw_slice trailers = c->out.trailers;
    char *base;
    char *at;

    if (trailers.len == 0)
        return bytes > 0 ? h2o_iovec_init(H2O_STRLIT("\r\n0\r\n\r\n"))
                         : h2o_iovec_init(H2O_STRLIT("0\r\n\r\n"));
    base = h2o_mem_alloc_pool(&c->x.req.pool, trailers.len + 8);
    at = bytes > 0 ? bw_text_str(base, "\r\n") : base;
    at = bw_text_str(at, "0\r\n");
    at = bw_text_slice(at, trailers);
    at = bw_text_str(at, "\r\n");
    return h2o_iovec_init(base, (size_t)(at - base));
}

/* What follows the bytes of a chunk; a response that broke off gets no end. */
static h2o_iovec_t tail_for(struct bw_http1 *c, const struct sending *s)
{
    if (c->framing != H1_CHUNKED || s->state == H2O_SEND_STATE_ERROR)
        return h2o_iovec_init(NULL, 0);
    if (s->state == H2O_SEND_STATE_FINAL)
        return last_chunk(c, s->bytes);
    return s->bytes > 0 ? h2o_iovec_init(H2O_STRLIT("\r\n")) : h2o_iovec_init(NULL, 0);
}

/* Copy from the front of the body, and the tail if all of it fits, behind the lead. */
static char *gather(struct sending *s, char *at, size_t room)
{
    while (s->n > 0 && room > 0) {
        size_t n = s->v[0].len < room ? s->v[0].len : room;

        at = bw_text_slice(at, bw_slice(s->v[0].base, n));
        room -= n;
        s->v[0].base += n;
        s->v[0].len -= n;
        if (s->v[0].len == 0) {
            s->v++;
            s->n--;
        }
    }
    if (s->n == 0 && s->tail.len <= room) {
        at = bw_text_slice(at, bw_slice(s->tail.base, s->tail.len));
        s->tail.len = 0;
    }
    return at;
}

/* How much of body and tail is copied behind the lead. */
static size_t gather_room(const struct bw_http1 *c, const struct sending *s)
{
    size_t room = s->bytes + s->tail.len;

    if (c->conn.socket->ssl == NULL)
        return room <= GATHER_SMALL_MAX ? room : 0;
    return room < GATHER_BODY_MAX ? room : GATHER_BODY_MAX;
}

/* Memory for the lead and what is gathered behind it. */
static char *lead_memory(struct bw_http1 *c, size_t size, bool gathers)
{
    if (gathers && size <= BW_GATHER_MAX)
        return c->conn.worker->wire->gather; /* sent or encrypted, and free again, when we return */
    if (size <= sizeof(c->out.chunk_head))
        return c->out.chunk_head;
    return h2o_mem_alloc_pool(&c->x.req.pool, size);
}

/* In hex without leading zeros (RFC 9112, 7.1). */
static char *put_chunk_size(char *at, uint64_t n)
{
    char digits[16];
    char *p = digits + sizeof(digits);

    do {
        *--p = "0123456789abcdef"[n % 16];
        n /= 16;
    } while (n > 0);
    return bw_text_slice(at, bw_slice(p, (size_t)(digits + sizeof(digits) - p)));
}

/* Head, size of the chunk, and over TLS the first bytes of the body: one buffer before the body. */
static void put_lead(struct bw_http1 *c, struct sending *s, bool with_head)
{
    bool with_size = c->framing == H1_CHUNKED && s->bytes > 0;
    size_t room = gather_room(c, s);
    size_t size =
        (with_head ? bw_h1_head_size(c) : 0) + (with_size ? sizeof(c->out.chunk_head) : 0);
    char *base;
    char *at;

    if (size == 0)
        return;
    base = lead_memory(c, size + room, c->conn.socket->ssl != NULL || room > 0);
    at = with_head ? bw_h1_put_head(c, base) : base;
    if (with_size) {
        at = put_chunk_size(at, s->bytes);
        at = bw_text_str(at, "\r\n");
    }
    at = gather(s, at, room);
    s->v--;
    s->n++;
    s->v[0] = h2o_iovec_init(base, (size_t)(at - base));
}

static enum h1_responding after(h2o_send_state_t state)
{
    switch (state) {
    case H2O_SEND_STATE_IN_PROGRESS:
        return H1_STREAMING;
    case H2O_SEND_STATE_FINAL:
        return H1_LAST;
    case H2O_SEND_STATE_ERROR:
        return H1_BROKEN;
    }
    BW_UNREACHABLE();
}

static void send_pieces(struct bw_http1 *c, struct sending *s, const h2o_iovec_t *bufs, size_t n)
{
    bool with_head = c->responding == H1_WAITING;

    take_body(s, bufs, n);
    if (with_head) {
        c->framing = bw_h1_framing_for(c, s->bytes, s->state);
        bw_h1_decide_ending(c, s->state);
        /* given up before anything went out: nothing is clearer than a closed connection */
        with_head = s->state != H2O_SEND_STATE_ERROR || s->bytes > 0;
    }
    keep_promise(c, s);
    c->x.bytes_sent += s->bytes;
    s->tail = tail_for(c, s);
    c->responding = after(s->state);
    put_lead(c, s, with_head);
    if (s->tail.len > 0)
        s->v[s->n++] = s->tail;
    if (s->n > 0)
        write_pieces(c, s->v, s->n);
    else if (c->writing == H1_QUIET)
        bw_h1_put_off(c); /* nothing to write: as if written, but not inside h2o_send() */
}

static void send_now(struct bw_http1 *c, const h2o_iovec_t *bufs, size_t n, h2o_send_state_t state)
{
    h2o_iovec_t few[VEC_MAX + 2];
    h2o_iovec_t *v = few;
    struct sending s;

    if (n > VEC_MAX)
        v = h2o_mem_alloc_pool(&c->x.req.pool, (n + 2) * sizeof(*v));
    s = (struct sending){.v = v + 1, .state = state};
    send_pieces(c, &s, bufs, n);
}

static void hold(struct bw_http1 *c, const h2o_iovec_t *bufs, size_t n, h2o_send_state_t state)
{
    c->out.held.v = h2o_mem_alloc_pool(&c->x.req.pool, (n + 1) * sizeof(*bufs));
    c->out.held.n = n;
    c->out.held_state = state;
    if (n > 0)
        memcpy(c->out.held.v, bufs, n * sizeof(*bufs));
}

void bw_h1_do_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n,
                   h2o_send_state_t state)
{
    struct bw_http1 *c = BW_CONTAINER_OF(self, struct bw_http1, final);

    (void)req;
    if (c->responding == H1_GONE)
        return;
    BW_ASSERT(c->responding == H1_WAITING || c->responding == H1_STREAMING);
    if (c->writing == H1_WRITES_INTERIM)
        hold(c, bufs, n, state);
    else
        send_now(c, bufs, n, state);
}

/* ---- bytes that are ours for this moment ---- */

static void on_room(h2o_socket_t *socket, const char *err)
{
    struct bw_http1 *c = socket->data;

    c->writing = H1_QUIET;
    if (err != NULL)
        bw_h1_free(c, BW_CLOSE_CUT);
    else if (c->responding == H1_STREAMING)
        bw_h1_give_way(c);
    else
        bw_h1_write_on(c);
}

/* Come back when the socket takes more.  The send clock watches that this happens. */
static void wait_for_room(struct bw_http1 *c, bool is_full)
{
    c->writing = H1_WRITES;
    if (is_full)
        h2o_socket_notify_write(c->conn.socket, on_room);
    else /* nothing written is a callback in this round, without a word to the kernel */
        h2o_socket_write(c->conn.socket, NULL, 0, on_room);
    bw_h1_send_clock_start(c);
}

static bool takes_bytes_now(struct bw_http1 *c, size_t total)
{
    if (c->writing != H1_QUIET || c->out.rest_from < c->out.rest.n)
        return false;
    if (c->responding == H1_WAITING)
        c->framing = bw_h1_framing_for(c, 0, H2O_SEND_STATE_IN_PROGRESS);
    else if (c->responding != H1_STREAMING)
        return false;
    return c->framing == H1_LENGTH && total <= c->out.left;
}

static struct bw_slice head_now(struct bw_http1 *c)
{
    char *base;

    if (c->responding != H1_WAITING)
        return bw_slice(NULL, 0);
    bw_h1_decide_ending(c, H2O_SEND_STATE_IN_PROGRESS);
    c->responding = H1_STREAMING;
    base = h2o_mem_alloc_pool(&c->x.req.pool, bw_h1_head_size(c));
    return bw_slice(base, (size_t)(bw_h1_put_head(c, base) - base));
}

static size_t behind_head(struct bw_http1 *c, struct bw_slice head, size_t written)
{
    h2o_iovec_t rest;

    c->burst.bytes += written;
    if (written >= head.len)
        return written - head.len;
    rest = h2o_iovec_init(head.base + written, head.len - written);
    keep_rest(c, rest, &rest, 0);
    return 0;
}

/*
 * Over TLS the bytes are encrypted, into memory of the socket's, before the write returns: as many
 * as one round may send.
 */
static bool encrypt_now(struct bw_http1 *c, const h2o_iovec_t *v, size_t n, size_t *accepted)
{
    size_t head = c->responding == H1_WAITING ? bw_h1_head_size(c) : 0;
    size_t max = share(c);
    h2o_iovec_t part[VEC_MAX], beyond;

    if (head > SHARE_MIN / 2)
        return false;
    max -= head;
    memcpy(part, v, n * sizeof(*v));
    if (part[0].len > max)
        part[0].len = max;
    n = split(part, n, max, &beyond);
    *accepted = total_of(part, n);
    send_now(c, part, n, H2O_SEND_STATE_IN_PROGRESS);
    return true;
}

bool bw_h1_write_now(struct bw_exchange *x, const h2o_iovec_t *v, size_t n, size_t *accepted)
{
    struct bw_http1 *c = bw_h1_of(x);
    size_t total = total_of(v, n);
    h2o_iovec_t all[VEC_MAX + 1];
    struct bw_slice head;
    ssize_t got;

    *accepted = 0;
    if (n > VEC_MAX || !takes_bytes_now(c, total))
        return false;
    if (c->conn.socket->ssl != NULL)
        return encrypt_now(c, v, n, accepted);
    head = head_now(c);
    all[0] = h2o_iovec_init(head.base, head.len);
    memcpy(all + 1, v, n * sizeof(*v));
    got = writev(h2o_socket_get_fd(c->conn.socket), (const struct iovec *)all, (int)n + 1);
    if (got < 0 && errno != EAGAIN && errno != EINTR) {
        c->responding = H1_BROKEN; /* the client is gone; noticed in the next round */
        bw_h1_put_off(c);
        return true;
    }
    *accepted = behind_head(c, head, got > 0 ? (size_t)got : 0);
    c->out.left -= *accepted;
    x->bytes_sent += *accepted;
    wait_for_room(c, *accepted < total);
    return true;
}

/* ---- 101 ---- */

/* The protocol changes with the byte behind our 101 (RFC 9110, 7.8). */
void bw_h1_upgrade(struct bw_exchange *x, bw_upgraded_fn upgraded, void *ctx)
{
    struct bw_http1 *c = bw_h1_of(x);

    if (c->responding == H1_GONE)
        return;
    BW_ASSERT(c->responding == H1_WAITING && c->reading == H1_WHOLE && x->reply->status == 101);
    c->ending = H1_UPGRADE;
    c->out.upgraded = upgraded;
    c->out.upgraded_ctx = ctx;
    if (c->writing == H1_WRITES_INTERIM)
        hold(c, NULL, 0, H2O_SEND_STATE_FINAL);
    else
        send_now(c, NULL, 0, H2O_SEND_STATE_FINAL);
}

static void give_away(struct bw_http1 *c)
{
    bw_upgraded_fn upgraded = c->out.upgraded;
    void *ctx = c->out.upgraded_ctx;
    h2o_socket_t *socket = c->conn.socket;

    bw_h1_free(c, BW_CLOSE_GIVE);
    upgraded(ctx, socket);
}

/* ---- behind a write ---- */

static void go_on_responding(struct bw_http1 *c)
{
    switch (c->responding) {
    case H1_STREAMING:
        if (bw_h1_burst_is_used_up(c))
            bw_h1_give_way(c);
        else
            h2o_proceed_response(&c->x.req);
        return;
    case H1_LAST:
    case H1_BROKEN:
        if (c->ending == H1_UPGRADE)
            give_away(c);
        else
            bw_h1_response_out(c);
        return;
    case H1_WAITING: /* an interim response is out */
    case H1_NO_REQUEST:
    case H1_GONE:
        return;
    }
}

static void write_interim(struct bw_http1 *c)
{
    h2o_iovec_t bytes = c->out.interim;

    c->out.interim.len = 0;
    (void)share(c);
    start_write(c, &bytes, 1, H1_WRITES_INTERIM);
}

static void write_held(struct bw_http1 *c)
{
    h2o_iovec_t *v = c->out.held.v;

    c->out.held.v = NULL;
    send_now(c, v, c->out.held.n, c->out.held_state);
}

void bw_h1_write_on(struct bw_http1 *c)
{
    if (c->out.rest_from < c->out.rest.n) {
        if (bw_h1_burst_is_used_up(c))
            bw_h1_give_way(c);
        else
            write_rest(c);
    } else if (c->out.interim.len > 0) {
        write_interim(c);
    } else if (c->out.held.v != NULL) {
        write_held(c);
    } else {
        bw_h1_send_clock_stop(c);
        go_on_responding(c);
    }
}

static void on_written(h2o_socket_t *socket, const char *err)
{
    struct bw_http1 *c = socket->data;

    c->writing = H1_QUIET;
    if (err != NULL)
        bw_h1_free(c, BW_CLOSE_CUT);
    else
        bw_h1_write_on(c);
}
