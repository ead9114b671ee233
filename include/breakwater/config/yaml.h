/*
 * yaml.h - one YAML document as a tree in which every value knows its file, line and column.
 *
 * The environment is filled in: ${NAME}, ${NAME:-default}; $${ stands for ${.  Duplicate keys, tags
 * and control characters are errors; an alias stands for a copy, and the copies are limited.
 * Everything lives in the arena.
 */
#pragma once

#include "breakwater/base/slice.h"
#include "breakwater/config/arena.h"
#include "breakwater/config/diag.h"

enum bw_yaml_kind { BW_YAML_SCALAR, BW_YAML_LIST, BW_YAML_MAP };

struct bw_yaml {
    enum bw_yaml_kind kind;
    struct bw_place at;
    const char *path; /* "cache.size", "rules[2].ttl", or "rules[pages].ttl" where it has a name */
    const char *key;  /* in a map; NULL in a list */
    struct bw_place key_at;
    const char *text;                    /* scalar: with the environment filled in */
    const char *written;                 /* scalar: as it stands in the file */
    bool null;                           /* scalar: nothing was written at all */
    struct bw_yaml *first, *last, *next; /* of a map or list; next: of the parent's children */
};

/* NULL where the text is not usable as YAML, `d` says why; else the root, which is a map. */
struct bw_yaml *bw_yaml_parse(struct bw_arena *a, const char *file, struct bw_slice text,
                              struct bw_diag *d);
/* The same from a file of at most 4 MiB; `named` is where the file's name was written. */
struct bw_yaml *bw_yaml_load(struct bw_arena *a, const char *file, struct bw_place named,
                             struct bw_diag *d);

/* Trees can also be built by hand, for what flags say.  Strings are not copied. */
struct bw_yaml *bw_yaml_new(struct bw_arena *a, enum bw_yaml_kind kind, struct bw_place at);
struct bw_yaml *bw_yaml_scalar(struct bw_arena *a, const char *text, struct bw_place at);
void bw_yaml_append(struct bw_yaml *parent, const char *key, struct bw_yaml *child);
/* The child with that key, or NULL. */
struct bw_yaml *bw_yaml_find(const struct bw_yaml *map, const char *key);
/* Takes the child with that key out of the map; NULL where there is none. */
struct bw_yaml *bw_yaml_remove(struct bw_yaml *map, const char *key);
