/* SPDX-License-Identifier: MIT */
/*
 * NAT by the host's kernel: one nftables table per home of Droste's, replaced as a whole in one transaction
 * and gone with its last NAT. Needs CAP_NET_ADMIN in the caller's network namespace.
 *
 * The table does three things: what the networks send outward gets the address of the interface it leaves by;
 * mapped ports go inward, also for the host itself and for the networks' own machines; and what nobody asked
 * for does not get in. It says nothing about other traffic.
 */
#ifndef NET_NAT_NFT_H
#define NET_NAT_NFT_H

#include "base/err.h"
#include "base/ip.h"
#include "net/host_link.h"

struct nat_network {
    struct ip_prefix prefix;
    char interface[HOST_LINK_NAME_MAX]; /* the host's adapter in it */
};
struct nat_mapping {
    bool udp;
    struct ip_addr external; /* unspecified: every address of the host */
    u16 external_port, internal_port;
    struct ip_addr internal;
    struct ip_prefix remote; /* who may use it */
};
struct nat_rules {
    const struct nat_network *networks;
    unsigned network_count;
    const struct nat_mapping *mappings;
    unsigned mapping_count;
};

/* The transaction that makes the table what the rules say; without networks, that removes it. free() it;
 * NULL: out of memory. */
char *nat_rules_text(const char *table, const struct nat_rules *r);
int must_check nat_rules_apply(const char *table, const struct nat_rules *r, struct err *err);

/* Whether this network namespace has the table; false too where that cannot be known. */
bool nft_has_table(const char *table);

/* Commands of nft(8), as one transaction. out: what they print, to be free()d; NULL: not wanted. */
int must_check nft_run(const char *commands, char **out, struct err *err);

#endif
