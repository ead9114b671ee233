/*
 * pattern.c - globs by hand, regexes by PCRE2.
 *
 * '*' is the only wildcard and spans everything, slashes too.  A regex finds its match anywhere
 * unless it has anchors, and works on bytes.  What a client sends decides how long a backtracking
 * regex runs, so it runs within fixed limits: a regex that exceeds them has not matched.
 */
#include "breakwater/base/check.h"

#include "pattern_priv.h"

#include <pthread.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    PATTERN_MAX = 4096, /* bytes of a regex */
    NEST_MAX = 50,      /* brackets in brackets */
    STEPS_MAX = 10000,  /* of backtracking, for one match: about 0.1 ms */
    HEAP_MAX = 64,      /* KiB */
};

/* What a thread needs to run a regex; made once a thread, given back when it ends. */
struct scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;

static void free_scratch(void *p)
{
    struct scratch *s = p;

    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    free(s);
}

static void make_key(void)
{
    BW_ASSERT(pthread_key_create(&scratch_key, free_scratch) == 0);
}

static struct scratch *new_scratch(void)
{
    struct scratch *s = malloc(sizeof(*s));

    BW_ASSERT(s != NULL);
    s->data = pcre2_match_data_create(1, NULL);
    s->context = pcre2_match_context_create(NULL);
    BW_ASSERT(s->data != NULL && s->context != NULL);
    pcre2_set_match_limit(s->context, STEPS_MAX);
    pcre2_set_depth_limit(s->context, STEPS_MAX);
    pcre2_set_heap_limit(s->context, HEAP_MAX);
    pthread_setspecific(scratch_key, s);
    return s;
}

static bool match_regex(const pcre2_code *code, struct bw_slice s)
{
    struct scratch *scratch;

    pthread_once(&once, make_key);
    scratch = pthread_getspecific(scratch_key);
    if (scratch == NULL)
        scratch = new_scratch();
    return pcre2_match(code, (PCRE2_SPTR)(s.len > 0 ? s.base : ""), s.len, 0, 0, scratch->data,
                       scratch->context) >= 0;
}

static void free_code(void *code)
{
    pcre2_code_free(code);
}

static bool compile_regex(struct bw_arena *a, const char *regex, struct bw_pattern *out,
                          struct bw_buf *why)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    PCRE2_UCHAR message[128] = "";
    PCRE2_SIZE offset;
    int error;

    BW_ASSERT(context != NULL);
    pcre2_set_max_pattern_length(context, PATTERN_MAX);
    pcre2_set_parens_nest_limit(context, NEST_MAX);
    out->kind = BW_PATTERN_REGEX;
    out->regex = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED,
                               PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C |
                                   PCRE2_DOLLAR_ENDONLY,
                               &error, &offset, context);
    pcre2_compile_context_free(context);
    if (out->regex == NULL) {
        pcre2_get_error_message(error, message, sizeof(message));
        bw_buf_printf(why, "\"~%.80s\" is no regex (%s at byte %zu); correct it, or write a glob",
                      regex, (const char *)message, (size_t)offset + 1);
        return false;
    }
    bw_arena_defer(a, free_code, out->regex);
    pcre2_jit_compile(out->regex, PCRE2_JIT_COMPLETE); /* without JIT it is only slower */
    return true;
}

static void compile_glob(const char *text, struct bw_pattern *out)
{
    struct bw_slice s = bw_slice_str(text);
    const char *first = strchr(text, '*');

    *out = (struct bw_pattern){.kind = BW_PATTERN_GLOB, .text = s};
    if (first == NULL)
        out->kind = BW_PATTERN_EXACT;
    else if (strchr(first + 1, '*') != NULL)
        return;
    else if (s.len == 1)
        *out = (struct bw_pattern){.kind = BW_PATTERN_ANY};
    else if (first == text + s.len - 1)
        *out = (struct bw_pattern){.kind = BW_PATTERN_PREFIX, .text = bw_slice(text, s.len - 1)};
    else if (first == text)
        *out =
            (struct bw_pattern){.kind = BW_PATTERN_SUFFIX, .text = bw_slice(text + 1, s.len - 1)};
}

bool bw_pattern_compile(struct bw_arena *a, const char *text, struct bw_pattern *out,
                        struct bw_buf *why)
{
    *out = (struct bw_pattern){0};
    if (text[0] == '~')
        return compile_regex(a, text + 1, out, why);
    compile_glob(text, out);
    return true;
}

/* Goes back to the last '*' only: that is enough, and costs text times pattern at worst. */
static bool match_glob(struct bw_slice pattern, struct bw_slice s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, resume = 0;

    while (i < s.len) {
        if (p < pattern.len && pattern.base[p] == '*') {
            star = p++;
            resume = i;
        } else if (p < pattern.len && pattern.base[p] == s.base[i]) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.base[p] == '*')
        p++;
    return p == pattern.len;
}

bool bw_pattern_match(const struct bw_pattern *p, struct bw_slice s)
{
    switch (p->kind) {
    case BW_PATTERN_ANY:
        return true;
    case BW_PATTERN_EXACT:
        return bw_slice_eq(p->text, s);
    case BW_PATTERN_PREFIX:
        return bw_slice_starts(s, p->text);
    case BW_PATTERN_SUFFIX:
        return bw_slice_ends(s, p->text);
    case BW_PATTERN_GLOB:
        return match_glob(p->text, s);
    case BW_PATTERN_REGEX:
        return match_regex(p->regex, s);
    }
    BW_UNREACHABLE();
}

bool bw_pattern_match_any(const struct bw_pattern *p, size_t n, struct bw_slice s)
{
    for (size_t i = 0; i < n; i++)
        if (bw_pattern_match(&p[i], s))
            return true;
    return false;
}
