/*
 * test_accept.c - weights as RFC 9110, 12.4.2, writes them, and as they are met.
 */
#include "breakwater/http/accept.h"

#include "fields.h"

static const struct {
    const char *member, *value;
    int q;
} members[] = {
    {"gzip", "gzip", 1000},
    {"gzip;q=1", "gzip", 1000},
    {"gzip; q=0.5", "gzip", 500},
    {"gzip ;Q=0.001", "gzip", 1},
    {"gzip;q=0", "gzip", 0},
    {"gzip;q=0.000", "gzip", 0},
    {"gzip;q=1.000", "gzip", 1000},
    {"gzip;q=0.", "gzip", 0},
    {"gzip;q=1.001", "gzip", 0}, /* malformed: not offered */
    {"gzip;q=0.1234", "gzip", 0},
    {"gzip;q=", "gzip", 0},
    {"gzip;q=-1", "gzip", 0},
    {"gzip;q=.5", "gzip", 0},
    {"gzip;q=05", "gzip", 0},
    {"text/html;level=1;q=0.4", "text/html", 400},
    {"*", "*", 1000},
};

TEST(a_member_has_its_weight)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(members); i++) {
        struct bw_field v[] = {
            {BW_S("accept"), bw_slice_str(members[i].member), BW_F_ACCEPT},
        };
        struct bw_fields list = {v, 1};
        struct bw_list_iter it = {0};
        struct bw_accept member;

        assert_true(bw_accept_next(&list, BW_F_ACCEPT, &it, &member));
        assert_text(member.value, members[i].value);
        if (member.q != members[i].q)
            fail_msg("%s has weight %d", members[i].member, member.q);
        assert_false(bw_accept_next(&list, BW_F_ACCEPT, &it, &member));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_member_has_its_weight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
