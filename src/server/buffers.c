/*
 * buffers.c - a stack of free buffers; what is over BW_BUFFERS_KEPT goes back to the budget.
 */
#include "breakwater/server/buffers.h"

#include "breakwater/base/mem.h"

#include <stdlib.h>

struct bw_buffers {
    struct bw_budget *budget;
    unsigned kept_n;
    char *kept[BW_BUFFERS_KEPT];
};

struct bw_buffers *bw_buffers_new(struct bw_budget *budget)
{
    struct bw_buffers *b = bw_zalloc(sizeof(*b));

    b->budget = budget;
    return b;
}

static void discard(struct bw_buffers *b, char *buffer)
{
    free(buffer);
    bw_budget_give(b->budget, BW_BUFFER_SIZE);
}

void bw_buffers_free(struct bw_buffers *b)
{
    while (b->kept_n != 0)
        discard(b, b->kept[--b->kept_n]);
    free(b);
}

char *bw_buffers_take(struct bw_buffers *b)
{
    char *buffer;

    if (b->kept_n != 0)
        return b->kept[--b->kept_n];
    if (!bw_budget_take_above_reserve(b->budget, BW_BUFFER_SIZE))
        return NULL;
    buffer = malloc(BW_BUFFER_SIZE);
    if (buffer == NULL)
        bw_budget_give(b->budget, BW_BUFFER_SIZE);
    return buffer;
}

char *bw_buffers_force(struct bw_buffers *b)
{
    bw_budget_force(b->budget, BW_BUFFER_SIZE);
    return bw_alloc(BW_BUFFER_SIZE);
}

void bw_buffers_put(struct bw_buffers *b, char *buffer)
{
    if (b->kept_n < BW_BUFFERS_KEPT)
        b->kept[b->kept_n++] = buffer;
    else
        discard(b, buffer);
}
