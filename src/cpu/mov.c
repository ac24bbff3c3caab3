/* SPDX-License-Identifier: MIT */
/*
 * Data movement without arithmetic: MOV, MOVZX, MOVSX, MOVSXD, LEA, XCHG, CMOVcc, SETcc, MOVBE, MOVNTI,
 * BSWAP, CBW and CWD. SDM 2A, 2B. MOV with segment, control and debug registers is elsewhere.
 *
 * XCHG with memory is always atomic, LOCK or not. SDM 3A 8.1.2.1
 */
#include "cpu/flags.h"
#include "cpu/host_op.h"

#define MOV(n, T, x, ...)                                                                                    \
    static enum outcome mov_EG_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        put##n(c, in->rm_off, GET(T, in->reg_off));                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static cold_path enum outcome mov_EG_any##n(struct cpu *c, const struct insn *in)                        \
    {                                                                                                        \
        return operand_store(c, in, n, GET(T, in->reg_off));                                                 \
    }                                                                                                        \
    static enum outcome mov_EG_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        void *p = operand_hit(c, in, c->tlb->view->write, n);                                                \
        if (unlikely(!p))                                                                                    \
            return mov_EG_any##n(c, in);                                                                     \
        store_le(p, n, GET(T, in->reg_off));                                                                 \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome mov_GE_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        put##n(c, in->reg_off, GET(T, in->rm_off));                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static cold_path enum outcome mov_GE_any##n(struct cpu *c, const struct insn *in)                        \
    {                                                                                                        \
        u64 v;                                                                                               \
        if (operand_load(c, in, n, &v) != DONE)                                                              \
            return FAULT;                                                                                    \
        put##n(c, in->reg_off, (T)v);                                                                        \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome mov_GE_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        const void *p = operand_hit(c, in, c->tlb->view->read, n);                                           \
        if (unlikely(!p))                                                                                    \
            return mov_GE_any##n(c, in);                                                                     \
        put##n(c, in->reg_off, (T)load_le(p, n));                                                            \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome mov_EI_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        put##n(c, in->rm_off, (T)in->imm);                                                                   \
        return DONE;                                                                                         \
    }                                                                                                        \
    static cold_path enum outcome mov_EI_any##n(struct cpu *c, const struct insn *in)                        \
    {                                                                                                        \
        return operand_store(c, in, n, (T)in->imm);                                                          \
    }                                                                                                        \
    static enum outcome mov_EI_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        void *p = operand_hit(c, in, c->tlb->view->write, n);                                                \
        if (unlikely(!p))                                                                                    \
            return mov_EI_any##n(c, in);                                                                     \
        store_le(p, n, (T)in->imm);                                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome mov_AO##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        u64 lin, v;                                                                                          \
        if (offset_linear(c, in->seg, in->imm, n, false, &lin) != DONE || mmu_load(c, lin, n, &v) != DONE)   \
            return FAULT;                                                                                    \
        put##n(c, 0, (T)v);                                                                                  \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome mov_OA##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        u64 lin;                                                                                             \
        if (offset_linear(c, in->seg, in->imm, n, true, &lin) != DONE)                                       \
            return FAULT;                                                                                    \
        return mmu_store(c, lin, n, GET(T, 0));                                                              \
    }

FOR_SIZES(MOV)
DEFINE_MEANING_SIZES(mov_EG, mov_EG);
DEFINE_MEANING_SIZES(mov_GE, mov_GE);
DEFINE_MEANING_SIZES(mov_EI, mov_EI);
DEFINE_MEANING_EACH(mov_AO, mov_AO);
DEFINE_MEANING_EACH(mov_OA, mov_OA);
DEFINE_MEANING_SIZES(movnti, mov_EG);

/* From S to the signed or unsigned type D of operand size n. */
#define EXTEND(n, D, name, S)                                                                                \
    static enum outcome name##_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        put##n(c, in->reg_off, (D)GET(S, in->rm_off));                                                       \
        return DONE;                                                                                         \
    }                                                                                                        \
    static cold_path enum outcome name##_any##n(struct cpu *c, const struct insn *in)                        \
    {                                                                                                        \
        u64 v;                                                                                               \
        if (operand_load(c, in, sizeof(S), &v) != DONE)                                                      \
            return FAULT;                                                                                    \
        put##n(c, in->reg_off, (D)(S)v);                                                                     \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome name##_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        const void *p = operand_hit(c, in, c->tlb->view->read, sizeof(S));                                   \
        if (unlikely(!p))                                                                                    \
            return name##_any##n(c, in);                                                                     \
        put##n(c, in->reg_off, (D)(S)load_le(p, sizeof(S)));                                                 \
        return DONE;                                                                                         \
    }
#define EXTEND_WIDE(name, U, S) EXTEND(2, U##16, name, S) EXTEND(4, U##32, name, S) EXTEND(8, U##64, name, S)

EXTEND_WIDE(movzx8, u, u8)
EXTEND_WIDE(movzx16, u, u16)
EXTEND_WIDE(movsx8, i, i8)
EXTEND_WIDE(movsx16, i, i16)
EXTEND(2, u16, movsxd, u16)
EXTEND(4, u32, movsxd, u32)
EXTEND(8, i64, movsxd, i32)
DEFINE_MEANING_WIDE(movzx8, movzx8);
DEFINE_MEANING_WIDE(movzx16, movzx16);
DEFINE_MEANING_WIDE(movsx8, movsx8);
DEFINE_MEANING_WIDE(movsx16, movsx16);
DEFINE_MEANING_WIDE(movsxd, movsxd);

/* Conditions. A false CMOV still reads memory, and clears the upper half of a 32-bit destination. */
#define CONDITIONAL(n, T, x, ...)                                                                            \
    static enum outcome cmov_r##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        T s = GET(T, in->rm_off), d = GET(T, in->reg_off);                                                   \
        put##n(c, in->reg_off, flags_test(c->fl, in->opcode) ? s : d);                                       \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome cmov_m##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        u64 s;                                                                                               \
        if (unlikely(operand_load(c, in, n, &s) != DONE))                                                    \
            return FAULT;                                                                                    \
        put##n(c, in->reg_off, flags_test(c->fl, in->opcode) ? (T)s : GET(T, in->reg_off));                  \
        return DONE;                                                                                         \
    }

FOR_WIDE(CONDITIONAL)
DEFINE_MEANING_WIDE(cmovcc, cmov);

static enum outcome setcc_r(struct cpu *c, const struct insn *in)
{
    put1(c, in->rm_off, flags_test(c->fl, in->opcode));
    return DONE;
}

static enum outcome setcc_m(struct cpu *c, const struct insn *in)
{
    return operand_store(c, in, 1, flags_test(c->fl, in->opcode));
}

DEFINE_MEANING_RM(setcc, setcc_r, setcc_m);

#define SINGLE(n, T, x, ...)                                                                                 \
    static enum outcome lea##n(struct cpu *c, const struct insn *in)                                         \
    {                                                                                                        \
        put##n(c, in->reg_off, (T)insn_ea(c, in));                                                           \
        return DONE;                                                                                         \
    }                                                                                                        \
    static inline T swapped##n(T v)                                                                          \
    {                                                                                                        \
        return n == 2   ? (T)__builtin_bswap16((u16)v)                                                       \
               : n == 4 ? (T)__builtin_bswap32((u32)v)                                                       \
                        : (T)__builtin_bswap64(v);                                                           \
    }                                                                                                        \
    static enum outcome movbe_GE##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        u64 v;                                                                                               \
        if (operand_load(c, in, n, &v) != DONE)                                                              \
            return FAULT;                                                                                    \
        put##n(c, in->reg_off, swapped##n((T)v));                                                            \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome movbe_EG##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        return operand_store(c, in, n, swapped##n(GET(T, in->reg_off)));                                     \
    }

FOR_WIDE(SINGLE)
#define lea1      NULL
#define movbe_GE1 NULL
#define movbe_EG1 NULL
DEFINE_MEANING_EACH(lea, lea);
DEFINE_MEANING_EACH(movbe_GE, movbe_GE);
DEFINE_MEANING_EACH(movbe_EG, movbe_EG);

/* 16 bits: undefined by the manuals, so whatever the host does. SDM 2A BSWAP */
static enum outcome bswap_r2(struct cpu *c, const struct insn *in)
{
    u64 v = c->regs[in->rm];
    asm(".byte 0x66\n\tbswap %k0" : "+r"(v));
    c->regs[in->rm] = v;
    return DONE;
}

static enum outcome bswap_r4(struct cpu *c, const struct insn *in)
{
    put4(c, in->rm_off, __builtin_bswap32(GET(u32, in->rm_off)));
    return DONE;
}

static enum outcome bswap_r8(struct cpu *c, const struct insn *in)
{
    put8(c, in->rm_off, __builtin_bswap64(GET(u64, in->rm_off)));
    return DONE;
}

const struct meaning m_bswap = {{NULL, bswap_r2, bswap_r4, bswap_r8}, {NULL, NULL, NULL, NULL}};

/* XCHG has an implied LOCK, and the host's xchg with memory as well. */
#define EXCHANGE(n, T, x, ...)                                                                               \
    static enum outcome xchg_r##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        T e = GET(T, in->rm_off), g = GET(T, in->reg_off);                                                   \
        put##n(c, in->rm_off, g);                                                                            \
        put##n(c, in->reg_off, e);                                                                           \
        return DONE;                                                                                         \
    }                                                                                                        \
    static inline T xchg_at##n(T *p, T g)                                                                    \
    {                                                                                                        \
        asm volatile("xchg" x " %[g], %[p]" : [g] "+r"(g), [p] "+m"(*p)::"memory");                          \
        return g;                                                                                            \
    }                                                                                                        \
    static cold_path enum outcome xchg_slow##n(struct cpu *c, const struct insn *in, u64 lin)                \
    {                                                                                                        \
        struct rmw r;                                                                                        \
        if (mmu_rmw_begin(c, &r, lin, n) != DONE)                                                            \
            return FAULT;                                                                                    \
        T old = xchg_at##n(r.ptr, GET(T, in->reg_off));                                                      \
        if (mmu_rmw_end(c, &r) != DONE)                                                                      \
            return FAULT;                                                                                    \
        put##n(c, in->reg_off, old);                                                                         \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome xchg_m##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        u64 lin;                                                                                             \
        void *p;                                                                                             \
        if (unlikely(operand_rmw(c, in, n, &lin, &p) != DONE))                                               \
            return FAULT;                                                                                    \
        if (unlikely(!p || splits_line(p, n)))                                                               \
            return xchg_slow##n(c, in, lin);                                                                 \
        put##n(c, in->reg_off, xchg_at##n(p, GET(T, in->reg_off)));                                          \
        return DONE;                                                                                         \
    }

FOR_SIZES(EXCHANGE)
DEFINE_MEANING_SIZES(xchg_EG, xchg);

/* CBW CWDE CDQE; CWD CDQ CQO. */
#define WIDEN(n, D, S, ...)                                                                                  \
    static enum outcome cbw##n(struct cpu *c, const struct insn *in)                                         \
    {                                                                                                        \
        put##n(c, 0, (D)GET(S, 0));                                                                          \
        return DONE;                                                                                         \
    }                                                                                                        \
    static enum outcome cwd##n(struct cpu *c, const struct insn *in)                                         \
    {                                                                                                        \
        put##n(c, RDX * 8, (D)(GET(D, 0) < 0 ? -1 : 0));                                                     \
        return DONE;                                                                                         \
    }

WIDEN(2, i16, i8)
WIDEN(4, i32, i16)
WIDEN(8, i64, i32)
#define cbw1 NULL
#define cwd1 NULL
DEFINE_MEANING_EACH(cbw, cbw);
DEFINE_MEANING_EACH(cwd, cwd);
