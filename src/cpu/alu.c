/* SPDX-License-Identifier: MIT */
/*
 * ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT. SDM 2A, 2B.
 *
 * Each operation is the host's, once on registers (_reg), once on memory (_mem) and once on memory with LOCK
 * (_lock); the forms differ only in where the operands come from: EG, GE, EI. A memory destination is worked
 * on in place when the soft TLB has a writable page, so write permission is known before anything changes.
 */
#include "cpu/host_op.h"

#define IN_none
#define IN_cf    , "1"(c->fl)
#define PRE_none ""
#define PRE_cf   FL_LOAD_CF

/* d op= s. `pre` says whether the operation reads flags (adc, sbb). */
#define BINARY_RW(n, T, x, op, pre)                                                                          \
    static inline T op##_reg##n(struct cpu *c, T d, T s)                                                     \
    {                                                                                                        \
        u16 fl;                                                                                              \
        asm(PRE_##pre #op x " %[s], %[d]" FL_SAVE : [d] "+r"(d), "=&a"(fl) : [s] "r"(s)IN_##pre : "cc");     \
        c->fl = fl;                                                                                          \
        return d;                                                                                            \
    }                                                                                                        \
    static inline u16 op##_mem##n(struct cpu *c, T *d, T s)                                                  \
    {                                                                                                        \
        u16 fl;                                                                                              \
        asm volatile(PRE_##pre #op x " %[s], %[d]" FL_SAVE                                                   \
                     : [d] "+m"(*d), "=&a"(fl)                                                               \
                     : [s] "r"(s)IN_##pre                                                                    \
                     : "cc", "memory");                                                                      \
        return fl;                                                                                           \
    }                                                                                                        \
    static inline u16 op##_lock##n(struct cpu *c, T *d, T s)                                                 \
    {                                                                                                        \
        u16 fl;                                                                                              \
        asm volatile(PRE_##pre "lock " #op x " %[s], %[d]" FL_SAVE                                           \
                     : [d] "+m"(*d), "=&a"(fl)                                                               \
                     : [s] "r"(s)IN_##pre                                                                    \
                     : "cc", "memory");                                                                      \
        return fl;                                                                                           \
    }                                                                                                        \
    static cold_path enum outcome op##_any##n(struct cpu *c, const struct insn *in, T s)                     \
    {                                                                                                        \
        u64 lin;                                                                                             \
        struct rmw r;                                                                                        \
        if (insn_linear(c, in, n, true, &lin) != DONE || mmu_rmw_begin(c, &r, lin, n) != DONE)               \
            return FAULT;                                                                                    \
        u16 fl = op##_lock##n(c, r.ptr, s);                                                                  \
        if (mmu_rmw_end(c, &r) != DONE)                                                                      \
            return FAULT;                                                                                    \
        c->fl = fl;                                                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static inline enum outcome op##_to_mem##n(struct cpu *c, const struct insn *in, T s)                     \
    {                                                                                                        \
        void *p = operand_hit(c, in, c->tlb->view->write, n);                                                \
        if (unlikely(!p))                                                                                    \
            return op##_any##n(c, in, s);                                                                    \
        if (unlikely(in->flags & INSN_LOCK)) {                                                               \
            if (unlikely(splits_line(p, n)))                                                                 \
                return op##_any##n(c, in, s);                                                                \
            c->fl = op##_lock##n(c, p, s);                                                                   \
        } else {                                                                                             \
            c->fl = op##_mem##n(c, p, s);                                                                    \
        }                                                                                                    \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EG_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        put##n(c, in->rm_off, op##_reg##n(c, GET(T, in->rm_off), GET(T, in->reg_off)));                      \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EG_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        return op##_to_mem##n(c, in, GET(T, in->reg_off));                                                   \
    }                                                                                                        \
    static enum outcome op##_GE_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        put##n(c, in->reg_off, op##_reg##n(c, GET(T, in->reg_off), GET(T, in->rm_off)));                     \
        return DONE;                                                                                         \
    }                                                                                                        \
    static cold_path enum outcome op##_GE_any##n(struct cpu *c, const struct insn *in)                       \
    {                                                                                                        \
        u64 s;                                                                                               \
        if (operand_load(c, in, n, &s) != DONE)                                                              \
            return FAULT;                                                                                    \
        put##n(c, in->reg_off, op##_reg##n(c, GET(T, in->reg_off), (T)s));                                   \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_GE_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        const void *p = operand_hit(c, in, c->tlb->view->read, n);                                           \
        if (unlikely(!p))                                                                                    \
            return op##_GE_any##n(c, in);                                                                    \
        put##n(c, in->reg_off, op##_reg##n(c, GET(T, in->reg_off), (T)load_le(p, n)));                       \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EI_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        put##n(c, in->rm_off, op##_reg##n(c, GET(T, in->rm_off), (T)in->imm));                               \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EI_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        return op##_to_mem##n(c, in, (T)in->imm);                                                            \
    }

#define BINARY_ROWS(op)                                                                                      \
    DEFINE_MEANING_SIZES(op##_EG, op##_EG);                                                                  \
    DEFINE_MEANING_SIZES(op##_GE, op##_GE);                                                                  \
    DEFINE_MEANING_SIZES(op##_EI, op##_EI);

FOR_SIZES(BINARY_RW, add, none)
FOR_SIZES(BINARY_RW, or, none)
FOR_SIZES(BINARY_RW, adc, cf)
FOR_SIZES(BINARY_RW, sbb, cf)
FOR_SIZES(BINARY_RW, and, none)
FOR_SIZES(BINARY_RW, sub, none)
FOR_SIZES(BINARY_RW, xor, none)
BINARY_ROWS(add)
BINARY_ROWS(or)
BINARY_ROWS(adc)
BINARY_ROWS(sbb)
BINARY_ROWS(and)
BINARY_ROWS(sub)
BINARY_ROWS(xor)

/* Flags of d op s only. */
#define COMPARE(n, T, x, op)                                                                                 \
    static inline void op##_reg##n(struct cpu *c, T d, T s)                                                  \
    {                                                                                                        \
        u16 fl;                                                                                              \
        asm(#op x " %[s], %[d]" FL_SAVE : "=&a"(fl) : [d] "r"(d), [s] "r"(s) : "cc");                        \
        c->fl = fl;                                                                                          \
    }                                                                                                        \
    static enum outcome op##_EG_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        op##_reg##n(c, GET(T, in->rm_off), GET(T, in->reg_off));                                             \
        return DONE;                                                                                         \
    }                                                                                                        \
    static cold_path enum outcome op##_EG_any##n(struct cpu *c, const struct insn *in)                       \
    {                                                                                                        \
        u64 d;                                                                                               \
        if (operand_load(c, in, n, &d) != DONE)                                                              \
            return FAULT;                                                                                    \
        op##_reg##n(c, (T)d, GET(T, in->reg_off));                                                           \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EG_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        const void *p = operand_hit(c, in, c->tlb->view->read, n);                                           \
        if (unlikely(!p))                                                                                    \
            return op##_EG_any##n(c, in);                                                                    \
        op##_reg##n(c, (T)load_le(p, n), GET(T, in->reg_off));                                               \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EI_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        op##_reg##n(c, GET(T, in->rm_off), (T)in->imm);                                                      \
        return DONE;                                                                                         \
    }                                                                                                        \
    static cold_path enum outcome op##_EI_any##n(struct cpu *c, const struct insn *in)                       \
    {                                                                                                        \
        u64 d;                                                                                               \
        if (operand_load(c, in, n, &d) != DONE)                                                              \
            return FAULT;                                                                                    \
        op##_reg##n(c, (T)d, (T)in->imm);                                                                    \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_EI_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        const void *p = operand_hit(c, in, c->tlb->view->read, n);                                           \
        if (unlikely(!p))                                                                                    \
            return op##_EI_any##n(c, in);                                                                    \
        op##_reg##n(c, (T)load_le(p, n), (T)in->imm);                                                        \
        return DONE;                                                                                         \
    }

#define CMP_GE(n, T, x, ...)                                                                                 \
    static enum outcome cmp_GE_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        cmp_reg##n(c, GET(T, in->reg_off), GET(T, in->rm_off));                                              \
        return DONE;                                                                                         \
    }                                                                                                        \
    static cold_path enum outcome cmp_GE_any##n(struct cpu *c, const struct insn *in)                        \
    {                                                                                                        \
        u64 s;                                                                                               \
        if (operand_load(c, in, n, &s) != DONE)                                                              \
            return FAULT;                                                                                    \
        cmp_reg##n(c, GET(T, in->reg_off), (T)s);                                                            \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome cmp_GE_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        const void *p = operand_hit(c, in, c->tlb->view->read, n);                                           \
        if (unlikely(!p))                                                                                    \
            return cmp_GE_any##n(c, in);                                                                     \
        cmp_reg##n(c, GET(T, in->reg_off), (T)load_le(p, n));                                                \
        return DONE;                                                                                         \
    }

FOR_SIZES(COMPARE, cmp)
FOR_SIZES(COMPARE, test)
FOR_SIZES(CMP_GE)
BINARY_ROWS(cmp)
DEFINE_MEANING_SIZES(test_EG, test_EG);
DEFINE_MEANING_SIZES(test_EI, test_EI);

/* One operand. INC and DEC keep CF, NOT keeps all: both get the flags first. */
#define UNARY(n, T, x, op)                                                                                   \
    static inline u16 op##_mem##n(u16 fl, T *d)                                                              \
    {                                                                                                        \
        asm volatile(FL_LOAD #op x " %[d]" FL_SAVE : [d] "+m"(*d), "+&a"(fl)::"cc", "memory");               \
        return fl;                                                                                           \
    }                                                                                                        \
    static inline u16 op##_lock##n(u16 fl, T *d)                                                             \
    {                                                                                                        \
        asm volatile(FL_LOAD "lock " #op x " %[d]" FL_SAVE : [d] "+m"(*d), "+&a"(fl)::"cc", "memory");       \
        return fl;                                                                                           \
    }                                                                                                        \
    static cold_path enum outcome op##_any##n(struct cpu *c, const struct insn *in)                          \
    {                                                                                                        \
        u64 lin;                                                                                             \
        struct rmw r;                                                                                        \
        if (insn_linear(c, in, n, true, &lin) != DONE || mmu_rmw_begin(c, &r, lin, n) != DONE)               \
            return FAULT;                                                                                    \
        u16 fl = op##_lock##n(c->fl, r.ptr);                                                                 \
        if (mmu_rmw_end(c, &r) != DONE)                                                                      \
            return FAULT;                                                                                    \
        c->fl = fl;                                                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_E_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        u16 fl = c->fl;                                                                                      \
        T d = GET(T, in->rm_off);                                                                            \
        asm(FL_LOAD #op x " %[d]" FL_SAVE : [d] "+r"(d), "+&a"(fl)::"cc");                                   \
        c->fl = fl;                                                                                          \
        put##n(c, in->rm_off, d);                                                                            \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome op##_E_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        void *p = operand_hit(c, in, c->tlb->view->write, n);                                                \
        if (unlikely(!p))                                                                                    \
            return op##_any##n(c, in);                                                                       \
        if (unlikely(in->flags & INSN_LOCK)) {                                                               \
            if (unlikely(splits_line(p, n)))                                                                 \
                return op##_any##n(c, in);                                                                   \
            c->fl = op##_lock##n(c->fl, p);                                                                  \
        } else {                                                                                             \
            c->fl = op##_mem##n(c->fl, p);                                                                   \
        }                                                                                                    \
        return DONE;                                                                                         \
    }

FOR_SIZES(UNARY, inc)
FOR_SIZES(UNARY, dec)
FOR_SIZES(UNARY, neg)
FOR_SIZES(UNARY, not )
DEFINE_MEANING_SIZES(inc, inc_E);
DEFINE_MEANING_SIZES(dec, dec_E);
DEFINE_MEANING_SIZES(neg, neg_E);
DEFINE_MEANING_SIZES(not, not_E);
