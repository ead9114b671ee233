/*
 * groups.c - takes over what workers counted by rule and by host.
 *
 * Hosts are as many as clients like; here too a group that was idle for a minute gives way when
 * all are taken, and its figures go to the common group, so that the sums stay true.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"
#include "breakwater/config/conf.h"
#include "breakwater/config/rules.h"

#include "figures_priv.h"
#include "groups_priv.h"
#include "hosts_priv.h"

#include <stdlib.h>

struct bw_host_seen {
    uint64_t version;
    struct bw_sums sums;
    struct bw_group *group; /* NULL: to be looked for */
};

void bw_groups_init(struct bw_groups *g, unsigned workers)
{
    *g = (struct bw_groups){.workers = workers};
    g->seen = bw_zalloc((size_t)workers * BW_HOST_PLACES * sizeof(g->seen[0]));
    g->others_seen = bw_zalloc(workers * sizeof(g->others_seen[0]));
}

static void free_list(struct bw_group *group)
{
    while (group != NULL) {
        struct bw_group *next = group->next;

        free(group->name);
        free(group);
        group = next;
    }
}

void bw_groups_dispose(struct bw_groups *g)
{
    free_list(g->rules);
    free_list(g->hosts);
    free(g->seen);
    free(g->others_seen);
}

/* The link that leads to the group of that name, or to the end of the list. */
static struct bw_group **find(struct bw_group **list, const char *name)
{
    while (*list != NULL && strcmp((*list)->name, name) != 0)
        list = &(*list)->next;
    return list;
}

static struct bw_group *append(struct bw_group **end, const char *name)
{
    struct bw_group *group = bw_zalloc(sizeof(*group));

    group->name = bw_strdup(name);
    *end = group;
    return group;
}

/* Adds to the group what `now` is more than `seen`, and remembers it. */
static void take_over(struct bw_group *group, struct bw_sums *seen, const struct bw_sums *now,
                      int64_t now_s)
{
    for (int i = 0; i < BW_SUM_COUNT; i++)
        group->total.v[i] += now->v[i] - seen->v[i];
    *seen = *now;
    group->used_s = now_s;
}

static bool has_news(const struct bw_sums *seen, const struct bw_sums *now)
{
    return memcmp(seen, now, sizeof(*now)) != 0;
}

/* ---- rules ---- */

static struct bw_group *rule_group(struct bw_groups *g, const struct bw_rule_figures *r, uint32_t i)
{
    const char *name = i > 0 ? bw_rules_name(r->conf->rules, i - 1) : NULL;
    struct bw_group **link;

    if (name == NULL || strcmp(name, BW_NO_RULE) == 0)
        return &g->no_rule;
    link = find(&g->rules, name);
    return *link != NULL ? *link : append(link, name);
}

static void gather_rules(struct bw_groups *g, struct bw_rule_figures *r, int64_t now_s)
{
    struct bw_sums now;

    if (r->seen == NULL)
        r->seen = bw_zalloc(r->n * sizeof(r->seen[0]));
    for (uint32_t i = 0; i < r->n; i++) {
        bw_tally_read(&r->v[i], &now);
        if (has_news(&r->seen[i], &now))
            take_over(rule_group(g, r, i), &r->seen[i], &now, now_s);
    }
}

/* Behind the current array the worker is done with: they are read a last time and freed. */
static void gather_all_rules(struct bw_groups *g, struct bw_counters *c, int64_t now_s)
{
    struct bw_rule_figures *current = atomic_load_explicit(&c->rules, memory_order_acquire);

    BW_ASSERT(current != NULL);
    for (struct bw_rule_figures *r = current; r != NULL; r = r->older)
        gather_rules(g, r, now_s);
    bw_rule_figures_free(current->older);
    current->older = NULL;
}

/* ---- hosts ---- */

/* Whoever still counts for the group looks for one anew when there is something to count. */
static void forget(struct bw_groups *g, const struct bw_group *group)
{
    for (size_t i = 0; i < (size_t)g->workers * BW_HOST_PLACES; i++)
        if (g->seen[i].group == group)
            g->seen[i].group = NULL;
}

/* Frees the group that was idle longest, if that is long enough. */
static bool make_room(struct bw_groups *g, int64_t now_s)
{
    struct bw_group **oldest = &g->hosts, *gone;

    for (struct bw_group **link = &g->hosts; *link != NULL; link = &(*link)->next)
        if ((*link)->used_s < (*oldest)->used_s)
            oldest = link;
    gone = *oldest;
    BW_ASSERT(gone != NULL); /* only asked for when there are too many */
    if (gone->used_s + BW_HOST_IDLE_S > now_s)
        return false;
    bw_sums_add(&g->other_hosts.total, &gone->total);
    bw_window_add(&g->other_hosts.window, &gone->window);
    *oldest = gone->next;
    forget(g, gone);
    free(gone->name);
    free(gone);
    g->hosts_n--;
    return true;
}

static struct bw_group *host_group(struct bw_groups *g, const char *name, int64_t now_s)
{
    struct bw_group *known = *find(&g->hosts, name);

    if (known != NULL)
        return known;
    if (g->hosts_n == BW_HOST_GROUPS && !make_room(g, now_s))
        return &g->other_hosts;
    g->hosts_n++;
    return append(find(&g->hosts, name), name);
}

static void gather_host(struct bw_groups *g, struct bw_host_seen *seen,
                        const struct bw_host_view *view, int64_t now_s)
{
    if (seen->version != view->version)
        *seen = (struct bw_host_seen){.version = view->version};
    if (!has_news(&seen->sums, &view->sums))
        return;
    if (seen->group == NULL || seen->group == &g->other_hosts)
        seen->group = host_group(g, view->name, now_s);
    take_over(seen->group, &seen->sums, &view->sums, now_s);
}

static void gather_hosts(struct bw_groups *g, unsigned worker, struct bw_counters *c, int64_t now_s)
{
    struct bw_host_seen *seen = &g->seen[(size_t)worker * BW_HOST_PLACES];
    struct bw_host_view view;

    for (unsigned i = 0; i < BW_HOST_PLACES; i++)
        if (bw_host_read(c->hosts, i, &view))
            gather_host(g, &seen[i], &view, now_s);
}

static void gather_others(struct bw_groups *g, unsigned worker, struct bw_counters *c,
                          int64_t now_s)
{
    struct bw_sums now;

    bw_tally_read(bw_host_others(c->hosts), &now);
    if (has_news(&g->others_seen[worker], &now))
        take_over(&g->other_hosts, &g->others_seen[worker], &now, now_s);
}

/* ---- all ---- */

void bw_groups_gather(struct bw_groups *g, struct bw_counters *const *counters, int64_t now_s)
{
    for (unsigned i = 0; i < g->workers; i++) {
        gather_all_rules(g, counters[i], now_s);
        gather_hosts(g, i, counters[i], now_s);
        gather_others(g, i, counters[i], now_s);
    }
}

void bw_groups_tick(struct bw_groups *g, int64_t now_s)
{
    for (struct bw_group *group = g->rules; group != NULL; group = group->next)
        bw_window_tick(&group->window, now_s, &group->total);
    for (struct bw_group *group = g->hosts; group != NULL; group = group->next)
        bw_window_tick(&group->window, now_s, &group->total);
    bw_window_tick(&g->no_rule.window, now_s, &g->no_rule.total);
    bw_window_tick(&g->other_hosts.window, now_s, &g->other_hosts.total);
}
