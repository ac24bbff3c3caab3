/* SPDX-License-Identifier: MIT */
/*
 * Frames come in by the switch's send() and go to libslirp at once. What libslirp says while that lasts waits
 * in a queue until the loop's next turn, since the switch is in the middle of something; what it says in its
 * own turn goes straight out.
 */
#include "net/user_host.h"

#include <stdlib.h>

#include "net/segment.h"
#include "net/user_dns.h"
#include "net/user_slirp.h"
#include "net/wire.h"

#define QUEUE_BYTES (2 * MIB) /* a full one drops, as a switch does */

enum { ETH = FRAME_MIN, ICMP6_ROUTER_ADVERTISEMENT = 134 };

struct gateway {
    struct user_host *host;
    struct user_slirp *slirp;
    bool nat4, nat6;
    u8 mac4[6], mac6[6];
    struct ip_addr resolver4, resolver6;
};

struct user_host {
    struct net_port port; /* first */
    struct event_loop *loop;
    struct gateway *gateways[USER_HOST_ADDRESSES_MAX];
    unsigned gateway_count;
    struct nat_mapping *mappings; /* those that are open */
    unsigned mapping_count;
    bool inside; /* send() */
    u8 *queue;
    size_t queued;
    bool delivered;       /* since the last flush */
    u8 in[FRAME_MAX];     /* the frame that send() has */
    u8 answer[FRAME_MAX]; /* the one that is being rewritten on its way out */
};

/* ---- from libslirp ---- */

static void deliver(struct user_host *h, const u8 *frame, size_t len)
{
    struct frame f = frame_plain(frame, len);
    h->delivered = true;
    if (h->port.sink.receive)
        h->port.sink.receive(h->port.sink.opaque, &f);
}

/* Each behind its length. */
static void put_in_queue(struct user_host *h, const u8 *frame, size_t len)
{
    u32 n = (u32)len;
    if (h->queued + sizeof(n) + len > QUEUE_BYTES)
        return;
    memcpy(h->queue + h->queued, &n, sizeof(n));
    memcpy(h->queue + h->queued + sizeof(n), frame, len);
    h->queued += sizeof(n) + len;
}

static bool is_router_advertisement(const u8 *frame, size_t len)
{
    return len > ETH + 40 && load_be16(frame + 12) == ETHERTYPE_IPV6 && frame[ETH + 6] == IP_ICMPV6 &&
           frame[ETH + 40] == ICMP6_ROUTER_ADVERTISEMENT;
}

static void output(void *opaque, const u8 *frame, size_t len)
{
    struct gateway *g = opaque;
    struct user_host *h = g->host;
    const struct user_slirp_config *c = user_slirp_config(g->slirp);
    if (len > sizeof(h->answer) || (is_router_advertisement(frame, len) && !c->routers))
        return;
    bool dns4 = user_dns_is_answer(frame, len, &g->resolver4),
         dns6 = !dns4 && user_dns_is_answer(frame, len, &g->resolver6);
    if (dns4 || dns6) {
        memcpy(h->answer, frame, len);
        user_dns_answer(h->answer, len, dns4 ? &c->v4.addr : &c->v6.addr);
        frame = h->answer;
    }
    if (h->inside)
        put_in_queue(h, frame, len);
    else
        deliver(h, frame, len);
}

/* ---- to libslirp ---- */

static bool for_gateway(const u8 *to, const struct ip_addr *a)
{
    return memcmp(to, a->bytes, a->v6 ? 16 : 4) == 0;
}

static bool from(const u8 *source, const struct ip_prefix *p)
{
    struct ip_addr a = {.v6 = p->addr.v6};
    memcpy(a.bytes, source, a.v6 ? 16 : 4);
    return ip_prefix_has(p, &a) || ip_is_any(&a);
}

static bool is_link_local(const u8 *a)
{
    return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

/* Whether a frame may go to this gateway: from its network alone; to itself always, beyond it by NAT only. */
static bool may_pass(const struct gateway *g, const u8 *frame, size_t len)
{
    const struct user_slirp_config *c = user_slirp_config(g->slirp);
    const u8 *ip = frame + ETH;
    switch (load_be16(frame + 12)) {
    case ETHERTYPE_ARP:
        return c->v4.len != 0;
    case ETHERTYPE_IPV4: /* broadcasts are DHCP's */
        return c->v4.len && len >= ETH + 20 && from(ip + 12, &c->v4) &&
               (g->nat4 || for_gateway(ip + 16, &c->v4.addr) || for_gateway(ip + 16, &g->resolver4) ||
                frame[0] == 0xff);
    case ETHERTYPE_IPV6: /* link-local and multicast is neighbour discovery's */
        return c->v6.len && len >= ETH + 40 && (from(ip + 8, &c->v6) || is_link_local(ip + 8)) &&
               (g->nat6 || for_gateway(ip + 24, &c->v6.addr) || for_gateway(ip + 24, &g->resolver6) ||
                ip[24] == 0xff || is_link_local(ip + 24));
    default:
        return false;
    }
}

static bool is_for(const struct gateway *g, const u8 *mac)
{
    const struct user_slirp_config *c = user_slirp_config(g->slirp);
    return is_group_mac(mac) || (c->v4.len && memcmp(mac, g->mac4, 6) == 0) ||
           (c->v6.len && memcmp(mac, g->mac6, 6) == 0);
}

/* Frames to one gateway go to it alone, groups' frames to all. */
static void give(struct user_host *h, u8 *frame, size_t len)
{
    for (unsigned i = 0; i < h->gateway_count; i++) {
        struct gateway *g = h->gateways[i];
        const struct user_slirp_config *c = user_slirp_config(g->slirp);
        if (!is_for(g, frame))
            continue;
        if (!(c->v4.len && user_dns_question(frame, len, &c->v4.addr, &g->resolver4)) && c->v6.len)
            (void)user_dns_question(frame, len, &c->v6.addr, &g->resolver6);
        if (may_pass(g, frame, len))
            user_slirp_input(g->slirp, frame, len);
    }
}

static void take(void *opaque, const struct frame *f)
{
    struct user_host *h = opaque;
    h->inside = true;
    give(h, h->in, frame_copy(f, h->in));
    h->inside = false;
}

/* libslirp checks every sum. A whole TSO frame is one large segment to it, which is what makes it fast. */
static bool port_send(struct net_port *p, const struct frame *f)
{
    struct user_host *h = (struct user_host *)p;
    struct frame whole = *f;
    if (frame_len(f) < ETH || frame_len(f) > sizeof(h->in))
        return false;
    whole.offload.gso = FRAME_GSO_NONE;
    if (h->gateway_count) /* else nobody is there to take it: sent, as on a cable */
        frame_finish(&whole, 0, take, h);
    return true;
}

/* IPv6 packets beyond its MTU libslirp refuses. */
static u32 port_accepts(struct net_port *p)
{
    return FRAME_ACCEPTS_CSUM | FRAME_ACCEPTS_TSO4 | FRAME_ACCEPTS_ECN;
}

static void port_close(struct net_port *p)
{
    /* It is user_host's, and ends with it. */
}

static const struct net_port_ops ops = {.send = port_send, .accepts = port_accepts, .close = port_close};

/* ---- turns ---- */

static void empty_queue(struct user_host *h)
{
    for (size_t at = 0; at < h->queued;) {
        u32 n;
        memcpy(&n, h->queue + at, sizeof(n));
        deliver(h, h->queue + at + sizeof(n), n);
        at += sizeof(n) + n;
    }
    h->queued = 0;
}

static int before_sleep(void *opaque)
{
    struct user_host *h = opaque;
    int patience = -1;
    empty_queue(h);
    for (unsigned i = 0; i < h->gateway_count; i++) {
        int p = user_slirp_turn(h->gateways[i]->slirp);
        if (p >= 0 && (patience < 0 || p < patience))
            patience = p;
    }
    if (h->delivered && h->port.sink.flush)
        h->port.sink.flush(h->port.sink.opaque);
    h->delivered = false;
    return h->queued ? 0 : patience; /* the switch may have answered */
}

/* ---- life ---- */

struct user_host *user_host_new(struct event_loop *loop, struct err *err)
{
    struct user_host *h = calloc(1, sizeof(*h));
    u8 *queue = malloc(QUEUE_BYTES);
    if (!h || !queue) {
        free(h);
        free(queue);
        err_set(err, EXIT_STATUS_HOST, "out of memory for a user-mode host");
        return NULL;
    }
    h->port.ops = &ops;
    h->loop = loop;
    h->queue = queue;
    event_loop_before_sleep(loop, before_sleep, h);
    return h;
}

static void free_gateway(struct gateway *g)
{
    user_slirp_free(g->slirp);
    free(g);
}

void user_host_free(struct user_host *h)
{
    if (!h)
        return;
    event_loop_before_sleep(h->loop, NULL, NULL);
    h->inside = true; /* what libslirp says at its end goes nowhere */
    for (unsigned i = 0; i < h->gateway_count; i++)
        free_gateway(h->gateways[i]);
    free(h->mappings);
    free(h->queue);
    free(h);
}

struct net_port *user_host_port(struct user_host *h)
{
    return &h->port;
}

/* ---- addresses ---- */

/* The n-th address of a family; NULL. */
static const struct user_address *nth(const struct user_address *list, unsigned count, bool v6, unsigned n)
{
    for (unsigned i = 0; i < count; i++)
        if (list[i].prefix.addr.v6 == v6 && n-- == 0)
            return &list[i];
    return NULL;
}

static bool same_config(const struct user_slirp_config *a, const struct user_slirp_config *b)
{
    return a->routers == b->routers && a->v4.len == b->v4.len && a->v6.len == b->v6.len &&
           ip_equal(&a->v4.addr, &b->v4.addr) && ip_equal(&a->v6.addr, &b->v6.addr);
}

static struct gateway *new_gateway(struct user_host *h, const struct user_slirp_config *c, struct err *err)
{
    struct gateway *g = calloc(1, sizeof(*g));
    if (!g) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for a user-mode host");
        return NULL;
    }
    g->host = h;
    g->slirp = user_slirp_new(c, h->loop, output, g, err);
    if (!g->slirp) {
        free(g);
        return NULL;
    }
    user_slirp_mac(g->slirp, false, g->mac4);
    user_slirp_mac(g->slirp, true, g->mac6);
    g->resolver4 = ip_prefix_network(&c->v4).addr;
    g->resolver6 = ip_prefix_network(&c->v6).addr;
    g->resolver6.v6 = true;
    return g;
}

/* One that is there already, taken out of the old list; or a new one. */
static struct gateway *take_gateway(struct user_host *h, struct gateway **old,
                                    const struct user_slirp_config *c, struct err *err)
{
    for (unsigned i = 0; i < USER_HOST_ADDRESSES_MAX; i++)
        if (old[i] && same_config(user_slirp_config(old[i]->slirp), c)) {
            struct gateway *g = old[i];
            old[i] = NULL;
            return g;
        }
    return new_gateway(h, c, err);
}

static void forget_mappings_of(struct user_host *h, const struct gateway *g);

/* One gateway for each pair of an IPv4 and an IPv6 address, and for each that is left over. */
static int set_addresses(struct user_host *h, const struct user_address *list, unsigned count,
                         struct err *err)
{
    struct gateway *old[USER_HOST_ADDRESSES_MAX] = {0};
    int r = 0;
    memcpy(old, h->gateways, h->gateway_count * sizeof(*old));
    h->gateway_count = 0;
    for (unsigned n = 0; n < USER_HOST_ADDRESSES_MAX; n++) {
        const struct user_address *v4 = nth(list, count, false, n), *v6 = nth(list, count, true, n);
        struct user_slirp_config c = {.routers = v6 && v6->routers};
        if (!v4 && !v6)
            break;
        if (v4)
            c.v4 = v4->prefix;
        if (v6)
            c.v6 = v6->prefix;
        struct gateway *g = take_gateway(h, old, &c, err);
        if (!g) {
            r = -1;
            continue;
        }
        g->nat4 = v4 && v4->nat;
        g->nat6 = v6 && v6->nat;
        h->gateways[h->gateway_count++] = g;
    }
    for (unsigned i = 0; i < USER_HOST_ADDRESSES_MAX; i++)
        if (old[i]) {
            forget_mappings_of(h, old[i]);
            free_gateway(old[i]);
        }
    return r;
}

/* ---- mappings ---- */

static bool leads_to(const struct gateway *g, const struct nat_mapping *m)
{
    const struct user_slirp_config *c = user_slirp_config(g->slirp);
    return (c->v4.len && ip_prefix_has(&c->v4, &m->internal)) ||
           (c->v6.len && ip_prefix_has(&c->v6, &m->internal));
}

static struct gateway *gateway_of(struct user_host *h, const struct nat_mapping *m)
{
    for (unsigned i = 0; i < h->gateway_count; i++)
        if (leads_to(h->gateways[i], m))
            return h->gateways[i];
    return NULL;
}

static void drop_mapping(struct user_host *h, unsigned i)
{
    h->mappings[i] = h->mappings[--h->mapping_count];
}

/* libslirp closes its sockets itself. */
static void forget_mappings_of(struct user_host *h, const struct gateway *g)
{
    for (unsigned i = h->mapping_count; i--;)
        if (leads_to(g, &h->mappings[i]))
            drop_mapping(h, i);
}

static bool same_mapping(const struct nat_mapping *a, const struct nat_mapping *b)
{
    return a->udp == b->udp && a->external_port == b->external_port && a->internal_port == b->internal_port &&
           a->remote.len == b->remote.len && ip_equal(&a->external, &b->external) &&
           ip_equal(&a->internal, &b->internal);
}

static bool has_mapping(const struct nat_mapping *list, unsigned count, const struct nat_mapping *m)
{
    for (unsigned i = 0; i < count; i++)
        if (same_mapping(&list[i], m))
            return true;
    return false;
}

static int add_mapping(struct user_host *h, const struct nat_mapping *m, struct err *err)
{
    struct gateway *g = gateway_of(h, m);
    if (!g) /* its network has no address yet */
        return 0;
    if (user_slirp_map(g->slirp, m, err))
        return -1;
    h->mappings[h->mapping_count++] = *m;
    return 0;
}

static int set_mappings(struct user_host *h, const struct nat_mapping *list, unsigned count, struct err *err)
{
    int r = 0;
    for (unsigned i = h->mapping_count; i--;)
        if (!has_mapping(list, count, &h->mappings[i])) {
            struct gateway *g = gateway_of(h, &h->mappings[i]);
            if (g)
                user_slirp_unmap(g->slirp, &h->mappings[i]);
            drop_mapping(h, i);
        }
    struct nat_mapping *room = realloc(h->mappings, (h->mapping_count + count + 1) * sizeof(*room));
    if (!room)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for a user-mode host");
    h->mappings = room;
    for (unsigned i = 0; i < count; i++)
        if (!has_mapping(h->mappings, h->mapping_count, &list[i]) && add_mapping(h, &list[i], err))
            r = -1;
    return r;
}

int user_host_set(struct user_host *h, const struct user_address *addresses, unsigned count,
                  const struct nat_mapping *mappings, unsigned mapping_count, struct err *err)
{
    if (count > USER_HOST_ADDRESSES_MAX)
        return err_set(err, EXIT_STATUS_USAGE, "a host in user mode has at most %d addresses",
                       USER_HOST_ADDRESSES_MAX);
    int r = set_addresses(h, addresses, count, err);
    return set_mappings(h, mappings, mapping_count, err) || r ? -1 : 0;
}
