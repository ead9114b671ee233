/*
 * main.c - the command line of both ends.
 */
#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS_MAX = 256 };

static const char usage[] = "usage: offload-live origin PORT\n"
                            "       offload-live load PORT CONNECTIONS TRACE.csv\n"
                            "       offload-live held PORT CONNECTIONS TRACE.csv\n";

static bool read_number(const char *text, unsigned long most, unsigned long *n)
{
    char *end;

    *n = strtoul(text, &end, 10);
    return *end == '\0' && *n > 0 && *n <= most;
}

int main(int argc, char **argv)
{
    unsigned long port, connections;

    if (argc == 3 && strcmp(argv[1], "origin") == 0 && read_number(argv[2], UINT16_MAX, &port))
        return bw_live_origin((uint16_t)port);
    if (argc == 5 && (strcmp(argv[1], "load") == 0 || strcmp(argv[1], "held") == 0) &&
        read_number(argv[2], UINT16_MAX, &port) &&
        read_number(argv[3], CONNECTIONS_MAX, &connections))
        return bw_live_load((uint16_t)port, (unsigned)connections, argv[4], argv[1][0] == 'h');
    fputs(usage, stderr);
    return 2;
}
