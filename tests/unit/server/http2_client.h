/*
 * http2_client.h - an HTTP/2 client on the stand of wire_stand.h, frames and HPACK by nghttp2.
 *
 * One session a test.  ask() begins a stream; WAIT_FOR() turns client and loop until what is waited
 * for has come, or five seconds have passed (the clocks of HTTP/2 tick once a second).  What no
 * client library would send goes out by frame(), byte for byte.
 */
#pragma once

#include "breakwater/server/http2.h"

#include "wire_handler.h"

#include <nghttp2/nghttp2.h>

enum { STREAMS_MAX = 400, CLIENT_PATIENCE_MS = 5000, SMALL = 512 };

struct h2_stream {
    int32_t id;
    int status; /* of the final response */
    int early[4];
    size_t early_n;
    char fields[SMALL], early_fields[SMALL], trailers[SMALL]; /* "name: value\n" each */
    char body[SMALL];                                         /* the beginning of it */
    size_t body_n;
    bool ended;  /* END_STREAM has come */
    bool closed; /* by both, or reset */
    uint32_t code;
    size_t upload_left; /* bytes of filler that are to be sent */
    bool upload_stays_open;
};

static struct {
    nghttp2_session *session;
    struct h2_stream stream[STREAMS_MAX];
    size_t n;
    bool gone; /* GOAWAY has come */
    int goaways;
    uint32_t goaway_code;
    int32_t goaway_last;
    bool takes; /* what comes is taken from the windows */
    int pongs;
} client;

#define NV(name, value)                                                                            \
    (nghttp2_nv)                                                                                   \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value),  \
            0                                                                                      \
    }

static inline struct h2_stream *stream_of(int32_t id)
{
    for (size_t i = 0; i < client.n; i++)
        if (client.stream[i].id == id)
            return &client.stream[i];
    return NULL;
}

static inline void append(char *to, const char *bytes, size_t n)
{
    size_t at = strnlen(to, SMALL - 1), room = SMALL - 1 - at;

    memcpy(to + at, bytes, n < room ? n : room);
}

static inline void append_field(char *to, const uint8_t *name, size_t name_n, const uint8_t *value,
                                size_t value_n)
{
    append(to, (const char *)name, name_n);
    append(to, ": ", 2);
    append(to, (const char *)value, value_n);
    append(to, "\n", 1);
}

// NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's
static inline int hears_field(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
                              size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
                              void *user)
{
    struct h2_stream *s = stream_of(f->hd.stream_id);
    int status;

    (void)session, (void)flags, (void)user;
    BW_ASSERT(s != NULL);
    if (name_n == 7 && memcmp(name, ":status", 7) == 0) {
        status = atoi((const char *)value);
        if (status >= 200)
            s->status = status;
        else
            s->early[s->early_n++ % 4] = status;
        return 0;
    }
    append_field(s->body_n > 0 || s->ended ? s->trailers
                 : s->status != 0          ? s->fields
                                           : s->early_fields,
                 name, name_n, value, value_n);
    return 0;
}

static inline int hears_data(nghttp2_session *session, uint8_t flags, int32_t id,
                             const uint8_t *bytes, size_t n, void *user)
{
    struct h2_stream *s = stream_of(id);

    (void)flags, (void)user;
    BW_ASSERT(s != NULL);
    append(s->body, (const char *)bytes, n);
    s->body_n += n;
    if (client.takes)
        nghttp2_session_consume(session, id, n);
    return 0;
}

static inline int hears_frame(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
    struct h2_stream *s = stream_of(f->hd.stream_id);

    (void)session, (void)user;
    if (f->hd.type == NGHTTP2_GOAWAY) {
        client.gone = true;
        client.goaways++;
        client.goaway_code = f->goaway.error_code;
        client.goaway_last = f->goaway.last_stream_id;
    }
    client.pongs += f->hd.type == NGHTTP2_PING;
    if (s != NULL && (f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS))
        s->ended |= (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    return 0;
}

static inline int hears_end(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct h2_stream *s = stream_of(id);

    (void)session, (void)user;
    if (s != NULL) {
        s->closed = true;
        s->code = code;
    }
    return 0;
}

static inline ssize_t gives_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                                 uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct h2_stream *s = stream_of(id);
    size_t n = s->upload_left < room ? s->upload_left : room;

    (void)session, (void)source, (void)user;
    if (n == 0 && s->upload_stays_open)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(buf, filler, n);
    s->upload_left -= n;
    if (s->upload_left == 0 && !s->upload_stays_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* ---- the connection ---- */

static inline int h2_stand_up(void **state)
{
    stand_up(state);
    stand->start = bw_http2_start;
    memset(&client, 0, sizeof(client));
    client.takes = true;
    memset(filler, 'a', sizeof(filler));
    return 0;
}

static inline int h2_stand_down(void **state)
{
    nghttp2_session_del(client.session);
    return stand_down(state);
}

static inline void say_settings(uint32_t window)
{
    const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};

    nghttp2_submit_settings(client.session, NGHTTP2_FLAG_NONE, &entry, 1);
}

static inline void open_session(uint32_t window)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;

    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_peer_max_concurrent_streams(options, 1000);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, hears_field);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, hears_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, hears_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, hears_end);
    assert_int_equal(nghttp2_session_client_new2(&client.session, callbacks, NULL, options), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    say_settings(window);
    connect_client();
}

static inline void open_client(void)
{
    open_session(65535);
}

/* Everything that the session has to say; a server that has closed is not a failure. */
static inline void client_says(void)
{
    const uint8_t *bytes;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(client.session, &bytes)) > 0 && !stand->closed) {
        while (n > 0) {
            ssize_t did = send(stand->fd, bytes, (size_t)n, MSG_NOSIGNAL);

            if (did < 0 && errno != EAGAIN)
                return;
            if (did < 0)
                bw_loop_run(stand->loop, 1);
            bytes += did > 0 ? did : 0;
            n -= did > 0 ? did : 0;
        }
    }
}

static inline void client_hears(void)
{
    listen_once();
    if (stand->heard_n > 0)
        assert_true(nghttp2_session_mem_recv(client.session, (const uint8_t *)stand->heard,
                                             stand->heard_n) >= 0);
    forget();
}

static inline void client_turn(void)
{
    client_says();
    bw_loop_run(stand->loop, 1);
    client_hears();
}

static inline void client_turns(int n)
{
    for (int i = 0; i < n; i++)
        client_turn();
}

/* Client and loop go on until it is true. */
#define WAIT_FOR(what)                                                                             \
    do {                                                                                           \
        int64_t wait_end = bw_clock_mono_us() / 1000 + CLIENT_PATIENCE_MS;                         \
        while (!(what) && bw_clock_mono_us() / 1000 < wait_end)                                    \
            client_turn();                                                                         \
        assert_true(what);                                                                         \
    } while (0)

/* A frame of any kind, behind what the session has to say. */
static inline void frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t n)
{
    char head[9] = {(char)(n >> 16),  (char)(n >> 8),   (char)n,         (char)type, (char)flags,
                    (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};

    client_says();
    (void)!send(stand->fd, head, sizeof(head), MSG_NOSIGNAL);
    if (n > 0)
        (void)!send(stand->fd, payload, n, MSG_NOSIGNAL);
}

/* ---- requests ---- */

static inline struct h2_stream *begin_request(const nghttp2_nv *nv, size_t n, bool has_body)
{
    nghttp2_data_provider body = {{0}, gives_body};
    struct h2_stream *s = &client.stream[client.n++];

    BW_ASSERT(client.n <= STREAMS_MAX);
    s->id = nghttp2_submit_request(client.session, NULL, nv, n, has_body ? &body : NULL, NULL);
    assert_true(s->id > 0);
    return s;
}

static inline struct h2_stream *ask(const char *method, const char *path)
{
    nghttp2_nv nv[] = {NV(":method", method), NV(":scheme", "http"), NV(":authority", "a"),
                       NV(":path", path)};

    return begin_request(nv, 4, false);
}

static inline struct h2_stream *get(const char *path)
{
    return ask("GET", path);
}

/* A POST of `bytes` of filler, with one more field. */
static inline struct h2_stream *upload_with(const char *path, size_t bytes, const char *name,
                                            const char *value)
{
    nghttp2_nv nv[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":authority", "a"),
                       NV(":path", path), NV(name, value)};
    struct h2_stream *s = begin_request(nv, 5, true);

    s->upload_left = bytes;
    return s;
}

static inline struct h2_stream *upload(const char *path, size_t bytes)
{
    return upload_with(path, bytes, "x", "y");
}

static inline struct h2_stream *open_upload(const char *path, size_t bytes)
{
    struct h2_stream *s = upload(path, bytes);

    s->upload_stays_open = true;
    return s;
}

static inline void send_more(struct h2_stream *s, size_t bytes)
{
    s->upload_left += bytes;
    nghttp2_session_resume_data(client.session, s->id);
}

static inline void end_upload(struct h2_stream *s)
{
    s->upload_stays_open = false;
    nghttp2_session_resume_data(client.session, s->id);
}

static inline void reset(struct h2_stream *s)
{
    nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
}

/* ---- what has come ---- */

static inline void is_answered(const struct h2_stream *s, int status, const char *body)
{
    WAIT_FOR(s->closed);
    assert_int_equal(s->status, status);
    assert_string_equal(s->body, body);
    assert_true(s->ended);
    assert_int_equal(s->code, NGHTTP2_NO_ERROR);
}

static inline void is_reset(const struct h2_stream *s, uint32_t code)
{
    WAIT_FOR(s->closed);
    assert_false(s->ended);
    assert_int_equal(s->code, code);
}

static inline void still_serves(void)
{
    is_answered(get("/"), 200, "hello");
    assert_false(stand->closed || client.gone);
}

/* The client has heard the end of it and closes, too: nothing is left of the connection. */
static inline void hangs_up(void)
{
    WAIT_FOR(stand->closed);
    close(stand->fd);
    stand->fd = -1;
    for (int i = 0; i < 10 && !h2o_linklist_is_empty(&stand->w.conns); i++)
        bw_loop_run(stand->loop, 0);
    assert_true(h2o_linklist_is_empty(&stand->w.conns));
}

/* The connection ends, and says why. */
static inline void is_told_off(uint32_t code)
{
    WAIT_FOR(stand->closed);
    assert_true(client.gone);
    assert_int_equal(client.goaway_code, code);
    hangs_up();
}
