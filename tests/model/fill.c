/*
 * fill.c - explicit-state model of the fill protocol (docs/fill.md).
 *
 *     make model                   everything (about five minutes of one core, 3 GB)
 *     build/model/fill -c CONFIG   explore one configuration completely (list: -h)
 *     build/model/fill -c CONFIG -m N   the same with rule N taken out; prints the shortest failing
 * run build/model/fill -h          configurations and mutations build/model/fill -p 3,1,1,2,...   a
 * configuration of one's own, fields as in the table below
 *
 * Columns of the table: requests, keys, variants, chunks of a body at most, memory budget in
 * blocks, clients that may leave, purges, waits that may run out, uncacheable heads (2: also
 * no-cache), 5xx heads, Vary heads (2: also those that say their language), a stale record to begin
 * with, faults (origin failures, failed commits, stores given up, a full queue), reserve of a fill
 * in blocks.  Requests are renumbered between the lines of a printed run.
 *
 * One step of the model is one critical section (shard lock or fill lock) or one callback that
 * takes no lock.  Everything that takes two locks in the product takes two steps here, so other
 * threads may come in between.  Messages carry no content and may be delivered in any order,
 * which includes the FIFO order per sender and receiver that libh2o gives.
 *
 * Steps are of two kinds.  Choice: a client comes or leaves, a purge begins, a timer of a waiter
 * runs out; nothing may depend on them.  Progress: everything else.  Checked:
 *   - every assertion BAD(...) below, in every state;
 *   - a state without progress steps has no unfinished request, no live fill, no memory in use;
 *   - progress steps alone form no cycle, so everything ends without any fairness assumption.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MAXR = 3,
    MAXF = 5,
    MAXQ = 8,
    NW = 2,
    MAXK = 2,
    NSLOT = 4,
    LANG = 3,
    NONE = 15,
    MAXTRIES = 2
};

enum {
    R_NEW,
    R_LOOKUP,
    R_JOIN,
    R_JOINL,
    R_JOINV,
    R_HIT,
    R_WAIT,
    R_COMMIT,
    R_READ,
    R_SEND, /* unfinished above */
    R_SERVED,
    R_BROKEN,
    R_ERROR,
    R_LEFT
};
enum { F_START, F_BODY, F_DONE, F_COMMITTED, F_FAILED };
enum { V_NONE, V_SHARE, V_PRIVATE, V_ERROR };
enum { S_NO, S_YES, S_FAILED };
enum { O_NONE, O_SHARE, O_VARY, O_PRIVATE, O_NOCACHE, O_ERROR, O_304 };
enum { I_NONE, I_CHUNK, I_RECORD, I_DELETE };
enum { NOTE_PASS = 1, NOTE_VARY = 2 };

struct req {
    uint8_t st, w, key, var, f, pos, frommem, run, tries, sick, late, noidx, obj, let_go, lead,
        began, lang;
};
struct fill {
    uint8_t live, refs, own, owner, key, var, slot, st, headpub, verdict, varied, joinable, store;
    uint8_t have, readable, win, spare, reserve, stopped, readers, gen, pc, out;
    uint8_t pend[NW], parked[NW], poke, lastmsg, bg, base, pub, whole, gone, kept;
    /* begun after a sick answer; its record is queued; without a reference; in the language that
     * variant 1 wants most */
    uint8_t second : 1, handed : 1, dying : 1, lang : 1;
};
struct item {
    uint8_t type, x, arg;
};
struct state {
    struct req r[MAXR];
    struct fill f[MAXF];
    struct item q[MAXQ];
    uint8_t qn;
    struct item w; /* what the writer works on */
    uint8_t wpc, wok;
    uint8_t slot[MAXK][NSLOT], note[MAXK];
    uint8_t mark[MAXK];     /* in the note: who stores without a slot */
    uint8_t retry[MAXK];    /* a bit a slot: the note RETRY */
    uint8_t sickened[MAXK]; /* a bit a slot, for a check: a second sick answer has left it */
    uint8_t idx[MAXK][NSLOT], db[MAXK][NSLOT]; /* 0 none, 1 fresh, 2 stale */
    uint8_t idxobj[MAXK][NSLOT], dbgen[MAXK][NSLOT];
    uint8_t objid;               /* counts records; only where an entry can dangle */
    uint8_t seq, ppc, preturned; /* purge of key 0 */
    uint8_t left, purges, overdues, faults;
};

static struct cfg {
    const char *name;
    int nr, nk, nvar, chunks, budget, leaves, purges, overdues, private_, error, vary, stale,
        faults, reserve;
} cfg, cfgs[] = {
           /* name        nr nk nv ch bu lv pu ov pr er va st fa rs */
           {"tight", 2, 1, 1, 2, 1, 2, 0, 0, 1, 0, 0, 0, 2,
            1}, /* one block of memory in all, two leave, two faults */
           {"tightpurge", 2, 1, 1, 2, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1},
           {"leave", 3, 1, 1, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 1},
           {"share", 3, 1, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1},
           {"memory", 3, 2, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0,
            1}, /* two keys want the same two blocks */
           {"shed", 2, 2, 1, 2, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1}, /* memory for one fill of two */
           {"private", 3, 1, 1, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0, 1},
           {"error", 2, 1, 1, 1, 2, 2, 0, 0, 1, 1, 0, 0, 1, 1},
           {"error3", 3, 1, 1, 1, 3, 0, 0, 0, 0, 1, 0, 0, 0, 1},
           {"empty", 3, 1, 1, 0, 3, 1, 0, 0, 1, 0, 0, 0, 0, 1}, /* bodies without a byte */
           {"vary", 3, 1, 2, 1, 3, 0, 0, 0, 0, 0, 1, 0, 0, 1},
           {"language", 3, 1, 2, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0,
            1}, /* variant 1 is content with the language of variant 0 */
           {"langpurge", 2, 1, 2, 0, 3, 0, 1, 0, 0, 0, 2, 0, 0, 1},
           {"varymix", 2, 1, 2, 1, 2, 1, 0, 0, 1, 1, 1, 0, 1, 1},
           {"varypurge", 2, 1, 2, 1, 3, 0, 1, 0, 0, 0, 1, 0, 0, 1},
           {"purge", 2, 1, 1, 1, 3, 1, 1, 0, 1, 0, 0, 0, 1, 1},
           {"purge3", 3, 1, 1, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 1},
           {"overdue", 3, 1, 1, 1, 2, 0, 0, 1, 0, 0, 0, 0, 0, 1},
           {"refresh", 2, 1, 1, 1, 2, 1, 0, 0, 1, 1, 0, 1, 1, 1}, /* a stale record to begin with */
           {"refresh3", 3, 1, 1, 1, 2, 0, 0, 0, 0, 1, 0, 1, 0, 1},
           {"refreshpass", 3, 1, 1, 1, 2, 0, 0, 0, 1, 0, 0, 1, 0, 1},
           {"nocache", 2, 1, 1, 1, 3, 1, 0, 0, 2, 0, 0, 0, 1,
            1}, /* heads that are stored but not shared */
           {"nocache3", 3, 1, 1, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 1},
           {"nocachepurge", 2, 1, 1, 0, 3, 0, 1, 1, 2, 0, 0, 0, 0, 1},
           {"nocachelost", 2, 1, 1, 1, 2, 0, 0, 0, 2, 0, 0, 0, 2,
            1}, /* the record finds the queue full, and then no store */
           {"freshpurge", 2, 1, 1, 1, 2, 0, 1, 0, 0, 1, 0, 1, 0, 1},
};

static const char *mutations[] = {
    "none",
    "1 fill leaves the table before the record is published in the index",
    "2 no second look at the index under the shard lock before leading",
    "3 receiver clears the in-flight mark after the walk, not before",
    "4 reader looks and parks in two critical sections",
    "5 memory dropped when handed to the writer, not at the commit",
    "6 writer does not compare the purge sequence at the record",
    "7 a message in flight holds no reference",
    "8 the last reader leaves without telling the owner",
    "9 no memory reserve per fill: wait for the common pool",
    "10 end of a send does not tell a stopped fill",
    "11 no hit-for-miss note at an uncacheable head",
    "12 insertion into the table does not compare the purge sequence",
    "13 at Vary the primary slot goes before the variant slot is taken",
    "14 a failure after the head ends the response as if whole",
    "15 a failed commit leaves the fill in the table",
    "16 owner aborts on the message, not on what it sees under the lock",
    "17 chunks of a failed store deleted at once, not with the last reference",
    "18 fill leaves the table at its last byte, not at the commit",
    "19 a waiter inherits the uncacheable answer of a leader that left",
    "20 memory dropped past the slowest reader of a fill that is not stored",
    "21 purge does not walk the table of fills",
    "22 a fill that lost its first bytes stays joinable",
    "23 hit-for-miss note written after the waiters are let go",
    "24 store abandoned without waking the stopped owner",
    "25 waiters take an uncacheable answer (no verdict at the head)",
    "26 let-go waiters never give up joining (no limit of tries)",
    "27 hit-for-miss note is ignored where a fill runs",
    "28 after a dangling index entry the index is ignored altogether, not only that entry",
    "29 the commit wakes nobody who waits for the record",
    "30 who waits for the record waits on although its store is lost",
    "31 the wait for the record begins without a look under the lock whether it is still to come",
    "32 a lost store tells nobody who waits for the record",
    "33 the mark is followed to a fill that is being freed",
    "34 a commit does not tell an owner whose record did not fit into the queue",
    "35 the second sick answer is not noted",
    "36 the second sick answer is noted after its slot is left",
    "37 entering the slot of a language does not compare the purge sequence",
    "38 a purge does not walk the slots of languages",
    "39 the slot of a language is not left with that of the variant",
};

static int mut;
static int unusable; /* this reader, by its own rules, may not use the head as it is */
static int nslot; /* slots of a key: the primary one, and one a variant where there are variants */
static struct state n;   /* the successor under construction */
static const char *viol; /* first broken invariant in it */
#define BAD(msg)                                                                                   \
    do {                                                                                           \
        if (!viol)                                                                                 \
            viol = (msg);                                                                          \
    } while (0)

static int seated(const struct req *r, int f)
{
    return r->f == f &&
           (r->st == R_WAIT || r->st == R_COMMIT || r->st == R_READ || r->st == R_SEND);
}

/* ---- memory: a fill is charged for its reserve or its live blocks, whichever is more ---- */

static int blocks(int f)
{
    int mask = n.f[f].win;

    for (int i = 0; i < cfg.nr; i++)
        if (n.r[i].st == R_SEND && n.r[i].f == f && n.r[i].frommem)
            mask |= 1 << n.r[i].pos;
    return __builtin_popcount(mask) + n.f[f].spare;
}

static int charge(int f)
{
    int b = blocks(f);

    return !n.f[f].live ? 0 : b > n.f[f].reserve ? b : n.f[f].reserve;
}

static int used(void)
{
    int sum = 0;

    for (int f = 0; f < MAXF; f++)
        sum += charge(f);
    return sum;
}

/* ---- references ---- */

static void unref(int f)
{
    struct fill *p = &n.f[f];

    if (!p->live || p->refs == 0) {
        BAD("reference dropped on a dead fill");
        return;
    }
    if (--p->refs > 0)
        return;
    for (int i = 0; i < cfg.nr; i++)
        if (seated(&n.r[i], f))
            BAD("fill freed under a reader");
    for (int w = 0; w < NW; w++)
        if (p->pend[w])
            BAD("fill freed with a message in flight");
    if (p->poke)
        BAD("fill freed with a message to its owner in flight");
    if (p->own)
        BAD("fill freed while its owner uses it");
    for (int k = 0; k < cfg.nk; k++)
        for (int s = 0; s < NSLOT; s++)
            if (n.slot[k][s] == f + 1)
                BAD("fill freed while in the table");
    for (int i = 0; i < n.qn; i++)
        if (n.q[i].type != I_DELETE && n.q[i].x == f)
            BAD("fill freed while in the writer's queue");
    if (n.w.type != I_NONE && n.w.type != I_DELETE && n.w.x == f)
        BAD("fill freed while the writer works on it");
    if (n.mark[p->key] == f + 1) {
        p->dying = 1; /* the mark is under another lock */
        return;
    }
    memset(p, 0, sizeof *p);
}

static void unmark(int f)
{
    if (n.mark[n.f[f].key] == f + 1)
        n.mark[n.f[f].key] = 0;
}

/* ---- messages ---- */

static void run_seat(int f, int w)
{
    for (int i = 0; i < cfg.nr; i++)
        if (n.r[i].w == w && seated(&n.r[i], f) && n.r[i].st != R_SEND)
            n.r[i].run = 1;
}

static void wake(int f, int by_owner)
{
    struct fill *p = &n.f[f];

    for (int w = 0; w < NW; w++) {
        if (!p->parked[w])
            continue;
        if (by_owner && w == p->owner) {
            p->parked[w] = 0;
            run_seat(f, w);
        } else if (!p->pend[w]) {
            p->parked[w] = 0;
            p->pend[w] = 1;
            if (mut != 7)
                p->refs++;
        }
    }
}

static void poke(int f)
{
    if (n.f[f].own && !n.f[f].poke) {
        n.f[f].poke = 1;
        if (mut != 7)
            n.f[f].refs++;
    }
}

/* ---- table ---- */

static void unslot(int k, int s, int f)
{
    if (n.slot[k][s] == f + 1) {
        n.slot[k][s] = 0;
        unref(f);
    }
}

static int slot_free(int k, int s)
{
    return n.slot[k][s] == 0 || !n.f[n.slot[k][s] - 1].joinable;
}

static void take_slot(int k, int s, int f)
{
    if (n.slot[k][s])
        unslot(k, s, n.slot[k][s] - 1);
    n.slot[k][s] = f + 1;
    n.f[f].refs++;
    n.f[f].slot = s;
    n.f[f].joinable = 1;
    n.f[f].pub = 1;
}

/* ---- the owner's memory step: room for the next block, or stop reading ---- */

static int low(int f)
{
    int m = NONE;

    for (int i = 0; i < cfg.nr; i++)
        if (seated(&n.r[i], f) && n.r[i].pos < m)
            m = n.r[i].pos;
    return m;
}

static void want_room(int f)
{
    struct fill *p = &n.f[f];

    if (p->spare || p->have >= cfg.chunks) {
        p->stopped = 0;
        return;
    }
    for (;;) {
        if (blocks(f) < p->reserve || used() + 1 <= cfg.budget) {
            p->spare = 1;
            p->stopped = 0;
            return;
        }
        int i = p->win ? __builtin_ctz(p->win) : NONE;
        if (p->store == S_YES || i == NONE || (i >= low(f) && mut != 20))
            break;
        p->win &= ~(1 << i);
        if (mut != 22)
            p->joinable = 0;
        p->pub = 0;
    }
    p->stopped = 1;
}

static void enqueue(int type, int x, int arg)
{
    if (n.qn == MAXQ) {
        BAD("model: writer queue too small");
        return;
    }
    n.q[n.qn++] = (struct item){type, x, arg};
    if (type != I_DELETE)
        n.f[x].refs++;
}

/* ---- leaving a fill ---- */

static void leave(int i)
{
    struct req *r = &n.r[i];
    int f = r->f;
    struct fill *p = &n.f[f];

    if (!p->live) {
        BAD("reader uses a dead fill");
        return;
    }
    p->readers--;
    if (r->lead && mut == 19)
        for (int j = 0; j < cfg.nr; j++)
            if (j != i && n.r[j].f == f && n.r[j].st == R_WAIT)
                n.r[j].lead = 1;
    r->lead = r->began = 0;
    r->st = R_LEFT; /* the caller says otherwise */
    r->run = r->pos = r->frommem = 0;
    r->f = NONE;
    if (p->readers == 0 && mut == 16)
        p->lastmsg = 1;
    if ((p->readers == 0 && mut != 8) || p->stopped)
        poke(f);
    unref(f);
}

static void end(int i, int st)
{
    leave(i);
    n.r[i].st = st;
}

static void let_go(int i, int why)
{
    if (n.r[i].pos != 0)
        BAD("let go after its first byte");
    leave(i);
    n.r[i].st = R_LOOKUP;
    n.r[i].tries++;
    n.r[i].let_go = why;
    n.r[i].noidx = 0;
}

static void serve(int i, int gen, int whole)
{
    if (!whole)
        BAD("served as whole, but is not");
    if (n.r[i].late && gen < n.seq)
        BAD("a request after the purge got a response from before it");
}

/* ---- leading and joining: one critical section of the shard ---- */

static void lead(int i, int s, int solo, int bg)
{
    struct req *r = &n.r[i];
    int f = 0;

    if (!solo) {
        if (r->tries >= MAXTRIES)
            BAD("let go too often: a failing origin is asked once for each of the crowd");
        if (r->sick && n.sickened[r->key] & 1 << s)
            BAD("a crowd that has had two sick answers asks a third time");
        for (int g = 0; g < MAXF; g++)
            if (n.f[g].live && n.f[g].pub && n.f[g].key == r->key && n.f[g].gen == n.seq &&
                (n.f[g].slot == s ||
                 (n.f[g].slot == 0 && n.f[g].out == O_VARY && s == 1 + n.f[g].var)))
                BAD("second fetch beside a joinable fill");
        if (n.idx[r->key][s] == 1 && n.db[r->key][s] == 1 && n.dbgen[r->key][s] == n.seq)
            BAD("second fetch beside a fresh record");
    }
    if (mut != 9 && used() + cfg.reserve > cfg.budget) {
        if (!bg)
            r->st = R_ERROR; /* shed: 503, or stale where there is one */
        return;
    }
    while (f < MAXF && n.f[f].live)
        f++;
    if (f == MAXF) {
        BAD("model: too few fills");
        return;
    }
    struct fill *p = &n.f[f];
    memset(p, 0, sizeof *p);
    p->live = p->own = 1;
    p->refs = 1;
    p->owner = r->w;
    p->key = r->key;
    p->var = r->var;
    p->slot = s;
    p->gen = n.seq;
    p->base = n.idx[r->key][s] == 2;
    p->bg = bg;
    p->second = r->sick && !bg;
    if (mut != 9)
        p->reserve = cfg.reserve;
    if (!solo)
        take_slot(r->key, s, f);
    if (!bg) {
        p->refs++;
        p->readers = 1;
        r->st = R_WAIT;
        r->f = f;
        r->run = 0;
        r->pos = 0;
        r->lead = r->began = 1;
        p->parked[r->w] = 1;
    }
    want_room(f);
}

/* The index names a record: read it; else the table of fills. */
static void to_hit(struct req *r, int s)
{
    r->lang = s == 2 && n.idx[r->key][s] == 0 && n.idx[r->key][LANG] == 1;
    if (r->lang)
        s = LANG;
    r->st = n.idx[r->key][s] == 1 ? R_HIT : R_JOIN;
    r->obj = r->st == R_HIT ? n.idxobj[r->key][s] : 0;
}

static void sit(struct req *r, int f)
{
    struct fill *p = &n.f[f];

    p->refs++;
    p->readers++;
    r->st = R_WAIT;
    r->f = f;
    r->pos = 0;
    r->lead = r->began = 0;
    if (p->headpub || p->st == F_FAILED)
        r->run = 1;
    else
        p->parked[r->w] = 1;
}

/* The shard's lock is held from the comparison of the purge sequence to the entry. */
static int language_locked(const struct state *s, int k)
{
    for (int f = 0; f < MAXF; f++)
        if (s->f[f].live && s->f[f].pc == 11 && s->f[f].key == k)
            return 1;
    return 0;
}

/* Is a variant under way that says it is in the language this request wants most? */
static void join_by_language(int i)
{
    struct req *r = &n.r[i];
    int g = n.slot[r->key][LANG];

    if (g && n.f[g - 1].joinable && r->tries < MAXTRIES)
        sit(r, g - 1);
    else
        r->st = R_JOINV;
}

/* Is the record of a `no-cache` about to land?  Its fill is found by the mark, which is no
 * reference. */
static int to_commit_seat(struct req *r)
{
    int f = n.mark[r->key] - 1;

    if (f < 0 || r->tries >= MAXTRIES || n.idx[r->key][0] == 2)
        return 0;
    struct fill *p = &n.f[f];
    if (p->dying) {
        if (mut == 33)
            BAD("a fill that is being freed is joined");
        return 0;
    }
    if (p->store != S_YES || p->st != F_DONE)
        return 0;
    p->refs++;
    p->readers++;
    r->st = R_COMMIT;
    r->f = f;
    r->run = r->pos = 0;
    r->lead = r->began = 0;
    p->parked[r->w] = 1;
    return 1;
}

static void join_or_lead(int i, int s)
{
    struct req *r = &n.r[i];
    int k = r->key, g = n.slot[k][s];

    if (g && n.f[g - 1].joinable && (r->tries < MAXTRIES || mut == 26) &&
        (!(n.note[k] & NOTE_PASS) || n.f[g - 1].headpub || mut == 27)) {
        struct fill *p = &n.f[g - 1];
        if (!p->live)
            BAD("join of a dead fill");
        if (r->let_go == V_PRIVATE && !p->headpub && p->pc == 0)
            BAD("let go from an uncacheable answer, and waits for a head again");
        sit(r, g - 1);
    } else if ((n.note[k] & NOTE_PASS) && to_commit_seat(r)) {
        return;
    } else if (r->sick && n.retry[k] & 1 << s) {
        r->st =
            n.idx[k][s] == 2 ? R_SERVED : R_ERROR; /* stale, else the same status as the origin's */
    } else if ((n.note[k] & NOTE_PASS) || (r->tries >= MAXTRIES && mut != 26)) {
        lead(i, s, 1, 0);
    } else if (mut != 2 && n.idx[k][s] == 1 &&
               (!r->noidx || (mut != 28 && r->noidx != n.idxobj[k][s]))) {
        r->noidx = 0;
        to_hit(r, s);
    } else {
        lead(i, s, 0, 0);
    }
}

/* ---- one step of a reader on its worker ---- */

static void reader(int i)
{
    struct req *r = &n.r[i];
    struct fill *p = &n.f[r->f];

    r->run = 0;
    if (!p->live) {
        BAD("reader uses a dead fill");
        return;
    }
    if (r->st == R_COMMIT) {
        int landing = p->store == S_YES && (p->st == F_BODY || p->st == F_DONE);

        if (landing || (mut == 30 && p->st != F_COMMITTED))
            p->parked[r->w] = 1;
        else
            let_go(i, V_SHARE);
        return;
    }
    if (r->st == R_WAIT && p->headpub) {
        switch (p->verdict) {
        case V_SHARE:
            if (p->varied && r->var != p->var && !(p->lang && r->var == 1)) {
                let_go(i, V_SHARE);
                return;
            }
            if (unusable) {
                if (!(p->st == F_DONE && p->store == S_YES) && mut != 31) {
                    let_go(i, V_SHARE);
                    return;
                }
                r->st = R_COMMIT;
                p->parked[r->w] = 1;
                return;
            }
            break;
        case V_PRIVATE:
            if (!r->lead && mut != 25) {
                let_go(i, V_PRIVATE);
                return;
            }
            break;
        case V_ERROR:
            if (p->base) { /* stale-if-error */
                end(i, R_SERVED);
                return;
            }
            if (!r->lead) {
                if (r->sick && mut != 26) {
                    end(i, R_ERROR);
                } else {
                    let_go(i, V_ERROR);
                    r->tries -= mut != 26; /* it is the flag that counts these */
                    r->sick = 1;
                }
                return;
            }
            break;
        }
        r->st = R_READ;
    }
    if (r->st == R_WAIT) {
        if (p->st == F_FAILED) {
            end(i, p->base ? R_SERVED : R_ERROR);
            return;
        }
    } else if (p->st == F_FAILED) {
        if (mut == 14 && r->pos == p->have) {
            serve(i, p->gen, p->whole);
            end(i, R_SERVED);
        } else {
            end(i, R_BROKEN);
        }
        return;
    } else if (r->pos < p->have) {
        r->frommem = (p->win >> r->pos) & 1;
        if (!r->frommem && (r->pos >= p->readable || p->gone))
            BAD("next bytes neither in memory nor in the store");
        if (p->verdict != V_SHARE && !r->began)
            BAD("an uncacheable answer went to somebody else");
        r->st = R_SEND;
        return;
    } else if (p->st == F_DONE || p->st == F_COMMITTED) {
        if (p->verdict != V_SHARE && !r->began)
            BAD("an uncacheable answer went to somebody else");
        serve(i, p->gen, p->whole);
        end(i, R_SERVED);
        return;
    }
    if (mut == 4) {
        r->run = 2; /* decided to park, not yet parked */
        return;
    }
    p->parked[r->w] = 1;
}

/* ---- the owner ---- */

/* A second sick answer, or that to a refresh; under the lock of the shard. */
static void note_retry(int f)
{
    struct fill *p = &n.f[f];

    if ((p->bg || (p->second && mut != 35)) && !(n.note[p->key] & NOTE_PASS) &&
        !(p->slot == 0 && n.note[p->key] & NOTE_VARY))
        n.retry[p->key] |= 1 << p->slot;
}

/* Whatever else is noted, or known now, takes its place. */
static void clear_retry(int k, int s)
{
    n.retry[k] &= ~(1 << s);
    n.sickened[k] &= ~(1 << s);
}

/*
 * Between the last byte and the record in the queue others may come, leave and commit; where
 * neither the writer nor a waiter for the record can make use of that it is one step, which halves
 * the states.
 */
static int record_is_a_step(void)
{
    return cfg.private_ == 2 || (cfg.nr == 2 && cfg.faults && !cfg.purges);
}

static void hand_record(int f, int full);

static void stop_fetch(int f, int st)
{
    struct fill *p = &n.f[f];

    p->st = st;
    p->spare = p->reserve = p->stopped = 0;
    if (st == F_FAILED) {
        p->win = 0;
        p->store = S_NO;
    }
    if (st == F_FAILED || p->store != S_YES) {
        p->joinable = 0;
        p->pub = 0;
        p->pc = 4;
    } else {
        if (mut == 18) {
            p->joinable = 0;
            unslot(p->key, p->slot, f);
        }
        p->pc = 7;
        if (!record_is_a_step())
            hand_record(f, 0);
        return;
    }
    wake(f, 1);
}

/* Is something of ours still with the writer, whose answer will tell us? */
static int at_the_writer(int f)
{
    for (int i = 0; i < n.qn; i++)
        if (n.q[i].type == I_CHUNK && n.q[i].x == f)
            return 1;
    return n.w.type == I_CHUNK && n.w.x == f;
}

/*
 * The record is queued, and the owner is free; `full`: there is no room for it.  At the end of the
 * fetch all are woken in any case; where the owner comes back for it they are told only that the
 * store is lost.
 */
static void hand_record(int f, int full)
{
    struct fill *p = &n.f[f];
    int at_end = p->pc == 7, lost = 0;

    p->pc = 0;
    if (p->store == S_YES && full) {
        lost = !at_the_writer(f);
        if (lost)
            p->store = S_FAILED;
    }
    if (p->store != S_YES) {
        p->joinable = p->pub = 0;
        p->pc = 4;
    } else if (!full) {
        p->handed = 1;
        enqueue(I_RECORD, f, 0);
    }
    if (at_end)
        wake(f, 1);
    else if (lost && mut != 32)
        wake(f, 0);
    if (p->handed) {
        p->own = 0;
        unref(f);
    }
}

static int tabled(int f)
{
    return n.slot[n.f[f].key][n.f[f].slot] == f + 1;
}

/* The table steps of a head, one shard lock each, then the publication under the fill lock. */
static void owner_step(int f)
{
    struct fill *p = &n.f[f];
    int k = p->key, out = p->out;
    int shared = p->out == O_SHARE || p->out == O_VARY || p->out == O_304;
    int target = p->out == O_VARY ? 1 + p->var : p->slot;

    switch (p->pc) {
    case 1:
        if (shared && p->joinable && target == p->slot) {
            clear_retry(k, target);
            p->pc = p->lang ? 10 : 3;
            owner_step(f);
        } else if (!shared) {
            p->pc = 2;
            owner_step(f);
        } else if (tabled(f)) {
            p->pc = 3;
            if (target != p->slot) {
                p->pc = p->lang ? 10 : 2;
                if (mut == 13) {
                    n.note[k] |= NOTE_VARY;
                    unslot(k, 0, f);
                } else if (p->joinable && slot_free(k, target) && (p->gen == n.seq || mut == 12)) {
                    take_slot(k, target, f);
                    clear_retry(k, target);
                } else {
                    p->joinable = p->pub = p->lang = 0;
                    p->pc = 2;
                }
            }
        } else {
            if (p->out == O_VARY) {
                n.note[k] |= NOTE_VARY;
                clear_retry(k, 0);
            }
            if (slot_free(k, target) && n.idx[k][target] != 1 && (p->gen == n.seq || mut == 12)) {
                take_slot(k, target, f);
                n.note[k] &= ~NOTE_PASS;
                clear_retry(k, target);
            } else {
                p->lang = 0;
            }
            p->pc = p->lang ? 10 : 3;
        }
        return;
    case 2:
        if (p->out == O_VARY) {
            if (mut == 13) {
                if (p->joinable && slot_free(k, target))
                    take_slot(k, target, f);
            } else {
                n.note[k] |= NOTE_VARY;
                clear_retry(k, 0);
                unslot(k, 0, f);
            }
        } else {
            if ((p->out == O_PRIVATE || p->out == O_NOCACHE) && mut != 11 && mut != 23) {
                n.note[k] |= NOTE_PASS;
                clear_retry(k, p->slot);
            }
            if (p->out == O_ERROR) {
                if (mut != 36)
                    note_retry(f);
                if (p->second && tabled(f) && !(n.note[k] & NOTE_PASS) &&
                    !(p->slot == 0 && n.note[k] & NOTE_VARY))
                    n.sickened[k] |= 1 << p->slot;
            }
            if (p->out == O_NOCACHE && n.mark[k] == 0)
                n.mark[k] = f + 1;
            p->pub = 0;
            unslot(k, p->slot, f);
        }
        p->pc = mut == 36 && p->out == O_ERROR ? 8 : 3;
        return;
    case 3:
        p->pc = 0;
        p->headpub = 1;
        p->out = O_NONE;
        p->st = F_BODY;
        p->varied = out == O_VARY;
        p->verdict = shared ? V_SHARE : out == O_ERROR ? V_ERROR : V_PRIVATE;
        p->store = shared && p->joinable ? S_YES : S_NO;
        if (p->store == S_NO)
            p->joinable = p->pub = 0;
        if (out == O_NOCACHE && n.mark[k] == f + 1)
            p->store = S_YES;
        if (out == O_PRIVATE && mut == 23)
            p->pc = 6;
        if (out == O_304) {
            p->have = p->readable = p->whole = 1;
            stop_fetch(f, F_DONE);
        } else {
            wake(f, 1);
        }
        return;
    case 4:
        for (int s = 0; s < (mut == 39 ? LANG : NSLOT); s++)
            unslot(k, s, f);
        if (p->st == F_DONE)
            unmark(f);
        p->pc = 0;
        p->own = 0;
        unref(f);
        return;
    case 6: /* mutation 23 only */
        n.note[k] |= NOTE_PASS;
        p->pc = 0;
        return;
    case 10: /* a purge may begin between the comparison and the entry, though it cannot walk this
                slot */
        p->pc = p->gen == n.seq || mut == 37 ? 11 : 2;
        return;
    case 11:
        if (slot_free(k, LANG)) {
            if (n.slot[k][LANG])
                unslot(k, LANG, n.slot[k][LANG] - 1);
            n.slot[k][LANG] = f + 1;
            p->refs++;
            p->joinable = 1;
        }
        p->pc = 2;
        return;
    case 8: /* mutation 36 only */
        note_retry(f);
        p->pc = 3;
        return;
    }
}

static void head(int f, int out)
{
    n.f[f].out = out;
    n.f[f].pc = 1;
    owner_step(f);
}

static void on_poke(int f, int keep)
{
    struct fill *p = &n.f[f];
    int last = p->lastmsg;

    p->kept = keep;

    p->poke = p->lastmsg = 0;
    if (p->own && (p->st == F_START || p->st == F_BODY)) {
        if ((mut == 16 ? last : p->readers == 0) && !p->bg && !keep) {
            if (p->readers > 0)
                BAD("fetch aborted under a reader");
            stop_fetch(f, F_FAILED);
        } else if (p->stopped) {
            want_room(f);
        }
    } else if (p->own && p->st == F_DONE) {
        p->pc = 9;
    }
    if (mut != 7)
        unref(f);
}

/* ---- the writer ---- */

static void writer_step(int ok)
{
    struct item it = n.w;
    struct fill *p = &n.f[it.x];

    if (n.w.type == I_NONE) {
        n.w = it = n.q[0];
        memmove(n.q, n.q + 1, (MAXQ - 1) * sizeof n.q[0]);
        memset(&n.q[MAXQ - 1], 0, sizeof n.q[0]);
        n.qn--;
        n.wpc = 1;
        if (it.type == I_DELETE) {
            memset(n.db[it.x], 0, NSLOT);
            n.wpc = 2;
        } else if (it.type == I_CHUNK && n.f[it.x].store != S_YES) {
            n.w = (struct item){0};
            n.wpc = 0;
            unref(it.x);
        } else if (it.type == I_RECORD &&
                   (n.f[it.x].store != S_YES || (n.f[it.x].gen != n.seq && mut != 6))) {
            n.wok = 0;
            n.wpc = 4;
        }
        return;
    }
    if (it.type == I_CHUNK) {
        if (n.wpc == 1) {
            n.wok = ok;
            n.wpc = 2;
            return;
        }
        if (n.wok) {
            p->readable = it.arg + 1;
            p->win &= ~(1 << it.arg);
            if (p->stopped || (p->st == F_DONE && mut != 34))
                poke(it.x);
        } else {
            if (p->store == S_YES) {
                p->store = S_FAILED;
                if (mut != 32)
                    wake(it.x, 0);
            }
            if (mut == 17)
                p->gone = 1;
            if (mut != 24)
                poke(it.x);
        }
        goto done;
    }
    if (it.type == I_RECORD) {
        switch (n.wpc) {
        case 1:
            n.wok = ok;
            n.wpc = ok ? 2 : 4;
            if (ok) {
                n.db[p->key][p->slot] = p->verdict == V_SHARE ? 1 : 2;
                n.dbgen[p->key][p->slot] = p->gen;
                n.db[p->key][LANG] |= p->lang;
            }
            return;
        case 2:
            if (mut == 1) {
                p->joinable = 0;
                unslot(p->key, p->slot, it.x);
                n.wpc = 3;
                return;
            }
            /* fall through */
        case 3:
            n.idx[p->key][p->slot] = n.db[p->key][p->slot];
            if (cfg.purges || cfg.private_ == 2)
                n.idxobj[p->key][p->slot] = ++n.objid;
            n.idx[p->key][LANG] |= p->lang;
            p->pub = 0;
            n.wpc = 4;
            return;
        case 4:
            if (n.wok) {
                p->st = F_COMMITTED;
                p->readable = p->have;
                p->win = 0;
            } else {
                p->store = S_FAILED;
                p->pub = 0;
            }
            if (n.wok || mut != 15)
                p->joinable = 0;
            if (mut != 29)
                wake(it.x, 0);
            n.wpc = 5;
            return;
        case 5:
            if (n.wok || mut != 15)
                for (int s = 0; s < (mut == 39 ? LANG : NSLOT); s++)
                    unslot(p->key, s, it.x);
            unmark(it.x);
            goto done;
        }
    }
    if (it.type == I_DELETE) {
        memset(n.idx[it.x], 0, NSLOT);
        memset(n.dbgen[it.x], 0, NSLOT);
        memset(n.idxobj[it.x], 0, NSLOT);
        n.preturned = 1;
        n.w = (struct item){0};
        n.wpc = n.wok = 0;
        return;
    }
done:
    n.w = (struct item){0};
    n.wpc = n.wok = 0;
    unref(it.x);
}

/* ---- the purge of key 0 ---- */

static void purge_step(void)
{
    if (n.ppc == 1) {
        memset(n.idx[0], 0, NSLOT);
    } else if (n.ppc < 2 + nslot) {
        int s = n.ppc - 2, g = n.slot[0][s];

        if (g && n.f[g - 1].gen < n.seq && mut != 21 && !(mut == 38 && s == LANG)) {
            n.f[g - 1].joinable = n.f[g - 1].pub = 0;
            unslot(0, s, g - 1);
        }
    } else {
        enqueue(I_DELETE, 0, 0);
    }
    n.ppc++;
}

/* ---- successors ---- */

typedef void emit_fn(const char *label, int a, int b, int progress);
static const struct state *cur;
static emit_fn *emit;
static unsigned long outcomes[16];

#define STEP(label, a, b, progress, ...)                                                           \
    do {                                                                                           \
        n = *cur;                                                                                  \
        viol = NULL;                                                                               \
        __VA_ARGS__;                                                                               \
        emit(label, a, b, progress);                                                               \
    } while (0)

static void successors(const struct state *s, emit_fn *fn)
{
    int newest = 0;

    cur = s;
    emit = fn;
    while (newest < cfg.nr && s->r[newest].st != R_NEW)
        newest++;
    if (newest < cfg.nr)
        for (int w = 0; w < (newest ? NW : 1); w++)
            for (int k = 0; k < (newest ? cfg.nk : 1); k++)
                for (int v = 0; v < (newest ? cfg.nvar : 1); v++)
                    STEP("request %d arrives (worker, key, variant %03o)", newest,
                         w << 6 | k << 3 | v, 0, {
                             struct req *r = &n.r[newest];
                             r->st = R_LOOKUP;
                             r->w = w, r->key = k, r->var = v, r->f = NONE;
                             r->late = n.preturned;
                             if (!cfg.stale)
                                 to_hit(r, n.note[k] & NOTE_VARY ? 1 + v : 0);
                         });
    for (int i = 0; i < cfg.nr; i++) {
        const struct req *o = &s->r[i];
        struct req *r = &n.r[i];
        int slot = s->note[o->key] & NOTE_VARY ? 1 + o->var : 0;

        if (o->st == R_NEW || o->st >= R_SERVED)
            continue;
        if (s->left < cfg.leaves)
            STEP("request %d: client leaves", i, 0, 0, {
                n.left++;
                if (r->st >= R_WAIT)
                    leave(i);
                r->st = R_LEFT;
            });
        switch (o->st) {
        case R_LOOKUP:
            if (s->idx[o->key][slot] == 2 && cfg.stale) {
                STEP("request %d: lookup, stale is usable", i, 0, 1, {
                    r->st = R_JOIN;
                    r->began = 2;
                });
                STEP("request %d: lookup, stale is not usable", i, 0, 1, {
                    r->st = R_JOIN;
                    r->began = 0;
                });
            } else {
                STEP("request %d: lookup", i, 0, 1, to_hit(r, slot));
            }
            break;
        case R_HIT:
            STEP("request %d: reads the record", i, 0, 1, {
                int there = r->lang ? 1 : slot; /* a language leads to variant 0 */

                if (n.db[r->key][there] == 1 && (!r->lang || n.db[r->key][LANG])) {
                    serve(i, n.dbgen[r->key][there], 1);
                    r->st = R_SERVED;
                } else {
                    r->noidx = r->lang ? 0 : r->obj; /* this entry dangles */
                    r->st = R_JOIN;
                    r->obj = r->lang = 0;
                }
            });
            break;
        case R_JOIN:
            if (o->began == 2)
                STEP("request %d: served stale, starts a refresh", i, 0, 1, {
                    if (slot_free(r->key, slot) && n.idx[r->key][slot] == 2 &&
                        !(n.retry[r->key] & 1 << slot) &&
                        (!(n.note[r->key] & NOTE_PASS) || mut == 27))
                        lead(i, slot, 0, 1);
                    r->st = R_SERVED;
                });
            else if (slot)
                STEP("request %d: key note says Vary", i, 0, 1,
                     r->st = cfg.vary == 2 && r->var == 1 ? R_JOINL : R_JOINV);
            else
                STEP("request %d: join or lead", i, 0, 1, join_or_lead(i, 0));
            break;
        case R_JOINL:
            if (!language_locked(s, o->key))
                STEP("request %d: join by language", i, 0, 1, join_by_language(i));
            break;
        case R_JOINV:
            STEP("request %d: join or lead by variant", i, 0, 1, join_or_lead(i, 1 + r->var));
            break;
        case R_WAIT:
        case R_COMMIT:
        case R_READ:
            if (o->run == 1)
                STEP("request %d: reader runs", i, 0, 1, reader(i));
            if (o->run == 1 && o->st == R_WAIT && cfg.private_ == 2 && !o->lead &&
                s->f[o->f].headpub && s->f[o->f].verdict == V_SHARE)
                STEP("request %d: reader runs, may not use the head as it is", i, 0, 1, {
                    unusable = 1;
                    reader(i);
                    unusable = 0;
                });
            if (o->run == 2)
                STEP("request %d: reader parks", i, 0, 1, {
                    r->run = 0;
                    n.f[r->f].parked[r->w] = 1;
                });
            break;
        case R_SEND:
            STEP("request %d: send is done", i, 0, 1, {
                r->st = R_READ;
                r->frommem = 0;
                r->pos++;
                if (n.f[r->f].stopped && mut != 10)
                    poke(r->f);
                reader(i);
            });
            break;
        }
        if (o->st == R_COMMIT && s->overdues < cfg.overdues)
            STEP("request %d: waited too long for the record", i, 0, 0, {
                n.overdues++;
                let_go(i, V_SHARE);
            });
        if (o->st == R_WAIT && s->overdues < cfg.overdues && !o->lead && !s->f[o->f].headpub &&
            s->slot[o->key][s->f[o->f].slot] == o->f + 1)
            STEP("request %d: waited too long", i, 0, 0, {
                int f = r->f;
                n.overdues++;
                n.f[f].joinable = n.f[f].pub = 0;
                let_go(i, V_ERROR);
                for (int x = 0; x < NSLOT; x++)
                    unslot(r->key, x, f);
            });
    }
    for (int f = 0; f < MAXF; f++) {
        const struct fill *o = &s->f[f];

        if (!o->live) {
            for (int w = 0; w < NW; w++)
                if (o->pend[w])
                    STEP("message to worker %d about dead fill %d", w, f, 1,
                         BAD("message delivered for a dead fill"));
            continue;
        }
        for (int w = 0; w < NW; w++) {
            if (o->pend[w] == 1)
                STEP("worker %d: wake of fill %d arrives", w, f, 1, {
                    n.f[f].parked[w] = 0;
                    run_seat(f, w);
                    if (mut == 3) {
                        n.f[f].pend[w] = 2;
                    } else {
                        n.f[f].pend[w] = 0;
                        if (mut != 7)
                            unref(f);
                    }
                });
            if (o->pend[w] == 2) {
                int busy = 0;
                for (int i = 0; i < cfg.nr; i++)
                    busy |=
                        s->r[i].f == f && s->r[i].w == w && s->r[i].run && s->r[i].st < R_SERVED;
                if (!busy)
                    STEP("worker %d: clears the mark of fill %d", w, f, 1, {
                        n.f[f].pend[w] = 0;
                        unref(f);
                    });
            }
        }
        if (o->dying) {
            STEP("fill %d: lets go of its mark, is freed", f, 0, 1, {
                unmark(f);
                memset(&n.f[f], 0, sizeof n.f[f]);
            });
            continue;
        }
        if (o->pc == 7 || o->pc == 9) {
            STEP("fill %d: hands its record to the writer", f, 0, 1, hand_record(f, 0));
            if (o->store == S_YES && s->faults < cfg.faults)
                STEP("fill %d: no room for its record in the queue", f, 0, 1, {
                    n.faults++;
                    hand_record(f, 1);
                });
            continue;
        }
        if (o->pc == 10 && language_locked(s, o->key))
            continue;
        if (o->pc) {
            STEP("fill %d: owner step %d", f, o->pc, 1, owner_step(f));
            continue; /* one thread: nothing else of the owner in between */
        }
        if (o->poke) {
            STEP("fill %d: message to the owner arrives", f, 0, 1, on_poke(f, 0));
            if (o->own && o->readers == 0 && o->st == F_BODY && o->have > 0 && o->store == S_YES &&
                mut != 16)
                STEP("fill %d: message to the owner arrives, nearly done", f, 0, 1, on_poke(f, 1));
        }
        if (!o->own)
            continue;
        if (o->st == F_START) {
            STEP("fill %d: head, to share", f, 0, 1, head(f, O_SHARE));
            if (cfg.vary)
                STEP("fill %d: head, to share, Vary", f, 0, 1, head(f, O_VARY));
            if (cfg.vary == 2 && o->var == 0)
                STEP("fill %d: head, to share, Vary, in its language", f, 0, 1, {
                    n.f[f].lang = 1;
                    head(f, O_VARY);
                });
            if (cfg.private_)
                STEP("fill %d: head, uncacheable", f, 0, 1, head(f, O_PRIVATE));
            if (cfg.private_ == 2)
                STEP("fill %d: head, no-cache (stored, not shared)", f, 0, 1, head(f, O_NOCACHE));
            if (cfg.error)
                STEP("fill %d: head, 5xx", f, 0, 1, head(f, O_ERROR));
            if (o->base)
                STEP("fill %d: head, 304", f, 0, 1, head(f, O_304));
        }
        if (o->st == F_BODY && !o->stopped) {
            if (o->have < cfg.chunks && o->spare)
                STEP("fill %d: chunk %d", f, o->have, 1, {
                    struct fill *p = &n.f[f];
                    p->win |= 1 << p->have;
                    p->spare = 0;
                    p->have++;
                    if (p->store == S_YES) {
                        enqueue(I_CHUNK, f, p->have - 1);
                        if (mut == 5)
                            p->win &= ~(1 << (p->have - 1));
                    }
                    wake(f, 1);
                    want_room(f);
                });
            STEP("fill %d: end of the body", f, 0, 1, {
                n.f[f].whole = 1;
                stop_fetch(f, F_DONE);
            });
        }
        if ((o->st == F_START || (o->st == F_BODY && !o->stopped)) && s->faults < cfg.faults)
            STEP("fill %d: origin fails", f, 0, 1, {
                n.faults++;
                if (n.f[f].bg)
                    note_retry(f);
                stop_fetch(f, F_FAILED);
            });
        if (o->st == F_BODY && o->store == S_YES && s->faults < cfg.faults)
            STEP("fill %d: store given up", f, 0, 0, {
                n.faults++;
                n.f[f].store = S_FAILED;
                if (mut != 24)
                    poke(f);
            });
    }
    if (s->w.type != I_NONE || s->qn > 0) {
        STEP("writer: step %d, ok", s->wpc, 0, 1, writer_step(1));
        if (s->wpc == 1 && s->faults < cfg.faults)
            STEP("writer: step %d, fails", s->wpc, 0, 1, {
                n.faults++;
                writer_step(0);
            });
    }
    for (int k = 0; k < cfg.nk; k++)
        for (int x = 0; x < NSLOT; x++)
            if (s->retry[k] & 1 << x)
                STEP("the note RETRY of key %d, slot %d runs out", k, x, 0, clear_retry(k, x));
    if (s->purges < cfg.purges)
        STEP("purge begins", 0, 0, 0, {
            n.purges++;
            n.seq++;
            n.ppc = 1;
        });
    if (s->ppc && s->ppc < 3 + nslot && !(s->ppc == 2 + LANG && language_locked(s, 0)))
        STEP("purge: step %d", s->ppc, 0, 1, purge_step());
}

/* ---- the set of states ---- */

static struct state *states;
static uint32_t *parent, *table, count;
static uint64_t cap = 1 << 16, tcap = 1 << 20, edges;
static char *colour;

static uint64_t hash(const struct state *s)
{
    const unsigned char *p = (const void *)s;
    uint64_t h = 0x9e3779b97f4a7c15u;
    size_t i = 0;

    for (; i + 8 <= sizeof *s; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        h = (h ^ v) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    for (; i < sizeof *s; i++)
        h = (h ^ p[i]) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 29;
}

static uint32_t find(const struct state *s, int add, uint32_t from, int *fresh)
{
    if (add && (uint64_t)count * 2 > tcap) {
        tcap *= 2;
        free(table);
        table = calloc(tcap, sizeof *table);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t h = hash(&states[i]) & (tcap - 1);
            while (table[h])
                h = (h + 1) & (tcap - 1);
            table[h] = i + 1;
        }
    }
    uint64_t h = hash(s) & (tcap - 1);
    for (; table[h]; h = (h + 1) & (tcap - 1))
        if (memcmp(&states[table[h] - 1], s, sizeof *s) == 0) {
            *fresh = 0;
            return table[h] - 1;
        }
    if (count == cap) {
        cap *= 2;
        states = realloc(states, cap * sizeof *states);
        parent = realloc(parent, cap * sizeof *parent);
        if (!states || !parent)
            exit(3);
    }
    table[h] = count + 1;
    states[count] = *s;
    parent[count] = from;
    *fresh = 1;
    return count++;
}

/*
 * Two runs that differ only in names, or in what nobody will look at again, are one state:
 * finished requests are alike, fills are put in order and renamed.
 */
static int by_bytes(const void *a, const void *b)
{
    return memcmp(b, a, sizeof(struct fill));
}

static int by_bytes_r(const void *a, const void *b)
{
    return memcmp(b, a, sizeof(struct req));
}

static void normalise(struct state *s)
{
    struct {
        struct fill f;
        uint8_t was;
    } order[MAXF];
    uint8_t now[16];

    for (int i = 0; i < cfg.nr; i++) {
        struct req *r = &s->r[i];

        if (r->st >= R_SERVED) {
            memset(r, 0, sizeof *r);
            r->st = R_LEFT;
            r->f = NONE;
        }
        if (r->st >= R_WAIT && r->st < R_SERVED) {
            r->noidx = r->obj = r->let_go = 0;
            if (s->f[r->f].headpub && s->f[r->f].verdict == V_SHARE &&
                (r->st != R_WAIT || cfg.private_ != 2))
                r->lead = r->began = 0;
            if (r->st >= R_READ)
                r->sick = 0;
        }
    }
    for (int f = 0; f < MAXF; f++) {
        if (s->f[f].headpub)
            s->f[f].second = 0;
        order[f].f = s->f[f];
        order[f].was = f;
    }
    qsort(order, MAXF, sizeof order[0], by_bytes);
    now[NONE] = NONE;
    for (int f = 0; f < MAXF; f++) {
        s->f[f] = order[f].f;
        now[order[f].was] = f;
    }
    for (int i = 0; i < cfg.nr; i++)
        if (s->r[i].st != R_NEW)
            s->r[i].f = now[s->r[i].f];
    for (int k = 0; k < MAXK; k++)
        for (int x = 0; x < NSLOT; x++)
            if (s->slot[k][x])
                s->slot[k][x] = now[s->slot[k][x] - 1] + 1;
    for (int k = 0; k < MAXK; k++)
        if (s->mark[k])
            s->mark[k] = now[s->mark[k] - 1] + 1;
    for (int i = 0; i < s->qn; i++)
        if (s->q[i].type != I_DELETE)
            s->q[i].x = now[s->q[i].x];
    if (s->w.type == I_CHUNK || s->w.type == I_RECORD)
        s->w.x = now[s->w.x];
    qsort(s->r, cfg.nr, sizeof s->r[0], by_bytes_r);
}

static uint32_t at;
static struct state want;
static const char *why;
static int progress_out;
static struct {
    uint32_t to[64];
    int n, i;
    uint32_t s;
} * frames;
static int nframes, depth;

static void quiescent(const struct state *s)
{
    for (int i = 0; i < cfg.nr; i++)
        if (s->r[i].st != R_NEW && s->r[i].st < R_SERVED)
            why =
                s->r[i].st == R_SEND ? "send never ends" : "a request waits and nothing is pending";
    for (int f = 0; !why && f < MAXF; f++)
        if (s->f[f].live)
            why = "a fill is never freed";
}

static void trace_emit(const char *label, int a, int b, int progress)
{
    (void)progress;
    struct state t = n;
    normalise(&t);
    if (memcmp(&t, &want, sizeof t) == 0 && why == NULL) {
        printf("    ");
        printf(label, a, b);
        printf("\n");
        why = "printed";
    }
}

static void trace(uint32_t id)
{
    uint32_t path[4096];
    int len = 0;

    for (uint32_t i = id; i != 0; i = parent[i])
        path[len++] = i;
    uint32_t prev = 0;
    while (len-- > 0) {
        struct state s = states[prev];
        want = states[path[len]];
        why = NULL;
        successors(&s, trace_emit);
        prev = path[len];
    }
}

static char lastlabel[128];
static int found;

static void bfs_emit(const char *label, int a, int b, int progress)
{
    int fresh;

    edges++;
    progress_out |= progress;
    if (!viol && used() > cfg.budget)
        viol = "memory budget exceeded";
    for (int f = 0; f < MAXF; f++)
        if (!viol && n.f[f].live && n.f[f].own && n.f[f].pc == 0 && !n.f[f].poke && !n.f[f].bg &&
            !n.f[f].kept && n.f[f].readers == 0 && (n.f[f].st == F_START || n.f[f].st == F_BODY))
            viol = "the origin works for nobody";
    if (viol && !found) {
        found = 1;
        why = viol;
        snprintf(lastlabel, sizeof lastlabel, label, a, b);
        return;
    }
    for (int i = 0; i < cfg.nr; i++)
        if (n.r[i].st >= R_SERVED && states[at].r[i].st < R_SERVED)
            outcomes[n.r[i].st]++;
    normalise(&n);
    find(&n, 1, at, &fresh);
}

static void cycle_emit(const char *label, int a, int b, int progress)
{
    int fresh;

    (void)label, (void)a, (void)b;
    if (!progress)
        return;
    normalise(&n);
    frames[depth].to[frames[depth].n++] = find(&n, 0, 0, &fresh);
}

static int has_cycle(void)
{
    colour = calloc(count, 1);
    nframes = 4096;
    frames = malloc(nframes * sizeof *frames);
    for (uint32_t r = 0; r < count; r++) {
        if (colour[r])
            continue;
        depth = 0;
        frames[0].s = r, frames[0].n = frames[0].i = 0;
        colour[r] = 1;
        struct state s = states[r];
        successors(&s, cycle_emit);
        while (depth >= 0) {
            if (frames[depth].i == frames[depth].n) {
                colour[frames[depth--].s] = 2;
                continue;
            }
            uint32_t t = frames[depth].to[frames[depth].i++];
            if (colour[t] == 1) {
                at = t;
                return 1;
            }
            if (colour[t] == 2)
                continue;
            depth++;
            frames[depth].s = t, frames[depth].n = frames[depth].i = 0;
            colour[t] = 1;
            s = states[t];
            successors(&s, cycle_emit);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    int opt, quiet = 0, fresh;
    const char *name = "share", *numbers = NULL;
    uint64_t limit = 60000000;

    while ((opt = getopt(argc, argv, "c:m:l:p:qh")) != -1) {
        if (opt == 'c')
            name = optarg;
        else if (opt == 'm')
            mut = atoi(optarg);
        else if (opt == 'l')
            limit = strtoull(optarg, NULL, 10);
        else if (opt == 'p')
            numbers = optarg;
        else if (opt == 'q')
            quiet = 1;
        else {
            for (size_t i = 0; i < sizeof cfgs / sizeof cfgs[0]; i++)
                printf("configuration %s\n", cfgs[i].name);
            for (size_t i = 1; i < sizeof mutations / sizeof mutations[0]; i++)
                printf("mutation %s\n", mutations[i]);
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof cfgs / sizeof cfgs[0]; i++)
        if (strcmp(cfgs[i].name, name) == 0)
            cfg = cfgs[i];
    if (!cfg.name)
        return 2;
    if (numbers) {
        int *field = &cfg.nr;
        cfg.name = "own";
        for (char *end; *numbers; numbers = *end == ',' ? end + 1 : end)
            *field++ = strtol(numbers, &end, 10);
    }
    nslot = cfg.vary == 2 ? NSLOT : cfg.nvar > 1 ? NSLOT - 1 : 1;
    clock_t t0 = clock();
    states = malloc(cap * sizeof *states);
    parent = malloc(cap * sizeof *parent);
    table = calloc(tcap, sizeof *table);
    struct state s;
    memset(&s, 0, sizeof s);
    for (int i = 0; i < cfg.nr; i++)
        s.r[i].f = NONE;
    if (cfg.stale)
        s.idx[0][0] = s.db[0][0] = 2;
    find(&s, 1, 0, &fresh);
    for (at = 0; at < count && count < limit; at++) {
        s = states[at];
        progress_out = 0;
        successors(&s, bfs_emit);
        if (!found && !progress_out) {
            quiescent(&s);
            if (why) {
                found = 1;
                snprintf(lastlabel, sizeof lastlabel, "nothing more can happen");
            }
        }
        if (found)
            break;
    }
    const char *result = why;
    int cut = count >= limit;
    if (!found && !cut && has_cycle()) {
        found = 1;
        result = "progress without end (a cycle)";
        snprintf(lastlabel, sizeof lastlabel, "... and back to an earlier state");
    }
    printf("%-12s m=%-2d %10u states %11llu steps %6.1f s  served %lu broken %lu error %lu  %s%s\n",
           cfg.name, mut, count, (unsigned long long)edges, (double)(clock() - t0) / CLOCKS_PER_SEC,
           outcomes[R_SERVED], outcomes[R_BROKEN], outcomes[R_ERROR],
           found ? "VIOLATION: "
           : cut ? "cut off"
                 : "ok",
           found ? result : "");
    if (found && !quiet) {
        trace(at);
        printf("    %s\n", lastlabel);
    }
    return found;
}
