/*
 * access_log.c - rings that workers fill and one thread that empties them.
 *
 * A ring has one producer, its worker, and one consumer, the writer.  The worker moves `filled`
 * behind a whole line only, so what the writer takes ends with a line end, and lines of different
 * workers never mix.  The writer looks ten times a second, or as soon as a ring is a quarter full.
 *
 * Where the destination may block (a pipe, a terminal), the writer asks before each piece of at
 * most PIPE_BUF bytes, so that a reader who has stopped reading cannot hold up the shutdown or a
 * reload.  Such a piece is whole lines, which the kernel does not mix with what others write there
 * (pipe(7)).  Lines that cannot be written are dropped and counted: the log never stops the process
 * or a worker.
 *
 * A reload marks in each ring where the lines of the new destination begin: what was written before
 * goes to the old one, what is written afterwards to the new one, however late the writer is.
 */
#include "breakwater/server/access_log.h"

#include "breakwater/admin/figures.h"
#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/log.h"
#include "breakwater/base/mem.h"

#include "log_line_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RING_BYTES = 1 << 20, /* untouched pages cost nothing */
    WAKE_BYTES = RING_BYTES / 4,
    BATCH_BYTES = 64 * 1024,
    PERIOD_MS = 100,
    GIVE_UP_MS = 1000, /* for a reader who does not read, at the end or when he is left */
    OFF = -1,          /* instead of a format */
    NOWHERE = -1,      /* instead of a descriptor */
    NO_CHANGE = -2,    /* likewise */
};

struct bw_log_ring {
    _Alignas(64) atomic_size_t filled; /* the worker's: bytes ever put in */
    struct bw_counters *counters;
    struct bw_access_log *log;
    struct bw_log_date date;
    _Alignas(64) atomic_size_t taken; /* the writer's: bytes ever taken out */
    _Atomic uint64_t lost; /* lines that the writer could not write; the worker counts them */
    char *bytes;
    size_t mark;  /* under the log's lock: where the lines of `next_fd` begin */
    size_t until; /* the writer's: how far it goes in this look */
};

struct bw_access_log {
    atomic_int format; /* enum bw_log_format, or OFF */
    atomic_bool awake; /* the writer is, or will be, looking */
    atomic_bool closing;
    int wake; /* eventfd */
    unsigned workers;
    struct bw_log_ring *rings;
    pthread_t writer;
    pthread_mutex_t lock; /* of `next_fd` and the marks; never held while the kernel works */
    int next_fd;          /* to be written to from the marks on, or NO_CHANGE */
    atomic_bool leaving;  /* `fd` is to be given up for another one */
    /* the writer's own */
    int fd; /* or NOWHERE */
    bool may_block;
    bool torn;          /* the last thing written was no whole line */
    int64_t give_up_us; /* 0: neither closing nor leaving */
    char batch[BATCH_BYTES];
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- the worker's side ---- */

struct bw_log_ring *bw_access_log_ring(struct bw_access_log *log, unsigned worker)
{
    BW_ASSERT(worker < log->workers);
    return &log->rings[worker];
}

static int format_of(const struct bw_log_ring *ring)
{
    return atomic_load_explicit(&ring->log->format, memory_order_acquire);
}

bool bw_access_log_wanted(const struct bw_log_ring *ring)
{
    return format_of(ring) != OFF;
}

static void count_lost(struct bw_log_ring *ring)
{
    uint64_t lost = atomic_load_explicit(&ring->lost, memory_order_relaxed);

    if (BW_UNLIKELY(lost != 0))
        bw_count(ring->counters, BW_C_LOG_DROPPED,
                 atomic_exchange_explicit(&ring->lost, 0, memory_order_relaxed));
}

static void copy_in(struct bw_log_ring *ring, size_t at, const char *line, size_t n)
{
    size_t from = at % RING_BYTES, first = smaller(n, RING_BYTES - from);

    memcpy(ring->bytes + from, line, first);
    memcpy(ring->bytes, line + first, n - first);
}

/* An eventfd takes any number of wakings without blocking; one before each look is enough. */
static void wake_writer(struct bw_access_log *log)
{
    static const uint64_t one = 1;

    if (atomic_load_explicit(&log->awake, memory_order_relaxed))
        return;
    if (!atomic_exchange_explicit(&log->awake, true, memory_order_acq_rel)) {
        ssize_t written = write(log->wake, &one, sizeof(one));
        (void)written;
    }
}

void bw_access_log_write(struct bw_log_ring *ring, const struct bw_log_entry *e)
{
    int format = format_of(ring);
    size_t filled = atomic_load_explicit(&ring->filled, memory_order_relaxed);
    size_t used = filled - atomic_load_explicit(&ring->taken, memory_order_acquire);
    char line[BW_LOG_LINE_MAX];

    count_lost(ring);
    if (format == OFF)
        return;
    size_t n = bw_log_line(line, (enum bw_log_format)format, e, &ring->date);
    if (n > RING_BYTES - used) {
        bw_count(ring->counters, BW_C_LOG_DROPPED, 1);
        return;
    }
    copy_in(ring, filled, line, n);
    atomic_store_explicit(&ring->filled, filled + n, memory_order_release);
    if (used + n >= WAKE_BYTES)
        wake_writer(ring->log);
}

/* ---- the writer's side ---- */

static bool is_blocking(int fd)
{
    struct stat st;

    return fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode));
}

/* How long to wait for room before looking again; 0: it is time to go. */
static int patience_ms(struct bw_access_log *log)
{
    if (log->give_up_us == 0 && (atomic_load(&log->closing) || atomic_load(&log->leaving)))
        log->give_up_us = bw_clock_mono_us() + GIVE_UP_MS * INT64_C(1000);
    if (log->give_up_us == 0)
        return PERIOD_MS;
    int64_t left_ms = (log->give_up_us - bw_clock_mono_us()) / 1000;
    return left_ms <= 0 ? 0 : left_ms < PERIOD_MS ? (int)left_ms : PERIOD_MS;
}

/* Is there room for PIPE_BUF bytes?  false: it is time to go, and there is none. */
static bool wait_for_room(struct bw_access_log *log)
{
    struct pollfd p = {.fd = log->fd, .events = POLLOUT};

    for (;;) {
        int ms = patience_ms(log);
        if (poll(&p, 1, ms) != 0)
            return true; /* an error shows in write() */
        if (ms == 0) {
            errno = ETIMEDOUT;
            return false;
        }
    }
}

/* How much to write at once: all of it to a file, whole lines where others may write too. */
static size_t piece_of(const struct bw_access_log *log, const char *bytes, size_t n)
{
    const char *end;

    if (!log->may_block || n <= PIPE_BUF)
        return n;
    end = memrchr(bytes, '\n', PIPE_BUF);
    return end != NULL ? (size_t)(end + 1 - bytes) : PIPE_BUF;
}

/* Returns how many bytes were written; less than n after an error. */
static size_t write_all(struct bw_access_log *log, const char *bytes, size_t n)
{
    size_t done = 0;

    while (done < n) {
        if (log->may_block && !wait_for_room(log))
            return done;
        ssize_t written = write(log->fd, bytes + done, piece_of(log, bytes + done, n - done));
        if (written < 0 && (errno == EINTR || errno == EAGAIN) && patience_ms(log) > 0)
            continue;
        if (written <= 0)
            return done;
        done += (size_t)written;
    }
    return done;
}

static void use_fd(struct bw_access_log *log, int fd)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->may_block = is_blocking(fd);
    log->torn = false;
    log->give_up_us = 0;
}

/* A line that was cut by an error must not run into the next one. */
static bool mend(struct bw_access_log *log)
{
    if (log->torn && write_all(log, "\n", 1) == 1)
        log->torn = false;
    return !log->torn;
}

/* What is left of a batch is dropped; its first line may be half written. */
static void give_up_lines(struct bw_log_ring *ring, const char *bytes, size_t done, size_t n)
{
    uint64_t lines = 0;

    bw_log_limited(BW_LOG_ERROR, "access log", "", "the access log cannot be written: %s",
                   strerror(errno));
    if (done > 0)
        ring->log->torn = bytes[done - 1] != '\n';
    for (size_t i = done; i < n; i++)
        lines += bytes[i] == '\n';
    atomic_fetch_add_explicit(&ring->lost, lines, memory_order_relaxed);
}

/* Moves as many whole lines as fit into the batch; their place in the ring is free at once. */
static size_t take_batch(struct bw_log_ring *ring)
{
    char *batch = ring->log->batch;
    size_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    size_t n = smaller(ring->until - taken, BATCH_BYTES);
    size_t from = taken % RING_BYTES, first = smaller(n, RING_BYTES - from);
    const char *end;

    memcpy(batch, ring->bytes + from, first);
    memcpy(batch + first, ring->bytes, n - first);
    end = memrchr(batch, '\n', n);
    n = end != NULL ? (size_t)(end + 1 - batch) : 0;
    atomic_store_explicit(&ring->taken, taken + n, memory_order_release);
    return n;
}

static void empty_ring(struct bw_log_ring *ring)
{
    struct bw_access_log *log = ring->log;
    size_t n;

    while ((n = take_batch(ring)) > 0) {
        if (log->fd < 0)
            continue; /* the log was switched off while the line was written */
        size_t done = mend(log) ? write_all(log, log->batch, n) : 0;
        if (done < n)
            give_up_lines(ring, log->batch, done, n);
    }
}

static void sleep_until_woken(struct bw_access_log *log)
{
    struct pollfd p = {.fd = log->wake, .events = POLLIN};
    uint64_t wakings;

    if (poll(&p, 1, PERIOD_MS) > 0) {
        ssize_t got = read(log->wake, &wakings, sizeof(wakings));
        (void)got;
    }
    /* whoever fills a ring from here on wakes us again */
    atomic_store_explicit(&log->awake, false, memory_order_release);
}

/* How far each ring goes to the present destination, and which comes next, or NO_CHANGE. */
static int survey(struct bw_access_log *log)
{
    pthread_mutex_lock(&log->lock);
    int next = log->next_fd;
    log->next_fd = NO_CHANGE;
    if (next == NO_CHANGE)
        atomic_store(&log->leaving, false);
    for (unsigned i = 0; i < log->workers; i++) {
        struct bw_log_ring *r = &log->rings[i];

        r->until =
            next != NO_CHANGE ? r->mark : atomic_load_explicit(&r->filled, memory_order_acquire);
    }
    pthread_mutex_unlock(&log->lock);
    return next;
}

/* One look at all rings; again at once after a change of the destination. */
static void empty_rings(struct bw_access_log *log)
{
    int next;

    do {
        next = survey(log);
        if (next == NO_CHANGE && !atomic_load(&log->closing))
            log->give_up_us = 0;
        for (unsigned i = 0; i < log->workers; i++)
            empty_ring(&log->rings[i]);
        if (next != NO_CHANGE)
            use_fd(log, next);
    } while (next != NO_CHANGE);
}

static void *run_writer(void *arg)
{
    struct bw_access_log *log = arg;
    bool closing;

    do {
        sleep_until_woken(log);
        closing = atomic_load(&log->closing);
        empty_rings(log);
    } while (!closing);
    use_fd(log, NOWHERE);
    return NULL;
}

/* ---- the control thread's side ---- */

static bool is_standard(const struct bw_log_conf *conf, int *fd)
{
    *fd = strcmp(conf->access_to, "stdout") == 0   ? STDOUT_FILENO
          : strcmp(conf->access_to, "stderr") == 0 ? STDERR_FILENO
                                                   : -1;
    return *fd >= 0;
}

/*
 * A descriptor of our own, NOWHERE where the log is off; false: `why` says why.  A named pipe that
 * nobody reads is an error: to wait for a reader would stop the control thread.
 */
static bool open_destination(const struct bw_log_conf *conf, int *fd, char *why, size_t why_len)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int standard;

    *fd = NOWHERE;
    if (!conf->access)
        return true;
    *fd = is_standard(conf, &standard) ? fcntl(standard, F_DUPFD_CLOEXEC, 0)
                                       : open(conf->access_to, flags, 0640);
    if (*fd >= 0)
        return true;
    snprintf(why, why_len,
             "log.access.to: %s cannot be opened: %s; name a file in a folder that "
             "Breakwater may write to, or stdout",
             conf->access_to, strerror(errno));
    return false;
}

static int format_wanted(const struct bw_log_conf *conf)
{
    return conf->access ? (int)conf->format : OFF;
}

/* SIGPIPE of a write comes to the thread that wrote: where it is blocked, write() just fails. */
static int start_writer(struct bw_access_log *log)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&log->writer, NULL, run_writer, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err == 0)
        pthread_setname_np(log->writer, "bw-log");
    return err;
}

static void dispose(struct bw_access_log *log)
{
    for (unsigned i = 0; i < log->workers; i++)
        free(log->rings[i].bytes);
    free(log->rings);
    if (log->wake >= 0)
        close(log->wake);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

static struct bw_log_ring *new_rings(struct bw_access_log *log, struct bw_counters *const *counters)
{
    struct bw_log_ring *rings;
    int err = posix_memalign((void **)&rings, 64, log->workers * sizeof(rings[0]));

    BW_ASSERT(err == 0);
    memset(rings, 0, log->workers * sizeof(rings[0]));
    for (unsigned i = 0; i < log->workers; i++) {
        rings[i].log = log;
        rings[i].counters = counters[i];
        rings[i].bytes = bw_alloc(RING_BYTES);
    }
    return rings;
}

struct bw_access_log *bw_access_log_new(const struct bw_log_conf *conf,
                                        struct bw_counters *const *counters, unsigned workers,
                                        char *why, size_t why_len)
{
    struct bw_access_log *log;
    int fd;

    if (!open_destination(conf, &fd, why, why_len))
        return NULL;
    log = bw_zalloc(sizeof(*log));
    log->workers = workers;
    log->rings = new_rings(log, counters);
    log->fd = NOWHERE;
    log->next_fd = NO_CHANGE;
    use_fd(log, fd);
    atomic_init(&log->format, format_wanted(conf));
    pthread_mutex_init(&log->lock, NULL);
    log->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = log->wake < 0 ? errno : start_writer(log);
    if (err == 0)
        return log;
    snprintf(why, why_len,
             "the access log cannot start: %s; allow the process more descriptors "
             "and threads",
             strerror(err));
    use_fd(log, NOWHERE);
    dispose(log);
    return NULL;
}

static void mark_rings(struct bw_access_log *log)
{
    for (unsigned i = 0; i < log->workers; i++)
        log->rings[i].mark = atomic_load_explicit(&log->rings[i].filled, memory_order_acquire);
}

enum bw_err bw_access_log_reopen(struct bw_access_log *log, const struct bw_log_conf *conf,
                                 char *why, size_t why_len)
{
    int fd, unused;

    if (!open_destination(conf, &fd, why, why_len))
        return BW_ERR_IO;
    pthread_mutex_lock(&log->lock);
    unused = log->next_fd;
    log->next_fd = fd;
    atomic_store(&log->leaving, true);
    if (unused == NO_CHANGE) /* else what was meant for the unused one goes to this one */
        mark_rings(log);
    pthread_mutex_unlock(&log->lock);
    if (unused >= 0)
        close(unused);
    atomic_store_explicit(&log->format, format_wanted(conf), memory_order_release);
    wake_writer(log);
    return BW_OK;
}

void bw_access_log_free(struct bw_access_log *log)
{
    if (log == NULL)
        return;
    atomic_store(&log->closing, true);
    wake_writer(log);
    pthread_join(log->writer, NULL);
    for (unsigned i = 0; i < log->workers; i++)
        count_lost(&log->rings[i]);
    dispose(log);
}
