/* SPDX-License-Identifier: MIT */
/*
 * A port over a descriptor of the kernel's whose frames have a struct virtio_net_hdr before them: tap.c and
 * packet.c open such. Only within net/.
 */
#ifndef NET_VNET_PORT_H
#define NET_VNET_PORT_H

#include "net/port.h"

/* tags_aside: a packet socket, which takes VLAN tags out of frames and tells them beside. accepts: what may
 * be sent unfinished. Owns fd from success on. */
struct net_port *vnet_port_new(int fd, bool tags_aside, u32 accepts, struct event_loop *loop,
                               struct err *err);

#endif
