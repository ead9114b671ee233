/*
 * test_lookup.c - the row that every hit walks, with an index and records that need not agree.
 */
#include "breakwater/base/clock.h"
#include "breakwater/cache/lookup.h"

#include "cache/fake_store.h"
#include "http/fields.h"

struct rig {
    struct bw_budget budget;
    struct bw_pins *pins;
    struct bw_store *store;
    struct bw_lookup_tools tools;
    struct test_fields fields;
    struct bw_settings settings;
    struct bw_policy_request policy;
    char memory[256];
    struct bw_key key;
    struct bw_lookup l;
    void *blocks[64]; /* what the lookup asked for */
    size_t blocks_n;
};

static void *give(void *ctx, size_t n)
{
    struct rig *r = ctx;

    BW_ASSERT(r->blocks_n < BW_ARRAY_LEN(r->blocks));
    return r->blocks[r->blocks_n++] = bw_alloc(n);
}

static struct rig *begin(const char *text)
{
    struct rig *r = bw_zalloc(sizeof(*r));
    const struct bw_key_settings plain = {0};
    struct bw_key_request rq = {.authority = BW_S("example.net"), .path = BW_S("/a")};

    r->pins = bw_zalloc(sizeof(*r->pins));
    r->store = world_store_open(&r->budget, &r->pins, 1);
    r->tools = (struct bw_lookup_tools){
        .store = r->store, .reader = world_reader_new(r->store), .pins = r->pins};
    r->settings = (struct bw_settings){.ttl_fixed_s = BW_TTL_UNSET,
                                       .ttl_default_s = BW_TTL_UNSET,
                                       .ttl_max_s = BW_TTL_UNSET,
                                       .stale_revalidating_s = BW_TTL_UNSET,
                                       .stale_on_error_s = BW_TTL_UNSET};
    r->policy = (struct bw_policy_request){BW_S("GET"), fields(&r->fields, text), &r->settings};
    rq.fields = &r->fields.list;
    bw_key_make(&rq, &plain, bw_store_secret(r->store), r->memory, &r->key);
    r->l = (struct bw_lookup){.key = &r->key,
                              .policy = &r->policy,
                              .now_ms = bw_clock_ms(),
                              .alloc = give,
                              .alloc_ctx = r};
    return r;
}

static void end(struct rig *r)
{
    bw_lookup_put(&r->tools, &r->l);
    for (size_t i = 0; i < BW_PINS_SLOTS; i++)
        assert_int_equal(r->pins->slot[i], 0);
    for (size_t i = 0; i < r->blocks_n; i++)
        free(r->blocks[i]);
    bw_buf_free(&r->tools.scratch);
    world_reader_free(r->tools.reader);
    world_store_close(r->store);
    free(r->pins);
    free(r);
}

static enum bw_lookup_answer look(struct rig *r)
{
    return bw_lookup(&r->tools, &r->l);
}

static struct bw_entry response(struct bw_slice key, uint64_t objid, uint64_t body_len)
{
    struct bw_entry e = {.objid = objid,
                         .body_len = body_len,
                         .key = key,
                         .terms = {.asked_ms = bw_clock_ms(),
                                   .answered_ms = bw_clock_ms(),
                                   .date_s = bw_clock_s(),
                                   .lifetime_s = 60,
                                   .status = 200}};

    if (body_len <= BW_ENTRY_INLINE_MAX)
        e.inline_body = bw_slice("abcdef", (size_t)body_len);
    return e;
}

/* Both in the index and in LMDB, or `indexed` only there. */
static void store(struct rig *r, const struct bw_key *key, const struct bw_entry *e,
                  uint64_t indexed)
{
    struct bw_buf b = {0};

    bw_entry_encode(e, &b);
    fake_put(r->store, &key->hash, &e->primary, bw_buf_view(&b), e->objid, false);
    fake_need(r->store, &key->hash)->indexed = indexed;
    bw_buf_free(&b);
}

TEST(a_fresh_record_is_found_and_a_body_in_chunks_is_pinned_until_put)
{
    struct rig *r = begin("");
    struct bw_entry e = response(r->key.bytes, 7, 100000);

    store(r, &r->key, &e, 7);
    assert_int_equal(look(r), BW_LOOKUP_FOUND);
    assert_int_equal(r->l.usable.use, BW_USE_FRESH);
    assert_int_equal(r->l.entry.objid, 7);
    assert_true(bw_pinned(r->pins, 7));
    bw_lookup_put(&r->tools, &r->l);
    bw_lookup_put(&r->tools, &r->l);
    assert_false(bw_pinned(r->pins, 7));
    end(r);
}

TEST(a_body_in_the_record_needs_no_pin)
{
    struct rig *r = begin("");
    struct bw_entry e = response(r->key.bytes, 7, 6);

    store(r, &r->key, &e, 7);
    assert_int_equal(look(r), BW_LOOKUP_FOUND);
    assert_false(r->l.pinned);
    assert_text(r->l.entry.inline_body, "abcdef");
    end(r);
}

TEST(nothing_stored_is_a_miss)
{
    struct rig *r = begin("");

    assert_int_equal(look(r), BW_LOOKUP_MISS);
    assert_int_equal(r->l.reason, BW_REASON_URI_MISS);
    assert_int_equal(r->l.dangling, 0);
    end(r);
}

TEST(an_entry_without_a_record_is_remembered_as_dangling)
{
    struct rig *r = begin("");

    fake_need(r->store, &r->key.hash)->indexed = 9;
    assert_int_equal(look(r), BW_LOOKUP_MISS);
    assert_int_equal(r->l.dangling, 9);
    end(r);
}

TEST(a_record_under_the_same_hash_with_another_key_is_a_miss)
{
    struct rig *r = begin("");
    struct bw_entry e = response(BW_S("something else"), 7, 6);

    store(r, &r->key, &e, 7);
    assert_int_equal(look(r), BW_LOOKUP_MISS);
    assert_int_equal(r->l.dangling, 7);
    end(r);
}

TEST(a_newer_record_than_the_index_names_counts_unless_it_has_to_be_pinned)
{
    struct rig *r = begin("");
    struct bw_entry small = response(r->key.bytes, 8, 6), large = response(r->key.bytes, 9, 100000);

    store(r, &r->key, &small, 7);
    assert_int_equal(look(r), BW_LOOKUP_FOUND);
    assert_int_equal(r->l.entry.objid, 8);
    store(r, &r->key, &large, 7);
    assert_int_equal(look(r), BW_LOOKUP_MISS);
    assert_int_equal(r->l.dangling, 7); /* or the look under the lock would send us back for ever */
    end(r);
}

TEST(a_damaged_record_is_dropped)
{
    struct rig *r = begin("");
    struct bw_entry e = response(r->key.bytes, 7, 6);

    store(r, &r->key, &e, 7);
    fake_find(r->store, &r->key.hash)->bytes[20] ^= 1;
    assert_int_equal(look(r), BW_LOOKUP_MISS);
    assert_null(fake_find(r->store, &r->key.hash));
    end(r);
}

/* ---- variants ---- */

static void store_base(struct rig *r)
{
    struct bw_entry base = {.kind = BW_ENTRY_VARY,
                            .objid = 3,
                            .key = r->key.bytes,
                            .vary = BW_S("x-lang"),
                            .vary_id = 3};

    store(r, &r->key, &base, 3);
}

TEST(a_base_record_leads_to_the_variant_of_the_request)
{
    struct rig *r = begin("x-lang: de");
    struct bw_entry e;

    store_base(r);
    assert_int_equal(look(r), BW_LOOKUP_MISS);
    assert_int_equal(r->l.reason, BW_REASON_VARY_MISS);
    assert_true(r->l.varies);
    assert_int_equal(r->l.vary_id, 3);
    assert_text(r->l.vary_names, "x-lang");
    e = response(r->l.variant.bytes, 4, 6);
    store(r, &r->l.variant, &e, 4);
    assert_int_equal(look(r), BW_LOOKUP_FOUND);
    assert_int_equal(r->l.entry.objid, 4);
    fields(&r->fields, "x-lang: en");
    assert_int_equal(look(r), BW_LOOKUP_MISS);
    assert_int_equal(r->l.reason, BW_REASON_VARY_MISS);
    end(r);
}

/* A variant that was asked for as `text` and is in German, and the record that leads to it. */
static void store_german(struct rig *r, const char *text, struct bw_entry *e)
{
    const struct bw_hash_secret *secret = bw_store_secret(r->store);
    struct bw_slice names = BW_S("accept-language");
    struct bw_entry base = {
        .kind = BW_ENTRY_VARY, .objid = 3, .key = r->key.bytes, .vary = names, .vary_id = 3};
    struct bw_entry way = {.kind = BW_ENTRY_LANGUAGE, .objid = 5, .inline_body = BW_S("")};
    struct bw_key variant, german;
    struct bw_buf values = {0};
    struct test_fields f;

    fields(&f, text);
    bw_vary_values(names, &f.list, &r->tools.codings, &values);
    bw_key_variant(&r->key, 3, bw_buf_view(&values), secret, give(r, 256), &variant);
    values.len = 0;
    assert_true(bw_vary_values_in(names, &f.list, &r->tools.codings, BW_S("de"), &values));
    bw_key_variant(&r->key, 3, bw_buf_view(&values), secret, give(r, 256), &german);
    bw_buf_free(&values);
    e->key = way.vary = variant.bytes;
    way.key = german.bytes;
    store(r, &r->key, &base, 3);
    store(r, &variant, e, e->objid);
    store(r, &german, &way, 5);
}

TEST(the_language_that_is_wanted_most_leads_to_a_variant)
{
    struct rig *r = begin("accept-language: fr;q=0.5, de;q=1.0");
    struct bw_entry e = response(BW_S(""), 4, 100000);

    store_german(r, "accept-language: en, de", &e);
    assert_int_equal(look(r), BW_LOOKUP_FOUND);
    assert_int_equal(r->l.entry.objid, 4);
    assert_true(bw_slice_eq(r->l.variant.bytes, e.key));
    assert_true(bw_pinned(r->pins, 4));
    bw_lookup_put(&r->tools, &r->l);
    fields(&r->fields, "accept-language: fr, de");
    assert_int_equal(look(r), BW_LOOKUP_MISS);
    fields(&r->fields, "accept-language: de-AT, de;q=0.9");
    assert_int_equal(look(r), BW_LOOKUP_MISS);
    end(r);
}

TEST(a_variant_in_the_right_language_has_to_be_fresh)
{
    struct rig *r = begin("accept-language: de");
    struct bw_entry e = response(BW_S(""), 4, 6);

    e.terms.swr_s = 600;
    store_german(r, "accept-language: en, de", &e);
    r->l.now_ms += 100000;
    assert_int_equal(look(r), BW_LOOKUP_MISS);
    assert_int_equal(r->l.reason, BW_REASON_VARY_MISS);
    assert_int_equal(r->l.dangling, 0);
    assert_false(bw_slice_eq(r->l.variant.bytes, e.key)); /* what is fetched now is its own */
    end(r);
}

/* ---- terms ---- */

TEST(what_is_stored_is_judged_by_its_terms)
{
    struct rig *r = begin("authorization: secret");
    struct bw_entry e = response(r->key.bytes, 7, 6);

    store(r, &r->key, &e, 7);
    assert_int_equal(look(r), BW_LOOKUP_FOUND);
    assert_int_equal(r->l.usable.use, BW_USE_NEVER);
    fields(&r->fields, "");
    r->l.now_ms += 100000;
    assert_int_equal(look(r), BW_LOOKUP_FOUND);
    assert_int_equal(r->l.usable.use, BW_USE_REVALIDATE);
    end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_fresh_record_is_found_and_a_body_in_chunks_is_pinned_until_put),
        RUN(a_body_in_the_record_needs_no_pin),
        RUN(nothing_stored_is_a_miss),
        RUN(an_entry_without_a_record_is_remembered_as_dangling),
        RUN(a_record_under_the_same_hash_with_another_key_is_a_miss),
        RUN(a_newer_record_than_the_index_names_counts_unless_it_has_to_be_pinned),
        RUN(a_damaged_record_is_dropped),
        RUN(a_base_record_leads_to_the_variant_of_the_request),
        RUN(the_language_that_is_wanted_most_leads_to_a_variant),
        RUN(a_variant_in_the_right_language_has_to_be_fresh),
        RUN(what_is_stored_is_judged_by_its_terms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
