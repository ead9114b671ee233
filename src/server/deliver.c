/*
 * deliver.c - a response from the store: the hit path.
 *
 * No lock, no message to another thread, no allocation but from the request's pool.  A body in
 * chunks is written straight from the map where that can be done (one range, checksums known to be
 * right), else copied through a buffer of the worker's free list.  No read transaction outlives the
 * call: a slow client must not hold the store's pages.
 */
#include "breakwater/server/buffers.h"

#include "request_priv.h"

enum {
    SMALL_BUFFER = 4096,
    /* With the head at once: little, for many requests are read in one round of the loop; then in
     * large pieces, one connection at a time (docs/decisions/0013). */
    VIEW_FIRST = 2 * BW_CHUNK_SIZE,
    VIEW_BYTES = 16 * BW_CHUNK_SIZE,
    VIEWS_MAX = 17,
};

/* ---- the head ---- */

static void whole_body(struct bw_request *rq, uint64_t length)
{
    rq->spans = bw_request_alloc(rq, sizeof(*rq->spans));
    rq->spans[0] = (struct span){.first = 0, .end = length};
    rq->spans_n = length != 0 ? 1 : 0;
    rq->read_whole = !rq->found.hit.verified;
}

static void proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct bw_request *rq = H2O_STRUCT_FROM_MEMBER(struct bw_request, generator, generator);

    (void)req;
    bw_resume(rq, STEP_SEND);
}

enum step bw_step_deliver(struct bw_request *rq)
{
    const struct bw_entry *e = &rq->found.entry;

    if (rq->outcome == BW_OUTCOME_HIT || rq->outcome == BW_OUTCOME_UPDATING)
        bw_index_touch(bw_store_index(rq->w->lookup.store), &rq->found.hit);
    bw_reply_from(rq, e->terms.status, e->reason, &e->fields, rq->found.usable.age_s);
    rq->read_whole = false;
    if (bw_shape_reply(rq, &e->fields, e->body_len) == SHAPE_WHOLE)
        whole_body(rq, e->body_len);
    rq->span_at = 0;
    rq->span_position = rq->spans_n != 0 ? rq->spans[0].first : 0;
    rq->generator = (h2o_generator_t){proceed, NULL};
    if (!rq->is_head && rq->spans_n != 0)
        return STEP_SEND;
    bw_respond(rq);
    bw_send_end(rq);
    return STEP_WAIT;
}

enum step bw_deliver_stale(struct bw_request *rq, enum bw_reason why)
{
    rq->outcome = BW_OUTCOME_STALE;
    rq->reason = why;
    rq->stored = false;
    rq->has_ttl = true;
    rq->ttl_s = rq->found.usable.ttl_s;
    return STEP_DELIVER;
}

/* ---- the body ---- */

struct gather {
    h2o_iovec_t v[SPANS_MAX];
    size_t n;
    size_t used; /* bytes of the buffer */
    size_t room;
    char *buffer;
};

enum gathered { GATHERED, GATHER_FULL, GATHER_COLD, GATHER_BROKEN };

static void next_span(struct bw_request *rq)
{
    rq->span_at++;
    if (rq->span_at < rq->spans_n)
        rq->span_position = rq->spans[rq->span_at].first;
}

static void add_piece(struct gather *g, struct bw_slice piece)
{
    h2o_iovec_t *last = g->n != 0 ? &g->v[g->n - 1] : NULL;

    if (last != NULL && last->base + last->len == piece.base)
        last->len += piece.len;
    else
        g->v[g->n++] = h2o_iovec_init(piece.base, piece.len);
}

/* What is in the memory of the request: text between parts, a small body that lies in the record.
 */
static void gather_memory(struct bw_request *rq, struct gather *g, const struct span *s)
{
    struct bw_slice bytes = s->memory;

    if (bytes.base == NULL)
        bytes = bw_slice(rq->found.entry.inline_body.base + s->first, (size_t)(s->end - s->first));
    add_piece(g, bytes);
    next_span(rq);
}

/* Where the budget has no buffer left, the request has a small one: slower, but it goes on. */
static void take_buffer(struct bw_request *rq, struct gather *g)
{
    if (rq->buffer == NULL)
        rq->buffer = bw_buffers_take(rq->w->buffers);
    g->buffer = rq->buffer;
    g->room = BW_BUFFER_SIZE;
    if (g->buffer != NULL)
        return;
    if (rq->small_buffer == NULL)
        rq->small_buffer = bw_request_alloc(rq, SMALL_BUFFER);
    g->buffer = rq->small_buffer;
    g->room = SMALL_BUFFER;
}

static enum gathered gather_stored(struct bw_request *rq, struct gather *g, const struct span *s)
{
    size_t room, got = 0;
    uint64_t left = s->end - rq->span_position;
    enum bw_err err;

    if (g->buffer == NULL)
        take_buffer(rq, g);
    room = g->room - g->used;
    /* whole chunks: the tail of the buffer is not worth a second look at a chunk */
    if (room == 0 ||
        (g->used != 0 && room < left && room < BW_CHUNK_SIZE - rq->span_position % BW_CHUNK_SIZE))
        return GATHER_FULL;
    err = bw_reader_body(rq->w->lookup.reader, rq->found.entry.objid, rq->span_position,
                         left < room ? (size_t)left : room, !rq->found.hit.verified,
                         g->buffer + g->used, &got);
    if (err == BW_ERR_BUSY)
        return GATHER_COLD;
    if (err != BW_OK || got == 0)
        return GATHER_BROKEN;
    add_piece(g, bw_slice(g->buffer + g->used, got));
    g->used += got;
    rq->span_position += got;
    if (rq->span_position == s->end)
        next_span(rq);
    return GATHERED;
}

static enum gathered gather(struct bw_request *rq, struct gather *g)
{
    bool is_inline = rq->found.entry.inline_body.base != NULL;
    enum gathered how = GATHERED;

    while (how == GATHERED && rq->span_at < rq->spans_n) {
        const struct span *s = &rq->spans[rq->span_at];

        if (is_inline || s->memory.base != NULL)
            gather_memory(rq, g, s);
        else
            how = gather_stored(rq, g, s);
    }
    return how;
}

/* The entry lies: drop it.  Who has not got a byte of it yet looks again, as if it were not there.
 */
static enum step broken(struct bw_request *rq)
{
    bw_count(rq->w->counters, BW_C_CHUNK_MISSING, 1);
    bw_writer_drop(rq->w->lookup.store, rq->found.varies ? &rq->found.variant.hash : &rq->key.hash,
                   rq->found.entry.objid);
    if (!rq->responding && rq->lookups < LOOKUPS_MAX)
        return STEP_LOOKUP;
    if (!rq->responding)
        bw_respond(rq);
    bw_send_broken(rq);
    return STEP_WAIT;
}

/* One range of a body in chunks whose checksums are known to be right. */
static bool is_plain(const struct bw_request *rq)
{
    return rq->spans_n == 1 && rq->found.hit.verified && rq->found.entry.inline_body.base == NULL;
}

static void put_buffer(struct bw_request *rq)
{
    if (rq->buffer != NULL)
        bw_buffers_put(rq->w->buffers, rq->buffer);
    rq->buffer = NULL;
}

/*
 * The kernel, or TLS, copies straight from the map, as much as is taken at once.  The views end
 * with this call, what was not taken is looked up again; so no transaction waits for a client, and
 * a slow one holds no buffer.  False: not this way.
 */
static bool send_views(struct bw_request *rq)
{
    struct bw_slice pieces[VIEWS_MAX];
    uint64_t left = rq->spans[0].end - rq->span_position;
    uint64_t most = rq->responding && !rq->x->conn->tls ? VIEW_BYTES : VIEW_FIRST;
    size_t n, accepted;
    bool taken;

    put_buffer(rq);
    if (bw_reader_view(rq->w->lookup.reader, rq->found.entry.objid, rq->span_position,
                       left < most ? left : most, pieces, VIEWS_MAX, &n) != BW_OK) {
        bw_reader_release(rq->w->lookup.reader);
        return false; /* the other way finds the same and deals with it */
    }
    if (!rq->responding)
        bw_respond(rq);
    taken = rq->x->ops->write_now(rq->x, (const h2o_iovec_t *)(const void *)pieces, n, &accepted);
    bw_reader_release(rq->w->lookup.reader);
    rq->span_position += accepted;
    if (rq->span_position == rq->spans[0].end) {
        rq->span_at = rq->spans_n;
        bw_send_end(rq);
    }
    return taken;
}

static size_t read_source(struct bw_body_source *source, char *to, size_t n)
{
    struct bw_request *rq = BW_CONTAINER_OF(source, struct bw_request, source);
    size_t got = 0;

    if (bw_reader_body(rq->w->lookup.reader, rq->found.entry.objid, rq->span_position, n, false, to,
                       &got) != BW_OK)
        got = 0;
    rq->source_is_stuck = got == 0;
    rq->span_position += got;
    if (rq->span_position == rq->spans[0].end)
        rq->span_at = rq->spans_n;
    return got;
}

/* What is not at hand is sent the other way once: it waits for pages, or finds what is wrong. */
static bool send_from_source(struct bw_request *rq)
{
    if (rq->source_is_stuck)
        return false;
    put_buffer(rq);
    if (!rq->responding)
        bw_respond(rq);
    rq->source.read = read_source;
    rq->x->ops->send_from(rq->x, &rq->source, rq->spans[0].end - rq->span_position);
    return true;
}

static bool send_without_buffer(struct bw_request *rq)
{
    if (!is_plain(rq))
        return false;
    if (rq->x->ops->send_from != NULL)
        return send_from_source(rq);
    return rq->x->ops->write_now != NULL && send_views(rq);
}

enum step bw_step_send(struct bw_request *rq)
{
    struct gather g = {.n = 0};
    enum gathered how;

    if (send_without_buffer(rq))
        return STEP_WAIT;
    how = gather(rq, &g);
    if (how == GATHER_BROKEN)
        return broken(rq);
    if (how == GATHER_COLD && g.n == 0) {
        const struct bw_hash none = {{0}};

        return bw_wait_for_pages(rq, &none, rq->found.entry.objid, rq->span_position, STEP_SEND);
    }
    if (rq->span_at == rq->spans_n && rq->read_whole && rq->reply.status != 206)
        bw_index_verified(bw_store_index(rq->w->lookup.store), &rq->found.hit);
    rq->source_is_stuck = false;
    if (!rq->responding)
        bw_respond(rq);
    h2o_send(&rq->x->req, g.v, g.n,
             rq->span_at == rq->spans_n ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
    return STEP_WAIT;
}
