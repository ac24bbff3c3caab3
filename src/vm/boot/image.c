/* SPDX-License-Identifier: MIT */
/* Checked access to boot files and to the RAM they go to. */
#include "vm/boot/image.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "x86/flags.h"

/* The real-mode vectors and the BIOS data area stay as they are: zero. */
#define LOW_START 0x1000ull

int image_open(struct image *img, const struct boot_file *file, struct err *err)
{
    struct stat st;
    if (fstat(file->fd, &st))
        return err_set(err, EXIT_STATUS_USAGE, "%s: %s", file->name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, EXIT_STATUS_USAGE, "%s: not a regular file; copy it to one first", file->name);
    *img = (struct image){file, st.st_size};
    return 0;
}

int image_bad(const struct image *img, struct err *err, const char *reason)
{
    return err_set(err, EXIT_STATUS_USAGE, "%s: %s", img->file->name, reason);
}

static int read_all(const struct image *img, u64 off, u8 *p, u64 len, struct err *err)
{
    while (len) {
        ssize_t n = pread(img->file->fd, p, len, off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return image_bad(img, err, strerror(errno));
        if (n == 0)
            return image_bad(img, err, "the file became shorter while it was read");
        p += n;
        off += n;
        len -= n;
    }
    return 0;
}

int image_read(const struct image *img, u64 off, void *buf, size_t len, struct err *err)
{
    if (off > img->size || len > img->size - off)
        return image_bad(img, err, "the file is cut short: a header points past its end");
    return read_all(img, off, buf, len, err);
}

static bool usable(const struct memory_map *m, u64 gpa, u64 size)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct memory_range *r = &m->range[i];
        if (r->kind == MEMORY_USABLE && gpa >= r->base && gpa - r->base <= r->size &&
            size <= r->size - (gpa - r->base))
            return true;
    }
    return false;
}

void room_start(struct boot_room *r, const struct boot_target *t)
{
    *r = (struct boot_room){.target = t, .kernel_start = ~0ull};
}

int room_claim(struct boot_room *r, const struct image *img, u64 gpa, u64 size, struct err *err)
{
    if (!usable(r->target->map, gpa, size))
        return err_set(err, EXIT_STATUS_USAGE,
                       "%s: wants memory at 0x%llx..0x%llx, where this machine has none; give it more memory",
                       img->file->name, (unsigned long long)gpa, (unsigned long long)(gpa + size));
    if (gpa < r->kernel_start)
        r->kernel_start = gpa;
    if (gpa + size > r->kernel_end)
        r->kernel_end = gpa + size;
    return 0;
}

void room_kernel_done(struct boot_room *r)
{
    /* A kernel that reaches into low memory keeps it all: its boot data then goes behind it. */
    r->low_next = r->kernel_start >= EBDA_BASE ? LOW_START : EBDA_BASE;
    r->high_next = ALIGN_UP(r->kernel_end > ACPI_AREA_END ? r->kernel_end : ACPI_AREA_END, PAGE_SIZE);
}

int room_load(struct boot_room *r, const struct image *img, u64 off, u64 gpa, u64 len, struct err *err)
{
    if (off > img->size || len > img->size - off)
        return image_bad(img, err, "the file is cut short: a header points past its end");
    while (len) {
        u64 room;
        u8 *p = space_ram(r->target->memory, gpa, &room);
        if (!p)
            return image_bad(img, err, "does not fit the machine's memory");
        u64 n = len < room ? len : room;
        if (read_all(img, off, p, n, err))
            return -1;
        space_written(r->target->memory, gpa, n);
        gpa += n;
        off += n;
        len -= n;
    }
    return 0;
}

/* Room for len bytes, aligned; 0 when none is left. */
static u64 room_take(u64 *next, u64 end, u64 len, u64 alignment)
{
    u64 at = ALIGN_UP(*next, alignment);
    if (at > end || len > end - at)
        return 0;
    *next = at + len;
    return at;
}

static u64 room_take_any(struct boot_room *r, u64 len)
{
    u64 at = room_take(&r->low_next, EBDA_BASE, len, 16);
    return at ? at : room_take(&r->high_next, r->target->map->low_end, len, 16);
}

u64 room_put(struct boot_room *r, const void *data, size_t len, struct err *err)
{
    u64 at = room_take_any(r, len);
    if (!at || space_write(r->target->memory, at, data, len)) {
        err_set(err, EXIT_STATUS_USAGE,
                "the boot data does not fit the machine's memory; give it more memory");
        return 0;
    }
    return at;
}

u64 room_put_words(struct boot_room *r, const char *first, const char *second, struct err *err)
{
    size_t a = strlen(first), b = second ? strlen(second) : 0;
    char *text = malloc(a + b + 2);
    if (!text) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for the command line");
        return 0;
    }
    memcpy(text, first, a + 1);
    if (b) {
        if (a)
            text[a++] = ' ';
        memcpy(text + a, second, b + 1);
    }
    u64 at = room_put(r, text, strlen(text) + 1, err);
    free(text);
    return at;
}

u64 room_put_file(struct boot_room *r, const struct image *img, struct err *err)
{
    u64 at = room_take(&r->high_next, r->target->map->low_end, img->size, PAGE_SIZE);
    if (!at) {
        image_bad(img, err, "does not fit behind the kernel below 2816 MiB; give the machine more memory");
        return 0;
    }
    return room_load(r, img, 0, at, img->size, err) ? 0 : at;
}

void regs_flat32(struct accel_regs *r, u64 entry)
{
    *r = (struct accel_regs){.rip = entry, .rflags = FLAG_R1, .cr0 = CR0_PE | CR0_ET};
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        r->seg[i].limit = 0xffffffff;
        r->seg[i].attr = 3 | SEG_S | SEG_P | SEG_DB | SEG_G; /* data, writable, accessed */
        r->seg[i].sel = 0x18;
    }
    r->seg[CS].attr = 0xb | SEG_S | SEG_P | SEG_DB | SEG_G;
    r->seg[CS].sel = 0x10;
    r->seg[SEG_TR].limit = 0x67;
    r->seg[SEG_TR].attr = 0xb | SEG_P; /* busy 32-bit TSS */
    r->seg[SEG_TR].sel = 0;
    r->seg[SEG_LDTR].limit = 0;
    r->seg[SEG_LDTR].attr = SEG_UNUSABLE;
    r->seg[SEG_LDTR].sel = 0;
}
