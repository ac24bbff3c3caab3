/* SPDX-License-Identifier: MIT */
/* A client of this kernel's KVM: a guest of one page in 64-bit mode, and what its exits cost. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bench.h"

#define MEMORY 0x200000
#define TABLES 0x1000 /* PML4, PDPT, PD */
#define CODE   0x8000

static int vcpu;
static struct kvm_run *run;

/* RSI times CPUID, then OUT, for ever. */
static const uint8_t cpuid_loop[] = {0x31, 0xc0, 0x31, 0xc9, 0x0f, 0xa2, 0xff,
                                     0xce, 0x75, 0xf6, 0xe6, 0x80, 0xeb, 0xf2};
static const uint8_t out_loop[] = {0xe6, 0x80, 0xeb, 0xfc};

static int ask(int fd, unsigned long request, void *arg)
{
    int r = ioctl(fd, request, arg);
    if (r < 0) {
        perror("kvm");
        exit(1);
    }
    return r;
}

static struct kvm_segment flat(uint8_t type, uint8_t is_long)
{
    return (struct kvm_segment){.limit = ~0u,
                                .selector = 8,
                                .type = type,
                                .present = 1,
                                .s = 1,
                                .g = 1,
                                .l = is_long,
                                .db = !is_long};
}

static void long_mode(void)
{
    struct kvm_sregs s;
    struct kvm_regs r = {.rip = CODE, .rflags = 2};
    ask(vcpu, KVM_GET_SREGS, &s);
    s.cs = flat(11, 1);
    s.ds = s.es = s.ss = s.fs = s.gs = flat(3, 0);
    s.cr0 = 0x80000011;
    s.cr3 = TABLES;
    s.cr4 = 0x20;
    s.efer = 0x500;
    ask(vcpu, KVM_SET_SREGS, &s);
    ask(vcpu, KVM_SET_REGS, &r);
}

static void create(const uint8_t *code, size_t len)
{
    int kvm = open("/dev/kvm", O_RDWR), vm;
    if (kvm < 0) {
        perror("/dev/kvm");
        exit(1);
    }
    vm = ask(kvm, KVM_CREATE_VM, NULL);
    char *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY, .userspace_addr = (uintptr_t)memory};
    ask(vm, KVM_SET_USER_MEMORY_REGION, &region);
    uint64_t *table = (uint64_t *)(memory + TABLES);
    table[0] = (TABLES + 0x1000) | 7;
    table[512] = (TABLES + 0x2000) | 7;
    table[1024] = 0x87;
    memcpy(memory + CODE, code, len);
    vcpu = ask(vm, KVM_CREATE_VCPU, NULL);
    run = mmap(NULL, (size_t)ask(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu,
               0);
    long_mode();
}

static void until_out(void)
{
    ask(vcpu, KVM_RUN, NULL);
    if (run->exit_reason != KVM_EXIT_IO) {
        printf("kvm: exit reason %u\n", run->exit_reason);
        exit(1);
    }
}

void kvm_cpuid_prepare(void)
{
    create(cpuid_loop, sizeof(cpuid_loop));
}

uint64_t kvm_cpuid_run(uint64_t n)
{
    struct kvm_regs r = {.rip = CODE, .rflags = 2, .rsi = n};
    ask(vcpu, KVM_SET_REGS, &r);
    until_out();
    return n;
}

void kvm_out_prepare(void)
{
    create(out_loop, sizeof(out_loop));
}

uint64_t kvm_out_run(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        until_out();
    return n;
}
