/* SPDX-License-Identifier: MIT */
/*
 * Returning: IRET in every mode, and what it shares with far RET. SDM 2A IRET, 2B RET; SDM 3A 6.14.3.
 *
 * All that is popped is checked before anything changes. NT asks for a return to another task: task.c's, and
 * #GP(0) in IA-32e mode.
 */
#include "cpu/meanings.h"
#include "cpu/nested/nested.h"
#include "cpu/system.h"
#include "cpu/task.h"

enum outcome return_code(struct cpu *c, u16 sel, u64 rip, struct far_return *r)
{
    u32 error = sel & ~3u;
    bool ok;
    *r = (struct far_return){.cs_sel = sel, .rip = rip, .cpl = sel & 3};
    if (!error)
        return fault_gp0(c);
    if (descriptor_read(c, sel, &r->cs, &ok) != DONE)
        return FAULT;
    if (!ok || !desc_code(r->cs) || r->cpl < c->cpl)
        return fault_error(c, VEC_GP, error);
    if (desc_conforming(r->cs) ? desc_dpl(r->cs) > r->cpl : desc_dpl(r->cs) != r->cpl)
        return fault_error(c, VEC_GP, error);
    r->wide = long_mode(c) && desc_l(r->cs);
    if (r->wide && desc_d(r->cs))
        return fault_error(c, VEC_GP, error);
    if (!desc_present(r->cs))
        return fault_error(c, VEC_NP, error);
    if (r->wide ? !canonical(rip) : rip > descriptor_decode(sel, r->cs).limit)
        return fault_gp0(c);
    return descriptor_set_accessed(c, sel, r->cs);
}

enum outcome return_stack(struct cpu *c, u16 sel, struct far_return *r)
{
    u32 error = sel & ~3u;
    bool ok;
    r->ss_sel = sel;
    r->ss_null = !error;
    if (r->ss_null)
        return r->wide && r->cpl != 3 && (sel & 3) == r->cpl ? DONE : fault_gp0(c);
    if (descriptor_read(c, sel, &r->ss, &ok) != DONE)
        return FAULT;
    if (!ok || (sel & 3) != r->cpl || !desc_writable(r->ss) || desc_dpl(r->ss) != r->cpl)
        return fault_error(c, VEC_GP, error);
    if (!desc_present(r->ss))
        return fault_error(c, VEC_SS, error);
    return descriptor_set_accessed(c, sel, r->ss);
}

void return_commit_stack(struct cpu *c, const struct far_return *r, u64 rsp)
{
    if (r->ss_null)
        c->seg[SS] = segment_null(r->ss_sel, r->cpl);
    else
        load_ss(c, r->ss_sel, r->ss);
    if (r->wide)
        c->regs[RSP] = rsp;
    else if (c->seg[SS].attr & SEG_DB)
        c->regs[RSP] = (u32)rsp;
    else
        c->regs[RSP] = (c->regs[RSP] & ~0xffffull) | (rsp & 0xffff);
}

/* Segments the outer level may not see become null; the bases of FS and GS stay, as processors leave them.
 * SDM 3A 5.8.6 */
static void drop_inner_segments(struct cpu *c, unsigned cpl)
{
    static const u8 data[] = {ES, DS, FS, GS};
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
        struct segment *s = &c->seg[data[i]];
        bool conforming = (s->attr & 0xc) == 0xc;
        if (!(s->attr & SEG_UNUSABLE) && !conforming && bits(s->attr, 6, 5) < cpl)
            *s = (struct segment){.base = s->base, .attr = SEG_UNUSABLE};
    }
}

enum outcome return_commit_code(struct cpu *c, const struct far_return *r)
{
    bool outer = r->cpl != c->cpl;
    load_cs(c, r->cs_sel, r->cs, r->cpl);
    c->regs[REG_RIP] = r->rip;
    cpu_privilege_changed(c);
    if (outer)
        drop_inner_segments(c, r->cpl);
    return END;
}

/* Flags an IRET of this operand size and privilege may change. */
static u64 flag_mask(const struct cpu *c, unsigned size)
{
    u64 mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    if (c->cpl <= iopl(c))
        mask |= FLAG_IF;
    if (c->cpl == 0)
        mask |= FLAG_IOPL;
    if (size > 2)
        mask |= FLAG_RF | FLAG_AC | FLAG_ID;
    if (size > 2 && c->cpl == 0)
        mask |= FLAG_VIF | FLAG_VIP;
    return mask;
}

static void load_flags(struct cpu *c, u64 v, u64 mask)
{
    cpu_set_rflags(c, (cpu_rflags(c) & ~mask) | (v & mask));
    c->rf_kept = c->rflags & FLAG_RF;
}

static enum outcome iret_real(struct cpu *c, unsigned size)
{
    struct stack_frame f;
    frame_current(c, size, &f);
    u64 rip, cs, flags;
    if (v86_mode(c) && iopl(c) < 3)
        return fault_gp0(c);
    if (frame_pop(c, &f, &rip) != DONE || frame_pop(c, &f, &cs) != DONE || frame_pop(c, &f, &flags) != DONE)
        return FAULT;
    if (rip > c->seg[CS].limit)
        return fault_gp0(c);
    u64 mask = flag_mask(c, size) & (v86_mode(c) ? ~(u64)FLAG_IOPL : ~0ull);
    frame_commit_sp(c, &f);
    load_flags(c, flags, mask);
    segment_set_real(c, CS, (u16)cs);
    c->regs[REG_RIP] = rip;
    cpu_privilege_changed(c);
    return END;
}

/* SDM 3A 20.2.2: ESP SS ES DS FS GS follow EIP CS EFLAGS. */
static enum outcome iret_to_v86(struct cpu *c, struct stack_frame *f, u64 rip, u64 cs, u64 flags)
{
    static const u8 order[] = {SS, ES, DS, FS, GS};
    u64 esp, sel[ARRAY_SIZE(order)];
    if (frame_pop(c, f, &esp) != DONE)
        return FAULT;
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        if (frame_pop(c, f, &sel[i]) != DONE)
            return FAULT;
    if ((rip & 0xffffffff) > 0xffff)
        return fault_gp0(c);
    load_flags(c, flags, flag_mask(c, 4) | FLAG_VM);
    segment_set_real(c, CS, (u16)cs);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        segment_set_real(c, order[i], (u16)sel[i]);
    c->regs[RSP] = (u32)esp;
    c->regs[REG_RIP] = rip & 0xffff;
    cpu_privilege_changed(c);
    return END;
}

static enum outcome iret_protected(struct cpu *c, unsigned size)
{
    struct stack_frame f;
    frame_current(c, size, &f);
    struct far_return r;
    u64 rip, cs, flags, rsp = 0, ss = 0;
    if (frame_pop(c, &f, &rip) != DONE || frame_pop(c, &f, &cs) != DONE || frame_pop(c, &f, &flags) != DONE)
        return FAULT;
    if (!long_mode(c) && size == 4 && (flags & FLAG_VM) && c->cpl == 0)
        return iret_to_v86(c, &f, rip, cs, flags);
    if (return_code(c, (u16)cs, rip, &r) != DONE)
        return FAULT;
    bool stack = r.cpl != c->cpl || c->mode == MODE_64;
    if (stack) {
        if (frame_pop(c, &f, &rsp) != DONE || frame_pop(c, &f, &ss) != DONE)
            return FAULT;
        if (return_stack(c, (u16)ss, &r) != DONE)
            return FAULT;
    }
    load_flags(c, flags, flag_mask(c, size));
    if (stack)
        return_commit_stack(c, &r, rsp);
    else
        frame_commit_sp(c, &f);
    return return_commit_code(c, &r);
}

static enum outcome iret(struct cpu *c, const struct insn *in)
{
    enum outcome o;
    if (!protected_mode(c))
        o = iret_real(c, in->size);
    else if (c->rflags & FLAG_NT)
        o = long_mode(c) ? fault_gp0(c) : task_return(c);
    else
        o = iret_protected(c, in->size);
    /* NMIs open again even when IRET faults. SDM 3A 6.7.1 */
    if (!nested_guest(c) || !c->nested->iret_keeps_nmi) {
        c->fault.nmi_unblocked = o == FAULT && c->nmi_blocked;
        c->nmi_blocked = false;
    }
    return o;
}
DEFINE_MEANING_ONE(iret, iret);
