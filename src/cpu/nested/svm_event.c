/* SPDX-License-Identifier: MIT */
/*
 * Events in guest mode: physical interrupts and NMIs that are intercepted, virtual interrupts and NMIs, INIT,
 * shutdown. APM 2 15.13 (intercepts), 15.21 (virtual interrupts; 15.21.10 virtual NMIs), 15.17 and 15.33.2
 * (GIF, virtual GIF).
 *
 * An intercepted physical interrupt leaves whatever the guest's interrupt shadow; it stays pending for the
 * host. With V_INTR_MASKING the host's RFLAGS.IF masks it, else the guest's. With virtual NMIs c->nmi_blocked
 * is the guest's (V_NMI_MASK) and physical ones are always intercepted: VMRUN checks it.
 */
#include "cpu/msr.h"
#include "cpu/nested/svm.h"

static bool masking(const struct svm *s)
{
    return s->ctl.int_ctl & VINTR_MASKING;
}

static bool physical_open(const struct cpu *c)
{
    const struct svm *s = c->nested->svm;
    return (masking(s) ? s->host.rflags : c->rflags) & FLAG_IF;
}

static bool physical_nmi(const struct cpu *c, unsigned r)
{
    const struct svm *s = c->nested->svm;
    return (r & REQ_NMI) && !(svm_virtual_nmi(s) ? s->host.nmi_blocked : c->nmi_blocked);
}

/* REQ_INTR is cleared before the local APIC is asked, as event.c does. */
static bool physical_pending(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_INTR);
    if (!c->apic.pending || c->apic.pending(c->apic.opaque) < 0)
        return false;
    cpu_request(c, REQ_INTR);
    return true;
}

static bool virtual_gif(const struct svm *s)
{
    return !(s->ctl.int_ctl & VINTR_GIF_ENABLE) || (s->ctl.int_ctl & VINTR_GIF);
}

static bool virtual_nmi_pending(const struct cpu *c)
{
    const struct svm *s = c->nested->svm;
    return svm_virtual_nmi(s) && (s->ctl.int_ctl & VINTR_NMI) && !c->nmi_blocked && virtual_gif(s);
}

static bool virtual_pending(const struct svm *s)
{
    u32 v = s->ctl.int_ctl;
    if (!(v & VINTR_IRQ) || !virtual_gif(s))
        return false;
    return (v & VINTR_IGN_TPR) || bits(v, 19, 16) > (v & VINTR_TPR);
}

static bool virtual_due(const struct cpu *c, u8 shadow)
{
    return virtual_pending(c->nested->svm) && (c->rflags & FLAG_IF) && !shadow;
}

bool svm_virtual_pending(const struct cpu *c)
{
    return virtual_pending(c->nested->svm) || virtual_nmi_pending(c);
}

void svm_virtual_interrupt_changed(struct cpu *c)
{
    const struct svm *s = c->nested->svm;
    if ((s->ctl.int_ctl & VINTR_IRQ) || (svm_virtual_nmi(s) && (s->ctl.int_ctl & VINTR_NMI)))
        cpu_request(c, REQ_NESTED);
    else
        nested_withdraw_look(c);
}

static enum outcome take_virtual(struct cpu *c)
{
    struct svm *s = c->nested->svm;
    if (svm_intercepts(s, SVM_EXIT_VINTR))
        return svm_leave_simple(c, SVM_EXIT_VINTR, 0, 0);
    struct event e = {.vector = (u8)s->ctl.int_vector, .kind = EVENT_EXTERNAL, .rip = c->rip};
    s->ctl.int_ctl &= ~(u32)VINTR_IRQ;
    svm_virtual_interrupt_changed(c);
    c->activity = CPU_ACTIVE;
    return event_deliver(c, &e) == END ? END : event_fault(c);
}

static enum outcome take_virtual_nmi(struct cpu *c)
{
    struct event e = {.vector = VEC_NMI, .kind = EVENT_EXTERNAL, .rip = c->rip};
    c->nested->svm->ctl.int_ctl &= ~(u32)VINTR_NMI;
    c->nmi_blocked = true;
    svm_virtual_interrupt_changed(c);
    c->activity = CPU_ACTIVE;
    return event_deliver(c, &e) == END ? END : event_fault(c);
}

/* Not intercepted: through the guest's IDT. While V_INTR_MASKING, by the host's RFLAGS.IF alone. APM
 * 2 15.21.1
 */
static enum outcome take_physical(struct cpu *c)
{
    int vector = c->apic.acknowledge(c->apic.opaque);
    if (vector < 0)
        return DONE;
    struct event e = {.vector = (u8)vector, .kind = EVENT_EXTERNAL, .rip = c->rip};
    c->activity = CPU_ACTIVE;
    return event_deliver(c, &e) == END ? END : event_fault(c);
}

enum outcome svm_boundary(struct cpu *c, unsigned r, u8 shadow)
{
    const struct svm *s = c->nested->svm;
    if ((r & REQ_SMI) && svm_intercepts(s, SVM_EXIT_SMI)) {
        c->shadow = shadow;
        return svm_leave_simple(c, SVM_EXIT_SMI, 0, 0);
    }
    bool nmi = physical_nmi(c, r);
    if (nmi && svm_intercepts(s, SVM_EXIT_NMI)) {
        c->shadow = shadow;
        return svm_leave_simple(c, SVM_EXIT_NMI, 0, 0);
    }
    bool physical = (r & REQ_INTR) && physical_open(c) && physical_pending(c);
    if (physical && svm_intercepts(s, SVM_EXIT_INTR)) {
        c->shadow = shadow;
        return svm_leave_simple(c, SVM_EXIT_INTR, 0, 0);
    }
    if (nmi)
        return DONE;
    if (physical && !shadow && (masking(s) || svm_virtual_nmi(s)))
        return take_physical(c);
    if (!physical && !shadow && virtual_nmi_pending(c))
        return take_virtual_nmi(c);
    if (!physical && virtual_due(c, shadow))
        return take_virtual(c);
    /* The processor must take neither an NMI that the host holds off nor an interrupt by the guest's IF. */
    bool held = (r & REQ_NMI) && svm_virtual_nmi(s);
    return held || ((r & REQ_INTR) && !physical_open(c)) ? AGAIN : DONE;
}

bool svm_due(struct cpu *c)
{
    const struct svm *s = c->nested->svm;
    unsigned r = atomic_load(&c->requests);
    if ((r & REQ_SMI) && svm_intercepts(s, SVM_EXIT_SMI))
        return true;
    if (physical_nmi(c, r) && svm_intercepts(s, SVM_EXIT_NMI))
        return true;
    if ((r & REQ_INTR) && physical_open(c) && c->apic.pending && c->apic.pending(c->apic.opaque) >= 0)
        return true;
    return virtual_due(c, 0) || virtual_nmi_pending(c);
}

/* FERR#, unless the host has IGNNE set. APM 2 15.14.2 */
enum outcome svm_fpu_error(struct cpu *c)
{
    if (!svm_intercepts(c->nested->svm, SVM_EXIT_FERR_FREEZE) || (c->msr_store[MSR_SLOT_IGNNE] & 1))
        return DONE;
    c->fault = (struct fault){.vector = VEC_MF, .exit = true};
    return FAULT;
}

bool svm_triple_fault(struct cpu *c)
{
    if (!svm_intercepts(c->nested->svm, SVM_EXIT_SHUTDOWN))
        return false;
    svm_leave_simple(c, SVM_EXIT_SHUTDOWN, 0, 0);
    return true;
}

/* INIT stays pending: GIF holds it back until the host's STGI. APM 2 15.13.4 */
bool svm_init(struct cpu *c)
{
    if (!svm_intercepts(c->nested->svm, SVM_EXIT_INIT) || !c->nested->gif)
        return false;
    svm_leave_simple(c, SVM_EXIT_INIT, 0, 0);
    return true;
}
