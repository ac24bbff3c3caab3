/* SPDX-License-Identifier: MIT */
/* Model-specific registers by number, expanded from x86/msr.def; and the time-stamp counter. */
#ifndef CPU_MSR_H
#define CPU_MSR_H

#include "cpu/cpu.h"

/* False: #GP(0), nothing changed. */
bool msr_read(struct cpu *c, u32 number, u64 *value);
bool msr_write(struct cpu *c, u32 number, u64 value);

/* c->msr_store: one word a register, in the list's order. */
enum {
#define MSR(number, count, name, ...) MSR_SLOT_##name, MSR_SLOT_END_##name = MSR_SLOT_##name + (count)-1,
#include "x86/msr.def"
#undef MSR
    MSR_SLOT_COUNT
};

enum { VM_CR_R_INIT = 1 << 1, VM_CR_LOCK = 1 << 3, VM_CR_SVMDIS = 1 << 4 }; /* APM 2 15.30.1 */
enum { SX_INIT = 1 }; /* #SX error code: a redirected INIT. APM 2 8.2.20 */

u64 msr_efer_valid(const struct cpu *c); /* EFER bits the model lets be set */
bool msr_pat_valid(u64 v);

/* Power-on contents. */
void msr_reset(struct cpu *c);

/* Calls fn for every register number this CPU has, in order; a range's members one by one. */
void msr_each(const struct cpu *c, void (*fn)(u32 number, const char *name, void *arg), void *arg);

/* The TSC now, as RDTSC gives it; and as it gives it in root operation. */
u64 tsc_now(const struct cpu *c);
u64 tsc_host(const struct cpu *c);
u64 tsc_host_at(const struct cpu *c, u64 ns); /* at a moment of the machine's clock */

/* nested/vmx_caps.c: IA32_VMX_*, by distance from 480H. */
struct msr_row;
bool msr_read_vmx_capability(struct cpu *c, const struct msr_row *r, u32 i, u64 *v);
bool msr_write_vmx_capability(struct cpu *c, const struct msr_row *r, u32 i, u64 v);

/* kvmclock.c: the pages of the KVM paravirtual clock. */
void kvmclock_write_wall(struct cpu *c, u64 gpa);
void kvmclock_write_time(struct cpu *c, u64 msr_value);

#endif
