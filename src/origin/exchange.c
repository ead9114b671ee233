/*
 * exchange.c - one request and its response on an open connection  (RFC 9112).
 *
 * The request is written anew from parts that were parsed before: one Host, one framing of our own
 * making, one buffer, one write.  The response is read as strictly as a request: what is ambiguous
 * ends the fetch and the connection, because a cache that guesses a length stores a lie.  The
 * connection may be used again only if the whole request went out, the whole response came in, and
 * not one byte more.
 */
#include "breakwater/base/check.h"

#include "fetch_priv.h"

#include <stdio.h>
#include <string.h>

enum {
    HEAD_MAX = BW_INPUT_MAX,
    FIELDS_MAX = 100,
    TRAILERS_MAX = 32,
    INFORMATIONAL_MAX = 16,
    GRANT_MIN = BW_BODY_WINDOW / 4, /* no want() for less, unless all is out */
};

enum step {
    STEP_AGAIN, /* something was read, there may be more */
    STEP_WAIT,  /* more bytes are needed */
    STEP_OVER,  /* paused, at its end, or freed after the return */
};

static const struct bw_pool_conf *conf_of(const struct bw_fetch *f)
{
    return f->pool->conf;
}

static char *put(char *to, struct bw_slice s)
{
    if (s.len > 0)
        memcpy(to, s.base, s.len);
    return to + s.len;
}

static struct bw_slice copy(struct bw_fetch *f, struct bw_slice s)
{
    char *to = h2o_mem_alloc_pool(&f->memory, s.len);

    (void)put(to, s);
    return bw_slice(to, s.len);
}

/* ---- the request ---- */

/* Fields that we write ourselves, whatever the caller's list holds. */
static bool is_ours(enum bw_field_id id)
{
    return id == BW_F_HOST || id == BW_F_CONTENT_LENGTH || id == BW_F_TRANSFER_ENCODING ||
           id == BW_F_CONNECTION || id == BW_F_KEEP_ALIVE || id == BW_F_PROXY_CONNECTION;
}

/* RFC 9110, 8.6: a method that has a body by nature says so when there is none. */
static bool expects_body(struct bw_slice method)
{
    return bw_slice_eq(method, BW_S("POST")) || bw_slice_eq(method, BW_S("PUT")) ||
           bw_slice_eq(method, BW_S("PATCH"));
}

/* The framing line of the request, with CRLF; RFC 9112, 6. */
static struct bw_slice framing_line(const struct bw_fetch_request *rq, char *room, size_t n)
{
    switch (rq->body) {
    case BW_FRAMING_CHUNKED:
        return BW_S("transfer-encoding: chunked\r\n");
    case BW_FRAMING_LENGTH:
        return bw_slice(room, (size_t)snprintf(room, n, "content-length: %llu\r\n",
                                               (unsigned long long)rq->content_length));
    case BW_FRAMING_NONE:
        return expects_body(rq->method) ? BW_S("content-length: 0\r\n") : BW_S("");
    case BW_FRAMING_CLOSE:
        break; /* responses only */
    }
    BW_UNREACHABLE();
}

static struct bw_slice write_fields(struct bw_fetch *f, const struct bw_fetch_request *rq)
{
    char room[48];
    struct bw_slice framing = framing_line(rq, room, sizeof(room));
    struct bw_slice upgrade = rq->upgrade ? BW_S("connection: upgrade\r\n") : BW_S("");
    size_t len = framing.len + upgrade.len + 2;
    char *text, *p;

    for (size_t i = 0; i < rq->fields->n; ++i)
        len += rq->fields->v[i].name.len + rq->fields->v[i].value.len + 4;
    p = text = h2o_mem_alloc_pool(&f->memory, len);
    for (size_t i = 0; i < rq->fields->n; ++i) {
        const struct bw_field *field = &rq->fields->v[i];

        if (is_ours(field->id))
            continue;
        p = put(p, field->name);
        p = put(p, BW_S(": "));
        p = put(p, field->value);
        p = put(p, BW_S("\r\n"));
    }
    p = put(p, framing);
    p = put(p, upgrade);
    p = put(p, BW_S("\r\n"));
    return bw_slice(text, (size_t)(p - text));
}

void bw_exchange_prepare(struct bw_fetch *f, const struct bw_fetch_request *rq)
{
    const struct bw_field *upgrade = rq->upgrade ? bw_fields_find(rq->fields, BW_F_UPGRADE) : NULL;

    f->out.method = copy(f, rq->method);
    f->out.target = copy(f, rq->target);
    f->out.authority = copy(f, rq->authority);
    f->out.text = write_fields(f, rq);
    f->out.upgrade = upgrade != NULL ? copy(f, upgrade->value) : BW_S("");
    f->out.ranged = bw_fields_find(rq->fields, BW_F_RANGE) != NULL;
    f->out.framing = rq->body;
    if (rq->body == BW_FRAMING_LENGTH && rq->content_length == 0)
        f->out.framing = BW_FRAMING_NONE; /* the head is all */
    f->out.left = rq->content_length;
}

static struct bw_slice host_of(const struct bw_fetch *f)
{
    const struct bw_pool_conf *conf = conf_of(f);

    switch (conf->host) {
    case BW_ORIGIN_HOST_CLIENT:
        return f->out.authority.len > 0 ? f->out.authority : f->server->authority;
    case BW_ORIGIN_HOST_SERVER:
        return f->server->authority;
    case BW_ORIGIN_HOST_NAME:
        return bw_slice_str(conf->host_name);
    }
    BW_UNREACHABLE();
}

static struct bw_slice write_head(struct bw_fetch *f)
{
    struct bw_slice line = BW_S(" HTTP/1.1\r\nhost: "), host = host_of(f);
    size_t len =
        f->out.method.len + 1 + f->out.target.len + line.len + host.len + 2 + f->out.text.len;
    char *text = h2o_mem_alloc_pool(&f->memory, len), *p = text;

    p = put(p, f->out.method);
    *p++ = ' ';
    p = put(p, f->out.target);
    p = put(p, line);
    p = put(p, host);
    p = put(p, BW_S("\r\n"));
    p = put(p, f->out.text);
    BW_ASSERT((size_t)(p - text) == len);
    return bw_slice(text, len);
}

void bw_exchange_start(struct bw_fetch *f)
{
    f->state = BW_FETCH_TALKING;
    f->out.sending = BW_SENDING_HEAD;
    f->in = (struct bw_fetch_in){.receiving = BW_RECEIVING_HEAD};
    bw_connection_write(f->connection, write_head(f));
    bw_exchange_arm(f);
}

static void grant(struct bw_fetch *f)
{
    size_t taken = f->out.granted + f->out.unsent;
    size_t room = taken < BW_BODY_WINDOW ? BW_BODY_WINDOW - taken : 0;

    if (f->out.body_whole || room == 0 || (room < GRANT_MIN && taken > 0))
        return;
    f->out.granted += room;
    f->ops->want(f->ctx, room);
}

/* What was handed over goes out in one write; what comes meanwhile waits for the next. */
static void flush_body(struct bw_fetch *f)
{
    struct bw_buf done = f->out.flight;

    if (f->out.sending != BW_SENDING_BODY || bw_connection_writing(f->connection) ||
        f->out.pending.len == 0)
        return;
    f->out.flight = f->out.pending;
    f->out.pending = done;
    bw_buf_clear(&f->out.pending);
    f->out.in_flight = f->out.unsent;
    bw_connection_write(f->connection, bw_buf_view(&f->out.flight));
    bw_exchange_arm(f);
}

static void request_sent(struct bw_fetch *f)
{
    f->out.sending = BW_SENDING_DONE;
    bw_exchange_arm(f);
}

void bw_exchange_written(struct bw_fetch *f, bool ok)
{
    if (f->state != BW_FETCH_TALKING)
        return;
    if (!ok) {
        /* it may have answered before it closed (RFC 9112, 9.6): the reading side will tell */
        f->out.sending = BW_SENDING_BROKEN;
        bw_exchange_arm(f);
        return;
    }
    f->out.unsent -= f->out.in_flight;
    f->out.in_flight = 0;
    if (f->out.framing == BW_FRAMING_NONE) {
        request_sent(f);
        return;
    }
    f->out.sending = BW_SENDING_BODY;
    flush_body(f);
    if (bw_connection_writing(f->connection)) {
        grant(f);
    } else if (f->out.body_whole) {
        request_sent(f);
    } else {
        bw_exchange_arm(f);
        grant(f);
    }
}

static void append_body(struct bw_fetch *f, struct bw_slice bytes, bool last)
{
    struct bw_buf *b = &f->out.pending;

    if (f->out.framing != BW_FRAMING_CHUNKED) {
        bw_buf_slice(b, bytes);
        return;
    }
    if (bytes.len > 0) { /* an empty chunk would be the last one (RFC 9112, 7.1) */
        bw_buf_printf(b, "%zx\r\n", bytes.len);
        bw_buf_slice(b, bytes);
        bw_buf_str(b, "\r\n");
    }
    if (last)
        bw_buf_str(b, "0\r\n\r\n");
}

/* Books `bytes` as handed over; false: they are not the length that was announced. */
static bool take_body(struct bw_fetch *f, struct bw_slice bytes, bool last)
{
    bool has_length = f->out.framing == BW_FRAMING_LENGTH;

    BW_ASSERT(bytes.len <= f->out.granted);
    if (has_length && (bytes.len > f->out.left || (last && bytes.len < f->out.left)))
        return false;
    f->out.left -= has_length ? bytes.len : 0;
    f->out.granted -= bytes.len;
    f->out.unsent += bytes.len;
    f->out.body_begun = f->out.body_begun || bytes.len > 0 || last;
    f->out.body_whole = last || (has_length && f->out.left == 0);
    return true;
}

void bw_exchange_body(struct bw_fetch *f, struct bw_slice bytes, bool last)
{
    if (f->out.framing == BW_FRAMING_NONE || f->out.body_whole)
        return;
    if (!take_body(f, bytes, last)) {
        bw_fetch_fail_later(f, BW_REASON_SEND);
        return;
    }
    if (f->out.sending == BW_SENDING_BROKEN) {
        f->out.unsent = 0; /* nobody reads it */
        return;
    }
    append_body(f, bytes, last);
    if (f->state != BW_FETCH_TALKING)
        return; /* goes out after the head */
    flush_body(f);
    if (f->out.body_whole && f->out.sending == BW_SENDING_BODY &&
        !bw_connection_writing(f->connection))
        request_sent(f);
}

/* ---- clocks ---- */

static void arm_for_head(struct bw_fetch *f)
{
    switch (f->out.sending) {
    case BW_SENDING_HEAD:
    case BW_SENDING_BODY:
        if (bw_connection_writing(f->connection))
            bw_fetch_timer(f, conf_of(f)->between_bytes_ms, BW_REASON_SEND);
        else
            bw_timer_stop(&f->timer); /* the client's turn */
        return;
    case BW_SENDING_DONE:
        if (!bw_timer_running(&f->timer) || f->timer_why != BW_REASON_FIRST_BYTE_TIMEOUT)
            bw_fetch_timer(f, conf_of(f)->first_byte_ms, BW_REASON_FIRST_BYTE_TIMEOUT);
        return;
    case BW_SENDING_BROKEN:
        if (!bw_timer_running(&f->timer) || f->timer_why != BW_REASON_SEND)
            bw_fetch_timer(f, conf_of(f)->between_bytes_ms, BW_REASON_SEND);
        return;
    }
    BW_UNREACHABLE();
}

void bw_exchange_arm(struct bw_fetch *f)
{
    if (f->paused && !bw_connection_writing(f->connection))
        bw_timer_stop(&f->timer);
    else if (f->in.receiving == BW_RECEIVING_HEAD)
        arm_for_head(f);
    else
        bw_fetch_timer(f, conf_of(f)->between_bytes_ms, BW_REASON_BETWEEN_BYTES_TIMEOUT);
}

/* ---- the response ---- */

static enum step refuse(struct bw_fetch *f, enum bw_reason why)
{
    bw_fetch_fail(f, why);
    return STEP_OVER;
}

/* What a callback may have done: cancelled us, or paused. */
static enum step after_callback(const struct bw_fetch *f)
{
    return f->state == BW_FETCH_OVER || f->paused ? STEP_OVER : STEP_AGAIN;
}

static bool may_reuse(const struct bw_fetch *f)
{
    const struct bw_connection *c = f->connection;

    return f->out.sending == BW_SENDING_DONE && !bw_connection_writing(c) &&
           f->in.head.keep_alive && f->in.framing != BW_FRAMING_CLOSE &&
           c->socket->input->size == 0 && c->end == BW_PEER_OPEN;
}

static enum step complete(struct bw_fetch *f)
{
    bw_fetch_complete(f, may_reuse(f));
    return STEP_OVER;
}

bool bw_exchange_is_whole(const struct bw_fetch *f)
{
    return f->in.receiving == BW_RECEIVING_BODY &&
           (f->in.framing == BW_FRAMING_NONE ||
            (f->in.framing == BW_FRAMING_LENGTH && f->in.left == 0));
}

/* RFC 9110, 15.2.2: only to a protocol that was asked for. */
static bool upgrade_was_asked(const struct bw_fetch *f)
{
    struct bw_field asked = {.value = f->out.upgrade, .id = BW_F_UPGRADE};
    struct bw_fields asked_fields = {&asked, 1};
    struct bw_list_iter given = {0}, known;
    struct bw_slice protocol, candidate;
    size_t found = 0, matched = 0;

    while (bw_list_next(&f->in.head.fields, BW_F_UPGRADE, &given, &protocol)) {
        bool match = false;

        ++found;
        known = (struct bw_list_iter){0};
        while (!match && bw_list_next(&asked_fields, BW_F_UPGRADE, &known, &candidate))
            match = bw_slice_eq_nocase(protocol, candidate);
        matched += match ? 1 : 0;
    }
    return found > 0 && matched == found;
}

static enum step informational(struct bw_fetch *f)
{
    if (f->in.head.status == 101) {
        if (f->out.upgrade.len == 0 || !upgrade_was_asked(f) || f->out.sending != BW_SENDING_DONE ||
            bw_connection_writing(f->connection))
            return refuse(f, BW_REASON_BAD_RESPONSE);
        bw_fetch_upgraded(f);
        return STEP_OVER;
    }
    if (++f->in.informational > INFORMATIONAL_MAX)
        return refuse(f, BW_REASON_BAD_RESPONSE);
    if (f->in.head.status == 100 || f->ops->informational == NULL)
        return STEP_AGAIN;
    f->ops->informational(f->ctx, &f->in.head);
    return after_callback(f);
}

/* Not even the beginning of a head: no need to wait for the rest, or for a timeout. */
static bool is_garbage(const h2o_buffer_t *in)
{
    struct bw_slice start = BW_S("HTTP/1.");

    return memcmp(in->bytes, start.base, in->size < start.len ? in->size : start.len) != 0;
}

/* The head is parsed on a copy that lives as long as the fetch; the input then begins after it. */
static bool parse_head(struct bw_fetch *f, size_t len)
{
    struct bw_field fields[FIELDS_MAX];
    char *bytes = h2o_mem_alloc_pool(&f->memory, len);
    size_t n;

    memcpy(bytes, f->connection->socket->input->bytes, len);
    bw_connection_consume(f->connection, len);
    f->in.scanned = 0;
    if (!bw_head_parse_response(bytes, len, fields, FIELDS_MAX, &f->in.head))
        return false;
    n = f->in.head.fields.n;
    f->in.head.fields.v = h2o_mem_alloc_pool(&f->memory, n * sizeof(fields[0]));
    if (n > 0)
        memcpy(f->in.head.fields.v, fields, n * sizeof(fields[0]));
    return true;
}

static enum step read_head(struct bw_fetch *f)
{
    const h2o_buffer_t *in = f->connection->socket->input;
    size_t len;

    if (in->size == 0)
        return STEP_WAIT;
    f->in.begun = true;
    if (is_garbage(in))
        return refuse(f, BW_REASON_BAD_RESPONSE);
    len = bw_head_find_end(in->bytes, in->size, &f->in.scanned);
    if (len == 0)
        return in->size < HEAD_MAX ? STEP_WAIT : refuse(f, BW_REASON_BAD_RESPONSE);
    if (!parse_head(f, len))
        return refuse(f, BW_REASON_BAD_RESPONSE);
    if (f->in.head.status < 200)
        return informational(f);
    if (f->in.head.status == 206 && !f->out.ranged) /* who gets it would take it for the whole */
        return refuse(f, BW_REASON_UNASKED_PART);   /* (RFC 9110, 15.3.7) */
    f->in.framing = bw_head_response_framing(&f->in.head, f->out.method);
    f->in.left = f->in.framing == BW_FRAMING_LENGTH ? f->in.head.content_length : 0;
    f->in.receiving = BW_RECEIVING_BODY;
    f->ops->head(f->ctx, &f->in.head);
    return after_callback(f);
}

static enum step deliver(struct bw_fetch *f, size_t n)
{
    f->ops->data(f->ctx, bw_slice(f->connection->socket->input->bytes, n));
    if (f->state == BW_FETCH_OVER)
        return STEP_OVER;
    bw_connection_consume(f->connection, n);
    return f->paused ? STEP_OVER : STEP_AGAIN;
}

/* RFC 9112, 6.3: exactly so many; what follows them is not ours (and ends the connection). */
static enum step read_length(struct bw_fetch *f)
{
    size_t n = f->connection->socket->input->size;

    if (f->in.left == 0)
        return complete(f);
    if (n == 0)
        return STEP_WAIT;
    if (n > f->in.left)
        n = (size_t)f->in.left;
    f->in.left -= n;
    return deliver(f, n);
}

static enum step read_until_close(struct bw_fetch *f)
{
    size_t n = f->connection->socket->input->size;

    return n > 0 ? deliver(f, n) : STEP_WAIT;
}

/* RFC 9110, 6.5.1: fields that decide about the message itself do not count in its trailers. */
static bool is_trailer_forbidden(enum bw_field_id id)
{
    return is_ours(id) || id == BW_F_TE || id == BW_F_TRAILER || id == BW_F_UPGRADE ||
           id == BW_F_AUTHORIZATION || id == BW_F_CACHE_CONTROL || id == BW_F_CDN_CACHE_CONTROL ||
           id == BW_F_SURROGATE_CONTROL || id == BW_F_CONTENT_ENCODING || id == BW_F_CONTENT_TYPE ||
           id == BW_F_CONTENT_RANGE || id == BW_F_SET_COOKIE || id == BW_F_EXPIRES ||
           id == BW_F_AGE || id == BW_F_VARY || id == BW_F_LOCATION ||
           id == BW_F_WWW_AUTHENTICATE || id == BW_F_PROXY_AUTHENTICATE;
}

static void lower(char *s, size_t n)
{
    for (size_t i = 0; i < n; ++i)
        if (s[i] >= 'A' && s[i] <= 'Z')
            s[i] = (char)(s[i] + ('a' - 'A'));
}

/* False: not a field, or too many of them. */
static bool add_trailer(struct bw_fetch *f, struct bw_slice line)
{
    struct bw_fields *t = &f->in.trailers;
    char *bytes = h2o_mem_alloc_pool(&f->memory, line.len);
    struct bw_slice value, name;
    struct bw_field *field;

    (void)put(bytes, line);
    name = bw_slice_cut(bw_slice(bytes, line.len), ':', &value);
    if (value.base == NULL || !bw_head_token_valid(name) || name.len > BW_HEAD_NAME_MAX)
        return false;
    value = bw_slice_trim(value);
    if (!bw_head_value_valid(value) || t->n == TRAILERS_MAX)
        return false;
    lower(bytes, name.len);
    if (is_trailer_forbidden(bw_field_lookup(name)))
        return true;
    if (t->v == NULL)
        t->v = h2o_mem_alloc_pool(&f->memory, TRAILERS_MAX * sizeof(t->v[0]));
    field = &t->v[t->n++];
    *field = (struct bw_field){name, value, bw_field_lookup(name)};
    return true;
}

static enum step read_chunked(struct bw_fetch *f)
{
    struct bw_connection *c = f->connection;
    struct bw_slice data;
    size_t used = 0;

    if (c->socket->input->size == 0)
        return STEP_WAIT;
    switch (bw_chunked_feed(&f->in.chunked, c->socket->input->bytes, c->socket->input->size, &used,
                            &data)) {
    case BW_CHUNKED_MORE:
        bw_connection_consume(c, used);
        return STEP_WAIT;
    case BW_CHUNKED_DATA:
        f->ops->data(f->ctx, data);
        break;
    case BW_CHUNKED_TRAILER:
        if (!add_trailer(f, data))
            return refuse(f, BW_REASON_BAD_RESPONSE);
        break;
    case BW_CHUNKED_END:
        bw_connection_consume(c, used);
        return complete(f);
    case BW_CHUNKED_BAD:
        return refuse(f, BW_REASON_BAD_RESPONSE);
    }
    if (f->state == BW_FETCH_OVER)
        return STEP_OVER;
    bw_connection_consume(c, used);
    return f->paused ? STEP_OVER : STEP_AGAIN;
}

static enum step read_body(struct bw_fetch *f)
{
    switch (f->in.framing) {
    case BW_FRAMING_NONE:
        return complete(f);
    case BW_FRAMING_LENGTH:
        return read_length(f);
    case BW_FRAMING_CHUNKED:
        return read_chunked(f);
    case BW_FRAMING_CLOSE:
        return read_until_close(f);
    }
    BW_UNREACHABLE();
}

static enum step read_next(struct bw_fetch *f)
{
    switch (f->in.receiving) {
    case BW_RECEIVING_HEAD:
        return read_head(f);
    case BW_RECEIVING_BODY:
        return read_body(f);
    }
    BW_UNREACHABLE();
}

/* Why a connection that closed without a byte did so. */
static enum bw_reason closed_why(const struct bw_fetch *f)
{
    if (f->out.sending == BW_SENDING_BROKEN)
        return BW_REASON_SEND;
    if (f->connection->end == BW_PEER_REFUSED)
        return BW_REASON_TLS; /* in TLS 1.3 our certificate is judged after the handshake */
    return BW_REASON_CLOSED;
}

/* The server has closed and all it sent is consumed. */
static void ended(struct bw_fetch *f)
{
    if (f->in.receiving == BW_RECEIVING_HEAD) {
        if (f->in.begun)
            bw_fetch_fail(f, BW_REASON_CLOSED);
        else
            bw_fetch_broken(f, closed_why(f));
        return;
    }
    /* RFC 9112, 8: only an orderly close ends a body without a length, over TLS a close_notify */
    if (f->in.framing == BW_FRAMING_CLOSE && f->connection->end == BW_PEER_CLOSED)
        (void)complete(f);
    else
        bw_fetch_fail(f, BW_REASON_TRUNCATED);
}

void bw_exchange_readable(struct bw_fetch *f)
{
    enum step step = STEP_AGAIN;

    if (f->state != BW_FETCH_TALKING)
        return;
    while (step == STEP_AGAIN && !f->paused)
        step = read_next(f);
    if (f->state != BW_FETCH_TALKING || f->paused)
        return;
    if (f->connection->end != BW_PEER_OPEN)
        ended(f);
    else
        bw_exchange_arm(f);
}
