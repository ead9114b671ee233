/*
 * tls_tickets_priv.h - the keys of session tickets, between tls_tickets.c and tls_front.c.
 */
#pragma once

#include "breakwater/server/tls_front.h"

enum { BW_TLS_POLICY_LEN = 32 };

/* The parameters of OpenSSL's ticket callback. */
struct bw_tls_ticket {
    unsigned char *name; /* 16 bytes */
    unsigned char *iv;
    EVP_CIPHER_CTX *cipher;
    EVP_MAC_CTX *mac;
};

/* What SSL_CTX_set_tlsext_ticket_key_evp_cb() asks for: 0 unknown, 1 good, 2 good and to be
 * renewed. */
int bw_tls_ticket_key(struct bw_tls_tickets *t, const unsigned char policy[BW_TLS_POLICY_LEN],
                      struct bw_tls_ticket ticket, bool seal);
