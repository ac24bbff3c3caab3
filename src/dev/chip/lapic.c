/* SPDX-License-Identifier: MIT */
/*
 * One local APIC: its registers, what it accepts and what it delivers (SDM 3A chapter 11).
 *
 * The lock covers everything. What reaches out of the chip (an IPI, an EOI broadcast, a moved register page)
 * is noted in a `struct after` while the lock is held and done when it has been released, so no two local
 * APICs' locks and no I/O APIC's lock are ever taken inside ours.
 */
#include "dev/chip/lapic.h"

#include <stdlib.h>

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

struct after {
    bool send, moved;
    int eoi; /* vector, -1 none */
    struct lapic_message message;
};

/* ---- vectors ---- */

static int highest(const u32 *set)
{
    for (int word = 7; word >= 0; word--)
        if (set[word])
            return word * 32 + 31 - __builtin_clz(set[word]);
    return -1;
}

static void put_bit(u32 *set, u8 vector, bool on)
{
    u32 bit = 1u << (vector & 31);
    set[vector >> 5] = on ? set[vector >> 5] | bit : set[vector >> 5] & ~bit;
}

static bool get_bit(const u32 *set, u8 vector)
{
    return set[vector >> 5] >> (vector & 31) & 1;
}

static bool hardware_enabled(const struct lapic *l)
{
    return l->base & BASE_ENABLED;
}

static bool software_enabled(const struct lapic *l)
{
    return hardware_enabled(l) && (l->svr & SVR_ENABLED);
}

static bool x2apic_mode(const struct lapic *l)
{
    return l->base & BASE_X2APIC;
}

static unsigned ppr(const struct lapic *l)
{
    int serving = highest(l->isr);
    unsigned class = serving < 0 ? 0 : serving & 0xf0;
    return (l->tpr & 0xf0) >= class ? l->tpr : class;
}

/* The vector that its priority lets through, -1 if none. */
static int deliverable(const struct lapic *l)
{
    int vector = highest(l->irr);
    if (vector < 0 || !hardware_enabled(l))
        return -1;
    return (vector & 0xf0) > (ppr(l) & 0xf0) ? vector : -1;
}

/* LINT0 is the 8259's INT: in ExtINT mode, or when the local APIC is off (SDM 3A 11.4.3). */
static bool extint_asserted(const struct lapic *l)
{
    if (!l->lint[0] || !l->pic_acknowledge)
        return false;
    u32 lvt = l->lvt[LVT_LINT0];
    return !hardware_enabled(l) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == MODE_EXTINT);
}

static void signal_cpu(struct lapic *l, unsigned what)
{
    if (l->cpu.signal)
        l->cpu.signal(l->cpu.opaque, what);
}

static void signal_if_deliverable(struct lapic *l)
{
    if (deliverable(l) >= 0 || extint_asserted(l))
        signal_cpu(l, LAPIC_INTR);
}

/* ---- accepting ---- */

static void record_error(struct lapic *l, u32 what)
{
    l->esr_pending |= what;
    u32 lvt = l->lvt[LVT_ERROR];
    if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= 16)
        lapic_accept(l, MODE_FIXED, lvt, false);
}

static void accept_fixed(struct lapic *l, u8 vector, bool level)
{
    if (!software_enabled(l))
        return;
    if (vector < 16) {
        record_error(l, ESR_RECEIVE_VECTOR);
        return;
    }
    put_bit(l->irr, vector, true);
    put_bit(l->tmr, vector, level);
    signal_if_deliverable(l);
}

void lapic_accept(struct lapic *l, u8 mode, u8 vector, bool level)
{
    switch (mode) {
    case MODE_FIXED:
    case MODE_LOWEST:
        accept_fixed(l, vector, level);
        break;
    case MODE_NMI:
        signal_cpu(l, LAPIC_NMI);
        break;
    case MODE_INIT:
        signal_cpu(l, LAPIC_INIT);
        break;
    case MODE_SIPI:
        l->sipi_vector = vector;
        signal_cpu(l, LAPIC_SIPI);
        break;
    default: /* SMI: there is no SMM; ExtINT: only LINT0 has a path to the 8259 */
        break;
    }
}

void lapic_fire_lvt(struct lapic *l, enum lvt n)
{
    u32 lvt = l->lvt[n];
    if ((lvt & LVT_MASKED) || !hardware_enabled(l))
        return;
    lapic_accept(l, n == LVT_TIMER || n == LVT_ERROR ? MODE_FIXED : lvt >> 8 & 7, lvt, false);
}

/* A LINT pin in fixed mode may be level-triggered: delivered until its line drops, once per EOI. */
static void service_lint(struct lapic *l, unsigned pin, bool rose)
{
    u32 *lvt = &l->lvt[LVT_LINT0 + pin];
    bool fixed = (*lvt >> 8 & 7) == MODE_FIXED, level = fixed && (*lvt & LVT_LEVEL) && pin == 0;
    if ((*lvt & LVT_MASKED) || !l->lint[pin])
        return;
    if (!level) {
        if (rose)
            lapic_fire_lvt(l, LVT_LINT0 + pin);
        return;
    }
    if ((*lvt & LVT_REMOTE_IRR) || !software_enabled(l))
        return;
    *lvt |= LVT_REMOTE_IRR;
    lapic_accept(l, MODE_FIXED, *lvt, true);
}

static void lint_set(void *opaque, int pin, int level)
{
    struct lapic *l = opaque;
    if (pin < 0 || pin > 1)
        return;
    dev_lock(&l->dev);
    bool rose = level && !l->lint[pin];
    l->lint[pin] = !!level;
    if (!hardware_enabled(l)) {
        if (rose && pin == 1)
            signal_cpu(l, LAPIC_NMI);
    } else {
        service_lint(l, pin, rose);
    }
    if (level && pin == 0 && extint_asserted(l))
        signal_cpu(l, LAPIC_INTR);
    dev_unlock(&l->dev);
}

struct irq_line lapic_lint(struct dev *d, unsigned pin)
{
    return (struct irq_line){.set = lint_set, .opaque = d, .pin = pin};
}

static void end_of_interrupt(struct lapic *l, struct after *after)
{
    int vector = highest(l->isr);
    if (vector < 0)
        return;
    put_bit(l->isr, vector, false);
    u32 *lint0 = &l->lvt[LVT_LINT0];
    if ((*lint0 & LVT_REMOTE_IRR) && (*lint0 & 0xff) == vector) {
        *lint0 &= ~LVT_REMOTE_IRR;
        service_lint(l, 0, false);
    } else if (get_bit(l->tmr, vector) && !(l->svr & SVR_NO_EOI_BROADCAST)) {
        after->eoi = vector;
    }
    signal_if_deliverable(l);
}

/* ---- registers ---- */

static u32 logical_id(const struct lapic *l)
{
    if (!x2apic_mode(l))
        return l->ldr;
    return (l->config.id >> 4) << 16 | 1u << (l->config.id & 15);
}

static u32 read_register(struct lapic *l, unsigned reg)
{
    switch (reg) {
    case REG_ID:
        return x2apic_mode(l) ? l->config.id : l->xapic_id << 24;
    case REG_VERSION:
        return 0x14 | (LVTS - 1) << 16 | BIT(24); /* EOI broadcast can be suppressed */
    case REG_TPR:
        return l->tpr;
    case REG_APR:
    case REG_PPR:
        return ppr(l);
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

static void write_lvt(struct lapic *l, unsigned n, u32 v)
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
        service_lint(l, 0, false);
        signal_if_deliverable(l);
    }
}

static void write_icr(struct lapic *l, u64 v, struct after *after)
{
    bool wide = x2apic_mode(l);
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
            record_error(l, ESR_SEND_VECTOR);
            return;
        }
    }
    after->message = m;
    after->send = true;
}

static void write_register(struct lapic *l, unsigned reg, u64 v, struct after *after)
{
    switch (reg) {
    case REG_ID:
        l->xapic_id = v >> 24;
        lapic_publish(l);
        break;
    case REG_TPR:
        l->tpr = v;
        signal_if_deliverable(l);
        break;
    case REG_EOI:
        end_of_interrupt(l, after);
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
        write_lvt(l, reg - REG_LVT, v);
        break;
    case REG_TIMER_INITIAL:
        lapic_timer_set_initial(l, v);
        break;
    case REG_TIMER_DIVIDE:
        lapic_timer_set_divide(l, v);
        break;
    case REG_SELF_IPI:
        if (v < 16)
            record_error(l, ESR_SEND_VECTOR);
        else
            lapic_accept(l, MODE_FIXED, v, false);
        break;
    }
}

static void do_after(struct lapic *l, const struct after *after)
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
    if (!hardware_enabled(l) || x2apic_mode(l))
        v = 0xffffffff;
    else if (reg < REGS && (rules[reg].access & XR))
        v = read_register(l, reg);
    else
        record_error(l, ESR_REGISTER);
    dev_unlock(&l->dev);
    return v;
}

void lapic_mmio_write(struct lapic *l, unsigned reg, u32 v)
{
    struct after after = {.eoi = -1};
    dev_lock(&l->dev);
    if (hardware_enabled(l) && !x2apic_mode(l)) {
        if (reg >= REGS || !(rules[reg].access & XW))
            record_error(l, ESR_REGISTER);
        else if (reg == REG_ICR)
            write_register(l, reg, (l->icr & ~0xffffffffull) | (v & rules[reg].writable), &after);
        else
            write_register(l, reg, v & rules[reg].writable, &after);
    }
    dev_unlock(&l->dev);
    do_after(l, &after);
}

/* ---- IA32_APIC_BASE and the other MSRs ---- */

static void reset_registers(struct lapic *l)
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

static bool write_base(struct lapic *l, u64 v, struct after *after)
{
    u64 reserved = 0x2ff | (l->config.x2apic ? 0 : BASE_X2APIC) | ~0ull << l->config.phys_bits;
    if ((v & reserved) || !may_become(l->base >> 10 & 3, v >> 10 & 3))
        return false;
    bool was_enabled = hardware_enabled(l), was_x2apic = x2apic_mode(l);
    after->moved = (l->base ^ v) >> PAGE_SHIFT;
    l->base = v;
    if (was_enabled && !hardware_enabled(l)) {
        l->xapic_id = (u8)l->config.id;
        reset_registers(l);
    }
    if (!was_x2apic && x2apic_mode(l))
        l->icr &= 0xffffffff; /* its halves become one register; the destination's place moves */
    lapic_publish(l);
    return true;
}

static bool x2apic_read(struct lapic *l, unsigned reg, u64 *value)
{
    if (!x2apic_mode(l) || reg >= REGS || !(rules[reg].access & X2R))
        return false;
    *value = reg == REG_ICR ? l->icr : read_register(l, reg);
    return true;
}

static bool x2apic_write(struct lapic *l, unsigned reg, u64 v, struct after *after)
{
    if (!x2apic_mode(l) || reg >= REGS || !(rules[reg].access & X2W))
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
    struct after after = {.eoi = -1};
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

/* ---- the processor's side ---- */

int lapic_pending(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    bool extint = extint_asserted(l);
    int vector = deliverable(l);
    dev_unlock(&l->dev);
    if (extint) { /* its lock comes before ours, so ours is free by now */
        int external = l->pic_pending(l->pic_opaque);
        if (external >= 0)
            return external;
    }
    return vector;
}

static int take_own(struct lapic *l)
{
    int vector = deliverable(l);
    if (vector < 0)
        return -1;
    put_bit(l->irr, vector, false);
    put_bit(l->isr, vector, true);
    return vector;
}

int lapic_acknowledge(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    bool extint = extint_asserted(l);
    int vector = extint ? -1 : take_own(l);
    dev_unlock(&l->dev);
    if (!extint)
        return vector;
    vector = l->pic_acknowledge(l->pic_opaque);
    if (vector >= 0)
        return vector;
    dev_lock(&l->dev);
    vector = take_own(l);
    dev_unlock(&l->dev);
    return vector;
}

u8 lapic_get_tpr(void *d)
{
    struct lapic *l = d;
    return __atomic_load_n(&l->tpr, __ATOMIC_RELAXED); /* only the processor's own thread writes it */
}

void lapic_set_tpr(void *d, u8 tpr)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    l->tpr = tpr;
    signal_if_deliverable(l);
    dev_unlock(&l->dev);
}

u8 lapic_take_sipi(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    u8 vector = l->sipi_vector;
    dev_unlock(&l->dev);
    return vector;
}

void lapic_init(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    reset_registers(l);
    dev_unlock(&l->dev);
}

u32 lapic_id(void *d)
{
    return ((struct lapic *)d)->config.id;
}

bool lapic_enabled(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    bool on = hardware_enabled(l);
    dev_unlock(&l->dev);
    return on;
}

unsigned lapic_priority(struct lapic *l)
{
    dev_lock(&l->dev);
    unsigned p = software_enabled(l) ? ppr(l) : 0x100;
    dev_unlock(&l->dev);
    return p;
}

void lapic_nmi(struct dev *d)
{
    struct lapic *l = (struct lapic *)d;
    dev_lock(d);
    lapic_accept(l, MODE_NMI, 0, false);
    dev_unlock(d);
}

void lapic_tsc_changed(struct dev *d)
{
    dev_lock(d);
    lapic_timer_rearm_deadline((struct lapic *)d);
    dev_unlock(d);
}

void lapic_virtual_wire(struct dev *d)
{
    struct lapic *l = (struct lapic *)d;
    dev_lock(d);
    l->svr |= SVR_ENABLED;
    write_lvt(l, LVT_LINT0, MODE_EXTINT << 8);
    write_lvt(l, LVT_LINT1, MODE_NMI << 8);
    dev_unlock(d);
}

void lapic_connect_pic(struct dev *d, int (*pending)(void *opaque), int (*acknowledge)(void *opaque),
                       void *opaque)
{
    struct lapic *l = (struct lapic *)d;
    dev_lock(d);
    l->pic_pending = pending;
    l->pic_acknowledge = acknowledge;
    l->pic_opaque = opaque;
    dev_unlock(d);
}

/* ---- the device ---- */

static void lapic_reset(struct dev *d)
{
    struct lapic *l = (struct lapic *)d;
    l->base = LAPIC_BASE | BASE_ENABLED | (l->config.bootstrap ? BASE_BSP : 0);
    l->xapic_id = (u8)l->config.id;
    l->sipi_vector = 0;
    reset_registers(l);
}

static void lapic_saving(void *obj)
{
    struct lapic *l = obj;
    l->timer_armed = timer_deadline(&l->timer);
}

static int lapic_loaded(void *obj)
{
    struct lapic *l = obj;
    unsigned mode = l->base >> 10 & 3;
    u64 reserved = 0x2ff | ~0ull << l->config.phys_bits;
    if (mode == 1 || (l->base & reserved) || (mode == 3 && !l->config.x2apic))
        return -1;
    for (unsigned n = 0; n < LVTS; n++)
        l->lvt[n] &= rules[REG_LVT + n].writable | LVT_REMOTE_IRR;
    for (unsigned v = 0; v < 16; v++)
        put_bit(l->irr, v, false);
    l->tpr &= 0xff;
    l->xapic_id &= 0xff;
    l->timer_divide &= 0xb;
    l->svr &= rules[REG_SVR].writable;
    lapic_publish(l);
    lapic_bus_moved(l->bus);
    timer_arm(&l->timer, l->timer_armed);
    if (deliverable(l) >= 0 || extint_asserted(l))
        signal_cpu(l, LAPIC_INTR);
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct lapic, base),
    STATE_FIELD(struct lapic, xapic_id),
    STATE_FIELD(struct lapic, ldr),
    STATE_FIELD(struct lapic, dfr),
    STATE_FIELD(struct lapic, svr),
    STATE_FIELD(struct lapic, tpr),
    STATE_FIELD(struct lapic, esr),
    STATE_FIELD(struct lapic, esr_pending),
    STATE_FIELD(struct lapic, icr),
    STATE_ARRAY(struct lapic, lvt),
    STATE_ARRAY(struct lapic, irr),
    STATE_ARRAY(struct lapic, isr),
    STATE_ARRAY(struct lapic, tmr),
    STATE_FIELD(struct lapic, timer_initial),
    STATE_FIELD(struct lapic, timer_divide),
    STATE_FIELD(struct lapic, timer_zero),
    STATE_FIELD(struct lapic, tsc_deadline),
    STATE_FIELD(struct lapic, timer_armed),
    STATE_FIELD(struct lapic, sipi_vector),
    STATE_ARRAY(struct lapic, lint),
    STATE_END,
};

static const struct state_desc state = {
    .name = "lapic", .fields = fields, .saving = lapic_saving, .loaded = lapic_loaded};

static void lapic_destroy(struct dev *d)
{
    struct lapic *l = (struct lapic *)d;
    lapic_bus_remove(l->bus, l);
    timer_cancel(&l->timer);
    dev_fini(d);
    free(l);
}

static const struct dev_class class = {
    .name = "lapic", .reset = lapic_reset, .destroy = lapic_destroy, .state = &state};

struct dev *lapic_new(const struct dev_env *env, struct lapic_bus *b, const struct lapic_config *config,
                      struct lapic_cpu cpu, struct err *err)
{
    bug_on(!config->tsc_hz || config->phys_bits < 32 || config->phys_bits > 52, "local APIC's configuration");
    struct lapic *l = calloc(1, sizeof *l);
    if (!l) {
        err_set(err, EXIT_STATUS_HOST, "no memory for a local APIC");
        return NULL;
    }
    l->config = *config;
    l->cpu = cpu;
    l->bus = b;
    dev_init(&l->dev, &class, env, 0);
    lapic_timer_init(l);
    lapic_reset(&l->dev);
    lapic_bus_add(b, l);
    return &l->dev;
}
