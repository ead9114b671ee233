/*
 * gate.h - named points that a test can hold and release, so that no test needs to sleep.
 *
 * Any thread.  Without `run --test-clock` every gate is open and costs one relaxed load.  A held
 * gate on a worker thread does not block its loop: bw_gate_pass() is for the writer and the purge
 * threads, bw_gate_held() lets a worker's step come back later.
 *
 * But for owner.note and owner.publish (cache/fill_head.c).  They lie inside the source's call with
 * the head, which its next call follows at once, be it bytes or the end: to come back later the
 * fill would have to keep what comes meanwhile, and what the tests prove would be that.  So these
 * two do block; a test that holds one orders nothing from that worker until it has released it, nor
 * lets another worker lead a fetch.
 */
#pragma once

#include <stdbool.h>

void bw_gate_enable(void);           /* once, at start */
void bw_gate_hold(const char *name); /* from the admin API */
void bw_gate_release(const char *name);
bool bw_gate_held(const char *name); /* does a worker have to come back later? */
void bw_gate_pass(const char *name); /* blocks the calling thread while held */
/* How many arrived at it since it was last held; a worker that comes back counts each time. */
int bw_gate_waiting(const char *name);
