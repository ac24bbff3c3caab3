/* SPDX-License-Identifier: MIT */
/* The MC146818 real-time clock and its 128 bytes of battery-backed memory (ports 0x70, 0x71). */
#ifndef DEV_CHIP_MC146818_H
#define DEV_CHIP_MC146818_H

#include "dev/dev.h"

/* ram_below_4g, ram_above_4g: bytes, for the memory-size registers that firmware reads. */
struct dev *mc146818_new(const struct dev_env *env, struct irq_line irq8, u64 ram_below_4g, u64 ram_above_4g,
                         struct err *err);

#endif
