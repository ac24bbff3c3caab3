/* SPDX-License-Identifier: MIT */
/* Register operands of a decoded instruction. 32-bit writes clear the upper half; 8- and 16-bit ones keep it.
 */
#ifndef CPU_OPERANDS_H
#define CPU_OPERANDS_H

#include "cpu/cpu.h"

static inline void *reg_at(struct cpu *c, u8 off)
{
    return (u8 *)c->regs + off;
}

static inline u64 reg_get(struct cpu *c, u8 off, unsigned size)
{
    return load_le(reg_at(c, off), size);
}

static inline void reg_set(struct cpu *c, u8 off, unsigned size, u64 v)
{
    if (size == 4)
        *(u64 *)reg_at(c, off) = (u32)v;
    else
        store_le(reg_at(c, off), size, v);
}

#endif
