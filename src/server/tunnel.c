/*
 * tunnel.c - a connection that has left HTTP (WebSocket): bytes both ways.
 *
 * Each direction reads only when what it read before has been written, so a slow side holds back
 * the other one.  When one side ends, what is on its way to the other is written, then both close.
 * A tunnel without a byte in either direction for limits.tunnel_timeout is cut; a drain cuts it at
 * its deadline.
 */
#include "breakwater/base/mem.h"

#include "request_priv.h"

#include <stdlib.h>
#include <sys/socket.h>

struct direction {
    struct tunnel *tunnel;
    h2o_socket_t *from, *to;
    bool writing;
    bool ended;  /* `from` has no more bytes */
    size_t sent; /* of from->input, being written */
};

struct tunnel {
    struct bw_worker *w;
    h2o_socket_t *origin;
    struct direction up, down;
    struct bw_timer idle;
    int64_t idle_ms;     /* as it was when the tunnel began */
    h2o_linklist_t link; /* w->tunnels; not before the start, until then it is the request's */
};

struct tunnel *bw_tunnel_new(struct bw_worker *w, h2o_socket_t *origin, int64_t idle_ms)
{
    struct tunnel *t = bw_zalloc(sizeof(*t));

    t->w = w;
    t->origin = origin;
    t->idle_ms = idle_ms;
    origin->data = t;
    return t;
}

/* Over TLS a close would write, perhaps for ever, to a peer that does not read: end it first. */
static void close_socket(h2o_socket_t *s)
{
    shutdown(h2o_socket_get_fd(s), SHUT_RDWR);
    h2o_socket_close(s);
}

static void end_tunnel(struct tunnel *t)
{
    bw_timer_stop(&t->idle);
    if (h2o_linklist_is_linked(&t->link))
        h2o_linklist_unlink(&t->link);
    close_socket(t->origin);
    if (t->up.from != NULL)
        close_socket(t->up.from);
    free(t);
}

void bw_tunnel_discard(struct tunnel *t)
{
    end_tunnel(t);
}

void bw_tunnels_cut(struct bw_worker *w)
{
    while (!h2o_linklist_is_empty(&w->tunnels)) {
        h2o_linklist_t *first = w->tunnels.next;

        end_tunnel(BW_CONTAINER_OF(first, struct tunnel, link));
        BW_ASSERT(w->tunnels.next != first);
    }
}

static void on_idle(struct bw_timer *timer)
{
    end_tunnel(BW_CONTAINER_OF(timer, struct tunnel, idle));
}

static void stir(struct tunnel *t)
{
    bw_timer_start(t->w->loop, &t->idle, t->idle_ms, on_idle);
}

static struct direction *direction_from(h2o_socket_t *s)
{
    struct tunnel *t = s->data;

    return t->up.from == s ? &t->up : &t->down;
}

static void on_read(h2o_socket_t *s, const char *err);

static void on_written(h2o_socket_t *s, const char *err)
{
    struct tunnel *t = s->data;
    struct direction *d = t->up.to == s ? &t->up : &t->down;

    d->writing = false;
    h2o_buffer_consume(&d->from->input, d->sent);
    if (err != NULL) {
        end_tunnel(t);
        return;
    }
    stir(t);
    if (d->from->input->size != 0)
        on_read(d->from, NULL);
    else if (d->ended)
        end_tunnel(t);
    else
        h2o_socket_read_start(d->from, on_read);
}

static void on_read(h2o_socket_t *s, const char *err)
{
    struct direction *d = direction_from(s);
    h2o_iovec_t v;

    if (err != NULL) {
        d->ended = true;
        h2o_socket_read_stop(s);
        if (!d->writing && s->input->size == 0) {
            end_tunnel(d->tunnel);
            return;
        }
    }
    if (d->writing || s->input->size == 0)
        return;
    h2o_socket_read_stop(s);
    d->writing = true;
    d->sent = s->input->size;
    v = h2o_iovec_init(s->input->bytes, d->sent);
    h2o_socket_write(d->to, &v, 1, on_written);
}

static void start_direction(struct tunnel *t, struct direction *d, h2o_socket_t *from,
                            h2o_socket_t *to)
{
    *d = (struct direction){.tunnel = t, .from = from, .to = to};
    from->data = t;
}

void bw_tunnel_start(void *tunnel, h2o_socket_t *client)
{
    struct tunnel *t = tunnel;

    start_direction(t, &t->up, client, t->origin);
    start_direction(t, &t->down, t->origin, client);
    if (t->w->draining && !bw_timer_running(&t->w->drain_timer)) { /* tunnels have been cut */
        end_tunnel(t);
        return;
    }
    h2o_linklist_insert(&t->w->tunnels, &t->link);
    stir(t);
    h2o_socket_read_start(client, on_read);
    h2o_socket_read_start(t->origin, on_read);
    if (client->input->size != 0)
        on_read(client, NULL);
    if (t->origin->input->size != 0)
        on_read(t->origin, NULL);
}
