/* SPDX-License-Identifier: MIT */
/*
 * The virtual APIC: the APIC-access page, APIC registers, virtual interrupts, x2APIC mode, posted interrupts.
 * SDM 3C chapter 29
 */
#include "guest.inc"
#include "vmx.inc"

#define APIC       0x320000
#define DESCRIPTOR 0x321000
#define STATUS     0x0810
#define ACCESSES   1
#define X2APIC     0x10
#define REGISTERS  0x100
#define INTERRUPTS 0x200
#define PENDING(vector) VMW(STATUS, vector); movl $1 << (vector & 31), VAPIC + 0x200 + (vector / 32) * 16
#define HANDLED(id, vector) cmpq $vector, handled; CHECK(id, je); movq $0, handled

main64:
    GATE(0x41, handler41)
    GATE(0x42, handler42)
    call vmx_setup
    mov $VAPIC, %edi
    xor %eax, %eax
    mov $1024, %ecx
    rep stosl
    mov $MSR_BITMAP, %edi
    mov $1024, %ecx
    rep stosl
    mov $DESCRIPTOR, %edi
    mov $16, %ecx
    rep stosl
    VMW(0x2004, MSR_BITMAP)
    VMW(0x2012, VAPIC)
    VMW(0x2014, APIC)
    CTL(PROC, 0x48e, 0x90200000)

    /* The TPR is served, byte 0 of it; whatever else leaves. */
    CTL(PROC2, 0x48b, ACCESSES)
    RUN(1, 18)
    cmp $0x35, %ecx
    CHECK(2, je)
    cmpl $0x35, VAPIC + 0x80
    CHECK(3, je)
    ADVANCE
    RUN(4, 44) /* 8 bytes */
    WANT(5, QUAL, 0x80)
    WANT(6, LENGTH, 8)
    ADVANCE
    RUN(7, 44)
    WANT(8, QUAL, 0x1090)
    ADVANCE
    VMW(0x401c, 3)
    RUN(9, 43) /* below the threshold, behind the write */
    WANT(10, RIP, below)
    RUN(11, 43) /* and behind the entry */
    WANT(12, RIP, below)
    movl $0x50, VAPIC + 0x80
    RUN(13, 44)
    WANT(14, QUAL, 0x2000)

    /* APIC registers. */
    CTL(PROC2, 0x48b, ACCESSES | REGISTERS)
    movl $0x1234, VAPIC + 0x20
    AT(registers)
    RUN(15, 18)
    cmp $0x1234, %ecx
    CHECK(16, je)
    cmpl $0xaa000000, VAPIC + 0x310
    CHECK(17, je)
    ADVANCE
    RUN(18, 56)
    WANT(19, QUAL, 0xf0)
    WANT(20, RIP, written)
    cmpl $0x1ff, VAPIC + 0xf0
    CHECK(21, je)
    RUN(22, 44)
    WANT(23, QUAL, 0x390)

    /* Virtual interrupts: delivered when open, ended without an exit or with one. */
    CTL(PIN, 0x48d, 1)
    CTL(PROC2, 0x48b, ACCESSES | INTERRUPTS)
    VMW(0x401c, 0)
    movl $0, VAPIC + 0x80
    PENDING(0x41)
    AT(open)
    RUN(24, 18)
    HANDLED(25, 0x41)
    WANT(26, STATUS, 0)
    cmpl $0, VAPIC + 0x120
    CHECK(27, je)
    VMW(0x201e, 2) /* EOI of 41H */
    PENDING(0x41)
    VMW(0x6820, 2)
    AT(halt)
    RUN(28, 45)
    WANT(29, QUAL, 0x41)
    WANT(30, RIP, ended)
    HANDLED(31, 0x41)
    VMW(0x201e, 0)
    RUN(32, 18)
    /* Held back by the TPR until the guest lowers it. */
    movl $0x50, VAPIC + 0x80
    PENDING(0x41)
    AT(lower)
    RUN(33, 18)
    cmp $0, %esi
    CHECK(34, je)
    cmp $0x41, %edi
    CHECK(35, je)
    movq $0, handled
    /* The guest to itself; to others it leaves. */
    AT(self)
    RUN(36, 18)
    HANDLED(37, 0x42)
    ADVANCE
    RUN(38, 56)
    WANT(39, QUAL, 0x300)
    RUN(56, 56) /* a reserved bit */
    WANT(57, QUAL, 0x300)

    /* x2APIC mode. */
    CTL(PROC2, 0x48b, X2APIC | REGISTERS | INTERRUPTS)
    movl $0x5678, VAPIC + 0x24
    movb $1, wide
    AT(x2apic)
    RUN(40, 18)
    cmp $0x1234, %ecx
    CHECK(41, je)
    cmp $0x5678, %esi
    CHECK(42, je)
    cmpl $0x10, VAPIC + 0x80
    CHECK(43, je)
    HANDLED(44, 0x42)
    ADVANCE
    RUN(45, 56)
    WANT(46, QUAL, 0x3f0)
    VMW(0x4004, 0x2000)
    RUN(47, 0)
    WANT(48, INTR_INFO, 0x80000b0d)

    /* Posted interrupts: the notification does not leave, others do. */
    CTL(PIN, 0x48d, 0x81)
    CTL(EXITC, 0x48f, 0x8200)
    VMW(2, 0xf2)
    VMW(0x2016, DESCRIPTOR)
    movl $2, DESCRIPTOR + 8
    movl $1, DESCRIPTOR + 32
    AT(posted)
    RUN(49, 18)
    HANDLED(50, 0x41)
    cmpl $0, DESCRIPTOR + 8
    CHECK(51, je)
    cmpl $0, DESCRIPTOR + 32
    CHECK(52, je)
    in $0xfb, %al
    cmp $1, %al
    CHECK(53, je)
    ADVANCE
    RUN(54, 1)
    WANT(55, INTR_INFO, 0x80000071)
    PASS

handler41:
    movq $0x41, handled
    jmp end_it
handler42:
    movq $0x42, handled
end_it:
    push %rax
    push %rcx
    push %rdx
    cmpb $0, wide
    jne 1f
    movl $0, APIC + 0xb0
ended:
    jmp 2f
1:  xor %eax, %eax
    xor %edx, %edx
    mov $0x80b, %ecx
    wrmsr
2:  pop %rdx
    pop %rcx
    pop %rax
    iretq

guest_code:
    movl $0x12345635, APIC + 0x80
    mov APIC + 0x80, %ecx
    vmcall
    mov APIC + 0x80, %rcx
    movl $1, APIC + 0x90
    movl $0x20, APIC + 0x80
below:
    mov $APIC, %eax
    jmp *%rax
registers:
    mov APIC + 0x20, %ecx
    movl $0xaabbccdd, APIC + 0x310
    vmcall
    movl $0x1ff, APIC + 0xf0
written:
    mov APIC + 0x390, %ecx
open:
    sti
    nop
    nop
    vmcall
halt:
    sti
    hlt
    vmcall
lower:
    sti
    nop
    mov handled, %rsi
    movl $0, APIC + 0x80
    mov handled, %rdi
    vmcall
self:
    movl $0x44042, APIC + 0x300
    vmcall
    movl $0xc4042, APIC + 0x300
    movl $0x54042, APIC + 0x300
x2apic:
    mov $0x802, %ecx
    rdmsr
    mov %eax, %edi
    mov %edx, %esi
    mov $0x808, %ecx
    mov $0x10, %eax
    xor %edx, %edx
    wrmsr
    mov $0x83f, %ecx
    mov $0x42, %eax
    wrmsr
    mov %edi, %ecx
    vmcall
    mov $0x83f, %ecx
    mov $5, %eax
    xor %edx, %edx
    wrmsr
    mov $0x808, %ecx
    mov $0x100, %eax
    xor %edx, %edx
    wrmsr
posted:
    mov $0xf2, %al
    out %al, $0xf5
    nop
    vmcall
    mov $0x71, %al
    out %al, $0xf5
    nop

    .balign 8
handled: .quad 0
wide: .byte 0
