/* SPDX-License-Identifier: MIT */
/* TSC and its adjustment, kvmclock pages, MTRR and PAT rules, FS/GS bases, CPUID's run-time fields, hypercalls. */
#include "guest.inc"

#define WALL 0x300000
#define TIME 0x300040

main64:
    /* WRMSR TSC moves TSC_ADJUST with it. */
    mov $0x10, %ecx
    mov $0x1000, %edx
    xor %eax, %eax
    wrmsr
    rdtsc
    cmp $0x1000, %edx
    CHECK(1, je)
    mov $0x3b, %ecx
    rdmsr
    test %edx, %edx
    CHECK(2, jnz)
    xor %eax, %eax
    xor %edx, %edx
    wrmsr
    rdtsc
    cmp $0x1000, %edx
    CHECK(3, jb)
    /* RDTSCP, RDPID */
    mov $0xc0000103, %ecx
    mov $7, %eax
    xor %edx, %edx
    wrmsr
    rdtscp
    cmp $7, %ecx
    CHECK(4, je)
    rdpid %rbx
    cmp $7, %rbx
    CHECK(5, je)
    /* TSC does not stand still. */
    rdtsc
    mov %eax, %ebx
    mov $2000, %ecx
1:  loop 1b
    rdtsc
    cmp %ebx, %eax
    CHECK(6, ja)

    /* kvmclock */
    mov $0x40000000, %eax
    cpuid
    cmp $0x4b4d564b, %ebx
    CHECK(7, je)
    mov $0x4b564d00, %ecx
    mov $WALL, %eax
    xor %edx, %edx
    wrmsr
    testl $1, WALL
    CHECK(8, jz)
    cmpl $1000000000, WALL + 4
    CHECK(9, je)
    mov $0x4b564d01, %ecx
    mov $TIME + 1, %eax
    wrmsr
    cmpl $0, TIME
    CHECK(10, jne)
    testl $1, TIME
    CHECK(11, jz)
    testb $1, TIME + 29
    CHECK(12, jnz)
    cmpl $0x80000000, TIME + 24 /* 2 GHz: half a nanosecond a tick */
    CHECK(13, je)
    rdmsr
    cmp $TIME + 1, %eax
    CHECK(14, je)

    /* MTRR */
    mov $0xfe, %ecx
    rdmsr
    cmp $8, %al
    CHECK(15, je)
    mov $0x200, %ecx
    mov $6, %eax
    xor %edx, %edx
    wrmsr
    rdmsr
    cmp $6, %eax
    CHECK(16, je)
    EXPECT(17, 13, 0, mov $0x200, %ecx; mov $0x106, %eax; wrmsr)
    EXPECT(18, 13, 0, mov $0x250, %ecx; mov $2, %eax; wrmsr)
    EXPECT(19, 13, 0, mov $0x2ff, %ecx; mov $0x1000, %eax; xor %edx, %edx; wrmsr)
    EXPECT(20, 13, 0, mov $0xfe, %ecx; wrmsr)
    EXPECT(21, 13, 0, mov $0x3a, %ecx; rdmsr) /* no FEATURE_CONTROL without nesting */
    EXPECT(22, 13, 0, mov $0xc0010117, %ecx; rdmsr)
    EXPECT(23, 13, 0, mov $0x48, %ecx; rdmsr)

    /* Bases */
    mov $0xc0000101, %ecx
    mov $0x12345678, %eax
    mov $0x1, %edx
    wrmsr
    mov $0xc0000102, %ecx
    mov $0x2, %edx
    wrmsr
    swapgs
    mov $0xc0000101, %ecx
    rdmsr
    cmp $2, %edx
    CHECK(24, je)
    EXPECT(25, 6, NO_ERROR, rdgsbase %rbx)
    mov %cr4, %rax
    bts $16, %rax
    mov %rax, %cr4
    rdgsbase %rbx
    shr $32, %rbx
    cmp $2, %ebx
    CHECK(26, je)
    EXPECT(27, 13, 0, movabs $0x8000000000000000, %rbx; wrfsbase %rbx)
    mov $0x300000, %ebx
    wrfsbase %rbx
    movl $0x77, %fs:0x100
    cmpl $0x77, 0x300100
    CHECK(28, je)
    xor %eax, %eax
    mov %eax, %fs /* a null selector clears the base */
    rdfsbase %rbx
    test %rbx, %rbx
    CHECK(29, jz)

    /* CPUID follows CR4.OSXSAVE. */
    mov $1, %eax
    cpuid
    test $0x08000000, %ecx
    CHECK(30, jz)
    test $0x04000000, %ecx
    jz 1f
    mov %cr4, %rax
    bts $18, %rax
    mov %rax, %cr4
    mov $1, %eax
    cpuid
    test $0x08000000, %ecx
    CHECK(31, jnz)
1:  /* And the local APIC's enable bit. */
    mov $1, %eax
    cpuid
    test $0x200, %edx
    CHECK(34, jnz)
    mov $0x1b, %ecx
    rdmsr
    btr $11, %eax
    wrmsr
    mov $1, %eax
    cpuid
    test $0x200, %edx
    CHECK(35, jz)
    mov $0x1b, %ecx
    rdmsr
    bts $11, %eax
    wrmsr
    /* A hypercall nobody offers. */
    mov $1, %eax
    vmcall
    cmp $-1000, %rax
    CHECK(32, je)
    mov $1, %eax
    vmmcall
    cmp $-1000, %rax
    CHECK(33, je)
    PASS
