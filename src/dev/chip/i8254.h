/* SPDX-License-Identifier: MIT */
/*
 * The 8254 interval timer (ports 0x40-0x43) and system control port B (0x61: channel 2's gate and output,
 * refresh toggle, speaker data). Counts are computed from the machine's clock, never ticked.
 */
#ifndef DEV_CHIP_I8254_H
#define DEV_CHIP_I8254_H

#include "dev/dev.h"

#define I8254_HZ 1193182u

/* irq0: output of channel 0. */
struct dev *i8254_new(const struct dev_env *env, struct irq_line irq0, struct err *err);

#endif
