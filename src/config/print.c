/*
 * print.c - `check --print`: the configuration in full form.
 *
 * What it prints can be loaded again and means the same.  References to the environment are printed
 * as they were written, since they may stand for secrets.
 */
#include "print_priv.h"

#include <ctype.h>

enum { COMMENT_COLUMN = 56 };

/* 1.2 is a word to us, but a number to other readers of YAML. */
static bool is_fraction(const char *s)
{
    size_t whole = strspn(s, "0123456789");

    return s[whole] == '.' && strspn(s + whole + 1, "0123456789") == strlen(s + whole + 1);
}

static bool is_plain(const char *s)
{
    static const char also[] = "_-./:%+";

    if (!isalnum((unsigned char)s[0]) && s[0] != '/')
        return false;
    for (const char *p = s; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr(also, *p) == NULL)
            return false;
    return s[strlen(s) - 1] != ':' && !is_fraction(s);
}

void bw_print_scalar(const char *text, struct bw_buf *out)
{
    if (is_plain(text)) {
        bw_buf_str(out, text);
        return;
    }
    bw_buf_char(out, '"');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            bw_buf_char(out, '\\');
        bw_buf_char(out, *p);
    }
    bw_buf_char(out, '"');
}

/* Of a single value: the resolved name of a file, else what was written. */
static void print_text(const struct bw_value *v, struct bw_buf *out)
{
    bool resolved = v->schema->type == BW_SCHEMA_FILE || v->schema->type == BW_SCHEMA_PATH;

    bw_print_scalar(resolved && strcmp(v->written, v->text) != 0 && strchr(v->written, '$') == NULL
                        ? v->text
                        : v->written,
                    out);
}

/* "# default", "# breakwater.yaml:7", "# --workers" at the end of the line. */
static void print_place(const struct bw_value *v, size_t line_start, struct bw_buf *out)
{
    size_t width = out->len - line_start;

    bw_buf_printf(out, "%*s# ", width < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - width) : 2, "");
    if (v->at.line > 0)
        bw_buf_printf(out, "%s:%d", v->at.file, v->at.line);
    else
        bw_buf_str(out, v->at.file != NULL ? v->at.file : "default");
    if (v->written != NULL && strstr(v->written, "${") != NULL)
        bw_buf_str(out, ", environment");
    if (v->here != NULL)
        bw_buf_printf(out, ", here %s", v->here);
    bw_buf_char(out, '\n');
}

static bool is_scalar(const struct bw_value *v)
{
    return v->text != NULL;
}

static bool is_flat_list(const struct bw_value *v)
{
    for (const struct bw_value *item = v->first; item != NULL; item = item->next)
        if (!is_scalar(item))
            return false;
    return v->list;
}

/* [a, b] */
static void print_flat_list(const struct bw_value *v, struct bw_buf *out)
{
    bw_buf_char(out, '[');
    for (const struct bw_value *item = v->first; item != NULL; item = item->next) {
        print_text(item, out);
        bw_buf_str(out, item->next != NULL ? ", " : "");
    }
    bw_buf_char(out, ']');
}

static void print_children(const struct bw_value *v, int indent, bool in_item, struct bw_buf *out);

/* KEY: and what belongs to it; the indentation has been written where `line_start` says. */
static void print_child(const struct bw_value *v, int indent, size_t line_start, struct bw_buf *out)
{
    bw_print_scalar(v->key, out);
    bw_buf_char(out, ':');
    if (is_scalar(v)) {
        bw_buf_char(out, ' ');
        print_text(v, out);
        print_place(v, line_start, out);
    } else if (is_flat_list(v)) {
        bw_buf_char(out, ' ');
        print_flat_list(v, out);
        print_place(v, line_start, out);
    } else if (v->n == 0) {
        bw_buf_str(out, " {}");
        print_place(v, line_start, out);
    } else {
        bw_buf_char(out, '\n');
        print_children(v, indent + 2, false, out);
    }
}

static void print_item(const struct bw_value *v, int indent, struct bw_buf *out)
{
    size_t line_start = out->len;

    bw_buf_printf(out, "%*s- ", indent, "");
    if (v->n > 0) {
        print_children(v, indent + 2, true, out);
        return;
    }
    bw_buf_str(out, "{}");
    print_place(v, line_start, out);
}

/* The keys of a group or the items of a list; an item's first key follows its dash. */
static void print_children(const struct bw_value *v, int indent, bool in_item, struct bw_buf *out)
{
    for (const struct bw_value *child = v->first; child != NULL; child = child->next) {
        size_t line_start = out->len;

        if (v->list) {
            print_item(child, indent, out);
            continue;
        }
        if (child == v->first && in_item)
            line_start -= (size_t)indent;
        else
            bw_buf_printf(out, "%*s", indent, "");
        print_child(child, indent, line_start, out);
    }
}

void bw_print_values(const struct bw_value *root, struct bw_buf *out)
{
    print_children(root, 0, false, out);
}
