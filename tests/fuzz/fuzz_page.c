/*
 * fuzz_page.c - a page of the store's file made of anything: what is accepted lies within it.
 */
#include "breakwater/base/check.h"
#include "breakwater/cache/page.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct bw_slice outer, struct bw_slice inner)
{
    BW_ASSERT(inner.len == 0 || (inner.base >= outer.base && inner.len <= outer.len &&
                                 inner.base - outer.base <= (ptrdiff_t)(outer.len - inner.len)));
}

static void check_nodes(const struct bw_page *p)
{
    struct bw_page dups;
    struct bw_tree tree;

    for (unsigned i = 0; i < p->n; i++) {
        struct bw_node node = bw_page_node(p, i);
        check_within(p->bytes, node.key);
        check_within(p->bytes, node.value);
        (void)bw_tree_read(node.value, &tree);
        if (node.value.base != NULL && bw_page_read_dups(node.value, &dups))
            check_nodes(&dups);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = calloc(1, BW_PAGE_SIZE); /* so that every overrun is seen */
    struct bw_page p;
    struct bw_meta m;
    uint64_t number;

    memcpy(copy, data, size < BW_PAGE_SIZE ? size : BW_PAGE_SIZE);
    memcpy(&number, copy, sizeof(number));
    if (bw_page_read(bw_slice(copy, BW_PAGE_SIZE), number, &p))
        check_nodes(&p);
    if (bw_page_read_dups(bw_slice(copy, BW_PAGE_SIZE), &p))
        check_nodes(&p);
    (void)bw_meta_read(bw_slice(copy, BW_PAGE_SIZE), &m);
    (void)bw_page_read_big(copy, number, 1);
    free(copy);
    return 0;
}
