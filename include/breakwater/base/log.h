/*
 * log.h - the error log: one line an event, to stderr, never forged by what a peer sent.
 *
 * Any thread.  Bytes outside 0x20..0x7E are escaped, lines are cut at 4 KiB.  Not for requests:
 * those go through server/access_log, which never blocks a worker.
 */
#pragma once

enum bw_log_level { BW_LOG_DEBUG, BW_LOG_INFO, BW_LOG_WARN, BW_LOG_ERROR };

void bw_log_set_level(enum bw_log_level level);
void bw_log(enum bw_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * The same, at most once a minute for each `what` (a string literal) and `who` (an address, "" for
 * any), and at most 256 such lines a minute in all.
 */
void bw_log_limited(enum bw_log_level level, const char *what, const char *who, const char *fmt,
                    ...) __attribute__((format(printf, 4, 5)));
