/* SPDX-License-Identifier: MIT */
/* Register operands of a decoded instruction. 32-bit writes clear the upper half; 8- and 16-bit ones keep it. */
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

/* Condition code 0..15 (opcode low nibble) against the LAHF/SETO-shaped flags. SDM 1 appendix B */
static inline bool flags_condition(u16 fl, unsigned cc)
{
    bool r;
    switch (cc >> 1) {
    case 0: r = fl & FL_OF; break;
    case 1: r = fl & FL_CF; break;
    case 2: r = fl & FL_ZF; break;
    case 3: r = fl & (FL_CF | FL_ZF); break;
    case 4: r = fl & FL_SF; break;
    case 5: r = fl & FL_PF; break;
    case 6: r = !(fl & FL_SF) != !(fl & FL_OF); break;
    default: r = (fl & FL_ZF) || (!(fl & FL_SF) != !(fl & FL_OF)); break;
    }
    return r != (cc & 1);
}

#endif
