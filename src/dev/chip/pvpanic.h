/* SPDX-License-Identifier: MIT */
/* The paravirtual panic port 0x505: the guest says that its kernel died. */
#ifndef DEV_CHIP_PVPANIC_H
#define DEV_CHIP_PVPANIC_H

#include "dev/dev.h"

#define PVPANIC_PORT 0x505

struct dev *pvpanic_new(const struct dev_env *env, struct err *err);

#endif
