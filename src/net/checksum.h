/* SPDX-License-Identifier: MIT */
/* The Internet checksum (RFC 1071), summed up in the host's byte order. */
#ifndef NET_CHECKSUM_H
#define NET_CHECKSUM_H

#include "base/types.h"

/* Adds bytes to a sum; every piece but the last has an even length. */
static inline u64 checksum_add(u64 sum, const u8 *p, size_t len)
{
    u64 low = 0, high = 0;
    for (; len >= 16; p += 16, len -= 16) {
        u64 a, b;
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);
        low += (u32)a;
        low += (u32)b;
        high += a >> 32;
        high += b >> 32;
    }
    sum += (low & 0xffffffff) + (low >> 32) + (high & 0xffffffff) + (high >> 32);
    for (; len >= 2; p += 2, len -= 2) {
        u16 v;
        memcpy(&v, p, 2);
        sum += v;
    }
    return len ? sum + *p : sum;
}

static inline u16 checksum_fold(u64 sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (u16)sum;
}

/* Puts the complement into the field at p; 0xffff where UDP reads 0 as "none" (RFC 768). */
static inline void checksum_put(u8 *p, u16 sum, bool udp)
{
    u16 v = (u16)~sum;
    if (!v && udp)
        v = 0xffff;
    memcpy(p, &v, 2);
}

#endif
