/* SPDX-License-Identifier: MIT */
/*
 * The host of a switch, in its child: gateway, NAT, static mappings (net/user_host.h) where no kernel carries
 * it, and a DHCP server (net/dhcp_server.h).
 *
 * Its file is JSON, written by the command side and read only here. It comes by message HOST, at the start of
 * every child and after each change, and replaces what was there; ports of mappings that stay are kept.
 */
#ifndef MAIN_SWITCH_HOST_H
#define MAIN_SWITCH_HOST_H

#include "base/err.h"
#include "base/event_loop.h"
#include "config/switch_config.h"
#include "net/port.h"

struct switch_host;

/* Supervisor: the present host network of this switch as a file, sealed or unlinked, for message HOST; -1 and
 * err. */
int must_check switch_host_file(const struct switch_config *c, struct err *err);

/* Child: a host without addresses or ports. */
struct switch_host *switch_host_new(struct err *err);
/* A port of it, which stays switch_host's: "user" or "dhcp", each once. mac: of the host's adapter. */
struct net_port *switch_host_add(struct switch_host *h, const char *kind, struct event_loop *loop,
                                 const u8 mac[6], struct err *err);
/* file: stays the caller's. */
int must_check switch_host_apply(struct switch_host *h, int file, struct err *err);

/* System calls that the child needs for it, ending with -1, and files it may read, ending with NULL: for the
 * sandbox. */
extern const int switch_host_calls[];
extern const char *const switch_host_files[];

#endif
