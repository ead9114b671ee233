/*
 * account.c - the charge of one fill: max(reserve, live) blocks, kept exact by two atomics.
 */
#include "breakwater/base/check.h"
#include "breakwater/cache/block.h"

static const size_t block_bytes = sizeof(struct bw_block);

bool bw_account_open(struct bw_account *a, struct bw_budget *budget, unsigned reserve)
{
    a->budget = budget;
    atomic_init(&a->live, 0);
    atomic_init(&a->reserve, reserve);
    return bw_budget_take(budget, reserve * block_bytes);
}

/* Called by the owner before it has more than the old reserve alive, so no release runs beside it.
 */
bool bw_account_reserve(struct bw_account *a, unsigned reserve)
{
    unsigned old = atomic_load(&a->reserve);

    BW_ASSERT(reserve >= old && atomic_load(&a->live) <= old);
    if (!bw_budget_take_above_reserve(a->budget, (reserve - old) * block_bytes))
        return false;
    atomic_store(&a->reserve, reserve);
    return true;
}

/*
 * An addition costs one block if it starts at the reserve or above, a release gives one if it
 * starts above: each transition of `live` settles its own difference, whatever runs beside it.
 */
bool bw_account_take(struct bw_account *a, unsigned most)
{
    unsigned live = atomic_load(&a->live);

    while (live < atomic_load(&a->reserve))
        if (atomic_compare_exchange_weak(&a->live, &live, live + 1))
            return true;
    if (live >= most || !bw_budget_take_above_reserve(a->budget, block_bytes))
        return false;
    if (atomic_fetch_add(&a->live, 1) < atomic_load(&a->reserve))
        bw_budget_give(a->budget, block_bytes);
    return true;
}

void bw_account_force(struct bw_account *a)
{
    if (atomic_fetch_add(&a->live, 1) >= atomic_load(&a->reserve))
        bw_budget_force(a->budget, block_bytes);
}

void bw_account_release(struct bw_account *a)
{
    if (atomic_fetch_sub(&a->live, 1) > atomic_load(&a->reserve))
        bw_budget_give(a->budget, block_bytes);
}

void bw_account_close(struct bw_account *a)
{
    BW_ASSERT(atomic_load(&a->live) == 0);
    bw_budget_give(a->budget, atomic_load(&a->reserve) * block_bytes);
}
