/*
 * block.h - the unit in which body bytes travel from a fill to readers and the writer.
 *
 * A block is filled by one thread, then never changes; references are counted atomically and the
 * last put frees it and gives its bytes back to the budget.  Four blocks are one chunk of the
 * store, a block fits one TLS record (fill.md, 2 and 5).
 */
#pragma once

#include "breakwater/base/budget.h"
#include "breakwater/base/slice.h"

enum {
    BW_BLOCK_SIZE = 16378,                           /* bytes of body in a block */
    BW_CHUNK_BLOCKS = 4,                             /* blocks in a chunk */
    BW_CHUNK_SIZE = BW_BLOCK_SIZE * BW_CHUNK_BLOCKS, /* 65,512 + 8 of checksum = 16 pages - 16 */
};

/*
 * The memory of one fill: it is charged max(reserve, live) blocks, so what a fill has reserved
 * comes back to it and not to the pool (fill.md, 5).  Both numbers are in one word, so that any
 * thread may change either and the difference is settled exactly once.  Outlives its blocks.
 */
struct bw_account {
    struct bw_budget *budget;
    _Atomic uint64_t blocks; /* that exist, in the lower half; reserved ones in the upper */
};

bool bw_account_open(struct bw_account *a, struct bw_budget *budget, uint32_t reserve);
/* Another reserve; false: there is no room for a larger one, and it stays as it was. */
bool bw_account_reserve(struct bw_account *a, uint32_t reserve);
/* The same from all of the pool, also from what is kept for new fills: where others wait for it. */
bool bw_account_lend(struct bw_account *a, uint32_t reserve);
/* One more block: from the reserve, else, below `most`, from the pool above its own reserve. */
bool bw_account_take(struct bw_account *a, uint32_t most);
void bw_account_force(
    struct bw_account *a); /* the same without asking: bytes that are here already */
void bw_account_release(struct bw_account *a);                    /* a block is gone; any thread */
void bw_account_close(struct bw_account *a);                      /* no block is left */
bool bw_account_tight(const struct bw_account *a, uint32_t most); /* is one more chunk too much? */
bool bw_account_covered(const struct bw_account *a); /* are there no more than reserved? */

struct bw_block {
    struct bw_budget *budget;   /* gets the bytes back, unless there is an account */
    struct bw_account *account; /* or NULL */
    atomic_uint refs;
    uint32_t len;  /* bytes filled so far; only the filler changes it */
    uint32_t room; /* BW_BLOCK_SIZE, or less in a compact one, which is full */
    char bytes[];
};

enum { BW_BLOCK_MEMORY = sizeof(struct bw_block) + BW_BLOCK_SIZE };

/* One reference for the caller, who has taken BW_BLOCK_MEMORY from the budget. */
struct bw_block *bw_block_new(struct bw_budget *charged);
/* The same for a block that was taken from an account (bw_account_take()). */
struct bw_block *bw_block_new_on(struct bw_account *account);
/* A copy of `b` that takes no more memory than its bytes need, which is charged in any case. */
struct bw_block *bw_block_compact(const struct bw_block *b, struct bw_budget *charged);
size_t bw_block_memory(const struct bw_block *b); /* bytes that it takes */
void bw_block_take(struct bw_block *b);
void bw_block_put(struct bw_block *b); /* any thread */
