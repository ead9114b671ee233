/*
 * test_loop.c - the loop across threads: messages arrive, and no memory of libh2o is shared or
 * left.
 */
#include "breakwater/base/clock.h"
#include "breakwater/base/loop.h"

#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

enum { SENDERS = 4, LETTERS = 2000, LOOPS = 4, ROUNDS_MAX = 100000 };

/* ---- messages ---- */

struct letter {
    struct bw_message message;
    struct post *post;
    unsigned sender, number;
};

struct post {
    struct bw_loop *loop;
    unsigned expected[SENDERS]; /* the number of the next letter of each */
    unsigned delivered;
    bool disordered;
};

static void read_letter(struct bw_message *m)
{
    struct letter *l = BW_CONTAINER_OF(m, struct letter, message);

    if (l->number != l->post->expected[l->sender]++)
        l->post->disordered = true;
    l->post->delivered++;
    free(l);
}

struct sender {
    struct post *post;
    unsigned index;
    pthread_t thread;
};

static void *send_letters(void *sender)
{
    struct sender *s = sender;

    for (unsigned i = 0; i < LETTERS; i++) {
        struct letter *l = calloc(1, sizeof(*l));

        l->post = s->post;
        l->sender = s->index;
        l->number = i;
        bw_loop_post(s->post->loop, &l->message, read_letter);
    }
    return NULL;
}

TEST(messages_of_a_thread_arrive_once_and_in_order)
{
    struct post post = {.loop = bw_loop_new()};
    struct sender senders[SENDERS];

    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.post = &post, .index = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_letters, &senders[i]), 0);
    }
    for (unsigned r = 0; post.delivered < SENDERS * LETTERS && r < ROUNDS_MAX; r++)
        bw_loop_run(post.loop, 1000);
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    assert_int_equal(post.delivered, SENDERS * LETTERS);
    assert_false(post.disordered);
    bw_loop_free(post.loop);
}

/* Each loop is made by one thread and run by another, which also uses what libh2o keeps per thread.
 */
struct pair {
    struct bw_loop *loop;
    struct bw_message message;
    unsigned left;
    char mark;
    bool foreign;
    pthread_t thread;
};

static void keep_talking(struct bw_message *m)
{
    struct pair *p = BW_CONTAINER_OF(m, struct pair, message);
    h2o_buffer_t *buffer;
    h2o_iovec_t room;

    h2o_buffer_init(&buffer, &h2o_socket_buffer_prototype);
    room = h2o_buffer_reserve(&buffer, 64);
    memset(room.base, p->mark, 64);
    for (size_t i = 0; i < 64; i++)
        if (room.base[i] != p->mark)
            p->foreign = true;
    h2o_buffer_dispose(&buffer);
    if (--p->left != 0)
        bw_loop_post(p->loop, &p->message, keep_talking);
}

static void *run_loop(void *pair)
{
    struct pair *p = pair;
    h2o_mem_pool_t pool;

    h2o_mem_init_pool(&pool);
    for (unsigned i = 0; i < 100; i++)
        h2o_mem_alloc_pool(&pool, 500);
    h2o_mem_clear_pool(&pool);
    while (p->left != 0)
        bw_loop_run(p->loop, 1000);
    bw_loop_thread_ends(); /* AddressSanitizer sees whether anything is left */
    return NULL;
}

TEST(threads_whose_loops_were_made_by_one_share_no_buffer_and_leave_none)
{
    struct pair pairs[LOOPS] = {{0}};

    for (unsigned i = 0; i < LOOPS; i++) {
        pairs[i].loop = bw_loop_new();
        pairs[i].left = LETTERS;
        pairs[i].mark = (char)('a' + i);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        bw_loop_post(pairs[i].loop, &pairs[i].message, keep_talking);
        assert_int_equal(pthread_create(&pairs[i].thread, NULL, run_loop, &pairs[i]), 0);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        pthread_join(pairs[i].thread, NULL);
        assert_false(pairs[i].foreign);
        bw_loop_free(pairs[i].loop);
    }
}

/* ---- the next round, timers ---- */

struct work {
    struct bw_next next;
    struct bw_timer timer;
    struct bw_loop *loop;
    unsigned done;
    uint64_t round;
};

static void do_work(struct bw_next *n)
{
    struct work *w = BW_CONTAINER_OF(n, struct work, next);

    w->done++;
    w->round = bw_loop_round(w->loop);
    if (w->done == 1)
        bw_loop_next(w->loop, &w->next, do_work);
}

TEST(what_is_queued_from_within_runs_in_a_later_round)
{
    struct work w = {.loop = bw_loop_new()};
    uint64_t first;

    bw_loop_next(w.loop, &w.next, do_work);
    bw_loop_next(w.loop, &w.next, do_work);
    assert_int_equal(w.done, 0);
    while (w.done == 0)
        bw_loop_run(w.loop, 1000);
    first = w.round;
    assert_int_equal(w.done, 1);
    while (w.done == 1)
        bw_loop_run(w.loop, 1000);
    assert_true(w.round > first);
    assert_false(bw_next_queued(&w.next));
    bw_loop_free(w.loop);
}

TEST(what_was_cancelled_does_not_run)
{
    struct work w = {.loop = bw_loop_new()};

    bw_loop_next(w.loop, &w.next, do_work);
    bw_next_cancel(&w.next);
    bw_next_cancel(&w.next);
    bw_loop_run(w.loop, 0);
    assert_int_equal(w.done, 0);
    bw_loop_free(w.loop);
}

/* Work of a millisecond, longer than any share of a round. */
static void labour(struct bw_next *n)
{
    struct work *w = BW_CONTAINER_OF(n, struct work, next);
    int64_t end = bw_clock_mono_us() + 1000;

    while (bw_clock_mono_us() < end)
        continue;
    w->done++;
    w->round = bw_loop_round(w->loop);
    if (w->done == 1)
        bw_loop_spare(w->loop, &w->next, labour);
}

TEST(long_work_takes_turns_and_a_round_has_one_piece_of_it)
{
    struct work a = {.loop = bw_loop_new()}, b = {.loop = a.loop}, quick = {.loop = a.loop};

    bw_loop_spare(a.loop, &a.next, labour);
    bw_loop_spare(b.loop, &b.next, labour);
    bw_loop_run(a.loop, 1000);
    assert_int_equal(a.done + b.done, 1);
    bw_loop_next(a.loop, &quick.next, do_work);
    bw_loop_run(a.loop, 1000);
    assert_int_equal(a.done, 1);
    assert_int_equal(b.done, 1);
    assert_int_equal(quick.done, 1);
    for (int i = 0; i < 2; i++)
        bw_loop_run(a.loop, 1000);
    assert_int_equal(a.done, 2);
    assert_int_equal(b.done, 2);
    assert_true(b.round > a.round);
    assert_int_equal(quick.done, 2);
    bw_loop_free(a.loop);
}

TEST(long_work_that_was_cancelled_does_not_run)
{
    struct work a = {.loop = bw_loop_new()}, b = {.loop = a.loop};

    bw_loop_spare(a.loop, &a.next, labour);
    bw_loop_spare(a.loop, &b.next, labour);
    bw_next_cancel(&a.next);
    bw_loop_run(a.loop, 1000);
    assert_int_equal(a.done, 0);
    assert_int_equal(b.done, 1);
    bw_next_cancel(&b.next);
    bw_loop_run(a.loop, 1000);
    assert_int_equal(b.done, 1);
    bw_loop_free(a.loop);
}

static void ring(struct bw_timer *t)
{
    BW_CONTAINER_OF(t, struct work, timer)->done++;
}

TEST(a_timer_fires_once_unless_it_is_stopped)
{
    struct work w = {.loop = bw_loop_new()}, stopped = {.loop = w.loop};

    bw_timer_start(w.loop, &w.timer, 5, ring);
    bw_timer_start(w.loop, &stopped.timer, 1, ring);
    bw_timer_stop(&stopped.timer);
    bw_timer_stop(&stopped.timer);
    assert_true(bw_timer_running(&w.timer));
    while (w.done == 0)
        bw_loop_run(w.loop, 1000);
    bw_loop_run(w.loop, 0);
    assert_int_equal(w.done, 1);
    assert_int_equal(stopped.done, 0);
    assert_false(bw_timer_running(&w.timer));
    bw_loop_free(w.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(messages_of_a_thread_arrive_once_and_in_order),
        RUN(threads_whose_loops_were_made_by_one_share_no_buffer_and_leave_none),
        RUN(what_is_queued_from_within_runs_in_a_later_round),
        RUN(what_was_cancelled_does_not_run),
        RUN(long_work_takes_turns_and_a_round_has_one_piece_of_it),
        RUN(long_work_that_was_cancelled_does_not_run),
        RUN(a_timer_fires_once_unless_it_is_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
