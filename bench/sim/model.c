/*
 * model.c - traffic drawn from tables that were made of a CDN's logs (bench/traces/README.md).
 *
 * Independent references: how often each object is asked for and how large it is are drawn, then
 * all requests are shuffled.  That keeps the mix of popularity and size and drops locality in time.
 */
#include "breakwater/base/mem.h"

#include "draw.h"
#include "sim.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 20 + 'b', KILOBYTE = 1024 };

struct row {
    double requests, kilobytes, share;
};

/* As many numbers as there are columns, and nothing behind them. */
static bool read_row(const char *line, unsigned columns, double *v)
{
    char *end;

    for (unsigned i = 0; i < columns; i++) {
        v[i] = strtod(line, &end);
        if (end == line || !(v[i] >= 0))
            return false;
        line = end;
    }
    return strspn(line, " \r\n") == strlen(line);
}

static bool read_rows(FILE *f, const char *path, unsigned columns,
                      void (*each)(void *ctx, const double *v), void *ctx)
{
    char line[256];
    double v[3];
    unsigned rows = 0;

    for (unsigned n = 1; fgets(line, sizeof(line), f) != NULL; n++) {
        if (line[0] == '#')
            continue;
        if (!read_row(line, columns, v)) {
            fprintf(stderr, "offload: %s:%u: not %u numbers: take the file from the repository\n",
                    path, n, columns);
            return false;
        }
        each(ctx, v);
        rows++;
    }
    if (rows == 0)
        fprintf(stderr, "offload: %s: no rows: take the file from the repository\n", path);
    return rows > 0;
}

/* Calls `each` for the rows of a table; lines that begin with # are prose. */
static bool read_table(const char *folder, const char *name, unsigned columns,
                       void (*each)(void *ctx, const double *v), void *ctx)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fprintf(stderr, "offload: %s: %s: --tables names the folder of the models\n", path,
                strerror(errno));
        return false;
    }
    bool good = read_rows(f, path, columns, each, ctx);
    fclose(f);
    return good;
}

static void add_pair(void *ctx, const double *v)
{
    bw_sim_dist_add(ctx, v[0], v[1]);
}

/* All requests of objects that are asked for `times[o]` times, in any order. */
static void fill_in(struct bw_sim_trace *t, const uint32_t *times, struct bw_sim_draw *draw)
{
    uint64_t n = 0;

    for (uint32_t o = 0; o < t->objects; o++)
        n += times[o];
    t->requests = (uint32_t)n;
    t->object = bw_alloc((n + 1) * sizeof(*t->object));
    n = 0;
    for (uint32_t o = 0; o < t->objects; o++)
        for (uint32_t i = 0; i < times[o]; i++)
            t->object[n++] = o;
    bw_sim_draw_shuffle(draw, t->object, n);
    bw_sim_trace_finish(t);
}

bool bw_sim_model_web(const char *tables, uint32_t objects, struct bw_sim_trace *t)
{
    struct bw_sim_dist popularity = {0}, sizes = {0};
    struct bw_sim_draw draw;
    bool good = read_table(tables, "web-popularity.txt", 2, add_pair, &popularity) &&
                read_table(tables, "media-sizes.txt", 2, add_pair, &sizes);

    if (good) {
        uint32_t *times = bw_alloc(objects * sizeof(*times));
        bw_sim_draw_seed(&draw, SEED);
        t->objects = objects;
        t->size = bw_alloc(objects * sizeof(*t->size));
        for (uint32_t o = 0; o < objects; o++)
            times[o] = (uint32_t)popularity.value[bw_sim_dist_pick(&popularity, &draw)];
        for (uint32_t o = 0; o < objects; o++)
            t->size[o] = (uint64_t)(sizes.value[bw_sim_dist_pick(&sizes, &draw)] * KILOBYTE);
        fill_in(t, times, &draw);
        free(times);
    }
    bw_sim_dist_free(&popularity);
    bw_sim_dist_free(&sizes);
    return good;
}

struct joint {
    struct bw_sim_dist rows; /* by number */
    struct row *row;
};

static void add_row(void *ctx, const double *v)
{
    struct joint *j = ctx;

    j->row = bw_realloc(j->row, (j->rows.n + 1) * sizeof(*j->row));
    j->row[j->rows.n] = (struct row){v[0], v[1], v[2]};
    bw_sim_dist_add(&j->rows, (double)j->rows.n, v[2]);
}

/* The table has steps: within one of them sizes are spread evenly by factor. */
static uint64_t spread(double kilobytes, struct bw_sim_draw *draw)
{
    double bytes = kilobytes * KILOBYTE * exp2((bw_sim_draw_uniform(draw) - 0.5) / 2);

    return (uint64_t)fmax(bytes, 1);
}

bool bw_sim_model_joint(const char *tables, uint32_t objects, struct bw_sim_trace *t)
{
    struct joint j = {0};
    struct bw_sim_draw draw;
    bool good = read_table(tables, "web-joint.txt", 3, add_row, &j);

    if (good && j.row != NULL) {
        uint32_t *times = bw_alloc(objects * sizeof(*times));
        bw_sim_draw_seed(&draw, SEED);
        t->objects = objects;
        t->size = bw_alloc(objects * sizeof(*t->size));
        for (uint32_t o = 0; o < objects; o++) {
            const struct row *row = &j.row[bw_sim_dist_pick(&j.rows, &draw)];
            times[o] = (uint32_t)row->requests;
            t->size[o] = spread(row->kilobytes, &draw);
        }
        fill_in(t, times, &draw);
        free(times);
    }
    bw_sim_dist_free(&j.rows);
    free(j.row);
    return good;
}
