/* SPDX-License-Identifier: MIT */
/* 802.1Q tags (net/vlan.h). */
#include "net/vlan.h"

#include "net/wire.h"

#define TAG_AT   12 /* behind the two addresses */
#define VID_NONE 0xfff

bool port_policy_ok(const struct port_policy *p)
{
    bool vlan = p->vlan_mode == VLAN_MODE_ACCESS ? p->vlan >= 1 && p->vlan <= VLAN_MAX : true;
    return (unsigned)p->vlan_mode <= VLAN_MODE_TRUNK && (unsigned)p->mirror <= MIRROR_DESTINATION && vlan &&
           p->native <= VLAN_MAX && !is_group_mac(p->mac);
}

bool vlan_member(const struct port_policy *p, u16 vlan)
{
    switch (p->vlan_mode) {
    case VLAN_MODE_ACCESS:
        return vlan == p->vlan;
    case VLAN_MODE_TRUNK:
        return vlan == p->native || (vlan && port_policy_allows_vlan(p, vlan));
    default:
        return !vlan;
    }
}

static u16 vlan_of_untagged(const struct port_policy *p)
{
    return p->vlan_mode == VLAN_MODE_ACCESS ? p->vlan : p->vlan_mode == VLAN_MODE_TRUNK ? p->native : 0;
}

/* Offsets that offloads name move with the bytes. */
static void move_offload(struct frame_offload *o, int by)
{
    if (o->flags & FRAME_NEEDS_CSUM)
        o->csum_start = (u16)(o->csum_start + by);
    if (o->hdr_len)
        o->hdr_len = (u16)(o->hdr_len + by);
}

static void take_tag_off(const struct frame *f, struct vlan_frame *out)
{
    memcpy(out->head, f->head, TAG_AT);
    memcpy(out->head + TAG_AT, f->head + TAG_AT + FRAME_TAG, f->head_len - TAG_AT - FRAME_TAG);
    out->frame = *f;
    out->frame.head = out->head;
    out->frame.head_len -= FRAME_TAG;
    move_offload(&out->frame.offload, -FRAME_TAG);
}

/* A checksum that is still to be written must not fall onto the type behind the tag. */
static bool tag_whole(const struct frame *f)
{
    return f->head_len >= FRAME_MIN + FRAME_TAG && (!f->offload.hdr_len || f->offload.hdr_len > FRAME_TAG) &&
           (!(f->offload.flags & FRAME_NEEDS_CSUM) || f->offload.csum_start >= FRAME_MIN + FRAME_TAG);
}

static enum net_drop tagged_in(const struct port_policy *p, const struct frame *f, struct vlan_frame *out)
{
    if (!tag_whole(f))
        return DROP_MALFORMED;
    u16 tag = load_be16(f->head + TAG_AT + 2), vid = tag & 0xfff;
    if (is_vlan_type(load_be16(f->head + TAG_AT + FRAME_TAG)))
        return DROP_TAGS;
    if (vid && (p->vlan_mode != VLAN_MODE_TRUNK || vid == VID_NONE || !vlan_member(p, vid)))
        return DROP_VLAN;
    take_tag_off(f, out);
    out->vlan = vid ? vid : vlan_of_untagged(p);
    out->priority = tag & 0xf000;
    return DROP_COUNT;
}

enum net_drop vlan_in(const struct port_policy *p, const struct frame *f, struct vlan_frame *out)
{
    u16 type = load_be16(f->head + TAG_AT);
    if (type == ETHERTYPE_VLAN)
        return tagged_in(p, f, out);
    if (is_vlan_type(type))
        return DROP_TAGS;
    if (frame_len(f) > FRAME_MAX - FRAME_TAG) /* a trunk adds a tag */
        return DROP_MALFORMED;
    out->frame = *f;
    out->vlan = vlan_of_untagged(p);
    out->priority = 0;
    return DROP_COUNT;
}

struct frame vlan_out(const struct port_policy *p, const struct vlan_frame *f,
                      u8 head[FRAME_HEAD + FRAME_TAG])
{
    struct frame out = f->frame;
    if (p->vlan_mode != VLAN_MODE_TRUNK || f->vlan == p->native)
        return out;
    memcpy(head, out.head, TAG_AT);
    store_be16(head + TAG_AT, ETHERTYPE_VLAN);
    store_be16(head + TAG_AT + 2, f->priority | f->vlan);
    memcpy(head + TAG_AT + FRAME_TAG, out.head + TAG_AT, out.head_len - TAG_AT);
    out.head = head;
    out.head_len += FRAME_TAG;
    move_offload(&out.offload, FRAME_TAG);
    return out;
}
