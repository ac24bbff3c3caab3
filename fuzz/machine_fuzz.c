/* SPDX-License-Identifier: MIT */
/*
 * Saved machines made hostile: whole ones, of either vendor, saved while a guest ran in their guest. The
 * input changes bytes of every record but RAM's. What is refused is refused with a reason; what is taken runs
 * for a moment.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/nested/svm_vmcb.h"
#include "cpu/nested/vmx.h"
#include "vm/machine.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

enum { PATCH = 12, RECORDS_MAX = 200, RUN_US = 300 };
enum {
    DIRECTORY = 0x10000,
    CONTROL = 0x20000,
    REGION = 0x21000,
    POINTERS = 0x22000,
    MAPS = 0x24000,
    TSS = 0x30000
};
enum { CODE_SEL = 0x10, DATA_SEL = 0x18, TR_SEL = 0x28 };

struct record {
    size_t at, len;
};

struct base {
    struct state_image image;
    struct record record[RECORDS_MAX];
    unsigned records;
};

/* ---- the guests: 32-bit code behind a multiboot header, whose guest prints a letter and leaves ---- */

#define GUEST(name, code)                                                                                    \
    extern const u8 name[], name##_l2[], name##_exit[], name##_end[];                                        \
    __asm__(".pushsection .rodata\n.code32\n.globl " #name ", " #name "_l2, " #name "_exit, " #name          \
            "_end\n" #name ":\n" code "\n" #name "_end:\n.code64\n.popsection")

GUEST(vmx_l1,
      "mov $0x10000, %eax; mov %eax, %cr3; mov $0x2010, %eax; mov %eax, %cr4\n"
      "mov $0x80000031, %eax; mov %eax, %cr0\n"
      "vmxon 0x22000; vmptrld 0x22008; vmlaunch\n"
      "9: hlt; jmp 9b\n"
      "vmx_l1_exit: mov $0x681e, %eax; vmread %eax, %ebx; add $3, %ebx; vmwrite %ebx, %eax; vmresume\n"
      "8: hlt; jmp 8b\n"
      "vmx_l1_l2: mov $0x3f8, %dx; mov $120, %al; out %al, %dx; vmcall; jmp vmx_l1_l2");
GUEST(svm_l1, "mov $0xc0000080, %ecx; rdmsr; or $0x1000, %eax; wrmsr\n"
              "mov $0xc0010117, %ecx; mov $0x21000, %eax; xor %edx, %edx; wrmsr\n"
              "svm_l1_exit: mov $0x20000, %eax; vmrun; addl $3, 0x20578; jmp svm_l1_exit\n"
              "svm_l1_l2: mov $0x3f8, %dx; mov $120, %al; out %al, %dx; vmmcall; jmp svm_l1_l2");

static void tell_nobody(void *opaque, u8 byte) {}

static void stop_at_letter(void *opaque, u8 byte)
{
    machine_stop(*(struct machine **)opaque);
}

static struct machine *build(bool amd, struct serial_sink serial)
{
    struct machine_config c = {.memory = 2 * MIB,
                               .memory_most = 100 * MIB,
                               .cpus = 1,
                               .vendor = amd ? VENDOR_AMD : VENDOR_INTEL,
                               .nested = true,
                               .engine = &accel_soft,
                               .options = {.jit = true},
                               .serial = serial,
                               .test_devices = true,
                               .no_reboot = true};
    struct err err = {0};
    struct machine *m = machine_new(&c, &err);
    bug_on(!m, "no machine: %s", err.text);
    return m;
}

static int guest_file(const u8 *code, const u8 *end)
{
    static const u32 header[8] = {
        0x1badb002, 1u << 16, (u32) - (0x1badb002 + (1u << 16)), 0x100000, 0x100000, 0, 0, 0x100020};
    size_t len = (size_t)(end - code);
    int fd = memfd_create("guest", MFD_CLOEXEC);
    bug_on(fd < 0 || write(fd, header, sizeof(header)) != sizeof(header) ||
               write(fd, code, len) != (ssize_t)len,
           "no guest");
    return fd;
}

static void put(struct machine *m, u64 at, const void *bytes, size_t len)
{
    bug_on(space_write(machine_memory(m), at, bytes, len), "no RAM");
}

static void put_segment(struct vmcs *v, int sel, int base, int limit, int ar, u16 s, u32 a)
{
    v->f[sel] = s;
    v->f[base] = 0;
    v->f[limit] = a & SEG_S ? ~0u : 0x67;
    v->f[ar] = a;
}
#define SEGMENT(v, name, s, a)                                                                               \
    put_segment(v, VMCS_##name##_SEL, VMCS_##name##_BASE, VMCS_##name##_LIMIT, VMCS_##name##_AR, s, a)

/* L2 is like L1: 32-bit paging by one directory of 4 MiB pages. */
static void put_vmcs(struct machine *m)
{
    struct vmcs v = {.revision = VMCS_REVISION};
    const u32 data = SEG_P | SEG_S | SEG_G | SEG_DB | 3, code = SEG_P | SEG_S | SEG_G | SEG_DB | 11;
    u64 entry = 0x83, pointers[2] = {REGION, CONTROL}, at_l2 = 0x100020 + (u64)(vmx_l1_l2 - vmx_l1);
    SEGMENT(&v, CS, CODE_SEL, code);
    SEGMENT(&v, SS, DATA_SEL, data);
    SEGMENT(&v, DS, DATA_SEL, data);
    SEGMENT(&v, ES, DATA_SEL, data);
    SEGMENT(&v, FS, DATA_SEL, data);
    SEGMENT(&v, GS, DATA_SEL, data);
    SEGMENT(&v, TR, TR_SEL, SEG_P | 11);
    v.f[VMCS_LDTR_AR] = SEG_UNUSABLE;
    v.f[VMCS_PIN] = vmx_must_be_1(VMCS_PIN);
    v.f[VMCS_PROC] = vmx_must_be_1(VMCS_PROC);
    v.f[VMCS_EXIT] = vmx_must_be_1(VMCS_EXIT);
    v.f[VMCS_ENTRY] = vmx_must_be_1(VMCS_ENTRY);
    v.f[VMCS_CR0] = v.f[VMCS_HOST_CR0] = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
    v.f[VMCS_CR3] = v.f[VMCS_HOST_CR3] = DIRECTORY;
    v.f[VMCS_CR4] = v.f[VMCS_HOST_CR4] = CR4_PSE | CR4_VMXE;
    v.f[VMCS_DR7] = 0x400;
    v.f[VMCS_RFLAGS] = 2;
    v.f[VMCS_RIP] = at_l2;
    v.f[VMCS_LINK] = ~0ull;
    v.f[VMCS_HOST_CS_SEL] = CODE_SEL;
    v.f[VMCS_HOST_SS_SEL] = v.f[VMCS_HOST_DS_SEL] = v.f[VMCS_HOST_ES_SEL] = DATA_SEL;
    v.f[VMCS_HOST_TR_SEL] = TR_SEL;
    v.f[VMCS_HOST_RIP] = 0x100020 + (u64)(vmx_l1_exit - vmx_l1);
    put(m, DIRECTORY, &entry, 4);
    put(m, POINTERS, pointers, sizeof(pointers));
    put(m, REGION, &v.revision, 4);
    put(m, CONTROL, &v, sizeof(v));
}

static void put_vmcb(struct machine *m)
{
    static struct vmcb v;
    struct vmcb_segment data = {DATA_SEL, 0xc93, ~0u, 0};
    v.control.intercept[4] = 3; /* VMRUN, VMMCALL */
    v.control.iopm = v.control.msrpm = MAPS;
    v.control.asid = 1;
    v.save.cs = (struct vmcb_segment){CODE_SEL, 0xc9b, ~0u, 0};
    v.save.ds = v.save.es = v.save.ss = data;
    v.save.efer = EFER_SVME;
    v.save.cr0 = CR0_PE | CR0_ET;
    v.save.dr6 = 0xffff0ff0;
    v.save.dr7 = 0x400;
    v.save.rflags = 2;
    v.save.rip = 0x100020 + (u64)(svm_l1_l2 - svm_l1);
    put(m, CONTROL, &v, sizeof(v));
}

/* ---- the state that inputs change ---- */

static void find_records(struct base *b)
{
    const struct state_image *i = &b->image;
    for (size_t at = 0, len; at + 6 < i->len; at += len) {
        len = 4 + load_le(i->data + at, 4);
        size_t name = load_le(i->data + at + 4, 2);
        bug_on(len > i->len - at, "a record passes the image's end");
        bool ram = name == 3 && memcmp(i->data + at + 6, "ram", 3) == 0;
        if (!ram && b->records < RECORDS_MAX)
            b->record[b->records++] = (struct record){at, len};
    }
}

static void make_base(struct base *b, bool amd)
{
    struct machine *m = NULL;
    struct err err = {0};
    struct serial_sink serial = {.tx = stop_at_letter, .opaque = &m};
    m = build(amd, serial);
    int fd = amd ? guest_file(svm_l1, svm_l1_end) : guest_file(vmx_l1, vmx_l1_end);
    struct boot_source source = {.kernel = {.fd = fd, .name = "guest"}};
    bug_on(machine_boot(m, &source, &err), "no boot: %s", err.text);
    if (amd)
        put_vmcb(m);
    else
        put_vmcs(m);
    struct machine_result r = machine_run(m);
    bug_on(r.end != MACHINE_STOPPED, "the guest's guest did not run: %s", r.text);
    bug_on(machine_save(m, &b->image, &err), "not saved: %s", err.text);
    machine_free(m);
    close(fd);
    find_records(b);
}

static void change(const struct base *b, struct state_image *img, const u8 *p)
{
    const struct record *r = &b->record[load_le(p, 2) % b->records];
    u8 *at = img->data + r->at + load_le(p + 2, 2) % r->len;
    size_t n = r->len - (size_t)(at - img->data - r->at);
    for (size_t i = 0; i < 8 && i < n; i++)
        at[i] = p[1] & 0x80 ? p[4 + i] : at[i] ^ p[4 + i];
}

static void stop_soon(void *machine)
{
    usleep(RUN_US);
    machine_stop(machine);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct base bases[2];
    static u8 *copy;
    if (!size)
        return 0;
    bool amd = data[0] & 1;
    struct base *b = &bases[amd];
    if (!b->records)
        make_base(b, amd);
    copy = realloc(copy, b->image.len);
    bug_on(!copy, "no memory");
    memcpy(copy, b->image.data, b->image.len);
    struct state_image img = {copy, b->image.len, b->image.len, false};
    for (data++, size--; size >= PATCH; data += PATCH, size -= PATCH)
        change(b, &img, data);
    struct err err = {0};
    struct machine *m = build(amd, (struct serial_sink){.tx = tell_nobody});
    if (machine_restore(m, &img, &err) == 0) {
        event_loop_post(machine_loop(m), stop_soon, m);
        machine_run(m);
    } else {
        bug_on(!err.status, "refused without a reason");
    }
    machine_free(m);
    return 0;
}
