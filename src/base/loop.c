/*
 * loop.c - libh2o's event loop with its traps covered.
 *
 * libh2o aborts the process when a socket is written to outside of a callback of h2o_evloop_run()
 * (a write that completes at once leaves a poll flag behind that no callback owns).  Hence the
 * `next` list is run from the read callback of an eventfd, and messages from the callback of a
 * multithread receiver, never from our own code around the loop.
 *
 * libh2o's timeouts are lists, one for each duration.  We keep a small table of them; a duration
 * beyond the table's size is rounded up to the nearest that is there.
 */
#include "breakwater/base/loop.h"

#include "breakwater/base/check.h"
#include "breakwater/base/mem.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { DURATIONS_MAX = 128 };

struct bw_loop {
    h2o_loop_t *h2o;
    h2o_timeout_t timeouts[DURATIONS_MAX];
    int64_t durations[DURATIONS_MAX];
    size_t durations_n;
    h2o_linklist_t next;
    bool next_armed;
    h2o_socket_t *next_socket;
    h2o_multithread_queue_t *queue;
    h2o_multithread_receiver_t receiver;
    uint64_t round;
};

static void run_next(h2o_socket_t *socket, const char *err)
{
    struct bw_loop *l = socket->data;
    h2o_linklist_t now;
    uint64_t count;

    (void)err;
    if (read(h2o_socket_get_fd(socket), &count, sizeof(count)) != (ssize_t)sizeof(count))
        return;
    l->next_armed = false;
    h2o_linklist_init_anchor(&now);
    h2o_linklist_insert_list(&now, &l->next);
    while (!h2o_linklist_is_empty(&now)) {
        struct bw_next *n = BW_CONTAINER_OF(now.next, struct bw_next, link);

        h2o_linklist_unlink(&n->link);
        n->run(n);
    }
}

static void deliver_messages(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver;
    while (!h2o_linklist_is_empty(messages)) {
        struct bw_message *m = BW_CONTAINER_OF(messages->next, struct bw_message, super.link);

        h2o_linklist_unlink(&m->super.link);
        m->deliver(m);
    }
}

struct bw_loop *bw_loop_new(void)
{
    struct bw_loop *l = bw_zalloc(sizeof(*l));
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    BW_ASSERT(fd >= 0);
    l->h2o = h2o_evloop_create();
    h2o_linklist_init_anchor(&l->next);
    l->next_socket = h2o_evloop_socket_create(l->h2o, fd, H2O_SOCKET_FLAG_DONT_READ);
    l->next_socket->data = l;
    h2o_socket_read_start(l->next_socket, run_next);
    l->queue = h2o_multithread_create_queue(l->h2o);
    h2o_multithread_register_receiver(l->queue, &l->receiver, deliver_messages);
    return l;
}

void bw_loop_free(struct bw_loop *l)
{
    BW_ASSERT(h2o_linklist_is_empty(&l->next));
    h2o_multithread_unregister_receiver(l->queue, &l->receiver);
    h2o_multithread_destroy_queue(l->queue);
    free(l->queue); /* which libh2o 2.2.5 leaves to whoever knows */
    h2o_socket_close(l->next_socket);
    h2o_evloop_run(l->h2o, 0); /* closed sockets are disposed in the next run */
    for (size_t i = 0; i < l->durations_n; i++)
        h2o_timeout_dispose(l->h2o, &l->timeouts[i]);
    h2o_evloop_destroy(l->h2o);
    free(l);
}

void bw_loop_run(struct bw_loop *l, int ms)
{
    h2o_evloop_run(l->h2o, ms);
    l->round++;
}

h2o_loop_t *bw_loop_h2o(struct bw_loop *l)
{
    return l->h2o;
}

uint64_t bw_loop_round(const struct bw_loop *l)
{
    return l->round;
}

/* The list for `ms`, or for the shortest duration above it when the table is full. */
static h2o_timeout_t *timeout_list(struct bw_loop *l, int64_t ms)
{
    h2o_timeout_t *best = NULL;
    int64_t best_ms = INT64_MAX;

    for (size_t i = 0; i < l->durations_n; i++) {
        if (l->durations[i] == ms)
            return &l->timeouts[i];
        if (l->durations[i] > ms && l->durations[i] < best_ms) {
            best = &l->timeouts[i];
            best_ms = l->durations[i];
        }
    }
    if (l->durations_n == DURATIONS_MAX)
        return best != NULL ? best : &l->timeouts[0];
    l->durations[l->durations_n] = ms;
    h2o_timeout_init(l->h2o, &l->timeouts[l->durations_n], (uint64_t)ms);
    return &l->timeouts[l->durations_n++];
}

static void timer_fired(h2o_timeout_entry_t *entry)
{
    struct bw_timer *t = BW_CONTAINER_OF(entry, struct bw_timer, entry);

    t->fire(t);
}

void bw_timer_start(struct bw_loop *l, struct bw_timer *t, int64_t ms, bw_timer_fn fire)
{
    BW_ASSERT(ms >= 0);
    bw_timer_stop(t);
    t->fire = fire;
    t->entry.cb = timer_fired;
    h2o_timeout_link(l->h2o, timeout_list(l, ms), &t->entry);
}

void bw_timer_stop(struct bw_timer *t)
{
    h2o_timeout_unlink(&t->entry);
}

bool bw_timer_running(const struct bw_timer *t)
{
    return t->entry._link.next != NULL;
}

void bw_loop_next(struct bw_loop *l, struct bw_next *n, bw_next_fn run)
{
    uint64_t one = 1;

    if (bw_next_queued(n))
        return;
    n->run = run;
    h2o_linklist_insert(&l->next, &n->link);
    if (l->next_armed)
        return;
    l->next_armed = true;
    BW_ASSERT(write(h2o_socket_get_fd(l->next_socket), &one, sizeof(one)) == (ssize_t)sizeof(one));
}

void bw_next_cancel(struct bw_next *n)
{
    if (bw_next_queued(n))
        h2o_linklist_unlink(&n->link);
}

bool bw_next_queued(const struct bw_next *n)
{
    return n->link.next != NULL;
}

void bw_loop_post(struct bw_loop *to, struct bw_message *m, bw_message_fn deliver)
{
    m->deliver = deliver;
    h2o_multithread_send_message(&to->receiver, &m->super);
}
