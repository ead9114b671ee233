/*
 * rules_priv.h - the compiled rules, as the reader makes them and the matcher walks them.
 *
 * Everything lives in the configuration's arena and is read-only once bw_rules_index() has run.
 */
#pragma once

#include "breakwater/config/rules.h"

#include "pattern_priv.h"

enum bw_test_kind {
    BW_TEST_HOST,
    BW_TEST_PATH,
    BW_TEST_EXTENSION,
    BW_TEST_METHOD,
    BW_TEST_SCHEME,
    BW_TEST_QUERY,
    BW_TEST_HEADER,
    BW_TEST_COOKIE,
    BW_TEST_NOT, /* one branch, which must not hold */
    BW_TEST_ANY, /* one branch has to hold */
    BW_TEST_ALL, /* every branch has to hold */
};

/* Tests joined by `and`; none: always true. */
struct bw_tests {
    struct bw_test *v;
    size_t n;
};

struct bw_test {
    enum bw_test_kind kind;
    struct bw_slice name;        /* QUERY, HEADER (lower case), COOKIE */
    struct bw_pattern *patterns; /* joined by `or` */
    size_t patterns_n;
    struct bw_tests *branches;
    size_t branches_n;
};

/* Which settings a rule sets: bits. */
enum {
    BW_SETS_MODE = 1 << 0,
    BW_SETS_TTL_FIXED = 1 << 1,
    BW_SETS_TTL_DEFAULT = 1 << 2,
    BW_SETS_TTL_MAX = 1 << 3,
    BW_SETS_TTL_STATUS = 1 << 4,
    BW_SETS_BROWSER_TTL = 1 << 5,
    BW_SETS_STALE_REVALIDATING = 1 << 6,
    BW_SETS_STALE_ON_ERROR = 1 << 7,
    BW_SETS_KEY_QUERY = 1 << 8,
    BW_SETS_KEY_HEADERS = 1 << 9,
    BW_SETS_KEY_COOKIES = 1 << 10,
    BW_SETS_SET_COOKIE = 1 << 11,
    BW_SETS_HEURISTIC = 1 << 12,
    BW_SETS_CLIENT_DIRECTIVES = 1 << 13,
    BW_SETS_POOL = 1 << 14,
};

struct bw_rule {
    const char *name; /* never NULL: "rule 3" where it has none */
    struct bw_tests match;
    uint32_t sets;
    struct bw_settings settings; /* only what `sets` names counts */
};

/* Rules that may match, by the hash of a string. */
struct bw_index_slot {
    uint64_t hash;
    uint64_t *bits; /* NULL: free */
};

struct bw_index_table {
    struct bw_index_slot *slots;
    size_t mask; /* slots - 1, a power of two less one */
};

struct bw_rules {
    const struct bw_rule *v;
    size_t n;
    size_t words;                       /* of a bit set with a bit for each rule */
    struct bw_index_table hosts;        /* exact names */
    struct bw_index_table host_parents; /* example.net of *.example.net */
    uint64_t *any_host;                 /* rules that do not name hosts */
    struct bw_index_table segments;     /* by the path's first segment */
    uint64_t *any_segment;              /* rules whose paths leave the first segment open */
    uint64_t *last_byte;                /* [256 * words] by the path's last byte */
};

/* Fills the index of `r`, whose `v` and `n` are set. */
void bw_rules_index(struct bw_arena *a, struct bw_rules *r);

/* The bit sets to be joined for one request. */
enum { BW_HOST_SETS_MAX = 8 };
struct bw_candidates {
    const uint64_t *host[BW_HOST_SETS_MAX]; /* by `or` */
    size_t host_n;
    const uint64_t *segment, *last_byte; /* by `and` */
};
void bw_rules_candidates(const struct bw_rules *r, struct bw_slice host, struct bw_slice path,
                         struct bw_candidates *out);
