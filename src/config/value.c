/*
 * value.c - holds the YAML tree against the schema.
 *
 * One pass does the work of all readers: unknown keys, wrong types and units, values that are
 * missing; short forms become long ones, and what is not written gets its default.  What is wrong
 * is reported and left out, so that one run finds as many mistakes as possible.
 */
#include "breakwater/config/value.h"

#include "address_priv.h"
#include "file_priv.h"

struct pass {
    struct bw_arena *arena;
    struct bw_diag *diag;
};

static struct bw_value *read_node(struct pass *p, const struct bw_schema *s,
                                  const struct bw_yaml *y);

static struct bw_value *new_value(struct pass *p, const struct bw_schema *s,
                                  const struct bw_yaml *y)
{
    struct bw_value *v = bw_arena_alloc(p->arena, sizeof(*v));

    v->schema = s;
    v->at = y->at;
    v->path = y->path;
    v->word = -1;
    return v;
}

static void append(struct bw_value *parent, const char *key, struct bw_value *child)
{
    if (child == NULL)
        return;
    child->key = key;
    if (parent->last != NULL)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->n++;
}

/* An error at the node; NULL, so that callers can return it. */
static struct bw_value *refuse(struct pass *p, const struct bw_yaml *y, const char *reason)
{
    bw_diag_error(p->diag, y->at, y->path, "%s", reason);
    return NULL;
}

/* The keys that are known in a group, for "known here are". */
static const char *known_keys(struct pass *p, const struct bw_schema *s)
{
    const struct bw_schema *child = NULL;
    struct bw_buf text = {0};
    const char *copy;

    while ((child = bw_schema_next(s, child)) != NULL)
        bw_buf_printf(&text, "%s%s", text.len > 0 ? ", " : "", bw_schema_key(child));
    copy = bw_arena_copy(p->arena, bw_buf_view(&text));
    bw_buf_free(&text);
    return copy;
}

static void check_unknown(struct pass *p, const struct bw_schema *s, const struct bw_yaml *y)
{
    const char *near = bw_schema_near(s, y->key);

    if (bw_schema_find(s, y->key) != NULL)
        return;
    if (near != NULL)
        bw_diag_error(p->diag, y->key_at, y->path, "unknown key; did you mean \"%s\"?", near);
    else
        bw_diag_error(p->diag, y->key_at, y->path, "unknown key; known here are %s",
                      known_keys(p, s));
}

/* What the form of the text alone does not tell. */
static bool check_meaning(struct pass *p, struct bw_value *v, struct bw_buf *why)
{
    struct bw_listen_conf listen;
    struct bw_network network;
    struct bw_server_conf server;

    if (v->word >= 0)
        return true;
    if (v->schema->type == BW_SCHEMA_FILE || v->schema->type == BW_SCHEMA_PATH)
        v->text = bw_file_resolve(p->arena, v->at, v->text);
    if (v->schema->type == BW_SCHEMA_FILE)
        return bw_file_readable(v->text, why);
    if (v->schema->type == BW_SCHEMA_ADDRESS)
        return bw_address_listen(p->arena, v->text, &listen, why);
    if (v->schema->type == BW_SCHEMA_NETWORK)
        return bw_address_network(v->text, &network, why);
    if (v->schema->type == BW_SCHEMA_URL)
        return bw_address_server(p->arena, v->text, &server, why);
    return true;
}

static struct bw_value *read_scalar(struct pass *p, const struct bw_schema *s,
                                    const struct bw_yaml *y)
{
    struct bw_value *v;
    struct bw_buf why = {0};
    struct bw_scalar scalar;
    bool ok;

    if (y->kind == BW_YAML_LIST)
        return refuse(p, y, "takes one value, not a list; remove the brackets or dashes");
    if (y->kind == BW_YAML_MAP)
        return refuse(p, y, "takes a value, not keys of its own; write the value behind the colon");
    if (y->null)
        return refuse(p, y, "has no value; write one or remove the key");
    v = new_value(p, s, y);
    v->text = y->text;
    v->written = y->written;
    ok = bw_scalar_read(s, y->text, &scalar, &why);
    v->word = scalar.word;
    v->number = scalar.number;
    ok = ok && check_meaning(p, v, &why);
    if (!ok)
        bw_diag_error(p->diag, y->at, y->path, "%.*s", (int)why.len, why.base);
    bw_buf_free(&why);
    return ok ? v : NULL;
}

/* The patterns of one name: a list, or one that stands alone. */
static struct bw_value *new_patterns(struct pass *p, const struct bw_schema *s,
                                     const struct bw_yaml *y)
{
    struct bw_value *v = new_value(p, s, y);

    v->list = true;
    if (y->kind != BW_YAML_LIST)
        append(v, NULL, read_scalar(p, s, y));
    else if (y->first == NULL)
        return refuse(p, y, "is empty; write at least one pattern or remove the key");
    for (const struct bw_yaml *i = y->kind == BW_YAML_LIST ? y->first : NULL; i != NULL;
         i = i->next)
        append(v, NULL, read_scalar(p, s, i));
    return v;
}

/* {NAME: pattern, ...}, or a name alone, which any value matches. */
static struct bw_value *read_pairs(struct pass *p, const struct bw_schema *s,
                                   const struct bw_yaml *y)
{
    struct bw_value *v = new_value(p, s, y);

    if (y->kind == BW_YAML_LIST)
        return refuse(p, y, "a list in a list; write one list");
    if (y->kind == BW_YAML_SCALAR && (y->null || y->text[0] == '\0'))
        return refuse(p, y, "has no value; write a name, or {NAME: VALUE}");
    if (y->kind == BW_YAML_SCALAR) {
        struct bw_yaml *any = bw_yaml_scalar(p->arena, "*", y->at);

        any->path = y->path;
        append(v, y->text, new_patterns(p, s, any));
        return v;
    }
    for (const struct bw_yaml *child = y->first; child != NULL; child = child->next)
        append(v, child->key, new_patterns(p, s, child));
    if (v->n == 0)
        return refuse(p, y, "is empty; write {NAME: VALUE} or remove the key");
    return v;
}

static struct bw_value *read_status(struct pass *p, const struct bw_schema *s,
                                    const struct bw_yaml *y)
{
    struct bw_value *v = new_value(p, s, y);

    if (y->kind != BW_YAML_MAP || y->first == NULL)
        return refuse(p, y, "takes statuses with a lifetime each; write {404: 30s, 5xx: off}");
    for (const struct bw_yaml *child = y->first; child != NULL; child = child->next)
        append(v, child->key, read_scalar(p, s, child));
    return v;
}

/* A child of a group that is not written: its default, or NULL. */
static struct bw_value *read_default(struct pass *p, const struct bw_schema *s,
                                     const struct bw_yaml *group)
{
    const char *dot = group->path[0] != '\0' ? "." : "";
    struct bw_yaml *y;

    if (s->required)
        bw_diag_error(p->diag, group->at,
                      bw_arena_printf(p->arena, "%s%s%s", group->path, dot, bw_schema_key(s)),
                      "is missing; write %s: %s", bw_schema_key(s),
                      s->example != NULL ? s->example : "...");
    if (s->fallback == NULL &&
        (s->type != BW_SCHEMA_GROUP || s->optional || s->required || s->named))
        return NULL;
    if (s->fallback != NULL)
        y = bw_yaml_scalar(p->arena, s->fallback, (struct bw_place){0});
    else
        y = bw_yaml_new(p->arena, BW_YAML_MAP, (struct bw_place){0});
    y->path = s->path;
    return read_node(p, s, y);
}

/* The keys of a group in the order of the schema, each written or by default. */
static struct bw_value *read_keys(struct pass *p, const struct bw_schema *s,
                                  const struct bw_yaml *y)
{
    struct bw_value *v = new_value(p, s, y);
    const struct bw_schema *row = NULL;
    const struct bw_yaml *child;

    for (child = y->first; child != NULL; child = child->next)
        check_unknown(p, s, child);
    while ((row = bw_schema_next(s, row)) != NULL) {
        child = bw_yaml_find(y, bw_schema_key(row));
        append(v, bw_schema_key(row),
               child != NULL ? read_node(p, row, child) : read_default(p, row, y));
    }
    return v;
}

/* The group in short form: the value is that of its chief key. */
static struct bw_value *read_chief(struct pass *p, const struct bw_schema *s,
                                   const struct bw_yaml *y)
{
    struct bw_yaml *map = bw_yaml_new(p->arena, BW_YAML_MAP, y->at);
    struct bw_yaml *chief = bw_yaml_scalar(p->arena, y->text, y->at);

    map->path = chief->path = y->path;
    chief->written = y->written;
    bw_yaml_append(map, s->chief, chief);
    return read_keys(p, s, map);
}

static struct bw_value *read_group(struct pass *p, const struct bw_schema *s,
                                   const struct bw_yaml *y)
{
    struct bw_value *v;

    if (y->kind == BW_YAML_LIST)
        return refuse(p, y, "takes keys, not a list; write KEY: VALUE lines");
    if (y->kind == BW_YAML_MAP)
        return read_keys(p, s, y);
    if (y->null) {
        struct bw_yaml *map = bw_yaml_new(p->arena, BW_YAML_MAP, y->at);

        map->path = y->path;
        return read_keys(p, s, map);
    }
    if (bw_schema_word(s, y->text) >= 0) {
        v = new_value(p, s, y);
        v->word = bw_schema_word(s, y->text);
        v->text = v->written = y->text;
        return v;
    }
    if (s->chief != NULL)
        return read_chief(p, s, y);
    bw_diag_error(p->diag, y->at, y->path, "takes keys, not a value%s%s; known here are %s",
                  s->words != NULL ? " other than " : "", s->words != NULL ? s->words : "",
                  known_keys(p, s));
    return NULL;
}

static bool is_name(const char *s)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    size_t n = strspn(s, allowed);

    return n > 0 && n <= 64 && s[n] == '\0';
}

/* Groups under names of the person's choice. */
static struct bw_value *read_named(struct pass *p, const struct bw_schema *s,
                                   const struct bw_yaml *y)
{
    struct bw_value *v = new_value(p, s, y);

    if (y->kind != BW_YAML_MAP && !y->null)
        return refuse(p, y, "takes named groups; write NAME: and its keys below it");
    for (const struct bw_yaml *child = y->first; child != NULL; child = child->next) {
        if (!is_name(child->key))
            bw_diag_error(p->diag, child->key_at, child->path,
                          "is no name; use at most 64 letters, digits, '-', '_' and '.'");
        append(v, child->key, read_group(p, s, child));
    }
    return v;
}

static struct bw_value *read_one(struct pass *p, const struct bw_schema *s, const struct bw_yaml *y)
{
    switch (s->type) {
    case BW_SCHEMA_GROUP:
    case BW_SCHEMA_MATCH:
        return s->named ? read_named(p, s, y) : read_group(p, s, y);
    case BW_SCHEMA_PAIRS:
        return read_pairs(p, s, y);
    case BW_SCHEMA_STATUS:
        return read_status(p, s, y);
    case BW_SCHEMA_DURATION:
    case BW_SCHEMA_LIFETIME:
    case BW_SCHEMA_SIZE:
    case BW_SCHEMA_PERCENT:
    case BW_SCHEMA_COUNT:
    case BW_SCHEMA_WORD:
    case BW_SCHEMA_ADDRESS:
    case BW_SCHEMA_NETWORK:
    case BW_SCHEMA_URL:
    case BW_SCHEMA_FILE:
    case BW_SCHEMA_PATH:
    case BW_SCHEMA_TEXT:
        return read_scalar(p, s, y);
    }
    return NULL;
}

/* An empty list means nothing where something is expected: it would match or serve nothing. */
static bool may_be_empty(const struct bw_schema *s)
{
    return !s->required && s->fallback == NULL && strncmp(s->path, "rules.match", 11) != 0;
}

static struct bw_value *read_list(struct pass *p, const struct bw_schema *s,
                                  const struct bw_yaml *y)
{
    struct bw_value *v = new_value(p, s, y);

    v->list = true;
    if (y->kind == BW_YAML_MAP || (y->kind == BW_YAML_SCALAR && !y->null)) {
        append(v, NULL, read_one(p, s, y));
        return v;
    }
    for (const struct bw_yaml *item = y->first; item != NULL; item = item->next)
        append(v, NULL, read_one(p, s, item));
    if (y->first == NULL && !may_be_empty(s))
        return refuse(p, y, "is empty; write at least one item or remove the key");
    return v;
}

static struct bw_value *read_node(struct pass *p, const struct bw_schema *s,
                                  const struct bw_yaml *y)
{
    return s->list ? read_list(p, s, y) : read_one(p, s, y);
}

struct bw_value *bw_value_read(struct bw_arena *a, struct bw_yaml *root, struct bw_diag *d)
{
    struct pass p = {.arena = a, .diag = d};

    return read_keys(&p, bw_schema_root(), root);
}

struct bw_value *bw_value_get(const struct bw_value *v, const char *path)
{
    while (v != NULL) {
        size_t n = strcspn(path, ".");
        struct bw_value *child = v->first;

        if (v->list)
            return NULL;
        while (child != NULL && (strncmp(child->key, path, n) != 0 || child->key[n] != '\0'))
            child = child->next;
        if (path[n] == '\0' || child == NULL)
            return child;
        path += n + 1;
        v = child;
    }
    return NULL;
}
