/* SPDX-License-Identifier: MIT */
/*
 * The instruction KVM could not finish (internal error, emulation): state into our own processor, one step,
 * state back. The step reaches memory and devices through the same space as everything else.
 *
 * It keeps nothing from step to step: KVM changes guest memory without telling, so translations are dropped
 * first and stepping decodes afresh. The local APIC's registers are KVM's: an instruction that ends up here
 * does not reach them. In a guest of the guest's, KVM's own answer is given: #UD.
 */
#include <errno.h>

#include "accel/kvm_parts.h"
#include "cpu/debug.h"
#include "cpu/fpu.h"
#include "cpu/system.h"
#include "cpu/tlb.h"

#define REPEATS 4096 /* of an instruction with REP, done part by part */

/* MSRs that single instructions use. One of a missing feature ends the list. */
static const struct {
    u32 number;
    size_t at;
} msrs[] = {
    {0x174, offsetof(struct cpu, sysenter_cs)},         {0x175, offsetof(struct cpu, sysenter_esp)},
    {0x176, offsetof(struct cpu, sysenter_eip)},        {0x277, offsetof(struct cpu, pat)},
    {0xc0000081, offsetof(struct cpu, star)},           {0xc0000082, offsetof(struct cpu, lstar)},
    {0xc0000083, offsetof(struct cpu, cstar)},          {0xc0000084, offsetof(struct cpu, sfmask)},
    {0xc0000102, offsetof(struct cpu, kernel_gs_base)}, {0xc0000103, offsetof(struct cpu, tsc_aux)},
};

struct few_msrs {
    struct kvm_msrs head;
    struct kvm_msr_entry entry[ARRAY_SIZE(msrs)];
};

/* ---- into our processor ---- */

static void take_msrs(struct accel_vcpu *v, struct cpu *c)
{
    struct few_msrs m = {.head.nmsrs = ARRAY_SIZE(msrs)};
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        m.entry[i].index = msrs[i].number;
    int n = kvm_call(v->fd, KVM_GET_MSRS, &m);
    for (int i = 0; i < n; i++)
        memcpy((u8 *)c + msrs[i].at, &m.entry[i].data, 8);
}

enum { XS_MXCSR = 24, XS_XMM = 160, XS_BV = 512, XS_YMM = 576 };

static void take_vectors(struct cpu *c, const u8 *x)
{
    memcpy(c->x87, x, XS_XMM);
    memset(c->x87 + XS_XMM, 0, sizeof(c->x87) - XS_XMM);
    store_le(c->x87 + X87_MXCSR, 8, MXCSR_RESET);
    c->mxcsr = (u32)load_le(x + XS_MXCSR, 4) & MXCSR_VALID;
    bool ymm = load_le(x + XS_BV, 8) & XCR0_AVX;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(c->vec[i], x + XS_XMM + 16 * i, 16);
        if (ymm)
            memcpy(c->vec[i] + 16, x + XS_YMM + 16 * i, 16);
        else
            memset(c->vec[i] + 16, 0, 16);
    }
}

static void take_segments(struct cpu *c, struct kvm_sregs *s)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct kvm_segment *g = kvm_seg(s, i);
        c->seg[i] = (struct segment){.base = g->base,
                                     .limit = g->limit,
                                     .attr = kvm_segment_attr(g) | (g->unusable ? SEG_UNUSABLE : 0),
                                     .sel = g->selector};
    }
    c->gdtr = (struct dtable){s->gdt.base, s->gdt.limit};
    c->idtr = (struct dtable){s->idt.base, s->idt.limit};
    c->cr0 = s->cr0;
    c->cr2 = s->cr2;
    c->cr3 = s->cr3;
    c->cr4 = s->cr4;
    c->efer = s->efer;
}

static void take_state(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct cpu *c)
{
    for (unsigned i = 0; i < 16; i++)
        c->regs[i] = *kvm_gpr(&s->regs, i);
    c->rip = c->regs[REG_RIP] = s->regs.rip;
    take_segments(c, &s->sregs);
    c->xcr0 = s->xcrs.nr_xcrs ? s->xcrs.xcrs[0].value : XCR0_X87;
    take_vectors(c, s->xsave);
    memcpy(c->dr, s->debugregs.db, sizeof(c->dr));
    c->dr6 = s->debugregs.dr6;
    c->dr7 = s->debugregs.dr7;
    take_msrs(v, c);
    c->shadow = (s->events.interrupt.shadow & KVM_X86_SHADOW_INT_STI ? SHADOW_STI : 0) |
                (s->events.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS ? SHADOW_MOV_SS : 0);
    c->nmi_blocked = s->events.nmi.masked;
    c->activity = CPU_ACTIVE;
    c->pending_dr6 = 0;
    atomic_store(&c->requests, 0);
    cpu_set_rflags(c, s->regs.rflags);
    fpu_normalise(c);
    tlb_flush_all(c);
    debug_registers_changed(c);
    cpu_mode_changed(c);
}

/* ---- and back ---- */

static void give_msrs(struct accel_vcpu *v, const struct cpu *c)
{
    struct few_msrs m = {.head.nmsrs = ARRAY_SIZE(msrs)};
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        m.entry[i].index = msrs[i].number;
        memcpy(&m.entry[i].data, (const u8 *)c + msrs[i].at, 8);
    }
    kvm_call(v->fd, KVM_SET_MSRS, &m);
}

static void give_vectors(const struct cpu *c, u8 *x)
{
    u64 use = load_le(x + XS_BV, 8) | XCR0_X87 | XCR0_SSE;
    memcpy(x, c->x87, XS_MXCSR);
    store_le(x + XS_MXCSR, 4, c->mxcsr);
    memcpy(x + X87_ST, c->x87 + X87_ST, XS_XMM - X87_ST);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(x + XS_XMM + 16 * i, c->vec[i], 16);
        if (c->xcr0 & XCR0_AVX)
            memcpy(x + XS_YMM + 16 * i, c->vec[i] + 16, 16);
    }
    store_le(x + XS_BV, 8, use | (c->xcr0 & XCR0_AVX));
}

static void give_segments(const struct cpu *c, struct kvm_sregs *s)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        *kvm_seg(s, i) = kvm_segment_of(c->seg[i].base, c->seg[i].limit, c->seg[i].attr, c->seg[i].sel);
    s->gdt.base = c->gdtr.base;
    s->gdt.limit = c->gdtr.limit;
    s->idt.base = c->idtr.base;
    s->idt.limit = c->idtr.limit;
    s->cr0 = c->cr0;
    s->cr2 = c->cr2;
    s->cr3 = c->cr3;
    s->cr4 = c->cr4;
    s->efer = c->efer;
}

static void give_events(const struct cpu *c, struct kvm_vcpu_events *e)
{
    e->flags |= KVM_VCPUEVENT_VALID_SHADOW;
    e->interrupt.shadow = (c->shadow & SHADOW_STI ? KVM_X86_SHADOW_INT_STI : 0) |
                          (c->shadow & SHADOW_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
    e->nmi.masked = c->nmi_blocked;
    memset(&e->exception, 0, sizeof(e->exception)); /* older KVMs queue #UD beside the exit */
}

static int give_state(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct cpu *c, struct err *err)
{
    for (unsigned i = 0; i < 16; i++)
        *kvm_gpr(&s->regs, i) = c->regs[i];
    s->regs.rip = c->rip;
    s->regs.rflags = cpu_rflags(c);
    give_segments(c, &s->sregs);
    give_vectors(c, s->xsave);
    give_events(c, &s->events);
    memcpy(s->debugregs.db, c->dr, sizeof(c->dr));
    s->debugregs.dr6 = c->dr6;
    s->debugregs.dr7 = c->dr7;
    give_msrs(v, c);
    if (s->xcrs.nr_xcrs)
        s->xcrs.xcrs[0].value = c->xcr0;
    return kvm_want(v->fd, KVM_SET_SREGS, &s->sregs, "segments after one instruction", err) ||
                   (s->xcrs.nr_xcrs &&
                    kvm_want(v->fd, KVM_SET_XCRS, &s->xcrs, "XCR0 after one instruction", err)) ||
                   kvm_want(v->fd, KVM_SET_XSAVE, s->xsave, "vectors after one instruction", err) ||
                   kvm_want(v->fd, KVM_SET_REGS, &s->regs, "registers after one instruction", err) ||
                   kvm_want(v->fd, KVM_SET_DEBUGREGS, &s->debugregs, "debug registers after one instruction",
                            err) ||
                   kvm_want(v->fd, KVM_SET_VCPU_EVENTS, &s->events, "events after one instruction", err)
               ? -1
               : 0;
}

/* ---- the step ---- */

static int get_state(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct err *err)
{
    s->xcrs.nr_xcrs = 0;
    kvm_call(v->fd, KVM_GET_XCRS, &s->xcrs); /* a KVM without has none */
    return kvm_want(v->fd, KVM_GET_REGS, &s->regs, "the registers", err) ||
                   kvm_want(v->fd, KVM_GET_SREGS, &s->sregs, "the segments", err) ||
                   kvm_want(v->fd, KVM_GET_XSAVE, s->xsave, "the vector state", err) ||
                   kvm_want(v->fd, KVM_GET_DEBUGREGS, &s->debugregs, "the debug registers", err) ||
                   kvm_want(v->fd, KVM_GET_VCPU_EVENTS, &s->events, "the pending events", err)
               ? -1
               : 0;
}

static enum outcome step(struct cpu *c)
{
    u64 at = c->rip;
    enum outcome o = DONE;
    for (unsigned n = 0; n < REPEATS && o == DONE && c->rip == at; n++)
        o = cpu_step(c);
    return o == DONE && c->pending_dr6 ? cpu_step(c)
                                       : o; /* a trap due: its handler's first instruction with it */
}

static enum accel_exit refuse_in_guest(struct accel_vcpu *v, struct err *err)
{
    struct kvm_vcpu_events e;
    if (kvm_want(v->fd, KVM_GET_VCPU_EVENTS, &e, "the pending events", err))
        return ACCEL_EXIT_ERROR;
    memset(&e.exception, 0, sizeof(e.exception));
    e.exception.injected = 1;
    e.exception.nr = VEC_UD;
    return kvm_want(v->fd, KVM_SET_VCPU_EVENTS, &e, "an exception", err) ? ACCEL_EXIT_ERROR
                                                                         : ACCEL_EXIT_KICKED;
}

static enum accel_exit halt(struct accel_vcpu *v, struct err *err)
{
    struct kvm_mp_state s = {KVM_MP_STATE_HALTED};
    return kvm_want(v->fd, KVM_SET_MP_STATE, &s, "a halt", err) ? ACCEL_EXIT_ERROR : ACCEL_EXIT_KICKED;
}

enum accel_exit kvm_finish(struct accel_vcpu *v, struct err *err)
{
    struct kvm_vcpu_state *s = v->state;
    struct cpu *c = v->cpu;
    if (kvm_in_nested_guest(v))
        return refuse_in_guest(v, err);
    if (get_state(v, s, err))
        return ACCEL_EXIT_ERROR;
    take_state(v, s, c);
    v->finished++;
    enum outcome o = step(c);
    if (give_state(v, s, c, err))
        return ACCEL_EXIT_ERROR;
    return o == SHUTDOWN ? ACCEL_EXIT_SHUTDOWN : o == HALTED ? halt(v, err) : ACCEL_EXIT_KICKED;
}
