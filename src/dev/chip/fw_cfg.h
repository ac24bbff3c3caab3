/* SPDX-License-Identifier: MIT */
/* The firmware configuration device: numbered items and named files, by port (0x510, 0x511) or DMA (0x514).
 */
#ifndef DEV_CHIP_FW_CFG_H
#define DEV_CHIP_FW_CFG_H

#include "dev/dev.h"

struct fw_cfg_values {
    u16 cpus, max_cpus;
    u64 ram_size;
};

struct dev *fw_cfg_new(const struct dev_env *env, const struct fw_cfg_values *values, struct err *err);
/* Items are copied and must be added before the machine runs. */
int must_check fw_cfg_add(struct dev *d, u16 key, const void *data, size_t len, struct err *err);
int must_check fw_cfg_add_file(struct dev *d, const char *name, const void *data, size_t len,
                               struct err *err);

#endif
