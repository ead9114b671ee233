/*
 * bodies.c - objects whose chunks are on their way to the disk, by objid.
 *
 * As many as fills that are being stored, so a table of fixed size will do.
 */
#include "store_priv.h"

static struct bw_body **bucket_of(struct bw_bodies *t, uint64_t objid)
{
    return &t->bucket[objid % BW_BODIES_BUCKETS];
}

struct bw_body *bw_body_find(struct bw_bodies *t, uint64_t objid)
{
    struct bw_body *b = *bucket_of(t, objid);

    while (b != NULL && b->objid != objid)
        b = b->next;
    return b;
}

struct bw_body *bw_body_add(struct bw_bodies *t, uint64_t objid)
{
    struct bw_body *b = bw_zalloc(sizeof(*b));
    struct bw_body **bucket = bucket_of(t, objid);

    b->objid = objid;
    b->next = *bucket;
    *bucket = b;
    t->n++;
    return b;
}

/* It is in no bucket any more. */
static void dispose(struct bw_store *s, struct bw_body *b)
{
    s->bodies.n--;
    bw_index_release(s->index, &b->grant);
    free(b);
}

void bw_body_free(struct bw_store *s, struct bw_body *b)
{
    struct bw_body **at = bucket_of(&s->bodies, b->objid);

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    dispose(s, b);
}

void bw_bodies_free(struct bw_store *s)
{
    for (size_t i = 0; i < BW_BODIES_BUCKETS; i++) {
        struct bw_body *next = s->bodies.bucket[i];
        s->bodies.bucket[i] = NULL;
        for (struct bw_body *b = next; b != NULL; b = next) {
            next = b->next;
            if (b->chunks > 0)
                bw_doom_add(s, BW_DOOM_BODY, &(struct bw_hash){{0}}, b->objid, 0);
            dispose(s, b);
        }
    }
}
