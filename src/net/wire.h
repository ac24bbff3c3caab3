/* SPDX-License-Identifier: MIT */
/* Numbers that stand in frames, and big-endian fields. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include "base/types.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_VLAN = 0x8100, /* 802.1Q */
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_STAG = 0x88a8, /* 802.1ad */
    ETHERTYPE_QINQ = 0x9100, /* the same before its standard */
    ETHERTYPE_MIN = 0x0600,  /* smaller ones are lengths */
};

enum { CSUM_OFFSET_UDP = 6, CSUM_OFFSET_TCP = 16 }; /* within their headers */

enum {
    IP_HOP_BY_HOP = 0,
    IP_ICMP = 1,
    IP_TCP = 6,
    IP_UDP = 17,
    IP_ROUTING = 43,
    IP_FRAGMENT = 44,
    IP_AUTHENTICATION = 51,
    IP_ICMPV6 = 58,
    IP_DESTINATION = 60,
    IP_MOBILITY = 135,
    IP_HIP = 139,
    IP_SHIM6 = 140,
};

static inline u16 load_be16(const u8 *p)
{
    return (u16)(p[0] << 8 | p[1]);
}

static inline void store_be16(u8 *p, u16 v)
{
    p[0] = (u8)(v >> 8);
    p[1] = (u8)v;
}

static inline u32 load_be32(const u8 *p)
{
    return (u32)load_be16(p) << 16 | load_be16(p + 2);
}

static inline void store_be32(u8 *p, u32 v)
{
    store_be16(p, (u16)(v >> 16));
    store_be16(p + 2, (u16)v);
}

static inline bool is_vlan_type(u16 type)
{
    return type == ETHERTYPE_VLAN || type == ETHERTYPE_STAG || type == ETHERTYPE_QINQ;
}

static inline bool is_group_mac(const u8 *mac)
{
    return mac[0] & 1;
}

#endif
