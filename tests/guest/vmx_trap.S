/* SPDX-License-Identifier: MIT */
/*
 * Exits that need a look at each instruction or at time: monitor trap flag, PAUSE loops, RDRAND and RDSEED, the scaled
 * TSC. SDM 3C 25.5.2, 25.1.3, 24.6.5
 */
#include "guest.inc"
#include "vmx.inc"

#define TRAP 0x08000000

main64:
    GATE(0x40, handler)
    call vmx_setup
    CTL(PROC, 0x48e, TRAP)
    /* Behind each instruction, and each iteration of a repeated one. */
    RUN(1, 37)
    WANT(2, RIP, guest_code + 1)
    mov $3, %ecx
    mov $0x150000, %esi
    mov $0x150100, %edi
    RUN(3, 37)
    WANT(4, RIP, guest_code + 1)
    cmp $2, %ecx
    CHECK(5, je)
    RUN(6, 37)
    RUN(7, 37)
    WANT(8, RIP, guest_code + 3)
    cmp $0, %ecx
    CHECK(9, je)
    /* At the first instruction of a handler: of an exception, of an injected interrupt. */
    RUN(10, 37)
    WANT(11, RIP, exc_stubs + 6 * 16)
    AT(guest_code)
    VMW(0x681c, 0x6c000)
    VMW(0x6820, 0x202)
    VMW(INJECT, 0x80000040)
    RUN(12, 37)
    WANT(13, RIP, handler)
    /* Before a debug trap, which stays pending. */
    VMW(0x681c, 0x6c000)
    VMW(0x6820, 0x102)
    AT(guest_code)
    RUN(14, 37)
    WANT(15, 0x6822, 0x4000)
    WANT(16, RIP, guest_code + 1)
    /* HLT: halted. */
    VMW(0x6822, 0)
    VMW(0x6820, 2)
    AT(stop)
    RUN(17, 37)
    WANT(18, 0x4826, 1)
    VMW(0x4826, 0)
    /* Injected: at once, whatever the control. */
    CTL(PROC, 0x48e, 0)
    VMW(INJECT, 0x80000700)
    AT(guest_code)
    RUN(19, 37)
    WANT(20, RIP, guest_code)
    WANT(21, INJECT, 0x700)
    VMW(0x4824, 2) /* blocking by MOV SS */
    VMW(INJECT, 0x80000700)
    RUN(36, 37)
    WANT(37, RIP, guest_code)
    WANT(38, 0x4824, 2)
    CTL(PIN, 0x48d, 0x40)
    VMW(0x482e, 0)
    RUN(39, 52)
    WANT(40, RIP, guest_code)
    WANT(41, 0x4824, 2)
    CTL(PIN, 0x48d, 0)
    VMW(0x4824, 0)

    /* A PAUSE loop: its length counts where PAUSEs are close to each other, else never. */
    CTL(PROC, 0x48e, 0x80000000)
    CTL(PROC2, 0x48b, 0x400)
    VMW(0x4020, 0xffffffff)
    VMW(0x4022, 20000)
    AT(pauses)
    mov $100000000, %ecx
    RUN(22, 40)
    WANT(23, LENGTH, 2)
    VMW(0x4020, 0)
    mov $5, %ecx
    RUN(24, 18)

    /* Random numbers. */
    CTL(PROC2, 0x48b, 0x10800)
    AT(random)
    RUN(25, 57)
    WANT(26, INFO, 0x808) /* ECX */
    WANT(27, LENGTH, 3)
    ADVANCE
    RUN(28, 61)
    WANT(29, INFO, 0x1048) /* R9 */
    ADVANCE
    CTL(PROC2, 0x48b, 0)
    AT(random)
    RUN(30, 18)

    /* Twice the TSC; with a factor of 0 the offset alone. */
    CTL(PROC, 0x48e, 0x80000008)
    CTL(PROC2, 0x48b, 0x2000000)
    VMW(0x2032, 0x2000000000000)
    VMW(0x2010, 0)
    call host_tsc
    mov %rax, %r12
    AT(time)
    RUN(31, 18)
    call host_tsc
    shr $1, %r8
    cmp %r12, %r8
    CHECK(32, jae)
    cmp %rax, %r8
    CHECK(33, jbe)
    VMW(0x2032, 0)
    VMW(0x2010, 0x123456789a)
    AT(time)
    RUN(34, 18)
    movabs $0x123456789a, %rax
    cmp %rax, %r8
    CHECK(35, je)
    PASS

host_tsc:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    ret

handler:
    iretq
guest_code:
    nop
    rep movsb
    ud2
stop:
    hlt
pauses:
    pause
    dec %ecx
    jnz pauses
    vmcall
random:
    rdrand %ecx
    rdseed %r9
    vmcall
time:
    rdtsc
    mov %rax, %r8
    shl $32, %rdx
    or %rdx, %r8
    vmcall
