/* SPDX-License-Identifier: MIT */
/*
 * VLAN tags at the edge of a switch (802.1Q): off when a frame comes in, on again where a trunk needs them.
 * Inside, VLAN 0 is that of frames that never had one.
 */
#ifndef NET_VLAN_H
#define NET_VLAN_H

#include "net/drops.h"
#include "net/frame.h"
#include "net/policy.h"

/* A frame inside the switch. */
struct vlan_frame {
    struct frame frame; /* without a tag */
    u16 vlan;
    u16 priority;                    /* the tag's upper four bits, where they stand */
    u8 head[FRAME_HEAD + FRAME_TAG]; /* where frame.head lies if the tag had to come off */
};

/* f has passed frame_check(). DROP_COUNT: *out is f as it goes on, pointing into f or itself; else why it
 * does not. */
enum net_drop vlan_in(const struct port_policy *p, const struct frame *f, struct vlan_frame *out);

bool vlan_member(const struct port_policy *p, u16 vlan);

/* f as a member of its VLAN gets it; head has room for a tagged one. */
struct frame vlan_out(const struct port_policy *p, const struct vlan_frame *f,
                      u8 head[FRAME_HEAD + FRAME_TAG]);

#endif
