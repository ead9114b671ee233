/*
 * fill_window.c - the blocks of a fill that are in memory, and which reader stands where.
 *
 * A ring of blocks without a gap, from `first_block` to the last byte that has come.  Every reader
 * is counted in the block of its position, `behind` where that has left the window, `ahead` where
 * it has passed all there are: so the slowest reader is the first block with a count, and nobody
 * walks a list to find it.  Everything here runs with the fill's lock held.
 */
#include "fill_priv.h"

static uint64_t window_end(const struct bw_fill *f)
{
    return f->first_block + f->window_n;
}

struct window_block *bw_window_at(struct bw_fill *f, uint64_t number)
{
    BW_ASSERT(number >= f->first_block && number < window_end(f));
    return &f->window[(f->window_at + (number - f->first_block)) % f->window_cap];
}

static void grow(struct bw_fill *f)
{
    unsigned cap = f->window_cap == 0 ? 4 : f->window_cap * 2;
    struct window_block *bigger = bw_alloc(cap * sizeof(*bigger));

    for (unsigned i = 0; i < f->window_n; i++)
        bigger[i] = f->window[(f->window_at + i) % f->window_cap];
    free(f->window);
    f->window = bigger;
    f->window_cap = cap;
    f->window_at = 0;
}

/* Who was ahead waits for just this block, or for one behind it. */
void bw_window_push(struct bw_fill *f, struct bw_block *b)
{
    if (f->window_n == f->window_cap)
        grow(f);
    f->window_n++;
    *bw_window_at(f, window_end(f) - 1) = (struct window_block){b, f->ahead};
    f->ahead = 0;
}

static void shift(struct bw_fill *f)
{
    struct window_block *first = &f->window[f->window_at];

    f->behind += first->readers;
    bw_block_put(first->block);
    f->window_at = (f->window_at + 1) % f->window_cap;
    f->window_n--;
    f->first_block++;
}

void bw_window_drop_below(struct bw_fill *f, uint64_t bytes)
{
    while (f->window_n != 0 && (f->first_block + 1) * BW_BLOCK_SIZE <= bytes)
        shift(f);
}

/* Rules 19 and 20: who lost its first bytes for good is not joined any more. */
void bw_window_drop_passed(struct bw_fill *f)
{
    while (f->window_n != 0 && f->behind == 0 && f->window[f->window_at].readers == 0 &&
           (f->first_block + 1) * BW_BLOCK_SIZE <= f->have) {
        shift(f);
        f->joinable = false;
    }
}

void bw_window_begin_at(struct bw_fill *f, uint64_t number)
{
    BW_ASSERT(f->window_n == 0 && number >= f->first_block);
    if (number == f->first_block)
        return;
    f->behind += f->ahead;
    f->ahead = 0;
    f->first_block = number;
}

void bw_window_count_in(struct bw_fill *f, struct bw_waiter *w)
{
    w->stands_in = block_number(w->position);
    if (w->stands_in < f->first_block) {
        f->behind++;
    } else if (w->stands_in < window_end(f)) {
        bw_window_at(f, w->stands_in)->readers++;
    } else {
        w->stands_in = window_end(f); /* the next one to come */
        f->ahead++;
    }
}

void bw_window_uncount(struct bw_fill *f, struct bw_waiter *w)
{
    if (w->stands_in < f->cut_below)
        return; /* was cut: not counted any more */
    if (w->stands_in < f->first_block)
        f->behind--;
    else if (w->stands_in < window_end(f))
        bw_window_at(f, w->stands_in)->readers--;
    else
        f->ahead--;
}

static bool somebody_waits(const struct bw_fill *f)
{
    for (unsigned i = 0; i < f->fs->o.workers; i++)
        if (f->seats[i].parked)
            return true;
    return false;
}

/* Those behind the window, else those in its first block; never all there are. */
void bw_window_cut_slowest(struct bw_fill *f)
{
    unsigned cut = f->behind;
    struct window_block *first = NULL;

    if (cut == 0 && f->window_n != 0) {
        first = bw_window_at(f, f->first_block);
        cut = first->readers;
    }
    if (cut == 0 || cut >= f->readers || !somebody_waits(f))
        return;
    if (first != NULL)
        first->readers = 0;
    f->behind = 0;
    f->cut_below = f->first_block + (first != NULL);
    f->joinable = false; /* who begins at the first byte would be cut, too */
    bw_fills_event(f->fs, BW_FILL_CUT_LAGGING);
    bw_window_drop_passed(f);
}
