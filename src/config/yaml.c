/*
 * yaml.c - from bytes to a tree, by libyaml's document API; the only owner of yaml.h.
 *
 * libyaml checks the syntax and gives marks; it neither refuses duplicate keys nor bounds what
 * aliases unfold to (nine lines can stand for a billion values, and an anchor may contain itself).
 * The conversion here does both: at most NODES_MAX nodes, at most DEPTH_MAX levels.
 */
#include "breakwater/config/yaml.h"

#include "breakwater/base/check.h"

#include "environment_priv.h"

#include <yaml.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { DEPTH_MAX = 32, NODES_MAX = 100000, KEY_MAX = 256, FILE_MAX = 4 << 20 };

struct conversion {
    struct bw_arena *arena;
    struct bw_diag *diag;
    const char *file;
    yaml_document_t *document;
    int nodes;
    bool failed; /* the tree is of no use */
};

static struct bw_yaml *convert(struct conversion *c, int index, const char *path, int depth);

struct bw_yaml *bw_yaml_new(struct bw_arena *a, enum bw_yaml_kind kind, struct bw_place at)
{
    struct bw_yaml *y = bw_arena_alloc(a, sizeof(*y));

    y->kind = kind;
    y->at = at;
    y->path = "";
    return y;
}

struct bw_yaml *bw_yaml_scalar(struct bw_arena *a, const char *text, struct bw_place at)
{
    struct bw_yaml *y = bw_yaml_new(a, BW_YAML_SCALAR, at);

    y->text = y->written = text;
    return y;
}

void bw_yaml_append(struct bw_yaml *parent, const char *key, struct bw_yaml *child)
{
    child->key = key;
    child->next = NULL;
    if (parent->last != NULL)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

struct bw_yaml *bw_yaml_find(const struct bw_yaml *map, const char *key)
{
    for (struct bw_yaml *y = map->first; y != NULL; y = y->next)
        if (y->key != NULL && strcmp(y->key, key) == 0)
            return y;
    return NULL;
}

struct bw_yaml *bw_yaml_remove(struct bw_yaml *map, const char *key)
{
    struct bw_yaml *before = NULL, *found = bw_yaml_find(map, key);

    if (found == NULL)
        return NULL;
    for (struct bw_yaml *y = map->first; y != found; y = y->next)
        before = y;
    if (before != NULL)
        before->next = found->next;
    else
        map->first = found->next;
    if (map->last == found)
        map->last = before;
    found->next = NULL;
    return found;
}

static struct bw_place place_of(const struct conversion *c, const yaml_mark_t *mark)
{
    return (struct bw_place){c->file, (int)mark->line + 1, (int)mark->column + 1};
}

static struct bw_slice scalar_bytes(const yaml_node_t *node)
{
    return bw_slice((const char *)node->data.scalar.value, node->data.scalar.length);
}

static bool has_control(struct bw_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.base[i] < 0x20 || s.base[i] == 0x7F)
            return true;
    return false;
}

static struct bw_yaml *convert_scalar(struct conversion *c, const yaml_node_t *node,
                                      struct bw_yaml *y)
{
    struct bw_slice bytes = scalar_bytes(node);

    if (has_control(bytes)) {
        bw_diag_error(c->diag, y->at, y->path,
                      "contains a control character or a line end; write the value in one line");
        c->failed = true;
        bytes = BW_S("");
    }
    y->written = bw_arena_copy(c->arena, bytes);
    y->null = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && bytes.len == 0;
    y->text = bw_environment_fill(c->arena, y, c->diag);
    if (y->text == NULL) {
        c->failed = true;
        y->text = "";
    }
    return y;
}

/* What a list item is called in messages: its name where it has one, else its number from 1. */
static const char *item_path(struct conversion *c, const yaml_node_t *item, const char *path,
                             size_t number)
{
    if (item->type == YAML_MAPPING_NODE) {
        for (const yaml_node_pair_t *p = item->data.mapping.pairs.start;
             p < item->data.mapping.pairs.top; p++) {
            const yaml_node_t *key = yaml_document_get_node(c->document, p->key);
            const yaml_node_t *value = yaml_document_get_node(c->document, p->value);

            if (key->type == YAML_SCALAR_NODE && bw_slice_eq(scalar_bytes(key), BW_S("name")) &&
                value->type == YAML_SCALAR_NODE && value->data.scalar.length > 0)
                return bw_arena_printf(c->arena, "%s[%.64s]", path,
                                       (const char *)value->data.scalar.value);
        }
    }
    return bw_arena_printf(c->arena, "%s[%zu]", path, number);
}

static struct bw_yaml *convert_list(struct conversion *c, const yaml_node_t *node,
                                    struct bw_yaml *y, int depth)
{
    const yaml_node_item_t *start = node->data.sequence.items.start;

    for (const yaml_node_item_t *i = start; i < node->data.sequence.items.top && !c->failed; i++) {
        const yaml_node_t *item = yaml_document_get_node(c->document, *i);
        const char *path = item_path(c, item, y->path, (size_t)(i - start) + 1);
        struct bw_yaml *child = convert(c, *i, path, depth + 1);

        if (child != NULL)
            bw_yaml_append(y, NULL, child);
    }
    return y;
}

/* The key of a pair as a string, or NULL after an error. */
static const char *convert_key(struct conversion *c, const yaml_node_t *key, struct bw_yaml *map)
{
    struct bw_place at = place_of(c, &key->start_mark);
    const char *path = map->path[0] != '\0' ? map->path : NULL;
    const struct bw_yaml *twin;
    const char *text;

    if (key->type != YAML_SCALAR_NODE || key->data.scalar.length > KEY_MAX ||
        has_control(scalar_bytes(key))) {
        bw_diag_error(c->diag, at, path, "has a key that is not a short word; write KEY: VALUE");
        return NULL;
    }
    text = bw_arena_copy(c->arena, scalar_bytes(key));
    twin = bw_yaml_find(map, text);
    if (twin == NULL)
        return text;
    bw_diag_error(c->diag, at, twin->path, "is set twice, first in line %d; keep one",
                  twin->key_at.line);
    return NULL;
}

static struct bw_yaml *convert_map(struct conversion *c, const yaml_node_t *node, struct bw_yaml *y,
                                   int depth)
{
    const yaml_node_pair_t *top = node->data.mapping.pairs.top;

    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < top && !c->failed; p++) {
        const yaml_node_t *key_node = yaml_document_get_node(c->document, p->key);
        const char *key = convert_key(c, key_node, y);
        const char *dot = y->path[0] != '\0' ? "." : "";
        struct bw_yaml *child;

        if (key == NULL) {
            c->failed = true;
            return y;
        }
        child =
            convert(c, p->value, bw_arena_printf(c->arena, "%s%s%s", y->path, dot, key), depth + 1);
        if (child == NULL)
            return y;
        child->key_at = place_of(c, &key_node->start_mark);
        bw_yaml_append(y, key, child);
    }
    return y;
}

static bool is_plain_tag(const char *tag)
{
    return tag == NULL || strncmp(tag, "tag:yaml.org,2002:", 18) == 0;
}

/* The node and all below it; NULL after an error that makes the tree useless. */
static struct bw_yaml *convert(struct conversion *c, int index, const char *path, int depth)
{
    const yaml_node_t *node = yaml_document_get_node(c->document, index);
    struct bw_place at = place_of(c, &node->start_mark);
    struct bw_yaml *y;

    if (depth > DEPTH_MAX || ++c->nodes > NODES_MAX) {
        bw_diag_error(c->diag, at, path, "nests or repeats too much; use fewer aliases");
        c->failed = true;
        return NULL;
    }
    y = bw_yaml_new(c->arena, BW_YAML_SCALAR, at);
    y->path = path;
    if (!is_plain_tag((const char *)node->tag)) {
        bw_diag_error(c->diag, at, path, "has a tag; remove the word that starts with '!'");
        c->failed = true;
    }
    if (node->type == YAML_SCALAR_NODE)
        return convert_scalar(c, node, y);
    y->kind = node->type == YAML_SEQUENCE_NODE ? BW_YAML_LIST : BW_YAML_MAP;
    return y->kind == BW_YAML_LIST ? convert_list(c, node, y, depth)
                                   : convert_map(c, node, y, depth);
}

/* Where the parser gave up; a reader error (bad UTF-8) knows its offset only. */
static struct bw_place problem_place(const char *file, const yaml_parser_t *parser,
                                     struct bw_slice text)
{
    struct bw_place at = {file, (int)parser->problem_mark.line + 1,
                          (int)parser->problem_mark.column + 1};
    size_t stop = parser->problem_offset < text.len ? parser->problem_offset : text.len;

    if (parser->error != YAML_READER_ERROR)
        return at;
    at.line = at.column = 1;
    for (size_t i = 0; i < stop; i++) {
        bool line_end = text.base[i] == '\n';

        at.line += line_end ? 1 : 0;
        at.column = line_end ? 1 : at.column + 1;
    }
    return at;
}

static struct bw_yaml *empty_root(struct conversion *c)
{
    return bw_yaml_new(c->arena, BW_YAML_MAP, (struct bw_place){c->file, 1, 1});
}

static struct bw_yaml *convert_root(struct conversion *c)
{
    const yaml_node_t *root = yaml_document_get_root_node(c->document);
    struct bw_yaml *y;

    if (root == NULL)
        return empty_root(c);
    y = convert(c, (int)(root - c->document->nodes.start) + 1, "", 0);
    if (y == NULL || c->failed)
        return NULL;
    if (y->kind == BW_YAML_SCALAR && y->null)
        return empty_root(c);
    if (y->kind == BW_YAML_MAP)
        return y;
    bw_diag_error(c->diag, y->at, NULL, "the file is not a list of keys; write KEY: VALUE lines");
    return NULL;
}

/* The next document; false after an error, which is reported. */
static bool next_document(yaml_parser_t *parser, struct conversion *c, struct bw_slice text)
{
    if (yaml_parser_load(parser, c->document))
        return true;
    bw_diag_error(c->diag, problem_place(c->file, parser, text), NULL,
                  "not YAML (%s); check indentation (no tabs), quotes and brackets here",
                  parser->problem != NULL ? parser->problem : "out of memory");
    return false;
}

/* What follows the first document has to be nothing. */
static bool is_last(yaml_parser_t *parser, struct conversion *c, struct bw_slice text)
{
    const yaml_node_t *root;

    if (!next_document(parser, c, text))
        return false;
    root = yaml_document_get_root_node(c->document);
    if (root != NULL)
        bw_diag_error(c->diag, place_of(c, &root->start_mark), NULL,
                      "a second document begins; remove the line with '---'");
    yaml_document_delete(c->document);
    return root == NULL;
}

struct bw_yaml *bw_yaml_parse(struct bw_arena *a, const char *file, struct bw_slice text,
                              struct bw_diag *d)
{
    yaml_document_t document;
    struct conversion c = {.arena = a, .diag = d, .file = file, .document = &document};
    struct bw_yaml *root = NULL;
    yaml_parser_t parser;

    BW_ASSERT(yaml_parser_initialize(&parser));
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.len > 0 ? text.base : ""),
                                 text.len);
    if (next_document(&parser, &c, text)) {
        bool has_root = yaml_document_get_root_node(&document) != NULL;

        root = convert_root(&c);
        yaml_document_delete(&document);
        if (root != NULL && has_root && !is_last(&parser, &c, text))
            root = NULL;
    }
    yaml_parser_delete(&parser);
    return root;
}

/* All of the file; false with errno where it cannot be had. */
static bool read_all(const char *file, struct bw_buf *out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    char block[16384];
    ssize_t n = -1;
    int saved;

    if (fd < 0)
        return false;
    while ((n = read(fd, block, sizeof(block))) > 0 && out->len <= FILE_MAX)
        bw_buf_append(out, block, (size_t)n);
    saved = errno;
    close(fd);
    errno = out->len > FILE_MAX ? EFBIG : saved;
    return n >= 0 && out->len <= FILE_MAX;
}

struct bw_yaml *bw_yaml_load(struct bw_arena *a, const char *file, struct bw_place named,
                             struct bw_diag *d)
{
    struct bw_buf text = {0};
    struct bw_yaml *root = NULL;

    if (read_all(file, &text))
        root = bw_yaml_parse(a, bw_arena_copy(a, bw_slice_str(file)), bw_buf_view(&text), d);
    else
        bw_diag_error(d, named, "include", "%s cannot be read (%s); name a YAML file", file,
                      strerror(errno));
    bw_buf_free(&text);
    return root;
}
