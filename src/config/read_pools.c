/*
 * read_pools.c - the origin side: pools, servers, TLS towards them, timeouts.
 */
#include "address_priv.h"
#include "read_priv.h"

static void check_twin_servers(struct bw_read *r, const struct bw_value *list)
{
    for (const struct bw_value *v = list->first; v != NULL; v = v->next) {
        const struct bw_value *url = bw_value_get(v, "url");

        for (const struct bw_value *w = list->first; w != v; w = w->next)
            if (strcmp(bw_read_text(w, "url"), url->text) == 0)
                bw_diag_error(r->diag, url->at, url->path,
                              "\"%s\" is in this pool twice; remove one, or give it a weight",
                              url->text);
    }
}

static void read_servers(struct bw_read *r, const struct bw_value *list, struct bw_pool_conf *out)
{
    struct bw_server_conf *s = bw_arena_alloc(r->arena, list->n * sizeof(*s));
    struct bw_buf why = {0};

    out->servers = s;
    out->servers_n = list->n;
    for (const struct bw_value *v = list->first; v != NULL; v = v->next, s++) {
        bw_address_server(r->arena, bw_read_text(v, "url"), s, &why);
        s->weight = bw_read_u32(v, "weight", 1);
    }
    bw_buf_free(&why);
    check_twin_servers(r, list);
}

static bool any_tls(const struct bw_pool_conf *p)
{
    for (size_t i = 0; i < p->servers_n; i++)
        if (p->servers[i].tls)
            return true;
    return false;
}

static bool is_written(const struct bw_value *v)
{
    return v != NULL && v->at.file != NULL;
}

static void check_tls(struct bw_read *r, const struct bw_value *tls, const struct bw_pool_conf *p)
{
    const struct bw_value *trust = bw_value_get(tls, "trust");
    const struct bw_value *name = bw_value_get(tls, "server_name");
    bool asks =
        name != NULL || p->tls.certificate != NULL || (is_written(trust) && trust->first->word < 0);

    if (is_written(trust) && !p->tls.verify)
        bw_diag_error(r->diag, trust->at, trust->path,
                      "is not looked at with mode: full; remove one of the two");
    if (name != NULL && !bw_address_is_host(bw_slice_str(name->text)))
        bw_diag_error(r->diag, name->at, name->path,
                      "\"%s\" is no host name; write it in lower case, without port", name->text);
    if (asks && !any_tls(p))
        bw_diag_warn(r->diag, tls->at, tls->path,
                     "no server of this pool has an https URL; write https:// or remove tls");
}

static void read_tls(struct bw_read *r, const struct bw_value *tls, struct bw_pool_conf *out)
{
    const struct bw_value *list = bw_value_get(tls, "trust");
    const char **trust = bw_arena_alloc(r->arena, list->n * sizeof(*trust));

    out->tls.verify = bw_read_word(tls, "mode") == 0;
    out->tls.trust = trust;
    out->tls.trust_n = list->n;
    for (const struct bw_value *v = list->first; v != NULL; v = v->next)
        *trust++ = v->text;
    out->tls.server_name = bw_read_text(tls, "server_name");
    out->tls.certificate = bw_read_text(tls, "client.certificate");
    out->tls.key = bw_read_text(tls, "client.key");
    out->tls.min_version = bw_read_tls_version(tls, "min_version");
    check_tls(r, tls, out);
}

static void read_host(struct bw_read *r, const struct bw_value *v, struct bw_pool_conf *out)
{
    struct bw_slice port, host = bw_slice_str(v->text);
    uint64_t n = 1;

    out->host = v->word >= 0 ? (enum bw_origin_host)v->word : BW_ORIGIN_HOST_NAME;
    if (v->word >= 0)
        return;
    out->host_name = v->text;
    if (host.base[0] != '[') {
        host = bw_slice_cut(host, ':', &port);
        if (port.base != NULL && (!bw_slice_u64(port, &n) || n > 65535))
            n = 0;
    }
    if (n == 0 || !bw_address_is_host(host))
        bw_diag_error(r->diag, v->at, v->path,
                      "\"%s\" is no host name; write client, server or a name in lower case",
                      v->text);
}

static void read_connections(struct bw_read *r, const struct bw_value *v, struct bw_pool_conf *out)
{
    out->per_server = bw_read_u32(v, "per_server", 0);
    bw_read_lower(r, bw_value_get(v, "idle"), out->per_server, "is more than per_server allows");
    out->idle = bw_read_u32(v, "idle", 0);
    out->idle_for_ms = bw_read_ms(v, "idle_for");
    out->queue = bw_read_u32(v, "queue", 0);
    out->queue_for_ms = bw_read_ms(v, "queue_for");
}

static void read_pool(struct bw_read *r, const struct bw_value *v, struct bw_pool_conf *out)
{
    const struct bw_value *timeouts = bw_value_get(v, "timeouts");

    out->name = v->key;
    out->balance = (enum bw_balance)bw_read_word(v, "balance");
    read_servers(r, bw_value_get(v, "servers"), out);
    read_host(r, bw_value_get(v, "host"), out);
    read_tls(r, bw_value_get(v, "tls"), out);
    out->resolve_ms = bw_read_ms(timeouts, "resolve");
    out->connect_ms = bw_read_ms(timeouts, "connect");
    out->tls_ms = bw_read_ms(timeouts, "tls");
    out->first_byte_ms = bw_read_ms(timeouts, "first_byte");
    out->between_bytes_ms = bw_read_ms(timeouts, "between_bytes");
    read_connections(r, bw_value_get(v, "connections"), out);
    out->retry_times = bw_read_u32(v, "retry.times", 0); /* absent where retry is off: 0 */
    out->retry_budget_percent = bw_read_u32(v, "retry.budget", 0);
}

void bw_read_pools(struct bw_read *r)
{
    const struct bw_value *pools = bw_value_get(r->root, "pools");
    struct bw_pool_conf *all = bw_arena_alloc(r->arena, pools->n * sizeof(*all)), *p = all;

    r->conf->pools = all;
    r->conf->pools_n = pools->n;
    for (const struct bw_value *v = pools->first; v != NULL; v = v->next, p++) {
        read_pool(r, v, p);
        if (strcmp(p->name, "origin") == 0)
            r->conf->defaults.pool = (uint32_t)(p - all);
    }
}
