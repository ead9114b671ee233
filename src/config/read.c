/*
 * read.c - what all readers need: one value out of the tree, as the struct wants it.
 */
#include "breakwater/base/check.h"

#include "address_priv.h"
#include "read_priv.h"

const char *bw_read_text(const struct bw_value *group, const char *path)
{
    const struct bw_value *v = bw_value_get(group, path);

    return v != NULL ? v->text : NULL;
}

uint64_t bw_read_number(const struct bw_value *group, const char *path, uint64_t word)
{
    const struct bw_value *v = bw_value_get(group, path);

    if (v == NULL)
        return 0;
    return v->word >= 0 ? word : v->number;
}

uint32_t bw_read_u32(const struct bw_value *group, const char *path, uint32_t word)
{
    uint64_t n = bw_read_number(group, path, word);

    BW_ASSERT(n <= UINT32_MAX);
    return (uint32_t)n;
}

int64_t bw_read_ms(const struct bw_value *group, const char *path)
{
    return (int64_t)bw_read_number(group, path, 0);
}

void bw_read_lower(struct bw_read *r, struct bw_value *v, uint32_t limit, const char *reason)
{
    if (v->word >= 0 || v->number <= limit)
        return;
    if (v->at.file != NULL)
        bw_diag_error(r->diag, v->at, v->path, "%s; write %u or less%s%s", reason, limit,
                      v->schema->words != NULL ? ", or " : "",
                      v->schema->words != NULL ? v->schema->words : "");
    v->number = limit;
    v->text = v->written = bw_arena_printf(r->arena, "%u", limit);
}

unsigned bw_read_word(const struct bw_value *group, const char *path)
{
    const struct bw_value *v = bw_value_get(group, path);

    return v != NULL && v->word > 0 ? (unsigned)v->word : 0;
}

int bw_read_tls_version(const struct bw_value *group, const char *path)
{
    return bw_read_word(group, path) == 0 ? BW_TLS_1_2 : BW_TLS_1_3;
}

const struct bw_network *bw_read_networks(struct bw_read *r, const struct bw_value *group,
                                          const char *path, size_t *n)
{
    const struct bw_value *list = bw_value_get(group, path);
    struct bw_network *networks;
    struct bw_buf why = {0};
    size_t i = 0;

    *n = list != NULL ? list->n : 0;
    networks = bw_arena_alloc(r->arena, *n * sizeof(*networks));
    for (const struct bw_value *v = list != NULL ? list->first : NULL; v != NULL; v = v->next)
        bw_address_network(v->text, &networks[i++], &why);
    bw_buf_free(&why);
    return networks;
}

const struct bw_slice *bw_read_slices(struct bw_read *r, const struct bw_value *group,
                                      const char *path, size_t *n)
{
    const struct bw_value *list = bw_value_get(group, path);
    struct bw_slice *slices;
    size_t i = 0;

    *n = list != NULL ? list->n : 0;
    slices = bw_arena_alloc(r->arena, *n * sizeof(*slices));
    for (const struct bw_value *v = list != NULL ? list->first : NULL; v != NULL; v = v->next)
        slices[i++] = bw_slice_str(v->text);
    return slices;
}
