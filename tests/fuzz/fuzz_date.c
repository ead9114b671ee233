/*
 * fuzz_date.c - whatever is taken for a date is written as a date, and read again as the same one.
 */
#include "breakwater/base/check.h"
#include "breakwater/http/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now_s = 1767225600;
    char out[BW_DATE_LEN];
    int64_t read_s, again_s = 0;

    if (!bw_date_parse(bw_slice((const char *)data, size), now_s, &read_s))
        return 0;
    bw_date_format(read_s, out);
    BW_ASSERT(bw_date_parse(bw_slice(out, sizeof(out)), now_s, &again_s));
    /* only the leap second of the last second there is has no next one */
    BW_ASSERT(read_s == again_s || read_s == INT64_C(253402300800));
    return 0;
}
