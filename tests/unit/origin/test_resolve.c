/*
 * test_resolve.c - names to addresses, against a DNS server of our own in the same thread.
 */
#include "breakwater/base/clock.h"
#include "breakwater/origin/resolve.h"

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

/* Answers A questions with `four` and AAAA questions with `six`, or with an error, or not at all.
 */
struct dns {
    int fd;
    char address[32];
    const char *four[4], *six; /* NULL-terminated; none: an empty answer */
    uint32_t ttl;
    uint8_t error; /* 3: no such name */
    bool silent;
    unsigned asked; /* A questions */
};

static void dns_open(struct dns *d)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);

    memset(d, 0, sizeof(*d));
    d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(d->fd, (struct sockaddr *)(void *)&sin, sizeof(sin)), 0);
    assert_int_equal(getsockname(d->fd, (struct sockaddr *)(void *)&sin, &len), 0);
    (void)snprintf(d->address, sizeof(d->address), "127.0.0.1:%u", ntohs(sin.sin_port));
    d->ttl = 60;
}

static size_t add_record(const struct dns *d, uint8_t *to, int family, const char *address)
{
    uint8_t head[] = {0xC0, 12, 0, family == AF_INET ? 1 : 28, 0, 1, 0, 0, 0, 0, 0, 0};
    uint32_t ttl = htonl(d->ttl);
    size_t len = family == AF_INET ? 4 : 16;

    memcpy(head + 6, &ttl, sizeof(ttl));
    head[11] = (uint8_t)len;
    memcpy(to, head, sizeof(head));
    assert_int_equal(inet_pton(family, address, to + sizeof(head)), 1);
    return sizeof(head) + len;
}

static size_t add_answers(struct dns *d, uint8_t *packet, size_t n, uint16_t type)
{
    size_t at = n;

    if (type == 1) {
        for (size_t i = 0; d->four[i] != NULL; ++i, ++packet[7])
            at += add_record(d, packet + at, AF_INET, d->four[i]);
    } else if (type == 28 && d->six != NULL) {
        at += add_record(d, packet + at, AF_INET6, d->six);
        ++packet[7];
    }
    return at;
}

static void dns_step(struct dns *d)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    uint8_t packet[1024];
    ssize_t n;

    while ((n = recvfrom(d->fd, packet, 512, 0, (struct sockaddr *)(void *)&from, &len)) > 12) {
        size_t end = 12;
        uint16_t type;

        while (packet[end] != 0)
            end += packet[end] + 1U;
        type = (uint16_t)(packet[end + 1] << 8 | packet[end + 2]);
        end += 5;
        d->asked += type == 1 ? 1 : 0;
        if (d->silent)
            continue;
        packet[2] = 0x84; /* an answer, authoritative */
        packet[3] = d->error;
        memset(packet + 6, 0, 6);
        if (d->error == 0)
            end = add_answers(d, packet, end, type);
        (void)sendto(d->fd, packet, end, 0, (struct sockaddr *)(void *)&from, len);
    }
}

/* ---- the stage ---- */

struct stage {
    struct bw_loop *loop;
    struct dns dns;
    struct bw_resolver *resolver;
    struct bw_name *name;
};

static void stage_open(struct stage *s, const char *host)
{
    s->loop = bw_loop_new();
    dns_open(&s->dns);
    s->resolver = bw_resolver_new(s->loop, s->dns.address);
    s->name = bw_name_new(s->resolver, host, 8080);
}

static void stage_close(struct stage *s)
{
    bw_name_free(s->name);
    bw_resolver_free(s->resolver);
    bw_loop_run(s->loop, 0);
    bw_loop_free(s->loop);
    close(s->dns.fd);
}

struct asker {
    struct bw_name_waiter waiter;
    unsigned answers;
    bool found;
};

static void note_answer(struct bw_name_waiter *w, bool found)
{
    struct asker *a = BW_CONTAINER_OF(w, struct asker, waiter);

    ++a->answers;
    a->found = found;
}

static enum bw_name_answer ask(struct stage *s, struct asker *a)
{
    *a = (struct asker){.waiter.answered = note_answer};
    return bw_name_lookup(s->name, &a->waiter);
}

static void play(struct stage *s, const unsigned *until_set)
{
    int64_t until = bw_clock_mono_us() + 5000000;

    while (*until_set == 0 && bw_clock_mono_us() < until) {
        bw_loop_run(s->loop, 1);
        dns_step(&s->dns);
    }
    assert_int_not_equal(*until_set, 0);
}

/* Looks it up to the end. */
static bool look_up(struct stage *s)
{
    struct asker a;

    switch (ask(s, &a)) {
    case BW_NAME_READY:
        return true;
    case BW_NAME_FAILED:
        return false;
    case BW_NAME_WAIT:
        play(s, &a.answers);
        assert_int_equal(a.answers, 1);
        return a.found;
    }
    return false;
}

static const char *text_of(const struct bw_address *a)
{
    static char text[64], host[INET6_ADDRSTRLEN];
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&a->sa;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&a->sa;

    if (a->sa.ss_family == AF_INET)
        (void)snprintf(text, sizeof(text), "%s %u",
                       inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host)),
                       ntohs(four->sin_port));
    else
        (void)snprintf(text, sizeof(text), "%s %u",
                       inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host)),
                       ntohs(six->sin6_port));
    return text;
}

TEST(an_address_is_its_own_answer)
{
    static const char *rows[][2] = {{"127.0.0.1", "127.0.0.1 8080"}, {"::1", "::1 8080"}};

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        struct stage s;
        struct asker a;
        struct bw_name_cursor c = {0};

        stage_open(&s, rows[i][0]);
        assert_int_equal(ask(&s, &a), BW_NAME_READY);
        assert_string_equal(text_of(bw_name_pick(s.name, &c)), rows[i][1]);
        assert_null(bw_name_pick(s.name, &c));
        assert_int_equal(s.dns.asked, 0);
        stage_close(&s);
    }
}

TEST(a_name_is_asked_for_once_while_its_answer_is_fresh)
{
    struct stage s;
    struct bw_name_cursor c = {0};

    stage_open(&s, "app.example");
    s.dns.four[0] = "192.0.2.1";
    assert_true(look_up(&s));
    assert_true(look_up(&s));
    assert_int_equal(s.dns.asked, 1);
    assert_string_equal(text_of(bw_name_pick(s.name, &c)), "192.0.2.1 8080");
    stage_close(&s);
}

TEST(all_who_wait_share_one_question_and_one_may_leave)
{
    struct stage s;
    struct asker a, b, c;

    stage_open(&s, "app.example");
    s.dns.four[0] = "192.0.2.1";
    assert_int_equal(ask(&s, &a), BW_NAME_WAIT);
    assert_int_equal(ask(&s, &b), BW_NAME_WAIT);
    assert_int_equal(ask(&s, &c), BW_NAME_WAIT);
    bw_name_leave(&b.waiter);
    play(&s, &c.answers);
    assert_int_equal(a.answers, 1);
    assert_int_equal(b.answers, 0);
    assert_true(a.found && c.found);
    assert_int_equal(s.dns.asked, 1);
    stage_close(&s);
}

TEST(a_name_that_does_not_exist_is_asked_for_again_after_a_second_only)
{
    struct stage s;

    stage_open(&s, "app.example");
    s.dns.error = 3;
    assert_false(look_up(&s));
    assert_false(look_up(&s));
    assert_int_equal(s.dns.asked, 1);
    stage_close(&s);
}

TEST(attempts_take_turns_and_each_address_is_tried_once)
{
    struct stage s;
    struct bw_name_cursor first = {0}, second = {0};
    char text[64];

    stage_open(&s, "app.example");
    s.dns.four[0] = "192.0.2.1";
    s.dns.four[1] = "192.0.2.2";
    assert_true(look_up(&s));
    (void)snprintf(text, sizeof(text), "%s", text_of(bw_name_pick(s.name, &first)));
    assert_string_not_equal(text_of(bw_name_pick(s.name, &second)), text);
    assert_string_equal(text_of(bw_name_pick(s.name, &second)), text);
    assert_null(bw_name_pick(s.name, &second));
    stage_close(&s);
}

TEST(an_address_that_failed_comes_last_for_a_while)
{
    struct stage s;
    struct bw_name_cursor c = {0};
    char bad[64];

    stage_open(&s, "app.example");
    s.dns.four[0] = "192.0.2.1";
    s.dns.four[1] = "192.0.2.2";
    s.dns.four[2] = "192.0.2.3";
    assert_true(look_up(&s));
    (void)snprintf(bad, sizeof(bad), "%s", text_of(bw_name_pick(s.name, &c)));
    bw_name_failed(s.name, &c);
    for (int i = 0; i < 6; ++i) {
        struct bw_name_cursor next = {0};

        assert_string_not_equal(text_of(bw_name_pick(s.name, &next)), bad);
        assert_string_not_equal(text_of(bw_name_pick(s.name, &next)), bad);
        assert_string_equal(text_of(bw_name_pick(s.name, &next)), bad);
    }
    stage_close(&s);
}

TEST(both_families_are_known)
{
    struct stage s;
    struct bw_name_cursor c = {0};
    int families[2];

    stage_open(&s, "app.example");
    s.dns.four[0] = "127.0.0.1";
    s.dns.six = "::1";
    assert_true(look_up(&s));
    for (int i = 0; i < 2; ++i)
        families[i] = bw_name_pick(s.name, &c)->sa.ss_family;
    assert_int_not_equal(families[0], families[1]);
    assert_null(bw_name_pick(s.name, &c));
    stage_close(&s);
}

static void play_until_asked(struct stage *s, unsigned n)
{
    int64_t until = bw_clock_mono_us() + 5000000;

    while (s->dns.asked < n && bw_clock_mono_us() < until) {
        bw_loop_run(s->loop, 1);
        dns_step(&s->dns);
    }
    assert_int_equal(s->dns.asked, n);
}

TEST(an_answer_lasts_as_long_as_its_ttl_but_five_seconds_and_no_more_than_five_minutes)
{
    static const struct {
        uint32_t ttl;
        int64_t fresh_ms, expired_ms;
    } rows[] = {{0, 4900, 5100}, {60, 59900, 60100}, {86400, 299900, 300100}};

    for (size_t i = 0; i < BW_ARRAY_LEN(rows); ++i) {
        struct stage s;
        struct asker a;

        stage_open(&s, "app.example");
        s.dns.four[0] = "192.0.2.1";
        s.dns.ttl = rows[i].ttl;
        assert_true(look_up(&s));
        bw_clock_advance(rows[i].fresh_ms);
        assert_true(look_up(&s));
        assert_int_equal(s.dns.asked, 1);
        bw_clock_advance(rows[i].expired_ms - rows[i].fresh_ms);
        assert_int_equal(ask(&s, &a), BW_NAME_READY); /* the old one, and a question behind it */
        play_until_asked(&s, 2);
        stage_close(&s);
    }
}

static const char *first_address(struct stage *s)
{
    struct bw_name_cursor c = {0};

    return text_of(bw_name_pick(s->name, &c));
}

TEST(an_expired_answer_is_used_once_more_while_a_new_one_is_fetched)
{
    struct stage s;
    struct asker a;
    int64_t until = bw_clock_mono_us() + 5000000;

    stage_open(&s, "app.example");
    s.dns.four[0] = "192.0.2.1";
    s.dns.ttl = 10;
    assert_true(look_up(&s));
    s.dns.four[0] = "192.0.2.9";
    bw_clock_advance(11000);
    assert_int_equal(ask(&s, &a), BW_NAME_READY);
    assert_string_equal(first_address(&s), "192.0.2.1 8080");
    while (strcmp(first_address(&s), "192.0.2.9 8080") != 0 && bw_clock_mono_us() < until) {
        bw_loop_run(s.loop, 1);
        dns_step(&s.dns);
    }
    assert_string_equal(first_address(&s), "192.0.2.9 8080");
    stage_close(&s);
}

TEST(an_answer_that_expired_long_ago_is_waited_for_and_used_if_nobody_answers)
{
    struct stage s;
    struct asker a;

    stage_open(&s, "app.example");
    s.dns.four[0] = "192.0.2.1";
    s.dns.ttl = 10;
    assert_true(look_up(&s));
    bw_clock_advance(3600 * 1000);
    s.dns.error = 2; /* SERVFAIL */
    assert_int_equal(ask(&s, &a), BW_NAME_WAIT);
    play(&s, &a.answers);
    assert_true(a.found);
    assert_string_equal(first_address(&s), "192.0.2.1 8080");
    assert_int_equal(ask(&s, &a), BW_NAME_READY); /* and nobody is asked for a second */
    stage_close(&s);
}

TEST(a_question_under_way_may_be_abandoned_with_its_name)
{
    struct stage s;
    struct asker a;

    stage_open(&s, "app.example");
    s.dns.silent = true;
    assert_int_equal(ask(&s, &a), BW_NAME_WAIT);
    bw_loop_run(s.loop, 1);
    bw_name_leave(&a.waiter);
    stage_close(&s);
    assert_int_equal(a.answers, 0);
}

TEST(a_path_is_its_own_answer_unless_it_is_too_long)
{
    struct stage s;
    struct bw_name *n;
    struct bw_name_cursor c = {0};
    char path[200];

    stage_open(&s, "127.0.0.1");
    n = bw_name_new_unix(s.resolver, "run/app.sock");
    assert_int_equal(bw_name_pick(n, &c)->sa.ss_family, AF_UNIX);
    bw_name_free(n);
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_null(bw_name_new_unix(s.resolver, path));
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(an_address_is_its_own_answer),
        RUN(a_name_is_asked_for_once_while_its_answer_is_fresh),
        RUN(all_who_wait_share_one_question_and_one_may_leave),
        RUN(a_name_that_does_not_exist_is_asked_for_again_after_a_second_only),
        RUN(attempts_take_turns_and_each_address_is_tried_once),
        RUN(an_address_that_failed_comes_last_for_a_while),
        RUN(both_families_are_known),
        RUN(an_answer_lasts_as_long_as_its_ttl_but_five_seconds_and_no_more_than_five_minutes),
        RUN(an_expired_answer_is_used_once_more_while_a_new_one_is_fetched),
        RUN(an_answer_that_expired_long_ago_is_waited_for_and_used_if_nobody_answers),
        RUN(a_question_under_way_may_be_abandoned_with_its_name),
        RUN(a_path_is_its_own_answer_unless_it_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
