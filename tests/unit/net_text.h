/* SPDX-License-Identifier: MIT */
/*
 * Frames as words, for tests: "A>B v5 udp4:67>68 op2".
 *
 * First the addresses: letters A to L are 02:00:00:00:00:0a and so on, * is broadcast, M a multicast, S
 * spanning tree's, R another one that is reserved for the link, 0 all zero. Then, in the order of the frame's
 * bytes:
 *
 * - vN sN qN: a tag of VLAN N of type 8100, 88a8, 9100; vN/P: with priority P
 * - snap: LLC/SNAP around what follows
 * - arp: an ARP packet
 * - udp4:S>D udp6:S>D icmp4:T icmp6:T tcp4:N tcp6:N: that packet, of TCP with N payload bytes
 * - opN: the first byte behind UDP's header is N
 * - ip4opts: before it, 40 bytes of IPv4 options
 * - frag4:O: before it, it is the IPv4 fragment of offset O * 8, not the last one
 * - ext6:N frag6:O: before it, a destination options header of N * 8 bytes, a fragment header of offset O
 * - long:N: N more bytes; cut:N: the frame ends after N bytes
 * - csum tso:N uso:N: what is left to do; csum@S+O: a wanton place for the checksum
 */
#ifndef TESTS_NET_TEXT_H
#define TESTS_NET_TEXT_H

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "net/frame.h"
#include "net/policy.h"
#include "net/wire.h"

struct net_text {
    u8 bytes[FRAME_MAX + 64];
    size_t len;
    struct frame_offload offload;
    u8 ip4_options;
    u16 frag4;
    bool snap;
};

static inline void text_mac(u8 *mac, char c)
{
    static const u8 well_known[3][7] = {
        {'M', 1, 0, 0x5e, 0, 0, 0xfb}, {'S', 1, 0x80, 0xc2, 0, 0, 0}, {'R', 1, 0x80, 0xc2, 0, 0, 0x0e}};
    memset(mac, c == '*' ? 0xff : 0, 6);
    for (unsigned i = 0; i < 3; i++)
        if (c == well_known[i][0])
            memcpy(mac, well_known[i] + 1, 6);
    if (c >= 'A' && c <= 'L')
        mac[0] = 2, mac[5] = (u8)(10 + c - 'A');
}

static inline void text_put16(struct net_text *t, unsigned v)
{
    store_be16(t->bytes + t->len, (u16)v);
    t->len += 2;
}

static inline void text_zero(struct net_text *t, size_t n)
{
    memset(t->bytes + t->len, 0, n);
    t->len += n;
}

static inline void text_type(struct net_text *t, u16 type)
{
    if (t->snap) {
        text_put16(t, 100);
        memcpy(t->bytes + t->len, "\xaa\xaa\3\0\0\0", 6);
        t->len += 6;
        t->snap = false;
    }
    text_put16(t, type);
}

/* An IPv6 header when the first extension or the packet itself comes; later ones chain on. */
struct text_ip6 {
    size_t at;   /* of the header; 0: not yet */
    size_t next; /* of the byte that says what comes next */
};

static inline void text_next6(struct net_text *t, struct text_ip6 *ip, u8 protocol)
{
    if (!ip->at) {
        text_type(t, ETHERTYPE_IPV6);
        ip->at = t->len;
        text_zero(t, 40);
        t->bytes[ip->at] = 0x60;
        t->bytes[ip->at + 8] = 0xfe;
        t->bytes[ip->at + 24] = 0xfd;
        ip->next = ip->at + 6;
    }
    t->bytes[ip->next] = protocol;
    ip->next = t->len;
}

static inline void text_ip(struct net_text *t, struct text_ip6 *ip6, bool v6, u8 protocol, size_t len)
{
    if (v6) {
        text_next6(t, ip6, protocol);
        store_be16(t->bytes + ip6->at + 4, (u16)(t->len - ip6->at - 40 + len));
        return;
    }
    text_type(t, ETHERTYPE_IPV4);
    u8 *ip = t->bytes + t->len;
    text_zero(t, 20u + t->ip4_options);
    ip[0] = (u8)(0x45 + t->ip4_options / 4);
    store_be16(ip + 2, (u16)(20 + t->ip4_options + len));
    store_be16(ip + 6, t->frag4);
    ip[8] = 64;
    ip[9] = protocol;
    memcpy(ip + 12, (u8[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
}

static inline void text_tcp(struct net_text *t, struct text_ip6 *ip6, bool v6, size_t payload)
{
    text_ip(t, ip6, v6, IP_TCP, 20 + payload);
    u8 *tcp = t->bytes + t->len;
    text_zero(t, 20 + payload);
    memcpy(tcp, (u8[]){0, 80, 0x10, 0, 0, 0, 3, 0xe8}, 8); /* sequence number 1000 */
    tcp[12] = 5 << 4;
    tcp[13] = 0x99; /* CWR, ACK, PSH, FIN */
    for (size_t i = 0; i < payload; i++)
        tcp[20 + i] = (u8)(i * 7 + i / 256);
    t->offload = (struct frame_offload){.hdr_len = (u16)(t->len - payload),
                                        .csum_start = (u16)(tcp - t->bytes),
                                        .csum_offset = CSUM_OFFSET_TCP};
}

static inline void text_udp(struct net_text *t, struct text_ip6 *ip6, bool v6, unsigned from, unsigned to)
{
    text_ip(t, ip6, v6, IP_UDP, 8 + 40);
    t->offload = (struct frame_offload){.csum_start = (u16)t->len, .csum_offset = CSUM_OFFSET_UDP};
    text_put16(t, from);
    text_put16(t, to);
    text_put16(t, 48);
    text_zero(t, 2 + 40);
}

static inline void text_icmp(struct net_text *t, struct text_ip6 *ip6, bool v6, unsigned type)
{
    text_ip(t, ip6, v6, v6 ? IP_ICMPV6 : IP_ICMP, 40);
    t->bytes[t->len] = (u8)type;
    t->offload = (struct frame_offload){.csum_start = (u16)t->len, .csum_offset = 2};
    t->len++;
    text_zero(t, 39);
}

static inline void text_extension(struct net_text *t, struct text_ip6 *ip6, unsigned eights)
{
    text_next6(t, ip6, IP_DESTINATION);
    text_zero(t, 8 * eights);
    t->bytes[ip6->next + 1] = (u8)(eights - 1);
}

static inline void text_fragment(struct net_text *t, struct text_ip6 *ip6, unsigned offset)
{
    text_next6(t, ip6, IP_FRAGMENT);
    text_zero(t, 8);
    store_be16(t->bytes + ip6->next + 2, (u16)(offset << 3));
}

static inline void text_word(struct net_text *t, struct text_ip6 *ip6, const char *w)
{
    unsigned a = 0, b = 0;
    if (sscanf(w, "v%u/%u", &a, &b) >= 1 || sscanf(w, "s%u", &a) == 1 || sscanf(w, "q%u", &a) == 1) {
        text_type(t, *w == 'v' ? ETHERTYPE_VLAN : *w == 's' ? ETHERTYPE_STAG : ETHERTYPE_QINQ);
        text_put16(t, b << 13 | a);
    } else if (!strcmp(w, "snap")) {
        t->snap = true;
    } else if (!strcmp(w, "arp")) {
        text_type(t, ETHERTYPE_ARP);
        text_zero(t, 46);
    } else if (!strcmp(w, "ip4opts")) {
        t->ip4_options = 40;
    } else if (sscanf(w, "frag4:%u", &a) == 1) {
        t->frag4 = (u16)(a | 0x2000);
    } else if (sscanf(w, "ext6:%u", &a) == 1) {
        text_extension(t, ip6, a);
    } else if (sscanf(w, "frag6:%u", &a) == 1) {
        text_fragment(t, ip6, a);
    } else if (sscanf(w, "udp4:%u>%u", &a, &b) == 2 || sscanf(w, "udp6:%u>%u", &a, &b) == 2) {
        text_udp(t, ip6, w[3] == '6', a, b);
    } else if (sscanf(w, "icmp4:%u", &a) == 1 || sscanf(w, "icmp6:%u", &a) == 1) {
        text_icmp(t, ip6, w[4] == '6', a);
    } else if (sscanf(w, "tcp4:%u", &a) == 1 || sscanf(w, "tcp6:%u", &a) == 1) {
        text_tcp(t, ip6, w[3] == '6', a);
    } else if (sscanf(w, "op%u", &a) == 1) {
        t->bytes[t->len - 40] = (u8)a;
    } else if (sscanf(w, "cut:%u", &a) == 1) {
        t->len = a;
    } else if (sscanf(w, "csum@%u+%u", &a, &b) == 2) {
        t->offload = (struct frame_offload){FRAME_NEEDS_CSUM, 0, 0, 0, (u16)a, (u16)b};
    } else if (!strcmp(w, "csum")) {
        t->offload.flags = FRAME_NEEDS_CSUM;
    } else if (sscanf(w, "long:%u", &a) == 1) {
        for (size_t end = t->len + a; t->len < end; t->len++)
            t->bytes[t->len] = (u8)(t->len * 5);
    } else if (sscanf(w, "uso:%u", &a) == 1) {
        t->offload.flags = FRAME_NEEDS_CSUM;
        t->offload.gso = FRAME_GSO_UDP;
        t->offload.gso_size = (u16)a;
    } else if (sscanf(w, "tso:%u", &a) == 1) {
        t->offload.flags = FRAME_NEEDS_CSUM;
        t->offload.gso = ip6->at ? FRAME_GSO_TCP6 : FRAME_GSO_TCP4;
        t->offload.gso_size = (u16)a;
    } else {
        bug_on(true, "no word of a frame: %s", w);
    }
}

static inline void net_text_build(struct net_text *t, const char *text)
{
    char words[200], *save = NULL;
    struct text_ip6 ip6 = {0};
    *t = (struct net_text){.len = 0};
    snprintf(words, sizeof(words), "%s", text);
    char *w = strtok_r(words, " ", &save);
    text_mac(t->bytes, w[2]);
    text_mac(t->bytes + 6, w[0]);
    t->len = 12;
    while ((w = strtok_r(NULL, " ", &save)))
        text_word(t, &ip6, w);
    if (!(t->offload.flags & FRAME_NEEDS_CSUM))
        t->offload = (struct frame_offload){0};
}

static inline struct frame net_text_frame(const struct net_text *t)
{
    struct frame f = frame_plain(t->bytes, t->len);
    f.offload = t->offload;
    return f;
}

/* --- and back: addresses, tags, and what the frame carries --- */

static inline char text_letter(const u8 *mac)
{
    u8 other[6];
    for (const char *c = "*MSR0ABCDEFGHIJKL"; *c; c++) {
        text_mac(other, *c);
        if (!memcmp(mac, other, 6))
            return *c;
    }
    return '?';
}

static inline void net_text_show(char *out, size_t size, const struct frame *f)
{
    static u8 p[FRAME_MAX + 64];
    size_t len = frame_copy(f, p), at = 12;
    int n = snprintf(out, size, "%c>%c", text_letter(p + 6), text_letter(p));
    for (; at + 4 <= len && load_be16(p + at) == ETHERTYPE_VLAN; at += 4) {
        unsigned tag = load_be16(p + at + 2);
        n += snprintf(out + n, size - n, tag >> 13 ? " v%u/%u" : " v%u", tag & 0xfff, tag >> 13);
    }
    u16 type = load_be16(p + at);
    n += snprintf(out + n, size - n, " %s",
                  type == ETHERTYPE_ARP    ? "arp"
                  : type == ETHERTYPE_IPV4 ? "ip4"
                  : type == ETHERTYPE_IPV6 ? "ip6"
                                           : "other");
    if (f->offload.gso)
        snprintf(out + n, size - n, " tso:%u", f->offload.gso_size);
    else if (f->offload.flags & FRAME_NEEDS_CSUM)
        snprintf(out + n, size - n, " csum");
}

/* --- policies --- */

/* "A spoofing dhcp router access:5 trunk:1,2 native:3 source destination limit:8 bits:1000" */

static inline void text_trunk(struct port_policy *p, const char *list)
{
    unsigned vlan;
    int n;
    p->vlan_mode = VLAN_MODE_TRUNK;
    for (; sscanf(list, "%u%n", &vlan, &n) == 1; list += n + (list[n] == ','))
        port_policy_allow_vlan(p, (u16)vlan);
}

static inline void text_policy_word(struct port_policy *p, const char *w)
{
    unsigned a;
    p->spoofing |= !strcmp(w, "spoofing");
    p->dhcp_guard |= !strcmp(w, "dhcp");
    p->router_guard |= !strcmp(w, "router");
    if (!strcmp(w, "source"))
        p->mirror = MIRROR_SOURCE;
    if (!strcmp(w, "destination"))
        p->mirror = MIRROR_DESTINATION;
    if (!w[1])
        text_mac(p->mac, *w);
    if (sscanf(w, "access:%u", &a) == 1)
        p->vlan_mode = VLAN_MODE_ACCESS, p->vlan = (u16)a;
    if (sscanf(w, "native:%u", &a) == 1)
        p->native = (u16)a;
    if (sscanf(w, "limit:%u", &a) == 1)
        p->mac_limit = a;
    if (sscanf(w, "bits:%u", &a) == 1)
        p->bits_per_second = a;
    if (!strncmp(w, "trunk:", 6))
        text_trunk(p, w + 6);
}

static inline struct port_policy net_text_policy(const char *text)
{
    struct port_policy p = {.spoofing = false};
    char words[200], *save = NULL;
    snprintf(words, sizeof(words), "%s", text);
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
        text_policy_word(&p, w);
    return p;
}

#endif
