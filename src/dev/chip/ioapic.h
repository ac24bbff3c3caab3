/* SPDX-License-Identifier: MIT */
/* The I/O APIC: 24 pins, version 0x20 with EOI register. Interrupts leave as MSIs through dev_env.msi. */
#ifndef DEV_CHIP_IOAPIC_H
#define DEV_CHIP_IOAPIC_H

#include "dev/dev.h"

#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_PINS 24

/* id: the reset value of the APIC ID register, as the MADT will say. */
struct dev *ioapic_new(const struct dev_env *env, u8 id, struct err *err);
struct irq_line ioapic_line(struct dev *d, unsigned pin);
/* A local APIC finished a level-triggered interrupt with this vector. Takes the chip's lock: hold no local
 * APIC's. */
void ioapic_eoi(void *d, u8 vector);

#endif
