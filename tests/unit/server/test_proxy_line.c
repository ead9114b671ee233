/* The PROXY protocol: what is whole, what is not yet, and what is refused. */
#include "breakwater/server/proxy_line.h"

#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* a literal with zeros in it */
#define RAW(literal) literal, sizeof(literal) - 1

static const struct {
    const char *bytes;
    size_t n;
    enum bw_proxy_verdict verdict;
    const char *client; /* with OTHER: "address port" */
} lines[] = {
    {RAW("PROXY TCP4 192.0.2.1 198.51.100.2 1024 80\r\n"), BW_PROXY_OTHER, "::ffff:192.0.2.1 1024"},
    {RAW("PROXY TCP4 192.0.2.1 198.51.100.2 0 65535\r\nGET"), BW_PROXY_OTHER, "::ffff:192.0.2.1 0"},
    {RAW("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), BW_PROXY_OTHER, "2001:db8::1 1"},
    {RAW("PROXY UNKNOWN\r\n"), BW_PROXY_PEER, NULL},
    {RAW("PROXY UNKNOWN whatever comes here\r\n"), BW_PROXY_PEER, NULL},
    {RAW("PROXY UNKNOWNX\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP4 192.0.2.1 198.51.100.2 1024 80\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP4 192.0.2.1 198.51.100.2 01024 80\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP4 192.0.2.1 198.51.100.2 65536 80\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP4 192.0.2.1 198.51.100.2 1024\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP4 192.0.2.1 198.51.100.2 1024 80 1\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP4  192.0.2.1 198.51.100.2 1024 80\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP4 192.0.2.256 198.51.100.2 1024 80\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP4 192.0.2.1\0 198.51.100.2 1024 80\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP4 ::1 ::1 1024 80\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY TCP6 192.0.2.1 198.51.100.2 1024 80\r\n"), BW_PROXY_BAD, NULL},
    {RAW("PROXY UDP4 192.0.2.1 198.51.100.2 1024 80\r\n"), BW_PROXY_BAD, NULL},
    {RAW("proxy TCP4 192.0.2.1 198.51.100.2 1024 80\r\n"), BW_PROXY_BAD, NULL},
    {RAW("GET / HTTP/1.1\r\n"), BW_PROXY_BAD, NULL},
    {RAW("\x16\x03\x01"), BW_PROXY_BAD, NULL},
    {RAW(SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\4\0\0\x50"), BW_PROXY_OTHER,
     "::ffff:192.0.2.1 1024"},
    {RAW(SIGNATURE "\x21\x11\0\x11\xc0\0\2\1\xc6\x33\x64\2\4\0\0\x50\4\0\2ab"), BW_PROXY_OTHER,
     "::ffff:192.0.2.1 1024"},
    {RAW(SIGNATURE "\x21\x11\0\x11\xc0\0\2\1\xc6\x33\x64\2\4\0\0\x50\4\0\3ab"), BW_PROXY_BAD, NULL},
    {RAW(SIGNATURE "\x21\x21\0\x24"
                   "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2"),
     BW_PROXY_OTHER, "2001:db8::1 1"},
    {RAW(SIGNATURE "\x20\0\0\0"), BW_PROXY_PEER, NULL},
    {RAW(SIGNATURE "\x20\x11\0\2ab"), BW_PROXY_PEER, NULL},
    {RAW(SIGNATURE "\x21\0\0\2ab"), BW_PROXY_PEER, NULL},
    {RAW(SIGNATURE "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\2\4\0\0"), BW_PROXY_BAD, NULL},
    {RAW(SIGNATURE "\x21\x12\0\x0c\xc0\0\2\1\xc6\x33\x64\2\4\0\0\x50"), BW_PROXY_BAD, NULL},
    {RAW(SIGNATURE "\x22\x11\0\0"), BW_PROXY_BAD, NULL},
    {RAW(SIGNATURE "\x11\x11\0\0"), BW_PROXY_BAD, NULL},
    {RAW(SIGNATURE "\x21\x11\2\x09"), BW_PROXY_BAD, NULL},
};

TEST(each_line_is_what_the_table_says)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(lines); i++) {
        struct bw_proxy_line out = {0};
        char address[INET6_ADDRSTRLEN];
        char client[80];

        if (bw_proxy_line_parse(lines[i].bytes, lines[i].n, &out) != lines[i].verdict)
            fail_msg("line %zu: %s", i, lines[i].bytes);
        if (lines[i].verdict != BW_PROXY_OTHER)
            continue;
        inet_ntop(AF_INET6, out.address, address, sizeof(address));
        snprintf(client, sizeof(client), "%s %u", address, (unsigned)out.port);
        assert_string_equal(client, lines[i].client);
    }
}

TEST(a_line_is_right_so_far_until_its_last_byte)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(lines); i++) {
        struct bw_proxy_line out = {0};

        if (lines[i].verdict != BW_PROXY_OTHER)
            continue;
        assert_int_equal(bw_proxy_line_parse(lines[i].bytes, lines[i].n, &out), BW_PROXY_OTHER);
        for (size_t n = 0; n < out.len; n++) {
            struct bw_proxy_line unused;

            assert_int_equal(bw_proxy_line_parse(lines[i].bytes, n, &unused), BW_PROXY_MORE);
        }
    }
}

TEST(a_line_without_end_is_refused)
{
    char endless[200] = "PROXY UNKNOWN ";
    struct bw_proxy_line out;

    memset(endless + 14, 'x', sizeof(endless) - 14);
    assert_int_equal(bw_proxy_line_parse(endless, 106, &out), BW_PROXY_MORE);
    assert_int_equal(bw_proxy_line_parse(endless, 107, &out), BW_PROXY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(each_line_is_what_the_table_says),
        RUN(a_line_is_right_so_far_until_its_last_byte),
        RUN(a_line_without_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
