/*
 * test_peer_tls.c - TLS to servers: whom we believe, in every version, and what we believe of the
 * end.
 */
#include "certs.h"

static const char ok[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
static struct authority ca, other;
static const char *trust[] = {ca.file};

static int make_authorities(void **state)
{
    (void)state;
    authority_open(&ca, "our CA");
    authority_open(&other, "another CA");
    return 0;
}

static int remove_authorities(void **state)
{
    (void)state;
    authority_close(&ca);
    authority_close(&other);
    return 0;
}

/* A server whose certificate is for `alt`, and a client that expects `name` (NULL: the host). */
static void stage(struct scene *s, const char *alt, const char *name, int version)
{
    scene_open(s, 1);
    s->servers[0].tls = server_tls(&ca, alt, version, 86400);
    s->server_conf[0].tls = true;
    s->conf.tls = (struct bw_origin_tls_conf){.verify = true,
                                              .trust = trust,
                                              .trust_n = 1,
                                              .server_name = name,
                                              .min_version = TLS1_2_VERSION};
}

static void expect_verdict(const char *alt, const char *name, enum bw_reason why)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(versions); ++i) {
        struct scene s;
        struct spectator v = {0};

        stage(&s, alt, name, versions[i]);
        says(&s.servers[0], ok);
        scene_begin(&s);
        get(&s, &v);
        assert_int_equal(v.failed, why);
        assert_int_equal(v.ended, why == BW_REASON_NONE);
        if (why != BW_REASON_NONE)
            assert_int_equal(s.servers[0].said, 0);
        spectator_close(&v);
        scene_end(&s);
    }
}

TEST(a_certificate_for_the_name_is_accepted_in_tls_1_2_and_1_3)
{
    expect_verdict("DNS:app.example", "app.example", BW_REASON_NONE);
    expect_verdict("DNS:*.site.example", "app.site.example", BW_REASON_NONE);
}

TEST(a_certificate_for_another_name_is_refused_in_tls_1_2_and_1_3)
{
    expect_verdict("DNS:app.example", "www.example", BW_REASON_CERTIFICATE);
    expect_verdict("DNS:*.site.example", "a.b.site.example", BW_REASON_CERTIFICATE);
    expect_verdict("DNS:127.0.0.1", NULL, BW_REASON_CERTIFICATE);
}

TEST(an_address_matches_an_address_in_the_certificate)
{
    expect_verdict("IP:127.0.0.1", NULL, BW_REASON_NONE);
    expect_verdict("IP:127.0.0.2", NULL, BW_REASON_CERTIFICATE);
}

static const char *seen_name;

static int note_name(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    static char kept[64];

    (void)alert, (void)arg;
    if (name != NULL)
        (void)snprintf(kept, sizeof(kept), "%s", name);
    seen_name = name != NULL ? kept : NULL;
    return SSL_TLSEXT_ERR_OK;
}

static void expect_sni(const char *alt, const char *name, const char *sni)
{
    struct scene s;
    struct spectator v = {0};

    stage(&s, alt, name, TLS1_3_VERSION);
    SSL_CTX_set_tlsext_servername_callback(s.servers[0].tls, note_name);
    says(&s.servers[0], ok);
    scene_begin(&s);
    get(&s, &v);
    assert_true(v.ended);
    if (sni != NULL)
        assert_string_equal(seen_name, sni);
    else
        assert_null(seen_name);
    spectator_close(&v);
    scene_end(&s);
}

TEST(the_name_is_sent_as_sni_and_an_address_never_is)
{
    expect_sni("DNS:app.example", "app.example", "app.example");
    expect_sni("IP:127.0.0.1", NULL, NULL);
}

TEST(an_unknown_ca_and_an_expired_certificate_are_refused)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(versions); ++i) {
        struct scene s;
        struct spectator first = {0}, second = {0};

        stage(&s, "IP:127.0.0.1", NULL, versions[i]);
        SSL_CTX_free(s.servers[0].tls);
        s.servers[0].tls = server_tls(&other, "IP:127.0.0.1", versions[i], 86400);
        scene_begin(&s);
        get(&s, &first);
        assert_int_equal(first.failed, BW_REASON_CERTIFICATE);
        SSL_CTX_free(s.servers[0].tls);
        s.servers[0].tls = server_tls(&ca, "IP:127.0.0.1", versions[i], -3600);
        get(&s, &second);
        assert_int_equal(second.failed, BW_REASON_CERTIFICATE);
        spectator_close(&first);
        spectator_close(&second);
        scene_end(&s);
    }
}

TEST(without_verification_any_certificate_will_do)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(versions); ++i) {
        struct scene s;
        struct spectator v = {0};

        stage(&s, "DNS:whoever", NULL, versions[i]);
        s.conf.tls.verify = false;
        says(&s.servers[0], ok);
        scene_begin(&s);
        get(&s, &v);
        assert_true(v.ended);
        spectator_close(&v);
        scene_end(&s);
    }
}

TEST(a_version_below_the_lowest_is_refused)
{
    struct scene s;
    struct spectator v = {0};

    stage(&s, "IP:127.0.0.1", NULL, TLS1_2_VERSION);
    s.conf.tls.min_version = TLS1_3_VERSION;
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_TLS);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_server_that_does_not_speak_tls_is_a_tls_failure)
{
    struct scene s;
    struct spectator v = {0};

    stage(&s, "IP:127.0.0.1", NULL, TLS1_3_VERSION);
    SSL_CTX_free(s.servers[0].tls);
    s.servers[0].tls = NULL;
    s.servers[0].greeting = "HTTP/1.1 400 Bad Request\r\n\r\n";
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_TLS);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_handshake_that_does_not_come_is_given_up)
{
    struct scene s;
    struct spectator v = {0};

    stage(&s, "IP:127.0.0.1", NULL, TLS1_3_VERSION);
    s.servers[0].deaf = true;
    s.conf.tls_ms = 30;
    scene_begin(&s);
    get(&s, &v);
    assert_int_equal(v.failed, BW_REASON_TLS_TIMEOUT);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_failed_handshake_leads_to_the_other_server)
{
    struct scene s;
    struct spectator v = {0};

    scene_open(&s, 2);
    for (int i = 0; i < 2; ++i)
        s.server_conf[i].tls = true;
    s.server_conf[0].weight = 10;
    s.servers[0].tls = server_tls(&other, "IP:127.0.0.1", TLS1_3_VERSION, 86400);
    s.servers[1].tls = server_tls(&ca, "IP:127.0.0.1", TLS1_3_VERSION, 86400);
    s.conf.tls = (struct bw_origin_tls_conf){.verify = true, .trust = trust, .trust_n = 1};
    says(&s.servers[1], ok);
    scene_begin(&s);
    begin_method(&s, &v, "POST");
    PLAY(&s, v.ends == 1);
    assert_true(v.ended);
    assert_int_equal(s.servers[0].said, 0);
    spectator_close(&v);
    scene_end(&s);
}

/* ---- connections and sessions ---- */

TEST(a_tls_connection_is_used_again)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(versions); ++i) {
        struct scene s;

        stage(&s, "IP:127.0.0.1", NULL, versions[i]);
        scene_begin(&s);
        for (int n = 0; n < 5; ++n) {
            struct spectator v = {0};

            says(&s.servers[0], ok);
            get(&s, &v);
            assert_true(v.ended);
            play_turns(&s, 2);
            spectator_close(&v);
        }
        assert_int_equal(s.servers[0].guests_n, 1);
        assert_int_equal(figures(&s).reused, 4);
        scene_end(&s);
    }
}

TEST(a_session_is_resumed_on_the_next_connection)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(versions); ++i) {
        struct scene s;

        stage(&s, "IP:127.0.0.1", NULL, versions[i]);
        scene_begin(&s);
        for (int n = 0; n < 3; ++n) {
            struct spectator v = {0};

            say(&s.servers[0], (struct line){.bytes = ok, .after = CLOSE});
            get(&s, &v);
            assert_true(v.ended);
            PLAY(&s, figures(&s).open == 0);
            spectator_close(&v);
        }
        assert_int_equal(s.servers[0].guests_n, 3);
        assert_int_equal(s.servers[0].resumed, 2);
        scene_end(&s);
    }
}

static int require_any(int preverified, X509_STORE_CTX *store)
{
    (void)preverified, (void)store;
    return 1;
}

TEST(a_client_certificate_is_shown_where_the_server_asks_for_one)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(versions); ++i) {
        struct scene s;
        struct spectator v = {0};
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *cert = make_cert(key, &ca, "breakwater", "DNS:breakwater", 86400);
        char cert_file[64], key_file[64];

        write_pem(cert_file, sizeof(cert_file), cert, NULL);
        write_pem(key_file, sizeof(key_file), NULL, key);
        stage(&s, "IP:127.0.0.1", NULL, versions[i]);
        SSL_CTX_set_verify(s.servers[0].tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           require_any);
        s.conf.tls.certificate = cert_file;
        s.conf.tls.key = key_file;
        says(&s.servers[0], ok);
        scene_begin(&s);
        get(&s, &v);
        assert_true(v.ended);
        (void)unlink(cert_file);
        (void)unlink(key_file);
        EVP_PKEY_free(key);
        X509_free(cert);
        spectator_close(&v);
        scene_end(&s);
    }
}

TEST(a_server_that_refuses_us_without_a_certificate_is_a_tls_failure)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(versions); ++i) {
        struct scene s;
        struct spectator v = {0};

        stage(&s, "IP:127.0.0.1", NULL, versions[i]);
        SSL_CTX_set_verify(s.servers[0].tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           NULL);
        scene_begin(&s);
        get(&s, &v);
        assert_int_equal(v.failed, BW_REASON_TLS);
        spectator_close(&v);
        scene_end(&s);
    }
}

/* ---- what came ---- */

static void expect_end(enum after after, bool whole)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(versions); ++i) {
        struct scene s;
        struct spectator v = {0};

        stage(&s, "IP:127.0.0.1", NULL, versions[i]);
        say(&s.servers[0], (struct line){.bytes = "HTTP/1.1 200 OK\r\n\r\nuntil the end"});
        scene_begin(&s);
        begin_method(&s, &v, "GET");
        PLAY(&s, v.body.len > 0);
        guest_close(&s.servers[0].guests[0], after);
        PLAY(&s, v.ends == 1);
        assert_string_equal(body_of(&v), "until the end");
        assert_int_equal(v.ended, whole);
        assert_int_equal(v.failed, whole ? BW_REASON_NONE : BW_REASON_TRUNCATED);
        spectator_close(&v);
        scene_end(&s);
    }
}

TEST(only_a_close_notify_ends_a_body_without_a_length)
{
    expect_end(CLOSE, true);
    expect_end(CUT, false);
    expect_end(RESET, false);
}

TEST(a_close_notify_without_a_fin_is_an_end_all_the_same)
{
    struct scene s;
    struct spectator v = {0};

    stage(&s, "IP:127.0.0.1", NULL, TLS1_3_VERSION);
    says(&s.servers[0], "HTTP/1.1 200 OK\r\n\r\nbytes");
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    PLAY(&s, v.body.len == 5);
    (void)SSL_shutdown(s.servers[0].guests[0].ssl);
    PLAY(&s, v.ends == 1);
    assert_true(v.ended);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_large_body_comes_whole_and_in_bounded_pieces_over_tls)
{
    enum { TOTAL = 16 * 1024 * 1024 };
    struct scene s;
    struct spectator v = {.discard = true, .pause = AT_DATA};
    int64_t until = bw_clock_mono_us() + 20000000;

    stage(&s, "IP:127.0.0.1", NULL, TLS1_3_VERSION);
    say(&s.servers[0], (struct line){.bytes = "HTTP/1.1 200 OK\r\ncontent-length: 16777216\r\n\r\n",
                                     .repeat = TOTAL});
    scene_begin(&s);
    begin_method(&s, &v, "GET");
    while (v.ends == 0 && bw_clock_mono_us() < until) {
        turn(&s);
        assert_true(figures(&s).bytes_in <= v.bytes + 65536 + 256);
        if (v.fetch != NULL && v.bytes > 0)
            bw_fetch_resume(v.fetch);
    }
    assert_true(v.ended);
    assert_int_equal(v.bytes, TOTAL);
    assert_true(v.largest <= 65536);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_large_upload_goes_out_over_tls)
{
    enum { TOTAL = 4 * 1024 * 1024 };
    static char bytes[65536];
    struct scene s;
    struct spectator v = {0};
    struct bw_fetch_request rq = request("PUT", "/");
    size_t given = 0;
    int64_t until = bw_clock_mono_us() + 20000000;

    stage(&s, "IP:127.0.0.1", NULL, TLS1_3_VERSION);
    rq.body = BW_FRAMING_LENGTH;
    rq.content_length = TOTAL;
    scene_begin(&s);
    begin(&s, &v, &rq);
    while (given < TOTAL && bw_clock_mono_us() < until) {
        size_t n = v.wanted - given < TOTAL - given ? v.wanted - given : TOTAL - given;

        if (n > 0)
            bw_fetch_body(v.fetch, bw_slice(bytes, n), given + n == TOTAL);
        given += n;
        turn(&s);
    }
    says(&s.servers[0], ok);
    PLAY(&s, v.ends == 1);
    assert_true(v.ended);
    PLAY(&s, s.servers[0].guests[0].in.len > TOTAL);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_server_may_change_its_keys_and_ask_for_ours)
{
    struct scene s;
    struct spectator first = {0}, second = {0};

    stage(&s, "IP:127.0.0.1", NULL, TLS1_3_VERSION);
    says(&s.servers[0], "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbytes");
    says(&s.servers[0], ok);
    scene_begin(&s);
    begin_method(&s, &first, "GET");
    PLAY(&s, first.body.len == 5);
    assert_int_equal(SSL_key_update(s.servers[0].guests[0].ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_write(s.servers[0].guests[0].ssl, "bytes", 5), 5);
    PLAY(&s, first.ended);
    get(&s, &second);
    assert_true(second.ended);
    assert_int_equal(s.servers[0].guests_n, 1);
    spectator_close(&first);
    spectator_close(&second);
    scene_end(&s);
}

/* OpenSSL answers with an alert while we read, which libh2o would take for its own output. */
TEST(a_forged_record_ends_its_connection_and_nothing_else)
{
    static const char forged[] = "\x17\x03\x03\x00\x20 thirty-two bytes of our own making";

    for (size_t i = 0; i < BW_ARRAY_LEN(versions); ++i) {
        struct scene s;
        struct spectator v = {0};

        stage(&s, "IP:127.0.0.1", NULL, versions[i]);
        says(&s.servers[0], "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbytes");
        scene_begin(&s);
        begin_method(&s, &v, "GET");
        PLAY(&s, v.body.len == 5);
        assert_int_equal(write(s.servers[0].guests[0].fd, forged, 37), 37);
        PLAY(&s, v.ends == 1);
        assert_int_equal(v.failed, BW_REASON_TRUNCATED);
        PLAY(&s, figures(&s).open == 0);
        spectator_close(&v);
        scene_end(&s);
    }
}

static h2o_socket_t *upgraded;
static bool echo_came;

static void echoed(h2o_socket_t *socket, const char *err)
{
    echo_came = err == NULL && socket->input->size > 0;
}

static void echo_sent(h2o_socket_t *socket, const char *err)
{
    assert_null(err);
    h2o_socket_read_start(socket, echoed);
}

static void write_ping(struct bw_timer *t)
{
    static char bytes[] = "ping";
    static h2o_iovec_t ping = {bytes, 4};

    (void)t;
    h2o_socket_write(upgraded, &ping, 1, echo_sent);
}

TEST(an_upgraded_tls_connection_is_an_ordinary_socket)
{
    static struct bw_field fields[] = {{BW_S("upgrade"), BW_S("websocket"), BW_F_UPGRADE}};
    static struct bw_fields list = {fields, 1};
    struct bw_fetch_request rq = request("GET", "/");
    struct bw_timer timer = {0};
    struct scene s;
    struct spectator v = {0};

    stage(&s, "IP:127.0.0.1", NULL, TLS1_3_VERSION);
    says(&s.servers[0], "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
                        "upgrade: websocket\r\n\r\nearly");
    say(&s.servers[0], (struct line){.when = "ping", .bytes = "pong"});
    rq.fields = &list;
    rq.upgrade = true;
    scene_begin(&s);
    begin(&s, &v, &rq);
    PLAY(&s, v.ends == 1);
    upgraded = v.socket;
    assert_non_null(upgraded);
    assert_int_equal(upgraded->input->size, 5);
    h2o_buffer_consume(&upgraded->input, 5);
    echo_came = false;
    bw_timer_start(s.loop, &timer, 0, write_ping);
    PLAY(&s, echo_came);
    assert_int_equal(upgraded->input->size, 4);
    assert_memory_equal(upgraded->input->bytes, "pong", 4);
    h2o_socket_close(upgraded);
    PLAY(&s, server_open_guests(&s.servers[0]) == 0);
    spectator_close(&v);
    scene_end(&s);
}

TEST(a_fetch_may_be_cancelled_at_any_moment_of_a_handshake)
{
    for (unsigned turns = 0; turns < 10; ++turns) {
        struct scene s;
        struct spectator v = {0};

        stage(&s, "IP:127.0.0.1", NULL, TLS1_3_VERSION);
        scene_begin(&s);
        begin_method(&s, &v, "GET");
        play_turns(&s, turns);
        bw_fetch_cancel(v.fetch);
        PLAY(&s, figures(&s).open == 0);
        assert_int_equal(v.ends, 0);
        scene_end(&s);
    }
}

/* ---- mistakes in the configuration ---- */

static void expect_complaint(const struct bw_origin_tls_conf *tls, const char *part)
{
    struct scene s;
    char why[512] = "";

    stage(&s, "IP:127.0.0.1", NULL, TLS1_3_VERSION);
    s.conf.tls = *tls;
    assert_int_equal(bw_origin_new(s.loop, &s.conf, 1, 1, why, sizeof(why), &s.origin),
                     BW_ERR_INVALID);
    if (strstr(why, part) == NULL)
        fail_msg("'%s' is not in '%s'", part, why);
    why[0] = '\0';
    assert_int_equal(bw_origin_check(&s.conf, 1, why, sizeof(why)), BW_ERR_INVALID);
    assert_non_null(strstr(why, part));
    scene_end(&s);
}

TEST(a_file_that_cannot_be_read_is_named_with_the_cause)
{
    static const char *missing[] = {"no-such-file.pem"};

    expect_complaint(&(struct bw_origin_tls_conf){.verify = true, .trust = missing, .trust_n = 1},
                     "pool 'origin': tls: trust 'no-such-file.pem': No such file or directory; "
                     "name a PEM file with certificates of CAs");
    expect_complaint(&(struct bw_origin_tls_conf){.certificate = "no-such-file.pem"},
                     "certificate 'no-such-file.pem': No such file");
    expect_complaint(&(struct bw_origin_tls_conf){.certificate = ca.file, .key = other.file},
                     "key '");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_certificate_for_the_name_is_accepted_in_tls_1_2_and_1_3),
        RUN(a_certificate_for_another_name_is_refused_in_tls_1_2_and_1_3),
        RUN(an_address_matches_an_address_in_the_certificate),
        RUN(the_name_is_sent_as_sni_and_an_address_never_is),
        RUN(an_unknown_ca_and_an_expired_certificate_are_refused),
        RUN(without_verification_any_certificate_will_do),
        RUN(a_version_below_the_lowest_is_refused),
        RUN(a_server_that_does_not_speak_tls_is_a_tls_failure),
        RUN(a_handshake_that_does_not_come_is_given_up),
        RUN(a_failed_handshake_leads_to_the_other_server),
        RUN(a_tls_connection_is_used_again),
        RUN(a_session_is_resumed_on_the_next_connection),
        RUN(a_client_certificate_is_shown_where_the_server_asks_for_one),
        RUN(a_server_that_refuses_us_without_a_certificate_is_a_tls_failure),
        RUN(only_a_close_notify_ends_a_body_without_a_length),
        RUN(a_close_notify_without_a_fin_is_an_end_all_the_same),
        RUN(a_large_body_comes_whole_and_in_bounded_pieces_over_tls),
        RUN(a_large_upload_goes_out_over_tls),
        RUN(a_server_may_change_its_keys_and_ask_for_ours),
        RUN(a_forged_record_ends_its_connection_and_nothing_else),
        RUN(an_upgraded_tls_connection_is_an_ordinary_socket),
        RUN(a_fetch_may_be_cancelled_at_any_moment_of_a_handshake),
        RUN(a_file_that_cannot_be_read_is_named_with_the_cause),
    };

    return cmocka_run_group_tests(tests, make_authorities, remove_authorities);
}
