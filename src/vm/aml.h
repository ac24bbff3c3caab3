/* SPDX-License-Identifier: MIT */
/*
 * A small AML byte builder (ACPI 6.4 chapter 20): what the DSDT needs and no more.
 *
 * Packages are opened and closed; closing inserts the length, so they nest in any depth. Names are four
 * characters or shorter (padded with '_'). Running out of room sets `failed` and makes every later call a
 * no-op.
 */
#ifndef VM_AML_H
#define VM_AML_H

#include "base/types.h"

struct aml {
    u8 *data;
    size_t len, cap;
    bool failed;
};

size_t aml_scope(struct aml *a, const char *path); /* "\\_SB" or a name */
size_t aml_device(struct aml *a, const char *name);
size_t aml_package(struct aml *a, unsigned elements);
size_t aml_resources(struct aml *a); /* Name(_CRS, ResourceTemplate ... */
void aml_resources_end(struct aml *a, size_t open);
void aml_close(struct aml *a, size_t open);

void aml_name(struct aml *a, const char *name); /* Name(name, <the next object>) */
void aml_int(struct aml *a, u64 value);
void aml_string(struct aml *a, const char *text);
void aml_eisa_id(struct aml *a, const char *id); /* "PNP0A08" */

/* Resource descriptors, ACPI 6.4 6.4. */
void aml_io(struct aml *a, u16 base, u8 len);
void aml_irq(struct aml *a, unsigned irq);
void aml_memory32(struct aml *a, u32 base, u32 size);
enum aml_window { AML_MEMORY = 0, AML_IO = 1, AML_BUS = 2 };
void aml_window16(struct aml *a, enum aml_window type, u16 first, u32 size);
void aml_window32(struct aml *a, u32 first, u32 size);
void aml_window64(struct aml *a, u64 first, u64 size);

#endif
