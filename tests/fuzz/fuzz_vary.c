/*
 * fuzz_vary.c - names come out sorted and are read back to themselves; values of the same request
 * are the same and frame themselves; normal forms are their own normal forms.
 *
 * Input: a Vary value, a line feed, and a value that all request fields get.
 */
#include "breakwater/base/check.h"
#include "breakwater/http/vary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct bw_slice kept[] = {BW_S("zstd"), BW_S("br"), BW_S("gzip")};
static const struct bw_vary_codings codings = {kept, BW_ARRAY_LEN(kept)};

static void check_names(struct bw_slice names)
{
    struct bw_field v[] = {{BW_S("vary"), names, BW_F_VARY}};
    struct bw_fields response = {v, 1};
    struct bw_vary again;

    BW_ASSERT(bw_vary_parse(&response, &again) == BW_VARY_NAMES);
    BW_ASSERT(bw_slice_eq(bw_vary_names(&again), names));
}

/* As many values as names, each within the bytes. */
static void check_values(struct bw_slice names, const struct bw_fields *request)
{
    struct bw_buf out = {0};
    size_t at = 0;

    bw_vary_values(names, request, &codings, &out);
    while (names.len > 0) {
        uint32_t n;

        bw_slice_cut(names, ',', &names);
        BW_ASSERT(at + sizeof n <= out.len);
        memcpy(&n, out.base + at, sizeof n);
        at += sizeof n + (n != UINT32_MAX ? n : 0);
        BW_ASSERT(at <= out.len);
    }
    BW_ASSERT(at == out.len);
    bw_buf_free(&out);
}

/* A list by language is told from the request's own, whatever the request says. */
static void check_in_language(struct bw_slice names, const struct bw_fields *request,
                              struct bw_slice said)
{
    struct bw_field v[] = {{BW_S("content-language"), said, BW_F_CONTENT_LANGUAGE}};
    const struct bw_fields response = {v, 1};
    struct bw_slice language = bw_vary_content_language(&response);
    struct bw_buf own = {0}, by_language = {0};

    bw_vary_values(names, request, &codings, &own);
    if (bw_vary_values_in(names, request, &codings, language, &by_language))
        BW_ASSERT(!bw_slice_eq(bw_buf_view(&own), bw_buf_view(&by_language)));
    bw_buf_free(&own);
    bw_buf_free(&by_language);
}

static void check_encodings(const struct bw_fields *request)
{
    char out[BW_VARY_CODINGS_TEXT_MAX], again[BW_VARY_CODINGS_TEXT_MAX];
    size_t n = bw_vary_encodings(request, &codings, out);
    struct bw_field v[] = {{BW_S("accept-encoding"), bw_slice(out, n), BW_F_ACCEPT_ENCODING}};
    struct bw_fields normal = {v, 1};

    BW_ASSERT(n > 0 && n <= sizeof out);
    BW_ASSERT(bw_slice_eq(bw_slice(again, bw_vary_encodings(&normal, &codings, again)),
                          bw_slice(out, n)));
}

static void check_languages(const struct bw_fields *request)
{
    struct bw_buf out = {0}, again = {0};

    bw_vary_language(request);
    if (bw_vary_languages(request, &out)) {
        struct bw_field v[] = {{BW_S("accept-language"), bw_buf_view(&out), BW_F_ACCEPT_LANGUAGE}};
        struct bw_fields normal = {v, 1};

        BW_ASSERT(bw_vary_languages(&normal, &again));
        BW_ASSERT(bw_slice_eq(bw_buf_view(&again), bw_buf_view(&out)));
    }
    bw_buf_free(&out);
    bw_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bw_slice value, vary = bw_slice_cut(bw_slice((const char *)data, size), '\n', &value);
    struct bw_field response_v[] = {{BW_S("vary"), vary, BW_F_VARY}};
    struct bw_field request_v[] = {{BW_S("foo"), value, BW_F_OTHER},
                                   {BW_S("accept-encoding"), value, BW_F_ACCEPT_ENCODING},
                                   {BW_S("accept-language"), value, BW_F_ACCEPT_LANGUAGE},
                                   {BW_S("foo"), value, BW_F_OTHER},
                                   {BW_S("cookie"), value, BW_F_COOKIE}};
    struct bw_fields response = {response_v, 1};
    struct bw_fields request = {request_v, BW_ARRAY_LEN(request_v)};
    struct bw_vary v;

    if (bw_vary_parse(&response, &v) == BW_VARY_NAMES) {
        check_names(bw_vary_names(&v));
        check_values(bw_vary_names(&v), &request);
        check_in_language(bw_vary_names(&v), &request, value);
    }
    check_encodings(&request);
    check_languages(&request);
    return 0;
}
