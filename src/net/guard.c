/* SPDX-License-Identifier: MIT */
/*
 * The guards (net/guard.h): one walk to the upper layer, then two questions about it.
 *
 * Only a first fragment is looked at: without it the others come to nothing, and it must show the whole
 * header chain (RFC 7112).
 */
#include "net/guard.h"

#include "net/wire.h"

enum found {
    FOUND_OTHER,  /* neither question concerns it */
    FOUND_UPPER,  /* an upper layer's header, 8 bytes of it at least, at `at` */
    FOUND_UNSURE, /* it may be anything */
};

struct upper {
    bool v6;
    u8 protocol;
    size_t at;
};

/* --- IPv4 --- */

static enum found walk_ipv4(const struct frame *f, size_t ip, struct upper *u)
{
    const u8 *p = f->head + ip;
    if (f->head_len < ip + 20)
        return FOUND_UNSURE;
    size_t len = 4u * (p[0] & 15);
    *u = (struct upper){false, p[9], ip + len};
    if (len < 20)
        return FOUND_UNSURE;
    return load_be16(p + 6) & 0x1fff ? FOUND_OTHER : FOUND_UPPER;
}

/* --- IPv6: the chain of extension headers (RFC 8200 4) --- */

/* Bytes of an extension header; 0: it is none. */
static size_t extension(u8 type, const u8 *p)
{
    switch (type) {
    case IP_HOP_BY_HOP:
    case IP_ROUTING:
    case IP_DESTINATION:
    case IP_MOBILITY:
    case IP_HIP:
    case IP_SHIM6:
        return 8u * (p[1] + 1u);
    case IP_FRAGMENT:
        return 8;
    case IP_AUTHENTICATION:
        return 4u * (p[1] + 2u);
    default:
        return 0;
    }
}

static enum found walk_ipv6(const struct frame *f, size_t ip, struct upper *u)
{
    if (f->head_len < ip + 40)
        return FOUND_UNSURE;
    u8 type = f->head[ip + 6];
    for (size_t at = ip + 40; at + 8 <= f->head_len;) {
        const u8 *p = f->head + at;
        size_t len = extension(type, p);
        *u = (struct upper){true, type, at};
        if (!len)
            return FOUND_UPPER;
        at += len;
        if (type == IP_FRAGMENT && load_be16(p + 2) & 0xfff8) {
            u->at = at;
            return FOUND_OTHER;
        }
        type = p[0];
    }
    return FOUND_UNSURE;
}

/* --- what lies below --- */

/* The type of what the frame carries, at *at; LLC/SNAP (RFC 1042) may stand between. */
static u16 payload_type(const struct frame *f, size_t *at)
{
    static const u8 snap[5] = {0xaa, 0xaa, 3, 0, 0};
    u16 type = load_be16(f->head + 12);
    *at = FRAME_MIN;
    if (type < ETHERTYPE_MIN && f->head_len >= 22 && !memcmp(f->head + 14, snap, sizeof(snap))) {
        *at = 22;
        return load_be16(f->head + 20);
    }
    return type;
}

static enum found walk(const struct frame *f, struct upper *u)
{
    size_t at;
    u16 type = payload_type(f, &at);
    *u = (struct upper){.at = at};
    if (type == ETHERTYPE_IPV4)
        return walk_ipv4(f, at, u);
    if (type == ETHERTYPE_IPV6)
        return walk_ipv6(f, at, u);
    return is_vlan_type(type) ? FOUND_UNSURE : FOUND_OTHER;
}

/* Where the checksum goes that is still to be written. It must not change what the judgement rests on: all up
 * to the upper header, and of that the bytes before `judged` but for its own checksum field. */
static bool checksum_harmless(const struct frame *f, const struct upper *u, size_t field, size_t judged)
{
    size_t at = (size_t)f->offload.csum_start + f->offload.csum_offset;
    return !(f->offload.flags & FRAME_NEEDS_CSUM) || at == u->at + field || at >= u->at + judged;
}

/* True: an upper header is there and nobody can change what is asked of it; else *answer is the answer. */
static bool judgeable(const struct frame *f, struct upper *u, bool *answer)
{
    enum found found = walk(f, u);
    bool udp = u->protocol == IP_UDP, icmp = u->protocol == (u->v6 ? IP_ICMPV6 : IP_ICMP);
    if (found == FOUND_UPPER && !udp && !icmp)
        found = FOUND_OTHER;
    if (found == FOUND_UPPER && f->head_len < u->at + 8)
        found = FOUND_UNSURE;
    bool upper = found == FOUND_UPPER;
    if (!checksum_harmless(f, u, upper ? (udp ? 6 : 2) : 0, upper ? 9 : 0))
        found = FOUND_UNSURE;
    *answer = found == FOUND_UNSURE;
    return found == FOUND_UPPER;
}

/* --- the questions --- */

enum { DHCP_SERVER = 67, DHCP_CLIENT = 68, DHCP6_CLIENT = 546, DHCP6_SERVER = 547 };

/* The first byte behind the UDP header: an operation, or a message type. -1: it is not here. */
static int first_byte(const struct frame *f, const struct upper *u)
{
    return f->head_len > u->at + 8 ? f->head[u->at + 8] : -1;
}

static bool dhcp6_server_message(int type)
{
    enum { ADVERTISE = 2, REPLY = 7, RECONFIGURE = 10, RELAY_REPLY = 13 };
    return type < 0 || type == ADVERTISE || type == REPLY || type == RECONFIGURE || type == RELAY_REPLY;
}

bool guard_dhcp_server(const struct frame *f)
{
    struct upper u;
    bool answer;
    if (!judgeable(f, &u, &answer))
        return answer;
    u16 to = u.protocol == IP_UDP ? load_be16(f->head + u.at + 2) : 0;
    if (u.v6)
        return to == DHCP6_CLIENT || (to == DHCP6_SERVER && dhcp6_server_message(first_byte(f, &u)));
    return to == DHCP_CLIENT || (to == DHCP_SERVER && first_byte(f, &u) != 1); /* 1: a client's request */
}

bool guard_router(const struct frame *f)
{
    enum { REDIRECT = 5, ADVERTISEMENT = 9, ADVERTISEMENT6 = 134, REDIRECT6 = 137 };
    struct upper u;
    bool answer;
    if (!judgeable(f, &u, &answer))
        return answer;
    u8 type = f->head[u.at];
    if (u.protocol == IP_UDP)
        return false;
    return u.v6 ? type == ADVERTISEMENT6 || type == REDIRECT6 : type == REDIRECT || type == ADVERTISEMENT;
}
