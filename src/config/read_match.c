/*
 * read_match.c - from the keys of a `match` to compiled tests, the cheap ones first.
 *
 * A pattern that no request can ever match is a mistake, and is said: a host with a port, a path
 * that is not in the normal form in which paths are matched, a method in lower case.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/http/target.h"

#include "address_priv.h"
#include "read_priv.h"

#include <ctype.h>
#include <stdlib.h>

/* Checks one text and brings it into the form that is compared; false: `why` says why not. */
typedef bool (*form_fn)(struct bw_arena *a, const char **text, struct bw_buf *why);

static bool refuse(struct bw_buf *why, const char *text, const char *reason)
{
    bw_buf_printf(why, "\"%.200s\" %s", text, reason);
    return false;
}

static const char *lower(struct bw_arena *a, const char *text)
{
    char *copy = bw_arena_copy(a, bw_slice_str(text));

    for (char *p = copy; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
}

/* tchar (RFC 9110, 5.6.2) */
static bool is_token(const char *s)
{
    for (const char *p = s; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("!#$%&'*+-.^_`|~", *p) == NULL)
            return false;
    return s[0] != '\0';
}

bool bw_match_form_host(struct bw_arena *a, const char **text, struct bw_buf *why)
{
    const char *given = *text, *name;

    *text = lower(a, given);
    name = strncmp(*text, "*.", 2) == 0 ? *text + 2 : *text;
    if (bw_address_is_host(bw_slice_str(name)) && name[strlen(name) - 1] != '.')
        return true;
    if (name[0] != '[' && strchr(name, ':') != NULL)
        return refuse(why, given, "has a port or a scheme; write the name alone");
    return refuse(why, given, "is no host; write a name such as example.net or *.example.net");
}

/* A path that requests are never seen with, since they are brought into normal form first. */
static bool check_normal(const char *text, struct bw_buf *why)
{
    struct bw_slice s = bw_slice_str(text);
    char *room = bw_alloc(s.len + 1);
    struct bw_target target;
    bool ok = bw_target_normalise(s, room, &target) == BW_TARGET_OK;

    if (!ok)
        refuse(why, text, "holds a byte that no request has; write it as %XX");
    else if (!bw_slice_eq(target.whole, s))
        bw_buf_printf(why, "\"%.200s\" is never seen in this form; write \"%.*s\"", text,
                      (int)(target.whole.len < 200 ? target.whole.len : 200), target.whole.base);
    ok = ok && bw_slice_eq(target.whole, s);
    free(room);
    return ok;
}

static bool form_path(struct bw_arena *a, const char **text, struct bw_buf *why)
{
    (void)a;
    if ((*text)[0] == '~' || (*text)[0] == '*')
        return true;
    if ((*text)[0] != '/')
        return refuse(why, *text, "does not start with '/'; write /..., a glob *... or ~REGEX");
    if (strpbrk(*text, "?#") != NULL)
        return refuse(why, *text, "goes on behind the path; match the query by the key query");
    return check_normal(*text, why);
}

static bool form_extension(struct bw_arena *a, const char **text, struct bw_buf *why)
{
    const char *given = *text, *dot = strrchr(given, '.');

    *text = lower(a, given);
    if (strpbrk(given, "*/~") != NULL)
        return refuse(why, given, "is no extension; write a word such as jpg, or match the path");
    if (dot == NULL)
        return true;
    bw_buf_printf(why, "\"%.80s\" has a dot; write %.80s, what follows the last dot", given,
                  dot[1] != '\0' ? dot + 1 : "jpg");
    return false;
}

static bool form_method(struct bw_arena *a, const char **text, struct bw_buf *why)
{
    (void)a;
    for (const char *p = *text; *p != '\0'; p++)
        if (islower((unsigned char)*p))
            return refuse(why, *text, "is no method that is used; methods are in upper case");
    return is_token(*text) || refuse(why, *text, "is no method; write such as GET");
}

/* A scheme is one of two words, a value may be anything. */
static bool form_any(struct bw_arena *a, const char **text, struct bw_buf *why)
{
    (void)a, (void)text, (void)why;
    return true;
}

static const struct key {
    const char *name;
    enum bw_test_kind kind;
    form_fn form;
} keys[] = {
    {"host", BW_TEST_HOST, bw_match_form_host},
    {"path", BW_TEST_PATH, form_path},
    {"extension", BW_TEST_EXTENSION, form_extension},
    {"method", BW_TEST_METHOD, form_method},
    {"scheme", BW_TEST_SCHEME, form_any},
    {"query", BW_TEST_QUERY, form_any},
    {"header", BW_TEST_HEADER, form_any},
    {"cookie", BW_TEST_COOKIE, form_any},
    {"not", BW_TEST_NOT, NULL},
    {"any", BW_TEST_ANY, NULL},
    {"all", BW_TEST_ALL, NULL},
};

static const struct key *find_key(const char *name)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(keys); i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    BW_UNREACHABLE();
}

/* Hosts, extensions and methods are words: a '~' or '*' in them has been refused or is meant. */
static void compile(struct bw_read *r, const struct bw_value *v, const struct key *key,
                    struct bw_pattern *out)
{
    struct bw_buf why = {0};
    const char *text = v->text;

    if (!key->form(r->arena, &text, &why) || !bw_pattern_compile(r->arena, text, out, &why))
        bw_diag_error(r->diag, v->at, v->path, "%.*s", (int)why.len, why.base);
    else if (key->kind == BW_TEST_HOST && out->kind == BW_PATTERN_EXACT &&
             !bw_hosts_have(&r->conf->hosts, out->text))
        bw_diag_warn(r->diag, v->at, v->path,
                     "\"%.200s\" is never let in; add it to hosts, or remove it here", v->text);
    bw_buf_free(&why);
}

static void read_patterns(struct bw_read *r, const struct bw_value *list, const struct key *key,
                          struct bw_test *out)
{
    out->kind = key->kind;
    out->patterns = bw_arena_alloc(r->arena, list->n * sizeof(*out->patterns));
    for (const struct bw_value *v = list->first; v != NULL; v = v->next)
        compile(r, v, key, &out->patterns[out->patterns_n++]);
}

/* {NAME: patterns, ...}: a test for each name. */
static void read_pairs(struct bw_read *r, const struct bw_value *pairs, const struct key *key,
                       struct bw_tests *out)
{
    for (const struct bw_value *v = pairs->first; v != NULL; v = v->next) {
        struct bw_test *test = &out->v[out->n++];
        const char *name = v->key;

        if (key->kind != BW_TEST_QUERY && !is_token(name))
            bw_diag_error(r->diag, v->at, v->path, "\"%s\" is no name; write one without blanks",
                          name);
        if (key->kind == BW_TEST_HEADER)
            name = lower(r->arena, name);
        test->name = bw_slice_str(name);
        read_patterns(r, v, key, test);
    }
}

static struct bw_tests new_tests(struct bw_read *r, size_t n)
{
    return (struct bw_tests){.v = bw_arena_alloc(r->arena, n * sizeof(struct bw_test))};
}

/* Several {NAME: ...} in a list are joined by `or`. */
static void read_named_list(struct bw_read *r, const struct bw_value *list, const struct key *key,
                            struct bw_tests *out)
{
    struct bw_test *any;

    if (list->n == 1) {
        read_pairs(r, list->first, key, out);
        return;
    }
    any = &out->v[out->n++];
    any->kind = BW_TEST_ANY;
    any->branches = bw_arena_alloc(r->arena, list->n * sizeof(*any->branches));
    for (const struct bw_value *v = list->first; v != NULL; v = v->next) {
        struct bw_tests *branch = &any->branches[any->branches_n++];

        *branch = new_tests(r, v->n);
        read_pairs(r, v, key, branch);
    }
}

static void read_branches(struct bw_read *r, const struct bw_value *v, const struct key *key,
                          struct bw_test *out)
{
    const struct bw_value *first = v->list ? v->first : v;

    out->kind = key->kind;
    out->branches_n = v->list ? v->n : 1;
    out->branches = bw_arena_alloc(r->arena, out->branches_n * sizeof(*out->branches));
    for (size_t i = 0; i < out->branches_n; i++, first = first->next)
        out->branches[i] = bw_read_match(r, first);
    if (key->kind == BW_TEST_NOT && v->n == 0)
        bw_diag_error(r->diag, v->at, v->path, "excludes everything; write what is not to match");
}

static size_t count_tests(const struct bw_value *match)
{
    size_t n = 0;

    for (const struct bw_value *v = match->first; v != NULL; v = v->next)
        n += v->schema->type == BW_SCHEMA_PAIRS && v->n == 1 ? v->first->n : 1;
    return n;
}

/* match: {path: /x, not: {path: /x}} */
static void check_contradiction(struct bw_read *r, const struct bw_value *match)
{
    const struct bw_value *not = bw_value_get(match, "not");

    if (not != NULL && not ->n > 0 && bw_match_covers(not, match))
        bw_diag_error(r->diag, not ->at, not ->path,
                      "excludes all that the rest asks for, so nothing ever matches; remove one");
}

struct bw_tests bw_read_match(struct bw_read *r, const struct bw_value *match)
{
    struct bw_tests tests = {0};

    if (match == NULL)
        return tests;
    tests = new_tests(r, count_tests(match));
    for (const struct bw_value *v = match->first; v != NULL; v = v->next) {
        const struct key *key = find_key(v->key);

        if (key->form == NULL)
            read_branches(r, v, key, &tests.v[tests.n++]);
        else if (v->schema->type == BW_SCHEMA_PAIRS)
            read_named_list(r, v, key, &tests);
        else
            read_patterns(r, v, key, &tests.v[tests.n++]);
    }
    check_contradiction(r, match);
    return tests;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_value(const struct bw_value *a, const struct bw_value *b)
{
    const struct bw_value *x = a->first, *y = b->first;

    if (!same_text(a->key, b->key) || !same_text(a->text, b->text) || a->n != b->n)
        return false;
    for (; x != NULL; x = x->next, y = y->next)
        if (!same_value(x, y))
            return false;
    return true;
}

/* Keys are joined by `and`: whoever asks for the same and more is narrower. */
bool bw_match_covers(const struct bw_value *broad, const struct bw_value *narrow)
{
    for (const struct bw_value *v = broad != NULL ? broad->first : NULL; v != NULL; v = v->next) {
        const struct bw_value *w = bw_value_get(narrow, v->key);

        if (w == NULL || !same_value(v, w))
            return false;
    }
    return true;
}
