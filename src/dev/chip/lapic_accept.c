/* SPDX-License-Identifier: MIT */
/*
 * What a local APIC accepts and what it delivers: IRR, ISR and TMR, priorities, LINT pins, EOI (SDM
 * 3A 11.8, 11.5).
 *
 * All under the chip's lock. An EOI that the I/O APIC must hear of is left in a `struct lapic_after`.
 */
#include "dev/chip/lapic_priv.h"

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

unsigned lapic_ppr(const struct lapic *l)
{
    int serving = highest(l->isr);
    unsigned class = serving < 0 ? 0 : serving & 0xf0;
    return (l->tpr & 0xf0) >= class ? l->tpr : class;
}

/* The vector that its priority lets through, -1 if none. */
int lapic_deliverable(const struct lapic *l)
{
    int vector = highest(l->irr);
    if (vector < 0 || !lapic_hardware_enabled(l))
        return -1;
    return (vector & 0xf0) > (lapic_ppr(l) & 0xf0) ? vector : -1;
}

/* LINT0 is the 8259's INT: in ExtINT mode, or when the local APIC is off (SDM 3A 11.4.3). */
bool lapic_extint_asserted(const struct lapic *l)
{
    if (!l->lint[0] || !l->pic_acknowledge)
        return false;
    u32 lvt = l->lvt[LVT_LINT0];
    return !lapic_hardware_enabled(l) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == MODE_EXTINT);
}

void lapic_signal_cpu(struct lapic *l, unsigned what)
{
    if (l->cpu.signal)
        l->cpu.signal(l->cpu.opaque, what);
}

void lapic_signal_if_deliverable(struct lapic *l)
{
    if (lapic_deliverable(l) >= 0 || lapic_extint_asserted(l))
        lapic_signal_cpu(l, LAPIC_INTR);
}

/* ---- accepting ---- */

void lapic_record_error(struct lapic *l, u32 what)
{
    l->esr_pending |= what;
    u32 lvt = l->lvt[LVT_ERROR];
    if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= 16)
        lapic_accept(l, MODE_FIXED, lvt, false);
}

static void accept_fixed(struct lapic *l, u8 vector, bool level)
{
    if (!lapic_software_enabled(l))
        return;
    if (vector < 16) {
        lapic_record_error(l, ESR_RECEIVE_VECTOR);
        return;
    }
    put_bit(l->irr, vector, true);
    put_bit(l->tmr, vector, level);
    lapic_signal_if_deliverable(l);
}

void lapic_accept(struct lapic *l, u8 mode, u8 vector, bool level)
{
    switch (mode) {
    case MODE_FIXED:
    case MODE_LOWEST:
        accept_fixed(l, vector, level);
        break;
    case MODE_NMI:
        lapic_signal_cpu(l, LAPIC_NMI);
        break;
    case MODE_INIT:
        lapic_signal_cpu(l, LAPIC_INIT);
        break;
    case MODE_SIPI:
        l->sipi_vector = vector;
        lapic_signal_cpu(l, LAPIC_SIPI);
        break;
    case MODE_SMI:
        lapic_signal_cpu(l, LAPIC_SMI);
        break;
    default: /* ExtINT: only LINT0 has a path to the 8259 */
        break;
    }
}

void lapic_fire_lvt(struct lapic *l, enum lvt n)
{
    u32 lvt = l->lvt[n];
    if ((lvt & LVT_MASKED) || !lapic_hardware_enabled(l))
        return;
    lapic_accept(l, n == LVT_TIMER || n == LVT_ERROR ? MODE_FIXED : lvt >> 8 & 7, lvt, false);
}

/* A LINT pin in fixed mode may be level-triggered: delivered until its line drops, once per EOI. */
void lapic_service_lint(struct lapic *l, unsigned pin, bool rose)
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
    if ((*lvt & LVT_REMOTE_IRR) || !lapic_software_enabled(l))
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
    if (!lapic_hardware_enabled(l)) {
        if (rose && pin == 1)
            lapic_signal_cpu(l, LAPIC_NMI);
    } else {
        lapic_service_lint(l, pin, rose);
    }
    if (level && pin == 0 && lapic_extint_asserted(l))
        lapic_signal_cpu(l, LAPIC_INTR);
    dev_unlock(&l->dev);
}

struct irq_line lapic_lint(struct dev *d, unsigned pin)
{
    return (struct irq_line){.set = lint_set, .opaque = d, .pin = pin};
}

void lapic_end_of_interrupt(struct lapic *l, struct lapic_after *after)
{
    int vector = highest(l->isr);
    if (vector < 0)
        return;
    put_bit(l->isr, vector, false);
    u32 *lint0 = &l->lvt[LVT_LINT0];
    if ((*lint0 & LVT_REMOTE_IRR) && (*lint0 & 0xff) == vector) {
        *lint0 &= ~LVT_REMOTE_IRR;
        lapic_service_lint(l, 0, false);
    } else if (get_bit(l->tmr, vector) && !(l->svr & SVR_NO_EOI_BROADCAST)) {
        after->eoi = vector;
    }
    lapic_signal_if_deliverable(l);
}

int lapic_take(struct lapic *l)
{
    int vector = lapic_deliverable(l);
    if (vector < 0)
        return -1;
    put_bit(l->irr, vector, false);
    put_bit(l->isr, vector, true);
    return vector;
}
