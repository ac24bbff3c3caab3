/* SPDX-License-Identifier: MIT */
/*
 * What this host's network offers to commands. mgmt/ cannot reach it itself (net/ is no layer of its own
 * below it): whoever links net/ fills this, and hands it down in a host_probe (host.h).
 */
#ifndef MGMT_HOST_NETWORK_H
#define MGMT_HOST_NETWORK_H

#include "base/ip.h"
#include "mgmt/network.h"

#define HOST_ADAPTER_PREFIX      "vEthernet ("
#define HOST_ADAPTER_DESCRIPTION "Hyper-V Virtual Ethernet Adapter"
#define HOST_ADAPTER_INTERFACE   "vn-%.8s" /* the kernel's name of a switch's adapter; %: the switch's id */

/* An interface that the host's kernel has. */
struct host_adapter {
    unsigned index;
    char name[128];       /* as commands call it: vEthernet (NAME), or the kernel's name */
    char interface[16];   /* the kernel's name */
    char description[64]; /* what drives it */
    u8 mac[6];
    bool has_mac, physical, hidden; /* hidden: the loopback */
    bool up, carrier;
    u64 bits_per_second; /* 0: unknown */
};
struct host_ip {
    unsigned index;
    struct ip_prefix prefix;
    bool tentative, duplicate, deprecated, dynamic, link_scope;
    u32 valid, preferred; /* seconds; ~0: for ever */
};

struct network_ops {
    /* malloced lists; free() them */
    int (*adapters)(struct host_adapter **list, unsigned *count, struct err *err);
    int (*addresses)(struct host_ip **list, unsigned *count, struct err *err);
    /* An address of an interface, at once; gateway: NULL, or the default route that comes and goes with it.
     */
    int (*change_address)(unsigned index, const struct ip_prefix *p, const struct ip_addr *gateway, bool add,
                          struct err *err);
    /* The kernel and the running switches do what c says. Where nothing has to be done, no right is needed.
     * The caller holds the network's lock. */
    int (*apply)(const struct store *s, const struct network_config *c, struct err *err);
    /* One more name server for this host. */
    int (*add_resolver)(unsigned index, const struct ip_addr *server, struct err *err);
    /* The networks that this host is in already, as prefixes; those by its own adapters of switches are left
     * out. */
    int (*networks)(struct ip_prefix **list, unsigned *count, struct err *err);
};

#endif
