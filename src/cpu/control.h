/* SPDX-License-Identifier: MIT */
/* Control register writes with all their rules, for MOV CR and for whoever else loads them. SDM 3A 2.5 */
#ifndef CPU_CONTROL_H
#define CPU_CONTROL_H

#include "cpu/cpu.h"

/* END, or FAULT with #GP(0) and nothing changed. */
enum outcome control_set_cr0(struct cpu *c, u64 v);
enum outcome control_set_cr3(struct cpu *c, u64 v); /* bit 63 with CR4.PCIDE: keep translations */
enum outcome control_set_cr4(struct cpu *c, u64 v);

u64 cr4_valid(const struct cpu *c);         /* bits the model lets be set */
u64 physical_reserved(const struct cpu *c); /* address bits beyond the physical width */

#endif
