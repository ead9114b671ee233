/*
 * figures_priv.h - what the readers of the counters know beside figures.h.
 */
#pragma once

#include "breakwater/admin/figures.h"

/* The array and all older ones. */
void bw_rule_figures_free(struct bw_rule_figures *r);
/* Where the total of a sum is counted. */
enum bw_counter bw_sum_counter(enum bw_sum sum);
/* Adds the totals of one worker to `sums`. */
void bw_counters_add_sums(const struct bw_counters *c, struct bw_sums *sums);
