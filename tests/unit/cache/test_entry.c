#include "breakwater/cache/entry.h"

#include "unit.h"

static struct bw_field fields[3];

static struct bw_entry sample(void)
{
    fields[0] = (struct bw_field){BW_S("content-type"), BW_S("text/html"), BW_F_CONTENT_TYPE};
    fields[1] = (struct bw_field){BW_S("etag"), BW_S("\"v1\""), BW_F_ETAG};
    fields[2] = (struct bw_field){BW_S("x-empty"), BW_S(""), BW_F_OTHER};
    return (struct bw_entry){
        .kind = BW_ENTRY_RESPONSE,
        .objid = 0x123456789abc,
        .body_len = 5,
        .key = BW_S("GET https://a/b"),
        .primary = {{1, 2, 3}},
        .terms = {.asked_ms = -1,
                  .answered_ms = 2,
                  .date_s = 3,
                  .age_s = 4,
                  .lifetime_s = 5,
                  .swr_s = 6,
                  .sie_s = -1,
                  .flags = BW_TERMS_VALIDATOR,
                  .status = 203},
        .reason = BW_S("Non-Authoritative"),
        .fields = {fields, 3},
        .inline_body = BW_S("hello"),
        .fetch_ms = 77,
        .frequency_log2 = 3,
    };
}

static bool decode(struct bw_slice bytes, bool verify, struct bw_entry *out)
{
    static struct bw_field room[BW_ENTRY_FIELDS_MAX];

    return bw_entry_decode(bytes, room, BW_ENTRY_FIELDS_MAX, verify, out);
}

TEST(what_was_encoded_is_decoded)
{
    struct bw_entry in = sample(), out;
    struct bw_buf buf = {0};

    bw_entry_encode(&in, &buf);
    assert_true(decode(bw_buf_view(&buf), true, &out));
    assert_int_equal(out.kind, in.kind);
    assert_int_equal(out.objid, in.objid);
    assert_int_equal(out.body_len, 5);
    assert_true(bw_slice_eq(out.key, in.key));
    assert_true(bw_slice_eq(out.reason, in.reason));
    assert_true(bw_slice_eq(out.inline_body, in.inline_body));
    assert_true(bw_hash_eq(&out.primary, &in.primary));
    assert_memory_equal(&out.terms, &in.terms, sizeof(in.terms));
    assert_int_equal(out.fetch_ms, 77);
    assert_int_equal(out.frequency_log2, 3);
    assert_int_equal(out.fields.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(bw_slice_eq(out.fields.v[i].name, fields[i].name));
        assert_true(bw_slice_eq(out.fields.v[i].value, fields[i].value));
        assert_int_equal(out.fields.v[i].id, fields[i].id);
    }
    assert_int_equal(bw_entry_fields_in(bw_buf_view(&buf)), 3);
    assert_int_equal(bw_entry_objid_in(bw_buf_view(&buf)), in.objid);
    bw_buf_free(&buf);
}

TEST(an_empty_body_is_not_a_body_in_chunks)
{
    struct bw_entry in = sample(), out;
    struct bw_buf buf = {0};

    in.body_len = 0;
    in.inline_body = BW_S("");
    bw_entry_encode(&in, &buf);
    assert_true(decode(bw_buf_view(&buf), true, &out));
    assert_non_null(out.inline_body.base);

    bw_buf_clear(&buf);
    in.body_len = 100000;
    in.inline_body = bw_slice(NULL, 0);
    bw_entry_encode(&in, &buf);
    assert_true(decode(bw_buf_view(&buf), true, &out));
    assert_null(out.inline_body.base);
    bw_buf_free(&buf);
}

TEST(a_base_record_keeps_names_and_vary_id)
{
    struct bw_entry in = {.kind = BW_ENTRY_VARY,
                          .objid = 9,
                          .key = BW_S("k"),
                          .vary = BW_S("accept-encoding,accept-language"),
                          .vary_id = 9};
    struct bw_entry out;
    struct bw_buf buf = {0};

    bw_entry_encode(&in, &buf);
    assert_true(decode(bw_buf_view(&buf), true, &out));
    assert_int_equal(out.kind, BW_ENTRY_VARY);
    assert_int_equal(out.vary_id, 9);
    assert_true(bw_slice_eq(out.vary, in.vary));
    bw_buf_free(&buf);
}

TEST(any_changed_byte_is_noticed)
{
    struct bw_entry in = sample(), out;
    struct bw_buf buf = {0};

    bw_entry_encode(&in, &buf);
    for (size_t i = 0; i < buf.len; i++) {
        buf.base[i] = (char)(buf.base[i] ^ 0x10);
        assert_false(decode(bw_buf_view(&buf), true, &out));
        (void)decode(bw_buf_view(&buf), false, &out);
        buf.base[i] = (char)(buf.base[i] ^ 0x10);
    }
    assert_true(decode(bw_buf_view(&buf), true, &out));
    bw_buf_free(&buf);
}

TEST(any_cut_is_noticed)
{
    struct bw_entry in = sample(), out;
    struct bw_buf buf = {0};

    bw_entry_encode(&in, &buf);
    for (size_t n = 0; n < buf.len; n++)
        assert_false(decode(bw_slice(buf.base, n), false, &out));
    bw_buf_free(&buf);
}

/* A later program may know other names: then ids in the record mean nothing to it. */
TEST(a_record_of_a_program_with_other_names_is_read_by_name)
{
    enum { NAMES_AT = 124 };
    struct bw_entry in = sample(), out;
    struct bw_buf buf = {0};

    bw_entry_encode(&in, &buf);
    buf.base[NAMES_AT] = (char)(buf.base[NAMES_AT] ^ 0x40);
    assert_false(decode(bw_buf_view(&buf), true, &out));
    assert_true(decode(bw_buf_view(&buf), false, &out));
    assert_int_equal(out.fields.v[0].id, BW_F_CONTENT_TYPE);
    assert_int_equal(out.fields.v[2].id, BW_F_OTHER);
    bw_buf_free(&buf);
}

TEST(a_patched_record_is_sound)
{
    struct bw_entry in = sample(), out;
    struct bw_buf buf = {0};

    bw_entry_encode(&in, &buf);
    assert_true(bw_entry_patch(buf.base, buf.len, BW_TERMS_PURGED_SOFT, 6));
    assert_true(decode(bw_buf_view(&buf), true, &out));
    assert_int_equal(out.terms.flags, BW_TERMS_VALIDATOR | BW_TERMS_PURGED_SOFT);
    assert_int_equal(out.frequency_log2, 6);
    assert_false(bw_entry_patch(buf.base, buf.len - 1, 0, 0));
    bw_buf_free(&buf);
}

TEST(a_length_that_no_body_can_have_is_damage_even_without_a_checksum)
{
    struct bw_buf buf = {0};
    struct bw_entry e = sample(), out;

    e.inline_body = bw_slice(NULL, 0);
    e.body_len = (uint64_t)BW_ENTRY_CHUNKS_MAX * 65512;
    bw_entry_encode(&e, &buf);
    assert_true(decode(bw_buf_view(&buf), false, &out));
    bw_buf_clear(&buf);
    e.body_len++;
    bw_entry_encode(&e, &buf);
    assert_false(decode(bw_buf_view(&buf), false, &out));
    bw_buf_free(&buf);
}

TEST(bodies_above_two_kibibytes_lie_in_chunks)
{
    assert_int_equal(bw_entry_chunks(0), 0);
    assert_int_equal(bw_entry_chunks(2048), 0);
    assert_int_equal(bw_entry_chunks(2049), 1);
    assert_int_equal(bw_entry_chunks(65512), 1);
    assert_int_equal(bw_entry_chunks(65513), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(what_was_encoded_is_decoded),
        RUN(an_empty_body_is_not_a_body_in_chunks),
        RUN(a_base_record_keeps_names_and_vary_id),
        RUN(any_changed_byte_is_noticed),
        RUN(any_cut_is_noticed),
        RUN(a_record_of_a_program_with_other_names_is_read_by_name),
        RUN(a_patched_record_is_sound),
        RUN(a_length_that_no_body_can_have_is_damage_even_without_a_checksum),
        RUN(bodies_above_two_kibibytes_lie_in_chunks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
