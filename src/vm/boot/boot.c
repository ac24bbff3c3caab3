/* SPDX-License-Identifier: MIT */
/* Tries the formats in turn. A kernel that is both multiboot and PVH (Xen) starts by multiboot. */
#include "vm/boot/boot.h"

#include "vm/boot/image.h"

typedef int load_fn(const struct boot_source *s, const struct image *img, struct boot_room *r,
                    struct accel_regs *regs, bool *found, struct err *err);

/* An interrupt vector of real mode as it is before software sets its own: an IRET where PC BIOSes have
 * theirs. */
#define DUMMY_HANDLER 0xfff53
#define DUMMY_VECTOR  (0xf000u << 16 | (DUMMY_HANDLER & 0xffff))
#define IRET          0xcf

/* What software finds in low memory even where it was not started by a BIOS: a vector table whose interrupts
 * return; COM1's port, the EBDA's segment, KiB of memory below it; and the EBDA's size in KiB, its first
 * byte. Xen places its real-mode code by them. */
static void put_bios_data(struct space *memory)
{
    static const struct {
        u16 at, value;
    } word[] = {{0x400, COM1_PORT}, {0x40e, EBDA_BASE >> 4}, {0x413, EBDA_BASE / KIB}};
    u8 ebda_kib = (LEGACY_VGA_BASE - EBDA_BASE) / KIB, iret = IRET;
    bool lost = space_write(memory, EBDA_BASE, &ebda_kib, 1) || space_write(memory, DUMMY_HANDLER, &iret, 1);
    for (unsigned vector = 0; vector < 256; vector++)
        lost |= !space_io_write(memory, vector * 4, 4, DUMMY_VECTOR);
    for (unsigned i = 0; i < ARRAY_SIZE(word); i++)
        lost |= !space_io_write(memory, word[i].at, 2, word[i].value);
    bug_on(lost, "there is no low memory");
}

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
    put_bios_data(t->memory);
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
