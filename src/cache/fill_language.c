/*
 * fill_language.c - a variant that says its language is found by it, too.
 *
 * Browsers name their languages in hundreds of ways, an origin has a handful of pages for them.
 * Whoever wants one language more than any other gets the page that says it is in that one, however
 * it was asked for, as long as it is fresh: its own question to the origin would bring the same.
 * So the fill of such a variant holds a second slot, and a record is stored beside it that leads to
 * it (lookup.c).  Both are left and published with the variant's own.
 */
#include "breakwater/cache/entry.h"

#include "fill_priv.h"

struct language *bw_language_new(struct bw_fills *fs, const struct language_ask *ask)
{
    struct language *l = NULL;
    struct bw_buf values = {0};

    if (ask->language.len != 0 &&
        bw_vary_values_in(ask->names, ask->request, &fs->codings, ask->language, &values)) {
        l = bw_zalloc(sizeof(*l) + ask->key->bytes.len + values.len + 16);
        bw_key_variant(ask->key, ask->vary_id, bw_buf_view(&values), bw_store_secret(fs->o.store),
                       l->bytes, &l->key);
    }
    bw_buf_free(&values);
    return l;
}

static struct language *language_of(const struct bw_fill *f, const struct bw_fields *request,
                                    struct bw_slice language)
{
    struct language_ask ask = {&f->key, f->vary_id, bw_vary_names(&f->vary), request, language};

    return bw_language_new(f->fs, &ask);
}

void bw_fill_language_enter(struct bw_fill *f)
{
    struct shard *sh;
    struct slot *s;

    f->language = language_of(f, &f->request, bw_vary_content_language(&f->head.stored));
    if (f->language == NULL)
        return;
    f->language->objid = bw_store_new_objid(f->fs->o.store);
    sh = bw_shard_of(f->fs, &f->language->key.hash);
    pthread_mutex_lock(&sh->lock);
    s = bw_slot_need(sh, &f->language->key.hash, &f->primary);
    bw_slot_enter(sh, f, &f->language->key.hash);
    bw_slot_tidy(sh, s);
    pthread_mutex_unlock(&sh->lock);
}

void bw_fill_language_leave(struct bw_fill *f)
{
    if (f->language != NULL)
        bw_slot_leave(f, &f->language->key.hash);
}

void bw_fill_language_encode(const struct bw_fill *f, struct bw_buf *out)
{
    struct bw_entry e = {.kind = BW_ENTRY_LANGUAGE,
                         .objid = f->language->objid,
                         .key = f->language->key.bytes,
                         .primary = f->primary,
                         .terms = f->head.terms,
                         .vary = f->variant.bytes,
                         .vary_id = f->vary_id};

    bw_entry_encode(&e, out);
}

bool bw_fill_language_fits(const struct bw_fill *f, const struct bw_fields *request)
{
    struct language *wanted;
    bool fits;

    if (f->language == NULL)
        return false;
    wanted = language_of(f, request, bw_vary_language(request));
    fits = wanted != NULL && bw_slice_eq(wanted->key.bytes, f->language->key.bytes);
    free(wanted);
    return fits;
}
