/* SPDX-License-Identifier: MIT */
/*
 * The host's side of virtual networks: what network.json says, done by the host's kernel for the adapters
 * that are its own, and told to the switches whose processes carry theirs (switch_host.h).
 */
#ifndef MAIN_HOST_NETWORK_H
#define MAIN_HOST_NETWORK_H

#include "config/switch_config.h"
#include "mgmt/host_network.h"
#include "net/nat_nft.h"

extern const struct network_ops host_network_ops;

/* The kernel's part alone: addresses and gateways that are missing, NAT, forwarding. Idempotent; a NAT whose
 * adapters are gone is taken away. */
int must_check host_network_apply_kernel(const struct store *s, const struct network_config *c,
                                         struct err *err);

/* Of c, what concerns one switch's adapter: its addresses, and the NATs and mappings that they
 * are under. */
void host_network_of_switch(const struct network_config *c, const char *switch_name,
                            struct network_config *out);

/* A mapping as net/ has it. */
struct nat_mapping host_network_mapping(const struct network_mapping *m);

#endif
