/*
 * test_reference.c - the committed reference is what the schema says; run in the project's folder.
 */
#include "breakwater/config/reference.h"

#include "load.h"

static void assert_file(const char *name, void (*print)(struct bw_buf *out))
{
    struct bw_buf expected = {0}, found = {0};
    FILE *file = fopen(name, "r");
    char block[4096];
    size_t n;

    assert_non_null(file);
    while ((n = fread(block, 1, sizeof(block), file)) > 0)
        bw_buf_append(&found, block, n);
    fclose(file);
    print(&expected);
    bw_buf_char(&expected, '\0');
    bw_buf_char(&found, '\0');
    if (strcmp(expected.base, found.base) != 0)
        fail_msg("%s is not what the schema says; generate it again", name);
    bw_buf_free(&expected);
    bw_buf_free(&found);
}

TEST(the_committed_full_yaml_is_generated)
{
    assert_file("conf/full.yaml", bw_reference_full_yaml);
}

TEST(the_committed_page_is_generated)
{
    assert_file("docs/configuration.md", bw_reference_markdown);
}

static void print_conf(const char *text, struct bw_buf *out)
{
    struct bw_conf *c = load(text);
    struct bw_buf full = {0};
    struct bw_slice rest, line, place;

    bw_conf_print(c, &full);
    for (rest = bw_buf_view(&full); rest.len > 0;) {
        line = bw_slice_cut(bw_slice_cut(rest, '\n', &rest), '#', &place);
        bw_buf_slice(out, line);
        bw_buf_char(out, '\n');
    }
    bw_buf_char(out, '\0');
    bw_buf_free(&full);
    bw_conf_put(c);
}

TEST(full_yaml_says_what_holds_anyway)
{
    struct bw_buf text = {0}, full = {0}, bare = {0};

    bw_reference_full_yaml(&text);
    bw_buf_char(&text, '\0');
    print_conf(text.base, &full);
    print_conf("pools: {app: {servers: 'https://app.example.net:8443'}}\n", &bare);
    assert_string_equal(full.base, bare.base);
    bw_buf_free(&text);
    bw_buf_free(&full);
    bw_buf_free(&bare);
}

static void assert_loads(const char *name)
{
    struct bw_diag said = {0};
    struct bw_conf *c = bw_conf_load(&(struct bw_conf_flags){.file = name}, &said);

    assert_said(&said, "");
    assert_non_null(c);
    bw_conf_put(c);
    bw_diag_free(&said);
}

TEST(the_committed_examples_load)
{
    assert_loads("conf/breakwater.yaml");
    assert_loads("conf/full.yaml");
    assert_loads("conf/examples/rfc9111.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_committed_full_yaml_is_generated),
        RUN(the_committed_page_is_generated),
        RUN(full_yaml_says_what_holds_anyway),
        RUN(the_committed_examples_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
