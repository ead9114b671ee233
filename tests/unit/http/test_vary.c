/*
 * test_vary.c - names of Vary, and which requests are the same to it.
 */
#include "breakwater/http/vary.h"

#include "fields.h"

static const struct bw_slice kept[] = {BW_S("zstd"), BW_S("br"), BW_S("gzip")};
static const struct bw_vary_codings codings = {kept, 3};

static const struct {
    const char *response;
    enum bw_vary_verdict verdict;
    const char *names;
} parsed[] = {
    {"date: x", BW_VARY_NONE, ""},
    {"vary:", BW_VARY_NONE, ""},
    {"vary: ,,", BW_VARY_NONE, ""},
    {"vary: Foo", BW_VARY_NAMES, "foo"},
    {"vary: Foo, bar,BAZ", BW_VARY_NAMES, "bar,baz,foo"},
    {"vary: foo, FOO\nvary: Bar, foo", BW_VARY_NAMES, "bar,foo"},
    {"vary: a,ab,abc,a", BW_VARY_NAMES, "a,ab,abc"},
    {"vary: a,b,c,d,e,f,g,h", BW_VARY_NAMES, "a,b,c,d,e,f,g,h"},
    {"vary: a,b,c,d,e,f,g,h,i", BW_VARY_ANY, ""},
    {"vary: *", BW_VARY_ANY, ""},
    {"vary: *, *", BW_VARY_ANY, ""},
    {"vary: *\nvary: *", BW_VARY_ANY, ""},
    {"vary: , *", BW_VARY_ANY, ""},
    {"vary:\nvary: *", BW_VARY_ANY, ""},
    {"vary: *, Foo", BW_VARY_ANY, ""},
    {"vary: Foo, *", BW_VARY_ANY, ""},
    {"vary: \"foo\"", BW_VARY_ANY, ""}, /* whatever it means, it is no name */
    {"vary: foo bar", BW_VARY_ANY, ""},
    {"vary: X-Forwarded-For", BW_VARY_ANY, ""},                /* we write it from the connection */
    {"vary: Range, If-None-Match, Foo", BW_VARY_NAMES, "foo"}, /* the origin never saw them */
};

TEST(vary_is_a_canonical_list_of_names_or_any)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(parsed); i++) {
        struct test_fields f;
        struct bw_vary v;
        enum bw_vary_verdict verdict = bw_vary_parse(fields(&f, parsed[i].response), &v);

        if (verdict != parsed[i].verdict)
            fail_msg("%s is %d", parsed[i].response, verdict);
        if (verdict == BW_VARY_NAMES)
            assert_text(bw_vary_names(&v), parsed[i].names);
    }
}

TEST(names_too_long_to_keep_are_any)
{
    char value[700];
    struct bw_field v[] = {{BW_S("vary"), bw_slice(value, 600), BW_F_VARY}};
    struct bw_fields response = {v, 1};
    struct bw_vary vary;

    memset(value, 'a', sizeof value);
    assert_int_equal(bw_vary_parse(&response, &vary), BW_VARY_ANY);
}

/* Do two requests choose the same variant? */
static const struct {
    const char *names, *a, *b;
    bool same;
} pairs[] = {
    {"foo", "foo: 1", "foo: 1", true},
    {"foo", "foo: 1", "foo: 2", false},
    {"foo", "foo: 1", "bar: 1", false},
    {"foo", "foo:", "bar: 1", false}, /* empty is not absent */
    {"foo", "bar: 1", "bar: 2", true},
    {"foo", "foo: 1, 2", "foo: 1\nfoo: 2", true},
    {"foo", "foo: 1,2", "foo:  1, 2 ", true},
    {"foo", "foo: 1\t,\t2", "foo: 1,2", true},
    {"foo", "foo: a b", "foo: ab", false},
    {"foo", "foo: a", "foo: A", false},
    {"foo", "foo: \"a, b\"", "foo: \"a,b\"", false}, /* quoted blanks mean something */
    {"foo", "foo: \"a\\\", b\"", "foo: \"a\\\",b\"", false},
    {"bar,foo", "foo: 1", "bar: 1", false},
    {"bar,foo", "foo: 1\nbar: 2", "bar: 2\nfoo: 1", true},
    {"bar,foo", "bar: xfoo: y", "bar: x\nfoo: y", false},
    {"cookie", "cookie: a=1; b=2", "cookie: a=1\ncookie: b=2", true}, /* split by HTTP/2 */
    {"accept-encoding", "accept-encoding: gzip, deflate, br", "accept-encoding: br;q=0.9,gzip",
     true},
    {"accept-encoding", "accept-encoding: gzip", "accept-encoding: br", false},
    {"accept-encoding", "accept-encoding: deflate", "user-agent: x", true},
    {"accept-language", "accept-language: en, de", "accept-language: de, en", true},
    {"accept-language", "accept-language: en, de", "accept-language: eN ,   De", true},
    {"accept-language", "accept-language: en, de", "accept-language: en, de;q=0.5", false},
    {"accept-language", "accept-language: en", "user-agent: x", false},
    {"accept-language", "accept-language: de;q=0.50", "accept-language: de;q=0.5", true},
};

TEST(requests_that_mean_the_same_look_the_same)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(pairs); i++) {
        struct test_fields fa, fb;
        struct bw_buf a = {0}, b = {0};

        bw_vary_values(bw_slice_str(pairs[i].names), fields(&fa, pairs[i].a), &codings, &a);
        bw_vary_values(bw_slice_str(pairs[i].names), fields(&fb, pairs[i].b), &codings, &b);
        if (bw_slice_eq(bw_buf_view(&a), bw_buf_view(&b)) != pairs[i].same)
            fail_msg("%s: %s and %s", pairs[i].names, pairs[i].a, pairs[i].b);
        bw_buf_free(&a);
        bw_buf_free(&b);
    }
}

TEST(values_carry_their_length)
{
    struct test_fields f;
    struct bw_buf out = {0};

    bw_vary_values(BW_S("a,b"), fields(&f, "a: xy"), &codings, &out);
    assert_int_equal(out.len, 4 + 2 + 4);
    assert_memory_equal(out.base, "\2\0\0\0xy\377\377\377\377", out.len);
    bw_buf_free(&out);
}

static void values_in(struct bw_buf *out, const char *names, const char *request,
                      const char *language)
{
    struct test_fields f;

    out->len = 0;
    assert_true(bw_vary_values_in(bw_slice_str(names), fields(&f, request), &codings,
                                  bw_slice_str(language), out));
}

TEST(a_language_takes_the_place_of_what_the_request_says_of_it)
{
    const char *names = "accept-language,foo";
    struct bw_buf a = {0}, b = {0};
    struct test_fields f;

    values_in(&a, names, "accept-language: de, en\nfoo: 1", "de");
    values_in(&b, names, "accept-language: fr;q=0.5, de\nfoo: 1", "DE");
    assert_true(bw_slice_eq(bw_buf_view(&a), bw_buf_view(&b)));
    values_in(&b, names, "accept-language: de\nfoo: 2", "de");
    assert_false(bw_slice_eq(bw_buf_view(&a), bw_buf_view(&b)));
    values_in(&b, names, "foo: 1", "en");
    assert_false(bw_slice_eq(bw_buf_view(&a), bw_buf_view(&b)));
    b.len = 0; /* and no request has such values */
    bw_vary_values(bw_slice_str(names), fields(&f, "accept-language: de\nfoo: 1"), &codings, &b);
    assert_false(bw_slice_eq(bw_buf_view(&a), bw_buf_view(&b)));
    assert_false(bw_vary_values_in(BW_S("foo"), &f.list, &codings, BW_S("de"), &b));
    bw_buf_free(&a);
    bw_buf_free(&b);
}

static const struct {
    const char *response, *language;
} said[] = {
    {"content-language: de-AT", "de-AT"},
    {"content-language: de, en", ""},
    {"content-language: de\ncontent-language: en", ""},
    {"content-language: \"de\"", ""},
    {"content-language:", ""},
    {"accept-language: de", ""},
};

TEST(a_response_is_in_one_language_or_in_none)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(said); i++) {
        struct test_fields f;

        assert_text(bw_vary_content_language(fields(&f, said[i].response)), said[i].language);
    }
}

static const struct {
    const char *request, *expected;
} encodings[] = {
    {"accept-encoding: gzip, deflate, br, zstd", "zstd,br,gzip"},
    {"accept-encoding: gzip, deflate, br", "br,gzip"},
    {"accept-encoding: GZIP", "gzip"},
    {"accept-encoding: x-gzip", "gzip"},
    {"accept-encoding: gzip;q=0, br", "br"},
    {"accept-encoding: br\naccept-encoding: gzip", "br,gzip"},
    {"accept-encoding: *", "zstd,br,gzip"},
    {"accept-encoding: *, br;q=0", "zstd,gzip"},
    {"accept-encoding: *;q=0, br", "br,identity;q=0"},
    {"accept-encoding: br, identity;q=0", "br,identity;q=0"},
    {"accept-encoding: br, *;q=0, identity", "br"},
    {"accept-encoding: *;q=0", "identity"}, /* there is nothing else to send */
    {"accept-encoding: deflate", "identity"},
    {"accept-encoding: identity", "identity"},
    {"accept-encoding:", "identity"},
    {"accept-encoding: gzip;q=junk", "identity"},
    {"user-agent: x", "identity"},
};

TEST(accept_encoding_is_folded_to_what_is_kept)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(encodings); i++) {
        struct test_fields f;
        char out[BW_VARY_CODINGS_TEXT_MAX];
        size_t n = bw_vary_encodings(fields(&f, encodings[i].request), &codings, out);

        if (!bw_slice_eq(bw_slice(out, n), bw_slice_str(encodings[i].expected)))
            fail_msg("%s is %.*s", encodings[i].request, (int)n, out);
    }
}

static const struct {
    const char *request, *list, *wanted;
} languages[] = {
    {"accept-language: en, de", "de,en", ""},
    {"accept-language: fr;q=0.5, de;q=1.0", "de,fr;q=0.5", "de"},
    {"accept-language: de-AT,de;q=0.9,en;q=0.85,*;q=0.005", "de-at,de;q=0.9,en;q=0.85,*;q=0.005",
     "de-AT"},
    {"accept-language: de, DE", "de", "de"},
    {"accept-language: en;q=0, de;q=0.1", "de;q=0.1,en;q=0", "de"},
    {"accept-language: *", "*", ""},
    {"accept-language: en;q=0", "en;q=0", ""},
    {"accept-language:", "", ""},
};

TEST(accept_language_is_sorted_by_weight)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(languages); i++) {
        struct test_fields f;
        struct bw_buf out = {0};

        assert_true(bw_vary_languages(fields(&f, languages[i].request), &out));
        assert_text(bw_buf_view(&out), languages[i].list);
        assert_text(bw_vary_language(&f.list), languages[i].wanted);
        bw_buf_free(&out);
    }
}

TEST(an_absent_endless_or_odd_accept_language_is_left_alone)
{
    struct bw_field v[40];
    struct bw_fields many = {v, 40};
    struct test_fields f;
    struct bw_buf out = {0};

    for (size_t i = 0; i < many.n; i++)
        v[i] = (struct bw_field){BW_S("accept-language"), BW_S("de"), BW_F_ACCEPT_LANGUAGE};
    assert_false(bw_vary_languages(&many, &out));
    assert_false(bw_vary_languages(fields(&f, "accept-language: de, \"x"), &out));
    assert_false(bw_vary_languages(fields(&f, "accept-language: de, ;q=1"), &out));
    assert_false(bw_vary_languages(fields(&f, "accept: x"), &out));
    assert_int_equal(out.len, 0);
    bw_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(vary_is_a_canonical_list_of_names_or_any),
        RUN(names_too_long_to_keep_are_any),
        RUN(requests_that_mean_the_same_look_the_same),
        RUN(values_carry_their_length),
        RUN(a_language_takes_the_place_of_what_the_request_says_of_it),
        RUN(a_response_is_in_one_language_or_in_none),
        RUN(accept_encoding_is_folded_to_what_is_kept),
        RUN(accept_language_is_sorted_by_weight),
        RUN(an_absent_endless_or_odd_accept_language_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
