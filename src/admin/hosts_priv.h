/*
 * hosts_priv.h - figures by host, of one worker: bounded, although clients choose the names.
 *
 * Sets of eight places, found by the hash of the name.  The owner alone writes; a place that has
 * been idle for a minute may be given to another host, which a reader notices by its version.
 */
#pragma once

#include "breakwater/admin/figures.h"

enum {
    BW_HOST_SETS = 64,
    BW_HOST_WAYS = 8,
    BW_HOST_PLACES = BW_HOST_SETS * BW_HOST_WAYS,
    BW_HOST_WORDS = 16,
    BW_HOST_NAME_MAX = BW_HOST_WORDS * 8 - 1, /* longer ones are counted together */
    BW_HOST_IDLE_S = 60,
};

struct bw_host_table *bw_host_table_new(void);
void bw_host_table_free(struct bw_host_table *t);

/* The tally of a host, or the common one of all that have none.  The owner's thread. */
struct bw_tally *bw_host_tally(struct bw_host_table *t, struct bw_slice host, uint64_t second);
/* The common tally. */
struct bw_tally *bw_host_others(struct bw_host_table *t);

/* What a reader sees of a place; any thread. */
struct bw_host_view {
    uint64_t version; /* another one: another host, whose tally began at zero */
    char name[BW_HOST_NAME_MAX + 1];
    struct bw_sums sums;
};
/* false: empty, or just changing hands: look again later. */
bool bw_host_read(const struct bw_host_table *t, unsigned place, struct bw_host_view *out);

void bw_tally_add(struct bw_tally *t, const struct bw_sums *s); /* the owner */
void bw_tally_read(const struct bw_tally *t, struct bw_sums *out);
