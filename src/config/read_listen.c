/*
 * read_listen.c - listen, hosts, trusted_proxies, admin.
 */
#include "address_priv.h"
#include "read_priv.h"

static const struct bw_certificate_conf *read_certificates(struct bw_read *r,
                                                           const struct bw_value *list)
{
    struct bw_certificate_conf *all = bw_arena_alloc(r->arena, list->n * sizeof(*all)), *c = all;

    for (const struct bw_value *v = list->first; v != NULL; v = v->next, c++) {
        c->certificate = bw_read_text(v, "certificate");
        c->key = bw_read_text(v, "key");
    }
    return all;
}

static void read_address(struct bw_read *r, const struct bw_value *v, struct bw_listen_conf *out)
{
    struct bw_buf why = {0};

    bw_address_listen(r->arena, v->text, out, &why);
    bw_buf_free(&why);
}

/* In the order of the schema's words. */
static bool speaks_http2(const struct bw_value *v, bool tls)
{
    enum { AUTO, ON, OFF } word = bw_read_word(v, "http2");

    return word == ON || (word == AUTO && tls);
}

static void read_listener(struct bw_read *r, const struct bw_value *v, struct bw_listen_conf *out)
{
    const struct bw_value *tls = bw_value_get(v, "tls");

    read_address(r, bw_value_get(v, "address"), out);
    out->proxy_protocol = bw_read_networks(r, v, "proxy_protocol", &out->proxy_protocol_n);
    out->http2 = speaks_http2(v, tls != NULL);
    if (tls == NULL)
        return;
    out->tls = true;
    out->certificates_n = bw_value_get(tls, "certificates")->n;
    out->certificates = read_certificates(r, bw_value_get(tls, "certificates"));
    out->min_version = bw_read_tls_version(tls, "min_version");
    out->client_ca = bw_read_text(tls, "client_ca");
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Port 0 asks the kernel for a free one, so two of them are two listeners. */
static bool same_address(const struct bw_listen_conf *a, const struct bw_listen_conf *b)
{
    return a->port == b->port && same_text(a->host, b->host) &&
           same_text(a->unix_path, b->unix_path) && (a->unix_path != NULL || a->port != 0);
}

static void check_twins(struct bw_read *r, const struct bw_value *list,
                        const struct bw_listen_conf *all)
{
    size_t i = 0;

    for (const struct bw_value *v = list->first; v != NULL; v = v->next, i++) {
        const struct bw_value *address = bw_value_get(v, "address");

        for (size_t k = 0; k < i; k++)
            if (same_address(&all[k], &all[i]))
                bw_diag_error(r->diag, address->at, address->path,
                              "\"%s\" is listened on twice; remove one", address->text);
        if (same_address(&all[i], &r->conf->admin))
            bw_diag_error(r->diag, address->at, address->path,
                          "\"%s\" is the address of admin too; choose another port for one",
                          address->text);
    }
}

void bw_read_listen(struct bw_read *r)
{
    const struct bw_value *list = bw_value_get(r->root, "listen");
    struct bw_listen_conf *all = bw_arena_alloc(r->arena, list->n * sizeof(*all)), *l = all;

    for (const struct bw_value *v = list->first; v != NULL; v = v->next)
        read_listener(r, v, l++);
    r->conf->listen = all;
    r->conf->listen_n = list->n;
    bw_read_hosts(r, bw_value_get(r->root, "hosts"), &r->conf->hosts);
    r->conf->trusted_proxies =
        bw_read_networks(r, r->root, "trusted_proxies", &r->conf->trusted_proxies_n);
    read_address(r, bw_value_get(r->root, "admin.listen"), &r->conf->admin);
    bw_read_hosts(r, bw_value_get(r->root, "admin.hosts"), &r->conf->admin_hosts);
    check_twins(r, list, all);
}
