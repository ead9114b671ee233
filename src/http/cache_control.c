/*
 * cache_control.c - the cache directives of a message, read into numbers and flags.
 *
 * One table of directives serves two grammars: the comma list of Cache-Control and
 * Surrogate-Control, where repeated directives are merged to the strictest, and the structured
 * fields of RFC 9213, where the last of a key counts and a wrong type spoils the field.
 */
#include "breakwater/http/cache_control.h"

#include "breakwater/base/check.h"
#include "breakwater/http/structured.h"

enum kind { KIND_FLAG, KIND_NAMES, KIND_SECONDS };

struct directive {
    struct bw_slice name;
    enum kind kind;
    uint32_t flag; /* KIND_FLAG; KIND_NAMES without names */
    size_t at;     /* KIND_SECONDS: where in struct bw_cache_control */
};

static const struct directive directives[] = {
    {{"max-age", 7}, KIND_SECONDS, 0, offsetof(struct bw_cache_control, max_age_s)},
    {{"s-maxage", 8}, KIND_SECONDS, 0, offsetof(struct bw_cache_control, s_maxage_s)},
    {{"public", 6}, KIND_FLAG, BW_CC_PUBLIC, 0},
    {{"private", 7}, KIND_NAMES, BW_CC_PRIVATE, 0},
    {{"no-cache", 8}, KIND_NAMES, BW_CC_NO_CACHE, 0},
    {{"no-store", 8}, KIND_FLAG, BW_CC_NO_STORE, 0},
    {{"must-revalidate", 15}, KIND_FLAG, BW_CC_MUST_REVALIDATE, 0},
    {{"proxy-revalidate", 16}, KIND_FLAG, BW_CC_PROXY_REVALIDATE, 0},
    {{"must-understand", 15}, KIND_FLAG, BW_CC_MUST_UNDERSTAND, 0},
    {{"no-transform", 12}, KIND_FLAG, BW_CC_NO_TRANSFORM, 0},
    {{"immutable", 9}, KIND_FLAG, BW_CC_IMMUTABLE, 0},
    {{"stale-while-revalidate", 22}, KIND_SECONDS, 0, offsetof(struct bw_cache_control, swr_s)},
    {{"stale-if-error", 14}, KIND_SECONDS, 0, offsetof(struct bw_cache_control, sie_s)},
};

static const struct directive *find_directive(struct bw_slice name)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(directives); ++i)
        if (bw_slice_eq_nocase(directives[i].name, name))
            return &directives[i];
    return NULL;
}

bool bw_delta_seconds(struct bw_slice s, int64_t *out)
{
    int64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; ++i) {
        if (s.base[i] < '0' || s.base[i] > '9')
            return false;
        value = value * 10 + (s.base[i] - '0');
        if (value > BW_DELTA_MAX)
            value = BW_DELTA_MAX;
    }
    *out = value;
    return true;
}

/* An argument may be a token or a quoted string, whichever the directive asks for (5.2). */
static struct bw_slice unquote(struct bw_slice s)
{
    if (s.len >= 2 && s.base[0] == '"' && s.base[s.len - 1] == '"')
        return bw_slice(s.base + 1, s.len - 2);
    return s;
}

static void clear(struct bw_cache_control *cc, enum bw_cc_source source)
{
    *cc = (struct bw_cache_control){.source = source,
                                    .max_age_s = BW_CC_UNSET,
                                    .s_maxage_s = BW_CC_UNSET,
                                    .swr_s = BW_CC_UNSET,
                                    .sie_s = BW_CC_UNSET};
}

static int64_t *seconds_of(struct bw_cache_control *cc, const struct directive *d)
{
    return (int64_t *)(void *)((char *)cc + d->at);
}

/* The smaller of what was said before and what is said now. */
static int64_t stricter(int64_t before, int64_t now)
{
    return before == BW_CC_UNSET || now < before ? now : before;
}

/* Names that cannot be kept, or cannot be compared as they are, are as good as all names. */
static void withhold(struct bw_cache_control *cc, uint32_t flag, struct bw_slice names)
{
    bool plain = names.len > 0 && memchr(names.base, '\\', names.len) == NULL;

    if (plain && cc->withheld_n < BW_CC_WITHHELD_MAX)
        cc->withheld[cc->withheld_n++] = names;
    else
        cc->flags |= flag;
}

/* `value.base` is NULL where the directive has no argument. */
static void apply_text(struct bw_cache_control *cc, const struct directive *d,
                       struct bw_slice value)
{
    int64_t seconds = 0;

    switch (d->kind) {
    case KIND_FLAG:
        cc->flags |= d->flag;
        return;
    case KIND_NAMES:
        withhold(cc, d->flag, unquote(value));
        return;
    case KIND_SECONDS:
        /* invalid freshness counts as stale (4.2.1): seconds stays 0 */
        (void)bw_delta_seconds(unquote(value), &seconds);
        *seconds_of(cc, d) = stricter(*seconds_of(cc, d), seconds);
        return;
    }
    BW_UNREACHABLE();
}

/* False: the wrong type, which the whole field does not survive (RFC 9213, 2.1). */
static bool apply_item(struct bw_cache_control *cc, const struct directive *d,
                       const struct bw_sf_item *item)
{
    if (d->kind == KIND_SECONDS) {
        int64_t n = item->number < 0 ? 0 : item->number;

        *seconds_of(cc, d) = n < BW_DELTA_MAX ? n : BW_DELTA_MAX;
        return item->type == BW_SF_INTEGER;
    }
    cc->flags &= ~d->flag;
    if (item->type == BW_SF_BOOLEAN) {
        cc->flags |= item->number != 0 ? d->flag : 0;
        return true;
    }
    if (d->kind != KIND_NAMES || (item->type != BW_SF_STRING && item->type != BW_SF_TOKEN))
        return false;
    withhold(cc, d->flag, item->text);
    return true;
}

/* A targeted field; false where it is absent, empty or invalid. */
static bool read_targeted(const struct bw_fields *f, enum bw_field_id id, enum bw_cc_source source,
                          struct bw_cache_control *cc)
{
    struct bw_sf_iter it = {0};
    struct bw_sf_member member;
    bool any = false;

    clear(cc, source);
    while (bw_sf_dict_next(f, id, &it, &member)) {
        const struct directive *d = find_directive(member.key);

        any = true;
        if (d != NULL && !apply_item(cc, d, &member.value))
            return false;
    }
    return any && !it.failed;
}

static void read_cache_control(const struct bw_fields *f, struct bw_cache_control *cc)
{
    struct bw_list_iter it = {0};
    struct bw_slice member, value;

    while (bw_list_next(f, BW_F_CACHE_CONTROL, &it, &member)) {
        const struct directive *d = find_directive(bw_slice_cut(member, '=', &value));

        if (d != NULL)
            apply_text(cc, d, value);
    }
}

/*
 * Cut the parameter off a directive of Surrogate-Control, "max-age=60;token"; false when it names
 * another surrogate.
 */
static bool for_us(struct bw_slice *member)
{
    bool quoted = false;

    for (size_t i = 0; i < member->len; ++i) {
        if (member->base[i] == '"')
            quoted = !quoted;
        if (quoted || member->base[i] != ';')
            continue;
        struct bw_slice target = bw_slice(member->base + i + 1, member->len - i - 1);
        *member = bw_slice_trim(bw_slice(member->base, i));
        return bw_slice_eq_nocase(bw_slice_trim(target), BW_S(BW_CC_SURROGATE));
    }
    return true;
}

static bool read_surrogate(const struct bw_fields *f, struct bw_cache_control *cc)
{
    struct bw_list_iter it = {0};
    struct bw_slice member, value, extension;
    bool any = false;

    clear(cc, BW_CC_FROM_SURROGATE);
    while (bw_list_next(f, BW_F_SURROGATE_CONTROL, &it, &member)) {
        if (!for_us(&member))
            continue;
        const struct directive *d = find_directive(bw_slice_cut(member, '=', &value));
        if (d == NULL)
            continue;
        any = true;
        /* "max-age=60+30" allows 30 seconds of staleness, which we do not take */
        apply_text(cc, d, bw_slice_cut(unquote(value), '+', &extension));
    }
    return any;
}

void bw_cache_control_response(const struct bw_fields *f, struct bw_cache_control *cc)
{
    if (read_targeted(f, BW_F_BREAKWATER_CACHE_CONTROL, BW_CC_FROM_BREAKWATER, cc) ||
        read_targeted(f, BW_F_CDN_CACHE_CONTROL, BW_CC_FROM_CDN, cc) || read_surrogate(f, cc))
        return;
    if (bw_fields_find(f, BW_F_CACHE_CONTROL) == NULL) {
        clear(cc, BW_CC_FROM_NOTHING);
        return;
    }
    clear(cc, BW_CC_FROM_CACHE_CONTROL);
    read_cache_control(f, cc);
}

bool bw_cache_control_withholds(const struct bw_cache_control *cc, struct bw_slice name)
{
    for (uint32_t i = 0; i < cc->withheld_n; ++i) {
        struct bw_slice rest = cc->withheld[i];

        while (rest.len > 0)
            if (bw_slice_eq_nocase(bw_slice_trim(bw_slice_cut(rest, ',', &rest)), name))
                return true;
    }
    return false;
}

static void apply_request(struct bw_request_control *rc, struct bw_slice name,
                          struct bw_slice value)
{
    int64_t seconds = 0;
    bool valid = bw_delta_seconds(unquote(value), &seconds);

    if (bw_slice_eq_nocase(name, BW_S("no-cache")))
        rc->no_cache = true;
    else if (bw_slice_eq_nocase(name, BW_S("no-store")))
        rc->no_store = true;
    else if (bw_slice_eq_nocase(name, BW_S("only-if-cached")))
        rc->only_if_cached = true;
    else if (bw_slice_eq_nocase(name, BW_S("max-age")))
        rc->max_age_s = stricter(rc->max_age_s, seconds);
    else if (bw_slice_eq_nocase(name, BW_S("max-stale")))
        rc->max_stale_s = stricter(rc->max_stale_s, value.base == NULL ? BW_DELTA_MAX : seconds);
    else if (bw_slice_eq_nocase(name, BW_S("min-fresh")) && valid && seconds > rc->min_fresh_s)
        rc->min_fresh_s = seconds;
    else if (bw_slice_eq_nocase(name, BW_S("stale-if-error")))
        rc->sie_s = stricter(rc->sie_s, seconds);
}

void bw_cache_control_request(const struct bw_fields *f, struct bw_request_control *rc)
{
    struct bw_list_iter it = {0};
    struct bw_slice member, value;

    *rc = (struct bw_request_control){.max_age_s = BW_CC_UNSET,
                                      .max_stale_s = BW_CC_UNSET,
                                      .min_fresh_s = BW_CC_UNSET,
                                      .sie_s = BW_CC_UNSET};
    if (bw_fields_find(f, BW_F_CACHE_CONTROL) == NULL) {
        rc->no_cache = bw_pragma_no_cache(f);
        return;
    }
    while (bw_list_next(f, BW_F_CACHE_CONTROL, &it, &member)) {
        struct bw_slice name = bw_slice_cut(member, '=', &value);

        apply_request(rc, name, value);
    }
}

bool bw_pragma_no_cache(const struct bw_fields *f)
{
    struct bw_list_iter it = {0};
    struct bw_slice member;

    while (bw_list_next(f, BW_F_PRAGMA, &it, &member))
        if (bw_slice_eq_nocase(member, BW_S("no-cache")))
            return true;
    return false;
}
