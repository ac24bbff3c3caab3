/* SPDX-License-Identifier: MIT */
/* Events in non-root operation: faults that leave, and what is due at a boundary. SDM 3C 25.2, 25.5, 26.7 */
#include "cpu/nested/vmx.h"
#include "cpu/system.h"

#define F(name) (v->f[VMCS_##name])

/* The event whose delivery met an exit. 27.2.4 */
static void vectoring(const struct cpu *c, const struct event *during, struct vmx_exit *x)
{
    static const u8 type[] = {[EVENT_EXTERNAL] = INTR_EXTERNAL,
                              [EVENT_EXCEPTION] = INTR_HARDWARE,
                              [EVENT_INT_N] = INTR_SOFT_INT,
                              [EVENT_INT3] = INTR_SOFT_EXCEPTION,
                              [EVENT_INT1] = INTR_PRIVILEGED};
    if (!during)
        return;
    bool nmi = during->kind == EVENT_EXTERNAL && during->vector == VEC_NMI;
    unsigned t = nmi ? INTR_NMI : type[during->kind];
    x->idt_info = INTR_VALID | t << 8 | during->vector | (during->has_error ? INTR_ERROR_VALID : 0);
    x->idt_error = during->has_error ? during->error : 0;
    if (t >= INTR_SOFT_INT)
        x->length = (u32)(during->rip - c->rip);
}

static bool exception_exits(const struct vmcs *v, const struct fault *f)
{
    bool bit = (u32)F(EXCEPTIONS) >> f->vector & 1;
    if (f->vector != VEC_PF)
        return bit;
    return ((f->error & (u32)F(PF_MASK)) == (u32)F(PF_MATCH)) == bit;
}

bool vmx_fault(struct cpu *c, const struct fault *f, const struct event *during)
{
    const struct vmx *vmx = vmx_of(c);
    struct vmx_exit x = {.rf = f->vector != VEC_DB && !during};
    vectoring(c, during, &x);
    if (f->exit) {
        x.reason = vmx->second.reason;
        x.qualification = vmx->second.qualification;
        x.linear = vmx->second.linear;
        x.physical = vmx->second.physical;
        x.rf = !during;
        vmx_exit(c, &x);
        return true;
    }
    if (!exception_exits(&vmx->v, f))
        return false;
    bool error = f->has_error && !real_mode(c);
    x.reason = EXIT_EXCEPTION;
    x.info = INTR_VALID | INTR_HARDWARE << 8 | f->vector | (error ? INTR_ERROR_VALID : 0);
    x.error = error ? f->error : 0;
    x.qualification = f->vector == VEC_PF ? f->cr2 : f->vector == VEC_DB ? f->dr6 : 0;
    vmx_exit(c, &x);
    return true;
}

/* At a boundary, by priority. SDM 3A table 6-2; 3C 25.5.1, 25.2, 26.7 */
enum due { DUE_NOTHING, DUE_TPR, DUE_TIMER, DUE_NMI_WINDOW, DUE_NMI, DUE_WINDOW, DUE_INTERRUPT };

static enum due what_is_due(struct cpu *c, unsigned r, u8 shadow)
{
    const struct vmx *x = vmx_of(c);
    const struct vmcs *v = &x->v;
    if (x->deadline != CLOCK_NEVER && clock_now(c->clock) >= x->deadline)
        return DUE_TIMER;
    bool nmi_open = !(shadow & SHADOW_MOV_SS);
    if (ctl(v, PROC, NMI_WINDOW) && nmi_open && !c->nmi_blocked)
        return DUE_NMI_WINDOW;
    if ((r & REQ_NMI) && ctl(v, PIN, NMI) && nmi_open && (ctl(v, PIN, VIRTUAL_NMI) || !c->nmi_blocked))
        return DUE_NMI;
    if (ctl(v, PROC, INTERRUPT_WINDOW) && (c->rflags & FLAG_IF) && !shadow)
        return DUE_WINDOW;
    if ((r & REQ_INTR) && ctl(v, PIN, EXTERNAL_INTERRUPT) && !shadow && c->apic.pending &&
        c->apic.pending(c->apic.opaque) >= 0)
        return DUE_INTERRUPT;
    return DUE_NOTHING;
}

bool vmx_due(struct cpu *c)
{
    return what_is_due(c, atomic_load(&c->requests), c->shadow) != DUE_NOTHING;
}

static enum outcome leave_interrupt(struct cpu *c, const struct vmcs *v)
{
    struct vmx_exit x = {.reason = EXIT_EXTERNAL_INTERRUPT};
    if (ctl(v, EXIT, ACKNOWLEDGE)) {
        int vector = c->apic.acknowledge(c->apic.opaque);
        if (vector < 0)
            return AGAIN;
        x.info = INTR_VALID | INTR_EXTERNAL << 8 | (u32)vector;
    }
    vmx_exit(c, &x);
    return END;
}

/* A request that came to nothing. Cleared first, then looked at: none is lost. */
static void forget_interrupt(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_INTR);
    if (c->apic.pending && c->apic.pending(c->apic.opaque) >= 0)
        cpu_request(c, REQ_INTR);
}

enum outcome vmx_boundary(struct cpu *c, unsigned r, u8 shadow)
{
    const struct vmcs *v = &vmx_of(c)->v;
    struct vmx_exit x = {0};
    switch (what_is_due(c, r, shadow)) {
    case DUE_TIMER:
        x.reason = EXIT_TIMER;
        break;
    case DUE_NMI_WINDOW:
        x.reason = EXIT_NMI_WINDOW;
        break;
    case DUE_NMI:
        atomic_fetch_and(&c->requests, ~(unsigned)REQ_NMI);
        x.reason = EXIT_EXCEPTION;
        x.info = INTR_VALID | INTR_NMI << 8 | VEC_NMI;
        break;
    case DUE_WINDOW:
        x.reason = EXIT_INTERRUPT_WINDOW;
        break;
    case DUE_INTERRUPT:
        return leave_interrupt(c, v);
    default:
        /* Physical events that the controls take away from the guest wait for the exit. */
        if ((r & REQ_INTR) && ctl(v, PIN, EXTERNAL_INTERRUPT)) {
            forget_interrupt(c);
            return AGAIN;
        }
        return (r & REQ_NMI) && ctl(v, PIN, NMI) ? AGAIN : DONE;
    }
    vmx_exit(c, &x);
    return END;
}

void vmx_arm(struct cpu *c)
{
    const struct vmx *x = vmx_of(c);
    bool look = ctl(&x->v, PROC, NMI_WINDOW) || ctl(&x->v, PROC, INTERRUPT_WINDOW) ||
                (x->deadline != CLOCK_NEVER && clock_now(c->clock) >= x->deadline);
    cpu_request(c, REQ_INTR | (look ? REQ_NESTED : 0)); /* INTR: what came while nobody could take it */
}
