/* SPDX-License-Identifier: MIT */
/* What a frame claims about itself, checked (net/frame.h). Field offsets: RFC 791, 8200, 9293; 802.1Q. */
#include "net/frame.h"

#include "base/err.h"
#include "net/wire.h"

/* Past the Ethernet header and at most two tags; *type is what follows. 0: the frame ends before. */
static size_t network_header(const struct frame *f, u16 *type)
{
    size_t at = 12;
    for (int tags = 0; tags <= 2 && at + 2 <= f->head_len; tags++, at += 4) {
        *type = load_be16(f->head + at);
        if (!is_vlan_type(*type))
            return at + 2;
    }
    return 0;
}

/* Bytes of the IP header in front of the given protocol; 0: it is not that, or not whole. */
static size_t ipv4_header(const u8 *ip, size_t room, u8 protocol)
{
    size_t len = room >= 20 ? 4u * (ip[0] & 15) : 0;
    bool fragment = len && (load_be16(ip + 6) & 0x3fff);
    return len >= 20 && len <= room && ip[0] >> 4 == 4 && ip[9] == protocol && !fragment ? len : 0;
}

/* Past options; a routing header would change whose checksum it is. */
static size_t ipv6_header(const u8 *ip, size_t room, u8 protocol)
{
    size_t len = 40;
    if (room < len || ip[0] >> 4 != 6)
        return 0;
    u8 next = ip[6];
    while ((next == IP_HOP_BY_HOP || next == IP_DESTINATION) && len + 8 <= room) {
        next = ip[len];
        len += 8u * (ip[len + 1] + 1u);
    }
    return next == protocol && len <= room ? len : 0;
}

/* Bytes of the header at `upper`; 0: it is not whole. */
static size_t upper_header(const struct frame *f, size_t upper, bool udp)
{
    size_t room = f->head_len - upper, len = 8;
    if (!udp)
        len = room >= 20 ? 4u * (f->head[upper + 12] >> 4) : 0;
    return len <= room && (udp || len >= 20) ? len : 0;
}

/* False: not what gso names, or not whole. */
static bool find_layers(const struct frame *f, struct frame_layers *l)
{
    u16 type;
    u8 gso = f->offload.gso & ~FRAME_GSO_ECN;
    size_t ip = network_header(f, &type), len = 0, upper;
    bool udp = gso == FRAME_GSO_UDP, v6 = udp ? ip && type == ETHERTYPE_IPV6 : gso == FRAME_GSO_TCP6;
    if (ip && type == (v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4))
        len = (v6 ? ipv6_header : ipv4_header)(f->head + ip, f->head_len - ip, udp ? IP_UDP : IP_TCP);
    upper = ip + len;
    size_t header = len ? upper_header(f, upper, udp) : 0;
    *l = (struct frame_layers){(u16)ip, (u16)upper, (u16)(upper + header), v6, udp};
    return header != 0;
}

static bool gso_ok(const struct frame *f)
{
    const struct frame_offload *o = &f->offload;
    struct frame_layers l;
    u8 gso = o->gso & ~FRAME_GSO_ECN;
    if (o->gso == FRAME_GSO_NONE)
        return true;
    return (gso == FRAME_GSO_TCP4 || gso == FRAME_GSO_TCP6 || o->gso == FRAME_GSO_UDP) &&
           o->gso_size >= FRAME_GSO_MIN && (o->flags & FRAME_NEEDS_CSUM) && find_layers(f, &l) &&
           o->csum_start == l.upper && o->csum_offset == (l.udp ? CSUM_OFFSET_UDP : CSUM_OFFSET_TCP);
}

static bool csum_ok(const struct frame *f)
{
    const struct frame_offload *o = &f->offload;
    return !(o->flags & FRAME_NEEDS_CSUM) ||
           (o->csum_start >= FRAME_MIN && (size_t)o->csum_start + o->csum_offset + 2 <= f->head_len);
}

bool frame_check(const struct frame *f)
{
    size_t len = frame_len(f);
    return f->head_len >= FRAME_MIN && f->head_len <= FRAME_HEAD + FRAME_TAG && len <= FRAME_MAX &&
           !(f->offload.flags & ~(FRAME_NEEDS_CSUM | FRAME_DATA_VALID)) && csum_ok(f) && gso_ok(f);
}

struct frame_layers frame_layers(const struct frame *f)
{
    struct frame_layers l;
    bug_on(!find_layers(f, &l), "a frame that frame_check() has not passed");
    return l;
}

u32 frame_needs(const struct frame *f)
{
    u8 gso = f->offload.gso & ~FRAME_GSO_ECN;
    return (f->offload.flags & FRAME_NEEDS_CSUM ? FRAME_ACCEPTS_CSUM : 0) |
           (gso == FRAME_GSO_TCP4 ? FRAME_ACCEPTS_TSO4 : 0) |
           (gso == FRAME_GSO_TCP6 ? FRAME_ACCEPTS_TSO6 : 0) | (gso == FRAME_GSO_UDP ? FRAME_ACCEPTS_USO : 0) |
           (f->offload.gso & FRAME_GSO_ECN ? FRAME_ACCEPTS_ECN : 0);
}
