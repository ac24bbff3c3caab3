/* SPDX-License-Identifier: MIT */
/*
 * Starting a guest without firmware: Linux bzImage, ELF with a PVH note, multiboot 1.
 *
 * Files come open, because the sandbox opens none later. boot_load() may be called again after a reset: it
 * keeps nothing. RAM is expected to read as zeroes; only what a file holds is written. A file is never
 * trusted: every offset, length and address of it is checked against the file and against RAM.
 */
#ifndef VM_BOOT_BOOT_H
#define VM_BOOT_BOOT_H

#include "accel/accel.h"
#include "vm/layout.h"

struct boot_file {
    int fd;
    const char *name; /* as the user wrote it: messages and multiboot strings */
    const char *args; /* NULL: none */
};

#define BOOT_MODULES_MAX 64

struct boot_source {
    struct boot_file kernel;
    const struct boot_file *modules;
    unsigned module_count;
    const char *cmdline; /* NULL: empty */
};

struct boot_target {
    struct space *memory;
    const struct memory_map *map;
    u64 rsdp;
};

/* Loads everything and fills regs for the bootstrap processor. -1: err names the file and the reason (status
 * 2). */
int must_check boot_load(const struct boot_source *src, const struct boot_target *t, struct accel_regs *regs,
                         struct err *err);

#endif
