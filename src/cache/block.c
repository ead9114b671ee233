/*
 * block.c - reference-counted body bytes.
 *
 * The count is released with acquire-release order: whoever frees has seen every use.
 */
#include "breakwater/cache/block.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include <stdlib.h>
#include <string.h>

static struct bw_block *begin(struct bw_budget *budget, struct bw_account *account, uint32_t room)
{
    struct bw_block *b = bw_alloc(sizeof(*b) + room); /* they are written before they are read */

    b->budget = budget;
    b->account = account;
    b->len = 0;
    b->room = room;
    atomic_init(&b->refs, 1);
    return b;
}

struct bw_block *bw_block_new(struct bw_budget *charged)
{
    return begin(charged, NULL, BW_BLOCK_SIZE);
}

struct bw_block *bw_block_new_on(struct bw_account *account)
{
    return begin(NULL, account, BW_BLOCK_SIZE);
}

struct bw_block *bw_block_compact(const struct bw_block *b, struct bw_budget *charged)
{
    struct bw_block *copy = begin(charged, NULL, b->len);

    bw_budget_force(charged, bw_block_memory(copy));
    memcpy(copy->bytes, b->bytes, b->len);
    copy->len = b->len;
    return copy;
}

size_t bw_block_memory(const struct bw_block *b)
{
    return sizeof(*b) + b->room;
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
        bw_budget_give(b->budget, bw_block_memory(b));
    free(b);
}
