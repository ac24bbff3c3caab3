/* SPDX-License-Identifier: MIT */
/*
 * Packets that pass through this host: switched on for the interfaces that NAT needs, and back.
 *
 * What was switched on is written where it holds, in this network namespace: the nftables table
 * "droste-forwarding", which several homes share, names the interfaces, and drops what would pass between
 * them now though nobody asked for it. Who removes the last NAT of all homes restores them and removes the
 * table.
 */
#ifndef NET_HOST_FORWARD_H
#define NET_HOST_FORWARD_H

#include "base/err.h"
#include "base/types.h"

/* For the uplinks, by their kernel names. */
int must_check host_forward_on(const char *const *uplinks, unsigned count, struct err *err);
/* IPv6, for what comes in by the adapters. */
int must_check host_forward_on_v6(const char *const *adapters, unsigned count, struct err *err);
/* For when a home's NAT is gone: the rest of what is switched on goes with the last one. */
int must_check host_forward_off(struct err *err);
/* IPv4 of one adapter of our own, whose forwarding nobody has to remember: it ends with it. */
int must_check host_forward_adapter(const char *interface, bool on, struct err *err);

/* The quoted words of the set `name` in what nft lists; each() is given every one. For tests. */
void nft_set_words(const char *listing, const char *name, void (*each)(void *arg, const char *word),
                   void *arg);

#endif
