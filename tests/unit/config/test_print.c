/*
 * test_print.c - the full form of a configuration: every value, and where it came from.
 */
#include "load.h"

static const char written[] =
    "listen:\n"
    "  - \":8080\"\n"
    "  - {address: \"127.0.0.1:8443\", proxy_protocol: 10.0.0.0/8}\n"
    "workers: 2\n"
    "origin: [http://app:3000, {url: \"unix:/run/app.sock\", weight: 2}]\n"
    "cache:\n"
    "  max_object: 1GiB\n"
    "  memory: 64MiB\n"
    "  collapse: off\n"
    "admin: 127.0.0.1:9000\n"
    "log: {access: \"/var/log/${BW_TEST_LOG:-access} log\"}\n"
    "rules:\n"
    "  - name: pages\n"
    "    match:\n"
    "      path: [/a/*, \"*.html\"]\n"
    "      header: {x-a: [1, \"b c\"]}\n"
    "      cookie: session\n"
    "      not: {any: [{method: POST}, {host: a.example}]}\n"
    "    ttl: 10m\n"
    "    key: {query: {ignore: [a, \"*\"]}}\n"
    "  - ttl: {default: 1m, status: {404: 30s, 5xx: off}}\n"
    "    stale: off\n";

static const char printed[] =
    "listen:\n"
    "  - address: \":8080\"                                    # t.yaml:2\n"
    "    http2: auto                                         # default\n"
    "  - address: 127.0.0.1:8443                             # t.yaml:3\n"
    "    http2: auto                                         # default\n"
    "    proxy_protocol: [10.0.0.0/8]                        # t.yaml:3\n"
    "workers: 2                                              # t.yaml:4\n"
    "hosts: [any]                                            # default\n"
    "pools:\n"
    "  origin:\n"
    "    servers:\n"
    "      - url: http://app:3000                            # t.yaml:5\n"
    "        weight: 1                                       # default\n"
    "      - url: unix:/run/app.sock                         # t.yaml:5\n"
    "        weight: 2                                       # t.yaml:5\n"
    "    balance: random                                     # default\n"
    "    host: client                                        # default\n"
    "    tls:\n"
    "      mode: strict                                      # default\n"
    "      trust: [system]                                   # default\n"
    "      min_version: \"1.2\"                                # default\n"
    "    timeouts:\n"
    "      resolve: 5s                                       # default\n"
    "      connect: 19s                                      # default\n"
    "      tls: 15s                                          # default\n"
    "      first_byte: 120s                                  # default\n"
    "      between_bytes: 60s                                # default\n"
    "    connections:\n"
    "      per_server: 256                                   # default\n"
    "      idle: 64                                          # default\n"
    "      idle_for: 60s                                     # default\n"
    "      queue: 1000                                       # default\n"
    "      queue_for: 10s                                    # default\n"
    "    retry:\n"
    "      times: 1                                          # default\n"
    "      budget: 20%                                       # default\n"
    "cache:\n"
    "  directory: /var/cache/breakwater                      # default\n"
    "  size: 10GiB                                           # default\n"
    "  protect: requests                                     # default\n"
    "  durability: synced                                    # default\n"
    "  max_object: 1GiB                                      # t.yaml:7\n"
    "  memory: 64MiB                                         # t.yaml:8\n"
    "  collapse: off                                         # t.yaml:9\n"
    "  heuristic: on                                         # default\n"
    "  client_directives: ignore                             # default\n"
    "limits:\n"
    "  connections: 100000                                   # default\n"
    "  connections_per_address: 256                          # default\n"
    "  head: 64KiB                                           # default\n"
    "  headers: 100                                          # default\n"
    "  body: 1GiB                                            # default\n"
    "  head_timeout: 10s                                     # default\n"
    "  idle_timeout: 60s                                     # default\n"
    "  send_timeout: 30s                                     # default\n"
    "  body_timeout: 10s                                     # default\n"
    "  body_rate: 1KiB                                       # default\n"
    "  requests_per_connection: off                          # default\n"
    "  tunnel_timeout: 1h                                    # default\n"
    "  http2:\n"
    "    streams: 100                                        # default\n"
    "    requests: 64                                        # default\n"
    "    resets: 200                                         # default\n"
    "    control_frames: 1000                                # default\n"
    "    probation: 10s                                      # default\n"
    "  drain: 30s                                            # default\n"
    "admin:\n"
    "  listen: 127.0.0.1:9000                                # t.yaml:10\n"
    "log:\n"
    "  access:\n"
    "    to: \"/var/log/${BW_TEST_LOG:-access} log\"           # t.yaml:11, environment\n"
    "    format: json                                        # default\n"
    "  level: info                                           # default\n"
    "rules:\n"
    "  - name: pages                                         # t.yaml:13\n"
    "    match:\n"
    "      path: [\"/a/*\", \"*.html\"]                          # t.yaml:15\n"
    "      header:\n"
    "        - x-a: [1, \"b c\"]                               # t.yaml:16\n"
    "      cookie:\n"
    "        - session: [\"*\"]                                # t.yaml:17\n"
    "      not:\n"
    "        any:\n"
    "          - method: [POST]                              # t.yaml:18\n"
    "          - host: [a.example]                           # t.yaml:18\n"
    "    ttl:\n"
    "      fixed: 10m                                        # t.yaml:19\n"
    "    key:\n"
    "      query:\n"
    "        ignore: [a, \"*\"]                                # t.yaml:20\n"
    "  - ttl:\n"
    "      default: 1m                                       # t.yaml:21\n"
    "      status:\n"
    "        404: 30s                                        # t.yaml:21\n"
    "        5xx: off                                        # t.yaml:21\n"
    "    stale: off                                          # t.yaml:22\n";

static void assert_printed(const char *text, const char *expected)
{
    struct bw_conf *c = load(text);
    struct bw_buf out = {0};

    bw_conf_print(c, &out);
    bw_buf_char(&out, '\0');
    assert_string_equal(out.base, expected);
    bw_buf_free(&out);
    bw_conf_put(c);
}

TEST(short_forms_are_printed_in_full_with_their_places)
{
    assert_printed(written, printed);
}

/* The first line of the full form that begins with the text. */
static struct bw_slice find_line(const struct bw_buf *out, const char *start)
{
    struct bw_slice line, rest = bw_buf_view(out);

    while (rest.len > 0) {
        line = bw_slice_cut(rest, '\n', &rest);
        if (bw_slice_starts(line, bw_slice_str(start)))
            return line;
    }
    fail_msg("no line begins with %s", start);
    return rest;
}

static void print_without_places(const char *text, struct bw_buf *out)
{
    struct bw_conf *c = load(text);
    struct bw_buf full = {0};
    struct bw_slice rest, comment;

    bw_conf_print(c, &full);
    for (rest = bw_buf_view(&full); rest.len > 0;) {
        bw_buf_slice(out, bw_slice_cut(bw_slice_cut(rest, '\n', &rest), '#', &comment));
        bw_buf_char(out, '\n');
    }
    bw_buf_char(out, '\0');
    bw_buf_free(&full);
    bw_conf_put(c);
}

static void assert_same_when_loaded_again(const char *text)
{
    struct bw_buf once = {0}, twice = {0};

    print_without_places(text, &once);
    print_without_places(once.base, &twice);
    assert_string_equal(once.base, twice.base);
    bw_buf_free(&once);
    bw_buf_free(&twice);
}

TEST(what_is_printed_can_be_loaded_and_means_the_same)
{
    assert_same_when_loaded_again(written);
}

TEST(a_default_that_gave_way_is_printed_as_it_is_now)
{
    assert_same_when_loaded_again("pools: {a: {servers: http://a, connections: {per_server: 9}}}\n"
                                  "limits: {connections: 10}\n");
}

TEST(a_value_from_a_flag_names_the_flag_and_auto_what_it_came_to)
{
    const struct bw_conf_flags flags = {.workers = "5", .cache_size = "1GiB"};
    struct bw_diag said = {0};
    struct bw_conf *c = load_with("origin: http://app", &flags, &said);
    struct bw_buf out = {0};

    bw_conf_print(c, &out);
    assert_true(bw_slice_ends(find_line(&out, "workers: 5"), BW_S("  # --workers")));
    assert_true(bw_slice_ends(find_line(&out, "  size: 1GiB"), BW_S("  # --cache-size")));
    assert_true(
        bw_slice_ends(find_line(&out, "  max_object: auto"), BW_S("# default, here 256MiB")));
    bw_buf_free(&out);
    bw_conf_put(c);
    bw_diag_free(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(short_forms_are_printed_in_full_with_their_places),
        RUN(what_is_printed_can_be_loaded_and_means_the_same),
        RUN(a_default_that_gave_way_is_printed_as_it_is_now),
        RUN(a_value_from_a_flag_names_the_flag_and_auto_what_it_came_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
