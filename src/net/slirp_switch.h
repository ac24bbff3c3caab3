/* SPDX-License-Identifier: MIT */
/*
 * The user-mode network: 10.0.2.0/24 and fec0::/64 behind the host's own sockets, by libslirp (MIT/BSD). The
 * guest gets 10.0.2.15 by DHCP, the gateway and host is 10.0.2.2, the name server 10.0.2.3. It runs in a
 * process of its own: libslirp parses what the guest sends and needs sockets, and a worker may have neither.
 */
#ifndef NET_SLIRP_SWITCH_H
#define NET_SLIRP_SWITCH_H

#include "base/err.h"
#include "base/types.h"

struct slirp_nets; /* a process's networks; one thread */
struct slirp_net;

/* NULL and err when resources are gone. */
struct slirp_nets *slirp_nets_new(struct err *err);
void slirp_nets_free(struct slirp_nets *s);

/* One network with one guest adapter; fd: this side's end of its SOCK_SEQPACKET pair, one packet a frame.
 * Owns fd from success on; is freed with the networks. */
struct slirp_net *slirp_nets_add(struct slirp_nets *s, int fd, struct err *err);

/* Connections to 127.0.0.1:host reach the guest's port. -1 and err when the port cannot be had. */
int must_check slirp_net_forward(struct slirp_net *n, u16 host, u16 guest, struct err *err);

/* Serves the networks until all guests have closed their ends. */
void slirp_nets_run(struct slirp_nets *s);

/* Enters the sandbox: what libslirp needs (IP sockets, /etc/resolv.conf) and nothing else. */
int must_check slirp_sandbox(struct err *err);

#endif
