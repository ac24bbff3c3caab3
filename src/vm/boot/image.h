/* SPDX-License-Identifier: MIT */
/*
 * What the loaders share: checked reads of a file, checked writes into RAM, places for boot data, register
 * presets.
 *
 * Everything sets err itself and returns -1 (or 0 for an address), so callers only pass it on.
 */
#ifndef VM_BOOT_IMAGE_H
#define VM_BOOT_IMAGE_H

#include "vm/boot/boot.h"

struct image {
    const struct boot_file *file;
    u64 size;
};

int must_check image_open(struct image *img, const struct boot_file *file, struct err *err);
/* "FILE: reason" with status 2. Returns -1. */
int image_bad(const struct image *img, struct err *err, const char *reason);
int must_check image_read(const struct image *img, u64 off, void *buf, size_t len, struct err *err);

/* Where boot data may go: everything handed out lies in usable RAM below 4 GiB and overlaps nothing loaded so
 * far. */
struct boot_room {
    const struct boot_target *target;
    u64 kernel_start, kernel_end; /* hull of what the kernel occupies */
    u64 low_next;                 /* next free byte below 640 KiB */
    u64 high_next;                /* next free byte behind the kernel */
};

/* Copies part of the file to RAM. */
int must_check room_load(struct boot_room *r, const struct image *img, u64 off, u64 gpa, u64 len,
                         struct err *err);
/* Takes [gpa, gpa + size) for the kernel: it must be usable RAM. */
int must_check room_claim(struct boot_room *r, const struct image *img, u64 gpa, u64 size, struct err *err);
void room_start(struct boot_room *r, const struct boot_target *t);
void room_kernel_done(struct boot_room *r);
/* Small boot data (16-byte aligned, in low memory if it fits): its address, or 0. */
u64 room_put(struct boot_room *r, const void *data, size_t len, struct err *err);
/* `name` or `name args`, as a string in guest memory; its address, or 0. */
u64 room_put_words(struct boot_room *r, const char *first, const char *second, struct err *err);
/* A whole file behind the kernel, page-aligned; its address, or 0. */
u64 room_put_file(struct boot_room *r, const struct image *img, struct err *err);

/* 32-bit protected mode, paging off, flat segments, interrupts off: what PVH, multiboot and Linux's 32-bit
 * entry ask. */
void regs_flat32(struct accel_regs *r, u64 entry);

/* One function a format. `found` tells whether the file is of it; when it is not, nothing was loaded. */
int linux_load(const struct boot_source *s, const struct image *img, struct boot_room *r,
               struct accel_regs *regs, bool *found, struct err *err);
int multiboot_load(const struct boot_source *s, const struct image *img, struct boot_room *r,
                   struct accel_regs *regs, bool *found, struct err *err);
int pvh_load(const struct boot_source *s, const struct image *img, struct boot_room *r,
             struct accel_regs *regs, bool *found, struct err *err);

#endif
