/*
 * rules_index.c - which rules may match this host and this path at all?
 *
 * For each rule three cheap questions are answered at load: which hosts, which first segment of
 * the path, which last byte.  The answers are bit sets, one bit a rule, found by a hash or an
 * index; a request joins them word by word, and only what is left is tested in full.  The sets may
 * hold a rule too many (a collision of hashes, a regex), never one too few.
 */
#include "breakwater/base/check.h"

#include "rules_priv.h"

#define FNV_START UINT64_C(0xCBF29CE484222325)
#define FNV_PRIME UINT64_C(0x100000001B3)

static uint64_t mix(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)c) * FNV_PRIME;
}

static uint64_t hash_forward(struct bw_slice s)
{
    uint64_t hash = FNV_START;

    for (size_t i = 0; i < s.len; i++)
        hash = mix(hash, s.base[i]);
    return hash;
}

/* From the last byte to the first: a walk over a host meets the parents' hashes on its way. */
static uint64_t hash_backward(struct bw_slice s)
{
    uint64_t hash = FNV_START;

    for (size_t i = s.len; i > 0; i--)
        hash = mix(hash, s.base[i - 1]);
    return hash;
}

/* The slot with that hash, or the free one where it would stand. */
static struct bw_index_slot *find(const struct bw_index_table *t, uint64_t hash)
{
    size_t i = (hash ^ (hash >> 32)) & t->mask;

    while (t->slots[i].bits != NULL && t->slots[i].hash != hash)
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static void set_bit(uint64_t *bits, size_t rule)
{
    bits[rule / 64] |= UINT64_C(1) << (rule % 64);
}

static uint64_t *new_set(struct bw_arena *a, const struct bw_rules *r)
{
    return bw_arena_alloc(a, r->words * sizeof(uint64_t));
}

static void add(struct bw_arena *a, const struct bw_rules *r, const struct bw_index_table *t,
                uint64_t hash, size_t rule)
{
    struct bw_index_slot *slot = find(t, hash);

    if (slot->bits == NULL)
        slot->bits = new_set(a, r);
    slot->hash = hash;
    set_bit(slot->bits, rule);
}

static void new_table(struct bw_arena *a, struct bw_index_table *t, size_t entries)
{
    size_t slots = 4;

    while (slots < 2 * entries)
        slots *= 2;
    t->slots = bw_arena_alloc(a, slots * sizeof(*t->slots));
    t->mask = slots - 1;
}

/* The rule's own test of that kind, not one inside `any` or `not`. */
static const struct bw_test *test_of(const struct bw_rule *rule, enum bw_test_kind kind)
{
    for (size_t i = 0; i < rule->match.n; i++)
        if (rule->match.v[i].kind == kind)
            return &rule->match.v[i];
    return NULL;
}

static size_t count_patterns(const struct bw_rules *r, enum bw_test_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++) {
        const struct bw_test *test = test_of(&r->v[i], kind);

        n += test != NULL ? test->patterns_n : 0;
    }
    return n;
}

static void index_hosts(struct bw_arena *a, struct bw_rules *r, size_t rule)
{
    const struct bw_test *test = test_of(&r->v[rule], BW_TEST_HOST);

    if (test == NULL)
        set_bit(r->any_host, rule);
    for (size_t i = 0; test != NULL && i < test->patterns_n; i++) {
        const struct bw_pattern *p = &test->patterns[i];

        if (p->kind == BW_PATTERN_EXACT)
            add(a, r, &r->hosts, hash_backward(p->text), rule);
        else /* ".example.net": the name behind the dot */
            add(a, r, &r->host_parents, hash_backward(bw_slice(p->text.base + 1, p->text.len - 1)),
                rule);
    }
}

/* "/assets" of "/assets/x" and of "/assets"; false where the text does not settle it. */
static bool first_segment(const struct bw_pattern *p, struct bw_slice *out)
{
    const char *star = p->kind == BW_PATTERN_GLOB ? memchr(p->text.base, '*', p->text.len) : NULL;
    struct bw_slice literal = p->text;
    const char *slash;

    if (p->kind == BW_PATTERN_ANY || p->kind == BW_PATTERN_SUFFIX || p->kind == BW_PATTERN_REGEX)
        return false;
    if (star != NULL)
        literal.len = (size_t)(star - literal.base);
    if (literal.len == 0)
        return false;
    slash = memchr(literal.base + 1, '/', literal.len - 1);
    *out = bw_slice(literal.base, slash != NULL ? (size_t)(slash - literal.base) : literal.len);
    return slash != NULL || p->kind == BW_PATTERN_EXACT;
}

static void index_segments(struct bw_arena *a, struct bw_rules *r, size_t rule)
{
    const struct bw_test *test = test_of(&r->v[rule], BW_TEST_PATH);
    struct bw_slice segment;

    if (test == NULL)
        set_bit(r->any_segment, rule);
    for (size_t i = 0; test != NULL && i < test->patterns_n; i++) {
        if (first_segment(&test->patterns[i], &segment))
            add(a, r, &r->segments, hash_forward(segment), rule);
        else
            set_bit(r->any_segment, rule);
    }
}

/* What is open for every segment is a candidate in each segment's own set too. */
static void complete(const struct bw_rules *r, const struct bw_index_table *t, const uint64_t *open)
{
    for (size_t i = 0; i <= t->mask; i++)
        for (size_t w = 0; t->slots[i].bits != NULL && w < r->words; w++)
            t->slots[i].bits[w] |= open[w];
}

/* The byte every match has to end with, or -1. */
static int final_byte(const struct bw_pattern *p)
{
    if (p->kind == BW_PATTERN_ANY || p->kind == BW_PATTERN_PREFIX || p->kind == BW_PATTERN_REGEX)
        return -1;
    return p->text.len > 0 && p->text.base[p->text.len - 1] != '*'
               ? (unsigned char)p->text.base[p->text.len - 1]
               : -1;
}

static void index_last_bytes(struct bw_rules *r, size_t rule)
{
    const struct bw_test *test = test_of(&r->v[rule], BW_TEST_PATH);
    bool open = test == NULL;

    for (size_t i = 0; test != NULL && i < test->patterns_n; i++) {
        int byte = final_byte(&test->patterns[i]);

        open = open || byte < 0;
        if (byte >= 0)
            set_bit(r->last_byte + (size_t)byte * r->words, rule);
    }
    for (size_t byte = 0; open && byte < 256; byte++)
        set_bit(r->last_byte + byte * r->words, rule);
}

void bw_rules_index(struct bw_arena *a, struct bw_rules *r)
{
    size_t hosts = count_patterns(r, BW_TEST_HOST);

    r->words = (r->n + 63) / 64;
    new_table(a, &r->hosts, hosts);
    new_table(a, &r->host_parents, hosts);
    new_table(a, &r->segments, count_patterns(r, BW_TEST_PATH));
    r->any_host = new_set(a, r);
    r->any_segment = new_set(a, r);
    r->last_byte = bw_arena_alloc(a, 256 * r->words * sizeof(uint64_t));
    for (size_t i = 0; i < r->n; i++) {
        index_hosts(a, r, i);
        index_segments(a, r, i);
        index_last_bytes(r, i);
    }
    complete(r, &r->segments, r->any_segment);
}

/*
 * A host below more than a handful of names that rules name with '*.' has more sets than there is
 * room for; two of them are nearly always the most.  The rest is dropped into the caller's hands:
 * host_n 0 means "any rule".
 */
static void host_candidates(const struct bw_rules *r, struct bw_slice host,
                            struct bw_candidates *out)
{
    uint64_t hash = FNV_START;

    out->host[0] = r->any_host;
    out->host_n = 1;
    for (size_t i = host.len; i > 0; i--) {
        const uint64_t *bits = NULL;

        if (host.base[i - 1] == '.')
            bits = find(&r->host_parents, hash)->bits;
        hash = mix(hash, host.base[i - 1]);
        if (i == 1)
            bits = find(&r->hosts, hash)->bits;
        if (bits == NULL)
            continue;
        if (out->host_n == BW_HOST_SETS_MAX) {
            out->host_n = 0;
            return;
        }
        out->host[out->host_n++] = bits;
    }
}

void bw_rules_candidates(const struct bw_rules *r, struct bw_slice host, struct bw_slice path,
                         struct bw_candidates *out)
{
    const char *slash = path.len > 1 ? memchr(path.base + 1, '/', path.len - 1) : NULL;
    struct bw_slice segment =
        bw_slice(path.base, slash != NULL ? (size_t)(slash - path.base) : path.len);
    unsigned char last = path.len > 0 ? (unsigned char)path.base[path.len - 1] : 0;

    host_candidates(r, host, out);
    out->segment = find(&r->segments, hash_forward(segment))->bits;
    if (out->segment == NULL)
        out->segment = r->any_segment;
    out->last_byte = r->last_byte + last * r->words;
}
