/* SPDX-License-Identifier: MIT */
/*
 * Linux bzImage (Documentation/arch/x86/boot.rst): the 64-bit entry where the kernel has one, else the 32-bit
 * entry.
 *
 * All initrd files are laid one after the other, as the kernel's own unpacker accepts them (early microcode
 * first). The page tables handed over map the first 4 GiB one to one; nothing the kernel is given lies above.
 */
#include "vm/boot/image.h"

#include <stdlib.h>

#include "x86/flags.h"

/* Offsets within the first sectors and, equally, within boot_params. */
enum {
    SETUP_SECTS = 0x1f1,
    BOOT_FLAG = 0x1fe,
    JUMP_LENGTH = 0x201,
    HEADER = 0x202,
    VERSION = 0x206,
    LOADER_TYPE = 0x210,
    LOADFLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END = 0x224,
    CMDLINE_PTR = 0x228,
    INITRD_MAX = 0x22c,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_END_MAX = 0x290,
    ACPI_RSDP = 0x70,
    E820_COUNT = 0x1e8,
    E820_TABLE = 0x2d0,
    PARAMS_SIZE = 4096,
};
enum { LOADED_HIGH = 1, KERNEL_64 = 1, LOADER_UNDEFINED = 0xff };
enum { BOOT_CS = 0x10, BOOT_DS = 0x18 };

struct setup {
    u8 sector[HEADER_END_MAX]; /* the file's start */
    u64 payload;               /* offset of the protected-mode part */
    bool has64;
    u64 at, room; /* where it goes and how much it needs there */
};

static u64 field(const struct setup *k, unsigned off, unsigned size)
{
    return load_le(k->sector + off, size);
}

static int check_setup(struct setup *k, const struct image *img, struct err *err)
{
    unsigned version = field(k, VERSION, 2), sects = k->sector[SETUP_SECTS];
    if (version < 0x206)
        return image_bad(img, err, "a Linux kernel from before 2.6.22; use a newer one");
    if (!(k->sector[LOADFLAGS] & LOADED_HIGH))
        return image_bad(img, err, "a Linux zImage, which loads low; build a bzImage");
    k->payload = ((sects ? sects : 4) + 1) * 512;
    if (k->payload >= img->size)
        return image_bad(img, err, "the file is cut short: the Linux kernel ends within its setup code");
    k->has64 = version >= 0x20c && (field(k, XLOADFLAGS, 2) & KERNEL_64);
    return 0;
}

static bool fits(const struct boot_room *r, u64 at, u64 size)
{
    return at >= MIB && at <= r->target->map->low_end && size <= r->target->map->low_end - at;
}

/* The preferred address: a relocatable kernel that is loaded lower moves there by itself, so it needs that
 * room in any case. Documentation/arch/x86/boot.rst, pref_address */
static int choose_place(struct setup *k, const struct image *img, const struct boot_room *r, struct err *err)
{
    u64 payload = img->size - k->payload;
    bool modern = field(k, VERSION, 2) >= 0x20a;
    k->at = modern ? field(k, PREF_ADDRESS, 8) : field(k, CODE32_START, 4);
    k->room = modern ? field(k, INIT_SIZE, 4) : payload;
    if (k->room < payload)
        k->room = payload;
    if (fits(r, k->at, k->room))
        return 0;
    return err_set(err, EXIT_STATUS_USAGE,
                   "%s: the kernel needs %llu MiB at 0x%llx; give the machine more memory", img->file->name,
                   (unsigned long long)(ALIGN_UP(k->room, MIB) / MIB), (unsigned long long)k->at);
}

static int initrd_size(const struct boot_source *s, u64 *total, struct err *err)
{
    *total = 0;
    for (unsigned i = 0; i < s->module_count; i++) {
        struct image img;
        if (image_open(&img, &s->modules[i], err))
            return -1;
        *total = ALIGN_UP(*total, 4) + img.size;
        if (img.size > LOW_RAM_MAX || *total > LOW_RAM_MAX)
            return image_bad(&img, err, "the initrd is larger than the memory below 2816 MiB");
    }
    return 0;
}

/* As high as the kernel allows, so that it is out of the way of decompression. */
static int put_initrd(const struct boot_source *s, const struct setup *k, struct boot_room *r, u8 *params,
                      struct err *err)
{
    u64 total, top = field(k, INITRD_MAX, 4) + 1;
    if (initrd_size(s, &total, err))
        return -1;
    if (!total)
        return 0;
    if (top > r->target->map->low_end)
        top = r->target->map->low_end;
    if (top < r->kernel_end || total > top - r->kernel_end ||
        ALIGN_DOWN(top - total, PAGE_SIZE) < r->kernel_end)
        return err_set(err, EXIT_STATUS_USAGE,
                       "%s: the initrd does not fit beside the kernel; give the machine more memory",
                       s->modules[0].name);
    u64 start = ALIGN_DOWN(top - total, PAGE_SIZE), at = start;
    for (unsigned i = 0; i < s->module_count; i++) {
        struct image img;
        at = ALIGN_UP(at, 4);
        if (image_open(&img, &s->modules[i], err))
            return -1;
        if (img.size > start + total - at)
            return image_bad(&img, err, "the file became longer while it was read");
        if (room_load(r, &img, 0, at, img.size, err))
            return -1;
        at += img.size;
    }
    store_le(params + RAMDISK_IMAGE, 4, start);
    store_le(params + RAMDISK_SIZE, 4, at - start);
    return 0;
}

static int put_cmdline(const struct boot_source *s, const struct setup *k, const struct image *img,
                       struct boot_room *r, u8 *params, struct err *err)
{
    const char *text = s->cmdline ? s->cmdline : "";
    if (strlen(text) > field(k, CMDLINE_SIZE, 4))
        return err_set(err, EXIT_STATUS_USAGE,
                       "%s: the command line has %zu characters, this kernel takes %llu", img->file->name,
                       strlen(text), (unsigned long long)field(k, CMDLINE_SIZE, 4));
    u64 at = room_put_words(r, text, NULL, err);
    store_le(params + CMDLINE_PTR, 4, at);
    return at ? 0 : -1;
}

static void fill_params(const struct setup *k, const struct boot_room *r, u8 *params)
{
    unsigned end = HEADER + k->sector[JUMP_LENGTH];
    if (end > HEADER_END_MAX)
        end = HEADER_END_MAX;
    if (end > SETUP_SECTS)
        memcpy(params + SETUP_SECTS, k->sector + SETUP_SECTS, end - SETUP_SECTS);
    params[LOADER_TYPE] = LOADER_UNDEFINED;
    store_le(params + CODE32_START, 4, k->at);
    store_le(params + ACPI_RSDP, 8, r->target->rsdp);
    const struct memory_map *map = r->target->map;
    params[E820_COUNT] = map->count;
    for (unsigned i = 0; i < map->count; i++) {
        u8 *e = params + E820_TABLE + 20 * i;
        store_le(e, 8, map->range[i].base);
        store_le(e + 8, 8, map->range[i].size);
        store_le(e + 16, 4, map->range[i].kind);
    }
}

/* PML4, PDPT and four page directories of 2 MiB pages. SDM 3A 4.5 */
static u64 put_page_tables(struct boot_room *r, struct err *err)
{
    enum { PAGES = 6, ENTRIES = 512, PRESENT_WRITABLE = 3, LARGE = 0x80 };
    u64 *t = calloc(PAGES, PAGE_SIZE);
    if (!t) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for page tables");
        return 0;
    }
    r->low_next = ALIGN_UP(r->low_next, PAGE_SIZE);
    u64 at = r->low_next;
    t[0] = (at + PAGE_SIZE) | PRESENT_WRITABLE;
    for (unsigned i = 0; i < 4; i++)
        t[ENTRIES + i] = (at + (2 + i) * PAGE_SIZE) | PRESENT_WRITABLE;
    for (u64 i = 0; i < 4 * ENTRIES; i++)
        t[2 * ENTRIES + i] = i << 21 | PRESENT_WRITABLE | LARGE;
    u64 put = room_put(r, t, PAGES * PAGE_SIZE, err);
    free(t);
    bug_on(put && put != at, "page tables at 0x%llx, built for 0x%llx", (unsigned long long)put,
           (unsigned long long)at);
    return put;
}

static int set_regs(const struct setup *k, struct boot_room *r, u64 params, struct accel_regs *regs,
                    struct err *err)
{
    static const u64 gdt[] = {0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    static const u64 gdt64[] = {0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff};
    regs_flat32(regs, k->at + (k->has64 ? 0x200 : 0));
    regs->gdt_base = room_put(r, k->has64 ? gdt64 : gdt, sizeof(gdt), err);
    regs->gdt_limit = sizeof(gdt) - 1;
    if (!regs->gdt_base)
        return -1;
    regs->gpr[6] = params;
    if (!k->has64)
        return 0;
    regs->cr3 = put_page_tables(r, err);
    if (!regs->cr3)
        return -1;
    regs->seg[CS].attr = (regs->seg[CS].attr & ~SEG_DB) | SEG_L;
    regs->cr0 |= CR0_PG;
    regs->cr4 = CR4_PAE;
    regs->efer = EFER_LME | EFER_LMA;
    return 0;
}

int linux_load(const struct boot_source *s, const struct image *img, struct boot_room *r,
               struct accel_regs *regs, bool *found, struct err *err)
{
    struct setup k = {0};
    *found = false;
    if (img->size < sizeof(k.sector))
        return 0;
    if (image_read(img, 0, k.sector, sizeof(k.sector), err))
        return -1;
    if (field(&k, BOOT_FLAG, 2) != 0xaa55 || memcmp(k.sector + HEADER, "HdrS", 4))
        return 0;
    *found = true;
    if (check_setup(&k, img, err) || choose_place(&k, img, r, err) || room_claim(r, img, k.at, k.room, err) ||
        room_load(r, img, k.payload, k.at, img->size - k.payload, err))
        return -1;
    room_kernel_done(r);
    u8 params[PARAMS_SIZE] = {0};
    fill_params(&k, r, params);
    if (put_cmdline(s, &k, img, r, params, err) || put_initrd(s, &k, r, params, err))
        return -1;
    r->low_next = ALIGN_UP(r->low_next, PAGE_SIZE);
    u64 at = room_put(r, params, sizeof(params), err);
    return at ? set_regs(&k, r, at, regs, err) : -1;
}
