/*
 * fuzz_conf.c - any bytes as a configuration: refused with lines, or loaded, printed and matched.
 */
#include "breakwater/base/check.h"
#include "breakwater/config/conf.h"
#include "breakwater/config/rules.h"

static void match(const struct bw_conf *c)
{
    struct bw_field fields[] = {{BW_S("cookie"), BW_S("a=1; session=2"), BW_F_COOKIE}};
    const struct bw_fields all = {fields, BW_ARRAY_LEN(fields)};
    const struct bw_match_request rq = {
        BW_S("GET"), BW_S("www.example.net"), BW_S("/a/page.html"), BW_S("page=2&utm_a=b"), &all,
        true};
    struct bw_settings out;

    bw_rules_match(c->rules, &rq, &c->defaults, &out);
    BW_ASSERT(out.rule <= bw_rules_count(c->rules));
    BW_ASSERT(out.pool < c->pools_n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const origin[] = {"http://127.0.0.1:3000"};
    struct bw_conf_flags flags = {.origin = origin, .origin_n = size % 2};
    struct bw_diag said = {0};
    struct bw_conf *c =
        bw_conf_load_text(bw_slice((const char *)data, size), "fuzz.yaml", &flags, &said);
    struct bw_buf out = {0};

    BW_ASSERT((c == NULL) == (said.errors > 0));
    if (c != NULL) {
        bw_conf_print(c, &out);
        match(c);
    }
    bw_buf_free(&out);
    bw_conf_put(c);
    bw_diag_free(&said);
    return 0;
}
