/*
 * multipart.c - the framing of multipart/byteranges.
 *
 * Heads are written by one function and measured by another; the unit test holds them together.
 */
#include "breakwater/http/multipart.h"

#include "breakwater/base/check.h"
#include "breakwater/http/text.h"

static const char type_label[] = "Content-Type: ";
static const char range_label[] = "Content-Range: ";

void bw_multipart_init(struct bw_multipart *m, const struct bw_ranges *ranges, uint64_t length,
                       struct bw_slice content_type, uint64_t nonce)
{
    char *end = bw_text_hex(bw_text_str(m->boundary, "breakwater-"), nonce);

    BW_ASSERT(end == m->boundary + sizeof m->boundary);
    m->ranges = ranges;
    m->length = length;
    m->content_type = content_type;
}

size_t bw_multipart_type(const struct bw_multipart *m, char out[BW_MULTIPART_TYPE_MAX])
{
    char *at = bw_text_str(out, "multipart/byteranges; boundary=");

    return (size_t)(bw_text_slice(at, bw_slice(m->boundary, sizeof m->boundary)) - out);
}

static uint64_t head_length(const struct bw_multipart *m, size_t i)
{
    char range[BW_RANGE_TEXT_MAX];
    uint64_t n = (i > 0 ? 4U : 2U) + sizeof m->boundary + 2;

    if (m->content_type.len > 0)
        n += sizeof type_label - 1 + m->content_type.len + 2;
    return n + sizeof range_label - 1 + bw_range_text(&m->ranges->v[i], m->length, range) + 4;
}

uint64_t bw_multipart_length(const struct bw_multipart *m)
{
    uint64_t n = 2 + 2 + sizeof m->boundary + 2 + 2;

    for (size_t i = 0; i < m->ranges->n; i++)
        n += head_length(m, i) + m->ranges->v[i].last - m->ranges->v[i].first + 1;
    return n;
}

void bw_multipart_head(const struct bw_multipart *m, size_t i, struct bw_buf *out)
{
    char range[BW_RANGE_TEXT_MAX];

    BW_ASSERT(i < m->ranges->n);
    bw_buf_str(out, i > 0 ? "\r\n--" : "--");
    bw_buf_append(out, m->boundary, sizeof m->boundary);
    bw_buf_str(out, "\r\n");
    if (m->content_type.len > 0) {
        bw_buf_str(out, type_label);
        bw_buf_slice(out, m->content_type);
        bw_buf_str(out, "\r\n");
    }
    bw_buf_str(out, range_label);
    bw_buf_append(out, range, bw_range_text(&m->ranges->v[i], m->length, range));
    bw_buf_str(out, "\r\n\r\n");
}

void bw_multipart_end(const struct bw_multipart *m, struct bw_buf *out)
{
    bw_buf_str(out, "\r\n--");
    bw_buf_append(out, m->boundary, sizeof m->boundary);
    bw_buf_str(out, "--\r\n");
}
