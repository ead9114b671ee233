/*
 * tls_front.h - TLS towards clients: the certificates of one listener, chosen by SNI.
 *
 * TLS 1.2 and 1.3 only, no renegotiation, no compression, no early data.  A front is made on the
 * control thread and shared by all workers, who only read it.
 */
#pragma once

#include "breakwater/config/conf.h"
#include "breakwater/config/diag.h"

#include <openssl/ssl.h>

struct bw_tls_front;

/*
 * The secrets that session tickets are sealed with, for all listeners and workers: they rotate by
 * themselves and outlive a reload.  Each front derives its own keys from them, bound to its
 * certificates and to its demands on clients, so that no other front opens its tickets.
 */
struct bw_tls_tickets;
struct bw_tls_tickets *bw_tls_tickets_new(void);
struct bw_tls_tickets *bw_tls_tickets_take(struct bw_tls_tickets *t); /* any thread */
void bw_tls_tickets_put(struct bw_tls_tickets *t);                    /* any thread */

/* Reads the files; NULL: not possible, `d` says which file and why.  Keeps a reference to `t`. */
struct bw_tls_front *bw_tls_front_new(const struct bw_listen_conf *conf, struct bw_tls_tickets *t,
                                      struct bw_diag *d);
void bw_tls_front_free(struct bw_tls_front *f); /* no handshake may be under way */
/* What a handshake begins with; the certificate is chosen once the client has named its host. */
SSL_CTX *bw_tls_front_context(const struct bw_tls_front *f);

/*
 * What a handshake finds out.  While it lasts, the socket's `data` must point to one of these,
 * zeroed at the start.
 */
struct bw_tls_hello {
    SSL *session;
    char server_name[256]; /* lower case; empty: the client sent none */
};
