/*
 * environment.c - ${NAME} and ${NAME:-default} in any scalar, so that no secret stands in the file.
 *
 * As in a shell, the default also stands for a variable that is set but empty; without a default a
 * variable that is not set is an error.  $${ is a literal ${.
 */
#include "environment_priv.h"

#include <ctype.h>
#include <stdlib.h>

/* A reference in the text: "${" name [":-" fallback] "}". */
struct reference {
    struct bw_slice name, fallback;
    bool has_fallback;
    const char *end; /* behind the '}' */
};

static bool is_name(struct bw_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!isalnum((unsigned char)s.base[i]) && s.base[i] != '_')
            return false;
    return s.len > 0 && !isdigit((unsigned char)s.base[0]);
}

static bool parse(const char *at, struct reference *r)
{
    const char *start = at + 2, *close = strchr(start, '}');
    const char *mark = strstr(start, ":-");

    if (close == NULL)
        return false;
    r->has_fallback = mark != NULL && mark < close;
    r->name = bw_slice(start, (size_t)((r->has_fallback ? mark : close) - start));
    if (r->has_fallback)
        r->fallback = bw_slice(mark + 2, (size_t)(close - mark - 2));
    r->end = close + 1;
    return is_name(r->name);
}

static bool add(struct bw_arena *a, const struct reference *r, struct bw_buf *out)
{
    const char *value = getenv(bw_arena_copy(a, r->name));

    if (r->has_fallback && (value == NULL || value[0] == '\0'))
        bw_buf_slice(out, r->fallback);
    else if (value != NULL)
        bw_buf_str(out, value);
    return value != NULL || r->has_fallback;
}

/* One step over the text: a reference, an escaped one, or a plain byte; NULL after an error. */
static const char *step(struct bw_arena *a, const struct bw_yaml *y, const char *p,
                        struct bw_buf *out, struct bw_diag *d)
{
    struct reference r = {0};

    if (strncmp(p, "$${", 3) == 0) {
        bw_buf_str(out, "${");
        return p + 3;
    }
    if (strncmp(p, "${", 2) != 0) {
        bw_buf_char(out, *p);
        return p + 1;
    }
    if (!parse(p, &r)) {
        bw_diag_error(d, y->at, y->path,
                      "'${' does not begin ${NAME} or ${NAME:-default}; write $${ for a plain ${");
        return NULL;
    }
    if (add(a, &r, out))
        return r.end;
    bw_diag_error(d, y->at, y->path,
                  "the environment has no %.*s; set it, or write ${%.*s:-default}", (int)r.name.len,
                  r.name.base, (int)r.name.len, r.name.base);
    return NULL;
}

static bool is_clean(const struct bw_buf *text)
{
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->base[i] < 0x20 || text->base[i] == 0x7F)
            return false;
    return true;
}

const char *bw_environment_fill(struct bw_arena *a, const struct bw_yaml *y, struct bw_diag *d)
{
    struct bw_buf out = {0};
    const char *p = y->written, *text;

    if (strchr(p, '$') == NULL)
        return p;
    while (p != NULL && *p != '\0')
        p = step(a, y, p, &out, d);
    if (p != NULL && !is_clean(&out)) {
        bw_diag_error(d, y->at, y->path,
                      "the environment brings a control character or a line end; set it without");
        p = NULL;
    }
    text = p != NULL ? bw_arena_copy(a, bw_buf_view(&out)) : NULL;
    bw_buf_free(&out);
    return text;
}
