/* SPDX-License-Identifier: MIT */
/* Short integer names, bit and unaligned-access helpers. Pure; no state. */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;

#define KIB                             (1ull << 10)
#define MIB                             (1ull << 20)
#define GIB                             (1ull << 30)
#define BIT(n)                          (1ull << (n))
#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)                  (((x) + (a)-1) & ~((u64)(a)-1))
#define ALIGN_DOWN(x, a)                ((x) & ~((u64)(a)-1))
#define likely(x)                       __builtin_expect(!!(x), 1)
#define unlikely(x)                     __builtin_expect(!!(x), 0)
#define must_check                      __attribute__((warn_unused_result))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Bits hi..lo of x, shifted down. 0 <= lo <= hi <= 63. */
static inline u64 bits(u64 x, unsigned hi, unsigned lo)
{
    return (x >> lo) & (~0ull >> (63 - (hi - lo)));
}

/* x, of which only the low `bytes` (1, 2, 4 or 8) count, sign-extended. */
static inline i64 sign_extend(u64 x, unsigned bytes)
{
    unsigned s = 64 - 8 * bytes;
    return (i64)(x << s) >> s;
}

/* All ones in the low `bytes` (1, 2, 4 or 8). */
static inline u64 size_mask(unsigned bytes)
{
    return ~0ull >> (64 - 8 * bytes);
}

/* Little-endian value of `size` (1..8) bytes at an unaligned place. */
static inline u64 load_le(const void *p, unsigned size)
{
    u64 v = 0;
    memcpy(&v, p, size);
    return v;
}

static inline void store_le(void *p, unsigned size, u64 v)
{
    memcpy(p, &v, size);
}

#endif
