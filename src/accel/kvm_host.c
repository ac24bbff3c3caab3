/* SPDX-License-Identifier: MIT */
/*
 * What the host's KVM is and can: capabilities, the CPUID it supports, the TSC's rate, the speed of a guest.
 *
 * The speed is that of a loop in 64-bit mode with some CPUID exits in it. Nothing here outlives its call but
 * the descriptor of /dev/kvm.
 */
#include "accel/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "accel/kvm_parts.h"

int kvm_call(int fd, unsigned long request, void *arg)
{
    int r;
    do
        r = ioctl(fd, request, arg);
    while (r < 0 && errno == EINTR);
    return r;
}

int kvm_want(int fd, unsigned long request, void *arg, const char *what, struct err *err)
{
    if (kvm_call(fd, request, arg) >= 0)
        return 0;
    return err_set(err, EXIT_STATUS_HOST, "engine kvm: the host's KVM refused %s: %s; use --engine soft",
                   what, strerror(errno));
}

int kvm_has(int device, unsigned capability)
{
    int r = kvm_call(device, KVM_CHECK_EXTENSION, (void *)(u64)capability);
    return r < 0 ? 0 : r;
}

/* ---- the device ---- */

static int refuse_open(struct err *err)
{
    switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return err_set(err, EXIT_STATUS_NO_ENGINE,
                       "no /dev/kvm here: load kvm-intel or kvm-amd (in a VM: have its hypervisor expose "
                       "virtualization extensions), or use --engine soft");
    case EACCES:
    case EPERM:
        return err_set(
            err, EXIT_STATUS_NO_ENGINE,
            "/dev/kvm may not be opened by this user: join its group (usually kvm), or use --engine soft");
    default:
        return err_set(err, EXIT_STATUS_NO_ENGINE, "/dev/kvm cannot be opened: %s; use --engine soft",
                       strerror(errno));
    }
}

static const struct {
    unsigned capability;
    const char *name;
} needed[] = {
    {KVM_CAP_USER_MEMORY, "user memory"},       {KVM_CAP_SPLIT_IRQCHIP, "split irqchip"},
    {KVM_CAP_SIGNAL_MSI, "signal MSI"},         {KVM_CAP_IRQ_ROUTING, "IRQ routing"},
    {KVM_CAP_IMMEDIATE_EXIT, "immediate exit"}, {KVM_CAP_XSAVE, "XSAVE"},
    {KVM_CAP_VCPU_EVENTS, "vCPU events"},       {KVM_CAP_MP_STATE, "MP state"},
    {KVM_CAP_DEBUGREGS, "debug registers"},     {KVM_CAP_X2APIC_API, "x2APIC"},
};

static int check_device(int fd, struct err *err)
{
    if (kvm_call(fd, KVM_GET_API_VERSION, NULL) != KVM_API_VERSION)
        return err_set(err, EXIT_STATUS_NO_ENGINE, "/dev/kvm is not a KVM of version %d; use --engine soft",
                       KVM_API_VERSION);
    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
        if (!kvm_has(fd, needed[i].capability))
            return err_set(
                err, EXIT_STATUS_NO_ENGINE,
                "the host's KVM is too old (no %s): Linux 4.13 or later is needed; use --engine soft",
                needed[i].name);
    return 0;
}

int kvm_open(struct err *err)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return refuse_open(err);
    if (check_device(fd, err) == 0)
        return fd;
    close(fd);
    return -1;
}

int kvm_device(const struct accel_options *o, bool *own, struct err *err)
{
    *own = o->device <= 0;
    return *own ? kvm_open(err) : o->device;
}

/* ---- CPUID ---- */

struct kvm_cpuid2 *kvm_supported_cpuid(int device, struct err *err)
{
    struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + KVM_CPUID_MAX * sizeof(t->entries[0]));
    if (t)
        t->nent = KVM_CPUID_MAX;
    if (!t || kvm_want(device, KVM_GET_SUPPORTED_CPUID, t, "to tell its CPUID", err)) {
        err_set(err, EXIT_STATUS_HOST, "engine kvm: no memory for CPUID");
        free(t);
        return NULL;
    }
    return t;
}

const struct kvm_cpuid_entry2 *kvm_cpuid_find(const struct kvm_cpuid2 *t, u32 leaf, u32 subleaf)
{
    for (u32 i = 0; i < t->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &t->entries[i];
        bool indexed = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
        if (e->function == leaf && (!indexed || e->index == subleaf))
            return e;
    }
    return NULL;
}

bool kvm_host_vendor(const struct kvm_cpuid2 *t, enum cpu_vendor *v)
{
    const struct kvm_cpuid_entry2 *e = kvm_cpuid_find(t, 0, 0);
    *v = e && !memcmp(&e->ebx, "Auth", 4) ? VENDOR_AMD : VENDOR_INTEL;
    return e && (*v == VENDOR_AMD || !memcmp(&e->ebx, "Genu", 4));
}

static bool supports(int device, const struct kvm_cpuid2 *t, enum feature f)
{
    const struct feature_info *i = &feature_infos[f];
    const struct kvm_cpuid_entry2 *e = kvm_cpuid_find(t, i->leaf, i->subleaf);
    if (f == FEAT_HYPERVISOR)
        return true; /* ours to say */
    if (f == FEAT_TSC_DEADLINE)
        return kvm_has(device,
                       KVM_CAP_TSC_DEADLINE_TIMER); /* KVM lists it late. api.rst KVM_GET_SUPPORTED_CPUID */
    return e && (&e->eax)[i->reg] >> i->bit & 1;
}

/* ---- limits ---- */

static void limit_nesting(int device, const struct kvm_cpuid2 *t, struct accel_limits *out)
{
    static const char *const vendor[] = {"Intel", "AMD"}, *const extension[] = {"VT-x", "AMD-V"};
    static const char *const option[] = {"intel", "amd"};
    enum cpu_vendor host;
    bool known = kvm_host_vendor(t, &host), state = kvm_has(device, KVM_CAP_NESTED_STATE);
    for (unsigned v = 0; v < 2; v++) {
        char *why = out->no_nested[v];
        size_t len = sizeof(out->no_nested[v]);
        if (!known || v != host)
            snprintf(
                why, len,
                "engine kvm cannot nest with %s on this %s processor: use --cpu-vendor %s, or --engine soft",
                extension[v], known ? vendor[host] : "unknown", known ? option[host] : option[v]);
        else if (!state || !supports(device, t, v == VENDOR_INTEL ? FEAT_VMX : FEAT_SVM))
            snprintf(why, len,
                     "the host's KVM does not offer %s to its guests: load kvm-%s with nested=1, or use "
                     "--engine soft",
                     extension[v], option[v]);
    }
}

/* A VM with one vCPU for questions. */
struct trial {
    int vm, vcpu;
    struct kvm_run *run;
    size_t run_size;
    u8 *ram;
};

#define TRIAL_RAM (2 * MIB)

static void trial_end(struct trial *t)
{
    if (t->run)
        munmap(t->run, t->run_size);
    if (t->vcpu >= 0)
        close(t->vcpu);
    if (t->vm >= 0)
        close(t->vm);
    if (t->ram)
        munmap(t->ram, TRIAL_RAM);
}

static int trial_begin(struct trial *t, int device, struct err *err)
{
    *t = (struct trial){.vm = -1, .vcpu = -1};
    t->vm = kvm_call(device, KVM_CREATE_VM, 0);
    int failed = t->vm < 0 ? errno : 0;
    if (!failed && (t->vcpu = kvm_call(t->vm, KVM_CREATE_VCPU, 0)) < 0)
        failed = errno;
    if (!failed)
        return 0;
    trial_end(t);
    return err_set(err, EXIT_STATUS_NO_ENGINE, "/dev/kvm makes no VM: %s; use --engine soft",
                   strerror(failed));
}

static int limit_tsc(int device, struct accel_limits *out, struct err *err)
{
    struct trial t;
    if (kvm_has(device, KVM_CAP_TSC_CONTROL) || !kvm_has(device, KVM_CAP_GET_TSC_KHZ))
        return 0;
    if (trial_begin(&t, device, err))
        return -1;
    int khz = kvm_call(t.vcpu, KVM_GET_TSC_KHZ, 0);
    trial_end(&t);
    out->tsc_hz = khz > 0 ? (u64)khz * 1000 : 0;
    return 0;
}

static int limit(int device, const struct kvm_cpuid2 *t, struct accel_limits *out, struct err *err)
{
    for (int f = FEAT_NONE + 1; f < FEAT_COUNT; f++)
        if (supports(device, t, f))
            out->features[f / 64] |= BIT(f % 64);
    const struct kvm_cpuid_entry2 *sizes = kvm_cpuid_find(t, 0x80000008, 0);
    out->phys_bits = sizes ? sizes->eax & 0xff : 36;
    limit_nesting(device, t, out);
    return limit_tsc(device, out, err);
}

int kvm_limits(const struct accel_options *o, struct accel_limits *out, struct err *err)
{
    bool own;
    *out = (struct accel_limits){0};
    int device = kvm_device(o, &own, err);
    if (device < 0)
        return -1;
    struct kvm_cpuid2 *t = kvm_supported_cpuid(device, err);
    int r = t ? limit(device, t, out, err) : -1;
    free(t);
    if (own)
        close(device);
    return r;
}

/* ---- speed ---- */

#define CODE 0x1000 /* and tables of one 2 MiB page: PML4, PDPT, PD */
#define PML4 0x2000

/* mov ecx, esi; 1: add rax, rcx; dec ecx; jnz 1b; (cpuid); dec edi; jnz 0; hlt */
static const u8 loop_code[] = {0x89, 0xf1, 0x48, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xf9,
                               0x31, 0xc0, 0x0f, 0xa2, 0xff, 0xcf, 0x75, 0xef, 0xf4};

static int trial_memory(struct trial *t, struct err *err)
{
    t->ram = mmap(NULL, TRIAL_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (t->ram == MAP_FAILED) {
        t->ram = NULL;
        return err_set(err, EXIT_STATUS_HOST, "no memory for a trial of /dev/kvm");
    }
    memcpy(t->ram + CODE, loop_code, sizeof(loop_code));
    store_le(t->ram + PML4, 8, (PML4 + 0x1000) | 3);
    store_le(t->ram + PML4 + 0x1000, 8, (PML4 + 0x2000) | 3);
    store_le(t->ram + PML4 + 0x2000, 8, 0x83);
    struct kvm_userspace_memory_region m = {.memory_size = TRIAL_RAM, .userspace_addr = (u64)t->ram};
    return kvm_want(t->vm, KVM_SET_USER_MEMORY_REGION, &m, "a trial's memory", err);
}

/* 64-bit mode without ever having been in another. */
static int trial_long_mode(struct trial *t, struct err *err)
{
    struct kvm_sregs s;
    if (kvm_want(t->vcpu, KVM_GET_SREGS, &s, "a trial's registers", err))
        return -1;
    s.cs = kvm_segment_of(0, ~0u, SEG_P | SEG_S | 11 | SEG_L | SEG_G, 8);
    s.ds = s.es = s.ss = s.fs = s.gs = kvm_segment_of(0, ~0u, SEG_P | SEG_S | 3 | SEG_DB | SEG_G, 16);
    s.cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
    s.cr3 = PML4;
    s.cr4 = CR4_PAE;
    s.efer = EFER_LME | EFER_LMA;
    return kvm_want(t->vcpu, KVM_SET_SREGS, &s, "64-bit mode", err);
}

static int trial_prepare(struct trial *t, int device, struct err *err)
{
    int size = kvm_call(device, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_cpuid2 *cpuid = kvm_supported_cpuid(device, err);
    int r = cpuid ? kvm_want(t->vcpu, KVM_SET_CPUID2, cpuid, "its own CPUID", err) : -1;
    free(cpuid);
    if (r || trial_memory(t, err) || trial_long_mode(t, err))
        return -1;
    void *run =
        size > 0 ? mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0) : MAP_FAILED;
    if (run == MAP_FAILED)
        return err_set(err, EXIT_STATUS_HOST, "engine kvm: cannot map a vCPU: %s", strerror(errno));
    t->run = run;
    t->run_size = (size_t)size;
    return 0;
}

static u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

/* Instructions a second of `rounds` loops of `turns` turns, a CPUID after each. */
static int trial_run(struct trial *t, u32 rounds, u32 turns, u64 *speed, struct err *err)
{
    struct kvm_regs regs = {.rip = CODE, .rflags = FLAG_R1, .rsi = turns, .rdi = rounds};
    if (kvm_want(t->vcpu, KVM_SET_REGS, &regs, "a trial's registers", err))
        return -1;
    u64 start = now_ns();
    if (kvm_want(t->vcpu, KVM_RUN, 0, "to run a trial", err))
        return -1;
    if (t->run->exit_reason != KVM_EXIT_HLT)
        return err_set(err, EXIT_STATUS_NO_ENGINE,
                       "/dev/kvm cannot run a small 64-bit guest (exit %u); use --engine soft",
                       t->run->exit_reason);
    u64 took = now_ns() - start, done = 3ull * rounds * turns;
    *speed = done * 1000000000ull / (took ? took : 1);
    return 0;
}

/* The first run warms up and tells a very slow one, which need not be run for longer. */
static int measure(struct trial *t, u64 *speed, struct err *err)
{
    if (trial_run(t, 1, 7000, speed, err))
        return -1;
    for (unsigned i = 0; i < 3; i++) {
        u64 one;
        if (trial_run(t, 1, 7000, &one, err))
            return -1;
        if (one > *speed)
            *speed = one;
    }
    return *speed < KVM_WORTH_IT ? 0 : trial_run(t, 8, 250000, speed, err);
}

int kvm_measure(int device, u64 *speed, struct err *err)
{
    struct trial t;
    if (trial_begin(&t, device, err))
        return -1;
    int r = trial_prepare(&t, device, err) ? -1 : measure(&t, speed, err);
    trial_end(&t);
    return r;
}
