/*
 * fetch.h - one request to an origin: our own strict HTTP/1.1 client  (RFC 9112; design.md, 5).
 *
 * A struct bw_origin belongs to one worker's loop and holds its connections to all servers of all
 * pools.  Calls and callbacks are on that loop's thread.
 *
 * Lifetime:
 * 1. bw_fetch_start() never calls back inside itself; neither does any other function here.
 * 2. After start() exactly one of end(), fail(), upgraded() comes, unless bw_fetch_cancel() is
 *    called first; after it the fetch is gone and must not be touched.
 * 3. Views handed to a callback (head, fields, data) are valid inside that call only, but for
 *    those of head(), which live until the fetch is gone.
 * 4. head() comes at most once and before any data(); informational() only before it.
 * 5. A retry on another server happens only before head() and before any byte of a request body
 *    has been sent; the caller does not notice it.
 * 6. What is truncated, over-long or ambiguous ends in fail(), never in end().
 */
#pragma once

#include "breakwater/base/err.h"
#include "breakwater/base/loop.h"
#include "breakwater/http/head.h"
#include "breakwater/http/outcome.h"
#include "breakwater/origin/conf.h"

struct bw_origin; /* one worker's connections */
struct bw_fetch;

/*
 * `pools` must live until bw_origin_free() (a configuration snapshot); a reload makes a new
 * struct bw_origin and frees the old one, which then waits for its fetches: `freed` is called on
 * the loop when the last one is over.  `workers`: the limits of a pool are divided by it.
 * TLS contexts are made here; BW_ERR_INVALID puts one line into `why`.
 */
enum bw_err bw_origin_new(struct bw_loop *loop, const struct bw_pool_conf *pools, size_t pools_n,
                          uint32_t workers, char *why, size_t why_len, struct bw_origin **out);
/* Can the files be read that TLS needs?  As above, without a loop: before anything is started. */
enum bw_err bw_origin_check(const struct bw_pool_conf *pools, size_t pools_n, char *why,
                            size_t why_len);
void bw_origin_free(struct bw_origin *o, void (*freed)(void *ctx), void *ctx);

struct bw_fetch_request {
    struct bw_slice method;
    struct bw_slice target;         /* the whole normal form */
    struct bw_slice authority;      /* the client's; replaced where the pool says so */
    const struct bw_fields *fields; /* as they go out: cleaned, Via and forwarding fields in */
    enum bw_framing body;           /* NONE, LENGTH or CHUNKED */
    uint64_t content_length;
    bool upgrade; /* `fields` hold Upgrade; Connection: upgrade is added */
};

struct bw_fetch_ops {
    /* 1xx but 100 and 101. */
    void (*informational)(void *ctx, const struct bw_response_head *head);
    void (*head)(void *ctx, const struct bw_response_head *head);
    void (*data)(void *ctx, struct bw_slice bytes);
    /* Whole, as the framing says; `trailers` may be empty. */
    void (*end)(void *ctx, const struct bw_fields *trailers);
    void (*fail)(void *ctx, enum bw_reason why);
    /* Room for up to `n` more bytes of the request body (bw_fetch_body()); several add up. */
    void (*want)(void *ctx, size_t n);
    /* 101: the socket is yours, reading is stopped; its input may hold bytes already.  It no longer
     * counts among the server's connections; closing it over TLS sends no close_notify. */
    void (*upgraded)(void *ctx, const struct bw_response_head *head, h2o_socket_t *socket);
};

/* Copies what it needs of `rq`.  Never NULL: a failure is reported by fail() in a later round. */
struct bw_fetch *bw_fetch_start(struct bw_origin *o, uint32_t pool,
                                const struct bw_fetch_request *rq, const struct bw_fetch_ops *ops,
                                void *ctx);
/* Stop and go on reading the response: backpressure.  The between-bytes clock stands still. */
void bw_fetch_pause(struct bw_fetch *f);
void bw_fetch_resume(struct bw_fetch *f);
/* Gives up: the connection is closed unless the response was read whole.  No callback follows. */
void bw_fetch_cancel(struct bw_fetch *f);
/*
 * The next bytes of the request body, at most what want() allowed; copied.  `last`: the body is
 * complete (`n` may be 0).
 */
void bw_fetch_body(struct bw_fetch *f, struct bw_slice bytes, bool last);
/* Index of the server within its pool, or -1 while there is none. */
int bw_fetch_server(const struct bw_fetch *f);

struct bw_origin_figures {
    uint64_t requests, connects, reused, retries, failures, queued, open, idle;
    uint64_t bytes_in, bytes_out;
};
void bw_origin_figures(const struct bw_origin *o,
                       struct bw_origin_figures *out); /* loop's thread */
