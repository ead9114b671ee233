/*
 * http2_write.c - what we send: heads as HPACK, bodies as DATA, packed together into few writes.
 *
 * A send of the steps leaves its pieces, or the source of them, with the stream; nghttp2 takes from
 * them what windows and priorities allow (RFC 9218), frame by frame, into one buffer of the worker,
 * which is written at once: over TLS it is encrypted, and free again, before the write returns.  In
 * clear text the bytes are kept until the kernel has them.  When a stream's pieces are packed and
 * the write is through, its generator makes more.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/http/status.h"
#include "breakwater/http/text.h"

#include "http2_priv.h"

#include <stdlib.h>

enum {
    FIELDS_OF_OURS = 3,
    NV_FEW = 48,
    SMALL_MAX = 16384,
    FRAME_HEAD = 9,
    FRAME_LEAST = 1024, /* less is not worth a frame of its own */
};

_Static_assert(BW_WIRE_OUT_MAX >= BW_BURST_MAX + BW_H2_FRAME_MAX, "a frame may go beyond");

static void on_written(h2o_socket_t *socket, const char *err);

/* ---- heads ---- */

/* For nghttp2, which does not write there but does not say so either. */
static uint8_t *bytes_of(struct bw_slice s)
{
    union {
        const char *ours;
        uint8_t *theirs;
    } bytes = {.ours = s.base};

    return bytes.theirs;
}

/* Both live in the stream's pool or longer (http2_priv.h, lifetime 3). */
static nghttp2_nv nv_of(struct bw_slice name, struct bw_slice value)
{
    return (nghttp2_nv){.name = bytes_of(name),
                        .value = bytes_of(value),
                        .namelen = name.len,
                        .valuelen = value.len,
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static struct bw_slice number(struct bw_h2_stream *st, uint64_t n)
{
    char *text = h2o_mem_alloc_pool(&st->x.req.pool, BW_TEXT_NUMBER_MAX);

    return bw_slice(text, (size_t)(bw_text_u64(text, n) - text));
}

static struct bw_slice date(struct bw_h2_stream *st)
{
    char *text = h2o_mem_alloc_pool(&st->x.req.pool, BW_DATE_LEN);

    memcpy(text, bw_wire_date(st->conn->conn.worker->wire), BW_DATE_LEN);
    return bw_slice(text, BW_DATE_LEN);
}

static nghttp2_nv *nv_memory(struct bw_h2_stream *st, nghttp2_nv *few, size_t n)
{
    return n <= NV_FEW ? few : h2o_mem_alloc_pool(&st->x.req.pool, n * sizeof(*few));
}

/* Of the connection, or of the answer to an upgrade: not HTTP/2's (RFC 9113, 8.2.2). */
static bool is_of_http1(const struct bw_field *f)
{
    return f->id == BW_F_CONNECTION || f->id == BW_F_UPGRADE || f->id == BW_F_KEEP_ALIVE ||
           f->id == BW_F_PROXY_CONNECTION || f->id == BW_F_TRANSFER_ENCODING ||
           (f->id == BW_F_OTHER && bw_slice_eq(f->name, BW_S("sec-websocket-accept")));
}

static size_t put_fields(nghttp2_nv *nv, size_t n, const struct bw_fields *fields)
{
    for (size_t i = 0; i < fields->n; i++)
        if (!is_of_http1(&fields->v[i]))
            nv[n++] = nv_of(fields->v[i].name, fields->v[i].value);
    return n;
}

static ssize_t pack(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                    uint32_t *flags, nghttp2_data_source *source, void *user);

void bw_h2_submit_head(struct bw_h2_stream *st, const struct bw_reply *reply, bool has_body)
{
    nghttp2_data_provider body = {{.ptr = st}, pack};
    nghttp2_nv few[NV_FEW];
    nghttp2_nv *nv = nv_memory(st, few, reply->fields.n + FIELDS_OF_OURS);
    size_t n = 0;

    nv[n++] = nv_of(BW_S(":status"), number(st, (unsigned)reply->status));
    /* a stored response keeps its own Date, to which its Age belongs */
    if (bw_fields_find(&reply->fields, BW_F_DATE) == NULL)
        nv[n++] = nv_of(BW_S("date"), date(st));
    n = put_fields(nv, n, &reply->fields);
    if (reply->length != BW_LENGTH_UNKNOWN && !bw_status_has_no_body(reply->status))
        nv[n++] = nv_of(BW_S("content-length"), number(st, reply->length));
    for (size_t i = 0; i < n; i++)
        st->x.head_bytes_sent += nv[i].namelen + nv[i].valuelen;
    if (nghttp2_submit_response(st->conn->session, st->id, nv, n, has_body ? &body : NULL) != 0)
        bw_h2_reset(st, NGHTTP2_INTERNAL_ERROR);
}

void bw_h2_informational(struct bw_exchange *x, int status, const struct bw_fields *fields)
{
    struct bw_h2_stream *st = bw_h2_of(x);
    nghttp2_nv few[NV_FEW];
    nghttp2_nv *nv = nv_memory(st, few, fields->n + 1);
    size_t n = 0;

    if (st->responding != H2_WAITING || st->stage != H2_RUNS)
        return;
    nv[n++] = nv_of(BW_S(":status"), number(st, (unsigned)status));
    n = put_fields(nv, n, fields);
    for (size_t i = 0; i < n; i++) /* the fields are the caller's for this call only */
        nv[i].flags = NGHTTP2_NV_FLAG_NONE;
    (void)nghttp2_submit_headers(st->conn->session, NGHTTP2_FLAG_NONE, st->id, NULL, nv, n, NULL);
    bw_h2_turn_soon(st->conn);
}

struct bw_slice bw_h2_kept(struct bw_h2_stream *st, struct bw_slice s)
{
    char *base = h2o_mem_alloc_pool(&st->x.req.pool, s.len + 1);

    memcpy(base, s.base, s.len);
    return bw_slice(base, s.len);
}

void bw_h2_trailers(struct bw_exchange *x, const struct bw_fields *fields)
{
    struct bw_h2_stream *st = bw_h2_of(x);
    nghttp2_nv *nv = h2o_mem_alloc_pool(&x->req.pool, (fields->n + 1) * sizeof(*nv));
    size_t n = put_fields(nv, 0, fields);

    for (size_t i = 0; i < n; i++)
        nv[i] = nv_of(bw_h2_kept(st, bw_slice((char *)nv[i].name, nv[i].namelen)),
                      bw_h2_kept(st, bw_slice((char *)nv[i].value, nv[i].valuelen)));
    st->out.trailers = nv;
    st->out.trailers_n = n;
}

/* ---- bodies ---- */

static size_t copy_pieces(struct bw_h2_stream *st, char *to, size_t room)
{
    size_t n = 0;

    while (n < room && st->out.at < st->out.n) {
        h2o_iovec_t *v = &st->out.v[st->out.at];
        size_t k = v->len < room - n ? v->len : room - n;

        memcpy(to + n, v->base, k);
        n += k;
        v->base += k;
        v->len -= k;
        st->out.at += v->len == 0;
    }
    st->out.bytes -= n;
    return n;
}

static size_t read_source(struct bw_h2_stream *st, char *to, size_t room)
{
    struct bw_body_source *source = st->out.source;
    size_t most = room < st->out.left ? room : (size_t)st->out.left;
    size_t n = source->read(source, to, most);

    st->out.left -= n;
    if (st->out.left == 0)
        st->responding = H2_LAST;
    if (n == 0 || st->out.left == 0) /* what is left may come otherwise */
        st->out.source = NULL;
    return n;
}

/*
 * The last frame of a write is as long as the write has room for: what goes beyond would be a small
 * record of its own, which costs both sides half a microsecond and the client two reads.
 */
static size_t room_in_write(const struct bw_http2 *c, size_t room)
{
    size_t left = c->out.enough - c->out.n;

    BW_ASSERT(c->out.n < c->out.enough);
    if (left >= FRAME_HEAD + room || left < FRAME_HEAD + FRAME_LEAST)
        return room;
    return left - FRAME_HEAD;
}

/*
 * nghttp2 asks for bytes of one DATA frame.  They go where they will be written from, behind room
 * for the frame's head, which put_data() fills in next; a frame always fits (bw_h2_flush()).
 */
// NOLINTNEXTLINE(readability-function-size,readability-non-const-parameter): of nghttp2
static ssize_t pack(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                    uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct bw_h2_stream *st = source->ptr;
    bool from_source = st->out.source != NULL;
    char *to = st->conn->out.base + st->conn->out.n + FRAME_HEAD;
    size_t most = room_in_write(st->conn, room);
    size_t n = from_source ? read_source(st, to, most) : copy_pieces(st, to, most);

    (void)id, (void)user, (void)buf;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    st->x.bytes_sent += n;
    st->conn->bytes_sent += n;
    if (st->out.bytes > 0 || st->out.source != NULL)
        return (ssize_t)n;
    if (st->responding == H2_LAST) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (st->out.trailers_n > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            (void)nghttp2_submit_trailer(session, st->id, st->out.trailers, st->out.trailers_n);
        }
        return (ssize_t)n;
    }
    if (n > 0 || from_source)
        bw_h2_put(&st->conn->drained, &st->turn);
    st->deferred = n == 0;
    return n > 0 ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

void bw_h2_reset(struct bw_h2_stream *st, uint32_t code)
{
    if (st->stage == H2_CLOSED || st->was_reset)
        return;
    st->was_reset = true;
    if (st->stage == H2_READY) /* it may be told that it was not begun (RFC 9113, 8.7) */
        bw_h2_take_off(&st->turn);
    nghttp2_submit_rst_stream(st->conn->session, NGHTTP2_FLAG_NONE, st->id, code);
    bw_h2_turn_soon(st->conn);
}

/* Kept for the sends to come: a response may have very many. */
static h2o_iovec_t *pieces_memory(struct bw_h2_stream *st, size_t n)
{
    if (n <= BW_H2_PIECES)
        return st->out.few;
    if (n > st->out.many_n) {
        st->out.many = h2o_mem_alloc_pool(&st->x.req.pool, n * sizeof(*st->out.many));
        st->out.many_n = n;
    }
    return st->out.many;
}

/* The caller's vector is the caller's; the bytes are the generator's until it proceeds. */
void bw_h2_send_pieces(struct bw_h2_stream *st, const h2o_iovec_t *bufs, size_t n, bool last)
{
    BW_ASSERT(st->out.bytes == 0);
    st->out.at = st->out.n = 0;
    st->out.v = pieces_memory(st, n);
    for (size_t i = 0; i < n; i++) {
        if (bufs[i].len == 0)
            continue;
        st->out.v[st->out.n++] = bufs[i];
        st->out.bytes += bufs[i].len;
    }
    st->responding = last ? H2_LAST : H2_STREAMING;
    if (st->deferred) {
        st->deferred = false;
        (void)nghttp2_session_resume_data(st->conn->session, st->id);
    }
    bw_h2_turn_soon(st->conn);
}

/*
 * Never more than was promised (RFC 9113, 8.1.1).  False: it falls short of that, and may not look
 * whole.
 */
static bool keep_promise(struct bw_h2_stream *st)
{
    if (st->out.left == BW_LENGTH_UNKNOWN)
        return true;
    if (st->out.bytes > st->out.left) {
        st->out.n = bw_pieces_trim(st->out.v, st->out.n, (size_t)(st->out.bytes - st->out.left));
        st->out.bytes = (size_t)st->out.left;
    }
    st->out.left -= st->out.bytes;
    return st->responding != H2_LAST || st->out.left == 0;
}

static bool has_no_body(const struct bw_h2_stream *st)
{
    return bw_status_has_no_body(st->x.reply->status) ||
           bw_slice_eq(st->x.head.method, BW_S("HEAD"));
}

/*
 * Streams of one urgency are served one after the other (RFC 9218, 10), so a small response would
 * wait for all large ones that were asked for before it, and costs them next to nothing.  Where the
 * client has not said what it wants first, it goes first.
 */
static void prefer_small(struct bw_h2_stream *st, size_t bytes)
{
    nghttp2_extpri sooner = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY - 1, .inc = 0};

    if (bytes <= SMALL_MAX && !st->prioritised &&
        bw_fields_find(&st->x.head.fields, BW_F_PRIORITY) == NULL)
        (void)nghttp2_session_change_extpri_stream_priority(st->conn->session, st->id, &sooner, 0);
}

/* The first send: if it is the only one, its bytes are the length. */
static void begin(struct bw_h2_stream *st, size_t bytes, bool last)
{
    struct bw_reply reply = *st->x.reply;
    bool has_body = !has_no_body(st);

    if (has_body && reply.length == BW_LENGTH_UNKNOWN && last && st->out.trailers_n == 0)
        reply.length = bytes;
    st->out.left = has_body ? reply.length : 0;
    has_body = has_body && (reply.length != 0 || st->out.trailers_n > 0);
    if (last)
        prefer_small(st, bytes);
    bw_h2_submit_head(st, &reply, has_body);
}

void bw_h2_do_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n,
                   h2o_send_state_t state)
{
    struct bw_h2_stream *st = BW_CONTAINER_OF(self, struct bw_h2_stream, final);
    bool last = state != H2O_SEND_STATE_IN_PROGRESS;
    size_t bytes = 0;

    (void)req;
    if (st->responding == H2_GONE || st->stage == H2_CLOSED)
        return;
    BW_ASSERT(st->responding == H2_WAITING || st->responding == H2_STREAMING);
    for (size_t i = 0; i < n; i++)
        bytes += bufs[i].len;
    if (state == H2O_SEND_STATE_ERROR && st->responding == H2_WAITING && bytes == 0) {
        bw_h2_reset(st, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    if (st->responding == H2_WAITING)
        begin(st, bytes, state == H2O_SEND_STATE_FINAL);
    bw_h2_send_pieces(st, bufs, n, last);
    if (!keep_promise(st) || state == H2O_SEND_STATE_ERROR)
        bw_h2_reset(st, NGHTTP2_INTERNAL_ERROR); /* RFC 9113, 8.1: not whole, and seen to be so */
    if (!last && st->out.bytes == 0)             /* the head alone, or nothing that counts */
        bw_h2_put(&st->conn->drained, &st->turn);
}

void bw_h2_send_from(struct bw_exchange *x, struct bw_body_source *source, uint64_t length)
{
    struct bw_h2_stream *st = bw_h2_of(x);

    if (st->responding == H2_GONE || st->stage == H2_CLOSED)
        return;
    if (st->responding == H2_WAITING)
        begin(st, 0, false);
    BW_ASSERT(st->out.left == length && length > 0);
    st->out.source = source;
    bw_h2_send_pieces(st, NULL, 0, false);
}

/* ---- writing ---- */

/* The bytes of a DATA frame are in place: its head, and whether that is enough for one write. */
// NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's
static int put_data(nghttp2_session *session, nghttp2_frame *f, const uint8_t *head, size_t n,
                    nghttp2_data_source *source, void *user)
{
    struct bw_http2 *c = user;

    (void)session, (void)source;
    BW_ASSERT(f->data.padlen == 0);
    memcpy(c->out.base + c->out.n, head, FRAME_HEAD);
    c->out.n += FRAME_HEAD + n;
    return c->out.n < c->out.enough ? 0 : NGHTTP2_ERR_PAUSE;
}

/* DATA comes by put_data(), all other frames are nghttp2's and copied. */
static void fill_buffer(struct bw_http2 *c)
{
    const uint8_t *bytes;
    ssize_t got;

    while (c->out.n < c->out.enough && (got = nghttp2_session_mem_send(c->session, &bytes)) > 0) {
        BW_ASSERT((size_t)got <= BW_H2_FRAME_MAX);
        memcpy(c->out.base + c->out.n, bytes, (size_t)got);
        c->out.n += (size_t)got;
    }
}

static void write_out(struct bw_http2 *c)
{
    h2o_iovec_t v = h2o_iovec_init(c->out.base, c->out.n);

    if (c->conn.socket->ssl == NULL) {
        c->inflight = bw_alloc(v.len);
        v.base = memcpy(c->inflight, v.base, v.len);
    }
    c->writing = true;
    c->burst.bytes += v.len;
    bw_records_written(&c->records, v.len);
    h2o_socket_write(c->conn.socket, &v, 1, on_written);
}

void bw_h2_flush(struct bw_http2 *c)
{
    struct bw_wire *wire = c->conn.worker->wire;
    size_t enough = BW_BURST_MAX;

    c->wants_flush = false;
    if (c->conn.socket->ssl != NULL)
        enough = bw_records_share(&c->records, c->conn.socket, bw_h2_now(c), enough);
    c->out.base = bw_wire_out(wire);
    c->out.n = 0;
    c->out.enough = enough;
    fill_buffer(c);
    if (c->out.n > 0)
        write_out(c);
}

static void on_written(h2o_socket_t *socket, const char *err)
{
    struct bw_http2 *c = socket->data;

    c->writing = false;
    free(c->inflight);
    c->inflight = NULL;
    if (err != NULL)
        bw_h2_free(c, BW_CLOSE_CUT);
    else if (bw_burst_left(&c->burst, c->conn.worker->loop) == 0)
        bw_h2_give_way(c);
    else
        bw_h2_turn(c);
}

void bw_h2_proceed_drained(struct bw_http2 *c)
{
    h2o_linklist_t now;

    h2o_linklist_init_anchor(&now);
    h2o_linklist_insert_list(&now, &c->drained);
    while (!h2o_linklist_is_empty(&now)) {
        struct bw_h2_stream *st = BW_CONTAINER_OF(now.next, struct bw_h2_stream, turn);

        h2o_linklist_unlink(&st->turn);
        if (st->stage != H2_RUNS || st->responding != H2_STREAMING)
            continue;
        if (st->tunnel != NULL)
            bw_h2_tunnel_drained(st);
        else
            h2o_proceed_response(&st->x.req);
    }
}

/* A body against its length: nghttp2 says nothing of it before, as it does of other errors. */
static void reset_is_sent(struct bw_http2 *c, const nghttp2_frame *f)
{
    struct bw_h2_stream *st = bw_h2_stream(c, f->hd.stream_id);

    if (f->rst_stream.error_code == NGHTTP2_PROTOCOL_ERROR && (st == NULL || !st->was_reset))
        (void)bw_h2_allows_reset(c);
}

static void end_is_sent(struct bw_http2 *c, int32_t id)
{
    struct bw_h2_stream *st = bw_h2_stream(c, id);

    if (st == NULL)
        return;
    st->all_sent = true;
    if (!nghttp2_session_get_stream_remote_close(c->session, id)) /* RFC 9113, 8.1 */
        nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
    struct bw_http2 *c = user;

    (void)session;
    switch (f->hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        if ((f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            end_is_sent(c, f->hd.stream_id);
        return 0;
    case NGHTTP2_RST_STREAM:
        reset_is_sent(c, f);
        return 0;
    case NGHTTP2_GOAWAY:
        c->is_to_blame |= f->goaway.error_code != NGHTTP2_NO_ERROR;
        return 0;
    default: /* of the connection */
        return 0;
    }
}

/* A head that nghttp2 finds too large: without a word the stream would stay for ever. */
static int on_frame_unsent(nghttp2_session *session, const nghttp2_frame *f, int why, void *user)
{
    struct bw_h2_stream *st = bw_h2_stream(user, f->hd.stream_id);

    (void)session;
    if (f->hd.type == NGHTTP2_HEADERS && st != NULL && why == NGHTTP2_ERR_FRAME_SIZE_ERROR)
        bw_h2_reset(st, NGHTTP2_INTERNAL_ERROR);
    return 0;
}

void bw_h2_writing(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_unsent);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, put_data);
}
