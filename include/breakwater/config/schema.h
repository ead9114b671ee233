/*
 * schema.h - every key there is: its place, type, default and one line of prose, in one table.
 *
 * The reader, `check --print`, conf/full.yaml, docs/configuration.md and the error messages all
 * work from this table, so they cannot disagree.  Pure data.
 */
#pragma once

#include "breakwater/base/buf.h"

enum bw_schema_type {
    BW_SCHEMA_GROUP,    /* keys of its own */
    BW_SCHEMA_MATCH,    /* the keys of rules.match once more */
    BW_SCHEMA_PAIRS,    /* name: patterns; a name alone means "is there" */
    BW_SCHEMA_STATUS,   /* 404, 4xx or 500-504: lifetime */
    BW_SCHEMA_DURATION, /* 10s; milliseconds */
    BW_SCHEMA_LIFETIME, /* 10m; whole seconds */
    BW_SCHEMA_SIZE,     /* 64KiB; bytes */
    BW_SCHEMA_PERCENT,  /* 20% */
    BW_SCHEMA_COUNT,    /* a bare number */
    BW_SCHEMA_WORD,     /* one of `words` */
    BW_SCHEMA_ADDRESS,  /* to listen on */
    BW_SCHEMA_NETWORK,  /* 10.0.0.0/8 */
    BW_SCHEMA_URL,      /* of a server */
    BW_SCHEMA_FILE,     /* exists and is readable; relative to the file that names it */
    BW_SCHEMA_PATH,     /* a file or folder that Breakwater may create; relative likewise */
    BW_SCHEMA_TEXT,
};

struct bw_schema {
    const char *path; /* "pools.servers.url": list items and chosen names add nothing */
    enum bw_schema_type type;
    bool list;  /* a list; one item may stand alone */
    bool named; /* groups under names that the person chooses */
    bool required;
    bool optional;        /* a group that is absent unless something in it is written */
    const char *chief;    /* of a group: the key whose value may stand for the whole group */
    const char *words;    /* "random|round-robin"; accepted beside what the type accepts */
    const char *fallback; /* the default, as one would write it; NULL: none */
    uint64_t least, most; /* of a number, in the units of its type; most 0: no limit */
    const char *example;  /* shown where there is no default */
    const char *prose;    /* one line */
};

/* The whole table in the order of the documentation; a parent stands before its children. */
const struct bw_schema *bw_schema_table(size_t *n);
/* The parent of all: an unnamed group. */
const struct bw_schema *bw_schema_root(void);
/* The last part of the path: "url". */
const char *bw_schema_key(const struct bw_schema *s);
/* Children in the table's order: begin with prev NULL; NULL at the end. */
const struct bw_schema *bw_schema_next(const struct bw_schema *parent,
                                       const struct bw_schema *prev);
/* The child with that key, or NULL. */
const struct bw_schema *bw_schema_find(const struct bw_schema *parent, const char *key);
/* The child whose key a person may have meant by `key`, or NULL where none is near. */
const char *bw_schema_near(const struct bw_schema *parent, const char *key);
/* The number of a word in `words`, or -1. */
int bw_schema_word(const struct bw_schema *s, const char *text);

/* What a person may have meant: offer the candidates, then read `best` (NULL: nothing is near). */
struct bw_suggestion {
    const char *word; /* as written */
    const char *best;
    size_t distance;
};
void bw_suggest(struct bw_suggestion *s, const char *candidate);
