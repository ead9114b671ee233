/*
 * gate.c - a list of named gates under one lock.
 *
 * Gates exist for tests, so their cost counts only where they are off: then every question ends
 * after one relaxed load.  Gates are made by their first hold and stay until the process ends.
 */
#include "breakwater/base/gate.h"

#include "breakwater/base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct gate {
    struct gate *next;
    char *name;
    bool held;
    int arrived; /* since the last hold */
};

static atomic_bool enabled;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct gate *gates; /* under lock */

static bool is_enabled(void)
{
    return atomic_load_explicit(&enabled, memory_order_relaxed);
}

/* Under the lock; NULL: never held so far. */
static struct gate *find(const char *name)
{
    for (struct gate *g = gates; g != NULL; g = g->next)
        if (strcmp(g->name, name) == 0)
            return g;
    return NULL;
}

static struct gate *add(const char *name)
{
    struct gate *g = bw_zalloc(sizeof(*g));

    g->name = bw_strdup(name);
    g->next = gates;
    gates = g;
    return g;
}

void bw_gate_enable(void)
{
    atomic_store(&enabled, true);
}

void bw_gate_hold(const char *name)
{
    if (!is_enabled())
        return;
    pthread_mutex_lock(&lock);
    struct gate *g = find(name);
    if (g == NULL)
        g = add(name);
    if (!g->held)
        g->arrived = 0;
    g->held = true;
    pthread_mutex_unlock(&lock);
}

void bw_gate_release(const char *name)
{
    if (!is_enabled())
        return;
    pthread_mutex_lock(&lock);
    struct gate *g = find(name);
    if (g != NULL)
        g->held = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

bool bw_gate_held(const char *name)
{
    if (!is_enabled())
        return false;
    pthread_mutex_lock(&lock);
    struct gate *g = find(name);
    bool held = g != NULL && g->held;
    if (held)
        ++g->arrived;
    pthread_mutex_unlock(&lock);
    return held;
}

void bw_gate_pass(const char *name)
{
    if (!is_enabled())
        return;
    pthread_mutex_lock(&lock);
    struct gate *g = find(name);
    if (g != NULL && g->held)
        ++g->arrived;
    while (g != NULL && g->held)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

int bw_gate_waiting(const char *name)
{
    if (!is_enabled())
        return 0;
    pthread_mutex_lock(&lock);
    struct gate *g = find(name);
    int arrived = g != NULL ? g->arrived : 0;
    pthread_mutex_unlock(&lock);
    return arrived;
}
