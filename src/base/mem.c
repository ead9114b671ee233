/*
 * mem.c - allocations whose failure ends the process.
 *
 * A size of zero gives a pointer that may be freed and not be read, never NULL, so that callers
 * have one case less.
 */
#include "breakwater/base/mem.h"

#include "breakwater/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p)
{
    if (BW_UNLIKELY(p == NULL))
        bw_check_failed(__FILE__, __LINE__, "out of memory");
    return p;
}

void *bw_alloc(size_t n)
{
    return checked(malloc(n > 0 ? n : 1));
}

void *bw_zalloc(size_t n)
{
    return checked(calloc(1, n > 0 ? n : 1));
}

void *bw_realloc(void *p, size_t n)
{
    return checked(realloc(p, n > 0 ? n : 1));
}

char *bw_strdup(const char *s)
{
    return checked(strdup(s));
}

char *bw_sprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    return checked(n >= 0 ? text : NULL);
}
