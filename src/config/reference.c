/*
 * reference.c - every key with its default and one line of prose, as YAML and as a page.
 *
 * full.yaml can be loaded as it is: what has no default stands behind a '#', with an example.
 */
#include "breakwater/config/reference.h"

#include "breakwater/base/check.h"
#include "breakwater/config/schema.h"

#include "print_priv.h"

/* Where a line of YAML stands: behind a '#' in column `mark`, or plainly where `mark` is -1. */
struct margin {
    int indent;
    int mark;
};

static void start_line(struct margin m, struct bw_buf *out)
{
    if (m.mark < 0)
        bw_buf_printf(out, "%*s", m.indent, "");
    else
        bw_buf_printf(out, "%*s#%*s", m.mark, "", m.indent - m.mark, "");
}

/* "a, b, c" of "a|b|c" */
static void print_words(const char *words, struct bw_buf *out)
{
    for (const char *p = words; *p != '\0'; p++)
        if (*p == '|')
            bw_buf_str(out, ", ");
        else
            bw_buf_char(out, *p);
}

/* Does the prose speak of every word? */
static bool names_words(const struct bw_schema *s)
{
    struct bw_slice rest = bw_slice_str(s->words);

    while (rest.len > 0) {
        struct bw_slice word = bw_slice_cut(rest, '|', &rest);

        if (memmem(s->prose, strlen(s->prose), word.base, word.len) == NULL)
            return false;
    }
    return true;
}

static void print_prose(const struct bw_schema *s, struct margin m, struct bw_buf *out)
{
    start_line(m, out);
    bw_buf_printf(out, "# %s", s->prose);
    if (s->type == BW_SCHEMA_WORD && !names_words(s)) {
        bw_buf_str(out, "  (");
        print_words(s->words, out);
        bw_buf_char(out, ')');
    }
    bw_buf_char(out, '\n');
}

static void print_value(const struct bw_schema *s, struct bw_buf *out)
{
    const char *text = s->fallback != NULL ? s->fallback : s->example;
    bool flow = text[0] == '{' || text[0] == '[';

    bw_buf_str(out, s->list && text[0] != '[' ? "[" : "");
    if (flow)
        bw_buf_str(out, text);
    else
        bw_print_scalar(text, out);
    bw_buf_str(out, s->list && text[0] != '[' ? "]" : "");
}

static bool is_group(const struct bw_schema *s)
{
    const struct bw_schema *first = bw_schema_next(s, NULL);

    return first != NULL && (s->type == BW_SCHEMA_GROUP || s->example == NULL);
}

/* Is it there when nothing is written, or has it to be written? */
static bool is_shown(const struct bw_schema *s)
{
    return s->fallback != NULL || s->required || (s->type == BW_SCHEMA_GROUP && !s->optional);
}

static void print_group(const struct bw_schema *group, struct margin m, bool in_item,
                        struct bw_buf *out);

static void print_row(const struct bw_schema *s, struct margin m, bool dash, struct bw_buf *out)
{
    struct margin line = {dash ? m.indent - 2 : m.indent, m.mark};

    print_prose(s, m, out);
    if (m.mark < 0 && !is_shown(s))
        line.mark = m.mark = m.indent;
    start_line(line, out);
    bw_buf_printf(out, "%s%s:", dash ? "- " : "", bw_schema_key(s));
    if (!is_group(s)) {
        bw_buf_char(out, ' ');
        print_value(s, out);
        bw_buf_char(out, '\n');
        return;
    }
    bw_buf_char(out, '\n');
    m.indent += 2;
    if (s->named) {
        start_line(m, out);
        bw_buf_printf(out, "%s:\n", s->example);
        m.indent += 2;
    }
    if (s->list)
        m.indent += 2;
    print_group(s, m, s->list, out);
}

static void print_group(const struct bw_schema *group, struct margin m, bool in_item,
                        struct bw_buf *out)
{
    const struct bw_schema *s = NULL;
    bool dash = in_item;

    while ((s = bw_schema_next(group, s)) != NULL) {
        print_row(s, m, dash, out);
        dash = false;
    }
}

void bw_reference_full_yaml(struct bw_buf *out)
{
    const struct bw_schema *s = NULL;

    bw_buf_str(out, "# Every key of Breakwater's configuration, with its default.  Generated from "
                    "the schema table.\n"
                    "#\n"
                    "# A line that begins with '#' and a key has no default and shows an example: "
                    "take the '#' away\n"
                    "# to use it.  Everything else says what holds anyway; only a server has to "
                    "be named.\n");
    while ((s = bw_schema_next(bw_schema_root(), s)) != NULL) {
        bw_buf_char(out, '\n');
        print_row(s, (struct margin){0, -1}, false, out);
    }
}

/* What may stand there, in words. */
static const char *type_name(enum bw_schema_type type)
{
    switch (type) {
    case BW_SCHEMA_GROUP:
        return "group";
    case BW_SCHEMA_MATCH:
        return "match";
    case BW_SCHEMA_PAIRS:
        return "`NAME` or `{NAME: VALUE}`";
    case BW_SCHEMA_STATUS:
        return "`{STATUS: duration}`";
    case BW_SCHEMA_DURATION:
    case BW_SCHEMA_LIFETIME:
        return "duration";
    case BW_SCHEMA_SIZE:
        return "size";
    case BW_SCHEMA_PERCENT:
        return "percentage";
    case BW_SCHEMA_COUNT:
        return "number";
    case BW_SCHEMA_WORD:
        return "";
    case BW_SCHEMA_ADDRESS:
        return "address";
    case BW_SCHEMA_NETWORK:
        return "network";
    case BW_SCHEMA_URL:
        return "URL";
    case BW_SCHEMA_FILE:
        return "file";
    case BW_SCHEMA_PATH:
        return "path";
    case BW_SCHEMA_TEXT:
        return "text";
    }
    BW_UNREACHABLE();
}

static void cell_type(const struct bw_schema *s, struct bw_buf *out)
{
    const char *type = type_name(s->type);
    struct bw_slice rest = bw_slice_str(s->words);

    bw_buf_printf(out, "%s%s", s->list ? "list: " : s->named ? "named " : "", type);
    for (bool first = type[0] == '\0'; rest.len > 0; first = false) {
        struct bw_slice word = bw_slice_cut(rest, '|', &rest);

        bw_buf_printf(out, "%s`%.*s`", first ? "" : ", ", (int)word.len, word.base);
    }
}

static void cell_default(const struct bw_schema *s, struct bw_buf *out)
{
    if (s->fallback != NULL)
        bw_buf_printf(out, "`%s`", s->fallback);
    else if (s->required)
        bw_buf_str(out, "must be set");
}

/* Prose in a table: what Markdown would take for its own is escaped. */
static void cell_prose(const struct bw_schema *s, struct bw_buf *out)
{
    for (const char *p = s->prose; *p != '\0'; p++) {
        if (strchr("*_|<~", *p) != NULL)
            bw_buf_char(out, '\\');
        bw_buf_char(out, *p);
    }
    if (s->chief != NULL)
        bw_buf_printf(out, " A value alone is its `%s`.", s->chief);
    if (s->fallback == NULL && s->example != NULL)
        bw_buf_printf(out, " Example: `%s`", s->example);
}

/* "pools.NAME.servers": what a person has to write between the parts. */
static void cell_key(const struct bw_schema *s, struct bw_buf *out)
{
    if (strncmp(s->path, "pools.", 6) == 0)
        bw_buf_printf(out, "`pools.NAME.%s`", s->path + 6);
    else
        bw_buf_printf(out, "`%s`", s->path);
}

static void print_table_row(const struct bw_schema *s, struct bw_buf *out)
{
    bw_buf_str(out, "| ");
    cell_key(s, out);
    bw_buf_str(out, " | ");
    cell_type(s, out);
    bw_buf_str(out, " | ");
    cell_default(s, out);
    bw_buf_str(out, " | ");
    cell_prose(s, out);
    bw_buf_str(out, " |\n");
}

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "Generated from the schema table, as [full.yaml](../conf/full.yaml) is; the smallest file "
    "that\n"
    "works is [breakwater.yaml](../conf/breakwater.yaml).\n"
    "\n"
    "- One YAML file. Everything has a default but `origin` (or `pools`). A reload takes the "
    "whole\n"
    "  file or nothing; it refuses another value of `workers`, `cache.directory`, `size`, "
    "`memory`,\n"
    "  `protect` and `durability` and `admin.listen`, which need a restart.\n"
    "- A value carries its unit: `500ms`, `10s`, `5m`, `1h`, `30d`; `64KiB`, `10GiB`; `20%`. A "
    "bare\n"
    "  number is a count. `off` switches a thing off; `auto` lets Breakwater choose.\n"
    "- Where a list is expected one item may stand alone. Where a group has a chief setting, its\n"
    "  value may stand for the group; `breakwater check --config FILE --print` prints the long "
    "form\n"
    "  with where each value came from.\n"
    "- An unknown key, a wrong unit, a duplicate or a contradiction is an error with file, line,\n"
    "  column, the path of the key, the reason and the cure.\n"
    "- `${NAME}` and `${NAME:-default}` in any value stand for the environment; `$${` is a plain\n"
    "  `${`.\n"
    "- `include: conf.d/*.yaml` at the top of a file appends lists and adds keys; setting one "
    "thing\n"
    "  twice is an error.\n"
    "- A relative file name counts from the folder of the file in which it stands; one in a flag\n"
    "  from the current folder.\n"
    "- Flags of the command line override the file. They have the names of their keys.\n"
    "- In a `match` the keys are joined by *and*, the items of a list by *or*; what is absent\n"
    "  matches everything. A pattern is exact, a glob (`*` spans everything) or `~REGEX` (PCRE2, "
    "on\n"
    "  bytes, found anywhere unless it has `^` or `$`; a match that takes too long is none).\n"
    "- Rules are read in order; each one that matches overrides what earlier ones set, setting by\n"
    "  setting. `ttl.fixed` also ends an earlier `ttl.default` and `ttl.max`; `ttl.default` ends "
    "an\n"
    "  earlier `ttl.fixed`. Of `ttl.status` the narrowest range that holds the status counts.\n";

void bw_reference_markdown(struct bw_buf *out)
{
    size_t n;
    const struct bw_schema *table = bw_schema_table(&n);

    bw_buf_str(out, introduction);
    for (const struct bw_schema *s = table; s < table + n; s++) {
        if (strchr(s->path, '.') == NULL)
            bw_buf_printf(out, "\n## %s\n\n| key | value | default | what |\n|---|---|---|---|\n",
                          s->path);
        print_table_row(s, out);
    }
}
