/* TLS towards clients: certificates by name, sessions, client certificates, records. */
#include "breakwater/server/tls_front.h"

#include "wire_stand.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <netinet/in.h>

enum { FILES_MAX = 16 };

static struct bw_conf *conf;
static struct bw_listen_set *set;
static struct bw_diag said;
static char server_name_seen[256];

/* the certificates of all tests: two sites, a wildcard, an authority for clients and a client */
static char files[FILES_MAX][64];
static EVP_PKEY *key, *other_key;
static X509 *authority, *client_cert;

static SSL_CTX *client_ctx;
static SSL *tls;
static struct {
    int n;
    size_t longest, last;
    int short_behind_full;
} records; /* of application data that came */

static size_t read_filler(struct bw_body_source *source, char *to, size_t n)
{
    (void)source;
    n = n < sizeof(filler) ? n : sizeof(filler);
    memcpy(to, filler, n);
    return n;
}

static void answer_from_source(struct bw_exchange *x, size_t length)
{
    static struct bw_body_source source = {read_filler};
    struct handling *h = handle(x, 200, length);

    bw_exchange_respond(x, &h->reply, &h->generator);
    x->ops->send_from(x, &source, length);
}

void bw_request_start(struct bw_exchange *x)
{
    seen.started++;
    snprintf(server_name_seen, sizeof(server_name_seen), "%s",
             x->conn->server_name != NULL ? x->conn->server_name : "none");
    if (target_is(x, "/late")) {
        handle(x, 200, 0);
    } else if (target_is(x, "/big")) {
        struct handling *h = handle(x, 200, 20 * sizeof(filler));

        stream(h, 20, sizeof(filler));
    } else if (target_is(x, "/source")) {
        answer_from_source(x, 1 << 20);
    } else if (target_is(x, "/chunked")) {
        stream(handle(x, 200, BW_LENGTH_UNKNOWN), 3, 100);
    } else {
        answer(x, 200, "hello");
    }
}

void bw_request_refuse(struct bw_exchange *x, int status, enum bw_reason why)
{
    (void)why;
    answer(x, status, "no");
}

#define HELLO       "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\n\r\nhello"
#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- certificates ---- */

static X509 *make_cert(const char *name, const char *alt, EVP_PKEY *of, X509 *issuer)
{
    static long serial;
    X509 *cert = X509_new();
    X509_EXTENSION *e;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, of);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert));
    e = X509V3_EXT_conf_nid(NULL, NULL, alt != NULL ? NID_subject_alt_name : NID_basic_constraints,
                            alt != NULL ? alt : "critical,CA:TRUE");
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
    X509_sign(cert, issuer != NULL ? key : of, EVP_sha256());
    return cert;
}

static void write_file(int i, X509 *cert, EVP_PKEY *k)
{
    FILE *f;

    snprintf(files[i], sizeof(files[i]), "/tmp/bw-test-%d-%d.pem", (int)getpid(), i);
    f = fopen(files[i], "w");
    assert_non_null(f);
    if (cert != NULL)
        PEM_write_X509(f, cert);
    if (k != NULL)
        PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

enum { FILE_A, FILE_B, FILE_WILD, FILE_KEY, FILE_CA, FILE_OTHER_KEY };

static int make_files(void **state)
{
    X509 *a, *b, *wild;

    (void)state;
    key = EVP_EC_gen("P-256");
    other_key = EVP_EC_gen("P-256");
    authority = make_cert("authority", NULL, key, NULL);
    client_cert = make_cert("client", "DNS:client", key, authority);
    a = make_cert("a", "DNS:a.example,DNS:A2.example", key, NULL);
    b = make_cert("b", "DNS:b.example", key, NULL);
    wild = make_cert("wild", "DNS:*.w.example", key, NULL);
    write_file(FILE_A, a, NULL);
    write_file(FILE_B, b, NULL);
    write_file(FILE_WILD, wild, NULL);
    write_file(FILE_KEY, NULL, key);
    write_file(FILE_CA, authority, NULL);
    write_file(FILE_OTHER_KEY, NULL, other_key);
    X509_free(a);
    X509_free(b);
    X509_free(wild);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    for (int i = 0; i < FILES_MAX; i++)
        (void)unlink(files[i]);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other_key);
    X509_free(authority);
    X509_free(client_cert);
    return 0;
}

/* ---- server and client ---- */

static int server_up(void **state)
{
    stand_up(state);
    memset(&said, 0, sizeof(said));
    memset(&records, 0, sizeof(records));
    conf = NULL;
    set = NULL;
    tls = NULL;
    client_ctx = SSL_CTX_new(TLS_client_method());
    return 0;
}

static struct bw_conf *load(const char *listen)
{
    struct bw_conf_flags none = {0};
    struct bw_buf text = {0};
    struct bw_conf *c;

    bw_buf_printf(&text, "origin: http://a\nlisten:\n%s", listen);
    c = bw_conf_load_text(bw_buf_view(&text), "t.yaml", &none, &said);
    if (c == NULL)
        fail_msg("%.*s", (int)said.text.len, said.text.base);
    bw_buf_free(&text);
    return c;
}

static const char *listener_text(int cert, const char *more)
{
    static char text[2][500];
    static int which;

    which ^= 1;
    snprintf(text[which], sizeof(text[which]),
             "  - address: 127.0.0.1:0\n    tls: {certificates: {certificate: %s, key: %s}%s}\n",
             files[cert], files[FILE_KEY], more);
    return text[which];
}

static void open_with(const char *listen)
{
    conf = load(listen);
    stand->snapshot.conf = conf;
    set = bw_listen_set_new(conf, 1, NULL, &said);
    if (set == NULL)
        fail_msg("%.*s", (int)said.text.len, said.text.base);
    bw_worker_listen(&stand->w, set);
}

enum { RECORD_FULL = 16384 + 17 }; /* in TLS 1.3 */

static size_t record_length(const unsigned char head[5])
{
    return (size_t)head[3] << 8 | head[4];
}

static void note_record(int write_p, int version, int type, const void *buf, size_t len, SSL *ssl,
                        void *arg)
{
    const unsigned char *head = buf;

    (void)version;
    (void)ssl;
    (void)arg;
    if (write_p || type != SSL3_RT_HEADER || len < 5 || head[0] != SSL3_RT_APPLICATION_DATA)
        return;
    records.n++;
    records.short_behind_full +=
        records.longest >= RECORD_FULL && record_length(head) < RECORD_FULL;
    records.last = record_length(head);
    if (records.last > records.longest)
        records.longest = records.last;
}

static void hang_up(void)
{
    if (tls != NULL) /* a session that was not ended well is not resumed */
        SSL_set_shutdown(tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls);
    tls = NULL;
    if (stand->fd >= 0)
        close(stand->fd);
    stand->fd = -1;
}

static int server_down(void **state)
{
    hang_up();
    SSL_CTX_free(client_ctx);
    bw_worker_listen(&stand->w, NULL);
    bw_conns_cut(&stand->w);
    turn(3);
    if (set != NULL)
        bw_listen_set_put(set);
    if (conf != NULL)
        bw_conf_put(conf);
    bw_diag_free(&said);
    return stand_down(state);
}

/* A socket to the listener, and TLS on it that has not begun. */
static void dial_in(size_t listener, const char *host)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons(bw_listen_set_port(set, listener))};

    hang_up();
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)listener);
    stand->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(stand->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    (void)fcntl(stand->fd, F_SETFL, O_NONBLOCK);
    tls = SSL_new(client_ctx);
    SSL_set_fd(tls, stand->fd);
    SSL_set_msg_callback(tls, note_record);
    if (host != NULL)
        SSL_set_tlsext_host_name(tls, host);
}

/* Turn the loop until the call has something to say. */
static int settle(int (*call)(SSL *), SSL *ssl)
{
    int64_t end = patience_end();
    int r;

    while ((r = call(ssl)) < 0 && SSL_get_error(ssl, r) == SSL_ERROR_WANT_READ &&
           bw_clock_mono_us() / 1000 < end)
        bw_loop_run(stand->loop, 1);
    return r;
}

static bool shakes_hands(size_t listener, const char *host)
{
    dial_in(listener, host);
    return settle(SSL_connect, tls) == 1;
}

static char got[1 << 21];
static size_t got_n;

static int read_some(SSL *ssl)
{
    int n = SSL_read(ssl, got + got_n, (int)(sizeof(got) - 1 - got_n));

    if (n > 0)
        got_n += (size_t)n;
    got[got_n] = '\0';
    return n;
}

static void hear_tls(size_t n)
{
    got_n = 0;
    memset(&records, 0, sizeof(records));
    while (got_n < n && settle(read_some, tls) > 0)
        ;
}

static void say_tls(const char *text)
{
    assert_int_equal(SSL_write(tls, text, (int)strlen(text)), (int)strlen(text));
}

static void is_served(void)
{
    say_tls(GET("/"));
    hear_tls(strlen(HELLO));
    assert_string_equal(got, HELLO);
}

static void shows(const char *common_name)
{
    X509 *cert = SSL_get1_peer_certificate(tls);
    char name[100];

    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
    assert_string_equal(name, common_name);
    X509_free(cert);
}

/* ---- tests ---- */

TEST(both_versions_are_served)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    open_with(listener_text(FILE_A, ""));
    for (size_t i = 0; i < 2; i++) {
        SSL_CTX_set_min_proto_version(client_ctx, versions[i]);
        SSL_CTX_set_max_proto_version(client_ctx, versions[i]);
        assert_true(shakes_hands(0, "a.example"));
        assert_int_equal(SSL_version(tls), versions[i]);
        is_served();
        is_served();
    }
}

TEST(an_older_version_is_refused)
{
    open_with(listener_text(FILE_A, ", min_version: '1.3'"));
    SSL_CTX_set_max_proto_version(client_ctx, TLS1_2_VERSION);
    assert_false(shakes_hands(0, "a.example"));
    turn(3);
    assert_int_equal(counted(BW_C_TLS_FAILED), 1);
}

TEST(the_certificate_is_chosen_by_the_name)
{
    static const struct {
        const char *host, *shown, *seen;
    } table[] = {
        {"a.example", "a", "a.example"},
        {"A.Example", "a", "a.example"},
        {"a2.example", "a", "a2.example"},
        {"b.example", "b", "b.example"},
        {"x.w.example", "wild", "x.w.example"},
        {"x.y.w.example", "a", "x.y.w.example"},
        {"w.example", "a", "w.example"},
        {"other", "a", "other"},
        {NULL, "a", "none"},
    };
    char text[600];

    snprintf(text, sizeof(text),
             "  - address: 127.0.0.1:0\n    tls:\n      certificates:\n"
             "        - {certificate: %s, key: %s}\n        - {certificate: %s, key: %s}\n"
             "        - {certificate: %s, key: %s}\n",
             files[FILE_A], files[FILE_KEY], files[FILE_B], files[FILE_KEY], files[FILE_WILD],
             files[FILE_KEY]);
    open_with(text);
    for (size_t i = 0; i < BW_ARRAY_LEN(table); i++) {
        assert_true(shakes_hands(0, table[i].host));
        shows(table[i].shown);
        is_served();
        assert_string_equal(server_name_seen, table[i].seen);
    }
}

static void chooses(const char *protocol)
{
    const unsigned char *chosen;
    unsigned len;

    assert_true(shakes_hands(0, NULL));
    SSL_get0_alpn_selected(tls, &chosen, &len);
    assert_int_equal(len, strlen(protocol));
    assert_memory_equal(chosen, protocol, len);
}

static const unsigned char alpn_both[] = "\x08http/1.1\x02h2", alpn_h2[] = "\x02h2";

TEST(a_client_is_told_which_protocol_is_spoken_or_that_none_is)
{
    static const unsigned char strange[] = "\x02h3";

    open_with(listener_text(FILE_A, ""));
    SSL_CTX_set_alpn_protos(client_ctx, alpn_both, sizeof(alpn_both) - 1);
    chooses("h2");
    SSL_CTX_set_alpn_protos(client_ctx, alpn_both, 9);
    chooses("http/1.1");
    SSL_CTX_set_alpn_protos(client_ctx, strange, sizeof(strange) - 1);
    assert_false(shakes_hands(0, NULL));
}

TEST(http2_is_not_spoken_where_it_is_off)
{
    char text[600];

    snprintf(text, sizeof(text), "%s    http2: off\n", listener_text(FILE_A, ""));
    open_with(text);
    SSL_CTX_set_alpn_protos(client_ctx, alpn_both, sizeof(alpn_both) - 1);
    chooses("http/1.1");
    SSL_CTX_set_alpn_protos(client_ctx, alpn_h2, sizeof(alpn_h2) - 1);
    assert_false(shakes_hands(0, NULL));
}

/* ---- sessions ---- */

/* A ticket from listener 0; over TLS 1.3 it comes with the first response. */
static SSL_SESSION *take_session(void)
{
    assert_true(shakes_hands(0, "a.example"));
    is_served();
    return SSL_get1_session(tls);
}

static bool is_resumed(size_t listener, SSL_SESSION *session)
{
    dial_in(listener, "a.example");
    SSL_set_session(tls, session);
    assert_int_equal(settle(SSL_connect, tls), 1);
    is_served();
    return SSL_session_reused(tls);
}

TEST(a_session_is_resumed_for_hours_and_not_for_ever)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    open_with(listener_text(FILE_A, ""));
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session;

        SSL_CTX_set_max_proto_version(client_ctx, versions[i]);
        session = take_session();
        assert_true(is_resumed(0, session));
        bw_clock_advance(3600 * 1000);
        assert_true(is_resumed(0, session));
        bw_clock_advance(4 * 3600 * 1000);
        assert_false(is_resumed(0, session));
        SSL_SESSION_free(session);
    }
}

TEST(a_session_survives_a_reload)
{
    struct bw_listen_set *old;
    SSL_SESSION *session;

    open_with(listener_text(FILE_A, ""));
    session = take_session();
    old = set;
    set = bw_listen_set_new(conf, 1, old, &said);
    assert_non_null(set);
    bw_worker_listen(&stand->w, set);
    bw_listen_set_put(old);
    assert_true(is_resumed(0, session));
    SSL_SESSION_free(session);
}

TEST(a_session_means_nothing_under_another_certificate_or_policy)
{
    char ca[100], text[1200];
    SSL_SESSION *session;

    snprintf(ca, sizeof(ca), ", client_ca: %s", files[FILE_CA]);
    snprintf(text, sizeof(text), "%s", listener_text(FILE_A, ""));
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", listener_text(FILE_B, ""));
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", listener_text(FILE_A, ca));
    for (size_t i = 0, at = 0; i < 3; i++) { /* one address each */
        char *zero = strstr(text + at, "127.0.0.1:0");

        zero[8] = (char)('1' + i);
        at = (size_t)(zero - text) + 1;
    }
    open_with(text);
    SSL_CTX_use_certificate(client_ctx, client_cert);
    SSL_CTX_use_PrivateKey(client_ctx, key);
    session = take_session();
    assert_true(is_resumed(0, session));
    SSL_SESSION_free(session);
    session = take_session();
    assert_false(is_resumed(1, session));
    assert_false(is_resumed(2, session));
    SSL_SESSION_free(session);
}

/* ---- client certificates ---- */

TEST(a_client_certificate_is_demanded_where_the_listener_says_so)
{
    char ca[100];

    snprintf(ca, sizeof(ca), ", client_ca: %s", files[FILE_CA]);
    open_with(listener_text(FILE_A, ca));
    if (shakes_hands(0, "a.example")) { /* TLS 1.3: the client is through before we say no */
        (void)SSL_write(tls, GET("/"), (int)strlen(GET("/")));
        hear_tls(1);
        assert_int_equal(got_n, 0);
    }
    assert_int_equal(seen.started, 0);
    SSL_CTX_use_certificate(client_ctx, client_cert);
    SSL_CTX_use_PrivateKey(client_ctx, key);
    assert_true(shakes_hands(0, "a.example"));
    is_served();
}

/* ---- records and ends ---- */

TEST(a_small_response_is_one_record)
{
    open_with(listener_text(FILE_A, ""));
    assert_true(shakes_hands(0, NULL));
    is_served(); /* the first read takes the session ticket, too */
    is_served();
    assert_int_equal(records.n, 1);
    memset(filler, 'a', sizeof(filler));
    say_tls(GET("/chunked"));
    hear_tls(strlen("HTTP/1.1 200 R\r\ndate: D\r\ntransfer-encoding: chunked\r\n\r\n") +
             3 * (4 + 100 + 2) + 5);
    assert_int_equal(records.n, 3);
}

TEST(records_are_small_at_first_and_full_later)
{
    size_t n = strlen("HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 1310720\r\n\r\n");

    open_with(listener_text(FILE_A, ""));
    assert_true(shakes_hands(0, NULL));
    say_tls(GET("/big"));
    hear_tls(8000);
    assert_true(records.last <= 1400);
    n += 20 * sizeof(filler) - got_n;
    hear_tls(n);
    assert_int_equal(got_n, n);
    assert_true(records.longest > 16000);
    assert_int_equal(seen.complete, 1);
}

/* What is left of a write when its records are full would be one more, for a few bytes. */
TEST(records_of_a_large_response_over_http2_are_full_but_the_last)
{
    /* windows as large as the response, and GET https://a/source */
    static const char request[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                  "\0\0\6\4\0\0\0\0\0\0\4\0\x7f\0\0"
                                  "\0\0\4\10\0\0\0\0\0\0\x7f\0\0"
                                  "\0\0\16\1\5\0\0\0\1\x82\x87\x01\x01"
                                  "a\x04\x07/source";

    SSL_CTX_set_min_proto_version(client_ctx, TLS1_3_VERSION);
    SSL_CTX_set_alpn_protos(client_ctx, alpn_h2, sizeof(alpn_h2) - 1);
    open_with(listener_text(FILE_A, ""));
    assert_true(shakes_hands(0, NULL));
    assert_int_equal(SSL_write(tls, request, sizeof(request) - 1), sizeof(request) - 1);
    hear_tls(1 << 20);
    wait_for(&seen.complete, 1);
    assert_true(records.n > 60);
    assert_int_equal(records.longest, RECORD_FULL);
    assert_in_range(records.short_behind_full, 0, 1);
}

TEST(a_client_that_says_goodbye_without_closing_is_noticed)
{
    open_with(listener_text(FILE_A, ""));
    assert_true(shakes_hands(0, NULL));
    say_tls(GET("/late"));
    wait_for(&seen.started, 1);
    SSL_shutdown(tls);
    wait_for(&seen.done, 1);
    assert_int_equal(seen.complete, 0);
}

TEST(a_request_with_a_goodbye_right_behind_it_is_answered)
{
    open_with(listener_text(FILE_A, ""));
    assert_true(shakes_hands(0, NULL));
    say_tls(GET("/"));
    SSL_shutdown(tls);
    hear_tls(strlen(HELLO));
    assert_string_equal(got, HELLO);
}

TEST(a_handshake_that_stands_still_is_cut)
{
    open_with(listener_text(FILE_A, ""));
    conf->limits.head_timeout_ms = 20;
    dial_in(0, NULL);
    hear_close();
    assert_int_equal(counted(BW_C_TLS_FAILED), 1);
}

TEST(clear_text_on_a_tls_listener_is_cut)
{
    open_with(listener_text(FILE_A, ""));
    dial_in(0, NULL);
    say(GET("/"));
    hear_close();
    assert_int_equal(seen.started, 0);
}

/* ---- mistakes ---- */

static void is_refused(const char *certificate, const char *k, const char *words)
{
    struct bw_certificate_conf pair = {certificate, k};
    struct bw_listen_conf listen = {
        .address = "x", .tls = true, .certificates = &pair, .certificates_n = 1};
    struct bw_tls_tickets *t = bw_tls_tickets_new();

    bw_buf_clear(&said.text);
    assert_null(bw_tls_front_new(&listen, t, &said));
    bw_buf_char(&said.text, '\0');
    if (strstr(said.text.base, words) == NULL)
        fail_msg("%s", said.text.base);
    bw_tls_tickets_put(t);
}

TEST(a_mistake_names_the_file_and_the_cure)
{
    is_refused("/nonexistent.pem", files[FILE_KEY],
               "/nonexistent.pem: No such file or directory; give a readable PEM file");
    is_refused(files[FILE_A], "/nonexistent.key",
               "/nonexistent.key: No such file or directory; give a readable PEM file");
    is_refused(files[FILE_A], files[FILE_OTHER_KEY], "key values mismatch");
    is_refused(files[FILE_KEY], files[FILE_KEY], files[FILE_KEY]);
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, server_up, server_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(both_versions_are_served),
        RUN_HERE(an_older_version_is_refused),
        RUN_HERE(the_certificate_is_chosen_by_the_name),
        RUN_HERE(a_client_is_told_which_protocol_is_spoken_or_that_none_is),
        RUN_HERE(http2_is_not_spoken_where_it_is_off),
        RUN_HERE(a_session_is_resumed_for_hours_and_not_for_ever),
        RUN_HERE(a_session_survives_a_reload),
        RUN_HERE(a_session_means_nothing_under_another_certificate_or_policy),
        RUN_HERE(a_client_certificate_is_demanded_where_the_listener_says_so),
        RUN_HERE(a_small_response_is_one_record),
        RUN_HERE(records_are_small_at_first_and_full_later),
        RUN_HERE(records_of_a_large_response_over_http2_are_full_but_the_last),
        RUN_HERE(a_client_that_says_goodbye_without_closing_is_noticed),
        RUN_HERE(a_request_with_a_goodbye_right_behind_it_is_answered),
        RUN_HERE(a_handshake_that_stands_still_is_cut),
        RUN_HERE(clear_text_on_a_tls_listener_is_cut),
        RUN_HERE(a_mistake_names_the_file_and_the_cure),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
