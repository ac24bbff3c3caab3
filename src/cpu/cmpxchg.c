/* SPDX-License-Identifier: MIT */
/*
 * CMPXCHG, XADD, CMPXCHG8B and CMPXCHG16B. SDM 2A, 2B.
 *
 * All of them write their memory operand even when the comparison fails (with what it held), so they always
 * need write permission. RAX is an operand, so it moves out of the way before the flags move in.
 */
#include "cpu/host_op.h"

/* On 64-bit variables, so that what happens to the upper halves of 32-bit operands is the host's decision. */
#define CMPXCHG_ASM(lock, x, k, dest) lock "cmpxchg" x " %" k "[s], " dest "\n\tmovq %%rax, %[a]" FL_SAVE

#define CMPXCHG(n, T, x, k)                                                                                  \
    static enum outcome cmpxchg_r##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        u64 rax = c->regs[RAX], a;                                                                           \
        union {                                                                                              \
            u64 q;                                                                                           \
            T t;                                                                                             \
        } d = {.q = n >= 4 ? c->regs[in->rm] : GET(T, in->rm_off)};                                          \
        asm(CMPXCHG_ASM("", x, k, "%" k "[d]")                                                               \
            : [d] "+r"(d.q), "+&a"(rax), [a] "=&r"(a)                                                        \
            : [s] "r"((u64)GET(T, in->reg_off))                                                              \
            : "cc");                                                                                         \
        c->fl = (u16)rax;                                                                                    \
        c->regs[RAX] = a;                                                                                    \
        if (n >= 4)                                                                                          \
            c->regs[in->rm] = d.q;                                                                           \
        else if (c->fl & FL_ZF)                                                                              \
            put##n(c, in->rm_off, d.t);                                                                      \
        return DONE;                                                                                         \
    }                                                                                                        \
    static inline u16 cmpxchg_at##n(T *p, u64 *rax, T s)                                                     \
    {                                                                                                        \
        u64 fl = *rax, a;                                                                                    \
        asm volatile(CMPXCHG_ASM("", x, k, "%[p]")                                                           \
                     : [p] "+m"(*p), "+&a"(fl), [a] "=&r"(a)                                                 \
                     : [s] "r"((u64)s)                                                                       \
                     : "cc", "memory");                                                                      \
        *rax = a;                                                                                            \
        return (u16)fl;                                                                                      \
    }                                                                                                        \
    static inline u16 cmpxchg_lock##n(T *p, u64 *rax, T s)                                                   \
    {                                                                                                        \
        u64 fl = *rax, a;                                                                                    \
        asm volatile(CMPXCHG_ASM("lock ", x, k, "%[p]")                                                      \
                     : [p] "+m"(*p), "+&a"(fl), [a] "=&r"(a)                                                 \
                     : [s] "r"((u64)s)                                                                       \
                     : "cc", "memory");                                                                      \
        *rax = a;                                                                                            \
        return (u16)fl;                                                                                      \
    }                                                                                                        \
    static cold_path enum outcome cmpxchg_slow##n(struct cpu *c, const struct insn *in, u64 lin)             \
    {                                                                                                        \
        struct rmw r;                                                                                        \
        u64 rax = c->regs[RAX];                                                                              \
        if (mmu_rmw_begin(c, &r, lin, n) != DONE)                                                            \
            return FAULT;                                                                                    \
        u16 fl = cmpxchg_lock##n(r.ptr, &rax, GET(T, in->reg_off));                                          \
        if (mmu_rmw_end(c, &r) != DONE)                                                                      \
            return FAULT;                                                                                    \
        c->fl = fl;                                                                                          \
        c->regs[RAX] = rax;                                                                                  \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome cmpxchg_m##n(struct cpu *c, const struct insn *in)                                   \
    {                                                                                                        \
        u64 lin;                                                                                             \
        void *p;                                                                                             \
        T s = GET(T, in->reg_off);                                                                           \
        if (unlikely(operand_rmw(c, in, n, &lin, &p) != DONE))                                               \
            return FAULT;                                                                                    \
        if (unlikely(!p || ((in->flags & INSN_LOCK) && splits_line(p, n))))                                  \
            return cmpxchg_slow##n(c, in, lin);                                                              \
        c->fl = in->flags & INSN_LOCK ? cmpxchg_lock##n(p, &c->regs[RAX], s)                                 \
                                      : cmpxchg_at##n(p, &c->regs[RAX], s);                                  \
        return DONE;                                                                                         \
    }

CMPXCHG(1, u8, "b", "b")
CMPXCHG(2, u16, "w", "w")
CMPXCHG(4, u32, "l", "k")
CMPXCHG(8, u64, "q", "q")
DEFINE_MEANING_SIZES(cmpxchg, cmpxchg);

#define XADD(n, T, x, ...)                                                                                   \
    static enum outcome xadd_r##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        T d = GET(T, in->rm_off), s = GET(T, in->reg_off), sum;                                              \
        u16 fl;                                                                                              \
        sum = d;                                                                                             \
        asm("add" x " %[s], %[d]" FL_SAVE : [d] "+r"(sum), "=&a"(fl) : [s] "r"(s) : "cc");                   \
        c->fl = fl;                                                                                          \
        put##n(c, in->reg_off, d);                                                                           \
        put##n(c, in->rm_off, sum);                                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static inline u16 xadd_at##n(T *p, T *s)                                                                 \
    {                                                                                                        \
        u16 fl;                                                                                              \
        asm volatile("xadd" x " %[s], %[p]" FL_SAVE                                                          \
                     : [p] "+m"(*p), [s] "+&r"(*s), "=&a"(fl)::"cc", "memory");                              \
        return fl;                                                                                           \
    }                                                                                                        \
    static inline u16 xadd_lock##n(T *p, T *s)                                                               \
    {                                                                                                        \
        u16 fl;                                                                                              \
        asm volatile("lock xadd" x " %[s], %[p]" FL_SAVE                                                     \
                     : [p] "+m"(*p), [s] "+&r"(*s), "=&a"(fl)::"cc", "memory");                              \
        return fl;                                                                                           \
    }                                                                                                        \
    static cold_path enum outcome xadd_slow##n(struct cpu *c, const struct insn *in, u64 lin)                \
    {                                                                                                        \
        struct rmw r;                                                                                        \
        T s = GET(T, in->reg_off);                                                                           \
        if (mmu_rmw_begin(c, &r, lin, n) != DONE)                                                            \
            return FAULT;                                                                                    \
        u16 fl = xadd_lock##n(r.ptr, &s);                                                                    \
        if (mmu_rmw_end(c, &r) != DONE)                                                                      \
            return FAULT;                                                                                    \
        c->fl = fl;                                                                                          \
        put##n(c, in->reg_off, s);                                                                           \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome xadd_m##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        u64 lin;                                                                                             \
        void *p;                                                                                             \
        T s = GET(T, in->reg_off);                                                                           \
        if (unlikely(operand_rmw(c, in, n, &lin, &p) != DONE))                                               \
            return FAULT;                                                                                    \
        if (unlikely(!p || ((in->flags & INSN_LOCK) && splits_line(p, n))))                                  \
            return xadd_slow##n(c, in, lin);                                                                 \
        c->fl = in->flags & INSN_LOCK ? xadd_lock##n(p, &s) : xadd_at##n(p, &s);                             \
        put##n(c, in->reg_off, s);                                                                           \
        return DONE;                                                                                         \
    }

FOR_SIZES(XADD)
DEFINE_MEANING_SIZES(xadd, xadd);

/* Without LOCK too they run locked here: nobody can tell, and one form is enough. Only ZF changes. */
static bool exchange8(void *p, u64 *lo, u64 *hi, u64 new_lo, u64 new_hi)
{
    u64 expected = *hi << 32 | (u32)*lo;
    if (__atomic_compare_exchange_n((u64 *)p, &expected, new_hi << 32 | (u32)new_lo, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
        return true;
    *lo = (u32)expected;
    *hi = expected >> 32;
    return false;
}

static bool exchange16(void *p, u64 *lo, u64 *hi, u64 new_lo, u64 new_hi)
{
    bool equal;
    asm volatile("lock cmpxchg16b %[p]"
                 : [p] "+m"(*(u8(*)[16])p), "+a"(*lo), "+d"(*hi), "=@ccz"(equal)
                 : "b"(new_lo), "c"(new_hi)
                 : "memory");
    return equal;
}

static enum outcome exchange_pair(struct cpu *c, u64 lin, unsigned size)
{
    struct rmw r;
    u64 lo = c->regs[RAX], hi = c->regs[RDX];
    if (mmu_rmw_begin(c, &r, lin, size) != DONE)
        return FAULT;
    bool equal = (size == 8 ? exchange8 : exchange16)(r.ptr, &lo, &hi, c->regs[RBX], c->regs[RCX]);
    if (mmu_rmw_end(c, &r) != DONE)
        return FAULT;
    if (!equal) {
        c->regs[RAX] = lo;
        c->regs[RDX] = hi;
    }
    c->fl = (u16)(equal ? c->fl | FL_ZF : c->fl & ~FL_ZF);
    return DONE;
}

static enum outcome cmpxchg8b(struct cpu *c, const struct insn *in)
{
    u64 lin;
    if (insn_linear(c, in, 8, true, &lin) != DONE)
        return FAULT;
    return exchange_pair(c, lin, 8);
}

static enum outcome cmpxchg16b(struct cpu *c, const struct insn *in)
{
    u64 lin;
    if (insn_linear(c, in, 16, true, &lin) != DONE)
        return FAULT;
    if (lin & 15)
        return fault_gp0(c);
    return exchange_pair(c, lin, 16);
}

DEFINE_MEANING_ONE(cmpxchg8b, cmpxchg8b);
DEFINE_MEANING_ONE(cmpxchg16b, cmpxchg16b);
