/*
 * block.c - reference-counted body bytes.
 *
 * The count is released with acquire-release order: whoever frees has seen every use.
 */
#include "breakwater/cache/block.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include <stdlib.h>

static struct bw_block *begin(struct bw_budget *budget, struct bw_account *account)
{
    struct bw_block *b = bw_alloc(sizeof(*b)); /* the bytes are written before they are read */

    b->budget = budget;
    b->account = account;
    b->len = 0;
    atomic_init(&b->refs, 1);
    return b;
}

struct bw_block *bw_block_new(struct bw_budget *charged)
{
    return begin(charged, NULL);
}

struct bw_block *bw_block_new_on(struct bw_account *account)
{
    return begin(NULL, account);
}

void bw_block_take(struct bw_block *b)
{
    unsigned before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);

    BW_ASSERT(before > 0);
}

void bw_block_put(struct bw_block *b)
{
    unsigned before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);

    BW_ASSERT(before > 0);
    if (before > 1)
        return;
    if (b->account != NULL)
        bw_account_release(b->account);
    else
        bw_budget_give(b->budget, sizeof(*b));
    free(b);
}
