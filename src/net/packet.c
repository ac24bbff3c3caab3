/* SPDX-License-Identifier: MIT */
/* packet(7). The protocol is set last: from then on frames come. */
#include "net/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/vnet_port.h"

#define BUFFER (4 << 20) /* bytes that wait for us */

static int set_up(int fd, unsigned index)
{
    static const int on = 1, room = BUFFER;
    struct packet_mreq all = {.mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC};
    struct sockaddr_ll a = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)index};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)); /* better to have, not needed */
    return setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
           setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
           setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
           setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) ||
           bind(fd, (struct sockaddr *)&a, sizeof(a));
}

int packet_open(unsigned index, struct err *err)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && set_up(fd, index) == 0)
        return fd;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (why == EPERM || why == EACCES)
        return err_set(err, EXIT_STATUS_USAGE,
                       "cannot use a network interface of this host: the right CAP_NET_RAW is missing. Be "
                       "root; or without root "
                       "take an Internal switch and New-NetNat");
    return err_set(err, EXIT_STATUS_HOST, "cannot use a network interface of this host: %s%s", strerror(why),
                   why == EAFNOSUPPORT  ? "; the kernel's module af_packet is needed"
                   : why == ENOPROTOOPT ? "; Linux 4.20 or later is needed"
                                        : "");
}

struct net_port *net_port_packet(int fd, struct event_loop *loop, struct err *err)
{
    return vnet_port_new(fd, true, FRAME_ACCEPTS_ALL, loop, err);
}
