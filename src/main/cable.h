/* SPDX-License-Identifier: MIT */
/*
 * A worker's end of the cable between an adapter's outlet and its switch (mgmt/message.h): the links that
 * come through it are plugged into the outlet, and when it hangs up the outlet is empty.
 */
#ifndef MAIN_CABLE_H
#define MAIN_CABLE_H

#include "base/event_loop.h"
#include "net/port.h"

struct cable;

/* Owns fd from success on; uses the outlet (net/outlet.h) until cable_pull(). On loop's thread from then on.
 */
struct cable *cable_new(int fd, struct event_loop *loop, struct net_port *outlet, struct err *err);
/* The outlet is empty afterwards. c may be NULL. */
void cable_pull(struct cable *c);
/* What the switch has to tell of the adapter; "": nothing. */
const char *cable_notice(const struct cable *c);

enum { CABLES_MAX = 8 };

/* The adapters of one machine that are for switches, by their places. */
struct cables {
    struct event_loop *loop;
    struct net_port *outlets[CABLES_MAX]; /* NULL: the adapter is on another network */
    struct cable *cables[CABLES_MAX];     /* NULL: none is plugged in */
};

/* Plugs in, in place of what is there; fd -1: only pulls out. Owns fd from success on. */
int must_check cables_give(struct cables *c, unsigned adapter, int fd, struct err *err);
/* The first that there is; "". */
const char *cables_notice(const struct cables *c);

#endif
