/*
 * chunked.c - the chunked coding as a machine that takes its bytes in pieces of any size.
 *
 *     SIZE -> [EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *                               `-> TRAILER ... -> DONE          after the chunk of size 0
 *
 * What others forgive is an attack here (security.md 4): `0x3`, a blank after the size, LF alone,
 * CR inside an extension, extensions and zeros without end.  Sizes have at most 15 digits, so that
 * `left` cannot overflow.  A trailer line is looked at only when it is there as a whole; until then
 * its bytes stay with the caller, so this machine needs no memory.
 */
#include "breakwater/http/chunked.h"

#include "breakwater/base/check.h"
#include "breakwater/http/head.h"

enum state {
    SIZE,      /* hex digits */
    EXTENSION, /* after ';', up to CR */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the start of a trailer line or of the empty line */
    DONE,
    BROKEN,
};

enum { DIGITS_MAX = 15 };

/* What is left of the caller's bytes. */
struct input {
    const char *p;
    const char *end;
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Digits, and the byte that ends them: CR or ';' at once (RFC 9112, 7.1). */
static enum state read_size(struct bw_chunked *d, struct input *in)
{
    while (in->p < in->end) {
        int value = hex_value(*in->p);
        if (value < 0)
            break;
        if (++d->digits > DIGITS_MAX)
            return BROKEN;
        d->left = d->left << 4 | (uint64_t)value;
        ++in->p;
    }
    if (in->p == in->end)
        return SIZE;
    char c = *in->p++;
    if (d->digits == 0 || (c != '\r' && c != ';'))
        return BROKEN;
    return c == '\r' ? SIZE_LF : EXTENSION;
}

/* Extensions mean nothing to us and are dropped, but they are counted (RFC 9112, 7.1.1). */
static enum state read_extension(struct bw_chunked *d, struct input *in)
{
    size_t n = (size_t)(in->end - in->p);
    const char *cr = memchr(in->p, '\r', n);

    if (cr != NULL)
        n = (size_t)(cr - in->p);
    if (n > BW_CHUNKED_EXT_MAX - (size_t)d->extension || !bw_head_value_valid(bw_slice(in->p, n)))
        return BROKEN;
    d->extension = (uint16_t)(d->extension + n);
    in->p += n;
    if (cr == NULL)
        return EXTENSION;
    ++in->p;
    return SIZE_LF;
}

static enum state read_size_lf(struct bw_chunked *d, struct input *in)
{
    if (*in->p++ != '\n')
        return BROKEN;
    d->digits = 0;
    return d->left > 0 ? DATA : TRAILER;
}

static enum state read_data(struct bw_chunked *d, struct input *in, struct bw_slice *data)
{
    size_t n = (size_t)(in->end - in->p);

    if (n > d->left)
        n = (size_t)d->left;
    *data = bw_slice(in->p, n);
    in->p += n;
    d->left -= n;
    return d->left > 0 ? DATA : DATA_CR;
}

static enum state expect(struct input *in, char c, enum state next)
{
    return *in->p++ == c ? next : BROKEN;
}

/* A field line by the same rules as in a head (RFC 9112, 5; 7.1.2). */
static bool is_field_line(struct bw_slice line)
{
    struct bw_slice value;
    struct bw_slice name = bw_slice_cut(line, ':', &value);

    return value.base != NULL && bw_head_token_valid(name) && bw_head_value_valid(value);
}

/* One whole line, empty at the end of the message; TRAILER with nothing consumed: not yet whole. */
static enum state read_trailer(struct bw_chunked *d, struct input *in, struct bw_slice *line)
{
    size_t n = (size_t)(in->end - in->p);
    const char *lf = memchr(in->p, '\n', n);

    if (lf != NULL)
        n = (size_t)(lf - in->p) + 1;
    if (n > BW_CHUNKED_TRAILER_MAX - d->trailers)
        return BROKEN;
    if (lf == NULL)
        return TRAILER;
    if (n < 2 || lf[-1] != '\r')
        return BROKEN;
    *line = bw_slice(in->p, n - 2);
    in->p += n;
    if (line->len == 0)
        return DONE;
    d->trailers += (uint32_t)n;
    return is_field_line(*line) ? TRAILER : BROKEN;
}

static enum state step(struct bw_chunked *d, struct input *in, struct bw_slice *data)
{
    switch ((enum state)d->state) {
    case SIZE:
        return read_size(d, in);
    case EXTENSION:
        return read_extension(d, in);
    case SIZE_LF:
        return read_size_lf(d, in);
    case DATA:
        return read_data(d, in, data);
    case DATA_CR:
        return expect(in, '\r', DATA_LF);
    case DATA_LF:
        return expect(in, '\n', SIZE);
    case TRAILER:
        return read_trailer(d, in, data);
    case DONE:
    case BROKEN:
        return (enum state)d->state;
    }
    BW_UNREACHABLE();
}

/* What the step from `before` has to tell the caller; MORE: nothing, go on while bytes are left. */
static enum bw_chunked_event event_after(enum state before, enum state now, bool has_data)
{
    if (now == BROKEN)
        return BW_CHUNKED_BAD;
    if (now == DONE)
        return BW_CHUNKED_END;
    if (!has_data)
        return BW_CHUNKED_MORE;
    return before == TRAILER ? BW_CHUNKED_TRAILER : BW_CHUNKED_DATA;
}

enum bw_chunked_event bw_chunked_feed(struct bw_chunked *d, const char *p, size_t n, size_t *used,
                                      struct bw_slice *data)
{
    const char *from = n > 0 ? p : ""; /* NULL with n == 0 is nothing, not an error */
    struct input in = {from, from + n};
    enum bw_chunked_event event = event_after(SIZE, (enum state)d->state, false);
    bool is_stuck = false; /* at a trailer line that is not whole */

    *data = bw_slice(NULL, 0);
    while (event == BW_CHUNKED_MORE && in.p < in.end && !is_stuck) {
        const char *before_step = in.p;
        enum state before = (enum state)d->state;
        enum state now = step(d, &in, data);

        d->state = (uint8_t)now;
        event = event_after(before, now, data->len > 0);
        is_stuck = in.p == before_step;
    }
    if (event != BW_CHUNKED_DATA && event != BW_CHUNKED_TRAILER)
        *data = bw_slice(NULL, 0);
    *used = (size_t)(in.p - from);
    return event;
}
