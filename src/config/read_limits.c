/*
 * read_limits.c - limits, workers, log.
 */
#include "breakwater/base/check.h"
#include "breakwater/base/log.h"
#include "breakwater/http/head.h"

#include "read_priv.h"

#include <sched.h>

/* Between us and the client, or an attack: no origin is to hear of them. */
static bool is_never_passed(struct bw_slice method)
{
    static const struct bw_slice never[] = {{"CONNECT", 7}, {"PURGE", 5}, {"TRACE", 5}};

    for (size_t i = 0; i < BW_ARRAY_LEN(never); i++)
        if (bw_slice_eq(method, never[i]))
            return true;
    return false;
}

static void read_methods(struct bw_read *r, const struct bw_value *v, struct bw_limits_conf *out)
{
    const struct bw_value *list = bw_value_get(v, "methods");

    out->methods = bw_read_slices(r, v, "methods", &out->methods_n);
    for (const struct bw_value *m = list != NULL ? list->first : NULL; m != NULL; m = m->next) {
        struct bw_slice method = bw_slice_str(m->text);

        if (!bw_head_method_valid(method))
            bw_diag_error(r->diag, m->at, m->path, "\"%.80s\" is no method; write such as M-SEARCH",
                          m->text);
        else if (is_never_passed(method))
            bw_diag_error(r->diag, m->at, m->path, "%s is never passed on; remove it", m->text);
    }
}

static void read_http2(const struct bw_value *v, struct bw_limits_conf *out)
{
    out->http2.streams = bw_read_u32(v, "streams", 0);
    out->http2.requests = bw_read_u32(v, "requests", 0);
    out->http2.resets = bw_read_u32(v, "resets", 0);
    out->http2.control_frames = bw_read_u32(v, "control_frames", 0);
    out->http2.probation_ms = bw_read_ms(v, "probation");
}

static void read_limits(struct bw_read *r, const struct bw_value *v, struct bw_limits_conf *out)
{
    out->connections = bw_read_u32(v, "connections", 0);
    bw_read_lower(r, bw_value_get(v, "connections_per_address"), out->connections,
                  "is more than limits.connections");
    out->connections_per_address = bw_read_u32(v, "connections_per_address", UINT32_MAX);
    out->head = bw_read_u32(v, "head", 0);
    out->headers = bw_read_u32(v, "headers", 0);
    out->body = bw_read_number(v, "body", UINT64_MAX);
    read_methods(r, v, out);
    out->head_timeout_ms = bw_read_ms(v, "head_timeout");
    out->idle_timeout_ms = bw_read_ms(v, "idle_timeout");
    out->send_timeout_ms = bw_read_ms(v, "send_timeout");
    out->body_timeout_ms = bw_read_ms(v, "body_timeout");
    out->body_rate = bw_read_u32(v, "body_rate", 0);
    out->requests_per_connection = bw_read_u32(v, "requests_per_connection", 0);
    out->tunnel_timeout_ms = bw_read_ms(v, "tunnel_timeout");
    read_http2(bw_value_get(v, "http2"), out);
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
