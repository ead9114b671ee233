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

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

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
    struct bw_accepted who = {.listener = &listener, .is_unix = true};
    int pair[2];
    unsigned how;

    if (size == 0)
        return 0;
    set_up();
    how = data[0];
    BW_ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    bw_http1_start(
        &worker,
        h2o_evloop_socket_create(worker.ctx.loop, pair[1], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION),
        &who);
    talk(pair[0], data + 1, size - 1, (how & 15) == 15 ? 1 : 1 + (size_t)(how & 15) * 97);
    for (int i = 0; i < (int)(how >> 4) && turn(pair[0]); i++)
        ;
    close(pair[0]);
    for (int i = 0; i < 8; i++)
        bw_loop_run(worker.loop, 0);
    bw_conns_cut(&worker); /* lingering, or not reading because of its sink */
    close_given();
    bw_loop_run(worker.loop, 0);
    BW_ASSERT(alive == 0);
    return 0;
}
