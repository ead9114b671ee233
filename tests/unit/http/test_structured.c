/*
 * test_structured.c - structured fields: what parses, to what, and what spoils a whole field.
 */
#include "breakwater/http/structured.h"

#include "fields.h"

#include <stdio.h>

/* Member by member: KEY=TYPE:NUMBER:TEXT[PARAMS], joined by '|'; "failed" at the end if so. */
static void describe(char *out, size_t size, struct bw_slice key, const struct bw_sf_item *item)
{
    static const char types[] = "IDSTYBAPL"; /* in the order of enum bw_sf_type */
    size_t n = strlen(out);

    (void)snprintf(out + n, size - n, "%s%.*s=%c:%lld:%.*s[%.*s]", n > 0 ? "|" : "", (int)key.len,
                   key.base, types[item->type], (long long)item->number, (int)item->text.len,
                   item->text.base, (int)item->params.len, item->params.base);
}

static void read_dictionary(const char *lines, char *out, size_t size)
{
    struct test_fields t;
    struct bw_sf_iter it = {0};
    struct bw_sf_member m;
    const struct bw_fields *f = fields(&t, lines);

    out[0] = '\0';
    while (bw_sf_dict_next(f, BW_F_CDN_CACHE_CONTROL, &it, &m))
        describe(out, size, m.key, &m.value);
    assert_false(bw_sf_dict_next(f, BW_F_CDN_CACHE_CONTROL, &it, &m)); /* the end stays the end */
    if (it.failed)
        (void)snprintf(out, size, "failed");
}

#define CDN "cdn-cache-control: "

static const struct {
    const char *lines;
    const char *members;
} dictionaries[] = {
    {"", ""},
    {"age: 1", ""},
    {CDN, ""},
    {CDN "max-age=60", "max-age=I:60:[]"},
    {CDN "max-age=60, no-store", "max-age=I:60:[]|no-store=B:1:[]"},
    {CDN "a=1 \t,\t b=2", "a=I:1:[]|b=I:2:[]"},
    {CDN "a=1\n" CDN "b=2", "a=I:1:[]|b=I:2:[]"},
    {CDN "a=1, a=2", "a=I:1:[]|a=I:2:[]"},
    {CDN "a=-15", "a=I:-15:[]"},
    {CDN "a=999999999999999", "a=I:999999999999999:[]"},
    {CDN "a=003600", "a=I:3600:[]"},
    {CDN "a=1.5", "a=D:1500:[]"},
    {CDN "a=-0.125", "a=D:-125:[]"},
    {CDN "a=123456789012.999", "a=D:123456789012999:[]"},
    {CDN "a=\"x, y\"", "a=S:0:x, y[]"},
    {CDN "a=\"\"", "a=S:0:[]"},
    {CDN "a=\"q\\\"\\\\\"", "a=S:0:q\\\"\\\\[]"}, /* escapes stay as they are */
    {CDN "a=tok/en:*", "a=T:0:tok/en:*[]"},
    {CDN "a=*b", "a=T:0:*b[]"},
    {CDN "a=?1, b=?0", "a=B:1:[]|b=B:0:[]"},
    {CDN "a=:aGk=:", "a=Y:0:aGk=[]"},
    {CDN "a=@1659578233", "a=A:1659578233:[]"},
    {CDN "a=%\"f%c3%bc\"", "a=P:0:f%c3%bc[]"},
    {CDN "a=(1 \"b\" c;d)", "a=L:0:1 \"b\" c;d[]"},
    {CDN "a=( );x", "a=L:0: [;x]"},
    {CDN "a;x;y=1, b=2; z=?0", "a=B:1:[;x;y=1]|b=I:2:[; z=?0]"},
    {CDN "*a_b-c.d*9=1", "*a_b-c.d*9=I:1:[]"},

    {CDN "a=1,", "failed"},
    {CDN "a=1,,b=2", "failed"},
    {CDN ",a=1", "failed"},
    {CDN "a=1\n" CDN, "failed"}, /* joined it ends in a comma */
    {CDN "\n" CDN "a=1", "failed"},
    {CDN "a=1, &&&&&", "failed"},
    {CDN "a=1 b=2", "failed"},
    {CDN "a =1", "failed"},
    {CDN "a= 1", "failed"},
    {CDN "a=", "failed"},
    {CDN "A=1", "failed"},
    {CDN "MaX-aGe=1", "failed"},
    {CDN "9=1", "failed"},
    {CDN "a=1000000000000000", "failed"}, /* 16 digits */
    {CDN "a=1234567890123.1", "failed"},
    {CDN "a=1.", "failed"},
    {CDN "a=1.1234", "failed"},
    {CDN "a=.5", "failed"},
    {CDN "a=-", "failed"},
    {CDN "a=--1", "failed"},
    {CDN "a=+1", "failed"},
    {CDN "a=1e3", "failed"},
    {CDN "a=\"x", "failed"},
    {CDN "a=\"x\\n\"", "failed"}, /* only quote and backslash are escaped */
    {CDN "a=\"x\\", "failed"},
    {CDN "a=\"\xc3\xbc\"", "failed"},
    {CDN "a='1'", "failed"},
    {CDN "a=?2", "failed"},
    {CDN "a=?", "failed"},
    {CDN "a=:a b:", "failed"},
    {CDN "a=:aGk", "failed"},
    {CDN "a=@1.5", "failed"},
    {CDN "a=%\"%C3\"", "failed"}, /* hex in upper case */
    {CDN "a=%\"%c\"", "failed"},
    {CDN "a=%x", "failed"},
    {CDN "a=(1", "failed"},
    {CDN "a=(1,2)", "failed"},
    {CDN "a=(1\"b\")", "failed"},
    {CDN "a=((1))", "failed"},
    {CDN "a;=1", "failed"},
    {CDN "a; X=1", "failed"},
    {CDN "a;x=(1)", "failed"},
    {CDN "a;", "failed"},
};

TEST(a_dictionary_is_read_as_the_grammar_says_or_not_at_all)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(dictionaries); ++i) {
        char got[256];

        read_dictionary(dictionaries[i].lines, got, sizeof(got));
        if (strcmp(got, dictionaries[i].members) != 0)
            fail_msg("%s: %s", dictionaries[i].lines, got);
    }
}

TEST(a_cache_status_is_a_list_of_items_with_parameters)
{
    struct test_fields t;
    const struct bw_fields *f =
        fields(&t, "cache-status: origin; hit, \"b w\";fwd=miss;ttl=-3\ncache-status: third");
    struct bw_sf_iter it = {0};
    struct bw_sf_item item, value;
    struct bw_slice params, key;

    assert_true(bw_sf_list_next(f, BW_F_CACHE_STATUS, &it, &item));
    assert_true(item.type == BW_SF_TOKEN && bw_slice_eq(item.text, BW_S("origin")));
    params = item.params;
    assert_true(bw_sf_param_next(&params, &key, &value));
    assert_true(bw_slice_eq(key, BW_S("hit")));
    assert_true(value.type == BW_SF_BOOLEAN && value.number == 1);
    assert_false(bw_sf_param_next(&params, &key, &value));

    assert_true(bw_sf_list_next(f, BW_F_CACHE_STATUS, &it, &item));
    assert_true(item.type == BW_SF_STRING && bw_slice_eq(item.text, BW_S("b w")));
    params = item.params;
    assert_true(bw_sf_param_next(&params, &key, &value));
    assert_true(bw_slice_eq(key, BW_S("fwd")) && bw_slice_eq(value.text, BW_S("miss")));
    assert_true(bw_sf_param_next(&params, &key, &value));
    assert_true(bw_slice_eq(key, BW_S("ttl")) && value.number == -3);

    assert_true(bw_sf_list_next(f, BW_F_CACHE_STATUS, &it, &item));
    assert_false(bw_sf_list_next(f, BW_F_CACHE_STATUS, &it, &item));
    assert_false(it.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_dictionary_is_read_as_the_grammar_says_or_not_at_all),
        RUN(a_cache_status_is_a_list_of_items_with_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
