/* SPDX-License-Identifier: MIT */
/*
 * The 8042 keyboard controller (ports 0x60, 0x64) with nothing plugged in, and system control port A (0x92).
 * What a PC still needs of it: the self test, the output port and the reset pulse. Address line 20 is never
 * masked.
 */
#ifndef DEV_CHIP_I8042_H
#define DEV_CHIP_I8042_H

#include "dev/dev.h"

struct dev *i8042_new(const struct dev_env *env, struct irq_line irq1, struct irq_line irq12,
                      struct err *err);

#endif
