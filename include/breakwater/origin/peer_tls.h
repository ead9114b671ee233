/*
 * peer_tls.h - TLS towards a server of ours: is it who it should be, and are its bytes whole?
 *
 * libh2o makes the handshake and encrypts what we write; what comes in is read by OpenSSL straight
 * from the descriptor, so that we bound how much is read and see whether the end was an honest one
 * (close_notify, RFC 8446 6.1), neither of which libh2o offers.  One struct bw_peer_tls serves all
 * connections of one worker to servers of one name.  Not for several threads.
 */
#pragma once

#include "breakwater/base/err.h"
#include "breakwater/base/loop.h"
#include "breakwater/origin/conf.h"

#include <sys/types.h>

struct bw_peer_tls;

/* The name that is verified, and sent as SNI unless it is an address. */
const char *bw_peer_tls_name(const struct bw_origin_tls_conf *conf, const char *host);

/* Reads the files; BW_ERR_INVALID puts one line into `why`.  The caller holds one reference. */
enum bw_err bw_peer_tls_new(const struct bw_origin_tls_conf *conf, const char *name, char *why,
                            size_t why_len, struct bw_peer_tls **out);
struct bw_peer_tls *bw_peer_tls_take(struct bw_peer_tls *t);
void bw_peer_tls_put(struct bw_peer_tls *t);

/*
 * Begins the handshake on a connected socket; inside the loop only.  `*ssl` is set at once and
 * lives as long as the socket.  `cb` may be called within.
 */
void bw_peer_tls_handshake(struct bw_peer_tls *t, h2o_socket_t *socket, SSL **ssl,
                           h2o_socket_cb cb);

enum bw_peer_verdict {
    BW_PEER_GOOD,
    BW_PEER_UNTRUSTED, /* name or chain: the certificate is not the server's */
    BW_PEER_FAILED,    /* anything else */
};
/* What the handshake's callback came to; `*detail` is a static text or NULL. */
enum bw_peer_verdict bw_peer_tls_judge(const struct bw_peer_tls *t, const SSL *ssl, const char *err,
                                       const char **detail);

/*
 * After a good handshake: from now on bw_peer_tls_read() reads, and the socket must be set to
 * H2O_SOCKET_FLAG_DONT_READ.  False: the server spoke before it was asked, close.
 */
bool bw_peer_tls_begin(SSL *ssl, int fd);

enum bw_peer_end {
    BW_PEER_OPEN,
    BW_PEER_CLOSED,  /* close_notify came: what was read is all there is */
    BW_PEER_BROKEN,  /* cut: a FIN without close_notify, or an RST */
    BW_PEER_REFUSED, /* an alert, or bytes that are not TLS */
};
/* As read(2), never blocking: the number of bytes, or 0 when none are there or `*end` has come. */
size_t bw_peer_tls_read(SSL *ssl, char *to, size_t n, enum bw_peer_end *end);
/* Does OpenSSL hold bytes that no read event will announce? */
bool bw_peer_tls_more(const SSL *ssl);
/* Is the peer still there, with nothing to say? */
bool bw_peer_tls_quiet(SSL *ssl);

/*
 * Gives reading back to libh2o, for a socket that leaves us: bytes already read go to its input.
 * Closing the socket later sends no close_notify.
 */
void bw_peer_tls_end(SSL *ssl, h2o_socket_t *socket);
