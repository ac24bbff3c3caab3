/* SPDX-License-Identifier: MIT */
/*
 * VMRUN: the only way into guest mode. APM 2 15.5.
 *
 * Control and save area are copied, then checked (svm_checks.c), then loaded without further look: what no
 * check refuses the processor can run. The VMCB's clean bits are not looked at, as the manual allows (15.15):
 * copy, checks and loads are a fiftieth of a round trip, and a cached field could only be stale.
 */
#include "cpu/nested/second.h"
#include "cpu/nested/svm.h"

#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/msr.h"
#include "cpu/tlb.h"

/* Exit code -1, the host's state as it was. */
static enum outcome refuse(struct cpu *c, u64 pa, struct vmcb *v)
{
    nested_tell(c, TOLD_ENTRY, "VMRUN refused with exit code -1: %s", svm_check_text(c->nested->svm->failed));
    nested_trace_refused(c, SVM_EXIT_INVALID, 0, svm_check_text(c->nested->svm->failed));
    v->control.exit_code = SVM_EXIT_INVALID;
    v->control.exit_info1 = v->control.exit_info2 = 0;
    v->control.exit_int_info = 0;
    space_written(c->memory, pa, sizeof(*v));
    c->nested->gif = false;
    return END;
}

static void save_host(struct cpu *c, struct svm_host *h)
{
    memcpy(h->seg, c->seg, sizeof(h->seg));
    h->gdtr = c->gdtr;
    h->idtr = c->idtr;
    h->efer = c->efer;
    h->cr0 = c->cr0;
    h->cr3 = c->cr3;
    h->cr4 = c->cr4;
    h->rflags = cpu_rflags(c);
    h->rip = c->regs[REG_RIP];
    h->rsp = c->regs[RSP];
    h->rax = c->regs[RAX];
    h->pat = c->pat;
    h->step = c->step_armed;
    c->step_armed = false;
}

static u64 canonicalize(u64 a)
{
    return (u64)((i64)(a << 16) >> 16);
}

void svm_load_segment(struct segment *to, const struct vmcb_segment *from)
{
    u32 attr = from->attr;
    to->sel = from->sel;
    to->limit = from->limit;
    to->base = canonicalize(from->base);
    to->attr = (attr & 0xff) | (attr & 0xf00) << 4;
    if (!(attr & SEG_P))
        to->attr = SEG_UNUSABLE | (attr & SEG_DPL);
}

/* CPL is SS.DPL here. CS and SS have rules of their own. APM 2 15.5.1 "Segment State in the VMCB" */
static void load_segments(struct cpu *c, const struct vmcb_save *v)
{
    const struct vmcb_segment *from = &v->es;
    for (unsigned i = 0; i < 4; i++)
        svm_load_segment(&c->seg[ES + i], &from[i]);
    unsigned cpl = !(c->cr0 & CR0_PE) ? 0 : c->rflags & FLAG_VM ? 3 : v->cpl & 3;
    c->seg[CS].attr = (v->cs.attr & 0xff) | (v->cs.attr & 0xf00u) << 4 | SEG_P | SEG_S;
    c->seg[SS].attr = (c->seg[SS].attr & ~(u32)SEG_DPL) | cpl << 5;
    c->gdtr = (struct dtable){.base = canonicalize(v->gdtr.base), .limit = (u16)v->gdtr.limit};
    c->idtr = (struct dtable){.base = canonicalize(v->idtr.base), .limit = (u16)v->idtr.limit};
}

static void load_guest(struct cpu *c, const struct vmcb_save *v)
{
    struct svm *s = c->nested->svm;
    c->efer = (v->efer & ~(u64)EFER_LMA) | (svm_long_paging(v) ? EFER_LMA : 0);
    c->cr0 = (v->cr0 & 0xe005003f) | CR0_ET;
    c->cr2 = v->cr2;
    c->cr3 = v->cr3;
    c->cr4 = v->cr4;
    c->dr6 = (v->dr6 & 0xe00f) | DR6_FIXED;
    c->dr7 = (v->dr7 & ~0xd800ull) | DR7_FIXED;
    bool virtual8086 = (v->cr0 & CR0_PE) && !svm_long_paging(v);
    cpu_set_rflags(c, (v->rflags & (virtual8086 ? ~0ull : ~(u64)FLAG_VM)) | FLAG_R1);
    load_segments(c, v);
    c->regs[RAX] = v->rax;
    c->regs[RSP] = v->rsp;
    c->rip = c->regs[REG_RIP] = v->rip;
    if (svm_nested_paging(s))
        c->pat = v->pat;
}

static bool of_asid(const struct tlb_tag *t, const void *arg)
{
    return t->level == 1 && t->asid == *(const u32 *)arg;
}

/* APM 2 15.16.1, 15.16.2 */
static void flush(struct cpu *c, const struct vmcb_control *ctl)
{
    switch (ctl->tlb_control) {
    case TLB_CONTROL_ALL:
        tlb_flush_all(c);
        second_flush_all(c->nested->translations);
        break;
    case TLB_CONTROL_ASID:
    case TLB_CONTROL_ASID_LOCAL:
        tlb_flush_matching(c, of_asid, &ctl->asid);
        svm_forget_asid(c, ctl->asid);
        break;
    default:
        break;
    }
}

/* APM 2 15.23 */
static void exchange_last_branch(struct cpu *c, const struct vmcb_save *v)
{
    struct svm *s = c->nested->svm;
    if (!svm_virtual_lbr(s))
        return;
    s->host.branch = last_branch_get(c);
    last_branch_set(
        c, &(struct last_branch){v->debugctl, v->br_from, v->br_to, v->last_excp_from, v->last_excp_to});
}

static void become_guest(struct cpu *c)
{
    struct nested_state *n = c->nested;
    struct svm *s = n->svm;
    n->guest = true;
    n->gif = true;
    svm_set_nested(c);
    nested_entered(c, s->ctl.event_inj & EVENT_VALID ? s->ctl.event_inj : 0);
    c->guest_tsc_offset = s->ctl.tsc_offset;
    c->guest_tsc_ratio = svm_tsc_ratio(c);
    c->shadow = s->ctl.int_state & 1 ? SHADOW_STI : 0;
    s->pause_left = s->ctl.pause_count;
    s->pause_last = c->retired;
    if (svm_virtual_nmi(s)) {
        s->host.nmi_blocked = c->nmi_blocked;
        c->nmi_blocked = s->ctl.int_ctl & VINTR_NMI_MASK;
    }
    svm_virtual_interrupt_changed(c);
}

/* An injected event is not checked against intercepts; faults on its way are. APM 2 15.20. INT3, INTO and INT
 * n push the address behind the instruction that the VMCB names. */
static enum outcome inject(struct cpu *c, const struct vmcb_control *ctl)
{
    u64 v = ctl->event_inj;
    struct event e = {.vector = (u8)v, .kind = EVENT_EXTERNAL, .rip = c->rip};
    unsigned type = (unsigned)bits(v, 10, 8);
    if (type == EVENT_TYPE_NMI) {
        e.vector = VEC_NMI;
        c->nmi_blocked |= svm_virtual_nmi(c->nested->svm);
    }
    if (type == EVENT_TYPE_SOFT)
        e.kind = EVENT_INT_N;
    if (type == EVENT_TYPE_EXCEPTION) {
        e.kind = e.vector == VEC_BP || e.vector == VEC_OF ? EVENT_INT3 : EVENT_EXCEPTION;
        e.has_error = (v & EVENT_ERROR_VALID) && (c->cr0 & CR0_PE);
        e.error = (u32)(v >> 32);
    }
    if (e.kind == EVENT_INT_N || e.kind == EVENT_INT3)
        e.rip = ctl->next_rip;
    c->shadow = 0;
    return event_deliver(c, &e) == END ? END : event_fault(c);
}

enum outcome svm_enter(struct cpu *c, u64 pa, struct vmcb *v)
{
    struct svm *s = c->nested->svm;
    s->vmcb = pa;
    struct vmcb_save save;
    memcpy(&save, &v->save, offsetof(struct vmcb_save, reserved7));
    memcpy(&s->ctl, &v->control, offsetof(struct vmcb_control, reserved4));
    s->failed = svm_check(c, &s->ctl, &save);
    if (s->failed)
        return refuse(c, pa, v);
    save_host(c, &s->host);
    flush(c, &s->ctl);
    load_guest(c, &save);
    exchange_last_branch(c, &save);
    become_guest(c);
    debug_points_changed(c);
    cpu_mode_changed(c);
    return s->ctl.event_inj & EVENT_VALID ? inject(c, &s->ctl) : END;
}
