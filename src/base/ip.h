/* SPDX-License-Identifier: MIT */
/*
 * Internet addresses and prefixes as plain values, of both families: text to value and back, what lies in
 * what. Nothing here asks a name server or the host.
 */
#ifndef BASE_IP_H
#define BASE_IP_H

#include "base/types.h"

enum { IP_TEXT_MAX = 46, IP_PREFIX_TEXT_MAX = 50 }; /* with the final zero */

struct ip_addr {
    u8 bytes[16]; /* network order; the first 4 of IPv4, the others 0 */
    bool v6;
};
struct ip_prefix {
    struct ip_addr addr;
    u8 len; /* bits, at most ip_bits() */
};

static inline unsigned ip_bits(const struct ip_addr *a)
{
    return a->v6 ? 128 : 32;
}

/* "192.168.100.1" or "fd00::1". False: it is neither, and *out is not set. */
bool ip_parse(const char *text, struct ip_addr *out);
/* "192.168.100.0/24". Bits behind the prefix are kept: ip_prefix_network() clears them. */
bool ip_prefix_parse(const char *text, struct ip_prefix *out);
/* Canonical text (RFC 5952 for IPv6); returns `out`. */
const char *ip_print(const struct ip_addr *a, char out[IP_TEXT_MAX]);
const char *ip_prefix_print(const struct ip_prefix *p, char out[IP_PREFIX_TEXT_MAX]);

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);
/* Unspecified: 0.0.0.0 or ::. */
bool ip_is_any(const struct ip_addr *a);
/* One host can have it: neither multicast, nor loopback, nor unspecified, nor the IPv4 broadcast address. */
bool ip_is_host(const struct ip_addr *a);

struct ip_prefix ip_prefix_network(const struct ip_prefix *p);
bool ip_prefix_has(const struct ip_prefix *p, const struct ip_addr *a);
bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);
/* The first or, of IPv4 with more than one address in it, the last address: not one that a host can have. */
bool ip_prefix_is_edge(const struct ip_prefix *p, const struct ip_addr *a);

#endif
