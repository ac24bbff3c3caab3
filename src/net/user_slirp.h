/* SPDX-License-Identifier: MIT */
/*
 * One libslirp instance: a gateway and what lies behind it, for IPv4, IPv6 or both. What it waits for is told
 * to an event loop by whoever owns it (user_host.c, slirp_switch.c), once before every sleep.
 */
#ifndef NET_USER_SLIRP_H
#define NET_USER_SLIRP_H

#include "base/err.h"
#include "base/event_loop.h"
#include "base/ip.h"
#include "net/nat_nft.h"

struct user_slirp;

struct user_slirp_config {
    struct ip_prefix v4,
        v6; /* the gateway's address, and how long its network's prefix is; len 0: not there */
    struct ip_addr dns4, dns6; /* where it answers as name server; any: at its networks' own addresses */
    struct ip_addr dhcp4;      /* the first address that DHCP gives; any: there is no DHCP */
    bool routers;              /* advertisements get out */
};

/* output(): a frame for the network, of which nothing may be kept. */
struct user_slirp *user_slirp_new(const struct user_slirp_config *config, struct event_loop *loop,
                                  void (*output)(void *opaque, const u8 *frame, size_t len), void *opaque,
                                  struct err *err);
void user_slirp_free(struct user_slirp *s);
const struct user_slirp_config *user_slirp_config(const struct user_slirp *s);

/* Its hardware address of a family: where frames for the gateway go. */
void user_slirp_mac(const struct user_slirp *s, bool v6, u8 mac[6]);

/* A finished frame from the network, in one piece. */
void user_slirp_input(struct user_slirp *s, const u8 *frame, size_t len);
/* What its sockets have, and its timers; then what it waits for. Milliseconds until its next timer, or -1. */
int user_slirp_turn(struct user_slirp *s);

/* remote must be everybody: libslirp asks nobody who he is. */
int must_check user_slirp_map(struct user_slirp *s, const struct nat_mapping *m, struct err *err);
void user_slirp_unmap(struct user_slirp *s, const struct nat_mapping *m);

#endif
