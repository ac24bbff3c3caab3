/* SPDX-License-Identifier: MIT */
/*
 * The host's side of a virtual network without the host's kernel: gateways by libslirp, as a port of the
 * switch. A machine of the network reaches, at a gateway's address, what listens on this host's 127.0.0.1 (or
 * ::1), and DNS; beyond it only what the NAT of its network lets through, by sockets of this process.
 *
 * It uses the event loop's before-sleep call, so a loop has one of these.
 */
#ifndef NET_USER_HOST_H
#define NET_USER_HOST_H

#include "base/ip.h"
#include "net/nat_nft.h"
#include "net/port.h"

enum { USER_HOST_ADDRESSES_MAX = 16 };

struct user_host;

struct user_address {
    struct ip_prefix prefix; /* the gateway's address, and how long its network's prefix is */
    bool nat;                /* reaches beyond this host */
    bool routers;            /* of IPv6: advertises itself, so that machines give themselves addresses */
};

/* Without addresses: nobody is there. NULL and err. */
struct user_host *user_host_new(struct event_loop *loop, struct err *err);
void user_host_free(struct user_host *h);

/* Its port; stays user_host's, and is ended with it. */
struct net_port *user_host_port(struct user_host *h);

/* Replaces addresses and mappings; connections through addresses that stay go on. -1 and err: what could not
 * be had is missing, the rest is there. */
int must_check user_host_set(struct user_host *h, const struct user_address *addresses, unsigned count,
                             const struct nat_mapping *mappings, unsigned mapping_count, struct err *err);

#endif
