/* SPDX-License-Identifier: MIT */
/* The HPET: three timers, 64-bit counter at 100 MHz, legacy replacement (IA-PC HPET Specification 1.0a). */
#ifndef DEV_CHIP_HPET_H
#define DEV_CHIP_HPET_H

#include "dev/chip/isa_irq.h"
#include "dev/dev.h"

#define HPET_BASE      0xfed00000ull
#define HPET_PERIOD_FS 10000000u /* femtoseconds a tick */

/* ioapic: any line of the I/O APIC; the routed pin is chosen here. */
struct dev *hpet_new(const struct dev_env *env, struct isa_irq *isa, struct irq_line ioapic, struct err *err);

#endif
