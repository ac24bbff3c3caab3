/* SPDX-License-Identifier: MIT */
/*
 * #VMEXIT: the only way out of guest mode. APM 2 15.6, 15.7; decode assists 15.8.4.
 *
 * The guest's registers go to the VMCB, the host's come back from struct svm, GIF is cleared. Whoever leaves
 * names the code and what goes with it; c->rip is what the guest resumes at.
 */
#include "cpu/nested/svm.h"

#include "cpu/debug.h"

void svm_store_segment(struct vmcb_segment *to, const struct segment *from)
{
    u32 attr = from->attr;
    to->sel = from->sel;
    to->limit = from->limit;
    to->base = from->base;
    to->attr = (u16)(attr & SEG_UNUSABLE ? attr & SEG_DPL : (attr & 0xff) | (attr >> 4 & 0xf00));
}

static void store_guest(struct cpu *c, struct vmcb_save *v)
{
    struct vmcb_segment *to = &v->es;
    for (unsigned i = 0; i < 4; i++)
        svm_store_segment(&to[i], &c->seg[ES + i]);
    v->gdtr.base = c->gdtr.base;
    v->gdtr.limit = c->gdtr.limit;
    v->idtr.base = c->idtr.base;
    v->idtr.limit = c->idtr.limit;
    v->cpl = c->cpl;
    v->efer = c->efer;
    v->cr0 = c->cr0;
    v->cr2 = c->cr2;
    v->cr3 = c->cr3;
    v->cr4 = c->cr4;
    v->dr6 = c->dr6;
    v->dr7 = c->dr7;
    v->rflags = cpu_rflags_held(c);
    v->rip = c->rip;
    v->rsp = c->regs[RSP];
    v->rax = c->regs[RAX];
    if (svm_nested_paging(c->nested->svm))
        v->pat = c->pat;
    if (svm_virtual_lbr(c->nested->svm)) {
        struct last_branch b = last_branch_get(c);
        v->debugctl = b.control;
        v->br_from = b.from;
        v->br_to = b.to;
        v->last_excp_from = b.event_from;
        v->last_excp_to = b.event_to;
    }
}

static void store_control(struct cpu *c, struct vmcb_control *v, const struct svm_exit *x)
{
    struct svm *s = c->nested->svm;
    if (svm_virtual_nmi(s))
        s->ctl.int_ctl = (s->ctl.int_ctl & ~(u32)VINTR_NMI_MASK) | (c->nmi_blocked ? VINTR_NMI_MASK : 0);
    v->int_ctl = s->ctl.int_ctl;
    v->int_state = (s->ctl.int_state & ~1ull) | (cpu_shadow(c) != 0);
    v->exit_code = x->code;
    v->exit_info1 = x->info1;
    v->exit_info2 = x->info2;
    v->exit_int_info = x->int_info;
    v->event_inj &= ~EVENT_VALID;
    v->next_rip = x->next_rip;
    v->insn_len = x->insn_len;
    memcpy(v->insn_bytes, x->insn, sizeof(v->insn_bytes));
}

/* APM 2 15.6: DR7 is left with everything disabled; DR6 and CR2 stay the guest's. */
static void load_host(struct cpu *c, const struct svm_host *h)
{
    memcpy(c->seg, h->seg, sizeof(h->seg));
    c->gdtr = h->gdtr;
    c->idtr = h->idtr;
    c->efer = h->efer;
    c->cr0 = h->cr0;
    c->cr3 = h->cr3;
    c->cr4 = h->cr4;
    cpu_set_rflags(c, h->rflags & ~(u64)(FLAG_VM | FLAG_RF));
    c->rip = c->regs[REG_RIP] = h->rip;
    c->regs[RSP] = h->rsp;
    c->regs[RAX] = h->rax;
    c->pat = h->pat;
    if (svm_virtual_nmi(c->nested->svm))
        c->nmi_blocked = h->nmi_blocked;
    if (svm_virtual_lbr(c->nested->svm))
        last_branch_set(c, &h->branch);
    c->dr7 = DR7_FIXED;
    c->pending_dr6 = h->step ? DR6_BS : 0;
}

enum outcome svm_leave(struct cpu *c, const struct svm_exit *x)
{
    struct nested_state *n = c->nested;
    struct svm *s = n->svm;
    struct vmcb *v = svm_vmcb(c, s->vmcb);
    nested_trace_svm_exit(c, x);
    if (v) { /* RAM may have been taken away from under it */
        store_guest(c, &v->save);
        store_control(c, &v->control, x);
        space_written(c->memory, s->vmcb, sizeof(*v));
    }
    n->guest = n->second = false;
    n->gif = false;
    n->second_root = 0;
    n->asid = 0;
    c->guest_tsc_offset = 0;
    c->guest_tsc_ratio = TSC_RATIO_1;
    c->shadow = 0;
    cpu_end_held(c);
    c->activity = CPU_ACTIVE;
    c->step_armed = c->rf_kept = false;
    nested_withdraw_look(c);
    load_host(c, &s->host);
    debug_points_changed(c);
    cpu_mode_changed(c);
    return END;
}

enum outcome svm_leave_simple(struct cpu *c, u64 code, u64 info1, u64 info2)
{
    return svm_leave(c, &(struct svm_exit){.code = code, .info1 = info1, .info2 = info2});
}

/* APM 2 15.7.2 */
static u64 int_info(const struct event *e)
{
    static const u8 type[] = {
        [EVENT_EXTERNAL] = EVENT_TYPE_INTR,  [EVENT_EXCEPTION] = EVENT_TYPE_EXCEPTION,
        [EVENT_INT_N] = EVENT_TYPE_SOFT,     [EVENT_INT3] = EVENT_TYPE_EXCEPTION,
        [EVENT_INT1] = EVENT_TYPE_EXCEPTION,
    };
    if (!e)
        return 0;
    u64 t = e->kind == EVENT_EXTERNAL && e->vector == VEC_NMI ? EVENT_TYPE_NMI : type[e->kind];
    u64 v = e->vector | t << 8 | EVENT_VALID;
    return e->has_error ? v | EVENT_ERROR_VALID | (u64)e->error << 32 : v;
}

/* The bytes at CS:RIP, for a data access that faulted. None while an event was delivered, none when the fetch
 * is what fails. */
static void instruction_bytes(struct cpu *c, struct svm_exit *x)
{
    unsigned got = 0;
    u64 lin = c->mode == MODE_64 ? c->rip : (u32)(c->seg[CS].base + c->rip);
    if (mmu_fetch(c, lin, x->insn, sizeof(x->insn), &got) == DONE)
        x->insn_len = (u8)got;
}

static enum outcome nested_page_fault(struct cpu *c, const struct event *during)
{
    const struct svm *s = c->nested->svm;
    struct svm_exit x = {
        .code = SVM_EXIT_NPF, .info1 = s->npf_info, .info2 = s->npf_gpa, .int_info = int_info(during)};
    if (!during && !(s->npf_info & PF_I))
        instruction_bytes(c, &x);
    return svm_leave(c, &x);
}

/* EXITINFO2 of a task switch. APM 2 15.14.1 */
#define TASK_FROM_IRET BIT(36)
#define TASK_FROM_JMP  BIT(38)
#define TASK_HAS_ERROR BIT(44)
#define TASK_RF        BIT(48)

/* An event that the program did not ask for has no instruction behind it. */
bool svm_task_switch(struct cpu *c, const struct task_switch *t)
{
    const struct event *e = t->event;
    if (!svm_intercepts(c->nested->svm, SVM_EXIT_TASK_SWITCH))
        return false;
    bool asked = !e || e->kind == EVENT_INT_N || e->kind == EVENT_INT3 || e->kind == EVENT_INT1;
    struct svm_exit x = {.code = SVM_EXIT_TASK_SWITCH,
                         .info1 = t->tss,
                         .int_info = int_info(e),
                         .next_rip = asked ? c->regs[REG_RIP] : 0};
    x.info2 = t->source == TASK_IRET ? TASK_FROM_IRET : t->source == TASK_JMP ? TASK_FROM_JMP : 0;
    if (e && e->has_error)
        x.info2 |= TASK_HAS_ERROR | e->error;
    if (e ? e->set_rf : cpu_rflags_held(c) & FLAG_RF)
        x.info2 |= TASK_RF;
    return svm_leave(c, &x) == END;
}

/* APM 2 15.12. #PF: CR2 is not written. #DB: DR6 and DR7 are as its handler would find them. */
bool svm_fault(struct cpu *c, const struct fault *f, const struct event *during)
{
    if (f->exit && f->vector == VEC_MF)
        return svm_leave_simple(c, SVM_EXIT_FERR_FREEZE, 0, 0) == END;
    if (f->exit)
        return nested_page_fault(c, during) == END;
    unsigned code = SVM_EXIT_EXCEPTION + (f->vector & 31);
    if (!svm_intercepts(c->nested->svm, code))
        return false;
    struct svm_exit x = {.code = code, .int_info = int_info(during), .info1 = f->has_error ? f->error : 0};
    if (f->vector == VEC_PF) {
        x.info2 = f->cr2;
        if (!during && !(f->error & PF_I))
            instruction_bytes(c, &x);
    }
    if (f->vector == VEC_DB) {
        c->dr6 = (c->dr6 & ~0xfull) | f->dr6;
        c->dr7 &= ~(u64)DR7_GD;
    }
    return svm_leave(c, &x) == END;
}
