/* SPDX-License-Identifier: MIT */
/*
 * MUL IMUL DIV IDIV. SDM 2A, 2B.
 *
 * A division is checked for a zero divisor and for a quotient that does not fit before the host executes it:
 * the host must never take #DE for the guest. The check needs no division: |dividend| < |divisor| * limit.
 */
#include "cpu/host_op.h"

typedef unsigned __int128 u128;
typedef __int128 i128;

/* Halves of dividend and product: AH:AL, DX:AX, EDX:EAX, RDX:RAX. */
#define HI_OFF(n) ((n) == 1 ? 1 : RDX * 8)

static bool divides_unsigned(u64 hi, u64 divisor)
{
    return hi < divisor;
}

static bool divides_signed(i128 dividend, i64 divisor, unsigned n)
{
    bool negative = (dividend < 0) != (divisor < 0);
    u128 a = dividend < 0 ? -(u128)dividend : (u128)dividend;
    u128 b = divisor < 0 ? -(u128)divisor : (u128)divisor;
    u128 limit = ((u128)1 << (8 * n - 1)) + negative;
    return a < b * limit;
}

/* The host's implicit registers are RAX and RDX, which flags occupy too: results move out first. */
#define WIDE_OP(n, T, x, op)                                                                                 \
    static inline void op##_do##n(struct cpu *c, T s)                                                        \
    {                                                                                                        \
        u64 a = c->regs[RAX], d = c->regs[RDX], fl = c->fl, lo;                                              \
        asm("xchgq %[fl], %%rax\n\t" FL_LOAD "movq %[fl], %%rax\n\t" #op x " %[s]\n\t"                       \
            "movq %%rax, %[lo]" FL_SAVE "\n\tmovq %%rax, %[fl]"                                              \
            : "+&a"(a), "+&d"(d), [fl] "+&r"(fl), [lo] "=&r"(lo)                                             \
            : [s] "r"(s)                                                                                     \
            : "cc");                                                                                         \
        c->regs[RAX] = lo;                                                                                   \
        c->regs[RDX] = d;                                                                                    \
        c->fl = (u16)fl;                                                                                     \
    }

#define MULTIPLY(n, T, x, op)                                                                                \
    WIDE_OP(n, T, x, op)                                                                                     \
    static enum outcome op##_E_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        op##_do##n(c, GET(T, in->rm_off));                                                                   \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_E_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        u64 s;                                                                                               \
        if (unlikely(operand_load(c, in, n, &s) != DONE))                                                    \
            return FAULT;                                                                                    \
        op##_do##n(c, (T)s);                                                                                 \
        return DONE;                                                                                         \
    }

static inline i128 dividend(const struct cpu *c, unsigned n)
{
    u64 lo = load_le(&c->regs[RAX], n), hi = load_le((const u8 *)c->regs + HI_OFF(n), n);
    return n == 8 ? (i128)((u128)hi << 64 | lo) : (i128)sign_extend(hi << (8 * n) | lo, n == 4 ? 8 : 2 * n);
}

#define DIVIDE(n, T, x, op, fits)                                                                            \
    WIDE_OP(n, T, x, op)                                                                                     \
    static inline enum outcome op##_try##n(struct cpu *c, T s)                                               \
    {                                                                                                        \
        if (unlikely(!(fits)))                                                                               \
            return fault_plain(c, VEC_DE);                                                                   \
        op##_do##n(c, s);                                                                                    \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_E_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        return op##_try##n(c, GET(T, in->rm_off));                                                           \
    }                                                                                                        \
    static enum outcome op##_E_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        u64 s;                                                                                               \
        if (unlikely(operand_load(c, in, n, &s) != DONE))                                                    \
            return FAULT;                                                                                    \
        return op##_try##n(c, (T)s);                                                                         \
    }

#define DIVIDE_ROW(n, T, x, ...)                                                                             \
    DIVIDE(n, T, x, div, divides_unsigned(GET(T, HI_OFF(n)), s))                                             \
    DIVIDE(n, T, x, idiv, divides_signed(dividend(c, n), sign_extend(s, n), n))

FOR_SIZES(MULTIPLY, mul)
FOR_SIZES(MULTIPLY, imul)
FOR_SIZES(DIVIDE_ROW)
DEFINE_MEANING_SIZES(mul, mul_E);
DEFINE_MEANING_SIZES(imul_E, imul_E);
DEFINE_MEANING_SIZES(div, div_E);
DEFINE_MEANING_SIZES(idiv, idiv_E);

/* G = G * E and G = E * I. */
#define MULTIPLY_TO(n, T, x, ...)                                                                            \
    static inline T imul_reg##n(struct cpu *c, T d, T s)                                                     \
    {                                                                                                        \
        u16 fl = c->fl;                                                                                      \
        asm(FL_LOAD "imul" x " %[s], %[d]" FL_SAVE : [d] "+r"(d), "+&a"(fl) : [s] "r"(s) : "cc");            \
        c->fl = fl;                                                                                          \
        return d;                                                                                            \
    }                                                                                                        \
    static enum outcome imul_GE_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        put##n(c, in->reg_off, imul_reg##n(c, GET(T, in->reg_off), GET(T, in->rm_off)));                     \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome imul_GE_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        u64 s;                                                                                               \
        if (unlikely(operand_load(c, in, n, &s) != DONE))                                                    \
            return FAULT;                                                                                    \
        put##n(c, in->reg_off, imul_reg##n(c, GET(T, in->reg_off), (T)s));                                   \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome imul_GEI_r##n(struct cpu *c, const struct insn *in)                                  \
    {                                                                                                        \
        put##n(c, in->reg_off, imul_reg##n(c, GET(T, in->rm_off), (T)in->imm));                              \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome imul_GEI_m##n(struct cpu *c, const struct insn *in)                                  \
    {                                                                                                        \
        u64 s;                                                                                               \
        if (unlikely(operand_load(c, in, n, &s) != DONE))                                                    \
            return FAULT;                                                                                    \
        put##n(c, in->reg_off, imul_reg##n(c, (T)s, (T)in->imm));                                            \
        return DONE;                                                                                         \
    }

FOR_WIDE(MULTIPLY_TO)
DEFINE_MEANING_WIDE(imul_GE, imul_GE);
DEFINE_MEANING_WIDE(imul_GEI, imul_GEI);
