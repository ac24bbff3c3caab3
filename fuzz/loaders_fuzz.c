/* SPDX-License-Identifier: MIT */
/* Boot loaders on hostile files: the first byte picks how many modules come along, the rest is the kernel. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm/boot/boot.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static int file_of(const u8 *data, size_t size)
{
    int fd = memfd_create("image", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (size < 1)
        return 0;
    struct memory_map map = memory_map_make(32 * MIB, 0);
    struct space *s = space_new(1ull << 40);
    if (!s || memory_map_populate(&map, s, NULL))
        abort();
    struct boot_file module = {file_of(data, size < 64 ? size : 64), "module", "args"};
    struct boot_source src = {{file_of(data + 1, size - 1), "kernel", NULL}, &module, data[0] & 1, "quiet"};
    struct boot_target t = {s, &map, ACPI_AREA_BASE};
    struct accel_regs regs;
    struct err err = {0};
    if (boot_load(&src, &t, &regs, &err) && (err.status == 0 || !err.text[0]))
        abort(); /* every refusal says why */
    close(src.kernel.fd);
    close(module.fd);
    space_free(s);
    return 0;
}
