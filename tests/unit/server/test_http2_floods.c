/* What a client may not do, though HTTP/2 allows it: floods, and what becomes of who floods. */
#include "http2_client.h"

/* ---- floods ---- */

/* What the connection is closed for, all of it before the client has sent that many. */
static void is_a_flood(enum bw_counter which)
{
    is_told_off(NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(counted(which), 1);
}

struct kind {
    uint8_t type, flags;
    uint32_t id;
    const char *payload;
    size_t size;
};

/* So many frames of the kind are taken from a client that had one answer; so many are not. */
static void floods_with(struct kind k, int honest, int flood)
{
    open_client();
    still_serves();
    for (int n = 0; n < flood && !stand->closed; n++) {
        assert_true(n != honest || !client.gone);
        frame(k.type, k.flags, k.id, k.payload, k.size);
        client_turn();
    }
    is_a_flood(BW_C_HTTP2_CONTROL_FLOOD);
}

TEST(a_flood_of_pings_is_ended)
{
    floods_with((struct kind){NGHTTP2_PING, 0, 0, "12345678", 8}, 80, 300);
}

TEST(a_flood_of_answers_to_pings_is_ended)
{
    floods_with((struct kind){NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8}, 80, 300);
}

TEST(a_flood_of_small_windows_is_ended)
{
    floods_with((struct kind){NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4}, 900, 3000);
}

TEST(a_flood_of_priorities_is_ended)
{
    floods_with((struct kind){NGHTTP2_PRIORITY, 0, 1, "\0\0\0\3\1", 5}, 900, 3000);
}

TEST(a_flood_of_updates_of_priorities_is_ended)
{
    floods_with((struct kind){NGHTTP2_PRIORITY_UPDATE, 0, 0, "\0\0\0\1u=1", 7}, 900, 3000);
}

TEST(a_flood_of_frames_that_nobody_knows_is_ended)
{
    floods_with((struct kind){0xbe, 0, 7, "unknown", 7}, 80, 300);
}

TEST(a_flood_of_empty_frames_that_nobody_knows_is_ended)
{
    floods_with((struct kind){0x0b, 0, 0, "", 0}, 80, 300);
}

TEST(a_few_frames_that_nobody_knows_are_passed_over)
{
    open_client();
    for (uint8_t type = NGHTTP2_PRIORITY_UPDATE + 1; type < 40; type++)
        frame(type, 0xff, type, "unknown", 7);
    still_serves();
    assert_int_equal(counted(BW_C_HTTP2_CONTROL_FLOOD), 0);
}

TEST(a_flood_of_settings_is_ended)
{
    open_client();
    still_serves();
    for (int n = 0; n < 60 && !stand->closed; n++) {
        assert_true(n != 15 || !client.gone);
        say_settings((uint32_t)(1000 + n));
        client_turn();
    }
    is_a_flood(BW_C_HTTP2_CONTROL_FLOOD);
}

TEST(a_flood_of_empty_data_is_ended)
{
    struct h2_stream *s;

    open_client();
    s = open_upload("/sink", 1);
    WAIT_FOR(seen.body_bytes == 1);
    for (int i = 0; i < 120 && !stand->closed; i++) {
        frame(NGHTTP2_DATA, 0, (uint32_t)s->id, "", 0);
        client_turn();
    }
    is_a_flood(BW_C_HTTP2_CONTROL_FLOOD);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.ends, 1);
}

TEST(the_account_of_control_frames_fills_with_requests)
{
    open_client();
    for (int i = 0; i < 150; i++) {
        nghttp2_submit_ping(client.session, NGHTTP2_FLAG_NONE, NULL);
        still_serves();
    }
    assert_int_equal(counted(BW_C_HTTP2_CONTROL_FLOOD), 0);
}

TEST(a_flood_of_resets_is_ended)
{
    open_client();
    for (int i = 0; i < 150 && !stand->closed; i++) {
        struct h2_stream *s = get("/late");

        client_turn();
        reset(s);
    }
    is_a_flood(BW_C_HTTP2_RESET_FLOOD);
    assert_int_equal(seen.done, seen.started);
    assert_in_range(seen.started, 90, 110);
}

TEST(a_flood_of_resets_that_we_are_provoked_to_is_ended)
{
    open_client();
    for (int i = 0; i < 150 && !stand->closed; i++) {
        struct h2_stream *s = upload_with("/late", 3, "content-length", "2");

        WAIT_FOR(s->closed || stand->closed);
    }
    is_a_flood(BW_C_HTTP2_RESET_FLOOD);
}

TEST(a_malformed_request_costs_one_reset)
{
    nghttp2_nv nv[] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":authority", "a"),
                       NV(":path", "/"), NV("connection", "close")};

    stand->conf.limits.http2.resets = 20;
    open_client();
    for (int i = 0; i < 10; i++)
        is_reset(begin_request(nv, 5, false), NGHTTP2_PROTOCOL_ERROR);
    still_serves();
    assert_int_equal(counted(BW_C_HTTP2_RESET_FLOOD), 0);
}

TEST(resets_among_requests_that_end_well_are_no_flood)
{
    open_client();
    for (int i = 0; i < 120; i++) {
        struct h2_stream *s = get("/late");

        client_turn();
        reset(s);
        still_serves();
        still_serves();
    }
    assert_int_equal(counted(BW_C_HTTP2_RESET_FLOOD), 0);
}

TEST(far_too_many_fields_end_the_connection)
{
    static nghttp2_nv nv[1200] = {{0}};

    nv[0] = NV(":method", "GET");
    nv[1] = NV(":scheme", "http");
    nv[2] = NV(":authority", "a");
    nv[3] = NV(":path", "/");
    for (size_t i = 4; i < 1200; i++)
        nv[i] = NV("x", "y");
    open_client();
    (void)begin_request(nv, 1200, false);
    is_a_flood(BW_C_HTTP2_HEAD_FLOOD);
    assert_int_equal(seen.started, 0);
    assert_int_equal(seen.refused, 0);
}

TEST(what_is_no_http2_at_all_ends_the_connection)
{
    open_client();
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2, "\x82", 1);
    is_told_off(NGHTTP2_PROTOCOL_ERROR);
}

/* ---- what was read together ---- */

enum { MANY = 3000 };

/* Some 42 KiB that ask for nothing. */
static void priorities(void)
{
    static char bytes[14 * MANY];
    static const char one[14] = {0, 0, 5, NGHTTP2_PRIORITY, 0, 0, 0, 0, 7, 0, 0, 0, 3, 1};

    for (int i = 0; i < MANY; i++)
        memcpy(bytes + sizeof(one) * (size_t)i, one, sizeof(one));
    say_bytes(bytes, sizeof(bytes));
}

TEST(a_client_that_sends_much_does_not_hold_up_the_others)
{
    struct h2_stream *s;

    stand->conf.limits.http2.control_frames = 1000000;
    open_client();
    still_serves();
    priorities();
    s = get("/late");
    client_says();
    bw_loop_run(stand->loop, 0);
    assert_int_equal(seen.started, 1);
    WAIT_FOR(seen.started == 2);
    answer(seen.x, 200, "late");
    is_answered(s, 200, "late");
}

TEST(a_request_waits_for_all_that_came_with_it)
{
    struct h2_stream *s;

    stand->conf.limits.http2.control_frames = 1000000;
    open_client();
    still_serves();
    s = get("/late");
    client_says();
    priorities();
    reset(s);
    client_says();
    WAIT_FOR(s->closed);
    still_serves();
    assert_int_equal(seen.started, 2);
}

TEST(a_request_that_provokes_its_reset_is_not_begun)
{
    struct h2_stream *s[10];

    open_client();
    still_serves();
    for (int i = 0; i < 10; i++) {
        s[i] = get("/late");
        frame(NGHTTP2_WINDOW_UPDATE, 0, (uint32_t)s[i]->id, "\x7f\xff\xff\xff", 4);
    }
    for (int i = 0; i < 10; i++)
        is_reset(s[i], NGHTTP2_FLOW_CONTROL_ERROR);
    still_serves();
    assert_int_equal(seen.started, 2);
}

/* ---- probation ---- */

static void has_an_address(void)
{
    static const uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1};

    memcpy(stand->address, address, sizeof(address));
    stand->conf.limits.http2.probation_ms = 60000;
}

static void open_next(void)
{
    nghttp2_session_del(client.session);
    memset(&client, 0, sizeof(client));
    client.takes = true;
    stand->closed = false;
    forget();
    open_client();
}

static void flood_resets(void)
{
    for (int i = 0; i < 150 && !stand->closed; i++) {
        struct h2_stream *s = get("/late");

        client_turn();
        reset(s);
    }
    WAIT_FOR(stand->closed);
}

TEST(the_next_connection_of_a_flooder_has_small_accounts_and_ends_without_a_word)
{
    int started;

    has_an_address();
    open_client();
    flood_resets();
    is_a_flood(BW_C_HTTP2_RESET_FLOOD);
    started = seen.started;
    open_next();
    flood_resets();
    assert_in_range(seen.started - started, 1, 10);
    assert_false(client.gone);
    assert_int_equal(counted(BW_C_HTTP2_PROBATION), 1);
    assert_int_equal(counted(BW_C_HTTP2_RESET_FLOOD), 2);
    assert_int_equal(seen.done, seen.started);
    assert_true(h2o_linklist_is_empty(&stand->w.conns));
}

TEST(a_flooder_is_served_as_long_as_it_asks_like_others)
{
    has_an_address();
    open_client();
    flood_resets();
    hangs_up();
    open_next();
    for (uint32_t id = 3; id < 13; id += 2)
        frame(NGHTTP2_PRIORITY, 0, id, "\0\0\0\0\1", 5);
    for (int i = 0; i < 50; i++)
        still_serves();
    reset(get("/late"));
    still_serves();
    assert_int_equal(counted(BW_C_HTTP2_PROBATION), 1);
}

TEST(a_large_head_on_probation_ends_the_connection)
{
    static nghttp2_nv nv[110] = {{0}};
    struct h2_stream *s;

    nv[0] = NV(":method", "GET");
    nv[1] = NV(":scheme", "http");
    nv[2] = NV(":authority", "a");
    nv[3] = NV(":path", "/");
    for (size_t i = 4; i < 110; i++)
        nv[i] = NV("x", "y");
    has_an_address();
    open_client();
    s = begin_request(nv, 110, false);
    WAIT_FOR(s->closed);
    assert_int_equal(s->status, 431);
    flood_resets();
    hangs_up();
    open_next();
    (void)begin_request(nv, 110, false);
    WAIT_FOR(stand->closed);
    assert_int_equal(counted(BW_C_HTTP2_HEAD_FLOOD), 1);
}

TEST(a_flood_behind_a_trusted_proxy_is_not_held_against_its_other_clients)
{
    struct bw_network all = {.bits = 0};

    has_an_address();
    stand->conf.trusted_proxies = &all;
    stand->conf.trusted_proxies_n = 1;
    open_client();
    flood_resets();
    hangs_up();
    open_next();
    still_serves();
    assert_int_equal(counted(BW_C_HTTP2_PROBATION), 0);
}

TEST(probation_leaves_enough_to_begin_with_however_small_the_accounts_are)
{
    has_an_address();
    stand->conf.limits.http2.control_frames = 100;
    stand->conf.limits.http2.resets = 10;
    open_client();
    flood_resets();
    hangs_up();
    open_next();
    still_serves();
    reset(get("/late"));
    still_serves();
    assert_int_equal(counted(BW_C_HTTP2_PROBATION), 1);
}

TEST(a_flood_is_not_held_against_a_trusted_proxy_in_the_same_network)
{
    struct bw_network proxy = {.address = {0xfd, [15] = 1}, .bits = 128};

    has_an_address();
    stand->conf.trusted_proxies = &proxy;
    stand->conf.trusted_proxies_n = 1;
    memcpy(stand->address, (uint8_t[16]){0xfd, [15] = 2}, sizeof(stand->address));
    open_client();
    flood_resets();
    hangs_up();
    memcpy(stand->address, proxy.address, sizeof(stand->address));
    open_next();
    still_serves();
    assert_int_equal(counted(BW_C_HTTP2_PROBATION), 0);
}

TEST(a_flood_from_the_same_machine_is_not_held_against_a_unix_socket)
{
    has_an_address();
    memcpy(stand->address, (uint8_t[16]){[15] = 1}, sizeof(stand->address));
    open_client();
    flood_resets();
    hangs_up();
    memset(stand->address, 0, sizeof(stand->address));
    open_next();
    still_serves();
    assert_int_equal(counted(BW_C_HTTP2_PROBATION), 0);
}

TEST(a_client_that_is_cut_on_probation_does_not_prolong_it)
{
    int64_t end;

    has_an_address();
    stand->conf.limits.http2.probation_ms = 500;
    open_client();
    flood_resets();
    end = bw_clock_mono_us() + 510000;
    hangs_up();
    open_next();
    for (int64_t late = end - 250000; bw_clock_mono_us() < late;)
        client_turn();
    flood_resets();
    assert_int_equal(counted(BW_C_HTTP2_RESET_FLOOD), 2);
    while (bw_clock_mono_us() < end)
        bw_loop_run(stand->loop, 5);
    open_next();
    still_serves();
    assert_int_equal(counted(BW_C_HTTP2_PROBATION), 1);
}

TEST(without_probation_the_next_connection_has_full_accounts)
{
    has_an_address();
    stand->conf.limits.http2.probation_ms = 0;
    open_client();
    flood_resets();
    hangs_up();
    open_next();
    still_serves();
    assert_int_equal(counted(BW_C_HTTP2_PROBATION), 0);
}

/* ---- behind the end ---- */

TEST(who_sends_on_behind_an_error_is_cut)
{
    open_client();
    still_serves();
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2, "\x82", 1);
    WAIT_FOR(stand->closed);
    assert_int_equal(client.goaway_code, NGHTTP2_PROTOCOL_ERROR);
    assert_false(h2o_linklist_is_empty(&stand->w.conns));
    for (int i = 0; i < 100 && !h2o_linklist_is_empty(&stand->w.conns); i++) {
        (void)!send(stand->fd, filler, 4096, MSG_NOSIGNAL);
        bw_loop_run(stand->loop, 0);
    }
    assert_true(h2o_linklist_is_empty(&stand->w.conns));
}

TEST(who_sends_on_behind_a_goodbye_is_heard_out)
{
    stand->conf.limits.idle_timeout_ms = 20;
    open_client();
    still_serves();
    WAIT_FOR(stand->closed);
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(send(stand->fd, filler, 4096, MSG_NOSIGNAL), 4096);
        bw_loop_run(stand->loop, 0);
    }
    assert_false(h2o_linklist_is_empty(&stand->w.conns));
    hangs_up();
}

#define RUN_HERE(name) cmocka_unit_test_setup_teardown(name, h2_stand_up, h2_stand_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(a_flood_of_pings_is_ended),
        RUN_HERE(a_flood_of_answers_to_pings_is_ended),
        RUN_HERE(a_flood_of_small_windows_is_ended),
        RUN_HERE(a_flood_of_priorities_is_ended),
        RUN_HERE(a_flood_of_updates_of_priorities_is_ended),
        RUN_HERE(a_flood_of_frames_that_nobody_knows_is_ended),
        RUN_HERE(a_flood_of_empty_frames_that_nobody_knows_is_ended),
        RUN_HERE(a_few_frames_that_nobody_knows_are_passed_over),
        RUN_HERE(a_flood_of_settings_is_ended),
        RUN_HERE(a_flood_of_empty_data_is_ended),
        RUN_HERE(the_account_of_control_frames_fills_with_requests),
        RUN_HERE(a_flood_of_resets_is_ended),
        RUN_HERE(a_flood_of_resets_that_we_are_provoked_to_is_ended),
        RUN_HERE(a_malformed_request_costs_one_reset),
        RUN_HERE(resets_among_requests_that_end_well_are_no_flood),
        RUN_HERE(far_too_many_fields_end_the_connection),
        RUN_HERE(what_is_no_http2_at_all_ends_the_connection),
        RUN_HERE(the_next_connection_of_a_flooder_has_small_accounts_and_ends_without_a_word),
        RUN_HERE(a_flooder_is_served_as_long_as_it_asks_like_others),
        RUN_HERE(a_large_head_on_probation_ends_the_connection),
        RUN_HERE(a_flood_behind_a_trusted_proxy_is_not_held_against_its_other_clients),
        RUN_HERE(probation_leaves_enough_to_begin_with_however_small_the_accounts_are),
        RUN_HERE(a_flood_is_not_held_against_a_trusted_proxy_in_the_same_network),
        RUN_HERE(a_flood_from_the_same_machine_is_not_held_against_a_unix_socket),
        RUN_HERE(a_client_that_is_cut_on_probation_does_not_prolong_it),
        RUN_HERE(without_probation_the_next_connection_has_full_accounts),
        RUN_HERE(a_client_that_sends_much_does_not_hold_up_the_others),
        RUN_HERE(a_request_waits_for_all_that_came_with_it),
        RUN_HERE(a_request_that_provokes_its_reset_is_not_begun),
        RUN_HERE(who_sends_on_behind_an_error_is_cut),
        RUN_HERE(who_sends_on_behind_a_goodbye_is_heard_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
