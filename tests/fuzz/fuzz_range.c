/*
 * fuzz_range.c - whatever a Range says, its parts lie inside the length, ascend and do not overlap;
 * what we write as Content-Range we read back; multipart bodies are as long as announced.
 *
 * Input: 8 bytes of length, then the value of a field.
 */
#include "breakwater/base/check.h"
#include "breakwater/http/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct bw_range *range, uint64_t length)
{
    char text[BW_RANGE_TEXT_MAX];
    struct bw_content_range back;

    BW_ASSERT(bw_range_parse_content(bw_slice(text, bw_range_text(range, length, text)), &back));
    BW_ASSERT(back.has_range && back.has_length && back.length == length);
    BW_ASSERT(back.range.first == range->first && back.range.last == range->last);
}

static void check_multipart(const struct bw_ranges *ranges, uint64_t length)
{
    struct bw_multipart m;
    struct bw_buf out = {0};
    uint64_t bytes = 0;

    bw_multipart_init(&m, ranges, length, BW_S("a/b"), length);
    for (size_t i = 0; i < ranges->n; i++) {
        bw_multipart_head(&m, i, &out);
        bytes += ranges->v[i].last - ranges->v[i].first + 1;
    }
    bw_multipart_end(&m, &out);
    BW_ASSERT(bytes + out.len == bw_multipart_length(&m));
    bw_buf_free(&out);
}

static void check_ranges(const struct bw_ranges *ranges, uint64_t length)
{
    BW_ASSERT(ranges->n >= 1 && ranges->n <= BW_RANGE_MAX);
    for (size_t i = 0; i < ranges->n; i++) {
        const struct bw_range *r = &ranges->v[i];

        BW_ASSERT(r->first <= r->last && r->last < length);
        BW_ASSERT(i == 0 || ranges->v[i - 1].last < r->first);
        check_round_trip(r, length);
    }
    check_multipart(ranges, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bw_ranges ranges;
    struct bw_content_range content;
    uint64_t length;

    if (size < sizeof length)
        return 0;
    memcpy(&length, data, sizeof length);
    struct bw_slice value = bw_slice((const char *)data + sizeof length, size - sizeof length);
    struct bw_field v[] = {{BW_S("range"), value, BW_F_RANGE}};
    struct bw_fields request = {v, 1};

    if (bw_range_evaluate(&request, length, &ranges) == BW_RANGE_PARTIAL)
        check_ranges(&ranges, length);
    if (bw_range_parse_content(value, &content) && content.has_range)
        BW_ASSERT(content.range.first <= content.range.last &&
                  (!content.has_length || content.range.last < content.length));
    return 0;
}
