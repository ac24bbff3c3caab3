/* SPDX-License-Identifier: MIT */
#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

bool ip_parse(const char *text, struct ip_addr *out)
{
    struct ip_addr a = {.v6 = strchr(text, ':') != NULL};
    if (inet_pton(a.v6 ? AF_INET6 : AF_INET, text, a.bytes) != 1)
        return false;
    *out = a;
    return true;
}

bool ip_prefix_parse(const char *text, struct ip_prefix *out)
{
    char address[IP_TEXT_MAX], *end;
    const char *slash = strchr(text, '/');
    struct ip_prefix p;
    if (!slash || (size_t)(slash - text) >= sizeof(address) || slash[1] < '0' || slash[1] > '9')
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = 0;
    unsigned long len = strtoul(slash + 1, &end, 10);
    if (*end || !ip_parse(address, &p.addr) || len > ip_bits(&p.addr))
        return false;
    p.len = (u8)len;
    *out = p;
    return true;
}

const char *ip_print(const struct ip_addr *a, char out[IP_TEXT_MAX])
{
    inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->bytes, out, IP_TEXT_MAX);
    return out;
}

const char *ip_prefix_print(const struct ip_prefix *p, char out[IP_PREFIX_TEXT_MAX])
{
    char address[IP_TEXT_MAX];
    snprintf(out, IP_PREFIX_TEXT_MAX, "%s/%u", ip_print(&p->addr, address), p->len);
    return out;
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
    return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ip_is_any(const struct ip_addr *a)
{
    static const u8 zero[16];
    return memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

bool ip_is_host(const struct ip_addr *a)
{
    static const struct ip_addr loopback6 = {{[15] = 1}, true};
    if (ip_is_any(a))
        return false;
    return a->v6 ? a->bytes[0] != 0xff && !ip_equal(a, &loopback6)
                 : a->bytes[0] != 0 && a->bytes[0] != 127 && a->bytes[0] < 224;
}

/* Whether the first `bits` bits are the same. */
static bool same_start(const u8 *a, const u8 *b, unsigned bits)
{
    u8 mask = (u8)(0xff00 >> bits % 8);
    return memcmp(a, b, bits / 8) == 0 && (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

struct ip_prefix ip_prefix_network(const struct ip_prefix *p)
{
    struct ip_prefix out = *p;
    for (unsigned bit = p->len; bit < 128; bit++)
        out.addr.bytes[bit / 8] &= (u8) ~(0x80 >> bit % 8);
    return out;
}

bool ip_prefix_has(const struct ip_prefix *p, const struct ip_addr *a)
{
    return p->addr.v6 == a->v6 && same_start(p->addr.bytes, a->bytes, p->len);
}

bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return a->addr.v6 == b->addr.v6 &&
           same_start(a->addr.bytes, b->addr.bytes, a->len < b->len ? a->len : b->len);
}

bool ip_prefix_is_edge(const struct ip_prefix *p, const struct ip_addr *a)
{
    unsigned bits = ip_bits(a);
    bool zeros = true, ones = true;
    if (p->addr.v6 != a->v6 || p->len + 1u >= bits) /* RFC 3021, RFC 6164: both addresses are hosts' */
        return false;
    for (unsigned bit = p->len; bit < bits; bit++) {
        bool set = a->bytes[bit / 8] >> (7 - bit % 8) & 1;
        zeros &= !set;
        ones &= set;
    }
    return zeros || (ones && !a->v6);
}
