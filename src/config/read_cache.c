/*
 * read_cache.c - the store and its limits, and what holds for requests that no rule touches.
 */
#include "breakwater/base/budget.h"

#include "read_priv.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const char *print_size(struct bw_read *r, uint64_t bytes)
{
    struct bw_buf text = {0};
    const char *copy;

    bw_scalar_print(BW_SCHEMA_SIZE, bytes, &text);
    copy = bw_arena_copy(r->arena, bw_buf_view(&text));
    bw_buf_free(&text);
    return copy;
}

/* An object may fill a quarter of the store at most, or two of them would empty it of all else. */
static uint64_t max_object(struct bw_read *r, struct bw_value *v, uint64_t size)
{
    uint64_t quarter = size / 4, own = 4 * GIB < quarter ? 4 * GIB : quarter;

    if (v->word >= 0) {
        v->here = print_size(r, own);
        return own;
    }
    if (v->number > size)
        bw_diag_error(r->diag, v->at, v->path, "is more than cache.size; write %s or less, or auto",
                      print_size(r, quarter));
    else if (v->number > quarter)
        bw_diag_warn(r->diag, v->at, v->path,
                     "is more than a quarter of cache.size, one object may drive out most others; "
                     "write %s or less, or auto",
                     print_size(r, quarter));
    return v->number;
}

static uint64_t memory(struct bw_read *r, struct bw_value *v)
{
    uint64_t limit = bw_budget_machine_limit();
    uint64_t own = limit / 4 > 64 * MIB ? limit / 4 : 64 * MIB;

    if (v->word >= 0) {
        own = own / MIB * MIB;
        v->here = print_size(r, own);
        return own;
    }
    if (v->number > limit)
        bw_diag_warn(r->diag, v->at, v->path,
                     "is more than the %s that this machine or container has; write auto",
                     print_size(r, limit / MIB * MIB));
    return v->number;
}

static void read_defaults(const struct bw_value *cache, struct bw_settings *out)
{
    out->mode = BW_CACHE_AUTO;
    out->ttl_fixed_s = out->ttl_default_s = out->ttl_max_s = BW_TTL_UNSET;
    out->browser_ttl_s = out->stale_revalidating_s = out->stale_on_error_s = BW_TTL_UNSET;
    out->set_cookie = BW_SET_COOKIE_REFUSE;
    out->heuristic = (enum bw_heuristic)bw_read_word(cache, "heuristic");
    out->client_directives = bw_read_word(cache, "client_directives") == 1;
}

void bw_read_cache(struct bw_read *r)
{
    const struct bw_value *v = bw_value_get(r->root, "cache");
    struct bw_cache_conf *out = &r->conf->cache;

    out->directory = bw_read_text(v, "directory");
    out->size = bw_read_number(v, "size", 0);
    out->protect = (enum bw_protect)bw_read_word(v, "protect");
    out->durability = (enum bw_durability)bw_read_word(v, "durability");
    out->max_object = max_object(r, bw_value_get(v, "max_object"), out->size);
    out->memory = memory(r, bw_value_get(v, "memory"));
    out->collapse_waiters = bw_read_u32(v, "collapse.waiters", 0); /* absent where it is off */
    out->collapse_wait_ms = bw_read_ms(v, "collapse.wait");
    read_defaults(v, &r->conf->defaults);
}
