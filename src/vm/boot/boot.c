/* SPDX-License-Identifier: MIT */
/* Tries the formats in turn. A kernel that is both multiboot and PVH (Xen) starts by multiboot. */
#include "vm/boot/boot.h"

#include "vm/boot/image.h"

typedef int load_fn(const struct boot_source *s, const struct image *img, struct boot_room *r,
                    struct accel_regs *regs, bool *found, struct err *err);

int boot_load(const struct boot_source *src, const struct boot_target *t, struct accel_regs *regs,
              struct err *err)
{
    static load_fn *const formats[] = {linux_load, multiboot_load, pvh_load};
    struct image img;
    if (src->module_count > BOOT_MODULES_MAX)
        return err_set(err, EXIT_STATUS_USAGE, "%u initrd files; at most %d can be given", src->module_count,
                       BOOT_MODULES_MAX);
    if (image_open(&img, &src->kernel, err))
        return -1;
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        struct boot_room room;
        bool found = false;
        room_start(&room, t);
        int r = formats[i](src, &img, &room, regs, &found, err);
        if (r || found)
            return r;
    }
    return image_bad(&img, err,
                     "not a kernel that can be started: give a Linux bzImage, an ELF file with a PVH note, "
                     "or a multiboot 1 kernel");
}
