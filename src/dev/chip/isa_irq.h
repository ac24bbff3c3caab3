/* SPDX-License-Identifier: MIT */
/*
 * The sixteen ISA interrupt lines, each wired to an 8259 pin and to the I/O APIC pin of its global system
 * interrupt (IRQ 0 is GSI 2, the others are equal). While the HPET's legacy replacement is on, IRQ 0 and IRQ
 * 8 come from the HPET and the PIT's and RTC's own outputs are cut off, as the HPET specification 2.4.3
 * (LEG_RT) has it.
 */
#ifndef DEV_CHIP_ISA_IRQ_H
#define DEV_CHIP_ISA_IRQ_H

#include "dev/irq.h"

enum { ISA_IRQS = 16, ISA_GSIS = 24 };

/* Fill by isa_irq_init(); never moves afterwards, because lines point at it. */
struct isa_irq {
    struct irq_line pic;    /* pin n: 8259 input n; set may be NULL */
    struct irq_line ioapic; /* pin n: GSI n; set may be NULL */
    bool hpet_legacy;       /* atomic */
};

/* pic and ioapic: any pin's line of the chip (i8259_line(), ioapic_line()); the pin is chosen here. */
void isa_irq_init(struct isa_irq *i, struct irq_line pic, struct irq_line ioapic);
/* The line of ISA interrupt irq (0..15), thread-safe. */
struct irq_line isa_irq_line(struct isa_irq *i, unsigned irq);
/* The HPET's own way to IRQ 0 and IRQ 8. */
struct irq_line isa_irq_hpet_line(struct isa_irq *i, unsigned irq);
void isa_irq_set_hpet_legacy(struct isa_irq *i, bool on);

#endif
