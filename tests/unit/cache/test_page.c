/*
 * Pages made by hand, byte by byte.
 */
#include "breakwater/cache/page.h"

#include "unit.h"

static char page[BW_PAGE_SIZE];

static void set16(size_t at, unsigned value)
{
    uint16_t x = (uint16_t)value;

    memcpy(page + at, &x, sizeof(x));
}

static void set64(size_t at, uint64_t value)
{
    memcpy(page + at, &value, sizeof(value));
}

static void begin(unsigned flags)
{
    memset(page, 0, sizeof(page));
    set64(0, 7);
    set16(10, flags);
    set16(12, 16);
    set16(14, BW_PAGE_SIZE);
}

static unsigned get16(size_t at)
{
    uint16_t x;

    memcpy(&x, page + at, sizeof(x));
    return x;
}

/* As LMDB does: the node below the others, its offset behind the others. */
static size_t add(const char *key, unsigned low, unsigned flags, const char *value, size_t len)
{
    size_t size = 8 + strlen(key) + len, at = get16(14) - (size + size % 2);

    set16(get16(12), (unsigned)at);
    set16(12, get16(12) + 2);
    set16(14, (unsigned)at);
    set16(at, low);
    set16(at + 4, flags);
    set16(at + 6, (unsigned)strlen(key));
    memcpy(page + at + 8, key, strlen(key));
    if (len > 0)
        memcpy(page + at + 8 + strlen(key), value, len);
    return at;
}

static bool read_it(struct bw_page *p)
{
    return bw_page_read(bw_slice(page, sizeof(page)), 7, p);
}

static void make_leaf(void)
{
    const char number[8] = {9};

    begin(2);
    add("alpha", 5, 0, "value", 5);
    add("beta", 10000 & 0xffff, 1, number, 8);
}

TEST(a_leaf_has_values_and_values_on_pages_of_their_own)
{
    struct bw_page p;

    make_leaf();
    assert_true(read_it(&p));
    assert_int_equal(p.n, 2);
    struct bw_node a = bw_page_node(&p, 0), b = bw_page_node(&p, 1);
    assert_int_equal(a.kind, BW_NODE_INLINE);
    assert_true(bw_slice_eq(a.key, BW_S("alpha")));
    assert_true(bw_slice_eq(a.value, BW_S("value")));
    assert_int_equal(b.kind, BW_NODE_BIG);
    assert_int_equal(b.page, 9);
    assert_int_equal(b.size, 10000);
    assert_int_equal(bw_page_count(b.size), 3);
}

TEST(a_branch_has_children)
{
    struct bw_page p;

    begin(1);
    add("", 11, 0, NULL, 0);
    add("m", 12, 1, NULL, 0);
    assert_true(read_it(&p));
    assert_int_equal(bw_page_node(&p, 0).page, 11);
    assert_int_equal(bw_page_node(&p, 1).page, UINT64_C(1) << 32 | 12);
    assert_true(bw_slice_eq(bw_page_node(&p, 1).key, BW_S("m")));
}

TEST(a_page_of_duplicates_has_keys_of_one_size)
{
    struct bw_page p;

    begin(2 | 0x20);
    set16(8, 16);
    set16(12, 16 + 2 * 3);
    set16(14, BW_PAGE_SIZE - 3 * 14);
    assert_true(read_it(&p));
    assert_int_equal(p.kind, BW_PAGE_KEYS);
    assert_int_equal(bw_page_node(&p, 2).key.len, 16);
    set16(8, 2000);
    assert_false(read_it(&p));
}

static bool is_refused_with(size_t at, unsigned value)
{
    struct bw_page p;

    make_leaf();
    set16(at, value);
    return !read_it(&p);
}

TEST(what_does_not_fit_is_refused)
{
    make_leaf();
    size_t first = get16(16), second = get16(18);

    assert_true(is_refused_with(0, 8));                 /* another page */
    assert_true(is_refused_with(10, 0));                /* of no kind */
    assert_true(is_refused_with(10, 8));                /* a page in front */
    assert_true(is_refused_with(12, 16));               /* without nodes */
    assert_true(is_refused_with(12, 21));               /* half an offset */
    assert_true(is_refused_with(12, 4000));             /* offsets among the nodes */
    assert_true(is_refused_with(14, 5000));             /* nodes beyond the end */
    assert_true(is_refused_with(14, get16(14) - 2));    /* a gap */
    assert_true(is_refused_with(16, 20));               /* a node among the offsets */
    assert_true(is_refused_with(16, BW_PAGE_SIZE - 2)); /* a head beyond the end */
    assert_true(is_refused_with(16, (unsigned)second)); /* the same one twice */
    assert_true(is_refused_with(first, 4000));          /* a value beyond the end */
    assert_true(is_refused_with(first + 6, 4000));      /* a key beyond the end */
    assert_true(is_refused_with(first + 4, 8));         /* a node of no kind */
    assert_true(is_refused_with(second + 4, 3));        /* big, and a tree */
}

TEST(the_head_of_a_big_value_says_how_many_pages_it_has)
{
    char head[BW_PAGE_HEAD];

    bw_page_write_big(head, 9, 10000);
    assert_int_equal(bw_page_read_big(head, 9, 10000), 3);
    assert_int_equal(bw_page_read_big(head, 9, 100), 3);
    assert_int_equal(bw_page_read_big(head, 9, 20000), 0);
    assert_int_equal(bw_page_read_big(head, 8, 10000), 0);
    head[10] = 2;
    assert_int_equal(bw_page_read_big(head, 9, 10000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_leaf_has_values_and_values_on_pages_of_their_own), RUN(a_branch_has_children),
        RUN(a_page_of_duplicates_has_keys_of_one_size),          RUN(what_does_not_fit_is_refused),
        RUN(the_head_of_a_big_value_says_how_many_pages_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
