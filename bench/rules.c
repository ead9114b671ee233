/*
 * rules.c - what one match costs with a hundred rules.
 *
 * cc -O2 -D_GNU_SOURCE -Iinclude -o build/bench-rules bench/rules.c build/lib/{config,http,base}.a
 * \ -lyaml -lpcre2-8 -lxxhash && build/bench-rules
 *
 * Prints nanoseconds a match for a few kinds of requests.  Not a test: no number fails it.
 */
#include "breakwater/config/rules.h"

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/config/conf.h"

#include <stdio.h>

enum { RULES = 100, ROUNDS = 2000000 };

static struct bw_field fields[] = {
    {{"accept", 6}, {"*/*", 3}, BW_F_ACCEPT},
    {{"cookie", 6}, {"theme=dark; session=abc", 23}, BW_F_COOKIE},
    {{"user-agent", 10}, {"bench", 5}, BW_F_USER_AGENT},
};

/* A large site: sections, assets, hosts, and a few rules that look at cookies and by regex. */
static struct bw_conf *load_site(void)
{
    struct bw_conf_flags none = {0};
    struct bw_diag said = {0};
    struct bw_buf text = {0};
    struct bw_conf *c;

    bw_buf_str(&text,
               "origin: http://127.0.0.1:3000\nrules:\n"
               "  - {name: base, match: {method: [GET, HEAD]}, ttl: {default: 1m}}\n"
               "  - {name: assets, match: {path: ['*.css', '*.js', '*.png']}, ttl: 30d}\n"
               "  - {name: api, match: {path: '~^/api/v[0-9]+/'}, cache: bypass}\n"
               "  - {name: members, match: {cookie: session, path: /account/*}, cache: bypass}\n");
    for (int i = 4; i < RULES; i++)
        bw_buf_printf(
            &text, "  - {name: s%d, match: {host: '%s%d.example.net', path: '/p%d/*'}, ttl: %ds}\n",
            i, i % 2 ? "*.h" : "h", i % 10, i, i);
    c = bw_conf_load_text(bw_buf_view(&text), "bench.yaml", &none, &said);
    printf("%.*s", (int)said.text.len, said.text.len > 0 ? said.text.base : "");
    bw_buf_free(&text);
    bw_diag_free(&said);
    return c;
}

static void measure(const struct bw_conf *c, const char *host, const char *path)
{
    struct bw_fields all = {fields, BW_ARRAY_LEN(fields)};
    const struct bw_match_request rq = {
        BW_S("GET"), bw_slice_str(host), bw_slice_str(path), bw_slice(NULL, 0), &all, true};
    int64_t start = bw_clock_mono_us(), spent;
    struct bw_settings out;
    uint64_t sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        bw_rules_match(c->rules, &rq, &c->defaults, &out);
        sum += out.rule;
    }
    spent = bw_clock_mono_us() - start;
    printf("%6.1f ns  %-22s %-28s last rule %llu\n", (double)spent * 1000 / ROUNDS, host, path,
           (unsigned long long)(sum / ROUNDS));
}

int main(void)
{
    struct bw_conf *c = load_site();

    if (c == NULL)
        return 1;
    measure(c, "www.example.net", "/");
    measure(c, "www.example.net", "/assets/site.4f2a.css");
    measure(c, "h4.example.net", "/p44/some/article");
    measure(c, "a.h5.example.net", "/p55/some/article");
    measure(c, "www.example.net", "/api/v2/users/17");
    measure(c, "www.example.net", "/account/orders");
    bw_conf_put(c);
    return 0;
}
