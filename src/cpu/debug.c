/* SPDX-License-Identifier: MIT */
/*
 * Debug registers and MOV DR. DR6 keeps what happened until software clears it; the traps of one instruction
 * are collected in c->pending_dr6 and delivered together at the boundary. SDM 3B 17.2, 17.3.
 */
#include "cpu/debug.h"

#include "cpu/last_branch.h"
#include "cpu/meanings.h"
#include "cpu/msr.h"
#include "cpu/operands.h"
#include "cpu/system.h"

static bool enabled(const struct cpu *c, unsigned i)
{
    return c->dr7 >> (2 * i) & 3;
}

static unsigned type_of(const struct cpu *c, unsigned i)
{
    return (unsigned)bits(c->dr7, 17 + 4 * i, 16 + 4 * i);
}

static unsigned length_of(const struct cpu *c, unsigned i)
{
    static const u8 length[4] = {1, 2, 8, 4};
    return length[bits(c->dr7, 19 + 4 * i, 18 + 4 * i)];
}

void debug_points_changed(struct cpu *c)
{
    c->breakpoints = c->dr7 & 0xff;
    c->record_branches = c->model->vendor == VENDOR_AMD && (c->msr_store[MSR_SLOT_DEBUGCTL] & DEBUGCTL_LBR);
}

void debug_registers_changed(struct cpu *c)
{
    debug_points_changed(c);
    cpu_privilege_changed(c);
}

bool debug_data_armed(const struct cpu *c)
{
    if (likely(!(c->dr7 & 0xff)))
        return false;
    for (unsigned i = 0; i < 4; i++)
        if (enabled(c, i) && (type_of(c, i) & 1))
            return true;
    return false;
}

/* Behind MOV SS Intel's processors miss a code breakpoint, AMD's do not. SDM 3B 17.3.1.1 */
static bool held_by_mov_ss(const struct cpu *c)
{
    return (c->shadow & SHADOW_MOV_SS) && c->model->vendor == VENDOR_INTEL;
}

enum outcome debug_before(struct cpu *c)
{
    c->step_armed = c->rflags & FLAG_TF;
    c->rf_kept = false;
    if (!c->breakpoints || (c->rflags & FLAG_RF) || held_by_mov_ss(c))
        return DONE;
    u64 lin = c->mode == MODE_64 ? c->rip : (u32)(c->seg[CS].base + c->rip), hit = 0;
    for (unsigned i = 0; i < 4; i++)
        if (enabled(c, i) && type_of(c, i) == 0 && c->dr[i] == lin)
            hit |= BIT(i);
    if (!hit)
        return DONE;
    c->step_armed = false;
    c->fault = (struct fault){.vector = VEC_DB, .dr6 = hit};
    return FAULT;
}

/* BTF: TF steps from branch to branch. SDM 3B 17.4.3; APM 2 13.1.1.6 */
void debug_after(struct cpu *c, bool again, bool branch, u64 from)
{
    if (branch && c->record_branches)
        last_branch_note(c, from, c->rip);
    if (!branch && (c->msr_store[MSR_SLOT_DEBUGCTL] & DEBUGCTL_BTF))
        c->step_armed = false;
    if (c->rf_kept)
        c->rf_kept = false;
    else if (!again)
        c->rflags &= ~(u64)FLAG_RF;
    if (c->step_armed)
        c->pending_dr6 |= DR6_BS;
    c->step_armed = false;
}

void debug_io(struct cpu *c, u16 port, unsigned size)
{
    if (!(c->cr4 & CR4_DE) || !(c->dr7 & 0xff))
        return;
    for (unsigned i = 0; i < 4; i++) {
        u64 base = c->dr[i] & ~(u64)(length_of(c, i) - 1);
        if (enabled(c, i) && type_of(c, i) == 2 && port < base + length_of(c, i) && base < port + size)
            c->pending_dr6 |= BIT(i);
    }
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE; DR7.GD guards them all. SDM 3B 17.2.2, 17.2.4 */
static enum outcome select_register(struct cpu *c, const struct insn *in, unsigned *n)
{
    *n = in->reg;
    if (*n > 7 || ((*n == 4 || *n == 5) && (c->cr4 & CR4_DE)))
        return fault_ud(c);
    if (*n == 4 || *n == 5)
        *n += 2;
    if (c->cpl)
        return fault_gp0(c);
    if (c->dr7 & DR7_GD) {
        c->fault = (struct fault){.vector = VEC_DB, .dr6 = DR6_BD};
        return FAULT;
    }
    return DONE;
}

static enum outcome mov_RD(struct cpu *c, const struct insn *in)
{
    unsigned n;
    if (select_register(c, in, &n) != DONE)
        return FAULT;
    u64 v = n < 4 ? c->dr[n] : n == 6 ? c->dr6 : c->dr7;
    reg_set(c, in->rm * 8, c->mode == MODE_64 ? 8 : 4, v);
    return DONE;
}
DEFINE_MEANING_ONE(mov_RD, mov_RD);

static enum outcome mov_DR(struct cpu *c, const struct insn *in)
{
    unsigned n;
    if (select_register(c, in, &n) != DONE)
        return FAULT;
    u64 v = reg_get(c, in->rm * 8, c->mode == MODE_64 ? 8 : 4);
    if (n >= 6 && v >> 32)
        return fault_gp0(c);
    if (n < 4)
        c->dr[n] = v;
    else if (n == 6)
        c->dr6 = (v & 0xe00f) | DR6_FIXED;
    else
        c->dr7 = (v & ~0xd800ull) | DR7_FIXED;
    debug_registers_changed(c);
    return END;
}
DEFINE_MEANING_ONE(mov_DR, mov_DR);
