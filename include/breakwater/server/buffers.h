/*
 * buffers.h - buffers for bodies on their way from the store to a socket.
 *
 * One free list for each worker, charged to the memory budget; a hit of a large object takes one
 * while it sends.  On the worker's thread.
 */
#pragma once

#include "breakwater/base/budget.h"

/* Two chunks of the store: what one connection may send in a round of the loop. */
enum { BW_BUFFER_SIZE = 131072, BW_BUFFERS_KEPT = 64 };

struct bw_buffers;

struct bw_buffers *bw_buffers_new(struct bw_budget *budget);
void bw_buffers_free(struct bw_buffers *b); /* all are back */
/* NULL: the budget has none left. */
char *bw_buffers_take(struct bw_buffers *b);
/* One in any case: bytes that have left memory must be readable, or their readers would hang. */
char *bw_buffers_force(struct bw_buffers *b);
void bw_buffers_put(struct bw_buffers *b, char *buffer);
