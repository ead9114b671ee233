/*
 * http2_priority.c - what a client wants first: PRIORITY_UPDATE  (RFC 9218, 7.1).
 *
 * nghttp2 could read these frames itself, but libnghttp2 1.52 makes a stream of each that comes
 * before its request, never takes it off its list of idle streams again, and then writes through
 * that list into streams that it has freed.  So the frame is read here.  What is said of a request
 * that has not begun is kept for a few, as section 7.1 asks for; the Priority field of a request is
 * left to nghttp2.
 */
#include "breakwater/base/check.h"
#include "breakwater/http/structured.h"

#include "http2_priv.h"

#include <string.h>

enum { ID_BYTES = 4 };

/* RFC 9218, 4: what is unknown or out of its bounds is passed over; false: nothing can be read. */
static bool parse(struct bw_slice text, nghttp2_extpri *out)
{
    struct bw_field field = {.name = BW_S("priority"), .value = text, .id = BW_F_PRIORITY};
    struct bw_fields fields = {&field, 1};
    struct bw_sf_iter it = {0};
    struct bw_sf_member m;

    *out = (nghttp2_extpri){.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY};
    while (bw_sf_dict_next(&fields, BW_F_PRIORITY, &it, &m)) {
        if (bw_slice_eq(m.key, BW_S("u")) && m.value.type == BW_SF_INTEGER && m.value.number >= 0 &&
            m.value.number <= NGHTTP2_EXTPRI_URGENCY_LOW)
            out->urgency = (uint32_t)m.value.number;
        if (bw_slice_eq(m.key, BW_S("i")) && m.value.type == BW_SF_BOOLEAN)
            out->inc = (int)m.value.number;
    }
    return !it.failed;
}

static void set(struct bw_h2_stream *st, const nghttp2_extpri *priority)
{
    st->prioritised = true;
    (void)nghttp2_session_change_extpri_stream_priority(st->conn->session, st->id, priority, 0);
}

/* The place of what is known of that request, or else of what was said the longest time ago. */
static struct bw_h2_early *place_for(struct bw_http2 *c, int32_t id)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(c->update.early); i++)
        if (c->update.early[i].id == id)
            return &c->update.early[i];
    return &c->update.early[c->update.next++ % BW_ARRAY_LEN(c->update.early)];
}

static void take(struct bw_http2 *c, int32_t id, const nghttp2_extpri *priority)
{
    struct bw_h2_stream *st = bw_h2_stream(c, id);

    if (st != NULL)
        set(st, priority);
    else if (id % 2 != 0 && id > nghttp2_session_get_last_proc_stream_id(c->session))
        *place_for(c, id) = (struct bw_h2_early){id, *priority};
}

void bw_h2_prioritise(struct bw_h2_stream *st)
{
    struct bw_http2 *c = st->conn;

    for (size_t i = 0; i < BW_ARRAY_LEN(c->update.early); i++)
        if (c->update.early[i].id == st->id) {
            set(st, &c->update.early[i].priority);
            c->update.early[i].id = 0;
        }
}

static int is_wrong(struct bw_http2 *c, uint32_t code)
{
    bw_h2_end(c, code);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* A piece of a frame that nghttp2 does not know; it was counted when it began. */
static int on_piece(nghttp2_session *session, const nghttp2_frame_hd *hd, const uint8_t *bytes,
                    size_t n, void *user)
{
    struct bw_http2 *c = user;
    size_t room = sizeof(c->update.bytes) - c->update.n;

    (void)session;
    if (hd->type != NGHTTP2_PRIORITY_UPDATE)
        return 0;
    memcpy(c->update.bytes + c->update.n, bytes, n < room ? n : room);
    c->update.n += n < room ? n : room;
    return 0;
}

/* It is whole.  That there is nothing to unpack is all that nghttp2 hears. */
static int on_whole(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd,
                    void *user)
{
    struct bw_http2 *c = user;
    const unsigned char *id = (const unsigned char *)c->update.bytes;
    size_t n = c->update.n;
    nghttp2_extpri priority;
    uint32_t stream;

    (void)session, (void)payload;
    if (hd->type != NGHTTP2_PRIORITY_UPDATE)
        return NGHTTP2_ERR_CANCEL;
    c->update.n = 0;
    if (n < ID_BYTES)
        return is_wrong(c, NGHTTP2_FRAME_SIZE_ERROR);
    stream = (uint32_t)(id[0] & 0x7f) << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    if (hd->stream_id != 0 || stream == 0)
        return is_wrong(c, NGHTTP2_PROTOCOL_ERROR);
    /* whoever needs more bytes for a priority than we keep has not said one that we know */
    if (hd->length <= sizeof(c->update.bytes) &&
        parse(bw_slice(c->update.bytes + ID_BYTES, n - ID_BYTES), &priority))
        take(c, (int32_t)stream, &priority);
    return NGHTTP2_ERR_CANCEL;
}

void bw_h2_prioritising(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(callbacks, on_piece);
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_whole);
}
