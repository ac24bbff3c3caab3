/* SPDX-License-Identifier: MIT */
/*
 * Multiboot Specification 0.6.96: a header in the first 8 KiB, ELF or explicit load addresses, modules with
 * strings.
 *
 * Video modes are not provided: a header that asks for one (flag 2) is started without, as the specification
 * allows for a preference. Other required flags that the specification does not define are refused.
 */
#include "vm/boot/elf_image.h"

enum { HEADER_MAGIC = 0x1badb002, LOADER_MAGIC = 0x2badb002, SEARCH = 8192 };
enum { WANT_PAGE_ALIGN = 1, WANT_MEMORY = 2, WANT_VIDEO = 4, REQUIRED = 0xffff, HAS_ADDRESSES = 1 << 16 };
enum { INFO_MEMORY = 1, INFO_CMDLINE = 4, INFO_MODULES = 8, INFO_MAP = 64, INFO_LOADER = 512 };

struct header {
    u64 at; /* offset in the file */
    u32 flags;
    u32 header_addr, load_addr, load_end, bss_end, entry;
};

struct mb_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    u32 mmap_length, mmap_addr, drives[2], config_table, loader_name, apm_table, vbe[4];
};

struct mb_module {
    u32 start, end, string, reserved;
};

struct mb_range {
    u32 size;
    u64 base, length;
    u32 type;
} __attribute__((packed));

static bool header_at(const u8 *p, size_t left, struct header *h)
{
    u32 magic = load_le(p, 4), flags = load_le(p + 4, 4), sum = load_le(p + 8, 4);
    if (magic != HEADER_MAGIC || magic + flags + sum != 0)
        return false;
    h->flags = flags;
    if (!(flags & HAS_ADDRESSES))
        return true;
    if (left < 32)
        return false;
    h->header_addr = load_le(p + 12, 4);
    h->load_addr = load_le(p + 16, 4);
    h->load_end = load_le(p + 20, 4);
    h->bss_end = load_le(p + 24, 4);
    h->entry = load_le(p + 28, 4);
    return true;
}

static int find_header(const struct image *img, struct header *h, bool *found, struct err *err)
{
    u8 buf[SEARCH];
    size_t n = img->size < SEARCH ? img->size : SEARCH;
    *found = false;
    if (image_read(img, 0, buf, n, err))
        return -1;
    for (h->at = 0; h->at + 12 <= n; h->at += 4)
        if (header_at(buf + h->at, n - h->at, h)) {
            *found = true;
            break;
        }
    return 0;
}

/* Load addresses from the header (3.1.3): the file's place in memory is given by where the header itself
 * lies. */
static int load_addresses(const struct header *h, const struct image *img, struct boot_room *r,
                          struct err *err)
{
    u64 before = (u64)h->header_addr - h->load_addr;
    if (h->header_addr < h->load_addr || before > h->at)
        return image_bad(img, err, "damaged multiboot header: it would load from before the file's start");
    u64 off = h->at - before, len = img->size - off;
    if (h->load_end) {
        if (h->load_end < h->load_addr || h->load_end - h->load_addr > len)
            return image_bad(img, err, "damaged multiboot header: the load end lies past the file's end");
        len = h->load_end - h->load_addr;
    }
    u64 end = h->load_addr + len;
    if (h->bss_end && h->bss_end < end)
        return image_bad(img, err, "damaged multiboot header: the bss ends before the loaded data");
    if (h->bss_end)
        end = h->bss_end;
    if (room_claim(r, img, h->load_addr, end - h->load_addr, err))
        return -1;
    return room_load(r, img, off, h->load_addr, len, err);
}

static int load_kernel(struct header *h, const struct image *img, struct boot_room *r, struct err *err)
{
    if (h->flags & REQUIRED & ~(WANT_PAGE_ALIGN | WANT_MEMORY | WANT_VIDEO))
        return image_bad(img, err, "its multiboot header requires features that multiboot 1 does not define");
    if (h->flags & HAS_ADDRESSES)
        return load_addresses(h, img, r, err);
    struct elf_image elf;
    bool is_elf;
    if (elf_open(img, &elf, &is_elf, err))
        return -1;
    if (!is_elf)
        return image_bad(img, err, "a multiboot header without load addresses, but the file is not ELF");
    u64 entry = elf_physical_entry(&elf);
    if (entry > 0xffffffff)
        return image_bad(img, err, "its entry lies above 4 GiB, where multiboot cannot jump");
    h->entry = entry;
    return elf_load(&elf, img, r, err);
}

static int put_modules(const struct boot_source *s, struct boot_room *r, struct mb_info *info,
                       struct err *err)
{
    struct mb_module list[BOOT_MODULES_MAX] = {0};
    for (unsigned i = 0; i < s->module_count; i++) {
        const struct boot_file *f = &s->modules[i];
        struct image img;
        if (image_open(&img, f, err))
            return -1;
        u64 at = room_put_file(r, &img, err);
        u64 string = at ? room_put_words(r, f->name, f->args, err) : 0;
        if (!string)
            return -1;
        list[i] = (struct mb_module){at, at + img.size, string, 0};
    }
    info->flags |= INFO_MODULES;
    info->mods_count = s->module_count;
    if (s->module_count)
        info->mods_addr = room_put(r, list, s->module_count * sizeof(list[0]), err);
    return s->module_count && !info->mods_addr ? -1 : 0;
}

static int put_map(const struct memory_map *map, struct boot_room *r, struct mb_info *info, struct err *err)
{
    struct mb_range list[MEMORY_MAP_MAX];
    for (unsigned i = 0; i < map->count; i++)
        list[i] = (struct mb_range){20, map->range[i].base, map->range[i].size, map->range[i].kind};
    info->flags |= INFO_MEMORY | INFO_MAP;
    info->mem_lower = EBDA_BASE / KIB;
    info->mem_upper = map->low_end > MIB ? (map->low_end - MIB) / KIB : 0;
    info->mmap_length = map->count * sizeof(list[0]);
    info->mmap_addr = room_put(r, list, info->mmap_length, err);
    return info->mmap_addr ? 0 : -1;
}

int multiboot_load(const struct boot_source *s, const struct image *img, struct boot_room *r,
                   struct accel_regs *regs, bool *found, struct err *err)
{
    struct header h = {0};
    if (find_header(img, &h, found, err))
        return -1;
    if (!*found)
        return 0;
    if (load_kernel(&h, img, r, err))
        return -1;
    room_kernel_done(r);
    struct mb_info info = {.flags = INFO_CMDLINE | INFO_LOADER};
    info.cmdline = room_put_words(r, img->file->name, s->cmdline, err);
    info.loader_name = room_put_words(r, "droste", NULL, err);
    if (!info.cmdline || !info.loader_name || put_map(r->target->map, r, &info, err) ||
        put_modules(s, r, &info, err))
        return -1;
    u64 at = room_put(r, &info, sizeof(info), err);
    if (!at)
        return -1;
    regs_flat32(regs, h.entry);
    regs->gpr[0] = LOADER_MAGIC;
    regs->gpr[3] = at;
    return 0;
}
