/* SPDX-License-Identifier: MIT */
/* The two cascaded 8259A interrupt controllers of a PC, with edge/level registers (ports 0x20, 0xa0, 0x4d0).
 */
#ifndef DEV_CHIP_I8259_H
#define DEV_CHIP_I8259_H

#include "dev/dev.h"

/* out: INT of the master, usually LINT0 of the bootstrap processor's local APIC. */
struct dev *i8259_new(const struct dev_env *env, struct irq_line out, struct err *err);
/* Input pin 0..15 (2 is the cascade and does nothing). */
struct irq_line i8259_line(struct dev *d, unsigned pin);
/* The two INTA cycles: the vector. A request that has gone gives the spurious vector. -1: INT is not
 * asserted. */
int i8259_acknowledge(void *d);
int i8259_pending(void *d); /* what that would give now, -1 if nothing; changes nothing */

#endif
