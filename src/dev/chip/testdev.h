/* SPDX-License-Identifier: MIT */
/*
 * The pc-testdev that hypervisor test suites expect: interrupt lines by port (0x2000 + n), a port that
 * remembers (0xe0, bytewise 0xe8), a page flush hint (0xe4) and 64 KiB of device memory at 0xff000000.
 */
#ifndef DEV_CHIP_TESTDEV_H
#define DEV_CHIP_TESTDEV_H

#include "dev/chip/isa_irq.h"
#include "dev/dev.h"

struct dev *testdev_new(const struct dev_env *env, struct isa_irq *isa, struct err *err);

#endif
