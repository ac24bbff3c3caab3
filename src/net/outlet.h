/* SPDX-License-Identifier: MIT */
/*
 * What an adapter is plugged into for its whole life: a port whose inner port can be put in, replaced and
 * lost while the adapter lives.
 *
 * Without an inner port, or when that one went down, frames are dropped and the adapter hears sink.down; a
 * new one makes it hear sink.up. What the adapter takes unfinished is told to each inner port that is put in.
 * All calls but send and flush on the event loop's thread.
 */
#ifndef NET_OUTLET_H
#define NET_OUTLET_H

#include "net/port.h"

/* Empty at first. NULL and err only when memory is gone. */
struct net_port *net_outlet_new(struct err *err);

/* Puts inner in, after closing what was there; NULL unplugs. Owns inner. */
void net_outlet_plug(struct net_port *outlet, struct net_port *inner);
/* True while an inner port is there that has not gone down. */
bool net_outlet_up(struct net_port *outlet);

#endif
