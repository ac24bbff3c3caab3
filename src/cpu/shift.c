/* SPDX-License-Identifier: MIT */
/*
 * ROL ROR RCL RCR SHL SHR SAR by an immediate or CL, SHLD SHRD. SDM 2B RCL/RCR/ROL/ROR, SAL/SAR/SHL/SHR.
 *
 * The host masks the count and keeps flags for a count of zero; both need the old flags loaded first. The
 * count goes through CL always.
 */
#include "cpu/host_op.h"

#define SHIFT(n, T, x, op)                                                                                   \
    static inline T op##_reg##n(struct cpu *c, T d, u8 count)                                                \
    {                                                                                                        \
        u16 fl = c->fl;                                                                                      \
        asm(FL_LOAD #op x " %%cl, %[d]" FL_SAVE : [d] "+r"(d), "+&a"(fl) : "c"(count) : "cc");               \
        c->fl = fl;                                                                                          \
        return d;                                                                                            \
    }                                                                                                        \
    static inline u16 op##_at##n(u16 fl, T *d, u8 count)                                                     \
    {                                                                                                        \
        asm volatile(FL_LOAD #op x " %%cl, %[d]" FL_SAVE                                                     \
                     : [d] "+m"(*d), "+&a"(fl)                                                               \
                     : "c"(count)                                                                            \
                     : "cc", "memory");                                                                      \
        return fl;                                                                                           \
    }                                                                                                        \
    static cold_path enum outcome op##_slow##n(struct cpu *c, u64 lin, u8 count)                             \
    {                                                                                                        \
        struct rmw r;                                                                                        \
        if (mmu_rmw_begin(c, &r, lin, n) != DONE)                                                            \
            return FAULT;                                                                                    \
        u16 fl = op##_at##n(c->fl, r.ptr, count);                                                            \
        if (mmu_rmw_end(c, &r) != DONE)                                                                      \
            return FAULT;                                                                                    \
        c->fl = fl;                                                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static inline enum outcome op##_to_mem##n(struct cpu *c, const struct insn *in, u8 count)                \
    {                                                                                                        \
        u64 lin;                                                                                             \
        void *p;                                                                                             \
        if (unlikely(operand_rmw(c, in, n, &lin, &p) != DONE))                                               \
            return FAULT;                                                                                    \
        if (unlikely(!p))                                                                                    \
            return op##_slow##n(c, lin, count);                                                              \
        c->fl = op##_at##n(c->fl, p, count);                                                                 \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_I_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        put##n(c, in->rm_off, op##_reg##n(c, GET(T, in->rm_off), (u8)in->imm));                              \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_I_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        return op##_to_mem##n(c, in, (u8)in->imm);                                                           \
    }                                                                                                        \
    static enum outcome op##_CL_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        put##n(c, in->rm_off, op##_reg##n(c, GET(T, in->rm_off), (u8)c->regs[RCX]));                         \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_CL_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        return op##_to_mem##n(c, in, (u8)c->regs[RCX]);                                                      \
    }

#define SHIFT_ROWS(op)                                                                                       \
    FOR_SIZES(SHIFT, op)                                                                                     \
    DEFINE_MEANING_SIZES(op##_I, op##_I);                                                                    \
    DEFINE_MEANING_SIZES(op##_CL, op##_CL);

SHIFT_ROWS(rol)
SHIFT_ROWS(ror)
SHIFT_ROWS(rcl)
SHIFT_ROWS(rcr)
SHIFT_ROWS(shl)
SHIFT_ROWS(shr)
SHIFT_ROWS(sar)

/* A 16-bit count above 16 leaves result and flags to the host (SDM 2B SHLD: undefined). */
#define DOUBLE_SHIFT(n, T, x, op)                                                                            \
    static inline T op##_reg##n(struct cpu *c, T d, T s, u8 count)                                           \
    {                                                                                                        \
        u16 fl = c->fl;                                                                                      \
        asm(FL_LOAD #op x " %%cl, %[s], %[d]" FL_SAVE                                                        \
            : [d] "+r"(d), "+&a"(fl)                                                                         \
            : [s] "r"(s), "c"(count)                                                                         \
            : "cc");                                                                                         \
        c->fl = fl;                                                                                          \
        return d;                                                                                            \
    }                                                                                                        \
    static enum outcome op##_to_mem##n(struct cpu *c, const struct insn *in, u8 count)                       \
    {                                                                                                        \
        u64 lin, d;                                                                                          \
        u16 fl = c->fl;                                                                                      \
        if (insn_linear(c, in, n, true, &lin) != DONE)                                                       \
            return FAULT;                                                                                    \
        if (!tlb_hit(c->tlb->view->write, lin, n) && mmu_probe_write(c, lin, n, AS_CURRENT) != DONE)         \
            return FAULT;                                                                                    \
        if (mmu_load(c, lin, n, &d) != DONE)                                                                 \
            return FAULT;                                                                                    \
        d = op##_reg##n(c, (T)d, GET(T, in->reg_off), count);                                                \
        if (likely(mmu_store(c, lin, n, d) == DONE))                                                         \
            return DONE;                                                                                     \
        c->fl = fl;                                                                                          \
        return FAULT;                                                                                        \
    }                                                                                                        \
    static enum outcome op##_I_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        put##n(c, in->rm_off, op##_reg##n(c, GET(T, in->rm_off), GET(T, in->reg_off), (u8)in->imm));         \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_I_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        return op##_to_mem##n(c, in, (u8)in->imm);                                                           \
    }                                                                                                        \
    static enum outcome op##_CL_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        put##n(c, in->rm_off, op##_reg##n(c, GET(T, in->rm_off), GET(T, in->reg_off), (u8)c->regs[RCX]));    \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_CL_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        return op##_to_mem##n(c, in, (u8)c->regs[RCX]);                                                      \
    }

#define DOUBLE_SHIFT_ROWS(op)                                                                                \
    FOR_WIDE(DOUBLE_SHIFT, op)                                                                               \
    DEFINE_MEANING_WIDE(op##_I, op##_I);                                                                     \
    DEFINE_MEANING_WIDE(op##_CL, op##_CL);

DOUBLE_SHIFT_ROWS(shld)
DOUBLE_SHIFT_ROWS(shrd)
