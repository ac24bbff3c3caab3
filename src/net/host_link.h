/* SPDX-License-Identifier: MIT */
/*
 * The host's network interfaces, their addresses and the default route, by rtnetlink: looking needs no right,
 * changing needs CAP_NET_ADMIN. Lists are malloced; free() them. All of it concerns the network namespace of
 * the caller.
 */
#ifndef NET_HOST_LINK_H
#define NET_HOST_LINK_H

#include "base/err.h"
#include "base/ip.h"

#define HOST_LINK_NAME_MAX 16  /* IFNAMSIZ */
#define HOST_ALT_NAME_MAX  128 /* ALTIFNAMSIZ, with the final zero */

struct nlmsghdr;

struct host_link {
    unsigned index, master; /* master: the bridge it is in, by index; 0: none */
    char name[HOST_LINK_NAME_MAX];
    char alt[HOST_ALT_NAME_MAX]; /* the first alternative name, or "" */
    char kind[16];               /* "bridge", "vxlan", "veth", "tun", "openvswitch" ...; "" of a device */
    u8 mac[6];
    bool ethernet, loopback;
    bool up, carrier; /* switched on; and usable */
};

struct host_address {
    unsigned index;
    struct ip_prefix prefix;
    bool tentative, duplicate, deprecated, dynamic, link_scope;
    u32 valid, preferred; /* seconds; ~0: for ever */
};

int must_check host_links(struct host_link **list, unsigned *count, struct err *err);
int must_check host_addresses(struct host_address **list, unsigned *count, struct err *err);

/* By name or alternative name, the exact one first, then without regard to case; NULL: there is none. */
const struct host_link *host_link_find(const struct host_link *list, unsigned count, const char *name);

int must_check host_link_set_alt(unsigned index, const char *alt, struct err *err);
int must_check host_link_set_up(unsigned index, bool up, struct err *err);
int must_check host_link_set_mac(unsigned index, const u8 mac[6], struct err *err);
/* Into the bridge; 0: out of the one it is in. */
int must_check host_link_set_master(unsigned index, unsigned bridge, struct err *err);

/* What is there already, or gone already, is no error. */
int must_check host_address_add(unsigned index, const struct ip_prefix *p, struct err *err);
int must_check host_address_remove(unsigned index, const struct ip_prefix *p, struct err *err);
/* The default route through a neighbour. */
int must_check host_gateway_add(unsigned index, const struct ip_addr *gateway, struct err *err);
int must_check host_gateway_remove(unsigned index, const struct ip_addr *gateway, struct err *err);

/* One message of an answer as a value; false: it is none of these, or damaged. For the lists above, and
 * tests. */
bool host_link_parse(const struct nlmsghdr *h, struct host_link *out);
bool host_address_parse(const struct nlmsghdr *h, struct host_address *out);

#endif
