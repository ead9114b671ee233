/*
 * account.c - the charge of one fill: max(reserve, live) blocks.
 *
 * Each change of the word settles its own difference with the budget, whatever runs beside it: what
 * is taken is taken before the change, and given back where another thread was faster.
 */
#include "breakwater/base/check.h"
#include "breakwater/cache/block.h"

enum { HALF = 32 };

static const size_t block_bytes = BW_BLOCK_MEMORY;

static uint32_t live_of(uint64_t blocks)
{
    return (uint32_t)blocks;
}

static uint32_t reserve_of(uint64_t blocks)
{
    return (uint32_t)(blocks >> HALF);
}

static size_t paid(uint64_t blocks)
{
    return live_of(blocks) > reserve_of(blocks) ? live_of(blocks) : reserve_of(blocks);
}

static uint64_t with_reserve(uint64_t blocks, uint32_t reserve)
{
    return (uint64_t)reserve << HALF | live_of(blocks);
}

bool bw_account_open(struct bw_account *a, struct bw_budget *budget, uint32_t reserve)
{
    a->budget = budget;
    atomic_init(&a->blocks, with_reserve(0, reserve));
    return bw_budget_take(budget, reserve * block_bytes);
}

static bool change_reserve(struct bw_account *a, uint32_t reserve,
                           bool (*take)(struct bw_budget *, size_t))
{
    uint64_t old = atomic_load(&a->blocks), next;

    for (;;) {
        size_t more;

        next = with_reserve(old, reserve);
        more = paid(next) > paid(old) ? paid(next) - paid(old) : 0;
        if (more != 0 && !take(a->budget, more * block_bytes))
            return false;
        if (atomic_compare_exchange_strong(&a->blocks, &old, next))
            break;
        bw_budget_give(a->budget, more * block_bytes);
    }
    if (paid(old) > paid(next))
        bw_budget_give(a->budget, (paid(old) - paid(next)) * block_bytes);
    return true;
}

bool bw_account_reserve(struct bw_account *a, uint32_t reserve)
{
    return change_reserve(a, reserve, bw_budget_take_above_reserve);
}

bool bw_account_lend(struct bw_account *a, uint32_t reserve)
{
    return change_reserve(a, reserve, bw_budget_take);
}

bool bw_account_take(struct bw_account *a, uint32_t most)
{
    uint64_t old = atomic_load(&a->blocks);

    for (;;) {
        bool more = paid(old + 1) > paid(old);

        if (more && (live_of(old) >= most || !bw_budget_take_above_reserve(a->budget, block_bytes)))
            return false;
        if (atomic_compare_exchange_strong(&a->blocks, &old, old + 1))
            return true;
        if (more)
            bw_budget_give(a->budget, block_bytes);
    }
}

void bw_account_force(struct bw_account *a)
{
    uint64_t old = atomic_fetch_add(&a->blocks, 1);

    if (paid(old + 1) > paid(old))
        bw_budget_force(a->budget, block_bytes);
}

void bw_account_release(struct bw_account *a)
{
    uint64_t old = atomic_fetch_sub(&a->blocks, 1);

    BW_ASSERT(live_of(old) > 0);
    if (paid(old) > paid(old - 1))
        bw_budget_give(a->budget, block_bytes);
}

void bw_account_close(struct bw_account *a)
{
    uint64_t blocks = atomic_load(&a->blocks);

    BW_ASSERT(live_of(blocks) == 0);
    bw_budget_give(a->budget, reserve_of(blocks) * block_bytes);
}

bool bw_account_covered(const struct bw_account *a)
{
    uint64_t blocks = atomic_load(&a->blocks);

    return live_of(blocks) <= reserve_of(blocks);
}

bool bw_account_tight(const struct bw_account *a, uint32_t most)
{
    uint32_t live = live_of(atomic_load(&a->blocks));
    size_t limit = a->budget->limit - a->budget->limit / 8;

    return live + BW_CHUNK_BLOCKS > most ||
           bw_budget_used(a->budget) + BW_CHUNK_BLOCKS * block_bytes > limit;
}
