/*
 * fuzz_chunked.c - a chunked message means the same in one piece and in many.
 *
 * The first byte of the input is the size of the pieces, the rest is the message.
 */
#include "breakwater/base/buf.h"
#include "breakwater/base/check.h"
#include "breakwater/http/chunked.h"
#include "breakwater/http/head.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

struct decoded {
    enum bw_chunked_event end;
    size_t used;
    struct bw_buf body, trailers;
};

static void take(struct decoded *r, enum bw_chunked_event event, struct bw_slice data)
{
    if (event == BW_CHUNKED_DATA)
        bw_buf_slice(&r->body, data);
    if (event != BW_CHUNKED_TRAILER)
        return;
    BW_ASSERT(bw_head_value_valid(data));
    bw_buf_slice(&r->trailers, data);
    bw_buf_char(&r->trailers, '\n');
}

static size_t feed(struct bw_chunked *d, struct bw_slice input, struct decoded *r)
{
    size_t at = 0;

    for (;;) {
        size_t used;
        struct bw_slice data;
        r->end = bw_chunked_feed(d, input.base + at, input.len - at, &used, &data);
        BW_ASSERT(used <= input.len - at);
        at += used;
        take(r, r->end, data);
        if (r->end != BW_CHUNKED_DATA && r->end != BW_CHUNKED_TRAILER)
            return at;
    }
}

static struct decoded decode(struct bw_slice message, size_t step)
{
    struct bw_chunked d = {0};
    struct decoded r = {.end = BW_CHUNKED_MORE};
    size_t to = 0;

    while (r.end == BW_CHUNKED_MORE && to < message.len) {
        to = to + step < message.len ? to + step : message.len;
        size_t len = to - r.used;
        char *piece = malloc(len + 1); /* of its own, so that a byte read too many is seen */
        memcpy(piece, message.base + r.used, len);
        r.used += feed(&d, bw_slice(piece, len), &r);
        free(piece);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return 0;
    struct bw_slice message = bw_slice((const char *)bytes + 1, n - 1);
    struct decoded whole = decode(message, message.len + 1);
    struct decoded pieces = decode(message, (size_t)bytes[0] + 1);

    BW_ASSERT(whole.end == pieces.end);
    BW_ASSERT(whole.end != BW_CHUNKED_END || whole.used == pieces.used);
    BW_ASSERT(bw_slice_eq(bw_buf_view(&whole.body), bw_buf_view(&pieces.body)));
    BW_ASSERT(bw_slice_eq(bw_buf_view(&whole.trailers), bw_buf_view(&pieces.trailers)));
    BW_ASSERT(whole.trailers.len <= BW_CHUNKED_TRAILER_MAX);
    bw_buf_free(&whole.body);
    bw_buf_free(&whole.trailers);
    bw_buf_free(&pieces.body);
    bw_buf_free(&pieces.trailers);
    return 0;
}
