/*
 * test_multipart.c - the framing of several ranges, byte for byte.
 */
#include "breakwater/http/multipart.h"

#include "fields.h"

static const char body[] = "0123456789";

static void build(const struct bw_multipart *m, struct bw_buf *out)
{
    for (size_t i = 0; i < m->ranges->n; i++) {
        const struct bw_range *r = &m->ranges->v[i];

        bw_multipart_head(m, i, out);
        bw_buf_append(out, body + r->first, r->last - r->first + 1);
    }
    bw_multipart_end(m, out);
}

TEST(a_body_of_two_ranges_is_framed_and_its_length_known)
{
    struct bw_ranges ranges = {.v = {{0, 1}, {8, 9}}, .n = 2};
    struct bw_multipart m;
    struct bw_buf out = {0};
    char type[BW_MULTIPART_TYPE_MAX];

    bw_multipart_init(&m, &ranges, 10, BW_S("text/plain"), 0xfeed);
    build(&m, &out);
    assert_text(bw_slice(type, bw_multipart_type(&m, type)),
                "multipart/byteranges; boundary=breakwater-000000000000feed");
    assert_text(bw_buf_view(&out), "--breakwater-000000000000feed\r\n"
                                   "Content-Type: text/plain\r\n"
                                   "Content-Range: bytes 0-1/10\r\n\r\n01\r\n"
                                   "--breakwater-000000000000feed\r\n"
                                   "Content-Type: text/plain\r\n"
                                   "Content-Range: bytes 8-9/10\r\n\r\n89\r\n"
                                   "--breakwater-000000000000feed--\r\n");
    assert_int_equal(bw_multipart_length(&m), out.len);
    bw_buf_free(&out);
}

TEST(a_part_without_a_type_has_no_type_line)
{
    struct bw_ranges ranges = {.v = {{0, 0}, {2, 2}, {4, 9}}, .n = 3};
    struct bw_multipart m;
    struct bw_buf out = {0};

    bw_multipart_init(&m, &ranges, 10, bw_slice(NULL, 0), UINT64_MAX);
    build(&m, &out);
    assert_null(memmem(out.base, out.len, "Content-Type", 12));
    assert_int_equal(bw_multipart_length(&m), out.len);
    bw_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_body_of_two_ranges_is_framed_and_its_length_known),
        RUN(a_part_without_a_type_has_no_type_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
