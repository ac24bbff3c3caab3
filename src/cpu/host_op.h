/* SPDX-License-Identifier: MIT */
/*
 * How a meaning runs the host's own integer instruction, for each operand size.
 *
 * Flags travel through AX in the shape of c->fl: FL_SAVE takes them after the instruction, FL_LOAD (all six)
 * or FL_LOAD_CF (all but OF) gives them to an instruction that reads some, keeps some, or leaves some
 * "undefined": what a host leaves there may depend on what was there before. AX is early-clobbered in every
 * template, so no operand or address lies in it.
 *
 * FOR_SIZES applies a macro M(n, type, suffix, ...) for operand sizes of 1, 2, 4 and 8 bytes, FOR_WIDE for 2,
 * 4 and 8.
 */
#ifndef CPU_HOST_OP_H
#define CPU_HOST_OP_H

#include "cpu/cpu.h"
#include "cpu/meanings.h"
#include "cpu/mmu.h"
#include "cpu/operands.h"

#define FL_LOAD    "addb $0x7f, %%al\n\tsahf\n\t"
#define FL_LOAD_CF "sahf\n\t"
#define FL_SAVE    "\n\tlahf\n\tseto %%al"

#define FOR_WIDE(M, ...)  M(2, u16, "w", __VA_ARGS__) M(4, u32, "l", __VA_ARGS__) M(8, u64, "q", __VA_ARGS__)
#define FOR_SIZES(M, ...) M(1, u8, "b", __VA_ARGS__) FOR_WIDE(M, __VA_ARGS__)

/* Rows without an 8-bit form, and rows whose operand is always a register or always memory. */
#define DEFINE_MEANING_WIDE(name, f)                                                                         \
    const struct meaning m_##name = {{NULL, f##_r2, f##_r4, f##_r8}, {NULL, f##_m2, f##_m4, f##_m8}}
#define DEFINE_MEANING_EACH(name, f)                                                                         \
    const struct meaning m_##name = {{f##1, f##2, f##4, f##8}, {f##1, f##2, f##4, f##8}}

#define cold_path __attribute__((noinline, cold))

/* GPR reads and writes by byte offset; put4 clears the upper half. */
#define GET(T, off) (*(const T *)((const u8 *)c->regs + (off)))

static inline void put1(struct cpu *c, u8 off, u8 v)
{
    *((u8 *)c->regs + off) = v;
}
static inline void put2(struct cpu *c, u8 off, u16 v)
{
    *(u16 *)((u8 *)c->regs + off) = v;
}
static inline void put4(struct cpu *c, u8 off, u32 v)
{
    *(u64 *)((u8 *)c->regs + off) = v;
}
static inline void put8(struct cpu *c, u8 off, u64 v)
{
    *(u64 *)((u8 *)c->regs + off) = v;
}

/* Linear address of an offset in a segment: what insn_linear() does for operands whose address is not in `in`
 * alone. */
static inline enum outcome offset_linear(struct cpu *c, unsigned seg, u64 off, unsigned size, bool write,
                                         u64 *lin)
{
    if (likely(c->mode == MODE_64)) {
        *lin = seg >= FS ? off + c->seg[seg].base : off;
        return DONE;
    }
    return mmu_linear_legacy(c, seg, off, size, write, lin);
}

/* Host pointer of the usual memory operand: 64-bit addressing (which exists in 64-bit mode only) that hits
 * `table`; else NULL. No call and no address taken, so a meaning that hands everything else to a cold twin
 * needs no stack frame. */
static inline void *operand_hit(const struct cpu *c, const struct insn *in, const struct tlb_entry *table,
                                unsigned size)
{
    if (unlikely(in->adsize != 8))
        return NULL;
    u64 lin = c->regs[in->base] + (c->regs[in->index] << in->scale) + (u64)(i64)in->disp;
    if (unlikely(in->seg >= FS))
        lin += c->seg[in->seg].base;
    return tlb_hit(table, lin, size);
}

/* Host pointer of a memory operand that is read and written, when the soft TLB has one; else *p is NULL and
 * *lin is for mmu_rmw_begin(). */
static inline enum outcome operand_rmw(struct cpu *c, const struct insn *in, unsigned size, u64 *lin,
                                       void **p)
{
    if (unlikely(insn_linear(c, in, size, true, lin) != DONE))
        return FAULT;
    *p = tlb_hit(c->tlb->view->write, *lin, size);
    return DONE;
}

#endif
