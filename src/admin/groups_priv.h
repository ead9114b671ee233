/*
 * groups_priv.h - figures by rule and by host, of all workers, with their windows of time.
 *
 * The control thread's.  Workers keep running totals; what was added to them since the last look is
 * added here to the group of that name, so a rule keeps its figures over reloads, and a host over
 * the loss of its place.
 */
#pragma once

#include "breakwater/admin/window.h"

/* What the common groups are called: no host has such a name, and a rule of it joins its group. */
#define BW_NO_RULE     "(none)"
#define BW_OTHER_HOSTS "(other)"

enum { BW_HOST_GROUPS = 256 }; /* more hosts than that are counted together */

struct bw_group {
    struct bw_group *next;
    char *name; /* NULL: the common one */
    int64_t used_s;
    struct bw_sums total;
    struct bw_window window;
};

struct bw_host_seen; /* what was taken over from a place */

struct bw_groups {
    struct bw_group *rules; /* in the order in which they were first seen */
    struct bw_group *hosts; /* likewise; at most BW_HOST_GROUPS and the common one */
    unsigned hosts_n;
    struct bw_group no_rule, other_hosts;
    struct bw_host_seen *seen;   /* BW_HOST_PLACES for each worker */
    struct bw_sums *others_seen; /* one for each worker */
    unsigned workers;
};

void bw_groups_init(struct bw_groups *g, unsigned workers);
void bw_groups_dispose(struct bw_groups *g);
/* Takes over what the workers counted. */
void bw_groups_gather(struct bw_groups *g, struct bw_counters *const *counters, int64_t now_s);
/* Moves the windows along. */
void bw_groups_tick(struct bw_groups *g, int64_t now_s);
