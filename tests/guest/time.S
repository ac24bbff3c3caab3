/* SPDX-License-Identifier: MIT */
/* RDTSC and RDTSCP in loops that run often: time grows, follows WRMSR, and nothing else changes. SDM 2B RDTSC, RDTSCP */
#include "guest.inc"

#define ROUNDS 20000

/* RAX: RDX:RAX, whose upper halves must be clear */
#define JOIN(id)                                                                                                       \
    mov %rax, %r8; shr $32, %r8; CHECK(id, jz); mov %rdx, %r8; shr $32, %r8; CHECK(id, jz); shl $32, %rdx;              \
    or %rdx, %rax

main64:
    /* Never back, by either instruction; the registers beside stay, and so do the flags. */
    xor %ebx, %ebx
    mov $ROUNDS, %ebp
    movabs $0x1122334455667788, %rcx
    mov %rcx, %r9
1:  mov $-1, %rax
    mov $-1, %rdx
    stc
    rdtsc
    CHECK(1, jc)
    JOIN(2)
    cmp %rbx, %rax
    CHECK(3, jae)
    mov %rax, %rbx
    cmp %r9, %rcx
    CHECK(4, je)
    mov $-1, %rax
    rdtscp
    mov %rcx, %r8
    shr $32, %r8
    CHECK(5, jz)
    JOIN(6)
    cmp %rbx, %rax
    CHECK(7, jae)
    mov %rax, %rbx
    mov %r9, %rcx
    dec %ebp
    jnz 1b

    /* Each time TSC and TSC_AUX are written the next reading knows. */
    mov $1, %r12d
2:  mov $0x10, %ecx
    mov %r12d, %edx
    shl $8, %edx
    mov %edx, %r13d
    xor %eax, %eax
    wrmsr
    mov $0xc0000103, %ecx
    mov %r12d, %eax
    xor %edx, %edx
    wrmsr
    mov $20, %ebp
3:  rdtsc
    sub %r13d, %edx
    cmp $2, %edx
    CHECK(8, jb)
    rdtscp
    sub %r13d, %edx
    cmp $2, %edx
    CHECK(9, jb)
    cmp %r12d, %ecx
    CHECK(10, je)
    dec %ebp
    jnz 3b
    inc %r12d
    cmp $200, %r12d
    jb 2b

    /* CR4.TSD is about other privilege levels. */
    mov %cr4, %rax
    or $4, %eax
    mov %rax, %cr4
    mov $100, %ebp
4:  rdtsc
    sub %r13d, %edx
    cmp $2, %edx
    CHECK(11, jb)
    dec %ebp
    jnz 4b
    PASS
