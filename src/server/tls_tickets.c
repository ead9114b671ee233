/*
 * tls_tickets.c - the secrets of session tickets: shared by all workers, changed every hour.
 *
 * Three are kept: the newest seals, the others still open what they sealed, so a ticket lives two
 * to three hours and then nobody can open it any more, not even with a copy of our memory.  A key
 * is derived from a secret and the policy of a front (see tls_front.c): tickets of one policy mean
 * nothing under another.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/mem.h"
#include "breakwater/base/rand.h"

#include "tls_tickets_priv.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SECRETS = 3, ROTATE_SECONDS = 3600, NAME_LEN = 16, KEY_LEN = 32 };

struct secret {
    unsigned char bytes[KEY_LEN];
};

struct bw_tls_tickets {
    atomic_uint refs;
    pthread_mutex_t lock;
    int64_t hour; /* since which secrets[0] seals */
    struct secret secrets[SECRETS];
};

struct keys {
    unsigned char name[KEY_LEN]; /* NAME_LEN of it are sent */
    unsigned char cipher[KEY_LEN];
    unsigned char mac[KEY_LEN];
};

struct bw_tls_tickets *bw_tls_tickets_new(void)
{
    struct bw_tls_tickets *t = bw_zalloc(sizeof(*t));

    atomic_store(&t->refs, 1);
    pthread_mutex_init(&t->lock, NULL);
    t->hour = bw_clock_s() / ROTATE_SECONDS;
    bw_rand_secret(t->secrets, sizeof(t->secrets));
    return t;
}

struct bw_tls_tickets *bw_tls_tickets_take(struct bw_tls_tickets *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void bw_tls_tickets_put(struct bw_tls_tickets *t)
{
    if (atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t->secrets, sizeof(t->secrets));
    free(t);
}

static void rotate(struct bw_tls_tickets *t)
{
    int64_t hour = bw_clock_s() / ROTATE_SECONDS;
    int64_t passed = hour - t->hour;

    if (passed <= 0)
        return;
    for (int64_t i = 0; i < passed && i < SECRETS; i++) {
        memmove(&t->secrets[1], &t->secrets[0], sizeof(t->secrets[0]) * (SECRETS - 1));
        bw_rand_secret(&t->secrets[0], sizeof(t->secrets[0]));
    }
    t->hour = hour;
}

static void derive(const struct secret *s, const unsigned char *policy, unsigned char use,
                   unsigned char out[KEY_LEN])
{
    unsigned char text[BW_TLS_POLICY_LEN + 1];
    unsigned len = 0;

    memcpy(text, policy, BW_TLS_POLICY_LEN);
    text[BW_TLS_POLICY_LEN] = use;
    BW_ASSERT(HMAC(EVP_sha256(), s->bytes, KEY_LEN, text, sizeof(text), out, &len) != NULL);
    BW_ASSERT(len == KEY_LEN);
}

static void derive_all(const struct secret *s, const unsigned char *policy, struct keys *out)
{
    derive(s, policy, 'n', out->name);
    derive(s, policy, 'c', out->cipher);
    derive(s, policy, 'm', out->mac);
}

static bool set_mac(EVP_MAC_CTX *mac, unsigned char *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key, KEY_LEN),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int use_keys(struct keys *k, struct bw_tls_ticket ticket, bool seal)
{
    const EVP_CIPHER *aes = EVP_aes_256_cbc();
    int ok;

    if (seal) {
        memcpy(ticket.name, k->name, NAME_LEN);
        if (RAND_bytes(ticket.iv, EVP_CIPHER_get_iv_length(aes)) != 1)
            return -1;
        ok = EVP_EncryptInit_ex(ticket.cipher, aes, NULL, k->cipher, ticket.iv);
    } else {
        ok = EVP_DecryptInit_ex(ticket.cipher, aes, NULL, k->cipher, ticket.iv);
    }
    return ok == 1 && set_mac(ticket.mac, k->mac) ? 1 : -1;
}

int bw_tls_ticket_key(struct bw_tls_tickets *t, const unsigned char policy[BW_TLS_POLICY_LEN],
                      struct bw_tls_ticket ticket, bool seal)
{
    struct secret secrets[SECRETS];
    struct keys k;
    int age = 0;
    int answer = 0;

    pthread_mutex_lock(&t->lock);
    rotate(t);
    memcpy(secrets, t->secrets, sizeof(secrets));
    pthread_mutex_unlock(&t->lock);

    do
        derive_all(&secrets[age], policy, &k);
    while (!seal && CRYPTO_memcmp(k.name, ticket.name, NAME_LEN) != 0 && ++age < SECRETS);
    if (age < SECRETS)
        answer = use_keys(&k, ticket, seal);
    OPENSSL_cleanse(&k, sizeof(k));
    OPENSSL_cleanse(secrets, sizeof(secrets));
    return answer == 1 && age > 0 ? 2 : answer;
}
