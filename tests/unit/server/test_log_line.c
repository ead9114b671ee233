#include "../../../src/server/log_line_priv.h"
#include "unit.h"

#include <jansson.h>

#include <stdlib.h>

/* 2026-01-01T12:00:00.250Z */
static const struct bw_log_entry plain = {.time_ms = INT64_C(1767268800250),
                                          .client = "192.0.2.7",
                                          .method = {"GET", 3},
                                          .target = {"/news?a=1", 9},
                                          .host = {"edge.test", 9},
                                          .protocol = "HTTP/1.1",
                                          .status = 200,
                                          .bytes_sent = 1234,
                                          .outcome = BW_OUTCOME_MISS,
                                          .reason = BW_REASON_URI_MISS,
                                          .request_id = {"r1", 2},
                                          .duration_us = 1500,
                                          .origin_us = 1200,
                                          .pool = "app",
                                          .server = 1,
                                          .rule = "pages",
                                          .referer = {"http://x/", 9},
                                          .user_agent = {"curl/8", 6}};

static struct bw_slice write_line(enum bw_log_format format, const struct bw_log_entry *e)
{
    static char line[BW_LOG_LINE_MAX];
    static struct bw_log_date date;

    return bw_slice(line, bw_log_line(line, format, e, &date));
}

static json_t *parse(struct bw_slice line)
{
    json_error_t error;
    json_t *root;

    assert_true(line.len > 1 && line.base[line.len - 1] == '\n');
    root = json_loadb(line.base, line.len - 1, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (root == NULL)
        print_error("%s: %.*s\n", error.text, (int)line.len, line.base);
    assert_non_null(root);
    return root;
}

static const char *text_at(const json_t *root, const char *key)
{
    return json_string_value(json_object_get(root, key));
}

static void is_harmless(struct bw_slice line)
{
    for (size_t i = 0; i + 1 < line.len; i++)
        assert_in_range((unsigned char)line.base[i], 0x20, 0x7E);
}

static void equals(struct bw_slice line, const char *text)
{
    assert_int_equal(line.len, strlen(text));
    assert_memory_equal(line.base, text, line.len);
}

TEST(a_json_line_tells_the_whole_request)
{
    equals(write_line(BW_LOG_JSON, &plain),
           "{\"time\":\"2026-01-01T12:00:00.250Z\",\"client\":\"192.0.2.7\",\"method\":\"GET\","
           "\"host\":\"edge.test\",\"protocol\":\"HTTP/1.1\",\"tls\":false,\"status\":200,"
           "\"bytes\":1234,\"outcome\":\"miss\",\"reason\":\"uri-miss\",\"duration_us\":1500,"
           "\"origin_us\":1200,\"pool\":\"app\",\"server\":1,\"rule\":\"pages\",\"id\":\"r1\","
           "\"target\":\"/news?a=1\",\"referer\":\"http://x/\",\"user_agent\":\"curl/8\"}\n");
}

TEST(a_combined_line_is_what_other_tools_read)
{
    equals(write_line(BW_LOG_COMBINED, &plain),
           "192.0.2.7 - - [01/Jan/2026:12:00:00 +0000] \"GET /news?a=1 HTTP/1.1\" 200 1234 "
           "\"http://x/\" \"curl/8\"\n");
}

TEST(what_is_not_known_is_left_out)
{
    struct bw_log_entry e = {
        .status = 400, .outcome = BW_OUTCOME_REFUSED, .reason = BW_REASON_BAD_HEAD, .server = -1};

    equals(write_line(BW_LOG_JSON, &e),
           "{\"time\":\"1970-01-01T00:00:00.000Z\",\"tls\":false,\"status\":400,\"bytes\":0,"
           "\"outcome\":\"refused\",\"reason\":\"bad-head\",\"duration_us\":0}\n");
    equals(write_line(BW_LOG_COMBINED, &e),
           "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\"\n");
}

TEST(no_byte_of_a_peer_can_end_a_field_or_a_line)
{
    struct bw_log_entry e = plain;
    char every[256];
    json_t *root;
    struct bw_slice line;

    for (int i = 0; i < 256; i++)
        every[i] = (char)i;
    e.target = e.user_agent = e.host = e.method = bw_slice(every, sizeof(every));
    line = write_line(BW_LOG_JSON, &e);
    is_harmless(line);
    root = parse(line);
    assert_int_equal(json_string_length(json_object_get(root, "user_agent")),
                     128 + 2 * 128); /* as UTF-8 of the first 256 code points */
    json_decref(root);
    line = write_line(BW_LOG_COMBINED, &e);
    is_harmless(line);
    assert_null(memmem(line.base, line.len, "\\\"", 2));
}

TEST(a_quote_cannot_forge_a_field)
{
    struct bw_log_entry e = plain;
    json_t *root;

    e.user_agent = BW_S("x\",\"status\":500,\"a\":\"\\");
    root = parse(write_line(BW_LOG_JSON, &e));
    assert_int_equal(json_integer_value(json_object_get(root, "status")), 200);
    assert_string_equal(text_at(root, "user_agent"), "x\",\"status\":500,\"a\":\"\\");
    json_decref(root);
    e.user_agent = BW_S("a\"b\\c");
    assert_non_null(memmem(write_line(BW_LOG_COMBINED, &e).base, 300, "\"a\\x22b\\x5cc\"\n", 13));
}

/* Long fields of each kind of byte, together and alone, in both forms. */
TEST(a_line_never_exceeds_its_limit_and_stays_whole)
{
    static const char bytes[] = {'a', '"', '\n', (char)0xFF};
    static char field[70000];
    struct bw_slice line;

    for (size_t b = 0; b < sizeof(bytes); b++) {
        memset(field, bytes[b], sizeof(field));
        for (unsigned which = 1; which < 128; which++) {
            struct bw_log_entry e = plain;
            struct bw_slice *fields[] = {&e.target, &e.referer, &e.user_agent,
                                         &e.host,   &e.method,  &e.request_id};

            for (size_t i = 0; i < BW_ARRAY_LEN(fields); i++)
                if (which & (1U << i))
                    *fields[i] = bw_slice(field, sizeof(field) - i);
            line = write_line(BW_LOG_JSON, &e);
            assert_true(line.len <= BW_LOG_LINE_MAX);
            json_decref(parse(line));
            line = write_line(BW_LOG_COMBINED, &e);
            assert_true(line.len <= BW_LOG_LINE_MAX && line.base[line.len - 2] == '"');
        }
    }
}

TEST(what_was_cut_says_so_and_the_rest_is_used_well)
{
    static char target[8000];
    struct bw_log_entry e = plain;
    json_t *root;

    memset(target, 'a', sizeof(target));
    e.target = bw_slice(target, sizeof(target));
    e.user_agent = bw_slice(target, 2000);
    root = parse(write_line(BW_LOG_JSON, &e));
    assert_true(json_is_true(json_object_get(root, "cut")));
    assert_true(json_string_length(json_object_get(root, "target")) > 2000);
    assert_true(json_string_length(json_object_get(root, "user_agent")) > 500);
    json_decref(root);
}

TEST(the_date_follows_the_clock_and_the_format)
{
    struct bw_log_entry e = plain;
    json_t *root;

    (void)write_line(BW_LOG_COMBINED, &e);
    e.time_ms += 1000;
    root = parse(write_line(BW_LOG_JSON, &e));
    assert_string_equal(text_at(root, "time"), "2026-01-01T12:00:01.250Z");
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_json_line_tells_the_whole_request),
        RUN(a_combined_line_is_what_other_tools_read),
        RUN(what_is_not_known_is_left_out),
        RUN(no_byte_of_a_peer_can_end_a_field_or_a_line),
        RUN(a_quote_cannot_forge_a_field),
        RUN(a_line_never_exceeds_its_limit_and_stays_whole),
        RUN(what_was_cut_says_so_and_the_rest_is_used_well),
        RUN(the_date_follows_the_clock_and_the_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
