/* SPDX-License-Identifier: MIT */
/*
 * What the files of intercepted instructions share (vmx_intercept.c, vmx_cr.c).
 *
 * An instruction's own #UD and privilege checks come before its exit, its operand's faults after it
 * (SDM 3C 25.1.1): an intercept returns DONE for "run it", having checked nothing, or looks at what comes
 * first.
 */
#ifndef CPU_NESTED_VMX_INTERCEPT_H
#define CPU_NESTED_VMX_INTERCEPT_H

#include "cpu/nested/vmx.h"

typedef enum outcome (*intercept_fn)(struct cpu *c, const struct insn *in, const struct vmcs *v);
#define INTERCEPT(name) enum outcome name(struct cpu *c, const struct insn *in, const struct vmcs *v)

/* The exit of an instruction, with its length. END. */
enum outcome vmx_leave(struct cpu *c, const struct insn *in, u32 reason, u64 qualification);

/* vmx_cr.c */
INTERCEPT(vmx_on_mov_to_cr);
INTERCEPT(vmx_on_mov_from_cr);
INTERCEPT(vmx_on_clts);
INTERCEPT(vmx_on_lmsw);
INTERCEPT(vmx_on_smsw);
INTERCEPT(vmx_on_mov_dr);

#endif
