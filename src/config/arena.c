/*
 * arena.c - blocks that are filled from the front and freed together.
 *
 * A configuration is a few hundred small structs and strings that all die at once, when the last
 * worker has let go of it; freeing them one by one would be a page of code per struct.
 */
#include "breakwater/config/arena.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 16384, ALIGNMENT = 16 };

struct block {
    struct block *next;
    size_t used, size; /* of bytes[] */
    _Alignas(ALIGNMENT) char bytes[];
};

struct deferred {
    struct deferred *next;
    void (*undo)(void *arg);
    void *arg;
};

struct bw_arena {
    struct block *blocks; /* the one that is being filled first */
    struct deferred *deferred;
};

struct bw_arena *bw_arena_new(void)
{
    return bw_zalloc(sizeof(struct bw_arena));
}

static struct block *add_block(struct bw_arena *a, size_t n)
{
    size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;
    struct block *b = bw_zalloc(sizeof(*b) + size);

    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *bw_arena_alloc(struct bw_arena *a, size_t n)
{
    size_t rounded = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *b = a->blocks;
    void *p;

    BW_ASSERT(rounded >= n);
    if (b == NULL || b->size - b->used < rounded)
        b = add_block(a, rounded);
    p = b->bytes + b->used;
    b->used += rounded;
    return p;
}

char *bw_arena_copy(struct bw_arena *a, struct bw_slice s)
{
    char *copy = bw_arena_alloc(a, s.len + 1);

    if (s.len > 0)
        memcpy(copy, s.base, s.len);
    return copy;
}

char *bw_arena_printf(struct bw_arena *a, const char *fmt, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    BW_ASSERT(n >= 0);
    text = bw_arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

void bw_arena_defer(struct bw_arena *a, void (*undo)(void *arg), void *arg)
{
    struct deferred *d = bw_arena_alloc(a, sizeof(*d));

    *d = (struct deferred){.next = a->deferred, .undo = undo, .arg = arg};
    a->deferred = d;
}

void bw_arena_free(struct bw_arena *a)
{
    struct block *next;

    if (a == NULL)
        return;
    for (struct deferred *d = a->deferred; d != NULL; d = d->next)
        d->undo(d->arg);
    for (struct block *b = a->blocks; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}
