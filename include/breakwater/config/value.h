/*
 * value.h - the configuration as a tree that obeys the schema: every value typed, short forms
 * spelled out, defaults filled in, and each value with the place it came from.
 *
 * `check --print` prints this tree; the readers copy it into the conf structs.  Lives in the arena.
 */
#pragma once

#include "breakwater/config/arena.h"
#include "breakwater/config/schema.h"
#include "breakwater/config/yaml.h"

struct bw_value {
    const struct bw_schema *schema;
    const char *key;     /* in a group; NULL for an item of a list */
    const char *path;    /* for messages */
    struct bw_place at;  /* a file's line; line 0: a flag, or a default where file is NULL */
    const char *text;    /* of a scalar; a FILE or PATH is resolved */
    const char *written; /* as it stands in the file, ${...} included */
    const char *here;    /* what `auto` came to on this machine, or NULL */
    int word;            /* number in schema->words, or -1; also of a group that is `off` */
    uint64_t number;     /* ms, s, bytes, percent, count; a switch: 1 or 0 */
    bool list;           /* children are items, not keys */
    struct bw_value *first, *last, *next;
    size_t n; /* children */
};

/* Checks the whole tree and says in `d` what is wrong; never NULL. */
struct bw_value *bw_value_read(struct bw_arena *a, struct bw_yaml *root, struct bw_diag *d);
/* The child at "timeouts.connect"; NULL where it is not set and has no default. */
struct bw_value *bw_value_get(const struct bw_value *v, const char *path);

/* What a scalar says, by the type of its row. */
struct bw_scalar {
    int word;
    uint64_t number;
};
/* false: `why` says what is wrong with it and what to write. */
bool bw_scalar_read(const struct bw_schema *s, const char *text, struct bw_scalar *out,
                    struct bw_buf *why);
/* "64KiB", "5m": the shortest exact form of a number in the units of its type. */
void bw_scalar_print(enum bw_schema_type type, uint64_t number, struct bw_buf *out);
