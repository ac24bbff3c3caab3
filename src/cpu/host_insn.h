/* SPDX-License-Identifier: MIT */
/*
 * The meaning `host`: the host's own instruction, executed on copies of its operands.
 *
 * Each shape of an instruction (row, register or memory form, vector length, W, operand size, immediate) has
 * one small generated function, a thunk, with fixed host registers; operands are handed over by pointer in
 * host_args. Thunks live in a bounded cache, one a vCPU, that is emptied when full: never keep a thunk's
 * address.
 *
 * A thunk never traps on the host: SIMD exceptions run masked, x87 ones stay pending and are cleared with the
 * state.
 */
#ifndef CPU_HOST_INSN_H
#define CPU_HOST_INSN_H

#include "cpu/cpu.h"

struct host_args {
    u8 mem[64];     /* the memory operand's bounce buffer */
    u8 *v[4];       /* vector or MMX operands: ModRM.reg, VEX.vvvv, ModRM.rm, is4 */
    u64 *g[3];      /* general registers: ModRM.reg, VEX.vvvv, ModRM.rm */
    u64 *regs;      /* for implicit RAX, RDX, RCX */
    u8 *xmm0;       /* implicit XMM0 */
    u8 *x87;        /* FXSAVE64 image */
    u32 mxcsr;      /* guest's, in and out */
    u32 host_mxcsr; /* scratch */
    u16 fl;         /* FL_*, in and out */
} __attribute__((aligned(64)));

typedef void (*host_thunk)(struct host_args *a);

/* How to run one shape. */
struct host_plan {
    u64 key; /* 0: empty */
    host_thunk code;
    enum outcome (*run)(struct cpu *c, const struct insn *in, const struct host_plan *p);
    u32 attr;       /* ATTR_* of the row */
    u8 mm_used;     /* bit n: slot n is an MMX register */
    u8 mm_written;  /* the same, for those written */
    bool flags;     /* writes arithmetic flags */
    bool byte_high; /* ModRM.rm may name AH, CH, DH, BH */
};

struct host_insns;
struct host_insns *host_insns_new(struct err *err);
void host_insns_free(struct host_insns *h);

/* The plan for `in`, made if need be. Valid until the next call. */
const struct host_plan *host_plan_get(struct cpu *c, const struct insn *in);

/* Runs `in` as its row's plan says. */
enum outcome host_execute(struct cpu *c, const struct insn *in);

/* One that x87.c gives: an x87 instruction's way of running. */
enum outcome host_run_x87(struct cpu *c, const struct insn *in, const struct host_plan *p);

/* host_emit.c: the thunk's bytes (at most HOST_THUNK_MAX) for `in` into buf, and what the plan must know.
 * Returns the length. */
#define HOST_THUNK_MAX 256
unsigned host_emit(const struct insn *in, const struct insn_info *info, bool mode64, struct host_plan *p,
                   u8 buf[HOST_THUNK_MAX]);

#endif
