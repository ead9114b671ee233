/*
 * block.h - the unit in which body bytes travel from a fill to readers and the writer.
 *
 * A block is filled by one thread, then never changes; references are counted atomically and the
 * last put frees it and gives its bytes back to the budget.  Four blocks are one chunk of the store,
 * a block fits one TLS record (fill.md, 2 and 5).
 */
#pragma once

#include "breakwater/base/budget.h"
#include "breakwater/base/slice.h"

enum {
    BW_BLOCK_SIZE = 16378,                  /* bytes of body in a block */
    BW_CHUNK_BLOCKS = 4,                    /* blocks in a chunk */
    BW_CHUNK_SIZE = BW_BLOCK_SIZE * BW_CHUNK_BLOCKS, /* 65,512 + 8 of checksum = 16 pages - 16 */
};

struct bw_block {
    struct bw_budget *budget;
    atomic_uint refs;
    uint32_t len; /* bytes filled so far; only the filler changes it */
    char bytes[BW_BLOCK_SIZE];
};

/* One reference for the caller; `charged` blocks have been taken from the budget by the caller. */
struct bw_block *bw_block_new(struct bw_budget *charged);
void bw_block_take(struct bw_block *b);
void bw_block_put(struct bw_block *b); /* any thread */
