/*
 * certs.h - certificates made on the spot: a CA, what it signs, and the files that a client reads.
 */
#pragma once

#include "scene.h"

struct authority {
    EVP_PKEY *key;
    X509 *cert;
    char file[64]; /* the certificate, PEM */
};

static inline void set_name(X509 *cert, const char *name)
{
    X509_NAME *n = X509_get_subject_name(cert);

    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
}

static inline void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    BW_ASSERT(e != NULL);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

/* Signed by `by`, or by itself. `alt`: "DNS:name" or "IP:address", NULL: a CA. */
static inline X509 *make_cert(EVP_PKEY *key, const struct authority *by, const char *name,
                              const char *alt, long valid_s)
{
    static long serial;
    X509 *cert = X509_new();

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
    X509_gmtime_adj(X509_getm_notAfter(cert), valid_s);
    X509_set_pubkey(cert, key);
    set_name(cert, name);
    X509_set_issuer_name(cert, X509_get_subject_name(by != NULL ? by->cert : cert));
    if (alt != NULL)
        add_extension(cert, NID_subject_alt_name, alt);
    else
        add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    BW_ASSERT(X509_sign(cert, by != NULL ? by->key : key, EVP_sha256()) > 0);
    return cert;
}

static inline void write_pem(char *path, size_t n, X509 *cert, EVP_PKEY *key)
{
    static unsigned count;
    FILE *f;

    (void)snprintf(path, n, "bw-test-%d-%u.pem", (int)getpid(), ++count);
    f = fopen(path, "w");
    BW_ASSERT(f != NULL);
    if (cert != NULL)
        PEM_write_X509(f, cert);
    if (key != NULL)
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static inline void authority_open(struct authority *a, const char *name)
{
    a->key = EVP_EC_gen("P-256");
    a->cert = make_cert(a->key, NULL, name, NULL, 86400);
    write_pem(a->file, sizeof(a->file), a->cert, NULL);
}

static inline void authority_close(struct authority *a)
{
    EVP_PKEY_free(a->key);
    X509_free(a->cert);
    (void)unlink(a->file);
}

/* What a server of TLS `version` shows. */
static inline SSL_CTX *server_tls(const struct authority *by, const char *alt, int version,
                                  long valid_s)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(key, by, "a server", alt, valid_s);

    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    BW_ASSERT(SSL_CTX_use_certificate(ctx, cert) == 1);
    BW_ASSERT(SSL_CTX_use_PrivateKey(ctx, key) == 1);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"bw", 2);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}
