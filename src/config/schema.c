/*
 * schema.c - how to walk the table of keys, and what a person may have meant by a wrong one.
 */
#include "breakwater/config/schema.h"

#include <strings.h>

static const struct bw_schema root = {.path = "", .type = BW_SCHEMA_GROUP, .prose = ""};

const struct bw_schema *bw_schema_root(void)
{
    return &root;
}

const char *bw_schema_key(const struct bw_schema *s)
{
    const char *dot = strrchr(s->path, '.');

    return dot != NULL ? dot + 1 : s->path;
}

/* Is `s` a direct child of the path? */
static bool is_child(const struct bw_schema *s, const char *parent, size_t len)
{
    const char *key = s->path;

    if (len > 0) {
        if (strncmp(s->path, parent, len) != 0 || s->path[len] != '.')
            return false;
        key += len + 1;
    }
    return strchr(key, '.') == NULL;
}

const struct bw_schema *bw_schema_next(const struct bw_schema *parent, const struct bw_schema *prev)
{
    const char *path = parent->type == BW_SCHEMA_MATCH ? "rules.match" : parent->path;
    size_t n, len = strlen(path);
    const struct bw_schema *table = bw_schema_table(&n);

    for (const struct bw_schema *s = prev != NULL ? prev + 1 : table; s < table + n; s++)
        if (is_child(s, path, len))
            return s;
    return NULL;
}

const struct bw_schema *bw_schema_find(const struct bw_schema *parent, const char *key)
{
    const struct bw_schema *s = NULL;

    while ((s = bw_schema_next(parent, s)) != NULL)
        if (strcmp(bw_schema_key(s), key) == 0)
            return s;
    return NULL;
}

int bw_schema_word(const struct bw_schema *s, const char *text)
{
    struct bw_slice rest = bw_slice_str(s->words), word = bw_slice_str(text);

    for (int i = 0; rest.len > 0; i++)
        if (bw_slice_eq(bw_slice_cut(rest, '|', &rest), word))
            return i;
    return -1;
}

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

enum { WORD_MAX = 40 };

/* Edits (Levenshtein) between two short words, letters compared without case. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            bool same = strncasecmp(a + i - 1, b + j - 1, 1) == 0;
            size_t next = least_of(row[j] + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1));

            diagonal = row[j];
            row[j] = next;
        }
    }
    return row[n];
}

const char *bw_schema_near(const struct bw_schema *parent, const char *key)
{
    const struct bw_schema *child = NULL;
    struct bw_suggestion near = {.word = key};

    while ((child = bw_schema_next(parent, child)) != NULL)
        bw_suggest(&near, bw_schema_key(child));
    return near.best;
}

void bw_suggest(struct bw_suggestion *s, const char *candidate)
{
    size_t len = strlen(s->word), d;

    if (len == 0 || len > WORD_MAX || strlen(candidate) > WORD_MAX)
        return;
    d = distance(s->word, candidate);
    if (d > (len > 5 ? 2 : 1) || (s->best != NULL && d >= s->distance))
        return;
    s->best = candidate;
    s->distance = d;
}
