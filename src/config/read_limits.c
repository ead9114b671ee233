/*
 * read_limits.c - limits, workers, log.
 */
#include "breakwater/base/log.h"

#include "read_priv.h"

#include <sched.h>

static void read_limits(struct bw_read *r, const struct bw_value *v, struct bw_limits_conf *out)
{
    out->connections = bw_read_u32(v, "connections", 0);
    bw_read_lower(r, bw_value_get(v, "connections_per_address"), out->connections,
                  "is more than limits.connections");
    out->connections_per_address = bw_read_u32(v, "connections_per_address", UINT32_MAX);
    out->head = bw_read_u32(v, "head", 0);
    out->headers = bw_read_u32(v, "headers", 0);
    out->body = bw_read_number(v, "body", UINT64_MAX);
    out->head_timeout_ms = bw_read_ms(v, "head_timeout");
    out->idle_timeout_ms = bw_read_ms(v, "idle_timeout");
    out->send_timeout_ms = bw_read_ms(v, "send_timeout");
    out->body_timeout_ms = bw_read_ms(v, "body_timeout");
    out->body_rate = bw_read_u32(v, "body_rate", 0);
    out->requests_per_connection = bw_read_u32(v, "requests_per_connection", 0);
    out->drain_ms = bw_read_ms(v, "drain");
}

static uint32_t count_cores(void)
{
    cpu_set_t set;
    int n = 0;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    return n > 0 ? (uint32_t)n : 1;
}

static uint32_t read_workers(struct bw_read *r, struct bw_value *v)
{
    uint32_t cores = count_cores();

    if (v->word < 0)
        return (uint32_t)v->number;
    cores = cores > 256 ? 256 : cores;
    v->here = bw_arena_printf(r->arena, "%u", cores);
    return cores;
}

static void read_log(const struct bw_value *v, struct bw_log_conf *out)
{
    out->access = bw_value_get(v, "access")->word < 0;
    out->access_to = bw_read_text(v, "access.to");
    out->format = (enum bw_log_format)bw_read_word(v, "access.format");
    out->level = (int)bw_read_word(v, "level");
}

void bw_read_limits(struct bw_read *r)
{
    read_limits(r, bw_value_get(r->root, "limits"), &r->conf->limits);
    r->conf->workers = read_workers(r, bw_value_get(r->root, "workers"));
    read_log(bw_value_get(r->root, "log"), &r->conf->log);
}
