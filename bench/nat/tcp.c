/* SPDX-License-Identifier: MIT */
/* Headers: RFC 9293 3.1, 791 3.1, 826. */
#include "tcp.h"

#include <stdio.h>
#include <string.h>

#include "net/checksum.h"
#include "net/wire.h"

enum { ETH = 14, IP = 20, TCP = 20, HEADERS = ETH + IP + TCP, MSS = 1460, WINDOW = 65535 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

static size_t put_headers(struct tcp *t, u8 flags, size_t len, size_t options)
{
    u8 *f = t->frame, *ip = f + ETH, *tcp = ip + IP;
    memcpy(f, t->gateway_mac, 6);
    memcpy(f + 6, t->mac, 6);
    store_be16(f + 12, ETHERTYPE_IPV4);
    memset(ip, 0, IP + TCP);
    ip[0] = 0x45;
    store_be16(ip + 2, (u16)(IP + TCP + options + len));
    ip[8] = 64;
    ip[9] = IP_TCP;
    store_be32(ip + 12, t->address);
    store_be32(ip + 16, t->gateway);
    checksum_put(ip + 10, checksum_fold(checksum_add(0, ip, IP)), false);
    store_be16(tcp, t->port);
    store_be16(tcp + 2, t->to);
    store_be32(tcp + 4, t->sent);
    store_be32(tcp + 8, flags & ACK ? t->got : 0);
    tcp[12] = (u8)((TCP + options) / 4 << 4);
    tcp[13] = flags;
    store_be16(tcp + 14, WINDOW);
    return HEADERS + options + len;
}

/* The pseudo header's share (RFC 9293 3.1). */
static u64 pseudo(const struct tcp *t, size_t len)
{
    u8 rest[4] = {0, IP_TCP, (u8)(len >> 8), (u8)len};
    return checksum_add(checksum_add(0, t->frame + ETH + 12, 8), rest, 4);
}

static bool put(struct tcp *t, u8 flags, const u8 *data, size_t len)
{
    static const u8 mss[4] = {2, 4, MSS >> 8, MSS & 0xff};
    size_t options = flags & SYN ? sizeof(mss) : 0, whole = put_headers(t, flags, len, options);
    u8 *tcp = t->frame + ETH + IP;
    struct frame_offload o = {0};
    memcpy(tcp + TCP, mss, options);
    if (len)
        memcpy(tcp + TCP + options, data, len);
    u16 s = checksum_fold(pseudo(t, TCP + options + len));
    if (t->wire->offloads) {
        o = (struct frame_offload){
            .flags = FRAME_NEEDS_CSUM, .csum_start = ETH + IP, .csum_offset = CSUM_OFFSET_TCP};
        if (len > MSS) {
            o.gso = FRAME_GSO_TCP4;
            o.gso_size = MSS;
            o.hdr_len = HEADERS;
        }
    } else {
        s = (u16)~checksum_fold(checksum_add(s, tcp, TCP + options + len));
    }
    memcpy(tcp + 16, &s, 2);
    return t->wire->send(t->wire, t->frame, whole, &o);
}

static bool is_arp(const struct tcp *t, const u8 *f, size_t len)
{
    return len >= 42 && load_be16(f + 12) == ETHERTYPE_ARP && load_be32(f + 28) == t->gateway;
}

/* True: it was ours. Data out of order means that some were lost. */
static bool take(struct tcp *t, const u8 *f, size_t len)
{
    const u8 *tcp = f + ETH + IP;
    if (is_arp(t, f, len)) {
        if (f[21] == 2)
            memcpy(t->gateway_mac, f + 22, 6);
        if (f[21] == 1) { /* who are we? */
            u8 reply[42];
            memcpy(reply, f, sizeof(reply));
            memcpy(reply, f + 6, 6);
            memcpy(reply + 6, t->mac, 6);
            reply[21] = 2;
            memcpy(reply + 22, t->mac, 6);
            store_be32(reply + 28, t->address);
            memcpy(reply + 32, f + 22, 10);
            t->wire->send(t->wire, reply, sizeof(reply), &(struct frame_offload){0});
        }
        return true;
    }
    if (len < HEADERS || load_be16(f + 12) != ETHERTYPE_IPV4 || f[ETH + 9] != IP_TCP ||
        load_be16(tcp + 2) != t->port)
        return false;
    size_t header = (tcp[12] >> 4) * 4u, data = load_be16(f + ETH + 2) - IP - header;
    u32 ack = load_be32(tcp + 8), seq = load_be32(tcp + 4);
    if (tcp[13] & RST || (data && seq != t->got && !(tcp[13] & SYN) && (i32)(seq - t->got) > 0))
        t->closed = true;
    if (tcp[13] & SYN)
        t->got = seq + 1;
    if (tcp[13] & ACK && (i32)(ack - t->acked) > 0)
        t->acked = ack;
    t->window = load_be16(tcp + 14);
    if (data && seq == t->got) {
        t->got += (u32)data;
        t->received += data;
        t->unanswered++;
    }
    if (tcp[13] & FIN) {
        t->got++;
        t->closed = true;
        t->unanswered++;
    }
    return true;
}

bool tcp_take(struct tcp *t, int ms)
{
    static u8 frame[FRAME_MAX];
    size_t len;
    bool some = false;
    if (ms)
        t->wire->wait(t->wire, ms);
    while ((len = t->wire->receive(t->wire, frame, sizeof(frame)))) {
        some |= take(t, frame, len);
        if (t->unanswered >= 8) { /* as a receiver does that takes frames in bursts */
            put(t, ACK, NULL, 0);
            t->unanswered = 0;
        }
    }
    if (t->unanswered) {
        put(t, ACK, NULL, 0);
        t->unanswered = 0;
    }
    t->wire->flush(t->wire);
    return some;
}

static bool find_gateway(struct tcp *t)
{
    u8 arp[42] = {[12] = 8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
    memset(arp, 0xff, 6);
    memcpy(arp + 6, t->mac, 6);
    memcpy(arp + 22, t->mac, 6);
    store_be32(arp + 28, t->address);
    store_be32(arp + 38, t->gateway);
    t->wire->send(t->wire, arp, sizeof(arp), &(struct frame_offload){0});
    t->wire->flush(t->wire);
    for (unsigned i = 0; i < 50 && !t->gateway_mac[0]; i++)
        tcp_take(t, 100);
    return t->gateway_mac[0] != 0;
}

bool tcp_open(struct tcp *t, struct wire *w, u16 to)
{
    static u16 port = 40000;
    static const u8 mac[6] = {0x02, 0x15, 0x5d, 1, 2, 3};
    *t = (struct tcp){
        .wire = w, .gateway = w->gateway, .address = (w->gateway & ~0xffu) | 15, .port = port++, .to = to};
    memcpy(t->mac, mac, 6);
    if (!find_gateway(t))
        return false;
    t->sent = t->acked = 1000;
    put(t, SYN, NULL, 0);
    t->sent++;
    w->flush(w);
    for (unsigned i = 0; i < 50 && t->acked != t->sent; i++)
        tcp_take(t, 100);
    put(t, ACK, NULL, 0);
    w->flush(w);
    return t->acked == t->sent;
}

size_t tcp_send(struct tcp *t, const u8 *data, size_t len)
{
    u32 open = t->window - (t->sent - t->acked);
    size_t most = t->wire->offloads ? 44 * MSS : MSS;
    if (t->sent - t->acked >= t->window)
        return 0;
    if (len > most)
        len = most;
    if (len > open)
        len = open;
    if (!put(t, ACK | PSH, data, len))
        return 0;
    t->sent += (u32)len;
    return len;
}

void tcp_end(struct tcp *t)
{
    put(t, RST | ACK, NULL, 0);
    t->wire->flush(t->wire);
}
