/* SPDX-License-Identifier: MIT */
/* ELF executables for x86, 32 and 64 bits: headers read and checked once, in one shape for both. */
#ifndef VM_BOOT_ELF_IMAGE_H
#define VM_BOOT_ELF_IMAGE_H

#include "vm/boot/image.h"

#define ELF_SEGMENTS_MAX 64

struct elf_segment {
    u32 type;
    u64 offset, vaddr, paddr, file_size, mem_size, alignment;
};

struct elf_image {
    u64 entry; /* as the header says: a virtual address in kernels that map themselves high */
    unsigned count;
    struct elf_segment segment[ELF_SEGMENTS_MAX];
};

/* *found false: not ELF, and nothing else was looked at. */
int must_check elf_open(const struct image *img, struct elf_image *elf, bool *found, struct err *err);
/* Puts all PT_LOAD segments at their physical addresses. */
int must_check elf_load(const struct elf_image *elf, const struct image *img, struct boot_room *r,
                        struct err *err);
/* The 32-bit entry of the PVH note, or *found false. */
int must_check elf_pvh_entry(const struct elf_image *elf, const struct image *img, u32 *entry, bool *found,
                             struct err *err);
/* The physical address at which the code of e_entry lies. */
u64 elf_physical_entry(const struct elf_image *elf);

#endif
