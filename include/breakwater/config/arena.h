/*
 * arena.h - memory that lives as long as one configuration and is given back in one go.
 *
 * One owner, no threads.  Sizes come from a file that the operator wrote, so it aborts when memory
 * is out, as base/mem does.
 */
#pragma once

#include "breakwater/base/slice.h"

struct bw_arena;

struct bw_arena *bw_arena_new(void);
/* Zeroed and aligned for any type; valid until bw_arena_free(). */
void *bw_arena_alloc(struct bw_arena *a, size_t n);
/* A NUL-terminated copy. */
char *bw_arena_copy(struct bw_arena *a, struct bw_slice s);
char *bw_arena_printf(struct bw_arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Calls undo(arg) when the arena is freed, the last one deferred first. */
void bw_arena_defer(struct bw_arena *a, void (*undo)(void *arg), void *arg);
void bw_arena_free(struct bw_arena *a);
