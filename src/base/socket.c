/*
 * socket.c - one buffer goes out by send(): a vector of one or two costs the kernel 0.2 us more,
 * which is 3 % of a small hit (docs/decisions/0020).
 */
#include "breakwater/base/socket.h"

#include <sys/socket.h>

void bw_socket_send(h2o_socket_t *socket, h2o_iovec_t *v)
{
    ssize_t sent = 0;

    if (socket->ssl == NULL && v->len > 0 && v->len <= BW_SEND_AT_ONCE_MAX)
        sent = send(h2o_socket_get_fd(socket), v->base, v->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent <= 0)
        return;
    v->base += sent;
    v->len -= (size_t)sent;
}
