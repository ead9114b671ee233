/*
 * acked.c - has the peer taken bytes?
 *
 * A file of its own, because glibc's struct tcp_info lacks tcpi_bytes_acked and its header cannot
 * be included beside the kernel's.
 */
#include "breakwater/server/acked.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

uint64_t bw_acked(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    int waiting = 0;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        return info.tcpi_bytes_acked;
    if (ioctl(fd, SIOCOUTQ, &waiting) != 0)
        return 0;
    return (uint64_t)waiting;
}
