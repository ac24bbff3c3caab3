/* SPDX-License-Identifier: MIT */
/*
 * BMI1, BMI2, ADX and CRC32: the host's own, which has them when the guest is offered them. SDM 2A, 2B.
 *
 * Operand order is the Intel one in the row's comment; the templates are AT&T, reversed.
 */
#include "cpu/host_op.h"

/* Runs `body(T operand)` on E, register or memory. */
#define FORMS(n, T, op)                                                                                      \
    static enum outcome op##_r##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        op##_do##n(c, in, GET(T, in->rm_off));                                                               \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_m##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        u64 e;                                                                                               \
        if (unlikely(operand_load(c, in, n, &e) != DONE))                                                    \
            return FAULT;                                                                                    \
        op##_do##n(c, in, (T)e);                                                                             \
        return DONE;                                                                                         \
    }

#define DEFINE_MEANING_Y(op)                                                                                 \
    const struct meaning m_##op = {{NULL, NULL, op##_r4, op##_r8}, {NULL, NULL, op##_m4, op##_m8}};

/* op G, B, E and op G, E, B with flags. */
#define GBE(n, T, x, op, order)                                                                              \
    static inline void op##_do##n(struct cpu *c, const struct insn *in, T e)                                 \
    {                                                                                                        \
        u16 fl = c->fl;                                                                                      \
        T g, b = (T)c->regs[in->vreg];                                                                       \
        asm(FL_LOAD #op x " " order ", %[g]" FL_SAVE                                                         \
            : [g] "=&r"(g), "+&a"(fl)                                                                        \
            : [e] "r"(e), [b] "r"(b)                                                                         \
            : "cc");                                                                                         \
        c->fl = fl;                                                                                          \
        put##n(c, (u8)(in->reg * 8), g);                                                                     \
    }                                                                                                        \
    FORMS(n, T, op)
#define GBE_ROW(op, order)                                                                                   \
    GBE(4, u32, "l", op, order)                                                                              \
    GBE(8, u64, "q", op, order)                                                                              \
    DEFINE_MEANING_Y(op)

GBE_ROW(andn, "%[e], %[b]")
GBE_ROW(pdep, "%[e], %[b]")
GBE_ROW(pext, "%[e], %[b]")
GBE_ROW(bextr, "%[b], %[e]")
GBE_ROW(bzhi, "%[b], %[e]")
GBE_ROW(shlx, "%[b], %[e]")
GBE_ROW(shrx, "%[b], %[e]")
GBE_ROW(sarx, "%[b], %[e]")

/* op B, E. */
#define BE(n, T, x, op)                                                                                      \
    static inline void op##_do##n(struct cpu *c, const struct insn *in, T e)                                 \
    {                                                                                                        \
        u16 fl = c->fl;                                                                                      \
        T b;                                                                                                 \
        asm(FL_LOAD #op x " %[e], %[b]" FL_SAVE : [b] "=&r"(b), "+&a"(fl) : [e] "r"(e) : "cc");              \
        c->fl = fl;                                                                                          \
        put##n(c, (u8)(in->vreg * 8), b);                                                                    \
    }                                                                                                        \
    FORMS(n, T, op)
#define BE_ROW(op)                                                                                           \
    BE(4, u32, "l", op)                                                                                      \
    BE(8, u64, "q", op)                                                                                      \
    DEFINE_MEANING_Y(op)

BE_ROW(blsr)
BE_ROW(blsmsk)
BE_ROW(blsi)

/* op G, E adding with one flag. */
#define ADX(n, T, x, op)                                                                                     \
    static inline void op##_do##n(struct cpu *c, const struct insn *in, T e)                                 \
    {                                                                                                        \
        u16 fl = c->fl;                                                                                      \
        T g = GET(T, in->reg_off);                                                                           \
        asm(FL_LOAD #op x " %[e], %[g]" FL_SAVE : [g] "+r"(g), "+&a"(fl) : [e] "r"(e) : "cc");               \
        c->fl = fl;                                                                                          \
        put##n(c, in->reg_off, g);                                                                           \
    }                                                                                                        \
    FORMS(n, T, op)
#define ADX_ROW(op)                                                                                          \
    ADX(4, u32, "l", op)                                                                                     \
    ADX(8, u64, "q", op)                                                                                     \
    DEFINE_MEANING_Y(op)

ADX_ROW(adcx)
ADX_ROW(adox)

/* MULX G, B, E: high half to G last, so it wins when both are one register. */
#define MULX(n, T, W)                                                                                        \
    static inline void mulx_do##n(struct cpu *c, const struct insn *in, T e)                                 \
    {                                                                                                        \
        W p = (W)(T)c->regs[RDX] * e;                                                                        \
        put##n(c, (u8)(in->vreg * 8), (T)p);                                                                 \
        put##n(c, (u8)(in->reg * 8), (T)(p >> (8 * n)));                                                     \
    }                                                                                                        \
    FORMS(n, T, mulx)
MULX(4, u32, u64)
MULX(8, u64, unsigned __int128)
DEFINE_MEANING_Y(mulx)

#define RORX(n, T)                                                                                           \
    static inline void rorx_do##n(struct cpu *c, const struct insn *in, T e)                                 \
    {                                                                                                        \
        unsigned k = (unsigned)in->imm & (8 * n - 1);                                                        \
        put##n(c, (u8)(in->reg * 8), (T)(e >> k | e << (-k & (8 * n - 1))));                                 \
    }                                                                                                        \
    FORMS(n, T, rorx)
RORX(4, u32)
RORX(8, u64)
DEFINE_MEANING_Y(rorx)

/* The sum is 32 bits wide and the destination always 64: by register number, not by the source's size. */
#define CRC32(n, T, x, D)                                                                                    \
    static inline void crc32_do##n(struct cpu *c, const struct insn *in, T e)                                \
    {                                                                                                        \
        D g = (D)c->regs[in->reg];                                                                           \
        asm("crc32" x " %[e], %[g]" : [g] "+r"(g) : [e] "r"(e));                                             \
        c->regs[in->reg] = g;                                                                                \
    }                                                                                                        \
    FORMS(n, T, crc32)
CRC32(1, u8, "b", u32)
CRC32(2, u16, "w", u32)
CRC32(4, u32, "l", u32)
CRC32(8, u64, "q", u64)
DEFINE_MEANING_SIZES(crc32, crc32);
