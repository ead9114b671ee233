/*
 * fuzz_http1.c - one whole HTTP/1.1 connection over a socketpair, and a handler that does
 * everything the border allows.
 *
 * The first byte chooses how the client behaves (pieces, leaving early), the rest is what it says.
 * How a request is answered is chosen by a byte of its target.  Nothing may crash, each exchange
 * ends exactly once, each body ends exactly once, and with the client gone nothing is left.
 */
#include "breakwater/server/http1.h"

#include "any_handler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IN_VAIN_MAX = 50 };

/* The client reads what is there; false: the connection is closed. */
static bool turn(int fd)
{
    static char heard[1 << 16];
    ssize_t n;

    bw_loop_run(worker.loop, 0);
    while ((n = read(fd, heard, sizeof(heard))) > 0)
        ;
    return n != 0;
}

/* A client that is not listened to any more gives up. */
static void talk(int fd, const uint8_t *data, size_t size, size_t piece)
{
    int in_vain = 0;

    while (size > 0 && in_vain < IN_VAIN_MAX) {
        size_t n = size < piece ? size : piece;
        ssize_t did = write(fd, data, n);

        if (did > 0) {
            data += did;
            size -= (size_t)did;
        }
        in_vain = did > 0 ? 0 : in_vain + 1;
        if (!turn(fd))
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned how;
    int fd;

    if (size == 0)
        return 0;
    how = data[0];
    fd = open_connection(bw_http1_start);
    talk(fd, data + 1, size - 1, (how & 15) == 15 ? 1 : 1 + (size_t)(how & 15) * 97);
    for (int i = 0; i < (int)(how >> 4) && turn(fd); i++)
        ;
    close_connection(fd);
    return 0;
}
