/* SPDX-License-Identifier: MIT */
#include "net/user_dns.h"

#include "net/checksum.h"
#include "net/wire.h"

enum { ETH = 14, DNS = 53 };

struct packet {
    size_t source, destination, transport; /* offsets in the frame */
    u8 protocol;
    bool v6;
};

static bool read_v4(const u8 *frame, size_t len, struct packet *p)
{
    const u8 *ip = frame + ETH;
    if (len < ETH + 20 || ip[0] >> 4 != 4 || (ip[0] & 15) < 5 || (ip[6] & 0x3f) || ip[7]) /* or a fragment */
        return false;
    *p = (struct packet){ETH + 12, ETH + 16, ETH + (ip[0] & 15u) * 4, ip[9], false};
    return true;
}

static bool read_v6(const u8 *frame, size_t len, struct packet *p)
{
    if (len < ETH + 40)
        return false;
    *p = (struct packet){ETH + 8, ETH + 24, ETH + 40, frame[ETH + 6], true};
    return true;
}

/* An unfragmented UDP or TCP packet whose header is there. */
static bool read_packet(const u8 *frame, size_t len, struct packet *p)
{
    if (len < ETH)
        return false;
    u16 type = load_be16(frame + 12);
    bool is =
        type == ETHERTYPE_IPV4 ? read_v4(frame, len, p) : type == ETHERTYPE_IPV6 && read_v6(frame, len, p);
    return is && ((p->protocol == IP_UDP && len >= p->transport + 8) ||
                  (p->protocol == IP_TCP && len >= p->transport + 20));
}

/* RFC 1624, equation 3. */
static void adjust(u8 *sum, const u8 *old, const u8 *now, unsigned len)
{
    u32 s = (u16)~load_be16(sum);
    for (unsigned i = 0; i < len; i += 2)
        s += (u32)(u16)~load_be16(old + i) + load_be16(now + i);
    store_be16(sum, (u16)~checksum_fold(s));
}

static void readdress(u8 *frame, const struct packet *p, size_t field, const struct ip_addr *to)
{
    unsigned len = p->v6 ? 16 : 4;
    u8 *sum = frame + p->transport + (p->protocol == IP_UDP ? CSUM_OFFSET_UDP : CSUM_OFFSET_TCP);
    if (p->protocol == IP_TCP || sum[0] || sum[1]) /* UDP over IPv4 may have none */
        adjust(sum, frame + field, to->bytes, len);
    if (p->protocol == IP_UDP && !sum[0] && !sum[1])
        sum[0] = sum[1] = p->v6 ? 0xff : 0;
    if (!p->v6)
        adjust(frame + ETH + 10, frame + field, to->bytes, len);
    memcpy(frame + field, to->bytes, len);
}

static bool has(const u8 *frame, const struct packet *p, size_t field, const struct ip_addr *a)
{
    return a->v6 == p->v6 && memcmp(frame + field, a->bytes, a->v6 ? 16 : 4) == 0;
}

bool user_dns_question(u8 *frame, size_t len, const struct ip_addr *gateway, const struct ip_addr *resolver)
{
    struct packet p;
    if (!read_packet(frame, len, &p) || load_be16(frame + p.transport + 2) != DNS ||
        !has(frame, &p, p.destination, gateway))
        return false;
    readdress(frame, &p, p.destination, resolver);
    return true;
}

bool user_dns_is_answer(const u8 *frame, size_t len, const struct ip_addr *resolver)
{
    struct packet p;
    return read_packet(frame, len, &p) && load_be16(frame + p.transport) == DNS &&
           has(frame, &p, p.source, resolver);
}

void user_dns_answer(u8 *frame, size_t len, const struct ip_addr *gateway)
{
    struct packet p;
    if (read_packet(frame, len, &p))
        readdress(frame, &p, p.source, gateway);
}
