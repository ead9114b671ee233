/*
 * inspect.c - the file, looked at before LMDB touches it  (docs/decisions/0008).
 *
 * Every page of every tree is read once, in the order of the keys, through pread(): a sector that
 * cannot be read is an error here, where a look at the map would end the process.  Sound is a tree
 * whose pages lie within their bounds and the file, whose keys ascend and keep within what the
 * branches say, whose counts are those that LMDB noted, and none of whose pages is used twice or
 * listed as free.  Bytes of bodies are not read: they have checksums of their own.
 *
 * What is found on the way is handed to the caller, so that loading the index needs no second walk.
 */
#include "store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KEY_MAX = 511, LIST_PIECE = 512 };

struct walk {
    struct bw_inspection *in;
    const struct bw_tree *tree;
    struct bw_tree counted;
    bw_inspect_fn each;
    void *ctx;
    char *pages; /* one for each level */
    char last[KEY_MAX];
    size_t last_len;
    bool begun, inclusive; /* there is a last key; the next one may be equal to it */
};

/* ---- the file ---- */

static bool read_at(int fd, void *out, size_t n, uint64_t at)
{
    char *to = out;

    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

static bool is_page_number(const struct bw_inspection *in, uint64_t first, uint64_t n)
{
    return first >= 2 && n <= in->pages && first <= in->pages - n;
}

static bool read_page(const struct bw_inspection *in, uint64_t number, char *bytes,
                      struct bw_page *out)
{
    return is_page_number(in, number, 1) &&
           read_at(in->fd, bytes, BW_PAGE_SIZE, number * BW_PAGE_SIZE) &&
           bw_page_read(bw_slice(bytes, BW_PAGE_SIZE), number, out);
}

/* Of these pages none has been met before.  Without memory for the map nothing is known. */
static bool claim(struct bw_inspection *in, uint64_t first, uint64_t n)
{
    if (!is_page_number(in, first, n))
        return false;
    for (uint64_t i = first; in->seen != NULL && i < first + n; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        if (in->seen[i / 64] & bit)
            return false;
        in->seen[i / 64] |= bit;
    }
    return true;
}

/* ---- the order of keys ---- */

static int compare(const struct bw_tree *tree, struct bw_slice a, struct bw_slice b)
{
    if (tree->flags & BW_TREE_INTEGER && a.len == sizeof(uint64_t) && b.len == sizeof(uint64_t)) {
        uint64_t x, y;
        memcpy(&x, a.base, sizeof(x));
        memcpy(&y, b.base, sizeof(y));
        return (x > y) - (x < y);
    }
    int order = memcmp(a.base, b.base, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_key(const struct bw_tree *tree, struct bw_slice key)
{
    return key.len > 0 && key.len <= KEY_MAX &&
           (!(tree->flags & BW_TREE_INTEGER) || key.len == sizeof(uint64_t));
}

/* `bound`: of a branch, whose first key may be the same. */
static bool follows(struct walk *w, struct bw_slice key, bool bound)
{
    if (!is_key(w->tree, key))
        return false;
    int order = w->begun ? compare(w->tree, bw_slice(w->last, w->last_len), key) : -1;
    if (order > 0 || (order == 0 && !w->inclusive))
        return false;
    memcpy(w->last, key.base, key.len);
    w->last_len = key.len;
    w->begun = true;
    w->inclusive = bound;
    return true;
}

/* ---- values ---- */

bool bw_inspect_value(const struct bw_inspection *in, const struct bw_node *node, uint64_t at,
                      void *out, size_t n)
{
    if (at > node->size || n > node->size - at)
        return false;
    if (node->kind == BW_NODE_BIG)
        return read_at(in->fd, out, n, node->page * BW_PAGE_SIZE + BW_PAGE_HEAD + at);
    if (n > 0)
        memcpy(out, node->value.base + at, n);
    return true;
}

/* As many pages as it has by the head of the first one; 0: not to be read, or damaged. */
static uint64_t count_big(const struct bw_inspection *in, const struct bw_node *node)
{
    char head[BW_PAGE_HEAD];

    if (!read_at(in->fd, head, sizeof(head), node->page * BW_PAGE_SIZE))
        return 0;
    return bw_page_read_big(head, node->page, node->size);
}

static bool take_big(struct walk *w, const struct bw_node *node)
{
    uint64_t n = bw_page_count(node->size);

    if (!is_page_number(w->in, node->page, n))
        return false;
    /* of chunks the head is read when they are deleted: there are as many as bodies are large */
    if (w->tree != &w->in->body)
        n = count_big(w->in, node);
    w->counted.overflow_pages += n;
    return n > 0 && claim(w->in, node->page, n);
}

static bool take_dups(struct walk *w, const struct bw_page *p)
{
    struct bw_slice before = {NULL, 0};

    for (unsigned i = 0; i < p->n; i++) {
        struct bw_slice key = bw_page_node(p, i).key;
        if (key.len != sizeof(struct bw_hash) ||
            (i > 0 && compare(&bw_tree_empty, before, key) >= 0))
            return false;
        before = key;
    }
    w->counted.entries += p->n;
    return true;
}

static bool take_dup_page(struct walk *w, const struct bw_node *node)
{
    struct bw_page p;

    return w->tree->flags & BW_TREE_DUP && bw_page_read_dups(node->value, &p) && take_dups(w, &p);
}

static bool walk_tree(struct bw_inspection *in, const struct bw_tree *tree, bw_inspect_fn each,
                      void *ctx);

static bool take_dup_tree(struct walk *w, const struct bw_node *node)
{
    struct bw_tree dups;

    if (!(w->tree->flags & BW_TREE_DUP) || !bw_tree_read(node->value, &dups) ||
        dups.flags != BW_TREE_DUP_FIXED || dups.key_size != sizeof(struct bw_hash))
        return false;
    w->counted.entries += dups.entries;
    return walk_tree(w->in, &dups, NULL, NULL);
}

static bool take_node(struct walk *w, const struct bw_node *node)
{
    switch (node->kind) {
    case BW_NODE_BIG:
        w->counted.entries++;
        return take_big(w, node) && (w->each == NULL || w->each(w->ctx, w->in, node));
    case BW_NODE_INLINE:
        w->counted.entries++;
        return w->each == NULL || w->each(w->ctx, w->in, node);
    case BW_NODE_TREE:
        w->counted.entries++;
        return w->tree == &w->in->main && w->each(w->ctx, w->in, node);
    case BW_NODE_DUP_PAGE:
        return take_dup_page(w, node);
    case BW_NODE_DUP_TREE:
        return take_dup_tree(w, node);
    case BW_NODE_CHILD:
        return false;
    }
    BW_UNREACHABLE();
}

/* ---- trees ---- */

static bool is_stopped(struct bw_inspection *in)
{
    if (in->stop == NULL || !atomic_load_explicit(in->stop, memory_order_relaxed))
        return false;
    in->stopped = true;
    return true;
}

static bool walk_leaf(struct walk *w, const struct bw_page *p)
{
    bool keys = p->kind == BW_PAGE_KEYS;

    if (keys != (w->tree->flags == BW_TREE_DUP_FIXED) || (keys && p->key_size != w->tree->key_size))
        return false;
    w->counted.leaf_pages++;
    for (unsigned i = 0; i < p->n; i++) {
        struct bw_node node = bw_page_node(p, i);
        if (!follows(w, node.key, false) || (!keys && !take_node(w, &node)))
            return false;
    }
    if (keys)
        w->counted.entries += p->n;
    return true;
}

/* What the kernel has in memory costs one call. */
static bool read_now(const struct bw_inspection *in, uint64_t number, void *bytes)
{
    struct iovec to = {bytes, BW_PAGE_SIZE};

    return is_page_number(in, number, 1) &&
           preadv2(in->fd, &to, 1, (off_t)(number * BW_PAGE_SIZE), RWF_NOWAIT) == BW_PAGE_SIZE;
}

/* The disk is told of all children from `i` on before that one is waited for. */
static void read_ahead(const struct bw_inspection *in, const struct bw_page *p, unsigned i)
{
    for (; i < p->n; i++)
        posix_fadvise(in->fd, (off_t)(bw_page_node(p, i).page * BW_PAGE_SIZE), BW_PAGE_SIZE,
                      POSIX_FADV_WILLNEED);
}

static bool walk_page(struct walk *w, uint64_t number, unsigned level, bool have);

static bool walk_branch(struct walk *w, const struct bw_page *p, unsigned level)
{
    char *below = w->pages + ((size_t)level + 1) * BW_PAGE_SIZE;
    bool announced = false;

    w->counted.branch_pages++;
    for (unsigned i = 0; i < p->n; i++) {
        struct bw_node child = bw_page_node(p, i);
        bool have = read_now(w->in, child.page, below);
        if (!have && !announced)
            read_ahead(w->in, p, i);
        announced |= !have;
        /* the first key of a branch says nothing, and is mostly empty */
        if ((i > 0 && !follows(w, child.key, true)) || !walk_page(w, child.page, level + 1, have))
            return false;
    }
    return true;
}

/* `have`: its bytes are there already. */
static bool walk_page(struct walk *w, uint64_t number, unsigned level, bool have)
{
    char *bytes = w->pages + (size_t)level * BW_PAGE_SIZE;
    struct bw_page p;

    if (is_stopped(w->in) || !claim(w->in, number, 1) ||
        (!have && !read_at(w->in->fd, bytes, BW_PAGE_SIZE, number * BW_PAGE_SIZE)) ||
        !bw_page_read(bw_slice(bytes, BW_PAGE_SIZE), number, &p))
        return false;
    if (level + 1 == w->tree->depth)
        return p.kind != BW_PAGE_BRANCH && walk_leaf(w, &p);
    /* one child alone is allowed nowhere but among the free pages */
    return p.kind == BW_PAGE_BRANCH && (p.n > 1 || w->tree == &w->in->free) &&
           walk_branch(w, &p, level);
}

static bool walk_tree(struct bw_inspection *in, const struct bw_tree *tree, bw_inspect_fn each,
                      void *ctx)
{
    struct walk w = {.in = in, .tree = tree, .each = each, .ctx = ctx};

    if (tree->root == BW_TREE_NONE)
        return true;
    w.pages = bw_alloc((size_t)tree->depth * BW_PAGE_SIZE);
    bool sound = walk_page(&w, tree->root, 0, false) && w.counted.entries == tree->entries &&
                 w.counted.branch_pages == tree->branch_pages &&
                 w.counted.leaf_pages == tree->leaf_pages &&
                 w.counted.overflow_pages == tree->overflow_pages;
    free(w.pages);
    return sound;
}

enum bw_inspected bw_inspect_tree(struct bw_inspection *in, const struct bw_tree *tree,
                                  bw_inspect_fn each, void *ctx)
{
    bool sound = walk_tree(in, tree, each, ctx);

    return sound ? BW_INSPECTED_SOUND : in->stopped ? BW_INSPECTED_STOPPED : BW_INSPECTED_DAMAGED;
}

/* ---- one way through a tree ---- */

static unsigned child_for(const struct bw_tree *tree, const struct bw_page *p, struct bw_slice key)
{
    unsigned i = p->n;

    while (--i > 0)
        if (compare(tree, bw_page_node(p, i).key, key) <= 0)
            break;
    return i;
}

static bool are_values_within(const struct bw_inspection *in, const struct bw_page *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        struct bw_node node = bw_page_node(p, i);
        if (node.kind == BW_NODE_BIG && !is_page_number(in, node.page, bw_page_count(node.size)))
            return false;
    }
    return true;
}

bool bw_inspect_path(const struct bw_inspection *in, const struct bw_tree *tree,
                     struct bw_slice key)
{
    char bytes[BW_PAGE_SIZE];
    uint64_t number = tree->root;
    struct bw_page p;

    for (unsigned level = 1; level <= tree->depth; level++) {
        if (!read_page(in, number, bytes, &p))
            return false;
        if (level == tree->depth)
            return p.kind == BW_PAGE_LEAF && are_values_within(in, &p);
        if (p.kind != BW_PAGE_BRANCH || p.n < 2)
            return false;
        number = bw_page_node(&p, child_for(tree, &p, key)).page;
    }
    return true;
}

/* ---- what is read at once: small trees ---- */

/* Free pages of one transaction: how many, and their numbers, descending. */
static bool take_free(void *ctx, struct bw_inspection *in, const struct bw_node *node)
{
    uint64_t n, piece[LIST_PIECE] = {0}, before = UINT64_MAX;

    (void)ctx;
    if (!bw_inspect_value(in, node, 0, &n, sizeof(n)) || n >= node->size / sizeof(n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        size_t at = (size_t)(i % LIST_PIECE);
        uint64_t left = n - i < LIST_PIECE ? n - i : LIST_PIECE;
        if (at == 0 &&
            !bw_inspect_value(in, node, (i + 1) * sizeof(n), piece, (size_t)left * sizeof(n)))
            return false;
        if (piece[at] >= before || !claim(in, piece[at], 1))
            return false;
        before = piece[at];
    }
    return true;
}

static bool take_tree(void *ctx, struct bw_inspection *in, const struct bw_node *node)
{
    const struct {
        struct bw_slice name;
        struct bw_tree *tree;
        uint16_t flags;
    } ours[] = {
        {BW_S("meta"), &in->meta, 0},
        {BW_S("body"), &in->body, BW_TREE_INTEGER},
        {BW_S("primary"), &in->primary, BW_TREE_DUP | BW_TREE_DUP_FIXED},
        {BW_S("state"), &in->state, 0},
    };

    (void)ctx;
    for (size_t i = 0; i < BW_ARRAY_LEN(ours); i++)
        if (bw_slice_eq(node->key, ours[i].name))
            return node->kind == BW_NODE_TREE && bw_tree_read(node->value, ours[i].tree) &&
                   ours[i].tree->flags == ours[i].flags;
    return false;
}

/* The newer one of two snapshots, as LMDB takes it. */
static enum bw_meta_found read_meta(int fd, struct bw_meta *out)
{
    struct bw_meta m[2];

    for (unsigned i = 0; i < 2; i++) {
        char bytes[BW_META_SIZE];
        if (!read_at(fd, bytes, sizeof(bytes), (uint64_t)i * BW_PAGE_SIZE))
            return BW_META_DAMAGED;
        enum bw_meta_found found = bw_meta_read(bw_slice(bytes, sizeof(bytes)), &m[i]);
        if (found != BW_META_FOUND)
            return found;
    }
    *out = m[m[0].txn < m[1].txn];
    return BW_META_FOUND;
}

/* A bit for each page, if there is memory for it. */
static void make_map(struct bw_inspection *in)
{
    size_t n = (size_t)(in->pages / 64 + 1) * sizeof(uint64_t);

    if (!bw_budget_take(in->budget, n))
        return;
    in->seen = bw_zalloc(n);
    in->seen_bytes = n;
}

static enum bw_meta_found inspect_front(struct bw_inspection *in, uint64_t size)
{
    struct bw_meta m;
    enum bw_meta_found found = read_meta(in->fd, &m);

    if (found != BW_META_FOUND)
        return found;
    in->pages = m.pages;
    if (m.pages > size / BW_PAGE_SIZE)
        return BW_META_DAMAGED;
    make_map(in);
    in->free = m.free;
    in->main = m.main;
    if (!walk_tree(in, &in->free, take_free, NULL) || !walk_tree(in, &in->main, take_tree, NULL) ||
        !walk_tree(in, &in->state, NULL, NULL))
        return BW_META_DAMAGED;
    return BW_META_FOUND;
}

enum bw_meta_found bw_inspect_begin(struct bw_inspection *in, const char *path)
{
    struct stat st;

    in->stopped = false;
    in->free = in->main = in->meta = in->body = in->primary = in->state = bw_tree_empty;
    in->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0 || fstat(in->fd, &st) != 0 || st.st_size == 0)
        return BW_META_FOUND; /* a new one, or LMDB says what is wrong with it */
    posix_fadvise(in->fd, 0, 0, POSIX_FADV_RANDOM);
    return inspect_front(in, (uint64_t)st.st_size);
}

void bw_inspect_forget(struct bw_inspection *in)
{
    free(in->seen);
    bw_budget_give(in->budget, in->seen_bytes);
    in->seen = NULL;
    in->seen_bytes = 0;
}

void bw_inspect_end(struct bw_inspection *in)
{
    bw_inspect_forget(in);
    if (in->fd >= 0)
        close(in->fd);
    in->fd = -1;
}

/* ---- what LMDB would give back ---- */

/*
 * A value on pages of its own, in the map: its address says which ones, whatever stands there.  The
 * file is written, as the map cannot be.
 */
bool bw_inspect_mend(struct bw_store *s, MDB_val v)
{
    char head[BW_PAGE_HEAD];
    uint64_t at = (uint64_t)((char *)v.mv_data - s->map) - BW_PAGE_HEAD;

    if (s->map == NULL || (char *)v.mv_data < s->map + BW_PAGE_SIZE || at >= s->map_size ||
        at % BW_PAGE_SIZE != 0)
        return true; /* in a leaf, or written by this very transaction */
    if (!read_at(s->data_fd, head, sizeof(head), at))
        return false;
    if (bw_page_read_big(head, at / BW_PAGE_SIZE, v.mv_size) != 0)
        return true;
    bw_count(&s->counters.corrupt);
    bw_page_write_big(head, at / BW_PAGE_SIZE, v.mv_size);
    return pwrite(s->data_fd, head, sizeof(head), (off_t)at) == (ssize_t)sizeof(head);
}
