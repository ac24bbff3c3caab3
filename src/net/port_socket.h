/* SPDX-License-Identifier: MIT */
/* What can be asked of a port made by net_port_socket() (net/port.h) beyond being a port. */
#ifndef NET_PORT_SOCKET_H
#define NET_PORT_SOCKET_H

#include "net/port.h"

struct net_port_socket_counters {
    u64 sent, send_dropped, received, receive_dropped; /* frames */
};

void net_port_socket_counters(struct net_port *p, struct net_port_socket_counters *out);

#endif
