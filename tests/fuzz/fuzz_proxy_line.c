/*
 * fuzz_proxy_line.c - a PROXY line means the same however it is cut, and never more than it is.
 */
#include "breakwater/base/check.h"
#include "breakwater/server/proxy_line.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum bw_proxy_verdict parse(const uint8_t *data, size_t n, struct bw_proxy_line *out)
{
    char *exact = malloc(n > 0 ? n : 1); /* so that a read beyond `n` is seen */
    enum bw_proxy_verdict verdict;

    BW_ASSERT(exact != NULL);
    if (n > 0)
        memcpy(exact, data, n);
    verdict = bw_proxy_line_parse(exact, n, out);
    free(exact);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bw_proxy_line whole = {0};
    enum bw_proxy_verdict verdict = parse(data, size, &whole);
    bool is_line = verdict == BW_PROXY_OTHER || verdict == BW_PROXY_PEER;

    BW_ASSERT(verdict != BW_PROXY_MORE || size < BW_PROXY_LINE_MAX);
    BW_ASSERT(!is_line || (whole.len > 0 && whole.len <= size && whole.len <= BW_PROXY_LINE_MAX));
    for (size_t n = 0; is_line && n < whole.len; n++) {
        struct bw_proxy_line part = {0};

        BW_ASSERT(parse(data, n, &part) == BW_PROXY_MORE);
    }
    return 0;
}
