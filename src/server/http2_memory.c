/*
 * http2_memory.c - the small blocks of streams: one of ours and five of nghttp2's for each.
 *
 * They come and go with every request, and those of one read together.  glibc's quick lists hold
 * seven blocks of a size and thread, fewer than one client asks for at once, and what is beyond
 * costs 2 % of a small hit (docs/decisions/0018).  So each worker keeps lists of its own, without a
 * lock, up to a bound.  With AddressSanitizer nothing is kept: it is to see the end of each block.
 */
#include "breakwater/base/mem.h"

#include "http2_priv.h"

#include <stdlib.h>

enum {
    STEP = 64, /* from one list to the next */
    LISTS = 20,
    LARGEST = STEP * LISTS,
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WATCHED)
enum { KEPT_MAX = 0 };
#else
enum { KEPT_MAX = 512 * 1024 }; /* bytes, on all lists together, without what is in front */
#endif

_Static_assert(sizeof(struct bw_h2_stream) <= LARGEST, "a stream has a list, too");

/* In front of what is handed out, which is aligned for any type. */
struct block {
    _Alignas(16) size_t room;
    struct block *next; /* while it is on a list */
};

struct bw_h2_memory {
    nghttp2_mem calls;
    struct block *lists[LISTS];
    size_t kept;
};

/* For blocks of up to LARGEST bytes. */
static struct block **list_for(struct bw_h2_memory *m, size_t room)
{
    return &m->lists[(room - 1) / STEP];
}

void *bw_h2_memory_take(struct bw_h2_memory *m, size_t n)
{
    size_t room = n == 0 ? STEP : (n + STEP - 1) / STEP * STEP;
    struct block *b = room >= n && room <= LARGEST ? *list_for(m, room) : NULL;

    if (b != NULL) {
        *list_for(m, room) = b->next;
        m->kept -= room;
        return b + 1;
    }
    if (room < n || room > SIZE_MAX - sizeof(*b) || (b = malloc(sizeof(*b) + room)) == NULL)
        return NULL;
    b->room = room;
    return b + 1;
}

void bw_h2_memory_put(struct bw_h2_memory *m, void *p)
{
    struct block *b;

    if (p == NULL)
        return;
    b = (struct block *)p - 1;
    if (b->room > LARGEST || m->kept + b->room > KEPT_MAX) {
        free(b);
        return;
    }
    b->next = *list_for(m, b->room);
    *list_for(m, b->room) = b;
    m->kept += b->room;
}

/* ---- as nghttp2 calls it ---- */

static void *take(size_t n, void *m)
{
    return bw_h2_memory_take(m, n);
}

static void put(void *p, void *m)
{
    bw_h2_memory_put(m, p);
}

static void *take_zeroed(size_t count, size_t size, void *m)
{
    void *p = size != 0 && count > SIZE_MAX / size ? NULL : bw_h2_memory_take(m, count * size);

    return p != NULL ? memset(p, 0, count * size) : NULL;
}

static void *take_larger(void *p, size_t n, void *m)
{
    size_t room = p != NULL ? ((struct block *)p - 1)->room : 0;
    void *larger;

    if (p != NULL && n <= room)
        return p;
    larger = bw_h2_memory_take(m, n);
    if (larger == NULL || p == NULL)
        return larger;
    memcpy(larger, p, room);
    bw_h2_memory_put(m, p);
    return larger;
}

struct bw_h2_memory *bw_h2_memory_new(void)
{
    struct bw_h2_memory *m = bw_zalloc(sizeof(*m));

    m->calls = (nghttp2_mem){m, take, put, take_zeroed, take_larger};
    return m;
}

nghttp2_mem *bw_h2_memory_calls(struct bw_h2_memory *m)
{
    return &m->calls;
}

size_t bw_h2_memory_kept(const struct bw_h2_memory *m)
{
    return m->kept;
}

void bw_h2_memory_free(struct bw_h2_memory *m)
{
    for (size_t i = 0; m != NULL && i < LISTS; i++)
        while (m->lists[i] != NULL) {
            struct block *b = m->lists[i];

            m->lists[i] = b->next;
            free(b);
        }
    free(m);
}
