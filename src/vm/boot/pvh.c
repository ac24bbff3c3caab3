/* SPDX-License-Identifier: MIT */
/* Xen's PVH boot protocol (xen/include/public/arch-x86/hvm/start_info.h): 32-bit entry, EBX = hvm_start_info.
 */
#include "vm/boot/elf_image.h"

#define PVH_MAGIC 0x336ec578u

struct start_info {
    u32 magic, version, flags, module_count;
    u64 modules, cmdline, rsdp, memory_map;
    u32 memory_map_entries, reserved;
};

struct start_module {
    u64 base, size, cmdline, reserved;
};

struct start_range {
    u64 base, size;
    u32 type, reserved;
};

static int put_modules(const struct boot_source *s, struct boot_room *r, struct start_info *info,
                       struct err *err)
{
    struct start_module list[BOOT_MODULES_MAX] = {0};
    for (unsigned i = 0; i < s->module_count; i++) {
        const struct boot_file *f = &s->modules[i];
        struct image img;
        if (image_open(&img, f, err))
            return -1;
        list[i].size = img.size;
        list[i].base = room_put_file(r, &img, err);
        list[i].cmdline = list[i].base ? room_put_words(r, f->args ? f->args : "", NULL, err) : 0;
        if (!list[i].cmdline)
            return -1;
    }
    info->module_count = s->module_count;
    if (s->module_count)
        info->modules = room_put(r, list, s->module_count * sizeof(list[0]), err);
    return s->module_count && !info->modules ? -1 : 0;
}

static u64 put_map(const struct memory_map *map, struct boot_room *r, struct err *err)
{
    struct start_range list[MEMORY_MAP_MAX] = {0};
    for (unsigned i = 0; i < map->count; i++)
        list[i] = (struct start_range){map->range[i].base, map->range[i].size, map->range[i].kind, 0};
    return room_put(r, list, map->count * sizeof(list[0]), err);
}

int pvh_load(const struct boot_source *s, const struct image *img, struct boot_room *r,
             struct accel_regs *regs, bool *found, struct err *err)
{
    struct elf_image elf;
    u32 entry;
    if (elf_open(img, &elf, found, err))
        return -1;
    if (!*found)
        return 0;
    if (elf_pvh_entry(&elf, img, &entry, found, err))
        return -1;
    if (!*found)
        return 0;
    if (elf_load(&elf, img, r, err))
        return -1;
    room_kernel_done(r);
    struct start_info info = {.magic = PVH_MAGIC, .version = 1, .rsdp = r->target->rsdp};
    info.memory_map_entries = r->target->map->count;
    info.memory_map = put_map(r->target->map, r, err);
    info.cmdline = room_put_words(r, s->cmdline ? s->cmdline : "", NULL, err);
    if (!info.memory_map || !info.cmdline || put_modules(s, r, &info, err))
        return -1;
    u64 at = room_put(r, &info, sizeof(info), err);
    if (!at)
        return -1;
    regs_flat32(regs, entry);
    regs->gpr[3] = at;
    return 0;
}
