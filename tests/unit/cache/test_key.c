/*
 * test_key.c - what makes two requests ask for the same thing, and what does not.
 */
#include "breakwater/cache/key.h"

#include "http/fields.h"

static const struct bw_hash_secret secret = {{1, 2, 3}};

/* A request as text, and the memory of its key. */
struct made {
    struct test_fields fields;
    char memory[1024];
    struct bw_key key;
};

static struct bw_key_request request(const char *path, const char *query)
{
    return (struct bw_key_request){.authority = BW_S("example.net"),
                                   .path = bw_slice_str(path),
                                   .query = bw_slice_str(query),
                                   .has_query = query != NULL};
}

static struct bw_key *make(struct made *m, struct bw_key_request rq, const char *text,
                           const struct bw_key_settings *settings)
{
    const struct bw_key_settings none = {0};

    if (settings == NULL)
        settings = &none;
    rq.fields = fields(&m->fields, text);
    assert_in_range(bw_key_size(&rq, settings), 1, sizeof(m->memory));
    bw_key_make(&rq, settings, &secret, m->memory, &m->key);
    assert_int_equal(m->key.bytes.len, bw_key_size(&rq, settings));
    return &m->key;
}

static bool same(const struct bw_key *a, const struct bw_key *b)
{
    bool hashes = bw_hash_eq(&a->hash, &b->hash);

    assert_int_equal(hashes, bw_slice_eq(a->bytes, b->bytes));
    return hashes;
}

/* ---- the URL ---- */

TEST(scheme_host_path_and_query_each_make_a_key_of_their_own)
{
    struct bw_key_request rows[] = {
        request("/a", NULL), request("/a", ""),   request("/a", "b"), request("/b", NULL),
        request("/ab", ""),  request("/", "a=b"), request("/", NULL), request("/", NULL),
    };
    struct made m[BW_ARRAY_LEN(rows)];

    rows[6].https = true;
    rows[7].authority = BW_S("example.ne");
    for (size_t i = 0; i < BW_ARRAY_LEN(rows); i++) {
        make(&m[i], rows[i], "", NULL);
        for (size_t k = 0; k < i; k++)
            assert_false(same(&m[i].key, &m[k].key));
    }
}

TEST(what_a_trusted_peer_says_makes_a_key_of_its_own_under_the_same_primary)
{
    const struct bw_slice names[] = {BW_S("x-plan")};
    const struct bw_key_settings settings = {.headers = names, .headers_n = 1};
    struct bw_key_request rq = request("/a", NULL);
    struct made none, https, http, plan, both;
    struct bw_hash a, b;

    make(&none, rq, "", NULL);
    make(&plan, rq, "x-plan: gold", &settings);
    rq.said = BW_S("x-forwarded-proto:https\n");
    make(&https, rq, "", NULL);
    make(&both, rq, "x-plan: gold", &settings);
    rq.said = BW_S("x-forwarded-proto:http\n");
    make(&http, rq, "", NULL);
    assert_false(same(&none.key, &https.key));
    assert_false(same(&http.key, &https.key));
    assert_false(same(&plan.key, &both.key));
    assert_false(same(&https.key, &both.key));
    a = bw_key_primary(&none.key, &secret);
    b = bw_key_primary(&both.key, &secret);
    assert_true(bw_hash_eq(&a, &b));
}

TEST(no_part_can_pretend_to_be_the_next)
{
    struct made a, b;
    struct bw_key_request rq = request("/x", NULL), forged = request("y/x", NULL);

    rq.authority = BW_S("hosty");
    forged.authority = BW_S("host");
    assert_false(same(make(&a, rq, "", NULL), make(&b, forged, "", NULL)));
}

TEST(a_key_depends_on_the_secret_of_the_store)
{
    struct bw_hash_secret other = {{9}};
    struct made a;
    struct bw_key b;
    char memory[1024];
    struct bw_key_request rq = request("/a", NULL);
    const struct bw_key_settings none = {0};

    make(&a, rq, "", NULL);
    rq.fields = &a.fields.list;
    bw_key_make(&rq, &none, &other, memory, &b);
    assert_true(bw_slice_eq(a.key.bytes, b.bytes));
    assert_false(bw_hash_eq(&a.key.hash, &b.hash));
}

/* ---- what rules add ---- */

static const struct bw_slice header_names[] = {{"x-device", 8}};
static const struct bw_slice cookie_names[] = {{"lang", 4}};
static const struct bw_key_settings by_header = {.headers = header_names, .headers_n = 1};
static const struct bw_key_settings by_cookie = {.cookies = cookie_names, .cookies_n = 1};

static bool share(const struct bw_key_settings *s, const char *one, const char *other)
{
    struct made a, b;

    return same(make(&a, request("/a", NULL), one, s), make(&b, request("/a", NULL), other, s));
}

TEST(a_header_of_the_key_counts_with_all_its_lines)
{
    assert_true(share(&by_header, "x-device: phone", "x-device: phone\nx-other: 1"));
    assert_false(share(&by_header, "x-device: phone", "x-device: desk"));
    assert_false(share(&by_header, "x-device:", ""));
    assert_false(share(&by_header, "x-device: phone", "x-device: phone\nx-device: evil"));
    assert_false(share(&by_header, "x-device: a\nx-device: b", "x-device: b\nx-device: a"));
    assert_false(share(&by_header, "x-device: a\nx-device: b", "x-device: a, b"));
}

TEST(a_cookie_of_the_key_counts_with_all_that_have_its_name)
{
    assert_true(share(&by_cookie, "cookie: a=1; lang=de", "cookie: lang=de; b=2"));
    assert_true(share(&by_cookie, "cookie: a=1", "cookie: language=de"));
    assert_false(share(&by_cookie, "cookie: lang=de", "cookie: lang=en"));
    assert_false(share(&by_cookie, "cookie: lang=", "cookie: a=1"));
    assert_false(share(&by_cookie, "cookie: lang=de", "cookie: lang=de; lang=evil"));
    assert_false(share(&by_cookie, "cookie: lang=de", "cookie: lang=de\ncookie: lang=evil"));
    assert_true(share(&by_cookie, "cookie: lang=de; lang=en", "cookie: lang=de\ncookie: lang=en"));
}

TEST(the_primary_is_that_of_the_url_whatever_rules_add)
{
    struct made plain, a, b;
    struct bw_hash one, other;

    make(&plain, request("/a", "q"), "", NULL);
    make(&a, request("/a", "q"), "x-device: phone", &by_header);
    make(&b, request("/a", "r"), "x-device: phone", &by_header);
    assert_false(same(&plain.key, &a.key));
    one = bw_key_primary(&plain.key, &secret);
    other = bw_key_primary(&a.key, &secret);
    assert_true(bw_hash_eq(&one, &other));
    assert_true(bw_hash_eq(&one, &plain.key.hash));
    other = bw_key_primary(&b.key, &secret);
    assert_false(bw_hash_eq(&one, &other));
}

TEST(a_variant_has_a_key_of_its_own_for_each_id_and_its_values)
{
    struct made m;
    struct bw_key de, en, later;
    char memory[3][256];
    struct bw_hash a, b;

    make(&m, request("/a", NULL), "", NULL);
    bw_key_variant(&m.key, 7, BW_S("de"), &secret, memory[0], &de);
    bw_key_variant(&m.key, 7, BW_S("en"), &secret, memory[1], &en);
    bw_key_variant(&m.key, 8, BW_S("de"), &secret, memory[2], &later);
    assert_false(same(&de, &en));
    assert_false(same(&de, &later));
    assert_false(same(&de, &m.key));
    assert_in_range(de.bytes.len, m.key.bytes.len, m.key.bytes.len + 2 + 16);
    a = bw_key_primary(&m.key, &secret);
    b = bw_key_primary(&de, &secret);
    assert_true(bw_hash_eq(&a, &b));
}

TEST(a_variant_is_known_by_the_key_of_its_base)
{
    struct made base, other, longer;
    struct bw_key de;
    char memory[256];

    make(&base, request("/a", NULL), "", NULL);
    make(&other, request("/b", NULL), "", NULL);
    make(&longer, request("/a", NULL), "x-plan: gold",
         &(struct bw_key_settings){.headers = (const struct bw_slice[]){BW_S("x-plan")},
                                   .headers_n = 1});
    bw_key_variant(&base.key, 7, BW_S("de"), &secret, memory, &de);
    assert_true(bw_key_is_variant(de.bytes, base.key.bytes));
    assert_false(bw_key_is_variant(de.bytes, other.key.bytes));
    assert_false(bw_key_is_variant(base.key.bytes, base.key.bytes));
    assert_false(bw_key_is_variant(base.key.bytes, de.bytes));
    assert_false(bw_key_is_variant(longer.key.bytes, base.key.bytes));
    assert_false(bw_key_is_variant(bw_slice(de.bytes.base, de.bytes.len - 1), base.key.bytes));
}

/* ---- the query ---- */

static void filtered(const struct bw_key_settings *s, const char *query, const char *expected)
{
    char out[256];

    assert_text(bw_key_filter_query(bw_slice_str(query), s, out), expected);
}

TEST(ignored_parameters_are_dropped_and_the_rest_stays_as_it_was)
{
    const struct bw_slice names[] = {{"utm_*", 5}, {"ref", 3}, {"*id", 3}};
    const struct bw_key_settings s = {.ignore_query = names, .ignore_query_n = 3};

    filtered(&s, "a=1&b=2", "a=1&b=2");
    filtered(&s, "utm_source=x&a=1", "a=1");
    filtered(&s, "a=1&utm_=&b=2&ref", "a=1&b=2");
    filtered(&s, "ref=1", "");
    filtered(&s, "reference=1", "reference=1");
    filtered(&s, "gclid=1&id=2&idle=3", "idle=3");
    filtered(&s, "b=ref&b=2", "b=ref&b=2");
    filtered(&s, "", "");
    filtered(&s, "a&&b&ref", "a&&b");
}

TEST(all_of_the_query_can_be_ignored)
{
    const struct bw_key_settings all = {.ignore_query_all = true}, none = {0};

    filtered(&all, "a=1&b=2", "");
    filtered(&none, "a=1&b=2", "a=1&b=2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(scheme_host_path_and_query_each_make_a_key_of_their_own),
        RUN(what_a_trusted_peer_says_makes_a_key_of_its_own_under_the_same_primary),
        RUN(no_part_can_pretend_to_be_the_next),
        RUN(a_key_depends_on_the_secret_of_the_store),
        RUN(a_header_of_the_key_counts_with_all_its_lines),
        RUN(a_cookie_of_the_key_counts_with_all_that_have_its_name),
        RUN(the_primary_is_that_of_the_url_whatever_rules_add),
        RUN(a_variant_has_a_key_of_its_own_for_each_id_and_its_values),
        RUN(a_variant_is_known_by_the_key_of_its_base),
        RUN(ignored_parameters_are_dropped_and_the_rest_stays_as_it_was),
        RUN(all_of_the_query_can_be_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
