/*
 * include.c - `include:`: lists are appended, keys are added.
 *
 * An included file may never override: setting one thing twice is an error that names both places,
 * so the order of files matters only where order is the meaning (rules).
 */
#include "breakwater/config/schema.h"

#include "file_priv.h"
#include "include_priv.h"

#include <glob.h>

enum { DEPTH_MAX = 8, FILES_MAX = 1000 };

struct inclusion {
    struct bw_arena *arena;
    struct bw_diag *diag;
    int files;
};

static struct bw_yaml *load(struct inclusion *in, const char *file, struct bw_place named,
                            int depth);

/* A list's items, or the one item that stands alone, go to the end of the list. */
static void append_items(struct inclusion *in, struct bw_yaml *into, struct bw_yaml *add)
{
    struct bw_yaml *next;

    if (into->kind != BW_YAML_LIST) { /* it stood alone until now */
        struct bw_yaml *alone = bw_yaml_new(in->arena, into->kind, into->at);

        *alone = *into;
        into->kind = BW_YAML_LIST;
        into->first = into->last = NULL;
        if (!alone->null)
            bw_yaml_append(into, NULL, alone);
    }
    if (add->kind != BW_YAML_LIST) {
        if (!add->null)
            bw_yaml_append(into, NULL, add);
        return;
    }
    for (struct bw_yaml *item = add->first; item != NULL; item = next) {
        next = item->next;
        bw_yaml_append(into, NULL, item);
    }
}

/* Adds the keys of `add`; `s` is the row of the map, NULL below an unknown key. */
static void merge(struct inclusion *in, const struct bw_schema *s, bool names, struct bw_yaml *into,
                  struct bw_yaml *add)
{
    struct bw_yaml *next;

    for (struct bw_yaml *y = add->first; y != NULL; y = next) {
        struct bw_yaml *twin = bw_yaml_find(into, y->key);
        const struct bw_schema *row = s == NULL || names ? s : bw_schema_find(s, y->key);

        next = y->next;
        if (twin == NULL)
            bw_yaml_append(into, y->key, y);
        else if (row != NULL && row->list)
            append_items(in, twin, y);
        else if (twin->kind == BW_YAML_MAP && y->kind == BW_YAML_MAP)
            merge(in, row, row != NULL && row->named && !names, twin, y);
        else
            bw_diag_error(in->diag, y->key_at, y->path, "is set twice, first in %s:%d; keep one",
                          twin->at.file, twin->at.line);
    }
}

static void include_file(struct inclusion *in, struct bw_yaml *root, const char *file,
                         const struct bw_yaml *y, int depth)
{
    struct bw_yaml *add;

    if (depth >= DEPTH_MAX || ++in->files > FILES_MAX) {
        bw_diag_error(in->diag, y->at, y->path, "includes too deep or too much; is it a circle?");
        return;
    }
    add = load(in, file, y->at, depth + 1);
    if (add != NULL)
        merge(in, bw_schema_root(), false, root, add);
}

/* All files that match; a name without wildcards has to exist, a pattern may match nothing. */
static void include_pattern(struct inclusion *in, struct bw_yaml *root, const struct bw_yaml *y,
                            int depth)
{
    int errors = in->diag->errors;
    const char *pattern;
    glob_t found;

    if (y->kind != BW_YAML_SCALAR || y->text[0] == '\0') {
        bw_diag_error(in->diag, y->at, y->path, "takes files; write such as conf.d/*.yaml");
        return;
    }
    pattern = bw_file_resolve(in->arena, y->at, y->text);
    if (strpbrk(pattern, "*?[") == NULL) {
        include_file(in, root, pattern, y, depth);
        return;
    }
    if (glob(pattern, GLOB_ERR, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && in->diag->errors == errors; i++)
            include_file(in, root, found.gl_pathv[i], y, depth);
    }
    globfree(&found);
}

static struct bw_yaml *load(struct inclusion *in, const char *file, struct bw_place named,
                            int depth)
{
    struct bw_yaml *root = bw_yaml_load(in->arena, file, named, in->diag);
    struct bw_yaml *include = root != NULL ? bw_yaml_remove(root, "include") : NULL;

    if (include == NULL)
        return root;
    if (include->kind != BW_YAML_LIST)
        include_pattern(in, root, include, depth);
    for (struct bw_yaml *y = include->kind == BW_YAML_LIST ? include->first : NULL; y != NULL;
         y = y->next)
        include_pattern(in, root, y, depth);
    return root;
}

struct bw_yaml *bw_include_load(struct bw_arena *a, const char *file, struct bw_diag *d)
{
    struct inclusion in = {.arena = a, .diag = d};

    return load(&in, file, (struct bw_place){.file = "--config"}, 0);
}

void bw_include_refuse(struct bw_yaml *root, struct bw_diag *d)
{
    const struct bw_yaml *include = bw_yaml_remove(root, "include");

    if (include != NULL)
        bw_diag_error(d, include->key_at, "include", "works in a file only; put the text in here");
}
