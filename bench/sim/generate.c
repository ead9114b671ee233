/*
 * generate.c - made-up traffic: Zipf 0.9 over 100,000 objects, two million requests, and a trouble.
 *
 * scan    a crawler walks through 60,000 pages now and then, half of the traffic while it does
 * onehit  three of ten requests are for something that is never asked for again
 * flash   every 250,000 requests 200 new objects draw half of the traffic for a while
 * drift   a tenth of the catalogue is replaced every 50,000 requests
 * flood   for a quarter of the time nine of ten requests are for URLs that do not exist twice
 * corr+   what is popular is large; corr-: what is popular is small
 * mixed   scan, flash and drift one after the other and together, and three of four objects expire
 *         after 1/128 to all of the trace and are fetched anew
 */
#include "breakwater/base/mem.h"

#include "draw.h"
#include "sim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CATALOGUE = 100000,
    REQUESTS = 2000000,
    OBJECTS_MAX = 4000000,
    SCANNED = 60000,
    CROWD = 200
};

enum trouble {
    SCAN = 1 << 0,
    ONEHIT = 1 << 1,
    FLASH = 1 << 2,
    DRIFT = 1 << 3,
    FLOOD = 1 << 4,
    LARGE = 1 << 5,
    SMALL = 1 << 6,
    EXPIRY = 1 << 7,
};

struct kind {
    const char *name;
    uint64_t seed;
    unsigned troubles;
};

static const struct kind kinds[] = {
    {"scan", 20 + 'n', SCAN},   {"onehit", 20 + 't', ONEHIT},
    {"flash", 20 + 'h', FLASH}, {"drift", 20 + 't', DRIFT},
    {"flood", 20 + 'd', FLOOD}, {"corr+", 20 + '+', LARGE},
    {"corr-", 20 + '-', SMALL}, {"mixed", 20 + 'x', SCAN | FLASH | DRIFT | EXPIRY},
};

const char *const bw_sim_generated[] = {"web",   "web-joint", "mixed", "scan",  "onehit", "flash",
                                        "drift", "flood",     "corr+", "corr-", NULL};

struct making {
    const struct kind *kind;
    struct bw_sim_trace *trace;
    struct bw_sim_draw draw;
    struct bw_sim_dist zipf;
    uint32_t *map;  /* from rank to object */
    uint32_t extra; /* the next object that was never asked for */
    uint32_t scanned;
    uint32_t crowd; /* where the objects of the crowd end */
};

/* The body of a log-normal distribution and the tail of a Pareto one. */
static uint64_t draw_size(struct bw_sim_draw *d)
{
    double s = bw_sim_draw_uniform(d) < 0.9 ? exp(9.5 + 1.6 * bw_sim_draw_normal(d))
                                            : 30000 * pow(bw_sim_draw_uniform(d) + 1e-9, -0.9);

    return (uint64_t)fmax(100, fmin(s, 1073741824.0));
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Sizes of the catalogue in the order of popularity or against it, with noise. */
static void sort_sizes(struct making *m)
{
    uint64_t *sorted = bw_alloc(CATALOGUE * sizeof(*sorted)), *size = m->trace->size;

    memcpy(sorted, size, CATALOGUE * sizeof(*sorted));
    qsort(sorted, CATALOGUE, sizeof(*sorted), by_number);
    for (uint32_t i = 0; i < CATALOGUE; i++) {
        double at = (m->kind->troubles & LARGE ? CATALOGUE - 1 - i : i) +
                    0.2 * CATALOGUE * bw_sim_draw_normal(&m->draw);
        size[m->map[i]] = sorted[(uint32_t)fmax(0, fmin(at, CATALOGUE - 1))];
    }
    free(sorted);
}

/* One of four never expires, the others after 1/128 to all of the trace, which takes 2,000 s. */
static void draw_lifetimes(struct making *m)
{
    m->trace->ttl = bw_zalloc(OBJECTS_MAX * sizeof(*m->trace->ttl));
    for (uint32_t i = 0; i < OBJECTS_MAX; i++)
        if (bw_sim_draw_below(&m->draw, 4) > 0)
            m->trace->ttl[i] = UINT32_C(15) << bw_sim_draw_below(&m->draw, 8);
}

static void replace_a_tenth(struct making *m)
{
    for (uint32_t i = 0; i < CATALOGUE / 10; i++)
        m->map[bw_sim_draw_below(&m->draw, CATALOGUE)] = m->extra++;
}

static uint32_t pick_from_crowd(struct making *m)
{
    return m->crowd - CROWD + (uint32_t)(CROWD * pow(bw_sim_draw_uniform(&m->draw), 2));
}

static bool half(struct making *m)
{
    return bw_sim_draw_uniform(&m->draw) < 0.5;
}

/* What becomes of request `i`, which would have been for `object`. */
static uint32_t trouble(struct making *m, uint32_t i, uint32_t object)
{
    unsigned troubles = m->kind->troubles;
    uint32_t lap = i % 200000, wave = i % 250000;

    if (troubles & ONEHIT && bw_sim_draw_uniform(&m->draw) < 0.3)
        object = m->extra++;
    if (troubles & FLOOD && i > REQUESTS / 4 && i < REQUESTS / 2 &&
        bw_sim_draw_uniform(&m->draw) < 0.9)
        object = m->extra++;
    if (troubles & SCAN && lap >= 100000 && lap < 160000 && half(m))
        object = CATALOGUE + m->scanned++ % SCANNED;
    if (troubles & DRIFT && i % 50000 == 49999)
        replace_a_tenth(m);
    if (troubles & FLASH && wave == 0)
        m->crowd = m->extra += CROWD;
    if (troubles & FLASH && wave < 40000 && half(m))
        object = pick_from_crowd(m);
    return object;
}

static void make(struct making *m)
{
    struct bw_sim_trace *t = m->trace;

    m->map = bw_alloc(CATALOGUE * sizeof(*m->map));
    for (uint32_t i = 0; i < CATALOGUE; i++) {
        m->map[i] = i;
        bw_sim_dist_add(&m->zipf, i, pow(i + 1, -0.9));
    }
    bw_sim_draw_shuffle(&m->draw, m->map, CATALOGUE);
    for (uint32_t i = 0; i < OBJECTS_MAX; i++)
        t->size[i] = draw_size(&m->draw);
    if (m->kind->troubles & (LARGE | SMALL))
        sort_sizes(m);
    if (m->kind->troubles & EXPIRY)
        draw_lifetimes(m);
    m->extra = CATALOGUE + (m->kind->troubles & SCAN ? SCANNED : 0);
    for (uint32_t i = 0; i < REQUESTS; i++)
        t->object[i] = trouble(m, i, m->map[bw_sim_dist_pick(&m->zipf, &m->draw)]);
    free(m->map);
    bw_sim_dist_free(&m->zipf);
}

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

bool bw_sim_generate(const char *name, const char *tables, uint32_t objects, struct bw_sim_trace *t)
{
    const struct kind *kind = find_kind(name);

    *t = (struct bw_sim_trace){.name = name};
    if (strcmp(name, "web") == 0)
        return bw_sim_model_web(tables, objects, t);
    if (strcmp(name, "web-joint") == 0)
        return bw_sim_model_joint(tables, objects, t);
    if (kind == NULL) {
        fprintf(stderr,
                "offload: there is no trace %s: name one of those that --list shows, or a file\n",
                name);
        return false;
    }
    t->requests = REQUESTS;
    t->objects = OBJECTS_MAX;
    t->object = bw_alloc(REQUESTS * sizeof(*t->object));
    t->size = bw_alloc(OBJECTS_MAX * sizeof(*t->size));
    struct making m = {.kind = kind, .trace = t};
    bw_sim_draw_seed(&m.draw, kind->seed);
    make(&m);
    bw_sim_trace_finish(t);
    return true;
}
