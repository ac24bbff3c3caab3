/* SPDX-License-Identifier: MIT */
/* What a frame claims about itself, checked (net/frame.h). Field offsets: RFC 791, 8200, 9293; 802.1Q. */
#include "net/frame.h"

#include "base/err.h"
#include "net/wire.h"

#define CSUM_OFFSET_TCP 16

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

static size_t ipv4_tcp(const u8 *ip, size_t room)
{
    size_t len = room >= 20 ? 4u * (ip[0] & 15) : 0;
    bool fragment = len && (load_be16(ip + 6) & 0x3fff);
    return len >= 20 && len <= room && ip[0] >> 4 == 4 && ip[9] == IP_TCP && !fragment ? len : 0;
}

static size_t ipv6_tcp(const u8 *ip, size_t room)
{
    return room >= 40 && ip[0] >> 4 == 6 && ip[6] == IP_TCP ? 40 : 0;
}

/* False: not TCP over the IP that gso names, or not whole. */
static bool find_tcp(const struct frame *f, struct frame_tcp *t)
{
    u16 type;
    size_t ip = network_header(f, &type), len = 0;
    t->v6 = (f->offload.gso & ~FRAME_GSO_ECN) == FRAME_GSO_TCP6;
    if (ip && type == (t->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4))
        len = (t->v6 ? ipv6_tcp : ipv4_tcp)(f->head + ip, f->head_len - ip);
    if (!len || ip + len + 20 > f->head_len)
        return false;
    size_t tcp = ip + len, payload = tcp + 4u * (f->head[tcp + 12] >> 4);
    *t = (struct frame_tcp){(u16)ip, (u16)tcp, (u16)payload, t->v6};
    return payload >= tcp + 20 && payload <= f->head_len;
}

static bool gso_ok(const struct frame *f)
{
    const struct frame_offload *o = &f->offload;
    struct frame_tcp t;
    u8 gso = o->gso & ~FRAME_GSO_ECN;
    if (o->gso == FRAME_GSO_NONE)
        return true;
    return (gso == FRAME_GSO_TCP4 || gso == FRAME_GSO_TCP6) && o->gso_size >= FRAME_GSO_MIN &&
           (o->flags & FRAME_NEEDS_CSUM) && find_tcp(f, &t) && o->csum_start == t.tcp &&
           o->csum_offset == CSUM_OFFSET_TCP;
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

struct frame_tcp frame_tcp(const struct frame *f)
{
    struct frame_tcp t;
    bug_on(!find_tcp(f, &t), "a frame that frame_check() has not passed");
    return t;
}

u32 frame_needs(const struct frame *f)
{
    u8 gso = f->offload.gso & ~FRAME_GSO_ECN;
    return (f->offload.flags & FRAME_NEEDS_CSUM ? FRAME_ACCEPTS_CSUM : 0) |
           (gso == FRAME_GSO_TCP4 ? FRAME_ACCEPTS_TSO4 : 0) |
           (gso == FRAME_GSO_TCP6 ? FRAME_ACCEPTS_TSO6 : 0) |
           (f->offload.gso & FRAME_GSO_ECN ? FRAME_ACCEPTS_ECN : 0);
}
