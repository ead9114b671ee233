/*
 * peer_tls.c - the TLS settings towards one server name, and OpenSSL's half of reading.
 *
 * What libh2o leaves open is closed here.  It checks names in TLS 1.2 only, by its own rules, so
 * the check is made by OpenSSL in every version and libh2o's opinion is ignored.  It sends a name
 * of address form as SNI (RFC 6066, 3 forbids it): it gets the empty name then, which OpenSSL does
 * not send.  Its close writes a close_notify and waits for that write, for ever if the peer does
 * not read, and the write is an assertion outside of the loop: hence quiet shutdown.  It asserts
 * that its output is empty when we write, so an alert that OpenSSL would send while we read is
 * refused; the connection is over then in any case.
 *
 * Sessions are resumed: one, the newest, for each name.
 */
#include "breakwater/origin/peer_tls.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct bw_peer_tls {
    SSL_CTX *ctx;
    SSL_SESSION *session; /* or NULL */
    const char *sni;      /* "" for an address: no SNI */
    char *name;
    bool verify;
    unsigned references;
};

/* The handshake that is being started: OpenSSL's callback has no other way to its owner. */
static __thread struct bw_peer_tls *starting;
static __thread SSL **started;

static bool is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

const char *bw_peer_tls_name(const struct bw_origin_tls_conf *conf, const char *host)
{
    if (conf->server_name != NULL)
        return conf->server_name;
    return host != NULL ? host : "localhost"; /* a unix socket has no name of its own */
}

static const char *openssl_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *text;

    if (ERR_SYSTEM_ERROR(code))
        return strerror(ERR_GET_REASON(code));
    text = ERR_reason_error_string(code);
    return text != NULL ? text : "unknown error";
}

static const char trust_cure[] = "name a PEM file with certificates of CAs";
static const char certificate_cure[] = "name a PEM file with the certificate and its chain";
static const char key_cure[] =
    "name the PEM file with that certificate's private key, without a passphrase";

static enum bw_err explain(char *why, size_t len, const char *what, const char *file,
                           const char *cure)
{
    (void)snprintf(why, len, "%s '%s': %s; %s", what, file, openssl_reason(), cure);
    return BW_ERR_INVALID;
}

/* Instead of asking at the terminal. */
// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type
static int no_passphrase(char *to, int size, int writing, void *ctx)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

static enum bw_err load_trust(SSL_CTX *ctx, const struct bw_origin_tls_conf *conf, char *why,
                              size_t len)
{
    if (conf->trust_n == 0 && SSL_CTX_set_default_verify_paths(ctx) != 1)
        return explain(why, len, "trust", "system", "install ca-certificates");
    for (size_t i = 0; i < conf->trust_n; ++i) {
        const char *file = conf->trust[i];
        int ok = strcmp(file, "system") == 0 ? SSL_CTX_set_default_verify_paths(ctx)
                                             : SSL_CTX_load_verify_file(ctx, file);

        if (ok != 1)
            return explain(why, len, "trust", file, trust_cure);
    }
    return BW_OK;
}

static enum bw_err load_certificate(SSL_CTX *ctx, const struct bw_origin_tls_conf *conf, char *why,
                                    size_t len)
{
    const char *key = conf->key != NULL ? conf->key : conf->certificate;

    if (conf->certificate == NULL)
        return BW_OK;
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(ctx, conf->certificate) != 1)
        return explain(why, len, "certificate", conf->certificate, certificate_cure);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return explain(why, len, "key", key, key_cure);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return explain(why, len, "key", key, key_cure);
    return BW_OK;
}

/* RFC 9110, 4.3.4: the name must match the certificate; an address matches addresses only. */
static enum bw_err expect_name(SSL_CTX *ctx, const char *name, char *why, size_t len)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    int ok = is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(param, name)
                              : X509_VERIFY_PARAM_set1_host(param, name, 0);

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return ok == 1 ? BW_OK
                   : explain(why, len, "server_name", name, "write a host name or an address");
}

/* Called for every state of every handshake; of interest is the first, in which it starts. */
static void handshake_moves(const SSL *ssl, int where, int ret)
{
    union {
        const SSL *theirs; /* OpenSSL has only this const way to tell us */
        SSL *ours;
    } either = {.theirs = ssl};

    (void)ret;
    if ((where & SSL_CB_HANDSHAKE_START) == 0 || starting == NULL)
        return;
    *started = either.ours;
    if (starting->session != NULL && SSL_SESSION_is_resumable(starting->session))
        (void)SSL_set_session(either.ours, starting->session);
    starting = NULL;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct bw_peer_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if (t == NULL)
        return 0; /* an upgraded connection that outlived us */
    SSL_SESSION_free(t->session);
    t->session = session;
    return 1;
}

static enum bw_err configure(struct bw_peer_tls *t, const struct bw_origin_tls_conf *conf,
                             char *why, size_t len)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL_CTX *ctx = t->ctx;
    int min = conf->min_version != 0 ? conf->min_version : TLS1_2_VERSION;
    enum bw_err err;

    BW_ASSERT(SSL_CTX_set_min_proto_version(ctx, min) == 1);
    BW_ASSERT(SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) == 0);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_quiet_shutdown(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(ctx, t);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    SSL_CTX_set_info_callback(ctx, handshake_moves);
    if ((err = load_certificate(ctx, conf, why, len)) != BW_OK || !conf->verify)
        return err;
    if ((err = load_trust(ctx, conf, why, len)) != BW_OK)
        return err;
    return expect_name(ctx, t->name, why, len);
}

enum bw_err bw_peer_tls_new(const struct bw_origin_tls_conf *conf, const char *name, char *why,
                            size_t why_len, struct bw_peer_tls **out)
{
    struct bw_peer_tls *t = bw_zalloc(sizeof(*t));
    enum bw_err err;

    t->references = 1;
    t->name = bw_strdup(name);
    t->sni = is_address(name) ? "" : t->name;
    t->verify = conf->verify;
    t->ctx = SSL_CTX_new(TLS_client_method());
    BW_ASSERT(t->ctx != NULL);
    ERR_clear_error();
    err = configure(t, conf, why, why_len);
    ERR_clear_error();
    if (err != BW_OK) {
        bw_peer_tls_put(t);
        return err;
    }
    *out = t;
    return BW_OK;
}

struct bw_peer_tls *bw_peer_tls_take(struct bw_peer_tls *t)
{
    ++t->references;
    return t;
}

void bw_peer_tls_put(struct bw_peer_tls *t)
{
    if (--t->references > 0)
        return;
    SSL_CTX_set_app_data(t->ctx, NULL);
    SSL_SESSION_free(t->session);
    SSL_CTX_free(t->ctx);
    free(t->name);
    free(t);
}

void bw_peer_tls_handshake(struct bw_peer_tls *t, h2o_socket_t *socket, SSL **ssl, h2o_socket_cb cb)
{
    starting = t;
    started = ssl;
    h2o_socket_ssl_handshake(socket, t->ctx, t->sni, cb);
    starting = NULL;
    /* 16 KiB records from the start, where libh2o would send the first 200 KB in 1 400 bytes */
    if (socket->ssl != NULL) {
        socket->_latency_optimization.state = H2O_SOCKET_LATENCY_OPTIMIZATION_STATE_NEEDS_UPDATE;
        socket->_latency_optimization.suggested_tls_payload_size = 16384;
    }
}

enum bw_peer_verdict bw_peer_tls_judge(const struct bw_peer_tls *t, const SSL *ssl, const char *err,
                                       const char **detail)
{
    *detail = err;
    /* libh2o's own look at the name, after OpenSSL has accepted it or was told not to look */
    if (err == NULL || err == h2o_socket_error_ssl_cert_name_mismatch ||
        err == h2o_socket_error_ssl_cert_invalid)
        return BW_PEER_GOOD;
    if (t->verify && ssl != NULL && SSL_get_verify_result(ssl) != X509_V_OK)
        return BW_PEER_UNTRUSTED;
    return BW_PEER_FAILED;
}

bool bw_peer_tls_begin(SSL *ssl, int fd)
{
    BIO *bio;

    /* empties what libh2o had read for the handshake */
    if (!bw_peer_tls_quiet(ssl))
        return false;
    bio = BIO_new_socket(fd, BIO_NOCLOSE);
    BW_ASSERT(bio != NULL);
    SSL_set0_rbio(ssl, bio);
    return true;
}

/* While we read nothing may be written: libh2o asserts that its output is empty. */
// NOLINTBEGIN(readability-function-size,readability-non-const-parameter): OpenSSL's type
static long refuse_writes(BIO *bio, int oper, const char *argp, size_t len, int argi, long argl,
                          int ret, size_t *processed)
{
    (void)bio, (void)argp, (void)len, (void)argi, (void)argl, (void)processed;
    return oper == BIO_CB_WRITE || oper == BIO_CB_PUTS ? -1 : ret;
}
// NOLINTEND(readability-function-size,readability-non-const-parameter)

static int guarded_read(SSL *ssl, char *to, size_t n, int (*how)(SSL *, void *, int))
{
    BIO *out = SSL_get_wbio(ssl);
    int got;

    ERR_clear_error();
    errno = 0;
    BIO_set_callback_ex(out, refuse_writes);
    got = how(ssl, to, n > INT_MAX ? INT_MAX : (int)n);
    BIO_set_callback_ex(out, NULL);
    return got;
}

size_t bw_peer_tls_read(SSL *ssl, char *to, size_t n, enum bw_peer_end *end)
{
    int got = guarded_read(ssl, to, n, SSL_read);

    if (got > 0)
        return (size_t)got;
    switch (SSL_get_error(ssl, got)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_ZERO_RETURN:
        *end = BW_PEER_CLOSED;
        break;
    case SSL_ERROR_SSL:
        *end = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
                   ? BW_PEER_BROKEN
                   : BW_PEER_REFUSED;
        break;
    default:
        *end = BW_PEER_BROKEN;
        break;
    }
    ERR_clear_error();
    return 0;
}

bool bw_peer_tls_more(const SSL *ssl)
{
    return SSL_has_pending(ssl) == 1;
}

bool bw_peer_tls_quiet(SSL *ssl)
{
    char byte;
    int got = guarded_read(ssl, &byte, 1, SSL_peek);
    bool quiet = got <= 0 && SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ;

    ERR_clear_error();
    return quiet;
}

void bw_peer_tls_end(SSL *ssl, h2o_socket_t *socket)
{
    BIO *bio = SSL_get_wbio(ssl);
    enum bw_peer_end end = BW_PEER_OPEN;
    size_t got;

    BIO_up_ref(bio);
    SSL_set0_rbio(ssl, bio);
    do {
        h2o_iovec_t room = h2o_buffer_reserve(&socket->input, 4096);

        got = bw_peer_tls_read(ssl, room.base, room.len, &end);
        socket->input->size += got;
    } while (got > 0);
}
