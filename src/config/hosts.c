/*
 * hosts.c - which names are ours?
 *
 * Sorted at load, by length first, so that a request with a list of thousands costs one search for
 * its host and one for each name above it, and allocates nothing.
 */
#include "breakwater/base/check.h"

#include "read_priv.h"

#include <stdlib.h>

/* ---- asking ---- */

static int compare(const void *a, const void *b)
{
    const struct bw_slice *x = a, *y = b;

    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->len == 0 ? 0 : memcmp(x->base, y->base, x->len);
}

static bool find(const struct bw_slice *sorted, size_t n, struct bw_slice name)
{
    return n > 0 && bsearch(&name, sorted, n, sizeof(*sorted), compare) != NULL;
}

bool bw_hosts_have(const struct bw_hosts *h, struct bw_slice host)
{
    if (h->every || find(h->exact, h->exact_n, host))
        return true;
    for (size_t i = 1; h->below_n != 0 && i < host.len; i++)
        if (host.base[i] == '.' &&
            find(h->below, h->below_n, bw_slice(host.base + i, host.len - i)))
            return true;
    return false;
}

/* ---- reading ---- */

struct entry {
    struct bw_slice text; /* "example.net", or ".example.net" for those below it */
    const struct bw_value *value;
};

static int by_text(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare(&x->text, &y->text);

    if (order != 0)
        return order;
    if (x->value->at.line != y->value->at.line)
        return x->value->at.line < y->value->at.line ? -1 : 1;
    return x->value->at.column < y->value->at.column ? -1 : 1;
}

/* One of each; the second of two is named. */
static void check_twins(struct bw_read *r, const struct entry *sorted, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (bw_slice_eq(sorted[i].text, sorted[i - 1].text))
            bw_diag_error(r->diag, sorted[i].value->at, sorted[i].value->path,
                          "\"%.200s\" stands there twice; remove one", sorted[i].value->text);
}

static const struct bw_slice *sort(struct bw_read *r, struct entry *entries, size_t n)
{
    struct bw_slice *sorted = bw_arena_alloc(r->arena, n * sizeof(*sorted));

    if (n != 0)
        qsort(entries, n, sizeof(*entries), by_text);
    check_twins(r, entries, n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = entries[i].text;
    return sorted;
}

static void read_one(struct bw_read *r, const struct bw_value *v, struct entry *exact,
                     struct entry *below, struct bw_hosts *out)
{
    const char *text = v->text;
    struct bw_buf why = {0};

    if (v->word >= 0)
        out->every = true;
    else if (strcmp(text, "*") == 0)
        bw_diag_error(r->diag, v->at, v->path, "\"*\" is no host; write any for every host");
    else if (!bw_match_form_host(r->arena, &text, &why))
        bw_diag_error(r->diag, v->at, v->path, "%.*s", (int)why.len, why.base);
    else if (text[0] == '*')
        below[out->below_n++] = (struct entry){bw_slice_str(text + 1), v};
    else
        exact[out->exact_n++] = (struct entry){bw_slice_str(text), v};
    bw_buf_free(&why);
}

void bw_read_hosts(struct bw_read *r, const struct bw_value *list, struct bw_hosts *out)
{
    size_t n = list != NULL ? list->n : 0;
    struct entry *exact = bw_arena_alloc(r->arena, n * sizeof(*exact));
    struct entry *below = bw_arena_alloc(r->arena, n * sizeof(*below));

    for (const struct bw_value *v = n != 0 ? list->first : NULL; v != NULL; v = v->next)
        read_one(r, v, exact, below, out);
    out->exact = sort(r, exact, out->exact_n);
    out->below = sort(r, below, out->below_n);
    if (out->every && n > 1)
        bw_diag_error(r->diag, list->at, list->path, "any is every host; remove it, or all others");
}
