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

/* Power-on contents. */
void msr_reset(struct cpu *c);

/* Calls fn for every register number this CPU has, in order; a range's members one by one. */
void msr_each(const struct cpu *c, void (*fn)(u32 number, const char *name, void *arg), void *arg);

/* The guest's TSC now, as RDTSC gives it. */
u64 tsc_now(const struct cpu *c);

/* kvmclock.c: the pages of the KVM paravirtual clock. */
void kvmclock_write_wall(struct cpu *c, u64 gpa);
void kvmclock_write_time(struct cpu *c, u64 msr_value);

#endif
