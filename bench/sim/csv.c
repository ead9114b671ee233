/*
 * csv.c - traces as text: `time,id,size` or `time,id,size,ttl`, one request a line.
 *
 * time and ttl are seconds, time with a fraction if it likes; an id is anything without a comma;
 * size is bytes.  An id that comes with another size is another object: what it was has been
 * replaced.  A first line that begins with `time` is a heading; lines that begin with # are prose.
 */
#include "breakwater/base/hash.h"
#include "breakwater/base/mem.h"

#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_ROOM = 1 << 16, SIZE_BITS_MAX = 50 };

struct reading {
    struct bw_sim_trace *trace;
    const char *path;
    unsigned long line;
    uint64_t *known; /* hashes of objects, open addressing; 0: free */
    uint32_t *number;
    uint32_t slots;         /* a power of two */
    uint32_t room, objects; /* of the arrays */
    double first, last;     /* times */
    bool began;
};

static bool refuse(const struct reading *rd, const char *why, const char *cure)
{
    fprintf(stderr, "offload: %s:%lu: %s: %s\n", rd->path, rd->line, why, cure);
    return false;
}

/* Twice as many slots. */
static void rehash(struct reading *rd)
{
    uint64_t *known = rd->known;
    uint32_t *number = rd->number, n = rd->slots;

    rd->slots = n > 0 ? 2 * n : FIRST_ROOM;
    rd->known = bw_zalloc(rd->slots * sizeof(*rd->known));
    rd->number = bw_zalloc(rd->slots * sizeof(*rd->number));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)known[i] & (rd->slots - 1);
        if (known[i] == 0)
            continue;
        while (rd->known[at] != 0)
            at = (at + 1) & (rd->slots - 1);
        rd->known[at] = known[i];
        rd->number[at] = number[i];
    }
    free(known);
    free(number);
}

static void make_room_for_objects(struct reading *rd)
{
    struct bw_sim_trace *t = rd->trace;

    if (t->objects < rd->objects)
        return;
    rd->objects = rd->objects > 0 ? 2 * rd->objects : FIRST_ROOM;
    t->size = bw_realloc(t->size, rd->objects * sizeof(*t->size));
    t->ttl = bw_realloc(t->ttl, rd->objects * sizeof(*t->ttl));
}

static uint32_t number_of(struct reading *rd, struct bw_slice id, uint64_t size, uint64_t ttl)
{
    struct bw_sim_trace *t = rd->trace;
    uint64_t hash = (bw_hash_64(id) ^ size * UINT64_C(0x9E3779B97F4A7C15)) | 1;

    if (2 * t->objects >= rd->slots)
        rehash(rd);
    uint32_t at = (uint32_t)hash & (rd->slots - 1);
    while (rd->known[at] != 0 && rd->known[at] != hash)
        at = (at + 1) & (rd->slots - 1);
    if (rd->known[at] == 0) {
        make_room_for_objects(rd);
        rd->known[at] = hash;
        rd->number[at] = t->objects;
        t->size[t->objects] = size > 0 ? size : 1;
        t->ttl[t->objects++] = (uint32_t)(ttl < BW_SIM_NEVER ? ttl : BW_SIM_NEVER);
    }
    return rd->number[at];
}

static void add(struct reading *rd, uint32_t object, double time)
{
    struct bw_sim_trace *t = rd->trace;

    if (t->requests == rd->room) {
        rd->room = rd->room > 0 ? 2 * rd->room : FIRST_ROOM;
        t->object = bw_realloc(t->object, rd->room * sizeof(*t->object));
        t->second = bw_realloc(t->second, rd->room * sizeof(*t->second));
    }
    t->object[t->requests] = object;
    t->second[t->requests++] = (uint32_t)(time - rd->first);
}

static bool read_time(struct bw_slice s, double *time)
{
    char text[64], *end;

    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.base, s.len);
    text[s.len] = '\0';
    *time = strtod(text, &end);
    return *end == '\0' && *time >= 0 && *time < 1e15;
}

static bool read_line(struct reading *rd, struct bw_slice line)
{
    struct bw_slice rest;
    struct bw_slice when = bw_slice_trim(bw_slice_cut(line, ',', &rest));
    struct bw_slice id = bw_slice_trim(bw_slice_cut(rest, ',', &rest));
    struct bw_slice size_text = bw_slice_trim(bw_slice_cut(rest, ',', &rest));
    struct bw_slice ttl_text = bw_slice_trim(rest);
    uint64_t size, ttl = 0;
    double time;

    if (!read_time(when, &time))
        return refuse(rd, "the time is not a number", "write lines of time,id,size");
    if (id.len == 0)
        return refuse(rd, "there is no id", "write lines of time,id,size");
    if (!bw_slice_u64(size_text, &size) || size >> SIZE_BITS_MAX != 0)
        return refuse(rd, "the size is not a number of bytes", "write digits only, below 2^50");
    if (ttl_text.len > 0 && !bw_slice_u64(ttl_text, &ttl))
        return refuse(rd, "the lifetime is not a number of seconds",
                      "write digits only, 0 for none");
    if (!rd->began)
        rd->first = rd->last = time;
    rd->began = true;
    if (time < rd->last)
        return refuse(rd, "the time is before that of the line above", "sort the lines by time");
    if (time - rd->first >= BW_SIM_NEVER)
        return refuse(rd, "the trace is longer than a hundred years", "state times in seconds");
    if (rd->trace->requests == BW_SIM_NEVER - 1)
        return refuse(rd, "too many requests", "cut the trace to four billion lines");
    rd->last = time;
    add(rd, number_of(rd, id, size, ttl), time);
    return true;
}

static bool is_prose(const struct reading *rd, struct bw_slice line)
{
    return line.len == 0 || line.base[0] == '#' ||
           (rd->line == 1 && bw_slice_starts(line, BW_S("time")));
}

static bool read_lines(struct reading *rd, FILE *f)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t n;
    bool good = true;

    while (good && (n = getline(&text, &room, f)) >= 0) {
        struct bw_slice line = bw_slice(text, (size_t)n);
        rd->line++;
        while (line.len > 0 && (line.base[line.len - 1] == '\n' || line.base[line.len - 1] == '\r'))
            line.len--;
        good = is_prose(rd, line) || read_line(rd, line);
    }
    free(text);
    if (good && !rd->began)
        return refuse(rd, "there is no request in it", "write lines of time,id,size");
    return good;
}

bool bw_sim_csv_read(const char *path, struct bw_sim_trace *t)
{
    struct reading rd = {.trace = t, .path = path};
    FILE *f = fopen(path, "r");

    *t = (struct bw_sim_trace){.name = path};
    if (f == NULL) {
        fprintf(stderr,
                "offload: %s: %s: name a trace that --list shows, or a file that can be read\n",
                path, strerror(errno));
        return false;
    }
    bool good = read_lines(&rd, f);
    fclose(f);
    free(rd.known);
    free(rd.number);
    if (good)
        bw_sim_trace_finish(t);
    else
        bw_sim_trace_free(t);
    return good;
}

bool bw_sim_csv_write(const char *path, const struct bw_sim_trace *t)
{
    FILE *f = fopen(path, "w");

    if (f == NULL) {
        fprintf(stderr, "offload: %s: %s: name a file that can be written\n", path,
                strerror(errno));
        return false;
    }
    fputs("time,id,size,ttl\n", f);
    for (uint32_t i = 0; i < t->requests; i++) {
        uint32_t o = t->object[i];
        fprintf(f, "%u,%u,%llu,%u\n", bw_sim_second(t, i), o, (unsigned long long)t->size[o],
                t->ttl != NULL ? t->ttl[o] : 0);
    }
    bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed) {
        fprintf(stderr, "offload: %s: %s: make room on the disk\n", path, strerror(errno));
        return false;
    }
    return true;
}
