/* SPDX-License-Identifier: MIT */
/*
 * A CPU model as the processor sees it: a CPUID table, a feature set, MSR defaults. Built by vm/cpu_model.c
 * from the lists in x86/; constant while the machine lives; shared by all its vCPUs.
 */
#ifndef CPU_MODEL_H
#define CPU_MODEL_H

#include "x86/features.h"

struct cpuid_entry {
    u32 leaf, subleaf;
    bool has_subleaf; /* false: every subleaf reads the same */
    u32 reg[4];       /* eax ebx ecx edx */
};

#define MODEL_CPUID_MAX 64

struct cpu_model {
    enum cpu_vendor vendor;
    u64 features[(FEAT_COUNT + 63) / 64];
    struct cpuid_entry
        cpuid[MODEL_CPUID_MAX]; /* without per-vCPU and run-time fields (APIC id, OSXSAVE, XSAVE sizes) */
    unsigned cpuid_count;
    unsigned cpus;         /* vCPUs of the machine */
    u64 tsc_hz;            /* guest TSC ticks a second of the machine's clock */
    unsigned phys_bits;    /* guest-physical address width, 36..52 */
    u64 xcr0_mask;         /* XCR0 bits that may be set */
    u64 arch_capabilities; /* IA32_ARCH_CAPABILITIES, Intel model */
};

static inline bool model_has(const struct cpu_model *m, enum feature f)
{
    return f == FEAT_NONE || (m->features[f / 64] >> (f % 64) & 1);
}

#endif
