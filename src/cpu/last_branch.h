/* SPDX-License-Identifier: MIT */
/*
 * Last-branch recording: DEBUGCTL.LBR and the four registers of the AMD model. APM 2 13.1.1.
 *
 * While c->record_branches every instruction is looked at (debug_active()), so recording costs nothing while
 * it is off. On the Intel model, whose record is a stack of another shape, the bit does nothing.
 */
#ifndef CPU_LAST_BRANCH_H
#define CPU_LAST_BRANCH_H

#include "cpu/cpu.h"

enum { DEBUGCTL_LBR = 1, DEBUGCTL_BTF = 2 };

/* DEBUGCTL and the record, as SVM exchanges them. */
struct last_branch {
    u64 control, from, to, event_from, event_to;
};

/* The instruction completed: did it branch? Far transfers do; INT n and its like are events. */
bool branch_taken(const struct cpu *c, const struct insn *in);
void last_branch_note(struct cpu *c, u64 from, u64 to);
/* An exception or interrupt met at `from` goes to its handler: the record so far is kept aside. */
void last_branch_event(struct cpu *c, u64 from, u64 to);
/* #DB ends recording and branch stepping, and leaves the record alone. */
void last_branch_stop(struct cpu *c);

struct last_branch last_branch_get(const struct cpu *c);
void last_branch_set(struct cpu *c, const struct last_branch *b);

#endif
