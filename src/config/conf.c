/*
 * conf.c - one configuration from flags and file, whole or not at all.
 *
 *     file -> yaml -> include -> flags -> value (schema) -> read_*.c -> struct bw_conf
 *
 * Each arrow may report several mistakes; the next one is only taken where there is none.
 */
#include "breakwater/config/conf.h"

#include "breakwater/base/check.h"
#include "breakwater/config/schema.h"
#include "breakwater/config/yaml.h"

#include "flags_priv.h"
#include "include_priv.h"
#include "print_priv.h"
#include "read_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What hangs behind a struct bw_conf. */
struct snapshot {
    struct bw_conf conf;
    struct bw_arena *arena; /* holds this struct too */
    const struct bw_value *root;
    atomic_size_t references;
};

static atomic_uint_fast64_t generations;

static struct snapshot *snapshot_of(struct bw_conf *c)
{
    return BW_CONTAINER_OF(c, struct snapshot, conf);
}

/* Is there a key that was meant to name an origin?  Then what is said of it is enough. */
static bool is_misspelt(const struct bw_yaml *root)
{
    for (const struct bw_yaml *y = root->first; y != NULL; y = y->next) {
        const char *near = bw_schema_near(bw_schema_root(), y->key);

        if (near != NULL && (strcmp(near, "origin") == 0 || strcmp(near, "pools") == 0))
            return true;
    }
    return false;
}

static void check_origin(const struct bw_yaml *root, struct bw_diag *d)
{
    const struct bw_yaml *pools = bw_yaml_find(root, "pools");
    struct bw_place at = root->at;

    if (pools != NULL && (pools->first != NULL || pools->kind == BW_YAML_LIST))
        return;
    if (pools == NULL && is_misspelt(root))
        return;
    if (at.line == 0)
        at.file = "--origin";
    bw_diag_error(d, at, "origin", "is missing; write origin: http://HOST:PORT, or give --origin");
}

static void read_all(struct bw_read *r)
{
    bw_read_pools(r);
    bw_read_cache(r);
    bw_read_listen(r);
    bw_read_limits(r);
    bw_read_rules(r);
}

/* Takes over the arena; `root` NULL where not even a tree could be had. */
static struct bw_conf *build(struct bw_arena *a, struct bw_yaml *root,
                             const struct bw_conf_flags *flags, struct bw_diag *d)
{
    struct snapshot *s = bw_arena_alloc(a, sizeof(*s));
    struct bw_read r = {.arena = a, .diag = d, .conf = &s->conf};

    s->arena = a;
    atomic_init(&s->references, 1);
    if (root != NULL && d->errors == 0) {
        bw_flags_apply(a, root, flags, d);
        check_origin(root, d);
        r.root = bw_value_read(a, root, d);
        s->root = r.root;
        if (d->errors == 0)
            read_all(&r);
    }
    if (d->errors > 0) {
        bw_arena_free(a);
        return NULL;
    }
    s->conf.generation = atomic_fetch_add(&generations, 1) + 1;
    return &s->conf;
}

struct bw_conf *bw_conf_load(const struct bw_conf_flags *flags, struct bw_diag *d)
{
    struct bw_arena *a = bw_arena_new();
    struct bw_yaml *root;

    if (flags->file != NULL)
        root = bw_include_load(a, flags->file, d);
    else
        root = bw_yaml_new(a, BW_YAML_MAP, (struct bw_place){0});
    return build(a, root, flags, d);
}

struct bw_conf *bw_conf_load_text(struct bw_slice text, const char *name,
                                  const struct bw_conf_flags *flags, struct bw_diag *d)
{
    struct bw_arena *a = bw_arena_new();
    struct bw_yaml *root = bw_yaml_parse(a, bw_arena_copy(a, bw_slice_str(name)), text, d);

    if (root != NULL)
        bw_include_refuse(root, d);
    return build(a, root, flags, d);
}

struct bw_conf *bw_conf_take(struct bw_conf *c)
{
    atomic_fetch_add_explicit(&snapshot_of(c)->references, 1, memory_order_relaxed);
    return c;
}

void bw_conf_put(struct bw_conf *c)
{
    if (c != NULL &&
        atomic_fetch_sub_explicit(&snapshot_of(c)->references, 1, memory_order_acq_rel) == 1)
        bw_arena_free(snapshot_of(c)->arena);
}

static const struct bw_value *root_of(const struct bw_conf *c)
{
    return ((const struct snapshot *)(const void *)c)->root; /* conf is its first member */
}

/* 1GiB and 1024MiB are the same. */
static bool is_same(const struct bw_value *a, const struct bw_value *b)
{
    return strcmp(a->text, b->text) == 0 ||
           (a->word == b->word && a->number == b->number && a->number != 0);
}

bool bw_conf_differs(const struct bw_conf *a, const struct bw_conf *b, const char *path,
                     struct bw_place *at)
{
    const struct bw_value *from = bw_value_get(root_of(a), path);
    const struct bw_value *to = bw_value_get(root_of(b), path);

    *at = to != NULL ? to->at : (struct bw_place){0};
    if (from == NULL || to == NULL)
        return from != to;
    return !is_same(from, to);
}

/* 0: it is a folder, or cannot be looked at; else ENOENT or ENOTDIR. */
static int look_for_folder(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    return errno == ENOENT || errno == ENOTDIR ? errno : 0;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool bw_conf_check_log(const struct bw_conf *c, struct bw_diag *d)
{
    const struct bw_value *to = bw_value_get(root_of(c), "log.access.to");
    const char *slash = to != NULL ? strrchr(to->text, '/') : NULL;
    char *folder;
    int err;

    if (!c->log.access || to == NULL || to->word >= 0)
        return true;
    if (is_folder(to->text)) {
        bw_diag_error(d, to->at, to->path, "%s is a folder; name a file in it", to->text);
        return false;
    }
    if (slash == NULL || slash == to->text)
        return true;
    folder = bw_slice_dup(bw_slice(to->text, (size_t)(slash - to->text)));
    err = look_for_folder(folder);
    if (err != 0)
        bw_diag_error(d, to->at, to->path, "the folder %s %s; make it, or name a file in another",
                      folder, err == ENOENT ? "does not exist" : "is none");
    free(folder);
    return err == 0;
}

void bw_conf_print(const struct bw_conf *c, struct bw_buf *out)
{
    bw_print_values(root_of(c), out);
}
