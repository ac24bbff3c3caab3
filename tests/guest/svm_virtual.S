/* SPDX-License-Identifier: MIT */
/*
 * What the processor does in the hypervisor's place: virtual NMIs, halts that need no exit, the PAUSE filter with its
 * threshold, a scaled TSC. APM 2 15.21.10, 15.9, 15.14.4, 15.30.5
 *
 * Vector 2 has guest.inc's handler: it counts in exc_count and returns.
 */
#include "svm.inc"

#define MSR_TSC_RATIO 0xc0000104
#define nmi_gate      (idt + 2 * 16)

main64:
    call svm_start
    orl $BIT3(0x61), CTL_I3

    /* A virtual NMI is taken before the first instruction, once, and blocks others until IRET. */
    movl $VNMI_ENABLE | VNMI, CTL_VINTR
    movq $0, exc_count
    RUN(1, VMMCALL, mov exc_count, %rbx)
    cmp $1, %ebx
    CHECK(2, je)
    cmpl $VNMI_ENABLE, CTL_VINTR
    CHECK(3, je)
    /* The mask holds it back; the guest's IRET opens. */
    movl $VNMI_ENABLE | VNMI_MASK | VNMI, CTL_VINTR
    RUN(4, VMMCALL, nop; nop)
    cmpl $VNMI_ENABLE | VNMI_MASK | VNMI, CTL_VINTR
    CHECK(5, je)
    cmpq $1, exc_count
    CHECK(6, je)
    movq $iret_to_next, SAVE_RIP
    movq $L2STACK, SAVE_RSP
    GO(7, VMMCALL)
    cmpl $VNMI_ENABLE, CTL_VINTR
    CHECK(8, je)
    cmpq $2, exc_count
    CHECK(9, je)
    /* The handler runs blocked: what it leaves with says so. */
    orl $1 << 3, CTL_EXC /* #BP */
    movl $VNMI_ENABLE | VNMI, CTL_VINTR
    mov nmi_gate, %rax
    push %rax
    movabs $nmi_breaks, %rax
    mov %ax, nmi_gate
    shr $16, %rax
    mov %ax, nmi_gate + 6
    RUN(10, 0x43, ud2)
    pop %rax
    mov %rax, nmi_gate
    cmpl $VNMI_ENABLE | VNMI_MASK, CTL_VINTR
    CHECK(11, je)
    movl $0, CTL_EXC
    /* An injected NMI blocks as well. */
    movl $VNMI_ENABLE, CTL_VINTR
    movl $0x80000202, CTL_INJECT
    orl $BIT3(0x74), CTL_I3 /* IRET */
    RUN(12, 0x74, ud2)
    cmpl $VNMI_ENABLE | VNMI_MASK, CTL_VINTR
    CHECK(13, je)
    andl $~BIT3(0x74), CTL_I3
    /* A virtual GIF that is clear holds it back; STI does not matter. */
    movl $VNMI_ENABLE | VNMI | 0x02000000, CTL_VINTR
    movq $0, exc_count
    RUN(14, VMMCALL, sti; nop; cli; mov exc_count, %rbx; stgi; nop; mov exc_count, %rbp)
    test %ebx, %ebx
    CHECK(15, jz)
    cmp $1, %ebp
    CHECK(16, je)
    /* A physical NMI leaves, blocked virtual ones or not. The host's own blocking is its own. */
    movl $VNMI_ENABLE | VNMI_MASK, CTL_VINTR
    movq $0, exc_count
    RUN(17, 0x61, out %al, $0xf6; nop; ud2)
    cmpl $VNMI_ENABLE | VNMI_MASK, CTL_VINTR
    CHECK(18, je)
    cmpq $0, exc_count
    CHECK(19, je)
    stgi
    nop
    cmpq $1, exc_count
    CHECK(20, je)

    /* HLT without anything to wake it is idle; with a virtual NMI or interrupt it halts and goes on. */
    movl $0, CTL_VINTR
    orl $BIT5(0xa6), CTL_I5
    RUN(21, 0xa6, hlt; ud2)
    movl $VNMI_ENABLE | 0x02000000, CTL_VINTR
    RUN(22, 0xa6, hlt; ud2)
    movl $VIRQ | 0x03080000, CTL_VINTR /* GIF clear: nothing is pending */
    RUN(23, 0xa6, hlt; ud2)
    orl $BIT3(0x64), CTL_I3
    movl $VIRQ | 0x01080000, CTL_VINTR
    RUN(24, 0x64, sti; hlt; ud2)
    movq $2, SAVE_RFLAGS
    /* The plain intercept comes first. */
    orl $BIT3(0x78), CTL_I3
    RUN(25, 0x78, hlt; ud2)
    andl $~(BIT3(0x64) | BIT3(0x78)), CTL_I3
    movl $0, CTL_I5
    movl $0, CTL_VINTR

    /* Three PAUSEs pass, the fourth leaves; with a threshold, one that comes late starts anew. */
    orl $BIT3(0x77), CTL_I3
    movw $3, CTL_PAUSE
    xor %ebx, %ebx
    RUN(26, 0x77, pause; inc %ebx; pause; inc %ebx; pause; inc %ebx; pause; ud2)
    cmp $3, %ebx
    CHECK(27, je)
    movw $20, CTL_THRESHOLD
    xor %ebx, %ebx
    RUN(28, 0x77, pause; inc %ebx; pause; inc %ebx; pause; inc %ebx; pause; ud2)
    cmp $3, %ebx
    CHECK(29, je)
    RUN(30, VMMCALL, pause; pause; pause; mov $30, %ecx; 1: dec %ecx; jnz 1b; pause; pause; pause; pause)
    andl $~BIT3(0x77), CTL_I3

    /* The TSC: 8.32 fixed point, then the offset; reserved bits are refused. */
    mov $MSR_TSC_RATIO, %ecx
    rdmsr
    cmp $1, %edx
    CHECK(31, je)
    test %eax, %eax
    CHECK(32, jz)
    mov $0x100, %edx
    EXPECT(33, 13, 0, wrmsr)
    mov $MSR_TSC_RATIO, %ecx
    xor %edx, %edx
    xor %eax, %eax
    wrmsr
    movl $0x1234567, CTL_TSC /* nothing times the TSC, plus the offset */
    RUN(34, VMMCALL, rdtsc; mov %eax, %ebx; mov %edx, %ebp)
    cmp $0x1234567, %ebx
    CHECK(35, je)
    test %ebp, %ebp
    CHECK(36, jz)
    movl $0, CTL_TSC
    mov $MSR_TSC_RATIO, %ecx
    mov $0x10, %edx
    wrmsr
    call tsc
    mov %rax, %r12
    RUN(37, VMMCALL, call tsc; mov %rax, %r13)
    call tsc
    shl $4, %r12
    shl $4, %rax
    cmp %r12, %r13
    CHECK(38, jae)
    cmp %rax, %r13
    CHECK(39, jbe)
    PASS

tsc:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    ret

nmi_breaks: int3

iret_to_next:
    mov %rsp, %rax
    push $KDATA
    push %rax
    push $2
    push $KCODE
    push $1f
    iretq
1:  vmmcall

