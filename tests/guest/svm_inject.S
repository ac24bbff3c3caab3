/* SPDX-License-Identifier: MIT */
/*
 * Events: EVENTINJ and EXITINTINFO, exception intercepts, virtual interrupts and their priority, the interrupt shadow,
 * physical interrupts and NMIs with and without intercept. APM 2 15.7.2, 15.12, 15.13, 15.20, 15.21
 *
 * Guest and host share the IDT of guest.inc: its handlers count, note vector and error code and return.
 */
#include "svm.inc"

#define GATE(vector) idt + (vector) * 16

main64:
    call svm_start
    /* A gate for interrupt 30H: counts. */
    mov $irq, %eax
    mov %ax, GATE(0x30)
    movw $KCODE, GATE(0x30) + 2
    movw $0x8e00, GATE(0x30) + 4
    shr $16, %eax
    mov %eax, GATE(0x30) + 6

    /* An injected interrupt is delivered before the first instruction, whatever IF says. */
    movl $0, irqs
    movl $0x80000030, CTL_INJECT
    RUN(1, VMMCALL, mov irqs, %ebx)
    cmp $1, %ebx
    CHECK(2, je)
    testl $0x80000000, CTL_INJECT
    CHECK(3, jz)
    /* #GP with its error code; no intercept holds it back. */
    orl $1 << 13, CTL_EXC
    movq $0, exc_count
    movabs $0x12380000b0d, %rax
    bts $31, %rax
    mov %rax, CTL_INJECT
    RUN(4, VMMCALL, nop)
    cmpq $13, exc_vector
    CHECK(5, je)
    cmpq $0x1238 >> 4, exc_error
    CHECK(6, je)
    movl $0, CTL_EXC
    /* NMI */
    movl $0x80000202, CTL_INJECT
    movl $0, CTL_INJECT + 4
    RUN(7, VMMCALL, nop)
    cmpq $2, exc_vector
    CHECK(8, je)
    /* INT n returns behind the instruction: nRIP is pushed. */
    movl $0x80000430, CTL_INJECT
    movq $after, CTL_NRIP
    movq $before, SAVE_RIP
    movq $L2STACK, SAVE_RSP
    xor %ebx, %ebx
    GO(9, VMMCALL)
    cmp $7, %ebx
    CHECK(10, je)
    movq $0, CTL_INJECT

    /* A fault while delivering: #NP for the gate, with the injected event in EXITINTINFO. */
    orl $1 << 11, CTL_EXC
    movw $0x0e00, GATE(0x30) + 4
    movl $0x80000030, CTL_INJECT
    RUN(11, 0x4b, nop)
    INFO1(12, 0x30 * 8 + 3)
    mov $0x80000030, %eax
    cmp %rax, CTL_INTINFO
    CHECK(13, je)
    movq $0, CTL_INJECT
    /* The same from INT 30H: type 4, no EXT bit. */
    RUN(14, 0x4b, int $0x30)
    INFO1(15, 0x30 * 8 + 2)
    mov $0x80000430, %eax
    cmp %rax, CTL_INTINFO
    CHECK(16, je)
    movw $0x8e00, GATE(0x30) + 4
    movl $0, CTL_EXC

    /* #PF: error code and address, CR2 as it was, the instruction's bytes. */
    orl $1 << 14, CTL_EXC
    movq $0x7777, SAVE_CR2
    RUN(17, 0x4e, movl $5, 0x50000000)
    INFO1(18, 2)
    INFO2(19, 0x50000000)
    cmpq $0x7777, SAVE_CR2
    CHECK(20, je)
    cmpb $15, CTL_LEN
    CHECK(21, je)
    cmpb $0xc7, CTL_BYTES
    CHECK(22, je)
    movl $0, CTL_EXC

    /* A virtual interrupt waits for IF, one instruction behind STI, and is used up. */
    movl $0, irqs
    movl $0x30, CTL_VECTOR
    movl $VIRQ | 0x030f0000, CTL_VINTR /* V_INTR_MASKING, highest priority; V_IGN_TPR comes later */
    andl $~0x02000000, CTL_VINTR
    RUN(23, VMMCALL, mov irqs, %ebx; sti; nop; mov irqs, %ebp; cli)
    test %ebx, %ebx
    CHECK(24, jz)
    cmp $1, %ebp
    CHECK(25, je)
    testl $VIRQ, CTL_VINTR
    CHECK(26, jz)
    /* Intercepted: before it is taken, V_IRQ stays. */
    orl $VIRQ, CTL_VINTR
    orl $BIT3(0x64), CTL_I3
    RUN(27, 0x64, sti; nop; ud2)
    testl $VIRQ, CTL_VINTR
    CHECK(28, jnz)
    movq $2, SAVE_RFLAGS
    andl $~BIT3(0x64), CTL_I3
    /* V_TPR: CR8 is virtual; a higher one holds it back. */
    movl $0, irqs
    movl $VIRQ | 0x01080000, CTL_VINTR
    RUN(29, VMMCALL, mov $9, %eax; mov %rax, %cr8; sti; nop; nop; mov irqs, %ebx; mov $7, %eax; mov %rax, %cr8; nop; mov irqs, %ebp; mov %cr8, %rcx; cli)
    test %ebx, %ebx
    CHECK(30, jz)
    cmp $1, %ebp
    CHECK(31, je)
    cmp $7, %ecx
    CHECK(32, je)
    mov CTL_VINTR, %eax
    and $15, %eax
    cmp $7, %eax
    CHECK(33, je)
    mov %cr8, %rax
    test %eax, %eax
    CHECK(34, jz)
    /* A virtual GIF that is clear holds it back as well. */
    movl $0, irqs
    movl $VIRQ | 0x030f0000, CTL_VINTR
    RUN(35, VMMCALL, sti; nop; nop; mov irqs, %ebx; stgi; nop; mov irqs, %ebp; cli)
    test %ebx, %ebx
    CHECK(36, jz)
    cmp $1, %ebp
    CHECK(37, je)
    movl $0, CTL_VINTR

    /* The interrupt shadow goes in and comes out. */
    orl $BIT3(0x72), CTL_I3
    RUN(38, 0x72, sti; cpuid)
    testb $1, CTL_SHADOW
    CHECK(39, jnz)
    movq $2, SAVE_RFLAGS
    RUN(40, 0x72, nop; cpuid)
    testb $1, CTL_SHADOW
    CHECK(41, jz)
    andl $~BIT3(0x72), CTL_I3
    movl $0, irqs
    movl $VIRQ | 0x010f0000, CTL_VINTR
    movq $1, CTL_SHADOW
    movq $0x202, SAVE_RFLAGS
    RUN(42, VMMCALL, mov irqs, %ebx; mov irqs, %ebp)
    test %ebx, %ebx
    CHECK(43, jz)
    cmp $1, %ebp
    CHECK(44, je)
    movl $0, CTL_VINTR
    movq $0, CTL_SHADOW

    /* A physical interrupt without intercept is the guest's; with it, the host's at STGI. */
    movl $0, irqs
    movq $0x202, SAVE_RFLAGS
    RUN(45, VMMCALL, mov $0x30, %al; out %al, $0xf5; nop; mov irqs, %ebx)
    cmp $1, %ebx
    CHECK(46, je)
    orl $BIT3(0x60), CTL_I3
    RUN(47, 0x60, mov $0x30, %al; out %al, $0xf5; nop; ud2)
    cmpl $1, irqs
    CHECK(48, je)
    stgi
    sti
    nop
    cli
    cmpl $2, irqs
    CHECK(49, je)
    /* With V_INTR_MASKING the host's IF decides: set while the guest's is clear. */
    movl $0x01000000, CTL_VINTR
    movq $2, SAVE_RFLAGS
    clgi
    sti
    RUN(50, 0x60, mov $0x30, %al; out %al, $0xf5; nop; ud2)
    cli
    /* ... and clear while the guest's is set. */
    movq $0x202, SAVE_RFLAGS
    RUN(51, VMMCALL, nop; nop)
    stgi
    sti
    nop
    cli
    cmpl $3, irqs
    CHECK(52, je)
    movl $0, CTL_VINTR
    andl $~BIT3(0x60), CTL_I3
    movq $2, SAVE_RFLAGS
    /* NMI */
    orl $BIT3(0x61), CTL_I3
    movq $0, exc_count
    RUN(53, 0x61, out %al, $0xf6; nop; ud2)
    cmpq $0, exc_count
    CHECK(54, je)
    stgi
    nop
    cmpq $1, exc_count
    CHECK(55, je)
    /* What waits for GIF comes behind STGI, also when that is translated. */
    mov $40, %r12d
1:  mov irqs, %r13d
    mov exc_count, %r14
    clgi
    sti
    mov $0x30, %al
    out %al, $0xf5
    out %al, $0xf6
    nop
    cmp irqs, %r13d
    CHECK(70, je)
    cmp exc_count, %r14
    CHECK(71, je)
    stgi
    nop
    cli
    inc %r13d
    inc %r14
    cmp irqs, %r13d
    CHECK(72, je)
    cmp exc_count, %r14
    CHECK(73, je)
    clgi /* nothing waits */
    stgi
    nop
    cmp irqs, %r13d
    CHECK(74, je)
    dec %r12d
    jnz 1b
    /* A halted guest wakes to the exit. */
    movl $VIRQ | 0x010f0000, CTL_VINTR
    orl $BIT3(0x64), CTL_I3
    RUN(56, 0x64, sti; hlt; ud2)
    PASS

before: ud2
after:
    mov $7, %ebx
    vmmcall

irq:
    incl irqs
    iretq
    .balign 4
irqs: .long 0
