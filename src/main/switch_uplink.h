/* SPDX-License-Identifier: MIT */
/*
 * A switch's way out: what the supervisor opens, because it needs privilege, and the child turns into ports.
 *
 * Supervisor: switch_uplinks_open() once, when the switch starts; then, for every child it starts, one
 * message UPLINK for each of them (text: kind, pass: fd). switch_uplinks_close() undoes everything: the TAP
 * and its addresses are gone, the host's interface is out of promiscuous mode.
 * Child: switch_uplink_port() makes the port; the vswitch takes it with the rule that trusts it.
 */
#ifndef MAIN_SWITCH_UPLINK_H
#define MAIN_SWITCH_UPLINK_H

#include "config/switch_config.h"
#include "net/port.h"

enum { SWITCH_UPLINKS_MAX = 4 };

struct switch_uplinks {
    struct {
        char kind[16]; /* a word for switch_uplink_port(): "tap", "tap-whole", "packet" */
        int fd;
    } ways[SWITCH_UPLINKS_MAX];
    unsigned count;
    bool kernel;  /* the host's adapter is the kernel's */
    void *opaque; /* what switch_uplinks_close() needs */
};

/* Private: none. The switch's host network is applied too (host_network_apply_kernel()), unless user mode
 * serves it. */
int must_check switch_uplinks_open(const struct switch_config *c, struct switch_uplinks *out,
                                   struct err *err);
void switch_uplinks_close(struct switch_uplinks *u);

/* Owns fd from success on. */
struct net_port *switch_uplink_port(const char *kind, int fd, struct event_loop *loop, struct err *err);

#endif
