/* What an HTTP/2 client wants first, and when it says so. */
#include "http2_client.h"

#define SAYS(bytes) frame(NGHTTP2_PRIORITY_UPDATE, 0, 0, (bytes), sizeof(bytes) - 1)

/* Of two large bodies, asked for in one go: is the first one whole before the second? */
static bool the_first_is_first(void)
{
    struct h2_stream *first = get("/big"), *second = get("/big");
    bool was;

    WAIT_FOR(first->closed || second->closed);
    was = first->closed && !second->closed;
    assert_true(first->closed != second->closed);
    WAIT_FOR(first->closed && second->closed);
    return was;
}

TEST(bodies_come_in_the_order_in_which_they_were_asked_for)
{
    open_client();
    still_serves();
    assert_true(the_first_is_first());
}

TEST(a_priority_holds_that_was_said_before_the_request)
{
    open_client();
    still_serves();
    SAYS("\0\0\0\3i, u=7, x=9");
    assert_false(the_first_is_first());
}

TEST(the_last_word_before_the_request_counts)
{
    open_client();
    still_serves();
    SAYS("\0\0\0\3u=7");
    SAYS("\0\0\0\3u=2");
    assert_true(the_first_is_first());
}

TEST(a_priority_holds_that_is_said_behind_the_request)
{
    struct h2_stream *first, *second;

    open_client();
    first = get("/big");
    second = get("/big");
    SAYS("\0\0\0\1u=7");
    WAIT_FOR(second->closed);
    assert_false(first->closed);
    WAIT_FOR(first->closed);
}

TEST(what_cannot_be_read_or_is_out_of_bounds_means_nothing)
{
    open_client();
    still_serves();
    SAYS("\0\0\0\3u=7,");
    SAYS("\0\0\0\3u=8");
    SAYS("\0\0\0\3");
    SAYS("\0\0\0\3u=7, x=\"a word that is longer than all that a priority may have to say\"");
    assert_true(the_first_is_first());
}

/* libnghttp2 1.52 keeps such a stream on its list of idle ones, and frees it all the same. */
TEST(any_number_of_requests_may_have_their_priority_before_they_come)
{
    open_client();
    for (unsigned id = 1; id < 300; id += 2) {
        char said[] = {0, 0, (char)(id >> 8), (char)id, 'u', '=', '1'};

        frame(NGHTTP2_PRIORITY_UPDATE, 0, 0, said, sizeof(said));
        still_serves();
    }
}

TEST(a_priority_of_what_is_over_or_never_comes_is_passed_over)
{
    open_client();
    still_serves();
    SAYS("\0\0\0\1u=1");
    SAYS("\0\0\0\2u=1");
    for (unsigned char id = 101; id < 201; id++) {
        char said[] = {0, 0, 0, (char)id, 'u', '=', '1'};

        frame(NGHTTP2_PRIORITY_UPDATE, 0, 0, said, sizeof(said));
    }
    still_serves();
}

TEST(a_priority_of_nothing_ends_the_connection)
{
    open_client();
    SAYS("\0\0\0\0u=1");
    is_told_off(NGHTTP2_PROTOCOL_ERROR);
}

TEST(a_priority_on_a_stream_ends_the_connection)
{
    open_client();
    frame(NGHTTP2_PRIORITY_UPDATE, 0, 1, "\0\0\0\1u=1", 7);
    is_told_off(NGHTTP2_PROTOCOL_ERROR);
}

TEST(a_priority_that_is_too_short_ends_the_connection)
{
    open_client();
    SAYS("\0\0\0");
    is_told_off(NGHTTP2_FRAME_SIZE_ERROR);
}

#define RUN_HERE(test) cmocka_unit_test_setup_teardown(test, h2_stand_up, h2_stand_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_HERE(bodies_come_in_the_order_in_which_they_were_asked_for),
        RUN_HERE(a_priority_holds_that_was_said_before_the_request),
        RUN_HERE(the_last_word_before_the_request_counts),
        RUN_HERE(a_priority_holds_that_is_said_behind_the_request),
        RUN_HERE(what_cannot_be_read_or_is_out_of_bounds_means_nothing),
        RUN_HERE(any_number_of_requests_may_have_their_priority_before_they_come),
        RUN_HERE(a_priority_of_what_is_over_or_never_comes_is_passed_over),
        RUN_HERE(a_priority_of_nothing_ends_the_connection),
        RUN_HERE(a_priority_on_a_stream_ends_the_connection),
        RUN_HERE(a_priority_that_is_too_short_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
