/* SPDX-License-Identifier: MIT */
/* Boot loaders on images made by hand: what a good one leaves in memory, and that every malformed one says
 * why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "vm/boot/boot.h"
#include "x86/flags.h"

#include <elf.h> /* last: its PF_* macros are names in x86/flags.h */

#define IMAGE_SIZE 32768

struct bench {
    struct memory_map map;
    struct space *memory;
    struct boot_source source;
    struct boot_file modules[2];
    u8 image[IMAGE_SIZE];
    size_t size;
    struct accel_regs regs;
    struct err err;
    int fds[3];
};

static int file_of(const void *data, size_t size)
{
    int fd = memfd_create("image", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    return fd;
}

static struct bench *bench_new(u64 memory)
{
    struct bench *b = test_calloc(1, sizeof(*b));
    b->map = memory_map_make(memory, 0);
    b->memory = space_new(1ull << 40);
    assert_non_null(b->memory);
    assert_int_equal(memory_map_populate(&b->map, b->memory, NULL), 0);
    return b;
}

static void bench_free(struct bench *b)
{
    space_free(b->memory);
    test_free(b);
}

static int load(struct bench *b)
{
    struct boot_target t = {b->memory, &b->map, ACPI_AREA_BASE};
    b->source.kernel.name = "kernel.img";
    b->source.kernel.fd = file_of(b->image, b->size);
    b->source.modules = b->modules;
    b->modules[0].fd = file_of("first module", 12);
    b->modules[1].fd = file_of("second", 6);
    int r = boot_load(&b->source, &t, &b->regs, &b->err);
    close(b->source.kernel.fd);
    close(b->modules[0].fd);
    close(b->modules[1].fd);
    return r;
}

static void refused(struct bench *b, const char *reason)
{
    assert_int_equal(load(b), -1);
    assert_int_equal(b->err.status, EXIT_STATUS_USAGE);
    if (!strstr(b->err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", b->err.text, reason);
    bench_free(b);
}

static u64 guest(struct bench *b, u64 gpa, unsigned size)
{
    u64 v = 0;
    assert_int_equal(space_read(b->memory, gpa, &v, size), 0);
    return v;
}

static void guest_text(struct bench *b, u64 gpa, const char *text)
{
    char buf[64] = {0};
    assert_int_equal(space_read(b->memory, gpa, buf, strlen(text)), 0);
    assert_string_equal(buf, text);
}

/* ---- Linux ---- */

static struct bench *linux_image(u64 memory)
{
    struct bench *b = bench_new(memory);
    u8 *p = b->image;
    p[0x1f1] = 4;
    store_le(p + 0x1fe, 2, 0xaa55);
    p[0x201] = 0x6a;
    memcpy(p + 0x202, "HdrS", 4);
    store_le(p + 0x206, 2, 0x20f);
    p[0x211] = 1;
    store_le(p + 0x22c, 4, 0x7fffffff);
    store_le(p + 0x230, 4, 0x200000);
    p[0x234] = 1;
    store_le(p + 0x236, 2, 1);
    store_le(p + 0x238, 4, 2047);
    store_le(p + 0x258, 8, 0x1000000);
    store_le(p + 0x260, 4, 0x300000);
    memcpy(p + 5 * 512, "payload", 7);
    b->size = 5 * 512 + 8192;
    return b;
}

static void linux_64(void **state)
{
    struct bench *b = linux_image(256 * MIB);
    b->source.cmdline = "console=ttyS0 quiet";
    b->source.module_count = 2;
    assert_int_equal(load(b), 0);
    assert_int_equal(b->regs.rip, 0x1000200);
    assert_int_equal(b->regs.efer, EFER_LME | EFER_LMA);
    assert_true(b->regs.cr0 & CR0_PG);
    assert_true(b->regs.seg[CS].attr & SEG_L);
    guest_text(b, 0x1000000, "payload");
    u64 params = b->regs.gpr[6];
    guest_text(b, guest(b, params + 0x228, 4), "console=ttyS0 quiet");
    u64 initrd = guest(b, params + 0x218, 4);
    assert_int_equal(guest(b, params + 0x21c, 4), 18);
    assert_true(initrd >= 255 * MIB && initrd % PAGE_SIZE == 0);
    guest_text(b, initrd, "first modulesecond");
    assert_int_equal(guest(b, params + 0x70, 8), ACPI_AREA_BASE);
    assert_int_equal(guest(b, params + 0x1e8, 1), b->map.count);
    assert_int_equal(guest(b, params + 0x2d0 + 20 + 16, 4), MEMORY_RESERVED);
    u64 pdpt = guest(b, b->regs.cr3, 8) & ~0xfffull, pd = guest(b, pdpt + 8, 8) & ~0xfffull;
    assert_int_equal(guest(b, pd, 8), 0x40000083);
    assert_int_equal(guest(b, b->regs.gdt_base + 0x10, 8), 0x00af9b000000ffff);
    bench_free(b);
}

static void linux_32(void **state)
{
    struct bench *b = linux_image(256 * MIB);
    store_le(b->image + 0x236, 2, 0);
    assert_int_equal(load(b), 0);
    assert_int_equal(b->regs.rip, 0x1000000);
    assert_int_equal(b->regs.cr0, CR0_PE | CR0_ET);
    assert_true(b->regs.seg[CS].attr & SEG_DB);
    bench_free(b);
}

static void linux_refusals(void **state)
{
    struct bench *b = linux_image(256 * MIB);
    b->size = 2000;
    refused(b, "cut short");
    b = linux_image(256 * MIB);
    b->image[0x211] = 0;
    refused(b, "zImage");
    b = linux_image(256 * MIB);
    store_le(b->image + 0x206, 2, 0x200);
    refused(b, "2.6.22");
    b = linux_image(2 * MIB);
    refused(b, "give the machine more memory");
    b = linux_image(8 * MIB); /* relocatable or not: it would move to where it prefers to be */
    refused(b, "at 0x1000000; give the machine more memory");
    b = linux_image(256 * MIB);
    b->image[0x234] = 0;
    store_le(b->image + 0x258, 8, ~0ull - 10);
    refused(b, "more memory");
    b = linux_image(256 * MIB);
    store_le(b->image + 0x260, 4, 0xffffffff);
    refused(b, "more memory");
    b = linux_image(256 * MIB);
    store_le(b->image + 0x238, 4, 3);
    b->source.cmdline = "quiet";
    refused(b, "command line has 5 characters, this kernel takes 3");
    b = linux_image(256 * MIB);
    store_le(b->image + 0x22c, 4, 0x1000000);
    b->source.module_count = 1;
    b->modules[0].name = "initrd.gz";
    refused(b, "initrd.gz: the initrd does not fit");
    b = linux_image(256 * MIB);
    store_le(b->image + 0x22c, 4, 0);
    b->source.module_count = 1;
    b->modules[0].name = "initrd.gz";
    refused(b, "does not fit");
}

/* ---- ELF with a PVH note ---- */

static struct bench *pvh_image(void)
{
    struct bench *b = bench_new(64 * MIB);
    Elf64_Ehdr *h = (Elf64_Ehdr *)b->image;
    memcpy(h->e_ident, ELFMAG, SELFMAG);
    h->e_ident[EI_CLASS] = ELFCLASS64;
    h->e_ident[EI_DATA] = ELFDATA2LSB;
    h->e_machine = EM_X86_64;
    h->e_phoff = sizeof(*h);
    h->e_phentsize = sizeof(Elf64_Phdr);
    h->e_phnum = 2;
    Elf64_Phdr *p = (Elf64_Phdr *)(h + 1);
    p[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                        .p_offset = 4096,
                        .p_filesz = 100,
                        .p_memsz = 0x5000,
                        .p_paddr = 0x100000,
                        .p_vaddr = 0xffffffff80100000};
    p[1] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = 512, .p_filesz = 44, .p_memsz = 44, .p_align = 4};
    u32 notes[] = {4, 4, 3, 0x00554e47, 0, 4, 8, 18, 0x006e6558, 0x100010, 0};
    memcpy(b->image + 512, notes, sizeof(notes));
    memcpy(b->image + 4096, "kernel", 6);
    b->size = 8192;
    return b;
}

#define PHDR(b, n) ((Elf64_Phdr *)((b)->image + sizeof(Elf64_Ehdr)) + (n))

static void pvh(void **state)
{
    struct bench *b = pvh_image();
    b->source.cmdline = "root=/dev/vda";
    b->source.module_count = 2;
    b->modules[1].args = "two";
    assert_int_equal(load(b), 0);
    assert_int_equal(b->regs.rip, 0x100010);
    assert_int_equal(b->regs.cr0, CR0_PE | CR0_ET);
    guest_text(b, 0x100000, "kernel");
    u64 info = b->regs.gpr[3];
    assert_int_equal(guest(b, info, 4), 0x336ec578);
    assert_int_equal(guest(b, info + 4, 4), 1);
    assert_int_equal(guest(b, info + 12, 4), 2);
    guest_text(b, guest(b, info + 24, 8), "root=/dev/vda");
    assert_int_equal(guest(b, info + 32, 8), ACPI_AREA_BASE);
    assert_int_equal(guest(b, info + 48, 4), b->map.count);
    u64 mods = guest(b, info + 16, 8);
    assert_int_equal(guest(b, mods, 8), 0x105000);
    guest_text(b, guest(b, mods + 32, 8), "second");
    guest_text(b, guest(b, mods + 32 + 16, 8), "two");
    bench_free(b);
}

static void elf_refusals(void **state)
{
    struct bench *b = pvh_image();
    PHDR(b, 0)->p_filesz = 0x6000;
    refused(b, "larger in the file than in memory");
    b = pvh_image();
    PHDR(b, 0)->p_offset = 8150;
    refused(b, "cut short");
    b = pvh_image();
    PHDR(b, 0)->p_offset = ~0ull - 50;
    refused(b, "cut short");
    b = pvh_image();
    PHDR(b, 0)->p_paddr = 64 * MIB - 0x1000;
    refused(b, "more memory");
    b = pvh_image();
    PHDR(b, 0)->p_paddr = ~0ull - 0x1000;
    refused(b, "more memory");
    b = pvh_image();
    PHDR(b, 0)->p_memsz = ~0ull;
    refused(b, "more memory");
    b = pvh_image();
    PHDR(b, 0)->p_paddr = ACPI_AREA_BASE;
    refused(b, "more memory");
    b = pvh_image();
    PHDR(b, 0)->p_type = PT_NULL;
    refused(b, "nothing to load");
    b = pvh_image();
    PHDR(b, 1)->p_offset = 9000;
    refused(b, "cut short");
    b = pvh_image();
    PHDR(b, 1)->p_filesz = 20;
    refused(b, "not a kernel that can be started");
    b = pvh_image();
    ((Elf64_Ehdr *)b->image)->e_phentsize = 8;
    refused(b, "wrong size");
    b = pvh_image();
    ((Elf64_Ehdr *)b->image)->e_phnum = 65;
    refused(b, "more than 64");
    b = pvh_image();
    ((Elf64_Ehdr *)b->image)->e_phoff = ~0ull;
    refused(b, "past the end");
    b = pvh_image();
    ((Elf64_Ehdr *)b->image)->e_machine = EM_AARCH64;
    refused(b, "another processor");
    b = pvh_image();
    b->image[EI_DATA] = ELFDATA2MSB;
    refused(b, "big-endian");
    b = pvh_image();
    b->size = 60;
    refused(b, "cut short");
    b = bench_new(16 * MIB);
    b->size = 0;
    refused(b, "kernel.img: not a kernel that can be started");
    b = pvh_image();
    b->source.module_count = BOOT_MODULES_MAX + 1;
    refused(b, "at most 64");
}

/* ---- multiboot ---- */

static struct bench *multiboot_image(void)
{
    struct bench *b = bench_new(64 * MIB);
    u32 flags = 1 << 16 | 3;
    u32 h[] = {0x1badb002, flags, -(0x1badb002 + flags), 0x200040, 0x200000, 0x200800, 0x201000, 0x200080};
    memcpy(b->image + 0x140, h, sizeof(h));
    memcpy(b->image + 0x100, "start", 5);
    b->size = 4096;
    return b;
}

static void set_header(struct bench *b, unsigned word, u32 value)
{
    store_le(b->image + 0x140 + 4 * word, 4, value);
    if (word == 1)
        store_le(b->image + 0x148, 4, -(0x1badb002 + value));
}

static void multiboot(void **state)
{
    struct bench *b = multiboot_image();
    b->source.cmdline = "-v";
    b->source.module_count = 2;
    b->modules[0].name = "disk.img";
    b->modules[1].name = "env";
    b->modules[1].args = "a=1 b=2";
    assert_int_equal(load(b), 0);
    assert_int_equal(b->regs.rip, 0x200080);
    assert_int_equal(b->regs.gpr[0], 0x2badb002);
    guest_text(b, 0x200000, "start");
    u64 info = b->regs.gpr[3], mods = guest(b, info + 24, 4);
    assert_int_equal(guest(b, info, 4), 1 | 4 | 8 | 64 | 512);
    assert_int_equal(guest(b, info + 4, 4), 639);
    assert_int_equal(guest(b, info + 8, 4), 63 * 1024);
    guest_text(b, guest(b, info + 16, 4), "kernel.img -v");
    assert_int_equal(guest(b, info + 20, 4), 2);
    assert_int_equal(guest(b, mods, 4), 0x201000);
    assert_int_equal(guest(b, mods + 4, 4), 0x20100c);
    guest_text(b, guest(b, mods + 8, 4), "disk.img");
    guest_text(b, guest(b, mods + 16 + 8, 4), "env a=1 b=2");
    assert_int_equal(guest(b, info + 44, 4), 24 * b->map.count);
    bench_free(b);
}

/* Where a BIOS would leave them: COM1's port, the EBDA's segment, KiB of base memory. */
static void bios_data(void **state)
{
    struct bench *b = multiboot_image();
    assert_int_equal(load(b), 0);
    assert_int_equal(guest(b, 0x400, 2), 0x3f8);
    assert_int_equal(guest(b, 0x40e, 2) << 4, 0x9fc00);
    assert_int_equal(guest(b, 0x413, 2), 639);
    assert_int_equal(guest(b, 0x9fc00, 1), 1);
    u64 vector = guest(b, 4 * 0xff, 4);
    assert_int_equal(guest(b, (vector >> 16 << 4) + (vector & 0xffff), 1), 0xcf); /* IRET */
    bench_free(b);
}

static void multiboot_elf(void **state)
{
    struct bench *b = pvh_image();
    u32 h[] = {0x1badb002, 0, -0x1badb002};
    memcpy(b->image + 1024, h, sizeof(h));
    ((Elf64_Ehdr *)b->image)->e_entry = 0xffffffff80100020;
    assert_int_equal(load(b), 0);
    assert_int_equal(b->regs.rip, 0x100020);
    assert_int_equal(b->regs.gpr[0], 0x2badb002);
    bench_free(b);
}

static void multiboot_refusals(void **state)
{
    struct bench *b = multiboot_image();
    set_header(b, 5, 0x210000);
    refused(b, "past the file's end");
    b = multiboot_image();
    set_header(b, 5, 0x100000);
    refused(b, "past the file's end");
    b = multiboot_image();
    set_header(b, 6, 0x200100);
    refused(b, "bss ends before");
    b = multiboot_image();
    set_header(b, 3, 0x100000);
    refused(b, "before the file's start");
    b = multiboot_image();
    set_header(b, 3, 0x200400);
    refused(b, "before the file's start");
    b = multiboot_image();
    set_header(b, 6, 0xf0000000);
    refused(b, "more memory");
    b = multiboot_image();
    set_header(b, 1, 1 << 16 | 8);
    refused(b, "does not define");
    b = multiboot_image();
    set_header(b, 1, 0);
    refused(b, "not ELF");
    b = multiboot_image();
    set_header(b, 2, 5);
    refused(b, "not a kernel that can be started");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_64),  cmocka_unit_test(linux_32),      cmocka_unit_test(linux_refusals),
        cmocka_unit_test(pvh),       cmocka_unit_test(elf_refusals),  cmocka_unit_test(multiboot),
        cmocka_unit_test(bios_data), cmocka_unit_test(multiboot_elf), cmocka_unit_test(multiboot_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
