/* SPDX-License-Identifier: MIT */
/*
 * The way of a frame: in (judged by its port's policy, learned), to whom, out (net/vswitch.h).
 *
 * A frame reaches a port once, whatever reasons there are for it: each port remembers the number of the last
 * frame it was given. A port may answer from within send(), so a frame's way may begin inside another's.
 */
#include "net/vswitch.h"

#include <stdlib.h>

#include "net/capture.h"
#include "net/guard.h"
#include "net/mac_table.h"
#include "net/segment.h"
#include "net/token_bucket.h"
#include "net/vlan.h"
#include "net/wire.h"

#define MAX_AGE_NS 300000000000ull

struct vswitch_port {
    struct mac_share macs; /* first: the table knows ports by it */
    struct vswitch *sw;
    struct net_port *port;
    void *opaque;
    struct port_policy policy;
    struct token_bucket bandwidth;
    struct port_counters counters;
    struct capture *capture;
    struct vswitch_port *next, *next_dirty;
    u64 last_frame; /* number of the last frame delivered */
    bool dirty;     /* has to be flushed */
    bool up;
    bool told; /* of a spoofed frame */
};

struct vswitch {
    struct vswitch_config config;
    struct mac_table *macs;
    struct vswitch_port *ports, *dirty;
    unsigned port_count, mirrors; /* mirrors: ports that receive copies */
    u64 frames;                   /* numbers them */
    u64 now;
    bool now_valid; /* until the burst ends */
};

static u64 now(struct vswitch *sw)
{
    if (!sw->now_valid)
        sw->now = sw->config.now(sw->config.clock_opaque);
    sw->now_valid = true;
    return sw->now;
}

static void tap(struct vswitch_port *p, enum capture_way way, const struct frame *f)
{
    const struct vswitch_config *c = &p->sw->config;
    struct capture *capture = p->capture;
    if (!capture)
        return;
    capture_frame(capture, c->wall ? c->wall(c->clock_opaque) : now(p->sw), way, f);
    if (!capture_ended(capture))
        return;
    p->capture = NULL;
    if (c->capture_ended)
        c->capture_ended(p->opaque, capture);
}

/* --- out --- */

static void send_on(void *opaque, const struct frame *f)
{
    struct vswitch_port *p = opaque;
    if (!p->port->ops->send(p->port, f)) {
        p->counters.drops[DROP_FULL]++;
        return;
    }
    p->counters.out_frames++;
    p->counters.out_bytes += frame_len(f);
    tap(p, CAPTURE_OUT, f);
}

/* A frame on its way out. */
struct passage {
    struct vswitch_port *from;
    const struct vlan_frame *v;
    u64 number;
};

static void deliver(struct vswitch_port *p, const struct passage *a)
{
    u8 head[FRAME_HEAD + FRAME_TAG];
    struct vswitch *sw = p->sw;
    if (!p->up || p == a->from || p->last_frame == a->number)
        return;
    p->last_frame = a->number;
    struct frame f = vlan_out(&p->policy, a->v, head);
    frame_finish(&f, net_port_accepts(p->port), send_on, p);
    if (!p->dirty) {
        p->dirty = true;
        p->next_dirty = sw->dirty;
        sw->dirty = p;
    }
}

static void flush(void *opaque)
{
    struct vswitch *sw = ((struct vswitch_port *)opaque)->sw;
    sw->now_valid = false;
    while (sw->dirty) {
        struct vswitch_port *p = sw->dirty;
        sw->dirty = p->next_dirty;
        p->dirty = false;
        net_port_flush(p->port);
    }
}

/* --- to whom --- */

static void flood(const struct passage *a, bool group)
{
    for (struct vswitch_port *p = a->from->sw->ports; p; p = p->next)
        if ((group || p->policy.spoofing) && vlan_member(&p->policy, a->v->vlan))
            deliver(p, a);
}

/* Copies of what entered or left by a mirrored port, to those who watch. */
static void mirror(const struct passage *a)
{
    struct vswitch *sw = a->from->sw;
    bool wanted = a->from->policy.mirror == MIRROR_SOURCE;
    for (struct vswitch_port *p = sw->ports; p && !wanted; p = p->next)
        wanted = p->last_frame == a->number && p->policy.mirror == MIRROR_SOURCE;
    for (struct vswitch_port *p = sw->ports; p && wanted; p = p->next)
        if (p->policy.mirror == MIRROR_DESTINATION && vlan_member(&p->policy, a->v->vlan))
            deliver(p, a);
}

static void forward(const struct passage *a)
{
    struct vswitch *sw = a->from->sw;
    const u8 *to = a->v->frame.head;
    struct mac_share *known = is_group_mac(to) ? NULL : mac_find(sw->macs, to, a->v->vlan, now(sw));
    if (known)
        deliver((struct vswitch_port *)known, a);
    else
        flood(a, is_group_mac(to));
    if (sw->mirrors)
        mirror(a);
}

/* --- in --- */

/* 802.1Q 8.6.3: never forwarded. Spanning tree's own address is, as this switch takes no part in it, and the
 * bridges behind its ports must find their loops. */
static bool is_reserved(const u8 *mac)
{
    static const u8 reserved[5] = {1, 0x80, 0xc2, 0, 0};
    return !memcmp(mac, reserved, sizeof(reserved)) && mac[5] >= 1 && mac[5] <= 15;
}

static void note_spoofed(struct vswitch_port *p, const u8 *source)
{
    const struct vswitch_config *c = &p->sw->config;
    memcpy(p->counters.spoofed_source, source, 6);
    if (p->told || !c->spoofed)
        return;
    p->told = true;
    c->spoofed(p->opaque, source);
}

static enum net_drop judge_source(struct vswitch_port *p, const u8 *source)
{
    static const u8 none[6];
    if (is_group_mac(source) || !memcmp(source, none, 6))
        return DROP_MALFORMED;
    if (p->policy.spoofing || !memcmp(source, p->policy.mac, 6))
        return DROP_COUNT;
    note_spoofed(p, source);
    return DROP_SPOOFED;
}

static enum net_drop judge_contents(struct vswitch_port *p, const struct frame *f)
{
    if (p->policy.dhcp_guard && guard_dhcp_server(f))
        return DROP_DHCP_GUARD;
    if (p->policy.router_guard && guard_router(f))
        return DROP_ROUTER_GUARD;
    return token_bucket_take(&p->bandwidth, frame_len(f), p->bandwidth.bits_per_second ? now(p->sw) : 0)
               ? DROP_COUNT
               : DROP_BANDWIDTH;
}

/* DROP_COUNT: it may go on, as *v. */
static enum net_drop judge(struct vswitch_port *p, const struct frame *f, struct vlan_frame *v)
{
    if (!frame_check(f))
        return DROP_MALFORMED;
    enum net_drop d = judge_source(p, f->head + 6);
    if (d == DROP_COUNT && is_reserved(f->head))
        d = DROP_RESERVED;
    if (d == DROP_COUNT)
        d = vlan_in(&p->policy, f, v);
    return d == DROP_COUNT ? judge_contents(p, &v->frame) : d;
}

static void receive(void *opaque, const struct frame *f)
{
    struct vswitch_port *p = opaque;
    struct vlan_frame v;
    tap(p, CAPTURE_IN, f);
    enum net_drop d = judge(p, f, &v);
    if (d != DROP_COUNT) {
        p->counters.drops[d]++;
        return;
    }
    p->counters.in_frames++;
    p->counters.in_bytes += frame_len(f);
    if (p->policy.spoofing)
        mac_learn(&p->macs, v.frame.head + 6, v.vlan, now(p->sw));
    forward(&(struct passage){p, &v, ++p->sw->frames});
}

static void down(void *opaque, const char *why)
{
    struct vswitch_port *p = opaque;
    p->up = false;
    if (p->sw->config.down)
        p->sw->config.down(p->opaque, why);
}

/* --- ports --- */

static void adopt(struct vswitch_port *p, const struct port_policy *policy)
{
    struct vswitch *sw = p->sw;
    u32 limit = policy->mac_limit ? policy->mac_limit : VSWITCH_MACS_PER_PORT;
    bug_on(!port_policy_ok(policy), "a port policy that makes no sense");
    p->policy = *policy;
    p->bandwidth = token_bucket(policy->bits_per_second);
    sw->mirrors += policy->mirror == MIRROR_DESTINATION;
    mac_share_open(sw->macs, &p->macs, policy->mac, policy->spoofing ? limit : 0);
}

static void disown(struct vswitch_port *p)
{
    p->sw->mirrors -= p->policy.mirror == MIRROR_DESTINATION;
    mac_share_close(&p->macs);
}

struct vswitch_port *vswitch_port_add(struct vswitch *sw, struct net_port *port,
                                      const struct port_policy *policy, void *opaque, struct err *err)
{
    struct vswitch_port *p = sw->port_count < VSWITCH_PORTS_MAX ? calloc(1, sizeof(*p)) : NULL;
    if (!p) {
        err_set(err, EXIT_STATUS_HOST, "a virtual switch has no room for another port (%d at most)",
                VSWITCH_PORTS_MAX);
        return NULL;
    }
    p->sw = sw;
    p->port = port;
    p->opaque = opaque;
    p->up = true;
    adopt(p, policy);
    p->next = sw->ports;
    sw->ports = p;
    sw->port_count++;
    port->sink = (struct frame_sink){.receive = receive, .flush = flush, .down = down, .opaque = p};
    net_port_set_accepts(port, FRAME_ACCEPTS_ALL);
    return p;
}

static void unlink_port(struct vswitch_port *p)
{
    struct vswitch_port **link = &p->sw->ports;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    for (link = &p->sw->dirty; *link; link = &(*link)->next_dirty)
        if (*link == p) {
            *link = p->next_dirty;
            break;
        }
}

void vswitch_port_remove(struct vswitch_port *p)
{
    unlink_port(p);
    disown(p);
    p->sw->port_count--;
    p->port->ops->close(p->port);
    free(p);
}

void vswitch_port_set_policy(struct vswitch_port *p, const struct port_policy *policy)
{
    p->told = p->told && p->policy.spoofing == policy->spoofing;
    disown(p);
    adopt(p, policy);
}

void vswitch_port_counters(const struct vswitch_port *p, struct port_counters *out)
{
    *out = p->counters;
}

bool vswitch_port_up(const struct vswitch_port *p)
{
    return p->up;
}

void vswitch_port_capture(struct vswitch_port *p, struct capture *c)
{
    p->capture = c;
}

/* --- the switch --- */

static bool member(const struct mac_share *s, u16 vlan)
{
    return vlan_member(&((const struct vswitch_port *)s)->policy, vlan);
}

struct vswitch *vswitch_new(const struct vswitch_config *c, struct err *err)
{
    struct vswitch *sw = calloc(1, sizeof(*sw));
    if (sw) {
        sw->config = *c;
        sw->macs = mac_table_new(c->macs_max ? c->macs_max : VSWITCH_MACS_MAX,
                                 c->max_age_ns ? c->max_age_ns : MAX_AGE_NS, c->hash_seed, member);
    }
    if (!sw || !sw->macs) {
        free(sw);
        err_set(err, EXIT_STATUS_HOST, "no memory for a virtual switch");
        return NULL;
    }
    return sw;
}

void vswitch_free(struct vswitch *sw)
{
    if (!sw)
        return;
    while (sw->ports)
        vswitch_port_remove(sw->ports);
    mac_table_free(sw->macs);
    free(sw);
}

struct dump {
    struct vswitch_port *port;
    void (*cb)(void *opaque, const struct vswitch_mac *m);
    void *opaque;
};

static void dump_one(void *opaque, const struct mac_seen *m)
{
    struct dump *d = opaque;
    struct vswitch_mac out = {.vlan = m->vlan, .fixed = m->fixed, .age_ns = m->age_ns};
    memcpy(out.mac, m->mac, 6);
    out.port_opaque = d->port->opaque;
    d->cb(d->opaque, &out);
}

void vswitch_each_mac(struct vswitch *sw, void (*cb)(void *opaque, const struct vswitch_mac *m), void *opaque)
{
    u64 at = sw->config.now(sw->config.clock_opaque);
    for (struct vswitch_port *p = sw->ports; p; p = p->next) {
        struct dump d = {p, cb, opaque};
        mac_each(&p->macs, at, dump_one, &d);
    }
}
