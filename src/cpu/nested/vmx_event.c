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

/* Bit 12 of an EPT violation's qualification and of a log-full event's. 27.2.1 */
static bool tells_unblocking(u32 reason)
{
    return reason == EXIT_EPT_VIOLATION || reason == EXIT_PML_FULL;
}

/* Of the instruction whose access was stopped; 0 for its fetch. Hypervisors step over it by this. 27.2.5 */
static u32 instruction_length(const struct cpu *c)
{
    u64 length = c->regs[REG_RIP] - c->rip;
    return length <= 15 ? (u32)length : 0;
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
        if (f->nmi_unblocked && !during && tells_unblocking(x.reason))
            x.qualification |= INTR_NMI_UNBLOCKING;
        x.rf = !during;
        if (!during)
            x.length = instruction_length(c);
        vmx_exit(c, &x);
        return true;
    }
    if (!exception_exits(&vmx->v, f))
        return false;
    bool error = f->has_error && !real_mode(c);
    x.reason = EXIT_EXCEPTION;
    x.info = INTR_VALID | INTR_HARDWARE << 8 | f->vector | (error ? INTR_ERROR_VALID : 0);
    x.error = error ? f->error : 0;
    if (f->nmi_unblocked && !during && f->vector != VEC_DF)
        x.info |= INTR_NMI_UNBLOCKING;
    x.qualification = f->vector == VEC_PF ? f->cr2 : f->vector == VEC_DB ? f->dr6 : 0;
    vmx_exit(c, &x);
    return true;
}

bool vmx_timer_over(const struct cpu *c)
{
    return c->nested->deadline != CLOCK_NEVER && clock_now(c->clock) >= c->nested->deadline;
}

void vmx_keep_timer(struct cpu *c)
{
    struct vmx *x = vmx_of(c);
    if (c->nested->deadline != CLOCK_NEVER && timer_deadline(&x->timer) > c->nested->deadline)
        timer_arm(&x->timer, c->nested->deadline);
}

/* At a boundary, by priority. SDM 3A table 6-2; 3C 25.5.1, 25.2, 26.7 */
enum due { DUE_NOTHING, DUE_TIMER, DUE_NMI_WINDOW, DUE_NMI, DUE_WINDOW, DUE_VIRTUAL, DUE_INTERRUPT };

static enum due what_is_due(struct cpu *c, unsigned r, u8 shadow)
{
    const struct vmx *x = vmx_of(c);
    const struct vmcs *v = &x->v;
    if (vmx_timer_over(c))
        return DUE_TIMER;
    bool nmi_open = !(shadow & SHADOW_MOV_SS);
    if (ctl(v, PROC, NMI_WINDOW) && nmi_open && !c->nmi_blocked)
        return DUE_NMI_WINDOW;
    if ((r & REQ_NMI) && ctl(v, PIN, NMI) && nmi_open && (ctl(v, PIN, VIRTUAL_NMI) || !c->nmi_blocked))
        return DUE_NMI;
    if (c->activity == CPU_SHUTDOWN_STATE) /* interrupts and their window do not end it */
        return DUE_NOTHING;
    bool open = (c->rflags & FLAG_IF) && !shadow;
    if (ctl(v, PROC, INTERRUPT_WINDOW) && open)
        return DUE_WINDOW;
    if (x->virtual_pending && open)
        return DUE_VIRTUAL;
    if ((r & REQ_INTR) && ctl(v, PIN, EXTERNAL_INTERRUPT) && !shadow && c->apic.pending &&
        c->apic.pending(c->apic.opaque) >= 0)
        return DUE_INTERRUPT;
    return DUE_NOTHING;
}

bool vmx_due(struct cpu *c)
{
    if (c->stepping == STEP_TAKEN)
        return true;
    if (what_is_due(c, atomic_load(&c->requests), c->shadow) != DUE_NOTHING)
        return true;
    vmx_keep_timer(c); /* what woke us may have been an old one */
    return false;
}

/* A notification is taken without an exit, and what it tells of may be due now: AGAIN. 29.6 */
static enum outcome leave_interrupt(struct cpu *c, const struct vmcs *v)
{
    struct vmx_exit x = {.reason = EXIT_EXTERNAL_INTERRUPT};
    if (ctl(v, EXIT, ACKNOWLEDGE)) {
        int vector = c->apic.acknowledge(c->apic.opaque);
        if (vector < 0)
            return AGAIN;
        if (ctl(v, PIN, POSTED_INTERRUPTS) && (u64)vector == F(POSTED_VECTOR)) {
            if (c->apic.eoi)
                c->apic.eoi(c->apic.opaque);
            vmx_take_posted(c);
            return AGAIN;
        }
        x.info = INTR_VALID | INTR_EXTERNAL << 8 | (u32)vector;
    }
    vmx_exit(c, &x);
    return END;
}

static bool wants_look(const struct cpu *c, bool timer_over)
{
    const struct vmx *x = vmx_of(c);
    return ctl(&x->v, PROC, NMI_WINDOW) || ctl(&x->v, PROC, INTERRUPT_WINDOW) || x->virtual_pending ||
           c->stepping || timer_over;
}

/* A request that came to nothing. Cleared first, then looked at: none is lost. */
static void forget_interrupt(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_INTR);
    if (c->apic.pending && c->apic.pending(c->apic.opaque) >= 0)
        cpu_request(c, REQ_INTR);
}

/* A request for a look that nothing wants any more. Cleared first, as above: the timer may come now. */
static void forget_look(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_NESTED);
    vmx_keep_timer(c);
    if (wants_look(c, vmx_timer_over(c)))
        cpu_request(c, REQ_NESTED);
}

bool vmx_stepped(struct cpu *c, unsigned r)
{
    struct vmx *x = vmx_of(c);
    if (x->apic_write && vmx_apic_emulate_write(c))
        return true;
    if (x->trap_flag) {
        if (r & REQ_INIT)
            return false; /* goes first. 25.5.2 */
        vmx_exit(c, &(struct vmx_exit){.reason = EXIT_TRAP_FLAG});
        return true;
    }
    if (c->shadow && vmx_timer_over(c)) { /* blocking holds no timer back. 25.5.1 */
        vmx_exit(c, &(struct vmx_exit){.reason = EXIT_TIMER});
        return true;
    }
    c->stepping = STEP_OFF;
    return false;
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
    case DUE_VIRTUAL:
        return vmx_deliver_virtual(c);
    case DUE_INTERRUPT: {
        enum outcome o = leave_interrupt(c, v);
        return o == AGAIN && vmx_of(c)->virtual_pending ? vmx_boundary(c, atomic_load(&c->requests), shadow)
                                                        : o;
    }
    default:
        if (r & REQ_NESTED)
            forget_look(c);
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

void vmx_ask_interrupt(struct cpu *c)
{
    if (!(atomic_load(&c->requests) & REQ_INTR) && c->apic.pending && c->apic.pending(c->apic.opaque) >= 0)
        cpu_request(c, REQ_INTR);
}

void vmx_arm(struct cpu *c, bool timer_over)
{
    vmx_ask_interrupt(c);
    if (wants_look(c, timer_over))
        cpu_request(c, REQ_NESTED);
}
