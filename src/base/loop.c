/*
 * loop.c - libh2o's event loop with its traps covered.
 *
 * libh2o aborts the process when a socket is written to outside of a callback of h2o_evloop_run()
 * (a write that completes at once leaves a poll flag behind that no callback owns).  Hence the
 * `next` list and the messages of other threads are run from the read callback of an eventfd, never
 * from our own code around the loop.  libh2o's own message queue is not used: its wake-up pipe
 * reads into a buffer from the free list of the thread that made the loop, unlocked, so loops made
 * on one thread and run on others corrupt the heap.
 *
 * libh2o's timeouts are lists, one for each duration.  We keep a small table of them; a duration
 * beyond the table's size is rounded up to the nearest that is there.
 */
#include "breakwater/base/loop.h"

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { DURATIONS_MAX = 128 };
/* libh2o's pools: chunks kept by a thread at most, and what fills a quarter of one */
enum { CHUNKS_KEPT = 16, QUARTER = 1000 };
/* How long spare work goes on before the sockets are asked again.  A large write takes about as
 * long; shorter would cost more polls than it saves waiting. */
enum { SPARE_US = 200 };

struct bw_loop {
    h2o_loop_t *h2o;
    h2o_timeout_t timeouts[DURATIONS_MAX];
    int64_t durations[DURATIONS_MAX];
    size_t durations_n;
    h2o_linklist_t next;
    h2o_linklist_t spare;
    bool armed; /* a round that runs `next` and `spare` is asked for */
    int wake_fd;
    h2o_socket_t *wake_socket;
    pthread_mutex_t lock;
    h2o_linklist_t messages; /* under the lock */
    uint64_t round;
};

static void wake(struct bw_loop *l)
{
    uint64_t one = 1;
    ssize_t n = write(l->wake_fd, &one, sizeof(one));

    BW_ASSERT(n == (ssize_t)sizeof(one));
}

static void arm(struct bw_loop *l)
{
    if (l->armed)
        return;
    l->armed = true;
    wake(l);
}

/* In the order in which they were posted; what is posted meanwhile is for the next wake-up. */
static void deliver_messages(struct bw_loop *l)
{
    h2o_linklist_t now;

    h2o_linklist_init_anchor(&now);
    pthread_mutex_lock(&l->lock);
    h2o_linklist_insert_list(&now, &l->messages);
    pthread_mutex_unlock(&l->lock);
    while (!h2o_linklist_is_empty(&now)) {
        struct bw_message *m = BW_CONTAINER_OF(now.next, struct bw_message, link);

        h2o_linklist_unlink(&m->link);
        m->deliver(m);
    }
}

static void run_first(h2o_linklist_t *list)
{
    struct bw_next *n = BW_CONTAINER_OF(list->next, struct bw_next, link);

    h2o_linklist_unlink(&n->link);
    n->run(n);
}

/* What is queued meanwhile is for the next round. */
static void run_next(struct bw_loop *l)
{
    h2o_linklist_t now;

    h2o_linklist_init_anchor(&now);
    h2o_linklist_insert_list(&now, &l->next);
    while (!h2o_linklist_is_empty(&now))
        run_first(&now);
}

/* One item at least, and none twice; those whose turn did not come stay before the new ones. */
static void run_spare(struct bw_loop *l)
{
    int64_t until = bw_clock_mono_us() + SPARE_US;
    h2o_linklist_t now;

    h2o_linklist_init_anchor(&now);
    h2o_linklist_insert_list(&now, &l->spare);
    do
        run_first(&now);
    while (!h2o_linklist_is_empty(&now) && bw_clock_mono_us() < until);
    h2o_linklist_insert_list(&now, &l->spare);
    h2o_linklist_insert_list(&l->spare, &now);
}

/* The counter is read first: who posts after that wakes us again. */
static void on_wake(h2o_socket_t *socket, const char *err)
{
    struct bw_loop *l = socket->data;
    uint64_t count;

    (void)err;
    if (read(l->wake_fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
        return;
    l->armed = false;
    deliver_messages(l);
    run_next(l);
    if (!h2o_linklist_is_empty(&l->spare))
        run_spare(l);
    if (!h2o_linklist_is_empty(&l->spare))
        arm(l);
}

struct bw_loop *bw_loop_new(void)
{
    struct bw_loop *l = bw_zalloc(sizeof(*l));

    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    BW_ASSERT(l->wake_fd >= 0);
    l->h2o = h2o_evloop_create();
    h2o_linklist_init_anchor(&l->next);
    h2o_linklist_init_anchor(&l->spare);
    l->wake_socket = h2o_evloop_socket_create(l->h2o, l->wake_fd, H2O_SOCKET_FLAG_DONT_READ);
    l->wake_socket->data = l;
    h2o_socket_read_start(l->wake_socket, on_wake);
    pthread_mutex_init(&l->lock, NULL);
    h2o_linklist_init_anchor(&l->messages);
    return l;
}

void bw_loop_free(struct bw_loop *l)
{
    BW_ASSERT(h2o_linklist_is_empty(&l->next));
    BW_ASSERT(h2o_linklist_is_empty(&l->spare));
    BW_ASSERT(h2o_linklist_is_empty(&l->messages));
    pthread_mutex_destroy(&l->lock);
    h2o_socket_close(l->wake_socket);
    h2o_evloop_run(l->h2o, 0); /* closed sockets are disposed in the next run */
    for (size_t i = 0; i < l->durations_n; i++)
        h2o_timeout_dispose(l->h2o, &l->timeouts[i]);
    h2o_evloop_destroy(l->h2o);
    free(l);
}

/*
 * Pools are made of chunks that begin with the pointer to the next one.  As many as a thread may
 * keep are drawn into a pool, which takes the kept ones first, and freed instead of given back.
 */
static void free_kept_chunks(void)
{
    h2o_mem_pool_t pool;
    struct st_h2o_mem_pool_chunk_t *chunk;

    h2o_mem_init_pool(&pool);
    for (unsigned i = 0; i < 4 * CHUNKS_KEPT; i++)
        h2o_mem_alloc_pool(&pool, QUARTER);
    while ((chunk = pool.chunks) != NULL) {
        pool.chunks = *(struct st_h2o_mem_pool_chunk_t **)(void *)chunk;
        free(chunk);
    }
}

void bw_loop_thread_ends(void)
{
    h2o_mem_recycle_t *buffers = &h2o_socket_buffer_prototype.allocator;

    while (buffers->cnt != 0)
        free(h2o_mem_alloc_recycle(buffers, h2o_socket_buffer_prototype._initial_buf.capacity));
    free_kept_chunks();
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

static void queue(struct bw_loop *l, h2o_linklist_t *list, struct bw_next *n, bw_next_fn run)
{
    if (bw_next_queued(n))
        return;
    n->run = run;
    h2o_linklist_insert(list, &n->link);
    arm(l);
}

void bw_loop_next(struct bw_loop *l, struct bw_next *n, bw_next_fn run)
{
    queue(l, &l->next, n, run);
}

void bw_loop_spare(struct bw_loop *l, struct bw_next *n, bw_next_fn run)
{
    queue(l, &l->spare, n, run);
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
    bool first;

    m->deliver = deliver;
    pthread_mutex_lock(&to->lock);
    first = h2o_linklist_is_empty(&to->messages);
    h2o_linklist_insert(&to->messages, &m->link);
    if (first)
        wake(to); /* under the lock: once it is free the loop may end as soon as it has the message
                   */
    pthread_mutex_unlock(&to->lock);
}
