/*
 * api.c - the table of what can be asked for, and the few things that are not pages.
 */
#include "breakwater/admin/api.h"

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/gate.h"
#include "breakwater/base/mem.h"

#include "admin_priv.h"
#include "figures_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>

static const char type_json[] = "application/json";
static const char type_text[] = "text/plain; charset=utf-8";
static const char type_metrics[] = "text/plain; version=0.0.4; charset=utf-8";

enum { NAME_MAX_BYTES = 64 };

struct bw_admin *bw_admin_new(const struct bw_admin_sources *src)
{
    struct bw_admin *a = bw_zalloc(sizeof(*a));

    a->src = *src;
    bw_groups_init(&a->groups, src->workers);
    bw_admin_tick(a);
    return a;
}

void bw_admin_free(struct bw_admin *a)
{
    if (a == NULL)
        return;
    bw_groups_dispose(&a->groups);
    free(a);
}

/* The windows want a time that never goes back; a clock that was set back stands still for them. */
static void move_on(struct bw_admin *a)
{
    int64_t now_s = bw_clock_s();

    if (a->clock_s == 0)
        a->steady_s = now_s;
    else if (now_s > a->clock_s)
        a->steady_s += now_s - a->clock_s;
    a->clock_s = now_s;
}

void bw_admin_tick(struct bw_admin *a)
{
    struct bw_sums total = {0};

    move_on(a);
    for (unsigned i = 0; i < a->src.workers; i++) {
        struct bw_counters *c = a->src.counters[i];

        atomic_store_explicit(&c->second, (uint64_t)a->steady_s, memory_order_relaxed);
        bw_counters_add_sums(c, &total);
    }
    bw_window_tick(&a->window, a->steady_s, &total);
    bw_groups_gather(&a->groups, a->src.counters, a->steady_s);
    bw_groups_tick(&a->groups, a->steady_s);
}

/* ---- answers ---- */

static void answer(struct bw_admin_response *out, int status, const char *type, const char *body)
{
    out->status = status;
    out->type = type;
    bw_buf_str(&out->body, body);
}

static void refuse(struct bw_admin_response *out, int status, const char *why)
{
    out->status = status;
    out->type = type_json;
    bw_buf_printf(&out->body, "{\"error\": \"%s\"}\n", why);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte at `*s`, which moves behind it; -1: a '%' without two digits. */
static int decode_byte(struct bw_slice *s)
{
    size_t n = s->base[0] == '%' ? 3 : 1;
    int c = s->base[0] == '+' ? ' ' : (unsigned char)s->base[0];

    if (n > s->len)
        return -1;
    if (n == 3) {
        int high = hex_digit(s->base[1]), low = hex_digit(s->base[2]);

        c = high < 0 || low < 0 ? -1 : high * 16 + low;
    }
    *s = bw_slice(s->base + n, s->len - n);
    return c;
}

/* The decoded value of a form's field; false: empty, too long, or not plain text. */
static bool decode(struct bw_slice s, char *out, size_t cap)
{
    size_t n = 0;

    while (s.len > 0) {
        int c = decode_byte(&s);

        if (c < 0x20 || c > 0x7E || n + 1 >= cap)
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n > 0;
}

static bool get_parameter(struct bw_slice query, const char *name, char *out, size_t cap)
{
    struct bw_slice rest = query, value;

    while (rest.len > 0) {
        struct bw_slice pair = bw_slice_cut(rest, '&', &rest);

        if (bw_slice_eq(bw_slice_cut(pair, '=', &value), bw_slice_str(name)))
            return decode(value, out, cap);
    }
    return false;
}

static void get_stats(struct bw_admin *a, struct bw_slice query, struct bw_admin_response *out)
{
    (void)query;
    answer(out, 200, type_json, "");
    bw_stats_write(a, &out->body);
}

static void get_metrics(struct bw_admin *a, struct bw_slice query, struct bw_admin_response *out)
{
    (void)query;
    answer(out, 200, type_metrics, "");
    bw_metrics_write(a, &out->body);
}

static void get_health(struct bw_admin *a, struct bw_slice query, struct bw_admin_response *out)
{
    (void)a;
    (void)query;
    answer(out, 200, type_text, "ok\n");
}

static void get_ready(struct bw_admin *a, struct bw_slice query, struct bw_admin_response *out)
{
    (void)query;
    if (a->src.ready == NULL || a->src.ready(a->src.ctx))
        answer(out, 200, type_text, "ready\n");
    else
        answer(out, 503, type_text, "draining\n");
}

/* What was counted before the leap belongs to the time before it. */
static void move_clock(struct bw_admin *a, struct bw_slice query, struct bw_admin_response *out)
{
    char text[NAME_MAX_BYTES];
    uint64_t ms;

    if (!get_parameter(query, "advance_ms", text, sizeof(text)) ||
        !bw_slice_u64(bw_slice_str(text), &ms) || ms > INT64_MAX / 1000) {
        refuse(out, 400, "advance_ms must be a number of milliseconds");
        return;
    }
    bw_admin_tick(a);
    bw_clock_advance((int64_t)ms);
    bw_admin_tick(a);
    answer(out, 200, type_json, "");
    bw_buf_printf(&out->body, "{\"now_ms\": %lld}\n", (long long)bw_clock_ms());
}

static void move_gate(struct bw_admin *a, struct bw_slice query, struct bw_admin_response *out)
{
    char name[NAME_MAX_BYTES], action[NAME_MAX_BYTES];

    (void)a;
    if (!get_parameter(query, "name", name, sizeof(name)) ||
        !get_parameter(query, "action", action, sizeof(action)) ||
        (strcmp(action, "hold") != 0 && strcmp(action, "release") != 0)) {
        refuse(out, 400, "name and action=hold or action=release must be given");
        return;
    }
    if (strcmp(action, "hold") == 0)
        bw_gate_hold(name);
    else
        bw_gate_release(name);
    answer(out, 200, type_json, "{}\n");
}

static void get_gate(struct bw_admin *a, struct bw_slice query, struct bw_admin_response *out)
{
    char name[NAME_MAX_BYTES];

    (void)a;
    if (!get_parameter(query, "name", name, sizeof(name))) {
        refuse(out, 400, "name must be given");
        return;
    }
    answer(out, 200, type_json, "");
    bw_buf_printf(&out->body, "{\"waiting\": %d}\n", bw_gate_waiting(name));
}

/* Scenarios that wait for the store need not wait for its group to fill. */
static void hurry_commit(struct bw_admin *a, struct bw_slice query, struct bw_admin_response *out)
{
    (void)query;
    if (a->src.store != NULL)
        bw_store_hurry(a->src.store);
    answer(out, 200, type_json, "{}\n");
}

/* ---- the table ---- */

typedef void (*serve_fn)(struct bw_admin *a, struct bw_slice query, struct bw_admin_response *out);

static const struct page {
    const char *path;
    const char *allow;
    serve_fn get, post; /* NULL: not allowed */
    bool test;          /* only with --test-clock */
} pages[] = {
    {"/v1/stats", "GET, HEAD", get_stats, NULL, false},
    {"/metrics", "GET, HEAD", get_metrics, NULL, false},
    {"/healthz", "GET, HEAD", get_health, NULL, false},
    {"/readyz", "GET, HEAD", get_ready, NULL, false},
    {"/v1/test/clock", "POST", NULL, move_clock, true},
    {"/v1/test/gate", "GET, HEAD, POST", get_gate, move_gate, true},
    {"/v1/test/commit", "POST", NULL, hurry_commit, true},
};

static const struct page *find_page(const struct bw_admin *a, struct bw_slice path)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(pages); i++)
        if (bw_slice_eq(path, bw_slice_str(pages[i].path)) && (!pages[i].test || a->src.test_clock))
            return &pages[i];
    return NULL;
}

static serve_fn find_method(const struct page *page, struct bw_slice method)
{
    if (bw_slice_eq(method, BW_S("GET")) || bw_slice_eq(method, BW_S("HEAD")))
        return page->get;
    return bw_slice_eq(method, BW_S("POST")) ? page->post : NULL;
}

/* ---- who is asked for ---- */

static bool is_address(struct bw_slice host)
{
    struct in_addr address;

    /* of brackets the parser of heads has seen the inside */
    return host.base[0] == '[' || bw_slice_inet(host, AF_INET, &address);
}

/* No browser leaves the host out, so who does is none that somebody else has sent here. */
static bool is_for_us(const struct bw_admin *a, struct bw_slice host)
{
    return host.len == 0 || bw_slice_eq(host, BW_S("localhost")) || is_address(host) ||
           (a->src.named != NULL && a->src.named(a->src.ctx, host));
}

void bw_admin_handle(struct bw_admin *a, const struct bw_admin_request *rq,
                     struct bw_admin_response *out)
{
    const struct page *page = find_page(a, rq->path);
    serve_fn serve = page != NULL ? find_method(page, rq->method) : NULL;

    *out = (struct bw_admin_response){0};
    if (!is_for_us(a, rq->host)) { /* RFC 9110, 15.5.20 */
        refuse(out, 421, "ask by address, or add the name to admin.hosts");
    } else if (serve != NULL) {
        serve(a, rq->query, out);
    } else if (page != NULL) {
        refuse(out, 405, "this method is not allowed here");
        out->allow = page->allow;
    } else {
        refuse(out, 404, "there is nothing here; try /v1/stats, /metrics, /healthz or /readyz");
    }
}
