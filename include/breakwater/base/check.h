/*
 * check.h - invariants that stay on in release builds, and the few macros of the project.
 *
 * Assert what our own code promises; never assert input.
 */
#pragma once

#include <stddef.h>

/* Prints file, line and condition to stderr and aborts. */
_Noreturn void bw_check_failed(const char *file, int line, const char *what);

#define BW_ASSERT(cond)                    ((cond) ? (void)0 : bw_check_failed(__FILE__, __LINE__, #cond))
#define BW_UNREACHABLE()                   bw_check_failed(__FILE__, __LINE__, "unreachable")
#define BW_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define BW_ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define BW_LIKELY(x)                       __builtin_expect(!!(x), 1)
#define BW_UNLIKELY(x)                     __builtin_expect(!!(x), 0)
