/* SPDX-License-Identifier: MIT */
/*
 * What happens next: faults and their combinations (SDM 3A 6.15, table 6-5), and what is due at an
 * instruction boundary in its order of priority (SDM 3A table 6-2).
 *
 * c->rip at a boundary is the next instruction's address. REQ_INTR stays set while interrupts are masked, so
 * that the next boundary with IF set finds it; it is cleared before the local APIC is asked, so that no
 * request is lost.
 */
#include "cpu/event.h"

#include "cpu/debug.h"
#include "cpu/last_branch.h"
#include "cpu/meanings.h"
#include "cpu/msr.h"
#include "cpu/nested/nested.h"
#include "cpu/nested/trace.h"
#include "cpu/system.h"

static bool contributory(const struct fault *f)
{
    return f->vector == VEC_DE || (f->vector >= VEC_TS && f->vector <= VEC_GP);
}

static void note(struct cpu *c, u8 vector)
{
    memmove(c->chain + 1, c->chain, sizeof(c->chain) - 1);
    c->chain[0] = vector;
}

static enum outcome shut_down(struct cpu *c)
{
    if (nested_guest(c) && c->nested->ops->triple_fault(c)) {
        c->delivering = false;
        return END;
    }
    c->activity = CPU_SHUTDOWN_STATE;
    c->delivering = false;
    return SHUTDOWN;
}

/* What the registers that go with a fault show its handler. SDM 3A 6.15 #DB, #PF */
static void fault_side_effects(struct cpu *c, const struct fault *f)
{
    if (f->vector == VEC_PF)
        c->cr2 = f->cr2;
    if (f->vector == VEC_DB) {
        c->dr6 = (c->dr6 & ~0xfull) | f->dr6;
        c->dr7 &= ~(u64)DR7_GD;
        last_branch_stop(c);
    }
}

/* Of a fault and the one met while it was delivered: the next to try, or false for shutdown. */
static bool combine(const struct fault *first, struct fault *second)
{
    bool page = first->vector == VEC_PF;
    if (first->vector == VEC_DF)
        return !(contributory(second) || second->vector == VEC_PF);
    if ((contributory(first) && contributory(second)) ||
        (page && (contributory(second) || second->vector == VEC_PF)))
        *second = (struct fault){.vector = VEC_DF, .has_error = true};
    return true;
}

/* Code breakpoints ask for RF to be left alone: their handler sets it. SDM 3B 17.3.1.1 */
static bool sets_rf(const struct fault *f)
{
    return f->vector != VEC_DB && f->vector != VEC_DF && f->vector != VEC_MC;
}

enum outcome event_fault(struct cpu *c)
{
    struct fault f = c->fault;
    struct event last = c->failed_event;
    const struct event *during = c->delivery_failed ? &last : NULL;
    c->delivering = true;
    c->delivery_failed = false;
    for (unsigned tries = 0; tries < 8; tries++) {
        if (nested_guest(c) && c->nested->ops->fault(c, &f, during)) {
            c->delivering = false;
            return END;
        }
        if (nested_guest(c))
            nested_trace_guest_fault(c, &f);
        struct event e = {.vector = f.vector,
                          .kind = EVENT_EXCEPTION,
                          .has_error = f.has_error && !real_mode(c),
                          .set_rf = sets_rf(&f),
                          .error = f.error,
                          .rip = c->rip};
        note(c, f.vector);
        c->first_fault = f;
        c->pending_dr6 = 0; /* traps of the instruction before, held back by MOV SS, are lost */
        fault_side_effects(c, &f);
        if (event_deliver(c, &e) == END) {
            c->delivering = false;
            return END;
        }
        c->delivery_failed = false;
        during = &last;
        last = e;
        if (!c->fault.exit) {
            if (!combine(&f, &c->fault))
                return shut_down(c);
            if (c->fault.vector == VEC_DF)
                during = NULL; /* a double fault's exit is not one during delivery. SDM 3C 27.2.4 */
        }
        f = c->fault;
    }
    return shut_down(c);
}

/* A trap or interrupt at a boundary: faults on the way are delivered in its stead. */
static enum outcome deliver_at_boundary(struct cpu *c, u8 vector, enum event_kind kind)
{
    if (c->stepping)
        c->stepping = STEP_TAKEN;
    struct event e = {.vector = vector, .kind = kind, .rip = c->rip};
    note(c, vector);
    c->activity = CPU_ACTIVE;
    if (event_deliver(c, &e) == END)
        return END;
    return event_fault(c);
}

enum outcome event_software(struct cpu *c, u8 vector, bool int_n)
{
    enum event_kind kind = int_n ? EVENT_INT_N : vector == VEC_DB ? EVENT_INT1 : EVENT_INT3;
    /* Without VME, INT n in virtual-8086 mode is the monitor's unless IOPL is 3. SDM 3A 20.2.7 */
    if (int_n && v86_mode(c) && !real_mode(c) && iopl(c) < 3)
        return fault_gp0(c);
    struct event e = {.vector = vector, .kind = kind, .rip = c->regs[REG_RIP]};
    u64 held = c->pending_dr6; /* by MOV SS; INT1 is a #DB itself and leaves none behind it */
    enum outcome o = event_deliver(c, &e);
    if (o == END && kind == EVENT_INT1)
        c->pending_dr6 &= ~held;
    return o;
}

static bool interrupts_open(const struct cpu *c, u8 shadow)
{
    return (c->rflags & FLAG_IF) && !shadow;
}

static bool nmi_open(const struct cpu *c, u8 shadow)
{
    return !c->nmi_blocked && !(shadow & SHADOW_MOV_SS);
}

static int apic_pending(struct cpu *c)
{
    return c->apic.pending ? c->apic.pending(c->apic.opaque) : -1;
}

static bool is_bsp(struct cpu *c)
{
    u64 base;
    if (c->apic.msr_read && c->apic.msr_read(c->apic.opaque, 0x1b, &base))
        return base & BIT(8);
    return c->index == 0;
}

/* INIT as a security exception, for a hypervisor that must not lose its guests. APM 2 15.28 */
static bool init_redirected(const struct cpu *c)
{
    return c->nested && (c->msr_store[MSR_SLOT_VM_CR] & VM_CR_R_INIT) && c->activity != CPU_WAIT_SIPI;
}

static enum outcome redirect_init(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_INIT);
    c->activity = CPU_ACTIVE;
    (void)fault_error(c, VEC_SX, SX_INIT);
    return event_fault(c);
}

static enum outcome take_init(struct cpu *c)
{
    if (init_redirected(c))
        return redirect_init(c);
    /* A start-up IPI that came right behind stays: senders need not wait for us. */
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_INIT);
    bool bsp = is_bsp(c);
    cpu_reset(c, true);
    if (c->apic.init)
        c->apic.init(c->apic.opaque);
    c->activity = bsp ? CPU_ACTIVE : CPU_WAIT_SIPI;
    return bsp ? END : HALTED;
}

/* SDM 3A 8.4.3: execution starts at vector << 12 in real mode. */
static enum outcome take_sipi(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_SIPI);
    if (c->activity != CPU_WAIT_SIPI)
        return DONE;
    c->sipi_vector = c->apic.take_sipi ? c->apic.take_sipi(c->apic.opaque) : 0;
    if (nested_guest(c) && c->nested->ops->sipi && c->nested->ops->sipi(c))
        return END;
    segment_set_real(c, CS, (u16)(c->sipi_vector << 8));
    c->rip = c->regs[REG_RIP] = 0;
    c->activity = CPU_ACTIVE;
    cpu_mode_changed(c);
    return END;
}

static enum outcome take_trap(struct cpu *c)
{
    c->fault = (struct fault){.vector = VEC_DB, .dr6 = c->pending_dr6};
    c->pending_dr6 = 0;
    if (nested_guest(c) && c->nested->ops->fault(c, &c->fault, NULL))
        return END;
    fault_side_effects(c, &c->fault);
    return deliver_at_boundary(c, VEC_DB, EVENT_EXCEPTION);
}

static enum outcome take_nmi(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_NMI);
    enum outcome o = deliver_at_boundary(c, VEC_NMI, EVENT_EXTERNAL);
    c->nmi_blocked = true;
    return o;
}

static enum outcome take_interrupt(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_INTR);
    if (apic_pending(c) < 0)
        return DONE;
    int vector = c->apic.acknowledge(c->apic.opaque);
    cpu_request(c, REQ_INTR); /* there may be another behind it */
    if (vector < 0)
        return DONE;
    return deliver_at_boundary(c, (u8)vector, EVENT_EXTERNAL);
}

static enum outcome asleep(const struct cpu *c)
{
    if (c->activity == CPU_SHUTDOWN_STATE &&
        !nested_guest(c)) /* a guest's shutdown is its hypervisor's matter */
        return SHUTDOWN;
    return c->activity == CPU_ACTIVE ? DONE : HALTED;
}

/* What there is to look at: INIT waits while nested operation holds it back. */
static unsigned requests(const struct cpu *c)
{
    unsigned r = atomic_load(&c->requests);
    return (r & REQ_INIT) && nested_blocks_init(c) ? r & ~(unsigned)REQ_INIT : r;
}

bool event_stepped(struct cpu *c)
{
    return unlikely(c->stepping == STEP_TAKEN) && nested_guest(c) && c->nested->ops->stepped(c, requests(c));
}

enum outcome event_poll(struct cpu *c)
{
    unsigned r = requests(c);
    if (r & REQ_LEAVE) {
        atomic_fetch_and(&c->requests, ~(unsigned)REQ_LEAVE);
        return LEAVE;
    }
    if (event_stepped(c))
        return END;
    u8 shadow = c->shadow;
    c->shadow = 0;
    if ((r & REQ_INIT) && nested_guest(c) && c->nested->ops->init(c))
        return END;
    if (c->nested && !c->nested->gif) /* traps are not held back. APM 2 15.17 */
        return trap_open(c, shadow) ? take_trap(c) : asleep(c);
    if (r & REQ_INIT)
        return take_init(c);
    if (r & REQ_SIPI && take_sipi(c) == END)
        return END;
    if (c->activity == CPU_WAIT_SIPI)
        return HALTED;
    bool trap = trap_open(c, shadow);
    if (trap) {
        enum outcome o = take_trap(c);
        if (o != END || !nested_guest(c))
            return o;
        shadow = 0; /* what may leave a guest comes before its handler's first instruction */
    }
    if (nested_guest(c)) {
        enum outcome o = c->nested->ops->boundary(c, r, shadow);
        if (o != DONE)
            return o == AGAIN ? asleep(c) : o;
    } else {
        nested_withdraw_look(c); /* a guest's timer, late */
    }
    /* There is no SMM: an SMI that no hypervisor takes is lost. */
    if (r & REQ_SMI)
        atomic_fetch_and(&c->requests, ~(unsigned)REQ_SMI);
    if (trap)
        return END;
    if ((r & REQ_NMI) && nmi_open(c, shadow))
        return take_nmi(c);
    if (c->activity == CPU_SHUTDOWN_STATE)
        return asleep(c);
    if ((r & REQ_INTR) && interrupts_open(c, shadow)) {
        enum outcome o = take_interrupt(c);
        if (o != DONE)
            return o;
    }
    return asleep(c);
}

bool event_due(struct cpu *c)
{
    unsigned r = requests(c);
    if (r & (REQ_LEAVE | REQ_INIT | REQ_WORLD))
        return true;
    if (c->activity == CPU_WAIT_SIPI)
        return r & REQ_SIPI;
    if (c->nested && !c->nested->gif)
        return false;
    if (nested_guest(c) && c->nested->ops->due(c))
        return true;
    if ((r & REQ_NMI) && nmi_open(c, 0))
        return true;
    if (c->activity == CPU_SHUTDOWN_STATE)
        return false;
    if (c->pending_dr6)
        return true;
    return (r & REQ_INTR) && (c->rflags & FLAG_IF) && apic_pending(c) >= 0;
}

static enum outcome int_I(struct cpu *c, const struct insn *in)
{
    return event_software(c, (u8)in->imm, true);
}
DEFINE_MEANING_ONE(int_I, int_I);

static enum outcome int3(struct cpu *c, const struct insn *in)
{
    return event_software(c, VEC_BP, false);
}
DEFINE_MEANING_ONE(int3, int3);

static enum outcome into(struct cpu *c, const struct insn *in)
{
    return c->fl & FL_OF ? event_software(c, VEC_OF, false) : DONE;
}
DEFINE_MEANING_ONE(into, into);

/* ICEBP: a #DB trap without a DR6 bit, whatever the gate's DPL. SDM 2A INT1 */
static enum outcome int1(struct cpu *c, const struct insn *in)
{
    return event_software(c, VEC_DB, false);
}
DEFINE_MEANING_ONE(int1, int1);
