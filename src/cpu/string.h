/* SPDX-License-Identifier: MIT */
/* Index registers and operands of string instructions, at their address size. SDM 1 7.3.9 */
#ifndef CPU_STRING_H
#define CPU_STRING_H

#include "cpu/host_op.h"

static inline u64 string_index(const struct cpu *c, const struct insn *in, unsigned reg)
{
    return c->regs[reg] & size_mask(in->adsize);
}

static inline void string_advance(struct cpu *c, const struct insn *in, unsigned reg, i64 delta)
{
    u64 v = c->regs[reg] + (u64)delta;
    if (in->adsize == 8)
        c->regs[reg] = v;
    else if (in->adsize == 4)
        c->regs[reg] = (u32)v;
    else
        *(u16 *)&c->regs[reg] = (u16)v;
}

static inline i64 string_step(const struct cpu *c, unsigned size)
{
    return c->rflags & FLAG_DF ? -(i64)size : (i64)size;
}

static inline enum outcome string_source(struct cpu *c, const struct insn *in, unsigned size, u64 *lin)
{
    return offset_linear(c, in->seg, string_index(c, in, RSI), size, false, lin);
}

/* Always ES. */
static inline enum outcome string_target(struct cpu *c, const struct insn *in, unsigned size, bool write,
                                         u64 *lin)
{
    return offset_linear(c, ES, string_index(c, in, RDI), size, write, lin);
}

#endif
