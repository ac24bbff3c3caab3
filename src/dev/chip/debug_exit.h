/* SPDX-License-Identifier: MIT */
/* The isa-debug-exit port 0xf4: writing v ends the machine with status v << 1 | 1. */
#ifndef DEV_CHIP_DEBUG_EXIT_H
#define DEV_CHIP_DEBUG_EXIT_H

#include "dev/dev.h"

struct dev *debug_exit_new(const struct dev_env *env, struct err *err);

#endif
