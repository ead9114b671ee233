/*
 * page.h - a page of LMDB's file, read with suspicion.
 *
 * LMDB believes what it finds in its pages: one that is damaged makes it read or write anywhere, or
 * end the process.  Here every number of a page is held against the page's bounds before it is
 * used, so that a store can be looked at before LMDB does (docs/decisions/0008).  Pure: bytes in,
 * answers out.
 *
 * The format is that of LMDB 0.9 (data version 1) on a little-endian 64-bit machine, pages of 4096.
 */
#pragma once

#include "breakwater/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { BW_PAGE_SIZE = 4096, BW_PAGE_HEAD = 16, BW_TREE_SIZE = 48, BW_TREE_DEPTH_MAX = 16 };

/* ---- trees ---- */

enum bw_tree_flag { BW_TREE_DUP = 0x04, BW_TREE_INTEGER = 0x08, BW_TREE_DUP_FIXED = 0x10 };

#define BW_TREE_NONE UINT64_MAX /* the root of an empty tree */

/* What LMDB notes of a tree. */
struct bw_tree {
    uint32_t key_size; /* of a tree of duplicates */
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

extern const struct bw_tree bw_tree_empty;

/* False: not a tree that LMDB could have written. */
bool bw_tree_read(struct bw_slice bytes, struct bw_tree *out);

/* ---- where a snapshot begins ---- */

enum bw_meta_found { BW_META_FOUND, BW_META_FOREIGN /* another version */, BW_META_DAMAGED };

struct bw_meta {
    struct bw_tree free, main;
    uint64_t pages; /* in the file: their numbers are below this one */
    uint64_t txn;
};

/* One of the two pages in front, at least BW_META_SIZE bytes of it. */
enum { BW_META_SIZE = 152 };
enum bw_meta_found bw_meta_read(struct bw_slice bytes, struct bw_meta *out);

/* ---- pages ---- */

enum bw_page_kind {
    BW_PAGE_BRANCH,
    BW_PAGE_LEAF,
    BW_PAGE_KEYS, /* keys of one size and nothing else: duplicates */
};

struct bw_page {
    enum bw_page_kind kind;
    struct bw_slice bytes;
    unsigned n, key_size;
};

enum bw_node_kind {
    BW_NODE_CHILD,    /* in a branch: `page` */
    BW_NODE_INLINE,   /* `value` */
    BW_NODE_BIG,      /* `size` bytes behind the head of `page` and the pages that follow it */
    BW_NODE_TREE,     /* `value` is a tree */
    BW_NODE_DUP_PAGE, /* `value` is a small page of duplicates */
    BW_NODE_DUP_TREE, /* `value` is a tree of duplicates */
};

struct bw_node {
    enum bw_node_kind kind;
    struct bw_slice key, value;
    uint64_t page, size;
};

/*
 * The page of that number, which must be BW_PAGE_SIZE long.  True: all nodes lie within it and do
 * not overlap, and there is at least one.  Views into `bytes`.
 */
bool bw_page_read(struct bw_slice bytes, uint64_t number, struct bw_page *out);
/* A page of duplicates inside a node. */
bool bw_page_read_dups(struct bw_slice value, struct bw_page *out);
/* Number `i` of `n`; of a page of keys only `key`. */
struct bw_node bw_page_node(const struct bw_page *p, unsigned i);

/* ---- values on pages of their own ---- */

uint64_t bw_page_count(uint64_t size); /* pages that a value of that size needs */
/*
 * How many pages a value has, as the head of the first one says, which is what LMDB gives back with
 * it: more than needed where a smaller value took the place of a larger one.  0: damaged.
 */
uint64_t bw_page_read_big(const char head[BW_PAGE_HEAD], uint64_t number, uint64_t size);
/* The head as it should be. */
void bw_page_write_big(char head[BW_PAGE_HEAD], uint64_t number, uint64_t size);
