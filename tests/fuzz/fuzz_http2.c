/*
 * fuzz_http2.c - one whole HTTP/2 connection over a socketpair, below a handler that does
 * everything the border allows.
 *
 * The first byte chooses how the client behaves: its pieces, and whether the rest is bytes as they
 * were captured, or a script.  A script is a row of frames whose lengths are always right: type,
 * flags, stream, length, payload; types from 0xf0 are no frames but what the client does between
 * them.  Nothing may crash, each exchange ends exactly once, each body ends exactly once, and with
 * the client gone nothing is left.
 */
#include "breakwater/server/http2.h"

#include "any_handler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    IN_VAIN_MAX = 50,
    FRAME_HEAD = 9,
    IS_CAPTURE = 0x80,
    LEAVES_EARLY = 0x40,
    /* in the place of a type */
    TURNS = 0xff,
    STOPS_READING = 0xfe,
    READS_AGAIN = 0xfd,
    REPEATS = 0xfc, /* flags: how often, the frame that follows */
    OTHERS = 0xf0,
};

struct client {
    int fd;
    size_t piece;
    bool reads, closed;
};

/* The client reads what is there. */
static void turn(struct client *c)
{
    static char heard[1 << 16];
    ssize_t n = -1;

    bw_loop_run(worker.loop, 0);
    while (c->reads && (n = read(c->fd, heard, sizeof(heard))) > 0)
        ;
    c->closed |= n == 0;
}

/* A client that is not listened to any more gives up. */
static void talk(struct client *c, const uint8_t *data, size_t size)
{
    int in_vain = 0;

    while (size > 0 && in_vain < IN_VAIN_MAX && !c->closed) {
        size_t n = size < c->piece ? size : c->piece;
        ssize_t did = send(c->fd, data, n, MSG_NOSIGNAL);

        if (did > 0) {
            data += did;
            size -= (size_t)did;
        }
        in_vain = did > 0 ? 0 : in_vain + 1;
        if (did <= 0 || size > 0)
            turn(c);
    }
    if (size > 0)
        c->closed = true;
}

/* One frame of a script; how many bytes of the script it was. */
static size_t say_frame(struct client *c, const uint8_t *at, size_t left)
{
    uint8_t out[FRAME_HEAD + UINT8_MAX] = {0};
    size_t n = left > 4 ? at[3] : 0;

    if (left < 4)
        return left;
    n = n < left - 4 ? n : left - 4;
    out[2] = (uint8_t)n;
    out[3] = at[0];
    out[4] = at[1];
    out[8] = at[2];
    memcpy(out + FRAME_HEAD, at + 4, n);
    talk(c, out, FRAME_HEAD + n);
    return 4 + n;
}

static size_t step(struct client *c, const uint8_t *at, size_t left)
{
    size_t used;

    if (at[0] < OTHERS)
        return say_frame(c, at, left);
    if (at[0] == REPEATS && left > 2 && at[2] < OTHERS) {
        used = left;
        for (int i = 0; i < at[1] && !c->closed; i++)
            used = 2 + say_frame(c, at + 2, left - 2);
        return used;
    }
    if (at[0] == STOPS_READING || at[0] == READS_AGAIN)
        c->reads = at[0] == READS_AGAIN;
    turn(c);
    return 1;
}

static void play(struct client *c, const uint8_t *data, size_t size)
{
    static const char begin[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

    talk(c, (const uint8_t *)begin, sizeof(begin) - 1);
    while (size > 0 && !c->closed) {
        size_t used = step(c, data, size);

        data += used;
        size -= used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client c = {.reads = true};
    unsigned how;

    if (size == 0)
        return 0;
    how = data[0];
    c.fd = open_connection(bw_http2_start);
    c.piece = (how & 7) == 7 ? 1 : 1 + (size_t)(how & 7) * 97;
    if ((how & IS_CAPTURE) != 0)
        talk(&c, data + 1, size - 1);
    else
        play(&c, data + 1, size - 1);
    for (int i = 0; i < ((how & LEAVES_EARLY) != 0 ? 0 : 8); i++)
        turn(&c);
    close_connection(c.fd);
    return 0;
}
