/*
 * mem.h - small allocations that cannot fail: they abort, because nothing useful can follow.
 *
 * For anything whose size a peer chooses use malloc() and handle NULL, or charge base/budget first.
 */
#pragma once

#include <stddef.h>

void *bw_alloc(size_t n);              /* uninitialised; free() it */
void *bw_zalloc(size_t n);             /* zeroed; free() it */
void *bw_realloc(void *p, size_t n);   /* as realloc() */
char *bw_strdup(const char *s);        /* free() it */
char *bw_sprintf(const char *fmt, ...) /* free() it */
    __attribute__((format(printf, 1, 2)));
