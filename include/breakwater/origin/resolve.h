/*
 * resolve.h - which addresses has this server?  (DNS by c-ares on the worker's own loop)
 *
 * A struct bw_name stands for one server: a host with its port, an address, or a unix socket.  The
 * latter two never ask anybody.  Answers are kept for their TTL, within 5 s and 5 min; one that has
 * just expired is used once more while a new one is fetched, and an old one is better than none
 * when the DNS fails  (RFC 8767).  All calls are on the loop's thread.
 */
#pragma once

#include "breakwater/base/loop.h"

#include <sys/socket.h>

enum { BW_NAME_ADDRESSES_MAX = 16 };

struct bw_resolver; /* one worker's DNS client */
struct bw_name;

struct bw_address {
    struct sockaddr_storage sa;
    socklen_t len;
    int64_t bad_until; /* Unix ms: a connection to it failed a moment ago */
};

/* `servers`: "address[:port],..." to ask instead of those of the system, or NULL. */
struct bw_resolver *bw_resolver_new(struct bw_loop *loop, const char *servers);
/* All names must be freed before; inside the loop only, since it closes sockets. */
void bw_resolver_free(struct bw_resolver *r);

/* `host`: a name, or an address without brackets. */
struct bw_name *bw_name_new(struct bw_resolver *r, const char *host, uint16_t port);
/* NULL when the path is too long for a socket address. */
struct bw_name *bw_name_new_unix(struct bw_resolver *r, const char *path);
/* Nobody may be waiting for it any more. */
void bw_name_free(struct bw_name *n);

enum bw_name_answer {
    BW_NAME_READY,  /* bw_name_pick() has something to give */
    BW_NAME_WAIT,   /* `w` is called in a later round, unless bw_name_leave() comes first */
    BW_NAME_FAILED, /* no such name, or nobody answers; asked again after a second */
};

/* Zero-initialise but for the function. */
struct bw_name_waiter {
    h2o_linklist_t link;
    void (*answered)(struct bw_name_waiter *w, bool found);
};
enum bw_name_answer bw_name_lookup(struct bw_name *n, struct bw_name_waiter *w);
void bw_name_leave(struct bw_name_waiter *w); /* may be called always */

/* Which addresses one attempt has tried; zero-initialise. */
struct bw_name_cursor {
    uint32_t tried; /* a bit for each */
    uint8_t count;  /* how many */
    uint8_t last;   /* the last one */
};
/*
 * The next address to try, or NULL when there is none left: in turn for each attempt, those that
 * failed a moment ago last.  Valid until the next call for this name.
 */
const struct bw_address *bw_name_pick(struct bw_name *n, struct bw_name_cursor *c);
/* No connection could be made to the address that was picked last with `c`. */
void bw_name_failed(struct bw_name *n, const struct bw_name_cursor *c);
