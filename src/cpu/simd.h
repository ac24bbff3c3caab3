/* SPDX-License-Identifier: MIT */
/* What every vector meaning begins with: the faults of processor state, and the vector registers it names. */
#ifndef CPU_SIMD_H
#define CPU_SIMD_H

#include "cpu/fpu.h"
#include "cpu/mmu.h"

/* #UD, #NM and #MF by the row's class, in the order of SDM 2A tables 2-16 to 2-24. */
static inline enum outcome simd_check(struct cpu *c, const struct insn *in, u32 attr)
{
    if (in->flags & INSN_VEX) {
        if (attr & ATTR_AVX)
            return fpu_check_avx(c);
        /* BMI and kin: VEX needs protected mode only. */
        return unlikely(!(c->cr0 & CR0_PE) || (c->rflags & FLAG_VM)) ? fault_ud(c) : DONE;
    }
    if ((attr & ATTR_SSE) && unlikely(fpu_check_sse(c) != DONE))
        return FAULT;
    /* CVTPI2PD and CVTPI2PS from memory name no MMX register and enter no MMX state. SDM 2A CVTPI2PD */
    if ((in->flags & INSN_MEM) && (attr & ATTR_MMX) && insn_infos[in->id].op[0].kind == OP_V)
        return DONE;
    return attr & ATTR_MMX ? fpu_check_mmx(c) : DONE;
}

static inline u8 *simd_reg(struct cpu *c, unsigned n)
{
    return c->vec[n & 15];
}

/* Bytes of a full vector operand. */
static inline unsigned simd_size(const struct insn *in)
{
    return in->flags & INSN_VEX_L ? 32 : 16;
}

/* A VEX form clears what is above its result, a legacy one keeps the upper half. SDM 1 14.1.2 */
static inline void simd_clear_upper(struct cpu *c, const struct insn *in, unsigned n, unsigned from)
{
    unsigned to = in->flags & INSN_VEX ? 32 : 16;
    if (from < to)
        memset(simd_reg(c, n) + from, 0, to - from);
}

/* Linear address of the memory operand, aligned where the row wants it. */
static inline enum outcome simd_linear(struct cpu *c, const struct insn *in, unsigned size, bool write,
                                       u64 *lin)
{
    if (unlikely(insn_linear(c, in, size, write, lin) != DONE))
        return FAULT;
    if (unlikely((insn_infos[in->id].attr & ATTR_ALIGN) && (*lin & (size - 1))))
        return fault_gp0(c);
    return DONE;
}

#endif
