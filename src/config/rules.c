/*
 * rules.c - the settings for one request.
 *
 * The index (rules_index.c) leaves a few candidates; each is tested in full and, where it matches,
 * lays its settings over those of the rules before it.
 */
#include "breakwater/config/rules.h"

#include "breakwater/base/check.h"
#include "breakwater/http/target.h"

#include "rules_priv.h"

static bool all_hold(const struct bw_tests *tests, const struct bw_match_request *rq);

static bool test_extension(const struct bw_test *t, struct bw_slice path)
{
    size_t i = path.len;

    while (i > 0 && path.base[i - 1] != '.' && path.base[i - 1] != '/')
        i--;
    if (i == 0 || path.base[i - 1] != '.')
        return false;
    for (size_t k = 0; k < t->patterns_n; k++)
        if (bw_slice_eq_nocase(t->patterns[k].text, bw_slice(path.base + i, path.len - i)))
            return true;
    return false;
}

static bool test_query(const struct bw_test *t, struct bw_slice query)
{
    struct bw_query_iter it = {0};
    struct bw_slice name, value;

    while (bw_query_next(query, &it, &name, &value))
        if (bw_slice_eq(name, t->name) && bw_pattern_match_any(t->patterns, t->patterns_n, value))
            return true;
    return false;
}

static bool test_header(const struct bw_test *t, const struct bw_fields *fields)
{
    const struct bw_field *f = bw_fields_find_name(fields, t->name);

    for (; f != NULL; f = bw_fields_next(fields, f))
        if (bw_pattern_match_any(t->patterns, t->patterns_n, f->value))
            return true;
    return false;
}

/* Cookie: a=1; b=2  (RFC 6265, 4.2.1) */
static bool test_cookie(const struct bw_test *t, const struct bw_fields *fields)
{
    const struct bw_field *f = bw_fields_find(fields, BW_F_COOKIE);

    for (; f != NULL; f = bw_fields_next(fields, f)) {
        struct bw_slice rest = f->value, value;

        while (rest.len > 0) {
            struct bw_slice name = bw_slice_cut(bw_slice_cut(rest, ';', &rest), '=', &value);

            if (bw_slice_eq(bw_slice_trim(name), t->name) &&
                bw_pattern_match_any(t->patterns, t->patterns_n, bw_slice_trim(value)))
                return true;
        }
    }
    return false;
}

static bool test_any(const struct bw_test *t, const struct bw_match_request *rq)
{
    for (size_t i = 0; i < t->branches_n; i++)
        if (all_hold(&t->branches[i], rq))
            return true;
    return false;
}

static bool test_all(const struct bw_test *t, const struct bw_match_request *rq)
{
    for (size_t i = 0; i < t->branches_n; i++)
        if (!all_hold(&t->branches[i], rq))
            return false;
    return true;
}

static bool holds(const struct bw_test *t, const struct bw_match_request *rq)
{
    switch (t->kind) {
    case BW_TEST_HOST:
        return bw_pattern_match_any(t->patterns, t->patterns_n, rq->host);
    case BW_TEST_PATH:
        return bw_pattern_match_any(t->patterns, t->patterns_n, rq->path);
    case BW_TEST_EXTENSION:
        return test_extension(t, rq->path);
    case BW_TEST_METHOD:
        return bw_pattern_match_any(t->patterns, t->patterns_n, rq->method);
    case BW_TEST_SCHEME:
        return bw_pattern_match_any(t->patterns, t->patterns_n,
                                    rq->https ? BW_S("https") : BW_S("http"));
    case BW_TEST_QUERY:
        return test_query(t, rq->query);
    case BW_TEST_HEADER:
        return test_header(t, rq->fields);
    case BW_TEST_COOKIE:
        return test_cookie(t, rq->fields);
    case BW_TEST_NOT:
        return !all_hold(&t->branches[0], rq);
    case BW_TEST_ANY:
        return test_any(t, rq);
    case BW_TEST_ALL:
        return test_all(t, rq);
    }
    BW_UNREACHABLE();
}

static bool all_hold(const struct bw_tests *tests, const struct bw_match_request *rq)
{
    for (size_t i = 0; i < tests->n; i++)
        if (!holds(&tests->v[i], rq))
            return false;
    return true;
}

/* `fixed` says how long, whatever was said before; `default` leaves it to the response again. */
static void apply_ttl(uint32_t sets, const struct bw_settings *from, struct bw_settings *out)
{
    if (sets & BW_SETS_TTL_FIXED) {
        out->ttl_fixed_s = from->ttl_fixed_s;
        out->ttl_default_s = out->ttl_max_s = BW_TTL_UNSET;
    }
    if (sets & BW_SETS_TTL_DEFAULT) {
        out->ttl_default_s = from->ttl_default_s;
        out->ttl_fixed_s = BW_TTL_UNSET;
    }
    if (sets & BW_SETS_TTL_MAX)
        out->ttl_max_s = from->ttl_max_s;
    if (sets & BW_SETS_TTL_STATUS) {
        out->ttl_status = from->ttl_status;
        out->ttl_status_n = from->ttl_status_n;
    }
    if (sets & BW_SETS_BROWSER_TTL)
        out->browser_ttl_s = from->browser_ttl_s;
    if (sets & BW_SETS_STALE_REVALIDATING)
        out->stale_revalidating_s = from->stale_revalidating_s;
    if (sets & BW_SETS_STALE_ON_ERROR)
        out->stale_on_error_s = from->stale_on_error_s;
}

static void apply_key(uint32_t sets, const struct bw_key_settings *from,
                      struct bw_key_settings *out)
{
    if (sets & BW_SETS_KEY_QUERY) {
        out->ignore_query = from->ignore_query;
        out->ignore_query_n = from->ignore_query_n;
        out->ignore_query_all = from->ignore_query_all;
    }
    if (sets & BW_SETS_KEY_HEADERS) {
        out->headers = from->headers;
        out->headers_n = from->headers_n;
    }
    if (sets & BW_SETS_KEY_COOKIES) {
        out->cookies = from->cookies;
        out->cookies_n = from->cookies_n;
    }
}

static void apply(const struct bw_rule *rule, struct bw_settings *out)
{
    const struct bw_settings *from = &rule->settings;

    if (rule->sets & BW_SETS_MODE)
        out->mode = from->mode;
    if (rule->sets & BW_SETS_SET_COOKIE)
        out->set_cookie = from->set_cookie;
    if (rule->sets & BW_SETS_HEURISTIC)
        out->heuristic = from->heuristic;
    if (rule->sets & BW_SETS_CLIENT_DIRECTIVES)
        out->client_directives = from->client_directives;
    if (rule->sets & BW_SETS_POOL)
        out->pool = from->pool;
    apply_ttl(rule->sets, from, out);
    apply_key(rule->sets, &from->key, &out->key);
}

static uint64_t candidate_word(const struct bw_candidates *c, size_t word)
{
    uint64_t hosts = c->host_n == 0 ? UINT64_MAX : 0;

    for (size_t i = 0; i < c->host_n; i++)
        hosts |= c->host[i][word];
    return hosts & c->segment[word] & c->last_byte[word];
}

void bw_rules_match(const struct bw_rules *rules, const struct bw_match_request *rq,
                    const struct bw_settings *defaults, struct bw_settings *out)
{
    struct bw_candidates candidates;

    *out = *defaults;
    out->media = bw_media_of_path(rq->path);
    if (rules->n == 0)
        return;
    bw_rules_candidates(rules, rq->host, rq->path, &candidates);
    for (size_t word = 0; word < rules->words; word++) {
        uint64_t left = candidate_word(&candidates, word);

        for (; left != 0; left &= left - 1) {
            size_t i = word * 64 + (size_t)__builtin_ctzll(left);

            if (!all_hold(&rules->v[i].match, rq))
                continue;
            apply(&rules->v[i], out);
            out->rule = (uint32_t)i + 1;
        }
    }
}

size_t bw_rules_count(const struct bw_rules *rules)
{
    return rules->n;
}

const char *bw_rules_name(const struct bw_rules *rules, size_t index)
{
    BW_ASSERT(index < rules->n);
    return rules->v[index].name;
}
