/*
 * access_log.c - rings that workers fill and one thread that empties them.
 *
 * A ring has one producer, its worker, and one consumer, the writer.  The worker moves `filled`
 * behind a whole line only, so what the writer takes ends with a line end, and lines of different
 * workers never mix.  The writer looks ten times a second, or as soon as a ring is a quarter full.
 *
 * Where the destination may block (a pipe, a terminal), the writer asks before each piece of at
 * most PIPE_BUF bytes, so that a reader who has stopped reading cannot hold up the shutdown.  Lines
 * that cannot be written are dropped and counted: the log never stops the process or a worker.
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
    PERIOD_MS = 100,
    GIVE_UP_MS = 1000, /* at the end, for a reader who does not read */
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
};

struct bw_access_log {
    atomic_int format; /* enum bw_log_format, or OFF */
    atomic_bool awake; /* the writer is, or will be, looking */
    atomic_bool closing;
    int wake; /* eventfd */
    unsigned workers;
    struct bw_log_ring *rings;
    pthread_t writer;
    pthread_mutex_t lock; /* of `next_fd` */
    int next_fd;          /* to be written to from now on, or NO_CHANGE */
    /* the writer's own */
    int fd; /* or NOWHERE */
    bool may_block;
    bool torn;          /* the last thing written was no whole line */
    int64_t give_up_us; /* 0: not closing yet */
};

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
    size_t from = at % RING_BYTES, first = RING_BYTES - from < n ? RING_BYTES - from : n;

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

/* Is there room for PIPE_BUF bytes?  false: it is time to go, and there is none. */
static bool wait_for_room(struct bw_access_log *log)
{
    struct pollfd p = {.fd = log->fd, .events = POLLOUT};

    for (;;) {
        if (poll(&p, 1, PERIOD_MS) != 0)
            return true; /* an error shows in write() */
        if (log->give_up_us == 0 && atomic_load(&log->closing))
            log->give_up_us = bw_clock_mono_us() + GIVE_UP_MS * INT64_C(1000);
        if (log->give_up_us != 0 && bw_clock_mono_us() >= log->give_up_us) {
            errno = ETIMEDOUT;
            return false;
        }
    }
}

/* Returns how many bytes were written; less than n after an error. */
static size_t write_all(struct bw_access_log *log, const char *bytes, size_t n)
{
    size_t done = 0;

    while (done < n) {
        size_t piece = n - done;

        if (log->may_block && piece > PIPE_BUF)
            piece = PIPE_BUF;
        if (log->may_block && !wait_for_room(log))
            return done;
        ssize_t written = write(log->fd, bytes + done, piece);
        if (written < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (written <= 0)
            return done;
        done += (size_t)written;
    }
    return done;
}

static uint64_t lines_behind(const struct bw_log_ring *ring, size_t from, size_t to)
{
    uint64_t lines = 0;

    for (size_t i = from; i < to; i++)
        lines += ring->bytes[i % RING_BYTES] == '\n';
    return lines;
}

static void use_fd(struct bw_access_log *log, int fd)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->may_block = is_blocking(fd);
    log->torn = false;
}

static void take_next_fd(struct bw_access_log *log)
{
    pthread_mutex_lock(&log->lock);
    int fd = log->next_fd;
    log->next_fd = NO_CHANGE;
    pthread_mutex_unlock(&log->lock);
    if (fd != NO_CHANGE)
        use_fd(log, fd);
}

/* A line that was cut by an error must not run into the next one. */
static bool mend(struct bw_access_log *log)
{
    if (log->torn && write_all(log, "\n", 1) == 1)
        log->torn = false;
    return !log->torn;
}

/* Of `n` bytes from `taken` on only `done` could be written. */
static void give_up_lines(struct bw_log_ring *ring, size_t taken, size_t done, size_t n)
{
    bw_log_limited(BW_LOG_ERROR, "access log", "", "the access log cannot be written: %s",
                   strerror(errno));
    if (done > 0)
        ring->log->torn = ring->bytes[(taken + done - 1) % RING_BYTES] != '\n';
    atomic_fetch_add_explicit(&ring->lost, lines_behind(ring, taken + done, taken + n),
                              memory_order_relaxed);
}

static void empty_ring(struct bw_log_ring *ring)
{
    struct bw_access_log *log = ring->log;
    size_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    size_t n = atomic_load_explicit(&ring->filled, memory_order_acquire) - taken, done = n;
    size_t from = taken % RING_BYTES, first = RING_BYTES - from < n ? RING_BYTES - from : n;

    if (n > 0 && log->fd < 0)
        take_next_fd(log); /* the log was switched on before these lines were written */
    if (n > 0 && log->fd >= 0) {
        done = mend(log) ? write_all(log, ring->bytes + from, first) : 0;
        if (done == first && n > first)
            done += write_all(log, ring->bytes, n - first);
    }
    if (done < n)
        give_up_lines(ring, taken, done, n);
    atomic_store_explicit(&ring->taken, taken + n, memory_order_release);
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

static void *run_writer(void *arg)
{
    struct bw_access_log *log = arg;
    bool closing;

    do {
        sleep_until_woken(log);
        closing = atomic_load(&log->closing);
        for (unsigned i = 0; i < log->workers; i++)
            empty_ring(&log->rings[i]);
        take_next_fd(log);
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

/* A descriptor of our own, NOWHERE where the log is off; false: `why` says why. */
static bool open_destination(const struct bw_log_conf *conf, int *fd, char *why, size_t why_len)
{
    int standard;

    *fd = NOWHERE;
    if (!conf->access)
        return true;
    *fd = is_standard(conf, &standard)
              ? fcntl(standard, F_DUPFD_CLOEXEC, 0)
              : open(conf->access_to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
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

enum bw_err bw_access_log_reopen(struct bw_access_log *log, const struct bw_log_conf *conf,
                                 char *why, size_t why_len)
{
    int fd, unused;

    if (!open_destination(conf, &fd, why, why_len))
        return BW_ERR_IO;
    pthread_mutex_lock(&log->lock);
    unused = log->next_fd;
    log->next_fd = fd;
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
