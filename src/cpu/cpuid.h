/* SPDX-License-Identifier: MIT */
/* CPUID as one vCPU answers it now. */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H

#include "cpu/cpu.h"

void cpuid_read(const struct cpu *c, u32 leaf, u32 subleaf, u32 r[4]); /* r: EAX EBX ECX EDX */

#endif
