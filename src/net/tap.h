/* SPDX-License-Identifier: MIT */
/*
 * A TAP interface of this host: what is sent there the host's kernel receives, and the other way round.
 * Opening needs CAP_NET_ADMIN and is done apart from frames, by whoever has it. The interface lives as long
 * as the descriptor, or its copies, are open.
 */
#ifndef NET_TAP_H
#define NET_TAP_H

#include "net/port.h"

/* A new interface with this name (at most 15 bytes), off yet; index: the kernel's. -1 and err names what is
 * missing. */
int must_check tap_open(const char *name, unsigned *index, struct err *err);

/* whole: who gets the frames behind it takes finished ones only, so none is sent unfinished. Owns fd from
 * success on. */
struct net_port *net_port_tap(int fd, bool whole, struct event_loop *loop, struct err *err);

#endif
