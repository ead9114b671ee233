/*
 * read_priv.h - from the checked tree to the conf structs; one file for each group of keys.
 *
 * The readers run only where the tree had no error, so what the schema requires is there.  They
 * add what one row cannot know: contradictions, duplicates, things that name each other.
 */
#pragma once

#include "breakwater/config/conf.h"
#include "breakwater/config/value.h"

#include "rules_priv.h"

enum { BW_TLS_1_2 = 0x0303, BW_TLS_1_3 = 0x0304 }; /* as on the wire, and as OpenSSL names them */

struct bw_read {
    struct bw_arena *arena;
    struct bw_diag *diag;
    struct bw_value *root;
    struct bw_conf *conf;
};

void bw_read_listen(struct bw_read *r); /* listen, hosts, trusted_proxies, admin */
void bw_read_pools(struct bw_read *r);
void bw_read_cache(struct bw_read *r);
void bw_read_limits(struct bw_read *r); /* limits, workers, log */
void bw_read_rules(struct bw_read *r);  /* after pools, cache and hosts */
/* Exact names, "*.example.net" for those below it, the word any; absent: none. */
void bw_read_hosts(struct bw_read *r, const struct bw_value *list, struct bw_hosts *out);
/* A name or "*.NAME", into the form in which hosts are compared; false: `why` says why not. */
bool bw_match_form_host(struct bw_arena *a, const char **text, struct bw_buf *why);
/* The tests of a `match`; NULL (absent) gives none, which always hold. */
struct bw_tests bw_read_match(struct bw_read *r, const struct bw_value *match);
/* Does everything that `narrow` matches also match `broad`?  false where that is not plain to see.
 */
bool bw_match_covers(const struct bw_value *broad, const struct bw_value *narrow);

/* The text at the path, or NULL. */
const char *bw_read_text(const struct bw_value *group, const char *path);
/* The number at the path; `word` where one of the row's words stands there instead, 0 if absent. */
uint64_t bw_read_number(const struct bw_value *group, const char *path, uint64_t word);
/* The same for fields of 32 bits and for milliseconds; the schema keeps numbers within range. */
uint32_t bw_read_u32(const struct bw_value *group, const char *path, uint32_t word);
int64_t bw_read_ms(const struct bw_value *group, const char *path);
/* The number of the word at the path, 0 (the first) if absent; enums are declared in that order. */
unsigned bw_read_word(const struct bw_value *group, const char *path);
int bw_read_tls_version(const struct bw_value *group, const char *path);
/* A number that is more than the limit beside it: a default gives way, in what is printed too; what
 * a person wrote contradicts. */
void bw_read_lower(struct bw_read *r, struct bw_value *v, uint32_t limit, const char *reason);
/* The networks of a list. */
const struct bw_network *bw_read_networks(struct bw_read *r, const struct bw_value *group,
                                          const char *path, size_t *n);
/* The texts of a list as slices. */
const struct bw_slice *bw_read_slices(struct bw_read *r, const struct bw_value *group,
                                      const char *path, size_t *n);
