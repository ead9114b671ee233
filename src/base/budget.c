/*
 * budget.c - the memory budget, and how much memory there is to budget.
 *
 * A take compares and swaps instead of adding first: an attempt that is too large must not make a
 * neighbour's small one fail.  Relaxed order is enough, the counter guards no other memory.
 */
#include "breakwater/base/budget.h"

#include "breakwater/base/check.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void bw_budget_init(struct bw_budget *b, size_t limit)
{
    atomic_init(&b->used, 0);
    atomic_init(&b->refused, 0);
    b->limit = limit;
}

static bool take_within(struct bw_budget *b, size_t n, size_t limit)
{
    size_t used = atomic_load_explicit(&b->used, memory_order_relaxed);

    do {
        if (used > limit || n > limit - used) {
            atomic_fetch_add_explicit(&b->refused, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&b->used, &used, used + n, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

bool bw_budget_take(struct bw_budget *b, size_t n)
{
    return take_within(b, n, b->limit);
}

bool bw_budget_take_above_reserve(struct bw_budget *b, size_t n)
{
    return take_within(b, n, b->limit - b->limit / 8);
}

void bw_budget_force(struct bw_budget *b, size_t n)
{
    atomic_fetch_add_explicit(&b->used, n, memory_order_relaxed);
}

void bw_budget_give(struct bw_budget *b, size_t n)
{
    size_t before = atomic_fetch_sub_explicit(&b->used, n, memory_order_relaxed);

    BW_ASSERT(before >= n);
}

size_t bw_budget_used(const struct bw_budget *b)
{
    return atomic_load_explicit(&b->used, memory_order_relaxed);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The number in a control file of a group, SIZE_MAX where it says "max" or cannot be read. */
static size_t read_limit(const char *path)
{
    unsigned long long value = 0;
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return SIZE_MAX;
    int got = fscanf(f, "%20llu", &value); /* NOLINT(cert-err34-c): the kernel wrote it */
    fclose(f);
    return got == 1 && value > 0 ? (size_t)value : SIZE_MAX;
}

/*
 * The smallest limit from the group up to the root: each of them binds.  In a container the path
 * may be that of the host and lead nowhere; the root that is mounted there is the container's own.
 */
static size_t limit_along(const char *mount, char *group, const char *file)
{
    size_t limit = SIZE_MAX;
    char path[1024];

    for (;;) {
        int n = snprintf(path, sizeof(path), "%s%s/%s", mount, group, file);
        if (n > 0 && n < (int)sizeof(path))
            limit = smaller(limit, read_limit(path));
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return limit;
        *slash = '\0';
    }
}

/* Is "memory" one of the comma-separated controllers? */
static bool names_memory(const char *controllers)
{
    const char *at = strstr(controllers, "memory");

    return at != NULL && (at == controllers || at[-1] == ',') && (at[6] == '\0' || at[6] == ',');
}

/* One line "id:controllers:/path"; version 2 has the id 0 and no controllers. */
static size_t limit_of_line(char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

    if (group == NULL)
        return SIZE_MAX;
    *group++ = '\0';
    ++controllers;
    group[strcspn(group, "\n")] = '\0';
    if (*controllers == '\0')
        return limit_along("/sys/fs/cgroup", group, "memory.max");
    if (names_memory(controllers))
        return limit_along("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    return SIZE_MAX;
}

size_t bw_budget_machine_limit(void)
{
    size_t limit = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[1024];

    if (f == NULL)
        return limit;
    while (fgets(line, sizeof(line), f) != NULL)
        limit = smaller(limit, limit_of_line(line));
    fclose(f);
    return limit;
}
