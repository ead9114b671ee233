/*
 * loop.h - the event loop of one thread: timers, work for the next round, messages from others.
 *
 * A thin layer over libh2o's evloop that keeps its traps in one place (docs/decisions/0002):
 * everything that writes to a socket must run inside bw_loop_run(), so timers, `next` items and
 * messages are all delivered from there.  All calls are for the loop's own thread, but for
 * bw_loop_post().
 */
#pragma once

#include <h2o.h>

#include <netdb.h> /* before h2o.h, which needs struct addrinfo */
#include <stdbool.h>
#include <stdint.h>

struct bw_loop;

struct bw_loop *bw_loop_new(void);
void bw_loop_free(struct bw_loop *l); /* no timer, item or message may be left */
/* For a thread that ran a loop, last of all: gives back what libh2o keeps for each thread. */
void bw_loop_thread_ends(void);
/* One round: waits at most `ms` for something to do. */
void bw_loop_run(struct bw_loop *l, int ms);
h2o_loop_t *bw_loop_h2o(struct bw_loop *l);
uint64_t bw_loop_round(const struct bw_loop *l); /* counts rounds: fairness caps compare it */

/* A timer fires once.  Zero-initialise; start() moves a running one; stop() may be called always.
 */
struct bw_timer;
typedef void (*bw_timer_fn)(struct bw_timer *t);
struct bw_timer {
    h2o_timeout_entry_t entry;
    bw_timer_fn fire;
};
void bw_timer_start(struct bw_loop *l, struct bw_timer *t, int64_t ms, bw_timer_fn fire);
void bw_timer_stop(struct bw_timer *t);
bool bw_timer_running(const struct bw_timer *t);

/* Work for the next round of the loop: never run inside the call that asked for it. */
struct bw_next;
typedef void (*bw_next_fn)(struct bw_next *n);
struct bw_next {
    h2o_linklist_t link;
    bw_next_fn run;
};
void bw_loop_next(struct bw_loop *l, struct bw_next *n,
                  bw_next_fn run); /* once queued it stays so */
/*
 * The same for work that is long and can wait, as the next piece of a large body: the items take
 * turns for a fraction of a millisecond, then the sockets are asked, so that whoever wants little
 * gets it between two pieces.
 */
void bw_loop_spare(struct bw_loop *l, struct bw_next *n, bw_next_fn run);
void bw_next_cancel(struct bw_next *n); /* may be called always */
bool bw_next_queued(const struct bw_next *n);

/*
 * A message from any thread.  The sender gives the message away; `deliver` runs on the loop's
 * thread and gets it back unlinked.  It must not be posted again before it was delivered.
 */
struct bw_message;
typedef void (*bw_message_fn)(struct bw_message *m);
struct bw_message {
    h2o_linklist_t link;
    bw_message_fn deliver;
};
void bw_loop_post(struct bw_loop *to, struct bw_message *m, bw_message_fn deliver);
