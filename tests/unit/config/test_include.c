/*
 * test_include.c - a configuration in several files, in a folder of its own.
 */
#include "load.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/breakwater-include-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Loads main.yaml; what is said is compared without the folder's name. */
static struct bw_conf *load_main(const char *expected)
{
    struct bw_diag said = {0};
    struct bw_buf text = {0};
    char path[128];
    struct bw_conf *c;

    snprintf(path, sizeof(path), "%s/main.yaml", folder);
    c = bw_conf_load(&(struct bw_conf_flags){.file = path}, &said);
    for (size_t i = 0; i < said.text.len; i++) {
        if (strncmp(said.text.base + i, folder, strlen(folder)) == 0)
            i += strlen(folder) + 1;
        bw_buf_char(&text, said.text.base[i]);
    }
    bw_buf_char(&text, '\0');
    assert_string_equal(text.base, expected);
    assert_true((c == NULL) == (said.errors > 0));
    bw_buf_free(&text);
    bw_diag_free(&said);
    return c;
}

static int make_folder(void **state)
{
    char path[128];

    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/conf.d", folder);
    return mkdir(path, 0700);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TEST(included_files_append_to_lists_and_add_keys)
{
    struct bw_conf *c;

    write_file("conf.d/a.yaml", "rules: [{name: a, match: {path: /a}, ttl: 1m}]\n"
                                "cache: {size: 1GiB}\n");
    write_file("conf.d/b.yaml", "rules: {name: b, match: {path: /b}, ttl: 1m}\n"
                                "pools: {b: {servers: http://b}}\n"
                                "origin: http://d\n");
    write_file("main.yaml", "origin: http://app\n"
                            "pools: {a: {servers: http://a}}\n"
                            "cache: {protect: bytes}\n"
                            "rules: [{name: main, match: {path: /m}, ttl: 1m}]\n"
                            "include: conf.d/*.yaml\n");
    c = load_main("");
    assert_int_equal(bw_rules_count(c->rules), 3);
    assert_string_equal(bw_rules_name(c->rules, 0), "main");
    assert_string_equal(bw_rules_name(c->rules, 2), "b");
    assert_int_equal(c->pools_n, 3);
    assert_int_equal(c->pools[2].servers_n, 2);
    assert_int_equal(c->cache.protect, BW_PROTECT_BYTES);
    assert_int_equal(c->cache.size, 1 << 30);
    bw_conf_put(c);
}

TEST(setting_one_thing_in_two_files_is_an_error_that_names_both)
{
    write_file("more.yaml", "cache:\n  size: 2GiB\n");
    write_file("main.yaml", "include: more.yaml\norigin: http://app\ncache: {size: 1GiB}\n");
    assert_null(load_main("more.yaml:2:3: error: cache.size: is set twice, first in main.yaml:3; "
                          "keep one\n"));
}

TEST(servers_of_one_pool_in_two_files_are_one_list)
{
    struct bw_conf *c;

    write_file("more.yaml", "pools: {a: {servers: [http://b, http://c]}}\n");
    write_file("main.yaml", "include: [more.yaml]\npools: {a: {servers: http://a}}\n");
    c = load_main("");
    assert_int_equal(c->pools[0].servers_n, 3);
    assert_string_equal(c->pools[0].servers[2].host, "c");
    bw_conf_put(c);
}

TEST(a_file_that_is_missing_is_an_error_a_pattern_without_files_is_not)
{
    write_file("main.yaml", "origin: http://app\ninclude: none/*.yaml\n");
    bw_conf_put(load_main(""));
    write_file("main.yaml", "origin: http://app\ninclude: none.yaml\n");
    assert_null(load_main("main.yaml:2:10: error: include: none.yaml cannot be read (No such file "
                          "or directory); name a YAML file\n"));
    write_file("main.yaml", "origin: http://app\ninclude: {a: b}\n");
    assert_null(load_main("main.yaml:2:10: error: include: takes files; write such as "
                          "conf.d/*.yaml\n"));
}

TEST(files_that_include_each_other_are_refused)
{
    write_file("more.yaml", "include: main.yaml\n");
    write_file("main.yaml", "include: more.yaml\n");
    assert_null(load_main("main.yaml:1:10: error: include: includes too deep or too much; is it a "
                          "circle?\n"));
}

TEST(relative_names_count_from_the_folder_of_their_file)
{
    char expected[128];
    struct bw_conf *c;

    write_file("conf.d/ca.pem", "");
    write_file("conf.d/a.yaml", "pools: {a: {servers: https://a, tls: {trust: ca.pem}}}\n");
    write_file("conf.d/b.yaml", "cache: {directory: store}\n");
    write_file("main.yaml", "include: conf.d/*.yaml\nlog: {access: access.log}\n");
    c = load_main("");
    snprintf(expected, sizeof(expected), "%s/conf.d/ca.pem", folder);
    assert_string_equal(c->pools[0].tls.trust[0], expected);
    snprintf(expected, sizeof(expected), "%s/conf.d/store", folder);
    assert_string_equal(c->cache.directory, expected);
    snprintf(expected, sizeof(expected), "%s/access.log", folder);
    assert_string_equal(c->log.access_to, expected);
    bw_conf_put(c);
}

TEST(an_error_in_an_included_file_has_its_place_there)
{
    write_file("more.yaml", "cache:\n  size: 1\n");
    write_file("main.yaml", "origin: http://app\ninclude: more.yaml\nwork: 1\n");
    assert_null(
        load_main("main.yaml:3:1: error: work: unknown key; known here are listen, workers, hosts, "
                  "trusted_proxies, origin, pools, cache, limits, admin, log, rules\n"
                  "more.yaml:2:9: error: cache.size: \"1\" has no unit; write it with B, "
                  "KiB, MiB, GiB or TiB, such as 64KiB\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(included_files_append_to_lists_and_add_keys),
        RUN(setting_one_thing_in_two_files_is_an_error_that_names_both),
        RUN(servers_of_one_pool_in_two_files_are_one_list),
        RUN(a_file_that_is_missing_is_an_error_a_pattern_without_files_is_not),
        RUN(files_that_include_each_other_are_refused),
        RUN(relative_names_count_from_the_folder_of_their_file),
        RUN(an_error_in_an_included_file_has_its_place_there),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
