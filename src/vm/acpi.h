/* SPDX-License-Identifier: MIT */
/* The ACPI tables of the machine (ACPI 6.4 chapter 5), built from the memory layout and written as plain
 * bytes. */
#ifndef VM_ACPI_H
#define VM_ACPI_H

#include "base/err.h"
#include "base/types.h"

struct acpi_config {
    unsigned cpus; /* APIC ids are 0 .. cpus - 1 */
    u64 mmio64_base, mmio64_size;
};

/* Fills area, which will stand at guest address `base` (16-byte aligned, `size` bytes, zeroed). Returns the
 * address of the RSDP, which is `base`; 0 and err when it does not fit. */
u64 acpi_build(const struct acpi_config *cfg, u8 *area, u64 base, size_t size, struct err *err);

#endif
