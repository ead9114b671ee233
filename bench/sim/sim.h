/*
 * sim.h - a request trace, and what a cache policy has to be able to do with it.
 *
 * Objects are numbers from 0, so a policy keeps its state in arrays.  The replay owns the truth
 * about freshness: a policy is told of a use (it has the object, and it is fresh) or of a fetch
 * (the origin has been asked: the object was not there, or had expired), and decides what to keep.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BW_SIM_NEVER UINT32_MAX

struct bw_sim_trace {
    const char *name;
    uint32_t *object;  /* of each request */
    uint32_t *second;  /* of each request; NULL: a thousand requests a second */
    uint32_t *next;    /* the next request for the same object, or BW_SIM_NEVER */
    uint64_t *size;    /* of each object, >= 1 */
    uint32_t *ttl;     /* of each object in seconds, 0: it does not expire; NULL: none expires */
    uint32_t requests; /* fewer than BW_SIM_NEVER */
    uint32_t objects;  /* of which `used` are asked for */
    uint32_t used;
    uint64_t footprint; /* bytes of all objects that are asked for */
    uint64_t largest;   /* bytes */
    double bytes;       /* of all requests */
};

struct bw_sim_request {
    uint32_t index; /* in the trace */
    uint32_t object;
    uint32_t next; /* the next request that a copy kept from now on could answer */
    uint32_t second;
    uint32_t expires; /* second at which the copy expires, or BW_SIM_NEVER */
    uint64_t size;
};

struct bw_sim_policy {
    const char *name;
    void *(*open)(const struct bw_sim_trace *t, uint64_t room, bool bytes);
    bool (*holds)(const void *cache, uint32_t object);
    void (*use)(void *cache, const struct bw_sim_request *r);
    void (*fetch)(void *cache, const struct bw_sim_request *r);
    uint64_t (*used)(const void *cache);
    void (*close)(void *cache);
    bool bytes; /* it protects bytes, not requests: handed to `open` */
};

struct bw_sim_result {
    uint64_t hits;
    double hit_bytes;
    double requests; /* share of requests that the origin did not see, per cent */
    double bytes;    /* and of bytes */
};

/* ---- trace.c ---- */

/* Fills in next, used, footprint, largest and bytes. */
void bw_sim_trace_finish(struct bw_sim_trace *t);
/* The first `requests` (0: all), with sizes divided by `shrink` (0, 1: as they are). */
void bw_sim_trace_reduce(struct bw_sim_trace *t, uint32_t requests, uint32_t shrink);
void bw_sim_trace_free(struct bw_sim_trace *t);
uint32_t bw_sim_second(const struct bw_sim_trace *t, uint32_t request);

/* ---- csv.c ---- */

/*
 * `time,id,size` or `time,id,size,ttl`; true, or false with one line that names file, line, reason
 * and cure on stderr.
 */
bool bw_sim_csv_read(const char *path, struct bw_sim_trace *t);
bool bw_sim_csv_write(const char *path, const struct bw_sim_trace *t);

/* ---- generate.c, model.c ---- */

/* The names of the traces that can be drawn, NULL at the end. */
extern const char *const bw_sim_generated[];
/* `tables`: the folder of the models' tables; false with one line on stderr. */
bool bw_sim_generate(const char *name, const char *tables, uint32_t objects,
                     struct bw_sim_trace *t);
bool bw_sim_model_web(const char *tables, uint32_t objects, struct bw_sim_trace *t);
bool bw_sim_model_joint(const char *tables, uint32_t objects, struct bw_sim_trace *t);

/* ---- policies ---- */

extern const struct bw_sim_policy *const bw_sim_policies[];
extern const size_t bw_sim_policies_n;
const struct bw_sim_policy *bw_sim_policy(const char *name); /* NULL: there is none */

/* ---- replay.c ---- */

struct bw_sim_result bw_sim_replay(const struct bw_sim_trace *t, const struct bw_sim_policy *p,
                                   uint64_t room);
