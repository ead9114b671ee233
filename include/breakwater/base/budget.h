/*
 * budget.h - one memory budget for index, fills under way and buffers  (cache.memory).
 *
 * Any thread; one atomic counter each.  take() never waits: who gets false serves without storing,
 * serves stale, or answers 503.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct bw_budget {
    atomic_size_t used;
    size_t limit;
    atomic_size_t refused; /* metric: how often take() said no */
};

void bw_budget_init(struct bw_budget *b, size_t limit);
bool bw_budget_take(struct bw_budget *b, size_t n);
/* As take(), but only while less than 7/8 is in use: the rest is for new fills (fill.md, 5). */
bool bw_budget_take_above_reserve(struct bw_budget *b, size_t n);
/* Counts memory that is in use already and cannot be refused: may exceed the limit by one read. */
void bw_budget_force(struct bw_budget *b, size_t n);
void bw_budget_give(struct bw_budget *b, size_t n);
size_t bw_budget_used(const struct bw_budget *b);
/* The container's memory limit (cgroup v1 or v2), else the machine's memory; bytes. */
size_t bw_budget_machine_limit(void);
