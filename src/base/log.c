/*
 * log.c - the error log: one event, one line, one write(2) to stderr.
 *
 * One write of less than PIPE_BUF bytes is not torn by another thread's, so no lock is held while
 * the kernel works.  The limiter remembers at most 256 pairs of what and who; while all of them
 * are young a new pair is not logged at all, which bounds the log to 256 limited lines a minute
 * whatever the number of addresses that misbehave.
 */
#include "breakwater/base/log.h"

#include "breakwater/base/check.h"
#include "breakwater/base/clock.h"
#include "breakwater/base/hash.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, LIMITED_PAIRS = 256, LIMITED_PERIOD_MS = 60000 };

/* A pair is its hash: two pairs that collide cost one line, not correctness. */
struct limited {
    uint64_t pair;
    int64_t logged_at; /* 0: the place is free */
    unsigned muted;    /* lines swallowed since then */
};

static _Atomic int threshold = BW_LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct limited table[LIMITED_PAIRS]; /* under lock */

static const char hex_digits[] = "0123456789abcdef";

static const char *level_name(enum bw_log_level level)
{
    switch (level) {
    case BW_LOG_DEBUG:
        return "debug";
    case BW_LOG_INFO:
        return "info";
    case BW_LOG_WARN:
        return "warn";
    case BW_LOG_ERROR:
        return "error";
    }
    BW_UNREACHABLE();
}

void bw_log_set_level(enum bw_log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

static bool is_wanted(enum bw_log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

/* "2026-01-31T12:00:00.000Z warn "; the number of bytes. */
static size_t write_prefix(char *line, size_t cap, enum bw_log_level level)
{
    int64_t now = bw_clock_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    size_t n = strftime(line, cap, "%Y-%m-%dT%H:%M:%S", &tm);
    int rest = snprintf(line + n, cap - n, ".%03dZ %s ", (int)(now % 1000), level_name(level));
    return n + (size_t)rest;
}

/*
 * The message with every byte outside 0x20..0x7E escaped, so that no peer can begin a line of its
 * own (security.md 6, "logs"); stops where fewer than `cap` bytes would be left for one more.
 */
static size_t escape(char *out, size_t cap, const char *message)
{
    size_t n = 0;

    for (; *message != '\0' && n + 4 <= cap; ++message) {
        unsigned char c = (unsigned char)*message;
        if (c >= 0x20 && c <= 0x7E) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = hex_digits[c >> 4];
        out[n++] = hex_digits[c & 15];
    }
    return n;
}

static void emit(enum bw_log_level level, const char *message)
{
    char line[LINE_MAX_BYTES];
    size_t n = write_prefix(line, sizeof(line), level);

    n += escape(line + n, sizeof(line) - 1 - n, message);
    line[n++] = '\n';
    /* a log that cannot be written has nobody to tell */
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written;
}

void bw_log(enum bw_log_level level, const char *fmt, ...)
{
    char message[LINE_MAX_BYTES];
    va_list args;

    if (!is_wanted(level))
        return;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    emit(level, message);
}

static uint64_t hash_pair(const char *what, const char *who)
{
    return bw_hash_64(bw_slice_str(what)) * UINT64_C(31) + bw_hash_64(bw_slice_str(who));
}

/* A clock that was set back makes a place old, or it would be silent until time catches up. */
static bool is_young(const struct limited *l, int64_t now)
{
    return l->logged_at != 0 && now >= l->logged_at && now - l->logged_at < LIMITED_PERIOD_MS;
}

/* The pair's own place, else one that is free or old, else NULL. Under the lock. */
static struct limited *find_place(uint64_t pair, int64_t now)
{
    struct limited *spare = NULL;

    for (size_t i = 0; i < LIMITED_PAIRS; ++i) {
        if (table[i].logged_at != 0 && table[i].pair == pair)
            return &table[i];
        if (spare == NULL && !is_young(&table[i], now))
            spare = &table[i];
    }
    if (spare != NULL)
        *spare = (struct limited){.pair = pair};
    return spare;
}

/* May this pair be logged now? `*muted` is how many lines were swallowed before. */
static bool admit(const char *what, const char *who, unsigned *muted)
{
    uint64_t pair = hash_pair(what, who);
    int64_t now = bw_clock_ms();
    bool admitted = false;

    pthread_mutex_lock(&lock);
    struct limited *place = find_place(pair, now);
    if (place != NULL && is_young(place, now)) {
        ++place->muted;
    } else if (place != NULL) {
        *muted = place->muted;
        *place = (struct limited){.pair = pair, .logged_at = now};
        admitted = true;
    }
    pthread_mutex_unlock(&lock);
    return admitted;
}

void bw_log_limited(enum bw_log_level level, const char *what, const char *who, const char *fmt,
                    ...)
{
    char message[LINE_MAX_BYTES];
    unsigned muted = 0;
    va_list args;

    if (!is_wanted(level) || !admit(what, who, &muted))
        return;
    va_start(args, fmt);
    int n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (muted > 0 && n >= 0 && n < (int)sizeof(message))
        snprintf(message + n, sizeof(message) - (size_t)n, " (%u more like this before)", muted);
    emit(level, message);
}
