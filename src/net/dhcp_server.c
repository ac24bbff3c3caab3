/* SPDX-License-Identifier: MIT */
/*
 * A question comes by the switch's send(), which is in the middle of something: answers wait for the loop.
 * The posted call cannot be taken back, so it finds the server by a note that outlives it.
 */
#include "net/dhcp_server.h"

#include <stdlib.h>

#include "net/checksum.h"
#include "net/wire.h"

enum { ETH = 14, IP = 20, UDP = 8, BOOTP = 236, COOKIE = 4, OPTIONS = BOOTP + COOKIE };
enum { CLIENT_PORT = 68, SERVER_PORT = 67, REPLY_OPTIONS_MAX = 64, REPLIES_MAX = 16 };
/* RFC 2131 figure 1. */
enum { XID = 4, FLAGS = 10, CIADDR = 12, YIADDR = 16, CHADDR = 28 };
/* RFC 2132 9.6. */
enum type { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };
enum {
    OPTION_MASK = 1,
    OPTION_ROUTER = 3,
    OPTION_DNS = 6,
    OPTION_ADDRESS = 50,
    OPTION_LEASE = 51,
    OPTION_TYPE = 53,
    OPTION_SERVER = 54,
    OPTION_RENEW = 58,
    OPTION_REBIND = 59,
    OPTION_END = 255
};

struct lease {
    u8 mac[6];
    u32 address; /* 0: a free place */
    u64 until;   /* seconds */
};

struct reply {
    u8 bytes[ETH + IP + UDP + OPTIONS + REPLY_OPTIONS_MAX];
    size_t len;
};

struct note {
    struct dhcp_server *server; /* NULL: it is gone */
    bool posted;
};

struct dhcp_server {
    struct net_port port; /* first */
    struct event_loop *loop;
    struct note *note;
    struct reply replies[REPLIES_MAX];
    unsigned reply_count;
    u8 mac[6];
    u64 (*now)(void);
    bool serving;
    struct dhcp_network network;
    u32 gateway, mask, first, count; /* host order */
    struct lease leases[DHCP_LEASES_MAX];
};

struct question {
    enum type type;
    u32 xid, ciaddr, wanted, server;
    u16 flags;
    u8 mac[6];
};

/* ---- questions ---- */

static void read_option(struct question *q, u8 code, const u8 *value, size_t len)
{
    if (code == OPTION_TYPE && len == 1)
        q->type = value[0];
    else if (code == OPTION_ADDRESS && len == 4)
        q->wanted = load_be32(value);
    else if (code == OPTION_SERVER && len == 4)
        q->server = load_be32(value);
}

static void read_options(struct question *q, const u8 *p, size_t left)
{
    while (left && *p != OPTION_END) {
        if (*p == 0) { /* pad */
            p++;
            left--;
            continue;
        }
        if (left < 2 || left < 2u + p[1])
            return;
        read_option(q, p[0], p + 2, p[1]);
        left -= 2u + p[1];
        p += 2u + p[1];
    }
}

/* The message of an unfragmented datagram to the server's port; NULL: it is none. */
static const u8 *message_of(const u8 *f, size_t len, size_t *message_len)
{
    const u8 *ip = f + ETH;
    if (len < ETH + IP + UDP || load_be16(f + 12) != ETHERTYPE_IPV4 || ip[0] >> 4 != 4 || ip[9] != IP_UDP ||
        (ip[6] & 0x3f) || ip[7])
        return NULL;
    size_t header = (ip[0] & 15u) * 4;
    const u8 *udp = ip + header;
    if (header < IP || len < ETH + header + UDP || load_be16(udp + 2) != SERVER_PORT)
        return NULL;
    size_t have = len - ETH - header, said = load_be16(udp + 4);
    if (said < UDP + OPTIONS || said > have)
        return NULL;
    *message_len = said - UDP;
    return udp + UDP;
}

static bool read_question(const u8 *f, size_t len, struct question *q)
{
    static const u8 cookie[COOKIE] = {99, 130, 83, 99};
    size_t n;
    const u8 *m = message_of(f, len, &n);
    if (!m || m[0] != 1 || m[1] != 1 || m[2] != 6 || memcmp(m + BOOTP, cookie, COOKIE) != 0)
        return false;
    *q = (struct question){
        .xid = load_be32(m + XID), .ciaddr = load_be32(m + CIADDR), .flags = load_be16(m + FLAGS)};
    memcpy(q->mac, m + CHADDR, 6);
    read_options(q, m + OPTIONS, n - OPTIONS);
    return !is_group_mac(q->mac);
}

/* ---- leases ---- */

static bool in_pool(const struct dhcp_server *d, u32 address)
{
    return address >= d->first && address - d->first < d->count;
}

static struct lease *lease_of_mac(struct dhcp_server *d, const u8 mac[6])
{
    for (unsigned i = 0; i < DHCP_LEASES_MAX; i++)
        if (d->leases[i].address && memcmp(d->leases[i].mac, mac, 6) == 0)
            return &d->leases[i];
    return NULL;
}

static struct lease *lease_of_address(struct dhcp_server *d, u32 address)
{
    for (unsigned i = 0; i < DHCP_LEASES_MAX; i++)
        if (d->leases[i].address == address)
            return &d->leases[i];
    return NULL;
}

/* One is free when nobody has it, or his lease is over. */
static bool is_free(struct dhcp_server *d, u32 address)
{
    const struct lease *l = lease_of_address(d, address);
    return !l || l->until <= d->now();
}

static u32 choose(struct dhcp_server *d, const struct question *q)
{
    const struct lease *l = lease_of_mac(d, q->mac);
    if (l)
        return l->address;
    if (in_pool(d, q->wanted) && is_free(d, q->wanted))
        return q->wanted;
    for (u32 i = 0; i < d->count; i++)
        if (is_free(d, d->first + i))
            return d->first + i;
    return 0;
}

/* An offer holds its address for a minute, so that two machines that ask at once do not get one. */
static void hold(struct dhcp_server *d, const u8 mac[6], u32 address, u64 seconds)
{
    struct lease *l = lease_of_mac(d, mac);
    if (l && l->address != address)
        l->address = 0;
    l = lease_of_address(d, address);
    if (!l) {
        l = lease_of_address(d, 0);
        if (!l) /* places are as many as addresses */
            return;
        l->until = 0;
    }
    memcpy(l->mac, mac, 6);
    l->address = address;
    if (l->until < d->now() + seconds)
        l->until = d->now() + seconds;
}

/* ---- answers ---- */

static u8 *option32(u8 *p, u8 code, u32 value)
{
    p[0] = code;
    p[1] = 4;
    store_be32(p + 2, value);
    return p + 6;
}

/* address: 0 of who has one by itself, and no lease of it (RFC 2131 4.3.5). */
static u8 *put_options(const struct dhcp_server *d, u8 *p, enum type type, u32 address)
{
    *p++ = OPTION_TYPE;
    *p++ = 1;
    *p++ = (u8)type;
    p = option32(p, OPTION_SERVER, d->gateway);
    if (type == NAK)
        return p;
    p = option32(p, OPTION_MASK, d->mask);
    p = option32(p, OPTION_ROUTER, d->gateway);
    if (address) {
        p = option32(p, OPTION_LEASE, DHCP_LEASE_SECONDS);
        /* Nobody at the gateway answers a renewal, so the time for it is when broadcasts begin. */
        p = option32(p, OPTION_RENEW, DHCP_LEASE_SECONDS / 2);
        p = option32(p, OPTION_REBIND, DHCP_LEASE_SECONDS / 2 + 1);
    }
    if (!d->network.resolver_count)
        return p;
    *p++ = OPTION_DNS;
    *p++ = (u8)(4 * d->network.resolver_count);
    for (unsigned i = 0; i < d->network.resolver_count; i++, p += 4)
        memcpy(p, d->network.resolvers[i].bytes, 4);
    return p;
}

static void send_replies(void *opaque)
{
    struct note *n = opaque;
    struct dhcp_server *d = n->server;
    n->posted = false;
    if (!d) {
        free(n);
        return;
    }
    for (unsigned i = 0; i < d->reply_count && d->port.sink.receive; i++) {
        struct frame f = frame_plain(d->replies[i].bytes, d->replies[i].len);
        d->port.sink.receive(d->port.sink.opaque, &f);
    }
    d->reply_count = 0;
    if (d->port.sink.flush)
        d->port.sink.flush(d->port.sink.opaque);
}

/* What comes while too many wait is asked again. */
static void answer(struct dhcp_server *d, const struct question *q, enum type type, u32 address)
{
    if (d->reply_count == REPLIES_MAX)
        return;
    struct reply *r = &d->replies[d->reply_count++];
    *r = (struct reply){0};
    u8 *f = r->bytes, *ip = f + ETH, *udp = ip + IP, *m = udp + UDP;
    bool known = q->ciaddr && type != NAK; /* who has an address is spoken to there (RFC 2131 4.1) */
    memset(f, 0xff, 6);
    if (known)
        memcpy(f, q->mac, 6);
    memcpy(f + 6, d->mac, 6);
    store_be16(f + 12, ETHERTYPE_IPV4);
    m[0] = 2;
    m[1] = 1;
    m[2] = 6;
    store_be32(m + XID, q->xid);
    store_be16(m + FLAGS, q->flags);
    store_be32(m + CIADDR, type == NAK ? 0 : q->ciaddr);
    store_be32(m + YIADDR, address);
    memcpy(m + CHADDR, q->mac, 6);
    memcpy(m + BOOTP, (u8[]){99, 130, 83, 99}, COOKIE);
    u8 *end = put_options(d, m + OPTIONS, type, address);
    *end++ = OPTION_END;
    size_t len = (size_t)(end - udp);
    store_be16(udp, SERVER_PORT);
    store_be16(udp + 2, CLIENT_PORT);
    store_be16(udp + 4, (u16)len); /* no checksum: RFC 768 */
    ip[0] = 0x45;
    store_be16(ip + 2, (u16)(IP + len));
    ip[8] = 64;
    ip[9] = IP_UDP;
    store_be32(ip + 12, d->gateway);
    store_be32(ip + 16, known ? q->ciaddr : 0xffffffff);
    checksum_put(ip + 10, checksum_fold(checksum_add(0, ip, IP)), false);
    r->len = ETH + IP + len;
    if (!d->note->posted) {
        d->note->posted = true;
        event_loop_post(d->loop, send_replies, d->note);
    }
}

/* RFC 2131 4.3.2: what is asked for stands in one of two places. */
static void on_request(struct dhcp_server *d, const struct question *q)
{
    u32 address = q->wanted ? q->wanted : q->ciaddr;
    const struct lease *own = lease_of_mac(d, q->mac);
    if (q->server && q->server != d->gateway) /* another server's offer was taken */
        return;
    if (!in_pool(d, address) || (!(own && own->address == address) && !is_free(d, address))) {
        answer(d, q, NAK, 0);
        return;
    }
    hold(d, q->mac, address, DHCP_LEASE_SECONDS);
    answer(d, q, ACK, address);
}

static void on_question(struct dhcp_server *d, const struct question *q)
{
    struct lease *own = lease_of_mac(d, q->mac);
    u32 address;
    switch (q->type) {
    case DISCOVER:
        address = choose(d, q);
        if (!address)
            return;
        hold(d, q->mac, address, 60);
        answer(d, q, OFFER, address);
        return;
    case REQUEST:
        on_request(d, q);
        return;
    case DECLINE: /* somebody else has it: nobody gets it for a while */
        if (own)
            memset(own->mac, 0, sizeof(own->mac));
        return;
    case RELEASE:
        if (own)
            own->address = 0;
        return;
    case INFORM:
        answer(d, q, ACK, 0);
        return;
    default:
        return;
    }
}

/* ---- the port ---- */

static bool port_send(struct net_port *p, const struct frame *f)
{
    struct dhcp_server *d = (struct dhcp_server *)p;
    struct question q;
    u8 copy[ETH + 60 + UDP + 1500];
    if (!d->serving || frame_len(f) > sizeof(copy))
        return true; /* nothing for a DHCP server */
    if (read_question(copy, frame_copy(f, copy), &q))
        on_question(d, &q);
    return true;
}

static u32 port_accepts(struct net_port *p)
{
    return FRAME_ACCEPTS_ALL; /* headers are all it looks at */
}

static void port_close(struct net_port *p)
{
    /* It is the server's. */
}

static const struct net_port_ops ops = {.send = port_send, .accepts = port_accepts, .close = port_close};

struct dhcp_server *dhcp_server_new(struct event_loop *loop, const u8 mac[6], u64 (*now)(void),
                                    struct err *err)
{
    struct dhcp_server *d = calloc(1, sizeof(*d));
    struct note *n = calloc(1, sizeof(*n));
    if (!d || !n) {
        free(d);
        free(n);
        err_set(err, EXIT_STATUS_HOST, "out of memory for a DHCP server");
        return NULL;
    }
    n->server = d;
    d->port.ops = &ops;
    d->loop = loop;
    d->note = n;
    d->now = now;
    memcpy(d->mac, mac, 6);
    return d;
}

void dhcp_server_free(struct dhcp_server *d)
{
    if (!d)
        return;
    d->note->server = NULL;
    if (!d->note->posted)
        free(d->note);
    free(d);
}

struct net_port *dhcp_server_port(struct dhcp_server *d)
{
    return &d->port;
}

void dhcp_server_set(struct dhcp_server *d, const struct dhcp_network *n)
{
    d->serving = n != NULL;
    if (!n)
        return;
    u32 size = 1u << (32 - n->gateway.len);
    struct ip_prefix network = ip_prefix_network(&n->gateway);
    d->network = *n;
    d->gateway = load_be32(n->gateway.addr.bytes);
    d->mask = ~(size - 1);
    d->first = load_be32(network.addr.bytes) + size / 2;
    d->count = size / 2 - 1 < DHCP_LEASES_MAX ? size / 2 - 1 : DHCP_LEASES_MAX;
    if (in_pool(d, d->gateway)) { /* it ends before the gateway, or begins behind it */
        u32 before = d->gateway - d->first, behind = d->count - before - 1;
        d->first = before >= behind ? d->first : d->gateway + 1;
        d->count = before >= behind ? before : behind;
    }
    for (unsigned i = 0; i < DHCP_LEASES_MAX; i++)
        if (!in_pool(d, d->leases[i].address))
            d->leases[i].address = 0;
}
