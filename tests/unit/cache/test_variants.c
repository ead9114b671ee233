/*
 * test_variants.c - a URL has so many variants and no more: the oldest goes.
 */
#include "breakwater/cache/entry.h"
#include "breakwater/cache/key.h"

#include "rig.h"

enum { BODY = 300, LARGE = 100000 };

/* Variant `i` of a page; its key lies in `memory`. */
struct variant {
    struct bw_key base, key;
    char memory[256];
};

static void name_variant(struct rig *rig, const char *url, int i, bool way, struct variant *v)
{
    char value[16];
    int n = snprintf(value, sizeof(value), "%s-%d", way ? "way" : "say", i);

    v->base = (struct bw_key){.bytes = bw_slice_str(url), .url_len = strlen(url)};
    v->base.hash = bw_hash_128(v->base.bytes, bw_store_secret(rig->s));
    bw_key_variant(&v->base, 7, bw_slice(value, (size_t)n), bw_store_secret(rig->s), v->memory,
                   &v->key);
}

static void encode(const struct bw_entry *e, struct bw_buf *out)
{
    bw_buf_clear(out);
    bw_entry_encode(e, out);
}

/* Hands over the record of a variant with its base, and with a way to it if there is one. */
static void hand(struct rig *rig, struct client *k, const char *url, int i, bool way, size_t len,
                 uint64_t objid)
{
    static char body[BODY];
    struct bw_buf record = {0}, base = {0}, led = {0};
    struct variant v, w;
    struct bw_entry e = {.kind = BW_ENTRY_RESPONSE, .objid = objid, .body_len = len};
    struct bw_writer_record rec = {
        .objid = objid, .bytes = len, .expiry_s = UINT32_MAX, .born = bw_store_purge_seq(rig->s)};

    name_variant(rig, url, i, false, &v);
    e.key = v.key.bytes;
    e.primary = rec.primary = v.base.hash;
    if (len == BODY)
        e.inline_body = bw_slice(body, sizeof(body));
    encode(&e, &record);
    e = (struct bw_entry){.kind = BW_ENTRY_VARY,
                          .objid = bw_store_new_objid(rig->s),
                          .key = v.base.bytes,
                          .primary = v.base.hash,
                          .vary = BW_S("x-say"),
                          .vary_id = 7,
                          .inline_body = BW_S("")};
    encode(&e, &base);
    rec.key = v.key.hash;
    rec.encoded = bw_buf_view(&record);
    rec.beside[BW_BESIDE_BASE] = (struct bw_writer_beside){v.base.hash, bw_buf_view(&base)};
    if (way) {
        name_variant(rig, url, i, true, &w);
        e.kind = BW_ENTRY_LANGUAGE;
        e.objid = bw_store_new_objid(rig->s);
        e.key = w.key.bytes;
        e.vary = v.key.bytes;
        encode(&e, &led);
        rec.beside[BW_BESIDE_LANGUAGE] = (struct bw_writer_beside){w.key.hash, bw_buf_view(&led)};
    }
    assert_int_equal(bw_writer_record(rig->s, &k->base, &rec), BW_OK);
    bw_buf_free(&record);
    bw_buf_free(&base);
    bw_buf_free(&led);
}

static void store(struct rig *rig, const char *url, int i, bool way)
{
    struct client k;

    client_init(&k);
    hand(rig, &k, url, i, way, BODY, bw_store_new_objid(rig->s));
    hurry(rig);
    client_wait(&k, 0, 1, 0);
    assert_int_equal(k.err, BW_OK);
}

static bool is_there(struct rig *rig, const char *url, int i, bool way)
{
    struct variant v;
    struct bw_index_hit hit;
    struct bw_entry e;
    void *memory = NULL;
    enum bw_err err;

    name_variant(rig, url, i, way, &v);
    while ((err = bw_reader_get(rig->r, &v.key.hash, true, alloc_any, &memory, &e)) == BW_ERR_BUSY)
        warm(rig, &v.key.hash, 0, 0);
    free(memory);
    assert_int_equal(err == BW_OK, bw_index_find(bw_store_index(rig->s), &v.key.hash, &hit));
    return err == BW_OK;
}

TEST(of_too_many_variants_the_oldest_goes)
{
    struct rig *rig = rig_begin(64 << 20);

    for (int i = 0; i < BW_STORE_VARIANTS + 8; i++)
        store(rig, "http://a/1", i, false);
    for (int i = 0; i < BW_STORE_VARIANTS + 8; i++)
        assert_int_equal(is_there(rig, "http://a/1", i, false), i >= 8);
    assert_true(has(rig, "http://a/1")); /* the base record */
    assert_int_equal(figures(rig).objects, BW_STORE_VARIANTS + 1);
    rig_end(rig);
}

/* What a batch brings above the bound goes with the next ones. */
TEST(too_many_in_one_batch_are_made_up_for)
{
    struct rig *rig = rig_begin(64 << 20);
    struct client k;

    client_init(&k);
    for (int i = 0; i < 3 * BW_STORE_VARIANTS; i++)
        hand(rig, &k, "http://a/1", i, false, BODY, bw_store_new_objid(rig->s));
    hurry(rig);
    client_wait(&k, 0, 3 * BW_STORE_VARIANTS, 0);
    for (int i = 3 * BW_STORE_VARIANTS; i < 6 * BW_STORE_VARIANTS; i++)
        store(rig, "http://a/1", i, false);
    assert_int_equal(figures(rig).objects, BW_STORE_VARIANTS + 1);
    for (int i = 0; i < 6 * BW_STORE_VARIANTS; i++)
        assert_int_equal(is_there(rig, "http://a/1", i, false), i >= 5 * BW_STORE_VARIANTS);
    rig_end(rig);
}

TEST(a_variant_that_is_stored_anew_pushes_nobody_out)
{
    struct rig *rig = rig_begin(64 << 20);

    for (int i = 0; i < BW_STORE_VARIANTS; i++)
        store(rig, "http://a/1", i, false);
    for (int i = 0; i < 4; i++)
        store(rig, "http://a/1", 5, false);
    for (int i = 0; i < BW_STORE_VARIANTS; i++)
        assert_true(is_there(rig, "http://a/1", i, false));
    store(rig, "http://a/1", BW_STORE_VARIANTS, false);
    assert_false(is_there(rig, "http://a/1", 0, false));
    assert_true(is_there(rig, "http://a/1", 5, false));
    rig_end(rig);
}

TEST(each_page_has_a_bound_of_its_own_and_ways_are_counted_apart)
{
    struct rig *rig = rig_begin(64 << 20);

    for (int i = 0; i < BW_STORE_VARIANTS; i++) {
        store(rig, "http://a/1", i, true);
        store(rig, "http://a/2", i, true);
    }
    for (int i = 0; i < BW_STORE_VARIANTS; i++)
        assert_true(is_there(rig, "http://a/1", i, false) && is_there(rig, "http://a/2", i, true));
    store(rig, "http://a/1", BW_STORE_VARIANTS, true);
    assert_false(is_there(rig, "http://a/1", 0, false));
    assert_false(is_there(rig, "http://a/1", 0, true));
    assert_true(is_there(rig, "http://a/2", 0, false));
    assert_int_equal(figures(rig).objects, 2 * (2 * BW_STORE_VARIANTS + 1));
    rig_end(rig);
}

TEST(the_bound_holds_after_a_restart)
{
    struct rig *rig = rig_begin(64 << 20);

    for (int i = 0; i < BW_STORE_VARIANTS + 2; i++)
        store(rig, "http://a/1", i, false);
    rig_shut(rig);
    assert_true(rig_open(rig));
    while (!bw_store_loaded(rig->s)) /* before that nobody knows what is out */
        hurry(rig);
    store(rig, "http://a/1", BW_STORE_VARIANTS + 2, false);
    for (int i = 0; i < BW_STORE_VARIANTS + 3; i++)
        assert_int_equal(is_there(rig, "http://a/1", i, false), i >= 3);
    rig_end(rig);
}

TEST(a_variant_that_is_being_sent_keeps_its_body_until_then)
{
    struct rig *rig = rig_begin(64 << 20);
    struct thing t = {.name = "x", .len = LARGE};
    uint64_t objid = bw_store_new_objid(rig->s);
    struct client k;

    client_init(&k);
    for (uint32_t i = 0; i < bw_entry_chunks(LARGE); i++)
        assert_int_equal(hand_chunk(rig, &k, &t, objid, i), BW_OK);
    hand(rig, &k, "http://a/1", 0, false, LARGE, objid);
    hurry(rig);
    client_wait(&k, 0, 1, 0);
    assert_int_equal(k.err, BW_OK);
    bw_pin(rig->pins[0], objid);
    for (int i = 1; i <= BW_STORE_VARIANTS; i++)
        store(rig, "http://a/1", i, false);
    assert_false(is_there(rig, "http://a/1", 0, false));
    assert_int_equal(check_body(rig, objid, LARGE), BW_OK);
    bw_unpin(rig->pins[0], objid);
    hurry(rig);
    bw_store_flush(rig->s);
    assert_int_not_equal(check_body(rig, objid, LARGE), BW_OK);
    rig_end(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(of_too_many_variants_the_oldest_goes),
        RUN(too_many_in_one_batch_are_made_up_for),
        RUN(a_variant_that_is_stored_anew_pushes_nobody_out),
        RUN(each_page_has_a_bound_of_its_own_and_ways_are_counted_apart),
        RUN(the_bound_holds_after_a_restart),
        RUN(a_variant_that_is_being_sent_keeps_its_body_until_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
