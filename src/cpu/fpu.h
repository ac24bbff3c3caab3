/* SPDX-License-Identifier: MIT */
/*
 * Vector and x87 state: reset, who may use it, the x87 image's fields.
 *
 * c->x87 is an FXSAVE64 image whose XMM part stays zero and whose MXCSR field stays at the reset value, so
 * that the host's FXRSTOR never refuses it and never leaks anything. ST(i) is at fpu_st(c, i), stack-relative
 * as FXSAVE has it.
 */
#ifndef CPU_FPU_H
#define CPU_FPU_H

#include "cpu/cpu.h"

enum { XCR0_X87 = 1, XCR0_SSE = 2, XCR0_AVX = 4 };
enum { MXCSR_RESET = 0x1f80, MXCSR_VALID = 0xffff, MXCSR_FLAGS = 0x3f };
enum {
    X87_CW = 0,
    X87_SW = 2,
    X87_TAG = 4,
    X87_FOP = 6,
    X87_FIP = 8,
    X87_FDP = 16,
    X87_MXCSR = 24,
    X87_ST = 32
};

/* Power-up state, or nothing for INIT. SDM 3A table 9-1 */
void fpu_reset(struct cpu *c, bool init_only);

/* Through the host's x87 and back: control word and summary bits become what the processor makes of them. */
void fpu_normalise(struct cpu *c);
/* Changes TOP alone: each physical register keeps its value, so ST(i) become others. */
void fpu_set_top(struct cpu *c, unsigned top);
/* FNINIT. The registers' contents stay. */
void fpu_init_x87(struct cpu *c);

/* The faults that come before an instruction's own, in the SDM's order; DONE when it may execute. */
enum outcome fpu_check_x87(struct cpu *c); /* #NM; not the pending #MF */
enum outcome fpu_check_mmx(struct cpu *c); /* #UD, #NM, #MF */
enum outcome fpu_check_sse(struct cpu *c); /* #UD, #NM */
enum outcome fpu_check_avx(struct cpu *c); /* #UD, #NM */
/* #MF when an unmasked x87 exception waits. With CR0.NE = 0 nothing is raised: no FERR# pin is wired to the
 * 8259. */
enum outcome fpu_check_pending(struct cpu *c);

/* MMX instructions work on physical registers: TOS becomes 0, every tag valid. SDM 1 9.5.1 */
void fpu_mmx_enter(struct cpu *c);

static inline u16 fpu_cw(const struct cpu *c)
{
    return (u16)load_le(c->x87 + X87_CW, 2);
}

static inline u16 fpu_sw(const struct cpu *c)
{
    return (u16)load_le(c->x87 + X87_SW, 2);
}

static inline unsigned fpu_top(const struct cpu *c)
{
    return fpu_sw(c) >> 11 & 7;
}

static inline u8 *fpu_st(struct cpu *c, unsigned i)
{
    return c->x87 + X87_ST + 16 * (i & 7);
}

static inline bool fpu_pending(const struct cpu *c)
{
    return (fpu_sw(c) & ~fpu_cw(c) & 0x3f) != 0;
}

/* MMX register n, after fpu_mmx_enter(). */
static inline u8 *fpu_mm(struct cpu *c, unsigned n)
{
    return fpu_st(c, n);
}

#endif
