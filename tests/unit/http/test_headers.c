/*
 * test_headers.c - what passes a Breakwater in either direction, and what a 304 changes.
 */
#include "breakwater/http/headers.h"

#include "fields.h"

#define CAPABLE "surrogate-capability: breakwater=\"Surrogate/1.0\"\n"

static const struct {
    const char *in;
    bool trusted;
    const char *out;
} cleaned[] = {
    {"accept: x\ncookie: a=b\nauthorization: y\nx-own: 1", false,
     "accept: x\ncookie: a=b\nauthorization: y\nx-own: 1"},
    {"connection: close\nkeep-alive: 1\nproxy-connection: x\nte: trailers\ntrailer: y\n"
     "upgrade: h2c\nhttp2-settings: z\nproxy-authorization: s\nhost: a\nexpect: 100-continue\n"
     "accept: x",
     true, "accept: x"},
    {"connection: X-Hop, other\nx-hop: 1\nother: 2\naccept: x", false, "accept: x"},
    {"connection: close\nconnection: x-hop\nx-hop: 1", false, ""},
    /* a field for everybody is no connection option */
    {"connection: cookie\ncookie: a=b", false, "cookie: a=b"},
    {"proxy: http://a\naccept: x", true, "accept: x"},
    {"x_forwarded_for: 1\ncontent_length: 1\nmy_field: 2", true, ""},
    {"x-original-url: /a\nx-rewrite-url: /a\nx-http-method-override: PUT\nx-http-method: PUT\n"
     "x-method-override: PUT\nx-original-uri: /a\nx-wap-profile: u\nbase-url: b\n"
     "x-breakwater-debug: 1",
     true, ""},
    {"x-forwarded-for: 1\nx-forwarded-host: h\nx-forwarded-proto: p\nx-forwarded-port: 1\n"
     "x-forwarded-prefix: /\nx-forwarded-scheme: s\nx-forwarded-server: s\nx-forwarded-ssl: on\n"
     "x-forwarded: a\nforwarded: for=1\nx-host: h\nx-original-host: h\nx-real-ip: 1\n"
     "front-end-https: on\nsurrogate-capability: a=\"Surrogate/1.0\"\n"
     "true-client-ip: 1\ncf-connecting-ip: 1\nx-scheme: s\naccept: x",
     false, "accept: x"},
    {"x-forwarded-for: 1\nx-forwarded-ssl: on\ntrue-client-ip: 1", true,
     "x-forwarded-for: 1\nx-forwarded-ssl: on\ntrue-client-ip: 1"},
    /* conditions are judged against the store before they are dropped */
    {"if-none-match: \"a\"\nrange: bytes=0-1", false, "if-none-match: \"a\"\nrange: bytes=0-1"},
};

TEST(a_request_is_cleaned_when_it_is_admitted)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(cleaned); i++) {
        struct test_fields f;

        fields(&f, cleaned[i].in);
        assert_true(bw_headers_clean(&f.list, cleaned[i].trusted, false));
        assert_fields(&f.list, cleaned[i].out);
        assert_true(bw_headers_clean(&f.list, cleaned[i].trusted, false));
        assert_fields(&f.list, cleaned[i].out);
    }
}

TEST(upgrade_stays_where_it_is_wanted)
{
    struct test_fields f;

    fields(&f, "connection: upgrade\nupgrade: websocket\nsec-websocket-key: k");
    assert_true(bw_headers_clean(&f.list, false, true));
    assert_fields(&f.list, "upgrade: websocket\nsec-websocket-key: k");
}

TEST(a_connection_that_names_too_much_is_refused)
{
    struct test_fields f;
    struct bw_field v[TEST_FIELDS_MAX];
    struct bw_fields out = {v, 0};
    const char *many = "connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q";

    fields(&f, many);
    assert_false(bw_headers_clean(&f.list, false, false));
    assert_false(bw_headers_from_origin(&f.list, false, &out));
    assert_false(bw_headers_to_origin(&f.list, &(struct bw_forward){.fill = true}, &out));
}

static const struct {
    const char *in;
    const char *said;
} said[] = {
    {"accept: x\nx-forwarded-for: 1\nx-real-ip: 1\nx-forwarded: for=1\ncf-connecting-ip: 1", ""},
    {"x-forwarded-proto: https", "x-forwarded-proto:https\n"},
    {"x-forwarded-proto: http\nx-forwarded-host: shop.example", ""}, /* we would say so, too */
    {"x-forwarded-host: evil.test\nx-host: a\nx-forwarded-prefix: /p\nx-scheme: s",
     "x-forwarded-host:evil.test\nx-host:a\nx-forwarded-prefix:/p\nx-scheme:s\n"},
    {"x-forwarded-user: alice", "x-forwarded-user:alice\n"},
    {"forwarded: for=192.0.2.1;host=evil.test;proto=https, FOR=\"[2001:db8::1]:4711\" ; By=x",
     "forwarded:host=evil.test\nforwarded:proto=https\n"},
    {"forwarded: host=\"a;for=b\\\";for=c\";for=d", "forwarded:host=\"a;for=b\\\";for=c\"\n"},
    {"forwarded: for=\"a;host=b\"\nforwarded: host=c", "forwarded:host=c\n"},
};

TEST(what_a_trusted_peer_says_of_the_request_is_told_without_addresses)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(said); i++) {
        struct bw_buf out = {0};
        struct test_fields f;

        bw_headers_said(fields(&f, said[i].in), BW_S("shop.example"), false, &out);
        assert_text(bw_buf_view(&out), said[i].said);
        bw_buf_free(&out);
    }
}

/* What is keyed is what goes on: no field of that kind comes from anybody else. */
TEST(nobody_else_says_anything_of_the_request)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(said); i++) {
        struct bw_buf out = {0};
        struct test_fields f;

        fields(&f, said[i].in);
        assert_true(bw_headers_clean(&f.list, false, false));
        bw_headers_said(&f.list, BW_S("shop.example"), false, &out);
        assert_int_equal(out.len, 0);
        bw_buf_free(&out);
    }
}

static const struct bw_forward plain = {
    .host = BW_S("origin:8080"),
    .authority = BW_S("shop.example"),
    .peer = BW_S("192.0.2.1"),
    .via = BW_S("1.1 breakwater"),
    .https = true,
};

static void assert_forwarded(const char *in, const struct bw_forward *fw, const char *expected)
{
    struct test_fields f;
    struct bw_field v[TEST_FIELDS_MAX + BW_HEADERS_OWN_MAX];
    struct bw_fields out = {v, 0};

    assert_true(bw_headers_to_origin(fields(&f, in), fw, &out));
    assert_fields(&out, expected);
}

TEST(the_origin_learns_who_asked_from_us)
{
    assert_forwarded("accept: x\nx-forwarded-for: 6.6.6.6\nx-forwarded-proto: http\n"
                     "x-forwarded-host: evil\nvia: 1.0 fred\nconnection: close",
                     &plain,
                     "host: origin:8080\naccept: x\nvia: 1.0 fred\nx-forwarded-for: 192.0.2.1\n"
                     "x-forwarded-proto: https\nx-forwarded-host: shop.example\n" CAPABLE
                     "via: 1.1 breakwater");
}

TEST(a_trusted_peer_is_believed)
{
    struct bw_forward fw = plain;
    char room[64];

    fw.trusted = true;
    fw.room = room;
    fw.room_len = sizeof room;
    assert_forwarded("x-forwarded-for: 198.51.100.7\nx-forwarded-proto: http\n"
                     "x-forwarded-for: 10.0.0.1\nx-forwarded-host: h",
                     &fw,
                     "host: origin:8080\nx-forwarded-proto: http\nx-forwarded-host: h\n"
                     "x-forwarded-for: 198.51.100.7, 10.0.0.1, 192.0.2.1\n" CAPABLE
                     "via: 1.1 breakwater");
    fw.room_len = 4;
    assert_forwarded("x-forwarded-for: 198.51.100.7", &fw,
                     "host: origin:8080\nx-forwarded-for: 198.51.100.7\n"
                     "x-forwarded-for: 192.0.2.1\nx-forwarded-proto: https\n"
                     "x-forwarded-host: shop.example\n" CAPABLE "via: 1.1 breakwater");
}

TEST(a_fill_asks_for_the_whole)
{
    struct bw_forward fw = plain;
    const char *in = "if-match: *\nif-none-match: \"a\"\nif-modified-since: x\nif-range: \"a\"\n"
                     "if-unmodified-since: x\nrange: bytes=0-1\naccept-encoding: deflate\n"
                     "accept-language: x";

    fw.fill = true;
    fw.accept_encoding = BW_S("br,gzip");
    fw.accept_language = BW_S("de,en");
    assert_forwarded(in, &fw,
                     "host: origin:8080\nx-forwarded-for: 192.0.2.1\nx-forwarded-proto: https\n"
                     "x-forwarded-host: shop.example\naccept-encoding: br,gzip\n"
                     "accept-language: de,en\n" CAPABLE "via: 1.1 breakwater");
}

TEST(a_pass_keeps_conditions_and_an_upgrade_is_handed_on)
{
    struct bw_forward fw = {.host = BW_S("o"), .upgrade = true};

    assert_forwarded("if-none-match: \"a\"\nrange: bytes=0-1\naccept-encoding: deflate\n"
                     "connection: upgrade, x-hop\nx-hop: 1\nupgrade: websocket",
                     &fw,
                     "host: o\nif-none-match: \"a\"\nrange: bytes=0-1\naccept-encoding: deflate\n"
                     "upgrade: websocket\nx-forwarded-proto: http\n" CAPABLE "connection: upgrade");
}

static const struct {
    const char *in;
    bool upgrade;
    const char *out;
} responses[] = {
    {"connection: a, b\na: 1\nb: 2\nc: 3\ncache-control: max-age=3600", false,
     "c: 3\ncache-control: max-age=3600"},
    {"keep-alive: x\nproxy-authenticate: x\nproxy-authentication-info: x\n"
     "proxy-authorization: x\nproxy-connection: x\nte: x\ntransfer-encoding: x\nupgrade: x\n"
     "trailer: x\ncontent-length: 1\nset-cookie: a=b\nset-cookie: c=d\nx_y: 1",
     false, "set-cookie: a=b\nset-cookie: c=d\nx_y: 1"},
    {"connection: cache-control, vary\ncache-control: private\nvary: cookie", false,
     "cache-control: private\nvary: cookie"},
    {"connection: upgrade\nupgrade: websocket\nsec-websocket-accept: x", true,
     "upgrade: websocket\nsec-websocket-accept: x\nconnection: upgrade"},
};

TEST(a_response_loses_what_is_of_the_connection)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(responses); i++) {
        struct test_fields f;
        struct bw_field v[TEST_FIELDS_MAX];
        struct bw_fields out = {v, 0};

        assert_true(
            bw_headers_from_origin(fields(&f, responses[i].in), responses[i].upgrade, &out));
        assert_fields(&out, responses[i].out);
    }
}

TEST(clients_do_not_see_directives_to_us)
{
    assert_false(bw_headers_for_client(BW_F_SURROGATE_CONTROL));
    assert_false(bw_headers_for_client(BW_F_BREAKWATER_CACHE_CONTROL));
    assert_true(bw_headers_for_client(BW_F_CDN_CACHE_CONTROL));
    assert_true(bw_headers_for_client(BW_F_OTHER));
}

static const struct {
    const char *stored, *fresh, *merged;
} merges[] = {
    {"test: a\ncache-control: max-age=2", "date: d", "test: a\ncache-control: max-age=2\ndate: d"},
    {"test: a\nother: b", "test: c", "other: b\ntest: c"},
    {"link: a\nlink: b\nx: 1", "link: c\nlink: d\nlink: e", "x: 1\nlink: c\nlink: d\nlink: e"},
    {"content-type: a\nexpires: x\nlast-modified: l", "content-type: b\nexpires: y",
     "last-modified: l\ncontent-type: b\nexpires: y"},
    {"content-encoding: gzip\ncontent-range: r\ncontent-md5: m\netag: \"a\"\nrepr-digest: d",
     "content-encoding: br\ncontent-range: s\ncontent-md5: n\netag: \"b\"\nrepr-digest: e\n"
     "content-length: 0",
     "content-encoding: gzip\ncontent-range: r\ncontent-md5: m\netag: \"a\"\nrepr-digest: d"},
    /* bytes confirmed by their date alone do not get a tag */
    {"last-modified: l", "etag: \"new\"", "last-modified: l"},
    {"age: 100\nx: 1", "date: d", "x: 1\ndate: d"},
    {"age: 100", "age: 5", "age: 5"},
};

TEST(a_304_replaces_what_it_names_and_leaves_what_describes_the_bytes)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(merges); i++) {
        struct test_fields st, fr;
        struct bw_field v[2 * TEST_FIELDS_MAX];
        struct bw_fields out = {v, 0};

        bw_headers_merge(fields(&st, merges[i].stored), fields(&fr, merges[i].fresh), &out);
        assert_fields(&out, merges[i].merged);
    }
}

static const struct {
    const char *request;
    bool loop;
} vias[] = {
    {"via: 1.1 breakwater", true},
    {"via: 1.0 fred, 1.1 Breakwater (x)", true},
    {"via: 1.0 fred\nvia: HTTP/2  breakwater", true},
    {"via: 1.1 breakwater-2", false},
    {"via: 1.1 other (breakwater)", false},
    {"via: breakwater", false},
    {"accept: 1.1 breakwater", false},
};

TEST(a_request_that_has_been_here_is_known)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(vias); i++) {
        struct test_fields f;

        if (bw_headers_loop(fields(&f, vias[i].request), BW_S("breakwater")) != vias[i].loop)
            fail_msg("%s", vias[i].request);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_request_is_cleaned_when_it_is_admitted),
        RUN(upgrade_stays_where_it_is_wanted),
        RUN(a_connection_that_names_too_much_is_refused),
        RUN(what_a_trusted_peer_says_of_the_request_is_told_without_addresses),
        RUN(nobody_else_says_anything_of_the_request),
        RUN(the_origin_learns_who_asked_from_us),
        RUN(a_trusted_peer_is_believed),
        RUN(a_fill_asks_for_the_whole),
        RUN(a_pass_keeps_conditions_and_an_upgrade_is_handed_on),
        RUN(a_response_loses_what_is_of_the_connection),
        RUN(clients_do_not_see_directives_to_us),
        RUN(a_304_replaces_what_it_names_and_leaves_what_describes_the_bytes),
        RUN(a_request_that_has_been_here_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
