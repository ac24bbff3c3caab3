/* SPDX-License-Identifier: MIT */
/* The last-branch record, and what counts as a branch. See the header. */
#include "cpu/last_branch.h"

#include "cpu/debug.h"
#include "cpu/flags.h"
#include "cpu/msr.h"

#include "insn_ids.h"

bool branch_taken(const struct cpu *c, const struct insn *in)
{
    bool zf = c->fl & FL_ZF, count = c->regs[RCX] & size_mask(in->adsize);
    switch (in->id) {
    case ID_Jcc_Jb:
    case ID_Jcc_Jz:
        return flags_test(c->fl, in->opcode & 15);
    case ID_LOOP:
        return count;
    case ID_LOOPE:
        return count && zf;
    case ID_LOOPNE:
        return count && !zf;
    case ID_JCXZ:
        return !count;
    case ID_INT_Ib:
    case ID_INT3:
    case ID_INTO:
    case ID_INT1:
        return false;
    default:
        return insn_infos[in->id].attr & ATTR_BRANCH;
    }
}

void last_branch_note(struct cpu *c, u64 from, u64 to)
{
    c->msr_store[MSR_SLOT_LASTBRANCHFROMIP] = from;
    c->msr_store[MSR_SLOT_LASTBRANCHTOIP] = to;
}

void last_branch_event(struct cpu *c, u64 from, u64 to)
{
    c->msr_store[MSR_SLOT_LASTINTFROMIP] = c->msr_store[MSR_SLOT_LASTBRANCHFROMIP];
    c->msr_store[MSR_SLOT_LASTINTTOIP] = c->msr_store[MSR_SLOT_LASTBRANCHTOIP];
    last_branch_note(c, from, to);
}

void last_branch_stop(struct cpu *c)
{
    c->msr_store[MSR_SLOT_DEBUGCTL] &= ~(u64)(DEBUGCTL_LBR | DEBUGCTL_BTF);
    c->record_branches = false;
}

struct last_branch last_branch_get(const struct cpu *c)
{
    const u64 *m = c->msr_store;
    return (struct last_branch){m[MSR_SLOT_DEBUGCTL], m[MSR_SLOT_LASTBRANCHFROMIP],
                                m[MSR_SLOT_LASTBRANCHTOIP], m[MSR_SLOT_LASTINTFROMIP],
                                m[MSR_SLOT_LASTINTTOIP]};
}

void last_branch_set(struct cpu *c, const struct last_branch *b)
{
    u64 *m = c->msr_store;
    m[MSR_SLOT_DEBUGCTL] = b->control & (DEBUGCTL_LBR | DEBUGCTL_BTF);
    m[MSR_SLOT_LASTBRANCHFROMIP] = b->from;
    m[MSR_SLOT_LASTBRANCHTOIP] = b->to;
    m[MSR_SLOT_LASTINTFROMIP] = b->event_from;
    m[MSR_SLOT_LASTINTTOIP] = b->event_to;
    debug_registers_changed(c);
}
