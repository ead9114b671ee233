/*
 * read_rules.c - rules: what each sets, and whether it makes sense beside the others.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include "read_priv.h"

#include <ctype.h>
#include <stdlib.h>

static int64_t lifetime(const struct bw_value *v, int64_t word)
{
    return v->word >= 0 ? word : (int64_t)v->number;
}

static void contradict(struct bw_read *r, const struct bw_value *v, const char *other)
{
    bw_diag_error(r->diag, v->at, v->path, "contradicts %s; remove one of the two", other);
}

/* "404", "5xx", "500-504" */
static bool read_status_range(const char *text, struct bw_status_ttl *out)
{
    struct bw_slice to, from = bw_slice_cut(bw_slice_str(text), '-', &to);
    uint64_t a, b;

    if (strlen(text) == 3 && text[0] >= '1' && text[0] <= '5' && strcmp(text + 1, "xx") == 0) {
        out->from = (text[0] - '0') * 100;
        out->to = out->from + 99;
        return true;
    }
    if (!bw_slice_u64(from, &a) || a < 100 || a > 599)
        return false;
    b = a;
    if (to.base != NULL && (!bw_slice_u64(to, &b) || b < a || b > 599))
        return false;
    out->from = (int)a;
    out->to = (int)b;
    return true;
}

/* The narrower range first, so that the first that holds a status is the one that is meant. */
static int compare_ranges(const void *a, const void *b)
{
    const struct bw_status_ttl *x = a, *y = b;
    int by_width = (x->to - x->from) - (y->to - y->from);

    return by_width != 0 ? by_width : x->from - y->from;
}

static void check_overlap(struct bw_read *r, const struct bw_value *v,
                          const struct bw_status_ttl *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++) {
            bool apart = all[i].to < all[k].from || all[k].to < all[i].from;
            bool inside = all[k].from <= all[i].from && all[i].to <= all[k].to;
            bool same = all[k].from == all[i].from && all[k].to == all[i].to;

            if (!apart && (!inside || same))
                bw_diag_error(r->diag, v->at, v->path,
                              "%d-%d and %d-%d overlap; let one hold the other, or neither",
                              all[i].from, all[i].to, all[k].from, all[k].to);
        }
    }
}

static void read_status(struct bw_read *r, const struct bw_value *v, struct bw_rule *out)
{
    struct bw_status_ttl *all;
    size_t n = 0;

    if (v == NULL)
        return;
    all = bw_arena_alloc(r->arena, v->n * sizeof(*all));
    for (const struct bw_value *s = v->first; s != NULL; s = s->next) {
        if (!read_status_range(s->key, &all[n]))
            bw_diag_error(r->diag, s->at, s->path,
                          "\"%s\" is no status; write such as 404, 4xx or 500-504", s->key);
        all[n++].ttl_s = lifetime(s, BW_TTL_OFF);
    }
    qsort(all, n, sizeof(*all), compare_ranges);
    check_overlap(r, v, all, n);
    out->settings.ttl_status = all;
    out->settings.ttl_status_n = n;
    out->sets |= BW_SETS_TTL_STATUS;
}

static void read_lifetime(const struct bw_value *v, int64_t word, int64_t *out,
                          struct bw_rule *rule, uint32_t bit)
{
    if (v == NULL)
        return;
    *out = lifetime(v, word);
    rule->sets |= bit;
}

static void read_ttl(struct bw_read *r, const struct bw_value *ttl, struct bw_rule *out)
{
    const struct bw_value *fixed = bw_value_get(ttl, "fixed");
    const struct bw_value *def = bw_value_get(ttl, "default"), *max = bw_value_get(ttl, "max");
    struct bw_settings *s = &out->settings;

    read_lifetime(fixed, BW_TTL_UNSET, &s->ttl_fixed_s, out, BW_SETS_TTL_FIXED);
    read_lifetime(def, BW_TTL_UNSET, &s->ttl_default_s, out, BW_SETS_TTL_DEFAULT);
    read_lifetime(max, BW_TTL_UNSET, &s->ttl_max_s, out, BW_SETS_TTL_MAX);
    read_status(r, bw_value_get(ttl, "status"), out);
    if (fixed != NULL && def != NULL)
        contradict(r, def, "ttl.fixed, which leaves nothing to default");
    if (fixed != NULL && max != NULL)
        contradict(r, max, "ttl.fixed, which leaves nothing to limit");
    if (def != NULL && max != NULL && def->number > max->number)
        bw_diag_error(r->diag, def->at, def->path, "is more than ttl.max; write %s or less",
                      max->text);
}

static void read_stale(const struct bw_value *stale, struct bw_rule *out)
{
    struct bw_settings *s = &out->settings;

    if (stale == NULL)
        return;
    read_lifetime(bw_value_get(stale, "while_revalidating"), 0, &s->stale_revalidating_s, out,
                  BW_SETS_STALE_REVALIDATING);
    read_lifetime(bw_value_get(stale, "on_error"), 0, &s->stale_on_error_s, out,
                  BW_SETS_STALE_ON_ERROR);
    if (stale->word < 0)
        return;
    s->stale_revalidating_s = s->stale_on_error_s = 0;
    out->sets |= BW_SETS_STALE_REVALIDATING | BW_SETS_STALE_ON_ERROR;
}

static void lower_names(struct bw_read *r, const struct bw_slice *names, size_t n,
                        struct bw_slice *out)
{
    for (size_t i = 0; i < n; i++) {
        char *copy = bw_arena_copy(r->arena, names[i]);

        for (size_t k = 0; k < names[i].len; k++)
            copy[k] = (char)tolower((unsigned char)copy[k]);
        out[i] = bw_slice(copy, names[i].len);
    }
}

static void check_names(struct bw_read *r, const struct bw_value *list)
{
    for (const struct bw_value *v = list != NULL ? list->first : NULL; v != NULL; v = v->next)
        if (strpbrk(v->text, " \t\"(),/:;<=>?@[\\]{}*") != NULL)
            bw_diag_error(r->diag, v->at, v->path,
                          "\"%s\" is no name; write one without blanks and wildcards", v->text);
}

static void read_key(struct bw_read *r, const struct bw_value *key, struct bw_rule *out)
{
    struct bw_key_settings *k = &out->settings.key;
    struct bw_slice *headers;

    if (bw_value_get(key, "query.ignore") != NULL)
        out->sets |= BW_SETS_KEY_QUERY;
    k->ignore_query = bw_read_slices(r, key, "query.ignore", &k->ignore_query_n);
    for (size_t i = 0; i < k->ignore_query_n; i++)
        k->ignore_query_all = k->ignore_query_all || bw_slice_eq(k->ignore_query[i], BW_S("*"));
    if (bw_value_get(key, "headers") != NULL)
        out->sets |= BW_SETS_KEY_HEADERS;
    k->headers = bw_read_slices(r, key, "headers", &k->headers_n);
    headers = bw_arena_alloc(r->arena, k->headers_n * sizeof(*headers));
    lower_names(r, k->headers, k->headers_n, headers);
    k->headers = headers;
    if (bw_value_get(key, "cookies") != NULL)
        out->sets |= BW_SETS_KEY_COOKIES;
    k->cookies = bw_read_slices(r, key, "cookies", &k->cookies_n);
    check_names(r, bw_value_get(key, "headers"));
    check_names(r, bw_value_get(key, "cookies"));
}

static void read_pool(struct bw_read *r, const struct bw_value *v, struct bw_rule *out)
{
    struct bw_suggestion near = {.word = v != NULL ? v->text : ""};

    if (v == NULL)
        return;
    out->sets |= BW_SETS_POOL;
    for (size_t i = 0; i < r->conf->pools_n; i++) {
        const char *name = r->conf->pools[i].name;

        out->settings.pool = (uint32_t)i;
        if (strcmp(name, v->text) == 0)
            return;
        bw_suggest(&near, name);
    }
    bw_diag_error(r->diag, v->at, v->path,
                  near.best != NULL ? "there is no pool \"%s\"; did you mean \"%s\"?"
                                    : "there is no pool \"%s\"; add it to pools, beside \"%s\"",
                  v->text, near.best != NULL ? near.best : r->conf->pools[0].name);
}

static void read_words(const struct bw_value *v, struct bw_rule *out)
{
    struct bw_settings *s = &out->settings;

    s->mode = (enum bw_cache_mode)bw_read_word(v, "cache");
    s->set_cookie = (enum bw_set_cookie)bw_read_word(v, "set_cookie");
    s->heuristic = (enum bw_heuristic)bw_read_word(v, "heuristic");
    s->client_directives = bw_read_word(v, "client_directives") == 1;
    out->sets |= bw_value_get(v, "cache") != NULL ? BW_SETS_MODE : 0;
    out->sets |= bw_value_get(v, "set_cookie") != NULL ? BW_SETS_SET_COOKIE : 0;
    out->sets |= bw_value_get(v, "heuristic") != NULL ? BW_SETS_HEURISTIC : 0;
    out->sets |= bw_value_get(v, "client_directives") != NULL ? BW_SETS_CLIENT_DIRECTIVES : 0;
}

static void check_bypass(struct bw_read *r, const struct bw_value *v, const struct bw_rule *rule)
{
    static const char *const moot[] = {"ttl", "stale", "key", "set_cookie", "heuristic"};

    if (!(rule->sets & BW_SETS_MODE) || rule->settings.mode != BW_CACHE_BYPASS)
        return;
    for (size_t i = 0; i < BW_ARRAY_LEN(moot); i++)
        if (bw_value_get(v, moot[i]) != NULL)
            contradict(r, bw_value_get(v, moot[i]), "cache: bypass, which keeps nothing");
}

static void read_rule(struct bw_read *r, const struct bw_value *v, size_t number,
                      struct bw_rule *out)
{
    const char *name = bw_read_text(v, "name");
    const struct bw_value *browser = bw_value_get(v, "browser_ttl");
    int errors = r->diag->errors;

    out->name = name != NULL ? name : bw_arena_printf(r->arena, "rule %zu", number);
    out->match = bw_read_match(r, bw_value_get(v, "match"));
    read_words(v, out);
    read_ttl(r, bw_value_get(v, "ttl"), out);
    read_lifetime(browser, BW_TTL_UNSET, &out->settings.browser_ttl_s, out, BW_SETS_BROWSER_TTL);
    read_stale(bw_value_get(v, "stale"), out);
    read_key(r, bw_value_get(v, "key"), out);
    read_pool(r, bw_value_get(v, "pool"), out);
    check_bypass(r, v, out);
    if (out->sets == 0 && r->diag->errors == errors)
        bw_diag_warn(r->diag, v->at, v->path, "sets nothing; add a setting such as ttl: 10m");
}

/* All that a later rule puts an end to. */
static uint32_t overridden(uint32_t sets)
{
    if (sets & BW_SETS_TTL_FIXED)
        sets |= BW_SETS_TTL_DEFAULT | BW_SETS_TTL_MAX;
    if (sets & BW_SETS_TTL_DEFAULT)
        sets |= BW_SETS_TTL_FIXED;
    return sets;
}

/* The names of two rules, and whether the later one leaves nothing of the earlier one. */
static void check_pair(struct bw_read *r, const struct bw_value *const v[2],
                       const struct bw_rule *const rule[2], bool *dead)
{
    const struct bw_value *name = bw_value_get(v[1], "name");

    if (strcmp(rule[0]->name, rule[1]->name) == 0)
        bw_diag_error(r->diag, name != NULL ? name->at : v[1]->at, v[1]->path,
                      "an earlier rule has the same name; choose another");
    if (*dead || rule[0]->sets == 0 || (rule[0]->sets & ~overridden(rule[1]->sets)) != 0 ||
        !bw_match_covers(bw_value_get(v[1], "match"), bw_value_get(v[0], "match")))
        return;
    *dead = true;
    bw_diag_warn(r->diag, v[0]->at, v[0]->path,
                 "has no effect, \"%s\" in line %d overrides it; remove it or put it behind",
                 rule[1]->name, v[1]->at.line);
}

static void check_order(struct bw_read *r, const struct bw_value *list, const struct bw_rule *rules)
{
    size_t i = 0;

    for (const struct bw_value *v = list->first; v != NULL; v = v->next, i++) {
        size_t k = i + 1;
        bool dead = false;

        for (const struct bw_value *w = v->next; w != NULL; w = w->next, k++)
            check_pair(r, (const struct bw_value *[]){v, w},
                       (const struct bw_rule *[]){&rules[i], &rules[k]}, &dead);
    }
}

void bw_read_rules(struct bw_read *r)
{
    const struct bw_value *list = bw_value_get(r->root, "rules");
    struct bw_rules *out = bw_arena_alloc(r->arena, sizeof(*out));
    struct bw_rule *rules = bw_arena_alloc(r->arena, (list != NULL ? list->n : 0) * sizeof(*rules));

    r->conf->rules = out;
    out->v = rules;
    if (list == NULL)
        return;
    for (const struct bw_value *v = list->first; v != NULL; v = v->next, out->n++)
        read_rule(r, v, out->n + 1, &rules[out->n]);
    check_order(r, list, rules);
    if (r->diag->errors == 0 && out->n > 0)
        bw_rules_index(r->arena, out);
}
