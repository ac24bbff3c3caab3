/* SPDX-License-Identifier: MIT */
/* What a port of a switch may do, as plain data; what it means stands in net/vswitch.h. */
#ifndef NET_POLICY_H
#define NET_POLICY_H

#include "base/types.h"

enum vlan_mode { VLAN_MODE_UNTAGGED, VLAN_MODE_ACCESS, VLAN_MODE_TRUNK };
enum mirror_mode { MIRROR_NONE, MIRROR_SOURCE, MIRROR_DESTINATION };

#define VLAN_MAX 4094 /* 1..VLAN_MAX are VLANs */

/* All zero is a valid one: it lets no frame in. */
struct port_policy {
    u8 mac[6]; /* the adapter's; all zero: none (an uplink) */
    bool spoofing;
    bool dhcp_guard;
    bool router_guard;
    enum vlan_mode vlan_mode;
    u16 vlan;      /* ACCESS: the VLAN */
    u16 native;    /* TRUNK: the VLAN of untagged frames; 0: "untagged" */
    u64 trunk[64]; /* TRUNK: bit n: VLAN n may pass, tagged */
    enum mirror_mode mirror;
    u64 bits_per_second; /* what may be sent from here; 0: no limit */
    u32 mac_limit;       /* addresses learned here at most, with spoofing; 0: VSWITCH_MACS_PER_PORT */
};

static inline void port_policy_allow_vlan(struct port_policy *p, u16 vlan)
{
    p->trunk[vlan / 64 & 63] |= BIT(vlan % 64);
}

static inline bool port_policy_allows_vlan(const struct port_policy *p, u16 vlan)
{
    return p->trunk[vlan / 64 & 63] >> (vlan % 64) & 1;
}

/* Enumerations and VLANs in range, and no group address for an adapter. */
bool port_policy_ok(const struct port_policy *p);

#endif
