/* SPDX-License-Identifier: MIT */
/*
 * An interface of this host by AF_PACKET: what arrives there goes to the port, what is sent leaves by it. It
 * listens to all addresses (promiscuous) as long as the descriptor is open. What the host itself sends by the
 * interface is not seen, and it does not see what the port sends. Opening needs CAP_NET_RAW.
 */
#ifndef NET_PACKET_H
#define NET_PACKET_H

#include "net/port.h"

int must_check packet_open(unsigned index, struct err *err);

/* Owns fd from success on. */
struct net_port *net_port_packet(int fd, struct event_loop *loop, struct err *err);

#endif
