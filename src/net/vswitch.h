/* SPDX-License-Identifier: MIT */
/*
 * A virtual switch: frames come in at ports, are judged by the port's policy, and go out where the MAC table
 * says, or everywhere in their VLAN. It knows neither guests nor processes nor time: ports are net/port.h,
 * now() is given.
 *
 * Per port:
 *   spoofing off  only frames from policy.mac are taken; only frames for it, multicast and broadcast are
 *                 delivered.
 *   spoofing on   any source address is taken and learned, and unknown unicast is delivered too. (Uplinks and
 *                 host adapters are such ports.)
 * The MAC table holds policy.mac of every port, for good, and what was learned, by VLAN, until it is older
 * than max_age. Each port has a share of the table of its own, reserved when it joins, and recycles it: no
 * port can take another's. A learned address never replaces an adapter's.
 *
 * VLANs: inside, a frame has one VLAN, 0 being "untagged", and its tag is off. Frames with a second tag are
 * dropped, so nothing can smuggle one past a native VLAN. A priority tag (VLAN 0) is taken off.
 *
 * Mirroring: what enters or leaves by a port with MIRROR_SOURCE is delivered also to every port with
 * MIRROR_DESTINATION in the frame's VLAN.
 *
 * A frame that needs what its receiver does not accept is finished on the way (net/segment.h).
 *
 * Threads: all on one, that of the ports' event loop.
 */
#ifndef NET_VSWITCH_H
#define NET_VSWITCH_H

#include "net/drops.h"
#include "net/policy.h"
#include "net/port.h"

struct port_counters {
    u64 in_frames, in_bytes;   /* came from the port, dropped ones left out */
    u64 out_frames, out_bytes; /* went to the port */
    u64 drops[DROP_COUNT];
    u8 spoofed_source[6]; /* of the last frame counted as SPOOFED */
};

#define VSWITCH_PORTS_MAX     1024
#define VSWITCH_MACS_MAX      65536
#define VSWITCH_MACS_PER_PORT 1024

struct capture;
struct vswitch;

struct vswitch_config {
    u64 (*now)(void *opaque);  /* nanoseconds, never backwards; asked once a burst */
    u64 (*wall)(void *opaque); /* nanoseconds since 1970 UTC, asked for captures alone */
    void *clock_opaque;
    u64 max_age_ns; /* 0: 300 s, as 802.1Q has it */
    u32 macs_max;   /* learned addresses, all ports together; 0: VSWITCH_MACS_MAX */
    u64 hash_seed;  /* a secret random number, so that nobody can choose addresses that collide */
    /* Of a port, with the opaque it was added with. Each may be NULL. From within them no port may be added
     * or removed but, in down, the port itself. */
    void (*spoofed)(void *port_opaque,
                    const u8 source[6]); /* the first drop since it joined or its spoofing changed */
    void (*down)(void *port_opaque, const char *why); /* its link is gone; it still has to be removed */
    void (*capture_ended)(void *port_opaque,
                          struct capture *c); /* the port has let go of c (net/capture.h) */
};

struct vswitch_port;

/* NULL and err only when memory is gone. */
struct vswitch *vswitch_new(const struct vswitch_config *c, struct err *err);
void vswitch_free(struct vswitch *sw); /* closes all its ports */

/* Takes over port and its sink from success on. NULL and err: the switch has VSWITCH_PORTS_MAX ports, or
 * memory is gone. A policy that port_policy_ok() refuses is our bug. */
struct vswitch_port *vswitch_port_add(struct vswitch *sw, struct net_port *port,
                                      const struct port_policy *policy, void *opaque, struct err *err);
void vswitch_port_remove(
    struct vswitch_port *p); /* closes its net_port; what was learned there is forgotten */
/* At once: the next frame is judged by it. Addresses learned under the old one are forgotten. */
void vswitch_port_set_policy(struct vswitch_port *p, const struct port_policy *policy);
void vswitch_port_counters(const struct vswitch_port *p, struct port_counters *out);
bool vswitch_port_up(const struct vswitch_port *p);

/* All that enters (as it came) and leaves by the port is written to c (net/capture.h), which stays the
 * caller's and must outlive this; NULL ends it. */
void vswitch_port_capture(struct vswitch_port *p, struct capture *c);

struct vswitch_mac {
    u8 mac[6];
    u16 vlan;   /* 0: untagged; for an adapter's own address: any that its port is in */
    bool fixed; /* an adapter's own */
    u64 age_ns; /* since the last frame from it; 0 for fixed ones */
    void *port_opaque;
};
void vswitch_each_mac(struct vswitch *sw, void (*cb)(void *opaque, const struct vswitch_mac *m),
                      void *opaque);

#endif
