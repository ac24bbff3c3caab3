/* SPDX-License-Identifier: MIT */
/* The memory map of a machine and the RAM behind it. */
#include "vm/layout.h"

static void add(struct memory_map *m, u64 base, u64 end, enum memory_kind kind)
{
    if (end > base)
        m->range[m->count++] = (struct memory_range){base, end - base, kind};
}

struct memory_map memory_map_make(u64 bytes, u64 more)
{
    struct memory_map m = {.low_end = bytes < LOW_RAM_MAX ? bytes : LOW_RAM_MAX, .blocks_size = more};
    m.high_end = HIGH_RAM_BASE + (bytes - m.low_end);
    m.blocks_base = ALIGN_UP(m.high_end, BLOCKS_ALIGN);
    m.mmio64 = ALIGN_UP(more ? m.blocks_base + more : m.high_end, 32 * GIB);
    add(&m, 0, EBDA_BASE, MEMORY_USABLE);
    add(&m, EBDA_BASE, LEGACY_VGA_BASE, MEMORY_RESERVED);
    add(&m, ACPI_AREA_BASE, ACPI_AREA_END, MEMORY_RESERVED);
    add(&m, ACPI_AREA_END, m.low_end, MEMORY_USABLE);
    add(&m, ECAM_BASE, ECAM_BASE + ECAM_SIZE, MEMORY_RESERVED);
    add(&m, HIGH_RAM_BASE, m.high_end, MEMORY_USABLE);
    return m;
}

int memory_map_populate(const struct memory_map *m, struct space *s, struct err *err)
{
    if (space_add_ram(s, 0, LEGACY_VGA_BASE, err))
        return -1;
    if (space_add_ram(s, LEGACY_ROM_BASE, m->low_end - LEGACY_ROM_BASE, err))
        return -1;
    if (m->high_end > HIGH_RAM_BASE)
        return space_add_ram(s, HIGH_RAM_BASE, m->high_end - HIGH_RAM_BASE, err);
    return 0;
}
