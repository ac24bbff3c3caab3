/* SPDX-License-Identifier: MIT */
/*
 * Debug registers, breakpoints and single step. SDM 3B ch. 17.
 *
 * While debug_active() every instruction needs a look: the interpreter calls debug_before() ahead of it (code
 * breakpoints; notes TF) and debug_after() once it is done (single step; RF). Data breakpoints are mmu.c's:
 * while debug_data_armed() no access may hit the soft TLB.
 */
#ifndef CPU_DEBUG_H
#define CPU_DEBUG_H

#include "cpu/cpu.h"

enum { DR6_BD = 1 << 13, DR6_BS = 1 << 14, DR6_BT = 1 << 15 };
enum { DR7_FIXED = 1 << 10, DR7_GD = 1 << 13 };
#define DR6_FIXED 0xffff0ff0ull

/* TF, RF, an enabled breakpoint of any kind, or branches to be recorded: one instruction at a time, so that
 * its trap comes right behind it. */
static inline bool debug_active(const struct cpu *c)
{
    return unlikely((c->rflags & (FLAG_TF | FLAG_RF)) || c->breakpoints || c->step_armed ||
                    c->record_branches);
}

/* FAULT: #DB in c->fault, and the instruction at c->rip must not run. */
enum outcome debug_before(struct cpu *c);
/* The instruction at `from` completed (any outcome but FAULT), or one iteration of a repeated one did
 * (AGAIN). branch: it went elsewhere. */
void debug_after(struct cpu *c, bool again, bool branch, u64 from);

bool debug_data_armed(const struct cpu *c);
/* IN, OUT, INS, OUTS done, with CR4.DE: I/O breakpoints. */
void debug_io(struct cpu *c, u16 port, unsigned size);
/* DR7 or DEBUGCTL has changed, by an instruction or a state load. */
void debug_registers_changed(struct cpu *c);
/* The same where cpu_mode_changed() comes behind it. */
void debug_points_changed(struct cpu *c);

#endif
