/*
 * fill.h - one origin fetch for a crowd  (the fill protocol; rule numbers are those of
 * docs/fill.md, which is checked by a model).
 *
 * A fill belongs to the worker that began it, its owner; only the owner talks to the origin,
 * through a struct bw_source that server/ supplies.  A request takes part through a struct
 * bw_waiter, on its own worker's thread; the leader is the first reader and nothing more.
 *
 * Lifetime:
 * 1. bw_fill_join() gives the waiter a reference to the fill; bw_fill_leave() drops it, always
 *    exactly once, whatever happened meanwhile.
 * 2. `wake` means "look again"; it is called from the loop, never inside a call of ours, and only
 *    while the waiter waits (after join, or after bw_fill_next() said PARKED).
 * 3. Blocks handed out by bw_fill_next() stay valid until bw_fill_sent() or bw_fill_leave().
 * 4. The source's calls into the fill (bw_fill_on_*) come on the owner's loop, one after another;
 *    after end or fail, or after the fill called cancel(), none follows.
 */
#pragma once

#include "breakwater/base/loop.h"
#include "breakwater/cache/key.h"
#include "breakwater/cache/store.h"

struct bw_fills; /* the table: all fills of the process */
struct bw_fill;

/* ---- the table ---- */

struct bw_fills_options {
    struct bw_store *store;
    struct bw_budget *budget;
    struct bw_loop *const *loops; /* of the workers, for messages */
    struct bw_pins *const *pins;  /* of the workers */
    unsigned workers;
    uint32_t waiters_max;           /* on one fill (rule 8) */
    uint64_t max_object;            /* bytes; larger ones are not stored */
    uint32_t refreshes_max;         /* background fills at once (rule 33) */
    const struct bw_slice *codings; /* content codings kept, for Vary */
    size_t codings_n;
    int64_t writer_ms; /* how long a stopped fill waits for the writer (rule 22); 0: 1 s */
    int64_t lag_ms;    /* how long a reader may hold up others (rule 23); 0: 5 s */
};

struct bw_fills *bw_fills_new(const struct bw_fills_options *o);
/* After the last worker and the store have ended: until then the writer may hold fills. */
void bw_fills_free(struct bw_fills *fs);
/* Limits that a reload may change. */
void bw_fills_set_limits(struct bw_fills *fs, uint32_t waiters_max, uint64_t max_object);
/*
 * Purge a URL, in the order of rule 31: index, table of fills; the deletes are on their way.  Any
 * thread.  Returns the number of the purge, for bw_store_purge_committed().
 */
uint64_t bw_fills_purge(struct bw_fills *fs, const struct bw_hash *primary, bool soft);

enum bw_fill_event {
    BW_FILL_BEGUN,
    BW_FILL_REFRESH,
    BW_FILL_JOINED,
    BW_FILL_ORPHANED, /* went on without its leader */
    BW_FILL_ABORTED,  /* nobody left */
    BW_FILL_BROKEN,   /* failed after the head */
    BW_FILL_PASS_LEARNT,
    BW_FILL_VARY_SPLIT,
    BW_FILL_STORED,
    BW_FILL_STORE_LOST,
    BW_FILL_STORE_FAILED,
    BW_FILL_CUT_LAGGING,
    BW_FILL_SHED,
    BW_FILL_WAIT_EXPIRED,
    BW_FILL_PURGED,
    BW_FILL_EVENT_COUNT,
};
uint64_t bw_fills_count(const struct bw_fills *fs, enum bw_fill_event e); /* any thread */
uint64_t bw_fills_now(const struct bw_fills *fs);                         /* fills under way */
uint64_t
bw_fills_waiting(const struct bw_fills *fs); /* waiters that wait for a head or for bytes */

/* ---- the origin's side ---- */

/* The fetch behind a fill; the owner's thread. */
struct bw_source_ops {
    void (*pause)(void *source);
    void (*resume)(void *source);
    void (*cancel)(void *source); /* and free it: no call follows */
};
/* Give the fill its fetch, once, right after it began. */
void bw_fill_set_source(struct bw_fill *f, const struct bw_source_ops *ops, void *source);

struct bw_fill_response {
    int status;
    struct bw_slice reason;
    const struct bw_fields *fields; /* hop-by-hop fields removed */
    uint64_t length;                /* of the body, or UINT64_MAX */
    int64_t asked_ms, answered_ms;
};
/* All copied; a 304 to our own validators is recognised by the fill. */
void bw_fill_on_head(struct bw_fill *f, const struct bw_fill_response *r);
void bw_fill_on_data(struct bw_fill *f, struct bw_slice bytes);
/* `trailers` are copied; they are not stored, but whoever reads the fill gets them. */
void bw_fill_on_end(struct bw_fill *f, const struct bw_fields *trailers);
void bw_fill_on_fail(struct bw_fill *f, enum bw_reason why);

/* What the fetch needs to know; views live as long as the fill. */
const struct bw_fields *bw_fill_request_fields(const struct bw_fill *f);
const struct bw_entry *bw_fill_base(const struct bw_fill *f); /* what is revalidated, or NULL */

/* ---- the requests' side: on the waiter's own thread ---- */

enum bw_waiter_state { BW_WAITER_NONE, BW_WAITER_WAITING, BW_WAITER_READING, BW_WAITER_SENDING };

struct bw_waiter;
typedef void (*bw_wake_fn)(struct bw_waiter *w);

struct bw_waiter {
    h2o_linklist_t link;  /* in its seat's list */
    struct bw_fill *fill; /* a reference, or NULL */
    bw_wake_fn wake;
    unsigned worker;
    enum bw_waiter_state state;
    bool parked; /* wants to be woken */
    bool leads;
    bool for_commit;    /* waits for the record, not for the bytes */
    uint8_t tries;      /* how often it was let go (rule 15) */
    uint64_t sent_back; /* the record for whose sake it was told to look again */
    uint64_t position;  /* of the body: next byte to be read */
    uint64_t end;       /* exclusive; UINT64_MAX: to the end of the body */
    uint64_t stands_in; /* number of the block it is counted in */
    struct bw_block *sending[16];
    unsigned sending_n;
};

struct bw_join {
    unsigned worker;
    const struct bw_key *key;     /* of the request */
    const struct bw_key *variant; /* what the base record in the store leads to, or NULL */
    uint64_t variant_vary_id;     /* of that base record */
    struct bw_slice variant_names;
    const struct bw_policy_request *policy; /* copied when a fill begins */
    uint64_t dangling; /* objid of an index entry that led nowhere (rule 3), or 0 */
    uint64_t found;    /* objid of the record that was found and may not be used as it is, or 0 */
    uint64_t seen;     /* of the lookup: a purge since then takes base and variant away */
    bool made;         /* what is to be stored was made when `seen` was taken */
    bool may_lead;     /* GET without a body */
    bool alone;        /* collapse is off */
    bool second;       /* a sick answer (5xx) sent it back before (rule 16) */
    const struct bw_entry *base;   /* stored, pinned, to be revalidated, or NULL; copied */
    const struct bw_key *base_key; /* the key under which `base` is stored */
};

enum bw_joined {
    BW_JOINED_WAITS, /* joined a fill under way: look, for its head may be out already */
    BW_JOINED_LEADS, /* began a fill: give it a source, then wait for `wake` */
    BW_JOINED_LOOK,  /* it has been stored meanwhile: look it up again */
    BW_JOINED_SHED,  /* no memory, or too many waiters: stale or 503 */
    BW_JOINED_PASS,  /* nothing to join, and it may not lead */
    BW_JOINED_SICK,  /* `second`, and the second fetch was sick, too: an error page */
};
enum bw_joined bw_fill_join(struct bw_fills *fs, struct bw_waiter *w, const struct bw_join *j,
                            bw_wake_fn wake);

/* A fill without readers that refreshes a stored response.  NULL: not now (rule 33). */
struct bw_fill *bw_fill_refresh(struct bw_fills *fs, const struct bw_join *j);

/*
 * Store a response that is here already, whole, as if a fill had fetched it: one to POST that may
 * answer GET (RFC 9110, 9.3.3).  Not if there is a record, a fill or a note for its key, nor if it
 * was purged since `j->seen`, which was taken when its head had come; `j->made` is set.
 */
void bw_fill_deposit(struct bw_fills *fs, const struct bw_join *j, const struct bw_fill_response *r,
                     struct bw_slice body);

/*
 * Bring the stored response `j->base` up to date by `r`, the answer to a HEAD that describes it
 * (RFC 9111, 4.3.5), as a 304 would.  Not if there is a fill or a note for its key, or another
 * record, or if it was purged since `j->seen`; `j->made` is set.
 */
void bw_fill_freshen(struct bw_fills *fs, const struct bw_join *j,
                     const struct bw_fill_response *r);

enum bw_look {
    BW_LOOK_WAIT,   /* no head yet */
    BW_LOOK_HEAD,   /* a head that is for everybody whom bw_policy_usable() allows it */
    BW_LOOK_OWN,    /* a head for the leader alone, who is this waiter */
    BW_LOOK_AGAIN,  /* a head for somebody else: leave and look up again */
    BW_LOOK_FAILED, /* the origin answered, but sick: 5xx, 429; `head` is for the leader */
    BW_LOOK_NONE,   /* no head: `why` */
};

/* The published head; lives as long as the fill. */
struct bw_fill_head {
    int status;
    struct bw_slice reason;
    struct bw_fields fields; /* of the response, for the leader */
    struct bw_fields stored; /* for everybody else */
    struct bw_terms terms;
    uint64_t length; /* of the body; UINT64_MAX: not known yet */
    bool storing;
    bool revalidated;          /* a 304: the stored response with fresh fields */
    enum bw_reason not_stored; /* why not */
};
enum bw_look bw_fill_look(struct bw_waiter *w, const struct bw_fill_head **head,
                          enum bw_reason *why);
/* Does the head vary by fields in which this request differs from the leader's? */
bool bw_fill_variant_fits(const struct bw_waiter *w, const struct bw_fields *request);

enum bw_next_bytes {
    BW_BYTES_MEMORY, /* blocks: `piece` of them */
    BW_BYTES_STORE,  /* read from the store: objid, position (bw_reader_body()) */
    BW_BYTES_END,
    BW_BYTES_PARKED, /* nothing now; `wake` comes */
    BW_BYTES_BROKEN, /* the response ends visibly broken */
};
struct bw_pieces {
    struct bw_slice v[16];
    unsigned n;
    size_t len;
    uint64_t objid;    /* BW_BYTES_STORE */
    uint64_t position; /* BW_BYTES_STORE: where in the body */
    uint64_t most;     /* BW_BYTES_STORE: bytes that are readable from there */
};
/* The next bytes from w->position, at most `most`; moves the position by what it hands out. */
enum bw_next_bytes bw_fill_next(struct bw_waiter *w, size_t most, struct bw_pieces *out);
/* After BW_BYTES_STORE: so many bytes were read; moves the position. */
void bw_fill_read(struct bw_waiter *w, size_t n);
/* What bw_fill_next() handed out has been sent. */
void bw_fill_sent(struct bw_waiter *w);
/* Is the length known now (the body is whole)?  For a response that began without one. */
bool bw_fill_whole(const struct bw_waiter *w, uint64_t *length);
/*
 * The head is not for this request as it is, but its record will be in a moment (it is to be
 * revalidated): wait for the commit.  True: `wake` comes, then bw_fill_look() says AGAIN.  False:
 * nothing is to be waited for.
 */
bool bw_fill_await_commit(struct bw_waiter *w);
/* After BW_BYTES_END: the trailers, perhaps none; they live as long as the fill. */
const struct bw_fields *bw_fill_trailers(const struct bw_waiter *w);
/*
 * Go on although this reader leaves: its answer is complete (304, a range), and what is being
 * stored is worth having.  Call before bw_fill_leave().
 */
void bw_fill_keep(struct bw_waiter *w);
/* How far the fetch has come, in bytes. */
uint64_t bw_fill_have(const struct bw_waiter *w);
/* collapse.wait is over and there is no head: rule 30.  True: leave and look up again, once. */
bool bw_fill_overdue(struct bw_waiter *w);
void bw_fill_leave(struct bw_waiter *w);

/* Drain: at the deadline every fill of this worker fails (rule 34). */
void bw_fills_abort_all(struct bw_fills *fs, unsigned worker);
/* Does the worker own a fill, seat a reader, or expect a message (rule 35)? */
bool bw_fills_busy(const struct bw_fills *fs, unsigned worker);
