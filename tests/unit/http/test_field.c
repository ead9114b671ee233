/*
 * test_field.c - names, lists of fields and lists inside of fields.
 */
#include "breakwater/http/field.h"

#include "unit.h"

static struct bw_field field(const char *name, const char *value)
{
    struct bw_slice n = bw_slice_str(name);

    return (struct bw_field){n, bw_slice_str(value), bw_field_lookup(n)};
}

TEST(every_known_name_leads_to_its_id)
{
    for (int id = BW_F_OTHER + 1; id < BW_F_COUNT; ++id) {
        struct bw_slice name = bw_field_name((enum bw_field_id)id);
        assert_true(name.len > 0);
        assert_int_equal(bw_field_lookup(name), id);
    }
}

TEST(known_names_are_in_order_and_in_lower_case)
{
    for (int id = BW_F_OTHER + 2; id < BW_F_COUNT; ++id) {
        const char *before = bw_field_name((enum bw_field_id)(id - 1)).base;
        const char *name = bw_field_name((enum bw_field_id)id).base;
        assert_true(strcmp(before, name) < 0);
        assert_null(strpbrk(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"));
    }
}

TEST(a_name_that_is_nearly_known_is_another)
{
    static const struct bw_slice rows[] = {
        BW_S(""),       BW_S("x"),    BW_S("hosts"),
        BW_S("hoSt"),   BW_S("hast"), BW_S("content_length"),
        BW_S("hos\0"),  BW_S("Host"), BW_S("access-control-allow-origins"),
        BW_S("xx-foo"), BW_S("vart"), BW_S("content-lengtg"),
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i)
        assert_int_equal(bw_field_lookup(rows[i]), BW_F_OTHER);
}

TEST(no_byte_changed_in_a_known_name_is_known_as_that_name)
{
    for (int id = BW_F_OTHER + 1; id < BW_F_COUNT; ++id) {
        struct bw_slice name = bw_field_name((enum bw_field_id)id);
        char changed[64];

        memcpy(changed, name.base, name.len);
        for (size_t i = 0; i < name.len; ++i) {
            changed[i] = '~';
            assert_int_equal(bw_field_lookup(bw_slice(changed, name.len)), BW_F_OTHER);
            changed[i] = name.base[i];
        }
    }
}

TEST(fields_are_found_in_the_order_they_came)
{
    struct bw_field v[] = {field("vary", "a"), field("x-one", "1"), field("date", "d"),
                           field("vary", "b"), field("x-two", "2"), field("x-one", "3")};
    struct bw_fields f = {v, BW_ARRAY_LEN(v)};

    assert_ptr_equal(bw_fields_find(&f, BW_F_VARY), &v[0]);
    assert_ptr_equal(bw_fields_next(&f, &v[0]), &v[3]);
    assert_null(bw_fields_next(&f, &v[3]));
    assert_null(bw_fields_find(&f, BW_F_AGE));
    assert_int_equal(bw_fields_count(&f, BW_F_VARY), 2);
    assert_int_equal(bw_fields_count(&f, BW_F_AGE), 0);
    assert_ptr_equal(bw_fields_next(&f, &v[1]), &v[5]);
    assert_null(bw_fields_next(&f, &v[4]));
}

TEST(a_field_is_found_by_name_whether_it_is_known_or_not)
{
    struct bw_field v[] = {field("x-one", "1"), field("date", "d"), field("x-two", "2")};
    struct bw_fields f = {v, BW_ARRAY_LEN(v)};
    struct bw_fields none = {NULL, 0};

    assert_ptr_equal(bw_fields_find_name(&f, BW_S("x-two")), &v[2]);
    assert_ptr_equal(bw_fields_find_name(&f, BW_S("date")), &v[1]);
    assert_null(bw_fields_find_name(&f, BW_S("x-three")));
    assert_null(bw_fields_find_name(&f, BW_S("age")));
    assert_null(bw_fields_find_name(&none, BW_S("age")));
}

TEST(a_list_is_split_at_commas_outside_quotes)
{
    static const struct {
        const char *values[3];
        const char *members; /* joined with '|' */
    } rows[] = {
        {{"a, b ,c"}, "a|b|c|"},
        {{"a", "b, c", "d"}, "a|b|c|d|"},
        {{",, a ,\t,", "", " , "}, "a|"},
        {{"a;q=\"x,y\", b"}, "a;q=\"x,y\"|b|"},
        {{"\"x\\\",y\", z"}, "\"x\\\",y\"|z|"},
        {{"\"open, a", "b"}, "\"open, a|b|"}, /* quotes end with their field at the latest */
        {{"\"x\\"}, "\"x\\|"},
        {{"a\\, b"}, "a\\|b|"}, /* no escape outside quotes */
        {{NULL}, ""},
    };

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        struct bw_field v[6];
        struct bw_fields f = {v, 0};
        struct bw_list_iter it = {0};
        struct bw_slice member;
        char got[64] = "";

        for (size_t k = 0; k < 3 && rows[i].values[k] != NULL; ++k) {
            v[f.n++] = field("vary", rows[i].values[k]);
            v[f.n++] = field("date", "not, this");
        }
        while (bw_list_next(&f, BW_F_VARY, &it, &member)) {
            strncat(got, member.base, member.len);
            strcat(got, "|");
        }
        assert_string_equal(got, rows[i].members);
        assert_false(bw_list_next(&f, BW_F_VARY, &it, &member));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(every_known_name_leads_to_its_id),
        RUN(known_names_are_in_order_and_in_lower_case),
        RUN(a_name_that_is_nearly_known_is_another),
        RUN(no_byte_changed_in_a_known_name_is_known_as_that_name),
        RUN(fields_are_found_in_the_order_they_came),
        RUN(a_field_is_found_by_name_whether_it_is_known_or_not),
        RUN(a_list_is_split_at_commas_outside_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
