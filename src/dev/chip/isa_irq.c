/* SPDX-License-Identifier: MIT */
/* Fan-out of the ISA interrupt lines. Holds no lock: every pin's level lives in the controllers. */
#include "dev/chip/isa_irq.h"

enum { FROM_HPET = 0x100 };

static void drive(const struct irq_line *l, int pin, int level)
{
    if (l->set)
        l->set(l->opaque, pin, level);
}

static void isa_set(void *opaque, int pin, int level)
{
    struct isa_irq *i = opaque;
    int irq = pin & 15;
    bool shared_with_hpet = irq == 0 || irq == 8;
    if (shared_with_hpet && __atomic_load_n(&i->hpet_legacy, __ATOMIC_ACQUIRE) != !!(pin & FROM_HPET))
        return;
    drive(&i->pic, irq, level);
    drive(&i->ioapic, irq == 0 ? 2 : irq, level);
}

void isa_irq_init(struct isa_irq *i, struct irq_line pic, struct irq_line ioapic)
{
    *i = (struct isa_irq){.pic = pic, .ioapic = ioapic};
}

struct irq_line isa_irq_line(struct isa_irq *i, unsigned irq)
{
    return (struct irq_line){.set = isa_set, .opaque = i, .pin = irq & 15};
}

struct irq_line isa_irq_hpet_line(struct isa_irq *i, unsigned irq)
{
    return (struct irq_line){.set = isa_set, .opaque = i, .pin = FROM_HPET | (irq & 15)};
}

void isa_irq_set_hpet_legacy(struct isa_irq *i, bool on)
{
    __atomic_store_n(&i->hpet_legacy, on, __ATOMIC_RELEASE);
}
