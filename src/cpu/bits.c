/* SPDX-License-Identifier: MIT */
/*
 * BT BTS BTR BTC, BSF BSR, TZCNT LZCNT POPCNT. SDM 2A, 2B.
 *
 * A bit test with a register offset addresses memory beyond its operand: the signed offset divided by the
 * operand size in bits moves the address (SDM 2A BT). Undefined flags, and the destination of a scan of zero,
 * are the host's.
 */
#include "cpu/host_op.h"

/* Address of the operand-sized unit holding bit `bit` of in's memory operand. */
static inline enum outcome bit_linear(struct cpu *c, const struct insn *in, unsigned n, i64 bit, bool write,
                                      u64 *lin)
{
    u64 off = insn_ea(c, in) + (u64)(bit >> (n == 2 ? 4 : n == 4 ? 5 : 6)) * n;
    if (in->adsize != 8)
        off &= size_mask(in->adsize);
    return offset_linear(c, in->seg, off, n, write, lin);
}

#define BIT_REG(n, T, x, op)                                                                                 \
    static inline T op##_reg##n(struct cpu *c, T d, T bit)                                                   \
    {                                                                                                        \
        u16 fl = c->fl;                                                                                      \
        asm(FL_LOAD #op x " %[bit], %[d]" FL_SAVE : [d] "+r"(d), "+&a"(fl) : [bit] "r"(bit) : "cc");         \
        c->fl = fl;                                                                                          \
        return d;                                                                                            \
    }

#define BIT_TEST(n, T, S, x)                                                                                 \
    BIT_REG(n, T, x, bt)                                                                                     \
    static enum outcome bt_EG_r##n(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        bt_reg##n(c, GET(T, in->rm_off), GET(T, in->reg_off));                                               \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome bt_EI_r##n(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        bt_reg##n(c, GET(T, in->rm_off), (T)in->imm);                                                        \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome bt_EG_m##n(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        u64 lin, d;                                                                                          \
        S bit = GET(S, in->reg_off);                                                                         \
        if (bit_linear(c, in, n, bit, false, &lin) != DONE || mmu_load(c, lin, n, &d) != DONE)               \
            return FAULT;                                                                                    \
        bt_reg##n(c, (T)d, (T)bit);                                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome bt_EI_m##n(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        u64 d;                                                                                               \
        if (operand_load(c, in, n, &d) != DONE)                                                              \
            return FAULT;                                                                                    \
        bt_reg##n(c, (T)d, (T)in->imm);                                                                      \
        return DONE;                                                                                         \
    }

/* In memory with the bit number reduced, so that the host's own displacement of the address is none. */
#define BIT_CHANGE(n, T, S, x, op)                                                                           \
    BIT_REG(n, T, x, op)                                                                                     \
    static inline u16 op##_at##n(u16 fl, T *p, T bit)                                                        \
    {                                                                                                        \
        asm volatile(FL_LOAD #op x " %[bit], %[p]" FL_SAVE                                                   \
                     : [p] "+m"(*p), "+&a"(fl)                                                               \
                     : [bit] "r"((T)(bit % (8 * n)))                                                         \
                     : "cc", "memory");                                                                      \
        return fl;                                                                                           \
    }                                                                                                        \
    static inline u16 op##_lock##n(u16 fl, T *p, T bit)                                                      \
    {                                                                                                        \
        asm volatile(FL_LOAD "lock " #op x " %[bit], %[p]" FL_SAVE                                           \
                     : [p] "+m"(*p), "+&a"(fl)                                                               \
                     : [bit] "r"((T)(bit % (8 * n)))                                                         \
                     : "cc", "memory");                                                                      \
        return fl;                                                                                           \
    }                                                                                                        \
    static cold_path enum outcome op##_slow##n(struct cpu *c, u64 lin, T bit)                                \
    {                                                                                                        \
        struct rmw r;                                                                                        \
        if (mmu_rmw_begin(c, &r, lin, n) != DONE)                                                            \
            return FAULT;                                                                                    \
        u16 fl = op##_lock##n(c->fl, r.ptr, bit);                                                            \
        if (mmu_rmw_end(c, &r) != DONE)                                                                      \
            return FAULT;                                                                                    \
        c->fl = fl;                                                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_mem##n(struct cpu *c, const struct insn *in, u64 lin, T bit)                    \
    {                                                                                                        \
        void *p = tlb_hit(c->tlb->view->write, lin, n);                                                      \
        if (unlikely(!p))                                                                                    \
            return op##_slow##n(c, lin, bit);                                                                \
        if (in->flags & INSN_LOCK) {                                                                         \
            if (unlikely(splits_line(p, n)))                                                                 \
                return op##_slow##n(c, lin, bit);                                                            \
            c->fl = op##_lock##n(c->fl, p, bit);                                                             \
        } else {                                                                                             \
            c->fl = op##_at##n(c->fl, p, bit);                                                               \
        }                                                                                                    \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EG_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        put##n(c, in->rm_off, op##_reg##n(c, GET(T, in->rm_off), GET(T, in->reg_off)));                      \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EI_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        put##n(c, in->rm_off, op##_reg##n(c, GET(T, in->rm_off), (T)in->imm));                               \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EG_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        u64 lin;                                                                                             \
        S bit = GET(S, in->reg_off);                                                                         \
        if (bit_linear(c, in, n, bit, true, &lin) != DONE)                                                   \
            return FAULT;                                                                                    \
        return op##_mem##n(c, in, lin, (T)bit);                                                              \
    }                                                                                                        \
    static enum outcome op##_EI_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        u64 lin;                                                                                             \
        if (insn_linear(c, in, n, true, &lin) != DONE)                                                       \
            return FAULT;                                                                                    \
        return op##_mem##n(c, in, lin, (T)in->imm);                                                          \
    }

#define BIT_ROWS(op)                                                                                         \
    BIT_CHANGE(2, u16, i16, "w", op)                                                                         \
    BIT_CHANGE(4, u32, i32, "l", op)                                                                         \
    BIT_CHANGE(8, u64, i64, "q", op)                                                                         \
    DEFINE_MEANING_WIDE(op##_EG, op##_EG);                                                                   \
    DEFINE_MEANING_WIDE(op##_EI, op##_EI);

BIT_TEST(2, u16, i16, "w")
BIT_TEST(4, u32, i32, "l")
BIT_TEST(8, u64, i64, "q")
DEFINE_MEANING_WIDE(bt_EG, bt_EG);
DEFINE_MEANING_WIDE(bt_EI, bt_EI);
BIT_ROWS(bts)
BIT_ROWS(btr)
BIT_ROWS(btc)

/* Whole 64-bit destination in and out: a scan of zero keeps it, or its upper half, as the host does. */
#define SCAN(n, T, k, op)                                                                                    \
    static inline void op##_do##n(struct cpu *c, const struct insn *in, T s)                                 \
    {                                                                                                        \
        u16 fl = c->fl;                                                                                      \
        u64 d = c->regs[in->reg];                                                                            \
        asm(FL_LOAD #op " %" k "[s], %" k "[d]" FL_SAVE : [d] "+r"(d), "+&a"(fl) : [s] "r"(s) : "cc");       \
        c->fl = fl;                                                                                          \
        c->regs[in->reg] = d;                                                                                \
    }                                                                                                        \
    static enum outcome op##_r##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        op##_do##n(c, in, GET(T, in->rm_off));                                                               \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_m##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        u64 s;                                                                                               \
        if (unlikely(operand_load(c, in, n, &s) != DONE))                                                    \
            return FAULT;                                                                                    \
        op##_do##n(c, in, (T)s);                                                                             \
        return DONE;                                                                                         \
    }

#define SCAN_ROW(op)                                                                                         \
    SCAN(2, u16, "w", op)                                                                                    \
    SCAN(4, u32, "k", op)                                                                                    \
    SCAN(8, u64, "q", op)                                                                                    \
    DEFINE_MEANING_WIDE(op, op);

SCAN_ROW(bsf)
SCAN_ROW(bsr)
SCAN_ROW(tzcnt)
SCAN_ROW(lzcnt)
SCAN_ROW(popcnt)
