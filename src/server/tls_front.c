/*
 * tls_front.c - TLS towards clients: the certificates of one listener, chosen by SNI.
 *
 * Each certificate has an SSL_CTX of its own, with all settings alike.  A handshake begins with the
 * first one and is moved to the one whose names fit: an exact name first, then a wildcard for one
 * label (RFC 9525, 6.3), else it stays.
 *
 * A session may only be resumed under the conditions it was made under (CVE-2023-41337 was about
 * that).  So the session id context is a digest of all certificates, the trust anchors for clients
 * and the lowest version, and ticket keys are derived from it.
 */
#include "breakwater/server/tls_front.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/base/slice.h"
#include "breakwater/server/wire.h"

#include "tls_tickets_priv.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TICKET_SECONDS = 2 * 3600 };

struct name {
    char *text; /* lower case; of a wildcard without its '*' */
    SSL_CTX *ctx;
    bool is_wildcard;
};

struct bw_tls_front {
    SSL_CTX **ctx; /* one for each certificate */
    size_t ctx_n;
    struct name *names;
    size_t names_n;
    struct bw_tls_tickets *tickets;
    unsigned char policy[BW_TLS_POLICY_LEN];
    bool http2;
};

static const char ciphers_13[] =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
static const char ciphers_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

/* ---- errors ---- */

static const struct bw_place nowhere;

/* OpenSSL's own words for the first thing that failed, or the system's. */
static const char *first_error(void)
{
    unsigned long e = ERR_peek_error();
    const char *text;

    if (ERR_SYSTEM_ERROR(e))
        return strerror(ERR_GET_REASON(e));
    text = ERR_reason_error_string(e);
    return text != NULL ? text : "not readable";
}

static bool fail(struct bw_diag *d, const char *key, const char *file, const char *cure)
{
    bw_diag_error(d, nowhere, key, "%s: %s; %s", file, first_error(), cure);
    ERR_clear_error();
    return false;
}

/* ---- names ---- */

static void add_name(struct bw_tls_front *f, SSL_CTX *ctx, const char *text, size_t len)
{
    struct name *n;
    bool is_wildcard = len > 2 && text[0] == '*' && text[1] == '.';

    if (len == 0 || memchr(text, '\0', len) != NULL)
        return;
    if (is_wildcard) {
        text++;
        len--;
    }
    f->names = bw_realloc(f->names, (f->names_n + 1) * sizeof(*f->names));
    n = &f->names[f->names_n++];
    n->text = bw_slice_dup(bw_slice(text, len));
    n->ctx = ctx;
    n->is_wildcard = is_wildcard;
    for (char *c = n->text; *c != '\0'; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
}

static void add_common_name(struct bw_tls_front *f, SSL_CTX *ctx, const X509 *cert)
{
    char text[256];
    int len = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text,
                                        (int)sizeof(text));

    if (len > 0)
        add_name(f, ctx, text, (size_t)len);
}

static void add_names(struct bw_tls_front *f, SSL_CTX *ctx)
{
    const X509 *cert = SSL_CTX_get0_certificate(ctx);
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t before = f->names_n;

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

        if (name->type == GEN_DNS)
            add_name(f, ctx, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                     (size_t)ASN1_STRING_length(name->d.dNSName));
    }
    GENERAL_NAMES_free(all);
    if (f->names_n == before)
        add_common_name(f, ctx, cert);
}

static SSL_CTX *find_context(const struct bw_tls_front *f, const char *host)
{
    const char *parent = strchr(host, '.');
    SSL_CTX *wildcard = NULL;

    for (size_t i = 0; i < f->names_n; i++) {
        const struct name *n = &f->names[i];

        if (!n->is_wildcard && strcmp(n->text, host) == 0)
            return n->ctx;
        if (n->is_wildcard && wildcard == NULL && parent != NULL && strcmp(n->text, parent) == 0)
            wildcard = n->ctx;
    }
    return wildcard != NULL ? wildcard : f->ctx[0];
}

/* ---- the handshake's questions ---- */

static void lower_copy(char *to, size_t max, const char *from)
{
    size_t i = 0;

    for (; from[i] != '\0' && i + 1 < max; i++)
        to[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] | 0x20) : from[i];
    if (i > 0 && to[i - 1] == '.') /* the same host, written to the root */
        i--;
    to[i] = '\0';
}

/* libh2o keeps the SSL to itself, but its BIO leads back to the socket. */
// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type
static int on_server_name(SSL *ssl, int *alert, void *front)
{
    h2o_socket_t *socket = BIO_get_data(SSL_get_rbio(ssl));
    struct bw_tls_hello *hello = socket->data;
    const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    hello->session = ssl;
    if (host == NULL)
        return SSL_TLSEXT_ERR_OK;
    lower_copy(hello->server_name, sizeof(hello->server_name), host);
    SSL_set_SSL_CTX(ssl, find_context(front, hello->server_name));
    return SSL_TLSEXT_ERR_OK;
}

/* Where the client's list names the protocol: at its length, or NULL. */
static const unsigned char *find_protocol(const unsigned char *list, unsigned n, const char *name)
{
    size_t len = strlen(name);
    unsigned at = 0;

    while (at < n && at + list[at] < n) {
        if (list[at] == len && memcmp(list + at + 1, name, len) == 0)
            return list + at;
        at += 1U + list[at];
    }
    return NULL;
}

/* Protocols in the order of our preference; a client that speaks none is told (RFC 7301, 3.2). */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
                   const unsigned char *in, unsigned inlen, void *arg)
{
    static const char *const ours[] = {"h2", "http/1.1", "http/1.0"};
    const struct bw_tls_front *f = arg;

    (void)ssl;
    for (size_t i = f->http2 ? 0 : 1; i < BW_ARRAY_LEN(ours); i++) {
        const unsigned char *found = find_protocol(in, inlen, ours[i]);

        if (found != NULL) {
            *out = found + 1;
            *outlen = found[0];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int enc)
{
    const struct bw_tls_front *f = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    return bw_tls_ticket_key(f->tickets, f->policy, (struct bw_tls_ticket){name, iv, cipher, mac},
                             enc != 0);
}

/* A key with a passphrase must not make the process ask on the terminal. */
// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return 0;
}

/* ---- building ---- */

static SSL_CTX *new_context(struct bw_tls_front *f, const struct bw_listen_conf *conf)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    BW_ASSERT(ctx != NULL);
    SSL_CTX_set_min_proto_version(ctx, conf->min_version != 0 ? conf->min_version : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_NO_RENEGOTIATION | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    BW_ASSERT(SSL_CTX_set_ciphersuites(ctx, ciphers_13) == 1);
    BW_ASSERT(SSL_CTX_set_cipher_list(ctx, ciphers_12) == 1);
    SSL_CTX_set_max_early_data(ctx,
                               0); /* a replayed request is not ours to serve (CVE-2024-45397) */
    SSL_CTX_set_recv_max_early_data(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only */
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_timeout(ctx, TICKET_SECONDS);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, f);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, f);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    SSL_CTX_set_app_data(ctx, f);
    return ctx;
}

static bool load_certificate(SSL_CTX *ctx, const struct bw_certificate_conf *cert,
                             struct bw_diag *d)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, cert->certificate) != 1)
        return fail(d, "listen.tls.certificates.certificate", cert->certificate,
                    "give a readable PEM file with the certificate and its chain");
    if (SSL_CTX_use_PrivateKey_file(ctx, cert->key, SSL_FILETYPE_PEM) != 1)
        return fail(d, "listen.tls.certificates.key", cert->key,
                    "give a readable PEM file with the certificate's private key, without a "
                    "passphrase");
    if (X509_cmp_current_time(X509_get0_notAfter(SSL_CTX_get0_certificate(ctx))) < 0)
        bw_diag_warn(d, nowhere, "listen.tls.certificates.certificate",
                     "%s: expired; clients will refuse it", cert->certificate);
    return true;
}

/* Only clients with a certificate from these are served. */
static bool demand_certificate(SSL_CTX *ctx, const char *file, struct bw_diag *d)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);

    if (names == NULL || SSL_CTX_load_verify_locations(ctx, file, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail(d, "listen.tls.client_ca", file,
                    "give a readable PEM file with the authorities of client certificates");
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return true;
}

static bool add_certificate(struct bw_tls_front *f, const struct bw_listen_conf *conf,
                            const struct bw_certificate_conf *cert, struct bw_diag *d)
{
    SSL_CTX *ctx = new_context(f, conf);

    f->ctx[f->ctx_n++] = ctx;
    if (!load_certificate(ctx, cert, d))
        return false;
    if (conf->client_ca != NULL && !demand_certificate(ctx, conf->client_ca, d))
        return false;
    add_names(f, ctx);
    return true;
}

static void digest_certificate(EVP_MD_CTX *md, const X509 *cert)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    BW_ASSERT(X509_digest(cert, EVP_sha256(), digest, &len) == 1);
    EVP_DigestUpdate(md, digest, len);
}

/* The anchors themselves, not their names: a new one of the same name is another policy. */
static void digest_anchors(EVP_MD_CTX *md, const SSL_CTX *ctx)
{
    const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));

    EVP_DigestUpdate(md, "client", 6);
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

        if (cert != NULL)
            digest_certificate(md, cert);
    }
}

static void bind_sessions(struct bw_tls_front *f, const struct bw_listen_conf *conf)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned len = 0;

    BW_ASSERT(md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
    EVP_DigestUpdate(md, &conf->min_version, sizeof(conf->min_version));
    for (size_t i = 0; i < f->ctx_n; i++)
        digest_certificate(md, SSL_CTX_get0_certificate(f->ctx[i]));
    if (conf->client_ca != NULL)
        digest_anchors(md, f->ctx[0]);
    BW_ASSERT(EVP_DigestFinal_ex(md, f->policy, &len) == 1 && len == sizeof(f->policy));
    EVP_MD_CTX_free(md);
    for (size_t i = 0; i < f->ctx_n; i++)
        SSL_CTX_set_session_id_context(f->ctx[i], f->policy, sizeof(f->policy));
}

struct bw_tls_front *bw_tls_front_new(const struct bw_listen_conf *conf, struct bw_tls_tickets *t,
                                      struct bw_diag *d)
{
    struct bw_tls_front *f = bw_zalloc(sizeof(*f));
    bool good = conf->certificates_n > 0;

    f->http2 = conf->http2;
    f->tickets = bw_tls_tickets_take(t);
    f->ctx = bw_zalloc((conf->certificates_n + 1) * sizeof(SSL_CTX *));
    if (!good)
        bw_diag_error(d, nowhere, "listen.tls.certificates.certificate",
                      "%s: TLS needs one; give certificate and key", conf->address);
    for (size_t i = 0; i < conf->certificates_n; i++)
        good = add_certificate(f, conf, &conf->certificates[i], d) && good;
    if (!good) {
        bw_tls_front_free(f);
        return NULL;
    }
    bind_sessions(f, conf);
    return f;
}

void bw_tls_front_free(struct bw_tls_front *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->names_n; i++)
        free(f->names[i].text);
    for (size_t i = 0; i < f->ctx_n; i++)
        SSL_CTX_free(f->ctx[i]);
    bw_tls_tickets_put(f->tickets);
    free(f->names);
    free(f->ctx);
    free(f);
}

SSL_CTX *bw_tls_front_context(const struct bw_tls_front *f)
{
    return f->ctx[0];
}
