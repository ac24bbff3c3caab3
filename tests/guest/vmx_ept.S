/* SPDX-License-Identifier: MIT */
/* EPT: translation, violations and misconfigurations with their qualification, A and D, real mode. SDM 3C 28.3 */
#include "guest.inc"
#include "vmx.inc"

main64:
    call vmx_setup
    call vmx_map
    VMW(0x201a, EPT_PML4 + 0x5e)
    CTL(PROC, 0x48e, 0x80000000)
    CTL(PROC2, 0x48b, 0x82)

    /* Translated, and marked. */
    movl $0x11223344, 0x140000
    movl $0x55667788, 0x141000
    movq $0x141037, EPTE(0x140)
    mov $read, %eax
    VMWR(RIP, %rax)
    RUN(1, 18)
    cmp $0x55667788, %ecx
    CHECK(2, je)
    mov EPTE(0x140), %eax
    cmp $0x141137, %eax
    CHECK(3, je)
    ADVANCE
    RUN(4, 18)
    testb $2, EPTE(0x140) + 1
    CHECK(5, jnz)
    cmpl $0xabcd, 0x141000
    CHECK(6, je)

    /* Not present: a read and a write. */
    movq $0, EPTE(0x150)
    mov $violate, %eax
    VMWR(RIP, %rax)
    RUN(7, 48)
    WANT(8, QUAL, 0x181)
    WANT(9, PHYSICAL, 0x150008)
    WANT(10, LINEAR, 0x150008)
    /* Read-only: a write; the read is done. */
    movq $0x150031, EPTE(0x150)
    RUN(11, 48)
    WANT(12, QUAL, 0x18a)
    /* Not executable. */
    movq $0x150033, EPTE(0x150)
    movl $0xc1010f, 0x150010 /* VMCALL */
    RUN(13, 48)
    WANT(14, QUAL, 0x19c)
    WANT(15, RIP, 0x150010)
    /* Misconfigured: writable, not readable; then a memory type that is none. */
    movq $0x150036, EPTE(0x150)
    RUN(16, 49)
    WANT(17, PHYSICAL, 0x150010)
    movq $0x150017, EPTE(0x150)
    RUN(18, 49)
    /* Execute-only. */
    movq $0x150034, EPTE(0x150)
    RUN(19, 18)

    /* The guest's own page tables: a table that may not be written. */
    movb $0xb5, EPT_PD + 8 /* 2M-4M: no writing */
    mov $2, %eax
    invept descriptor, %rax
    mov $read, %eax
    VMWR(RIP, %rax)
    RUN(20, 48)
    VMR(QUAL)
    and $0x183, %eax
    cmp $0x83, %eax
    CHECK(21, je)
    movb $0xb7, EPT_PD + 8

    /* Event delivery that a violation stopped. */
    mov $read, %eax
    VMWR(RIP, %rax)
    VMW(0x681c, 0x151000)
    movq $0, EPTE(0x150)
    mov $2, %eax
    invept descriptor, %rax
    VMW(INJECT, 0x80000306)
    RUN(22, 48)
    WANT(23, IDT_INFO, 0x80000306)
    VMW(0x681c, 0x6c000)

    /* An IRET that opened NMIs and whose stack is not there says so in its qualification. */
    VMW(PIN, 0x3e)
    VMW(0x4824, 8)
    VMW(0x681c, 0x150100)
    mov $return, %eax
    VMWR(RIP, %rax)
    RUN(26, 48)
    WANT(27, QUAL, 0x1181)
    WANT(28, 0x4824, 0)
    CTL(PIN, 0x48d, 0)
    VMW(0x681c, 0x6c000)

    /* Unrestricted: real mode without a page table of its own. */
    VMW(0x6800, 0x20)
    VMW(0x6804, 0x2000)
    VMW(0x6802, 0)
    CTL(ENTRYC, 0x490, 0)
    VMW(0x4816, 0x9b)
    VMW(0x4802, 0xffff)
    VMW(0x4814, 0x93)
    VMW(0x4818, 0x93)
    VMW(0x481a, 0x93)
    VMW(0x481c, 0x93)
    VMW(0x481e, 0x93)
    VMW(0x4800, 0xffff)
    VMW(0x4804, 0xffff)
    VMW(0x4806, 0xffff)
    VMW(0x4808, 0xffff)
    VMW(0x480a, 0xffff)
    VMW(0x0802, 0)
    VMW(0x0806, 0)
    mov $real, %eax
    VMWR(RIP, %rax)
    RUN(24, 18)
    cmp $0x7788, %cx
    CHECK(25, je)
    /* What real mode loads stays what it was: CS code, ES data. */
    WANT(34, 0x4816, 0x9b)
    WANT(35, 0x4814, 0x93)
    PASS

guest_code:
read:
    mov 0x140000, %ecx
    vmcall
    movl $0xabcd, 0x140000
    vmcall
violate:
    mov 0x150008, %ecx
    mov %ecx, 0x150008
    mov $0x150010, %eax
    jmp *%rax
return:
    iretq
    .code16
real:
    mov $0x1400, %ax
    mov %ax, %es
    movl $0x55667788, %es:0
    mov %es:0, %cx
    ljmp $0, $1f
1:  vmcall
    .code64
    .balign 16
descriptor: .quad 0, 0
