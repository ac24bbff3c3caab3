/* SPDX-License-Identifier: MIT */
/* IRET in 64-bit mode: to every kind of code, and everything it must refuse. */
#include "guest.inc"

#define IRETQ(ss, rsp, flags, cs, rip) pushq $ss; pushq $rsp; pushq $flags; pushq $cs; pushq $rip; iretq

main64:
    mov %rsp, %rbp
    /* Same level: RSP and SS are popped all the same. */
    IRETQ(KDATA, 0x6e000, 2, KCODE, 1f)
1:  cmp $0x6e000, %rsp
    CHECK(1, je)
    mov %rbp, %rsp
    IRETQ(0, 0x6e000, 2, KCODE, 1f) /* null SS at CPL 0 */
1:  mov %ss, %eax
    test %eax, %eax
    CHECK(2, jz)
    mov %rbp, %rsp
    mov $KDATA, %eax
    mov %eax, %ss
    /* Refusals. */
    EXPECT(3, 13, 0, IRETQ(KDATA, 0, 2, 0, 0))
    EXPECT(4, 13, KDATA, IRETQ(KDATA, 0, 2, KDATA, 0))
    EXPECT(5, 13, KCODE, IRETQ(UDATA, 0, 2, KCODE + 3, 0))
    EXPECT(6, 13, KDATA, IRETQ(KDATA, 0, 2, UCODE, 0))
    EXPECT(7, 13, 0, IRETQ(3, 0, 2, UCODE, 0)) /* null SS at CPL 3 */
    EXPECT(8, 12, ABSENT, IRETQ(ABSENT, 0, 2, KCODE, 0))
    EXPECT(9, 13, 0x1000, IRETQ(KDATA, 0, 2, 0x1000, 0))
    EXPECT(10, 13, 0, movabs $0x8000000000000000, %rcx; pushq $KDATA; pushq $0; pushq $2; pushq $KCODE; push %rcx; iretq)
    EXPECT(11, 13, 0, IRETQ(KDATA, 0x6e000, 0x4002, KCODE, 9f); 9: iretq) /* NT */
    pushq $2
    popfq
    /* To user mode: flags as given, segments of inner levels dropped. */
    mov $KDATA, %eax
    mov %eax, %ds
    mov $UDATA, %eax
    mov %eax, %es
    EXPECT(12, 6, NO_ERROR, IRETQ(UDATA, 0x1000, 0x246, UCODE, USER + user_ud))
    cmpq $UCODE, exc_cs
    CHECK(13, je)
    mov %ds, %eax
    test %eax, %eax
    CHECK(14, jz)
    mov %es, %eax
    cmp $UDATA, %eax
    CHECK(15, je)
    mov exc_flags, %rax
    and $0x244, %eax
    cmp $0x244, %eax
    CHECK(16, je)
    /* User mode cannot raise IF or IOPL by IRET or POPF. */
    EXPECT(17, 6, NO_ERROR, IRETQ(UDATA, 0x40300800, 0x2, UCODE, USER + user_iret))
    mov exc_flags, %rax
    test $0x3200, %eax
    CHECK(18, jz)
    EXPECT(19, 6, NO_ERROR, IRETQ(UDATA, 0x40300800, 0x2, UCODE, USER + user_popf))
    mov exc_flags, %rax
    test $0x3200, %eax
    CHECK(20, jz)
    EXPECT(21, 13, UCODE32 - 3, IRETQ(UDATA, 0x40300800, 0x2, UCODE, USER + user_iret_inward))
    /* To 32-bit user code: RSP is cut, an INT comes back. */
    EXPECT(22, 0, NO_ERROR, IRETQ(UDATA, 0x40300800, 0x2, UCODE32, USER + user32))
    cmpq $UCODE32, exc_cs
    CHECK(23, je)
    mov exc_old_rsp, %rcx
    cmp $0x403007fc, %rcx
    CHECK(24, je)
    /* 32-bit code reaches 64-bit code by a far jump and comes back by a far return. */
    EXPECT(25, 6, NO_ERROR, IRETQ(UDATA, 0x40300800, 0x2, UCODE32, USER + user32_switch))
    cmpq $UCODE, exc_cs
    CHECK(26, je)
    /* Far return at the same level and outward. */
    mov %rsp, %rbp
    pushq $KCODE
    pushq $1f
    lretq
1:  cmp %rbp, %rsp
    CHECK(27, je)
    EXPECT(28, 6, NO_ERROR, pushq $UDATA; pushq $0x40300800; pushq $0x11; pushq $UCODE; pushq $USER + user_ud; lretq $8)
    mov exc_old_rsp, %rcx
    cmp $0x40300808, %rcx
    CHECK(29, je)
    PASS

user_ud: ud2
user_iret:
    pushq $UDATA
    pushq $0x40300700
    pushq $0x3202
    pushq $UCODE
    lea user_ud(%rip), %rax
    push %rax
    iretq
user_popf:
    pushq $0x3202
    popfq
    ud2
user_iret_inward:
    pushq $UDATA
    pushq $0x40300700
    pushq $2
    pushq $UCODE32 - 3
    pushq $0
    iretq
    .code32
user32:
    push %eax
    xor %ecx, %ecx
    div %ecx
user32_switch:
    ljmpl $UCODE, $user64 + USER
    .code64
user64: ud2
