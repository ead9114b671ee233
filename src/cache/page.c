/*
 * page.c - a page of LMDB's file.  The names of LMDB's own fields are in the comments.
 *
 *     page   0 number (mp_pgno)  8 key size (mp_pad)  10 flags (mp_flags)
 *           12 end of the offsets (mp_lower)  14 begin of the nodes (mp_upper)  16 offsets
 * (mp_ptrs) node   0 low, high (size, or page)  4 flags, or the page's third word  6 key size  8
 * key, value
 */
#include "breakwater/cache/page.h"

#include "breakwater/base/check.h"

#include <string.h>

enum {
    AT_NUMBER = 0,
    AT_KEY_SIZE = 8,
    AT_FLAGS = 10,
    AT_LOWER = 12,
    AT_UPPER = 14,
    NODE_HEAD = 8,
    NODE_FLAGS = 4,
    NODE_KEY_SIZE = 6,
    META_MAGIC = 16,
    META_VERSION = 20,
    META_FREE = 40,
    META_MAIN = META_FREE + BW_TREE_SIZE,
    META_LAST_PAGE = META_MAIN + BW_TREE_SIZE,
    META_TXN = META_LAST_PAGE + 8,
};

enum page_flag {
    IS_BRANCH = 0x01,
    IS_LEAF = 0x02,
    IS_OVERFLOW = 0x04,
    IS_META = 0x08,
    IS_DIRTY = 0x10, /* stays set in pages inside nodes */
    IS_KEYS = 0x20,
    IS_INSIDE = 0x40,
};

enum node_flag { HAS_BIG = 0x01, HAS_TREE = 0x02, HAS_DUPS = 0x04 };

static const uint32_t magic = 0xBEEFC0DE;

const struct bw_tree bw_tree_empty = {.root = BW_TREE_NONE};

static uint16_t u16_at(const char *p)
{
    uint16_t x;

    memcpy(&x, p, sizeof(x));
    return x;
}

static uint32_t u32_at(const char *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof(x));
    return x;
}

static uint64_t u64_at(const char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof(x));
    return x;
}

/* ---- trees ---- */

bool bw_tree_read(struct bw_slice bytes, struct bw_tree *out)
{
    const char *p = bytes.base;

    if (bytes.len != BW_TREE_SIZE)
        return false;
    *out = (struct bw_tree){
        .key_size = u32_at(p),
        .flags = u16_at(p + 4),
        .depth = u16_at(p + 6),
        .branch_pages = u64_at(p + 8),
        .leaf_pages = u64_at(p + 16),
        .overflow_pages = u64_at(p + 24),
        .entries = u64_at(p + 32),
        .root = u64_at(p + 40),
    };
    bool empty = out->root == BW_TREE_NONE;
    return out->depth <= BW_TREE_DEPTH_MAX && empty == (out->depth == 0) &&
           empty == (out->entries == 0);
}

/* The page size stands where the tree of free pages has its key size. */
enum bw_meta_found bw_meta_read(struct bw_slice bytes, struct bw_meta *out)
{
    const char *p = bytes.base;

    if (bytes.len < BW_META_SIZE || !(u16_at(p + AT_FLAGS) & IS_META) ||
        u32_at(p + META_MAGIC) != magic)
        return BW_META_DAMAGED;
    if (u32_at(p + META_VERSION) != 1)
        return BW_META_FOREIGN;
    if (!bw_tree_read(bw_slice(p + META_FREE, BW_TREE_SIZE), &out->free) ||
        !bw_tree_read(bw_slice(p + META_MAIN, BW_TREE_SIZE), &out->main))
        return BW_META_DAMAGED;
    if (out->free.key_size != BW_PAGE_SIZE)
        return BW_META_FOREIGN;
    uint64_t last = u64_at(p + META_LAST_PAGE);
    if (out->free.flags != BW_TREE_INTEGER || out->main.flags != 0 || last == 0 ||
        last >= UINT64_MAX / BW_PAGE_SIZE)
        return BW_META_DAMAGED;
    out->pages = last + 1;
    out->txn = u64_at(p + META_TXN);
    return BW_META_FOUND;
}

/* ---- pages ---- */

static bool read_kind(uint16_t flags, struct bw_page *out)
{
    if (flags == IS_BRANCH)
        out->kind = BW_PAGE_BRANCH;
    else if (flags == IS_LEAF)
        out->kind = BW_PAGE_LEAF;
    else if (flags == (IS_LEAF | IS_KEYS))
        out->kind = BW_PAGE_KEYS;
    else
        return false;
    return true;
}

/* What both kinds of offsets have in common; there is never a page without nodes. */
static bool read_bounds(struct bw_page *p, uint16_t *upper)
{
    uint16_t lower = u16_at(p->bytes.base + AT_LOWER);

    *upper = u16_at(p->bytes.base + AT_UPPER);
    if (lower <= BW_PAGE_HEAD || lower % 2 != 0 || lower > *upper || *upper > p->bytes.len)
        return false;
    p->n = (lower - BW_PAGE_HEAD) / 2U;
    p->key_size = u16_at(p->bytes.base + AT_KEY_SIZE);
    return true;
}

static bool are_keys_within(const struct bw_page *p)
{
    return p->key_size > 0 && BW_PAGE_HEAD + (size_t)p->n * p->key_size <= p->bytes.len;
}

static const char *node_at(const struct bw_page *p, unsigned i)
{
    return p->bytes.base + u16_at(p->bytes.base + BW_PAGE_HEAD + 2 * (size_t)i);
}

/* Bytes of a node whose head lies within the page; LMDB begins each at an even offset. */
static size_t node_size(const struct bw_page *p, const char *node)
{
    size_t n = NODE_HEAD + u16_at(node + NODE_KEY_SIZE);

    if (p->kind == BW_PAGE_LEAF)
        n += u16_at(node + NODE_FLAGS) & HAS_BIG ? sizeof(uint64_t) : u32_at(node);
    return n + n % 2;
}

/* LMDB leaves no room between nodes: if they fill what there is to the byte, none overlap. */
static bool are_nodes_within(const struct bw_page *p, uint16_t upper)
{
    size_t sum = 0;

    for (unsigned i = 0; i < p->n; i++) {
        const char *node = node_at(p, i);
        size_t at = (size_t)(node - p->bytes.base);
        if (at < upper || at % 2 != 0 || at + NODE_HEAD > p->bytes.len)
            return false;
        size_t size = node_size(p, node);
        if (size > p->bytes.len - at)
            return false;
        sum += size;
    }
    return sum == p->bytes.len - upper;
}

static bool are_node_kinds_known(const struct bw_page *p)
{
    for (unsigned i = 0; p->kind == BW_PAGE_LEAF && i < p->n; i++) {
        uint16_t flags = u16_at(node_at(p, i) + NODE_FLAGS);
        if (flags > (HAS_TREE | HAS_DUPS) || (flags & HAS_BIG && flags != HAS_BIG))
            return false;
    }
    return true;
}

bool bw_page_read(struct bw_slice bytes, uint64_t number, struct bw_page *out)
{
    uint16_t upper;

    BW_ASSERT(bytes.len == BW_PAGE_SIZE);
    out->bytes = bytes;
    if (u64_at(bytes.base + AT_NUMBER) != number ||
        !read_kind(u16_at(bytes.base + AT_FLAGS), out) || !read_bounds(out, &upper))
        return false;
    if (out->kind == BW_PAGE_KEYS)
        return are_keys_within(out);
    return are_nodes_within(out, upper) && are_node_kinds_known(out);
}

bool bw_page_read_dups(struct bw_slice value, struct bw_page *out)
{
    const unsigned flags = IS_LEAF | IS_KEYS | IS_INSIDE;
    uint16_t upper;

    *out = (struct bw_page){.kind = BW_PAGE_KEYS, .bytes = value};
    return value.len >= BW_PAGE_HEAD && (u16_at(value.base + AT_FLAGS) & ~IS_DIRTY) == flags &&
           read_bounds(out, &upper) && are_keys_within(out);
}

static uint64_t child_of(const char *node)
{
    return u16_at(node) | (uint64_t)u16_at(node + 2) << 16 |
           (uint64_t)u16_at(node + NODE_FLAGS) << 32;
}

static enum bw_node_kind kind_of(uint16_t flags)
{
    if (flags & HAS_BIG)
        return BW_NODE_BIG;
    if (flags & HAS_DUPS)
        return flags & HAS_TREE ? BW_NODE_DUP_TREE : BW_NODE_DUP_PAGE;
    return flags & HAS_TREE ? BW_NODE_TREE : BW_NODE_INLINE;
}

struct bw_node bw_page_node(const struct bw_page *p, unsigned i)
{
    struct bw_node out = {0};

    BW_ASSERT(i < p->n);
    if (p->kind == BW_PAGE_KEYS) {
        out.key = bw_slice(p->bytes.base + BW_PAGE_HEAD + (size_t)i * p->key_size, p->key_size);
        return out;
    }
    const char *node = node_at(p, i);
    out.key = bw_slice(node + NODE_HEAD, u16_at(node + NODE_KEY_SIZE));
    if (p->kind == BW_PAGE_BRANCH) {
        out.kind = BW_NODE_CHILD;
        out.page = child_of(node);
        return out;
    }
    const char *value = node + NODE_HEAD + out.key.len;
    out.kind = kind_of(u16_at(node + NODE_FLAGS));
    out.size = u32_at(node);
    if (out.kind == BW_NODE_BIG)
        out.page = u64_at(value);
    else
        out.value = bw_slice(value, (size_t)out.size);
    return out;
}

uint64_t bw_page_count(uint64_t size)
{
    return (size + BW_PAGE_HEAD + BW_PAGE_SIZE - 1) / BW_PAGE_SIZE;
}

/* The number of pages stands where other pages have their bounds. */
uint64_t bw_page_read_big(const char head[BW_PAGE_HEAD], uint64_t number, uint64_t size)
{
    uint32_t count = u32_at(head + AT_LOWER);

    if (u64_at(head + AT_NUMBER) != number || u16_at(head + AT_FLAGS) != IS_OVERFLOW ||
        count < bw_page_count(size))
        return 0;
    return count;
}

void bw_page_write_big(char head[BW_PAGE_HEAD], uint64_t number, uint64_t size)
{
    uint32_t count = (uint32_t)bw_page_count(size);
    uint16_t flags = IS_OVERFLOW;

    memset(head, 0, BW_PAGE_HEAD);
    memcpy(head + AT_NUMBER, &number, sizeof(number));
    memcpy(head + AT_FLAGS, &flags, sizeof(flags));
    memcpy(head + AT_LOWER, &count, sizeof(count));
}
