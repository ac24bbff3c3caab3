/* SPDX-License-Identifier: MIT */
/*
 * A local APIC's registers: by MMIO (xAPIC), by MSR (x2APIC), and IA32_APIC_BASE, which switches between
 * them.
 *
 * What reaches out of the chip (an IPI, an EOI broadcast, a moved register page) is noted in a `struct
 * lapic_after` while the lock is held and done when it has been released, so no two local APICs' locks and no
 * I/O APIC's lock are ever taken inside ours.
 */
#include "dev/chip/lapic_priv.h"

enum { XR = 1, XW = 2, X2R = 4, X2W = 8 };

/* What may be done to a register by MMIO (X) and by MSR (X2), and which bits a write may set. */
static const struct reg_rule {
    u8 access;
    u32 writable; /* bits beyond these: ignored by MMIO, #GP by MSR, except those read_only */
    u32 read_only;
} rules[REGS] = {
    [REG_ID] = {XR | XW | X2R, 0xff000000, 0},
    [REG_VERSION] = {XR | X2R, 0, 0},
    [REG_TPR] = {XR | XW | X2R | X2W, 0xff, 0},
    [REG_APR] = {XR, 0, 0},
    [REG_PPR] = {XR | X2R, 0, 0},
    [REG_EOI] = {XW | X2W, 0, 0},
    [REG_RRD] = {XR, 0, 0},
    [REG_LDR] = {XR | XW | X2R, 0xff000000, 0},
    [REG_DFR] = {XR | XW, 0xf0000000, 0},
    [REG_SVR] = {XR | XW | X2R | X2W, 0x11ff, 0x200},
    [REG_ISR... REG_ISR + 7] = {XR | X2R, 0, 0},
    [REG_TMR... REG_TMR + 7] = {XR | X2R, 0, 0},
    [REG_IRR... REG_IRR + 7] = {XR | X2R, 0, 0},
    [REG_ESR] = {XR | XW | X2R | X2W, 0, 0},
    [REG_ICR] = {XR | XW | X2R | X2W, 0xccfff, 0x1000},
    [REG_ICR2] = {XR | XW, 0xff000000, 0},
    [REG_LVT + LVT_TIMER] = {XR | XW | X2R | X2W, 0x700ff, 0x1000},
    [REG_LVT + LVT_THERMAL] = {XR | XW | X2R | X2W, 0x107ff, 0x1000},
    [REG_LVT + LVT_PERF] = {XR | XW | X2R | X2W, 0x107ff, 0x1000},
    [REG_LVT + LVT_LINT0] = {XR | XW | X2R | X2W, 0x1a7ff, 0x5000},
    [REG_LVT + LVT_LINT1] = {XR | XW | X2R | X2W, 0x1a7ff, 0x5000},
    [REG_LVT + LVT_ERROR] = {XR | XW | X2R | X2W, 0x100ff, 0x1000},
    [REG_TIMER_INITIAL] = {XR | XW | X2R | X2W, 0xffffffff, 0},
    [REG_TIMER_CURRENT] = {XR | X2R, 0, 0},
    [REG_TIMER_DIVIDE] = {XR | XW | X2R | X2W, 0xb, 0},
    [REG_SELF_IPI] = {X2W, 0xff, 0},
};

/* ---- registers ---- */

u32 lapic_writable(unsigned reg)
{
    return rules[reg].writable;
}

static u32 logical_id(const struct lapic *l)
{
    if (!lapic_x2apic_mode(l))
        return l->ldr;
    return (l->config.id >> 4) << 16 | 1u << (l->config.id & 15);
}

static u32 read_register(struct lapic *l, unsigned reg)
{
    switch (reg) {
    case REG_ID:
        return lapic_x2apic_mode(l) ? l->config.id : l->xapic_id << 24;
    case REG_VERSION:
        return 0x14 | (LVTS - 1) << 16 | BIT(24); /* EOI broadcast can be suppressed */
    case REG_TPR:
        return l->tpr;
    case REG_APR:
    case REG_PPR:
        return lapic_ppr(l);
    case REG_LDR:
        return logical_id(l);
    case REG_DFR:
        return l->dfr;
    case REG_SVR:
        return l->svr;
    case REG_ISR ... REG_ISR + 7:
        return l->isr[reg - REG_ISR];
    case REG_TMR ... REG_TMR + 7:
        return l->tmr[reg - REG_TMR];
    case REG_IRR ... REG_IRR + 7:
        return l->irr[reg - REG_IRR];
    case REG_ESR:
        return l->esr;
    case REG_ICR:
        return l->icr;
    case REG_ICR2:
        return l->icr >> 32;
    case REG_LVT ... REG_LVT + LVTS - 1:
        return l->lvt[reg - REG_LVT];
    case REG_TIMER_INITIAL:
        return l->timer_initial;
    case REG_TIMER_CURRENT:
        return lapic_timer_current(l);
    case REG_TIMER_DIVIDE:
        return l->timer_divide;
    }
    return 0;
}

static void write_svr(struct lapic *l, u32 v)
{
    l->svr = v;
    if (!(v & SVR_ENABLED)) /* SDM 3A 11.4.7.2: disabling masks every LVT entry */
        for (unsigned n = 0; n < LVTS; n++)
            l->lvt[n] |= LVT_MASKED;
}

void lapic_write_lvt(struct lapic *l, unsigned n, u32 v)
{
    if (!(l->svr & SVR_ENABLED))
        v |= LVT_MASKED;
    if (n == LVT_TIMER) {
        if (!l->config.tsc_deadline)
            v &= ~(2u << 17);
        lapic_timer_set_lvt(l, v);
        return;
    }
    u32 kept = v & LVT_LEVEL ? l->lvt[n] & LVT_REMOTE_IRR : 0;
    l->lvt[n] = v | kept;
    if (n == LVT_LINT0) {
        lapic_service_lint(l, 0, false);
        lapic_signal_if_deliverable(l);
    }
}

static void write_icr(struct lapic *l, u64 v, struct lapic_after *after)
{
    bool wide = lapic_x2apic_mode(l);
    l->icr = v;
    struct lapic_message m = {
        .vector = v,
        .mode = v >> 8 & 7,
        .logical = v >> 11 & 1,
        .level = v >> 15 & 1,
        .shorthand = v >> 18 & 3,
        .wide = wide,
        .dest = wide ? v >> 32 : v >> 56,
        .sender = l,
    };
    /* SDM 3A table 11-1: a level-triggered, de-asserted INIT only set arbitration ids on old processors. */
    m.deassert = m.mode == MODE_INIT && m.level && !(v >> 14 & 1);
    if (m.mode <= MODE_LOWEST) {
        m.level = false; /* IPIs are edges on every processor with an xAPIC */
        if (m.vector < 16) {
            lapic_record_error(l, ESR_SEND_VECTOR);
            return;
        }
    }
    after->message = m;
    after->send = true;
}

static void write_register(struct lapic *l, unsigned reg, u64 v, struct lapic_after *after)
{
    switch (reg) {
    case REG_ID:
        l->xapic_id = v >> 24;
        lapic_publish(l);
        break;
    case REG_TPR:
        l->tpr = v;
        lapic_signal_if_deliverable(l);
        break;
    case REG_EOI:
        lapic_end_of_interrupt(l, after);
        break;
    case REG_LDR:
        l->ldr = v;
        lapic_publish(l);
        break;
    case REG_DFR:
        l->dfr = v | 0x0fffffff;
        lapic_publish(l);
        break;
    case REG_SVR:
        write_svr(l, v);
        break;
    case REG_ESR: /* SDM 3A 11.5.3: a write shows what has gathered and starts anew */
        l->esr = l->esr_pending;
        l->esr_pending = 0;
        break;
    case REG_ICR:
        write_icr(l, v, after);
        break;
    case REG_ICR2:
        l->icr = (u32)l->icr | v << 32;
        break;
    case REG_LVT ... REG_LVT + LVTS - 1:
        lapic_write_lvt(l, reg - REG_LVT, v);
        break;
    case REG_TIMER_INITIAL:
        lapic_timer_set_initial(l, v);
        break;
    case REG_TIMER_DIVIDE:
        lapic_timer_set_divide(l, v);
        break;
    case REG_SELF_IPI:
        if (v < 16)
            lapic_record_error(l, ESR_SEND_VECTOR);
        else
            lapic_accept(l, MODE_FIXED, v, false);
        break;
    }
}

static void do_after(struct lapic *l, const struct lapic_after *after)
{
    if (after->eoi >= 0)
        lapic_bus_eoi(l->bus, after->eoi);
    if (after->send)
        lapic_bus_deliver(l->bus, &after->message);
    if (after->moved)
        lapic_bus_moved(l->bus);
}

u32 lapic_mmio_read(struct lapic *l, unsigned reg)
{
    u32 v = 0;
    dev_lock(&l->dev);
    if (!lapic_hardware_enabled(l) || lapic_x2apic_mode(l))
        v = 0xffffffff;
    else if (reg < REGS && (rules[reg].access & XR))
        v = read_register(l, reg);
    else
        lapic_record_error(l, ESR_REGISTER);
    dev_unlock(&l->dev);
    return v;
}

void lapic_mmio_write(struct lapic *l, unsigned reg, u32 v)
{
    struct lapic_after after = {.eoi = -1};
    dev_lock(&l->dev);
    if (lapic_hardware_enabled(l) && !lapic_x2apic_mode(l)) {
        if (reg >= REGS || !(rules[reg].access & XW))
            lapic_record_error(l, ESR_REGISTER);
        else if (reg == REG_ICR)
            write_register(l, reg, (l->icr & ~0xffffffffull) | (v & rules[reg].writable), &after);
        else
            write_register(l, reg, v & rules[reg].writable, &after);
    }
    dev_unlock(&l->dev);
    do_after(l, &after);
}

/* ---- IA32_APIC_BASE and the other MSRs ---- */

void lapic_reset_registers(struct lapic *l)
{
    memset(l->irr, 0, sizeof l->irr);
    memset(l->isr, 0, sizeof l->isr);
    memset(l->tmr, 0, sizeof l->tmr);
    for (unsigned n = 0; n < LVTS; n++)
        l->lvt[n] = LVT_MASKED;
    l->tpr = l->esr = l->esr_pending = l->timer_initial = l->timer_divide = l->ldr = 0;
    l->icr = 0;
    l->dfr = 0xffffffff;
    l->svr = 0xff;
    lapic_timer_stop(l);
    lapic_publish(l);
}

/* SDM 3A 11.12.5: which of the states off (0), invalid (1), xAPIC (2), x2APIC (3) may follow which. */
static bool may_become(unsigned from, unsigned to)
{
    static const u8 allowed[4] = {[0] = 0x5, [2] = 0xd, [3] = 0x9};
    return allowed[from] >> to & 1;
}

void lapic_eoi(void *d)
{
    struct lapic *l = d;
    struct lapic_after after = {.eoi = -1};
    dev_lock(&l->dev);
    lapic_end_of_interrupt(l, &after);
    dev_unlock(&l->dev);
    do_after(l, &after);
}

static bool write_base(struct lapic *l, u64 v, struct lapic_after *after)
{
    u64 reserved = 0x2ff | (l->config.x2apic ? 0 : BASE_X2APIC) | ~0ull << l->config.phys_bits;
    if ((v & reserved) || !may_become(l->base >> 10 & 3, v >> 10 & 3))
        return false;
    bool was_enabled = lapic_hardware_enabled(l), was_x2apic = lapic_x2apic_mode(l);
    after->moved = (l->base ^ v) >> PAGE_SHIFT;
    l->base = v;
    if (was_enabled && !lapic_hardware_enabled(l)) {
        l->xapic_id = (u8)l->config.id;
        lapic_reset_registers(l);
    }
    if (!was_x2apic && lapic_x2apic_mode(l))
        l->icr &= 0xffffffff; /* its halves become one register; the destination's place moves */
    lapic_publish(l);
    return true;
}

static bool x2apic_read(struct lapic *l, unsigned reg, u64 *value)
{
    if (!lapic_x2apic_mode(l) || reg >= REGS || !(rules[reg].access & X2R))
        return false;
    *value = reg == REG_ICR ? l->icr : read_register(l, reg);
    return true;
}

static bool x2apic_write(struct lapic *l, unsigned reg, u64 v, struct lapic_after *after)
{
    if (!lapic_x2apic_mode(l) || reg >= REGS || !(rules[reg].access & X2W))
        return false;
    const struct reg_rule *rule = &rules[reg];
    u64 allowed = rule->writable | rule->read_only;
    if (reg == REG_ICR)
        allowed |= 0xffffffffull << 32;
    if (v & ~allowed)
        return false;
    write_register(l, reg, v & ~(u64)rule->read_only, after);
    return true;
}

bool lapic_msr_read(void *d, u32 msr, u64 *value)
{
    struct lapic *l = d;
    bool ok = true;
    dev_lock(&l->dev);
    if (msr == 0x1b)
        *value = l->base;
    else if (msr == 0x6e0 && (ok = l->config.tsc_deadline))
        *value = lapic_timer_mode(l) == TIMER_TSC_DEADLINE ? l->tsc_deadline : 0;
    else if (msr != 0x6e0)
        ok = msr >= 0x800 && x2apic_read(l, msr - 0x800, value);
    dev_unlock(&l->dev);
    return ok;
}

bool lapic_msr_write(void *d, u32 msr, u64 value)
{
    struct lapic *l = d;
    struct lapic_after after = {.eoi = -1};
    bool ok = true;
    dev_lock(&l->dev);
    if (msr == 0x1b)
        ok = write_base(l, value, &after);
    else if (msr == 0x6e0 && (ok = l->config.tsc_deadline))
        lapic_timer_set_deadline(l, value);
    else if (msr != 0x6e0)
        ok = msr >= 0x800 && x2apic_write(l, msr - 0x800, value, &after);
    dev_unlock(&l->dev);
    if (ok)
        do_after(l, &after);
    return ok;
}
