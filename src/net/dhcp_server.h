/* SPDX-License-Identifier: MIT */
/*
 * A DHCP server (RFC 2131, RFC 2132) as a port of a switch, for a network whose gateway is somebody else on
 * it. It hears broadcasts only and speaks as the gateway. Leases are in memory: after a restart whoever still
 * has an address keeps it by asking for it.
 */
#ifndef NET_DHCP_SERVER_H
#define NET_DHCP_SERVER_H

#include "base/ip.h"
#include "net/port.h"

enum { DHCP_RESOLVERS_MAX = 3, DHCP_LEASES_MAX = 200, DHCP_LEASE_SECONDS = 86400 };

struct dhcp_network {
    struct ip_prefix gateway; /* its address, and how long the network's prefix is, from 8 to 28 */
    struct ip_addr resolvers[DHCP_RESOLVERS_MAX]; /* IPv4 */
    unsigned resolver_count;
};

struct dhcp_server;

/* Silent at first. mac: its own hardware address. now(): seconds, never backwards. NULL and err: out of
 * memory. */
struct dhcp_server *dhcp_server_new(struct event_loop *loop, const u8 mac[6], u64 (*now)(void),
                                    struct err *err);
void dhcp_server_free(struct dhcp_server *d);
struct net_port *dhcp_server_port(struct dhcp_server *d); /* stays the server's */

/* Gives addresses from the upper half of this network; NULL: none. Leases outside of it are forgotten. */
void dhcp_server_set(struct dhcp_server *d, const struct dhcp_network *n);

#endif
