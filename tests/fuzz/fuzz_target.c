/*
 * fuzz_target.c - the normal form of a target is one: to bring it into form again changes nothing.
 */
#include "breakwater/base/buf.h"
#include "breakwater/base/check.h"
#include "breakwater/http/head.h"
#include "breakwater/http/target.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Whoever joins the parameters gets the query back. */
static void check_parameters(struct bw_slice query)
{
    struct bw_buf joined = {0};
    struct bw_query_iter it = {0};
    struct bw_slice name, value;

    for (size_t i = 0; bw_query_next(query, &it, &name, &value); ++i) {
        if (i > 0)
            bw_buf_char(&joined, '&');
        bw_buf_slice(&joined, name);
        if (value.base == NULL)
            continue;
        bw_buf_char(&joined, '=');
        bw_buf_slice(&joined, value);
    }
    BW_ASSERT(bw_slice_eq(bw_buf_view(&joined), query));
    bw_buf_free(&joined);
}

static void check_segments(struct bw_slice path)
{
    struct bw_slice rest = path;

    BW_ASSERT(path.len > 0 && path.base[0] == '/');
    do {
        struct bw_slice segment = bw_slice_cut(rest, '/', &rest);
        BW_ASSERT(!bw_slice_eq(segment, BW_S(".")) && !bw_slice_eq(segment, BW_S("..")));
    } while (rest.base != NULL);
}

static void check_target(struct bw_slice target)
{
    char *out = malloc(target.len + 1);
    struct bw_target once, twice;

    if (bw_target_normalise(target, out, &once) == BW_TARGET_OK) {
        BW_ASSERT(bw_head_target_valid(target) && bw_head_target_valid(once.whole));
        BW_ASSERT(once.whole.len <= target.len && once.path.base == once.whole.base);
        BW_ASSERT(once.whole.len == once.path.len + (once.has_query ? 1 + once.query.len : 0));
        BW_ASSERT(bw_slice_ends(target, once.query));
        BW_ASSERT(bw_target_normalise(once.whole, NULL, &twice) == BW_TARGET_OK);
        BW_ASSERT(twice.whole.base == once.whole.base && twice.whole.len == once.whole.len);
        check_segments(once.path);
        check_parameters(once.query);
    }
    free(out);
}

static void check_authority(struct bw_slice authority, bool https)
{
    if (!bw_head_authority_valid(authority))
        return;
    char *out = malloc(authority.len), *again = malloc(authority.len);
    struct bw_slice host, same_host;
    struct bw_slice once = bw_target_authority(authority, https, out, &host);

    BW_ASSERT(bw_head_authority_valid(once) && bw_head_authority_valid(host));
    BW_ASSERT(bw_slice_eq(bw_target_authority(once, https, again, &same_host), once));
    BW_ASSERT(bw_slice_eq(host, same_host) && bw_slice_starts(once, host));
    free(out);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct bw_slice input = bw_slice((const char *)bytes, n);

    check_target(input);
    check_authority(input, true);
    check_authority(input, false);
    return 0;
}
