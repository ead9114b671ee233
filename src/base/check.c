/*
 * check.c - how a broken invariant ends the process: one line that names it, then abort().
 *
 * No allocation and no lock on the way: the heap may be what is broken.
 */
#include "breakwater/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void bw_check_failed(const char *file, int line, const char *what)
{
    char text[512];
    int n =
        snprintf(text, sizeof(text), "breakwater: %s:%d: assertion failed: %s\n", file, line, what);
    size_t len = n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1;

    /* nothing is left to do where even this cannot be written */
    ssize_t written = n > 0 ? write(STDERR_FILENO, text, len) : 0;
    (void)written;
    abort();
}
