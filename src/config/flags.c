/*
 * flags.c - flags override the file, by the same grammar and the same checks.
 *
 * A flag becomes a node of the YAML tree whose place is the flag's name, so that the schema reads
 * it as if it stood in the file and messages begin with the flag.
 */
#include "flags_priv.h"

struct overlay {
    struct bw_arena *arena;
    struct bw_diag *diag;
    struct bw_yaml *root;
    const struct bw_conf_flags *flags;
};

static struct bw_place flag(const char *name)
{
    return (struct bw_place){.file = name};
}

/* Takes the place of what stood under the key. */
static struct bw_yaml *put(struct bw_yaml *map, const char *key, const char *path,
                           struct bw_yaml *y)
{
    bw_yaml_remove(map, key);
    bw_yaml_append(map, key, y);
    y->path = path;
    y->key_at = y->at;
    return y;
}

/* The group under the key, made where it is missing; NULL where something else is there. */
static struct bw_yaml *group(struct overlay *o, struct bw_yaml *map, const char *key,
                             const char *path, struct bw_place at)
{
    struct bw_yaml *y = bw_yaml_find(map, key);

    if (y == NULL || y->null)
        return put(map, key, path, bw_yaml_new(o->arena, BW_YAML_MAP, at));
    return y->kind == BW_YAML_MAP ? y : NULL;
}

static void set(struct overlay *o, const char *group_key, const char *key, const char *value,
                const char *name)
{
    struct bw_yaml *in = o->root;

    if (value == NULL)
        return;
    if (group_key != NULL)
        in = group(o, o->root, group_key, group_key, flag(name));
    if (in != NULL) /* otherwise the schema has something to say about the group */
        put(in, key, group_key != NULL ? bw_arena_printf(o->arena, "%s.%s", group_key, key) : key,
            bw_yaml_scalar(o->arena, value, flag(name)));
}

/* `origin: ...` is short for `pools: {origin: {servers: ...}}`. */
static void spell_out_origin(struct overlay *o)
{
    struct bw_yaml *origin = bw_yaml_remove(o->root, "origin"), *pools, *pool, *twin;

    if (origin == NULL)
        return;
    pools = group(o, o->root, "pools", "pools", origin->at);
    twin = pools != NULL ? bw_yaml_find(pools, "origin") : NULL;
    if (twin != NULL)
        bw_diag_error(o->diag, origin->key_at, "origin",
                      "is set twice, see pools.origin in %s:%d; keep one", twin->key_at.file,
                      twin->key_at.line);
    if (pools == NULL || twin != NULL)
        return;
    pool = group(o, pools, "origin", "pools.origin", origin->at);
    pool->key_at = origin->key_at;
    bw_yaml_append(pool, "servers", origin);
}

static void add_origins(struct overlay *o)
{
    struct bw_yaml *pools, *pool, *servers;

    if (o->flags->origin_n == 0)
        return;
    pools = group(o, o->root, "pools", "pools", flag("--origin"));
    pool = pools != NULL ? group(o, pools, "origin", "pools.origin", flag("--origin")) : NULL;
    if (pool == NULL)
        return;
    servers = bw_yaml_new(o->arena, BW_YAML_LIST, flag("--origin"));
    put(pool, "servers", "pools.origin.servers", servers);
    for (size_t i = 0; i < o->flags->origin_n; i++)
        bw_yaml_append(servers, NULL,
                       bw_yaml_scalar(o->arena, o->flags->origin[i], flag("--origin")));
}

static void set_trust(struct overlay *o)
{
    const char *file = o->flags->origin_trust;
    struct bw_yaml *pools = bw_yaml_find(o->root, "pools");
    struct bw_yaml *pool = pools != NULL ? bw_yaml_find(pools, "origin") : NULL, *tls;

    if (file == NULL)
        return;
    if (pool == NULL) {
        bw_diag_error(o->diag, flag("--origin-trust"), NULL,
                      "there is no pool named origin; give --origin https://HOST too");
        return;
    }
    tls = group(o, pool, "tls", "pools.origin.tls", flag("--origin-trust"));
    if (tls != NULL)
        put(tls, "trust", "pools.origin.tls.trust",
            bw_yaml_scalar(o->arena, file, flag("--origin-trust")));
}

/* {certificates: {certificate: FILE, key: FILE}} */
static struct bw_yaml *tls_group(struct overlay *o)
{
    struct bw_yaml *tls = bw_yaml_new(o->arena, BW_YAML_MAP, flag("--listen"));
    struct bw_yaml *pair = bw_yaml_new(o->arena, BW_YAML_MAP, flag("--certificate"));

    put(tls, "certificates", "listen.tls.certificates", pair);
    put(pair, "certificate", "listen.tls.certificates.certificate",
        bw_yaml_scalar(o->arena, o->flags->certificate, flag("--certificate")));
    put(pair, "key", "listen.tls.certificates.key",
        bw_yaml_scalar(o->arena, o->flags->key, flag("--key")));
    return tls;
}

/* One --listen: https://ADDR, http://ADDR or ADDR; does it want TLS? */
static bool add_listen(struct overlay *o, struct bw_yaml *list, const char *text)
{
    bool tls = strncmp(text, "https://", 8) == 0, plain = strncmp(text, "http://", 7) == 0;
    struct bw_yaml *item = bw_yaml_new(o->arena, BW_YAML_MAP, flag("--listen"));

    bw_yaml_append(list, NULL, item);
    put(item, "address", "listen.address",
        bw_yaml_scalar(o->arena,
                       text + (tls     ? 8
                               : plain ? 7
                                       : 0),
                       flag("--listen")));
    if (tls && o->flags->certificate != NULL && o->flags->key != NULL)
        put(item, "tls", "listen.tls", tls_group(o));
    return tls;
}

static void add_listens(struct overlay *o)
{
    const struct bw_conf_flags *f = o->flags;
    bool given = f->certificate != NULL && f->key != NULL, tls = false;

    if ((f->certificate != NULL) != (f->key != NULL))
        bw_diag_error(o->diag, flag(f->key == NULL ? "--certificate" : "--key"), NULL,
                      "needs %s FILE beside it; give both",
                      f->key == NULL ? "--key" : "--certificate");
    if (f->listen_n > 0) {
        struct bw_yaml *list = bw_yaml_new(o->arena, BW_YAML_LIST, flag("--listen"));

        put(o->root, "listen", "listen", list);
        for (size_t i = 0; i < f->listen_n; i++)
            tls = add_listen(o, list, f->listen[i]) || tls;
    }
    if (given && !tls)
        bw_diag_error(o->diag, flag("--certificate"), NULL,
                      "no listener uses it; give --listen https://ADDRESS:PORT too");
    if (tls && f->certificate == NULL && f->key == NULL)
        bw_diag_error(o->diag, flag("--listen"), NULL,
                      "https:// has no certificate; give --certificate FILE and --key FILE too");
}

static void set_admin(struct overlay *o)
{
    const struct bw_yaml *admin = bw_yaml_find(o->root, "admin");

    if (admin != NULL && admin->kind == BW_YAML_SCALAR && o->flags->admin != NULL)
        bw_yaml_remove(o->root, "admin"); /* the short form gives way as a whole */
    set(o, "admin", "listen", o->flags->admin, "--admin");
}

void bw_flags_apply(struct bw_arena *a, struct bw_yaml *root, const struct bw_conf_flags *flags,
                    struct bw_diag *d)
{
    struct overlay o = {.arena = a, .diag = d, .root = root, .flags = flags};

    spell_out_origin(&o);
    add_origins(&o);
    set_trust(&o);
    add_listens(&o);
    set_admin(&o);
    set(&o, NULL, "workers", flags->workers, "--workers");
    set(&o, "cache", "directory", flags->cache_dir, "--cache-dir");
    set(&o, "cache", "size", flags->cache_size, "--cache-size");
}
