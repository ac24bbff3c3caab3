/* SPDX-License-Identifier: MIT */
/*
 * Any bytes with any offloads, through a switch whose three ports have policies made of the input. What comes
 * out is a frame that its receiver accepts, and never one of a VLAN that the port is not in or with an
 * address that its sender may not have.
 */
#include <stdlib.h>

#include "input.h"
#include "net/vswitch.h"
#include "net/wire.h"

#define PORTS 3

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct end {
    struct net_port port;
    struct vswitch_port *at;
    struct port_policy policy;
    u32 accepts;
    u64 sum;
};

struct bed {
    struct vswitch *sw;
    struct end end[PORTS];
    u64 now;
    const struct end *from; /* whose frame is on its way */
};

static struct bed bed;

static void check_vlan(const struct end *e, const struct frame *f)
{
    u16 type = load_be16(f->head + 12);
    if (e->policy.vlan_mode != VLAN_MODE_TRUNK) {
        bug_on(is_vlan_type(type), "a tag came out of a port that has none");
        return;
    }
    u16 vlan = type == ETHERTYPE_VLAN ? load_be16(f->head + 14) & 0xfff : e->policy.native;
    bug_on(vlan != e->policy.native && !port_policy_allows_vlan(&e->policy, vlan), "another VLAN's frame");
    bug_on(type == ETHERTYPE_VLAN && is_vlan_type(load_be16(f->head + 16)), "two tags");
}

static bool end_send(struct net_port *p, const struct frame *f)
{
    static u8 copy[FRAME_MAX];
    struct end *e = (struct end *)p;
    const struct end *from = bed.from;
    bug_on(e == from, "a frame came back");
    bug_on(frame_len(f) > FRAME_MAX || f->head_len < FRAME_MIN, "a frame of no length");
    bug_on(frame_needs(f) & ~e->accepts, "more than the port accepts");
    bug_on(f->offload.gso && !frame_check(f), "an offload that was not checked");
    bug_on(!from->policy.spoofing && memcmp(f->head + 6, from->policy.mac, 6), "a foreign address");
    check_vlan(e, f);
    for (size_t i = 0, n = frame_copy(f, copy); i < n; i++)
        e->sum += copy[i];
    return !(e->sum & 7);
}

static u32 end_accepts(struct net_port *p)
{
    return ((struct end *)p)->accepts;
}

static void end_close(struct net_port *p) {}

static const struct net_port_ops end_ops = {.send = end_send, .accepts = end_accepts, .close = end_close};

static u64 bed_now(void *opaque)
{
    return bed.now;
}

static struct port_policy make_policy(struct input *in, unsigned i)
{
    u8 how = (u8)take(in, 1), more = (u8)take(in, 1);
    struct port_policy p = {.mac = {2, 0, 0, 0, 0, (u8)i},
                            .spoofing = how & 1,
                            .dhcp_guard = how & 2,
                            .router_guard = how & 4,
                            .vlan_mode = (how >> 3 & 3) % 3,
                            .vlan = 1 + (how >> 5 & 1),
                            .native = how >> 6,
                            .trunk = {more & 15},
                            .mirror = (more >> 4 & 3) % 3,
                            .bits_per_second = more & 0x40 ? 100000 : 0,
                            .mac_limit = more & 0x80 ? 2 : 0};
    return p;
}

/* Headers of TCP with segmentation left to do, so that the segmenter is a byte away; returns their length. */
static size_t put_tcp(u8 *p, bool v6, struct frame_offload *o)
{
    size_t tcp = v6 ? 54 : 34;
    memset(p + 12, 0, tcp + 20 - 12);
    store_be16(p + 12, v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
    p[14] = v6 ? 0x60 : 0x45;
    p[v6 ? 20 : 23] = IP_TCP;
    p[tcp + 12] = 0x50;
    *o =
        (struct frame_offload){.flags = FRAME_NEEDS_CSUM | (o->flags & FRAME_DATA_VALID),
                               .gso = (u8)((v6 ? FRAME_GSO_TCP6 : FRAME_GSO_TCP4) | (o->gso & FRAME_GSO_ECN)),
                               .gso_size = o->gso_size,
                               .csum_start = (u16)tcp,
                               .csum_offset = 16};
    return tcp + 20;
}

/* A frame as it may come: any bytes, and from time to time long ones. */
static void send_in(struct input *in)
{
    static u8 bytes[FRAME_MAX + 1000];
    u8 how = (u8)take(in, 1);
    struct end *e = &bed.end[how % PORTS];
    size_t len = take(in, 1), extra = how & 4 ? (size_t)take(in, 2) : 0;
    struct frame_offload o = {0};
    if (how & 8)
        o = (struct frame_offload){(u8)take(in, 1),  (u8)take(in, 1),  (u16)take(in, 1),
                                   (u16)take(in, 2), (u16)take(in, 1), (u16)take(in, 1)};
    if (len > (size_t)(in->end - in->at))
        len = (size_t)(in->end - in->at);
    memcpy(bytes, in->at, len);
    in->at += len;
    memset(bytes + len, how, extra);
    if (how & 16 && len >= 12) { /* addresses that exist */
        memcpy(bytes, (u8[]){2, 0, 0, 0, 0, (u8)(how >> 5 & 3), 2, 0, 0, 0, 0, (u8)(how % PORTS)}, 12);
    }
    if ((how & 0x18) == 0x18 && len < 74) /* 74: the largest of these headers */
        len = put_tcp(bytes, len & 1, &o);
    struct frame f = frame_plain(bytes, len + extra);
    f.offload = o;
    bed.from = e;
    e->port.sink.receive(e->port.sink.opaque, &f);
    if (how & 0x80)
        e->port.sink.flush(e->port.sink.opaque);
}

static void add(struct input *in, unsigned i)
{
    struct err err = {0};
    struct end *e = &bed.end[i];
    *e = (struct end){.port.ops = &end_ops, .accepts = (u32)take(in, 1) & FRAME_ACCEPTS_ALL};
    e->policy = make_policy(in, i);
    e->at = vswitch_port_add(bed.sw, &e->port, &e->policy, e, &err);
    bug_on(!e->at, "%s", err.text);
}

static void step(struct input *in)
{
    u8 op = (u8)take(in, 1);
    struct end *e = &bed.end[op % PORTS];
    if (op < 224) {
        send_in(in);
    } else if (op < 240) {
        e->policy = make_policy(in, op % PORTS);
        vswitch_port_set_policy(e->at, &e->policy);
    } else if (op < 248) {
        vswitch_port_remove(e->at);
        add(in, op % PORTS);
    } else {
        bed.now += take(in, 4);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, data + size};
    struct err err = {0};
    const struct vswitch_config config = {
        .now = bed_now, .max_age_ns = 1000000, .macs_max = 5, .hash_seed = 0x1234567};
    bed = (struct bed){.sw = vswitch_new(&config, &err)};
    for (unsigned i = 0; i < PORTS; i++)
        add(&in, i);
    for (unsigned steps = 0; in.at < in.end && steps < 200; steps++)
        step(&in);
    vswitch_free(bed.sw);
    return 0;
}
