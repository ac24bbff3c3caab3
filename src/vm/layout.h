/* SPDX-License-Identifier: MIT */
/*
 * Where things are in a machine's memory: RAM, windows, tables. Fixed once, read by the board, ACPI and boot
 * loaders.
 *
 * The low 640 KiB and everything from 768 KiB are RAM; the ACPI tables stand in the part that firmware would
 * own. Nothing here may move without ACPI and e820 moving with it: both are built from this page.
 */
#ifndef VM_LAYOUT_H
#define VM_LAYOUT_H

#include "base/err.h"
#include "mem/space.h"

#define EBDA_BASE       0x9fc00ull /* end of usable low memory */
#define LEGACY_VGA_BASE 0xa0000ull
#define LEGACY_ROM_BASE 0xc0000ull
#define ACPI_AREA_BASE  0xe0000ull /* RSDP and tables */
#define ACPI_AREA_END   0x100000ull
#define LOW_RAM_MAX     0xb0000000ull /* then the PCI hole */
#define ECAM_BASE       0xb0000000ull
#define ECAM_SIZE       0x10000000ull /* 256 buses */
#define MMIO32_BASE     0xc0000000ull
#define MMIO32_END      0xfec00000ull
#define HIGH_RAM_BASE   0x100000000ull
#define MMIO64_SIZE     (16 * GIB)
#define BLOCKS_ALIGN    GIB
#define BLOCKS_STEP     (128 * MIB) /* what Linux adds memory by, at least: it wants ends to be multiples */

#define COM1_PORT    0x3f8
#define COM1_IRQ     4
#define PCI_GSI_BASE 16 /* INTx lines A-D go to GSI 16..19 */

enum memory_kind { MEMORY_USABLE = 1, MEMORY_RESERVED = 2 }; /* as E820 numbers them */

struct memory_range {
    u64 base, size;
    enum memory_kind kind;
};

#define MEMORY_MAP_MAX 16

struct memory_map {
    struct memory_range range[MEMORY_MAP_MAX]; /* ascending, disjoint */
    unsigned count;
    u64 low_end;  /* end of RAM below 4 GiB */
    u64 high_end; /* end of RAM above 4 GiB, or HIGH_RAM_BASE */
    /* Where RAM may come later; size 0: nowhere. No firmware table names it: the guest's virtio-mem driver
     * says what is there, and a SRAT entry would make Linux set bounce buffers aside for it. */
    u64 blocks_base, blocks_size;
    u64 mmio64; /* base of the 64-bit PCI window */
};

/* What a machine of `bytes` of RAM (a multiple of 1 MiB, at least 1 MiB) looks like that may get `more`
 * later.
 */
struct memory_map memory_map_make(u64 bytes, u64 more);
/* Puts the RAM of the map into the space, but for what may come. */
int must_check memory_map_populate(const struct memory_map *m, struct space *s, struct err *err);

#endif
