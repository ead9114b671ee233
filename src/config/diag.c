/*
 * diag.c - collects what is wrong with a configuration, one line each.
 *
 * Findings are made by several passes (YAML, schema, readers, rules), but a person works through a
 * file from the top: a new line joins those of its file, in the order of their places.
 */
#include "breakwater/config/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINES_MAX = 64, REASON_MAX = 1024 };

static void add_prefix(struct bw_buf *line, struct bw_place at, const char *level, const char *key)
{
    if (at.line > 0)
        bw_buf_printf(line, "%s:%d:%d: %s: ", at.file, at.line, at.column, level);
    else if (at.file != NULL)
        bw_buf_printf(line, "%s: %s: ", at.file, level);
    else
        bw_buf_printf(line, "%s: ", level);
    if (key != NULL && (at.line > 0 || at.file == NULL)) /* a flag is a key already */
        bw_buf_printf(line, "%s: ", key);
}

/* The finding has to stay one line, whatever the file put into it. */
static void flatten(struct bw_buf *line)
{
    for (size_t i = 0; i < line->len; i++)
        if ((unsigned char)line->base[i] < 0x20 || line->base[i] == 0x7F)
            line->base[i] = '?';
    bw_buf_char(line, '\n');
}

/* Does the text line at `s` speak of the same file? */
static bool is_same_file(const char *s, struct bw_place at)
{
    size_t n = at.line > 0 ? strlen(at.file) : 0;

    return at.line > 0 && strncmp(s, at.file, n) == 0 && s[n] == ':';
}

/* Does it speak of a later place in it? */
static bool is_behind(const char *s, struct bw_place at)
{
    long line, column;
    char *end;

    line = strtol(s + strlen(at.file) + 1, &end, 10);
    if (*end != ':')
        return false;
    column = strtol(end + 1, NULL, 10);
    return line > at.line || (line == at.line && column > at.column);
}

static size_t find_place(struct bw_buf *text, struct bw_place at)
{
    size_t pos = 0, place = SIZE_MAX;

    while (pos < text->len) {
        const char *end = memchr(text->base + pos, '\n', text->len - pos);
        bool same = is_same_file(text->base + pos, at);

        if (same && is_behind(text->base + pos, at))
            return pos;
        pos = end != NULL ? (size_t)(end + 1 - text->base) : text->len;
        if (same)
            place = pos;
    }
    return place != SIZE_MAX ? place : pos;
}

static void insert(struct bw_buf *text, size_t pos, const struct bw_buf *line)
{
    size_t tail = text->len - pos;

    bw_buf_append(text, line->base, line->len);
    memmove(text->base + pos + line->len, text->base + pos, tail);
    memcpy(text->base + pos, line->base, line->len);
    bw_buf_char(text, '\0'); /* strtol() in is_behind() must find an end */
    text->len--;
}

static void say(struct bw_diag *d, struct bw_place at, const char *level, const char *key,
                const char *reason)
{
    struct bw_buf line = {0};

    if (d->errors + d->warnings > (int)LINES_MAX)
        return;
    add_prefix(&line, at, level, key);
    bw_buf_str(&line, reason);
    flatten(&line);
    insert(&d->text, find_place(&d->text, at), &line);
    bw_buf_free(&line);
}

void bw_diag_error(struct bw_diag *d, struct bw_place at, const char *key, const char *fmt, ...)
{
    char reason[REASON_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    d->errors++;
    say(d, at, "error", key, reason);
}

void bw_diag_warn(struct bw_diag *d, struct bw_place at, const char *key, const char *fmt, ...)
{
    char reason[REASON_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    d->warnings++;
    say(d, at, "warning", key, reason);
}

void bw_diag_free(struct bw_diag *d)
{
    bw_buf_free(&d->text);
    *d = (struct bw_diag){0};
}
