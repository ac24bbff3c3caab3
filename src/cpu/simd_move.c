/* SPDX-License-Identifier: MIT */
/*
 * The vector moves and logic that make up most of a boot and of libc's string functions, without a thunk:
 * bytes are copied between c->vec and memory. They mean exactly what `host` would; anything not here is
 * `host`.
 */
#include "cpu/host_insn.h"
#include "cpu/meanings.h"
#include "cpu/operands.h"
#include "cpu/simd.h"

static inline enum outcome check(struct cpu *c, const struct insn *in)
{
    return in->flags & INSN_VEX ? fpu_check_avx(c) : fpu_check_sse(c);
}

/* Full vectors: MOVUPS, MOVAPS, MOVDQU, MOVDQA, LDDQU, MOVNT*; and their VEX forms. */

static inline void copy_vector(void *to, const void *from, unsigned size)
{
    if (size == 16)
        memcpy(to, from, 16);
    else
        memcpy(to, from, 32);
}

static enum outcome load_reg(struct cpu *c, const struct insn *in)
{
    unsigned size = simd_size(in);
    if (check(c, in) != DONE)
        return FAULT;
    memmove(simd_reg(c, in->reg), simd_reg(c, in->rm), size);
    simd_clear_upper(c, in, in->reg, size);
    return DONE;
}

static enum outcome load_mem(struct cpu *c, const struct insn *in)
{
    u64 lin;
    unsigned size = simd_size(in);
    if (check(c, in) != DONE || simd_linear(c, in, size, false, &lin) != DONE)
        return FAULT;
    const void *p = tlb_hit(c->tlb->view->read, lin, size);
    if (likely(p))
        copy_vector(simd_reg(c, in->reg), p, size);
    else if (mmu_read_slow(c, lin, simd_reg(c, in->reg), size, AS_CURRENT) != DONE)
        return FAULT;
    simd_clear_upper(c, in, in->reg, size);
    return DONE;
}
DEFINE_MEANING_RM(vec_load, load_reg, load_mem);

static enum outcome store_reg(struct cpu *c, const struct insn *in)
{
    unsigned size = simd_size(in);
    if (check(c, in) != DONE)
        return FAULT;
    memmove(simd_reg(c, in->rm), simd_reg(c, in->reg), size);
    simd_clear_upper(c, in, in->rm, size);
    return DONE;
}

static enum outcome store_mem(struct cpu *c, const struct insn *in)
{
    u64 lin;
    unsigned size = simd_size(in);
    if (check(c, in) != DONE || simd_linear(c, in, size, true, &lin) != DONE)
        return FAULT;
    void *p = tlb_hit(c->tlb->view->write, lin, size);
    if (unlikely(!p))
        return mmu_write_slow(c, lin, simd_reg(c, in->reg), size, AS_CURRENT);
    copy_vector(p, simd_reg(c, in->reg), size);
    return DONE;
}
DEFINE_MEANING_RM(vec_store, store_reg, store_mem);

/* MOVD, MOVQ with a general register or memory; W tells the size. */

static unsigned gpr_size(const struct cpu *c, const struct insn *in)
{
    return (in->flags & INSN_W) && c->mode == MODE_64 ? 8 : 4;
}

static void set_low(struct cpu *c, const struct insn *in, unsigned n, unsigned size, u64 v)
{
    store_le(simd_reg(c, n), size, v);
    simd_clear_upper(c, in, n, size);
}

static enum outcome movd_load_reg(struct cpu *c, const struct insn *in)
{
    unsigned size = gpr_size(c, in);
    if (check(c, in) != DONE)
        return FAULT;
    set_low(c, in, in->reg, size, c->regs[in->rm]);
    return DONE;
}

static enum outcome movd_load_mem(struct cpu *c, const struct insn *in)
{
    u64 v;
    unsigned size = gpr_size(c, in);
    if (check(c, in) != DONE || operand_load(c, in, size, &v) != DONE)
        return FAULT;
    set_low(c, in, in->reg, size, v);
    return DONE;
}
DEFINE_MEANING_RM(vec_movd_load, movd_load_reg, movd_load_mem);

static enum outcome movd_store_reg(struct cpu *c, const struct insn *in)
{
    unsigned size = gpr_size(c, in);
    if (check(c, in) != DONE)
        return FAULT;
    c->regs[in->rm] = load_le(simd_reg(c, in->reg), size);
    return DONE;
}

static enum outcome movd_store_mem(struct cpu *c, const struct insn *in)
{
    unsigned size = gpr_size(c, in);
    return check(c, in) == DONE ? operand_store(c, in, size, load_le(simd_reg(c, in->reg), size)) : FAULT;
}
DEFINE_MEANING_RM(vec_movd_store, movd_store_reg, movd_store_mem);

/* MOVQ between vectors or memory. */

static enum outcome movq_load_reg(struct cpu *c, const struct insn *in)
{
    if (check(c, in) != DONE)
        return FAULT;
    set_low(c, in, in->reg, 8, load_le(simd_reg(c, in->rm), 8));
    return DONE;
}

static enum outcome movq_load_mem(struct cpu *c, const struct insn *in)
{
    u64 v;
    if (check(c, in) != DONE || operand_load(c, in, 8, &v) != DONE)
        return FAULT;
    set_low(c, in, in->reg, 8, v);
    return DONE;
}
DEFINE_MEANING_RM(vec_movq_load, movq_load_reg, movq_load_mem);

static enum outcome movq_store_reg(struct cpu *c, const struct insn *in)
{
    if (check(c, in) != DONE)
        return FAULT;
    set_low(c, in, in->rm, 8, load_le(simd_reg(c, in->reg), 8));
    return DONE;
}

static enum outcome movq_store_mem(struct cpu *c, const struct insn *in)
{
    return check(c, in) == DONE ? operand_store(c, in, 8, load_le(simd_reg(c, in->reg), 8)) : FAULT;
}
DEFINE_MEANING_RM(vec_movq_store, movq_store_reg, movq_store_mem);

/* MOVSS, MOVSD: memory forms here, the merging register forms as `host`. */

static enum outcome scalar_load_mem(struct cpu *c, const struct insn *in)
{
    u64 v;
    if (check(c, in) != DONE || operand_load(c, in, in->mem_size, &v) != DONE)
        return FAULT;
    set_low(c, in, in->reg, in->mem_size, v);
    return DONE;
}
DEFINE_MEANING_RM(vec_scalar_load, host_execute, scalar_load_mem);

static enum outcome scalar_store_mem(struct cpu *c, const struct insn *in)
{
    u64 v = load_le(simd_reg(c, in->reg), 8);
    return check(c, in) == DONE ? operand_store(c, in, in->mem_size, v) : FAULT;
}
DEFINE_MEANING_RM(vec_scalar_store, host_execute, scalar_store_mem);

/* Bitwise: PXOR, POR, PAND, PANDN and the PS, PD forms. Legacy: reg = reg op rm. VEX: reg = vvvv op rm. */

enum bitwise { BIT_XOR, BIT_OR, BIT_AND, BIT_ANDN };

static inline u64 bitwise(enum bitwise op, u64 a, u64 b)
{
    switch (op) {
    case BIT_XOR:
        return a ^ b;
    case BIT_OR:
        return a | b;
    case BIT_AND:
        return a & b;
    default:
        return ~a & b;
    }
}

static inline void apply(struct cpu *c, const struct insn *in, enum bitwise op, const u8 *b)
{
    unsigned size = simd_size(in), n = in->flags & INSN_VEX ? in->vreg : in->reg;
    u8 *a = simd_reg(c, n), *to = simd_reg(c, in->reg);
    for (unsigned i = 0; i < size; i += 8)
        store_le(to + i, 8, bitwise(op, load_le(a + i, 8), load_le(b + i, 8)));
    simd_clear_upper(c, in, in->reg, size);
}

static inline enum outcome bitwise_reg(struct cpu *c, const struct insn *in, enum bitwise op)
{
    if (check(c, in) != DONE)
        return FAULT;
    apply(c, in, op, simd_reg(c, in->rm));
    return DONE;
}

static inline enum outcome bitwise_mem(struct cpu *c, const struct insn *in, enum bitwise op)
{
    u64 lin;
    u8 b[32];
    unsigned size = simd_size(in);
    if (check(c, in) != DONE || simd_linear(c, in, size, false, &lin) != DONE ||
        mmu_read(c, lin, b, size) != DONE)
        return FAULT;
    apply(c, in, op, b);
    return DONE;
}

#define BITWISE(name, op)                                                                                    \
    static enum outcome name##_reg(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        return bitwise_reg(c, in, op);                                                                       \
    }                                                                                                        \
    static enum outcome name##_mem(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        return bitwise_mem(c, in, op);                                                                       \
    }                                                                                                        \
    DEFINE_MEANING_RM(name, name##_reg, name##_mem)

BITWISE(vec_xor, BIT_XOR);
BITWISE(vec_or, BIT_OR);
BITWISE(vec_and, BIT_AND);
BITWISE(vec_andn, BIT_ANDN);

/* VZEROUPPER, VZEROALL. Outside 64-bit mode YMM8-15 stay. SDM 2C */

static enum outcome zero(struct cpu *c, unsigned from)
{
    if (fpu_check_avx(c) != DONE)
        return FAULT;
    for (unsigned i = 0; i < (c->mode == MODE_64 ? 16 : 8); i++)
        memset(c->vec[i] + from, 0, 32 - from);
    return DONE;
}

static enum outcome vzeroupper(struct cpu *c, const struct insn *in)
{
    return zero(c, 16);
}
DEFINE_MEANING_ONE(vzeroupper, vzeroupper);

static enum outcome vzeroall(struct cpu *c, const struct insn *in)
{
    return zero(c, 0);
}
DEFINE_MEANING_ONE(vzeroall, vzeroall);
